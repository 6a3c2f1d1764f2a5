"""A session: one stream for many runs, with hooks that run here and values that stay on the server."""

from __future__ import annotations

import queue
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeAlias

import grpc
from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.errors import NotFound, Unavailable, VerdictRequired, from_fault
from gradproof.client.events import Event, Result
from gradproof.client.graph import Graph
from gradproof.client.requests import Conversation, Options, Watch, translated
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2

Run: TypeAlias = Callable[[pb.DifferentiateRequest], Iterator[Event]]
Request: TypeAlias = pb.DifferentiateRequest | pb.EvaluateRequest


class Session:
    """Runs on one stream, one at a time, from one thread. A context manager; made by `Client.session`.

    A request with ``keep="name"`` leaves the values of its forward half on the server; one with ``kept="name"`` goes
    backward from them, and gets the same bits as if it had sent everything again. They are gone when they are released,
    when the session ends, when they were idle for long or others needed the room. Then NotFound is raised, with the reason
    ``KEPT_NOT_FOUND``; where the graph and its values are given beside ``kept``, they are sent instead, and kept again.
    """

    def __init__(
        self, call: Callable[[Iterator[pb.SessionRequest]], Any], sent: Callable[[Graph, Any, Run], Iterator[Event]]
    ) -> None:
        self._frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._answers = call(iter(self._frames.get, None))
        self._sent = sent
        self._open = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._answers.cancel()
        self.close()

    def close(self) -> None:
        """End the stream; the server frees all that it kept. May be called twice."""
        if self._open:
            self._open = False
            self._frames.put(None)
            with suppress(grpc.RpcError):
                for _ in self._answers:
                    pass  # of runs that were given up

    def evaluate(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        fetch: Sequence[str] = (),
        keep: str = "",
        kept: str = "",
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs."""
        request = pb.EvaluateRequest(fetch=fetch, keep=keep)
        message = graph_pb2.Graph() if graph is None else requests.message_of(graph)

        def short() -> Iterator[Event]:
            return self.converse(Conversation(request))

        def whole() -> Iterator[Event]:
            request.graph.CopyFrom(message)
            request.values.extend(requests.named(values, message))
            return short()

        return collected(self._from_kept(graph, request, kept, short, whole)).values

    def differentiate(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        keep: str = "",
        kept: str = "",
        **options: Any,
    ) -> Result:
        """Values, gradients and verdicts of one run. Options as for `Client.stream`."""
        return collected(self.stream(graph, values, keep=keep, kept=kept, **options))

    def stream(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        keep: str = "",
        kept: str = "",
        **options: Any,
    ) -> Generator[Event, None, None]:
        """Events as they come. A run whose events are not read to the end is given up. Options as for `Client.stream`."""
        wanted = Options(**options)
        request = wanted.request(graph_pb2.Graph(), None)
        request.keep = keep

        def run(message: pb.DifferentiateRequest) -> Iterator[Event]:
            return self.converse(Conversation(message, wanted.hooks))

        def whole() -> Iterator[Event]:
            assert graph is not None
            request.values.extend(requests.named(values, requests.message_of(graph)))
            return self._sent(graph, request, run)

        yield from self._from_kept(graph, request, kept, lambda: run(request), whole)

    def release(self, kept: str) -> None:
        """Free what is kept under this name, if anything is."""
        self._say(pb.SessionRequest(release=pb.ReleaseKept(kept=kept)))

    def converse(self, conversation: Conversation) -> Iterator[Event]:
        """The events of one run. Raises GradproofError, or unchanged what a hook that runs here raises."""
        for frame in conversation.opening():
            self._say(frame)
        request_id = conversation.request.request_id
        try:
            while not conversation.over:
                events, replies = conversation.hear(self._hear(request_id))
                for frame in replies:
                    self._say(frame)
                yield from events
        finally:
            if not conversation.over and self._open:
                self._say(pb.SessionRequest(cancel=pb.CancelRun(request_id=request_id)))

    def _from_kept(
        self,
        graph: Graph | None,
        request: Request,
        kept: str,
        short: Callable[[], Iterator[Event]],
        whole: Callable[[], Iterator[Event]],
    ) -> Iterator[Event]:
        """The events of the request on what is kept; where nothing is, of the ``whole`` one, if there is a graph."""
        if not kept and graph is None:
            raise ValueError("give a graph, or the name of a kept run")
        if kept:
            request.kept = kept
            try:
                yield from short()
                return
            except NotFound as error:
                if graph is None or error.reason != "KEPT_NOT_FOUND":
                    raise
            request.keep = request.keep or kept
        yield from whole()

    def _say(self, frame: pb.SessionRequest) -> None:
        if not self._open:
            raise ValueError("the session is closed")
        self._frames.put(frame)

    def _hear(self, request_id: str) -> pb.SessionResponse:
        """The next answer to a request. Left out: what is still said of runs that were given up."""
        while True:
            with translated():
                answer: pb.SessionResponse | None = next(self._answers, None)
            if answer is None:
                raise Unavailable("the server ended the session")
            late = any(fault.reason == "HOOK_ID" for fault in answer.fault.faults)
            if not answer.request_id and not late:
                raise from_fault(answer.fault, pb.RunFault())
            if answer.request_id == request_id:
                return answer


def collected(events: Iterator[Event], watch: Watch | None = None) -> Result:
    """All events of a run, by name; ``watch`` is called with each as it comes."""
    result = Result()
    try:
        for event in events:
            if watch is not None:
                watch(event)
            result.add(event)
    except VerdictRequired as error:
        error.result = result
        raise
    return result
