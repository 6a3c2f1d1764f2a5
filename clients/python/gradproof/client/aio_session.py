"""The session for asyncio: the same surface, awaited."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from gradproof.client.channel import Connection
from gradproof.client.dispatch import Digests, RequestT, attempts, recipients
from gradproof.client.errors import DeadlineExceeded, GradproofError, Unavailable, VerdictRequired
from gradproof.client.events import Accepted, Event, Result
from gradproof.client.graph import Graph
from gradproof.client.origin import Origin
from gradproof.client.progress_bar import reporting
from gradproof.client.requests import OnProgress, Options, RunExchange, Watch, check_seconds, translated, watching
from gradproof.client.retry import Call, retried_async_stream
from gradproof.client.session import CLOSE_SECONDS
from gradproof.v1 import autodiff_service_pb2 as pb

CANCEL_SECONDS = 0.5
"""A server that reads nothing for so long is not told that a run was given up."""


class AsyncSession:
    """As `Session`, for asyncio: runs of several tasks on a stream, with hooks that are called in the event loop. Made by
    `AsyncClient.session`. A run that does not end by its deadline ends alone, unless the server takes nothing any more."""

    def __init__(self, call: Any, digests: Digests, connection: Connection, timeout: float = 60.0) -> None:
        self._call, self._digests, self._connection, self._timeout = call, digests, connection, timeout
        self._origin = Origin()
        self._responses: dict[str, asyncio.Queue[pb.SessionResponse | None]] = {}
        self._writing = asyncio.Lock()
        self._ended: GradproofError | None = None
        self._open = True
        self._reader = asyncio.create_task(self._read())

    async def __aenter__(self) -> AsyncSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await (self.close() if error is None else self.cancel())

    @property
    def alive(self) -> bool:
        """True if the stream is open."""
        return self._open and self._ended is None and self._origin.here

    async def close(self) -> None:
        """End the stream; the server frees all saved values. Runs in other tasks end with Unavailable. May be called
        twice."""
        if self.alive and not self._responses:
            self._open = False
            with suppress(TimeoutError):
                async with asyncio.timeout(min(CLOSE_SECONDS, self._timeout)):
                    await self._call.done_writing()
                    await self._reader
        await self.cancel()

    async def cancel(self) -> None:
        """End the stream at once, and do not wait for the server."""
        if not self._origin.here:
            return
        self._open = False
        self._call.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def evaluate(
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
        return (await collected(self._sent(request, Options(timeout=timeout), graph, values, saved))).values

    async def differentiate(
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
        with reporting("checks", progress, on_progress) as report:
            watch = watching(report)
            events = self.stream(graph, values, save_as=save_as, saved=saved, progress=watch is not None, **options)
            return await collected(events, watch)

    async def stream(
        self,
        graph: Graph | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        save_as: str = "",
        saved: str = "",
        **options: Any,
    ) -> AsyncGenerator[Event, None]:
        """Events as they come. A run whose events are not read to the end is given up. Options as for `Client.stream`."""
        run_options = Options(**options)
        request = run_options.request()
        request.input.save_as = save_as
        async with aclosing(self._sent(request, run_options, graph, values, saved)) as events:
            async for event in events:
                yield event

    async def release(self, saved: str) -> None:
        """Free the values saved under this name, if there are any."""
        self._check_open()
        await self._send([pb.SessionRequest(release=pb.ReleaseSaved(saved=saved))])

    async def exchange(self, run: RunExchange, timeout: float | None = None) -> AsyncGenerator[Event, None]:
        """The events of a run. Raises GradproofError, or any exception of a hook that runs here; DeadlineExceeded after
        ``timeout`` seconds."""
        self._check_open()
        if timeout is not None and timeout <= 0:
            raise DeadlineExceeded("there is no time left for the run")
        frames = run.opening_frames()
        request_id = run.request.input.request_id
        if request_id in self._responses:
            raise ValueError(f"a run with request_id {request_id!r} is in progress on this session")
        box = self._responses[request_id] = asyncio.Queue()
        end = None if timeout is None else asyncio.get_running_loop().time() + timeout
        try:
            async with _until(end, request_id):
                await self._send(frames)
            while not run.over:
                async with _until(end, request_id):
                    response = await self._receive(box, request_id)
                events, replies = run.receive(response)
                async with _until(end, request_id):
                    await self._send(replies)
                for event in events:
                    yield event
        finally:
            self._responses.pop(request_id, None)
            if not run.over and self.alive:
                with suppress(TimeoutError):
                    async with asyncio.timeout(CANCEL_SECONDS):
                        await self._send([pb.SessionRequest(cancel=pb.CancelRun(request_id=request_id))])

    async def _sent(
        self, request: RequestT, options: Options, graph: Graph | None, values: Mapping[str, Any] | None, saved: str
    ) -> AsyncGenerator[Event, None]:
        digest = self._digests.of(graph)
        seconds = self._timeout + check_seconds(request) if options.timeout is None else options.timeout
        end = time.monotonic() + seconds
        for attempt in attempts(request, graph, values, saved=saved, digest=digest):
            try:
                run_events = self.retried(lambda: RunExchange(attempt.request, options.hooks), end - time.monotonic())  # noqa: B023
                async with aclosing(run_events) as events:
                    async for event in events:
                        if isinstance(event, Accepted):
                            self._digests.learn(graph, event.digest)
                        yield event
                return
            except GradproofError as error:
                if attempt.settles(error):
                    raise

    def retried(self, make: Callable[[], RunExchange], seconds: float) -> AsyncGenerator[Event, None]:
        """The events of a run that ``make`` begins, again where the server had no room for it, within ``seconds``."""
        call = Call(self._connection, seconds)

        async def attempt() -> AsyncGenerator[Event, None]:
            run = make()
            try:
                async with aclosing(self.exchange(run, call.left())) as events:
                    async for event in events:
                        yield event
            finally:
                call.delivered = call.delivered or run.hook_called or not self.alive

        return retried_async_stream(call, attempt)

    def _check_open(self) -> None:
        self._origin.check()
        if not self._open:
            raise ValueError("the session is closed")

    async def _send(self, frames: Iterable[pb.SessionRequest]) -> None:
        """Write frames; nothing where the stream has ended, which is raised where a response is waited for."""
        async with self._writing:
            for frame in frames:
                if not self.alive:
                    return
                try:
                    with translated(self._connection.target), suppress(asyncio.InvalidStateError):
                        await self._call.write(frame)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise  # this task, and not the call, is cancelled

    async def _receive(self, box: asyncio.Queue[pb.SessionResponse | None], request_id: str) -> pb.SessionResponse:
        """The next response to a request."""
        response = await box.get() if self._ended is None or not box.empty() else None
        if response is None:
            assert self._ended is not None
            error = copy.copy(self._ended)  # several tasks raise theirs
            error.request_id = request_id
            raise error
        return response

    async def _read(self) -> None:
        """Hand out responses, until there are no more."""
        try:
            with translated(self._connection.target):
                async for response in self._call:
                    for recipient in recipients(response, self._responses):
                        self._responses[recipient].put_nowait(response)
            self._ended = Unavailable("the server ended the session")
        except GradproofError as error:
            self._ended = error
        finally:
            self._ended = self._ended or Unavailable("the session was closed")
            for box in self._responses.values():
                box.put_nowait(None)


@asynccontextmanager
async def _until(end: float | None, request_id: str) -> AsyncGenerator[None, None]:
    """Raises DeadlineExceeded if the body does not end by the loop's time ``end``."""
    try:
        async with asyncio.timeout_at(end):
            yield
    except TimeoutError:
        error = DeadlineExceeded("the run took longer than its timeout")
        error.request_id = request_id
        raise error from None


async def collected(events: AsyncIterator[Event], watch: Watch | None = None) -> Result:
    """The events of a run, by name; ``watch`` is called with each event as it comes."""
    result = Result()
    try:
        async for event in events:
            if watch is not None:
                watch(event)
            result.add(event)
    except VerdictRequired as error:
        error.result = result
        raise
    return result
