"""The command `gradproof status`: health, processes and running calls of a server."""

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

NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def status(
    target: Target,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    watch: Annotated[float, typer.Option(help="Repeat at this interval in seconds, until interrupted; 0: once.")] = 0.0,
    timeout: Annotated[float, typer.Option(help="Seconds for the server to answer.")] = 5.0,
) -> None:
    """Show the health and the calls of a server. Exit status 0 if it is serving, 1 if it is not, 2 if it does not
    answer."""
    console = Console(markup=False, emoji=False)  # names of callers and requests are printed as they are
    try:
        connection = target.connection()
        with connection.channel() as channel:
            client = _StatusClient(channel, connection, timeout, target)
            code = UNREACHABLE
            if not watch:
                code = _print(console, client, as_json)
            elif as_json:
                while (code := _print(console, client, True)) != UNREACHABLE:
                    time.sleep(watch)
            else:
                with Live(console=console, auto_refresh=False) as live:
                    while True:
                        code, view = client.view()
                        live.update(view, refresh=True)
                        time.sleep(watch)
    except KeyboardInterrupt:
        pass
    except (OSError, ValueError) as error:
        typer.echo(f"gradproof status: {target.explain(error)}", err=True)
        code = UNREACHABLE
    raise typer.Exit(code)


class _StatusClient:
    """Requests health and status of a server, for ``timeout`` seconds each."""

    def __init__(self, channel: grpc.Channel, connection: Connection, timeout: float, target: Target) -> None:
        self._health = health_pb2_grpc.HealthStub(channel)
        self._operations: Any = operations_service_pb2_grpc.OperationsServiceStub(channel)
        self._connection, self._timeout, self._target = connection, timeout, target

    def answer(self) -> tuple[int, str, pb.GetStatusResponse]:
        """The exit status, the health or the error, and the status, empty if the caller may not see it."""
        options = self._connection.call(self._timeout, uuid.uuid4().hex)
        try:
            health = self._health.Check(health_pb2.HealthCheckRequest(), **options).status
        except grpc.RpcError as error:
            return UNREACHABLE, f"{error.code().name}: {self._explain(error)}", pb.GetStatusResponse()
        word = health_pb2.HealthCheckResponse.ServingStatus.Name(health)
        code = SERVING if word == "SERVING" else NOT_SERVING
        try:
            return code, word, self._operations.GetStatus(pb.GetStatusRequest(), **options)
        except grpc.RpcError as error:
            if error.code() in NO_ANSWER:
                return UNREACHABLE, f"{error.code().name}: {self._explain(error)}", pb.GetStatusResponse()
            return code, f"{word} (calls are not shown: {self._explain(error)})", pb.GetStatusResponse()

    def _explain(self, error: grpc.RpcError) -> str:
        return self._target.explain(from_rpc(error, self._target.address or ""))

    def view(self) -> tuple[int, Group]:
        """The exit status, and the tables to show."""
        code, word, status = self.answer()
        return code, Group(word, *(table for process in status.processes for table in tables(process)))


def _print(console: Console, client: _StatusClient, as_json: bool) -> int:
    """Print the status, and return the exit status."""
    if not as_json:
        code, view = client.view()
        console.print(view)
        return code
    code, word, status = client.answer()
    fields = json_format.MessageToDict(status, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
    print(json.dumps({"health": word, **fields}), flush=True)
    return code


def tables(process: pb.ProcessStatus) -> tuple[Table, Table]:
    """A table about a process, and a table of its calls."""
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
        calls.add_column(name, overflow="fold" if name in ("method", "request id") else "ellipsis")  # users search for both
    for call in process.calls:
        method = call.method.lstrip("/").partition("/")[2]
        calls.add_row(method, f"{call.seconds:.1f}", call.phase, call.caller, call.request_id, call.peer)
    return about, calls
