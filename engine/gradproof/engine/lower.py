"""Lowering: a client's graph becomes a program, or a list of everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from gradproof.engine.cancellation import look, watched
from gradproof.engine.errors import Violation
from gradproof.engine.graph import Graph, Node
from gradproof.engine.hints import MAX_HINTS, did_you_mean
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec, is_differentiable, shape_fault
from gradproof.engine.trace import Builder, Tracer


@dataclass(slots=True)
class Lowered:
    """A graph as a program. ``values`` maps names to values of the program; ``node_of[k]`` is the index in
    ``graph.nodes`` that instruction k came from (conversions included). With faults, it covers what could be lowered."""

    graph: Graph
    builder: Builder
    values: dict[str, int] = field(default_factory=dict)
    node_of: list[int] = field(default_factory=list)
    faults: list[Violation] = field(default_factory=list)

    def specs(self) -> dict[str, Spec]:
        """Shape and dtype of every named value that could be inferred."""
        return {name: self.builder.program.specs[number] for name, number in watched(self.values.items())}

    def fault(self, path: str, message: str, reason: str) -> None:
        self.faults.append(Violation(path, message, reason))


def lower(graph: Graph, registry: Registry) -> Lowered:
    """Infer all shapes and dtypes and write the program, with explicit ``broadcast_to`` and ``astype``. Runs nothing and
    allocates no tensor. Every fault of the graph is in the result; raises nothing but Cancelled."""
    lowered = Lowered(graph, Builder(registry.ops))
    _check_names(lowered)
    for position, leaf in enumerate(watched(graph.leaves)):
        path = f"graph.leaves[{position}]"
        bad = shape_fault(leaf.spec.shape)
        if bad:
            lowered.fault(f"{path}.spec.shape", f"leaf {leaf.name!r}: {bad}", "SHAPE_INVALID")
            continue
        if leaf.requires_grad and not is_differentiable(leaf.spec.dtype):
            lowered.fault(
                f"{path}.requires_grad",
                f"leaf {leaf.name!r} has dtype {leaf.spec.dtype.name}; "
                "only tensors of floating point and complex dtype can require gradients",
                "REQUIRES_GRAD_DTYPE",
            )
        lowered.values.setdefault(leaf.name, lowered.builder.input(leaf.spec).number)
    _check_rules(lowered, registry)
    for position in watched(_topological_order(lowered)):
        look()
        _lower_node(lowered, registry, position, graph.nodes[position])
    return lowered


def _op_of(lowered: Lowered, registry: Registry, path: str, name: str) -> Op | None:
    """The op called ``name``; None, and a fault at ``path``, if there is none."""
    op = registry.ops.get(name)
    if op is None:
        near = did_you_mean(name, registry.ops if len(lowered.faults) < MAX_HINTS else ())
        lowered.fault(f"{path}.op", f"there is no op {name!r}{near}", "OP_UNKNOWN")
    return op


def _check_rules(lowered: Lowered, registry: Registry) -> None:
    """The table of rules that nodes say they were derived by: its ops exist, their inputs fit, every index is one of it."""
    graph = lowered.graph
    for k, rule in enumerate(watched(graph.rules)):
        path = f"graph.rules[{k}]"
        op = _op_of(lowered, registry, path, rule.op)
        if op is None:
            continue
        wrong = [(j, bad) for j, spec in enumerate(rule.inputs) if (bad := shape_fault(spec.shape))]
        for j, bad in wrong:
            lowered.fault(f"{path}.inputs[{j}].shape", bad, "SHAPE_INVALID")
        arity = op.arity_fault(len(rule.inputs))
        if arity:
            lowered.fault(f"{path}.inputs", f"{rule.op} {arity}", "ARITY")
        elif not op.differentiable:
            lowered.fault(f"{path}.op", f"op {rule.op!r} has no backward rule", "RULE_MISSING")
        elif not wrong:
            try:
                op.inference(rule.inputs, rule.attributes)
            except InferenceError as error:
                shown = ", ".join(map(str, rule.inputs))
                lowered.fault(path, f"{rule.op}({shown}): {error}", "INFERENCE")
    count = len(graph.rules)
    for position, node in enumerate(watched(graph.nodes)):
        for j, index in enumerate(node.rules):
            if not 0 <= index < count:
                text = f"there is no rule {index}: the graph has {count}"
                lowered.fault(f"graph.nodes[{position}].rules[{j}]", text, "RULE_UNKNOWN")


def _check_names(lowered: Lowered) -> None:
    seen: dict[str, str] = {}
    graph = lowered.graph

    def define(name: str, path: str) -> None:
        if not name:
            lowered.fault(path, "a value needs a name", "NAME_EMPTY")
        elif name in seen:
            lowered.fault(path, f"the name {name!r} is already taken by {seen[name]}", "NAME_DUPLICATE")
        seen.setdefault(name, path)

    for k, leaf in enumerate(watched(graph.leaves)):
        define(leaf.name, f"graph.leaves[{k}].name")
    for k, node in enumerate(watched(graph.nodes)):
        for j, name in enumerate(node.outputs):
            define(name, f"graph.nodes[{k}].outputs[{j}]")
    for k, node in enumerate(watched(graph.nodes)):
        for j, name in enumerate(node.inputs):
            if name not in seen:
                _dangling(lowered, f"graph.nodes[{k}].inputs[{j}]", name, seen)
    if not graph.outputs:
        lowered.fault("graph.outputs", "the graph names no output", "OUTPUT_MISSING")
    named: set[str] = set()
    for k, name in enumerate(watched(graph.outputs)):
        if name not in seen:
            _dangling(lowered, f"graph.outputs[{k}]", name, seen)
        elif name in named:
            lowered.fault(f"graph.outputs[{k}]", f"output {name!r} is listed twice", "NAME_DUPLICATE")
        named.add(name)


def _dangling(lowered: Lowered, path: str, name: str, known: Iterable[str]) -> None:
    if len(lowered.faults) >= MAX_HINTS:
        known = ()
    lowered.fault(path, f"there is no value named {name!r}{did_you_mean(name, known)}", "VALUE_UNKNOWN")


def _topological_order(lowered: Lowered) -> list[int]:
    """Positions of the nodes so that inputs come first (the given order where it already is one). Nodes on or
    behind a cycle are reported and come last. Iterative: a chain of 100 000 nodes is an ordinary graph."""
    graph = lowered.graph
    leaves = {leaf.name for leaf in graph.leaves}
    producer: dict[str, int] = {}
    for k, node in enumerate(watched(graph.nodes)):
        for name in node.outputs:
            if name not in leaves:  # a name that is taken twice is reported already, and means its first value
                producer.setdefault(name, k)
    waiting = [0] * len(graph.nodes)
    users: dict[int, list[int]] = {}
    for k, node in enumerate(watched(graph.nodes)):
        for source in {producer[name] for name in node.inputs if name in producer}:
            waiting[k] += 1
            users.setdefault(source, []).append(k)
    if all(producer.get(name, -1) < k for k, node in enumerate(watched(graph.nodes)) for name in node.inputs):
        return list(range(len(graph.nodes)))
    ready = [k for k in range(len(graph.nodes) - 1, -1, -1) if not waiting[k]]
    order = []
    while ready:
        look()
        k = ready.pop()
        order.append(k)
        for user in reversed(users.get(k, ())):
            waiting[user] -= 1
            if not waiting[user]:
                ready.append(user)
    stuck = sorted(set(range(len(graph.nodes))) - set(order))
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
    numbers = [lowered.values.get(name) for name in node.inputs]
    if any(number is None for number in numbers):
        return  # its fault, or that of a node before it, is already reported
    tracers = [Tracer(lowered.builder, number) for number in numbers if number is not None]
    before = len(lowered.builder.program.instructions)
    try:
        result = lowered.builder.apply(node.op, tracers, node.attributes)
    except InferenceError as error:
        shown = ", ".join(f"{name}: {tracer.spec}" for name, tracer in zip(node.inputs, tracers, strict=True))
        lowered.fault(path, f"{node.op}({shown}): {error}", "INFERENCE")
        return
    finally:
        after = len(lowered.builder.program.instructions)
        lowered.node_of.extend([position] * (after - before))
    outputs = result if isinstance(result, tuple) else (result,)
    if len(outputs) != len(node.outputs):
        lowered.fault(f"{path}.outputs", f"{node.op} has {len(outputs)} outputs, {len(node.outputs)} named", "ARITY")
        return
    for name, tracer in zip(node.outputs, outputs, strict=True):
        bad = shape_fault(tracer.shape)
        if bad:
            lowered.fault(path, f"{node.op}: the result's {bad}", "SHAPE_INVALID")
        else:
            lowered.values.setdefault(name, tracer.number)
