"""Access: certificates for the port, and the token that calls must bring."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

OPEN = "/grpc.health.v1.Health/"
"""Calls that need no token: who balances load asks without one."""


@dataclass(frozen=True)
class Access:
    """``certificate`` and ``key``: files in PEM, both or none; ``token``: what clients send as ``authorization: Bearer``,
    empty for everybody. Raises ValueError if only one of the files is given."""

    certificate: Path | None = None
    key: Path | None = None
    token: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("TLS needs a certificate and its key")

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        return [_Tokens(self.token)] if self.token else []

    def bind(self, server: grpc.aio.Server, address: str) -> int:
        """The port. Raises OSError if a file cannot be read, RuntimeError if the address is taken."""
        if self.certificate is None or self.key is None:
            return int(server.add_insecure_port(address))
        pair = self.key.read_bytes(), self.certificate.read_bytes()
        return int(server.add_secure_port(address, grpc.ssl_server_credentials([pair])))


class _Tokens(grpc.aio.ServerInterceptor):
    """Ends calls without the token with UNAUTHENTICATED, before anything of them is read."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}"

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(OPEN) or self._known(handler_call_details):
            return handler
        return _refusing(handler)

    def _known(self, details: grpc.HandlerCallDetails) -> bool:
        given = [str(value) for name, value in details.invocation_metadata or () if name == "authorization"]
        return any(hmac.compare_digest(one.encode(), self._wanted.encode()) for one in given)


def _refusing(handler: Any) -> Any:
    """A handler of the same kind that refuses."""

    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the call has no valid token (authorization: Bearer ...)")

    async def refuse_stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await refuse(request, context)
        yield

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse_stream)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)
