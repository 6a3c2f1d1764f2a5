"""Attributes are checked while shapes are inferred: a fault is that of its node, never of the run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench

from gradproof.engine.engine import Engine
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.spec import Spec


@pytest.mark.parametrize(
    ("op", "shape", "attributes", "text"),
    [
        ("sum", (2, 3), {"axis": 1.5}, "axis is 1.5; it must be an integer"),
        ("sum", (2, 3), {"axis": 2}, "axis 2 is out of range for rank 2"),
        ("sum", (2, 3), {"axis": (0, 0)}, "names an axis twice"),
        ("sum", (2, 3), {"keepdims": "no"}, "keepdims is 'no'"),
        ("sum", (2, 3), {"axes": 1}, "has no attribute 'axes'; it has axis, keepdims"),
        ("max", (0, 2), {"axis": 0}, "no largest of nothing"),
        ("var", (4,), {"correction": "s"}, "correction is 's'"),
        ("tril", (2, 2), {"k": 2.5}, "k is 2.5"),
        ("tril", (2,), {}, "needs rank 2"),
        ("reshape", (6,), {"shape": (2.0, 3.0)}, "shape is 2.0"),
        ("reshape", (6,), {"shape": (4, 2)}, "cannot reshape"),
        ("reshape", (6,), {"shape": (-1, -1)}, "cannot reshape"),
        ("reshape", (6,), {}, "needs the attribute 'shape'"),
        ("broadcast_to", (2, 3), {"shape": (3, 2)}, "cannot broadcast"),
        ("transpose", (2, 3), {"axes": (0, 0)}, "not a permutation"),
        ("squeeze", (2, 3), {"axis": 0}, "its size is not 1"),
        ("astype", (2,), {"dtype": None}, "there is no dtype None"),
        ("astype", (2,), {"dtype": "float65"}, "there is no dtype 'float65'"),
        ("astype", (2,), {"dtype": "object"}, "is not a number"),
        ("slice", (4,), {"start": (0, 0), "stop": (1, 1)}, "an entry for each"),
        ("slice", (4,), {"start": (0,), "stop": (4,), "step": (0,)}, "a step is 0"),
        ("slice", (4,), {"start": (0.5,), "stop": (4,)}, "must be an integer"),
        ("unslice", (3,), {"shape": (4,), "start": (2,), "step": (1,)}, "do not fit"),
        ("unslice", (3,), {"shape": (4,), "start": (2,), "step": (0,)}, "do not fit"),
        ("pad", (2,), {"widths": ((-1, 0),)}, "widths"),
        ("pad", (2,), {"widths": ((1, 0), (1, 0))}, "widths"),
        ("split", (5,), {"sections": (2, 2)}, "do not add up"),
        ("split", (5,), {"sections": 1 << 40}, "at most 10000 parts"),
        ("flip", (2,), {"axis": 3}, "out of range"),
        ("expand_dims", (2,), {"axis": 9}, "out of range"),
        ("cumsum", (2,), {"axis": 1}, "out of range"),
    ],
)
def test_an_attribute_that_does_not_fit_is_a_fault_of_its_node(
    engine: Engine, op: str, shape: tuple[int, ...], attributes: dict[str, Any], text: str
) -> None:
    leaf = Leaf("x", Spec(shape, np.dtype(float)), True)
    faults = engine.infer(Graph((leaf,), (Node(op, ("x",), ("y",), attributes),), ("y",))).faults
    inference = [fault for fault in faults if fault.reason == "INFERENCE"]
    assert [fault.path for fault in inference] == ["graph.nodes[0]"]
    assert text in inference[0].message


@pytest.mark.parametrize(
    ("line", "empty"),
    [
        ("y = mean(x)", True),
        ("y = var(x)", True),
        (("y = var(x)", {"correction": 3}), False),
    ],
)
def test_means_of_nothing_are_nan_without_a_warning(bench: Bench, line: Any, empty: bool) -> None:
    x = np.ones(0 if empty else 3)
    assert np.isnan(bench.values({"x": x}, [line], "y")["y"])


def test_a_leaf_that_does_not_require_grad_has_no_gradient_to_ask_for(engine: Engine) -> None:
    from gradproof.engine.errors import InvalidRequest

    leaves = (Leaf("x", Spec((), np.dtype(float)), True), Leaf("k", Spec((), np.dtype(float))))
    graph = Graph(leaves, (Node("multiply", ("x", "k"), ("y",)),), ("y",))
    job = Job(graph, [("x", np.array(1.0)), ("k", np.array(2.0))], gradients=("k",))
    with pytest.raises(InvalidRequest, match="'k' does not require grad") as caught:
        next(engine.differentiate(job))
    assert [fault.path for fault in caught.value.faults] == ["gradients[0]"]
