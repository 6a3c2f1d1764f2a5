"""Lowering: a client's graph becomes a program, or a list of all its faults."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from gradproof.engine.cancellation import look, watched
from gradproof.engine.errors import Violation
from gradproof.engine.graph import Graph, Leaf, Node, Rule
from gradproof.engine.hints import MAX_HINTS, did_you_mean
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec, is_differentiable, shape_fault
from gradproof.engine.trace import Builder

MAX_INSTRUCTIONS = 1_000_000
"""Of a lowered graph: a node is one, but for conversions, unless it is a composite."""


@dataclass(slots=True)
class Lowered:
    """A graph as a program. With faults, the program covers what could be lowered.

    Attributes:
        values: by name the value of the program.
        node_of: for each instruction, conversions included, the index in ``graph.nodes`` that it came from.
        faults: all faults of the graph.
    """

    graph: Graph
    builder: Builder
    values: dict[str, int] = field(default_factory=dict)
    node_of: list[int] = field(default_factory=list)
    faults: list[Violation] = field(default_factory=list)

    def specs(self) -> dict[str, Spec]:
        """Shape and dtype of every named value that could be inferred."""
        return {name: self.builder.program.specs[number] for name, number in watched(self.values.items())}

    def in_composite(self, position: int) -> bool:
        """True if a forward instruction is a part of a composite."""
        return self.builder.ops[self.graph.nodes[self.node_of[position]].op].composite

    def part(self, position: int) -> str:
        """The op of a forward instruction: ``mean``, or ``mean in mse_loss`` where it is a part of a composite."""
        op, whole = self.builder.program.instructions[position].op.name, self.graph.nodes[self.node_of[position]].op
        return f"{op} in {whole}" if self.in_composite(position) else op

    def place(self, position: int) -> str:
        """The node and the op of a forward instruction: ``node 3 (mean)``."""
        return f"node {self.node_of[position]} ({self.part(position)})"

    def fault(self, path: str, message: str, reason: str) -> None:
        """Add a fault at a path of the request."""
        self.faults.append(Violation(path, message, reason))


def lower(graph: Graph, registry: Registry) -> Lowered:
    """Infer all shapes and dtypes and write the program, with explicit ``broadcast_to`` and ``astype``. Runs nothing and
    allocates no tensor. Every fault of the graph is in the result; raises nothing but Cancelled."""
    lowered = Lowered(graph, Builder(registry.ops))
    _Names(lowered).check()
    for position, leaf in enumerate(watched(graph.leaves)):
        _lower_leaf(lowered, f"graph.leaves[{position}]", leaf)
    _check_rules(lowered, registry)
    for position in watched(_topological_order(lowered)):
        look()
        if len(lowered.node_of) > MAX_INSTRUCTIONS:
            text = f"the nodes before this are more than {MAX_INSTRUCTIONS} instructions, with those in composites"
            lowered.fault(f"graph.nodes[{position}]", f"{text}: send the graph in parts", "GRAPH_LARGE")
            break
        _lower_node(lowered, registry, position, graph.nodes[position])
    return lowered


def _lower_leaf(lowered: Lowered, path: str, leaf: Leaf) -> None:
    bad = shape_fault(leaf.spec.shape)
    if bad:
        lowered.fault(f"{path}.spec.shape", f"leaf {leaf.name!r}: {bad}", "SHAPE_INVALID")
        return
    if leaf.requires_grad and not is_differentiable(leaf.spec.dtype):
        lowered.fault(
            f"{path}.requires_grad",
            f"leaf {leaf.name!r} has dtype {leaf.spec.dtype.name}; "
            "only tensors of floating point and complex dtype can require gradients",
            "REQUIRES_GRAD_DTYPE",
        )
    builder = lowered.builder
    lowered.values.setdefault(leaf.name, builder.input(builder.interned(leaf.spec)).number)


def _op_of(lowered: Lowered, registry: Registry, path: str, name: str) -> Op | None:
    """The op called ``name``; None, and a fault at ``path``, if there is none."""
    op = registry.ops.get(name)
    if op is None:
        near = did_you_mean(name, registry.ops if len(lowered.faults) < MAX_HINTS else ())
        lowered.fault(f"{path}.op", f"there is no op {name!r}{near}", "OP_UNKNOWN")
    return op


def _check_rules(lowered: Lowered, registry: Registry) -> None:
    """Check the table of rules that nodes were derived by: its ops exist, their inputs fit, and it has every index."""
    rules = lowered.graph.rules
    for k, rule in enumerate(watched(rules)):
        _check_rule(lowered, registry, f"graph.rules[{k}]", rule)
    for position, node in enumerate(watched(lowered.graph.nodes)):
        for j, index in enumerate(node.rules):
            if not 0 <= index < len(rules):
                text = f"there is no rule {index}: the graph has {len(rules)}"
                lowered.fault(f"graph.nodes[{position}].rules[{j}]", text, "RULE_UNKNOWN")


def _check_rule(lowered: Lowered, registry: Registry, path: str, rule: Rule) -> None:
    op = _op_of(lowered, registry, path, rule.op)
    if op is None:
        return
    bad_shapes = [(j, bad) for j, spec in enumerate(rule.inputs) if (bad := shape_fault(spec.shape))]
    for j, bad in bad_shapes:
        lowered.fault(f"{path}.inputs[{j}].shape", bad, "SHAPE_INVALID")
    arity = op.arity_fault(len(rule.inputs))
    if arity:
        lowered.fault(f"{path}.inputs", f"{rule.op} {arity}", "ARITY")
    elif op.rule is None:
        why = "is a composite: its parts have rules" if op.composite else "has no backward rule"
        lowered.fault(f"{path}.op", f"op {rule.op!r} {why}", "RULE_MISSING")
    elif not bad_shapes:
        try:
            op.inference(rule.inputs, rule.attributes)
        except InferenceError as error:
            shown = ", ".join(map(str, rule.inputs))
            lowered.fault(path, f"{rule.op}({shown}): {error}", "INFERENCE")


class _Names:
    """The names of a graph: those of values differ, and every name that is used is that of a value."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered, self.graph = lowered, lowered.graph
        self.defined: dict[str, str] = {}

    def check(self) -> None:
        """Add every fault to the lowered graph."""
        nodes = self.graph.nodes
        for k, leaf in enumerate(watched(self.graph.leaves)):
            self._define(leaf.name, f"graph.leaves[{k}].name")
        for k, node in enumerate(watched(nodes)):
            for j, name in enumerate(node.outputs):
                self._define(name, f"graph.nodes[{k}].outputs[{j}]")
        for k, node in enumerate(watched(nodes)):
            op = self.lowered.builder.ops.get(node.op)
            for j, name in enumerate(node.inputs):
                if name or op is None or not op.may_miss(j):
                    self._use(name, f"graph.nodes[{k}].inputs[{j}]")
        self._check_outputs()

    def _define(self, name: str, path: str) -> None:
        if not name:
            self.lowered.fault(path, "a value needs a name", "NAME_EMPTY")
        elif name in self.defined:
            self.lowered.fault(path, f"the name {name!r} is already taken by {self.defined[name]}", "NAME_DUPLICATE")
        self.defined.setdefault(name, path)

    def _use(self, name: str, path: str) -> None:
        if name in self.defined:
            return
        known: Iterable[str] = self.defined if len(self.lowered.faults) < MAX_HINTS else ()
        self.lowered.fault(path, f"there is no value named {name!r}{did_you_mean(name, known)}", "VALUE_UNKNOWN")

    def _check_outputs(self) -> None:
        if not self.graph.outputs:
            self.lowered.fault("graph.outputs", "the graph names no output", "OUTPUT_MISSING")
        listed: set[str] = set()
        for k, name in enumerate(watched(self.graph.outputs)):
            path = f"graph.outputs[{k}]"
            self._use(name, path)
            if name in self.defined and name in listed:
                self.lowered.fault(path, f"output {name!r} is listed twice", "NAME_DUPLICATE")
            listed.add(name)


