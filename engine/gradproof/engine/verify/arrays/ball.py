"""Arrays of balls: midpoints and radii in float64, at the speed of NumPy.

A ball contains the true value of the computation that gave it: each operation adds to the radius a bound of its own
rounding error, and of the errors it propagates (running error analysis: N. J. Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.3; ball arithmetic with floating-point midpoints and radii: S. M. Rump, Fast and parallel
interval arithmetic, BIT 39, 1999). After a product of floats the radius is the same part of the midpoint everywhere, so
that part is a single number, which costs no pass over an array. The roundings of the radii are a factor, likewise.

An element of which nothing is known has the midpoint nan, or a radius that is not finite: the processor's flags tell when a
finite number overflowed, underflowed, or was divided by 0. An infinite midpoint with a finite radius is an infinite input,
as in the mask of an attention: arithmetic of the extended reals, which is IEEE 754's where it is continuous (inf + 1,
exp(-inf)), and nan elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import frexp
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.attributes import as_float, is_not_finite
from gradproof.engine.scalar_function import in_ball
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.flags import FLAGS, watched

UNIT = 2.0**-53
"""Unit roundoff of float64: a rounded result is off by at most this part of itself."""
GROW = 1 + 2.0**-48
"""Factor that enlarges a radius by the rounding of its own computation, some ten operations."""
TINY = FLAGS.tiny
"""Bound of the underflow of a few products. It is normal, since processors are slow with denormal numbers."""
LEAST = {2.0**-24: 2.0**-148, 2.0**-11: 2.0**-23, 2.0**-8: 2.0**-132}
"""The same bound for narrower dtypes, by unit roundoff: float32, float16, bfloat16."""
MOST = 0.25
"""Largest relative radius that is kept as a part of the midpoint: such a ball does not contain 0."""
SMALL = 2.0**-960
"""Magnitude above which the relative rounding of a number does not underflow."""

Radius: TypeAlias = Array | None  # None: exact


class BallArray:
    """An array of balls ``mid`` ± radius, in float64. Arithmetic broadcasts as NumPy's does, and takes arrays, Python's
    exact numbers and Arb's balls.

    Attributes:
        mid: the midpoints.
        spread, part, scale: the radius is ``spread * scale + part * |mid|``; ``spread`` is None where it is 0 everywhere.
        unit: unit roundoff that an operation is charged; of two operands the larger. With float64's a ball contains the
            true
            value; with that of a narrower dtype also all results of an evaluation in that dtype, underflow included.
    """

    __slots__ = ("_sign", "mid", "part", "scale", "spread", "unit")
    __array_ufunc__ = None  # NumPy must not convert it elementwise
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, mid: Any, rad: Any = None, unit: float = UNIT, *, part: float = 0.0, scale: float = 1.0) -> None:
        """Balls around ``mid`` with the radius ``rad * scale + part * |mid|``; exact if ``rad`` is None and ``part`` 0."""
        self.mid: Array = np.asarray(mid, np.float64)
        self.spread: Radius = None if rad is None else np.asarray(rad, np.float64)
        self.part, self.scale, self.unit = part, scale, unit
        self._sign: int | None = None

    @property
    def rad(self) -> Radius:
        """The radii, of a shape that broadcasts to the midpoints'; None if all balls are exact. Read-only."""
        if self.part or (self.scale != 1 and self.spread is not None):
            self.spread, self.part, self.scale = self._whole(), 0.0, 1.0
        return self.spread

    @np.errstate(all="ignore")
    def _whole(self) -> Array:
        """The radii as a single array."""
        rest: Any = 0.0 if self.spread is None else self.spread * self.scale
        if self.part:
            size = np.abs(self.mid) * self.part
            if not size.max(initial=0) < np.inf:
                size = np.where(np.isinf(self.mid), 0.0, size)  # an infinite input
            rest = size + rest
        rad = inflated(rest)
        if not np.all(rest):
            zero = self.zero
            if zero.any():
                rad = np.where(zero, 0.0, rad)
        return rad

    @property
    def zero(self) -> Array:
        """Mask of the balls that are exactly 0."""
        still = self.mid == 0
        return np.asarray(still if self.spread is None else still & (self.spread == 0))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mid.shape

    @property
    def ndim(self) -> int:
        return self.mid.ndim

    @property
    def size(self) -> int:
        return self.mid.size

    @property
    def sign(self) -> int:
        """1 if no midpoint is negative, -1 if none is positive; else 0."""
        if self._sign is None:
            below = self.mid.min(initial=0)
            self._sign = 1 if below >= 0 else -1 if self.mid.max(initial=0) <= 0 else 0
        return self._sign

    def __neg__(self) -> BallArray:
        negated = BallArray(-self.mid, self.spread, self.unit, part=self.part, scale=self.scale)
        negated._sign = self._sign and -self._sign
        return negated

    @watched
    def __add__(self, other: Any) -> BallArray:
        a: BallArray = self
        b: BallArray = ball_array(other)
        if b is NotImplemented:
            return NotImplemented
        if is_number(b, 0.0) and b.unit <= a.unit:
            return a
        if is_number(a, 0.0) and a.unit <= b.unit:
            return b
        unit = max(a.unit, b.unit)
        FLAGS.lower()
        mid = a.mid + b.mid
        part, spread = max(a.part, b.part), _sum(a.spread, b.spread)
        if part and not (a.sign * b.sign > 0):  # the parts are of |a| and |b|, which exceed |a + b| here
            part = 0.0
            for operand in (a, b):
                if operand.part:
                    size = np.abs(operand.mid)
                    size *= operand.part
                    spread = _sum(size, spread)
            if spread is not None and not spread.max(initial=0) < np.inf:
                spread = _without_infinities(a, b, spread)
        return rounded_ball(mid, spread, unit, part, max(a.scale, b.scale), zero=lambda: a.zero & b.zero)

    __radd__ = __add__

    def __sub__(self, other: Any) -> BallArray:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else self + -other

    def __rsub__(self, other: Any) -> BallArray:
        return (-self).__add__(other)

    @watched
    def __mul__(self, other: Any) -> BallArray:
        a, b = self, ball_array(other)
        if b is NotImplemented:
            return NotImplemented
        for ball, scalar in ((a, b), (b, a)):
            if scalar.ndim == 0 and scalar.spread is None and not scalar.part and scalar.unit <= ball.unit:
                factor = float(scalar.mid)
                if abs(factor) == 1:
                    return ball if factor > 0 else -ball
                if abs(frexp(factor)[0]) == 0.5:
                    return ball._scaled(factor)
        unit = max(a.unit, b.unit)
        FLAGS.lower()
        mid = a.mid * b.mid
        spread = product_spread(a, b)
        part = (a.part + b.part) + a.part * b.part
        scale = a.scale * b.scale * ((1 + a.part) * (1 + b.part))
        product = rounded_ball(mid, spread, unit, part, scale, zero=lambda: a.zero | b.zero)
        if a._sign is not None and b._sign is not None:
            product._sign = (a._sign * b._sign) or None
        return product

    __rmul__ = __mul__

    @watched
    def _scaled(self, factor: float) -> BallArray:
        """The product with a power of 2, which is exact unless it over- or underflows."""
        FLAGS.lower()
        mid = self.mid * factor
        spread = None if self.spread is None else self.spread * abs(factor)
        return rounded_ball(mid, spread, self.unit, self.part, self.scale, rounds=False, zero=lambda: self.zero)

    @watched
    def __truediv__(self, other: Any) -> BallArray:
        """The quotient: |a' / b' - a / b| is at most (|a' - a| + |a / b| |b' - b|) / |b'|."""
        a, b = self, ball_array(other)
        if b is NotImplemented:
            return NotImplemented
        unit = max(a.unit, b.unit)
        if not b.part < 0.5:
            b = BallArray(b.mid, b.rad, b.unit)
        part = (a.part + b.part) / (1 - b.part)
        FLAGS.lower()
        mid = a.mid / b.mid
        if b.spread is None:
            spread = None if a.spread is None else np.asarray(a.spread / np.abs(b.mid))
            scale = a.scale / (1 - b.part)
        else:
            least = np.asarray(np.abs(b.mid) * ((1 - b.part) / b.scale * (1 - 16 * UNIT)) - b.spread)
            if not least.min(initial=np.inf) > 0:
                least = np.where(least > 0, least, np.nan)
            if FLAGS.under:
                least = np.where(np.abs(b.mid) > SMALL, least, np.nan)
            spread = _sum(np.abs(mid) * (b.spread / least), None if a.spread is None else a.spread / least)
            scale = a.scale * (1 + part)
        return rounded_ball(mid, spread, unit, part, scale, zero=lambda: a.zero)

    def __rtruediv__(self, other: Any) -> BallArray:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else other / self

    def __pow__(self, exponent: int) -> BallArray:
        if not isinstance(exponent, int):
            return NotImplemented
        result = number(1)
        for bit in bin(abs(exponent))[2:]:
            result = result * result
            result = result * self if bit == "1" else result
        if exponent == 0:
            return BallArray(np.ones(self.shape), None, self.unit)
        return result if exponent > 0 else 1 / result

    def __abs__(self) -> BallArray:
        magnitudes = BallArray(np.abs(self.mid), self.spread, self.unit, part=self.part, scale=self.scale)
        magnitudes._sign = 1
        return magnitudes

    def __getitem__(self, index: Any) -> BallArray:
        return self.moved(lambda x: x[index])

    def moved(self, move: Callable[[Array], Array]) -> BallArray:
        """The elements at other places: ``move`` maps an array to an array of some of its elements."""
        rad = self.spread
        rad = rad if rad is None or rad.ndim == 0 else move(np.broadcast_to(rad, self.mid.shape))
        result = BallArray(move(self.mid), rad, self.unit, part=self.part, scale=self.scale)
        result._sign = self._sign or None
        return result

    def radius(self) -> Array:
        """The radii, broadcast to the shape of the midpoints; 0 where exact. Read-only."""
        return np.broadcast_to(0.0 if self.rad is None else self.rad, self.mid.shape)

    def fixed(self) -> BallArray:
        """The same balls with the radii computed now, under the flags in force (see `finely`)."""
        return BallArray(self.mid, self.rad, self.unit)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in arrays: use f.where")

    def _ordered(self, other: object) -> bool:
        raise NotImplementedError("a definition that compares numbers by itself is not read in arrays: use f.less, f.equal")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _ordered


