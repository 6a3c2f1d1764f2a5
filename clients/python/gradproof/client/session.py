"""A session: one stream for many runs, with hooks that run here and values that stay on the server."""

from __future__ import annotations

import copy
import itertools
import queue
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, TypeAlias, Unpack

import grpc
from numpy.typing import NDArray

from gradproof.client.errors import NotFound, Unavailable, VerdictRequired, from_fault, translated
from gradproof.client.events import Event, EventDecoder, Result
from gradproof.client.graph import Graph
from gradproof.client.requests import NO_FUNCTIONS, Functions, Options, differentiation, message_of, named_values
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, tensor_pb2
from gradproof.wire import chunks, decode_tensor, encode_tensor, tensors

UPLOAD_BYTES = 1 << 12
"""A tensor larger than this goes ahead of the message that names it."""

Run: TypeAlias = Callable[[pb.DifferentiateRequest], Iterator[Event]]


class Session:
    """Runs on one stream, one at a time, from one thread. A context manager; made by `Client.session`.

    A request with ``keep="name"`` leaves the values of its forward half on the server; one with ``kept="name"`` goes
    backward from them, and gets the same bits as if it had sent everything again. They are gone when they are released,
    when the session ends, when they were idle for long or others needed the room. Then NotFound is raised, with the reason
    ``KEPT_NOT_FOUND``; where the graph and its values are given beside ``kept``, they are sent instead, and kept again.
    """

    def __init__(
        self,
        stub: autodiff_service_pb2_grpc.AutodiffServiceStub,
        sent: Callable[[Graph, pb.DifferentiateRequest, Run], Iterator[Event]],
        timeout: float | None,
    ) -> None:
        self._frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._answers = stub.Session(iter(self._frames.get, None), timeout=timeout)
        self._sent = sent
        self._ids = itertools.count(1)
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
        message = message_of(graph)

        def whole() -> Iterator[Event]:
            request.graph.CopyFrom(message)
            request.values.extend(named_values(values, message))
            return self.run(request)

        result = Result()
        for event in self._from_kept(graph, request, kept, lambda: self.run(request), whole):
            result.add(event)
        return result.values

    def differentiate(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        keep: str = "",
        kept: str = "",
        **options: Unpack[Options],
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
        **options: Unpack[Options],
    ) -> Generator[Event, None, None]:
        """Events as they come. A run whose events are not read to the end is given up."""
        request, functions = differentiation(None, None, options, keep)
        run = partial(self.run, functions=functions)

        def whole() -> Iterator[Event]:
            assert graph is not None
            request.values.extend(named_values(values, message_of(graph)))
            return self._sent(graph, request, run)

        yield from self._from_kept(graph, request, kept, lambda: run(request), whole)

    def release(self, kept: str) -> None:
        """Free what is kept under this name, if anything is."""
        self._say(release=pb.ReleaseKept(kept=kept))

    def run(
        self, request: pb.DifferentiateRequest | pb.EvaluateRequest, functions: Functions = NO_FUNCTIONS
    ) -> Iterator[Event]:
        """The events of a request message; ``functions`` answer for its hooks by their ids. Raises GradproofError, or
        unchanged what a function raises."""
        request = copy.deepcopy(request)
        request.request_id = f"run {next(self._ids)}"
        for tensor in tensors(request):
            if len(tensor.data) > UPLOAD_BYTES:
                self._upload(tensor, decode_tensor(tensor))
        if isinstance(request, pb.DifferentiateRequest):
            self._say(differentiate=request)
        else:
            self._say(evaluate=request)
        decoder, place, over = EventDecoder(), pb.RunFault(), False
        try:
            while not over:
                answer = self._hear(request.request_id)
                if answer.HasField("fault"):
                    over = True
                    raise from_fault(answer.fault, place)
                event = answer.event
                if event.HasField("hook"):
                    self._answer(request.request_id, event.hook, functions, decoder)
                    continue
                if event.HasField("fault"):
                    place = event.fault
                over = event.HasField("summary") and not event.summary.weaker  # if any are, a fault follows
                yield from decoder.decode(event)
        finally:
            if not over and self._open:
                self._say(cancel=pb.CancelRun(request_id=request.request_id))

    def _from_kept(
        self,
        graph: Graph | None,
        request: pb.DifferentiateRequest | pb.EvaluateRequest,
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

    def _answer(self, request_id: str, asked: pb.HookRequest, functions: Functions, decoder: EventDecoder) -> None:
        """Run a hook and send what it returns."""
        reply = pb.HookReply(request_id=request_id, hook_id=asked.hook_id)
        result = functions[asked.hook_id](decoder.tensor(asked.gradient))
        if result is not None:
            if result.nbytes > UPLOAD_BYTES:
                self._upload(reply.gradient, result)
            else:
                reply.gradient.CopyFrom(encode_tensor(result))
        self._say(hook=reply)

    def _upload(self, tensor: tensor_pb2.Tensor, array: NDArray[Any]) -> None:
        """Send ``array`` in chunks; in ``tensor`` its id takes its place."""
        for part in chunks(array, next(self._ids)):
            if isinstance(part, tensor_pb2.TensorHeader):
                tensor.spec.CopyFrom(part.spec)
                tensor.upload = part.tensor_id
                self._say(header=part)
            else:
                self._say(chunk=part)

    def _say(self, **frame: Any) -> None:
        if not self._open:
            raise ValueError("the session is closed")
        self._frames.put(pb.SessionRequest(**frame))

    def _hear(self, request_id: str) -> pb.SessionResponse:
        """The next answer to a request. Left out: what is still said of runs that were given up."""
        while True:
            with translated():
                answer = next(self._answers, None)
            if answer is None:
                raise Unavailable("the server ended the session")
            if not answer.request_id and answer.fault.reason != "HOOK_NOT_WAITING":
                raise from_fault(answer.fault, pb.RunFault())
            if answer.request_id == request_id:
                return answer


def collected(events: Iterator[Event]) -> Result:
    """All events of a run, by name."""
    result = Result()
    try:
        for event in events:
            result.add(event)
    except VerdictRequired as error:
        error.result = result
        raise
    return result
