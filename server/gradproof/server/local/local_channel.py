"""A channel to a local server: messages are handed over, and never serialised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any

import grpc

from gradproof.server.calls.calls import REQUEST_ID
from gradproof.server.calls.scopes import AUTODIFF
from gradproof.server.local.direct_runs import DirectRuns
from gradproof.server.local.local_calls import LocalContext, LocalStream
from gradproof.server.local.local_server import LocalServer, shared_server, start_local

DIRECT = {f"{AUTODIFF}Infer": "infer", f"{AUTODIFF}Derive": "derive"}
"""Calls that are answered in the thread that makes them, as runs are."""


class LocalChannel(grpc.Channel):
    """Stubs of the contract work on it as on any channel, from any thread, also within a running event loop, and in a fork.

    ``arguments`` are those of ``gradproof serve`` for a server of this channel alone; without any, the channel calls the
    server that the process shares. Raises ConfigurationError if they have problems.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self._arguments = tuple(arguments)
        self._server: LocalServer | None = start_local(arguments) if arguments else None
        self._lock = Lock()
        self._closed = False

    def unary_unary(self, method: str, *_: Any, **__: Any) -> Any:
        """A call with one message on each side."""
        if method in DIRECT:
            return self._direct(DIRECT[method])
        return _UnaryMethod(method, self.behaviour)

    def unary_stream(self, method: str, *_: Any, **__: Any) -> Any:
        """A call with many responses."""
        return self._stream(method, many_requests=False)

    def stream_stream(self, method: str, *_: Any, **__: Any) -> Any:
        """A call with many messages on each side."""
        return self._stream(method, many_requests=True)

    def stream_unary(self, method: str, *_: Any, **__: Any) -> Any:
        """Raises NotImplementedError, since the contract has no such call."""
        raise NotImplementedError(method)

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False) -> None:
        """Report at once that the channel is ready."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Refuse further calls, and stop a server of this channel alone."""
        self._closed = True
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> LocalChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def runs(self) -> DirectRuns:
        """Runs in the thread that calls. Raises ValueError if the channel is closed."""
        self._check_open()
        return self.server().runs

    def behaviour(self, method: str) -> tuple[LocalServer, Callable[..., Any]]:
        """The server, and its method of this name. Raises ValueError if the channel is closed."""
        self._check_open()
        server = self.server()
        return server, server.behaviour(method)

    def server(self) -> LocalServer:
        """The server; in a fork a new server."""
        server = self._server
        if server is not None and server.here:
            return server
        if not self._arguments:
            return shared_server()
        with self._lock:
            self._server = start_local(self._arguments)
            return self._server

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("Cannot invoke RPC on closed channel!")

    def _direct(self, name: str) -> Callable[..., Any]:
        def call(request: Any, timeout: float | None = None, metadata: Any = (), **_: Any) -> Any:
            return getattr(self.runs(), name)(request, timeout, dict(metadata).get(REQUEST_ID, ""))

        return call

    def _stream(self, method: str, *, many_requests: bool) -> Callable[..., Iterator[Any]]:
        def call(request: Any, **options: Any) -> Iterator[Any]:
            server, behaviour = self.behaviour(method)
            return LocalStream(server.loop, behaviour, method, request, options, many_requests=many_requests)

        return call


class _UnaryMethod:
    """A call with one message on each side. Raises EndedCall where it fails."""

    def __init__(self, method: str, find: Callable[[str], tuple[LocalServer, Callable[..., Any]]]) -> None:
        self._method, self._find = method, find

    def __call__(self, request: Any, timeout: float | None = None, metadata: Any = None, **_: Any) -> Any:
        server, behaviour = self._find(self._method)
        context = LocalContext(self._method, timeout, metadata)

        async def answer() -> Any:
            context.enter()
            return await context.served(behaviour(request, context))

        task = asyncio.run_coroutine_threadsafe(answer(), server.loop)
        try:
            return task.result()
        except BaseException:
            task.cancel()  # an interrupt; does nothing where the call has ended
            raise
