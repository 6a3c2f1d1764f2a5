"""A session: one stream for many runs, with hooks that run here and values that stay on the server."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Condition
from types import TracebackType
from typing import Any

import grpc
from numpy.typing import NDArray

from gradproof.client.errors import DeadlineExceeded, GradproofError, Unavailable, VerdictRequired
from gradproof.client.events import Event, Result
from gradproof.client.exchange import Asked, Digests, addressees, attempts
from gradproof.client.graph import Graph, Hook
from gradproof.client.origin import Origin, held
from gradproof.client.requests import Conversation, Options, Watch, translated
from gradproof.v1 import autodiff_service_pb2 as pb


class Session:
    """Runs on one stream, also from several threads at once. A context manager; made by `Client.session`.

    A request with ``keep="name"`` leaves the values of its forward half on the server; one with ``kept="name"`` goes
    backward from them, and gets the same bits as if it had sent everything again. They are gone when they are released,
    when the session ends, when they were idle for long or others needed the room. Then NotFound is raised, with the reason
    ``KEPT_NOT_FOUND``; where the graph and its values are given beside ``kept``, they are sent instead, and kept again.
    """

    def __init__(self, call: Callable[[Iterator[pb.SessionRequest]], Any], digests: Digests) -> None:
        self._digests, self._origin = digests, Origin()
        self._frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._deadlines: dict[str, float] = {}
        self._boxes: dict[str, deque[pb.SessionResponse]] = {}
        self._turn = Condition()
        self._reading = False  # one of the threads that wait reads the stream, for all of them
        self._ended: GradproofError | None = None
        self._open = True
        self._answers = held(call(self._outgoing()))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and self._origin.here:
            self._answers.cancel()
        self.close()

    @property
    def alive(self) -> bool:
        """Whether there is still a stream."""
        return self._open and self._ended is None and self._origin.here

    def close(self) -> None:
        """End the stream; the server frees all that it kept. Runs in other threads end with Unavailable. May be called
        twice."""
        if not self._open or not self._origin.here:
            return
        with self._turn:
            self._open = False
            busy = bool(self._boxes)
        self._frames.put(None)
        if busy:
            self._answers.cancel()
            return
        with suppress(grpc.RpcError):
            for _ in self._answers:
                pass  # of runs that were given up

    def cancel(self) -> None:
        """End the stream at once, and do not wait for the server."""
        if not self._origin.here:
            return
        self._open = False
        self._answers.cancel()
        self._frames.put(None)

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
        return collected(self._sent(request, (), graph, values, kept)).values

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
        request = wanted.request()
        request.keep = keep
        yield from self._sent(request, wanted.hooks, graph, values, kept)

    def release(self, kept: str) -> None:
        """Free what is kept under this name, if anything is."""
        self._check_open()
        self._frames.put(pb.SessionRequest(release=pb.ReleaseKept(kept=kept)))

    def converse(self, conversation: Conversation, timeout: float | None = None) -> Iterator[Event]:
        """The events of one run. Raises GradproofError, or unchanged what a hook that runs here raises; DeadlineExceeded
        after ``timeout`` seconds, with which the session ends."""
        self._check_open()
        frames = conversation.opening()
        request_id = conversation.request.request_id
        self._boxes[request_id] = deque()
        if timeout is not None:
            self._deadlines[request_id] = time.monotonic() + timeout
        try:
            for frame in frames:
                self._frames.put(frame)
            while not conversation.over:
                events, replies = conversation.hear(self._hear(request_id))
                for frame in replies:
                    self._frames.put(frame)
                yield from events
        finally:
            if not conversation.over and self.alive:
                self._frames.put(pb.SessionRequest(cancel=pb.CancelRun(request_id=request_id)))
            self._deadlines.pop(request_id, None)
            if self._origin.here:
                with self._turn:
                    del self._boxes[request_id]

    def _sent(
        self, request: Asked, hooks: Sequence[Hook], graph: Graph | None, values: Mapping[str, Any] | None, kept: str
    ) -> Iterator[Event]:
        digest = self._digests.of(graph) if isinstance(request, pb.DifferentiateRequest) else ""
        for attempt in attempts(request, graph, values, kept=kept, digest=digest):
            try:
                for event in self.converse(Conversation(attempt.request, hooks)):
                    self._digests.learn(graph, event)
                    yield event
                return
            except GradproofError as error:
                if attempt.settles(error):
                    raise

    def _check_open(self) -> None:
        self._origin.check()
        if not self._open:
            raise ValueError("the session is closed")

    def _outgoing(self) -> Iterator[pb.SessionRequest]:
        """What is said, as gRPC's thread for it takes it; in between this looks after the deadlines."""
        while True:
            first = min(list(self._deadlines.values()), default=None)
            try:
                left = None if first is None else max(0.0, first - time.monotonic())
                frame = self._frames.get(timeout=left)
            except queue.Empty:
                self._end(Unavailable("the session ended with a run that took longer than its timeout"))
                self._answers.cancel()
                return
            if frame is None:
                return
            yield frame

    def _hear(self, request_id: str) -> pb.SessionResponse:
        """The next answer to a request."""
        self._origin.check()
        box = self._boxes[request_id]
        while True:
            with self._turn:
                while not box and self._ended is None and self._reading:
                    self._turn.wait()
                if box:
                    return box.popleft()
                if self._ended is not None:
                    late = self._deadlines.get(request_id, math.inf) <= time.monotonic()
                    raise DeadlineExceeded("the run took longer than its timeout") if late else self._ended
                self._reading = True
            answer = None
            try:
                answer = self._read()
            finally:
                with self._turn:
                    self._reading = False
                    if answer is not None:
                        for one in addressees(answer, self._boxes):
                            self._boxes[one].append(answer)
                    self._turn.notify_all()

    def _read(self) -> pb.SessionResponse | None:
        """The next answer to any request. None where the stream has ended, which is noted."""
        try:
            with translated():
                answer: pb.SessionResponse | None = next(self._answers, None)
        except GradproofError as error:
            self._end(error)
            return None
        except BaseException:  # an interrupt in the middle of gRPC: the stream cannot be read on
            self._answers.cancel()
            self._end(Unavailable("reading from the session was interrupted"))
            raise
        if answer is None:
            self._end(Unavailable("the server ended the session"))
        return answer

    def _end(self, error: GradproofError) -> None:
        """There is no stream any more."""
        with self._turn:
            self._ended = self._ended or error
            self._turn.notify_all()
        self._frames.put(None)


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
