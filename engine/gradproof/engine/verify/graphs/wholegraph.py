"""L3: is the whole gradient the derivative of the forward pass? Decided without any rule, and without the backward pass.

The forward half is read once more, through the definitions, in power series x + t v with balls for coefficients, v a random
direction. What comes out at the seeded outputs is the derivative along v, and must be <gradient, v>.

What rounding explains is not held against anyone: the reading is repeated at the floats of the run, with every use of a
value widened by its rounding, and only a difference that this does not cover either is INCONSISTENT. A hook is an exact
cut: what flows into it is weighed with the gradient after the hook, and a new direction starts behind it. So is a node that
cannot be read (a kink, no definition): it is left to its own checks.
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
from gradproof.engine.verify.graphs.large import MAX_ALONE, check_large
from gradproof.engine.verify.readings import NoDefinition, Series, TooLarge, concrete, parts_shape, read_parts
from gradproof.engine.verify.readings.power_series import MAX_OPERATIONS, head, mapped, series_of, tangent, widened_series
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.engine.verify.verdict.advice import MADE, SMALLER, TABLE, TIME
from gradproof.engine.verify.verdict.wording import joined

FEW_ELEMENTS = 2_000
PER_NODE = 32
"""Graphs of more elements than these together are read in whole arrays. A node costs some 0.1 ms there, and an element of
one 2 us here."""
DIRECTIONS = 2
PRECISIONS = (128, 256, 512, 1024, 2048)
ANCHORED_BITS = 128
Direction: TypeAlias = Mapping[int, Array]  # value number -> dyadic numbers, as Python floats


class _TooLarge(Skipped):
    """Power series of single numbers take too long."""


def check_graph(run: Run, seconds: float = 2.0) -> dict[str, GraphVerdict]:
    """One verdict for each wanted gradient, None gradients included. Takes about ``seconds`` at most, and says SKIPPED if
    that is too little."""
    started = time.monotonic()
    names = run.job.wanted()
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
        graph = _Readable(run, started + seconds)
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
    """The derivative along a direction, as the forward pass has it; ``slack``: what underflow on the way back may add."""

    derivative: arb
    slack: arb
    left_out: int


class _Readable(ForwardHalf):
    """The forward half of a run, with what of it cannot be read."""

    def __init__(self, run: Run, deadline: float) -> None:
        super().__init__(run)
        self.deadline = deadline
        self.unreadable = {
            k: f"the result of {self.program.instructions[k].op.name} is not finite"
            for k in self.positions
            if not all(finite(np.asarray(self.values[out])) for out in self.program.instructions[k].outputs)
        }

    def direction(self, names: Sequence[str], seed: int) -> Direction:
        """Random dyadic numbers for the elements of the values ``names``."""
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
        """The verdict along one direction. Raises Skipped."""
        total = len(self.positions)
        for bits in PRECISIONS:
            passed = self._pass(direction, bits, anchored=False)
            claimed, yard, close = self._claimed(direction, bits)
            if not claimed.is_finite():
                raise Skipped(f"a gradient is not finite; {MADE}")
            if not passed.derivative.is_finite():
                break
            with precision(bits):
                difference = abs(passed.derivative - claimed)
                beneath = bool(difference <= passed.slack)
                if beneath or bool(difference.rad() * 4 < yard):
                    ratio = float((difference / yard).mid()) if not beneath else 0.0
                    if ratio <= close:
                        nodes = total - passed.left_out
                        return GraphVerdict(GraphWord.CONSISTENT, self._left_out(), ratio, nodes=nodes, total=total)
                    break
        return self._anchored(direction, total)

    def _anchored(self, direction: Direction, total: int) -> GraphVerdict:
        """Compared once more at the floats of the run, with the rounding of every use taken into account."""
        passed = self._pass(direction, ANCHORED_BITS, anchored=True)
        claimed, yard, _ = self._claimed(direction, ANCHORED_BITS)
        if not passed.derivative.is_finite():
            raise Skipped(f"no enclosure of the whole graph is finite; {SMALLER}")
        with precision(ANCHORED_BITS):
            difference = arb(passed.derivative - claimed)
            within = arb(0, difference.rad() + passed.slack.upper()).contains(arb(difference.mid()))
            # The mid point of the anchored reading is the derivative at the floats of the run; the exact one, which this
            # was called for, may be further off.
            away = float(abs(arb(difference.mid())) / yard) if not yard.is_zero() else math.inf
            spread = float(arb(difference.rad()) / yard) if not yard.is_zero() else math.inf
        nodes, digits = total - passed.left_out, min(self._digits(direction), default=53)
        if not within:
            reason = (
                f"the forward pass has the derivative {passed.derivative.str(12)}, the gradients give {claimed.str(12)}"
            )
            return GraphVerdict(GraphWord.INCONSISTENT, reason, away, _log2(away), nodes=nodes, total=total)
        word = GraphWord.CONSISTENT if spread < 2 ** (digits / 2) else GraphWord.ILL_CONDITIONED
        reason = "compared at the floats of the run, with their rounding"
        reason = joined(reason, self._left_out())
        return GraphVerdict(word, reason, away, _log2(spread), nodes=nodes, total=total)

    def _left_out(self) -> str:
        if not self.unreadable:
            return ""
        position, reason = next(iter(self.unreadable.items()))
        node = self.plan.lowered.node_of[position]
        return f"{len(self.unreadable)} left to their own checks, node {node} first: {reason}"

    def _digits(self, direction: Direction) -> Iterable[float]:
        return (-math.log2(unit(self.program.specs[number].dtype)) for number in direction)

    def _claimed(self, direction: Direction, bits: int) -> tuple[arb, arb, float]:
        """<gradient, v> with what starts at the cuts; u sum |gradient_i v_i|; and how many of these are close."""
        with precision(bits):
            total, yard, close = arb(0), arb(0), math.inf
            for number, cells in direction.items():
                dtype = self.program.specs[number].dtype
                close = min(close, close_enough(dtype))
                if number in self.backward.raw:
                    part, size = _weigh(self.raw(number), cells)
                    total, yard = total + part, yard + size * unit(dtype)
            for number in self._cuts():
                part, size = _weigh(self.raw(number), self._start(number))
                total, yard = total + part, yard + size * unit(self.program.specs[number].dtype)
            return total, yard, close

    def _cuts(self) -> list[int]:
        """Values at which a new direction starts: hooked ones, and outputs of nodes that are left out."""
        behind = (out for k in self.unreadable for out in self.program.instructions[k].outputs)
        computed = {out for k in self.positions for out in self.program.instructions[k].outputs}
        cuts = dict.fromkeys([*(number for number in self.hooked if number in computed), *behind])
        return [number for number in cuts if number in self.backward.raw]

    def _start(self, number: int) -> Array:
        """The direction that starts at a cut."""
        random = Random(number)
        cells: Array = np.empty(parts_shape(self.program.specs[number]), object)
        for index in np.ndindex(cells.shape):
            cells[index] = random.choice((-1, 1)) * random.randint(4, 15) / 8
        return cells

    def _pass(self, direction: Direction, bits: int, *, anchored: bool) -> _Pass:
        """Read the forward half along ``direction``. A node that cannot be read is left out, and all is read again."""
        while True:
            before = len(self.unreadable)
            with precision(bits):
                done = _Reader(self, direction, anchored=anchored).read()
            if len(self.unreadable) == before:
                return done
            if len(self.unreadable) > len(self.positions) // 2 + 1:
                raise Skipped(f"most of the graph cannot be read ({next(iter(self.unreadable.values()))}); {TABLE}")


class _Reader:
    """One reading of the forward half."""

    def __init__(self, graph: _Readable, direction: Direction, *, anchored: bool) -> None:
        self.graph, self.direction, self.anchored = graph, direction, anchored
        self.f = Series(MAX_OPERATIONS)
        self.cells: dict[int, Array] = {}
        self.derivative, self.slack = arb(0), arb(0)

    def read(self) -> _Pass:
        graph, program = self.graph, self.graph.program
        seeds = graph.seeds
        for number in graph.starts():
            self._enter(number, self._still(number), seeds)
        for position in graph.positions:
            instruction = program.instructions[position]
            outputs = None if position in graph.unreadable else self._outputs(position)
            if outputs is None:
                self._leave_out(position)
                outputs = [self._still(out) for out in instruction.outputs]
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

    def _still(self, number: int) -> Array:
        """The float values of the run, exactly, not moving."""
        array = np.asarray(self.graph.values[number])
        if not is_differentiable(array.dtype):
            return concrete(array)
        return mapped(exact, parts(array))

    def _anchor(self, number: int, cells: Array, restart: bool) -> Array:
        """The floats of the run, moving as ``cells`` do, or along a new direction."""
        still = self._still(number)
        moving = mapped(tangent, cells)
        if restart:
            moving = self.graph._start(number) if number in self.graph.backward.raw else np.zeros(cells.shape, object)
        return series_of(still, moving)

    def _enter(self, number: int, cells: Array, seeds: Mapping[int, int]) -> None:
        """A value is known: move it along its direction, and weigh it if it is an output."""
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
        """The outputs of one instruction, or None if it cannot be read, which is noted."""
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
            node = graph.plan.lowered.node_of[position]
            raise _TooLarge(
                f"node {node} ({instruction.op.name}) takes the reading beyond {self.f.limit} operations; {SMALLER}"
            ) from None
        except Undecided:
            reason = f"rounding decides a branch of {instruction.op.name}"
        except (NoDefinition, AttributeError, TypeError, NotImplementedError) as error:
            reason = f"{instruction.op.name} has no power series form ({text_of(error)})"
        except (ZeroDivisionError, ValueError):
            reason = f"{instruction.op.name} is at a pole"
        except BaseException as error:  # a definition is a stranger's code
            reraise_own(error)
            reason = f"the definition of {instruction.op.name} raised {describe(error)}"
        graph.unreadable[position] = reason
        return None

    def _use(self, number: int, normwise: bool = False) -> Array:
        """One use of a value: as it is, or widened by rounding (``normwise``: by that of its largest element)."""
        if number not in self.cells:
            self.cells[number] = self._still(number)
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
        """Weigh what goes into a node that is not read with what its rule gave: its own checks answer for that."""
        for use in self.graph.uses[position]:
            cells = self.cells[self.graph.program.instructions[position].inputs[use.position]]
            self._weigh(np.asarray(self.graph.values[use.number]), cells)


@cache
def _tiny(dtype: DType) -> arb:
    """What underflow may add to a product of numbers of ``dtype`` on its way."""
    return arb(8 * smallest_normal(dtype))


def _finite(x: Any) -> bool:
    if isinstance(x, arb_series):
        return bool(x[0].is_finite() and x[1].is_finite())
    return bool(arb(x).is_finite())


def _weigh(gradient: Array, cells: Array) -> tuple[arb, arb]:
    """Sum of the products, and of their magnitudes."""
    products = [exact(g) * v for g, v in zip(parts(gradient).flat, cells.flat, strict=True)]
    return sum(products, arb(0)), sum((abs(product) for product in products), arb(0))


def _log2(ratio: float) -> float:
    return math.log2(ratio) if 1 < ratio < math.inf else (0.0 if ratio <= 1 else math.inf)
