"""Arrays of balls: midpoints and radii in float64, at the speed of NumPy.

A ball contains the true value of what was computed with it: each operation adds what its rounding may have cost to the
radius, and what the radii of its operands may have become (running error analysis: N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., section 3.3). Radii are floats too; they are rounded up by a factor and a smallest number.
A midpoint or a radius that is not finite says that nothing is known of the element.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.attributes import in_ball, is_not_finite
from gradproof.engine.spec import Array

UNIT = 2.0**-53
"""The rounding unit of float64: a result is within so much of itself."""
GROW = 1 + 2.0**-48
"""Radii are computed in some ten operations, each rounded: by so much they are enlarged."""
TINY = 2.0**-1070
"""More than underflow takes from a few products."""

Radius: TypeAlias = Array | None  # None: exact


class BallArray:
    """An array of balls ``mid`` ± ``rad``; ``rad`` is None where all are exact. Arithmetic broadcasts, as NumPy's does, and
    takes Python's exact numbers and Arb's balls.

    ``unit`` is the rounding that is charged for an operation. With that of float64 a ball contains the true value; with
    that of a narrower dtype, all that an evaluation in that dtype may give too. The larger of two operands' counts.
    """

    __slots__ = ("mid", "rad", "unit")
    __array_ufunc__ = None  # NumPy must not take it apart

    def __init__(self, mid: Any, rad: Any = None, unit: float = UNIT) -> None:
        self.mid: Array = np.asarray(mid, np.float64)
        self.rad: Radius = None if rad is None else np.asarray(rad, np.float64)
        self.unit = unit

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mid.shape

    @property
    def ndim(self) -> int:
        return self.mid.ndim

    @property
    def size(self) -> int:
        return self.mid.size

    def __neg__(self) -> BallArray:
        return BallArray(-self.mid, self.rad, self.unit)

    def __add__(self, other: Any) -> Any:
        other = ball_array(other)
        if other is NotImplemented:
            return NotImplemented
        mid = self.mid + other.mid
        unit = max(self.unit, other.unit)
        return BallArray(mid, rounded(mid, _sum(self.rad, other.rad), unit), unit)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        other = ball_array(other)
        if other is NotImplemented:
            return NotImplemented
        mid = self.mid * other.mid
        unit = max(self.unit, other.unit)
        return BallArray(mid, rounded(mid, product_radius(self, other), unit), unit)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        other = ball_array(other)
        if other is NotImplemented:
            return NotImplemented
        mid = self.mid / other.mid
        if other.rad is None:
            rad = None if self.rad is None else self.rad / np.abs(other.mid)
        else:
            above = np.abs(mid) * other.rad
            above = above if self.rad is None else above + self.rad
            below = np.abs(other.mid) * (1 - 4 * UNIT) - other.rad
            rad = np.where(below > 0, above / np.where(below > 0, below, 1), np.inf)
        unit = max(self.unit, other.unit)
        return BallArray(mid, rounded(mid, rad, unit), unit)

    def __rtruediv__(self, other: Any) -> Any:
        other = ball_array(other)
        return NotImplemented if other is NotImplemented else other / self

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int):
            return NotImplemented
        result: Any = 1
        for _ in range(abs(exponent)):
            result = result * self
        return ball_array(result if exponent >= 0 else 1 / result)

    def __abs__(self) -> BallArray:
        return BallArray(np.abs(self.mid), self.rad, self.unit)

    def __getitem__(self, index: Any) -> BallArray:
        return self.moved(lambda x: x[index])

    def moved(self, move: Callable[[Array], Array]) -> BallArray:
        """The same numbers at other places: ``move`` of an array takes each element from one of its own."""
        rad = self.rad
        return BallArray(move(self.mid), None if rad is None else move(np.broadcast_to(rad, self.mid.shape)), self.unit)

    def radius(self) -> Array:
        """The radii, of this shape; 0 where exact. Not to be written to."""
        return np.broadcast_to(0.0 if self.rad is None else self.rad, self.mid.shape)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in arrays: use f.where")


def rounded(mid: Array, rad: Radius, unit: float = UNIT) -> Array:
    """The radius of a midpoint that was rounded once, ``rad`` without that."""
    size = np.abs(mid) * unit
    return grown(size if rad is None else size + rad)


def grown(rad: Any) -> Array:
    """A computed radius, made larger by what its own rounding may be."""
    return np.asarray(rad * GROW + TINY)


def product_radius(a: BallArray, b: BallArray) -> Radius:
    """The radius of a product before it is rounded: |a| rb + ra |b| + ra rb."""
    if a.rad is None and b.rad is None:
        return None
    if a.rad is None or b.rad is None:
        still, wide = (a, b) if a.rad is None else (b, a)
        return np.asarray(np.abs(still.mid) * wide.rad)
    return np.asarray(np.abs(a.mid) * b.rad + a.rad * (np.abs(b.mid) + b.rad))


def _sum(a: Radius, b: Radius) -> Radius:
    if a is None or b is None:
        return b if a is None else a
    return a + b


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
    nearest = float(value)
    if is_not_finite(value) or Fraction(value) == Fraction(nearest):
        return BallArray(nearest)
    return of_arb(in_ball(Fraction(value)))


def of_arb(x: arb) -> BallArray:
    """An Arb ball as one in float64 around it."""
    mid = float(x.mid())
    away = float(abs(x - arb(mid)).upper()) if x.is_finite() else np.nan
    return BallArray(mid, away * GROW) if away else BallArray(mid)


def exact(array: Array, unit: float = UNIT) -> BallArray:
    """Floats, or integers of up to 53 bits, as they are. Raises NotImplementedError for other integers."""
    if array.dtype.kind in "iu" and array.size and (np.abs(array.astype(np.float64)) > 2.0**53).any():
        raise NotImplementedError("integers beyond 2^53 are not read in arrays")
    return BallArray(array.astype(np.float64), None, unit)
