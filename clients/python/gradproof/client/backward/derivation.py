"""Derivation of recorded gradients: the server derives a graph from a graph, and its nodes join the record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

import numpy as np

from gradproof.client.events import Array
from gradproof.client.recording.apply import apply
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.requests import Derived
from gradproof.wire import decode_attributes, decode_tensor

Environment: TypeAlias = dict[str, Input]
"""Tensors and Python numbers by their names in a graph."""

Gradients: TypeAlias = dict[Recorded, Recorded]
"""Gradients by their tensors, which a dictionary compares by identity: no two objects have the same hash."""

MAX_SHARED_BYTES: Final = 64
"""The size up to which equal constants of rules are a single tensor."""

_constants: WeakValueDictionary[tuple[object, ...], Recorded] = WeakValueDictionary()


def accumulate(gradients: Gradients, tensor: Recorded, gradient: Recorded) -> None:
    """Add to the gradient of a tensor, as a recorded op."""
    total = gradients.get(tensor)
    gradients[tensor] = gradient if total is None else apply("add", total, gradient)


def pulled_back(
    starts: Iterable[tuple[Recorded, Recorded]], targets: Sequence[Recorded], cut: Sequence[Recorded]
) -> Gradients:
    """The contributions of cotangents to the gradients of ``targets``, on paths that do not go through ``cut``.

    ``starts``: tensors, each with a cotangent.
    """
    seeds: Gradients = {}
    for root, seed in starts:
        accumulate(seeds, root, seed)
    graph = graph_of(list(seeds), backward=True, cut=cut)
    by = {name: t for t in targets if t not in seeds or t.is_leaf for name in graph.names_of(t)}
    if not by:
        return {}
    derived = current().derive(graph, list(by))
    environment = _environment(graph)
    _join(derived, environment, {graph.name(root): seed for root, seed in seeds.items()}, graph.roots[0].plain())
    contributions: Gradients = {}
    for result in derived.results:
        if result.value is not None and result.by is not None:
            accumulate(contributions, by[result.by], _tensor(environment[result.value]))
    return contributions


def pushed_forward(graph: Subgraph, starts: Sequence[tuple[Recorded, Recorded]]) -> Gradients:
    """The tangents of the roots of a graph, recorded; a root that no tangent reaches is missing.

    ``starts``: tensors, each with a tangent.
    """
    tangents: Gradients = {}
    by = {name: tangent for x, tangent in starts for name in graph.names_of(x)}
    if not by:
        return tangents
    derived = current().derive(graph, list(by), "jvp")
    environment = _environment(graph)
    _join(derived, environment, by, graph.roots[0].plain())
    values = {result.output: result.value for result in derived.results}
    for y in graph.roots:
        if (value := values.get(graph.name(y))) is not None:
            tangents[y] = _tensor(environment[value])
    return tangents


def pulled_through(node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]) -> dict[int, Recorded]:
    """The gradients that the rule of a node makes, recorded; for each use of an input by itself.

    ``grad_outputs``: a gradient for each output, None where none comes. ``positions``: the inputs to differentiate by.
    """
    kind = node.kind.plain()
    stand_ins = [
        kind.from_array(np.broadcast_to(np.zeros((), x.dtype), x.shape), k in positions) if isinstance(x, Recorded) else x
        for k, x in enumerate(node.inputs)
    ]
    with enable_grad():
        copy = Node(kind, node.signature, stand_ins, node.rules)
        graph = graph_of(copy.outputs(), backward=True)
    derived = current().derive(graph, [graph.edge(copy, k) for k in positions])
    environment: Environment = {}
    for k, (x, array) in enumerate(zip(node.inputs, node.arrays, strict=True)):
        changed = isinstance(x, Recorded) and x.array is not array
        environment[graph.edge(copy, k)] = node.leaf(array) if changed and array is not None else x
    seeds = {}
    for slot, (spec, gradient) in enumerate(zip(node.specs, grad_outputs, strict=True)):
        name = graph.name_of(copy, slot)
        environment[name] = node.held(slot)
        seeds[name] = node.leaf(np.zeros(spec.shape, spec.dtype)) if gradient is None else gradient
    _join(derived, environment, seeds, kind)
    values = {result.by: _tensor(environment[result.value]) for result in derived.results if result.value is not None}
    return {k: values[name] for k in positions if (name := graph.edge(copy, k)) in values}


def _environment(graph: Subgraph) -> Environment:
    """Every value of a graph by its name."""
    environment: Environment = {**graph.numbers, **graph.open}
    for name, array in graph.arrays.items():
        leaf = graph.leaves.get(name)
        environment[name] = leaf if leaf is not None and leaf.value() is array else graph.roots[0].leaf(array)
    for node in graph.nodes:
        environment.update(zip(graph.output_names(node), node.outputs(), strict=True))
    return environment


def _join(derived: Derived, environment: Environment, seeds: Mapping[str, Recorded], kind: type[Recorded]) -> None:
    """Record the nodes of a derived graph whose outputs ``environment`` does not have yet, and add these to it.

    ``seeds``: the cotangents by the names of the outputs, or the tangents by the names of their values. ``kind``: the class
    of the new tensors.
    """
    runtime, graph = current(), derived.graph
    environment.update((leaf, seeds[output]) for output, leaf in derived.leaves.items())
    for leaf in graph.leaves:
        if leaf.name not in environment and leaf.HasField("value"):
            array = decode_tensor(leaf.value)
            environment[leaf.name] = array.item() if leaf.value.weak else _constant(kind, array)
    rules = [rule.SerializeToString(deterministic=True) for rule in graph.rules]
    for message in graph.nodes:
        if all(name in environment for name in message.outputs):
            continue
        inputs = [environment[name] for name in message.inputs]
        attributes = decode_attributes(message.attributes)
        if not any(isinstance(x, Recorded) for x in inputs):
            inputs = [kind.from_array(np.asarray(x)) for x in inputs]
        signature = runtime.signature(message.op, inputs, attributes)
        node = Node(kind, signature, inputs, tuple(rules[k] for k in message.rules))
        environment.update(zip(message.outputs, node.outputs(), strict=True))


def _constant(kind: type[Recorded], array: Array) -> Recorded:
    """A constant of a rule; the same tensor for equal small arrays, so that graphs have it once."""
    key = (kind, array.dtype.str, array.shape, array.tobytes())
    constant = _constants.get(key) if array.nbytes <= MAX_SHARED_BYTES else None
    if constant is None:
        constant = kind.from_array(array.copy())
        if array.nbytes <= MAX_SHARED_BYTES:
            _constants[key] = constant
    return constant


def _tensor(value: Input) -> Recorded:
    """A value of a graph that is a tensor."""
    assert isinstance(value, Recorded)
    return value
