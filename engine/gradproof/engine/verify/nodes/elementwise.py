"""The check of a large node of an elementwise op: every element by balls, doubtful elements and a sample by Arb."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from gradproof.engine.conventions import Kink
from gradproof.engine.spec import Array, DType, part_dtype
from gradproof.engine.verify.arrays import BallArray, finely
from gradproof.engine.verify.nodes.distances import (
    Tally,
    at_kinks,
    certainly_close,
    distances,
    needs_fine_radii,
    overflow_reason,
    overflowed,
)
from gradproof.engine.verify.nodes.elements import Elements, Enclosures, columns, concatenated
from gradproof.engine.verify.nodes.roundings import explained_by_rounding
from gradproof.engine.verify.nodes.samples import SAMPLE, Contradiction, sample_elements, sample_places
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.numbers.value import Checked, check_values
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import MADE, TIME
from gradproof.engine.verify.verdict.wording import flat_place, joined

CHUNK = 64
MAX_UNIQUE = 200_000
FEW = 4  # elements at ties, or with infinite inputs, that Arb reads in full
NOT_FINITE = f"it has no finite value here, or rests on a number that is not finite; {MADE}"


@dataclass
class _NodeArray:
    """An array of the node, a result or a contribution: its parts, the rows of the enclosures for them, and its doubtful
    elements."""

    got: Array
    rows: slice
    tally: Tally
    dtype: DType
    kink: Kink | None = None
    forward: bool = False
    doubts: list[Array] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    worst: list[tuple[float, int]] = field(default_factory=list)

    def doubt(self, at: Array, weight: Array) -> None:
        self.doubts.append(at)
        self.weights.append(weight)


def check_elements(application: Application, seconds: float) -> Checked:
    """Verdicts on an elementwise node. ``seconds``: time for the elements that Arb reads singly. Raises NoArrays, and any
    exception of the definition."""
    deadline = time.monotonic() + seconds
    elements = Elements(application)
    arrays = _columns(application, elements)
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
        return _by_arb(application, contradiction.reason(application.op.name), deadline)
    return _with_arb(elements, arrays, done, deadline, seconds, read, left)


class _Sample:
    """The elements that Arb reads in addition: drawn elements, the extremes, and the worst."""

    def __init__(self, elements: Elements) -> None:
        self.elements, self.places = elements, sample_places(elements.count)
        self.kept: list[Enclosures] = []
        self.whole: Enclosures | None = None  # if the node is a single block
        self.ends: dict[tuple[int, bool], tuple[float, int]] = {}
        numbers = (*elements.inputs, *elements.cotangents, *elements.results, *elements.claimed)
        self.columns = [x[:, 0] for x in numbers if x.dtype.kind == "f" and x.shape[1] == 1]

    def look(self, block: slice, enclosures: Enclosures) -> None:
        """Keep the enclosures of the drawn elements of a block, and note its extremes."""
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

    def compared(self, arrays: Sequence[_NodeArray], done: int) -> tuple[Array, list[int], Contradiction | None]:
        """The places of the elements read, the places left to a full reading, and a contradiction."""
        elements, application = self.elements, self.elements.application
        drawn = self.places[self.places < done]
        ends = {place for _, place in self.ends.values()}
        ends.update(int(k) for array in arrays for _, k in sorted(array.worst)[-2:])
        more = np.array(sorted(ends.difference(drawn.tolist())), int)
        if elements.complex:
            return np.zeros(0, int), [*drawn.tolist(), *more.tolist()], None
        places = np.concatenate([drawn, more])
        if self.whole is not None:
            rows = self.whole.at(places).rows
        else:
            rows = concatenated([*self.kept, elements.read(more)] if more.size else self.kept)
        sample = sample_elements(application, elements.operands, elements.slots, places, rows)
        return places[: sample.read + len(sample.left)], sample.left, sample.contradiction


def _needs_fine_radii(array: _NodeArray, enclosures: Enclosures, block: slice) -> bool:
    balls = (enclosures.results if array.forward else enclosures.contributions)[array.rows]
    return any(needs_fine_radii(array.got[block, p], ball) for p, ball in enumerate(balls) if array.dtype == np.float64)


def _columns(application: Application, elements: Elements) -> list[_NodeArray]:
    arrays, row = [], 0
    for got, y in zip(elements.results, application.results, strict=True):
        width = got.shape[1]
        dtype = y.dtype if y.dtype.kind in "biu" else part_dtype(y.dtype)
        arrays.append(_NodeArray(got, slice(row, row + width), Tally(y.shape, y.size), dtype, forward=True))
        row += width
    row = 0
    for got, k in zip(elements.claimed, elements.slots, strict=True):
        width = got.shape[1]
        claimed = application.contributions[k]
        assert claimed is not None
        tally = Tally(claimed.shape, claimed.size)
        arrays.append(_NodeArray(got, slice(row, row + width), tally, part_dtype(claimed.dtype), application.op.kink_of(k)))
        row += width
    return arrays


def _rests_on_nan(elements: Elements, at: Array) -> Array:
    """Mask of the elements with an input that is nan."""
    mask = np.zeros(len(at), bool)
    for x in elements.inputs:
        if x.dtype.kind == "f":
            mask |= np.isnan(x[at]).any(1)
    return mask


def _compare(array: _NodeArray, enclosures: Enclosures, elements: Elements, block: slice) -> None:
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
    array: _NodeArray,
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


def _at_ties(array: _NodeArray, enclosures: Enclosures, some: Array, got: Sequence[Array]) -> tuple[Array, Array]:
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


# Arb


def _with_arb(
    elements: Elements,
    arrays: Sequence[_NodeArray],
    done: int,
    deadline: float,
    seconds: float,
    sample: Array,
    left_over: Sequence[int],
) -> Checked:
    """The verdicts, after Arb has read the doubtful elements, the worst first, and some of those ``left_over`` by the
    sample."""
    application, count = elements.application, elements.count
    weight = np.zeros(count)
    for array in arrays:
        for at, heavy in zip(array.doubts, array.weights, strict=True):
            weight[at] = np.maximum(weight[at], np.maximum(heavy, 1e-9))
    doubted = np.flatnonzero(weight) if any(array.doubts for array in arrays) else np.zeros(0, int)
    doubted = doubted[np.argsort(-weight[doubted], kind="stable")]
    if doubted.size > CHUNK:
        known = _explained_by_rounding(elements, arrays, doubted[CHUNK:], deadline)
        doubted = np.concatenate([doubted[:CHUNK], doubted[CHUNK:][~known]])
    first, twins = _distinct(elements, doubted)
    few = np.array(left_over if elements.complex else [k for k in left_over if not weight[k]][:FEW], int)
    started, resolved, read = time.monotonic(), np.zeros(count, bool), 0
    queue = np.concatenate([first[:CHUNK], few[~np.isin(few, first[:CHUNK])]])
    rest = first[CHUNK:]
    spent = 0.0
    while queue.size:
        checked = check_values(application.part(queue))
        verdicts = iter([checked.forward, *(v for v in checked.contributions if v is not None)])
        for array in [arrays[0], *arrays[len(application.results) :]]:
            array.tally.note(_relocated(next(verdicts), queue, array.tally))
        resolved[queue] = True
        read += len(queue)
        spent = time.monotonic() - started
        if time.monotonic() + spent * CHUNK / max(1, read) > deadline:
            break
        queue, rest = rest[:CHUNK], rest[CHUNK:]
    alone = read + int((~resolved[sample]).sum())
    resolved[doubted] |= resolved[first[twins]] if doubted.size else False
    needed = seconds + (count - done) * seconds / max(done, 1) + spent / max(1, read) * int((~resolved[first]).sum())
    verdicts_of = []
    for array in arrays:
        doubts = np.intersect1d(np.concatenate(array.doubts), doubted) if array.doubts else np.zeros(0, int)
        left = int((~resolved[doubts]).sum()) + int((~resolved[done:]).sum())
        verdicts_of.append(_finished(array.tally, count - left, alone, left, needed))
    forward = verdicts_of[0]
    for verdict in verdicts_of[1 : len(application.results)]:
        forward = replace(forward, checked=forward.checked + verdict.checked, total=forward.total + verdict.total)
    contributions = iter(verdicts_of[len(application.results) :])
    return Checked(forward, tuple(None if c is None else next(contributions) for c in application.contributions))


def _explained_by_rounding(elements: Elements, arrays: Sequence[_NodeArray], at: Array, deadline: float) -> Array:
    """Mask of the doubtful elements that the rounding of the inputs explains."""
    results, contributions = arrays[: len(elements.application.results)], arrays[len(elements.application.results) :]
    if elements.complex or any(array.doubts for array in results):
        return np.zeros(len(at), bool)
    doubts = [
        np.isin(at, np.concatenate(array.doubts)) if array.doubts else np.zeros(len(at), bool) for array in contributions
    ]
    return explained_by_rounding(elements, at, doubts, [array.tally for array in contributions], deadline)


def _finished(tally: Tally, checked: int, sampled: int, left: int, needed: float) -> ValueVerdict:
    verdict = replace(tally.worst, checked=checked, total=tally.total, sampled=sampled)
    if not left:
        return verdict
    text = f"{checked} of {tally.total} elements enclosed; a budget of about {max(1.0, 2 * needed):.0f} s would do; {TIME}"
    return replace(verdict, reason=joined(verdict.reason, text))


def _relocated(verdict: ValueVerdict, picked: Array, tally: Tally) -> ValueVerdict:
    """A verdict on picked elements, with the place of its element in the whole array."""
    if not verdict.element:
        return verdict if len(picked) > 1 else replace(verdict, element=tally.place(int(picked[0])) if verdict.got else "")
    return replace(verdict, element=tally.place(int(picked[flat_place(verdict.element)])))


def _distinct(elements: Elements, doubted: Array) -> tuple[Array, Array]:
    """The first of each set of doubtful elements with the same bits, and the index of its set for each: they share a
    verdict."""
    if not doubted.size or doubted.size > MAX_UNIQUE:
        return doubted, np.arange(len(doubted))
    bits = [*elements.inputs, *elements.cotangents, *elements.results, *elements.claimed]
    rows = np.concatenate([x[doubted].astype(np.float64) for x in bits], axis=1)
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).reshape(-1)
    _, first, twins = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return doubted[first[order]], rank[twins.reshape(-1)]


def _by_arb(application: Application, why: str, deadline: float) -> Checked:
    """Verdicts where arrays are not reliable: by Arb, on as many elements as there is time for."""
    count, picked = application.results[0].size, sample_places(application.results[0].size)
    order = np.concatenate([picked, np.setdiff1d(np.arange(count), picked)])
    tallies = [Tally(application.results[0].shape, application.results[0].size * len(application.results))]
    tallies += [Tally(c.shape, c.size) for c in application.contributions if c is not None]
    read = 0
    while read < count and (not read or time.monotonic() < deadline):
        queue = order[read : read + CHUNK]
        checked = check_values(application.part(queue))
        for tally, verdict in zip(
            tallies, (checked.forward, *(v for v in checked.contributions if v is not None)), strict=True
        ):
            tally.note(_relocated(verdict, queue, tally))
        read += len(queue)

    def completed(tally: Tally) -> ValueVerdict:
        verdict = replace(tally.worst, checked=read * tally.total // count, total=tally.total, sampled=read)
        if read == count or verdict.word is ValueWord.OFF:
            return verdict
        return replace(verdict, word=ValueWord.UNCHECKED, reason=why)

    forward, *contribution_verdicts = map(completed, tallies)
    contributions = iter(contribution_verdicts)
    return Checked(forward, tuple(None if c is None else next(contributions) for c in application.contributions))


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
