"""From the engine's exceptions to google.rpc.Status: the one table, and how a status is kept short enough to arrive."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from gradproof.engine import errors
from gradproof.server.scopes import Denied, Unauthenticated
from gradproof.v1 import autodiff_service_pb2 as pb

log = structlog.get_logger("gradproof.server")
DOMAIN = "gradproof"
MAX_VIOLATIONS = 20
MAX_BYTES = 3_500  # trailers above 8 KB get lost on the way; base64 and the repeated message need room
MAX_MESSAGE = 900


class VerdictRequired(errors.GradproofError):
    """Gradients whose summary is weaker than the request requires; everything about them has been sent."""

    reason = "VERDICT_REQUIRED"

    def __init__(self, required: str, weaker: Sequence[tuple[str, str, str]]) -> None:
        self.required, self.weaker = required, tuple(weaker)
        shown = "; ".join(f"{name!r} is {summary}: {why}" for name, summary, why in weaker[:MAX_VIOLATIONS])
        more = f"; and {len(weaker) - MAX_VIOLATIONS} more" if len(weaker) > MAX_VIOLATIONS else ""
        super().__init__(f"every gradient must be {required}, and {shown}{more}")


CODES: tuple[tuple[type[errors.GradproofError], grpc.StatusCode], ...] = (
    (errors.InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.LimitExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Cancelled, grpc.StatusCode.CANCELLED),
    (errors.NoRule, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.HookFault, grpc.StatusCode.FAILED_PRECONDITION),
    (VerdictRequired, grpc.StatusCode.FAILED_PRECONDITION),
    (Denied, grpc.StatusCode.PERMISSION_DENIED),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.RunFault, grpc.StatusCode.INTERNAL),
)


def code_of(error: errors.GradproofError) -> grpc.StatusCode:
    """The status code of an exception; INTERNAL for one that the table does not name."""
    return next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def status_of(error: errors.GradproofError) -> status_pb2.Status:
    """The status with ErrorInfo and, as they apply, BadRequest (the first twenty faults) or QuotaFailure."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    details: list[Any] = [info]
    if isinstance(error, errors.InvalidRequest):
        info.metadata["faults"] = str(len(error.faults))
        bad = error_details_pb2.BadRequest()
        for fault in error.faults[:MAX_VIOLATIONS]:
            bad.field_violations.add(field=fault.path[:120], description=fault.message[:300], reason=fault.reason)
            if bad.ByteSize() > MAX_BYTES:
                del bad.field_violations[-1]
                break
        details.append(bad)
    elif isinstance(error, errors.LimitExceeded):
        info.metadata.update({"limit": error.name, "actual": str(error.actual), "allowed": str(error.limit)})
        quota = error_details_pb2.QuotaFailure()
        quota.violations.add(subject=error.name, description=str(error))
        details.append(quota)
    elif isinstance(error, errors.RunFault):
        places = {"node": error.node, "op": error.op, "plugin": error.plugin, "value": error.value}
        info.metadata.update({name: str(place) for name, place in places.items() if place not in (None, "")})
    elif isinstance(error, Denied):
        info.metadata["scope"] = error.scope
    elif isinstance(error, VerdictRequired):
        info.metadata.update({"required": error.required, "weaker": str(len(error.weaker))})
        info.metadata["gradients"] = ", ".join(name for name, _, _ in error.weaker[:MAX_VIOLATIONS])[:300]
    status = status_pb2.Status(code=code_of(error).value[0], message=_short(str(error)))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def request_fault(error: errors.GradproofError) -> pb.RequestFault:
    """The same for a session, where a failed request does not end the stream."""
    fault = fault_of(status_of(error))
    if isinstance(error, errors.InvalidRequest):
        fault.faults.extend(
            pb.FieldFault(path=one.path, message=one.message, reason=one.reason) for one in error.faults[:MAX_VIOLATIONS]
        )
    elif isinstance(error, VerdictRequired):
        fault.faults.extend(
            pb.FieldFault(path=f"verdicts[{name}]", message=f"{summary}: {why}"[:300], reason=error.reason)
            for name, summary, why in error.weaker[:MAX_VIOLATIONS]
        )
    return fault


def fault_of(status: status_pb2.Status) -> pb.RequestFault:
    """A status as a session says it: code, message, what its ErrorInfo has, and when to try again. Without places."""
    fault = pb.RequestFault(code=status.code, message=status.message)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            fault.reason = info.reason
            fault.metadata.update(info.metadata)
        elif detail.Unpack(retry):
            fault.retry_delay_ms = retry.retry_delay.ToMilliseconds()
    return fault


def unforeseen(error: Exception) -> status_pb2.Status:
    """For what nobody foresaw: the log gets it under an incident id, the client the id and nothing of the inside."""
    incident = uuid.uuid4().hex[:12]
    log.error("internal error", incident=incident, traceback="".join(traceback.format_exception(error)))
    status = status_pb2.Status(
        code=grpc.StatusCode.INTERNAL.value[0],
        message=f"internal error; the server's log has it as incident {incident}",
    )
    packed = any_pb2.Any()
    packed.Pack(
        error_details_pb2.ErrorInfo(
            reason="INTERNAL", domain=DOMAIN, metadata={"incident": incident, "kind": type(error).__name__}
        )
    )
    status.details.append(packed)
    return status


def _short(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 3]}..."
