"""Statistics of lines: against NumPy and SciPy, over any axes and dtypes, with nan and without."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.verdicts import verdicts_of

from gradproof.engine.errors import InvalidRequest

METHODS = (
    "linear", "lower", "higher", "midpoint", "nearest", "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased",
    "normal_unbiased",
)  # fmt: skip
PLAIN = ("median", "ptp", "std", "var", "any", "all")
OF_NUMBERS = ("nansum", "nanprod", "nanmean", "nanmax", "nanmin", "nanmedian")
AXES: tuple[Any, ...] = (None, 0, -1, (0, 2), (2, 1))


def value(bench: Bench, op: str, *arrays: Any, **attributes: Any) -> Any:
    leaves = {f"x{k}": np.asarray(x) for k, x in enumerate(arrays)}
    return bench.values(leaves, [(f"y = {op}({', '.join(leaves)})", attributes)], "y")["y"]


def in_numpy(op: str, x: Any, **attributes: Any) -> Any:
    """NumPy's function, in float64 for numbers with a point, without its warnings of lines of nan."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(np, op)(x.astype(np.float64) if x.dtype.kind == "f" else x, **attributes)


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64"])
@pytest.mark.parametrize("op", [*PLAIN, *OF_NUMBERS, "count_nonzero"])
def test_statistics_over_any_axes(bench: Bench, op: str, dtype: str, keepdims: bool) -> None:
    x = (np.random.default_rng(0).normal(size=(2, 3, 4)) * 1.5).astype(dtype)
    if dtype != "int64":
        x[0, 1, 2], x[1, :, 1] = (np.nan, np.nan) if op in OF_NUMBERS else (0, 0)
    tolerance = 16 * float(np.finfo(dtype if dtype != "int64" else "float64").eps)
    for axis in AXES:
        result, true = (f(axis=axis, keepdims=keepdims) for f in (
            lambda **a: value(bench, op, x, **a), lambda **a: np.asarray(in_numpy(op, x, **a))))  # fmt: skip
        assert result.shape == true.shape
        assert result.dtype == (x.dtype if true.dtype.kind == "f" and dtype != "int64" else true.dtype)
        np.testing.assert_allclose(result.astype(true.dtype), true, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("op", "method"), [*(("quantile", m) for m in METHODS), *(("nanquantile", m) for m in METHODS[:5])]
)
def test_quantiles_are_numpys(bench: Bench, op: str, method: str) -> None:
    x = np.random.default_rng(1).normal(size=(3, 4, 5)).round(1)  # with equal elements
    if op == "nanquantile":
        x[0, :2, 1:], x[1, 1] = np.nan, np.nan
    for axis, q in ((None, 0.3), (1, [0, 0.1, 0.5, 0.77, 1]), ((0, 2), 0.5)):
        result = value(bench, op, x, q=q, axis=axis, method=method)
        np.testing.assert_allclose(result, in_numpy(op, x, q=q, axis=axis, method=method), rtol=1e-14, atol=1e-16)


def test_a_nan_makes_the_median_of_its_line_nan(bench: Bench) -> None:
    x = np.array([[1, np.nan, 3, 0], [np.inf, 2, 1, -np.inf]])
    np.testing.assert_array_equal(value(bench, "median", x, axis=1), [np.nan, 1.5])
    np.testing.assert_array_equal(value(bench, "nanmedian", x, axis=1), [1, 1.5])


def test_middle_elements_keep_their_digits(bench: Bench) -> None:
    """The mean of two that are nearly opposite, and of two whose sum leaves the range."""
    assert value(bench, "median", [-1.0, 1 + 2.0**-52]) == 2.0**-53
    assert value(bench, "median", [1.5e308, 1.7e308]) == 1.6e308


