"""The function table over arrays: NumPy's and SciPy's functions, bounds of their errors, and their derivatives.

The error bound is ``ulps`` units in the last place (2^-52 of the result) and ``absolute``, for exact arguments. These
bounds are stated, not proved: they are at least twice what was measured and what is published of the libraries (NumPy
states 4 ulps for its vector loops; B. Gladman, V. Innocente, J. Mather, P. Zimmermann, Accuracy of mathematical functions
in single, double, double extended, and quadruple precision, 2024), and `calibration` measures them on the machine at hand
before a function is used. Bounds of the propagated error are in `movements`; special functions are in `special_rows`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import movements as moves
from gradproof.engine.verify.arrays.array_function import ArrayFunction, Partial
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.arrays.special_rows import SPECIAL_ROWS


def erfc(x: Array) -> Array:
    """1 - erf(x) by erfcx in the tail, where SciPy's erfc is off by a few hundred ulps, with the square of a number of few
    digits, which is exact (W. J. Cody, Rational Chebyshev approximations for the error function, Math. Comp. 23, 1969)."""
    t = np.clip(x, 0, 28)
    few = np.rint(t * 16) / 16
    tail = np.exp(-few * few) * np.exp((few - t) * (few + t)) * special.erfcx(t)
    return np.where(x < 0, 1 - special.erf(x), tail)


def sinc(x: Array) -> Array:
    """sin x / x, and 1 at 0."""
    return np.where(x == 0, 1.0, np.sin(x) / np.where(x == 0, 1.0, x))


def power(x: Array, exponent: Array) -> Array:
    """``np.power``, but nan for arguments that are not finite: NumPy gives 1 for the exponent 0, and for the base 1."""
    return np.where(np.isfinite(x + exponent), np.power(x, exponent), np.nan)


def angle(y: Array, x: Array) -> Array:
    """``np.arctan2``, but π on the negative axis for either sign of 0, and nan for arguments that are not finite."""
    return np.where(np.isfinite(y + x), np.arctan2(y + 0.0, x + 0.0), np.nan)


def _sech_squared(f: Any, y: Any, x: Any) -> Any:
    """1 / cosh² x = 4 q / (1 + q)² with q = e^(-2|x|), which does not overflow."""
    q = f.exp(-2 * abs(x))
    return 4 * q / ((1 + q) * (1 + q))


def _power_slope(f: Any, y: Any, x: Any, a: Any) -> Any:
    """a x^(a - 1), and 0 for the exponent 0. An exact exponent stays exact: negative bases have integer powers only."""
    less = a.mid - 1.0
    exact = a.rad is None and bool(((less + 1.0 == a.mid) & (a.mid - less == 1.0)).all())
    slope = a * f.power(x, BallArray(less, None, a.unit) if exact else a - 1)
    if a.rad is not None or a.mid.all():
        return slope
    constant = np.broadcast_to(a.mid == 0, slope.shape) & np.isfinite(np.broadcast_to(x.mid, slope.shape))
    return BallArray(np.where(constant, 0.0, slope.mid), np.where(constant, 0.0, slope.radius()), slope.unit)


def sinc_slope(rest: Any) -> Partial:
    """The slope (cos x - y) / x of sin x / x; below 1, where that cancels, its series -x/3 (1 - x²/10 (1 - x²/28 (...))),
    of which ``rest`` is the ninth factor."""

    def slope(f: Any, y: Any, x: Any) -> Any:
        series = rest
        for k in range(7, -1, -1):
            series = 1 - x * x * series / ((2 * k + 2) * (2 * k + 5))
        return f.where(f.less(x * x, 1), -x * series / 3, (f.cos(x) - y) / x)

    return slope


ROWS: tuple[ArrayFunction, ...] = (
    ArrayFunction("exp", np.exp, moves.exp, (lambda f, y, x: y,), condition=lambda x: x),
    ArrayFunction("expm1", np.expm1, moves.expm1, (lambda f, y, x: f.exp(x),), condition=lambda x: 1 + x),
    ArrayFunction("log", np.log, moves.log, (lambda f, y, x: 1 / x,)),
    ArrayFunction("log1p", np.log1p, moves.log1p, (lambda f, y, x: 1 / (1 + x),)),
    ArrayFunction("sqrt", np.sqrt, moves.sqrt, (lambda f, y, x: 0.5 / y,), ulps=1, condition=lambda x: 0.5),
    ArrayFunction("sin", np.sin, moves.wave, (lambda f, y, x: f.cos(x),)),
    ArrayFunction("cos", np.cos, moves.wave, (lambda f, y, x: -f.sin(x),)),
    ArrayFunction("sinc", sinc, moves.sinc, (sinc_slope(BallArray(0.995, 0.005)),)),
    ArrayFunction("tan", np.tan, moves.tan, (lambda f, y, x: 1 + y * y,)),
    ArrayFunction("asin", np.arcsin, moves.asin, (lambda f, y, x: 1 / (f.sqrt(1 - x) * f.sqrt(1 + x)),)),
    ArrayFunction("acos", np.arccos, moves.asin, (lambda f, y, x: -1 / (f.sqrt(1 - x) * f.sqrt(1 + x)),)),
    ArrayFunction("atan", np.arctan, moves.atan, (lambda f, y, x: 1 / (1 + x * x),), condition=lambda x: 1),
    ArrayFunction(
        "atan2",
        angle,
        moves.angle,
        (lambda f, angle, y, x: x / (x * x + y * y), lambda f, angle, y, x: -y / (x * x + y * y)),
    ),
    ArrayFunction("sinh", np.sinh, moves.sinh, (lambda f, y, x: f.cosh(x),), condition=lambda x: 1 + x),
    ArrayFunction("cosh", np.cosh, moves.cosh, (lambda f, y, x: f.sinh(x),), condition=lambda x: x),
    ArrayFunction("tanh", np.tanh, moves.tanh, (_sech_squared,), condition=lambda x: 1),
    ArrayFunction("asinh", np.arcsinh, moves.asinh, (lambda f, y, x: 1 / f.sqrt(1 + x * x),), condition=lambda x: 1),
    ArrayFunction("acosh", np.arccosh, moves.acosh, (lambda f, y, x: 1 / (f.sqrt(x - 1) * f.sqrt(x + 1)),)),
    ArrayFunction("atanh", np.arctanh, moves.atanh, (lambda f, y, x: 1 / ((1 - x) * (1 + x)),)),
    ArrayFunction(
        "erf", special.erf, moves.erf, (lambda f, y, x: 2 / f.sqrt(f.pi) * f.exp(-(x * x)),), ulps=8, condition=lambda x: 1
    ),
    ArrayFunction("erfc", erfc, moves.erfc, (lambda f, y, x: -2 / f.sqrt(f.pi) * f.exp(-(x * x)),), ulps=16),
    ArrayFunction("power", power, moves.power, (_power_slope, lambda f, y, x, a: y * f.log(x)), condition=lambda x, a: a),
    *SPECIAL_ROWS,
)
TABLE = {row.name: row for row in ROWS}
