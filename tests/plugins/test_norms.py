"""Norms: against NumPy at numbers of ordinary size, and PyTorch's conventions at 0 and at ties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.verdicts import verdicts_of

from gradproof.engine.errors import InvalidRequest

ORDERS = (2, 0, 1, 3, 0.5, -1, -2.5, math.inf, -math.inf)
X = np.random.default_rng(0).normal(size=(3, 4))
SCALED: dict[str, Any] = {
    "1": 1.0,
    "1e200": 1e200,
    "1e-300": 1e-300,
    "complex": 1 + 1j,
    "float32": np.float32(1e30),
    "float16": np.float16(8),
}


def value(bench: Bench, op: str, x: Any, **attributes: Any) -> Any:
    return bench.values({"x": np.asarray(x)}, [(f"y = {op}(x)", attributes)], "y")["y"]


def gradient(bench: Bench, op: str, x: Any, **attributes: Any) -> Any:
    return bench.apply(op, [np.asarray(x)], attributes)[0]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("scale", SCALED)
def test_vectors_of_any_size_without_leaving_the_range(bench: Bench, scale: str, order: float) -> None:
    """A norm of c x is abs(c) times the norm of x, which NumPy computes in float64."""
    factor = SCALED[scale]
    narrow = isinstance(factor, (np.float16, np.float32))
    x = X.astype(factor.dtype) * factor if narrow else X * factor
    size = float(abs(factor)) if order else 1.0
    axes: tuple[Any, ...] = (None, 0, -1, (1, 0))
    for axis in axes:
        norm = value(bench, "vector_norm", x, ord=order, axis=axis, keepdims=True)
        assert norm.dtype == np.abs(x).dtype
        plain = np.linalg.vector_norm(X, ord=order, axis=axis, keepdims=True)
        np.testing.assert_allclose(norm.astype(float), plain * size, rtol=8 * float(np.finfo(norm.dtype).eps))
    slope = gradient(bench, "vector_norm", x, ord=order, axis=0)
    assert slope.shape == x.shape
    assert slope.dtype == x.dtype
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("order", ["fro", 1, -1, math.inf, -math.inf])
@pytest.mark.parametrize("axis", [(0, 1), (2, 0), (-1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_matrices_along_two_axes(bench: Bench, order: Any, axis: Any, keepdims: bool) -> None:
    x = np.random.default_rng(1).normal(size=(3, 2, 4))
    true = np.linalg.norm(x, order, axis, keepdims)
    np.testing.assert_allclose(value(bench, "matrix_norm", x, ord=order, axis=axis, keepdims=keepdims), true, rtol=1e-15)
    np.testing.assert_allclose(value(bench, "norm", x, ord=order, axis=axis, keepdims=keepdims), true, rtol=1e-15)


ROOTS = 3**0.5 + 2**0.5 + 6**0.5


@pytest.mark.parametrize(("order", "slopes"), [
    (0, [0, 0, 0, 0]), (1, [1, 0, -1, -1]), (2, [3 / 7, 0, -2 / 7, -6 / 7]), (math.inf, [0, 0, 0, -1]),
    (-math.inf, [0, 0, 0, 0]), (3, [9 / 251 ** (2 / 3), 0, -4 / 251 ** (2 / 3), -36 / 251 ** (2 / 3)]),
    (0.5, [ROOTS / 3**0.5, 0, -ROOTS / 2**0.5, -ROOTS / 6**0.5]),
    (-1, [0, 0, 0, 0]),
])  # fmt: skip
def test_slopes_are_textbook_and_0_at_0(bench: Bench, order: float, slopes: list[float]) -> None:
    np.testing.assert_allclose(gradient(bench, "vector_norm", [3.0, 0, -2, -6], ord=order), slopes, rtol=1e-15)
    np.testing.assert_array_equal(gradient(bench, "vector_norm", np.zeros(3), ord=order), np.zeros(3))


def test_equal_extremes_share_the_gradient(bench: Bench) -> None:
    np.testing.assert_array_equal(gradient(bench, "vector_norm", [2.0, -2, 1], ord=math.inf), [0.5, -0.5, 0])
    np.testing.assert_array_equal(gradient(bench, "matrix_norm", [[1.0, -1], [2, 2]], ord=1), [[0.5, -0.5], [0.5, 0.5]])


def test_vectors_without_elements(bench: Bench) -> None:
    for order in (0, 1, 2, 3):
        np.testing.assert_array_equal(value(bench, "vector_norm", np.zeros((2, 0)), ord=order, axis=1), [0, 0])
    with pytest.raises(InvalidRequest, match="there is no largest of nothing"):
        value(bench, "vector_norm", np.zeros((2, 0)), ord=math.inf, axis=1)


def test_integers_have_norms_in_float64(bench: Bench) -> None:
    for order in ORDERS:
        norm = value(bench, "vector_norm", [3, -4], ord=order)
        assert norm.dtype == np.float64
        assert norm == pytest.approx(np.linalg.norm([3, -4], order), rel=1e-15)


@pytest.mark.parametrize(("op", "attributes", "message"), [
    ("vector_norm", {"ord": "fro"}, "ord is 'fro'; it must be a finite number"),
    ("vector_norm", {"ord": True}, "ord is True; it must be a finite number"),
    ("vector_norm", {"axis": True}, "axis is True; it must be an integer"),
    ("matrix_norm", {"ord": 2}, "others need singular values"),
    ("matrix_norm", {"axis": (0,)}, "it must be two axes"),
    ("norm", {"ord": 1, "axis": None}, "is for an axis or two"),
    ("p_norm", {"p": 0}, "is count_nonzero"),
])  # fmt: skip
def test_what_is_no_norm_is_refused(bench: Bench, op: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        value(bench, op, np.ones((2, 3, 4)), **attributes)


@pytest.mark.slow
@pytest.mark.parametrize("order", [2, 3, 1.5, -1, math.inf])
def test_gradients_of_large_norms_are_verified(bench: Bench, order: float) -> None:
    x = np.random.default_rng(2).normal(size=(200, 60))
    job = bench.job({"x": x}, [("y = vector_norm(x)", {"ord": order, "axis": 1}), "s = sum(y)"], "s")
    verdict = verdicts_of(REGISTRY, job)["x"]
    assert verdict.summary.value == "verified", verdict.reason
