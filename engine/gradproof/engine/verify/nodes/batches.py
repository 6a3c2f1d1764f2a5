"""Elements of an elementwise op read together in Arb's balls, with derivatives forward: columns of balls, one for each
element, so that a definition is called once for all of them.

It knows less than a tape (`tape`): elements that take different branches are read in both, and where a ball straddles a
branch nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.scalar_functions import Balls, ScalarFunction, Undecided
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings import TooLarge


class Column:
    """Balls, one for each element, and their derivatives along directions; one that is missing is 0."""

    __slots__ = ("balls", "batch", "slopes")
    __array_ufunc__ = None

    def __init__(self, batch: Batch, balls: Array, slopes: dict[int, Array] | None = None) -> None:
        batch.count()
        self.batch, self.balls, self.slopes = batch, balls, slopes or {}

    def _made(self, balls: Array, slopes: dict[int, Array]) -> Column:
        return Column(self.batch, balls, slopes)

    def __neg__(self) -> Column:
        return self._made(-self.balls, {k: -x for k, x in self.slopes.items()})

    def __add__(self, other: Any) -> Column:
        return self._made(self.balls + balls_of(other), _sums(self.slopes, slopes_of(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Column:
        return self._made(self.balls - balls_of(other), _sums(self.slopes, {k: -x for k, x in slopes_of(other).items()}))

    def __rsub__(self, other: Any) -> Column:
        return (-self).__add__(other)

    def __mul__(self, other: Any) -> Column:
        theirs = balls_of(other)
        mine = {k: x * theirs for k, x in self.slopes.items()}
        return self._made(self.balls * theirs, _sums(mine, {k: self.balls * x for k, x in slopes_of(other).items()}))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Column:
        if not isinstance(other, Column):
            return self._made(self.balls / other, {k: x / other for k, x in self.slopes.items()})
        return self._divided(self.slopes, self.balls, other)

    def __rtruediv__(self, other: Any) -> Column:
        return self._divided({}, other, self)

    def _divided(self, slopes: dict[int, Array], a: Any, b: Column) -> Column:
        quotient = a / b.balls
        found = _sums(slopes, {k: -(quotient * x) for k, x in b.slopes.items()})
        return self._made(quotient, {k: x / b.balls for k, x in found.items()})

    def __pow__(self, exponent: Any) -> Any:
        return self.batch.power(self, exponent)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in columns")

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def balls_of(x: Any) -> Any:
    return x.balls if isinstance(x, Column) else x


def slopes_of(x: Any) -> dict[int, Array]:
    return x.slopes if isinstance(x, Column) else {}


def _sums(a: dict[int, Array], b: dict[int, Array]) -> dict[int, Array]:
    found = dict(a)
    for k, x in b.items():
        found[k] = found[k] + x if k in found else x
    return found


class Batch(Balls):
    """The reading of ``size`` elements. ``limit`` bounds the operations, of all elements (TooLarge is raised beyond);
    ``ties`` tells at which elements numbers that move were compared and are equal."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__()
        self.size, self.left = size, limit
        self.ties = np.zeros(size, bool)

    def count(self) -> None:
        """Count one more operation."""
        self.left -= self.size
        if self.left < 0:
            raise TooLarge

    def column(self, numbers: Sequence[float], direction: int | None = None) -> Column:
        """Floats as they are; ``direction``: that along which they move."""
        slopes = None if direction is None else {direction: self._filled(arb(1))}
        return Column(self, _boxed([arb(x) for x in numbers]), slopes)

    def balls(self, x: Any) -> list[arb]:
        """A result as balls: a column, a condition, or one number for all."""
        x = self.as_number(x)
        if isinstance(x, Column):
            return [y if isinstance(y, arb) else arb(y) for y in x.balls.tolist()]
        return [arb(x)] * self.size

    def slope(self, x: Any, direction: int) -> Any:
        """The derivative of a result."""
        found = slopes_of(x).get(direction)
        return self._filled(arb(0)) if found is None else found

    def _filled(self, x: Any) -> Array:
        found = np.empty(self.size, object)
        found[:] = x
        return found

    def reading(self, row: ScalarFunction) -> Callable[..., Any]:
        def apply(*arguments: Any) -> Any:
            if not any(isinstance(x, Column) for x in arguments):
                return row.ball(*(arb(x) for x in arguments))
            points = list(zip(*(self.balls(x) for x in arguments), strict=True))
            slopes: dict[int, Array] = {}
            for k, x in enumerate(arguments):
                if slopes_of(x):
                    partial = _boxed([_partial(row, point, k) for point in points])
                    slopes = _sums(slopes, {d: partial * y for d, y in slopes_of(x).items()})
            return Column(self, _boxed([row.ball(*point) for point in points]), slopes)

        return apply

    def total(self, terms: Any) -> Any:
        return sum(terms, arb(0))

    def ball(self, x: Any) -> arb:
        if isinstance(x, (Column, np.ndarray)):
            raise NotImplementedError("columns have many balls")
        return super().ball(x)

    # conditions

    def signs(self, a: Any, b: Any) -> Any:
        """-1, 0 or 1 for each element, or for all. Raises Undecided."""
        if not (isinstance(a, Column) or isinstance(b, Column)):
            return super().compare(a, b)
        if a is b:
            return np.zeros(self.size, int)
        found = np.zeros(self.size, int)
        for k, (x, y) in enumerate(zip(self.balls(a), self.balls(b), strict=True)):
            found[k] = super().compare(x, y)
        if slopes_of(a) or slopes_of(b):
            self.ties |= found == 0
        return found

    def less(self, a: Any, b: Any) -> Any:
        return self.signs(a, b) < 0

    def less_equal(self, a: Any, b: Any) -> Any:
        return self.signs(a, b) <= 0

    def equal(self, a: Any, b: Any) -> Any:
        return self.signs(a, b) == 0

    def both(self, a: Any, b: Any) -> Any:
        return a & b

    def either(self, a: Any, b: Any) -> Any:
        return a | b

    def negate(self, a: Any) -> Any:
        return not a if isinstance(a, bool) else ~a

    def as_number(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            return Column(self, _boxed([arb(int(y)) for y in x]))
        return super().as_number(x)

    def floor(self, x: Any) -> Any:
        if not isinstance(x, Column):
            return super().floor(x)
        whole = [y.floor() for y in self.balls(x)]
        if not all(y.is_exact() for y in whole):
            raise Undecided("a ball straddles a step")
        found = Column(self, _boxed(whole))
        below = self.signs(x, found) < 0
        return self.where(below, found - 1, found) if below.any() else found

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, bool):
            return a if condition else b
        if isinstance(a, (bool, np.ndarray)) and isinstance(b, (bool, np.ndarray)):
            return np.where(condition, a, b)
        a, b = self.as_number(a), self.as_number(b)
        moving = slopes_of(a).keys() | slopes_of(b).keys()
        still = arb(0)
        return Column(
            self,
            self._chosen(condition, balls_of(a), balls_of(b)),
            {k: self._chosen(condition, slopes_of(a).get(k, still), slopes_of(b).get(k, still)) for k in moving},
        )

    def _chosen(self, condition: Array, a: Any, b: Any) -> Array:
        found = self._filled(b) if not isinstance(b, np.ndarray) else b.copy()
        found[condition] = a[condition] if isinstance(a, np.ndarray) else a
        return found


def _boxed(balls: list[Any]) -> Array:
    found = np.empty(len(balls), object)
    found[:] = balls
    return found


def _partial(row: ScalarFunction, point: Sequence[arb], axis: int) -> arb:
    """The derivative along one argument; nan at a pole."""
    try:
        return row.partials(point, [axis])[0]
    except (ValueError, ZeroDivisionError):
        return arb("nan")


__all__ = ["Batch", "Column", "balls_of", "slopes_of"]
