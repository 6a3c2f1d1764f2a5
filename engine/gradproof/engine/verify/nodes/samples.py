"""Samples of the elements of a node: Arb reads the definition there once, and what it gives must overlap the array balls.

The sample guards the reading over arrays, whose words are tested and not proved. How many elements are read is counted in
operations of the definition, so that it is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Balls, Undecided
from gradproof.engine.spec import Array, is_complex
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.floats.balls import as_is
from gradproof.engine.verify.nodes.batches import Batch, Column
from gradproof.engine.verify.nodes.spots import Cells, Counter, TooDear
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge
from gradproof.engine.verify.readings.attributes import in_balls

SAMPLE = 64
FEW_MOVED = 16
"""Of results that are exact, as where numbers are moved: fewer do, as every element is compared bit by bit."""
BITS = 128
OPERATIONS, PER_OPERATION = 2_000, 64
"""So many operations of definitions are read for a node, and one more for so many of its elements."""
HALF = 2.0**-53 * (1 + 2.0**-46)
MAX_OPERATIONS = 20_000  # of one element, which is read if the others are too dear
SILENT = (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError, AttributeError, TypeError, NotImplementedError)


class Apart(NamedTuple):
    """An enclosure of the arrays and Arb's, of the same number, that have no point in common."""

    of: str  # which array, and element
    ball: str
    truth: str

    def reason(self, op: str) -> str:
        return (
            f"op {op!r}: {self.of} is {self.truth} by its definition, and {self.ball} as it is read over arrays, "
            "which is not to be relied on"
        )


@lru_cache(256)
def _mixed(count: int) -> list[int]:
    """The drawn places in another order, so that the first of them are everywhere too."""
    found: list[int] = np.random.default_rng(count).permutation(drawn(count)).tolist()
    return found


@lru_cache(256)
def drawn(count: int, size: int = SAMPLE) -> Array:
    """Places of elements, in order, drawn by a fixed generator: ``size`` of ``count``, or all."""
    if count <= size:
        return np.arange(count)
    found = np.unique(np.random.default_rng(count).integers(0, count, 4 * size))
    found = np.random.default_rng(count + 1).permutation(found)[:size] if len(found) >= size else np.arange(size)
    found.sort()
    found.flags.writeable = False
    return found


def budget(size: int) -> int:
    """How many operations of definitions are read for a node of a size."""
    return OPERATIONS + size // PER_OPERATION


def apart(truth: Any, mid: float, rad: float) -> bool:
    """Whether enclosures of one number certainly contradict each other."""
    ball = truth if isinstance(truth, arb) else arb(truth)
    if abs(float(ball) - mid) <= rad - abs(mid) * HALF:  # where the midpoint of Arb's, rounded, is well inside
        return False
    return ball.is_finite() and math.isfinite(mid) and math.isfinite(rad) and not ball.overlaps(arb(mid, rad))


def _doubtful(truths: Sequence[arb | None], mids: Array, rads: Array) -> list[int]:
    """Of elements in order those where the middle of Arb's ball is not seen to be inside the other."""
    found = np.array([math.nan if x is None else float(x) for x in truths])
    mids, rads = mids[: len(found)], rads[: len(found)]
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.abs(found - mids) <= rads - np.abs(mids) * HALF
    return [int(k) for k in np.flatnonzero(~inside)]


def shown(mid: float, rad: float) -> str:
    """A ball of an array, as text."""
    return f"{mid!r} ± {rad:.3g}"


# elementwise ops


class Read(NamedTuple):
    """An element as Arb reads it: results and slopes, and whether it is at a tie, where there are no slopes."""

    values: list[arb]
    slopes: list[arb]
    tied: bool
    operations: int


def read_element(
    definitions: Sequence[Callable[..., Any]],
    numbers: Sequence[Any],
    seeds: Sequence[float],
    slots: Sequence[int],
    attributes: Mapping[str, Any],
) -> Read:
    """An element of an elementwise op, at Python numbers. Raises `SILENT` errors, and what a stranger's code raises."""
    tape = Tape(MAX_OPERATIONS)
    given = [arb(x) if isinstance(x, float) else x for x in numbers]
    moving = [tape.variable(given[k]) for k in slots]
    for k, x in zip(slots, moving, strict=True):
        given[k] = x
    results = [tape.as_number(define(tape, *given, **attributes)) for define in definitions]
    slopes = tape.gradient(results, [arb(g) for g in seeds], moving)
    return Read([tape.ball(y) for y in results], slopes, bool(tape.ties), len(tape.recorded) + len(given))


class Sampled(NamedTuple):
    """How many elements were read, those that Arb has another way to read, and a contradiction."""

    read: int
    left: list[int]
    apart: Apart | None


