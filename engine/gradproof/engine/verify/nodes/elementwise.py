"""The check of a large node of an elementwise op: every element by balls, those in doubt and a sample by Arb."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradproof.engine.conventions import Kink
from gradproof.engine.spec import Array, part_dtype
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.arrays.flags import finely
from gradproof.engine.verify.nodes.elements import Elements, Seen, columns, together
from gradproof.engine.verify.nodes.judging import (
    Tally,
    at_kinks,
    distances,
    is_beneath,
    near_by,
    overflow_reason,
    overflowed,
)
from gradproof.engine.verify.nodes.roundings import settled
from gradproof.engine.verify.nodes.samples import SAMPLE, Apart, drawn, sample_elements
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.numbers.value import Checked, check_values
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import MADE, TIME

CHUNK = 64
MAX_UNIQUE = 200_000
FEW = 4  # elements at ties, or beside infinities, that Arb reads in full
NOT_FINITE = f"it has no finite value here, or rests on a number that is not finite; {MADE}"


@dataclass
class _Column:
    """An array of the node, a result or a contribution: its parts, and which parts of a reading enclose them."""

    got: Array
    rows: slice
    tally: Tally
    dtype: Any
    kink: Kink | None = None
    forward: bool = False
    doubts: list[Array] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    worst: list[tuple[float, int]] = field(default_factory=list)

    def doubt(self, at: Array, weight: Array) -> None:
        self.doubts.append(at)
        self.weights.append(weight)


def check_elements(one: Application, seconds: float) -> Checked:
    """The verdicts on an elementwise node. ``seconds``: for the elements that Arb reads one by one. Raises NoArrays, and
    what a stranger's code raises."""
    deadline = time.monotonic() + seconds
    elements = Elements(one)
    arrays = _columns(one, elements)
    sample = _Sample(elements)
    done = 0
    for block in elements.blocks():
        seen = elements.read(block)
        if any(_is_beneath(array, seen, block) for array in arrays):
            with finely():
                seen = elements.read(block).settled()
        for array in arrays:
            _judge(array, seen, elements, block)
        sample.look(block, seen)
        done = block.stop
        if time.monotonic() > deadline:
            break
    read, left, apart = sample.compared(arrays, done)
    if apart is not None:
        return _by_arb(one, apart.reason(one.op.name), deadline)
    return _with_arb(one, elements, arrays, done, deadline, seconds, read, left)


class _Sample:
    """The elements that Arb reads beside the arrays: drawn ones, the extremes, and the worst."""

    def __init__(self, elements: Elements) -> None:
        self.elements, self.places = elements, drawn(elements.count)
        self.kept: list[Seen] = []
        self.whole: Seen | None = None  # of a node of one block
        self.ends: dict[tuple[int, bool], tuple[float, int]] = {}
        numbers = (*elements.inputs, *elements.cotangents, *elements.results, *elements.claimed)
        self.columns = [x[:, 0] for x in numbers if x.dtype.kind == "f" and x.shape[1] == 1]

    def look(self, block: slice, seen: Seen) -> None:
        """Keep what a block shows of the drawn elements, and note its extremes."""
        if self.elements.count == block.stop - block.start:
            self.whole = seen
        else:
            low, high = np.searchsorted(self.places, (block.start, block.stop))
            self.kept.append(seen.at(self.places[low:high] - block.start))
        for k, column in enumerate(self.columns):
            sizes = np.abs(column[block])
            for largest, at in ((True, int(sizes.argmax())), (False, int(sizes.argmin()))):
                value = float(sizes[at]) if largest else -float(sizes[at])
                if value > self.ends.get((k, largest), (-math.inf, 0))[0]:
                    self.ends[k, largest] = (value, block.start + at)

    def compared(self, arrays: Sequence[_Column], done: int) -> tuple[Array, list[int], Apart | None]:
        """The elements read, those left to a full reading, and a contradiction."""
        elements, one = self.elements, self.elements.one
        drawn_ = self.places[self.places < done]
        ends = {place for _, place in self.ends.values()}
        ends.update(int(k) for array in arrays for _, k in sorted(array.worst)[-2:])
        more = np.array(sorted(ends.difference(drawn_.tolist())), int)
        if elements.complex:
            return np.zeros(0, int), [*drawn_.tolist(), *more.tolist()], None
        places = np.concatenate([drawn_, more])
        if self.whole is not None:
            rows = self.whole.at(places).rows
        else:
            rows = together([*self.kept, elements.read(more)] if more.size else self.kept)
        found = sample_elements(one, elements.given, elements.slots, places, rows)
        return places[: found.read + len(found.left)], found.left, found.apart


