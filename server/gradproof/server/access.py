"""Access: certificates for the port, and the token that calls must bring."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from gradproof.server.calls import Around, Call, Context

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


class _Tokens(Around):
    """Ends calls without the token with UNAUTHENTICATED, before anything of them is read."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}"

    @asynccontextmanager
    async def around(self, call: Call, context: Context) -> AsyncIterator[None]:
        given = call.metadata.get("authorization", "")
        if not call.method.startswith(OPEN) and not hmac.compare_digest(given.encode(), self._wanted.encode()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the call has no valid token (authorization: Bearer ...)")
        yield
