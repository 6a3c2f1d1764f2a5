"""Optional inputs of ops: left out at the end, or by an empty name where a neutral number can stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.proof_sources import NoProofs

from gradproof.engine.engine import GradientEvent
from gradproof.engine.errors import InvalidRequest
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.spec import spec_of
from gradproof.engine.verify.verdict import AccumulationWord, ValueWord
from gradproof.engine.verify.verifier import Verifier

X = [-2.0, 0.5, 1.0, 3.0]
ONE_BOUND = {"min": ("x", "b"), "max": ("x", "", "b")}


def clipped(inputs: tuple[str, ...], **values: Any) -> Job:
    arrays = {name: np.asarray(value) for name, value in values.items()}
    leaves = tuple(Leaf(name, spec_of(array), array.dtype.kind == "f") for name, array in arrays.items())
    graph = Graph(leaves, (Node("clip", inputs, ("c",), {}), Node("sum", ("c",), ("s",), {})), ("s",))
    return Job(graph, tuple(arrays.items()), fetch=("c",))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int8", "uint16", "bool"])
@pytest.mark.parametrize("bound", ONE_BOUND)
def test_clip_takes_a_single_bound(bench: Bench, bound: str, dtype: str) -> None:
    x, b = np.abs(X).astype(dtype), np.array(1, dtype)
    [value] = [event.value for event in bench.engine.evaluate(clipped(ONE_BOUND[bound], x=x, b=b)) if event.name == "c"]
    expected = np.minimum(x, b) if bound == "max" else np.maximum(x, b)
    np.testing.assert_array_equal(value, expected)
    assert value.dtype == expected.dtype


@pytest.mark.parametrize(("bound", "slopes"), [("min", [[0, 0, 1, 1], 2]), ("max", [[1, 1, 1, 0], 1])])
def test_verdicts_of_a_single_bound(bench: Bench, bound: str, slopes: list[Any]) -> None:
    events, run = bench.events(clipped(ONE_BOUND[bound], x=np.array(X), b=np.array(1.0)))
    gradients = {event.name: event.gradient for event in events if isinstance(event, GradientEvent)}
    verdicts = {verdict.name: verdict for verdict in Verifier(REGISTRY, NoProofs(REGISTRY)).check(run, budget=60.0)}
    for name, slope in zip("xb", slopes, strict=True):
        np.testing.assert_array_equal(gradients[name], slope)
        assert {use.value.word for use in verdicts[name].uses} <= {ValueWord.ENCLOSED, ValueWord.TIE}
        assert verdicts[name].accumulation.word is AccumulationWord.EXACT


@pytest.mark.parametrize("node", [Node("clip", ("", "b"), ("c",), {}), Node("add", ("x", ""), ("c",), {})])
def test_other_inputs_need_a_name(bench: Bench, node: Node) -> None:
    job = clipped(("x", "b"), x=X, b=1.0)
    with pytest.raises(InvalidRequest, match="there is no value named ''"):
        bench.events(Job(Graph(job.graph.leaves, (node, job.graph.nodes[1]), ("s",)), job.values))