def rounded_ball(
    mid: Array,
    spread: Radius,
    unit: float,
    part: float,
    scale: float,
    *,
    zero: Callable[[], Array],
    rounds: bool = True,
) -> BallArray:
    """Balls around computed midpoints, with the rounding of the last operation added unless ``rounds`` is False.

    Args:
        mid: results of the operation in float64, computed since `Flags.lower`.
        spread, part, scale: the propagated radius (see `BallArray`).
        zero: returns the mask of the operands for which a result 0 is exact.
    """
    if rounds:
        part = (part * (1 + unit) + (unit if unit == UNIT else unit + UNIT)) * (1 + 2.0**-40)
    if FLAGS.under or unit != UNIT:
        least: Any = LEAST.get(unit, FLAGS.tiny)
        if unit == UNIT and not mid.all():
            least = np.where(zero() & (mid == 0), 0.0, least)
        spread = np.asarray(least) if spread is None else spread + least
    if FLAGS.lost:
        unknown = ~np.isfinite(mid)
        if unknown.any():  # some may be infinite inputs, which cannot be told apart here
            spread = np.where(unknown, np.nan, 0.0 if spread is None else spread)
    if part > MOST:
        size = np.abs(mid) * (part * GROW)
        spread, part, scale = np.asarray(size if spread is None else size + spread * scale), 0.0, 1.0
    return BallArray(mid, spread, unit, part=part, scale=scale * GROW * (1 + unit))


