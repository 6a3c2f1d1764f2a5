"""Numbers of large nodes, where the rule is another program in the process that checks them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.support import elsewhere_plugin
from tests.support.proof_sources import LocalProofs
from tests.support.verdicts import finish, graph_of

from gradproof.engine.engine import Engine
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.runs.examination import ANOTHER_RULE
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord, UseVerdict, ValueWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN


@pytest.fixture(scope="module")
def elsewhere() -> Registry:
    return build_registry(BUILTIN, others=[elsewhere_plugin])


@pytest.fixture(scope="module")
def workers(elsewhere: Registry) -> Iterator[Workers]:
    outputs = Workers([plugin.source for plugin in elsewhere.plugins])
    outputs.start()
    yield outputs
    outputs.close()


class ProvedWhole(LocalProofs):
    """Every rule counts as proved, and every form as the definition: numbers are what is looked at."""

    def request(self, key: ProofKey) -> None:
        self.known[key] = RuleVerdict(RuleWord.PROVED, key.op, arrays=True)


def use_of(elsewhere: Registry, workers: Workers, name: str, size: int) -> UseVerdict:
    """The verdict on the contribution of a node of ``size`` elements, by workers."""
    graph, values = graph_of(f"elsewhere.{name}", np.random.default_rng(5).normal(size=size))
    seed = np.random.default_rng(6).normal(size=size)
    run = finish(Engine(elsewhere), Job(graph, values, [("y", seed)]))
    [verdict] = Verifier(elsewhere, ProvedWhole(elsewhere), workers).check(run, budget=60.0)
    return verdict.uses[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mirror", "mirror_in_two_steps"])
def test_numbers_are_not_enclosed_through_a_rule_that_is_another_there(
    elsewhere: Registry, workers: Workers, name: str
) -> None:
    """Wrong there or right there: the proof is of the program that ran."""
    use = use_of(elsewhere, workers, name, 5000)
    assert (use.value.word, use.value.checked, use.value.total) == (ValueWord.UNCHECKED, 0, 5000)
    assert use.value.reason.startswith(ANOTHER_RULE)
    assert (use.forward.word, use.forward.checked) == (ValueWord.ENCLOSED, 5000)  # no rule is read for it


def test_a_wrong_number_is_seen_where_the_rule_is_right_there(elsewhere: Registry, workers: Workers) -> None:
    use = use_of(elsewhere, workers, "mirror_twofold", 5000)
    assert use.value.word is ValueWord.OFF
    assert use.value.element


def test_a_denial_is_a_claim_whatever_the_rule_is_there(elsewhere: Registry, workers: Workers) -> None:
    use = use_of(elsewhere, workers, "mirror_denied", 5000)
    assert use.value.word is ValueWord.OFF
    assert use.value.got == "0.0"


def test_a_rule_that_cannot_be_traced_there_costs_the_word(elsewhere: Registry, workers: Workers) -> None:
    use = use_of(elsewhere, workers, "mirror_broken", 5000)
    assert use.value.word is ValueWord.UNCHECKED
    assert "mirror_broken" in use.value.reason


def test_what_arb_encloses_by_the_definition_needs_no_rule(elsewhere: Registry, workers: Workers) -> None:
    for size in (20, 500):
        use = use_of(elsewhere, workers, "mirror", size)
        assert (use.value.word, use.value.checked) == (ValueWord.ENCLOSED, size)


def test_numbers_are_enclosed_through_the_rule_that_ran(elsewhere: Registry, workers: Workers) -> None:
    use = use_of(elsewhere, workers, "mirror_everywhere", 5000)
    assert (use.value.word, use.value.checked) == (ValueWord.ENCLOSED, 5000)
