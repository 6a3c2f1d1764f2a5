"""Connections: addresses, encryption, tokens, retries."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc

from gradproof.client.origin import Origin, held

IDEMPOTENT = ("Evaluate", "Differentiate", "StreamingDifferentiate", "Infer", "Derive", "Explain", "GetServerInfo")


class Connection:
    """Where a client connects to, and how; `channel` and `aio_channel` open it. What is on this machine is not behind a
    proxy, whatever the environment says."""

    def __init__(self, target: str | Sequence[str], *, tls: bool | str, token: str, retries: int) -> None:
        targets = [target] if isinstance(target, str) else list(target)
        if not targets:
            raise ValueError("a client needs an address")
        if token and not tls and not all(map(_here, targets)):
            raise ValueError(
                "a token is sent over TLS only, or to this machine: give tls=True, or the path of certificates"
            )
        self.target = targets[0] if len(targets) == 1 else f"ipv4:{','.join(map(_numeric, targets))}"
        self.origin = Origin()
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._options = [("grpc.service_config", json.dumps(_config(retries))), ("grpc.enable_retries", 1)]
        if any(map(_here, targets)):
            self._options.append(("grpc.enable_http_proxy", 0))
        if len(targets) > 1:
            name = targets[0].rpartition(":")[0]
            self._options.append(("grpc.ssl_target_name_override", name))

    def call(self, timeout: float) -> dict[str, Any]:
        """What goes with every call. Raises Forked."""
        self.origin.check()
        return {"timeout": timeout, "metadata": self._metadata}

    def answers(self, call: Any) -> Iterator[Any]:
        """The messages of a stream, which is cancelled when it is left. Raises Forked."""
        held(call)
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

    def channel(self) -> grpc.Channel:
        """A channel; it connects when it is first used."""
        if not self._tls:
            return held(grpc.insecure_channel(self.target, self._options))
        return held(grpc.secure_channel(self.target, self._credentials(), self._options))

    def aio_channel(self) -> grpc.aio.Channel:
        """The same for asyncio."""
        if not self._tls:
            return held(grpc.aio.insecure_channel(self.target, self._options))
        return held(grpc.aio.secure_channel(self.target, self._credentials(), self._options))

    def _credentials(self) -> grpc.ChannelCredentials:
        trusted = Path(self._tls).read_bytes() if isinstance(self._tls, str) else None
        return grpc.ssl_channel_credentials(trusted)


def _config(retries: int) -> dict[str, Any]:
    """Addresses take turns; calls that change nothing are tried again, later each time."""
    names = [{"service": "gradproof.v1.AutodiffService", "method": method} for method in IDEMPOTENT]
    policy = {
        "maxAttempts": min(retries + 1, 5),
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    methods = [{"name": [*names, {"service": "gradproof.v1.OpService"}], "retryPolicy": policy}] if retries else []
    return {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": methods}


def _split(address: str) -> tuple[str, str]:
    """Host and port, which may be missing."""
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = address.partition(":") if address.count(":") == 1 else (address, "", "")
    return host, port


def _here(target: str) -> bool:
    """Whether all addresses of a target, in any of gRPC's forms, are on this machine."""
    scheme, _, rest = target.partition(":")
    if scheme in ("unix", "unix-abstract"):
        return True
    if scheme == "dns":
        authority, _, rest = rest.removeprefix("//").rpartition("/") if rest.startswith("//") else ("", "", rest)
        return not authority and _is_loopback(rest)  # another resolver may think of another machine
    addresses = rest.lstrip("/").split(",") if scheme in ("ipv4", "ipv6") else [target]
    return all(map(_is_loopback, addresses))


def _is_loopback(address: str) -> bool:
    host, _ = _split(unquote(address))
    if host.lower().rstrip(".") in ("localhost", "ip6-localhost", "ip6-loopback"):
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _numeric(target: str) -> str:
    """host:port with the number of the host. Raises OSError if it has none."""
    host, port = _split(target)
    return f"{socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]}:{port}"
