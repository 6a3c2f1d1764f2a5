"""Judging one array of a node whose elements are made of many numbers: what is not close must be explained by rounding.

The allowance is what an evaluation of the same program in the dtype of the run may be off (running error analysis): first
of sums in any order, which is a bound; where that would excuse what is to be seen, of sums in the usual orders.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np

from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.floats.compare import digits
from gradproof.engine.verify.floats.ulps import close_enough, explained, largest, needed_bits, spacing, unit
from gradproof.engine.verify.nodes.judging import (
    Distances,
    Tally,
    distances,
    flat_floats,
    near_by,
    overflow_reason,
    overflowed,
)
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import DIGITS, MADE, RANGE

FACTOR = 2.0
"""Allowances are doubled: functions are charged what those of float64 may be off, and a forward may be another formula."""
SEEN_BITS = {np.dtype(np.float64): 31.0}
"""An error of a billionth is seen in float64, though half of the digits are right then; of others a half is seen."""
WIDE = 0.25
"""A ball is wide if it is so much of the distance."""
MAX_LOOKED_AT = 2048
"""Elements whose rounding in the usual orders is looked at, the worst: a fault is among them, or hides behind others."""


class Orders(Enum):
    """In which orders numbers are added up, for an allowance."""

    ANY = "any"  # a bound
    LIKELY = "likely"  # what is likely, in any order: no bound
    USUAL = "usual"  # what the usual orders may cost, looked at one by one


Finer = Callable[[Array], BallArray | None]
Allowing = Callable[[Orders, Array], Array | None]
"""The radii of what an evaluation may give, flat, at least at the elements of a mask. None: not known."""


def judge_array(
    got: Any,
    ball: BallArray,
    allowing: Allowing,
    tally: Tally,
    *,
    finite: bool,
    beneath: Callable[[], float] = lambda: 1.0,
    finer: Finer | None = None,
) -> Array:
    """Note what is said of the elements of an array, and give those of which nothing is known well enough, flat.

    Args:
        finite: inputs and cotangents are; otherwise what has no value has none.
        beneath: by how much a number that underflowed may have grown.
        finer: enclosures in more digits, in a row, of elements at flat places, nan where there was no time; or None.
    """
    dtype = got.dtype
    floats, mid = flat_floats(got), ball.mid.reshape(-1)
    if ball.spread is None and not ball.part and np.array_equal(floats, mid):
        return np.zeros(0, int)
    flat = ball.moved(lambda a: np.reshape(a, -1))
    quick = near_by(floats, flat, dtype)
    if quick is not None and quick[0].all():
        if floats.size:
            tally.note(ValueVerdict(ValueWord.ENCLOSED, quick[1]))
        return np.zeros(0, int)
    rad = flat.radius()
    known = np.isfinite(mid) & np.isfinite(rad)
    if dtype.kind in "biu":
        return _whole(got, floats, mid, (rad == 0) & known, tally)
    far = distances(floats, mid, rad, dtype)
    fine, beyond = far.fine(), overflowed(floats, mid, rad, dtype)
    beyond &= ~fine
    tally.close(far.ulps[fine])
    if beyond.any():
        tally.note(ValueVerdict(ValueWord.OVERFLOWED, reason=overflow_reason(dtype)))
    open_ = ~(fine | beyond)
    unknown = open_ & ~known
    if unknown.any() and not finite:
        reason = f"it has no finite value here, or rests on a number that is not finite; {MADE}"
        at = int(np.flatnonzero(unknown)[0])
        tally.note(ValueVerdict(ValueWord.NONFINITE, element=tally.place(at), got=repr(float(floats[at])), reason=reason))
        unknown[:] = False
    todo = open_ & known
    if not todo.any() and not unknown.any():
        return np.zeros(0, int)
    doubtful = _Doubtful(floats, mid, rad, far, dtype, allowing, tally, beneath(), finer)
    return np.flatnonzero(doubtful.judge(todo, unknown))


def _whole(got: Any, floats: Array, mid: Array, sure: Array, tally: Tally) -> Array:
    """Conditions and integers do not round."""
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


class _Doubtful:
    """The elements of one array that are not close."""

    def __init__(
        self,
        got: Array,
        mid: Array,
        rad: Array,
        far: Distances,
        dtype: DType,
        allowing: Allowing,
        tally: Tally,
        beneath: float,
        finer: Finer | None,
    ) -> None:
        self.got, self.mid, self.rad, self.far, self.dtype = got, mid, rad, far, dtype
        self.allowing, self.tally, self.beneath, self.finer = allowing, tally, beneath, finer
        self.free = self._free()

    def judge(self, todo: Array, unknown: Array) -> Array:
        """Note the words of the elements ``todo``, and of the ``unknown`` ones, and give those that nothing can be said
        of."""
        wide, left = self._judged(todo) if todo.any() else (todo, todo)
        wide |= unknown
        if not wide.any():
            return left
        ball = self.finer(np.flatnonzero(wide)) if self.finer is not None else None
        if ball is None:
            poor = wide & ~unknown
            if poor.any():
                self._ill(poor)
            return left | unknown
        there = wide & np.isfinite(ball.mid)
        self.mid, self.rad = np.where(there, ball.mid, self.mid), np.where(there, ball.radius(), self.rad)
        self.far = distances(self.got, self.mid, self.rad, self.dtype)
        self.free = self._free()
        fine = there & self.far.fine()
        self.tally.close(self.far.ulps[fine])
        rest = there & ~fine
        if rest.any():
            wider, more = self._judged(rest)
            left |= more
            if wider.any():
                self._ill(wider)
        return left | (wide & ~there)

    def _free(self) -> Array:
        return close_enough(self.dtype) * self.far.step + explained(self.dtype) * self.beneath * spacing(0.0, self.dtype)

    def _judged(self, todo: Array) -> tuple[Array, Array]:
        """Note the words of elements, but for those whose balls are so wide that they show few digits, and those that
        nothing can be said of."""
        none = np.zeros_like(todo)
        todo = todo & ~self._overflowed_on_the_way(todo)
        if not todo.any():
            return none, todo
        needed = max(needed_bits(self.dtype), SEEN_BITS.get(self.dtype, 0.0))
        easy = todo & (self.far.least <= self.free) & self.far.digits(needed)  # no allowance needs to be known
        self._conditioned(easy)
        todo &= ~easy
        if not todo.any():
            return none, none
        near = todo & (self.far.least <= self.free)  # whatever the allowance is: what is left to say is how many digits are
        left, off, unsaid = self._allowed(todo & ~near, needed)
        if off.any():
            self._off(off)
        todo = (left | near) & ~off
        easy = todo & self.far.digits()
        self._conditioned(easy)
        todo &= ~easy
        wide = todo & (self.rad > WIDE * self.far.most)
        if (todo & ~wide).any():
            self._ill(todo & ~wide)
        return wide, unsaid

    def _allowed(self, todo: Array, needed: float) -> tuple[Array, Array, Array]:
        """Of elements those that rounding must explain, and that have not ``needed`` bits, else they are noted; those of
        them that it does not explain; and those that nothing can be said of."""
        none = np.zeros_like(todo)
        bound = self.allowing(Orders.ANY, todo) if todo.any() else None
        if bound is None:
            return none, none, todo
        easy = todo & self._within(bound) & self.far.digits(needed)
        self._conditioned(easy)
        left = todo & ~easy
        if not left.any():
            return left, none, none
        likely = self.allowing(Orders.LIKELY, left)
        explained = left & self._within(bound)
        if likely is not None:
            explained &= self._within(likely)
        doubted, off = left & ~explained, left & ~self._within(bound)
        if doubted.any() and not off.any():
            usual = self.allowing(Orders.USUAL, self._worst(doubted))
            if usual is not None:
                off = doubted & ~self._within(usual)
        return left, off, none

    def _worst(self, some: Array) -> Array:
        """The elements of a mask that are furthest off, of too many."""
        at = np.flatnonzero(some)
        if at.size <= MAX_LOOKED_AT:
            return some
        with np.errstate(all="ignore"):
            order = np.argsort(-self.far.least[at] / np.maximum(self.far.size[at], self.far.step[at]), kind="stable")
        found = np.zeros_like(some)
        found[at[order[:MAX_LOOKED_AT]]] = True
        return found

    def _within(self, allowed: Array) -> Array:
        """Where the float is no further off than it may be; an allowance that is not known allows all."""
        most = FACTOR * allowed + self.free
        return np.asarray((self.far.least <= most) | np.isnan(most))

    def _overflowed_on_the_way(self, todo: Array) -> Array:
        """Note floats that are not finite where numbers that were added up may be beyond the largest."""
        lost = todo & ~np.isfinite(self.got)
        if not lost.any():
            return lost
        allowed = self.allowing(Orders.ANY, lost)
        if allowed is None:
            return np.zeros_like(lost)
        large = lost & ~(allowed < unit(self.dtype) * largest(self.dtype) / 4)
        if large.any():
            reason = f"numbers on the way are beyond the largest of the dtype; {RANGE}"
            self._note(ValueWord.OVERFLOWED, large, reason)
        return large

    def _bits(self, at: Array) -> float:
        """How many bits are right of the worst of some elements."""
        with np.errstate(all="ignore"):
            return float(np.min(np.clip(-np.log2(self.far.most[at] / self.far.size[at]), 0.0, None)))

    def _conditioned(self, at: Array) -> None:
        if at.any():
            text = f"rounding on the way explains the distance: {digits(self._bits(at))}; for more {DIGITS}"
            self.tally.note(ValueVerdict(ValueWord.CONDITIONED, float(self.far.ulps[at].max()), reason=text))

    def _ill(self, at: Array) -> None:
        some = np.flatnonzero(at)
        with np.errstate(all="ignore"):
            bits = self.far.size[some] / self.far.most[some]
        worst = int(some[np.argmin(bits)])
        one = np.zeros_like(at)
        one[worst] = True
        count = "" if some.size == 1 else f" (in {some.size} of {at.size} elements less than half of them)"
        shown = digits(self._bits(one))
        if self.rad[worst] > self.far.most[worst] / 4:
            shown = f"the enclosure shows that {shown}"
        text = f"rounding on the way explains the distance: {shown}{count}; {DIGITS}"
        self._note(ValueWord.ILL_CONDITIONED, one, text)

    def _off(self, at: Array) -> None:
        some = np.flatnonzero(at)
        with np.errstate(all="ignore"):
            worst = int(some[np.argmax(self.far.least[some] / self.far.step[some])])
        one = np.zeros_like(at)
        one[worst] = True
        self._note(ValueWord.OFF, one, "no rounding on the way explains the distance")

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
