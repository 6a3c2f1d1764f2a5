"""Formulas of tensors: the graph that is explained, with the names that its reader gives to tensors."""

from __future__ import annotations

from collections.abc import Mapping

from gradproof.client.explanation import Explanation
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.v1 import graph_pb2


def explained(tensor: Recorded, names: Mapping[str, Recorded]) -> Explanation:
    """The formulas behind a tensor, with the ``names`` given to tensors. Raises ValueError for a name that cannot be."""
    graph = graph_of([tensor], backward=True)
    given = _given(graph, names)
    message, values = graph.message(), {named.name: named.value for named in graph.values()}
    for leaf in message.leaves:
        if not leaf.requires_grad and leaf.name in values:
            leaf.value.CopyFrom(values[leaf.name])
    _rename(message, given)
    own = graph.name(tensor)
    return current().client.explain(message, given.get(own, own))


def _given(graph: Subgraph, names: Mapping[str, Recorded]) -> dict[str, str]:
    """The names that are given, by those of the graph. A tensor that had several values has numbered names."""
    given: dict[str, str] = {}
    for name, tensor in names.items():
        if not isinstance(tensor, Recorded):
            raise TypeError(f"{name}={tensor!r}: names are given to tensors")
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no name for a formula: a name has letters, digits and _")
        found = graph.all_names_of(tensor)
        if not found:
            raise ValueError(f"{name} is no part of the computation that is explained")
        given |= {own: name if k == 1 else f"{name}_{k}" for k, own in enumerate(found, 1)}
    kept = graph.names() - given.keys()
    for own, name in given.items():
        if name in kept or list(given.values()).count(name) > 1:
            raise ValueError(f"the name {name!r} of {own} is taken by another value of the computation")
    return given


def _rename(message: graph_pb2.Graph, given: Mapping[str, str]) -> None:
    """Give the values of a graph their names."""
    for leaf in message.leaves:
        leaf.name = given.get(leaf.name, leaf.name)
    for node in message.nodes:
        for field in (node.inputs, node.outputs):
            field[:] = [given.get(name, name) for name in field]
    message.outputs[:] = [given.get(name, name) for name in message.outputs]
