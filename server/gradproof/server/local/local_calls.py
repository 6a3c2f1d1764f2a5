"""Calls of a local server: the context that a servicer sees, and the call that a client holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import aclosing, suppress
from threading import Thread
from typing import Any, NoReturn

import grpc
from google.rpc import status_pb2

from gradproof.engine.verify.processes import ORIGIN
from gradproof.server.calls.calls import CURRENT, DETAILS, REQUEST_ID, Call, usable_id
from gradproof.server.local.loop_stream import LoopStream
from gradproof.v1 import autodiff_service_pb2 as pb

PEER = "local:"
Metadata = tuple[tuple[str, str | bytes], ...]


class EndedCall(grpc.RpcError, grpc.Call):
    """The status of a call that failed, as gRPC's exceptions have it."""

    def __init__(self, code: grpc.StatusCode, details: str, trailing_metadata: Metadata = ()) -> None:
        super().__init__(f"{code.name}: {details}")
        self._code, self._details, self._metadata = code, details, trailing_metadata
        self.status: status_pb2.Status | None = None
        self.place: pb.RunFault | None = None
        """The event that says which node or hook failed, if any did."""

    @classmethod
    def of(cls, status: status_pb2.Status, place: pb.RunFault | None = None) -> EndedCall:
        """A call that ended with this status."""
        code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
        ended = cls(code, status.message, ((DETAILS, status.SerializeToString()),))
        ended.status, ended.place = status, place
        return ended

    def code(self) -> grpc.StatusCode:
        """The status code."""
        return self._code

    def details(self) -> str:
        """The text of the status."""
        return self._details

    def trailing_metadata(self) -> Any:
        """The metadata behind the status; google.rpc.Status is part of it."""
        return self._metadata

    def initial_metadata(self) -> Any:
        """Empty."""
        return ()

    def is_active(self) -> bool:
        """False."""
        return False

    def time_remaining(self) -> Any:
        """None."""
        return None

    def cancel(self) -> bool:
        """False, since the call has ended."""
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """False, since the call has ended."""
        return False


class LocalContext:
    """The context of a call, as servicers use it. ``write`` takes a response; ``timeout``: seconds until the deadline."""

    def __init__(
        self,
        method: str,
        timeout: float | None,
        metadata: Metadata | None,
        write: Callable[[Any], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        given = dict(metadata or ()).get(REQUEST_ID, "")
        self.call = Call(method, usable_id(given if isinstance(given, str) else ""), PEER)
        self.failure: EndedCall | None = None
        self._end = None if timeout is None else time.monotonic() + timeout
        self._write = write

    def enter(self) -> None:
        """Let the running task serve this call."""
        CURRENT.set(self.call)
        ORIGIN.set(self.call.request_id)

    def time_remaining(self) -> float | None:
        """Seconds until the deadline, if there is one."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    async def write(self, response: Any) -> None:
        """Send a response; waits while the reader has not taken the last ones."""
        assert self._write is not None
        await self._write(response)

    async def abort(self, code: grpc.StatusCode, details: str, metadata: Metadata = ()) -> NoReturn:
        """End the call with a status. Raises AbortError."""
        self.failure = EndedCall(code, details, metadata)
        raise grpc.aio.AbortError(details)

    def peer(self) -> str:
        """The name of this process as a peer."""
        return PEER

    async def served(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of a servicer's coroutine, within the deadline. Raises EndedCall with its status."""
        try:
            async with asyncio.timeout(self.time_remaining()) as deadline:
                return await work
        except TimeoutError:
            if not deadline.expired():
                raise
            raise EndedCall(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded") from None
        except asyncio.CancelledError:
            raise EndedCall(grpc.StatusCode.CANCELLED, "the call was cancelled") from None
        except grpc.aio.AbortError:
            assert self.failure is not None
            raise self.failure from None


class LocalStream:
    """A call with many responses: an iterator over them. ``behaviour`` is a servicer's method; ``requests`` are read in a
    thread of their own where the method takes a stream."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        behaviour: Callable[..., Any],
        method: str,
        request: Any,
        options: Mapping[str, Any],
        *,
        many_requests: bool,
    ) -> None:
        async def serve(put: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
            context = LocalContext(method, options.get("timeout"), options.get("metadata"), put)
            context.enter()
            answers = behaviour(_arriving(request) if many_requests else request, context)
            await context.served(answers if asyncio.iscoroutine(answers) else _written(answers, put))

        self._stream: LoopStream[Any] = LoopStream(loop, serve)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._stream)
        except CancelledError:
            raise EndedCall(grpc.StatusCode.CANCELLED, "the call was cancelled") from None
        except ConnectionError as error:
            raise EndedCall(grpc.StatusCode.UNAVAILABLE, str(error)) from None

    def cancel(self) -> bool:
        """End the call."""
        self._stream.cancel()
        return True


async def _written(answers: AsyncGenerator[Any], put: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
    async with aclosing(answers) as responses:
        async for response in responses:
            await put(response)


async def _arriving(requests: Iterator[Any]) -> AsyncGenerator[Any]:
    """The requests of the client, whose iterator may block."""
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    loop, end = asyncio.get_running_loop(), object()

    def read() -> None:
        with suppress(RuntimeError):  # the loop is closed
            for request in requests:
                loop.call_soon_threadsafe(arrived.put_nowait, request)
            loop.call_soon_threadsafe(arrived.put_nowait, end)

    Thread(target=read, name="gradproof-local-requests", daemon=True).start()
    while (request := await arrived.get()) is not end:
        yield request