def inflated(rad: Array) -> Array:
    """A computed radius, enlarged by the rounding of its own computation."""
    rad = rad * GROW
    rad += FLAGS.tiny
    return np.asarray(rad)


def product_spread(a: BallArray, b: BallArray) -> Radius:
    """``|a| rb + ra |b| + ra rb`` for the spreads ra and rb; None if both are exact."""
    if a.spread is None and b.spread is None:
        return None
    if a.spread is None or b.spread is None:
        still, wide = (a.mid, b.spread) if a.spread is None else (b.mid, a.spread)
        return np.asarray(_times(np.abs(still), wide))
    above = np.abs(b.mid)
    above = above + b.spread
    return _sum(_times(above, a.spread), _times(np.abs(a.mid), b.spread))


def _times(fresh: Any, x: Any) -> Any:
    """The product of a fresh array and ``x``, in place where it fits."""
    if fresh.ndim and np.broadcast_shapes(fresh.shape, x.shape) == fresh.shape:
        fresh *= x
        return fresh
    return fresh * x


def _sum(a: Radius, b: Radius) -> Radius:
    """The sum of two radii; None stands for 0."""
    if a is None or b is None:
        radii: Radius = b if a is None else a
        return radii
    return np.asarray(a + b)


def _without_infinities(a: BallArray, b: BallArray, spread: Array) -> Array:
    """The radius of a sum, without the relative part of infinite midpoints: an infinite input has its own spread only."""
    there = np.isinf(a.mid) | np.isinf(b.mid)
    alone = _sum(a.spread, b.spread)
    return np.where(there, 0.0 if alone is None else alone, spread)


