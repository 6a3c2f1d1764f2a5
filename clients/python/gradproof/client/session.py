"""A session: a stream for many runs, with hooks that run here and values that are saved on the server."""

from __future__ import annotations

import copy
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import Condition, RLock, Thread
from types import TracebackType
from typing import Any

import grpc
from numpy.typing import NDArray

from gradproof.client.channel import Connection
from gradproof.client.dispatch import Digests, RequestT, attempts, recipients
from gradproof.client.errors import DeadlineExceeded, GradproofError, Unavailable, VerdictRequired, from_status
from gradproof.client.events import Accepted, Event, Result
from gradproof.client.forms import Form, Forms, result_of
from gradproof.client.graph import Graph
from gradproof.client.origin import Origin, held
from gradproof.client.progress_bar import reporting
from gradproof.client.requests import OnProgress, Options, RunExchange, Watch, check_seconds, fresh_id, translated, watching
from gradproof.client.retry import Call, retried_stream
from gradproof.v1 import autodiff_service_pb2 as pb

CLOSE_SECONDS = 5.0
"""A server that does not end its half of a closed session for so long is not waited for."""


class Session:
    """Runs on a stream, also from several threads at once. A context manager; made by `Client.session`.

    A request with ``save_as="name"`` leaves the values of its forward half on the server; a request with ``saved="name"``
    goes backward from them, and gets the same bits as if it had sent everything again. They are freed when they are
    released, when the session ends, when they were idle for long or other runs need the room. Then NotFound is raised, with
    the reason ``SAVED_NOT_FOUND``; where a graph and values stand beside ``saved``, they are sent instead, and saved again.

    A run may take ``timeout`` seconds, and the budget of its checks; a run that does not end by then ends the session. A
    run that the server has no room for is sent again when the server says; a session that lost its server is over.
    """

    def __init__(
        self,
        call: Callable[[Iterator[pb.SessionRequest]], Any],
        digests: Digests,
        connection: Connection,
        timeout: float = 60.0,
    ) -> None:
        self._digests, self._connection, self._timeout = digests, connection, timeout
        self._forms = Forms(digests)
        self._origin = Origin()
        self._frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        self._deadlines: dict[str, float] = {}
        self._responses: dict[str, deque[pb.SessionResponse]] = {}
        self._watched: float | None = None  # the deadline that the deadline thread waits for
        lock = RLock()
        self._turn, self._watching = Condition(lock), Condition(lock)
        self._reading = False  # a thread that waits for a response reads the stream, for all threads
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
        """True if the stream is open."""
        return self._open and self._ended is None and self._origin.here

    def close(self) -> None:
        """End the stream; the server frees all saved values. Runs in other threads end with Unavailable. May be called
        twice."""
        if not self._open or not self._origin.here:
            return
        with self._turn:
            self._open = False
            busy = bool(self._responses)
        self._frames.put(None)
        if busy:
            self._answers.cancel()
            return
        self._limit("", time.monotonic() + min(CLOSE_SECONDS, self._timeout))
        with suppress(grpc.RpcError):
            for _ in self._answers:
                pass  # responses to runs that were given up
        self._end(Unavailable("the session was closed"))

    def cancel(self) -> None:
        """End the stream at once, and do not wait for the server."""
        if not self._origin.here:
            return
        self._open = False
        self._answers.cancel()
        self._end(Unavailable("the session was closed"))

    def evaluate(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        fetch: Sequence[str] = (),
        save_as: str = "",
        saved: str = "",
        timeout: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs; within ``timeout`` seconds (default: those of the
        session)."""
        request = pb.EvaluateRequest(input=pb.RunInput(fetch=fetch, save_as=save_as))
        return collected(self._sent(request, Options(timeout=timeout), graph, values, saved)).values

    def differentiate(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        save_as: str = "",
        saved: str = "",
        progress: bool = False,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Result:
        """Values, gradients and verdicts of a run. Options as for `Client.stream`; ``progress`` and ``on_progress`` as for
        `Client.differentiate`."""
        if not (save_as or saved or progress or on_progress or self._connection.local):
            form = self._forms.of(graph, values, options)
            if form is not None:
                timeout = options.get("timeout")
                end = time.monotonic() + (self._timeout if timeout is None else timeout)
                if (result := self._repeated(form, graph, values or {}, end)) is not None:
                    return result
                options["timeout"] = end - time.monotonic()
        with reporting("checks", progress, on_progress) as report:
            watch = watching(report)
            events = self.stream(graph, values, save_as=save_as, saved=saved, progress=watch is not None, **options)
            return collected(events, watch)

    def _repeated(self, form: Form, graph: Graph | None, values: Mapping[str, Any], end: float) -> Result | None:
        """The result of a request of a known form, until ``end`` on the monotonic clock; None where it failed, or came in
        parts, and is to be sent in the general way."""
        self._check_open()
        request_id = fresh_id()
        request = form.request([*values.values()])
        request.input.request_id = request_id
        self._responses[request_id] = deque()
        over = False
        try:
            self._limit(request_id, end)
            self._frames.put(pb.SessionRequest(differentiate=request))
            response = self._receive(request_id)
            over = response.HasField("status")
            if over:
                raise from_status(response.status)
            result = result_of(response.events)
            over, form.fails = result is not None, result is None
            return result
        except GradproofError as error:
            error.request_id = error.request_id or request_id
            form.failed(error, graph, self._digests)
            return None
        finally:
            self._leave(request_id, over=over)

    def _leave(self, request_id: str, *, over: bool) -> None:
        """Take no more responses to a request, and cancel its run if it is not over."""
        if not over and self.alive:
            self._frames.put(pb.SessionRequest(cancel=pb.CancelRun(request_id=request_id)))
        if self._origin.here:
            with self._turn:
                self._deadlines.pop(request_id, None)
                del self._responses[request_id]

    def stream(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        save_as: str = "",
        saved: str = "",
        **options: Any,
    ) -> Generator[Event, None, None]:
        """Events as they come. A run whose events are not read to the end is given up. Options as for `Client.stream`."""
        run_options = Options(**options)
        request = run_options.request()
        request.input.save_as = save_as
        yield from self._sent(request, run_options, graph, values, saved)

    def release(self, saved: str) -> None:
        """Free the values saved under this name, if there are any."""
        self._check_open()
        self._frames.put(pb.SessionRequest(release=pb.ReleaseSaved(saved=saved)))

    def exchange(self, run: RunExchange, timeout: float | None = None) -> Generator[Event, None, None]:
        """The events of a run. Raises GradproofError, or any exception of a hook that runs here; DeadlineExceeded after
        ``timeout`` seconds, which ends the session."""
        self._check_open()
        if timeout is not None and timeout <= 0:
            raise DeadlineExceeded("there is no time left for the run")
        frames = run.opening_frames()
        request_id = run.request.input.request_id
        if request_id in self._responses:
            raise ValueError(f"a run with request_id {request_id!r} is in progress on this session")
        self._responses[request_id] = deque()
        try:
            if timeout is not None:
                self._limit(request_id, time.monotonic() + timeout)
            for frame in frames:
                self._frames.put(frame)
            while not run.over:
                events, replies = run.receive(self._receive(request_id))
                for frame in replies:
                    self._frames.put(frame)
                yield from events
        finally:
            self._leave(request_id, over=run.over)

    def retried(self, make: Callable[[], RunExchange], seconds: float) -> Generator[Event, None, None]:
        """The events of a run that ``make`` begins, again where the server had no room for it, within ``seconds``."""
        call = Call(self._connection, seconds)

        def attempt() -> Generator[Event, None, None]:
            run = make()
            try:
                yield from self.exchange(run, call.left())
            finally:
                call.delivered = call.delivered or run.hook_called or not self.alive

        return retried_stream(call, attempt)

    def _sent(
        self, request: RequestT, options: Options, graph: Graph | None, values: Mapping[str, Any] | None, saved: str
    ) -> Iterator[Event]:
        digest = self._digests.of(graph)
        seconds = self._timeout + check_seconds(request) if options.timeout is None else options.timeout
        end = time.monotonic() + seconds
        for attempt in attempts(request, graph, values, saved=saved, digest=digest):
            try:
                for event in self.retried(lambda: RunExchange(attempt.request, options.hooks), end - time.monotonic()):  # noqa: B023
                    if isinstance(event, Accepted):
                        self._digests.learn(graph, event.digest)
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
        """Frames to send, as gRPC's writer thread takes them."""
        while (frame := self._frames.get()) is not None:
            yield frame

    def _limit(self, request_id: str, end: float) -> None:
        """End the session if the run is still in progress at ``end``. A thread enforces deadlines: those of gRPC may be
        blocked by a peer that reads nothing."""
        with self._turn:
            self._deadlines[request_id] = end
            if self._watched is None and self._ended is None:
                self._watched = end
                Thread(target=self._watch, name="gradproof-deadlines", daemon=True).start()
            elif self._watched is not None and end < self._watched:
                self._watching.notify()

    def _watch(self) -> None:
        """Wait for the first deadline of runs in progress, until the session ends."""
        with self._turn:
            while self._ended is None:
                self._watched = min(self._deadlines.values(), default=math.inf)
                left = self._watched - time.monotonic()
                if left <= 0:
                    break
                self._watching.wait(None if left == math.inf else left)
            else:
                return
        self._end(Unavailable("the session ended with a run that took longer than its timeout"))
        self._answers.cancel()

    def _receive(self, request_id: str) -> pb.SessionResponse:
        """The next response to a request."""
        self._origin.check()
        box = self._responses[request_id]
        while True:
            with self._turn:
                while not box and self._ended is None and self._reading:
                    self._turn.wait()
                if box:
                    return box.popleft()
                if self._ended is not None:
                    raise self._final(request_id)
                self._reading = True
            response = None
            try:
                response = self._read()
            finally:
                with self._turn:
                    self._reading = False
                    if response is not None:
                        for recipient in recipients(response, self._responses):
                            self._responses[recipient].append(response)
                    self._turn.notify_all()

    def _final(self, request_id: str) -> GradproofError:
        """A copy of the error that ended the stream, as several threads may raise it."""
        assert self._ended is not None
        end = self._deadlines.get(request_id)
        late = end is not None and end <= time.monotonic()
        error = DeadlineExceeded("the run took longer than its timeout") if late else copy.copy(self._ended)
        error.request_id = request_id
        return error

    def _read(self) -> pb.SessionResponse | None:
        """The next response to any request. None where the stream has ended, which is noted."""
        try:
            with translated(self._connection.target):
                response: pb.SessionResponse | None = next(self._answers, None)
        except GradproofError as error:
            self._end(error)
            return None
        except BaseException:  # an interrupt in the middle of gRPC: the stream cannot be read on
            self._answers.cancel()
            self._end(Unavailable("reading from the session was interrupted"))
            raise
        if response is None:
            self._end(Unavailable("the server ended the session"))
        return response

    def _end(self, error: GradproofError) -> None:
        """Note why the stream ended, and wake the threads that wait."""
        with self._turn:
            self._ended = self._ended or error
            self._turn.notify_all()
            self._watching.notify()
        self._frames.put(None)


def collected(events: Iterator[Event], watch: Watch | None = None) -> Result:
    """The events of a run, by name; ``watch`` is called with each event as it comes."""
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
