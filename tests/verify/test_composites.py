"""Verdicts on composites: by their parts, and nothing within them goes unseen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.support import composite_plugin
from tests.support.engine_faults import lost_edge
from tests.support.verdicts import judge

from gradproof.engine.extend import Composite
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import spec
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import keys_of, name_of
from gradproof.engine.verify.readings.formulas import explain
from gradproof.engine.verify.verdict import RuleWord, SummaryWord
from gradproof.plugins import BUILTIN

REGISTRY = build_registry(BUILTIN, others=[composite_plugin])
X = np.array([0.5, -1.25, 2.0])


@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        ("made.mse", [X, X[::-1].copy()]),
        ("made.mse", [X, np.ones((2, 3)), np.array([1.0, 0.5, 2.0])]),
        ("made.lerp", [X, X + 1, X * 2]),
        ("made.scaled", [X]),
        ("made.same", [X]),
        ("made.nested", [X]),
        ("made.stack", [X, X]),
    ],
)
def test_gradients_through_composites_are_verified(op: str, arrays: list[Any]) -> None:
    """Each use of a value within a composite is counted, and vouched for."""
    verdicts = judge(REGISTRY, op, *arrays)
    assert len(verdicts) == len(arrays)
    for verdict in verdicts.values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


def test_a_wrong_rule_of_a_part_is_found() -> None:
    [verdict] = judge(REGISTRY, "made.false", X).values()
    assert verdict.summary is SummaryWord.WRONG
    assert "made.false_cube" in verdict.reason


def test_a_part_that_denies_its_gradient_is_found() -> None:
    """Its input is no value that the graph names."""
    [verdict] = judge(REGISTRY, "made.deaf", X).values()
    assert verdict.summary is SummaryWord.WRONG, verdict.reason
    assert "made.silent" in verdict.reason


def test_an_edge_that_is_lost_within_a_composite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    lost_edge(monkeypatch)
    verdicts = judge(REGISTRY, "made.lerp", X, X + 1, X * 2)
    assert SummaryWord.WRONG in {verdict.summary for verdict in verdicts.values()}


def test_keys_of_a_composite_are_those_of_its_parts() -> None:
    keys = [str(key) for key in keys_of(REGISTRY, REGISTRY.op("made.mse"))]
    assert keys[:3] == ["subtract () ()", "square ()", "mean (2, 2) axis=(0, 1) keepdims=False"]
    assert keys_of(REGISTRY, REGISTRY.op("made.close")) == []


def test_an_expansion_is_proved_to_be_the_definition() -> None:
    own = [key for key in keys_of(REGISTRY, REGISTRY.op("made.lerp")) if key.op == "made.lerp"]
    assert len(own) == 2
    for key in own:
        assert prove(REGISTRY, REGISTRY.op("made.lerp"), key.case).word is RuleWord.PROVED
        assert name_of(REGISTRY, key)


def test_an_expansion_that_is_not_the_definition_is_refuted() -> None:
    for key in keys_of(REGISTRY, REGISTRY.op("made.lying")):
        if key.op == "made.lying":
            verdict = prove(REGISTRY, REGISTRY.op("made.lying"), key.case)
            assert verdict.word is RuleWord.REFUTED
            assert verdict.reason == "its expansion is not its definition"
            assert verdict.got != verdict.expected
            assert verdict.point


def test_a_definition_changes_the_name_of_the_proof() -> None:
    op = REGISTRY.op("made.lerp")
    key = keys_of(REGISTRY, op)[-1]
    other = Composite("made.lerp", op.forward, define=lambda f, a, b, w: a * (1 - w) + b * w + 0)
    changed = build_registry(BUILTIN)
    changed.ops["made.lerp"] = other.over(changed.ops)
    assert name_of(changed, key) != name_of(REGISTRY, key)


def test_formulas_are_those_of_the_parts() -> None:
    graph = Graph((Leaf("x", spec(()), True),), (Node("made.scaled", ("x",), ("y",), {"alpha": 2.0}),), ("y",))
    texts = {(f.kind, f.by): f.text for f in explain(graph, REGISTRY, "y", {}).formulas}
    assert texts["value", ""] == "tanh(2*x)/2"
    assert texts["local", "x"] == "1 - tanh(2*x)**2"
