"""Exchange of messages: what clients and sessions of both kinds say, and to whom an answer is, without a connection."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from gradproof.client.errors import GradproofError, NotFound
from gradproof.client.graph import Graph, GraphBuilder
from gradproof.client.requests import message_of, named
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2


class Digests:
    """The digests of graphs that the server has seen."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[GraphBuilder, tuple[int, str]] = WeakKeyDictionary()

    def of(self, graph: Graph | None) -> str:
        """The digest of the graph as it is now, or nothing."""
        known = self._known.get(graph) if isinstance(graph, GraphBuilder) else None
        return known[1] if known and isinstance(graph, GraphBuilder) and known[0] == graph.revision else ""

    def learn(self, graph: Graph | None, digest: str) -> None:
        """The server has said what the graph is called."""
        if isinstance(graph, GraphBuilder):
            self._known[graph] = (graph.revision, digest)


RequestT = TypeVar("RequestT", pb.DifferentiateRequest, pb.EvaluateRequest)


class Attempt(Generic[RequestT]):
    """A request, and whether the next is to be tried where this one fails."""

    def __init__(self, request: RequestT, reason: str) -> None:
        self.request: RequestT = request
        self._reason = reason

    def settles(self, error: GradproofError) -> bool:
        """Whether this was the last word."""
        return not (isinstance(error, NotFound) and self._reason and error.reason == self._reason)


def attempts(
    request: RequestT, graph: Graph | None, values: Mapping[str, Any] | None, *, kept: str = "", digest: str = ""
) -> Iterator[Attempt[RequestT]]:
    """The shortest request first: on a kept run, on a graph that the server has seen, whole. Raises ValueError where there
    is neither graph nor run."""
    if not kept and graph is None:
        raise ValueError("give a graph, or the name of a kept run")
    if kept:
        short = copy.deepcopy(request)
        short.kept = kept
        yield Attempt(short, "KEPT_NOT_FOUND" if graph is not None else "")
        request.keep = request.keep or kept
    if graph is None:
        return
    message = message_of(graph)
    request.values.extend(named(values, message))
    if digest:
        yield Attempt(_by_digest(request, message, digest), "GRAPH_NOT_FOUND")
    request.graph.CopyFrom(message)
    yield Attempt(request, "")


def _by_digest(request: RequestT, graph: graph_pb2.Graph, digest: str) -> RequestT:
    """The request on a graph that the server has seen: the values that the graph carries go beside it."""
    short = copy.deepcopy(request)
    short.digest = digest
    carried = {one.name for one in request.values}
    short.values.extend(
        tensor_pb2.NamedTensor(name=leaf.name, value=leaf.value)
        for leaf in graph.leaves
        if leaf.HasField("value") and leaf.name not in carried
    )
    return short


def recipients(answer: pb.SessionResponse, runs: Iterable[str]) -> list[str]:
    """Runs in progress that an answer of a session is addressed to. None for what is still said of a run that was given
    up; all for a fault that names none."""
    if answer.request_id:
        return [answer.request_id] if answer.request_id in runs else []
    late = any(fault.reason == "HOOK_ID" for fault in answer.fault.faults)
    return [] if late else list(runs)
