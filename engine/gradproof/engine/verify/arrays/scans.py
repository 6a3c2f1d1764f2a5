"""Cumulative sums of arrays of balls, and pairwise folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray, inflated
from gradproof.engine.verify.arrays.sums import MARGIN, SMALLEST, two_sum


def running_totals(x: BallArray, axis: int, unit: float | None = None, *, running: bool = False) -> BallArray:
    """The cumulative sums along an axis.

    Args:
        unit: None for the true sums (see `sums`), else unit roundoff of an evaluation.
        running: the evaluation adds one number after the other.
    """
    if not x.size:
        return x
    front = np.ascontiguousarray(np.moveaxis(x.mid, axis, 0))
    with np.errstate(all="ignore"):
        sizes = np.cumsum(np.abs(front), axis=0)
        terms = np.arange(1, len(front) + 1).reshape(-1, *(1,) * (front.ndim - 1))
        if unit is None:
            high, low, depth = _scanned(front.reshape(len(front), -1))
            mid = (high + low).reshape(front.shape)
            rad = np.abs(mid) * UNIT + sizes * (1.01 * (depth * UNIT) ** 2) + np.minimum(sizes, SMALLEST)
            whole = np.logical_and.accumulate(front == np.rint(front), axis=0) & (sizes <= 1 / UNIT)
            rad = np.where(whole, 0.0, rad)  # integers that floats hold are added without rounding
        else:
            mid = np.cumsum(front, axis=0)
            charge = np.cumsum(np.abs(mid), axis=0) * (MARGIN * unit) if running else sizes * ((terms - 1) * unit)
            rad = charge + sizes * (terms * UNIT)
        if x.rad is not None:
            propagated = np.cumsum(np.moveaxis(x.radius(), axis, 0), axis=0)
            rad = rad + propagated * (1 + 2 * len(front) * UNIT)
        rad = np.where(rad == 0, 0.0, inflated(rad))
        rad = np.where(np.isnan(mid), np.nan, rad)
    return BallArray(np.moveaxis(mid, 0, axis), np.moveaxis(rad, 0, axis), x.unit)


def _scanned(x: Array) -> tuple[Array, Array, int]:
    """The rounded cumulative sums along the first axis, those of the rounding errors, and the largest number of additions
    of a term. Long lines are cut into pieces that are scanned side by side."""
    n, width = x.shape
    length = max(32, int(np.sqrt(n)))
    if n <= 2 * length or width >= 4096:
        high, low = x.copy(), np.zeros_like(x)
        for k in range(1, n):
            high[k], low[k] = two_sum(high[k - 1], x[k])
            low[k] += low[k - 1]
        return high, low, 2 * n
    pieces = -(-n // length)
    padded = np.zeros((pieces * length, width))
    padded[:n] = x
    side = np.ascontiguousarray(np.moveaxis(padded.reshape(pieces, length, width), 1, 0)).reshape(length, -1)
    high, low, depth = _scanned(side)
    ends = high[-1].reshape(pieces, width)
    before, errors, more = _scanned(ends)
    errors = errors + np.cumsum(low[-1].reshape(pieces, width), axis=0)
    start, late = np.zeros_like(before), np.zeros_like(before)
    start[1:], late[1:] = before[:-1], errors[:-1]
    s, e = two_sum(high.reshape(length, pieces, width), start)
    e += low.reshape(length, pieces, width)
    e += late

    def joined(a: Array) -> Array:
        return np.asarray(np.moveaxis(a, 0, 1).reshape(-1, width)[:n])

    return joined(s), joined(e), depth + more + pieces + 2


def folded(combine: Callable[[Any, Any], Any], part: Callable[[Any, int, int], Any], x: Any, n: int) -> Any:
    """``combine`` of the ``n`` parts of an array, by halves; ``part(x, start, stop)`` selects parts."""
    left: Any = None
    while n > 1:
        half, odd = divmod(n, 2)
        if odd:
            rest = part(x, n - 1, n)
            left = rest if left is None else combine(rest, left)
        x, n = combine(part(x, 0, half), part(x, half, 2 * half)), half
    return x if left is None else combine(x, left)
