"""Elements of an elementwise op read together in Arb's balls, with derivatives forward: a column holds a ball per element,
so that a definition is called once for all elements.

The reading is weaker than a `tape`: elements that take different branches are read in both, and nothing is read where a
ball contains a branch point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.scalar_function import ScalarFunction
from gradproof.engine.scalar_functions import Balls, Undecided
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings import TooLarge

Operand: TypeAlias = "Column | arb | int | float | Fraction"


class Column:
    """A ball per element, and derivatives along directions; a missing direction has the derivative 0."""

    __slots__ = ("balls", "batch", "slopes")
    __array_ufunc__ = None

    def __init__(self, batch: Batch, balls: Array, slopes: dict[int, Array] | None = None) -> None:
        batch.count()
        self.batch, self.balls, self.slopes = batch, balls, slopes or {}

    def _made(self, balls: Array, slopes: dict[int, Array]) -> Column:
        return Column(self.batch, balls, slopes)

    def __neg__(self) -> Column:
        return self._made(-self.balls, {k: -x for k, x in self.slopes.items()})

    def __add__(self, other: Operand) -> Column:
        return self._made(self.balls + balls_of(other), _sums(self.slopes, slopes_of(other)))

    __radd__ = __add__

    def __sub__(self, other: Operand) -> Column:
        return self._made(self.balls - balls_of(other), _sums(self.slopes, {k: -x for k, x in slopes_of(other).items()}))

    def __rsub__(self, other: Operand) -> Column:
        return (-self).__add__(other)

    def __mul__(self, other: Operand) -> Column:
        factors = balls_of(other)
        slopes = {k: x * factors for k, x in self.slopes.items()}
        return self._made(self.balls * factors, _sums(slopes, {k: self.balls * x for k, x in slopes_of(other).items()}))

    __rmul__ = __mul__

    def __truediv__(self, other: Operand) -> Column:
        if not isinstance(other, Column):
            return self._made(self.balls / other, {k: x / other for k, x in self.slopes.items()})
        return self._divided(self.slopes, self.balls, other)

    def __rtruediv__(self, other: Operand) -> Column:
        return self._divided({}, other, self)

    def _divided(self, slopes: dict[int, Array], a: Any, b: Column) -> Column:
        quotient = a / b.balls
        numerators = _sums(slopes, {k: -(quotient * x) for k, x in b.slopes.items()})
        return self._made(quotient, {k: x / b.balls for k, x in numerators.items()})

    def __pow__(self, exponent: Operand) -> Any:
        return self.batch.power(self, exponent)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in columns")

    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


def balls_of(x: Operand) -> Any:
    """The balls of a column; a scalar as itself."""
    return x.balls if isinstance(x, Column) else x


def slopes_of(x: object) -> dict[int, Array]:
    """The derivatives of a column by direction."""
    return x.slopes if isinstance(x, Column) else {}


def _sums(a: dict[int, Array], b: dict[int, Array]) -> dict[int, Array]:
    sums = dict(a)
    for k, x in b.items():
        sums[k] = sums[k] + x if k in sums else x
    return sums


class Batch(Balls):
    """The reading of ``size`` elements.

    Args:
        limit: bound of the operations of all elements; raises TooLarge beyond.

    ``ties`` is the mask of the elements where equal numbers with derivatives were compared.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__()
        self.size, self.left = size, limit
        self.ties = np.zeros(size, bool)

    def count(self) -> None:
        """Count an operation for each element."""
        self.left -= self.size
        if self.left < 0:
            raise TooLarge

    def column(self, numbers: Sequence[float], direction: int | None = None) -> Column:
        """Floats as exact balls; ``direction``: the direction along which their derivative is 1."""
        slopes = None if direction is None else {direction: self._filled(arb(1))}
        return Column(self, _boxed([arb(x) for x in numbers]), slopes)

    def balls(self, x: Any) -> list[arb]:
        """The balls of a column, a condition, or a scalar."""
        x = self.as_number(x)
        if isinstance(x, Column):
            return [y if isinstance(y, arb) else arb(y) for y in x.balls.tolist()]
        return [arb(x)] * self.size

    def slope(self, x: object, direction: int) -> Array:
        """The derivative of a result along a direction."""
        slope = slopes_of(x).get(direction)
        return self._filled(arb(0)) if slope is None else slope

    def _filled(self, x: Any) -> Array:
        cells = np.empty(self.size, object)
        cells[:] = x
        return cells

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
        """The sign of a - b for each element, or for all. Raises Undecided."""
        if not (isinstance(a, Column) or isinstance(b, Column)):
            return super().compare(a, b)
        if a is b:
            return np.zeros(self.size, int)
        signs = np.zeros(self.size, int)
        for k, (x, y) in enumerate(zip(self.balls(a), self.balls(b), strict=True)):
            signs[k] = super().compare(x, y)
        if slopes_of(a) or slopes_of(b):
            self.ties |= signs == 0
        return signs

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

    def isnan(self, x: Any) -> Any:
        return np.array([self._none(y) for y in self.balls(x)])

    def isinf(self, x: Any) -> Any:
        return self.isnan(x)

    def constant(self, x: Any) -> Any:
        return Column(self, balls_of(x)) if isinstance(x, Column) else super().constant(x)

    def floor(self, x: Any) -> Any:
        if not isinstance(x, Column):
            return super().floor(x)
        whole = [y.floor() for y in self.balls(x)]
        if not all(y.is_exact() for y in whole):
            raise Undecided("a ball straddles a step")
        result = Column(self, _boxed(whole))
        below = self.signs(x, result) < 0
        return self.where(below, result - 1, result) if below.any() else result

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
        result = self._filled(b) if not isinstance(b, np.ndarray) else b.copy()
        result[condition] = a[condition] if isinstance(a, np.ndarray) else a
        return result


def _boxed(balls: list[Any]) -> Array:
    cells = np.empty(len(balls), object)
    cells[:] = balls
    return cells


def _partial(row: ScalarFunction, point: Sequence[arb], axis: int) -> arb:
    """The partial derivative along an argument; nan at a pole."""
    try:
        return row.partials(point, [axis])[0]
    except (ValueError, ZeroDivisionError):
        return arb("nan")


__all__ = ["Batch", "Column", "balls_of", "slopes_of"]