def _topological_order(lowered: Lowered) -> list[int]:
    """Positions of the nodes so that inputs come first: the order of the graph where that is sorted, otherwise depth
    first. Nodes on or behind a cycle are reported and come last."""
    graph = lowered.graph
    leaves = {leaf.name for leaf in graph.leaves}
    producer: dict[str, int] = {}
    for k, node in enumerate(watched(graph.nodes)):
        for name in node.outputs:
            if name not in leaves:  # a name that is taken twice is reported already, and means its first value
                producer.setdefault(name, k)
    if all(producer.get(name, -1) < k for k, node in enumerate(watched(graph.nodes)) for name in node.inputs):
        return list(range(len(graph.nodes)))
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for k, node in enumerate(watched(graph.nodes)):
        sorter.add(k, *{producer[name] for name in node.inputs if name in producer})
    with suppress(CycleError):  # all other nodes can be ordered
        sorter.prepare()
    order: list[int] = []
    ready = sorted(sorter.get_ready(), reverse=True)
    while ready:
        look()
        order.append(ready.pop())
        sorter.done(order[-1])
        ready.extend(sorted(sorter.get_ready(), reverse=True))
    stuck = sorted(set(range(len(graph.nodes))).difference(order))
    if stuck:
        names = ", ".join(repr(graph.nodes[k].outputs[0]) for k in stuck[:8] if graph.nodes[k].outputs)
        lowered.fault(f"graph.nodes[{stuck[0]}].inputs", f"the graph has a cycle through or before {names}", "CYCLE")
    return [*order, *stuck]


def _lower_node(lowered: Lowered, registry: Registry, position: int, node: Node) -> None:
    path = f"graph.nodes[{position}]"
    op = _op_of(lowered, registry, path, node.op)
    if op is None:
        return
    bad = op.arity_fault(len(node.inputs))
    if bad:
        lowered.fault(f"{path}.inputs", f"{node.op} {bad}", "ARITY")
        return
    if any(name not in lowered.values and (name or not op.may_miss(k)) for k, name in enumerate(node.inputs)):
        return  # a fault of this node, or of a node that it reads, is already reported
    program, values = lowered.builder.program, lowered.values
    inputs = [values[name] if name else None for name in node.inputs]
    start = len(program.instructions)
    try:
        outputs = lowered.builder.record(node.op, inputs, node.attributes)
    except InferenceError as error:
        shown = ", ".join(f"{name}: {program.specs[values[name]]}" for name in node.inputs if name)
        lowered.fault(path, f"{node.op}({shown}): {error}", "INFERENCE")
        return
    lowered.node_of.extend([position] * (len(program.instructions) - start))
    if len(outputs) != len(node.outputs):
        lowered.fault(f"{path}.outputs", f"{node.op} has {len(outputs)} outputs, {len(node.outputs)} named", "ARITY")
        return
    for name, number in zip(node.outputs, outputs, strict=True):
        bad = shape_fault(program.specs[number].shape)
        if bad:
            lowered.fault(path, f"{node.op}: the result's {bad}", "SHAPE_INVALID")
        else:
            values.setdefault(name, number)
