"""Special functions of the function table: gamma functions, inverse error functions, Bessel functions, zeta.

Power series are Arb's where it has them. The slope of another row is of the same family: ψ⁽ⁿ⁺¹⁾ of ψ⁽ⁿ⁾ by definition,
that of ζ(s, q) by DLMF 25.11.17, of Bessel functions by DLMF 10.6.1 and 10.29.1. An inverse function has the reciprocal of
the slope of the function. Orders are whole numbers that do not move. Tests compare each row, and its derivative, with
mpmath.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy
from flint import acb, arb, arb_series, ctx

from gradproof.engine.precision import precision
from gradproof.engine.scalar_function import ScalarFunction, in_arb, same

STEEP = 1e4  # from where the second term of a zeta function is far below the first, unless both are 0 in any dtype
MUCH = 12  # bits that a function may lose
Other = Callable[[int], Any]


def _moved(x: Any, value: Any, slope: Any) -> Any:
    """The series of a function with a value and a slope at the constant term of ``x``."""
    return arb_series([value, slope * x[1]], 2)


def _whole(n: Any) -> int:
    """An order as a Python integer. Raises ValueError unless it is a whole number that does not move."""
    moves = isinstance(n, arb_series) and not n[1].is_zero()
    whole = None if moves else arb(n[0] if isinstance(n, arb_series) else n).unique_fmpz()
    if whole is None:
        raise ValueError("an order is a whole number that does not move")
    return int(whole)


# gamma functions


def _lgamma(x: Any) -> Any:
    """ln |Γ(x)|: between the poles on the negative axis too, where Arb's own function is complex."""
    x = in_arb(x)
    return x.lgamma() if x > 0 else -abs(x.rgamma()).log()


def _lgamma_series(x: Any) -> Any:
    if x[0] > 0:
        return x.lgamma()
    inverse = x.rgamma()
    return -(inverse if inverse[0] > 0 else -inverse).log()


def _digamma_series(x: Any) -> Any:
    return _moved(x, x[0].digamma(), _polygamma(1, x[0]))


def _polygamma(n: Any, x: Any) -> Any:
    return acb(in_arb(x)).polygamma(_whole(n)).real


def _polygamma_series(n: Any, x: Any) -> Any:
    return _moved(x, _polygamma(n, x[0]), _polygamma(_whole(n) + 1, x[0]))


def _zeta(s: Any, q: Any) -> Any:
    """Arb's; for a large s, where that takes seconds, the first term and a bound of the others."""
    s, q = in_arb(s), in_arb(q)
    return q**-s + _later_terms(s, q) if s > STEEP and q > 0 else s.zeta(q)


def _later_terms(s: Any, q: Any) -> Any:
    """Σ (q + k)⁻ˢ over k > 0, from 0 to the bound of the integral test."""
    half = (q + 1) ** -s * (1 + (q + 1) / (s - 1)) / 2
    return half + arb(0, 1) * half


def _zeta_series(s: Any, q: Any) -> Any:
    """ζ(s + t, q) is Arb's; for a large s as in `_zeta`, with the slope -Σ ln(q + k) (q + k)⁻ˢ, where ln(q + k) < q + k.
    Along q the slope is -s ζ(s + 1, q)."""
    if s[0] > STEEP and q[0] > 0:
        along = [_zeta(s[0], q[0]), -s[1] * (q[0] ** -s[0] * q[0].log() + _later_terms(s[0] - 1, q[0]))]
    else:
        along = s.zeta(q[0])
    return arb_series([along[0], along[1] - s[0] * _zeta(s[0] + 1, q[0]) * q[1]], 2)


def _gammainc_series(a: Any, x: Any) -> Any:
    return arb_series.gamma_lower(_still(a), x, 1)


def _gammaincc_series(a: Any, x: Any) -> Any:
    return arb_series.gamma_upper(_still(a), x, 1)


