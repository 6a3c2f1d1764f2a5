"""Sweep of a large graph, node by node along random directions: is each gradient the derivative of the forward pass?

A direction starts at the values whose gradients were requested, and is carried forward through the definitions at the
floats of the run. At each node the change of the loss that the gradients of the outputs see must equal the change that
its contributions claim,

    Σ <gradient of an output, its direction> = Σ <contribution to an input, its direction>,

and at each value the change that its gradient sees must be the sum of those of its contributions. Summed over the graph,
all but the two ends cancels: the derivative of the seeded outputs is <gradient, v>. Checked at each node, the same
equation names the faulty node, and allows rounding where it happens: directions need not be exact, since every direction
must satisfy it. A lost edge, a contribution that was not added and a node that was visited too early each break it at
some place.

A second, nearby run is carried along, whose values are rounded otherwise (those of dtypes narrower than float64: not at
all). The distance between the derivatives of both runs tells the digits of the gradient.
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
from gradproof.engine.verify.graphs.elementwise_node import ElementwiseNode, is_crossed_by_element
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.tangents import (
    Along,
    Contradiction,
    Crossed,
    Nearby,
    Node,
    Operand,
    Tangent,
    Unreadable,
    working_dtype,
    zeros,
)
from gradproof.engine.verify.graphs.whole_node import WholeNode
from gradproof.engine.verify.readings import parts_shape
from gradproof.engine.verify.verdict.advice import MADE, TABLE, TIME
from gradproof.engine.verify.verdict.wording import index_text

Directions: TypeAlias = Sequence[Mapping[int, Array]]
NODE = 1000
"""Cost of a node, in elements."""
LEAST_SHARE = 0.02
"""Least share of the work that must be done before the total time is estimated."""
NEARBY_SHARE = 0.5
"""Share of the time after which the nearby run is given up."""


@dataclass
class SweepResult:
    """Results of a sweep.

    Attributes:
        defects: by direction, the difference between derivative and contributions.
        allowed: by direction, the difference that is allowed.
        excess: by direction, the part of the difference that only rounding explains.
        scale: by direction, u Σ |gradient v| with the unit roundoff u.
        moved: change of the derivative along the first direction by another rounding; None if there was no time for it.
        contradictions: each with the name of its node or gradient.
        left_out: nodes that are left to their local checks, in whole or in part, and why.
        whole: number of nodes that are left in whole.
    """

    defects: list[float]
    allowed: list[float]
    excess: list[float]
    scale: list[float]
    moved: float | None = 0.0
    contradictions: list[tuple[str, Contradiction]] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    whole: int = 0


class Sweep:
    """A sweep along ``directions``, each given by the values at which it starts. ``deadline``: of `time.monotonic`;
    ``nearby``: carry the nearby run along."""

    def __init__(self, half: ForwardHalf, directions: Directions, deadline: float, *, nearby: bool) -> None:
        self.half, self.directions, self.deadline = half, directions, deadline
        self.started, self.share = time.monotonic(), 0.0
        self.program, self.backward = half.program, half.backward
        self.result = SweepResult(*zeros(len(directions)), 0.0 if nearby else None)
        self.moving: dict[int, Tangent] = {}
        self.last: dict[int, int] = {}
        for position in half.positions:
            self.last.update(dict.fromkeys(self.program.instructions[position].inputs, position))

    def cross(self) -> SweepResult:
        """Sweep the graph. Raises Skipped."""
        self._check_time()
        still = [None] * len(self.directions)
        for number in self.half.starts():
            self._enter(number, Tangent(list(still)))
        work = [self._size(position) for position in self.half.positions]
        for position, size in zip(self.half.positions, work, strict=True):
            self._check_time()
            self._cross(position)
            self.share += size / sum(work)
        return self.result

    def _size(self, position: int) -> int:
        instruction = self.program.instructions[position]
        return NODE + sum(self.program.specs[k].size for k in (*instruction.inputs, *instruction.outputs))

    def _check_time(self) -> None:
        """Raises Skipped if the time is over, with an estimate of the time it takes; gives up the nearby run if time is
        short."""
        now = time.monotonic()
        if now > self.deadline:
            needed = (now - self.started) / self.share if self.share > LEAST_SHARE else 0.0
            text = f"; about {needed:.2g} s would do" if needed else ""
            raise Skipped(f"budget: the time for the whole graph was over{text}; {TIME}")
        late = now - self.started > NEARBY_SHARE * (self.deadline - self.started)
        if self.result.moved is not None and late and self.share < NEARBY_SHARE:
            self.result.moved = None
            for tangent in self.moving.values():
                tangent.nearby = None

    def _cross(self, position: int) -> None:
        instruction = self.program.instructions[position]
        inputs = [self._tangent(number) for number in instruction.inputs]
        if not any(tangent.moves for tangent in inputs):
            for out in instruction.outputs:
                self._enter(out, Tangent([None] * len(self.directions)))
        else:
            node = self._node(position)
            try:
                comparison = ElementwiseNode if is_crossed_by_element(node) else WholeNode
                crossed = comparison(node, nearby=self.result.moved is not None).cross()
            except Skipped:
                raise
            except Unreadable as reason:
                crossed = self._leave_out_node(position, node, str(reason))
            except BaseException as error:  # a definition is plugin code
                reraise_own(error)
                crossed = self._leave_out_node(
                    position, node, f"{instruction.op.name} is not read in arrays ({describe(error)})"
                )
            self._record(position, crossed)
            for k, out in enumerate(instruction.outputs):
                self._leave_out(out, crossed, k)
        for number in {*instruction.inputs}:
            if self.last[number] == position:
                self.moving.pop(number, None)

    def _tangent(self, number: int) -> Tangent:
        """Tangent of a value; at rest if it does not move."""
        return self.moving.get(number) or Tangent([None] * len(self.directions))

    def _node(self, position: int) -> Node:
        instruction, half = self.program.instructions[position], self.half
        operands = {number: Operand(half.value(number), self._tangent(number)) for number in instruction.inputs}
        for use in half.uses.get(position, ()):
            operands[instruction.inputs[use.position]].contributions.append(half.value(use.number))
        specs, final = self.program.specs, self.backward.final
        return Node(
            instruction,
            operands,
            inputs=[specs[k] for k in instruction.inputs],
            outputs=[specs[k] for k in instruction.outputs],
            results=[half.value(out) for out in instruction.outputs],
            cotangents=[half.value(final[out]) if out in final else None for out in instruction.outputs],
            starts=lambda k, direction: self.start_at(instruction.outputs[k], direction),
            terms=self._terms(position),
            tick=self._check_time,
        )

    def _terms(self, position: int) -> int:
        """Largest number of terms of a sum in the rule of an instruction."""
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

    def start_at(self, number: int, direction: int) -> Array | None:
        """New direction behind a node that is left out; None if no gradient is claimed there."""
        if number not in self.backward.raw:
            return None
        return dyadic(self.program.specs[number], (number, direction, 1))

    def _leave_out_node(self, position: int, node: Node, reason: str) -> Crossed:
        """Leave a node to its local checks: new directions start behind it."""
        result, node_result = self.result, Crossed([], [], *zeros(len(self.directions)))
        result.whole += 1
        if result.whole > len(self.half.positions) // 2 + 1 or result.whole == len(self.half.positions):
            raise Skipped(f"most of the graph cannot be read ({reason}); {TABLE}")
        node_result.reason = reason
        for k, spec in enumerate(node.outputs):
            moves = is_differentiable(spec.dtype)
            node_result.along.append([node.starts(k, d) if moves else None for d in range(len(self.directions))])
            node_result.nearby.append(self._unperturbed(node_result.along[k]))
        for operand in node.moving.values():
            node_result.moved += _distance(operand.contributions, operand.tangent)
        self._add_to_scale(node.instruction.outputs, node_result.along)
        return node_result

    def _unperturbed(self, along: list[Along]) -> Nearby:
        """The run itself as its nearby run."""
        return None if self.result.moved is None or not along or along[0] is None else (None, along[0])

    def _add_to_scale(self, numbers: Sequence[int], along: Sequence[Sequence[Along]]) -> None:
        """Add the products of gradients with the steps that start at these values to the scale."""
        for number, ways in zip(numbers, along, strict=True):
            for direction, step in enumerate(ways):
                if step is not None and number in self.backward.raw:
                    size = magnitude(self.half.raw(number), step)
                    if not math.isfinite(size):
                        raise Skipped(f"a gradient is not finite; {MADE}")
                    self.result.scale[direction] += unit(self.program.specs[number].dtype) * size

    def _record(self, position: int, node_result: Crossed) -> None:
        """Add the results of a node to those of the sweep."""
        result = self.result
        for direction in range(len(self.directions)):
            result.defects[direction] += node_result.defects[direction]
            result.allowed[direction] += node_result.allowed[direction]
            result.excess[direction] += node_result.excess[direction]
        if node_result.reason:
            several = f"{node_result.left_out} elements: " if node_result.left_out else ""
            result.left_out[position] = several + node_result.reason
        if result.moved is not None:
            result.moved += node_result.moved
        result.contradictions += [(self.half.node(position), contradiction) for contradiction in node_result.contradictions]

    def _leave_out(self, out: int, node_result: Crossed, k: int) -> None:
        """Pass an output on; behind a hook it moves along a new direction."""
        along, nearby = node_result.along[k], node_result.nearby[k]
        if out in self.half.hooked:
            if out in self.backward.final and self.result.moved is not None:
                self.result.moved += _distance([self.half.value(self.backward.final[out])], Tangent(along, nearby))
            along = [self.start_at(out, direction) for direction in range(len(self.directions))]
            nearby = self._unperturbed(along)
            self._add_to_scale([out], [along])
        self._enter(out, Tangent(along, nearby))

    def _enter(self, number: int, tangent: Tangent) -> None:
        """Start the directions of a value, and compare its gradient with its contributions."""
        if not is_differentiable(self.program.specs[number].dtype):
            return
        self._compare_final(number, tangent)
        for direction, starts in enumerate(self.directions):
            start = starts.get(number)
            if start is None:
                continue
            self._add_to_scale([number], [[start if k == direction else None for k in range(len(self.directions))]])
            before, differs = tangent.along[direction], tangent.differs
            tangent.along[direction] = start if before is None else before + start
            if direction == 0 and self.result.moved is not None:
                pair = tangent.nearby
                tangent.nearby = (
                    (pair[0], pair[1] + start) if pair is not None and differs else self._unperturbed(tangent.along)
                )
        if not tangent.moves:
            return
        if self.result.moved is None:
            tangent.nearby = None
        self._compare_sum(number, tangent)
        seed = self.half.seeds.get(number)
        if seed is not None and self.result.moved is not None:
            self.result.moved += _distance([self.half.value(seed)], tangent)
        if number in self.last:
            self.moving[number] = tangent

    def _compare_final(self, number: int, tangent: Tangent) -> None:
        """Compare the gradient of a value with the cotangent that its rule received; they differ only by hooks."""
        raw, final = self.backward.raw.get(number), self.backward.final.get(number)
        if raw is None or final is None or number in self.half.hooked or self.half.values[raw] is self.half.values[final]:
            return
        for direction, step in enumerate(tangent.along):
            if step is None:
                continue
            total = sum_defect(self.half.value(final), [self.half.value(raw)], step)
            self.result.defects[direction] += total.defect
            self.result.allowed[direction] += total.allowed
            if total.place is not None:
                self._contradict(number, total, direction)

    def _contradict(self, number: int, total: SumDefect, direction: int) -> None:
        assert total.place is not None
        spec = self.program.specs[number]
        index = [int(k) for k in np.unravel_index(total.place, parts_shape(spec))][: spec.ndim]
        contradiction = Contradiction(
            f", element {index_text(index)}" if index else "", total.terms, total.whole, direction
        )
        self.result.contradictions.append((self._name(number), contradiction))

    def _compare_sum(self, number: int, tangent: Tangent) -> None:
        """Compare the gradient of a value with the sum of its contributions."""
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
            self.result.defects[direction] += total.defect
            self.result.allowed[direction] += total.allowed
            if total.place is not None:
                self._contradict(number, total, direction)

    def _name(self, number: int) -> str:
        known = self.half.plan.lowered.values
        return f"the gradient of {next((repr(name) for name, k in known.items() if k == number), 'a value')}"


def _distance(weights: Sequence[Array], tangent: Tangent) -> float:
    """Distance of the two runs, weighted by gradients."""
    along, nearby = tangent.along[0] if tangent.along else None, tangent.nearby
    if along is None or nearby is None or nearby[1] is along:
        return 0.0
    distances = [inner_product(weight, np.asarray(nearby[1] - along)).signed for weight in weights]
    return sum(weight for weight in distances if math.isfinite(weight))


def dyadic(spec: Spec, seed: Sequence[int]) -> Array:
    """Random dyadic numbers for each part of a value: magnitude 1/2 to 1, 16 bits, so many that errors do not cancel by
    chance."""
    shape = parts_shape(spec)
    bits = np.random.Generator(np.random.SFC64(seed)).bytes(2 * math.prod(shape))
    return np.take(_dyadic(working_dtype(spec.dtype)), np.frombuffer(bits, np.uint16)).reshape(shape)


@cache
def _dyadic(dtype: DType) -> Array:
    """Dyadic numbers of magnitude 1/2 to 1 of 16 bits, of both signs."""
    half = np.arange(2**15, 2**16) / 2**16
    return np.concatenate((half, -half)).astype(dtype)
