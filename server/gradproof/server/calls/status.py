"""Conversion of exceptions to google.rpc.Status, within the size that trailers can carry."""

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
MAX_BYTES = 3_500  # trailers are limited to 8 KB, and carry base64 and the message twice
MAX_MESSAGE = 900


class VerdictRequired(errors.GradproofError):
    """Gradients have a weaker summary than the request requires; they and their verdicts have been sent."""

    reason = "VERDICT_REQUIRED"

    def __init__(self, required: str, weaker: Sequence[tuple[str, str, str]]) -> None:
        self.required, self.weaker = required, tuple(weaker)
        shown = "; ".join(f"{name!r} is {summary}: {why}" for name, summary, why in weaker[:MAX_VIOLATIONS])
        rest = f"; and {len(weaker) - MAX_VIOLATIONS} more" if len(weaker) > MAX_VIOLATIONS else ""
        super().__init__(f"every gradient must be {required}, and {shown}{rest}")


FAREWELL_SECONDS = 3.0
"""Time for a stalled client to read the status of its call."""


class Stalled(errors.GradproofError):
    """The client has not read from a stream for longer than the limit ``stall_ms``."""

    reason = "STALLED"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the client read nothing of the stream for {seconds:g} s: the limit stall_seconds")


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
"""Names of status codes, by number."""


def code_of(error: errors.GradproofError) -> grpc.StatusCode:
    """The status code of an exception; INTERNAL if `CODES` does not list it."""
    if isinstance(error, errors.RunFault) and error.kind:
        return grpc.StatusCode.INTERNAL  # an exception that a plugin raised
    return next((code for kind, code in CODES if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def metadata_of(error: errors.GradproofError) -> dict[str, str]:
    """Metadata of ErrorInfo. A `RunFault` with an exception of a plugin gets an incident id."""
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
    """The incident id under which the log has the full exception of a plugin; empty if the client gets the full text."""
    if error.kind and not error.incident:
        error.incident = _logged(error)
    return error.incident


def message_of(error: errors.GradproofError) -> str:
    """The message for the client, without the text of a plugin's exception."""
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
    """Seconds after which the request may be sent again; 0 if unknown, or never."""
    return float(getattr(error, "retry_seconds", 0.0))


def violations_of(faults: Sequence[errors.Violation]) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """Violations as messages, with shortened texts."""
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
    """A fault of a node or hook as a RunFault event."""
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
    """End a call with the status of ``error``. Unexpected exceptions are logged under an incident id."""
    status = status_of(error) if isinstance(error, errors.GradproofError) else unexpected(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    request_id = CURRENT.get().request_id
    status.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    metadata = ((DETAILS, status.SerializeToString()), (REQUEST_ID, request_id))
    try:
        async with asyncio.timeout(FAREWELL_SECONDS if isinstance(error, Stalled) else None):
            await context.abort(code, status.message, metadata)
    except TimeoutError:  # the status waits behind unread messages: reset the stream, which frees them
        raise asyncio.CancelledError from error


def _logged(error: BaseException) -> str:
    incident = uuid.uuid4().hex[:12]
    log.error("internal error", incident=incident, traceback="".join(traceback.format_exception(error)))
    return incident


def unexpected(error: Exception) -> status_pb2.Status:
    """The status of an unexpected exception: logged under an incident id, of which alone the client learns."""
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
