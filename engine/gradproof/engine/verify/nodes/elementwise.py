"""The check of a large node of an elementwise op: every element by balls, doubtful elements and a sample by Arb."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import BallArray, finely
from gradproof.engine.verify.nodes.arb_reading import ArbReading, check_by_arb
from gradproof.engine.verify.nodes.distances import (
    at_kinks,
    certainly_close,
    distances,
    needs_fine_radii,
    overflow_reason,
    overflowed,
)
from gradproof.engine.verify.nodes.elements import Elements, Enclosures, columns, concatenated
from gradproof.engine.verify.nodes.node_arrays import NodeArray, node_arrays
from gradproof.engine.verify.nodes.samples import SAMPLE, Contradiction, sample_elements, sample_places
from gradproof.engine.verify.numbers import Application, Checked
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import MADE

NOT_FINITE = f"it has no finite value here, or rests on a number that is not finite; {MADE}"


def check_elements(application: Application, seconds: float) -> Checked:
    """Verdicts on an elementwise node. ``seconds``: time for the elements that Arb reads singly. Raises NoArrays, and any
    exception of the definition."""
    deadline = time.monotonic() + seconds
    elements = Elements(application)
    arrays = node_arrays(elements)
    sample = _Sample(elements)
    done = 0
    for block in elements.blocks():
        enclosures = elements.read(block)
        if any(_needs_fine_radii(array, enclosures, block) for array in arrays):
            with finely():
                enclosures = elements.read(block).fixed()
        for array in arrays:
            _compare(array, enclosures, elements, block)
        sample.look(block, enclosures)
        done = block.stop
        if time.monotonic() > deadline:
            break
    read, left, contradiction = sample.compared(arrays, done)
    if contradiction is not None:
        return check_by_arb(application, contradiction.reason(application.op.name), deadline)
    reading = ArbReading(elements, arrays, deadline)
    reading.read(left)
    return reading.verdicts(read, done, seconds)


class _Sample:
    """The elements that Arb reads in addition: sampled elements, the extremes, and the worst."""

    def __init__(self, elements: Elements) -> None:
        self.elements, self.places = elements, sample_places(elements.count)
        self.kept: list[Enclosures] = []
        self.whole: Enclosures | None = None  # if the node is a single block
        self.ends: dict[tuple[int, bool], tuple[float, int]] = {}
        numbers = (*elements.inputs, *elements.cotangents, *elements.results, *elements.claimed)
        self.columns = [x[:, 0] for x in numbers if x.dtype.kind == "f" and x.shape[1] == 1]

    def look(self, block: slice, enclosures: Enclosures) -> None:
        """Keep the enclosures of the sampled elements of a block, and note its extremes."""
        if self.elements.count == block.stop - block.start:
            self.whole = enclosures
        else:
            low, high = np.searchsorted(self.places, (block.start, block.stop))
            self.kept.append(enclosures.at(self.places[low:high] - block.start))
        for k, column in enumerate(self.columns):
            sizes = np.abs(column[block])
            for largest, at in ((True, int(sizes.argmax())), (False, int(sizes.argmin()))):
                value = float(sizes[at]) if largest else -float(sizes[at])
                if value > self.ends.get((k, largest), (-math.inf, 0))[0]:
                    self.ends[k, largest] = (value, block.start + at)

    def compared(self, arrays: Sequence[NodeArray], done: int) -> tuple[Array, list[int], Contradiction | None]:
        """The places of the elements read, the places left to a full reading, and a contradiction."""
        elements, application = self.elements, self.elements.application
        sampled_places = self.places[self.places < done]
        ends = {place for _, place in self.ends.values()}
        ends.update(int(k) for array in arrays for _, k in sorted(array.worst)[-2:])
        more = np.array(sorted(ends.difference(sampled_places.tolist())), int)
        if elements.complex:
            return np.zeros(0, int), [*sampled_places.tolist(), *more.tolist()], None
        places = np.concatenate([sampled_places, more])
        if self.whole is not None:
            rows = self.whole.at(places).rows
        else:
            rows = concatenated([*self.kept, elements.read(more)] if more.size else self.kept)
        sample = sample_elements(application, elements.operands, elements.slots, places, rows)
        return places[: sample.read + len(sample.left)], sample.left, sample.contradiction


def _needs_fine_radii(array: NodeArray, enclosures: Enclosures, block: slice) -> bool:
    balls = (enclosures.results if array.forward else enclosures.contributions)[array.rows]
    return any(needs_fine_radii(array.got[block, p], ball) for p, ball in enumerate(balls) if array.dtype == np.float64)


def _rests_on_nan(elements: Elements, at: Array) -> Array:
    """Mask of the elements with an input that is nan."""
    mask = np.zeros(len(at), bool)
    for x in elements.inputs:
        if x.dtype.kind == "f":
            mask |= np.isnan(x[at]).any(1)
    return mask


def _compare(array: NodeArray, enclosures: Enclosures, elements: Elements, block: slice) -> None:
    """Compare a block of an array, and collect its doubtful elements. A few passes show most elements to be close."""
    balls = (enclosures.results if array.forward else enclosures.contributions)[array.rows]
    got = [array.got[block, p].astype(np.float64, copy=False) for p in range(len(balls))]
    tied = None if array.forward or not enclosures.tied.any() else enclosures.tied
    quick = certainly_close(got[0], balls[0], array.dtype) if len(balls) == 1 else None
    if quick is None:
        _compare_elements(array, enclosures, elements, block, np.arange(block.stop - block.start), got, balls)
        return
    near, ulps, top = quick
    if tied is not None:
        near &= ~tied
    count = np.count_nonzero(near)
    if count:
        array.tally.note(ValueVerdict(ValueWord.ENCLOSED, ulps))
        array.worst.append((ulps, block.start + top))
    if count < near.size:
        rest = np.flatnonzero(~near)
        some = [ball[rest] for ball in balls]
        _compare_elements(array, enclosures, elements, block, rest, [x[rest] for x in got], some)


def _compare_elements(
    array: NodeArray,
    enclosures: Enclosures,
    elements: Elements,
    block: slice,
    at: Array,
    got: Sequence[Array],
    balls: Sequence[BallArray],
) -> None:
    """Compare the elements ``at`` of a block, whose floats and balls are passed."""
    fine = np.ones(len(at), bool)
    ulps, least = np.zeros(len(at)), np.zeros(len(at))
    far_substitutes, known = np.zeros(len(at), bool), np.ones(len(at), bool)
    for p, ball in enumerate(balls):
        mid, rad = ball.mid, ball.radius()
        known &= np.isfinite(mid) & np.isfinite(rad)
        if array.dtype.kind in "biu":
            fine &= (got[p] == mid) & (rad == 0)
            continue
        beside = balls[1 - p].mid if len(balls) == 2 else None
        far = distances(got[p], mid, rad, array.dtype, beside)
        fine &= far.close()
        with np.errstate(all="ignore"):
            ulps = np.maximum(ulps, far.ulps)
            least = np.maximum(least, far.least / far.step)
        if len(balls) == 1:
            far_substitutes = overflowed(got[p], mid, rad, array.dtype)
    if not array.forward and enclosures.tied[at].any():
        right, wrong = _at_ties(array, enclosures, at, got)
        fine = (fine | right) & ~wrong
        ulps[right] = 0.0
    far_substitutes &= ~fine
    if far_substitutes.any():
        array.tally.note(ValueVerdict(ValueWord.OVERFLOWED, reason=overflow_reason(array.dtype)))
    lost = ~fine & ~known
    if lost.any():
        lost &= _rests_on_nan(elements, block.start + at)
    if lost.any():
        array.tally.note(ValueVerdict(ValueWord.NONFINITE, reason=NOT_FINITE))
    array.tally.note_close(ulps[fine])
    doubtful = np.flatnonzero(~(fine | far_substitutes | lost))
    if doubtful.size:
        array.doubt(block.start + at[doubtful], np.where(known, least, np.inf)[doubtful])
    if fine.any():
        top = int(np.argmax(np.where(fine, ulps, -1.0)))
        array.worst.append((float(ulps[top]), block.start + int(at[top])))


def _at_ties(array: NodeArray, enclosures: Enclosures, some: Array, got: Sequence[Array]) -> tuple[Array, Array]:
    """Masks of the tied contributions, among ``some`` elements of a block, that are right and that are wrong at a kink."""
    right_at, wrong = np.zeros(len(some), bool), np.zeros(len(some), bool)
    at = np.flatnonzero(enclosures.tied[some])
    contributions_beside = [side[array.rows] for side in enclosures.contributions_beside]
    if len(contributions_beside[0]) != 1:  # parts of complex numbers have no kinks with a convention
        wrong[at] = True
        return right_at, wrong
    different, right = at_kinks(got[0][at], [side[0] for side in contributions_beside], array.kink, array.dtype)
    unknown = ~np.all([np.isfinite(side[0].mid) & np.isfinite(side[0].radius()) for side in contributions_beside], axis=0)
    jumps = np.zeros(len(at), bool)
    for rows in zip(*enclosures.results_beside, strict=True):
        jumps |= at_kinks(np.zeros(len(at)), rows, None, array.dtype)[0]
    wrong[at] = unknown | (different & ~right)
    right_at[at] = different & right & ~unknown
    if right_at.any():
        reason = (
            f"the convention at a kink, per node: {array.kink.value}"
            if array.kink
            else "at a kink, within the hull of the one-sided derivatives"
        )
        array.tally.note(ValueVerdict(ValueWord.TIE, reason=reason))
    if (jumps & ~wrong[at]).any():
        array.tally.note(ValueVerdict(ValueWord.TIE, reason="at a jump: the result itself is another on either side"))
    return right_at, wrong


def sampled(application: Application) -> Array:
    """The extremes of each array of an elementwise node, and a sample drawn by a fixed generator."""
    count = application.results[0].size
    if count <= SAMPLE:
        return np.arange(count)
    picked = set(sample_places(count).tolist())
    for array in (
        *application.inputs,
        *application.cotangents,
        *application.results,
        *(c for c in application.contributions if c is not None),
    ):
        if array.size == count and array.dtype.kind not in "biu":
            sizes = np.abs(columns(array)).max(1)
            sizes = np.where(np.isfinite(sizes), sizes, 0.0)
            picked |= {int(np.argmin(sizes)), int(np.argmax(sizes))}
    return np.array(sorted(picked))
