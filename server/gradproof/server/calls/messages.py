"""Messages as they come in: what cannot be read, or is too long, ends its call with a status, in every service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gradproof.engine.errors import GradproofError, InvalidRequest, LimitExceeded, Violation
from gradproof.server.calls.calls import Around, Call, Context
from gradproof.server.calls.status import Stalled, fail
from gradproof.server.limits import Limits

HINT = "send large tensors in chunks on a Session, and a graph once, then its digest"


@dataclass(frozen=True)
class Unreadable:
    """A message that cannot be read, or is too long, as the error that its call ends with."""

    error: GradproofError


class Readable(Around):
    """Reads messages so that a handler meets none that it cannot use. One that is too long is not parsed. gRPC itself
    refuses what is more than twice as long as it may be, in its own words."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    async def message(self, call: Call, request: Any, context: Context) -> None:
        if not isinstance(request, Unreadable):
            return
        if call.method.endswith("/Session"):  # it ends when it has heard of this
            raise request.error
        await fail(context, request.error)

    def _wrapped(self, handler: Any, details: grpc.HandlerCallDetails) -> Any:
        wrapped = super()._wrapped(handler, details)
        made, behaviour = self._kind(wrapped)
        return made(
            behaviour,
            request_deserializer=self._deserializer(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _deserializer(self, parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
        if parse is None:
            return None

        def read(data: bytes) -> Any:
            try:
                self.limits.check("message_bytes", len(data), HINT)
                return parse(data)
            except LimitExceeded as error:
                return Unreadable(error)
            except (DecodeError, ValueError, RecursionError):
                text = f"{len(data)} bytes are no message of the type that this call takes"
                return Unreadable(InvalidRequest([Violation("", text, "UNDECODABLE")]))

        return read


async def send(context: Context, message: Any, seconds: float) -> None:
    """Write a message of a stream. Raises Stalled where the client makes no room for it within this time."""
    try:
        async with asyncio.timeout(seconds):
            await context.write(message)
    except TimeoutError as error:
        raise Stalled(seconds) from error
