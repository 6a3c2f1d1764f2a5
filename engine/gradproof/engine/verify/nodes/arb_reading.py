"""Elements of an elementwise node that Arb reads: those that arrays leave in doubt, or all if arrays are not reliable."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.nodes.distances import Tally
from gradproof.engine.verify.nodes.elements import Elements
from gradproof.engine.verify.nodes.node_arrays import NodeArray
from gradproof.engine.verify.nodes.roundings import explained_by_rounding
from gradproof.engine.verify.nodes.samples import sample_places
from gradproof.engine.verify.numbers import Application, Checked, check_values
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import TIME
from gradproof.engine.verify.verdict.wording import flat_place, joined

CHUNK = 64
MAX_UNIQUE = 200_000
FEW = 4  # elements at ties, or with infinite inputs, that Arb reads in full


class ArbReading:
    """Reading of the doubtful elements of a node by Arb, the worst first, until ``deadline``. Equal ones are read once."""

    def __init__(self, elements: Elements, arrays: Sequence[NodeArray], deadline: float) -> None:
        self.elements, self.arrays, self.deadline = elements, arrays, deadline
        self.weight = np.zeros(elements.count)
        for array in arrays:
            for at, distance in zip(array.doubts, array.weights, strict=True):
                self.weight[at] = np.maximum(self.weight[at], np.maximum(distance, 1e-9))
        doubted = np.flatnonzero(self.weight)
        doubted = doubted[np.argsort(-self.weight[doubted], kind="stable")]
        if doubted.size > CHUNK:
            known = _explained_by_rounding(elements, arrays, doubted[CHUNK:], deadline)
            doubted = np.concatenate([doubted[:CHUNK], doubted[CHUNK:][~known]])
        self.doubted = doubted
        self.distinct, self.twins = _distinct(elements, doubted)
        self.resolved = np.zeros(elements.count, bool)
        self.count, self.spent = 0, 0.0

    def read(self, left_over: Sequence[int]) -> None:
        """Read the doubtful elements, and some of those ``left_over`` by the sample, and note their verdicts."""
        application = self.elements.application
        few = np.array(left_over if self.elements.complex else [k for k in left_over if not self.weight[k]][:FEW], int)
        started, rest = time.monotonic(), self.distinct[CHUNK:]
        queue = np.concatenate([self.distinct[:CHUNK], few[~np.isin(few, self.distinct[:CHUNK])]])
        while queue.size:
            checked = check_values(application.part(queue))
            verdicts = iter([checked.forward, *(v for v in checked.contributions if v is not None)])
            for array in [self.arrays[0], *self.arrays[len(application.results) :]]:
                array.tally.note(_relocated(next(verdicts), queue, array.tally))
            self.resolved[queue] = True
            self.count += len(queue)
            self.spent = time.monotonic() - started
            if time.monotonic() + self.spent * CHUNK / max(1, self.count) > self.deadline:
                break
            queue, rest = rest[:CHUNK], rest[CHUNK:]

    def verdicts(self, sample: Array, done: int, seconds: float) -> Checked:
        """The verdicts on the node.

        Args:
            sample: places of the elements that were read beside.
            done: number of elements that arrays enclosed in ``seconds``.
        """
        application, count = self.elements.application, self.elements.count
        sampled = self.count + int((~self.resolved[sample]).sum())
        unread = int((~self.resolved[self.distinct]).sum())
        if self.doubted.size:
            self.resolved[self.doubted] |= self.resolved[self.distinct[self.twins]]
        needed = seconds + (count - done) * seconds / max(done, 1) + self.spent / max(1, self.count) * unread
        verdicts = []
        for array in self.arrays:
            doubts = np.intersect1d(np.concatenate(array.doubts), self.doubted) if array.doubts else np.zeros(0, int)
            left = int((~self.resolved[doubts]).sum()) + int((~self.resolved[done:]).sum())
            verdicts.append(_finished(array.tally, count - left, sampled, left, needed))
        forward = verdicts[0]
        for verdict in verdicts[1 : len(application.results)]:
            forward = replace(forward, checked=forward.checked + verdict.checked, total=forward.total + verdict.total)
        contributions = iter(verdicts[len(application.results) :])
        return Checked(forward, tuple(None if c is None else next(contributions) for c in application.contributions))


def _explained_by_rounding(elements: Elements, arrays: Sequence[NodeArray], at: Array, deadline: float) -> Array:
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


def check_by_arb(application: Application, why: str, deadline: float) -> Checked:
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
