"""A session: many runs on a stream, with tensors in chunks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from google.rpc import status_pb2

from gradproof.engine.errors import Cancelled, GradproofError, InvalidRequest, LimitExceeded, Violation
from gradproof.engine.spec import Array
from gradproof.server.calls.record import Record, nested_record
from gradproof.server.calls.scopes import AUTODIFF, authorize
from gradproof.server.calls.status import CODE_NAMES, info_of, status_of, unexpected
from gradproof.server.requests.encode import Encoder
from gradproof.server.runs.handler import Handler
from gradproof.server.runs.prepared_request import Recalled
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import Assembler, WireError, tensors

QUEUE = 32  # responses waiting for a slow reader; a run then waits too
CHUNKS = 2  # of large tensors, among them
MESSAGE_BYTES = 64 << 10  # events that wait are sent in a single message up to this size

Run: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


async def run_session(
    handler: Handler,
    requests: AsyncIterator[pb.SessionRequest],
    left: float | None = None,
) -> AsyncGenerator[pb.SessionResponse | bytes]:
    """Responses of a stream, in bytes where they were written so; ``left``: the seconds that it may take. A request at
    fault is answered, and the session goes on; it ends when the client has closed its side and all runs are done, or when
    the server is to stop and no run is in progress."""
    with handler.admission.session():
        session = _Session(handler, left)
        handler.sessions.add(session)
        reader = asyncio.create_task(session.read(requests))
        try:
            while (response := await session.next()) is not None:
                yield response
            if not session.draining:
                await reader
        finally:
            handler.sessions.discard(session)
            session.left = True
            for task in (reader, *session.runs.values(), *session.ending):
                task.cancel()
            session.context.close()


class _Session:
    def __init__(self, handler: Handler, left: float | None) -> None:
        self.handler = handler
        self.deadline = None if left is None else time.monotonic() + left
        self.context = handler.session_context()
        self.out: asyncio.Queue[pb.SessionResponse | bytes | None] = asyncio.Queue(QUEUE)
        self.held_back: deque[pb.SessionResponse | bytes | None] = deque()
        self.room_for_chunks = asyncio.Semaphore(CHUNKS)
        self.runs: dict[str, asyncio.Task[None]] = {}
        limits = handler.limits
        self.assembler = Assembler(limits.session_upload_bytes, limits.session_uploads, limits.session_uploads_open)
        self.draining = False
        self.ending: list[asyncio.Task[None]] = []
        self.left = False  # nobody reads the queue any more, so that waiting for room in it would not end

    def seconds_left(self) -> float | None:
        """Seconds until the deadline of the stream."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    async def next(self) -> pb.SessionResponse | bytes | None:
        """The next response, with the events of its run that wait behind it; in bytes where it has all events of its run.
        None at the end."""
        response = await self._next()
        if response is not None and not isinstance(response, bytes):
            for _ in filter(_is_chunk, response.events):
                self.room_for_chunks.release()
        return response

    async def _next(self) -> pb.SessionResponse | bytes | None:
        response = self.held_back.popleft() if self.held_back else await self.out.get()
        if response is None or isinstance(response, bytes):
            return response
        size = response.ByteSize()
        while response.events and size < MESSAGE_BYTES and not self.out.empty():
            behind = self.out.get_nowait()
            if behind is None or isinstance(behind, bytes) or behind.request_id != response.request_id or not behind.events:
                self.held_back.append(behind)
                break
            if behind.events[0].HasField("hook_request"):  # the client takes the events before it calls the hook
                self.held_back.append(behind)
                break
            size += behind.ByteSize()
            response.events.extend(behind.events)
        return response

    def drain(self) -> None:
        """The server is to stop: end with the last run."""
        self.draining = True
        if not self.runs:
            self.ending.append(asyncio.create_task(self._put(None)))

    async def read(self, requests: AsyncIterator[pb.SessionRequest]) -> None:
        try:
            async for frame in requests:
                await self._take(frame)
            self.context.hooks.end()
            await asyncio.gather(*self.runs.values(), return_exceptions=True)
        finally:
            await self._put(None)

    async def _take(self, frame: pb.SessionRequest) -> None:
        kind = frame.WhichOneof("frame")
        try:
            if kind == "header":
                self.assembler.header(frame.header)
            elif kind == "chunk":
                self.assembler.chunk(frame.chunk)
            elif kind in ("differentiate", "evaluate"):
                await self._run(kind, getattr(frame, kind))
            elif kind == "cancel":
                task = self.runs.get(frame.cancel.request_id)
                if task is not None:
                    task.cancel()
            elif kind == "hook_reply":
                self.context.hooks.take(frame.hook_reply, self._taken(frame.hook_reply))
            elif kind == "release":
                self.context.release(frame.release.saved)
            else:
                raise InvalidRequest([Violation("frame", "the message holds no frame", "FRAME_EMPTY")])
        except WireError as error:
            await self._refuse(kind, self._translated(error, frame))
        except GradproofError as error:
            await self._refuse(kind, error)

    def _translated(self, error: WireError, frame: pb.SessionRequest) -> GradproofError:
        """A fault of a header or chunk as a GradproofError."""
        if error.reason != "LIMIT_EXCEEDED":
            return InvalidRequest([Violation(error.path, error.message, error.reason)])
        names = ("session_upload_bytes", "session_uploads", "session_uploads_open")
        counts = zip(names, self.assembler.passed(frame.header), strict=True)
        first, *others = [(name, count, most) for name, (count, most) in counts if count > most]
        return LimitExceeded(*first, "send requests that use the tensors that were sent", others)

    async def _refuse(self, kind: str | None, error: GradproofError) -> None:
        """Answer a frame that is at fault, and go on."""
        with nested_record(kind or "empty", "") as record:
            await self._ended(record, "", status_of(error))

    def _taken(self, message: pb.DifferentiateRequest | pb.EvaluateRequest | pb.HookReply) -> dict[int, Array]:
        """The tensors in chunks that a message names. They are taken out: each serves a single message."""
        ids = {tensor.tensor_id for tensor in tensors(message) if tensor.WhichOneof("body") == "tensor_id"}
        return {n: array for n in ids if (array := self.assembler.take(n)) is not None}

    async def _start(self, kind: str, request_id: str, run: Run) -> None:
        if request_id in self.runs:
            text = f"a run with request_id {request_id!r} is in progress"
            raise InvalidRequest([Violation("input.request_id", text, "REQUEST_ID")])
        self.handler.limits.check("session_runs", len(self.runs) + 1, "wait for runs of this session to end")
        self.runs[request_id] = asyncio.create_task(self._guarded(kind, request_id, run))
        await asyncio.sleep(0)  # a task that is cancelled before its first step never runs, and would not report it

    async def _guarded(self, kind: str, request_id: str, run: Run) -> None:
        try:
            with nested_record(kind, request_id) as record:
                await self._ended(record, request_id, await _status_of(run))
        finally:
            self.runs.pop(request_id, None)
            if self.draining and not self.runs:
                await self._put(None)

    async def _run(self, kind: str, request: pb.DifferentiateRequest | pb.EvaluateRequest) -> None:
        """Run a request: at once where it came before and is short, otherwise in a task of its own."""
        recalled, request_id = self.handler.recall(request), request.input.request_id
        behaviour: Any = self._differentiate if kind == "differentiate" else self._evaluate
        crowded = request_id in self.runs or len(self.runs) >= self.handler.limits.session_runs
        if recalled is None or not recalled.prepared.in_loop or crowded:
            await self._start(kind, request_id, partial(behaviour, request, self._taken(request)))
            return
        run = partial(behaviour, request, {})
        with nested_record(kind, request_id) as record:
            await self._ended(record, request_id, await _status_of(partial(self._repeat, kind, request, recalled, run)))

    async def _repeat(self, kind: str, request: Any, recalled: Recalled, run: Run) -> None:
        """Answer a request that came before. Where its run fails, ``run`` names the fault."""
        authorize(f"{AUTODIFF}{kind.capitalize()}", request)
        results = await self.handler.repeat(recalled, self.seconds_left())
        await (run() if results is None else self._put(recalled.session(results)))

    async def _differentiate(self, request: pb.DifferentiateRequest, chunked: dict[int, Array]) -> None:
        authorize(f"{AUTODIFF}Differentiate", request)
        left = self.seconds_left()
        run = self.handler.differentiate(request, chunked, chunked=True, session=self.context, left=left)
        async with aclosing(run) as events:
            async for event in events:
                await self._put(pb.SessionResponse(request_id=request.input.request_id, events=[event]))

    async def _evaluate(self, request: pb.EvaluateRequest, chunked: dict[int, Array]) -> None:
        authorize(f"{AUTODIFF}Evaluate", request)
        result = await self.handler.evaluate(request, chunked, self.context, left=self.seconds_left())
        request_id = request.input.request_id
        values = Encoder(chunked=True, tensor_format=request.input.tensor_format).batch(result.values)
        events = chain((pb.Event(accepted=result.accepted),), values, (pb.Event(summary=result.summary),))
        for sequence, event in enumerate(events):
            event.sequence = sequence
            await self._put(pb.SessionResponse(request_id=request_id, events=[event]))

    async def _put(self, response: pb.SessionResponse | bytes | None) -> None:
        if response is None or isinstance(response, bytes) or not any(map(_is_chunk, response.events)):
            if not self.left:
                await self.out.put(response)
            return
        await self.room_for_chunks.acquire()
        try:
            if not self.left:
                await self.out.put(response)
        except asyncio.CancelledError:
            self.room_for_chunks.release()
            raise

    async def _ended(self, record: Record, request_id: str, status: status_pb2.Status | None) -> None:
        """Note how a request ended, and send the status of a request that failed."""
        record.code = "OK"
        if status is not None:
            info = info_of(status)
            record.code, record.reason = CODE_NAMES[status.code], info.reason
            record.limit = info.metadata.get("limit", "")
            await self._put(pb.SessionResponse(request_id=request_id, status=status))


def _is_chunk(event: pb.Event) -> bool:
    return event.HasField("chunk")


async def _status_of(run: Run) -> status_pb2.Status | None:
    """The status of a run that failed; None if it came to its end. No exception of a run ends the session."""
    try:
        await run()
    except GradproofError as error:
        return status_of(error)
    except asyncio.CancelledError:
        return status_of(Cancelled())
    except Exception as error:
        return unexpected(error)
    return None
