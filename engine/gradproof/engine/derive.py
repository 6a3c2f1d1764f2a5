"""Deriving: from a graph to the graph of its derivative, by the lowering and the traced rules of a run.

What comes out is a graph like any other: it can be run, checked, and derived again. It keeps the names of the original;
cotangents and tangents are leaves of it, exact constants of rules are leaves with values. Its nodes say by which rules they
were written, so that a verdict on what is computed with them takes in what is known of these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np

from gradproof.engine.backward import Backward, append_backward
from gradproof.engine.cancellation import watched
from gradproof.engine.errors import InvalidRequest, LimitExceeded, Violation
from gradproof.engine.graph import Graph, Leaf, Node, Rule, Rules, names_of
from gradproof.engine.hints import did_you_mean
from gradproof.engine.lower import Lowered, lower
from gradproof.engine.plan import literal_array
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, Spec, is_differentiable


class Mode(Enum):
    """What is derived."""

    GRADIENT = "gradient"
    VJP = "vjp"
    JVP = "jvp"
    HVP = "hvp"
    JACOBIAN = "jacobian"
    HESSIAN = "hessian"


@dataclass(frozen=True)
class Derivative:
    """``value`` is the derivative of ``output`` by ``by`` (of all outputs together where that is empty); None where nothing
    flows from one to the other, which is not zeros."""

    by: str
    output: str
    value: str | None


@dataclass(frozen=True)
class Derived:
    """A derived graph, whose outputs are the ``found`` values.

    Attributes:
        values: of leaves that derivation added: constants.
        leaves: the leaves to be given: by output the cotangent, or by value the tangent.
    """

    graph: Graph
    found: tuple[Derivative, ...]
    values: tuple[tuple[str, Array], ...] = ()
    leaves: Mapping[str, str] = field(default_factory=dict)


def derive(
    graph: Graph,
    registry: Registry,
    mode: Mode,
    by: Sequence[str] = (),
    *,
    max_nodes: int = 100_000,
) -> Derived:
    """Derive ``graph`` by the values ``by`` (default: the leaves that require grad). Raises InvalidRequest with all faults,
    RuleFault where a rule does not trace, LimitExceeded if the result has more than ``max_nodes`` nodes, Cancelled."""
    by = _by(graph, by)
    _check(graph, lower(graph, registry), by, mode)
    if mode is Mode.VJP:
        found = _pull(graph, registry, by)
    elif mode is Mode.GRADIENT:
        found = _gradient(graph, registry, by)
    elif mode is Mode.JVP:
        found = _push(graph, registry, by)
    elif mode is Mode.JACOBIAN:
        found = _rows(graph, registry, by, max_nodes)
    else:
        found = _second(graph, registry, mode, by, max_nodes)
    if len(found.graph.nodes) > max_nodes:
        raise LimitExceeded("graph_nodes", len(found.graph.nodes), max_nodes)
    return found


def _second(graph: Graph, registry: Registry, mode: Mode, by: Sequence[str], max_nodes: int) -> Derived:
    """The derivative of the gradient: along tangents (HVP), or all of it (HESSIAN)."""
    gradient = _gradient(graph, registry, by)
    sources = {one.value: one.by for one in gradient.found if one.value is not None}
    there = names_of(gradient.graph)
    met = tuple(name for name in by if name in there)  # the gradient depends on no other
    others = ("",) if mode is Mode.HVP else tuple(sources.values()) or by
    if not sources or not met:  # nothing flows, so there is no graph to derive once more
        return replace(gradient, found=tuple(Derivative(one, other, None) for one in by for other in others))
    if mode is Mode.HVP:
        pushed = _behind(gradient, _push(gradient.graph, registry, met))
        return replace(pushed, found=tuple(Derivative(sources[one.output], "", one.value) for one in pushed.found))
    rows = _behind(gradient, _rows(gradient.graph, registry, met, max_nodes))
    found = [Derivative(one.by, sources[one.output], one.value) for one in rows.found]
    found += [Derivative(name, other, None) for name in by if name not in met for other in others]
    return replace(rows, found=tuple(found))


def _check(graph: Graph, lowered: Lowered, by: Sequence[str], mode: Mode) -> None:
    """Raises InvalidRequest."""
    faults = _faults(graph, lowered, by, mode)
    if faults:
        raise InvalidRequest(faults)


def derivation_faults(graph: Graph, registry: Registry, by: Sequence[str], mode: Mode | None = None) -> list[Violation]:
    """Faults of what is to be derived, all of them; ``mode``: where it is known."""
    return _faults(graph, lower(graph, registry), _by(graph, by), mode)


def _by(graph: Graph, by: Sequence[str]) -> tuple[str, ...]:
    """By default the leaves that require grad."""
    return tuple(dict.fromkeys(by)) or tuple(leaf.name for leaf in graph.leaves if leaf.requires_grad)


def _faults(graph: Graph, lowered: Lowered, by: Sequence[str], mode: Mode | None) -> list[Violation]:
    faults = list(lowered.faults)
    specs, known = lowered.specs(), names_of(graph)
    idle = {leaf.name for leaf in graph.leaves if not leaf.requires_grad}
    for k, name in enumerate(watched(by)):
        if name not in known:
            text = f"there is no value named {name!r}{did_you_mean(name, known)}"
            faults.append(Violation(f"by[{k}]", text, "VALUE_UNKNOWN"))
        elif name in idle or (name in specs and not is_differentiable(specs[name].dtype)):
            faults.append(Violation(f"by[{k}]", f"{name!r} does not require grad", "REQUIRES_GRAD"))
    if not by:
        faults.append(Violation("by", "no leaf requires grad, and nothing is named", "NOTHING_TO_DIFFERENTIATE"))
    for k, name in enumerate(watched(graph.outputs)):
        spec = specs.get(name)
        if spec is None:
            continue
        if not is_differentiable(spec.dtype):
            faults.append(Violation(f"graph.outputs[{k}]", f"{name!r} has dtype {spec.dtype.name}", "REQUIRES_GRAD_DTYPE"))
        elif mode in (Mode.GRADIENT, Mode.HVP, Mode.HESSIAN):
            _check_scalar(faults, k, name, spec, len(graph.outputs))
    return faults


def _check_scalar(faults: list[Violation], k: int, name: str, spec: Spec, outputs: int) -> None:
    path = f"graph.outputs[{k}]"
    if outputs > 1:
        faults.append(Violation(path, "a gradient is that of one output", "OUTPUT_NOT_SCALAR"))
    elif spec.size != 1:
        text = f"grad can be implicitly created only for scalar outputs; {name!r} is {spec}"
        faults.append(Violation(path, text, "OUTPUT_NOT_SCALAR"))
    elif spec.dtype.kind == "c":
        text = f"grad can be implicitly created only for real scalar outputs but got {spec.dtype.name}"
        faults.append(Violation(path, text, "OUTPUT_NOT_SCALAR"))


def _pull(graph: Graph, registry: Registry, by: Sequence[str]) -> Derived:
    """Cotangents of the outputs through to ``by``."""
    lowered = lower(graph, registry)
    program = lowered.builder.program
    backward = append_backward(lowered, registry, by, graph.outputs)
    names = {number: name for name, number in lowered.values.items()}
    taken = set(names.values()) | {name for node in graph.nodes for name in node.outputs}
    leaves = list(graph.leaves)
    values: list[tuple[str, Array]] = []
    cotangents: dict[str, str] = {}

    def fresh(stem: str) -> str:
        name, k = stem, 0
        while name in taken:
            name, k = f"{stem}_{k}", k + 1
        taken.add(name)
        return name

    for output, number in watched(backward.seeds.items()):
        cotangents[output] = names[number] = fresh(f"g_{output}")
        leaves.append(Leaf(names[number], program.specs[number], True))
    for number, literal in watched(program.literals.items()):
        names[number] = fresh(f"k{number}")
        values.append((names[number], literal_array(literal, program.specs[number].dtype)))
        leaves.append(Leaf(names[number], program.specs[number]))
    raw = {name: backward.raw.get(lowered.values[name]) for name in by}
    for name, total in watched(raw.items()):
        if total is not None and total not in names:
            names[total] = fresh(f"d_{name}")
    alias = {cut.final: cut.raw for cut in backward.cuts}
    forward = len(lowered.node_of)
    origin = _Origin(lowered, backward)
    nodes = []
    for position, one in enumerate(watched(program.instructions)):
        for number in one.outputs:
            if number not in names:
                names[number] = fresh(f"{'v' if position < forward else 'd'}{number}")
        inputs = tuple(names[alias.get(number, number)] for number in one.inputs)
        outputs = tuple(names[number] for number in one.outputs)
        nodes.append(Node(one.op.name, inputs, outputs, one.attributes, origin.of(position)))
    results: dict[str, str | None] = {}
    given, used = {*program.inputs, *backward.seeds.values(), *program.literals}, set[int]()
    for name, total in watched(raw.items()):
        results[name] = None if total is None else names[total]
        owed = origin.owed.get(lowered.values[name], ())
        if total is not None and (total in given or total in used or owed):
            # One value may be several results, or a cotangent as it came in: each result is a value of its own. So is one
            # that rests on a rule which wrote nothing.
            own = results[name] = fresh(f"d_{name}")
            shape = {"shape": program.specs[total].shape}
            nodes.append(Node("reshape", (names[total],), (own,), shape, tuple(sorted(owed))))
        used.add(-1 if total is None else total)
    found = tuple(Derivative(name, "", value) for name, value in results.items())
    whole = Graph(tuple(leaves), tuple(nodes), (), tuple(origin.table.rules))
    return _pruned(whole, found, values, cotangents, graph)


class _Origin:
    """The rules that the instructions of a pulled program were written by: indices of ``table``.

    A rule may write no instruction (it passes its cotangent on, or says NO_GRADIENT): then the gradient of what it was
    asked about owes it, by ``owed``, to the next instruction that is written from there.
    """

    def __init__(self, lowered: Lowered, backward: Backward) -> None:
        self.lowered, self.backward = lowered, backward
        self.program = lowered.builder.program
        self.table = Rules(lowered.graph.rules)
        self.owed: dict[int, frozenset[int]] = {}
        self._known: dict[tuple[object, ...], int] = {}
        self._written: dict[int, tuple[int, ...]] = {}
        self._results: dict[int, dict[int, int]] = {}
        for use in watched(backward.contributions):
            self._results.setdefault(use.instruction, {})[use.position] = use.number
        for position in watched(range(len(lowered.node_of) - 1, -1, -1)):
            self._visit(position)

    def of(self, position: int) -> tuple[int, ...]:
        """Those of one instruction, forward or backward."""
        forward = self.lowered.node_of
        return self._forward(position) if position < len(forward) else self._written.get(position, ())

    def _forward(self, position: int) -> tuple[int, ...]:
        """Those of its node."""
        rules = self.lowered.graph.rules
        node = self.lowered.graph.nodes[self.lowered.node_of[position]]
        return tuple(self.table.index(rules[k]) for k in node.rules)

    def _visit(self, position: int) -> None:
        one = self.program.instructions[position]
        asked = [slot for slot, number in enumerate(one.inputs) if number in self.backward.needed]
        if not asked:
            return
        behind = frozenset[int]().union(*(self.owed.get(out, ()) for out in one.outputs))
        span = self.backward.written.get(position)
        if span is None:  # nothing came here, which may be what a rule behind it says
            for slot in asked if behind else ():
                self._owe(one.inputs[slot], behind)
            return
        key = (one.op.name, *(self.program.specs[k] for k in one.inputs), repr(one.attributes) if one.attributes else "")
        own = self._known.get(key)
        if own is None:
            specs = tuple(Spec(self.program.specs[k].shape, self.program.specs[k].dtype) for k in one.inputs)
            own = self._known[key] = self.table.index(Rule(one.op.name, specs, one.attributes))
        rules = behind | {own, *self._forward(position)}
        shown = tuple(sorted(rules))
        made = {out for k in span for out in self.program.instructions[k].outputs}
        self._written.update(dict.fromkeys(span, shown))
        results = self._results.get(position, {})
        for slot in asked:
            if results.get(slot) not in made:
                self._owe(one.inputs[slot], rules)

    def _owe(self, number: int, rules: frozenset[int]) -> None:
        before = self.owed.get(number)
        self.owed[number] = rules if before is None or before <= rules else before | rules


def _pruned(
    graph: Graph,
    found: tuple[Derivative, ...],
    values: Sequence[tuple[str, Array]],
    leaves: Mapping[str, str],
    original: Graph,
) -> Derived:
    """Without nodes and added leaves that neither a result nor an output of the original needs."""
    outputs = tuple(dict.fromkeys(one.value for one in found if one.value is not None))
    needed = {*outputs, *original.outputs}
    nodes = []
    for node in watched(reversed(graph.nodes)):
        if not needed.isdisjoint(node.outputs):
            needed.update(node.inputs)
            nodes.append(node)
    table = Rules()
    nodes = list(table.moved(nodes[::-1], graph.rules))
    kept = tuple(leaf for leaf in graph.leaves if leaf.name in needed or leaf in original.leaves)
    names = {leaf.name for leaf in kept}
    return Derived(
        Graph(kept, tuple(nodes), outputs or original.outputs, tuple(table.rules)),
        found,
        tuple((name, array) for name, array in values if name in names),
        {of: leaf for of, leaf in leaves.items() if leaf in names},
    )


def _behind(first: Derived, second: Derived) -> Derived:
    """``second``, which was derived from the graph of ``first``, with the constants of both."""
    names = {leaf.name for leaf in second.graph.leaves}
    return replace(second, values=tuple((n, a) for n, a in (*first.values, *second.values) if n in names))


def _gradient(graph: Graph, registry: Registry, by: Sequence[str]) -> Derived:
    """The cotangent of the one output is 1."""
    return _fixed(_pull(graph, registry, by), lambda spec: np.ones(spec.shape, spec.dtype))


def _fixed(pulled: Derived, seed: Callable[[Spec], Array]) -> Derived:
    """With constants for the cotangents."""
    added = set(pulled.leaves.values())
    leaves = tuple(
        replace(leaf, requires_grad=leaf.requires_grad and leaf.name not in added) for leaf in pulled.graph.leaves
    )
    values = [(leaf.name, seed(leaf.spec)) for leaf in leaves if leaf.name in added]
    return replace(pulled, graph=replace(pulled.graph, leaves=leaves), values=(*pulled.values, *values), leaves={})


def _push(graph: Graph, registry: Registry, by: Sequence[str]) -> Derived:
    """Tangents of ``by`` through to the outputs: the derivative, in its cotangents, of what `_pull` gives. That is linear
    in them, so that they do not matter, and are pruned."""
    pulled = _pull(graph, registry, by)
    source = {one.value: one.by for one in pulled.found if one.value is not None}
    cotangents = {leaf: output for output, leaf in pulled.leaves.items()}
    if not source:
        return replace(pulled, found=tuple(Derivative("", output, None) for output in graph.outputs), leaves={})
    pushed = _behind(pulled, _pull(pulled.graph, registry, tuple(cotangents)))
    results = {cotangents[one.by]: one.value for one in pushed.found}
    tangents = {source[of]: leaf for of, leaf in pushed.leaves.items()}
    found = tuple(Derivative("", output, results.get(output)) for output in graph.outputs)
    clean = _pruned(pushed.graph, found, pushed.values, tangents, graph)
    left = sorted({leaf.name for leaf in clean.graph.leaves} & set(cotangents))
    if left:
        raise InvalidRequest([Violation("graph", "a rule is not linear in its cotangent", "RULE_NOT_LINEAR")])
    return clean


def _rows(graph: Graph, registry: Registry, by: Sequence[str], max_nodes: int) -> Derived:
    """For each output and each of ``by`` the Jacobian: one backward half for each element, behind one forward half."""
    specs = lower(graph, registry).specs()
    table = Rules(graph.rules)
    nodes, leaves, values = list(table.moved(graph.nodes, graph.rules)), list(graph.leaves), []
    known = {leaf.name for leaf in leaves} | {name for node in nodes for name in node.outputs}
    found: list[Derivative] = []
    for output in graph.outputs:
        pulled = _pull(replace(graph, outputs=(output,)), registry, by)
        spec = specs[output]
        columns: dict[str, list[str]] = {one.by: [] for one in pulled.found if one.value is not None}
        if spec.size * len(pulled.graph.nodes) > max_nodes:
            raise LimitExceeded("graph_nodes", spec.size * len(pulled.graph.nodes), max_nodes)
        for k in watched(range(spec.size)):
            seed = np.zeros(spec.shape, spec.dtype)
            seed.flat[k] = 1
            names = {name: name for name in known}

            def renamed(name: str, names: dict[str, str] = names, place: str = f"{output}_{k}") -> str:
                return names.setdefault(name, f"{name}@{place}")

            constants = {**dict(pulled.values), **dict.fromkeys(pulled.leaves.values(), seed)}
            for leaf in watched(pulled.graph.leaves):
                if leaf.name not in known:
                    leaves.append(Leaf(renamed(leaf.name), leaf.spec))
                    values.append((renamed(leaf.name), constants[leaf.name]))
            for node in watched(table.moved(pulled.graph.nodes, pulled.graph.rules)):
                if not known.issuperset(node.outputs):
                    inputs, outputs = tuple(map(renamed, node.inputs)), tuple(map(renamed, node.outputs))
                    nodes.append(replace(node, inputs=inputs, outputs=outputs))
            for one in watched(pulled.found):
                if one.value is not None:
                    columns[one.by].append(renamed(one.value))
        for name in by:
            rows = columns.get(name)
            if not rows:
                found.append(Derivative(name, output, None))
                continue
            whole, shape = f"J_{output}_{name}", (*spec.shape, *specs[name].shape)
            nodes.append(Node("stack", tuple(rows), (f"{whole}_rows",), {"axis": 0}))
            nodes.append(Node("reshape", (f"{whole}_rows",), (whole,), {"shape": shape}))
            found.append(Derivative(name, output, whole))
    return _pruned(Graph(tuple(leaves), tuple(nodes), (), tuple(table.rules)), tuple(found), values, {}, graph)
