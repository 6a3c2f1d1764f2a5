"""Reverse mode: the traced rules of a lowered graph, inlined behind it in the same program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gradproof.engine.cancellation import look, watched
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.lower import Lowered
from gradproof.engine.registry import Registry, traced_rule
from gradproof.engine.rules import prune
from gradproof.engine.spec import is_differentiable
from gradproof.engine.template import Template
from gradproof.engine.trace import Instruction, Program, Tracer, zeros_like


class Contribution(NamedTuple):
    """The gradient that a use of value ``value`` adds: instruction ``instruction`` used it as input ``position``, its
    outputs had the cotangents ``cotangents``, and the rule's result is ``number`` (all numbers of the program)."""

    value: int
    instruction: int
    position: int
    cotangents: tuple[int, ...]
    number: int


class Cut(NamedTuple):
    """A point where a gradient leaves the program: after ``position`` instructions the raw gradient of the value called
    ``name`` is value ``raw``; the driver puts the gradient after all hooks into value ``final``."""

    position: int
    name: str
    raw: int
    final: int


@dataclass(slots=True)
class Backward:
    """The backward half of a program: its cuts in order, and the evidence that accumulation is checked against.

    Attributes:
        cuts: points where gradients leave, in order.
        contributions: the terms of all gradients.
        seeds: by output name the value of its cotangent.
        node_of: for each backward instruction the node whose rule wrote it.
        raw: by forward value its gradient before hooks.
        final: by forward value its gradient after hooks.
        needed: forward values whose gradient is needed.
        written: for each forward instruction whose rule ran the instructions that this wrote, which may be none.
    """

    cuts: list[Cut] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    seeds: dict[str, int] = field(default_factory=dict)
    node_of: dict[int, int] = field(default_factory=dict)
    raw: dict[int, int] = field(default_factory=dict)
    final: dict[int, int] = field(default_factory=dict)
    needed: frozenset[int] = frozenset()
    written: dict[int, range] = field(default_factory=dict)


def needs_gradient(lowered: Lowered, targets: Sequence[str]) -> set[int]:
    """Values whose gradient is needed for that of ``targets``: targets that require grad, and values computed from them."""
    program = lowered.builder.program
    requires = {lowered.values[leaf.name] for leaf in lowered.graph.leaves if leaf.requires_grad}
    aims = {lowered.values[name] for name in targets}
    needed = requires & aims
    for instruction in watched(program.instructions):
        if requires.isdisjoint(instruction.inputs):
            continue
        for output in instruction.outputs:
            if is_differentiable(program.specs[output].dtype):
                requires.add(output)
                if output in aims or not needed.isdisjoint(instruction.inputs):
                    needed.add(output)
    return needed


def append_backward(lowered: Lowered, registry: Registry, targets: Sequence[str], outputs: Sequence[str]) -> Backward:
    """Write the backward half behind the forward half, from seeds for ``outputs`` to the gradients of ``targets``.

    Raises RuleFault, naming the node, if a rule does not trace for the shapes and dtypes it meets here; Cancelled.
    """
    return _ReversePass(lowered, registry, targets, outputs).run()


