"""The reading of definitions over whole arrays of balls: `Arrays` is the ``f`` of a definition, with arrays for scalars.

An elementwise definition is read as it stands: its scalars are arrays, all elements at once. Of another op the ``arrays``
form is read, which takes whole arrays too (see `Op`). With `Dual` arguments results are duals.
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
    """A reading of definitions and forms.

    Args:
        perturbation: step for each direction, along which ties are left; None: undecided.
        model: read all results that an evaluation may give, with the unit roundoff of its operands (`BallArray.unit`); else
            the
            true result, unless that unit is larger than float64's.
        running: as ``model``, and charge sums for their partial sums in the usual orders, which is less than for any order.
        likely: charge sums the error that is likely in any order, which is no bound.
        selected: mask of the elements that are needed of the only matrix product, where ``running``.

    ``tied`` collects the elements where numbers with derivatives were compared and are equal; ``equalities``, if it is a
    list, those where any numbers were.
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
        """A function of the table. Raises NotImplementedError if it is not as accurate on this machine as its row
        states."""
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
        """Masks of ``a < b``, ``a > b`` and ``a == b``, as far as balls decide them."""
        x, y = head(a), head(b)
        difference = y.mid - x.mid
        if x.rad is None and y.rad is None:
            below, above, equal = difference > 0, difference < 0, x.mid == y.mid  # infinities are equal to themselves
        else:
            wide = (x.radius() + y.radius()) * (1 + 8 * UNIT)
            sure = np.abs(difference) * (1 - 4 * UNIT) > wide
            below, above, equal = sure & (difference > 0), sure & (difference < 0), (wide == 0) & (difference == 0)
        below, above, equal = np.asarray(below), np.asarray(above), np.asarray(equal)
        if self.equalities is not None and equal.any():
            self.equalities.append(equal)
        if (isinstance(a, Dual) or isinstance(b, Dual)) and equal.any():
            self.tied = with_ties(self.tied, equal)
            if self.perturbation is not None:
                slope = self._slope(b) - self._slope(a)
                below, above = below | (equal & (slope > 0)), above | (equal & (slope < 0))
                equal = equal & (slope == 0)
        return below, above, equal

    def _slope(self, x: Any) -> Any:
        """The derivative along the perturbation."""
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

    def isnan(self, x: Any) -> Mask:
        return self._exact(np.isnan, x)

    def isinf(self, x: Any) -> Mask:
        return self._exact(np.isinf, x)

    def _exact(self, predicate: Callable[[Array], Array], x: Any) -> Mask:
        """Floats for which a predicate holds; undecided where a ball with a radius is not finite."""
        ball = head(x)
        holds, finite = np.asarray(predicate(ball.mid)), np.isfinite(ball.mid) & np.isfinite(ball.radius())
        return Mask(holds & (ball.rad is None), ~holds if ball.rad is None else finite)

    def truth(self, x: Any) -> Mask:
        """A condition as a mask; of numbers, where they are not 0."""
        return ~self.equal(x, 0) if isinstance(x, (BallArray, Dual)) else mask_of(x)

    def both(self, a: Any, b: Any) -> Mask:
        return self.truth(a) & self.truth(b)

    def either(self, a: Any, b: Any) -> Mask:
        return self.truth(a) | self.truth(b)

    def negate(self, a: Any) -> Mask:
        return ~self.truth(a)

    def as_number(self, x: Any) -> Any:
        """A condition as 1 or 0, nan where it is undecided; a number as itself."""
        if isinstance(x, bool):
            return number(int(x))
        if not isinstance(x, Mask):
            return self.number(x)
        return BallArray(np.where(x.true, 1.0, np.where(x.false, 0.0, np.nan)))

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """The branch that is taken, for each element; nan where the condition is undecided."""
        if isinstance(condition, bool):
            return a if condition else b
        mask = mask_of(condition)
        value = _chosen(mask, head(a), head(b))
        moving = tangents(a).keys() | tangents(b).keys()
        if not moving:
            return value
        still = BallArray(0.0)
        return Dual(value, {k: _chosen(mask, tangents(a).get(k, still), tangents(b).get(k, still)) for k in moving})

    def constant(self, x: Any) -> Any:
        return head(x)

    def floor(self, x: Any) -> Any:
        """The largest integer up to ``x``, without a derivative; nan where a ball contains a step."""
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
    undecided = mask.open
    if undecided.any():
        mid = np.where(undecided, np.nan, mid)
    unit = max(a.unit, b.unit)
    if a.rad is None and b.rad is None:
        return BallArray(mid, None, unit)
    rad = np.where(mask.true, 0.0 if a.rad is None else a.rad, 0.0 if b.rad is None else b.rad)
    return BallArray(mid, rad, unit)