SLOPES: dict[str, tuple[str, list[float], dict[str, Any], list[float]]] = {
    "odd": ("median", [3, 1, 2], {}, [0, 0, 1]),
    "even": ("median", [3, 1, 2, 0], {}, [0, 0.5, 0.5, 0]),
    "tied": ("median", [2, 1, 2], {}, [1, 0, 0]),
    "quarter": ("quantile", [3, 1, 2], {"q": 0.25}, [0, 0.5, 0.5]),
    "weighted": ("quantile", [0, 4, 8, 2, 6], {"q": 0.3}, [0, 0.2, 0, 0.8, 0]),
    "range": ("ptp", [3, 1, 3], {}, [0.5, -1, 0.5]),
    "nanmedian": ("nanmedian", [np.nan, 1, 5, 2], {}, [0, 0, 0, 1]),
    "nanmean": ("nanmean", [np.nan, 1, 5, 2], {}, [0, 1 / 3, 1 / 3, 1 / 3]),
    "nansum": ("nansum", [np.nan, 1], {}, [0, 1]),
    "nanprod": ("nanprod", [np.nan, 2, 3], {}, [0, 3, 2]),
    "nanmax": ("nanmax", [np.nan, 2, 3], {}, [0, 0, 1]),
    "nanmin": ("nanmin", [2, np.nan, 2], {}, [0.5, 0, 0.5]),
    "equal": ("std", [2, 2, 2], {}, [0, 0, 0]),
    "std": ("std", [3, 1], {}, [0.5, -0.5]),
    "fraction": ("std", [3, 1, 2], {"correction": 0.5}, [5**-0.5, -(5**-0.5), 0]),
}


@pytest.mark.parametrize("kind", SLOPES)
def test_gradients_go_to_the_chosen_elements(bench: Bench, kind: str) -> None:
    op, x, attributes, slopes = SLOPES[kind]
    [gradient] = bench.apply(op, [np.array(x, float)], attributes)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-15)


LINES = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=6), elements=st.integers(-4, 4)
)


@given(x=LINES, data=st.data())
def test_weighted_means(bench: Bench, x: Any, data: st.DataObject) -> None:
    weights = data.draw(hnp.arrays(np.float64, x.shape[1], elements=st.integers(1, 4)))
    np.testing.assert_allclose(value(bench, "average", x, weights, axis=1), np.average(x, 1, weights), atol=1e-15)
    np.testing.assert_allclose(value(bench, "average", x, axis=0), np.average(x, 0), atol=1e-15)
    means = np.average(x, 1, weights)
    gradient = bench.apply("average", [x, weights], {"axis": 1})[1]
    np.testing.assert_allclose(gradient, ((x - means[:, None]) / weights.sum()).sum(0), atol=1e-14)


@pytest.mark.parametrize("scale", [1e-170, 1.0, 1e170])
def test_deviations_do_not_leave_the_range(bench: Bench, scale: float) -> None:
    x = np.random.default_rng(2).normal(size=50)
    assert value(bench, "std", x * scale) == pytest.approx(np.std(x) * scale, rel=1e-14)
    [gradient] = bench.apply("std", [x * scale])
    np.testing.assert_allclose(gradient, (x - x.mean()) / np.std(x) / 50, rtol=1e-12)


@pytest.mark.parametrize("spread", [1e-20, 1.0, 1000.0])
def test_weighted_sums_of_exponentials(bench: Bench, spread: float) -> None:
    random = np.random.default_rng(3)
    x, g = random.normal(size=7) * spread, 0.7
    for b in (random.random(7), random.random(7) * 1e-200, np.array([0, 1, 2, 0, 0, 3, 1.0])):
        total = mp.fsum(mp.mpf(w) * mp.exp(v) for v, w in zip(x.tolist(), b.tolist(), strict=True))
        assert value(bench, "logsumexp", x, b) == pytest.approx(float(mp.log(total)), rel=1e-14, abs=1e-15)
        dx, db = bench.apply("logsumexp", [x, b], {}, [np.array(g)])
        for k in range(7):
            assert dx[k] == pytest.approx(float(g * b[k] * mp.exp(x[k]) / total), rel=1e-11, abs=1e-300)
            assert b[k] == 0 or db[k] == pytest.approx(float(g * mp.exp(x[k]) / total), rel=1e-11, abs=1e-300)
    signs = np.array([1.0, -0.5])
    assert value(bench, "logsumexp", [0.0, 0.0], signs) == scipy.special.logsumexp([0, 0], b=signs)
    assert np.isnan(value(bench, "logsumexp", [0.0, 0.0], -signs))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2)])
