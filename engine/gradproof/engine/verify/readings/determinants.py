"""Determinants and cofactors in balls, of singular matrices too, in O(n³): with a first derivative along a line. Balls
may be complex.

Rows and columns are brought into an order in which elimination finds large pivots first (complete pivoting, in floats: a
choice that need not be trusted). With A = [[P, B], [C, E]] in that order, P invertible and S = E - C P⁻¹ B small, det A is
det P det S, and its adjugate follows from the Schur complement S (no division by a number that may be 0):

    det P [[det S P⁻¹ + P⁻¹ B adj S C P⁻¹, -P⁻¹ B adj S], [-adj S C P⁻¹, adj S]]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import acb, acb_mat, acb_series, arb, arb_mat, arb_series

from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array

SMALL = 2.0**-36  # of the largest pivot: from here on a pivot may be 0
MAX_REST = 8  # rows of S, whose cofactors are expanded


class Line:
    """A matrix that moves along a line: value + slope t, to first order."""

    def __init__(self, value: arb_mat, slope: arb_mat | None = None) -> None:
        self.value = value
        self.slope = type(value)(value.nrows(), value.ncols()) if slope is None else slope

    def __matmul__(self, other: Line) -> Line:
        return Line(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def __add__(self, other: Line) -> Line:
        return Line(self.value + other.value, self.slope + other.slope)

    def __neg__(self) -> Line:
        return Line(-self.value, -self.slope)

    def times(self, number: arb_series) -> Line:
        """The product with a number that moves along the line."""
        return Line(self.value * number[0], self.slope * number[0] + self.value * number[1])

    def inverse(self) -> Line:
        """The inverse; its slope is -A⁻¹ A' A⁻¹."""
        inverse = self.value.inv()
        return Line(inverse, -(inverse * self.slope * inverse))

    def part(self, rows: list[int], columns: list[int]) -> Line:
        """The submatrix of some rows and columns."""
        return Line(*(type(x)(len(rows), len(columns), [x[r, c] for r in rows for c in columns]) for x in self.both))

    def numbers(self) -> Array:
        """The elements as power series."""
        cells: Array = np.empty((self.value.nrows(), self.value.ncols()), object)
        for r, c in np.ndindex(cells.shape):
            cells[r, c] = moving_number(self.value[r, c], self.slope[r, c])
        return cells

    @property
    def both(self) -> tuple[arb_mat, arb_mat]:
        """Value and slope."""
        return self.value, self.slope


def determinant_and_cofactors(a: Line) -> tuple[arb_series, Line]:
    """The determinant and the matrix of cofactors, both with their derivatives along the line. Raises ZeroDivisionError
    where too many pivots are small for `MAX_REST`, or balls are too wide."""
    n = a.value.nrows()
    rows, columns, first = _order(a.value)
    if n - first > MAX_REST:
        raise ZeroDivisionError(f"{n - first} pivots of {n} may be 0")
    head, rest = slice(0, first), slice(first, n)
    p, b = a.part(rows[head], columns[head]), a.part(rows[head], columns[rest])
    c, e = a.part(rows[rest], columns[head]), a.part(rows[rest], columns[rest])
    inverse = p.inverse() if first else p
    down, right = c @ inverse, inverse @ b
    left_over = (e + -(down @ b)).numbers()
    f = Balls()
    small = _line(f.cofactors(left_over).T)
    size = _series(f.det(left_over))
    corner = -(right @ small)
    blocks = (inverse.times(size) + right @ small @ down, corner, -(small @ down), small)
    minor = _determinant(p, inverse) * (_parity(rows) * _parity(columns))
    adjugate = [_joined(*parts) for parts in zip(*(block.times(minor).both for block in blocks), strict=True)]
    # The cofactor of a place is the element of the adjugate at the transposed place.
    cofactors = []
    for part in adjugate:
        cells: list[Any] = [arb(0)] * (n * n)
        for i, column in enumerate(columns):
            for j, row in enumerate(rows):
                cells[row * n + column] = part[i][j]
        cofactors.append(type(a.value)(n, n, cells))
    return minor * size, Line(*cofactors)


def _determinant(p: Line, inverse: Line) -> arb_series:
    value = p.value.det() if p.value.nrows() else arb(1)
    slope = value * (inverse.value * p.slope).trace() if p.value.nrows() else arb(0)
    determinant: arb_series = moving_number(value, slope)
    return determinant


def moving_number(value: Any, slope: Any) -> Any:
    """A number that moves along the line, real or complex."""
    is_complex = isinstance(value, acb) or isinstance(slope, acb)
    return (acb_series if is_complex else arb_series)([value, slope], 2)


def _series(x: Any) -> Any:
    return x if isinstance(x, (arb_series, acb_series)) else moving_number(x if isinstance(x, acb) else arb(x), arb(0))


def _line(cells: Array) -> Line:
    numbers = [_series(x) for x in cells.flat]
    rows, columns = cells.shape
    kind: Any = acb_mat if any(isinstance(x, acb_series) for x in numbers) else arb_mat
    return Line(*(kind(rows, columns, [x[k] for x in numbers]) for k in (0, 1)))


def _joined(a: arb_mat, b: arb_mat, c: arb_mat, d: arb_mat) -> list[list[arb]]:
    upper = [x + y for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    return [*upper, *(x + y for x, y in zip(c.tolist(), d.tolist(), strict=True))]


def _order(a: arb_mat) -> tuple[list[int], list[int], int]:
    """Rows and columns in the order of complete pivoting, and the number of pivots that are not small."""
    n = a.nrows()
    sizes = [[abs(x).mid() for x in row] for row in a.tolist()]
    top = max((x for row in sizes for x in row if x.is_finite()), default=arb(0))
    scale = 1 / top if top > 0 else arb(1)
    number = complex if isinstance(a, acb_mat) else float
    floats = np.array([[number((x * scale).mid()) for x in row] for row in a.tolist()], number).reshape(n, n)
    if not np.isfinite(floats).all():
        raise ZeroDivisionError("an element is not finite")
    rows, columns = list(range(n)), list(range(n))
    for k in range(n):
        left = np.abs(floats[k:, k:])
        r, c = (int(i) + k for i in np.unravel_index(int(np.argmax(left)), left.shape))
        if left.max() <= SMALL:
            return rows, columns, k
        floats[[k, r]], rows[k], rows[r] = floats[[r, k]], rows[r], rows[k]
        floats[:, [k, c]], columns[k], columns[c] = floats[:, [c, k]], columns[c], columns[k]
        floats[k + 1 :, k + 1 :] -= np.outer(floats[k + 1 :, k] / floats[k, k], floats[k, k + 1 :])
    return rows, columns, n


def _parity(order: list[int]) -> int:
    """The sign of a permutation: 1 if it is even, -1 if it is odd."""
    left, sign = list(order), 1
    for k in range(len(left)):
        while left[k] != k:
            target = left[k]
            left[k], left[target] = left[target], left[k]
            sign = -sign
    return sign
