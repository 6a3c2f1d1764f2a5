"""Counts: everything that a request can multiply, before any of it is decoded."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from gradproof.engine.cancellation import watched
from gradproof.engine.spec import shape_fault
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2

INPUT_LISTS = ("values", "fetch", "reuse")
LISTS = ("seeds", "hooks", "gradients", "retain", "fetch")
HINT = "ask for less at once"


def check_counts(request: Any, limits: Limits) -> None:
    """Raises LimitExceeded with every limit that a request passes by how much it names, by the largest place of each kind.
    Where there are too many nodes, they are not looked at."""
    fields = request.DESCRIPTOR.fields_by_name
    run_input: pb.RunInput | None = request.input if "input" in fields else None
    counts: Counter[str] = Counter({name: len(getattr(request, name)) for name in LISTS if name in fields})
    if run_input is not None:
        counts.update({name: len(getattr(run_input, name)) for name in INPUT_LISTS})
        counts["reuse_values"] = sum(len(reuse.values) for reuse in run_input.reuse)
    if "by" in fields:
        counts["gradients"] = len(request.by)
    if counts["hooks"] <= limits.hooks and "hooks" in fields:
        counts["hooks_per_value"] = max(Counter(hook.value for hook in request.hooks).values(), default=0)
        for hook in request.hooks:
            counts |= _graph(hook.graph, limits)
            counts |= _attributes([hook.named])
    counts |= _graph(request.graph if run_input is None else run_input.graph, limits)
    tensors = [named.value for named in run_input.values] if run_input is not None else []
    tensors += [seed.cotangent for seed in getattr(request, "seeds", ())]
    counts |= _specs(tensor.spec for tensor in tensors)
    seconds = {"verify_budget_seconds": request.verify.budget_seconds} if "verify" in fields else {}
    limits.check_all({**counts, **seconds}, HINT)


def _graph(graph: graph_pb2.Graph, limits: Limits) -> Counter[str]:
    counts = Counter(
        graph_nodes=len(graph.nodes),
        graph_leaves=len(graph.leaves),
        graph_outputs=len(graph.outputs),
        graph_rules=len(graph.rules),
    )
    if any(count > getattr(limits, name) for name, count in counts.items()):
        return counts
    for node in watched(graph.nodes):
        count = len(node.inputs)
        counts["graph_edges"] += count
        counts["node_inputs"] = max(counts["node_inputs"], count, len(node.outputs))
    counts |= _attributes(graph.nodes)
    counts |= _attributes(graph.rules)
    for rule in graph.rules:
        counts |= _specs(rule.inputs)
    counts |= _specs(_leaf_specs(graph))
    return counts


def _leaf_specs(graph: graph_pb2.Graph) -> Iterator[tensor_pb2.TensorSpec]:
    for leaf in graph.leaves:
        yield leaf.spec
        if leaf.HasField("value"):
            yield leaf.value.spec


def _attributes(owners: Iterable[Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for owner in watched(owners):
        if owner.attributes:
            nbytes = sum(len(name) + value.ByteSize() for name, value in owner.attributes.items())
            counts["node_attributes"] = max(counts["node_attributes"], len(owner.attributes))
            counts["attribute_bytes"] = max(counts["attribute_bytes"], nbytes)
    return counts


def _specs(specs: Iterable[tensor_pb2.TensorSpec]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for spec in watched(specs):
        if shape_fault(spec.shape) is None:  # else it is a fault, with a path
            counts["rank"] = max(counts["rank"], len(spec.shape))
            counts["tensor_elements"] = max(counts["tensor_elements"], math.prod(spec.shape))
    return counts
