"""Elements at integer indices: scattered sums, and sorting."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray, inflated
from gradproof.engine.verify.arrays.dual import Dual
from gradproof.engine.verify.arrays.sums import MARGIN, SMALLEST, two_sum


def whole_numbers(indices: Any) -> Array:
    """Indices as integers. Raises NotImplementedError if balls do not decide them."""
    if isinstance(indices, np.ndarray):
        return indices.astype(np.intp)
    ball = indices.head if isinstance(indices, Dual) else indices
    known = isinstance(ball, BallArray) and not ball.radius().any() and np.isfinite(ball.mid).all()
    if not known or (ball.mid != np.rint(ball.mid)).any():
        raise NotImplementedError("places that are not known as integers are not read in arrays")
    return np.asarray(ball.mid.astype(np.intp))


def added_at(
    x: BallArray, indices: Array, updates: BallArray, axis: int, unit: float | None = None, *, running: bool = False
) -> BallArray:
    """``x`` with ``updates`` added at ``indices`` along an axis, as ``np.add.at``.

    Args:
        unit: None for the true sums, else unit roundoff of an evaluation that adds in some order.
        running: the evaluation adds one number after the other.
    """
    size = x.shape[axis]
    if not x.size:
        return x
    width = x.size // max(size, 1)

    def rows(a: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(a, axis, 0)).reshape(size, width)

    def more(a: Array) -> Array:
        inside = tuple(range(axis, axis + indices.ndim))
        return np.ascontiguousarray(np.moveaxis(a, inside, tuple(range(indices.ndim)))).reshape(indices.size, width)

    places = np.concatenate([np.arange(size), indices.reshape(-1) % max(size, 1)])
    order = np.argsort(places, kind="stable")
    places = places[order]
    terms = np.concatenate([rows(x.mid), more(updates.mid)])[order]
    first = np.flatnonzero(np.diff(places, prepend=-1))  # each place has its own element of x first
    counts = np.diff(first, append=len(places))[:, None]
    with np.errstate(all="ignore"):
        sizes = np.add.reduceat(np.abs(terms), first, axis=0)
        if unit is None:
            high, low, depth = _in_segments(terms, places)
            mid = high + low
            rad = np.abs(mid) * UNIT + sizes * (1.01 * (depth * UNIT) ** 2) + np.minimum(sizes, SMALLEST)
            alone = (counts == 1) | ((mid == 0) & (sizes == 0))
            rad = np.where(alone, 0.0, rad)
        else:
            mid = np.add.reduceat(terms, first, axis=0)
            rad = sizes * (counts * UNIT)
            if running:
                rad = rad + (MARGIN * unit) * _stepwise(terms, first, counts)
            else:
                rad = rad + sizes * ((counts - 1) * unit)
        if x.rad is not None or updates.rad is not None:
            propagated = np.concatenate([rows(x.radius()), more(updates.radius())])[order]
            rad = rad + np.add.reduceat(propagated, first, axis=0) * (1 + 2 * counts * UNIT)
        rad = np.where(rad == 0, 0.0, inflated(rad))
        rad = np.where(np.isnan(mid), np.nan, rad)
    shape = (size, *x.shape[:axis], *x.shape[axis + 1 :])
    return BallArray(mid, rad, max(x.unit, updates.unit)).moved(lambda a: np.moveaxis(np.reshape(a, shape), 0, axis))


def _in_segments(terms: Array, places: Array) -> tuple[Array, Array, int]:
    """Sums of rows at the same index, the sums of their rounding errors (Sum2, see `sums`), and the largest number of
    additions of a term."""
    high, low, depth = terms, np.zeros_like(terms), 1
    while len(places) and (places[1:] == places[:-1]).any():
        first = np.flatnonzero(np.diff(places, prepend=-1))
        rank = np.arange(len(places)) - np.repeat(first, np.diff(first, append=len(places)))
        left = np.flatnonzero(rank % 2 == 0)
        paired = (left + 1 < len(places)) & (places[np.minimum(left + 1, len(places) - 1)] == places[left])
        a = left[paired]
        s, e = two_sum(high[a], high[a + 1])
        e += low[a]
        e += low[a + 1]
        high, low, places = high[left], low[left], places[left]
        high[paired], low[paired] = s, e
        depth += 3
    return high, low, depth


def _stepwise(terms: Array, first: Array, counts: Array) -> Array:
    """The sums of the magnitudes of the partial sums at each index, where rows are added one after the other."""
    sizes = np.zeros((len(first), terms.shape[1]))
    partial = terms[first] if len(first) else sizes
    for k in range(1, int(counts.max(initial=0))):
        there = counts[:, 0] > k
        partial = np.where(there[:, None], partial + terms[np.where(there, first + k, 0)], partial)
        sizes = sizes + np.where(there[:, None], np.abs(partial), 0.0)
    return sizes


def ordered(x: BallArray, axis: int, descending: bool) -> BallArray:
    """The indices that sort each line along an axis (stable); nan where balls overlap that are not the same number."""
    mid, rad = np.moveaxis(x.mid, axis, -1), np.moveaxis(x.radius(), axis, -1)
    n = mid.shape[-1]
    if descending:
        order = n - 1 - np.flip(np.argsort(np.flip(mid, -1), -1, kind="stable"), -1)
    else:
        order = np.argsort(mid, -1, kind="stable")
    places = order.astype(np.float64)
    line, wide = np.take_along_axis(mid, order, -1), np.take_along_axis(rad, order, -1)
    low, high = _ends(line, wide)
    if descending:
        low, high = -high, -low
    reach = np.maximum.accumulate(high, axis=-1)[..., :-1]
    following = np.flip(np.minimum.accumulate(np.flip(low, -1), axis=-1), -1)[..., 1:]
    same = (line[..., 1:] == line[..., :-1]) & (wide[..., 1:] == 0) & (wide[..., :-1] == 0)
    touching = ~((reach < following) | (same & (reach <= following)))
    undecided = np.zeros(line.shape, bool)
    undecided[..., :-1] |= touching
    undecided[..., 1:] |= touching
    undecided |= ~np.isfinite(wide) | np.isnan(line)
    if np.isnan(mid).any() or not np.isfinite(rad).all():
        undecided |= (np.isnan(line) | ~np.isfinite(wide)).any(axis=-1, keepdims=True)
    return BallArray(np.moveaxis(np.where(undecided, np.nan, places), -1, axis))


def placed_among(lines: BallArray, values: BallArray, right: bool) -> BallArray:
    """The number of elements of a line that are less than each value, or with ``right`` up to it; nan where balls do not
    decide it. A single line, or lines along the last axis for values along theirs."""
    low, high = _ends(lines.mid, lines.radius())
    least, most = _ends(values.mid, values.radius())
    side: Literal["left", "right"] = "right" if right else "left"
    sure, possible = np.empty(values.mid.shape), np.empty(values.mid.shape)
    for index in np.ndindex(low.shape[:-1]):
        sure[index] = np.searchsorted(np.sort(high[index]), least[index], side)
        possible[index] = np.searchsorted(np.sort(low[index]), most[index], side)
    unknown = np.isnan(values.mid) | np.isnan(high).any(axis=-1, keepdims=high.ndim > 1)
    return BallArray(np.where((sure == possible) & ~unknown, sure, np.nan))


def _ends(mid: Array, rad: Array) -> tuple[Array, Array]:
    """The ends of balls, rounded outwards; exact numbers unchanged."""
    wide = np.where(rad > 0, rad * (1 + 4 * UNIT) + np.abs(mid) * (2 * UNIT), 0.0)
    with np.errstate(all="ignore"):
        return mid - wide, mid + wide