def is_number(x: BallArray, value: float) -> bool:
    """True for an exact scalar with this value."""
    return x.ndim == 0 and x.spread is None and not x.part and bool(x.mid == value)


def ball_array(x: Any) -> Any:
    """A number or array as balls; NotImplemented for any other object."""
    if isinstance(x, BallArray):
        return x
    if isinstance(x, arb):
        return ball_of_arb(x)
    if isinstance(x, np.ndarray):
        return exact(x)
    if isinstance(x, (int, float, Fraction, np.number)):
        return number(x)
    return NotImplemented


def number(value: Any) -> BallArray:
    """An exact number as a ball, with the distance to the nearest float as radius."""
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    if type(value) is float or is_not_finite(value) or (type(value) is int and abs(value) <= 2**53):
        return BallArray(value)
    nearest = as_float(value)
    if not is_not_finite(nearest) and Fraction(value) == Fraction(nearest):
        return BallArray(nearest)
    return ball_of_arb(in_ball(Fraction(value)))


def ball_of_arb(x: arb) -> BallArray:
    """A float64 ball that contains an Arb ball; unknown if the midpoint is infinite or beyond float64."""
    mid = float(x.mid())
    if not x.is_finite() or is_not_finite(mid):
        return BallArray(mid, np.nan)
    away = abs(x - arb(mid))
    return BallArray(mid) if away.is_zero() else BallArray(mid, float(away.upper()) * GROW + FLAGS.tiny)


def exact(array: Array, unit: float = UNIT) -> BallArray:
    """Floats, or integers of up to 53 bits, as exact balls. Raises NotImplementedError for larger integers and wider
    floats."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and ((array > 2**53) | (array < -(2**53))).any():
        raise NotImplementedError("integers beyond 2^53 are not read in arrays")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise NotImplementedError(f"{array.dtype} has more digits than arrays of balls")
    return BallArray(array, None, unit)
