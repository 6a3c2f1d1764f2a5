"""Rules of batching against the op applied to each slice, for every op of the server that has cases."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client.autograd import grad
from gradproof.client.batching.replay import Replay
from gradproof.client.recording.apply import apply_multiple
from gradproof.client.recording.evaluation import evaluate
from gradproof.client.recording.placeholders import Level, running
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec
from gradproof.client.tensors.tensor import Tensor
from gradproof.engine.cases import Case
from gradproof.engine.op import Op
from gradproof.engine.spec import Array

SIZE = 3
CASES = [
    pytest.param(op, case, id=f"{op.name} {case}")
    for op in REGISTRY.ops.values()
    for case in op.declared_cases()
    if case.inputs
]


def slices_of(op: Op, k: int, x: Any, random: Random) -> Array:
    """The input of each slice: points of the domain, or the concrete array of the case in another order."""
    if isinstance(x, np.ndarray):
        rolls = x.ndim and op.name != "searchsorted"  # whose line is sorted
        return np.stack([np.roll(x, shift, axis=-1) if rolls else x for shift in range(SIZE)])
    array = np.empty((SIZE, *x))
    for index in np.ndindex(array.shape):
        array[index] = float(op.domain(k).sample(random))
    if op.name == "cholesky":
        array += 9 * np.eye(x[-1])
    return array


def patterns(count: int) -> list[tuple[bool, ...]]:
    """All inputs batched, and each by itself."""
    alone = [tuple(k == own for k in range(count)) for own in range(count)] if count > 1 else []
    return [(True,) * count, *alone]


def replayed(op: Op, case: Case, inputs: Sequence[Tensor], batched: Sequence[bool], *, unrolled: bool) -> list[Recorded]:
    """The results of an op for all slices, by its rule or slice by slice."""
    level = Level(SIZE, "error")
    slices = [
        Tensor.from_alias(Spec(x.shape[1:], x.dtype), level.placeholder(x)).requires_grad_(x.requires_grad) if own else x
        for x, own in zip(inputs, batched, strict=True)
    ]
    with running(level):
        outputs = apply_multiple(op.name, *slices, **dict(case.attributes))
    replay = Replay(level, unrolled=unrolled)
    replay.run(outputs)
    results = [replay.batched(y) for y in outputs]
    return [y for y in results if y is not None]


@pytest.mark.sweep(of=8, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "case"), CASES)
def test_rule_gives_what_each_slice_gives(tensors: Served, op: Op, case: Case) -> None:
    random, noise = Random(7), np.random.default_rng(7)
    for batched in patterns(len(case.inputs)):
        inputs = []
        for k, (x, own) in enumerate(zip(case.inputs, batched, strict=True)):
            array = slices_of(op, k, x, random)
            array = array if own else (array[0])
            inputs.append(
                gp.tensor(array, requires_grad=array.dtype.kind == "f" and op.differentiable and k not in op.still)
            )
        pairs = [replayed(op, case, inputs, batched, unrolled=unrolled) for unrolled in (False, True)]
        evaluate([y for results in pairs for y in results])
        for got, true in zip(*pairs, strict=True):
            assert (got.shape, got.dtype) == (true.shape, true.dtype)
            np.testing.assert_allclose(got.value(), true.value(), rtol=1e-13, atol=1e-14)
        leaves = [x for x in inputs if x.requires_grad]
        seeds = [noise.normal(size=y.shape) for y in pairs[0]]
        gradients = [
            grad(
                [y for y in results if y.requires_grad],
                leaves,
                [gp.tensor(seed, dtype=y.dtype) for y, seed in zip(results, seeds, strict=True) if y.requires_grad],
                allow_unused=True,
            )
            for results in pairs
            if any(y.requires_grad for y in results)
        ]
        for pair in zip(*gradients, strict=True):
            assert (pair[0] is None) == (pair[1] is None)
            if pair[0] is not None:
                np.testing.assert_allclose(pair[0].value(), pair[1].value(), rtol=1e-12, atol=1e-13)
