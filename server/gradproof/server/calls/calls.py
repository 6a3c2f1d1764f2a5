"""Calls with their metadata and caller, and interceptors that wrap calls of every kind."""

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
    """An RPC. ``method`` is its full name, ``request_id`` the client's id for it, or a generated id."""

    method: str = ""
    request_id: str = ""
    peer: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    caller: Caller = field(default_factory=Caller)


NO_CALL = Call()
CURRENT: ContextVar[Call] = ContextVar("gradproof_call", default=NO_CALL)
"""The call that the running task serves."""


class Interceptor(grpc.aio.ServerInterceptor):
    """An interceptor that replaces each handler by a wrapper of the same kind (unary or streaming), made once."""

    def __init__(self) -> None:
        self._wrappers: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        known, wrapper = self._wrappers.get(method, (None, None))
        if known is not handler:
            wrapper = self._wrapped(handler, method)
            self._wrappers[method] = handler, wrapper
        return wrapper

    def _wrapped(self, handler: Any, method: str) -> Any:
        """The wrapper of the handler of a method."""
        raise NotImplementedError

    @staticmethod
    def _kind(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The factory for handlers of this kind, and the behaviour of this handler."""
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, handler.unary_unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, handler.unary_stream),
            (True, False): (grpc.stream_unary_rpc_method_handler, handler.stream_unary),
            (True, True): (grpc.stream_stream_rpc_method_handler, handler.stream_stream),
        }
        return kinds[bool(handler.request_streaming), bool(handler.response_streaming)]


class WrappingInterceptor(Interceptor):
    """An interceptor that wraps every call in the context manager `around`, and passes every request message to `message`.
    Either ends the call by raising, or by aborting the context."""

    def around(self, call: Call, context: Context) -> AbstractAsyncContextManager[None]:
        """A context manager for the duration of a call, entered before a request is read."""
        return nullcontext()

    async def message(self, call: Call, request: Any, context: Context) -> None:
        """Check a request message before the handler gets it."""

    def _wrapped(self, handler: Any, method: str) -> Any:
        factory, behaviour = self._kind(handler)

        async def checked(request: Any, call: Call, context: Context) -> Any:
            if handler.request_streaming:
                return self._checked_stream(request, call, context)
            await self.message(call, request, context)
            return request

        async def answer(request: Any, context: Context) -> Any:
            call = call_of(method, context)
            async with self.around(call, context):
                request = await checked(request, call, context)
                response = behaviour(request, context)
                return await response if inspect.isawaitable(response) else response

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            call = call_of(method, context)
            async with self.around(call, context):
                request = await checked(request, call, context)
                async with aclosing(behaviour(request, context)) as responses:
                    async for response in responses:
                        yield response

        return factory(
            stream if inspect.isasyncgenfunction(behaviour) else answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    async def _checked_stream(self, requests: AsyncIterator[Any], call: Call, context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            await self.message(call, request, context)
            yield request


def usable_id(given: str) -> str:
    """The id that a client gave its request, if it is one, or a new one."""
    return given if given.isprintable() and 0 < len(given) <= MAX_REQUEST_ID else uuid.uuid4().hex


def call_of(method: str, context: Context) -> Call:
    """The call of this task; the outermost interceptor creates it."""
    current = CURRENT.get()
    if current.method == method:
        return current
    metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
    call = Call(method, usable_id(metadata.get(REQUEST_ID, "")), context.peer(), metadata)
    CURRENT.set(call)
    return call
