"""Nothing right is ever called wrong: every op, at drawn inputs of every dtype, huge, tiny, tied, at poles and in between.

A sample here; ``make check`` draws a thousand for each op (``GRADPROOF_DRAWS``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import REGISTRY
from tests.test_value import Never, finish, graph_of

from gradproof.engine.engine import Engine
from gradproof.engine.errors import ForwardFault, InvalidRequest
from gradproof.engine.job import Job
from gradproof.engine.op import Op
from gradproof.engine.spec import is_differentiable
from gradproof.engine.verify.verdict import Summary
from gradproof.engine.verify.verifier import Verifier

DRAWS = int(os.environ.get("GRADPROOF_DRAWS", "8"))
DTYPES = [np.dtype(one) for one in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-8, 1e8, 5e-324, 1e-300, 1e300, 1e-40, 6e-8, 3e4, 20.0, -20.0, 88.0, 700.0)
OPS = [op for op in REGISTRY.ops.values() if op.differentiable]


def numbers(op: Op) -> st.SearchStrategy[float]:
    """Ordinary numbers, and those that have caused trouble (which linear algebra leaves to its user)."""
    ordinary = st.floats(-4, 4, allow_subnormal=False)
    if op.normwise:
        return st.one_of(st.sampled_from((0.0, 1.0, -1.0, 0.5)), st.integers(-64, 64).map(lambda k: k / 16))
    return st.one_of(
        ordinary, ordinary, st.sampled_from((*SPECIAL, *op.stress)), st.floats(allow_nan=False, allow_infinity=False)
    )


@st.composite
def applications(draw: Any, op: Op) -> tuple[list[Any], dict[str, Any], int]:
    """Inputs of one of the op's cases, its attributes, and a seed for the cotangents."""
    case = draw(st.sampled_from(op.proof_cases()))
    dtype = draw(st.sampled_from(DTYPES))
    arrays = []
    equal = draw(st.integers(0, 5)) == 0
    for x in case.inputs:
        if isinstance(x, np.ndarray):
            arrays.append(x)
            continue
        count = int(np.prod(x, dtype=int))
        values = [draw(numbers(op))] * count if equal else draw(st.lists(numbers(op), min_size=count, max_size=count))
        with np.errstate(all="ignore"):
            arrays.append(np.array(values, np.float64).astype(dtype).reshape(x))
    return arrays, dict(case.attributes), draw(st.integers(0, 99))


def wrong(op: Op, arrays: list[Any], attributes: dict[str, Any], seed: int) -> Iterator[Any]:
    """The verdicts of one node that call something wrong."""
    graph, values = graph_of(op.name, *arrays, **attributes)
    engine = Engine(REGISTRY)
    if op.name == "split":
        graph = replace(graph, nodes=(replace(graph.nodes[0], outputs=("y", "z")),), outputs=("y", "z"))
    specs = engine.infer(graph).specs()
    if not all(name in specs and is_differentiable(specs[name].dtype) for name in graph.outputs):
        return  # the op does not take this dtype
    random = np.random.default_rng(seed)
    seeds = []
    for name in graph.outputs:
        spec = specs[name]
        scale = 10.0 ** random.integers(-3, 3)
        seeds.append((name, (random.normal(size=spec.shape) * scale).astype(spec.dtype)))
    try:
        run = finish(engine, Job(graph, values, seeds))
    except (ForwardFault, InvalidRequest):
        return  # a singular matrix, a dtype that the op refuses
    for verdict in Verifier(REGISTRY, Never(REGISTRY)).check(run, budget=600.0):
        if verdict.summary is Summary.WRONG:
            yield verdict


@pytest.mark.parametrize("op", OPS, ids=lambda op: str(op.name))
def test_no_right_number_is_called_wrong(op: Op) -> None:
    @settings(max_examples=DRAWS, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(applications(op))
    def check(drawn: tuple[list[Any], dict[str, Any], int]) -> None:
        found = list(wrong(op, *drawn))
        assert not found, [(one.name, one.reason, one.graph) for one in found]

    check()