def _is_beneath(array: _Column, seen: Seen, block: slice) -> bool:
    balls = (seen.heads if array.forward else seen.truths)[array.rows]
    return any(is_beneath(array.got[block, p], ball) for p, ball in enumerate(balls) if array.dtype == np.float64)


def _columns(one: Application, elements: Elements) -> list[_Column]:
    found, row = [], 0
    for got, y in zip(elements.results, one.results, strict=True):
        width = got.shape[1]
        dtype = y.dtype if y.dtype.kind in "biu" else part_dtype(y.dtype)
        found.append(_Column(got, slice(row, row + width), Tally(y.shape, y.size), dtype, forward=True))
        row += width
    row = 0
    for got, k in zip(elements.claimed, elements.slots, strict=True):
        width = got.shape[1]
        claimed = one.contributions[k]
        assert claimed is not None
        tally = Tally(claimed.shape, claimed.size)
        found.append(_Column(got, slice(row, row + width), tally, part_dtype(claimed.dtype), one.op.kink_of(k)))
        row += width
    return found


def _dead(elements: Elements, at: Array) -> Array:
    """Elements that rest on a nan, or got a cotangent that is not finite: of an unknown truth there is none."""
    dead = np.zeros(len(at), bool)
    for x in elements.inputs:
        if x.dtype.kind == "f":
            dead |= np.isnan(x[at]).any(1)
    return dead


def _judge(array: _Column, seen: Seen, elements: Elements, block: slice) -> None:
    """Compare one block of an array; what is not fine goes to its doubts. Most is seen to be fine in a few passes."""
    balls = (seen.heads if array.forward else seen.truths)[array.rows]
    got = [array.got[block, p].astype(np.float64, copy=False) for p in range(len(balls))]
    tied = None if array.forward or not seen.tied.any() else seen.tied
    quick = near_by(got[0], balls[0], array.dtype) if len(balls) == 1 else None
    if quick is None:
        _judge_some(array, seen, elements, block, np.arange(block.stop - block.start), got, balls)
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
        _judge_some(array, seen, elements, block, rest, [x[rest] for x in got], some)


def _judge_some(
    array: _Column,
    seen: Seen,
    elements: Elements,
    block: slice,
    at: Array,
    got: Sequence[Array],
    balls: Sequence[BallArray],
) -> None:
    """Compare the elements ``at`` of a block, which are given."""
    fine = np.ones(len(at), bool)
    ulps, least = np.zeros(len(at)), np.zeros(len(at))
    beyond, known = np.zeros(len(at), bool), np.ones(len(at), bool)
    for p, ball in enumerate(balls):
        mid, rad = ball.mid, ball.radius()
        known &= np.isfinite(mid) & np.isfinite(rad)
        if array.dtype.kind in "biu":
            fine &= (got[p] == mid) & (rad == 0)
            continue
        beside = balls[1 - p].mid if len(balls) == 2 else None
        far = distances(got[p], mid, rad, array.dtype, beside)
        fine &= far.fine()
        with np.errstate(all="ignore"):
            ulps = np.maximum(ulps, far.ulps)
            least = np.maximum(least, far.least / far.step)
        if len(balls) == 1:
            beyond = overflowed(got[p], mid, rad, array.dtype)
    if not array.forward and seen.tied[at].any():
        right, wrong = _at_ties(array, seen, at, got)
        fine = (fine | right) & ~wrong
        ulps[right] = 0.0
    beyond &= ~fine
    if beyond.any():
        array.tally.note(ValueVerdict(ValueWord.OVERFLOWED, reason=overflow_reason(array.dtype)))
    lost = ~fine & ~known
    if lost.any():
        lost &= _dead(elements, block.start + at)
    if lost.any():
        array.tally.note(ValueVerdict(ValueWord.NONFINITE, reason=NOT_FINITE))
    array.tally.close(ulps[fine])
    open_ = np.flatnonzero(~(fine | beyond | lost))
    if open_.size:
        array.doubt(block.start + at[open_], np.where(known, least, np.inf)[open_])
    if fine.any():
        top = int(np.argmax(np.where(fine, ulps, -1.0)))
        array.worst.append((float(ulps[top]), block.start + int(at[top])))