def sample_elements(
    one: Application,
    columns: tuple[Sequence[Array], Sequence[Array]],
    slots: Sequence[int],
    places: Array,
    balls: tuple[Sequence[BallArray], Sequence[BallArray]],
) -> Sampled:
    """Read elements of an elementwise op of real numbers, and compare.

    Args:
        columns: inputs and cotangents, in rows of one column.
        slots: inputs that have contributions.
        places: of the elements.
        balls: what was read over arrays there: the results, and the contributions of ``slots``.
    """
    if not len(places):
        return Sampled(0, [], None)
    inputs, cotangents = ([x[places, 0].tolist() for x in some] for some in columns)
    rows = [(x.mid, x.radius()) for some in balls for x in some]
    attributes = in_balls(one.attributes) if one.attributes else one.attributes
    with precision(BITS):
        try:
            truths, tied = _together(one, inputs, cotangents, slots, attributes)
            read, left = len(places), [places[k] for k in np.flatnonzero(tied)]
        except SILENT:
            truths, tied, read, left = _singly(one, inputs, cotangents, slots, attributes, places.tolist())
        for j, ((mids, rads), column) in enumerate(zip(rows, truths, strict=True)):
            still = j < len(one.results)
            for k in _doubtful(column, mids, rads):
                mid, rad, truth, tie, place = float(mids[k]), float(rads[k]), column[k], tied[k], int(places[k])
                if truth is not None and (still or not tie) and apart(truth, mid, rad):
                    name = "result" if still else f"the contribution to {one.op.input_name(slots[j - len(one.results)])}"
                    index = [int(k) for k in np.unravel_index(place, one.results[0].shape)]
                    return Sampled(read, left, Apart(f"{name} {index}", shown(mid, rad), truth.str(20)))
    return Sampled(read - len(left), left, None)


def _together(
    one: Application, inputs: Sequence[Any], cotangents: Sequence[Any], slots: Sequence[int], attributes: Mapping[str, Any]
) -> tuple[list[list[arb | None]], Array]:
    """Results and contributions of all elements, read at once, and at which there are ties."""
    f = Batch(len(cotangents[0]), MAX_OPERATIONS)
    given: list[Any] = []
    for k, (x, array) in enumerate(zip(inputs, one.inputs, strict=True)):
        if array.dtype.kind in "iu":
            raise NotImplementedError("integers are exponents and places: they are read one by one")
        given.append(np.array(x) if array.dtype.kind == "b" else f.column(x, k if k in slots else None))
    results = [define(f, *given, **attributes) for define in one.op.definitions]
    weights = [f.column(g) for g in cotangents]
    slopes = [sum((g * Column(f, f.slope(y, k)) for y, g in zip(results, weights, strict=True)), arb(0)) for k in slots]
    return [[*f.balls(x)] for x in (*results, *slopes)], f.ties


def _singly(
    one: Application,
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    slots: Sequence[int],
    attributes: Mapping[str, Any],
    places: Sequence[int],
) -> tuple[list[list[arb | None]], Array, int, list[int]]:
    """The same of one element after the other, as many as there are operations for: how many, and those that have no
    number, or are at a tie."""
    most, spent, left = budget(one.size), 0, []
    truths: list[list[arb | None]] = [[] for _ in (*one.results, *slots)]
    tied = np.zeros(len(places), bool)
    definitions = one.op.definitions
    for row, place in enumerate(places):
        found: list[arb | None] = [None] * len(truths)
        try:
            read = read_element(definitions, [x[row] for x in inputs], [g[row] for g in cotangents], slots, attributes)
            found, tied[row] = [*read.values, *read.slopes], read.tied
            spent += read.operations
            if read.tied:
                left.append(place)
        except SILENT:
            left.append(place)
        for column, truth in zip(truths, found, strict=True):
            column.append(truth)
        if spent > most:
            break
    return truths, tied, len(truths[0]), left


# others


def sample_results(one: Application, balls: Sequence[BallArray]) -> tuple[int, Apart | None]:
    """Read elements of the results of an op that is not elementwise, as many as there are operations for, and compare;
    their number, and a contradiction."""
    if not one.op.definitions or any(map(is_complex, (*one.specs, *one.outputs))):
        return 0, None
    counter = Counter(MAX_OPERATIONS)
    f = Balls()
    cells = [Cells(x, as_is, counter) for x in one.inputs]
    most, count = budget(max(one.size, max((y.size for y in one.results), default=0))), 0
    attributes = in_balls(one.attributes) if one.attributes else one.attributes
    with precision(BITS):
        for define, result, ball in zip(one.op.definitions, one.results, balls, strict=False):
            rad = ball.radius()
            still = ball.spread is None and not ball.part
            for place in _spread_out(result, FEW_MOVED if still else SAMPLE):
                index = tuple(int(k) for k in np.unravel_index(place, result.shape))
                try:
                    truth = arb(f.as_number(define(f, index, *cells, **attributes)))
                except TooDear:
                    return count, None
                except SILENT:
                    continue
                mid, wide = float(ball.mid[index]), float(rad[index])
                if apart(truth, mid, wide):
                    return count, Apart(f"result {list(index)}", shown(mid, wide), truth.str(20))
                count += 1
                if counter.seen >= most:
                    return count, None
                counter.limit = most
    return count, None


def _spread_out(result: Array, count: int) -> list[int]:
    """Places of a sample: the extremes first, then drawn ones."""
    if not result.size:
        return []
    flat = result.reshape(-1)
    ends = [int(flat.argmax()), int(flat.argmin())] if result.dtype.kind in "biuf" else []
    return list(dict.fromkeys([*ends, *_mixed(result.size)]))[:count]
