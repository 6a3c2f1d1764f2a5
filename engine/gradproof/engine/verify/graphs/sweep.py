"""A large graph, crossed node by node along random directions: is each gradient what the forward pass says?

A direction starts at the values whose gradients are wanted, and is carried forward through the definitions at the floats of
the run. At each node the change that the outputs' gradients see must be the change that its contributions claim,

    Σ <gradient of an output, its direction> = Σ <contribution to an input, its direction>,

and at each value that of its gradient must be the sum of those of its contributions. Added up over the graph, all but the
ends cancels: the derivative at the seeded outputs is <gradient, v>. Judged at each node, the same equation names the node,
and allows rounding where it happens: directions need not be exact, since any direction must satisfy it. An edge that was
lost, a contribution that was not added, a node that was visited too early each break it somewhere.

Beside the run goes another, whose numbers are rounded otherwise (those of a dtype narrower than float64: not at all). How
far its derivative is from that of the run says how many digits the gradient has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

import numpy as np

from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.spec import Array, DType, Spec, is_differentiable
from gradproof.engine.verify.arrays import SumDefect, inner_product, magnitude, sum_defect
from gradproof.engine.verify.floats.ulps import unit
from gradproof.engine.verify.graphs.elementwise_node import ElementwiseNode, by_element
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.tangents import (
    Along,
    Beside,
    Contradiction,
    Crossed,
    Node,
    Operand,
    Tangent,
    Unread,
    working,
    zeros,
)
from gradproof.engine.verify.graphs.whole_node import WholeNode
from gradproof.engine.verify.readings import parts_shape
from gradproof.engine.verify.verdict.advice import MADE, TABLE, TIME
from gradproof.engine.verify.verdict.wording import index_text

Directions: TypeAlias = Sequence[Mapping[int, Array]]
NODE = 1000
"""A node costs as much as so many elements."""
LEAST_SHARE = 0.02
"""From less than this nothing is concluded."""
BESIDE_SHARE = 0.5
"""When so much of the time is over, the run beside is given up."""


@dataclass
class Crossing:
    """Findings about a graph. Numbers by direction: ``defects``, by how much contributions miss the derivative;
    ``allowed``, by how much they may; ``excess``, what of it only rounding explains; ``yard``, u Σ |gradient v|.
    ``moved``: by how much another rounding moves the derivative along the first direction; None if there was no time for
    that. ``left``: nodes that are left to their own checks, or some of whose elements are, and why; ``whole``: how many
    nodes are."""

    defects: list[float]
    allowed: list[float]
    excess: list[float]
    yard: list[float]
    moved: float | None = 0.0
    contradictions: list[tuple[str, Contradiction]] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)
    whole: int = 0


class Sweep:
    """A way through the graph along ``directions``: by value, where they start. ``deadline``: of `time.monotonic`."""

    def __init__(self, half: ForwardHalf, directions: Directions, deadline: float, *, beside: bool) -> None:
        self.half, self.directions, self.deadline = half, directions, deadline
        self.started, self.share = time.monotonic(), 0.0
        self.program, self.backward = half.program, half.backward
        self.crossing = Crossing(*zeros(len(directions)), 0.0 if beside else None)
        self.moving: dict[int, Tangent] = {}
        self.last: dict[int, int] = {}
        for position in half.positions:
            self.last.update(dict.fromkeys(self.program.instructions[position].inputs, position))

    def cross(self) -> Crossing:
        """Cross the graph. Raises Skipped."""
        self._look()
        still = [None] * len(self.directions)
        for number in self.half.starts():
            self._enter(number, Tangent(list(still)))
        work = [self._size(position) for position in self.half.positions]
        for position, size in zip(self.half.positions, work, strict=True):
            self._look()
            self._cross(position)
            self.share += size / sum(work)
        return self.crossing

    def _size(self, position: int) -> int:
        instruction = self.program.instructions[position]
        return NODE + sum(self.program.specs[k].size for k in (*instruction.inputs, *instruction.outputs))

    def _look(self) -> None:
        """Whether there is time; raises Skipped, with what it would take, where there is none."""
        now = time.monotonic()
        if now > self.deadline:
            needed = (now - self.started) / self.share if self.share > LEAST_SHARE else 0.0
            text = f"; about {needed:.2g} s would do" if needed else ""
            raise Skipped(f"budget: the time for the whole graph was over{text}; {TIME}")
        late = now - self.started > BESIDE_SHARE * (self.deadline - self.started)
        if self.crossing.moved is not None and late and self.share < BESIDE_SHARE:
            self.crossing.moved = None
            for tangent in self.moving.values():
                tangent.beside = None

    def _cross(self, position: int) -> None:
        instruction = self.program.instructions[position]
        inputs = [self._given(number) for number in instruction.inputs]
        if not any(tangent.moves for tangent in inputs):
            for out in instruction.outputs:
                self._enter(out, Tangent([None] * len(self.directions)))
        else:
            node = self._node(position)
            try:
                crossing = ElementwiseNode if by_element(node) else WholeNode
                crossed = crossing(node, beside=self.crossing.moved is not None).cross()
            except Skipped:
                raise
            except Unread as reason:
                crossed = self._unread(position, node, str(reason))
            except BaseException as error:  # a definition is a stranger's code
                reraise_own(error)
                crossed = self._unread(position, node, f"{instruction.op.name} is not read in arrays ({describe(error)})")
            self._note(position, crossed)
            for k, out in enumerate(instruction.outputs):
                self._leave(out, crossed, k)
        for number in {*instruction.inputs}:
            if self.last[number] == position:
                self.moving.pop(number, None)

    def _given(self, number: int) -> Tangent:
        return self.moving.get(number) or Tangent([None] * len(self.directions))

    def _node(self, position: int) -> Node:
        instruction, half = self.program.instructions[position], self.half
        operands = {number: Operand(half.value(number), self._given(number)) for number in instruction.inputs}
        for use in half.uses.get(position, ()):
            operands[instruction.inputs[use.position]].contributions.append(half.value(use.number))
        final = self.backward.final
        return Node(
            instruction, operands, [self.program.specs[k] for k in instruction.inputs], [self.program.specs[k] for k in instruction.outputs],
            [half.value(out) for out in instruction.outputs],
            [half.value(final[out]) if out in final else None for out in instruction.outputs],
            lambda k, direction: self._start(instruction.outputs[k], direction),
            self._terms(position), self._look,
        )  # fmt: skip

    def _terms(self, position: int) -> int:
        """The largest number of terms in a sum that the rule of an instruction made."""
        most = 1
        for k in self.backward.written.get(position, ()):
            instruction = self.program.instructions[k]
            input_specs, output_specs = (
                [self.program.specs[n] for n in numbers] for numbers in (instruction.inputs, instruction.outputs)
            )
            if instruction.op.elementwise or instruction.op.view:
                continue
            size, result = max(spec.size for spec in input_specs), max(spec.size for spec in output_specs)
            if instruction.op.contracts:
                most = max(most, input_specs[0].shape[-1])
            elif instruction.op.name in ("sum", "mean"):
                most = max(most, size // max(result, 1))
            elif instruction.op.name != "broadcast_to":
                most = max(most, max((n for spec in (*input_specs, *output_specs) for n in spec.shape), default=1))
        return most

    def _start(self, number: int, direction: int) -> Array | None:
        """A new direction behind what is left out; None where no gradient is claimed."""
        if number not in self.backward.raw:
            return None
        return dyadic(self.program.specs[number], (number, direction, 1))

    def _unread(self, position: int, node: Node, reason: str) -> Crossed:
        """A node is left to its own checks, and new directions start behind it."""
        crossing, own = self.crossing, Crossed([], [], *zeros(len(self.directions)))
        crossing.whole += 1
        if crossing.whole > len(self.half.positions) // 2 + 1 or crossing.whole == len(self.half.positions):
            raise Skipped(f"most of the graph cannot be read ({reason}); {TABLE}")
        own.reason = reason
        for k, spec in enumerate(node.outputs):
            moves = is_differentiable(spec.dtype)
            own.along.append([node.starts(k, d) if moves else None for d in range(len(self.directions))])
            own.beside.append(self._own(own.along[k]))
        for operand in node.moving.values():
            own.moved += _apart(operand.contributions, operand.tangent)
        self._measure(node.instruction.outputs, own.along)
        return own

    def _own(self, along: list[Along]) -> Beside:
        """The run itself, as what is beside it."""
        return None if self.crossing.moved is None or not along or along[0] is None else (None, along[0])

    def _measure(self, numbers: Sequence[int], along: Sequence[Sequence[Along]]) -> None:
        """Add what starts at these values to the yard."""
        for number, ways in zip(numbers, along, strict=True):
            for direction, step in enumerate(ways):
                if step is not None and number in self.backward.raw:
                    size = magnitude(self.half.raw(number), step)
                    if not math.isfinite(size):
                        raise Skipped(f"a gradient is not finite; {MADE}")
                    self.crossing.yard[direction] += unit(self.program.specs[number].dtype) * size

    def _note(self, position: int, own: Crossed) -> None:
        crossing = self.crossing
        for direction in range(len(self.directions)):
            crossing.defects[direction] += own.defects[direction]
            crossing.allowed[direction] += own.allowed[direction]
            crossing.excess[direction] += own.excess[direction]
        if own.reason:
            several = f"{own.left} elements: " if own.left else ""
            crossing.left[position] = several + own.reason
        if crossing.moved is not None:
            crossing.moved += own.moved
        crossing.contradictions += [(self.half.node(position), contradiction) for contradiction in own.contradictions]

    def _leave(self, out: int, own: Crossed, k: int) -> None:
        """An output goes on, behind a hook along a new direction."""
        along, beside = own.along[k], own.beside[k]
        if out in self.half.hooked:
            if out in self.backward.final and self.crossing.moved is not None:
                self.crossing.moved += _apart([self.half.value(self.backward.final[out])], Tangent(along, beside))
            along = [self._start(out, direction) for direction in range(len(self.directions))]
            beside = self._own(along)
            self._measure([out], [along])
        self._enter(out, Tangent(along, beside))

    def _enter(self, number: int, tangent: Tangent) -> None:
        """A value is known: it moves along its own direction too, and its gradient is compared with its contributions."""
        if not is_differentiable(self.program.specs[number].dtype):
            return
        self._handed_on(number, tangent)
        for direction, starts in enumerate(self.directions):
            own = starts.get(number)
            if own is None:
                continue
            self._measure([number], [[own if k == direction else None for k in range(len(self.directions))]])
            before, apart = tangent.along[direction], tangent.apart
            tangent.along[direction] = own if before is None else before + own
            if direction == 0 and self.crossing.moved is not None:
                pair = tangent.beside
                tangent.beside = (pair[0], pair[1] + own) if pair is not None and apart else self._own(tangent.along)
        if not tangent.moves:
            return
        if self.crossing.moved is None:
            tangent.beside = None
        self._sum(number, tangent)
        seed = self.half.seeds.get(number)
        if seed is not None and self.crossing.moved is not None:
            self.crossing.moved += _apart([self.half.value(seed)], tangent)
        if number in self.last:
            self.moving[number] = tangent

    def _handed_on(self, number: int, tangent: Tangent) -> None:
        """The gradient of a value against what the rule before it was given, which is the same but for hooks."""
        raw, final = self.backward.raw.get(number), self.backward.final.get(number)
        if raw is None or final is None or number in self.half.hooked or self.half.values[raw] is self.half.values[final]:
            return
        for direction, step in enumerate(tangent.along):
            if step is None:
                continue
            total = sum_defect(self.half.value(final), [self.half.value(raw)], step)
            self.crossing.defects[direction] += total.defect
            self.crossing.allowed[direction] += total.allowed
            if total.place is not None:
                self._contradict(number, total, direction)

    def _contradict(self, number: int, total: SumDefect, direction: int) -> None:
        assert total.place is not None
        spec = self.program.specs[number]
        index = [int(k) for k in np.unravel_index(total.place, parts_shape(spec))][: spec.ndim]
        contradiction = Contradiction(
            f", element {index_text(index)}" if index else "", total.terms, total.whole, direction
        )
        self.crossing.contradictions.append((self._name(number), contradiction))

    def _sum(self, number: int, tangent: Tangent) -> None:
        """The gradient of a value against the sum of its contributions."""
        raw = self.backward.raw.get(number)
        taken = [use.number for use in self.half.parts.get(number, ())]
        if number in self.half.seeds:
            taken.append(self.half.seeds[number])
        if raw is None or taken == [raw]:
            return
        for direction, step in enumerate(tangent.along):
            if step is None:
                continue
            total = sum_defect(self.half.value(raw), [self.half.value(k) for k in taken], step)
            self.crossing.defects[direction] += total.defect
            self.crossing.allowed[direction] += total.allowed
            if total.place is not None:
                self._contradict(number, total, direction)

    def _name(self, number: int) -> str:
        known = self.half.plan.lowered.values
        return f"the gradient of {next((repr(name) for name, k in known.items() if k == number), 'a value')}"


def _apart(weights: Sequence[Array], tangent: Tangent) -> float:
    """How far the two runs are apart, weighed."""
    along, beside = tangent.along[0] if tangent.along else None, tangent.beside
    if along is None or beside is None or beside[1] is along:
        return 0.0
    distances = [inner_product(weight, np.asarray(beside[1] - along)).signed for weight in weights]
    return sum(weight for weight in distances if math.isfinite(weight))


def dyadic(spec: Spec, seed: Sequence[int]) -> Array:
    """Random dyadic numbers of magnitude 1/2 to 1, one for each part, of 16 bits: so many that errors do not cancel by
    chance."""
    shape = parts_shape(spec)
    bits = np.random.Generator(np.random.SFC64(seed)).bytes(2 * math.prod(shape))
    return np.take(_dyadic(working(spec.dtype)), np.frombuffer(bits, np.uint16)).reshape(shape)


@cache
def _dyadic(dtype: DType) -> Array:
    """The dyadic numbers of magnitude 1/2 to 1 of 16 bits."""
    half = np.arange(2**15, 2**16) / 2**16
    return np.concatenate((half, -half)).astype(dtype)
