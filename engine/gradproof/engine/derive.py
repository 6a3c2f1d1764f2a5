"""Derivation: from a graph to the graph of its derivative, by the lowering and the traced rules of a run.

The result is a graph like any other: it can be run, checked, and derived again. It keeps the names of the original;
cotangents and tangents are leaves of it, exact constants of rules are leaves with values. Its nodes say by which rules they
were written, so that a verdict on what is computed with them includes the verdicts on these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.errors import InvalidRequest, LimitExceeded, Violation
from gradproof.engine.graph import Graph, Leaf, Node, Rules, names_of
from gradproof.engine.hints import did_you_mean
from gradproof.engine.lower import Lowered, lower
from gradproof.engine.pullback import Derivative, Derived, pruned, pull
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable


class Mode(Enum):
    """The kind of derivative."""

    GRADIENT = "gradient"
    VJP = "vjp"
    JVP = "jvp"
    HVP = "hvp"
    JACOBIAN = "jacobian"
    HESSIAN = "hessian"


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
    faults = _faults(graph, lower(graph, registry), by, mode)
    if faults:
        raise InvalidRequest(faults)
    if mode is Mode.VJP:
        derived = pull(graph, registry, by)
    elif mode is Mode.GRADIENT:
        derived = _gradient(graph, registry, by)
    elif mode is Mode.JVP:
        derived = _push(graph, registry, by)
    elif mode is Mode.JACOBIAN:
        derived = _Jacobian(graph, registry, by, max_nodes).derived()
    else:
        derived = _second(graph, registry, mode, by, max_nodes)
    if len(derived.graph.nodes) > max_nodes:
        raise LimitExceeded("graph_nodes", len(derived.graph.nodes), max_nodes)
    return derived


def derivation_faults(graph: Graph, registry: Registry, by: Sequence[str], mode: Mode | None = None) -> list[Violation]:
    """Faults of a derivation, all of them; those of a mode where that is known."""
    return _faults(graph, lower(graph, registry), _by(graph, by), mode)


def _by(graph: Graph, by: Sequence[str]) -> tuple[str, ...]:
    """The values to derive by; by default the leaves that require grad."""
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
            fault = _not_scalar(name, spec, len(graph.outputs))
            if fault:
                faults.append(Violation(f"graph.outputs[{k}]", fault, "OUTPUT_NOT_SCALAR"))
    return faults


def _not_scalar(name: str, spec: Spec, outputs: int) -> str | None:
    """The reason why a graph has no gradient without a cotangent, or None."""
    if outputs > 1:
        return "a gradient is that of a single output"
    if spec.size != 1:
        return f"grad can be implicitly created only for scalar outputs; {name!r} is {spec}"
    if is_complex(spec):
        return f"grad can be implicitly created only for real scalar outputs but got {spec.dtype.name}"
    return None


def _gradient(graph: Graph, registry: Registry, by: Sequence[str]) -> Derived:
    """The pullback with 1 as the cotangent of the only output."""
    return _with_cotangents(pull(graph, registry, by), lambda spec: np.ones(spec.shape, spec.dtype))


def _with_cotangents(pulled: Derived, cotangent: Callable[[Spec], Array]) -> Derived:
    """A pullback with constants for the cotangents."""
    added = set(pulled.leaves.values())
    leaves = tuple(
        replace(leaf, requires_grad=leaf.requires_grad and leaf.name not in added) for leaf in pulled.graph.leaves
    )
    values = [(leaf.name, cotangent(leaf.spec)) for leaf in leaves if leaf.name in added]
    return replace(pulled, graph=replace(pulled.graph, leaves=leaves), values=(*pulled.values, *values), leaves={})


def _behind(first: Derived, second: Derived) -> Derived:
    """``second``, which was derived from the graph of ``first``, with the constants of both."""
    names = {leaf.name for leaf in second.graph.leaves}
    return replace(second, values=tuple((n, a) for n, a in (*first.values, *second.values) if n in names))


def _push(graph: Graph, registry: Registry, by: Sequence[str], keep: Sequence[str] = ()) -> Derived:
    """Jacobian-vector products, with tangents of ``by``: the pullback of the pullback, in its cotangents (J. Townsend, "A
    new trick for calculating Jacobian vector products", 2017). The pullback is linear in them, so that their values do not
    matter: they are pruned, or are 1 where a rule asks whether they are 0. Outputs and the values ``keep`` are computed in
    the same graph. Raises InvalidRequest if a rule is not linear in its cotangent."""
    keep = (*graph.outputs, *keep)
    pulled = pull(graph, registry, by, keep)
    source = pulled.sources
    cotangents = {leaf: output for output, leaf in pulled.leaves.items()}
    if not source:
        return replace(pulled, derivatives=tuple(Derivative("", output, None) for output in graph.outputs), leaves={})
    pushed = _behind(pulled, pull(pulled.graph, registry, tuple(cotangents), keep))
    results = {cotangents[derivative.by]: derivative.value for derivative in pushed.derivatives}
    tangents = {source[of]: leaf for of, leaf in pushed.leaves.items()}
    derivatives = tuple(Derivative("", output, results.get(output)) for output in graph.outputs)
    clean = pruned(replace(pushed, derivatives=derivatives, leaves=tangents), graph, keep)
    left = {leaf.name for leaf in clean.graph.leaves}.intersection(cotangents)
    if not left:
        return clean
    if not _are_only_compared(clean.graph, left):
        raise InvalidRequest([Violation("graph", "a rule is not linear in its cotangent", "RULE_NOT_LINEAR")])
    leaves = tuple(replace(leaf, requires_grad=False) if leaf.name in left else leaf for leaf in clean.graph.leaves)
    ones = [(leaf.name, np.ones(leaf.spec.shape, leaf.spec.dtype)) for leaf in leaves if leaf.name in left]
    return replace(clean, graph=replace(clean.graph, leaves=leaves), values=(*clean.values, *ones))


def _are_only_compared(graph: Graph, names: set[str]) -> bool:
    """True if the outputs of a graph depend on the values ``names`` by comparisons for equality only."""
    reached = set(names)
    for node in watched(graph.nodes):
        if node.op not in ("equal", "not_equal") and not reached.isdisjoint(node.inputs):
            reached.update(node.outputs)
    return reached.isdisjoint(graph.outputs)


def _second(graph: Graph, registry: Registry, mode: Mode, by: Sequence[str], max_nodes: int) -> Derived:
    """The derivative of the gradient: along tangents (HVP), or all of it (HESSIAN). The graph computes the output and the
    gradient as well."""
    gradient = _gradient(graph, registry, by)
    gradients = {source: value for value, source in gradient.sources.items()}
    gradient = replace(gradient, gradients=gradients)
    sources, names = gradient.sources, names_of(gradient.graph)
    present = tuple(name for name in by if name in names)  # the gradient depends on no other
    rows = ("",) if mode is Mode.HVP else tuple(sources.values()) or by
    if not sources or not present:  # nothing flows, so there is no graph to derive once more
        return replace(gradient, derivatives=tuple(Derivative(name, row, None) for name in by for row in rows))
    if mode is Mode.HVP:
        pushed = _behind(gradient, _push(gradient.graph, registry, present, graph.outputs))
        products = [Derivative(sources[product.output], "", product.value) for product in pushed.derivatives]
        return replace(pushed, derivatives=tuple(products), gradients=gradients)
    hessian = _behind(gradient, _Jacobian(gradient.graph, registry, present, max_nodes).derived(graph.outputs))
    blocks = [Derivative(block.by, sources[block.output], block.value) for block in hessian.derivatives]
    blocks += [Derivative(name, row, None) for name in by if name not in present for row in rows]
    return replace(hessian, derivatives=tuple(blocks), gradients=gradients)


class _Jacobian:
    """The graph of the Jacobian of each output by each value: a backward half for each element of the output, behind a
    single forward half."""

    def __init__(self, graph: Graph, registry: Registry, by: Sequence[str], max_nodes: int) -> None:
        self.graph, self.registry, self.by, self.max_nodes = graph, registry, by, max_nodes
        self.specs = lower(graph, registry).specs()
        self.rules = Rules(graph.rules)
        self.nodes, self.leaves = list(self.rules.moved(graph.nodes, graph.rules)), list(graph.leaves)
        self.values: list[tuple[str, Array]] = []
        self.shared = names_of(graph)

    def derived(self, keep: Sequence[str] = ()) -> Derived:
        """The derived graph, in which the values ``keep`` are computed too. Raises LimitExceeded if it would have more than
        ``max_nodes`` nodes."""
        jacobians = [jacobian for output in self.graph.outputs for jacobian in self._of(output)]
        whole = Graph(tuple(self.leaves), tuple(self.nodes), (), tuple(self.rules.rules))
        return pruned(Derived(whole, tuple(jacobians), tuple(self.values)), self.graph, keep)

    def _of(self, output: str) -> list[Derivative]:
        """The Jacobians of an output."""
        spec = self.specs[output]
        pulled = pull(replace(self.graph, outputs=(output,)), self.registry, self.by)
        count = spec.size * len(pulled.graph.nodes)
        if count > self.max_nodes:
            raise LimitExceeded("graph_nodes", count, self.max_nodes)
        rows: dict[str, list[str]] = {}
        for k in watched(range(spec.size)):
            seed = np.zeros(spec.shape, spec.dtype)
            seed.flat[k] = 1
            constants = {**dict(pulled.values), **dict.fromkeys(pulled.leaves.values(), seed)}
            for name, row in self._copy(pulled, constants, f"{output}_{k}").items():
                rows.setdefault(name, []).append(row)
        return [Derivative(name, output, self._stacked(name, output, rows.get(name, ()))) for name in self.by]

    def _copy(self, pulled: Derived, constants: Mapping[str, Array], place: str) -> dict[str, str]:
        """Append a copy of the backward half, with ``constants`` for its leaves. Returns its results by the values that
        they are the derivatives by."""

        def renamed(name: str) -> str:
            return name if name in self.shared else f"{name}@{place}"

        for leaf in watched(pulled.graph.leaves):
            if leaf.name not in self.shared:
                self.leaves.append(Leaf(renamed(leaf.name), leaf.spec))
                self.values.append((renamed(leaf.name), constants[leaf.name]))
        for node in watched(self.rules.moved(pulled.graph.nodes, pulled.graph.rules)):
            if not self.shared.issuperset(node.outputs):
                inputs, outputs = tuple(map(renamed, node.inputs)), tuple(map(renamed, node.outputs))
                self.nodes.append(replace(node, inputs=inputs, outputs=outputs))
        return {by: renamed(value) for value, by in pulled.sources.items()}

    def _stacked(self, name: str, output: str, rows: Sequence[str]) -> str | None:
        """The value that has the rows of a Jacobian in the shapes of output and value; None if there is no row."""
        if not rows:
            return None
        jacobian, shape = f"J_{output}_{name}", (*self.specs[output].shape, *self.specs[name].shape)
        self.nodes.append(Node("stack", tuple(rows), (f"{jacobian}_rows",), {"axis": 0}))
        self.nodes.append(Node("reshape", (f"{jacobian}_rows",), (jacobian,), {"shape": shape}))
        return jacobian
