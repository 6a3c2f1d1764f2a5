"""Functions of whole arrays: the vocabulary of an op's ``arrays`` form, beside operators and the function table.

Each takes and returns balls or duals. ``axis`` is an axis, a tuple of axes, or None for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray
from gradproof.engine.verify.arrays.conditions import Mask
from gradproof.engine.verify.arrays.dual import Dual, broadcast, head, tangents
from gradproof.engine.verify.arrays.extremes import Extremes
from gradproof.engine.verify.arrays.folds import Folds
from gradproof.engine.verify.arrays.places import added_at, ordered, placed_among, whole_numbers
from gradproof.engine.verify.arrays.products import product_of
from gradproof.engine.verify.arrays.scans import running_totals
from gradproof.engine.verify.arrays.selected_products import selected_products
from gradproof.engine.verify.arrays.sums import total_of
from gradproof.engine.verify.readings.axes import Axis, axes_of, in_lines, without


def is_whole(x: Any) -> bool:
    """True for an array, False for a sequence of scalars."""
    return isinstance(x, (BallArray, Dual, Mask, np.ndarray))


class WholeArrayFunctions(Extremes, Folds):
    """The functions, for balls. Attributes: see `Arrays`."""

    model: bool
    running: bool
    likely: bool
    selected: Array | None
    number: Any
    as_number: Any
    where: Any

    def _unit(self, *balls: BallArray, terms: int = 1) -> float | None:
        """The unit roundoff that an evaluation is charged, or None for the true result. The likely error of a sum grows
        with the root of the number of its terms (N. J. Higham and T. Mary, SIAM J. Sci. Comput. 41, 2019)."""
        unit = max(x.unit for x in balls)
        if not (self.model or self.running or unit > UNIT):
            return None
        return unit / math.sqrt(max(terms, 1)) if self.likely else unit

    def moved(self, move: Callable[..., Any], *arrays: Any, **options: Any) -> Any:
        """The elements of arrays at other places, and zeros: ``move(*arrays, **options)`` is a NumPy function that does not
        depend on values. Takes conditions and integers too."""
        if options:
            plain = move

            def move(*operands: Array) -> Any:
                return plain(*operands, **options)

        if all(isinstance(x, np.ndarray) for x in arrays):
            return move(*arrays)
        if all(isinstance(x, Mask) for x in arrays):
            no = np.asarray(move(*(~x.false for x in arrays)), bool)
            return Mask(move(*(x.true for x in arrays)), ~no)
        numbers = [self.as_number(x) for x in arrays]
        if len(numbers) == 1:
            return numbers[0].moved(move)
        moving = sorted(set().union(*(tangents(x) for x in numbers)))
        value = _moved(move, [head(x) for x in numbers])
        if not moving:
            return value
        still = BallArray(0.0)
        return Dual(
            value, {k: _moved(move, [broadcast(tangents(x).get(k, still), x.shape) for x in numbers]) for k in moving}
        )

    def total(self, terms: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """The sum over axes of an array; or the sum of a few scalars."""
        if not is_whole(terms):
            return sum(terms, BallArray(0.0))
        x = self.as_number(terms)
        axes = axes_of(axis, x.ndim)

        def each(ball: BallArray) -> BallArray:
            terms = math.prod(ball.shape[k] for k in axes)
            return total_of(ball, axes, keepdims, self._unit(ball, terms=terms), running=self.running)

        return self._linear(each, x)

    def running_total(self, x: Any, axis: int) -> Any:
        """The cumulative sum along an axis."""

        def each(ball: BallArray) -> BallArray:
            return running_totals(ball, axis, self._unit(ball, terms=ball.shape[axis]), running=self.running)

        return self._linear(each, self.as_number(x))

    def _linear(self, each: Callable[[BallArray], BallArray], x: Any) -> Any:
        """A linear function of the value and of each tangent."""
        if not isinstance(x, Dual):
            return each(x)
        return Dual(each(x.head), {k: each(broadcast(t, x.shape)) for k, t in x.tangents.items()})

    def matmul(self, a: Any, b: Any) -> Any:
        """The matrix product, as ``np.matmul``."""
        a, b = self.as_number(a), self.as_number(b)

        def times(left: BallArray, right: BallArray) -> BallArray:
            unit = self._unit(left, right, terms=left.shape[-1])
            if unit is not None and max(left.ndim, right.ndim) > 1 and self.selected is not None:
                return selected_products(left, right, unit, self.selected, running=self.running)
            return product_of(left, right, unit, running=self.running)

        value = times(head(a), head(b))
        slopes: dict[int, BallArray] = {k: times(broadcast(t, a.shape), head(b)) for k, t in tangents(a).items()}
        for k, t in tangents(b).items():
            part = times(head(a), broadcast(t, b.shape))
            slopes[k] = slopes[k] + part if k in slopes else part
        return Dual(value, slopes) if slopes else value

    # places

    def places(self, indices: Any) -> Array:
        """Indices as integers. Raises NotImplementedError if balls do not decide them."""
        return whole_numbers(indices)

    def added(self, x: Any, indices: Any, updates: Any, axis: int) -> Any:
        """``x`` with the sum of the updates for each index along an axis added to it: ``updates`` has the shape of
        ``np.take(x, indices, axis)``."""
        where = self.places(indices)
        x, updates = self.as_number(x), self.as_number(updates)

        def each(base: BallArray, increments: BallArray) -> BallArray:
            return added_at(base, where, increments, axis, self._unit(base, increments), running=self.running)

        still = BallArray(0.0)
        slopes = {
            k: each(
                broadcast(tangents(x).get(k, still), x.shape), broadcast(tangents(updates).get(k, still), updates.shape)
            )
            for k in sorted(tangents(x).keys() | tangents(updates).keys())
        }
        value = each(head(x), head(updates))
        return Dual(value, slopes) if slopes else value

    def order(self, x: Any, axis: int, descending: bool = False) -> BallArray:
        """The indices that sort each line (stable); nan where balls do not decide them."""
        return ordered(head(self.as_number(x)), axis, descending)

    def place_among(self, lines: Any, values: Any, right: bool = False) -> BallArray:
        """The number of elements of a line that are less than each value, or with ``right`` up to it; nan where balls do
        not decide it. A single line, or lines along the last axis for values along theirs."""
        return placed_among(head(self.as_number(lines)), head(self.as_number(values)), right)

    # functions that leave the value unchanged

    def anchor(self, x: Any, axis: Axis, near: str = "largest") -> BallArray:
        """A constant for each line along axes, which are kept: close to the largest element, or to the mean with
        ``near="mean"``. The value of a form must not depend on the choice."""
        ball = head(self.as_number(x))
        axes = axes_of(axis, ball.ndim)
        with np.errstate(all="ignore"):
            if near == "mean":
                count = max(math.prod(ball.shape[k] for k in axes), 1)
                anchors = ball.mid.sum(axis=axes, keepdims=True) / count
            else:
                anchors = ball.mid.max(axis=axes, keepdims=True, initial=-np.inf)
                if not np.isfinite(anchors).all():
                    known = np.where(np.isfinite(ball.mid), ball.mid, -np.inf)
                    anchors = known.max(axis=axes, keepdims=True, initial=-np.inf)
        return BallArray(np.where(np.isfinite(anchors), anchors, 0.0), None, ball.unit)

    def one_of(self, x: Any, axis: Axis) -> tuple[Mask, Any]:
        """The mask of an element of each line along axes, and its value, with these axes kept. It is the largest element;
        the value of a form must not depend on the choice."""
        x = self.as_number(x)
        mid = head(x).mid
        axes = axes_of(axis, x.ndim)
        order = (*(k for k in range(x.ndim) if k not in axes), *axes)
        sizes, kept_shape = tuple(x.shape[k] for k in order), without(x.shape, axes, True)

        if not x.size:
            return Mask(np.zeros(x.shape, bool)), BallArray(np.full(kept_shape, np.nan))
        lines = in_lines(np.where(np.isnan(mid), -np.inf, mid), axes)
        places = np.argmax(lines, axis=-1)[..., None]
        selected = np.zeros(lines.shape, bool)
        np.put_along_axis(selected, places, True, -1)
        elements = x.moved(lambda a: np.take_along_axis(in_lines(a, axes), places, -1).reshape(kept_shape))
        return Mask(np.transpose(selected.reshape(sizes), np.argsort(order))), elements

    def finite(self, x: Any) -> tuple[Any, Any]:
        """The mask of the elements that are not exactly -inf, and ``x`` with 0 in place of the others; the mask is True if
        there are none. A form states limits at -inf separately, as in ``f.where(there, f.exp(x), 0)``."""
        x = self.as_number(x)
        ball = head(x)
        away = np.isneginf(ball.mid)
        if not away.any():
            return True, x
        there = Mask(~(away & (ball.radius() == 0)))
        return there, self.where(there, x, 0)


def _moved(move: Callable[..., Array], balls: Sequence[BallArray]) -> BallArray:
    mid = move(*(x.mid for x in balls))
    unit = max(x.unit for x in balls)
    return BallArray(mid, None if all(x.rad is None for x in balls) else move(*(x.radius() for x in balls)), unit)