def _still(a: Any) -> Any:
    """A parameter that does not move. Raises ValueError if it does."""
    if not a[1].is_zero():
        raise ValueError("there is no series in the parameter of an incomplete gamma function")
    return a[0]


# inverses


def _inverse(name: str, of: str) -> Callable[[Any], Any]:
    """The series of the inverse of a function: that of the function at the value, inverted."""

    def series(x: Any) -> Any:
        value = getattr(x[0], name)()
        return _moved(x, value, 1 / getattr(arb_series([value, 1], 2), of)()[1])

    return series


# Bessel functions


def _decreasing(n: Any, x: Any) -> Any:
    """K, which decreases, at both ends of a ball, by Kummer's function, which does not cancel (DLMF 10.39.6); nan for a
    ball that is not positive, as Arb has a number for an end of 0."""
    x, order = in_arb(x), abs(_whole(n))

    def at(end: Any) -> Any:
        return (2 * end).hypgeom_u(order + arb(1) / 2, 2 * order + 1) * (2 * end) ** order * (-end).exp() * arb.pi().sqrt()

    if not x > 0:
        return arb.nan()
    return at(x) if x.is_exact() else at(x.lower()).union(at(x.upper()))


def _cylinder(name: str, slope: Callable[[Other, int], Any], ball: Callable[..., Any] | None = None) -> ScalarFunction:
    """A row of a Bessel function of whole order: n, x. ``slope`` is its derivative, in functions of other orders."""

    def of_arb(n: Any, x: Any) -> Any:
        x, order = in_arb(x), _whole(n)
        method = f"bessel_{name[-1]}"
        value = getattr(x, method)(order)
        lost = min(x.rel_accuracy_bits(), ctx.prec) - value.rel_accuracy_bits()
        if lost > MUCH and abs(x) < ctx.prec:  # sums about the origin cancel, by e^(2x) at the most
            with precision(min(ctx.prec + lost, 4 * ctx.prec)):
                return getattr(x, method)(order)
        return value

    def series(n: Any, x: Any) -> Any:
        return _moved(x, read(n, x[0]), slope(lambda other: read(other, x[0]), _whole(n)))

    read = ball or of_arb
    return ScalarFunction(name, getattr(sympy, name), read, series)


SPECIAL_FUNCTIONS: tuple[ScalarFunction, ...] = (
    same("gamma", sympy.gamma),
    ScalarFunction("lgamma", sympy.loggamma, _lgamma, _lgamma_series),
    same("digamma", lambda x: sympy.polygamma(0, x), _digamma_series),
    ScalarFunction("polygamma", sympy.polygamma, _polygamma, _polygamma_series),
    ScalarFunction("zeta", sympy.zeta, _zeta, _zeta_series),
    ScalarFunction(
        "gammainc",
        lambda a, x: sympy.lowergamma(a, x) / sympy.gamma(a),
        lambda a, x: in_arb(x).gamma_lower(in_arb(a), 1),
        _gammainc_series,
    ),
    ScalarFunction(
        "gammaincc",
        lambda a, x: sympy.uppergamma(a, x) / sympy.gamma(a),
        lambda a, x: in_arb(x).gamma_upper(in_arb(a), 1),
        _gammaincc_series,
    ),
    same("erfinv", sympy.erfinv, _inverse("erfinv", "erf")),
    same("erfcinv", lambda x: sympy.erfinv(1 - x), _inverse("erfcinv", "erfc")),
    _cylinder("besselj", lambda of, n: (of(n - 1) - of(n + 1)) / 2),
    _cylinder("bessely", lambda of, n: (of(n - 1) - of(n + 1)) / 2),
    _cylinder("besseli", lambda of, n: (of(n - 1) + of(n + 1)) / 2),
    _cylinder("besselk", lambda of, n: -(of(n - 1) + of(n + 1)) / 2, _decreasing),
)
"""Rows; ``lgamma`` is ln |Γ|, whose symbolic form agrees up to a constant between poles."""