class _ReversePass:
    """Reverse-mode differentiation of a lowered graph.

    Instructions are visited in reverse. When an instruction is reached, every use of its outputs lies behind, so that
    their gradients are final: the sums of all contributions. Its rule then runs once, and contributes to the gradients of
    its inputs (A. Griewank and A. Walther, Evaluating Derivatives, 2008, chapter 3). The order matters: in
    ``b = a + a; c = b * b`` a walk that pushed gradients depth first would visit ``b`` twice, with half of its gradient
    each time.
    """

    def __init__(self, lowered: Lowered, registry: Registry, targets: Sequence[str], outputs: Sequence[str]) -> None:
        self.lowered, self.registry, self.outputs = lowered, registry, outputs
        self.builder, self.program = lowered.builder, lowered.builder.program
        self.forward = list(self.program.instructions)
        self.targets = {lowered.values[name]: name for name in targets}
        self.backward = Backward(needed=frozenset(needs_gradient(lowered, targets)))
        self.terms: dict[int, list[int]] = {}  # of gradients that are not final yet
        self._templates: dict[tuple[object, ...], Template] = {}

    def run(self) -> Backward:
        """Visit every instruction, from the last to the first."""
        self._seed()
        first_uses = self._first_uses()
        for leaf in watched(first_uses.get(len(self.forward), ())):
            self._close(leaf)
        for position in watched(range(len(self.forward) - 1, -1, -1)):
            look()
            if not self.backward.needed.isdisjoint(self.forward[position].outputs):
                self._pull(position)
            for leaf in first_uses.get(position, ()):
                self._close(leaf)
        return self.backward

    def _seed(self) -> None:
        """Begin with the cotangents of the outputs."""
        for name in watched(self.outputs):
            output = self.lowered.values[name]
            seed = self.backward.seeds[name] = self.builder.value(self.program.specs[output].strong)
            if output in self.backward.needed:
                self.terms.setdefault(output, []).append(seed)

    def _first_uses(self) -> dict[int, list[int]]:
        """The leaves whose gradient is needed, by the position of their first use, behind which the gradient is final;
        unused leaves at the end of the program."""
        unseen = dict.fromkeys(leaf for leaf in self.program.inputs if leaf in self.backward.needed)
        first_uses: dict[int, list[int]] = {}
        for position, instruction in enumerate(watched(self.forward)):
            for number in instruction.inputs:
                if number in unseen:
                    del unseen[number]
                    first_uses.setdefault(position, []).append(number)
        first_uses[len(self.forward)] = list(unseen)
        return first_uses

    def _close(self, value: int) -> int | None:
        """The gradient of ``value``, to which nothing more will be added: summed, and cut if it leaves. None if no gradient
        flows to the value."""
        terms = self.terms.pop(value, None)
        if terms is None:
            return None
        total = terms[0]
        for term in watched(terms[1:]):
            (total,) = self.builder.record("add", (total, term), {})
        raw = final = total
        if value in self.targets:
            final = self.builder.value(self.program.specs[raw])
            self.backward.cuts.append(Cut(len(self.program.instructions), self.targets[value], raw, final))
        self.backward.raw[value], self.backward.final[value] = raw, final
        return final

    def _pull(self, position: int) -> None:
        """Inline the rule of an instruction: from the gradients of its outputs to a contribution for each needed input."""
        instruction, node = self.forward[position], self.lowered.node_of[position]
        _, inputs, outputs, _ = instruction
        backward, program = self.backward, self.program
        finals = [self._close(output) for output in outputs]
        start = len(program.instructions)
        cotangents = tuple([k for k in finals if k is not None])
        if not cotangents:
            return
        if len(cotangents) < len(finals):
            cotangents = tuple(
                [
                    zeros_like(Tracer(self.builder, output)).number if final is None else final
                    for output, final in zip(outputs, finals, strict=True)
                ]
            )
        needed = tuple([number in backward.needed for number in inputs])
        try:
            rule = self._rule(instruction, needed)
        except RuleFault as fault:
            raise fault.at(node) from fault
        results = rule.into(program, (*cotangents, *outputs, *inputs))
        for slot, result in enumerate(results):
            if result is not None and needed[slot]:
                number = inputs[slot]
                self.terms.setdefault(number, []).append(result)
                backward.contributions.append(Contribution(number, position, slot, cotangents, result))
        written = backward.written[position] = range(start, len(program.instructions))
        backward.node_of.update(dict.fromkeys(written, node))

    def _rule(self, instruction: Instruction, needed: tuple[bool, ...]) -> Template:
        """The traced rule, pruned to the needed inputs, found by the identity of op, attributes and specs: those of a long
        graph are few objects."""
        op, inputs, outputs, attributes = instruction
        specs = self.program.specs
        key = (op, id(attributes), needed, *[id(specs[k]) for k in inputs], *[id(specs[k]) for k in outputs])
        template = self._templates.get(key)
        if template is None:
            rule = self._pruned_rule(instruction, needed)
            interned = list(map(self.builder.interned, rule.specs))
            template = self._templates[key] = Template(replace(rule, specs=interned))
        return template

    def _pruned_rule(self, instruction: Instruction, needed: tuple[bool, ...]) -> Program:
        """The traced rule, pruned to the needed inputs. Remembered with the registry: other graphs meet the same op, shapes
        and dtypes."""
        op, attributes, traced = instruction.op, instruction.attributes, self.registry.traced
        inputs = tuple(self.program.specs[k].strong for k in instruction.inputs)
        outputs = tuple(self.program.specs[k].strong for k in instruction.outputs)
        refused = [op.input_name(k) for k in op.still if needed[k]]
        if refused:
            text = f"op {op.name!r} has no derivative along its input {refused[0]!r}, and a gradient is to flow there"
            raise NoRule(text, op=op.name, plugin=self.registry.plugin_of(op.name).name)
        key = (op.name, inputs, outputs, repr(attributes), needed)
        rule = traced.get(key)
        if rule is None:
            rule = traced.put(key, prune(traced_rule(self.registry, op, inputs, outputs, attributes), needed))
        return rule
