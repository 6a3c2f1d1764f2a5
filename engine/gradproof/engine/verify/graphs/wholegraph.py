"""Graph verdict (L3): is a gradient the derivative of the forward pass? Decided without rules and without the backward
pass.

The forward pass is read again through the definitions, in power series x + t v whose coefficients are balls, for a random
direction v. The derivative at the seeded outputs along v must be <gradient, v>.

Differences that rounding explains do not count: the reading is repeated at the floats of the run, every use of a value
widened by its rounding, and only a difference that this does not cover is INCONSISTENT. A hook is an exact cut: the value
before it is weighted with the gradient after the hook, and a new direction starts behind it. A node that cannot be read
(at a kink, without a definition) is such a cut too, and is left to its local checks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, TypeAlias

import numpy as np
from flint import arb, arb_series

from gradproof.engine.engine import Run
from gradproof.engine.errors import text_of
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, DType, is_complex, is_differentiable, parts
from gradproof.engine.verify.floats.ulps import close_enough, exact, finite, smallest_normal, unit
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.large import MAX_ALONE, check_large, lost_bits
from gradproof.engine.verify.readings import NoDefinition, Series, TooLarge, concrete, parts_shape, read_parts
from gradproof.engine.verify.readings.power_series import MAX_OPERATIONS, head, mapped, series_of, tangent, widened_series
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.engine.verify.verdict.advice import MADE, SMALLER, TABLE, TIME
from gradproof.engine.verify.verdict.wording import joined

FEW_ELEMENTS = 2_000
PER_NODE = 32
"""Graphs of more elements than these two together allow are read in whole arrays, where a node costs about 0.1 ms; here
an element costs about 2 us."""
DIRECTIONS = 2
PRECISIONS = (128, 256, 512, 1024, 2048)
ANCHORED_BITS = 128
Direction: TypeAlias = Mapping[int, Array]  # value number -> dyadic numbers, as Python floats


class _TooLarge(Skipped):
    """The power series reading takes too many operations."""


def check_graph(run: Run, seconds: float = 2.0) -> dict[str, GraphVerdict]:
    """A graph verdict for each requested gradient, None gradients included. Takes about ``seconds`` at most, and is
    SKIPPED if that is too little."""
    started = time.monotonic()
    names = run.job.requested()
    half = ForwardHalf(run)
    large = half.size > FEW_ELEMENTS + PER_NODE * len(half.positions)

    def in_arrays() -> dict[str, GraphVerdict]:
        verdicts = check_large(half, names, started + seconds)
        return {name: replace(verdict, seconds=time.monotonic() - started) for name, verdict in verdicts.items()}

    def same(verdict: GraphVerdict) -> dict[str, GraphVerdict]:
        timed = replace(verdict, seconds=time.monotonic() - started)
        return dict.fromkeys(names, timed)

    try:
        if large:
            return in_arrays()
        graph = _SeriesHalf(run, started + seconds)
        verdicts = [graph.compare(graph.direction(names, seed)) for seed in range(DIRECTIONS)]
        worst = max(verdicts, key=lambda candidate: (_ORDER.index(candidate.word), candidate.ratio))
        verdict = replace(worst, directions=DIRECTIONS)
        if verdict.word is not GraphWord.INCONSISTENT or len(names) == 1 or len(names) > MAX_ALONE:
            return same(verdict)
        alone = {name: graph.compare(graph.direction([name], 0)) for name in names}
        if all(alone_verdict.word is not GraphWord.INCONSISTENT for alone_verdict in alone.values()):
            return same(verdict)
        return {
            name: replace(alone_verdict, directions=1, seconds=time.monotonic() - started)
            for name, alone_verdict in alone.items()
        }
    except _TooLarge as reason:
        try:
            return in_arrays()
        except Skipped:
            return same(GraphVerdict(GraphWord.SKIPPED, str(reason)))
    except Skipped as reason:
        return same(GraphVerdict(GraphWord.SKIPPED, str(reason)))


_ORDER = (GraphWord.SKIPPED, GraphWord.CONSISTENT, GraphWord.ILL_CONDITIONED, GraphWord.INCONSISTENT)


@dataclass(frozen=True)
class _Pass:
    """The derivative of the forward pass along a direction. ``slack``: bound on the effect of underflow in the backward
    pass."""

    derivative: arb
    slack: arb
    left_out: int


class _SeriesHalf(ForwardHalf):
    """The forward half of a run, and the instructions that cannot be read in power series, with reasons."""

    def __init__(self, run: Run, deadline: float) -> None:
        super().__init__(run)
        self.deadline = deadline
        self.unreadable = {
            k: f"the result of {self.program.instructions[k].op.name} is not finite"
            for k in self.positions
            if not all(finite(np.asarray(self.values[out])) for out in self.program.instructions[k].outputs)
        }

    def direction(self, names: Sequence[str], seed: int) -> Direction:
        """Random dyadic steps for the elements of the values ``names``, by value number."""
        random = Random(seed)
        parts = {}
        for name in names:
            number = self.plan.lowered.values[name]
            cells: Array = np.empty(parts_shape(self.program.specs[number]), object)
            for index in np.ndindex(cells.shape):
                cells[index] = random.choice((-1, 1)) * random.randint(4, 15) / 8
            parts[number] = cells
        return parts

    def compare(self, direction: Direction) -> GraphVerdict:
        """The verdict along a single direction. Raises Skipped."""
        total = len(self.positions)
        for bits in PRECISIONS:
            passed = self._pass(direction, bits, anchored=False)
            claimed, scale, close = self._claimed(direction, bits)
            if not claimed.is_finite():
                raise Skipped(f"a gradient is not finite; {MADE}")
            if not passed.derivative.is_finite():
                break
            with precision(bits):
                difference = abs(passed.derivative - claimed)
                beneath = bool(difference <= passed.slack)
                if beneath or bool(difference.rad() * 4 < scale):
                    ratio = float((difference / scale).mid()) if not beneath else 0.0
                    if ratio <= close:
                        nodes = total - passed.left_out
                        return GraphVerdict(GraphWord.CONSISTENT, self._left_out(), ratio, nodes=nodes, total=total)
                    break
        return self._anchored(direction, total)

    def _anchored(self, direction: Direction, total: int) -> GraphVerdict:
        """Compare once more at the floats of the run, every use widened by its rounding."""
        passed = self._pass(direction, ANCHORED_BITS, anchored=True)
        claimed, scale, _ = self._claimed(direction, ANCHORED_BITS)
        if not passed.derivative.is_finite():
            raise Skipped(f"no enclosure of the whole graph is finite; {SMALLER}")
        with precision(ANCHORED_BITS):
            difference = arb(passed.derivative - claimed)
            within = arb(0, difference.rad() + passed.slack.upper()).contains(arb(difference.mid()))
            # The mid point of the anchored reading is the derivative at the floats of the run; the exact derivative may be
            # further away.
            away = float(abs(arb(difference.mid())) / scale) if not scale.is_zero() else math.inf
            spread = float(arb(difference.rad()) / scale) if not scale.is_zero() else math.inf
        nodes, digits = total - passed.left_out, min(self._digits(direction), default=53)
        if not within:
            reason = (
                f"the forward pass has the derivative {passed.derivative.str(12)}, the gradients give {claimed.str(12)}"
            )
            return GraphVerdict(GraphWord.INCONSISTENT, reason, away, lost_bits(away), nodes=nodes, total=total)
        word = GraphWord.CONSISTENT if spread < 2 ** (digits / 2) else GraphWord.ILL_CONDITIONED
        reason = "compared at the floats of the run, with their rounding"
        reason = joined(reason, self._left_out())
        return GraphVerdict(word, reason, away, lost_bits(spread), nodes=nodes, total=total)

    def _left_out(self) -> str:
        if not self.unreadable:
            return ""
        position, reason = next(iter(self.unreadable.items()))
        node = self.plan.lowered.node_of[position]
        return f"{len(self.unreadable)} left to their own checks, node {node} first: {reason}"

    def _digits(self, direction: Direction) -> Iterable[float]:
        return (-math.log2(unit(self.program.specs[number].dtype)) for number in direction)

    def _claimed(self, direction: Direction, bits: int) -> tuple[arb, arb, float]:
        """<gradient, v> including directions that start at cuts, u Σ |gradient v|, and the multiple of this that counts
        as close."""
        with precision(bits):
            total, scale, close = arb(0), arb(0), math.inf
            for number, cells in direction.items():
                dtype = self.program.specs[number].dtype
                close = min(close, close_enough(dtype))
                if number in self.backward.raw:
                    part, size = _weigh(self.raw(number), cells)
                    total, scale = total + part, scale + size * unit(dtype)
            for number in self._cuts():
                part, size = _weigh(self.raw(number), self.start_at(number))
                total, scale = total + part, scale + size * unit(self.program.specs[number].dtype)
            return total, scale, close

    def _cuts(self) -> list[int]:
        """Values at which a new direction starts: hooked values, and outputs of nodes that are left out."""
        behind = (out for k in self.unreadable for out in self.program.instructions[k].outputs)
        computed = {out for k in self.positions for out in self.program.instructions[k].outputs}
        cuts = dict.fromkeys([*(number for number in self.hooked if number in computed), *behind])
        return [number for number in cuts if number in self.backward.raw]

    def start_at(self, number: int) -> Array:
        """Random dyadic steps that start at a cut."""
        random = Random(number)
        cells: Array = np.empty(parts_shape(self.program.specs[number]), object)
        for index in np.ndindex(cells.shape):
            cells[index] = random.choice((-1, 1)) * random.randint(4, 15) / 8
        return cells

    def _pass(self, direction: Direction, bits: int, *, anchored: bool) -> _Pass:
        """Read the forward half along ``direction``; repeated without each node that turns out to be unreadable."""
        while True:
            before = len(self.unreadable)
            with precision(bits):
                done = _SeriesReader(self, direction, anchored=anchored).read()
            if len(self.unreadable) == before:
                return done
            if len(self.unreadable) > len(self.positions) // 2 + 1:
                raise Skipped(f"most of the graph cannot be read ({next(iter(self.unreadable.values()))}); {TABLE}")


class _SeriesReader:
    """A single reading of the forward half along ``direction``. ``anchored``: at the floats of the run, with their
    rounding."""

    def __init__(self, graph: _SeriesHalf, direction: Direction, *, anchored: bool) -> None:
        self.graph, self.direction, self.anchored = graph, direction, anchored
        self.f = Series(MAX_OPERATIONS)
        self.cells: dict[int, Array] = {}
        self.derivative, self.slack = arb(0), arb(0)

    def read(self) -> _Pass:
        """Read all instructions, and sum up the derivative of the seeded outputs."""
        graph, program = self.graph, self.graph.program
        seeds = graph.seeds
        for number in graph.starts():
            self._enter(number, self._constant(number), seeds)
        for position in graph.positions:
            instruction = program.instructions[position]
            outputs = None if position in graph.unreadable else self._outputs(position)
            if outputs is None:
                self._leave_out(position)
                outputs = [self._constant(out) for out in instruction.outputs]
            for out, cells in zip(instruction.outputs, outputs, strict=True):
                if not is_differentiable(program.specs[out].dtype):
                    self.cells[out] = concrete(np.asarray(graph.values[out]))
                    continue
                restart = position in graph.unreadable or out in graph.hooked
                if out in graph.hooked and out in graph.backward.raw:
                    self._weigh(np.asarray(graph.values[graph.backward.final[out]]), cells)
                if self.anchored or restart:
                    cells = self._anchor(out, cells, restart)
                self._enter(out, cells, seeds)
        return _Pass(self.derivative, self.slack, len(graph.unreadable))

    def _tick(self) -> None:
        self.f.spend()
        if time.monotonic() > self.graph.deadline:
            raise Skipped(f"budget: the time for the whole graph was over; {TIME}")

    def _constant(self, number: int) -> Array:
        """Floats of the run as exact numbers at rest."""
        array = np.asarray(self.graph.values[number])
        if not is_differentiable(array.dtype):
            return concrete(array)
        return mapped(exact, parts(array))

    def _anchor(self, number: int, cells: Array, restart: bool) -> Array:
        """Floats of the run, with the tangents of ``cells`` or along a new direction."""
        still = self._constant(number)
        moving = mapped(tangent, cells)
        if restart:
            moving = self.graph.start_at(number) if number in self.graph.backward.raw else np.zeros(cells.shape, object)
        return series_of(still, moving)

    def _enter(self, number: int, cells: Array, seeds: Mapping[int, int]) -> None:
        """Set a value in motion along its direction, and weight it with its seed if it is an output."""
        along = self.direction.get(number)
        if along is not None:
            cells = series_of(mapped(head, cells), np.asarray(mapped(tangent, cells) + along, object))
        self.cells[number] = cells
        if number in seeds:
            self._weigh(np.asarray(self.graph.values[seeds[number]]), cells)
        dtype = self.graph.program.specs[number].dtype
        if is_differentiable(dtype):
            tiny = _tiny(dtype)
            for x in cells.flat:
                if isinstance(x, arb_series):
                    self.slack += abs(x[1]) * tiny

    def _weigh(self, cotangent: Array, cells: Array) -> None:
        for g, x in zip(parts(cotangent).flat, cells.flat, strict=True):
            if isinstance(x, arb_series):
                self.derivative += exact(g) * x[1]

    def _outputs(self, position: int) -> list[Array] | None:
        """Outputs of an instruction; None if it cannot be read, which is noted in ``unreadable``."""
        graph, instruction = self.graph, self.graph.program.instructions[position]
        specs = graph.program.specs
        outs = [specs[out] for out in instruction.outputs]
        inputs = [self._use(number, instruction.op.normwise) for number in instruction.inputs]
        self.f.tied = False
        try:
            outputs = read_parts(
                instruction.op,
                self.f,
                inputs,
                [specs[k] for k in instruction.inputs],
                instruction.attributes,
                outs,
                self._tick,
            )
            if self.f.tied and any(isinstance(x, arb_series) for cells in inputs for x in cells.flat):
                graph.unreadable[position] = f"{instruction.op.name} is at a kink, where it has no derivative"
                return None
            if all(_finite(x) for cells in outputs for x in cells.flat):
                return outputs
            reason = f"{instruction.op.name} has no finite derivative"
        except Skipped:
            raise
        except TooLarge:
            place = graph.plan.lowered.place(position)
            raise _TooLarge(f"{place} takes the reading beyond {self.f.limit} operations; {SMALLER}") from None
        except Undecided:
            reason = f"rounding decides a branch of {instruction.op.name}"
        except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
            reason = f"{instruction.op.name} has no power series form ({text_of(error)})"
        except (ZeroDivisionError, ValueError):
            reason = f"{instruction.op.name} is at a pole"
        except BaseException as error:  # a definition is plugin code
            reraise_own(error)
            reason = f"the definition of {instruction.op.name} raised {describe(error)}"
        graph.unreadable[position] = reason
        return None

    def _use(self, number: int, normwise: bool = False) -> Array:
        """A use of a value, widened by rounding if anchored (``normwise``: by that of its largest element)."""
        if number not in self.cells:
            self.cells[number] = self._constant(number)
        cells = self.cells[number]
        spec = self.graph.program.specs[number]
        if not self.anchored or not is_differentiable(spec.dtype):
            return cells
        numbers = cells.reshape(-1, 2 if is_complex(spec) else 1)
        least = max((abs(float(arb(head(x)).mid())) for x in cells.flat), default=0.0) if normwise else 0.0
        result: Array = np.empty(numbers.shape, object)
        for k, entry in enumerate(numbers):
            for j, x in enumerate(widened_series(entry, spec.dtype, least)):
                result[k, j] = x
        return result.reshape(cells.shape)

    def _leave_out(self, position: int) -> None:
        """Weight the inputs of a node that is not read with its contributions: its local checks answer for those."""
        for use in self.graph.uses[position]:
            cells = self.cells[self.graph.program.instructions[position].inputs[use.position]]
            self._weigh(np.asarray(self.graph.values[use.number]), cells)


@cache
def _tiny(dtype: DType) -> arb:
    """Bound on the error that underflow adds to a product of numbers of ``dtype``."""
    return arb(8 * smallest_normal(dtype))


def _finite(x: Any) -> bool:
    if isinstance(x, arb_series):
        return bool(x[0].is_finite() and x[1].is_finite())
    return bool(arb(x).is_finite())


def _weigh(gradient: Array, cells: Array) -> tuple[arb, arb]:
    """Sum of the products, and of their magnitudes."""
    products = [exact(g) * v for g, v in zip(parts(gradient).flat, cells.flat, strict=True)]
    return sum(products, arb(0)), sum((abs(product) for product in products), arb(0))
