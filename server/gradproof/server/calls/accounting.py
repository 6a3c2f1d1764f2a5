"""Accounting: the outermost interceptor, which keeps a record of every call and gives its id back."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from gradproof.server.calls.calls import DETAILS, REQUEST_ID, Context, Interceptor, call_of
from gradproof.server.calls.record import Book, Record
from gradproof.server.calls.status import CODE_NAMES


class Accounting(Interceptor):
    """Keeps a record of each call in ``book``: bytes, how it ended, and by whatever is noted in between."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def _wrapped(self, handler: Any, details: grpc.HandlerCallDetails) -> Any:
        taken = 0

        def read(data: bytes) -> Any:
            nonlocal taken
            taken += len(data)
            return handler.request_deserializer(data) if handler.request_deserializer else data

        def write(record: Record, response: Any) -> bytes:
            data: bytes = handler.response_serializer(response) if handler.response_serializer else response
            record.bytes_out += len(data)
            return data

        @asynccontextmanager
        async def recorded(context: Context) -> AsyncIterator[Record]:
            call = call_of(details, context)
            context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
            with self.book.open(Record(call)) as record:
                try:
                    yield record
                    record.code = _code(context, 0)
                except asyncio.CancelledError:
                    left = context.time_remaining()
                    cut_off = "CANCELLED" if left is None or left > 0 else "DEADLINE_EXCEEDED"
                    record.code = _code(context, 0) if context.code() else cut_off
                    raise
                except BaseException:
                    record.code = _code(context, 2)
                    record.reason, record.limit = _why(context)
                    raise
                finally:
                    record.bytes_in = taken

        async def answer(request: Any, context: Context) -> Any:
            async with recorded(context) as record:
                found = behaviour(request, context)
                return write(record, await found if inspect.isawaitable(found) else found)

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            async with recorded(context) as record, aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield write(record, response)

        made, behaviour = self._kind(handler)

        async def speak(request: Any, context: Context) -> None:
            async with recorded(context) as record:
                await behaviour(request, _Writing(context, lambda response: write(record, response)))

        if inspect.isasyncgenfunction(behaviour):
            serving: Any = stream
        else:
            serving = speak if handler.response_streaming else answer
        return made(serving, request_deserializer=read, response_serializer=None)


class _Writing:
    """A context whose responses go through a function."""

    def __init__(self, context: Context, write: Callable[[Any], bytes]) -> None:
        self._context, self._write = context, write

    async def write(self, response: Any) -> None:
        await self._context.write(self._write(response))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


def _code(context: Context, default: int) -> str:
    """The name of the status that a call ended with; the default where none was set."""
    code: Any = context.code() or default  # a number as long as nobody set it
    return str(code.name) if isinstance(code, grpc.StatusCode) else CODE_NAMES.get(code, "UNKNOWN")


def _why(context: Context) -> tuple[str, str]:
    """The reason of an error, and the limit that was passed, as its details say; empty where they say nothing."""
    for name, value in context.trailing_metadata() or ():
        if name == DETAILS:
            info = error_details_pb2.ErrorInfo()
            for one in status_pb2.Status.FromString(value).details:
                if one.Is(info.DESCRIPTOR):
                    one.Unpack(info)
                    return info.reason, info.metadata.get("limit", "")
    return "", ""
