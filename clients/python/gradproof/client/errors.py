"""Exceptions of a client, and how they are made from what the server said.

GradproofError           a RuntimeError, as PyTorch's are
├── InvalidRequest       the request is at fault; ``faults`` lists all places
├── NotFound             no such op, graph digest or kept run
├── ResourceExhausted    a limit of the server was passed; ``retry_after`` seconds, if trying again helps
│   ├── Overloaded       the server is busy; it helps
│   └── QuotaExceeded    this client has as much in progress as it may
├── RunError             a node or hook failed while running; ``node``, ``op``, ``plugin``
│   └── DataFault        for the numbers that it was given; ``value``, ``element``
├── VerdictRequired      a gradient's summary is weaker than was required; ``result`` has what came
├── NotServed            the server does not do this (yet)
├── Unavailable          no server there, or the call was cut off; may be tried again
├── Unauthenticated      the server wants a token or a certificate, or another one
├── PermissionDenied     the server knows the caller, and does not do this for it
├── DeadlineExceeded     the call took longer than its timeout
├── Forked               this process is a fork of one that has made a client
└── InternalError        a fault of the server; ``incident`` names it in the server's log
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gradproof.client.events import Result
from gradproof.v1 import autodiff_service_pb2 as pb


@dataclass(frozen=True)
class FieldFault:
    """A fault: its place as a path in the request, what is wrong, and a stable word."""

    path: str
    message: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class GradproofError(RuntimeError):
    """The root. ``reason`` is the server's stable word, ``metadata`` what it added (op, node, plugin, limit),
    ``request_id`` what the call was sent as (empty where none was)."""

    def __init__(self, message: str, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason, self.metadata = reason, dict(metadata or {})
        self.request_id = ""

    @property
    def incident(self) -> str:
        """The id under which the server's log has more; empty where there is none."""
        return self.metadata.get("incident", "")


class InvalidRequest(GradproofError):
    """The request has faults; nothing was run."""

    def __init__(
        self,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        faults: Sequence[FieldFault] = (),
    ) -> None:
        super().__init__(message, reason, metadata)
        self.faults = list(faults)


class NotFound(GradproofError):
    """The server does not know what was named."""


class ResourceExhausted(GradproofError):
    """A limit was passed. ``retry_after``: seconds after which trying again may help; None where it does not."""

    def __init__(
        self,
        message: str,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, reason, metadata)
        self.retry_after = retry_after


class Overloaded(ResourceExhausted):
    """The server has no room at the moment."""


class QuotaExceeded(ResourceExhausted):
    """This client has as much in progress as it may."""


class RunError(GradproofError):
    """A node or a hook failed. ``node`` is an index of ``graph.nodes`` or None."""

    @property
    def node(self) -> int | None:
        return int(self.metadata["node"]) if "node" in self.metadata else None

    @property
    def op(self) -> str:
        return self.metadata.get("op", "")

    @property
    def plugin(self) -> str:
        return self.metadata.get("plugin", "")


class DataFault(RunError):
    """A node cannot work with its numbers: an index is out of range, a matrix is not positive definite."""

    @property
    def value(self) -> str:
        """The value at fault, by name; empty where it is not known."""
        return self.metadata.get("value", "")

    @property
    def element(self) -> str:
        """The place in it; empty where it is not known."""
        return self.metadata.get("element", "")


class VerdictRequired(GradproofError):
    """A gradient's summary is weaker than was required. ``result``: everything that came, gradients included."""

    def __init__(self, message: str, reason: str = "", metadata: Mapping[str, str] = {}) -> None:
        super().__init__(message, reason, metadata)
        self.result = Result()


class NotServed(GradproofError):
    """The server does not do this yet."""


class Unavailable(GradproofError):
    """No server answered."""


class Unauthenticated(GradproofError):
    """The server wants a token or a certificate, or another one."""


class PermissionDenied(GradproofError):
    """The server knows the caller, and does not do this for it."""


class DeadlineExceeded(GradproofError):
    """The call took too long."""


class Forked(GradproofError):
    """This process is a fork of one that has made a client; the server was not asked."""


class InternalError(GradproofError):
    """A fault of the server; the message has an incident id that its log knows."""


_KINDS: dict[int, type[GradproofError]] = {
    grpc.StatusCode.INVALID_ARGUMENT.value[0]: InvalidRequest,
    grpc.StatusCode.NOT_FOUND.value[0]: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]: ResourceExhausted,
    grpc.StatusCode.UNIMPLEMENTED.value[0]: NotServed,
    grpc.StatusCode.UNAVAILABLE.value[0]: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED.value[0]: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED.value[0]: PermissionDenied,
    grpc.StatusCode.DEADLINE_EXCEEDED.value[0]: DeadlineExceeded,
    grpc.StatusCode.CANCELLED.value[0]: Unavailable,
}
_REASONS: dict[str, type[GradproofError]] = {
    **dict.fromkeys(("FORWARD_FAULT", "RULE_FAULT", "NO_RULE", "HOOK_FAULT", "RUN_FAULT"), RunError),
    "DATA_FAULT": DataFault,
    "VERDICT_REQUIRED": VerdictRequired,
}
_EXHAUSTED: dict[str, type[ResourceExhausted]] = {"OVERLOADED": Overloaded, "QUOTA_EXCEEDED": QuotaExceeded}


def _make(
    code: int,
    message: str,
    reason: str,
    metadata: Mapping[str, str],
    faults: Sequence[FieldFault],
    retry_after: float | None,
) -> GradproofError:
    kind = _REASONS.get(reason) or _KINDS.get(code, InternalError)
    if kind is InvalidRequest:
        return InvalidRequest(message, reason, metadata, faults)
    if kind is ResourceExhausted:
        return _EXHAUSTED.get(reason, ResourceExhausted)(message, reason, metadata, retry_after)
    return kind(message, reason, metadata)


def from_rpc(error: grpc.RpcError) -> GradproofError:
    """The exception for a call that ended with ``error``."""
    call: grpc.Call = error  # type: ignore[assignment]
    reason, metadata, faults, retry_after = "", {}, [], None
    status = rpc_status.from_call(call)
    for detail in status.details if status else ():
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            faults = [FieldFault(v.field, v.description, v.reason) for v in bad.field_violations]
        elif detail.Unpack(retry):
            retry_after = max(0.0, retry.retry_delay.ToTimedelta().total_seconds())
    return _make(call.code().value[0], call.details() or call.code().name, reason, metadata, faults, retry_after)


def from_fault(fault: pb.RequestFault, place: pb.RunFault) -> GradproofError:
    """The exception for a request that failed on a session; ``place`` is the event that said where, or empty."""
    faults = [FieldFault(one.path, one.message, one.reason) for one in fault.faults]
    places = {"op": place.op, "plugin": place.plugin, "value": place.value}
    metadata = {name: text for name, text in places.items() if text} | dict(fault.metadata)
    if place.HasField("node"):
        metadata["node"] = str(place.node)
    retry_after = fault.retry_delay_ms / 1000 if fault.HasField("retry_delay_ms") else None
    return _make(fault.code, fault.message, fault.reason, metadata, faults, retry_after)
