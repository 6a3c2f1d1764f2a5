"""The outermost interceptor, which records every call and returns its request id."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from gradproof.server.calls.calls import DETAILS, REQUEST_ID, Context, Interceptor, call_of
from gradproof.server.calls.record import CallRegistry, Record
from gradproof.server.calls.status import CODE_NAMES


class AccountingInterceptor(Interceptor):
    """Keeps a record of each call in ``calls``, with its bytes and status."""

    def __init__(self, calls: CallRegistry) -> None:
        super().__init__()
        self.calls = calls

    def _wrapped(self, handler: Any, method: str) -> Any:
        def read(data: bytes) -> Any:
            _received().count += len(data)
            return handler.request_deserializer(data) if handler.request_deserializer else data

        def write(record: Record, response: Any) -> bytes:
            written = isinstance(response, bytes) or handler.response_serializer is None
            data: bytes = response if written else handler.response_serializer(response)
            record.bytes_out += len(data)
            return data

        @contextmanager
        def recorded(context: Context) -> Iterator[Record]:
            call, received = call_of(method, context), _received()
            context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
            with self.calls.open(Record(call)) as record:
                try:
                    yield record
                    record.code = _code(context, 0)
                except asyncio.CancelledError:
                    left = context.time_remaining()
                    cause = "CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED"
                    record.code = _code(context, 0) if context.code() else cause
                    raise
                except BaseException:
                    record.code = _code(context, 2)
                    record.reason, record.limit = _reason(context)
                    raise
                finally:
                    record.bytes_in = received.count

        async def answer(request: Any, context: Context) -> Any:
            with recorded(context) as record:
                response = behaviour(request, context)
                return write(record, await response if inspect.isawaitable(response) else response)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            with recorded(context) as record:
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield write(record, response)

        factory, behaviour = self._kind(handler)

        async def write_stream(request: Any, context: Context) -> None:
            with recorded(context) as record:
                await behaviour(request, _WritingContext(context, lambda response: write(record, response)))

        if inspect.isasyncgenfunction(behaviour):
            serving: Any = stream
        else:
            serving = write_stream if handler.response_streaming else answer
        return factory(serving, request_deserializer=read, response_serializer=None)


@dataclass
class _Received:
    """Bytes of requests of a call."""

    count: int = 0


_RECEIVED: ContextVar[_Received | None] = ContextVar("gradproof_received", default=None)


def _received() -> _Received:
    """The bytes that the running call has received: its task, which no other call shares, reads the first message."""
    received = _RECEIVED.get()
    if received is None:
        received = _Received()
        _RECEIVED.set(received)
    return received


class _WritingContext:
    """A servicer context that passes each response through a function."""

    def __init__(self, context: Context, write: Callable[[Any], bytes]) -> None:
        self._context, self._write = context, write

    async def write(self, response: Any) -> None:
        await self._context.write(self._write(response))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _code(context: Context, default: int) -> str:
    """The name of the status of a call; ``default`` is the number used if none was set."""
    code: Any = context.code() or default  # gRPC gives a number until a status is set
    return str(code.name) if isinstance(code, grpc.StatusCode) else CODE_NAMES.get(code, "UNKNOWN")


def _reason(context: Context) -> tuple[str, str]:
    """The reason of an error and the limit that was exceeded, from its ErrorInfo; both empty without an ErrorInfo."""
    for name, value in context.trailing_metadata() or ():
        if name == DETAILS:
            info = error_details_pb2.ErrorInfo()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Is(info.DESCRIPTOR):
                    detail.Unpack(info)
                    return info.reason, info.metadata.get("limit", "")
    return "", ""
