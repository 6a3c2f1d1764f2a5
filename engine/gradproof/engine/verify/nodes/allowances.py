"""Comparison of an array with its enclosure where elements are sums: a larger distance must be explained by rounding.

The allowance is the error bound of an evaluation of the same program in the dtype of the run (running error analysis:
Higham, Accuracy and Stability of Numerical Algorithms, section 3.3): first for sums in any order, which is a bound; where
that would excuse a visible error, for sums in the usual orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.floats.compare import digits
from gradproof.engine.verify.floats.ulps import close_enough, explained, largest, needed_bits, spacing, unit
from gradproof.engine.verify.nodes.distances import (
    Distances,
    Tally,
    certainly_close,
    distances,
    flat_floats,
    overflow_reason,
    overflowed,
)
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import DIGITS, MADE, RANGE

FACTOR = 2.0
"""Allowances are doubled: functions are charged float64's errors, and a forward may evaluate another formula."""
SEEN_BITS = {np.dtype(np.float64): 31.0}
"""Bits below which an error is visible: a billionth in float64, half of the digits in other dtypes."""
WIDE = 0.25
"""Radius, as a part of the distance, above which a ball is read again with more bits."""
MAX_EXAMINED = 2048
"""Number of elements, the worst, whose rounding in the usual orders is examined."""


class Orders(Enum):
    """Orders in which an evaluation adds numbers."""

    ANY = "any"  # an error bound
    LIKELY = "likely"  # in any order, the likely error: no bound
    USUAL = "usual"  # each usual order is examined


Refine = Callable[[Array], BallArray | None]
Allowance = Callable[[Orders, Array], Array | None]
"""Returns the radii of the results that an evaluation may give, flat, valid at the elements of a mask; None if unknown."""


def compare_array(
    got: Array,
    ball: BallArray,
    allowance: Allowance,
    tally: Tally,
    *,
    finite: bool,
    underflow_growth: Callable[[], float] = lambda: 1.0,
    refined: Refine | None = None,
) -> Array:
    """Note verdicts on the elements of an array, and return the flat places of those that are left unknown.

    Args:
        got: the array of the run.
        finite: inputs and cotangents are finite; otherwise an unknown element is NONFINITE.
        underflow_growth: factor by which an underflow may have grown.
        refined: encloses elements at flat places with more bits: an array of full size, nan where it ran out of time.
    """
    dtype = got.dtype
    floats, mid = flat_floats(got), ball.mid.reshape(-1)
    if ball.spread is None and not ball.part and np.array_equal(floats, mid):
        return np.zeros(0, int)
    flat = ball.moved(lambda a: np.reshape(a, -1))
    quick = certainly_close(floats, flat, dtype)
    if quick is not None and quick[0].all():
        if floats.size:
            tally.note(ValueVerdict(ValueWord.ENCLOSED, quick[1]))
        return np.zeros(0, int)
    rad = flat.radius()
    known = np.isfinite(mid) & np.isfinite(rad)
    if dtype.kind in "biu":
        return _compare_exact(got, floats, mid, (rad == 0) & known, tally)
    far = distances(floats, mid, rad, dtype)
    fine, far_substitutes = far.close(), overflowed(floats, mid, rad, dtype)
    far_substitutes &= ~fine
    tally.note_close(far.ulps[fine])
    if far_substitutes.any():
        tally.note(ValueVerdict(ValueWord.OVERFLOWED, reason=overflow_reason(dtype)))
    not_close = ~(fine | far_substitutes)
    unknown = not_close & ~known
    if unknown.any() and not finite:
        reason = f"it has no finite value here, or rests on a number that is not finite; {MADE}"
        at = int(np.flatnonzero(unknown)[0])
        tally.note(ValueVerdict(ValueWord.NONFINITE, element=tally.place(at), got=repr(float(floats[at])), reason=reason))
        unknown[:] = False
    todo = not_close & known
    if not todo.any() and not unknown.any():
        return np.zeros(0, int)
    doubtful = _Doubtful(floats, mid, rad, far, dtype, allowance, tally, underflow_growth(), refined)
    return np.flatnonzero(doubtful.explain(todo, unknown))


