"""Special functions over arrays: rows of the table in `functions`, by SciPy, with errors that were measured against Arb.

Functions of an order have it as their first argument, a whole number; they are read where SciPy keeps its digits, and nan
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import special_movements as moves
from gradproof.engine.verify.arrays.array_function import ArrayFunction, Partial
from gradproof.engine.verify.arrays.ball import BallArray

MAX_ORDER = 8  # of a Bessel function
MAX_POLYGAMMA = 20


def positive(function: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """The function for positive arguments, nan for others."""
    return lambda x: np.where(x > 0, function(x), np.nan)


def between(low: float, high: float, function: Callable[..., Any], parameter: float = 0) -> Callable[..., Array]:
    """The function of a parameter above ``parameter`` and an argument strictly between two numbers, nan for others."""

    def inside(p: Array, x: Array) -> Array:
        fits = (x > low) & (x < high) & (p > parameter) & (p < np.inf)
        return np.where(fits, function(np.where(fits, p, 2.0), np.where(fits, x, 1.0)), np.nan)

    return inside


def of_order(
    low: float, high: float, function: Callable[..., Any], least: int = -MAX_ORDER, most: int = MAX_ORDER
) -> Callable[..., Array]:
    """As `between`, with a whole number from ``least`` to ``most`` as the parameter."""
    inside = between(low, high, function, least - 1)
    return lambda n, x: inside(np.where((n == np.rint(n)) & (n <= most), n, np.nan), x)


def incomplete(function: Callable[..., Any]) -> Callable[..., Array]:
    """An incomplete gamma function where its exponent keeps its digits."""
    inside = between(0, 200, function)
    return lambda a, x: inside(np.where(a <= 100, a, np.nan), x)


def normal(function: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """The function, but nan for denormal numbers."""
    return lambda x: np.where(np.abs(x) >= 2.0**-1022, function(x), np.nan)


def modified(n: Array, x: Array) -> Array:
    """I of a whole order; at 0 by the power series, which SciPy ends too early."""
    values = of_order(-100, 100, special.iv)(n, x)
    return np.where(np.abs(x) >= 1e-12, values, np.where((x == 0) & (values == values), n == 0, np.nan))


def decaying(n: Array, x: Array) -> Array:
    """K of a whole order, where it does not leave the range."""
    values = np.where(n == 0, special.k0(x), np.where(np.abs(n) == 1, special.k1(x), special.kve(n, x) * np.exp(-x)))
    return np.where(np.isfinite(values), values, np.nan)


def _still(f: Any, y: Any, p: Any, x: Any) -> Any:
    """The derivative along a parameter, which is not known."""
    return BallArray(np.full(y.mid.shape, np.nan)) if isinstance(y, BallArray) else y * np.nan


def _shifted(n: Any, step: int) -> Any:
    """Another order: a whole number, so that no rounding is added to a ball."""
    return BallArray(n.mid + step) if isinstance(n, BallArray) else n + step


def _cylinder(name: str, sign: int, half: float = 0.5) -> tuple[Partial, ...]:
    """Partials of a Bessel function: ``half`` the sum of the orders n - 1 and n + 1, the latter with a ``sign``."""

    def slope(f: Any, y: Any, n: Any, x: Any) -> Any:
        function = getattr(f, name)
        below, above = function(_shifted(n, -1), x), function(_shifted(n, 1), x)
        return (below + above if sign > 0 else below - above) * half

    return _still, slope


def _density(f: Any, y: Any, a: Any, x: Any) -> Any:
    """x^(a - 1) e^-x / Γ(a)."""
    return f.exp((a - 1) * f.log(x) - x - f.lgamma(a))


def _inverse_error(sign: int) -> tuple[Partial]:
    """√π/2 e^(y²), with a ``sign``."""
    return (lambda f, y, x: f.sqrt(f.pi) * (sign / 2) * f.exp(y * y),)


J = of_order(-100, 100, special.jv)
Y = of_order(0, 100, special.yv)

SPECIAL_ROWS: tuple[ArrayFunction, ...] = (
    ArrayFunction("gamma", special.gamma, moves.gamma, (lambda f, y, x: y * f.digamma(x),), ulps=24),
    ArrayFunction(
        "lgamma", positive(special.gammaln), moves.lgamma, (lambda f, y, x: f.digamma(x),), ulps=8, absolute=2.0**-49
    ),
    ArrayFunction(
        "digamma", positive(special.digamma), moves.digamma,
        (lambda f, y, x: f.polygamma(BallArray(np.asarray(1.0)) if isinstance(x, BallArray) else 1.0, x),),
        ulps=8, absolute=2.0**-49,
    ),
    ArrayFunction(
        "polygamma", of_order(0, 1e10, special.polygamma, 1, MAX_POLYGAMMA), moves.polygamma,
        (_still, lambda f, y, n, x: f.polygamma(_shifted(n, 1), x)), ulps=32,
    ),
    ArrayFunction(
        "zeta", between(0, np.inf, special.zeta, 1), moves.zeta,
        (_still, lambda f, y, s, q: -s * f.zeta(s + 1, q)), ulps=32,
    ),
    ArrayFunction(
        "gammainc", incomplete(special.gammainc), moves.gammainc, (_still, _density), ulps=2048,
    ),
    ArrayFunction(
        "gammaincc", incomplete(special.gammaincc), moves.gammaincc,
        (_still, lambda f, y, a, x: -_density(f, y, a, x)), ulps=1024,
    ),
    ArrayFunction("erfinv", special.erfinv, moves.erfinv, _inverse_error(1), ulps=8),
    ArrayFunction("erfcinv", normal(special.erfcinv), moves.erfcinv, _inverse_error(-1), ulps=8),
    ArrayFunction("besselj", J, moves.besselj, _cylinder("besselj", -1), absolute=2.0**-48),
    ArrayFunction("bessely", Y, moves.bessely, _cylinder("bessely", -1), ulps=64, absolute=2.0**-48),
    ArrayFunction("besseli", modified, moves.besseli, _cylinder("besseli", 1), ulps=32),
    ArrayFunction(
        "besselk", of_order(0, 700, decaying), moves.besselk, _cylinder("besselk", 1, -0.5), ulps=32
    ),
)  # fmt: skip
