"""Whether any point has given signs: affine inequalities in rationals, by eliminating one variable after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import sympy

MAX_ROWS = 10_000

Signs: TypeAlias = Sequence[tuple[Any, int]]  # a difference and its sign, 1 or -1
Row: TypeAlias = tuple[Any, ...]  # coefficients and a constant: their combination is above 0


class Unknown(Exception):
    """Not all differences are affine with rational coefficients, or there are too many."""


def point_with(signs: Signs) -> dict[Any, Any] | None:
    """A rational point at which every difference has its sign (and positive symbols are positive), or None if there is
    none: decided exactly (Fourier and Motzkin). Raises Unknown."""
    free = sorted({s for difference, _ in signs for s in difference.free_symbols}, key=sympy.default_sort_key)
    rows = [_row(difference, sign, free) for difference, sign in signs]
    rows += [tuple(sympy.Integer(s == t) for t in (*free, 1)) for s in free if s.is_positive]
    stages: list[list[Row]] = []
    for k in range(len(free)):
        stages.append(rows)
        above, below = [row for row in rows if row[k] > 0], [row for row in rows if row[k] < 0]
        if len(above) * len(below) > MAX_ROWS:
            raise Unknown
        rows = [row for row in rows if row[k] == 0] + [
            tuple(p * -down[k] + q * up[k] for p, q in zip(up, down, strict=True)) for up in above for down in below
        ]
    if any(row[-1] <= 0 for row in rows):
        return None
    point: dict[Any, Any] = {}
    for k in range(len(free) - 1, -1, -1):
        point[free[k]] = _between(stages[k], k, free, point)
    return point


def _row(difference: Any, sign: int, free: Sequence[Any]) -> Row:
    try:
        polynomial = sympy.Poly(difference, *free)
    except sympy.PolynomialError:
        raise Unknown from None
    row = tuple(sign * polynomial.coeff_monomial(m) for m in (*free, 1))
    if polynomial.total_degree() > 1 or not all(c.is_Rational for c in row):
        raise Unknown
    return row


def _between(rows: Sequence[Row], k: int, free: Sequence[Any], point: dict[Any, Any]) -> Any:
    """A value for variable k between its bounds, those after it being known."""
    low, high = None, None
    for row in rows:
        if row[k] == 0:
            continue
        rest = row[-1] + sum(row[j] * point[free[j]] for j in range(k + 1, len(free)))
        bound = -rest / row[k]
        if row[k] > 0:
            low = bound if low is None else max(low, bound)
        else:
            high = bound if high is None else min(high, bound)
    if low is None:
        return sympy.Integer(0) if high is None else high - 1
    return low + 1 if high is None else (low + high) / 2
