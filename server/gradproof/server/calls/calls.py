"""Calls: who makes one, under which id, and one way of putting something around each of them."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc

from gradproof.engine.caller import Caller

REQUEST_ID = "x-request-id"
DETAILS = "grpc-status-details-bin"
MAX_REQUEST_ID = 128
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Call:
    """An RPC. ``method`` is its full name, ``request_id`` the client's name for it or a new one."""

    method: str = ""
    request_id: str = ""
    peer: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    caller: Caller = field(default_factory=Caller)


NO_CALL = Call()
CURRENT: ContextVar[Call] = ContextVar("gradproof_call", default=NO_CALL)
"""The call that the running task serves."""


class Interceptor(grpc.aio.ServerInterceptor):
    """An interceptor that puts a handler of the same kind in the place of every one."""

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        return handler if handler is None else self._wrapped(handler, handler_call_details)

    def _wrapped(self, handler: Any, details: grpc.HandlerCallDetails) -> Any:
        """A handler of the same kind."""
        raise NotImplementedError

    @staticmethod
    def _kind(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """How handlers of the same kind are made, and what this one does."""
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
        }
        return kinds[bool(handler.request_streaming), bool(handler.response_streaming)]


class Around(Interceptor):
    """An interceptor that runs something around every call. ``around`` is given the context of each; it raises, or aborts
    the context, to end the call before anything of it is read."""

    def around(self, call: Call, context: Context) -> AbstractAsyncContextManager[None]:
        """A context manager for the whole of a call."""
        return nullcontext()

    async def message(self, call: Call, request: Any, context: Context) -> None:
        """Called with each message of the client before the handler has it. May end the call, as ``around`` may."""

    def _wrapped(self, handler: Any, details: grpc.HandlerCallDetails) -> Any:
        made, behaviour = self._kind(handler)

        async def given(request: Any, call: Call, context: Context) -> Any:
            if handler.request_streaming:
                return self._each(request, call, context)
            await self.message(call, request, context)
            return request

        async def answer(request: Any, context: Context) -> Any:
            call = call_of(details, context)
            async with self.around(call, context):
                request = await given(request, call, context)
                found = behaviour(request, context)
                return await found if inspect.isawaitable(found) else found

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            call = call_of(details, context)
            async with self.around(call, context):
                request = await given(request, call, context)
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response

        return made(
            stream if inspect.isasyncgenfunction(behaviour) else answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _each(self, requests: AsyncIterator[Any], call: Call, context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            await self.message(call, request, context)
            yield request


def call_of(details: grpc.HandlerCallDetails, context: Context) -> Call:
    """The call of this task, which is made by the outermost interceptor."""
    known = CURRENT.get()
    if known.method == details.method:
        return known
    metadata = {str(name): str(value) for name, value in details.invocation_metadata or ()}
    given = metadata.get(REQUEST_ID, "")
    request_id = given if given.isprintable() and 0 < len(given) <= MAX_REQUEST_ID else uuid.uuid4().hex
    made = Call(details.method, request_id, context.peer(), metadata)
    CURRENT.set(made)
    return made
