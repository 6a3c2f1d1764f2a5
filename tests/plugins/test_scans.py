"""Scans: against sums and products one by one, in exact or in long arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.verdicts import verdicts_of

from gradproof.engine.errors import InvalidRequest


def value(bench: Bench, op: str, *arrays: Any, **attributes: Any) -> Any:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(arrays)}
    return bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]


# recurrences


def in_steps(a: Any, x: Any) -> list[Fraction]:
    """The recurrence in fractions."""
    pairs = zip(map(Fraction, a.tolist()), map(Fraction, x.tolist()), strict=True)
    return [y for _, y in accumulate(pairs, lambda before, pair: (pair[0], pair[0] * before[1] + pair[1]))]


@pytest.mark.parametrize("n", [0, 1, 2, 64, 65, 70, 1000])
def test_blocks_give_what_single_steps_give(bench: Bench, n: int) -> None:
    random = np.random.default_rng(n)
    a, x = random.uniform(-1, 1, n), random.uniform(-1, 1, n)
    true = [float(y) for y in in_steps(a, x)]
    np.testing.assert_allclose(value(bench, "recurrence", a, x), true, rtol=1e-13, atol=1e-15)
    wide = [np.stack([part] * 3, 1) for part in (a, x)]
    np.testing.assert_allclose(value(bench, "recurrence", *wide)[:, 2], true, rtol=1e-13, atol=1e-15)


def test_a_product_that_leaves_the_range_meets_a_small_number_in_time(bench: Bench) -> None:
    a, x = np.full(200, 1e200), np.zeros(200)
    x[:2], a[3:] = 1e-300, 1e-3
    np.testing.assert_allclose(value(bench, "recurrence", a, x)[[1, 2, 3, 199]], [1e-100, 1e100, 1e97, 0], rtol=1e-14)


@pytest.mark.parametrize("op", ["cumprod", "cumsum", "logcumsumexp"])
def test_the_gradient_of_a_long_scan(bench: Bench, op: str) -> None:
    """The sum over all k >= i, each term by itself, for a line that is cut into blocks."""
    n, random = 150, np.random.default_rng(3)
    x, g = random.uniform(-1.2, 1.2, n), random.normal(size=n)
    x[[20, 90]] = 0
    terms = {
        "cumsum": lambda i, k: mp.mpf(1),
        "cumprod": lambda i, k: mp.fprod(mp.mpf(v) for j, v in enumerate(x[: k + 1].tolist()) if j != i),
        "logcumsumexp": lambda i, k: mp.exp(x[i]) / mp.fsum(mp.exp(v) for v in x[: k + 1].tolist()),
    }
    [gradient] = bench.apply(op, [x], {"axis": 0}, [g])
    for i in (0, 1, 20, 63, 64, 100, 149):
        true = mp.fsum(g[k] * terms[op](i, k) for k in range(i, n))
        assert gradient[i] == pytest.approx(float(true), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_running_logarithms_of_sums(bench: Bench, dtype: str) -> None:
    """Of numbers of all sizes, also where their exponentials leave the range."""
    x = np.random.default_rng(4).uniform(-1000, 1000, 300).astype(dtype)
    x[0], x[7] = -np.inf, -900
    y = value(bench, "logcumsumexp", x)
    sums = accumulate(mp.exp(mp.mpf(float(v))) for v in x)
    np.testing.assert_allclose(y.astype(float), [float(mp.log(s)) for s in sums], rtol=4 * float(np.finfo(dtype).eps))
    assert y.dtype == x.dtype


def test_a_mask_of_infinities_takes_nothing_from_the_others(bench: Bench) -> None:
    [gradient] = bench.apply("logcumsumexp", [np.array([0.0, -np.inf, 0.0, -800, 800])], {"axis": 0})
    np.testing.assert_allclose(gradient, [1 + 1 + 0.5 + 0.5, 0, 0.5 + 0.5, 0, 1], rtol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("op", ["cumprod", "logcumsumexp", "cummax", "cumulative_sum"])
def test_gradients_of_long_scans_are_verified(bench: Bench, op: str) -> None:
    x = 1 + np.random.default_rng(5).normal(size=(20_000,)) / 100
    outputs = "y, i" if op == "cummax" else "y"
    job = bench.job({"x": x}, [(f"{outputs} = {op}(x)", {"axis": 0}), "s = mean(y)"], "s")
    verdict = verdicts_of(REGISTRY, job)["x"]
    assert verdict.summary.value == "verified", verdict.reason


# differences, cumulative sums and integrals

ROWS = np.random.default_rng(6).normal(size=(3, 5))
PLACES = np.array([0.0, 0.5, 0.75, 2.0, 5.0])


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_differences_are_numpys(bench: Bench, n: int, axis: int) -> None:
    np.testing.assert_array_equal(value(bench, "diff", ROWS, n=n, axis=axis), np.diff(ROWS, n, axis))
    ends = np.ones((1, 5)) if axis == 0 else np.ones((3, 2))
    together = np.diff(ROWS, n, axis, prepend=ends, append=2.5)
    np.testing.assert_array_equal(value(bench, "diff", ROWS, ends, 2.5, n=n, axis=axis), together)


def test_truths_differ_or_not(bench: Bench) -> None:
    np.testing.assert_array_equal(value(bench, "diff", [True, False, False]), [True, False])


@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float32", "complex64"])
@pytest.mark.parametrize(
    "attributes", [{}, {"include_initial": True}, {"dtype": "complex128", "include_initial": True}], ids=str
)
def test_cumulative_sums_and_products_are_those_of_the_array_api(
    bench: Bench, dtype: str, attributes: dict[str, Any]
) -> None:
    x = np.array([[1, 2, 0], [1, 1, 3]]).astype(dtype)
    for axis in (0, -1):
        for op in ("cumulative_sum", "cumulative_prod"):
            true = getattr(np, op)(x, axis=axis, **attributes)
            result = value(bench, op, x, axis=axis, **attributes)
            np.testing.assert_array_equal(result, true)
            assert result.dtype == true.dtype


@pytest.mark.parametrize("initial", [None, 0])
def test_integrals_are_scipys(bench: Bench, initial: Any) -> None:
    places: list[tuple[Any, float]] = [(None, 0.5), (PLACES, 1.0), (np.broadcast_to(PLACES, (3, 5)), 1.0)]
    for x, dx in places:
        arrays = [ROWS] if x is None else [ROWS, x]
        true = scipy.integrate.cumulative_trapezoid(ROWS, x, dx=dx, initial=initial)
        np.testing.assert_allclose(value(bench, "cumulative_trapezoid", *arrays, initial=initial, dx=dx), true, rtol=1e-14)
        np.testing.assert_allclose(value(bench, "trapezoid", *arrays, dx=dx), np.trapezoid(ROWS, x, dx=dx), rtol=1e-14)


def test_lines_of_one_element_or_none(bench: Bench) -> None:
    for n in (0, 1):
        assert value(bench, "diff", np.zeros((2, n))).shape == (2, 0)
        np.testing.assert_array_equal(value(bench, "trapezoid", np.ones((2, n))), [0, 0])
        assert value(bench, "cumulative_sum", np.ones((2, n)), axis=1, include_initial=True).shape == (2, n + 1)


@pytest.mark.parametrize(("op", "attributes", "message"), [
    ("diff", {"n": -1}, "n is -1; it must not be negative"),
    ("diff", {"n": True}, "n is True; it must be an integer"),
    ("cumulative_sum", {}, "axis is None, which is for rank 1"),
    ("cumulative_sum", {"axis": 1, "include_initial": 1}, "include_initial is 1; it must be true or false"),
    ("cumulative_trapezoid", {"initial": 1}, "initial is 1; it must be 0 or None"),
    ("cumsum", {"dtype": "int8"}, "in int8 the result is int64"),
    ("cumsum", {"dtype": "much"}, "there is no dtype 'much'"),
    ("trapezoid", {"axis": 5}, "axis 5 is out of range for rank 2"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(bench: Bench, op: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        value(bench, op, np.ones((2, 3), int), **attributes)
