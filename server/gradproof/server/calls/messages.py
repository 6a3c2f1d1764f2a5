"""Request messages: those that cannot be parsed or are too long end their call with a status. Writes to slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from gradproof.engine.errors import GradproofError, InvalidRequest, LimitExceeded, Violation
from gradproof.server.calls.calls import Call, Context, WrappingInterceptor
from gradproof.server.calls.status import Stalled, fail
from gradproof.server.limits import Limits

HINT = "send large tensors in chunks on a Session, and a graph once, then its digest"


@dataclass(frozen=True)
class UnreadableMessage:
    """A message that cannot be parsed, or is too long: the error that its call ends with."""

    error: GradproofError


class MessageInterceptor(WrappingInterceptor):
    """Parses messages, and refuses those that cannot be parsed or exceed ``message_bytes``; the latter are not parsed. gRPC
    itself refuses messages of more than twice that limit, with a status of its own."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits

    async def message(self, call: Call, request: Any, context: Context) -> None:
        if not isinstance(request, UnreadableMessage):
            return
        if call.method.endswith("/Session"):  # the servicer ends the stream with this error
            raise request.error
        await fail(context, request.error)

    def _wrapped(self, handler: Any, method: str) -> Any:
        wrapped = super()._wrapped(handler, method)
        factory, behaviour = self._kind(wrapped)
        return factory(
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
                return UnreadableMessage(error)
            except (DecodeError, ValueError, RecursionError):
                text = f"{len(data)} bytes are no message of the type that this call takes"
                return UnreadableMessage(InvalidRequest([Violation("", text, "UNDECODABLE")]))

        return read


async def send(context: Context, message: Any, seconds: float) -> None:
    """Write a message of a stream, or its bytes. Raises Stalled if flow control blocks it for longer than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await context.write(message)
    except TimeoutError as error:
        raise Stalled(seconds) from error
