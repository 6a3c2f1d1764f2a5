"""Contributions in narrow dtypes explained by the rounding of the inputs, over arrays: Arb need not read each element.

Arb explains a distance by the radius of the enclosure over inputs within a unit in their last place (`conditioning`), which
is no less than single points at that distance show. Balls of float64 enclose such points of narrower dtypes. An enclosure
that contains a point and the truth has a radius of at least half of their distance, so that half of the distance to the
farthest point is a lower bound of Arb's allowance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.floats.compare import EXPLAINS, FORMULA, digits
from gradproof.engine.verify.floats.ulps import explained
from gradproof.engine.verify.nodes.distances import Tally, distances, spacings
from gradproof.engine.verify.nodes.elements import BLOCK, Elements, Enclosures
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import DIGITS

SIDES = (31 / 32, 33 / 32)
"""Factors of an input whose results differ in sign next to a zero, as `numbers.value` has them."""
NARROW = 4
"""Size in bytes of the widest dtype whose units balls of float64 resolve."""


class Roundings:
    """The elements ``at`` of a node of an elementwise op, with their inputs moved by their rounding."""

    def __init__(self, elements: Elements, at: Array) -> None:
        self.application, self.at = elements.application.part(at), at
        self.slots = elements.slots
        self.here = elements.read(at)
        self.beside = [self._read(self._stepped(sign)) for sign in (1.0, -1.0)]
        self.across = [[self._read(self._scaled(k, factor)) for factor in SIDES] for k in self.slots]
        every = (self.here, *self.beside, *(enclosures for pair in self.across for enclosures in pair))
        self.untied = ~np.any([enclosures.tied for enclosures in every], axis=0)

    def _read(self, application: Application) -> Enclosures:
        return Elements(application).read(slice(None))

    def _stepped(self, sign: float) -> Application:
        """The application with each input and cotangent a unit farther from 0, or nearer to it."""

        def stepped(x: Array) -> Array:
            if x.dtype.kind in "biu":
                return x
            floats = np.asarray(x, np.float64)
            return np.asarray(floats + np.sign(floats) * sign * spacings(floats, x.dtype))

        application = self.application
        return replace(
            application, inputs=[*map(stepped, application.inputs)], cotangents=[*map(stepped, application.cotangents)]
        )

    def _scaled(self, k: int, factor: float) -> Application:
        inputs = list(self.application.inputs)
        inputs[k] = np.asarray(inputs[k], np.float64) * factor
        return replace(self.application, inputs=inputs)

    def explained(self, row: int, doubts: Array, tally: Tally) -> Array:
        """Mask of the elements of ``doubts`` whose contribution to the input ``slots[row]`` is explained by the rounding of
        the inputs. Notes CONDITIONED for those next to a zero with half of their digits right, else ILL_CONDITIONED."""
        claimed = self.application.contributions[self.slots[row]]
        assert claimed is not None
        got = np.asarray(claimed, np.float64)
        truth = self.here.contributions[row]
        far = distances(got, truth.mid, truth.radius(), claimed.dtype)
        with np.errstate(all="ignore"):
            moved = np.max([_apart(truth, enclosures.contributions[row]) for enclosures in self.beside], axis=0)
            sure = doubts & self.untied & np.isfinite(got) & (far.most <= explained(claimed.dtype) / 2 * moved)
            crossed = np.any(
                [_crosses([enclosures.contributions[row] for enclosures in pair]) for pair in self.across], axis=0
            )
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
            verdict = ValueVerdict(ValueWord.ILL_CONDITIONED, float(far.ulps[k]), reason=reason)
            tally.note(replace(verdict, element=place, got=repr(float(got[k])), expected=expected))
        return np.asarray(sure)


def explained_by_rounding(
    elements: Elements, at: Array, doubts: Sequence[Array], tallies: Sequence[Tally], deadline: float = math.inf
) -> Array:
    """Mask of the elements ``at`` whose doubtful contributions are all explained by the rounding of the inputs, in blocks
    until ``deadline``, or until few are explained. Notes the verdicts.

    Args:
        doubts: for each contribution the mask of the doubtful elements.
        tallies: the verdict so far on each contribution.
    """
    explained, claimed = np.zeros(len(at), bool), [c for c in elements.application.contributions if c is not None]
    dtypes = [x.dtype for x in (*claimed, *elements.application.inputs) if x.dtype.kind not in "biu"]
    if elements.infinite or any(dtype.itemsize > NARROW for dtype in dtypes):
        return explained
    for start in range(0, len(at), BLOCK):
        part = slice(start, start + BLOCK)
        try:
            roundings = Roundings(elements, at[part])
        except MemoryError:
            raise
        except BaseException as error:  # a definition is third-party code, and may refuse inputs that are moved
            reraise_own(error)
            break
        known = np.ones(len(at[part]), bool)
        for row, (doubt, tally) in enumerate(zip(doubts, tallies, strict=True)):
            if doubt[part].any():
                known &= roundings.explained(row, doubt[part], tally) | ~doubt[part]
        explained[part] = known
        if 2 * np.count_nonzero(known) < known.size or time.monotonic() > deadline:
            break
    return explained


def _apart(a: BallArray, b: BallArray) -> Array:
    """Lower bound of the distance of two enclosures, 0 where unknown."""
    distance = np.abs(a.mid - b.mid) * (1 - 2.0**-50) - (a.radius() + b.radius()) * (1 + 2.0**-50)
    return np.where(distance > 0, distance, 0.0)


def _crosses(sides: Sequence[BallArray]) -> Array:
    """Mask of the elements whose sides are certainly of opposite signs."""
    below, above = ([sign * side.mid > side.radius() for side in sides] for sign in (-1, 1))
    return np.asarray((below[0] & above[1]) | (below[1] & above[0]))


__all__ = ["explained_by_rounding"]
