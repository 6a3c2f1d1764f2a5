"""Values that rules read: a wrong value makes gradients wrong, wherever it was computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.support.proof_sources import SharedProofs
from tests.support.registries import with_fields
from tests.support.verdicts import finish

from gradproof.engine.engine import Engine
from gradproof.engine.registry import Registry
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verifier import Verifier

X = np.array([-1.0, 0.5, 2.0])
OTHER = np.array([1.5, -0.25, 1.0])

WRONG: dict[str, Callable[..., Any]] = {
    "exp": lambda x: np.exp(x) * 1.01,
    "greater": lambda a, b: np.greater(a, b + 1),
    "logical_not": lambda x: np.array(x, bool),
}


@pytest.fixture(scope="module")
def wrong() -> Registry:
    return with_fields(**{name: {"forward": forward, "into": None} for name, forward in WRONG.items()})


def verdicts(
    registry: Registry, leaves: dict[str, Any], lines: Sequence[Line], constants: str = "c", **options: Any
) -> dict[str, GradientVerdict]:
    engine = Engine(registry)
    seeds = {"y": np.resize([1.25, -0.75], leaves["x"].shape)}
    run = finish(engine, Bench(engine).job(leaves, lines, "y", constants=constants, seeds=seeds))
    return {
        verdict.name: verdict for verdict in Verifier(registry, SharedProofs(registry)).check(run, budget=60.0, **options)
    }


@pytest.mark.parametrize("size", [3, 3000])
def test_a_factor_that_is_held_constant(wrong: Registry, size: int) -> None:
    leaves = {"x": np.resize(X, size), "c": np.resize(OTHER, size)}
    verdict = verdicts(wrong, leaves, ["e = planted.exp(c)", "h = negative(e)", "y = multiply(x, h)"])["x"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.reason.startswith("node 0 (planted.exp), element [")
    got, expected = verdict.reason.rpartition("computed ")[2].split(", its definition gives ")
    assert float(got) == pytest.approx(1.01 * float(expected), rel=1e-12)
    right = verdicts(wrong, leaves, ["e = exp(c)", "h = negative(e)", "y = multiply(x, h)"])["x"]
    assert right.summary is SummaryWord.VERIFIED


@pytest.mark.parametrize("size", [3, 3000])
def test_a_mask(wrong: Registry, size: int) -> None:
    leaves = {"x": np.resize(X, size), "c": np.zeros(size)}
    verdict = verdicts(wrong, leaves, ["m = planted.greater(x, c)", "y = where(m, x, c)"])["x"]
    assert verdict.summary is SummaryWord.WRONG
    place = int(verdict.reason.partition("element [")[2].partition("]")[0])
    assert leaves["x"][place] == 0.5
    assert verdict.reason.endswith("the node computed False, its definition gives True")
    assert verdicts(wrong, leaves, ["m = greater(x, c)", "y = where(m, x, c)"])["x"].summary is SummaryWord.VERIFIED


def test_a_condition_of_conditions(wrong: Registry) -> None:
    lines = ["m = greater(x, c)", "n = planted.logical_not(m)", "y = where(n, x, c)"]
    verdict = verdicts(wrong, {"x": X, "c": np.zeros(3)}, lines)["x"]
    assert verdict.summary is SummaryWord.WRONG
    assert "node 1 (planted.logical_not)" in verdict.reason


def test_the_other_factor_has_a_gradient_of_its_own(wrong: Registry) -> None:
    """Both gradients are wrong: that of a by the forward of its factor, that of x because it flows through the node."""
    verdicts_by_name = verdicts(wrong, {"x": X, "a": OTHER}, ["e = planted.exp(x)", "y = multiply(a, e)"], constants="")
    assert {name: verdict.summary for name, verdict in verdicts_by_name.items()} == {
        "x": SummaryWord.WRONG,
        "a": SummaryWord.WRONG,
    }
    assert "node 0 (planted.exp)" in verdicts_by_name["a"].reason


def test_what_a_rule_does_not_read_is_no_fault_of_its_gradient(wrong: Registry) -> None:
    lines = ["e = planted.exp(c)", "t = multiply(x, x)", "y = add(t, e)"]
    verdict = verdicts(wrong, {"x": X, "c": OTHER}, lines)["x"]
    assert verdict.summary is SummaryWord.VERIFIED


def test_a_value_behind_others_is_found_once_and_first(wrong: Registry) -> None:
    lines = ["e = planted.exp(c)", "f = planted.exp(e)", "u = multiply(x, f)", "v = multiply(u, e)", "y = multiply(v, f)"]
    verdict = verdicts(wrong, {"x": X, "c": OTHER}, lines)["x"]
    assert "node 0 (planted.exp)" in verdict.reason


def test_unchecked_numbers_do_not_lower_the_summary(wrong: Registry) -> None:
    lines = ["e = planted.exp(c)", "y = multiply(x, e)"]
    verdict = verdicts(wrong, {"x": X, "c": OTHER}, lines, values=False)["x"]
    assert verdict.summary is SummaryWord.PLAUSIBLE
