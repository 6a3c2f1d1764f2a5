"""The function table over arrays: NumPy's and SciPy's functions, bounds of their errors, and their derivatives.

The error bound is ``ulps`` units in the last place (2^-52 of the result) and ``absolute``, for exact arguments. These
bounds are stated, not proved: they are at least twice what was measured and what is published of the libraries (NumPy
states 4 ulps for its vector loops; B. Gladman, V. Innocente, J. Mather, P. Zimmermann, Accuracy of mathematical functions
in single, double, double extended, and quadruple precision, 2024), and `calibration` measures them on the machine at hand
before a function is used. Bounds of the propagated error are in `movements`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import special

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import movements as moves
from gradproof.engine.verify.arrays.ball import GROW, LEAST, TINY, UNIT, BallArray
from gradproof.engine.verify.arrays.flags import FLAGS

Partial: TypeAlias = Callable[..., Any]
WELL = 256
"""Bound of the propagated part, in units of the argument's rounding, up to which it is kept as a part for all elements."""
NORMAL = 2.0**-990
"""Magnitude above which values are not affected by underflow."""


@dataclass(frozen=True)
class ArrayFunction:
    """A row of the table.

    Args:
        numpy: the function of float64 arrays; nan or an infinity outside of its domain.
        movement: the propagated error: ``(x, rad, value, part) -> radius``, with as many of x and rad as there are
            arguments,
            |value|, and the relative error of ``value``. nan or inf where it is not known.
        partials: for each argument the derivative, ``(f, value, *arguments)``, written with the reading ``f`` of arrays.
        ulps, absolute: for exact arguments the result is within ``2^-52 * ulps * |result| + absolute``.
        condition: bound of the condition number |x f'(x) / f(x)| for all |x| up to its argument (of power: and |a|): then
            an x
            with a relative radius only needs no radii of its own. None where it is not bounded.
    """

    name: str
    numpy: Callable[..., Any]
    movement: Callable[..., Any]
    partials: tuple[Partial, ...]
    ulps: float = 4
    absolute: float = 0
    condition: Callable[..., float] | None = None

    @np.errstate(all="ignore")
    def ball(self, *arguments: BallArray, sharp: bool = False) -> BallArray:
        """The function of arrays of balls. ``sharp``: denormal results are right to ``ulps`` units in their last place
        too."""
        unit = max(x.unit for x in arguments)
        part = 2 * unit * self.ulps
        value = np.asarray(self.numpy(*(x.mid for x in arguments)))
        size = np.abs(value)
        spread: Any = None
        if self.absolute:
            spread = np.asarray(self.absolute * (unit / UNIT))
        if not size.min(initial=1) >= NORMAL or unit != UNIT:
            least: Any = self.ulps * LEAST.get(unit, FLAGS.tiny if sharp else TINY)
            if unit == UNIT and not size.all():
                least = np.where(self._exact_zeros(value, arguments), 0.0, least)
            size, spread = size + least, np.asarray(least + (0 if spread is None else spread))
        wander = self._propagated_part(arguments)
        if wander is not None:
            part = (part + wander) * (1 + wander)
        elif any(x.rad is not None for x in arguments):
            radii = [np.asarray(0.0) if x.rad is None else x.rad for x in arguments]
            moved = self.movement(*(x.mid for x in arguments), *radii, size, part)
            spread = moved if spread is None else moved + spread
        if not size.max(initial=0) < np.inf:
            spread = np.where(size < np.inf, 0.0 if spread is None else spread, np.nan)
        return BallArray(value, spread, unit, part=part * GROW, scale=GROW * (1 + part))

    def _exact_zeros(self, value: Array, arguments: tuple[BallArray, ...]) -> Array:
        """Mask of the results 0 that are exact: an odd function of 0, and limits at infinity."""
        x = arguments[0]
        if len(arguments) > 1 or self.absolute:
            return np.zeros(value.shape, bool)
        spread = 0.0 if x.spread is None else x.spread
        return np.asarray((value == 0) & ((x.mid == 0) | np.isinf(x.mid)) & (spread == 0))

    def _propagated_part(self, arguments: tuple[BallArray, ...]) -> float | None:
        """The relative error propagated from the relative radius of the first argument; None where radii are needed. log
        |f| is an integral of the condition number over log |x|."""
        x, *others = arguments
        if (
            not x.part
            or x.spread is not None
            or self.condition is None
            or any(argument.rad is not None for argument in others)
        ):
            return None
        most = [
            max(argument.mid.max(initial=0), -argument.mid.min(initial=0)) * (1 + argument.part) for argument in arguments
        ]
        wander = self.condition(*most) * x.part / (1 - x.part)
        return wander * (1 + 2 * wander) if wander <= WELL * x.unit else None


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


def positive(function: Callable[[Array], Any]) -> Callable[[Array], Array]:
    """The function for positive arguments, nan for others."""
    return lambda x: np.where(x > 0, function(x), np.nan)


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


def _none(f: Any, y: Any, x: Any) -> Any:
    raise NotImplementedError("the derivative of digamma is not read in arrays")


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
    ArrayFunction("gamma", special.gamma, moves.gamma, (lambda f, y, x: y * f.digamma(x),), ulps=24),
    ArrayFunction(
        "lgamma", positive(special.gammaln), moves.lgamma, (lambda f, y, x: f.digamma(x),), ulps=8, absolute=2.0**-49
    ),
    ArrayFunction("digamma", positive(special.digamma), moves.digamma, (_none,), ulps=8, absolute=2.0**-49),
    ArrayFunction("power", power, moves.power, (_power_slope, lambda f, y, x, a: y * f.log(x)), condition=lambda x, a: a),
)
TABLE = {row.name: row for row in ROWS}