def _compare_exact(got: Array, floats: Array, mid: Array, sure: Array, tally: Tally) -> Array:
    """Compare conditions and integers, which do not round; return the flat places whose truth is unknown."""
    off = np.flatnonzero(sure & (floats != mid))
    if off.size:
        at = int(off[0])
        expected = repr(got.dtype.type(mid[at]).item())
        tally.note(
            ValueVerdict(
                ValueWord.OFF,
                math.inf,
                element=tally.place(at),
                got=repr(np.asarray(got).reshape(-1)[at].item()),
                expected=expected,
                reason="conditions and integers do not round",
            )
        )
    return np.flatnonzero(~sure)


@dataclass
class _Doubtful:
    """The elements of an array that are not close to their enclosures."""

    got: Array
    mid: Array
    rad: Array
    far: Distances
    dtype: DType
    allowance: Allowance
    tally: Tally
    underflow_growth: float
    refined: Refine | None

    def __post_init__(self) -> None:
        self.free = self._free()

    def explain(self, todo: Array, unknown: Array) -> Array:
        """Note verdicts on the elements ``todo`` and ``unknown``, and return the mask of those left unknown."""
        wide, left = self._explained(todo) if todo.any() else (todo, todo)
        wide |= unknown
        if not wide.any():
            return left
        ball = self.refined(np.flatnonzero(wide)) if self.refined is not None else None
        if ball is None:
            poor = wide & ~unknown
            if poor.any():
                self._note_ill_conditioned(poor)
            return left | unknown
        there = wide & np.isfinite(ball.mid)
        self.mid, self.rad = np.where(there, ball.mid, self.mid), np.where(there, ball.radius(), self.rad)
        self.far = distances(self.got, self.mid, self.rad, self.dtype)
        self.free = self._free()
        fine = there & self.far.close()
        self.tally.note_close(self.far.ulps[fine])
        rest = there & ~fine
        if rest.any():
            wider, more = self._explained(rest)
            left |= more
            if wider.any():
                self._note_ill_conditioned(wider)
        return left | (wide & ~there)

    def _free(self) -> Array:
        return close_enough(self.dtype) * self.far.step + explained(self.dtype) * self.underflow_growth * spacing(
            0.0, self.dtype
        )

    def _explained(self, todo: Array) -> tuple[Array, Array]:
        """Note verdicts; return the masks of the elements whose balls are too wide to show digits, and of those left
        unknown."""
        none = np.zeros_like(todo)
        todo = todo & ~self._note_overflow(todo)
        if not todo.any():
            return none, todo
        needed = max(needed_bits(self.dtype), SEEN_BITS.get(self.dtype, 0.0))
        easy = todo & (self.far.least <= self.free) & self.far.digits(needed)  # without an allowance
        self._note_conditioned(easy)
        todo &= ~easy
        if not todo.any():
            return none, none
        near = todo & (self.far.least <= self.free)  # whatever the allowance is: what is left to say is how many digits are
        left, off, unsaid = self._allowed(todo & ~near, needed)
        if off.any():
            self._note_off(off)
        todo = (left | near) & ~off
        easy = todo & self.far.digits()
        self._note_conditioned(easy)
        todo &= ~easy
        wide = todo & (self.rad > WIDE * self.far.most)
        if (todo & ~wide).any():
            self._note_ill_conditioned(todo & ~wide)
        return wide, unsaid

    def _allowed(self, todo: Array, needed: float) -> tuple[Array, Array, Array]:
        """Note elements that rounding explains and that have ``needed`` bits. Return three masks: elements with fewer bits,
        those of them that rounding does not explain, and those without an allowance."""
        none = np.zeros_like(todo)
        bound = self.allowance(Orders.ANY, todo) if todo.any() else None
        if bound is None:
            return none, none, todo
        easy = todo & self._within(bound) & self.far.digits(needed)
        self._note_conditioned(easy)
        left = todo & ~easy
        if not left.any():
            return left, none, none
        likely = self.allowance(Orders.LIKELY, left)
        explained = left & self._within(bound)
        if likely is not None:
            explained &= self._within(likely)
        doubted, off = left & ~explained, left & ~self._within(bound)
        if doubted.any() and not off.any():
            usual = self.allowance(Orders.USUAL, self._worst(doubted))
            if usual is not None:
                off = doubted & ~self._within(usual)
        return left, off, none

    def _worst(self, doubted: Array) -> Array:
        """The elements of a mask with the largest relative distances, at most `MAX_EXAMINED`."""
        at = np.flatnonzero(doubted)
        if at.size <= MAX_EXAMINED:
            return doubted
        with np.errstate(all="ignore"):
            order = np.argsort(-self.far.least[at] / np.maximum(self.far.size[at], self.far.step[at]), kind="stable")
        worst = np.zeros_like(doubted)
        worst[at[order[:MAX_EXAMINED]]] = True
        return worst

    def _within(self, allowed: Array) -> Array:
        """Mask of the distances within an allowance; an unknown allowance permits any."""
        most = FACTOR * allowed + self.free
        return np.asarray((self.far.least <= most) | np.isnan(most))

    def _note_overflow(self, todo: Array) -> Array:
        """Note infinities and nans whose terms may overflow; return their mask."""
        lost = todo & ~np.isfinite(self.got)
        if not lost.any():
            return lost
        allowed = self.allowance(Orders.ANY, lost)
        if allowed is None:
            return np.zeros_like(lost)
        large = lost & ~(allowed < unit(self.dtype) * largest(self.dtype) / 4)
        if large.any():
            reason = f"numbers on the way are beyond the largest of the dtype; {RANGE}"
            self._note(ValueWord.OVERFLOWED, large, reason)
        return large

    def _bits(self, at: Array) -> float:
        """The number of right bits of the worst of some elements."""
        with np.errstate(all="ignore"):
            return float(np.min(np.clip(-np.log2(self.far.most[at] / self.far.size[at]), 0.0, None)))

    def _note_conditioned(self, at: Array) -> None:
        if at.any():
            text = f"rounding on the way explains the distance: {digits(self._bits(at))}; for more {DIGITS}"
            self.tally.note(ValueVerdict(ValueWord.CONDITIONED, float(self.far.ulps[at].max()), reason=text))

    def _note_ill_conditioned(self, at: Array) -> None:
        some = np.flatnonzero(at)
        with np.errstate(all="ignore"):
            bits = self.far.size[some] / self.far.most[some]
        worst = int(some[np.argmin(bits)])
        at_worst = np.zeros_like(at)
        at_worst[worst] = True
        count = "" if some.size == 1 else f" (in {some.size} of {at.size} elements less than half of them)"
        shown = digits(self._bits(at_worst))
        if self.rad[worst] > self.far.most[worst] / 4:
            shown = f"the enclosure shows that {shown}"
        text = f"rounding on the way explains the distance: {shown}{count}; {DIGITS}"
        self._note(ValueWord.ILL_CONDITIONED, at_worst, text)

    def _note_off(self, at: Array) -> None:
        some = np.flatnonzero(at)
        with np.errstate(all="ignore"):
            worst = int(some[np.argmax(self.far.least[some] / self.far.step[some])])
        at_worst = np.zeros_like(at)
        at_worst[worst] = True
        self._note(ValueWord.OFF, at_worst, "no rounding on the way explains the distance")

    def _note(self, word: ValueWord, at: Array, reason: str) -> None:
        worst = int(np.flatnonzero(at)[0])
        self.tally.note(
            ValueVerdict(
                word,
                float(self.far.ulps[worst]),
                element=self.tally.place(worst),
                got=repr(float(self.got[worst])),
                expected=f"{self.mid[worst]:.17g}",
                reason=reason,
            )
        )
