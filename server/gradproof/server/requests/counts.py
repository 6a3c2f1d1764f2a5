"""Counts: all that a request can multiply, before anything of it is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from gradproof.engine.cancellation import watched
from gradproof.engine.spec import shape_fault
from gradproof.server.limits import Limits
from gradproof.v1 import graph_pb2, tensor_pb2

LISTS = ("values", "seeds", "hooks", "gradients", "retain", "fetch", "reuse")
HINT = "ask for less at once"


def check_counts(request: Any, limits: Limits) -> None:
    """Raises LimitExceeded with every limit that a request passes by how much it names, by the largest place of each kind.
    Nodes are not looked at one by one where there are too many of them."""
    found: Counter[str] = Counter()
    fields = request.DESCRIPTOR.fields_by_name
    for name in LISTS:
        if name in fields:
            found[name] = len(getattr(request, name))
    if "by" in fields:
        found["gradients"] = len(request.by)
    if "reuse" in fields:
        found["reuse_values"] = sum(len(one.values) for one in request.reuse)
    if "verify" in fields:
        found["verify_budget_ms"] = request.verify.budget_ms
    if found["hooks"] <= limits.hooks and "hooks" in fields:
        found["hooks_per_value"] = max(Counter(hook.value for hook in request.hooks).values(), default=0)
        for hook in request.hooks:
            found |= _graph(hook.graph, limits)
            found |= _attributes([hook.named])
    found |= _graph(request.graph, limits)
    tensors = [
        *(one.value for one in getattr(request, "values", ())),
        *(s.cotangent for s in getattr(request, "seeds", ())),
    ]
    found |= _specs(tensor.spec for tensor in tensors)
    limits.check_all(found, HINT)


def _graph(graph: graph_pb2.Graph, limits: Limits) -> Counter[str]:
    found = Counter(
        graph_nodes=len(graph.nodes),
        graph_leaves=len(graph.leaves),
        graph_outputs=len(graph.outputs),
        graph_rules=len(graph.rules),
    )
    if any(count > getattr(limits, name) for name, count in found.items()):
        return found
    for node in watched(graph.nodes):
        count = len(node.inputs)
        found["graph_edges"] += count
        found["node_inputs"] = max(found["node_inputs"], count, len(node.outputs))
    found |= _attributes(graph.nodes)
    found |= _attributes(graph.rules)
    for rule in graph.rules:
        found |= _specs(rule.inputs)
    found |= _specs(_leaf_specs(graph))
    return found


def _leaf_specs(graph: graph_pb2.Graph) -> Iterator[tensor_pb2.TensorSpec]:
    for leaf in graph.leaves:
        yield leaf.spec
        if leaf.HasField("value"):
            yield leaf.value.spec


def _attributes(owners: Iterable[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for owner in watched(owners):
        if owner.attributes:
            nbytes = sum(len(name) + value.ByteSize() for name, value in owner.attributes.items())
            found["node_attributes"] = max(found["node_attributes"], len(owner.attributes))
            found["attribute_bytes"] = max(found["attribute_bytes"], nbytes)
    return found


def _specs(specs: Iterable[tensor_pb2.TensorSpec]) -> Counter[str]:
    found: Counter[str] = Counter()
    for spec in watched(specs):
        if shape_fault(spec.shape) is None:  # else it is a fault, with a path
            found["rank"] = max(found["rank"], len(spec.shape))
            found["tensor_elements"] = max(found["tensor_elements"], math.prod(spec.shape))
    return found
