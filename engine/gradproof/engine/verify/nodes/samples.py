"""Samples of the elements of a node: Arb reads the definition there, and its balls must overlap those of the arrays.

The sample guards the reading over arrays, whose functions are tested and not proved. The number of elements is counted in
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
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array, is_complex
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.floats.balls import as_is
from gradproof.engine.verify.nodes.columns import Batch, Column
from gradproof.engine.verify.nodes.spots import UNREADABLE, Counter, LazyArray, TooExpensive
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.readings import Tape
from gradproof.engine.verify.readings.attributes import in_balls
from gradproof.engine.verify.verdict.wording import element_text, index_text

SAMPLE = 64
FEW_MOVED = 16
"""Sample size of exact results, as of moved numbers: every element is compared bit by bit."""
BITS = 128
OPERATIONS, PER_OPERATION = 2_000, 64
"""Operations of definitions read for a node, and the number of elements that allow a further operation."""
HALF = 2.0**-53 * (1 + 2.0**-46)
MAX_OPERATIONS = 20_000  # of an element, which is read if the others are too expensive


class Contradiction(NamedTuple):
    """An enclosure by arrays and another by Arb of the same number that have no point in common."""

    of: str  # array and element
    ball: str
    truth: str

    def reason(self, op: str) -> str:
        """The reason of a verdict that cannot rely on arrays."""
        return (
            f"op {op!r}: {self.of} is {self.truth} by its definition, and {self.ball} as it is read over arrays, "
            "which is not to be relied on"
        )


@lru_cache(256)
def _mixed(count: int) -> list[int]:
    """The sample places in random order, so that the first of them are spread over the array."""
    places: list[int] = np.random.default_rng(count).permutation(sample_places(count)).tolist()
    return places


@lru_cache(256)
def sample_places(count: int, size: int = SAMPLE) -> Array:
    """Sorted flat places drawn by a fixed generator: ``size`` of ``count``, or all."""
    if count <= size:
        return np.arange(count)
    places = np.unique(np.random.default_rng(count).integers(0, count, 4 * size))
    places = np.random.default_rng(count + 1).permutation(places)[:size] if len(places) >= size else np.arange(size)
    places.sort()
    places.flags.writeable = False
    return places


def operations_for(size: int) -> int:
    """Number of operations of definitions that are read for a node of this size."""
    return OPERATIONS + size // PER_OPERATION


def contradicts(truth: arb | float, mid: float, rad: float) -> bool:
    """True if two enclosures of a number certainly have no point in common."""
    ball = truth if isinstance(truth, arb) else arb(truth)
    if abs(float(ball) - mid) <= rad - abs(mid) * HALF:  # Arb's rounded midpoint is well inside
        return False
    return ball.is_finite() and math.isfinite(mid) and math.isfinite(rad) and not ball.overlaps(arb(mid, rad))


def _doubtful(truths: Sequence[arb | None], mids: Array, rads: Array) -> list[int]:
    """Indices of the elements for which Arb's midpoint is not clearly inside the array's ball."""
    middles = np.array([math.nan if x is None else float(x) for x in truths])
    mids, rads = mids[: len(middles)], rads[: len(middles)]
    with np.errstate(invalid="ignore", over="ignore"):
        inside = np.abs(middles - mids) <= rads - np.abs(mids) * HALF
    return [int(k) for k in np.flatnonzero(~inside)]


def ball_text(mid: float, rad: float) -> str:
    """A ball of an array, as text."""
    return f"{mid!r} ± {rad:.3g}"


# elementwise ops


class ElementReading(NamedTuple):
    """An element read by Arb: results, derivatives, and whether it is at a tie, where there are no derivatives."""

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
) -> ElementReading:
    """Read an element of an elementwise op at Python numbers. Raises `UNREADABLE` errors, and any exception of the
    definition."""
    tape = Tape(MAX_OPERATIONS)
    arguments = [arb(x) if isinstance(x, float) else x for x in numbers]
    moving = [tape.variable(arguments[k]) for k in slots]
    for k, x in zip(slots, moving, strict=True):
        arguments[k] = x
    results = [tape.as_number(define(tape, *arguments, **attributes)) for define in definitions]
    slopes = tape.gradient(results, [arb(g) for g in seeds], moving)
    return ElementReading([tape.ball(y) for y in results], slopes, bool(tape.ties), len(tape.recorded) + len(arguments))


class SampleResult(NamedTuple):
    """The number of elements read, the places that need a full reading, and a contradiction."""

    read: int
    left: list[int]
    contradiction: Contradiction | None


def sample_elements(
    application: Application,
    columns: tuple[Sequence[Array], Sequence[Array]],
    slots: Sequence[int],
    places: Array,
    balls: tuple[Sequence[BallArray], Sequence[BallArray]],
) -> SampleResult:
    """Read elements of an elementwise op of real numbers, and compare.

    Args:
        columns: inputs and cotangents, a row per element, with a single column.
        slots: inputs with contributions.
        places: flat places of the elements.
        balls: enclosures by arrays at these places: of the results, and of the contributions of ``slots``.
    """
    if not len(places):
        return SampleResult(0, [], None)
    inputs, cotangents = ([x[places, 0].tolist() for x in some] for some in columns)
    rows = [(x.mid, x.radius()) for some in balls for x in some]
    attributes = in_balls(application.attributes) if application.attributes else application.attributes
    with precision(BITS):
        try:
            truths, tied = _together(application, inputs, cotangents, slots, attributes)
            read, left = len(places), [places[k] for k in np.flatnonzero(tied)]
        except UNREADABLE:
            truths, tied, read, left = _singly(application, inputs, cotangents, slots, attributes, places.tolist())
        for j, ((mids, rads), column) in enumerate(zip(rows, truths, strict=True)):
            still = j < len(application.results)
            for k in _doubtful(column, mids, rads):
                mid, rad, truth, tie, place = float(mids[k]), float(rads[k]), column[k], tied[k], int(places[k])
                if truth is not None and (still or not tie) and contradicts(truth, mid, rad):
                    name = (
                        "result"
                        if still
                        else f"the contribution to {application.op.input_name(slots[j - len(application.results)])}"
                    )
                    element = element_text(place, application.results[0].shape)
                    return SampleResult(read, left, Contradiction(f"{name} {element}", ball_text(mid, rad), truth.str(20)))
    return SampleResult(read - len(left), left, None)


def _together(
    application: Application,
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    slots: Sequence[int],
    attributes: Mapping[str, Any],
) -> tuple[list[list[arb | None]], Array]:
    """Results and contributions of all elements, read at once, and the mask of the ties."""
    f = Batch(len(cotangents[0]), MAX_OPERATIONS)
    arguments: list[Any] = []
    for k, (x, array) in enumerate(zip(inputs, application.inputs, strict=True)):
        if array.dtype.kind in "iu":
            raise NotImplementedError("integers are exponents and places: they are read singly")
        arguments.append(np.array(x) if array.dtype.kind == "b" else f.column(x, k if k in slots else None))
    results = [define(f, *arguments, **attributes) for define in application.op.definitions]
    weights = [f.column(g) for g in cotangents]
    slopes = [sum((g * Column(f, f.slope(y, k)) for y, g in zip(results, weights, strict=True)), arb(0)) for k in slots]
    return [[*f.balls(x)] for x in (*results, *slopes)], f.ties


def _singly(
    application: Application,
    inputs: Sequence[Any],
    cotangents: Sequence[Any],
    slots: Sequence[int],
    attributes: Mapping[str, Any],
    places: Sequence[int],
) -> tuple[list[list[arb | None]], Array, int, list[int]]:
    """The same, element after element while operations are left; the number of elements read, and the places without a
    number or at a tie."""
    most, spent, left = operations_for(application.size), 0, []
    truths: list[list[arb | None]] = [[] for _ in (*application.results, *slots)]
    tied = np.zeros(len(places), bool)
    definitions = application.op.definitions
    for row, place in enumerate(places):
        enclosures: list[arb | None] = [None] * len(truths)
        try:
            read = read_element(definitions, [x[row] for x in inputs], [g[row] for g in cotangents], slots, attributes)
            enclosures, tied[row] = [*read.values, *read.slopes], read.tied
            spent += read.operations
            if read.tied:
                left.append(place)
        except UNREADABLE:
            left.append(place)
        for column, truth in zip(truths, enclosures, strict=True):
            column.append(truth)
        if spent > most:
            break
    return truths, tied, len(truths[0]), left


# others


def sample_results(application: Application, balls: Sequence[BallArray]) -> tuple[int, Contradiction | None]:
    """Read elements of the results of an op that is not elementwise while operations are left, and compare; return their
    number, and a contradiction."""
    if not application.op.definitions or any(map(is_complex, (*application.specs, *application.outputs))):
        return 0, None
    counter = Counter(MAX_OPERATIONS)
    f = Balls()
    cells = [LazyArray(x, as_is, counter) for x in application.inputs]
    most, count = operations_for(max(application.size, max((y.size for y in application.results), default=0))), 0
    attributes = in_balls(application.attributes) if application.attributes else application.attributes
    with precision(BITS):
        for define, result, ball in zip(application.op.definitions, application.results, balls, strict=False):
            rad = ball.radius()
            still = ball.spread is None and not ball.part
            for place in _spread_out(result, FEW_MOVED if still else SAMPLE):
                index = tuple(int(k) for k in np.unravel_index(place, result.shape))
                try:
                    truth = arb(f.as_number(define(f, index, *cells, **attributes)))
                except TooExpensive:
                    return count, None
                except UNREADABLE:
                    continue
                mid, wide = float(ball.mid[index]), float(rad[index])
                if contradicts(truth, mid, wide):
                    return count, Contradiction(f"result {index_text(index)}", ball_text(mid, wide), truth.str(20))
                count += 1
                if counter.seen >= most:
                    return count, None
                counter.limit = most
    return count, None


def _spread_out(result: Array, count: int) -> list[int]:
    """Places of a sample: the extremes first, then sampled places."""
    if not result.size:
        return []
    flat = result.reshape(-1)
    ends = [int(flat.argmax()), int(flat.argmin())] if result.dtype.kind in "biuf" else []
    return list(dict.fromkeys([*ends, *_mixed(result.size)]))[:count]
