"""Arrays of balls: midpoints and radii in float64, at the speed of NumPy.

A ball contains the true value of what was computed with it: each operation adds what its rounding may have cost to the
radius, and what the radii of its operands may have become (running error analysis: N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 3.3). Most radii are the same part of their midpoints everywhere, as after a product
of floats, so that part is one number, and costs no pass over an array. The roundings of radii are a factor, likewise.

An element of which nothing is known has a midpoint that is nan, or a radius that is not finite: the processor's flags tell
when a finite number overflowed, underflowed, or was divided by 0. An infinite midpoint with a finite radius is the infinity
that came in, as the mask of an attention does: arithmetic of the extended reals, which is that of IEEE 754 where it is
continuous (inf + 1, exp(-inf)), and nan elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import frexp
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.attributes import as_float, is_not_finite
from gradproof.engine.scalar_functions import in_ball
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.flags import FLAGS, watched

UNIT = 2.0**-53
"""The rounding unit of float64: a result is within so much of itself."""
GROW = 1 + 2.0**-48
"""Radii are computed in some ten operations, each rounded: by so much they are enlarged."""
TINY = FLAGS.tiny
"""More than underflow takes from a few products; and no denormal number, with which processors are slow."""
LEAST = {2.0**-24: 2.0**-148, 2.0**-11: 2.0**-23, 2.0**-8: 2.0**-132}
"""The same in narrower dtypes, by their units: float32, float16, bfloat16."""
MOST = 0.25
"""Radii up to this part of their midpoints are kept as that part: then it does not reach 0."""
SMALL = 2.0**-960
"""Numbers above are so large that a relative rounding of them does not underflow."""

Radius: TypeAlias = Array | None  # None: exact


class BallArray:
    """An array of balls ``mid`` ± ``rad``; ``rad`` is None where all are exact. Arithmetic broadcasts, as NumPy's does, and
    takes Python's exact numbers and Arb's balls.

    ``unit`` is the rounding that is charged for an operation. With that of float64 a ball contains the true value; with
    that of a narrower dtype, all that an evaluation in that dtype may give too, underflow included. The larger of two
    operands' counts.
    """

    __slots__ = ("_sign", "mid", "part", "scale", "spread", "unit")
    __array_ufunc__ = None  # NumPy must not take it apart
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, mid: Any, rad: Any = None, unit: float = UNIT, *, part: float = 0.0, scale: float = 1.0) -> None:
        """The radius is ``rad`` times ``scale`` and ``part`` of |mid|."""
        self.mid: Array = np.asarray(mid, np.float64)
        self.spread: Radius = None if rad is None else np.asarray(rad, np.float64)
        self.part, self.scale, self.unit = part, scale, unit
        self._sign: int | None = None

    @property
    def rad(self) -> Radius:
        """The radii, of a shape that broadcasts to this one; None where exact. Not to be written to."""
        if self.part or (self.scale != 1 and self.spread is not None):
            self.spread, self.part, self.scale = self._whole(), 0.0, 1.0
        return self.spread

    @np.errstate(all="ignore")
    def _whole(self) -> Array:
        """The radii, of all that they are made of."""
        rest: Any = 0.0 if self.spread is None else self.spread * self.scale
        if self.part:
            size = np.abs(self.mid) * self.part
            if not size.max(initial=0) < np.inf:
                size = np.where(np.isinf(self.mid), 0.0, size)  # an infinity that came in
            rest = size + rest
        rad = grown(rest)
        if not np.all(rest):
            zero = self.zero
            if zero.any():
                rad = np.where(zero, 0.0, rad)
        return rad

    @property
    def zero(self) -> Array:
        """Where it is exactly 0."""
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
        """1 if no midpoint is below 0, -1 if none is above; else 0."""
        if self._sign is None:
            below = self.mid.min(initial=0)
            self._sign = 1 if below >= 0 else -1 if self.mid.max(initial=0) <= 0 else 0
        return self._sign

    def __neg__(self) -> BallArray:
        found = BallArray(-self.mid, self.spread, self.unit, part=self.part, scale=self.scale)
        found._sign = self._sign and -self._sign
        return found

    @watched
    def __add__(self, other: Any) -> Any:
        a, b = self, ball_array(other)
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
        if part and not (a.sign * b.sign > 0):  # the parts are of |a| and |b|, which are less than |a + b| else
            part = 0.0
            for one in (a, b):
                if one.part:
                    size = np.abs(one.mid)
                    size *= one.part
                    spread = _sum(size, spread)
            if spread is not None and not spread.max(initial=0) < np.inf:
                spread = _but_infinities(a, b, spread)
        return made(mid, spread, unit, part, max(a.scale, b.scale), zero=lambda: a.zero & b.zero)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    @watched
    def __mul__(self, other: Any) -> Any:
        a, b = self, ball_array(other)
        if b is NotImplemented:
            return NotImplemented
        for one, other in ((a, b), (b, a)):
            if other.ndim == 0 and other.spread is None and not other.part and other.unit <= one.unit:
                factor = float(other.mid)
                if abs(factor) == 1:
                    return one if factor > 0 else -one
                if abs(frexp(factor)[0]) == 0.5:
                    return one._scaled(factor)
        unit = max(a.unit, b.unit)
        FLAGS.lower()
        mid = a.mid * b.mid
        spread = product_spread(a, b)
        part = (a.part + b.part) + a.part * b.part
        scale = a.scale * b.scale * ((1 + a.part) * (1 + b.part))
        found = made(mid, spread, unit, part, scale, zero=lambda: a.zero | b.zero)
        if a._sign is not None and b._sign is not None:
            found._sign = (a._sign * b._sign) or None
        return found

    __rmul__ = __mul__

    @watched
    def _scaled(self, factor: float) -> BallArray:
        """The product with a power of 2, which is exact unless it over- or underflows."""
        FLAGS.lower()
        mid = self.mid * factor
        spread = None if self.spread is None else self.spread * abs(factor)
        return made(mid, spread, self.unit, self.part, self.scale, rounds=False, zero=lambda: self.zero)

    @watched
    def __truediv__(self, other: Any) -> Any:
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
        return made(mid, spread, unit, part, scale, zero=lambda: a.zero)

    def __rtruediv__(self, other: Any) -> Any:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else other / self

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int):
            return NotImplemented
        result: Any = number(1)
        for bit in bin(abs(exponent))[2:]:
            result = result * result
            result = result * self if bit == "1" else result
        if exponent == 0:
            return BallArray(np.ones(self.shape), None, self.unit)
        return result if exponent > 0 else 1 / result

    def __abs__(self) -> BallArray:
        found = BallArray(np.abs(self.mid), self.spread, self.unit, part=self.part, scale=self.scale)
        found._sign = 1
        return found

    def __getitem__(self, index: Any) -> BallArray:
        return self.moved(lambda x: x[index])

    def moved(self, move: Callable[[Array], Array]) -> BallArray:
        """The same numbers at other places: ``move`` of an array takes each element from one of its own."""
        rad = self.spread
        rad = rad if rad is None or rad.ndim == 0 else move(np.broadcast_to(rad, self.mid.shape))
        found = BallArray(move(self.mid), rad, self.unit, part=self.part, scale=self.scale)
        found._sign = self._sign or None
        return found

    def radius(self) -> Array:
        """The radii, of this shape; 0 where exact. Not to be written to."""
        return np.broadcast_to(0.0 if self.rad is None else self.rad, self.mid.shape)

    def settled(self) -> BallArray:
        """The same, with radii as they are now: those of `finely` are lost later."""
        return BallArray(self.mid, self.rad, self.unit)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in arrays: use f.where")

    def _ordered(self, other: object) -> bool:
        raise NotImplementedError("a definition that compares numbers by itself is not read in arrays: use f.less, f.equal")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _ordered


def made(
    mid: Array,
    spread: Radius,
    unit: float,
    part: float,
    scale: float,
    *,
    zero: Callable[[], Array],
    rounds: bool = True,
) -> BallArray:
    """Balls around computed midpoints, each rounded once if it ``rounds``; their radii are of ``part``, ``spread`` and
    ``scale`` without that, and `FLAGS` those of the computation. ``zero``: where operands are such that a 0 is exact."""
    if rounds:
        part = (part * (1 + unit) + (unit if unit == UNIT else unit + UNIT)) * (1 + 2.0**-40)
    if FLAGS.under or unit != UNIT:
        least: Any = LEAST.get(unit, FLAGS.tiny)
        if unit == UNIT and not mid.all():
            least = np.where(zero() & (mid == 0), 0.0, least)
        spread = np.asarray(least) if spread is None else spread + least
    if FLAGS.lost:
        lost = ~np.isfinite(mid)
        if lost.any():  # some of it came in, which is not known any more here
            spread = np.where(lost, np.nan, 0.0 if spread is None else spread)
    if part > MOST:
        size = np.abs(mid) * (part * GROW)
        spread, part, scale = np.asarray(size if spread is None else size + spread * scale), 0.0, 1.0
    return BallArray(mid, spread, unit, part=part, scale=scale * GROW * (1 + unit))


def grown(rad: Any) -> Array:
    """A computed radius, made larger by what its own rounding may be."""
    rad = rad * GROW
    rad += FLAGS.tiny
    return np.asarray(rad)


def rounded(mid: Array, rad: Radius, unit: float = UNIT) -> Array:
    """The radius of a midpoint that was rounded once, ``rad`` without that."""
    size = np.abs(mid) * unit
    return grown(size if rad is None else size + rad)


def product_spread(a: BallArray, b: BallArray) -> Radius:
    """|a| rb + ra |b| + ra rb, where these are spreads."""
    if a.spread is None and b.spread is None:
        return None
    if a.spread is None or b.spread is None:
        still, wide = (a.mid, b.spread) if a.spread is None else (b.mid, a.spread)
        return np.asarray(_times(np.abs(still), wide))
    above = np.abs(b.mid)
    above = above + b.spread
    return _sum(_times(above, a.spread), _times(np.abs(a.mid), b.spread))


def _times(fresh: Any, x: Any) -> Any:
    """A product, in place of a new array where it fits."""
    if fresh.ndim and np.broadcast_shapes(fresh.shape, x.shape) == fresh.shape:
        fresh *= x
        return fresh
    return fresh * x


def _sum(a: Any, b: Any) -> Radius:
    """The sum of radii, of which either may be missing."""
    if a is None or b is None:
        found: Radius = b if a is None else a
        return found
    return np.asarray(a + b)


def _but_infinities(a: BallArray, b: BallArray, spread: Array) -> Array:
    """The radius of a sum without the part of an infinite midpoint: an infinity that came in has its own spread alone."""
    there = np.isinf(a.mid) | np.isinf(b.mid)
    alone = _sum(a.spread, b.spread)
    return np.where(there, 0.0 if alone is None else alone, spread)


def is_number(x: BallArray, value: float) -> bool:
    """Whether it is one exact number, of no shape, and which."""
    return x.ndim == 0 and x.spread is None and not x.part and bool(x.mid == value)


def ball_array(x: Any) -> Any:
    """A number as balls; NotImplemented for what is none."""
    if isinstance(x, BallArray):
        return x
    if isinstance(x, arb):
        return of_arb(x)
    if isinstance(x, np.ndarray):
        return exact(x)
    if isinstance(x, (int, float, Fraction, np.number)):
        return number(x)
    return NotImplemented


def number(value: Any) -> BallArray:
    """An exact number as a ball, whose radius is what no float holds."""
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    if type(value) is float or is_not_finite(value) or (type(value) is int and abs(value) <= 2**53):
        return BallArray(value)
    nearest = as_float(value)
    if not is_not_finite(nearest) and Fraction(value) == Fraction(nearest):
        return BallArray(nearest)
    return of_arb(in_ball(Fraction(value)))


def of_arb(x: arb) -> BallArray:
    """An Arb ball as one in float64 around it; one with an infinite midpoint is not known."""
    mid = float(x.mid())
    if not x.is_finite() or is_not_finite(mid):
        return BallArray(mid, np.nan)
    away = abs(x - arb(mid))
    return BallArray(mid) if away.is_zero() else BallArray(mid, float(away.upper()) * GROW + FLAGS.tiny)


def exact(array: Array, unit: float = UNIT) -> BallArray:
    """Floats, or integers of up to 53 bits, as they are. Raises NotImplementedError for other integers."""
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and ((array > 2**53) | (array < -(2**53))).any():
        raise NotImplementedError("integers beyond 2^53 are not read in arrays")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise NotImplementedError(f"{array.dtype} has more digits than arrays of balls")
    return BallArray(array, None, unit)