def test_statistics_of_nothing(bench: Bench, shape: tuple[int, ...]) -> None:
    for op in ("nansum", "nanprod", "nanmean", "count_nonzero", "any", "all", "average"):
        true = np.mean if op == "average" else getattr(np, op)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(value(bench, op, np.zeros(shape), axis=-1), true(np.zeros(shape), axis=-1))
    for op in ("median", "nanmedian", "ptp", "nanmax"):
        if shape[-1]:
            assert value(bench, op, np.zeros(shape), axis=-1).shape == (0,)
        else:
            with pytest.raises(InvalidRequest, match="of nothing"):
                value(bench, op, np.zeros(shape), axis=-1)


@pytest.mark.parametrize(("op", "attributes", "message"), [
    ("quantile", {"q": True}, "q is True; it must be a number between 0 and 1"),
    ("quantile", {"q": []}, "q is empty"),
    ("nanquantile", {"q": 1.5}, "q is 1.5; it must be a number between 0 and 1"),
    ("nanquantile", {"q": 0.5, "method": "hazen"}, "method is 'hazen'; it must be one of linear, lower"),
    ("quantile", {"q": 0.5, "method": "best"}, "method is 'best'; it must be one of linear, lower"),
    ("median", {"axis": True}, "axis is True; it must be an integer"),
    ("median", {"axis": (0, 0)}, "names an axis twice"),
    ("ptp", {"keepdims": 1}, "keepdims is 1; it must be true or false"),
    ("var", {"correction": True}, "correction is True; it must be a finite number"),
    ("std", {"correction": float("nan")}, "correction is nan; it must be a finite number"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(bench: Bench, op: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        value(bench, op, np.ones((2, 3)), **attributes)


def test_weights_that_do_not_fit_are_refused(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match=r"weights have shape \(2,\)"):
        value(bench, "average", np.ones((2, 3)), np.ones(2), axis=1)


@pytest.mark.parametrize("offset", [-5, -1, 0, 2])
def test_traces_of_stacks(bench: Bench, offset: int) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(value(bench, "trace", x, offset=offset), np.linalg.trace(x, offset=offset))
    other = value(bench, "trace", x, offset=offset, axis1=0, axis2=-1, dtype="float32")
    np.testing.assert_array_equal(other, np.trace(x, offset, 0, 2))
    assert other.dtype == np.float32
    corner = np.zeros((2, 3))
    corner[0, 2] = 1
    np.testing.assert_array_equal(bench.apply("trace", [x[:, :, 0]], {"offset": 2})[0], corner)


@pytest.mark.slow
@pytest.mark.parametrize(
    "op", ["median", "quantile", "nanmean", "nanmax", "nanmedian", "nanquantile", "ptp", "std", "average"]
)
def test_gradients_of_long_lines_are_verified(bench: Bench, op: str) -> None:
    x = np.random.default_rng(4).normal(size=(3, 5000))
    if op in ("nanmean", "nanmax"):  # sorted lines with nan are not read in balls
        x[1, 7:20] = np.nan
    share = {"q": 0.3} if op.endswith("quantile") else {}
    job = bench.job({"x": x}, [(f"y = {op}(x)", {"axis": 1, **share}), "z = square(y)", "s = sum(z)"], "s")
    verdict = verdicts_of(REGISTRY, job)["x"]
    assert verdict.summary.value == "verified", verdict.reason
