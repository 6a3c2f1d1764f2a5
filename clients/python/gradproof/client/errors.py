"""Exceptions of a client, and how they are made from statuses.

GradproofError           a RuntimeError, as PyTorch's are
├── InvalidRequest       the request is at fault; ``faults`` lists all places
│   └── DimensionOutOfRange    an axis is none of a tensor's; also an IndexError
├── NotFound             no such op, graph digest or saved run
├── ResourceExhausted    a limit of the server was passed; ``retry_after`` seconds, if trying again helps
│   ├── Overloaded       the server is busy; it helps
│   └── QuotaExceeded    this client has as much in progress as it may
├── RunError             a node or hook failed while running; ``node``, ``op``, ``plugin``
│   └── DataFault        for the numbers that it met; ``value``, ``element``
├── VerdictRequired      a gradient's summary is weaker than was required; ``result`` has all events
├── NotServed            the server does not do this (yet)
├── Unavailable          no server there, or the call was cut off; may be tried again
├── Unauthenticated      the server wants a token or a certificate, or does not know it
├── PermissionDenied     the server knows the caller, and does not do this for it
├── DeadlineExceeded     the call took longer than its timeout
├── Forked               this process is a fork of a process with a client
└── InternalError        a fault of the server; ``incident`` names it in the server's log
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gradproof.client.events import Result
from gradproof.client.no_answer import text_of
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
    """The root. ``reason`` is the server's stable word, ``metadata`` its details (op, node, plugin, limit), ``request_id``
    the id of the call (empty where the server was not called)."""

    def __init__(self, message: str, reason: str = "", metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason, self.metadata = reason, dict(metadata or {})
        self.request_id = ""

    @property
    def incident(self) -> str:
        """The id under which the server's log has more; empty where it has nothing."""
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


class DimensionOutOfRange(InvalidRequest, IndexError):
    """An axis is none of the axes of a tensor."""


class NotFound(GradproofError):
    """The server does not know the op, graph or saved run that was named."""


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
    """A node or a hook failed."""

    @property
    def node(self) -> int | None:
        """Index in ``graph.nodes``; None for a hook."""
        return int(self.metadata["node"]) if "node" in self.metadata else None

    @property
    def op(self) -> str:
        """The op of the node; empty for a hook."""
        return self.metadata.get("op", "")

    @property
    def plugin(self) -> str:
        """The plugin that brought the op or hook; empty where it is not known."""
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
    """A gradient's summary is weaker than was required. ``result``: all events of the run, gradients included."""

    def __init__(self, message: str, reason: str = "", metadata: Mapping[str, str] = {}) -> None:
        super().__init__(message, reason, metadata)
        self.result = Result()


class NotServed(GradproofError):
    """The server does not do this yet."""


class Unavailable(GradproofError):
    """No server answered."""


class Unauthenticated(GradproofError):
    """The server wants a token or a certificate, or does not know those that it was shown."""


class PermissionDenied(GradproofError):
    """The server knows the caller, who lacks a scope."""


class DeadlineExceeded(GradproofError):
    """The call took too long."""


class Forked(GradproofError):
    """This process is a fork of a process with a client; the server was not asked."""


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


def from_rpc(error: grpc.RpcError, target: str = "") -> GradproofError:
    """The exception for a call to ``target`` that ended with ``error``."""
    call: grpc.Call = error  # type: ignore[assignment]
    status = rpc_status.from_call(call)
    if status is None:
        message, reason = text_of(call.code(), call.details() or "", target)
        return _make(call.code().value[0], message, reason, {}, [], None)
    return from_status(status, call.code())


def from_status(
    status: status_pb2.Status, code: grpc.StatusCode | None = None, place: pb.RunFault | None = None
) -> GradproofError:
    """The exception for a status; ``code``: of the call that it ended; ``place``: the event that says which node or hook
    failed."""
    reason, metadata, faults, retry_after = "", dict[str, str](), list[FieldFault](), None
    for detail in status.details:
        info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            faults = field_faults(bad.field_violations)
        elif detail.Unpack(retry):
            retry_after = max(0.0, retry.retry_delay.ToTimedelta().total_seconds())
    if place is not None:
        names = ("node", "op", "plugin", "value")
        metadata = {field.name: str(value) for field, value in place.ListFields() if field.name in names} | metadata
    message = status.message or (code.name if code is not None else reason)
    return _make(code.value[0] if code is not None else status.code, message, reason, metadata, faults, retry_after)


def field_faults(violations: Iterable[error_details_pb2.BadRequest.FieldViolation]) -> list[FieldFault]:
    """Faults of a message."""
    return [FieldFault(fault.field, fault.description, fault.reason) for fault in violations]
