"""The largest and the smallest element of lines of balls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray
from gradproof.engine.verify.arrays.dual import Dual, head, tangents
from gradproof.engine.verify.readings.axes import Axis, axes_of, in_lines, without


class Extremes:
    """Functions for extremes. Values are enclosed also where balls do not tell which element is the largest; derivatives
    are known where exactly one element can be, or becomes so along ``perturbation``."""

    perturbation: Sequence[float] | None
    tied: Any
    as_number: Any

    def largest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """The largest element over axes."""
        x = self.as_number(x)
        axes = axes_of(axis, x.ndim)
        top = self._top(x.moved(lambda a: in_lines(a, axes)))
        return top.moved(lambda a: np.reshape(a, without(x.shape, axes, keepdims)))

    def smallest(self, x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """The smallest element over axes."""
        return -self.largest(-self.as_number(x), axis, keepdims)

    def place_of_largest(self, x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        """The index of the first of the largest elements along an axis, or in the flattened array; nan where balls do not
        decide it."""
        ball = head(self.as_number(x))
        shape = tuple(1 if axis in (None, k) else n for k, n in enumerate(ball.shape) if keepdims or axis not in (None, k))
        lines = ball.moved(lambda a: a.reshape(1, -1) if axis is None else np.moveaxis(a, axis, -1))
        candidate, _ = _candidates(lines)
        sure = (candidate.sum(axis=-1) == 1) | self._equal(lines, candidate)
        return BallArray(np.where(sure, np.argmax(candidate, axis=-1), np.nan).reshape(shape))

    def place_of_smallest(self, x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        """The index of the first of the smallest elements, likewise."""
        return self.place_of_largest(-self.as_number(x), axis, keepdims)

    def running_place_of_largest(self, x: Any, axis: int) -> BallArray:
        """The index of the last of the largest elements up to each along an axis; nan where balls do not decide it."""
        ball = head(self.as_number(x))
        lines = ball.moved(lambda a: np.moveaxis(a, axis, -1))
        wide = np.where(lines.radius() > 0, lines.radius() * (1 + 4 * UNIT) + np.abs(lines.mid) * (2 * UNIT), 0.0)
        low, high = lines.mid - wide, lines.mid + wide
        places = np.arange(low.shape[-1])
        before = [np.maximum.accumulate(end, axis=-1) for end in (low, high)]
        sure, possible = low >= before[1], high >= before[0]
        last = [np.maximum.accumulate(np.where(hits, places, 0), axis=-1) for hits in (sure, possible)]
        known = (last[0] == last[1]) & ~np.isnan(before[1])
        return BallArray(np.moveaxis(np.where(known, last[0], np.nan), -1, axis))

    def _top(self, x: Any) -> Any:
        """The largest element of each line along the last axis."""
        ball = head(x)
        candidate, value = _candidates(ball)
        if not isinstance(x, Dual):
            return value
        ambiguous = candidate.sum(axis=-1) > 1
        if ambiguous.any():
            same = ambiguous & self._equal(ball, candidate)
            if same.any():
                self.tied = with_ties(self.tied, same)
                if self.perturbation is not None:
                    candidate = np.where(same[..., None], self._leading(x, candidate), candidate)
        place = np.argmax(candidate, axis=-1)[..., None]
        undecided = candidate.sum(axis=-1) > 1
        slopes = {}
        for k, tangent in tangents(x).items():
            slope = BallArray(np.broadcast_to(tangent.mid, x.shape), tangent.rad, tangent.unit)
            selected = slope.moved(lambda a: np.take_along_axis(a, place, -1)[..., 0])
            slopes[k] = BallArray(np.where(undecided, np.nan, selected.mid), selected.rad, selected.unit)
        return Dual(value, slopes)

    def _equal(self, ball: BallArray, candidate: Array) -> Array:
        """Mask of the lines whose candidates are all the same exact number."""
        exact = np.where(candidate, ball.radius() == 0, True).all(axis=-1)
        top = np.where(candidate, ball.mid, -np.inf).max(axis=-1)
        least = np.where(candidate, ball.mid, np.inf).min(axis=-1)
        return np.asarray(exact & (top == least))

    def _leading(self, x: Dual, candidate: Array) -> Array:
        """Mask of the first of the tied candidates that grows most along the perturbation."""
        assert self.perturbation is not None
        slope = np.zeros(x.shape)
        for k, tangent in x.tangents.items():
            slope = slope + tangent.mid * self.perturbation[k]
        slope = np.where(candidate, slope, -np.inf)
        leading = np.zeros(candidate.shape, bool)
        np.put_along_axis(leading, np.argmax(slope, axis=-1)[..., None], True, -1)
        return leading


def _candidates(ball: BallArray) -> tuple[Array, BallArray]:
    """Mask of the elements of lines along the last axis that may be the largest, and the largest."""
    if ball.rad is None:
        top = ball.mid.max(axis=-1)
        unknown = np.isnan(top)[..., None]
        return (ball.mid == top[..., None]) | unknown, BallArray(top, None, ball.unit)
    wide = ball.radius()
    rad = np.where(wide > 0, wide * (1 + 4 * UNIT) + np.abs(ball.mid) * (2 * UNIT), wide)
    with np.errstate(all="ignore"):
        low, high = (ball.mid - rad).max(axis=-1), (ball.mid + rad).max(axis=-1)
        candidate = ~(ball.mid + rad < low[..., None])
        return candidate, _between(ball, candidate, low, high)


def _between(ball: BallArray, candidate: Array, low: Array, high: Array) -> BallArray:
    """The ball of the only candidate, or a ball around all candidates."""
    place = np.argmax(candidate, axis=-1)[..., None]
    single = ball.moved(lambda a: np.take_along_axis(a, place, -1)[..., 0])
    middle = low + (high - low) / 2
    wide = np.maximum(high - middle, middle - low) * (1 + 4 * UNIT) + np.abs(middle) * (2 * UNIT)
    ambiguous = candidate.sum(axis=-1) > 1
    return BallArray(np.where(ambiguous, middle, single.mid), np.where(ambiguous, wide, single.radius()), ball.unit)


def with_ties(tied: Array | bool, more: Array) -> Array:
    """Two masks of ties combined; True for all where the shapes do not fit."""
    try:
        return np.asarray(tied | more)
    except ValueError:
        return np.asarray(True)
