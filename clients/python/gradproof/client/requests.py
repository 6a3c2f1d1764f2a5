"""Requests: what is asked for, as messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from gradproof.client.graph import FunctionHook, Graph, GraphBuilder
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import WireError, decode_spec, encode_tensor

Functions: TypeAlias = Mapping[int, FunctionHook]
"""Hooks that run here, by the ids that the request gives them."""
NO_FUNCTIONS: Functions = MappingProxyType({})

KINDS = {"b": 0, "u": 1, "i": 1, "V": 2, "f": 2, "c": 3}
"""NumPy's kinds of numbers, the narrowest first (V is bfloat16)."""

LEVELS = {
    "off": pb.VERIFY_LEVEL_OFF,
    "cached": pb.VERIFY_LEVEL_CACHED,
    "values": pb.VERIFY_LEVEL_VALUES,
    "everything": pb.VERIFY_LEVEL_EVERYTHING,
}
SUMMARIES = {
    "": verdict_pb2.SUMMARY_WORD_UNSPECIFIED,
    "verified": verdict_pb2.SUMMARY_WORD_VERIFIED,
    "plausible": verdict_pb2.SUMMARY_WORD_PLAUSIBLE,
    "unchecked": verdict_pb2.SUMMARY_WORD_UNCHECKED,
}


class Options(TypedDict, total=False):
    """What is asked of a run.

    seeds: cotangents of outputs, of exactly their shapes; an output with one element may go without.
    hooks: made by `hook`. Those that are functions are called in the thread that reads the events, while the server
        waits; what they raise is raised there, and the run is given up.
    gradients: names of the values whose gradients are wanted; empty means all leaves that require grad.
    retain: inner values whose gradients are wanted too.
    fetch: values to return.
    verify: ``off``, ``cached`` (proofs known already), ``values`` (and the numbers), or ``everything`` (the default).
    budget: seconds for the checks; 5 if not given.
    required: the weakest summary that will do (``verified``, ``plausible``, ``unchecked``). If a gradient's is weaker,
        VerdictRequired is raised behind the last event; ``differentiate`` puts what came into its ``result``. Empty: any
        will do.
    """

    seeds: Mapping[str, Any] | None
    hooks: Sequence[graph_pb2.Hook | FunctionHook]
    gradients: Sequence[str]
    retain: Sequence[str]
    fetch: Sequence[str]
    verify: str
    budget: float
    required: str


def differentiation(
    graph: Graph | None, values: Mapping[str, Any] | None, options: Options, keep: str = ""
) -> tuple[pb.DifferentiateRequest, Functions]:
    """The request, still without its graph, and the hooks that run here. Raises ValueError for an unknown word."""
    required, verify = options.get("required", ""), options.get("verify", "everything")
    hooks, seeds = options.get("hooks", ()), options.get("seeds") or {}
    if required not in SUMMARIES:
        raise ValueError(f"required is {required!r}; it may be {', '.join(filter(None, SUMMARIES))}")
    if verify not in LEVELS:
        raise ValueError(f"verify is {verify!r}; it may be {', '.join(LEVELS)}")
    functions = {k: one for k, one in enumerate(hooks) if isinstance(one, FunctionHook)}
    request = pb.DifferentiateRequest(
        values=named_values(values, message_of(graph)),
        seeds=[pb.Seed(output=name, cotangent=encode_tensor(np.asarray(v))) for name, v in seeds.items()],
        hooks=[one.to_proto(k) if isinstance(one, FunctionHook) else one for k, one in enumerate(hooks)],
        gradients=options.get("gradients", ()),
        retain=options.get("retain", ()),
        fetch=options.get("fetch", ()),
        verify=pb.VerifyOptions(
            level=LEVELS[verify],
            budget_ms=max(1, int(options.get("budget", 5.0) * 1000)),
            required=SUMMARIES[required],
        ),
        keep=keep,
    )
    return request, functions


def message_of(graph: Graph | None) -> graph_pb2.Graph:
    """A graph as a message; without one, an empty message."""
    if graph is None:
        return graph_pb2.Graph()
    return graph.to_proto() if isinstance(graph, GraphBuilder) else graph


def named_values(values: Mapping[str, Any] | None, graph: graph_pb2.Graph) -> Iterable[tensor_pb2.NamedTensor]:
    """The values of leaves as messages."""
    if not values:
        return []
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    return [
        tensor_pb2.NamedTensor(name=name, value=encode_tensor(_array(value, leaves.get(name))))
        for name, value in values.items()
    ]


def _array(value: Any, leaf: graph_pb2.Leaf | None) -> NDArray[Any]:
    """``value`` as an array; a Python number takes the leaf's dtype where it fits (where not, the server says so)."""
    array = np.asarray(value)
    if leaf is None or type(value) not in (bool, int, float, complex):
        return array
    try:
        shape, dtype = decode_spec(leaf.spec if leaf.HasField("spec") else leaf.value.spec)
        if shape or KINDS.get(array.dtype.kind, 4) > KINDS[dtype.kind]:
            return array
        with np.errstate(over="raise"):
            return np.asarray(value, dtype)
    except (WireError, OverflowError, FloatingPointError):
        return array
