"""Connections: addresses, encryption, identity, and metadata of calls."""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import unquote

import grpc

from gradproof.client.origin import Origin, held
from gradproof.client.server_extra import require_server

T = TypeVar("T")
Token: TypeAlias = str | Callable[[], str]
REQUEST_ID = "x-request-id"
MAX_PORT = 65_535
LOCAL = "local"
"""The target of a server in this process, without gRPC."""

KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 30_000, 10_000
"""Time after which a peer with open calls is pinged, and time after which a ping counts as lost."""

RECONNECT_MS = {True: (100, 250), False: (100, 2_000)}
"""First and longest pause before a lost connection is tried again, on this machine and elsewhere. Meanwhile calls fail at
once, so these pauses are shorter than those of the retries."""


class Connection:
    """Address and options of a connection; `channel` and `aio_channel` open it. A server on this machine is not reached
    through a proxy, whatever the environment says.

    ``on_loss`` is called with the seconds that are left when a call that lost its server is to be repeated, and returns
    once the server may be back. ``closed``: no call is repeated any more. Raises ValueError for options that do not go
    together, OSError if a file cannot be read.
    """

    def __init__(  # noqa: PLR0913  # each is a keyword that users give
        self,
        target: str | Sequence[str],
        *,
        tls: bool | str | Path = False,
        certificate: str | Path = "",
        key: str | Path = "",
        token: Token = "",
        retries: int = 6,
        on_loss: Callable[[float], None] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        targets = [target] if isinstance(target, str) else list(target)
        if not targets:
            raise ValueError("a client needs an address")
        self.local = targets == [LOCAL]
        if LOCAL in targets and not self.local:
            raise ValueError(f"{LOCAL!r} is the server in this process: it does not take turns with others")
        if arguments and not self.local:
            raise ValueError(f"arguments are those of a server that is made for the client: the target is {LOCAL!r} then")
        self._arguments = tuple(arguments)
        for text in targets:
            _check_port(text)
        here = self.local or all(map(_here, targets))
        if token and not tls and not here:
            raise ValueError(
                "a token is sent over TLS only, or to this machine: give tls=True, or the path of certificates"
            )
        if bool(certificate) != bool(key):
            raise ValueError("a client certificate and its key go together: give certificate= and key=")
        if certificate and not tls:
            raise ValueError("a client certificate is shown over TLS only: give tls=True, or the path of certificates")
        self.target = targets[0] if len(targets) == 1 else f"ipv4:{','.join(map(_numeric, targets))}"
        self.origin = Origin(survives_fork=self.local)
        self.retries, self.on_loss = retries, on_loss
        self.closed = False
        self._token = token
        self._credentials = _credentials(tls, certificate, key) if tls else None
        first, longest = RECONNECT_MS[here]
        self._options: list[tuple[str, Any]] = [
            ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
            ("grpc.enable_retries", 0),  # ours are in retry.py
            ("grpc.initial_reconnect_backoff_ms", first),
            ("grpc.max_reconnect_backoff_ms", longest),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        if any(map(_here, targets)):
            self._options.append(("grpc.enable_http_proxy", 0))
        if len(targets) > 1:
            name = targets[0].rpartition(":")[0]
            self._options.append(("grpc.ssl_target_name_override", name))

    def call(self, timeout: float | None, request_id: str) -> dict[str, Any]:
        """Timeout and metadata of a call. Raises Forked, and what a token that is called raises."""
        self.origin.check()
        metadata = [(REQUEST_ID, request_id), *_trace_context()]
        token = self._token if isinstance(self._token, str) else self._token()
        if token:
            metadata.append(("authorization", f"Bearer {token.strip()}"))
        return {"timeout": timeout, "metadata": tuple(metadata)}

    def held(self, call: T) -> T:
        """Note a call; see `origin.held`."""
        return call if self.local else held(call)

    def answers(self, call: Any) -> Generator[Any, None, None]:
        """The messages of a stream, which is cancelled when it is left. Raises Forked."""
        self.held(call)
        try:
            while True:
                self.origin.check()
                try:
                    answer = next(call)
                except StopIteration:
                    return
                yield answer
        finally:
            if self.origin.here:
                call.cancel()

    async def aio_answers(self, call: Any) -> AsyncGenerator[Any, None]:
        """As the method above, for asyncio."""
        try:
            async for answer in call:
                yield answer
        finally:
            call.cancel()

    def channel(self) -> grpc.Channel:
        """A channel; it connects when it is first used. Raises ImportError if a local server is not installed."""
        if self.local:
            require_server()
            from gradproof.server.local.local_channel import LocalChannel  # noqa: PLC0415  # not needed for other servers

            return LocalChannel(self._arguments)
        if self._credentials is None:
            return held(grpc.insecure_channel(self.target, self._options))
        return held(grpc.secure_channel(self.target, self._credentials, self._options))

    def aio_channel(self) -> grpc.aio.Channel:
        """As the method above, for asyncio. Raises ValueError for a local server."""
        if self.local:
            raise ValueError(
                f"a server in this process has no asyncio client: use Client({LOCAL!r}), or an embedded server"
            )
        if self._credentials is None:
            return held(grpc.aio.insecure_channel(self.target, self._options))
        return held(grpc.aio.secure_channel(self.target, self._credentials, self._options))


def _credentials(tls: bool | str | Path, certificate: str | Path, key: str | Path) -> grpc.ChannelCredentials:
    trusted = None if tls is True else Path(str(tls)).read_bytes()
    if not certificate:
        return grpc.ssl_channel_credentials(trusted)
    return grpc.ssl_channel_credentials(trusted, Path(key).read_bytes(), Path(certificate).read_bytes())


def _trace_context() -> list[tuple[str, str]]:
    """The current span as W3C Trace Context (``traceparent``). Where OpenTelemetry has not been imported there is none."""
    if "opentelemetry.trace" not in sys.modules:
        return []
    from opentelemetry import propagate  # noqa: PLC0415  # imported already, or not needed

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return [(name.lower(), text) for name, text in carrier.items()]


def _split(address: str) -> tuple[str, str]:
    """Host and port, which may be missing."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = address.partition(":") if address.count(":") == 1 else (address, "", "")
    return host, port


def _check_port(target: str) -> None:
    """Raises ValueError for a port beyond the largest, of which gRPC would take the last 16 bits."""
    port = _split(target)[1]
    if port.isdigit() and int(port) > MAX_PORT:
        raise ValueError(f"{target!r}: a port is at most {MAX_PORT}")


def _here(target: str) -> bool:
    """True if all addresses of a target, in any of gRPC's forms, are on this machine."""
    scheme, _, rest = target.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return True
    if scheme == "dns":
        authority, _, rest = rest.removeprefix("//").rpartition("/") if rest.startswith("//") else ("", "", rest)
        return not authority and _is_loopback(rest)  # another resolver may give another address
    addresses = rest.lstrip("/").split(",") if scheme in ("ipv4", "ipv6") else [target]
    return all(map(_is_loopback, addresses))


def _is_loopback(address: str) -> bool:
    host, _ = _split(unquote(address))
    if host.lower().rstrip(".") in ("localhost", "ip6-localhost", "ip6-loopback"):
        return True
    try:
        ip_address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(ip_address, "ipv4_mapped", None) or ip_address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _numeric(target: str) -> str:
    """host:port with the number of the host. Raises OSError if it has none."""
    host, port = _split(target)
    return f"{socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]}:{port}"
