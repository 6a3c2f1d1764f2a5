"""Plan: a graph, compiled once to a flat list of bound calls, run as often as values come.

The list holds the forward half and the traced backward half. Running it is a generator: it yields a `Cut` whenever a
gradient becomes final, and is resumed with the gradient after all hooks. A plan is immutable; a run owns its values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.attributes import as_float
from gradproof.engine.backward import Backward, Cut, append_backward
from gradproof.engine.cancellation import NEVER, Cancellation, watched
from gradproof.engine.errors import BadResult, Cancelled, DataFault, ForwardFault, RunFault
from gradproof.engine.estimate import Cost, run_cost
from gradproof.engine.kernels import NO_KERNELS, Kernels
from gradproof.engine.lower import Lowered
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.scalars import scalar_call, scalar_form
from gradproof.engine.spec import Array, DType, Spec
from gradproof.engine.trace import Exact, Instruction, Literal, Program

Values: TypeAlias = list[Any]  # value number -> array; None where not computed yet


@dataclass(frozen=True, slots=True)
class Step:
    """A call that computes the outputs of instructions from their inputs, with the ``expected`` shapes and dtypes of its
    results. A ``scalar`` call gives a single number, always of the right dtype; a ``view`` may have any layout, any other
    result is contiguous."""

    call: Callable[..., Any]
    expected: tuple[tuple[tuple[int, ...], DType], ...]
    scalar: bool
    view: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """A lowered graph with its backward half. The first ``forward_length`` instructions of its program are the forward
    half; the others are segments, each ended by a cut (the last by None)."""

    lowered: Lowered
    backward: Backward
    registry: Registry
    forward_length: int
    forward_count: int
    """The values of the forward half have the numbers below; they are the same in all plans of a graph."""

    @cached_property
    def steps(self) -> list[Step]:
        """The step of each instruction; instructions with the same op, attributes and specs share one."""
        program, known = self.program, dict[tuple[object, ...], Step]()
        spec = list(map(id, program.specs))
        steps = []
        for instruction in watched(program.instructions):
            op, inputs, outputs, attributes = instruction
            key = (op, id(attributes), *[spec[k] for k in inputs], *[spec[k] for k in outputs])
            step = known.get(key)
            if step is None:
                step = known[key] = _step(program, instruction, self.registry.kernels)
            steps.append(step)
        return steps

    @cached_property
    def segments(self) -> tuple[tuple[range, Cut | None], ...]:
        """The positions of the backward half up to each cut, and those behind the last."""
        segments: list[tuple[range, Cut | None]] = []
        position = self.forward_length
        for cut in watched(self.backward.cuts):
            segments.append((range(position, cut.position), cut))
            position = cut.position
        return (*segments, (range(position, len(self.program.instructions)), None))

    @cached_property
    def literals(self) -> Mapping[int, Array]:
        """The values of the literals of the program, by number."""
        specs = self.program.specs
        return {k: literal_array(value, specs[k].dtype) for k, value in watched(self.program.literals.items())}

    @property
    def program(self) -> Program:
        """The program of both halves."""
        return self.lowered.builder.program

    @cached_property
    def specs(self) -> dict[str, Spec]:
        """Shape and dtype of every named value."""
        return self.lowered.specs()

    @cached_property
    def grad_fn(self) -> dict[str, str]:
        """By the name of each result of a node the name of its backward node."""
        ops = self.registry.ops
        return {name: ops[node.op].grad_fn for node in watched(self.lowered.graph.nodes) for name in node.outputs}

    @cached_property
    def kernels(self) -> Mapping[int, tuple[str, ...]]:
        """By index of a node the names of the kernels that compute it, in its forward and in its backward rule."""
        found: dict[int, dict[str, None]] = {}
        registered = self.registry.kernels
        for index, instruction in enumerate(watched(self.program.instructions if registered else ())):
            used = registered.find(instruction, self.program.specs)
            behind = index >= self.forward_length
            node = self.backward.node_of.get(index) if behind else self.lowered.node_of[index]
            if used is not None and node is not None:
                found.setdefault(node, {})[used.kernel.name] = None
        return {node: tuple(names) for node, names in found.items()}

    @cached_property
    def cost(self) -> Cost:
        """Cost of both halves."""
        return run_cost(self.program, self.backward)

    def start(
        self, leaves: Mapping[str, Array], known: Mapping[str, Array] = {}, cancellation: Cancellation = NEVER
    ) -> Values:
        """Run the forward half on these leaf values; results that are ``known`` are not computed again. Raises
        ForwardFault naming the node, Cancelled."""
        values: Values = [None] * len(self.program.specs)
        for number, literal in self.literals.items():
            values[number] = literal
        for name, array in leaves.items():
            values[self.lowered.values[name]] = array
        if not known:
            self._run(range(self.forward_length), values, cancellation)
            return values
        for name, array in known.items():
            values[self.lowered.values[name]] = array
        for position in watched(range(self.forward_length)):
            if any(values[k] is None for k in self.program.instructions[position].outputs):
                self._run(range(position, position + 1), values, cancellation)
        return values

    def resume(self, forward: Sequence[Any]) -> Values:
        """The values of a run whose forward half has been computed already, by this plan or another of the same graph."""
        values: Values = [*forward, *[None] * (len(self.program.specs) - len(forward))]
        for number, literal in self.literals.items():
            values[number] = literal
        return values

    def pull(
        self, values: Values, seeds: Mapping[str, Array], cancellation: Cancellation = NEVER
    ) -> Generator[tuple[Cut, Array], Array, None]:
        """Run the backward half: yields each cut with its raw gradient and is sent the final gradient."""
        for name, seed in watched(seeds.items()):
            cotangent = np.asarray(seed).view()
            cotangent.flags.writeable = False
            values[self.backward.seeds[name]] = cotangent
        for positions, cut in self.segments:
            self._run(positions, values, cancellation)
            if cut is not None:
                cancellation.check()
                raw = np.asarray(values[cut.raw])
                values[cut.final] = yield cut, raw

    def _run(self, positions: range, values: Values, cancellation: Cancellation) -> None:
        instructions, steps, plain = self.program.instructions, self.steps, np.ndarray
        position = positions.start
        try:
            with np.errstate(all="ignore"):
                for position in positions:
                    if cancellation.cancelled:
                        raise Cancelled
                    _, inputs, outputs, _ = instructions[position]
                    step = steps[position]
                    result = step.call(*[values[k] for k in inputs])
                    if step.scalar:
                        values[outputs[0]] = result
                        continue
                    if len(outputs) == 1:
                        result = (result,)
                    if len(result) != len(outputs):
                        raise BadResult(f"returned {len(result)} outputs; {len(outputs)} was inferred")
                    for number, out, (shape, dtype) in zip(outputs, result, step.expected, strict=True):
                        if out.shape != shape or (out.dtype is not dtype and out.dtype != dtype):
                            raise BadResult(f"returned {out.dtype}{list(out.shape)}; {dtype}{list(shape)} was inferred")
                        if type(out) is plain:
                            if not (step.view or out.flags.c_contiguous):
                                out = np.ascontiguousarray(out)
                            out.setflags(False)  # an op that writes to its input is at fault, and named
                        values[number] = out
        except BaseException as error:  # a plugin's code may raise anything: the fault names node, op and plugin
            reraise_own(error)
            raise self._fault(position, error) from error

    def _fault(self, index: int, error: BaseException) -> RunFault:
        instruction = self.program.instructions[index]
        behind = index >= self.forward_length
        node = self.backward.node_of.get(index) if behind else self.lowered.node_of[index]
        op = self.lowered.graph.nodes[node].op if node is not None else instruction.op.name
        where = f"in the backward of this node, op {instruction.op.name!r}: " if behind else ""
        if not behind and op != instruction.op.name:
            where = f"in {instruction.op.name!r}, a part of it: "
        used = self.registry.kernels.find(instruction, self.program.specs)
        plugin = used.plugin if used else self.registry.plugin_of(instruction.op.name).name
        if isinstance(error, DataFault):
            return DataFault(f"{where}{error}", node=node, op=op, plugin=plugin, element=error.element)
        if isinstance(error, np.linalg.LinAlgError):  # NumPy says that of values only
            return DataFault(f"{where}{error}", node=node, op=op, plugin=plugin)
        if isinstance(error, BadResult):
            return ForwardFault(f"{where}forward {error}", node=node, op=op, plugin=plugin)
        return ForwardFault(f"{where}forward", node=node, op=op, plugin=plugin, raised=error)


def compile_plan(lowered: Lowered, registry: Registry, targets: Sequence[str]) -> Plan:
    """Compile a lowered graph without faults; ``targets`` are the values whose gradients leave the run. An empty list
    gives a plan of the forward half only. Raises RuleFault if a rule does not fit what it meets; Cancelled."""
    program = lowered.builder.program
    count, forward_count = len(program.instructions), len(program.specs)
    backward = Backward()
    if targets:
        backward = append_backward(lowered, registry, targets, lowered.graph.outputs)
    return Plan(lowered, backward, registry, count, forward_count)


def _step(program: Program, instruction: Instruction, kernels: Kernels) -> Step:
    specs = program.specs
    expected = tuple([(specs[k].shape, specs[k].dtype) for k in instruction.outputs])
    call, scalar = call_of(instruction, specs, kernels), has_scalar_form(instruction, specs)
    return Step(call, expected, scalar, instruction.op.view)


def has_scalar_form(instruction: Instruction, specs: Sequence[Spec]) -> bool:
    """True if an instruction is computed on Python numbers."""
    return (
        scalar_form(instruction.op, [specs[k] for k in instruction.inputs], [specs[k] for k in instruction.outputs])
        is not None
    )


def call_of(instruction: Instruction, specs: Sequence[Spec], kernels: Kernels = NO_KERNELS) -> Callable[..., Any]:
    """The function that the interpreter calls for an instruction: the forward of its op, the kernel in its place, or, on
    single numbers, its scalar form."""
    used = kernels.find(instruction, specs)
    if used is not None:
        return used.forward
    inputs, outputs = [specs[k] for k in instruction.inputs], [specs[k] for k in instruction.outputs]
    form = scalar_form(instruction.op, inputs, outputs)
    if form is not None:
        return scalar_call(form, instruction.op, len(inputs), outputs[0], instruction.attributes)
    return partial(instruction.op.forward, **instruction.attributes) if instruction.attributes else instruction.op.forward


@lru_cache(4096)
def _rounded(value: Exact) -> float:
    """An exact constant rounded to 53 bits, from an enclosure to 128 bits."""
    with precision(128):
        return float(arb(value.define(Balls())).mid())


def literal_array(value: Literal, dtype: DType) -> Array:
    """The 0-d array of ``dtype`` nearest to an exact literal. An `Exact` is enclosed to 128 bits first, so that the
    constant is correctly rounded."""
    if isinstance(value, Exact):
        value = _rounded(value)
    return np.asarray(as_float(value) if dtype.kind in "fcV" else int(value)).astype(dtype)
