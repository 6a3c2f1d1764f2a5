"""Statuses of a session, unpacked."""

from __future__ import annotations

from dataclasses import dataclass, field

from google.rpc import error_details_pb2

from gradproof.client.errors import FieldFault, field_faults
from gradproof.v1 import autodiff_service_pb2 as pb


@dataclass
class Fault:
    """Code, message and details of a status; ``retry_delay`` in seconds, None where trying again does not help."""

    code: int
    message: str
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    faults: list[FieldFault] = field(default_factory=list)
    retry_delay: float | None = None


def fault_of(response: pb.SessionResponse) -> Fault:
    """The fault that a response of a session holds."""
    status = response.status
    fault = Fault(status.code, status.message)
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            fault.reason, fault.metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            fault.faults = field_faults(bad.field_violations)
        elif detail.Unpack(retry):
            fault.retry_delay = retry.retry_delay.ToTimedelta().total_seconds()
    return fault
