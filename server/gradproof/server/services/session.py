"""A session: many runs on one stream, tensors in chunks, cancelling by id."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc

from gradproof.engine.errors import GradproofError, InvalidRequest, LimitExceeded, Violation
from gradproof.engine.spec import Array
from gradproof.server.calls.record import Record, nested_record
from gradproof.server.calls.scopes import AUTODIFF, authorize
from gradproof.server.calls.status import CODE_NAMES, fault_of, request_fault, unexpected
from gradproof.server.requests.encode import Encoder
from gradproof.server.runs.handler import Handler
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import Assembler, WireError, tensors

QUEUE = 32  # responses waiting for a slow reader; a run then waits too
TOGETHER_BYTES = 64 << 10  # events that wait are sent together up to this size


async def run_session(
    handler: Handler,
    requests: AsyncIterator[pb.SessionRequest],
    left: float | None = None,
) -> AsyncGenerator[pb.SessionResponse]:
    """Answers of one stream; ``left``: the seconds that it may take. A request at fault is answered, and the
    session goes on; it ends when the client has no more to say and all runs are done, or when the server is to stop and no
    run is in progress."""
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
            session.desk.close()


class _Session:
    def __init__(self, handler: Handler, left: float | None) -> None:
        self.handler = handler
        self.deadline = None if left is None else time.monotonic() + left  # whatever becomes of the time of day
        self.desk = handler.desk()
        self.out: asyncio.Queue[pb.SessionResponse | None] = asyncio.Queue(QUEUE)
        self.ahead: deque[pb.SessionResponse | None] = deque()
        self.runs: dict[str, asyncio.Task[None]] = {}
        limits = handler.limits
        self.uploads = Assembler(limits.session_upload_bytes, limits.session_uploads, limits.session_uploads_open)
        self.draining = False
        self.ending: list[asyncio.Task[None]] = []
        self.left = False  # nobody reads any more: what waits for room in the queue would wait for ever

    def seconds_left(self) -> float | None:
        """Seconds until the deadline of the stream."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    async def next(self) -> pb.SessionResponse | None:
        """The next response, with the events of its run that wait behind it. None at the end."""
        response = self.ahead.popleft() if self.ahead else await self.out.get()
        size = response.ByteSize() if response is not None else 0
        while response is not None and response.HasField("event") and size < TOGETHER_BYTES and not self.out.empty():
            behind = self.out.get_nowait()
            if behind is None or behind.request_id != response.request_id or not behind.HasField("event"):
                self.ahead.append(behind)
                break
            if behind.event.HasField("hook"):  # what comes before is heard before the hook is called
                self.ahead.append(behind)
                break
            size += behind.ByteSize()
            response.more.append(behind.event)
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
            self.desk.hooks.end()
            await asyncio.gather(*self.runs.values(), return_exceptions=True)
        finally:
            await self._put(None)

    async def _take(self, frame: pb.SessionRequest) -> None:
        kind = frame.WhichOneof("frame")
        try:
            if kind == "header":
                self.uploads.header(frame.header)
            elif kind == "chunk":
                self.uploads.chunk(frame.chunk)
            elif kind == "differentiate":
                request = frame.differentiate
                asking = partial(self._differentiate, request, self._used(request))
                await self._start(kind, request.request_id, asking)
            elif kind == "evaluate":
                asked = frame.evaluate
                await self._start(kind, asked.request_id, partial(self._evaluate, asked, self._used(asked)))
            elif kind == "cancel":
                run = self.runs.get(frame.cancel.request_id)
                if run is not None:
                    run.cancel()
            elif kind == "hook":
                self.desk.hooks.take(frame.hook, self._used(frame.hook))
            elif kind == "release":
                self.desk.release(frame.release.kept)
            else:
                raise InvalidRequest([Violation("frame", "the message holds no frame", "FRAME_EMPTY")])
        except WireError as error:
            await self._refuse(kind, self._meant(error, frame))
        except GradproofError as error:
            await self._refuse(kind, error)

    def _meant(self, error: WireError, frame: pb.SessionRequest) -> GradproofError:
        """A fault of an upload as an error of ours."""
        if error.reason != "LIMIT_EXCEEDED":
            return InvalidRequest([Violation(error.path, error.message, error.reason)])
        names = ("session_upload_bytes", "session_uploads", "session_uploads_open")
        counts = zip(names, self.uploads.passed(frame.header), strict=True)
        first, *others = [(name, count, most) for name, (count, most) in counts if count > most]
        return LimitExceeded(*first, "send requests that use what was uploaded", others)

    async def _refuse(self, kind: str | None, error: GradproofError) -> None:
        """Answer a frame that is at fault, and go on."""
        with nested_record(kind or "empty", "") as record:
            await self._fault(record, "", request_fault(error))

    def _used(self, message: pb.DifferentiateRequest | pb.EvaluateRequest | pb.HookReply) -> dict[int, Array]:
        """The uploads that a message names. They are taken out: an upload serves one message."""
        named = {tensor.upload for tensor in tensors(message) if tensor.WhichOneof("body") == "upload"}
        return {n: array for n in named if (array := self.uploads.take(n)) is not None}

    async def _start(self, kind: str, request_id: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if request_id in self.runs:
            text = f"a run with request_id {request_id!r} is in progress"
            raise InvalidRequest([Violation("request_id", text, "REQUEST_ID")])
        self.handler.limits.check("session_runs", len(self.runs) + 1, "wait for runs of this session to end")
        self.runs[request_id] = asyncio.create_task(self._guarded(kind, request_id, run))
        await asyncio.sleep(0)  # a task that is cancelled before its first step never runs, and would not say so

    async def _guarded(self, kind: str, request_id: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            with nested_record(kind, request_id) as record:
                fault = await _fault_in(run)
                await self._fault(record, request_id, fault)
        finally:
            self.runs.pop(request_id, None)
            if self.draining and not self.runs:
                await self._put(None)

    async def _differentiate(self, request: pb.DifferentiateRequest, uploads: dict[int, Array]) -> None:
        authorize(f"{AUTODIFF}Differentiate", request)
        run = self.handler.differentiate(request, uploads, chunked=True, desk=self.desk, left=self.seconds_left())
        async with aclosing(run) as events:
            async for event in events:
                await self._put(pb.SessionResponse(request_id=request.request_id, event=event))

    async def _evaluate(self, request: pb.EvaluateRequest, uploads: dict[int, Array]) -> None:
        authorize(f"{AUTODIFF}Evaluate", request)
        found = await self.handler.evaluate(request, uploads, self.desk, left=self.seconds_left())
        accepted = pb.Event(accepted=pb.Accepted(digest=found.digest, request_id=request.request_id))
        summary = pb.Event(summary=pb.RunSummary(kept_bytes=found.kept_bytes, nodes_computed=found.nodes_computed))
        for event in (accepted, *Encoder(chunked=True).batch(found.values), summary):
            await self._put(pb.SessionResponse(request_id=request.request_id, event=event))

    async def _put(self, response: pb.SessionResponse | None) -> None:
        if not self.left:
            await self.out.put(response)

    async def _fault(self, record: Record, request_id: str, fault: pb.RequestFault | None) -> None:
        """Note how a request ended, and say so where it was not well."""
        record.code = "OK"
        if fault is not None:
            record.code, record.reason = CODE_NAMES[fault.code], fault.reason
            record.limit = fault.metadata.get("limit", "")
            await self._put(pb.SessionResponse(request_id=request_id, fault=fault))


async def _fault_in(run: Callable[[], Coroutine[Any, Any, None]]) -> pb.RequestFault | None:
    """What ended a run, if it did not come to its end; none of it ends the session."""
    try:
        await run()
    except GradproofError as error:
        return request_fault(error)
    except asyncio.CancelledError:
        return pb.RequestFault(code=grpc.StatusCode.CANCELLED.value[0], message="cancelled", reason="CANCELLED")
    except Exception as error:
        return fault_of(unexpected(error))
    return None