def _at_ties(array: _Column, seen: Seen, some: Array, got: Sequence[Array]) -> tuple[Array, Array]:
    """Judge the contributions at kinks, of ``some`` elements of a block, among which are all that are tied: where the sides
    differ and they are what they should be, and where they are not."""
    right_at, wrong = np.zeros(len(some), bool), np.zeros(len(some), bool)
    at = np.flatnonzero(seen.tied[some])
    sides = [side[array.rows] for side in seen.sides]
    if len(sides[0]) != 1:  # parts of complex numbers have no kinks with a convention
        wrong[at] = True
        return right_at, wrong
    apart, right = at_kinks(got[0][at], [side[0] for side in sides], array.kink, array.dtype)
    unknown = ~np.all([np.isfinite(side[0].mid) & np.isfinite(side[0].radius()) for side in sides], axis=0)
    jumps = np.zeros(len(at), bool)
    for rows in zip(*seen.side_heads, strict=True):
        jumps |= at_kinks(np.zeros(len(at)), rows, None, array.dtype)[0]
    wrong[at] = unknown | (apart & ~right)
    right_at[at] = apart & right & ~unknown
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
    one: Application,
    elements: Elements,
    arrays: Sequence[_Column],
    done: int,
    deadline: float,
    seconds: float,
    sample: Array,
    left_: Sequence[int],
) -> Checked:
    """The verdicts, after Arb has read what is in doubt, the worst first, and some of what is ``left_`` of a sample."""
    count = elements.count
    weight = np.zeros(count)
    for array in arrays:
        for at, heavy in zip(array.doubts, array.weights, strict=True):
            weight[at] = np.maximum(weight[at], np.maximum(heavy, 1e-9))
    doubted = np.flatnonzero(weight) if any(array.doubts for array in arrays) else np.zeros(0, int)
    doubted = doubted[np.argsort(-weight[doubted], kind="stable")]
    if doubted.size > CHUNK:
        known = _settled(elements, arrays, doubted[CHUNK:], deadline)
        doubted = np.concatenate([doubted[:CHUNK], doubted[CHUNK:][~known]])
    first, twins = _distinct(elements, doubted)
    few = np.array(left_ if elements.complex else [k for k in left_ if not weight[k]][:FEW], int)
    started, resolved, read = time.monotonic(), np.zeros(count, bool), 0
    queue = np.concatenate([first[:CHUNK], few[~np.isin(few, first[:CHUNK])]])
    rest = first[CHUNK:]
    spent = 0.0
    while queue.size:
        found = check_values(one.part(queue))
        verdicts = iter([found.forward, *(v for v in found.contributions if v is not None)])
        for array in [arrays[0], *arrays[len(one.results) :]]:
            array.tally.note(_placed(next(verdicts), queue, array.tally))
        resolved[queue] = True
        read += len(queue)
        spent = time.monotonic() - started
        if time.monotonic() + spent * CHUNK / max(1, read) > deadline:
            break
        queue, rest = rest[:CHUNK], rest[CHUNK:]
    alone = read + int((~resolved[sample]).sum())
    resolved[doubted] |= resolved[first[twins]] if doubted.size else False
    wanted = seconds + (count - done) * seconds / max(done, 1) + spent / max(1, read) * int((~resolved[first]).sum())
    verdicts_of = []
    for array in arrays:
        mine = np.intersect1d(np.concatenate(array.doubts), doubted) if array.doubts else np.zeros(0, int)
        left = int((~resolved[mine]).sum()) + int((~resolved[done:]).sum())
        verdicts_of.append(_told(array.tally, count - left, alone, left, wanted))
    forward = verdicts_of[0]
    for other in verdicts_of[1 : len(one.results)]:
        forward = replace(forward, checked=forward.checked + other.checked, total=forward.total + other.total)
    contributions = iter(verdicts_of[len(one.results) :])
    return Checked(forward, tuple(None if c is None else next(contributions) for c in one.contributions))


