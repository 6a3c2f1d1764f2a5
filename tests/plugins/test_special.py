"""Special functions at hard points: values against python-flint's and mpmath's, conventions, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from flint import arb
from tests.conftest import REGISTRY, Bench
from tests.support.special_slopes import J, Y, by_arb, decayed_second, digamma, erfcinv, lgamma, zeta

from gradproof.engine.errors import DataFault, NoRule
from gradproof.engine.inference import InferenceError
from gradproof.engine.spec import Spec

mp = mpmath.mp
POSITIVE = (5e-324, 1e-310, 1e-3, 0.5, 1.0, 1 + 2**-40, 1.4616, 2 - 2**-45, 2.0, 7.3, 171.0, 1e10, 1e300)


def log_gamma(x: Any) -> Any:
    return lgamma(x) if x > 0 else mp.log(abs(mp.gamma(x)))


def log_beta(a: Any, b: Any) -> Any:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def lower(a: Any, x: Any) -> Any:
    return by_arb(lambda a, x: x.gamma_lower(a, 1))(a, x)


def upper(a: Any, x: Any) -> Any:
    return by_arb(lambda a, x: x.gamma_upper(a, 1))(a, x)


def normal_share(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


SHAPES = ((0.3, 1.2), (1.178, 6.67), (2.1, 2.2), (40.0, 30.0), (99.0, 120.0), (150.5, 150.5), (190.0, 260.0))
VALUES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], float, dict[str, int]]] = {
    "gammaln": (log_gamma, (*POSITIVE, -0.5, -3.25, -101.5), 4, {}),
    "gamma": (mp.gamma, (1e-300, 0.5, 3.0, 170.5, -0.5, -20.25, -176.4), 4, {}),
    "digamma": (digamma, (1e-300, 0.5, 1.46163214, 3.0, 1e8, -0.3, -0.999, -7.0001, -1000.25), 8, {}),
    "polygamma": (lambda x: mp.polygamma(3, x), (1e-3, 0.5, 7.0, 1e6, -0.3, -7.01, -200.25), 8, {"n": 3}),
    "betaln": (log_beta, ((1e10, 1.0), (1e-300, 2.0), (1e5, 1e-5), (200.0, 300.0), (1e300, 3.0)), 8, {}),
    "beta": (lambda a, b: mp.exp(log_beta(a, b)), ((1e10, 1.0), (2.0, 3.0), (0.01, 80.0), (15.0, 25.0)), 32, {}),
    "gammainc": (lower, SHAPES, 64, {}),
    "gammaincc": (upper, SHAPES, 256, {}),
    "zeta": (zeta, ((1.0001, 3.0), (2.0, 1.0), (3.5, 0.25), (30.0, 7.0), (2.0, 1e9)), 8, {}),
    "ndtr": (normal_share, (-38.4, -30.0, -5.0, -0.1, 0.0, 3.0), 8, {}),
    "log_ndtr": (lambda x: mp.log1p(-normal_share(-x)), (-300.0, -30.0, -1.0, 0.0, 1.0, 16.0, 37.0), 8, {}),
    "ndtri": (lambda p: -mp.sqrt(2) * erfcinv(2 * p), (5e-324, 1e-300, 1e-3, 0.3, 0.5 + 2**-40, 1 - 2**-53), 8, {}),
    "erfinv": (mp.erfinv, (1e-300, 0.5, 1 - 2**-53, -0.999), 4, {}),
    "erfcinv": (erfcinv, (5e-324, 1e-310, 1e-100, 0.5, 1.5, 2 - 2**-52), 4, {}),
    "j0": (lambda x: J(0, x), (0.0, 1.0, 30.5, 700.0, 1e15), 32, {}),
    "j1": (lambda x: J(1, x), (5e-324, 1.0, -30.5, 700.0, 1e15), 32, {}),
    "jv": (lambda x: J(3, x), (1e-60, 1.0, -30.5, 700.0, 1e15), 32, {"order": 3}),
    "y0": (lambda x: Y(0, x), (1e-300, 1.0, 30.5, 700.0), 32, {}),
    "k0": (lambda x: mp.besselk(0, x), (1e-150, 1e-10, 1.0, 2.0, 30.5, 700.0), 8, {}),
    "k1": (lambda x: mp.besselk(1, x), (1e-150, 1e-10, 1.0, 2.0, 30.5, 700.0), 8, {}),
    "k0e": (lambda x: mp.exp(x) * mp.besselk(0, x), (1e-150, 1e-10, 1.0, 2.0, 30.5, 1e5), 8, {}),
    "k1e": (lambda x: mp.exp(x) * mp.besselk(1, x), (1e-150, 1e-10, 1.0, 2.0, 30.5, 1e5), 8, {}),
    "yv": (lambda x: Y(2, x), (1e-100, 1.0, 30.5, 700.0), 32, {"order": 2}),
}


@pytest.mark.parametrize("op", VALUES)
def test_values_keep_their_digits(op: str) -> None:
    oracle, points, units, attributes = VALUES[op]
    for point in points:
        numbers = point if isinstance(point, tuple) else (point,)
        got = REGISTRY.op(op).forward(*map(np.float64, numbers), **REGISTRY.op(op).complete(attributes))
        with mp.workprec(2400 if max(numbers) > 1e200 or min(map(abs, numbers)) < 1e-200 else 400):
            true = oracle(*map(mp.mpf, numbers))
            unit = max(abs(true) * mp.mpf(2) ** -52, mp.mpf(2) ** -1074)
            assert abs(mp.mpf(float(got)) - true) <= units * unit, (numbers, float(got), float(true))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32])
@pytest.mark.parametrize("op", ["gammaln", "digamma", "ndtr", "erfinv", "j0", "i0e", "entr"])
def test_narrow_dtypes_are_rounded_once(op: str, dtype: Any) -> None:
    x = np.linspace(0.05, 0.95, 50).astype(dtype)
    wide = REGISTRY.op(op).forward(x.astype(np.float64))
    got = REGISTRY.op(op).forward(x)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, wide.astype(dtype))


@pytest.mark.parametrize(("d", "a"), [(1, 2.5), (2, 2.5), (3, 1.5), (5, 40.0)])
def test_the_multivariate_gamma_function(bench: Bench, d: int, a: float) -> None:
    """By its definition as a product, and its derivative as a sum of digammas."""
    parts = [mp.mpf(a) - mp.mpf(j) / 2 for j in range(d)]
    value = bench.values({"a": np.array(a)}, [("y = multigammaln(a)", {"d": d})], "y")["y"]
    truth = d * (d - 1) / mp.mpf(4) * mp.log(mp.pi) + sum(map(mp.loggamma, parts))
    np.testing.assert_allclose(value, float(truth), rtol=1e-14)
    [slope] = bench.apply("multigammaln", [np.array(a)], {"d": d})
    np.testing.assert_allclose(slope, float(sum(map(mp.digamma, parts))), rtol=1e-14)


CONVENTIONS: list[tuple[str, list[float], dict[str, Any], float, list[float]]] = [
    ("xlogy", [0.0, 0.0], {}, 0.0, [0.0, 0.0]),
    ("xlogy", [0.0, 2.0], {}, 0.0, [np.log(2.0), 0.0]),
    ("xlogy", [2.0, 0.0], {}, -np.inf, [-np.inf, np.inf]),
    ("xlog1py", [0.0, -1.0], {}, 0.0, [0.0, 0.0]),
    ("xlog1py", [3.0, 0.0], {}, 0.0, [0.0, 3.0]),
    ("entr", [0.0], {}, 0.0, [np.inf]),
    ("entr", [-1.0], {}, -np.inf, [np.nan]),
    ("logit", [0.0], {}, -np.inf, [np.inf]),
    ("logit", [0.05], {"eps": 0.25}, -np.log(3.0), [0.0]),
    ("logit", [0.25], {"eps": 0.25}, -np.log(3.0), [16 / 3]),
    ("i0e", [0.0], {}, 1.0, [0.0]),
    ("i1e", [0.0], {}, 0.0, [0.5]),
    ("j1", [0.0], {}, 0.0, [0.5]),
    ("jv", [0.0], {"order": 2}, 0.0, [0.0]),
    ("k0", [0.0], {}, np.inf, [-np.inf]),
    ("k0", [5e-324], {}, 744.5560034370396, [-np.inf]),
    ("k1", [0.0], {}, np.inf, [-np.inf]),
    ("k0e", [np.inf], {}, 0.0, [0.0]),
    ("k1e", [np.inf], {}, 0.0, [0.0]),
    ("gammaln", [0.0], {}, np.inf, [-np.inf]),
    ("digamma", [-2.0], {}, np.nan, [np.inf]),
]


@pytest.mark.parametrize(
    ("op", "point", "attributes", "value", "slopes"), CONVENTIONS, ids=[f"{c[0]}{c[1]}{c[2] or ''}" for c in CONVENTIONS]
)
def test_conventions(
    bench: Bench, op: str, point: list[float], attributes: dict[str, Any], value: float, slopes: list[float]
) -> None:
    with np.errstate(all="ignore"):
        got = REGISTRY.op(op).forward(*map(np.array, point), **REGISTRY.op(op).complete(attributes))
        gradients = bench.apply(op, [np.array(x) for x in point], attributes)
    np.testing.assert_allclose(got, value, rtol=1e-15)
    np.testing.assert_allclose(gradients, slopes, rtol=1e-15)


def test_far_left_polygamma_takes_no_longer() -> None:
    """SciPy sums as many terms as x is large."""
    got = REGISTRY.op("polygamma").forward(np.array([-1e15 - 0.5, -1e300]), n=1)
    np.testing.assert_allclose(got[0], np.pi**2, rtol=1e-14)
    assert got[1] == np.inf


@pytest.mark.parametrize(
    ("op", "point", "text"),
    [
        ("zeta", ([2.0, 0.5], [1.0, 1.0]), "s must be at least 1"),
        ("zeta", ([2.0, 2.0], [1.0, -(2.0**51) - 0.5]), "q must not be negative"),  # as many terms as it is far from 0
        ("gamma_density", ([2.0, 2.0], [1.0, -1.0]), "x must not be negative"),
        ("gammainc", ([2.0, -2.0], [1.0, 1.0]), "a and x must not be negative"),
    ],
)
def test_numbers_outside_the_domain_are_refused(op: str, point: tuple[list[float], ...], text: str) -> None:
    with pytest.raises(DataFault, match=text) as caught:
        REGISTRY.op(op).forward(*map(np.array, point))
    assert caught.value.element == "[1]"


@pytest.mark.parametrize(("op", "name"), [("gammainc", "a"), ("gammaincc", "a"), ("zeta", "s")])
def test_a_gradient_along_a_parameter_is_refused(bench: Bench, op: str, name: str) -> None:
    leaves = {"a": np.array([2.0, 3.0]), "x": np.array([1.5, 4.0])}
    line = f"y = {op}(a, x)"
    seeds = {"y": np.ones(2)}
    with pytest.raises(NoRule, match=rf"op '{op}' has no derivative along its input '{name}'"):
        bench.gradients(leaves, [line], "y", seeds=seeds)
    assert bench.gradients(leaves, [line], "y", seeds=seeds, constants="a")["x"].shape == (2,)


@pytest.mark.parametrize(
    ("op", "attributes", "text"),
    [
        ("polygamma", {"n": -1}, "n is -1"),
        ("polygamma", {"n": 101}, "n is 101"),
        ("jv", {"order": 101}, "order is 101"),
        ("logit", {"eps": 0.5}, "eps is 0.5"),
        ("multigammaln", {"d": 0}, "d is 0"),
        ("multigammaln", {"d": 2**40}, "it must be from 1 to 100"),
        ("multigammaln", {"d": None}, "d is None; it must be an integer"),
    ],
)
def test_an_attribute_out_of_range_is_refused(op: str, attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(InferenceError, match=text):
        REGISTRY.op(op).inference([Spec((2,), np.dtype(np.float64))], attributes)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(InferenceError, match="takes no complex128"):
        REGISTRY.op("gammaln").inference([Spec((2,), np.dtype(np.complex128))], {})


def test_the_mean_of_exponentials_is_the_decay() -> None:
    """The trapezoidal rule, the expansion, and where they meet, against Arb's Bessel functions."""
    x = np.array([0.0, 1e-3, 1.0, 39.0, 40.9, 41.1, 42.9, 43.1, 500.0])
    for order in (0, 1, 2):
        got = REGISTRY.op("i0e_decay").forward(x, order=order)
        for point, number in zip(x.tolist(), got.tolist(), strict=True):
            with mp.workprec(300):
                zero, first, second = (by_arb(lambda y, n=n: y.bessel_i(n, scaled=True))(mp.mpf(point)) for n in range(3))
                true = (zero, zero - first, zero - 2 * first + (zero + second) / 2)[order]
            np.testing.assert_allclose(number, float(true), rtol=4e-15)


def test_the_integral_of_exponentials_is_the_decay() -> None:
    """The trapezoidal rule against Kummer's function, from the smallest number to the largest."""
    x = np.array([1e-300, 1e-60, 1e-10, 1e-3, 0.3, 1.0, 2.0, 40.0, 1e5, 1e60])
    for order in (0, 1, 2, 5, 12, 25):
        got = REGISTRY.op("k0e_decay").forward(x, order=order)
        for point, number in zip(x.tolist(), got.tolist(), strict=True):
            with mp.workprec(300):
                true = decayed_second(mp.mpf(point), order)
            if 1e-307 < true < 1e308:
                np.testing.assert_allclose(number, float(true), rtol=4e-15)


def test_python_flint_is_the_oracle() -> None:
    assert abs(float(by_arb(arb.digamma)(mp.mpf(1))) + float(mp.euler)) < 1e-15
