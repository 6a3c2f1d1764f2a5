"""Connections: addresses, encryption, tokens, retries."""

from __future__ import annotations

import ipaddress
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc

IDEMPOTENT = ("Evaluate", "Differentiate", "StreamingDifferentiate", "Infer", "Derive", "Explain", "GetServerInfo")


class Connection:
    """Where a client connects to, and how; `channel` and `aio_channel` open it."""

    def __init__(self, target: str | Sequence[str], *, tls: bool | str, token: str, retries: int) -> None:
        targets = [target] if isinstance(target, str) else list(target)
        if not targets:
            raise ValueError("a client needs an address")
        if token and not tls and not all(map(_here, targets)):
            raise ValueError(
                "a token is sent over TLS only, or to this machine: give tls=True, or the path of certificates"
            )
        self.target = targets[0] if len(targets) == 1 else f"ipv4:{','.join(map(_numeric, targets))}"
        self._tls = tls
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._options = [("grpc.service_config", json.dumps(_config(retries))), ("grpc.enable_retries", 1)]
        if len(targets) > 1:
            name = targets[0].rpartition(":")[0]
            self._options.append(("grpc.ssl_target_name_override", name))

    def call(self, timeout: float) -> dict[str, Any]:
        """What goes with every call."""
        return {"timeout": timeout, "metadata": self._metadata}

    def channel(self) -> grpc.Channel:
        """A channel; it connects when it is first used."""
        if not self._tls:
            return grpc.insecure_channel(self.target, self._options)
        return grpc.secure_channel(self.target, self._credentials(), self._options)

    def aio_channel(self) -> grpc.aio.Channel:
        """The same for asyncio."""
        if not self._tls:
            return grpc.aio.insecure_channel(self.target, self._options)
        return grpc.aio.secure_channel(self.target, self._credentials(), self._options)

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


def _split(target: str) -> tuple[str, str]:
    host, _, port = target.rpartition(":")
    return host.strip("[]"), port


def _here(target: str) -> bool:
    """Whether an address is on this machine."""
    host, _ = _split(target)
    if target.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _numeric(target: str) -> str:
    """host:port with the number of the host. Raises OSError if it has none."""
    host, port = _split(target)
    return f"{socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0]}:{port}"
