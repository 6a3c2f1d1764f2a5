"""The overview of a server: what `gradproof status` shows of it."""

from __future__ import annotations

import json
import time
import uuid
from typing import Annotated, Any

import grpc
import typer
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from gradproof.client.channel import Connection
from gradproof.client.errors import from_rpc
from gradproof.server.commands.target import Target
from gradproof.v1 import operations_service_pb2 as pb
from gradproof.v1 import operations_service_pb2_grpc

SERVING, NOT_SERVING, UNREACHABLE = 0, 1, 2
"""Exit statuses."""

GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def status(
    target: Target,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    watch: Annotated[float, typer.Option(help="Show it anew every so many seconds, until interrupted; 0: once.")] = 0.0,
    timeout: Annotated[float, typer.Option(help="Seconds for the server to answer.")] = 5.0,
) -> None:
    """Show what a server runs. Exit status 0 if it is serving, 1 if it is not, 2 if it does not answer."""
    console = Console()
    try:
        connection = target.connection()
        with connection.channel() as channel:
            asking = _Asking(channel, connection, timeout, target)
            code = UNREACHABLE
            if not watch:
                code = _print(console, asking, as_json)
            elif as_json:
                while (code := _print(console, asking, True)) != UNREACHABLE:
                    time.sleep(watch)
            else:
                with Live(console=console, auto_refresh=False) as live:
                    while True:
                        code, shown = asking.shown()
                        live.update(shown, refresh=True)
                        time.sleep(watch)
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError) as error:
        typer.echo(f"gradproof status: {target.explained(error)}", err=True)
        code = UNREACHABLE
    raise typer.Exit(code)


class _Asking:
    """Asks one server, for `timeout` seconds."""

    def __init__(self, channel: grpc.Channel, connection: Connection, timeout: float, target: Target) -> None:
        self._health = health_pb2_grpc.HealthStub(channel)
        self._operations: Any = operations_service_pb2_grpc.OperationsServiceStub(channel)
        self._connection, self._timeout, self._target = connection, timeout, target

    def answer(self) -> tuple[int, str, pb.GetStatusResponse]:
        """The exit status, the health or what is wrong, and what runs, as far as it may be known."""
        rest = self._connection.call(self._timeout, uuid.uuid4().hex)
        try:
            found = self._health.Check(health_pb2.HealthCheckRequest(), **rest).status
        except grpc.RpcError as error:
            return UNREACHABLE, f"{error.code().name}: {self._said(error)}", pb.GetStatusResponse()
        word = health_pb2.HealthCheckResponse.ServingStatus.Name(found)
        code = SERVING if word == "SERVING" else NOT_SERVING
        try:
            return code, word, self._operations.GetStatus(pb.GetStatusRequest(), **rest)
        except grpc.RpcError as error:
            if error.code() in GONE:
                return UNREACHABLE, f"{error.code().name}: {self._said(error)}", pb.GetStatusResponse()
            return code, f"{word} (what runs is not shown: {self._said(error)})", pb.GetStatusResponse()

    def _said(self, error: grpc.RpcError) -> str:
        return self._target.explained(from_rpc(error))

    def shown(self) -> tuple[int, Group]:
        """The exit status, and what to show."""
        code, word, found = self.answer()
        return code, Group(word, *(part for process in found.processes for part in tables(process)))


def _print(console: Console, asking: _Asking, as_json: bool) -> int:
    if not as_json:
        code, shown = asking.shown()
        console.print(shown)
        return code
    code, word, found = asking.answer()
    text = json_format.MessageToDict(found, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
    print(json.dumps({"health": word, **text}), flush=True)
    return code


def tables(process: pb.ProcessStatus) -> tuple[Table, Table]:
    """What a process is, and the calls that it is at."""
    about = Table(title=f"process {process.number}, pid {process.pid}", show_header=False)
    health = ", ".join(f"{name or 'server'} {word}" for name, word in sorted(process.health.items()))
    fault = f" ({process.verify_fault})" if process.verify_fault else ""
    for name, value in (
        ("health", health + fault),
        ("version", process.version),
        ("up", f"{process.uptime_seconds:.0f} s, {process.resident_bytes / 1e6:.0f} MB"),
        ("calls in flight", str(process.calls_in_flight)),
        ("sessions", f"{process.sessions}, with {process.saved_runs} saved runs, {process.saved_bytes / 1e6:.1f} MB"),
        ("workers", f"{process.workers_busy} busy, {process.workers_idle} idle, {process.workers_lost} lost so far"),
        ("proofs", f"{process.proofs_running} running, {process.proofs_queued} queued"),
    ):
        about.add_row(name, value)
    calls = Table()
    for name in ("method", "seconds", "at", "caller", "request id", "peer"):
        calls.add_column(name, overflow="fold" if name in ("method", "request id") else "ellipsis")  # both are searched for
    for one in process.calls:
        method = one.method.lstrip("/").partition("/")[2]
        calls.add_row(method, f"{one.seconds:.1f}", one.phase, one.caller, one.request_id, one.peer)
    return about, calls
