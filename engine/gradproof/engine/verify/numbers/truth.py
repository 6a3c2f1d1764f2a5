"""True values of a node: its outputs by their definition, and the derivatives of the definition, enclosed for each
element.

A definition is read at the exact floats of the run: in balls for the outputs, and on a tape of balls, with the cotangents
that the rule received, for the derivative. No rule is used. Precision is doubled until each enclosure is narrow. An
element without a value (at a pole, or dependent on a nan) is nan, and does not affect the others.

Infinite inputs are read in the extended reals, as limits: two large numbers take the place of each, and an element on
which both readings agree does not depend on them. Two infinities of a sign are different numbers in these, and the same
number in a third reading of results, so that nothing is known of ``equal(inf, inf)``. Finite numbers that are too large
for the exponential of a ball are read as limits too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Infinity
from gradproof.engine.spec import Array, Spec, parts, spec_of
from gradproof.engine.verify.floats.balls import Reading, agree, as_is, balls_of, narrow
from gradproof.engine.verify.floats.ulps import exact
from gradproof.engine.verify.readings import Tape, concrete, read_parts
from gradproof.engine.verify.readings.tape import Bounded, ball_of

PRECISIONS = (128, 256, 512, 1024, 2048, 4096)
ZERO_BITS = 2048
MAX_OPERATIONS = 60_000
MAX_COMPARISONS = 300_000
FAR = 2.0**62
"""Magnitude from which a finite number may be read as a limit too."""

Rows: TypeAlias = list[list[arb]]


@dataclass(frozen=True)
class Application:
    """An op as applied in a run.

    Attributes:
        inputs: arrays of the inputs.
        outputs: specs of the outputs.
        results: arrays of the outputs.
        cotangents: arrays that the rule received, in the order of the outputs.
        contributions: arrays that the rule gave for each input, None where none was needed.
    """

    op: Op
    attributes: Attributes
    inputs: Sequence[Array]
    outputs: Sequence[Spec]
    results: Sequence[Array]
    cotangents: Sequence[Array]
    contributions: Sequence[Array | None]

    @property
    def specs(self) -> list[Spec]:
        """Shapes and dtypes of the inputs."""
        return [spec_of(x) for x in self.inputs]

    @property
    def size(self) -> int:
        """Number of elements of the largest array."""
        return max((array.size for array in [*self.inputs, *self.cotangents]), default=0)

    @property
    def terms(self) -> int:
        """Largest number of terms of a sum in the node: those along all axes."""
        return 1 if self.op.elementwise else max(sum(array.shape) for array in (*self.inputs, *self.results))

    def part(self, index: Array) -> Application:
        """The application of an elementwise op to the elements at flat positions ``index``."""

        def pick(array: Array) -> Array:
            shape = self.results[0].shape
            elements: Array = np.broadcast_to(np.asarray(array), shape).reshape(-1)[index]
            return elements

        return Application(
            self.op,
            self.attributes,
            [pick(x) for x in self.inputs],
            [Spec((len(index),), spec.dtype) for spec in self.outputs],
            [pick(y) for y in self.results],
            [pick(g) for g in self.cotangents],
            [None if c is None else pick(c) for c in self.contributions],
        )


@dataclass(frozen=True)
class Truth:
    """Enclosures of the true values of an application.

    Attributes:
        balls: for each input its contribution, flat.
        outputs: for each output its values, flat.
        bits: precision in bits.
        ties: groups of variables that are tied.
        reach: for each input and element the largest cotangent that it depends on.
    """

    balls: Rows
    outputs: Rows
    bits: int
    ties: tuple[frozenset[int], ...] = ()
    reach: tuple[tuple[float, ...], ...] = ()


def true_outputs(application: Application, reading: Reading = as_is) -> tuple[Rows, int]:
    """Enclosures of the outputs, and the precision in bits. Raises Undecided, TooLarge, NoDefinition."""
    outputs, bits = _resolved(application, reading, lambda how: [outputs_of(application, how)], unbounded=True)
    return outputs[0], bits


def true_contributions(
    application: Application, reading: Reading = as_is, direction: dict[int, float] | None = None
) -> Truth:
    """Enclosures of the contributions. Raises Undecided, TooLarge, NoDefinition."""
    last: list[Tape] = []
    reached: list[Any] = []

    def read(how: Reading) -> list[Rows]:
        tape = Tape(MAX_OPERATIONS, direction)
        rows, outputs, reach = contributions(application, tape, how)
        last[:] = [tape]
        reached[:] = [reach]
        return [rows, outputs]

    (balls, outputs), bits = _resolved(application, reading, read)
    return Truth(balls, outputs, bits, tuple(map(frozenset, last[0].ties)), tuple(map(tuple, reached[0])))


def _resolved(
    application: Application, reading: Reading, read: Callable[[Reading], list[Rows]], *, unbounded: bool = False
) -> tuple[list[Rows], int]:
    """Rows of enclosures, each element narrowed; elements that stay wide are read as limits if a number is far out.

    ``unbounded``: a limit may be infinite.
    """
    far = _large_magnitudes(application.inputs)
    infinite = math.inf in far
    extended = unbounded and infinite
    if infinite:
        first, bits = _narrowed(read, _LimitReading(reading, far, 0, alike=extended))
    else:
        first, bits = _narrowed(read, reading)
        if not far or all(narrow(ball) for row in first[0] for ball in row):
            return first, bits
    sides = [_narrowed(read, _LimitReading(reading, far, seed))[0] for seed in (1, 2)]

    def limit(ball: arb, a: arb, b: arb) -> arb:
        if not infinite and narrow(ball):
            return ball
        return _limit((a, b, ball) if extended else (a, b), extended)

    return [
        [[limit(*balls) for balls in zip(*rows, strict=True)] for rows in zip(own, *others, strict=True)]
        for own, *others in zip(first, *sides, strict=True)
    ], bits


def _limit(sides: Sequence[arb], unbounded: bool) -> arb:
    """Limit that the readings far out agree on, or nan. ``unbounded``: it may be infinite."""
    first, *others = sides
    if all(agree(first, side) for side in others):
        return first
    far_out = unbounded and all(side.is_finite() and abs(float(side)) > math.sqrt(FAR) for side in sides)
    if far_out and all(first * side > 0 for side in others):
        return arb("inf") if first > 0 else arb("-inf")
    return arb("nan")


def _narrowed(read: Callable[[Reading], list[Rows]], reading: Reading) -> tuple[list[Rows], int]:
    """Rows read at increasing precision until each ball of the first is narrow; nan where it never is."""
    merged: list[Rows] = []
    zero = False  # all balls that are still wide contain 0: zeros take many bits, so precisions between are skipped
    for bits in PRECISIONS:
        if zero and bits < ZERO_BITS:
            continue
        with precision(bits):
            enclosures = read(reading)
        merged = enclosures if not merged else [_merged(a, b) for a, b in zip(merged, enclosures, strict=True)]
        open_ = [ball for row in merged[0] for ball in row if not narrow(ball)]
        if not open_ or (bits >= 512 and all(not ball.is_finite() for ball in open_)):
            break
        zero = bits >= 256 and all(ball.is_finite() and ball.contains(0) for ball in open_)
    return [[[ball if narrow(ball) else arb("nan") for ball in row] for row in rows] for rows in merged], bits


def _merged(known: Rows, enclosures: Rows) -> Rows:
    return [
        [a if narrow(a) else b for a, b in zip(known_row, new_row, strict=True)]
        for known_row, new_row in zip(known, enclosures, strict=True)
    ]


def _large_magnitudes(inputs: Iterable[Array]) -> list[float]:
    """Magnitudes of all numbers of at least `FAR`, sorted, without repetition."""
    magnitudes: set[float] = set()
    for x in inputs:
        if x.dtype.kind not in "biu":
            sizes = np.abs(np.asarray(parts(x), np.float64)).ravel()
            magnitudes.update(sizes[sizes >= FAR].tolist())
    return sorted(magnitudes)


class _LimitReading:
    """Reading in which a number that is far out is replaced by another large number, in the same order.

    Infinite numbers become different numbers, in reverse order in the reading of seed 2, so that a result that depends on
    their order has no limit. ``alike``: infinite numbers of a sign become the same number.
    """

    def __init__(self, reading: Reading, far: Sequence[float], seed: int, *, alike: bool = False) -> None:
        self.reading, self.random, self.back, self.alike = reading, Random(1), seed == 2, alike
        self.fraction = arb(2**40 // (3, 5, 7)[seed]) / 2**40  # exact, so that equal numbers are equal
        draw = Random(seed)
        self.large = {size: FAR * (k + 1 + draw.randint(1, 200) / 256) for k, size in enumerate(far)}
        self.beyond = FAR * (len(far) + 2)

    def __call__(self, x: Any, step: float) -> arb:
        value = float(x)
        if math.isinf(value):
            part = 2**19 if self.alike else self.random.randint(0, 2**20)
            size = arb(self.beyond * (1 + (2**20 - part if self.back else part) / 2**20)) + self.fraction
            return Infinity(size if value > 0 else -size)
        if abs(value) >= FAR:
            return exact(math.copysign(self.large[abs(value)], value))
        return self.reading(x, step)


def outputs_of(application: Application, reading: Reading) -> Rows:
    """For each output its values, at the current precision."""
    f = Bounded(MAX_COMPARISONS)
    inputs = [
        concrete(x) if x.dtype.kind in "biu" else balls_of(x, reading, normwise=application.op.normwise, zero=True)
        for x in application.inputs
    ]
    outputs = read_parts(application.op, f, inputs, application.specs, application.attributes, application.outputs)
    return [[arb(f.as_number(y)) for y in cells.flat] for cells in outputs]


def contributions(application: Application, tape: Tape, reading: Reading) -> tuple[Rows, Rows, list[list[float]]]:
    """For each input its contribution, for each output its values, and for each input the cotangents that it depends on."""
    inputs: list[Array] = []
    moving: list[list[Any] | None] = []
    for x, claimed in zip(application.inputs, application.contributions, strict=True):
        if x.dtype.kind in "biu":
            inputs.append(concrete(x))
            moving.append(None)
            continue
        cells = balls_of(x, reading, normwise=application.op.normwise)
        if claimed is not None:
            flat = cells.reshape(-1)  # a view, since a new array is contiguous
            flat[:] = [tape.variable(ball) for ball in flat]
        inputs.append(cells)
        moving.append(None if claimed is None else list(cells.flat))
    outputs = read_parts(application.op, tape, inputs, application.specs, application.attributes, application.outputs)
    results = [y for array in outputs for y in array.flat]
    inner = reading.reading if isinstance(reading, _LimitReading) else reading  # no limits of cotangents
    seeds = [g for array in application.cotangents for g in balls_of(array, inner, normwise=application.op.normwise).flat]
    sizes = [abs(float(g)) for array in application.cotangents for g in np.asarray(parts(array), np.float64).flat]
    variables = [v for cells in moving if cells for v in cells]
    balls = iter(tape.gradient(results, seeds, variables))
    reached = iter(tape.reach(results, sizes, variables))
    values = [[arb(ball_of(tape.as_number(y))) for y in array.flat] for array in outputs]
    return (
        [[next(balls) for _ in cells] if cells else [] for cells in moving],
        values,
        [[next(reached) for _ in cells] if cells else [] for cells in moving],
    )
