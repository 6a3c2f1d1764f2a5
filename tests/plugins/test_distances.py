"""Distances and vectors of length 1 against SciPy and mpmath, and PyTorch's conventions at 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from scipy.spatial import distance
from tests.conftest import REGISTRY, Bench

from gradproof.engine.inference import InferenceError
from gradproof.engine.spec import Array, DType, Spec

mp = mpmath.mp
DTYPES = [np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]
METRICS: dict[float, tuple[str, dict[str, float]]] = {
    1.0: ("cityblock", {}),
    2.0: ("euclidean", {}),
    3.5: ("minkowski", {"p": 3.5}),
    math.inf: ("chebyshev", {}),
}


def value_of(bench: Bench, op: str, arrays: Sequence[Array], attributes: Mapping[str, Any]) -> Array:
    leaves = {f"x{k}": array for k, array in enumerate(arrays)}
    return bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]


def norm(numbers: Sequence[Any], p: float) -> Any:
    sizes = [abs(number) for number in numbers]
    if math.isinf(p):
        return max(sizes)
    return mp.fsum(mp.power(size, p) for size in sizes if size) ** (1 / mp.mpf(p))


def unit(numbers: Sequence[Any], p: float, eps: float) -> list[Any]:
    return [number / max(norm(numbers, p), eps) for number in numbers]


@pytest.mark.parametrize("p", METRICS)
def test_cdist_is_that_of_scipy(bench: Bench, p: float) -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 5, 3)), random.normal(size=(4, 3))
    metric, options = METRICS[p]
    truth = [distance.cdist(part, b, metric, **options) for part in a]  # type: ignore[call-overload]
    np.testing.assert_allclose(value_of(bench, "cdist", [a, b], {"p": p}), truth, rtol=1e-14)


FUNCTIONS: tuple[tuple[str, dict[str, Any], Callable[..., Any]], ...] = (
    ("normalize", {"axis": 0}, lambda x: unit(x, 2, 0)[0]),
    ("normalize", {"axis": 0, "p": 1.5}, lambda x: unit(x, 1.5, 0)[0]),
    ("normalize", {"axis": -1, "p": math.inf}, lambda x: unit(x, math.inf, 0)[0]),
    ("normalize", {"axis": 0, "eps": 8.0}, lambda x: unit(x, 2, 8)[0]),
    ("cosine_similarity", {"axis": 0}, lambda x, y: mp.fdot(unit(x, 2, 0), unit(y, 2, 0))),
    ("cosine_similarity", {"axis": 0, "eps": 2.0}, lambda x, y: mp.fdot(unit(x, 2, 2), unit(y, 2, 2))),
    ("pairwise_distance", {}, lambda x, y: norm([a - b + 1e-6 for a, b in zip(x, y, strict=True)], 2)),
    ("pairwise_distance", {"p": 3.0, "eps": 0.0}, lambda x, y: norm([a - b for a, b in zip(x, y, strict=True)], 3)),
    ("pairwise_distance", {"p": math.inf}, lambda x, y: norm([a - b + 1e-6 for a, b in zip(x, y, strict=True)], math.inf)),
)
NUMBERS = (np.array([0.5, -1.25, 2.0]), np.array([-0.75, 0.125, 0.5]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("op", "attributes", "function"), FUNCTIONS, ids=[f"{op} {attributes}" for op, attributes, _ in FUNCTIONS]
)
def test_slopes(bench: Bench, op: str, attributes: dict[str, Any], function: Callable[..., Any], dtype: DType) -> None:
    """The gradient of the first result, by differences in mpmath."""
    arrays = [x.astype(dtype) for x in NUMBERS[: len(REGISTRY.op(op).inputs)]]
    value = value_of(bench, op, arrays, attributes)
    seed = np.zeros(value.shape, dtype)
    seed.flat[0] = 1
    gradients = bench.apply(op, arrays, attributes, [seed])
    eps = float(ml_dtypes.finfo(dtype).eps)  # type: ignore[no-untyped-call]
    with mp.workdps(60):
        lists = [[mp.mpf(float(number)) for number in x] for x in arrays]
        np.testing.assert_allclose(float(value.flat[0]), float(function(*lists)), rtol=4 * eps)
        for numbers, gradient in zip(lists, gradients, strict=True):
            assert gradient.dtype == dtype
            for k, middle in enumerate(numbers):
                sides = []
                for step in (mp.mpf(10) ** -20, -(mp.mpf(10) ** -20)):
                    numbers[k] = middle + step
                    sides.append(function(*lists))
                numbers[k] = middle
                truth = float((sides[0] - sides[1]) / (2 * mp.mpf(10) ** -20))
                np.testing.assert_allclose(float(gradient[k]), truth, rtol=16 * eps, atol=4 * eps)


CONVENTIONS: tuple[tuple[str, dict[str, Any], Sequence[Any], Any, Sequence[Any]], ...] = (
    ("normalize", {"axis": 0}, [[0.0, 0.0]], [0.0, 0.0], [[1e12, 1e12]]),
    ("cosine_similarity", {"axis": 0}, [[0.0, 0.0], [0.0, 0.0]], 0.0, [[0.0, 0.0], [0.0, 0.0]]),
    (
        "cosine_similarity", {"axis": 0}, [[0.0, 0.0], [1.0, 2.0]], 0.0,
        [[44721359.549995795, 89442719.09999159], [0.0, 0.0]],
    ),
    (
        "cosine_similarity", {"axis": 0, "eps": 10.0}, [[3.0, 4.0], [1.0, 2.0]], 0.11,
        [[0.01, 0.02], [0.03, 0.04]],
    ),
    ("pairwise_distance", {"eps": 0.0}, [[3.0, 4.0], [3.0, 4.0]], 0.0, [[0.0, 0.0], [0.0, 0.0]]),
    ("pairwise_distance", {"eps": 0.0, "p": 1.0}, [[3.0, 4.0], [3.0, 5.0]], 1.0, [[0.0, -1.0], [0.0, 1.0]]),
    ("pairwise_distance", {"eps": 0.0, "p": 0.0}, [[3.0, 4.0], [3.0, 5.0]], 1.0, [[0.0, 0.0], [0.0, 0.0]]),
    (
        "cdist", {}, [[[3.0, 4.0]], [[3.0, 4.0], [4.0, 4.0]]], [[0.0, 1.0]],
        [[[-1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]],
    ),
    (
        "cdist", {"p": 1.5}, [[[3.0, 4.0]], [[3.0, 4.0], [4.0, 5.0]]], [[0.0, 1.5874010519681994]],
        [[[-0.7937005259840997] * 2], [[0.0, 0.0], [0.7937005259840997] * 2]],
    ),
    (
        "cdist", {"p": math.inf}, [[[3.0, 4.0]], [[3.0, 4.0], [2.0, 6.0]]], [[0.0, 2.0]],
        [[[0.0, -2.0 / 2]], [[0.0, 0.0], [0.0, 1.0]]],
    ),
)  # fmt: skip
"""Values and gradients at distance 0, and of norms below eps."""


@pytest.mark.parametrize(("op", "attributes", "arrays", "value", "gradients"), CONVENTIONS, ids=lambda part: str(part)[:20])
def test_conventions(
    bench: Bench, op: str, attributes: dict[str, Any], arrays: Sequence[Any], value: Any, gradients: Sequence[Any]
) -> None:
    given = [np.array(array) for array in arrays]
    np.testing.assert_allclose(value_of(bench, op, given, attributes), value, rtol=1e-15)
    for got, expected in zip(bench.apply(op, given, attributes), gradients, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_lengths_do_not_leave_the_range(bench: Bench) -> None:
    for size in (1e200, 1e-200):
        big = np.array([[3.0, 4.0], [5.0, 12.0]]) * size
        np.testing.assert_allclose(value_of(bench, "normalize", [big], {"eps": 0.0}), [[0.6, 0.8], [5 / 13, 12 / 13]])
        np.testing.assert_allclose(value_of(bench, "cdist", [big, big * 2], {}).diagonal(), [5 * size, 13 * size])


def test_shapes(bench: Bench) -> None:
    a, b = np.ones((2, 1, 3)), np.full((4, 3), 2.0)
    assert value_of(bench, "cosine_similarity", [a, b], {"axis": 2}).shape == (2, 4)
    assert value_of(bench, "cosine_similarity", [a, b], {}).shape == (2, 3)
    assert value_of(bench, "pairwise_distance", [a, b], {"keepdims": True}).shape == (2, 4, 1)
    assert value_of(bench, "normalize", [np.ones((0, 3))], {}).shape == (0, 3)
    for p in (0.0, 1.0, 2.0, math.inf):
        assert value_of(bench, "cdist", [np.ones((0, 3)), b], {"p": p}).shape == (0, 4)
        assert not value_of(bench, "cdist", [np.ones((2, 0)), np.ones((4, 0))], {"p": p}).any()
    assert value_of(bench, "cdist", [np.array([[1, 2]]), np.array([[4, 6]])], {}).tolist() == [[5.0]]


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "text"),
    [
        ("cdist", [(3,), (2, 3)], {}, r"of shapes \(3,\) and \(2, 3\); rows of the same size are needed"),
        ("cdist", [(2, 3), (2, 4)], {}, "rows of the same size are needed"),
        ("cdist", [(2, 3), (2, 3)], {"p": -1.0}, "p is -1.0; it must be 0 or more"),
        ("cosine_similarity", [(2, 3), (2, 4)], {}, r"shapes \(2, 3\) and \(2, 4\) do not broadcast"),
        ("normalize", [(3,)], {}, "axis 1 is out of range for rank 1"),
        ("normalize", [(2, 3)], {"eps": "small"}, "eps is 'small'; it must be a number"),
        ("pairwise_distance", [(), ()], {}, "axis -1 is out of range for rank 0"),
    ],
    ids=lambda part: str(part)[:24],
)
def test_what_is_refused(op: str, shapes: Sequence[Any], attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(InferenceError, match=text):
        REGISTRY.op(op).inference([Spec(shape, np.dtype(float)) for shape in shapes], attributes)
