"""Dispatch: the request that is sent first, and the run that a response is for, in clients and sessions of both kinds."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from gradproof.client.errors import GradproofError, NotFound, from_status
from gradproof.client.graph import Graph, GraphBuilder
from gradproof.client.requests import message_of, named
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2


class Digests:
    """The digests of graphs that the server has seen."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[GraphBuilder, tuple[int, str]] = WeakKeyDictionary()

    def of(self, graph: Graph | None) -> str:
        """The digest of the graph as it is now; empty where it is not known."""
        known = self._known.get(graph) if isinstance(graph, GraphBuilder) else None
        return known[1] if known and isinstance(graph, GraphBuilder) and known[0] == graph.revision else ""

    def forget(self, graph: Graph | None) -> None:
        """Note that the server has the graph no more."""
        if isinstance(graph, GraphBuilder):
            self._known.pop(graph, None)

    def learn(self, graph: Graph | None, digest: str) -> None:
        """Note the digest of a graph."""
        if isinstance(graph, GraphBuilder):
            self._known[graph] = (graph.revision, digest)


RequestT = TypeVar("RequestT", pb.DifferentiateRequest, pb.EvaluateRequest)


class Attempt(Generic[RequestT]):
    """A request, and whether the next attempt is made where this fails."""

    def __init__(self, request: RequestT, reason: str) -> None:
        self.request: RequestT = request
        self._reason = reason

    def settles(self, error: GradproofError) -> bool:
        """True if no other attempt is made after ``error``."""
        return not (isinstance(error, NotFound) and self._reason and error.reason == self._reason)


def attempts(
    request: RequestT, graph: Graph | None, values: Mapping[str, Any] | None, *, saved: str = "", digest: str = ""
) -> Iterator[Attempt[RequestT]]:
    """Requests to try, the shortest first: on a saved run, on a graph that the server has seen, whole. Raises ValueError
    where there is neither graph nor run."""
    if not saved and graph is None:
        raise ValueError("give a graph, or the name of a saved run")
    if saved:
        short = copy.deepcopy(request)
        short.input.saved = saved
        yield Attempt(short, "SAVED_NOT_FOUND" if graph is not None else "")
        request.input.save_as = request.input.save_as or saved
    if graph is None:
        return
    message = message_of(graph)
    request.input.values.extend(named(values, message))
    if digest:
        yield Attempt(_by_digest(request, message, digest), "GRAPH_NOT_FOUND")
    request.input.graph.CopyFrom(message)
    yield Attempt(request, "")


def _by_digest(request: RequestT, graph: graph_pb2.Graph, digest: str) -> RequestT:
    """The request on a graph that the server has seen: the values that the graph carries go beside it."""
    short = copy.deepcopy(request)
    short.input.digest = digest
    beside = {value.name for value in request.input.values}
    short.input.values.extend(
        tensor_pb2.NamedTensor(name=leaf.name, value=leaf.value)
        for leaf in graph.leaves
        if leaf.HasField("value") and leaf.name not in beside
    )
    return short


def recipients(response: pb.SessionResponse, runs: Iterable[str]) -> list[str]:
    """The runs that a response is addressed to: none if its run was cancelled, all if it names no run."""
    if response.request_id:
        return [response.request_id] if response.request_id in runs else []
    faults = getattr(from_status(response.status), "faults", ())
    late = any(fault.reason == "HOOK_ID" for fault in faults)  # the reply of a hook whose run is over
    return [] if late else list(runs)
