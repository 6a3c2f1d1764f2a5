"""The reading of definitions over whole arrays of balls: `Arrays` is the ``f`` of a definition, given arrays for scalars.

An elementwise definition is read as it stands: its scalars are arrays, all elements at once. Of any other op the ``arrays``
form is read, which takes whole arrays too (see `Op`). Scalars may move (`Dual`); then so do results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.scalar_functions import OnReals
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray, ball_array, exact, number
from gradproof.engine.verify.arrays.calibration import demand
from gradproof.engine.verify.arrays.conditions import Mask, mask_of
from gradproof.engine.verify.arrays.dual import Dual, head, tangents
from gradproof.engine.verify.arrays.extremes import with_ties
from gradproof.engine.verify.arrays.functions import TABLE
from gradproof.engine.verify.arrays.whole_functions import WholeArrayFunctions


class Arrays(WholeArrayFunctions, OnReals):
    """One reading.

    Args:
        perturbation: on which side of a tie to read, as the step of each direction; None: on none.
        model: read all that an evaluation may give, with the rounding that numbers are charged (`BallArray.unit`); else
            the truth, but where that is more than float64's.
        running: read as ``model`` does, and charge sums the rounding of the partial sums that they have in the usual
            orders; else that of any order, which is more.
        likely: charge sums what their rounding likely costs, in any order; no bound.
        selected: the elements, as a mask, of the only matrix product that are wanted where ``running``.

    ``tied`` collects where numbers that move were compared and are equal; ``equalities``, if it is a list, where any were.
    """

    def __init__(
        self,
        perturbation: Sequence[float] | None = None,
        *,
        model: bool = False,
        running: bool = False,
        likely: bool = False,
        selected: Array | None = None,
    ) -> None:
        self.perturbation, self.model, self.running = perturbation, model or running, running
        self.likely, self.selected = likely, selected
        self.tied: Any = False
        self.equalities: list[Array] | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A row of the table, if it is as accurate on this machine as it states."""
        row = TABLE.get(name)
        if row is None:
            raise NotImplementedError(f"{name} is not read in arrays")
        sharp = demand(name).sharp

        def apply(*arguments: Any) -> Any:
            heads = [head(x) for x in arguments]
            value = row.ball(*heads, sharp=sharp)
            moving = [k for k, x in enumerate(arguments) if isinstance(x, Dual)]
            if not moving:
                return value
            slopes: dict[int, BallArray] = {}
            for k in moving:
                slope = row.partials[k](self, value, *heads)
                for direction, along in tangents(arguments[k]).items():
                    part = slope * along
                    slopes[direction] = slopes[direction] + part if direction in slopes else part
            return Dual(value, slopes)

        setattr(self, name, apply)
        return apply

    @property
    def pi(self) -> BallArray:
        value = ball_array(arb.pi())
        assert isinstance(value, BallArray)
        return value

    def number(self, value: Any) -> Any:
        if isinstance(value, (BallArray, Dual)):
            return value
        return exact(value) if isinstance(value, np.ndarray) else number(value)

    # comparisons

    def _compared(self, a: Any, b: Any) -> tuple[Array, Array, Array]:
        """Where ``a`` is certainly below ``b``, above it, and where both are the same number."""
        x, y = head(a), head(b)
        apart = y.mid - x.mid
        if x.rad is None and y.rad is None:
            below, above, equal = apart > 0, apart < 0, x.mid == y.mid  # infinities are equal to themselves
        else:
            wide = (x.radius() + y.radius()) * (1 + 8 * UNIT)
            sure = np.abs(apart) * (1 - 4 * UNIT) > wide
            below, above, equal = sure & (apart > 0), sure & (apart < 0), (wide == 0) & (apart == 0)
        below, above, equal = np.asarray(below), np.asarray(above), np.asarray(equal)
        if self.equalities is not None and equal.any():
            self.equalities.append(equal)
        moving = self._moving(a, b)
        if moving is not None and equal.any():
            self.tied = with_ties(self.tied, equal & moving)
            if self.perturbation is not None:
                slope = self._slope(b) - self._slope(a)
                below, above = below | (equal & (slope > 0)), above | (equal & (slope < 0))
                equal = equal & (slope == 0)
        return below, above, equal

    def _moving(self, a: Any, b: Any) -> Any:
        """Where the difference of two numbers moves; None if nowhere."""
        if not isinstance(a, Dual) and not isinstance(b, Dual):
            return None
        return np.True_

    def _slope(self, x: Any) -> Any:
        """The derivative along the step of the lean."""
        assert self.perturbation is not None
        return sum((tangent.mid * self.perturbation[k] for k, tangent in tangents(x).items()), 0.0)

    def less(self, a: Any, b: Any) -> Mask:
        below, above, equal = self._compared(a, b)
        return Mask(below, above | equal)

    def less_equal(self, a: Any, b: Any) -> Mask:
        below, above, equal = self._compared(a, b)
        return Mask(below | equal, above)

    def equal(self, a: Any, b: Any) -> Mask:
        below, above, equal = self._compared(a, b)
        return Mask(equal, below | above)

    def both(self, a: Any, b: Any) -> Mask:
        return mask_of(a) & mask_of(b)

    def either(self, a: Any, b: Any) -> Mask:
        return mask_of(a) | mask_of(b)

    def negate(self, a: Any) -> Mask:
        return ~mask_of(a)

    def as_number(self, x: Any) -> Any:
        """A condition as 1 or 0, nan where it is not decided; a number as itself."""
        if isinstance(x, bool):
            return number(int(x))
        if not isinstance(x, Mask):
            return self.number(x)
        return BallArray(np.where(x.true, 1.0, np.where(x.false, 0.0, np.nan)))

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """The branch that is taken, for each element; nan where that is not decided."""
        if isinstance(condition, bool):
            return a if condition else b
        mask = mask_of(condition)
        value = _chosen(mask, head(a), head(b))
        moving = tangents(a).keys() | tangents(b).keys()
        if not moving:
            return value
        still = BallArray(0.0)
        return Dual(value, {k: _chosen(mask, tangents(a).get(k, still), tangents(b).get(k, still)) for k in moving})

    def floor(self, x: Any) -> Any:
        """The largest integer up to ``x``, nan where a ball straddles a step; it does not move."""
        ball = head(x)
        if ball.rad is None:
            whole = np.floor(ball.mid)
        else:
            rad = ball.rad * (1 + 8 * UNIT) + np.abs(ball.mid) * (4 * UNIT)
            low, high = np.floor(ball.mid - rad), np.floor(ball.mid + rad)
            whole = np.where(low == high, low, np.nan)
        if isinstance(x, Dual):
            self.tied = with_ties(self.tied, whole == ball.mid)
        if self.equalities is not None and np.any(whole == ball.mid):
            self.equalities.append(np.asarray(whole == ball.mid))
        return BallArray(whole)


def _chosen(mask: Mask, a: BallArray, b: BallArray) -> BallArray:
    mid = np.where(mask.true, a.mid, b.mid)
    open_ = mask.open
    if open_.any():
        mid = np.where(open_, np.nan, mid)
    unit = max(a.unit, b.unit)
    if a.rad is None and b.rad is None:
        return BallArray(mid, None, unit)
    rad = np.where(mask.true, 0.0 if a.rad is None else a.rad, 0.0 if b.rad is None else b.rad)
    return BallArray(mid, rad, unit)
