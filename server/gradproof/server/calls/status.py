"""From the engine's exceptions to google.rpc.Status: the one table, and how a status is kept short enough to arrive."""

from __future__ import annotations

import asyncio
import re
import traceback
import uuid
from collections.abc import Sequence
from typing import Any

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from gradproof.engine import errors
from gradproof.server.calls.calls import CURRENT, DETAILS, REQUEST_ID
from gradproof.server.calls.scopes import Denied, Unauthenticated
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


FAREWELL_SECONDS = 3.0
"""A client that has read nothing may take so long to read why its call ends."""


class Stalled(errors.GradproofError):
    """A client that reads nothing of a stream for longer than it may."""

    reason = "STALLED"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"nothing of the stream was read for {seconds:g} s: the limit stall_seconds")


CODES: tuple[tuple[type[errors.GradproofError], grpc.StatusCode], ...] = (
    (errors.InvalidRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.NotFound, grpc.StatusCode.NOT_FOUND),
    (errors.LimitExceeded, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Cancelled, grpc.StatusCode.CANCELLED),
    (errors.NoRule, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.DataFault, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.HookFault, grpc.StatusCode.FAILED_PRECONDITION),
    (Stalled, grpc.StatusCode.ABORTED),
    (VerdictRequired, grpc.StatusCode.FAILED_PRECONDITION),
    (Denied, grpc.StatusCode.PERMISSION_DENIED),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED),
    (errors.RunFault, grpc.StatusCode.INTERNAL),
)


CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
"""Names of status codes, by their numbers."""


def code_of(error: errors.GradproofError) -> grpc.StatusCode:
    """The status code of an exception; INTERNAL for one that the table does not name."""
    if isinstance(error, errors.RunFault) and error.kind:
        return grpc.StatusCode.INTERNAL  # a plugin's own fault, whatever it was at
    return next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def metadata_of(error: errors.GradproofError) -> dict[str, str]:
    """Metadata of ErrorInfo, beside the reason. A `RunFault` with details of a plugin's exception gets its incident."""
    if isinstance(error, errors.InvalidRequest):
        return {"faults": str(len(error.faults))}
    if isinstance(error, errors.LimitExceeded):
        return {"limit": error.name, "actual": str(error.actual), "allowed": str(error.limit)}
    if isinstance(error, errors.RunFault):
        places = {"node": error.node, "op": error.op, "plugin": error.plugin, "value": error.value, "kind": error.kind}
        places |= {"element": error.element, "incident": incident_of(error)}
        return {name: str(place)[:300] for name, place in places.items() if place not in (None, "")}
    if isinstance(error, Denied):
        return {"scope": error.scope}
    if isinstance(error, VerdictRequired):
        names = ", ".join(name for name, _, _ in error.weaker[:MAX_VIOLATIONS])[:300]
        return {"required": error.required, "weaker": str(len(error.weaker)), "gradients": names}
    return {}


def incident_of(error: errors.RunFault) -> str:
    """The name under which the log has what a plugin's code raised, in full; empty where nothing is kept back."""
    if error.kind and not error.incident:
        error.incident = _logged(error)
    return error.incident


def message_of(error: errors.GradproofError) -> str:
    """The sentence that a client gets."""
    if isinstance(error, errors.RunFault) and error.kind:
        return f"{error.public}; the server's log has it as incident {incident_of(error)}"
    return str(error)


def status_of(error: errors.GradproofError) -> status_pb2.Status:
    """The status with ErrorInfo and, as they apply, BadRequest (the first twenty faults), QuotaFailure, RetryInfo and
    PreconditionFailure (the first twenty gradients)."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata_of(error))
    details: list[Any] = [info]
    if isinstance(error, errors.InvalidRequest):
        bad = error_details_pb2.BadRequest()
        for fault in error.faults[:MAX_VIOLATIONS]:
            bad.field_violations.add(field=fault.path[:120], description=fault.message[:300], reason=fault.reason)
            if bad.ByteSize() > MAX_BYTES:
                del bad.field_violations[-1]
                break
        details.append(bad)
    elif isinstance(error, errors.LimitExceeded):
        quota = error_details_pb2.QuotaFailure()
        for name, actual, limit in error.passed[:MAX_VIOLATIONS]:
            quota.violations.add(subject=name, description=f"{name} is {actual}, and the limit is {limit}")
        details.append(quota)
        if seconds := retry_seconds(error):
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(round(1000 * seconds))
            details.append(retry)
    elif isinstance(error, VerdictRequired):
        failure = error_details_pb2.PreconditionFailure()
        for name, summary, reason in error.weaker[:MAX_VIOLATIONS]:
            failure.violations.add(type=error.reason, subject=name[:120], description=f"{summary}: {reason}"[:300])
            if failure.ByteSize() > MAX_BYTES:
                del failure.violations[-1]
                break
        details.append(failure)
    status = status_pb2.Status(code=code_of(error).value[0], message=_short(message_of(error)))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def retry_seconds(error: errors.GradproofError) -> float:
    """Seconds after which the same request may be let in; 0 where that is not known, or never."""
    return float(getattr(error, "retry_seconds", 0.0))


def violations_of(faults: Sequence[errors.Violation]) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """Faults as messages, none of them long."""
    return [
        error_details_pb2.BadRequest.FieldViolation(
            field=fault.path, description=_short(fault.message), reason=fault.reason
        )
        for fault in faults
    ]


def element_of(text: str) -> list[int]:
    """The index of an element that is written as ``[0, 2]``; empty for a 0-d tensor, and for a text that is no index."""
    return list(map(int, re.findall(r"\d+", text))) if re.fullmatch(r"[\[(][\d\s,]*[\])]", text) else []


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo of a status: reason and metadata."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info):
            break
    return info


def run_fault(error: errors.RunFault) -> pb.RunFault:
    """A fault of a node or hook as an event."""
    return pb.RunFault(
        node=error.node,
        op=error.op or None,
        plugin=error.plugin or None,
        value=error.value or None,
        reason=error.reason,
        message=_short(message_of(error)),
        element=element_of(error.element),
        incident=incident_of(error) or None,
    )


async def fail(context: Any, error: Exception) -> None:
    """End a call with the status of ``error``. What nobody foresaw is logged under an incident id."""
    status = status_of(error) if isinstance(error, errors.GradproofError) else unforeseen(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    request_id = CURRENT.get().request_id
    status.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    metadata = ((DETAILS, status.SerializeToString()), (REQUEST_ID, request_id))
    try:
        async with asyncio.timeout(FAREWELL_SECONDS if isinstance(error, Stalled) else None):
            await context.abort(code, status.message, metadata)
    except TimeoutError:  # the status waits behind what is not read: without it the stream is reset, and all of it freed
        raise asyncio.CancelledError from error


def _logged(error: BaseException) -> str:
    incident = uuid.uuid4().hex[:12]
    log.error("internal error", incident=incident, traceback="".join(traceback.format_exception(error)))
    return incident


def unforeseen(error: Exception) -> status_pb2.Status:
    """For what nobody foresaw: the log gets it under an incident id, the client the id and nothing of the inside."""
    incident = _logged(error)
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
