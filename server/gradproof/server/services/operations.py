"""The servicer of operators: state of this process, and of the other processes of the server."""

from __future__ import annotations

import asyncio
import os
import time
from functools import cache
from importlib.metadata import version
from typing import Protocol

from gradproof.server.calls.calls import CURRENT, Context
from gradproof.server.observability.metrics import STARTED, MetricSource, resident_bytes
from gradproof.server.services.health import Health
from gradproof.server.supervision.peers import Peers
from gradproof.server.supervision.supervised_process import SupervisedProcess
from gradproof.v1 import operations_service_pb2 as pb
from gradproof.v1 import operations_service_pb2_grpc

MAX_CALLS = 1000
ADMIN = "admin"


class Shown(MetricSource, Protocol):
    """A server, as far as its status shows it."""

    health: Health
    peers: Peers
    process: SupervisedProcess


class OperationsServicer(operations_service_pb2_grpc.OperationsServiceServicer):
    """gradproof.v1.OperationsService."""

    def __init__(self, host: Shown) -> None:
        self._host = host

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        caller = CURRENT.get().caller
        loop = asyncio.get_running_loop()
        statuses = await loop.run_in_executor(None, self._host.peers.ask, "status")
        response = pb.GetStatusResponse(processes=map(pb.ProcessStatus.FromString, statuses.values()))
        if ADMIN not in caller.scopes:
            for process in response.processes:
                own = [call for call in process.calls if call.caller == caller.name]
                del process.calls[:]
                process.calls.extend(own)
        return response


def process_status(host: Shown) -> pb.ProcessStatus:
    """The status of this process. May be called from any thread."""
    handler, proofs, records = host.handler, host.proofs, host.calls.records()
    workers = proofs.workers
    return pb.ProcessStatus(
        number=host.process.number,
        pid=os.getpid(),
        health=host.health.words(),
        verify_fault=workers.fault or None,
        version=_version(),
        uptime_seconds=time.time() - STARTED,
        calls=[
            pb.CallStatus(
                method=record.call.method,
                request_id=record.call.request_id,
                caller=record.call.caller.name,
                peer=record.call.peer,
                seconds=record.elapsed,
                phase=record.phase,
            )
            for record in records[:MAX_CALLS]
        ],
        calls_in_flight=len(records),
        sessions=len(handler.sessions),
        saved_bytes=handler.forward_cache.held_bytes,
        saved_runs=len(handler.forward_cache),
        workers_busy=workers.busy,
        workers_idle=workers.idle,
        workers_lost=workers.counts.lost,
        proofs_queued=proofs.queued,
        proofs_running=proofs.running,
        resident_bytes=resident_bytes(),
    )


@cache
def _version() -> str:
    return version("gradproof")
