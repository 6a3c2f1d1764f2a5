"""The reading in power series: definitions at x + t v, to first order in t, with balls for coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from flint import arb, arb_series

from gradproof.engine.scalar_function import ScalarFunction
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.floats.ulps import explained, spacing, unit
from gradproof.engine.verify.readings.tape import TooLarge

MAX_OPERATIONS = 2_000_000
MATRIX_SHARE = 10  # operations within whole matrices that take as long as a single operation


class Series(Balls):
    """The reading in power series of length 2 (numbers that do not move stay balls). ``limit`` bounds the number of
    operations: elements, calls of functions, terms of sums, comparisons, and the work of equations. Beyond, TooLarge is
    raised. ``branched`` tells whether equal numbers with different derivatives were compared: at a kink or a jump the
    branch that was read has a derivative, but the function may have none."""

    def __init__(self, limit: int = MAX_OPERATIONS) -> None:
        super().__init__()
        self.limit, self.spent = limit, 0
        self.branched = False

    def spend(self, operations: int = 1) -> None:
        """Count operations. Raises TooLarge."""
        self.spent += operations
        if self.spent > self.limit:
            raise TooLarge

    def reading(self, row: ScalarFunction) -> Callable[..., Any]:
        return partial(self._apply, row)

    def _apply(self, function: ScalarFunction, *arguments: Any) -> Any:
        self.spend()
        if not any(isinstance(x, arb_series) for x in arguments):
            return function.ball(*(arb(x) for x in arguments))
        return function.series(*(x if isinstance(x, arb_series) else arb_series([arb(x)], 2) for x in arguments))

    def total(self, terms: Iterable[Any]) -> Any:
        return super().total(self._counted(terms))

    def _counted(self, terms: Iterable[Any]) -> Iterator[Any]:
        for term in terms:
            self.spend()
            yield term

    def ball(self, x: Any) -> arb:
        return arb(head(x))

    def block(self, inputs: Sequence[Any], solve: Callable[[Sequence[Any]], Any]) -> Any:
        self.spend(int(sum(array.size for array in inputs) ** 1.5 / MATRIX_SHARE))
        solution = solve([_each(lambda x: arb(head(x)), array) for array in inputs])
        along = [
            _each(lambda x: arb(tangent(x)), array) if any(isinstance(x, arb_series) for x in array.flat) else None
            for array in inputs
        ]
        if all(motion is None for motion in along):
            return solution.values
        cells = np.empty(solution.values.shape, object)
        cells.reshape(-1)[:] = [
            arb_series([x, d], 2) for x, d in zip(solution.values.flat, solution.push(along).flat, strict=True)
        ]
        return cells

    def compare(self, a: Any, b: Any) -> int:
        self.spend()
        order = super().compare(head(a), head(b))
        if not order and a is not b and not arb(tangent(a) - tangent(b)).is_zero():
            self.branched = True
        return order


def head(x: Any) -> Any:
    """The value of a series at t = 0, or the number itself."""
    return x[0] if isinstance(x, arb_series) else x


def tangent(x: Any) -> Any:
    """The coefficient of t; 0 for a number that does not move."""
    return x[1] if isinstance(x, arb_series) else 0


def _each(function: Callable[[Any], Any], array: Any) -> Any:
    cells = np.empty(array.shape, object)
    cells.reshape(-1)[:] = [function(x) for x in array.flat]
    return cells


def widened_series(cells: Array, dtype: DType, least: float = 0.0) -> list[Any]:
    """A number, or the parts of a complex number, with the rounding that its use may have had: that of the larger part,
    and of a number of size ``least`` at the least."""
    value = max(least, *(abs(float(arb(head(x)).mid())) for x in cells))
    step = arb(spacing(value, dtype)) * explained(dtype)
    slope = max((abs(arb(tangent(x))).upper() for x in cells), key=float) * (explained(dtype) * unit(dtype))
    result: list[Any] = []
    for x in cells:
        ball = arb(head(x), step) if value else head(x)
        result.append(arb_series([ball, arb(x[1], slope.upper())], 2) if isinstance(x, arb_series) else ball)
    return result


def series_of(heads: Array, tangents: Array) -> Array:
    """The power series of values and slopes."""
    result: Array = np.empty(heads.shape, object)
    for index in np.ndindex(heads.shape):
        result[index] = arb_series([arb(heads.item(index)), arb(tangents.item(index))], 2)
    return result


def mapped(function: Callable[[Any], Any], array: Array) -> Array:
    """The function of each number of an object array."""
    result: Array = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = function(array[index])
    return result
