"""Reverse mode: the traced rules of a lowered graph, inlined behind it in one program.

Instructions are visited in reverse. When one is reached, every use of its output lies behind, so its gradient is the sum
of all contributions and final. The order matters: in ``b = a + a; c = b * b`` a walk that pushed gradients depth first
would visit ``b`` twice with half of its gradient each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gradproof.engine.cancellation import look, watched
from gradproof.engine.errors import RuleFault
from gradproof.engine.lower import Lowered
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.rules import prune
from gradproof.engine.spec import Spec, is_differentiable
from gradproof.engine.trace import Builder, Instruction, Program, Tracer, zeros_like


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one use of value ``value`` adds to its gradient: instruction ``instruction`` used it as input ``position``,
    its outputs had the cotangents ``cotangents``, and the rule's result is ``number`` (all numbers of the program)."""

    value: int
    instruction: int
    position: int
    cotangents: tuple[int, ...]
    number: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A point where a gradient leaves the program: after ``position`` instructions the raw gradient of the value called
    ``name`` is value ``raw``; the driver puts what the hooks made of it into value ``final``."""

    position: int
    name: str
    raw: int
    final: int


@dataclass(slots=True)
class Backward:
    """The backward half of a program: its cuts in order, and the evidence that accumulation is checked against.

    ``needed``: forward values whose gradient is needed; ``written``: for each forward instruction whose rule ran the
    instructions that this wrote, which may be none.
    """

    cuts: list[Cut] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    seeds: dict[str, int] = field(default_factory=dict)
    node_of: dict[int, int] = field(default_factory=dict)
    raw: dict[int, int] = field(default_factory=dict)
    final: dict[int, int] = field(default_factory=dict)
    needed: frozenset[int] = frozenset()
    written: dict[int, range] = field(default_factory=dict)


def needs_gradient(lowered: Lowered, wanted: Sequence[str]) -> set[int]:
    """Values whose gradient is needed for those ``wanted``: they require grad, and a wanted value lies on or above them."""
    program = lowered.builder.program
    graph = lowered.graph
    requires = {lowered.values[leaf.name] for leaf in graph.leaves if leaf.requires_grad}
    aims = {lowered.values[name] for name in wanted}
    needed = requires & aims
    for one in watched(program.instructions):
        if requires.isdisjoint(one.inputs):
            continue
        for out in one.outputs:
            if is_differentiable(program.specs[out].dtype):
                requires.add(out)
                if out in aims or not needed.isdisjoint(one.inputs):
                    needed.add(out)
    return needed


def append_backward(
    lowered: Lowered,
    registry: Registry,
    wanted: Sequence[str],
    outputs: Sequence[str],
) -> Backward:
    """Write the backward half behind the forward half, from seeds for ``outputs`` to the gradients of ``wanted``.

    Raises RuleFault, naming the node, if a rule does not trace for the shapes and dtypes it meets here; Cancelled.
    """
    builder, program = lowered.builder, lowered.builder.program
    forward = list(program.instructions)
    needed = needs_gradient(lowered, wanted)
    backward = Backward(needed=frozenset(needed))
    pending: dict[int, list[int]] = {}
    for name in watched(outputs):
        number = lowered.values[name]
        seed = builder.value(_strong(program.specs[number]))
        backward.seeds[name] = seed
        if number in needed:
            pending.setdefault(number, []).append(seed)
    cuts = {lowered.values[name]: name for name in wanted}
    first_use: dict[int, list[int]] = {}
    seen: set[int] = set()
    leaves = {number for number in program.inputs if number in needed}
    for position, one in enumerate(watched(forward)):
        for number in one.inputs:
            if number in leaves and number not in seen:
                seen.add(number)
                first_use.setdefault(position, []).append(number)

    def close(number: int) -> int | None:
        """The gradient of value ``number``, now that nothing more will be added: summed, and cut if it leaves."""
        parts = pending.pop(number, None)
        if parts is None:
            return None
        total = Tracer(builder, parts[0])
        for part in watched(parts[1:]):
            total = builder.apply("add", [total, Tracer(builder, part)], {})  # type: ignore[assignment]
        raw = final = total.number
        if number in cuts:
            final = builder.value(program.specs[raw])
            backward.cuts.append(Cut(len(program.instructions), cuts[number], raw, final))
        backward.raw[number], backward.final[number] = raw, final
        return final

    for number in watched(leaves - seen):
        close(number)
    for position in watched(range(len(forward) - 1, -1, -1)):
        look()
        one = forward[position]
        if not needed.isdisjoint(one.outputs):
            _pull(lowered, registry, backward, pending, close, position, one, needed)
        for number in first_use.get(position, ()):
            close(number)
    return backward


def _pull(lowered, registry, backward, pending, close, position, one, needed) -> None:  # type: ignore[no-untyped-def]
    """Run the rule of one instruction: from the cotangents of its outputs to a contribution per needed input."""
    builder, program = lowered.builder, lowered.builder.program
    finals = [close(out) for out in one.outputs]
    if all(final is None for final in finals):
        return
    start = len(program.instructions)
    cotangents = tuple(
        zeros_like(Tracer(builder, out)).number if final is None else final
        for out, final in zip(one.outputs, finals, strict=True)
    )
    mask = tuple(number in needed for number in one.inputs)
    node = lowered.node_of[position]
    try:
        rule = _rule(registry, program, one, mask)
    except RuleFault as fault:
        raise fault.at(node) from fault
    arguments = (*cotangents, *one.outputs, *one.inputs)
    for slot, (number, result) in enumerate(zip(one.inputs, inline(builder, rule, arguments), strict=True)):
        if result is not None and mask[slot]:
            pending.setdefault(number, []).append(result)
            backward.contributions.append(Contribution(number, position, slot, cotangents, result))
    backward.written[position] = range(start, len(program.instructions))
    for index in backward.written[position]:
        backward.node_of[index] = node


def _rule(registry: Registry, program: Program, one: Instruction, mask: tuple[bool, ...]) -> Program:
    """The traced rule, remembered with the registry: other graphs meet the same op, shapes and dtypes."""
    traced = registry.traced
    inputs = tuple(_strong(program.specs[k]) for k in one.inputs)
    outputs = tuple(_strong(program.specs[k]) for k in one.outputs)
    key = (one.op.name, inputs, outputs, repr(one.attributes), mask)
    rule = traced.get(key)
    if rule is None:
        rule = traced[key] = prune(traced_rule(registry, one.op, inputs, outputs, one.attributes), mask)
    return rule


def inline(builder: Builder, rule: Program, arguments: Sequence[int]) -> list[int | None]:
    """Copy the instructions of ``rule`` into the builder's program, with ``arguments`` for its inputs."""
    program = builder.program
    number_of: dict[int, int] = dict(zip(rule.inputs, arguments, strict=True))
    for k, literal in rule.literals.items():
        number_of[k] = builder.value(rule.specs[k])
        program.literals[number_of[k]] = literal
    for one in watched(rule.instructions):
        for out in one.outputs:
            number_of[out] = builder.value(rule.specs[out])
        program.instructions.append(
            Instruction(
                one.op,
                tuple([number_of[k] for k in one.inputs]),
                tuple([number_of[k] for k in one.outputs]),
                one.attributes,
            )
        )
    return [None if out is None else number_of[out] for out in rule.outputs]


def _strong(spec: Spec) -> Spec:
    return Spec(spec.shape, spec.dtype) if spec.weak else spec