def _settled(elements: Elements, arrays: Sequence[_Column], at: Array, deadline: float) -> Array:
    """Of elements in doubt those that arrays have the word for too."""
    results, others = arrays[: len(elements.one.results)], arrays[len(elements.one.results) :]
    if elements.complex or any(array.doubts for array in results):
        return np.zeros(len(at), bool)
    doubts = [np.isin(at, np.concatenate(array.doubts)) if array.doubts else np.zeros(len(at), bool) for array in others]
    return settled(elements, at, doubts, [array.tally for array in others], deadline)


def _told(tally: Tally, checked: int, sampled: int, left: int, wanted: float) -> ValueVerdict:
    found = replace(tally.worst, checked=checked, total=tally.total, sampled=sampled)
    if not left:
        return found
    text = f"{checked} of {tally.total} elements enclosed; a budget of about {max(1.0, 2 * wanted):.0f} s would do; {TIME}"
    return replace(found, reason=f"{found.reason}; {text}" if found.reason else text)


def _placed(found: ValueVerdict, picked: Array, tally: Tally) -> ValueVerdict:
    """A verdict on picked elements, with the place of its element in the whole."""
    if not found.element:
        return found if len(picked) > 1 else replace(found, element=tally.place(int(picked[0])) if found.got else "")
    return replace(found, element=tally.place(int(picked[int(found.element.strip("[]"))])))


def _distinct(elements: Elements, doubted: Array) -> tuple[Array, Array]:
    """Of elements in doubt those that differ in any number, in order, and for each the place of its like among them: what
    is the same to the last bit has one truth, and one word."""
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


def _by_arb(one: Application, why: str, deadline: float) -> Checked:
    """The verdicts where arrays are not to be relied on: by Arb, of as many elements as there is time for."""
    count, picked = one.results[0].size, drawn(one.results[0].size)
    order = np.concatenate([picked, np.setdiff1d(np.arange(count), picked)])
    tallies = [Tally(one.results[0].shape, one.results[0].size * len(one.results))]
    tallies += [Tally(c.shape, c.size) for c in one.contributions if c is not None]
    read = 0
    while read < count and (not read or time.monotonic() < deadline):
        queue = order[read : read + CHUNK]
        found = check_values(one.part(queue))
        for tally, verdict in zip(
            tallies, (found.forward, *(v for v in found.contributions if v is not None)), strict=True
        ):
            tally.note(_placed(verdict, queue, tally))
        read += len(queue)

    def told(tally: Tally) -> ValueVerdict:
        verdict = replace(tally.worst, checked=read * tally.total // count, total=tally.total, sampled=read)
        if read == count or verdict.word is ValueWord.OFF:
            return verdict
        return replace(verdict, word=ValueWord.UNCHECKED, reason=why)

    forward, *others = map(told, tallies)
    contributions = iter(others)
    return Checked(forward, tuple(None if c is None else next(contributions) for c in one.contributions))


def sampled(one: Application) -> Array:
    """The extremes of each array of an elementwise node, and a sample drawn by a fixed generator."""
    count = one.results[0].size
    if count <= SAMPLE:
        return np.arange(count)
    picked = set(drawn(count).tolist())
    for array in (*one.inputs, *one.cotangents, *one.results, *(c for c in one.contributions if c is not None)):
        if array.size == count and array.dtype.kind not in "biu":
            sizes = np.abs(columns(array)).max(1)
            sizes = np.where(np.isfinite(sizes), sizes, 0.0)
            picked |= {int(np.argmin(sizes)), int(np.argmax(sizes))}
    return np.array(sorted(picked))
