"""Contributions in narrow dtypes that the rounding of the inputs explains, seen over arrays: Arb need not read each.

Arb explains a distance by how far the truth moves when each input moves by one unit in its last place (`conditioning`):
by the radius of its enclosure over all of that, and no more than single points one unit away show. Balls of float64 show
such points of narrower dtypes. An enclosure that contains a point and the truth has a radius of at least half of what is
between them, so that half of the distance to the farthest point is a lower bound of what Arb allows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.floats.compare import EXPLAINS, FORMULA, digits
from gradproof.engine.verify.floats.ulps import explained
from gradproof.engine.verify.nodes.elements import BLOCK, Elements, Seen
from gradproof.engine.verify.nodes.judging import Tally, distances, spacings
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import DIGITS

SIDES = (31 / 32, 33 / 32)
"""Where an element is next to a zero, as Arb has it (`value.Seen.crosses`)."""
NARROW = 4
"""Dtypes of so many bytes at most: what one of their units moves, balls of float64 show."""


class Roundings:
    """The elements ``at`` of a node of an elementwise op, with their inputs moved by their rounding."""

    def __init__(self, elements: Elements, at: Array) -> None:
        self.one, self.at = elements.one.part(at), at
        self.slots = elements.slots
        self.here = elements.read(at)
        self.beside = [self._read(self._stepped(sign)) for sign in (1.0, -1.0)]
        self.across = [[self._read(self._scaled(k, factor)) for factor in SIDES] for k in self.slots]
        every = (self.here, *self.beside, *(seen for pair in self.across for seen in pair))
        self.untied = ~np.any([seen.tied for seen in every], axis=0)

    def _read(self, one: Application) -> Seen:
        return Elements(one).read(slice(None))

    def _stepped(self, sign: float) -> Application:
        """Each input and cotangent one unit farther from 0, or nearer to it."""

        def stepped(x: Array) -> Array:
            if x.dtype.kind in "biu":
                return x
            floats = np.asarray(x, np.float64)
            return np.asarray(floats + np.sign(floats) * sign * spacings(floats, x.dtype))

        one = self.one
        return replace(one, inputs=[*map(stepped, one.inputs)], cotangents=[*map(stepped, one.cotangents)])

    def _scaled(self, k: int, factor: float) -> Application:
        inputs = list(self.one.inputs)
        inputs[k] = np.asarray(inputs[k], np.float64) * factor
        return replace(self.one, inputs=inputs)

    def explained(self, row: int, doubts: Array, tally: Tally) -> Array:
        """The mask of the elements, of those in ``doubts``, whose contribution to the input ``slots[row]`` is as far off as
        the rounding of the inputs explains. They are noted: as CONDITIONED next to a zero, with half of their digits right,
        else as ILL_CONDITIONED."""
        claimed = self.one.contributions[self.slots[row]]
        assert claimed is not None
        got = np.asarray(claimed, np.float64)
        truth = self.here.truths[row]
        far = distances(got, truth.mid, truth.radius(), claimed.dtype)
        with np.errstate(all="ignore"):
            moved = np.max([_apart(truth, seen.truths[row]) for seen in self.beside], axis=0)
            sure = doubts & self.untied & np.isfinite(got) & (far.most <= explained(claimed.dtype) / 2 * moved)
            crossed = np.any([_crosses([seen.truths[row] for seen in pair]) for pair in self.across], axis=0)
            bits = np.clip(-np.log2(far.most / far.size), 0.0, None)
        near, enough = sure & crossed & far.digits(), far.digits()
        if near.any():
            reason = f"next to a zero, where {EXPLAINS}: {digits(float(bits[near].min()))}; for more {DIGITS}"
            tally.note(ValueVerdict(ValueWord.CONDITIONED, float(far.ulps[near].max()), reason=reason))
        if (sure & ~near).any():
            k = int(np.argmax(np.where(sure & ~near, far.ulps, -1.0)))
            shown = digits(float(bits[k]))
            reason = f"{FORMULA}: {shown}" if enough[k] else f"{EXPLAINS}: {shown}; {DIGITS}"
            place, expected = tally.place(int(self.at[k])), f"{truth.mid[k]:.17g}"
            found = ValueVerdict(ValueWord.ILL_CONDITIONED, float(far.ulps[k]), reason=reason)
            tally.note(replace(found, element=place, got=repr(float(got[k])), expected=expected))
        return np.asarray(sure)


def settled(
    elements: Elements, at: Array, doubts: Sequence[Array], tallies: Sequence[Tally], deadline: float = math.inf
) -> Array:
    """The mask of the elements ``at`` whose rounding explains each contribution that is in doubt, of those that are read
    until ``deadline``, in blocks, or until few of them are explained. What explains them is noted.

    Args:
        doubts: for each contribution the mask of what is in doubt.
        tallies: what is known of each contribution.
    """
    found, claimed = np.zeros(len(at), bool), [c for c in elements.one.contributions if c is not None]
    dtypes = [x.dtype for x in (*claimed, *elements.one.inputs) if x.dtype.kind not in "biu"]
    if elements.infinite or any(dtype.itemsize > NARROW for dtype in dtypes):
        return found
    for start in range(0, len(at), BLOCK):
        part = slice(start, start + BLOCK)
        try:
            roundings = Roundings(elements, at[part])
        except MemoryError:
            raise
        except BaseException as error:  # a definition is a stranger's code, and may refuse inputs that are moved
            reraise_own(error)
            break
        mine = np.ones(len(at[part]), bool)
        for row, (doubt, tally) in enumerate(zip(doubts, tallies, strict=True)):
            if doubt[part].any():
                mine &= roundings.explained(row, doubt[part], tally) | ~doubt[part]
        found[part] = mine
        if 2 * np.count_nonzero(mine) < mine.size or time.monotonic() > deadline:
            break
    return found


def _apart(a: BallArray, b: BallArray) -> Array:
    """How far two enclosures are apart at least, 0 where that is not known."""
    apart = np.abs(a.mid - b.mid) * (1 - 2.0**-50) - (a.radius() + b.radius()) * (1 + 2.0**-50)
    return np.where(apart > 0, apart, 0.0)


def _crosses(sides: Sequence[BallArray]) -> Array:
    """Where one side is certainly below 0, and the other above."""
    below, above = ([sign * side.mid > side.radius() for side in sides] for sign in (-1, 1))
    return np.asarray((below[0] & above[1]) | (below[1] & above[0]))


__all__ = ["settled"]
