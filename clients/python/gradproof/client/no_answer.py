"""Texts for calls that no gradproof server has answered: what is there instead, and what to do."""

from __future__ import annotations

import os

import grpc

OTHER_PROTOCOL = "OTHER_PROTOCOL"
"""The reason of an error that no further attempt would mend: something else listens at the address."""

PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
"""Variables that name a proxy for gRPC, the first that is set."""

_SIGNS = (
    (
        "Connection refused",
        "no server listens at {target}: start one there (gradproof serve --port PORT), or mend the address",
    ),
    ("Failed parsing HTTP/2", "{target} does not speak gRPC: it is no gradproof server, or its port wants TLS (tls=True)"),
    ("http1.x server", "{target} does not speak gRPC: it is no gradproof server"),
    ("HTTP proxy", "the proxy in ${proxy} does not connect to {target}: set no_proxy={host} to go past it"),
    ("lookup", "the name of the host in {target} is not known: mend the address"),
    ("resolving", "the name of the host in {target} is not known: mend the address"),
)
"""Texts by a part of what gRPC says."""


def text_of(code: grpc.StatusCode, details: str, target: str) -> tuple[str, str]:
    """The text and the reason of an error for a status without details, which a gradproof server has not sent."""
    if not target:
        return details or code.name, ""
    proxy = next((name for name in PROXIES if os.environ.get(name)), "")
    names = {"target": target, "host": target.rpartition(":")[0] or target, "proxy": proxy}
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"{target} serves gRPC, but not this call: it is no gradproof server, or an older one", OTHER_PROTOCOL
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"{target} did not answer in time: give a larger timeout=, or look whether a gradproof server is there", ""
    if code is not grpc.StatusCode.UNAVAILABLE:
        return details or code.name, ""
    for sign, text in _SIGNS:
        if sign in details:
            return text.format(**names), OTHER_PROTOCOL if "does not speak" in text else ""
    return f"no connection to {target}: {details or code.name}", ""
