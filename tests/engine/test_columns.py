"""Products whose columns are parts of a sum: apart or whole, the bits are those of the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from benchmarks.workloads import Sketch, Workload, convolution
from tests.conftest import REGISTRY

from gradproof.engine.compiled import columns
from gradproof.engine.compiled.compiled import Compiled, Variant
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.job import Job
from gradproof.engine.spec import Array


def compared(workload: Workload) -> dict[str, Any]:
    """The gradients, from both executors: a difference in a bit raises."""
    engine = Engine(REGISTRY, compilations=Compilations(Plans.ALWAYS))
    leaves = tuple((leaf.name, value) for leaf, value in zip(workload.graph.leaves, workload.values, strict=True))
    return {event.name: getattr(event, "gradient", None) for event in engine.differentiate(Job(workload.graph, leaves))}


def calls(workload: Workload) -> int:
    """The number of products that are apart in the compiled plan."""
    engine = Engine(REGISTRY)
    leaves = tuple((leaf.name, value) for leaf, value in zip(workload.graph.leaves, workload.values, strict=True))
    plan = Compiled(engine.prepare(Job(workload.graph, leaves)).plan, Variant(()))
    named = [value for value in plan._function.__globals__.values() if getattr(value, "func", None) is columns._write]
    return len(named) + sum(
        getattr(call.kernel.call, "func", None) is columns._write for recipe in plan._recipes for call in recipe.calls
    )


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "LEAST", 1)


@pytest.mark.parametrize("size", [(1, 4, 1), (2, 4, 2), (3, 5, 7), (2, 9, 8)])
@pytest.mark.parametrize("agrees", [True, False])
def test_a_convolution_has_the_same_bits(size: tuple[int, int, int], agrees: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library's bits agree, and where they do not: then the whole product is computed."""
    if not agrees:
        monkeypatch.setattr(columns._Agreement, "_try", lambda *_: False)
        monkeypatch.setattr(columns, "_apart", None)
    workload = convolution(*size)
    gradients = compared(workload)
    assert calls(workload) == 1
    batch, n, channels = size
    x, w = workload.values
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.stack([padded[:, i : i + n, j : j + n] for i in range(3) for j in range(3)], axis=3)
    y = windows.reshape(-1, 9 * channels) @ w
    expected = np.zeros_like(padded)
    back = (2 * y @ w.T).reshape(batch, n, n, 9, channels)
    for k in range(9):
        expected[:, k // 3 : k // 3 + n, k % 3 : k % 3 + n] += back[..., k, :]
    (first, second) = (gradients[leaf.name] for leaf in workload.graph.leaves)
    np.testing.assert_allclose(first, expected[:, 1:-1, 1:-1], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(second, windows.reshape(-1, 9 * channels).T @ (2 * y), rtol=1e-11, atol=1e-12)


def cut(widths: tuple[int, ...], *, fetch_whole: bool = False, twice: bool = False) -> Workload:
    """Slices of an array, joined and multiplied; their gradients are parts of a sum."""
    random, s = np.random.default_rng(0), Sketch()
    x = s.leaf(random.normal(size=(6, 12)))
    w = s.leaf(random.normal(size=(sum(widths) * (1 + twice), 3)))
    parts = [s.slice(x, start=(0, k), stop=(6, k + width)) for k, width in enumerate(widths)]
    rows = s.concat(*(parts * (1 + twice)), axis=1)
    total = s.sum(s.square(s.matmul(rows, w)))
    return s.done(s.add(total, s.sum(s.square(s.sin(rows)))) if fetch_whole else total)


@pytest.mark.parametrize(
    ("workload", "count"),
    [
        (cut((4, 4, 4)), 1),
        (cut((4, 4)), 1),
        (cut((4, 3, 5)), 0),  # of several widths
        (cut((4,)), 0),  # a single part
        (cut((4, 4), fetch_whole=True), 0),  # the gradient is no plain product
        (cut((4, 4), twice=True), None),  # parts that are added before they are placed
    ],
)
def test_only_whole_cuts_are_apart(workload: Workload, count: int | None) -> None:
    compared(workload)
    if count is not None:
        assert calls(workload) == count


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_what_is_tried_has_the_layout_at_hand(dtype: type, layout: str) -> None:
    """Agreement is tried on arrays of the same shape, dtype and strides."""
    whole: Array = np.zeros((10, 14), dtype)
    x = {"C": whole, "F": whole.T, "strided": whole[::2, 1::3]}[layout]
    like = columns._like(x)
    assert (like.shape, like.dtype, like.strides) == (x.shape, x.dtype, x.strides)
    assert len(np.unique(like)) == like.size


def test_a_library_that_adds_in_another_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product whose narrow form adds from the end: the bits differ, and the whole is computed."""
    a, b = np.random.default_rng(1).normal(size=(2, 30, 30))
    assert columns._Agreement(3).holds(a, a) in (True, False)
    usual = np.matmul

    def backwards(a: Array, b: Array, out: Array | None = None) -> Array:
        if b.shape[1] < 30:
            a, b = a[:, ::-1], b[::-1]
        return np.asarray(np.einsum("ik,kj->ij", a, b, out=out) if b.shape[1] < 30 else usual(a, b, out=out))

    monkeypatch.setattr(np, "matmul", backwards)
    agreement = columns._Agreement(3)
    assert not agreement.holds(a, b)
    out = np.empty((3, 30, 10))
    columns._write(agreement, out, a, b)
    assert out.transpose(1, 0, 2).tobytes() == (a @ b).tobytes()
