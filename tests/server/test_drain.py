"""Draining: a server ends within its grace time whatever is open, and says so first; with one process, and with two."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.support.marked_servers import OWNED, SOON, environment, serve, servers
from tests.support.server_fixture import leaf, node, request
from tests.support.waiting import within
from typer.testing import CliRunner

from gradproof.server.commands.cli import app
from gradproof.server.supervision.embedded import READY
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2, op_service_pb2, op_service_pb2_grpc

__all__ = ["environment"]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


over = threading.Event()


pytestmark = pytest.mark.stress


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Streams that stay open end with the test."""
    over.clear()
    yield
    over.set()


def asking(*messages: Any) -> Iterator[Any]:
    """Messages, and then silence: the stream stays open."""
    yield from messages
    over.wait()


def events(response: pb.SessionResponse) -> list[pb.Event]:
    return list(response.events)


class Open:
    """Things that are open at a server, of all kinds. ``held``: those for which it waits for its grace time."""

    def __init__(self, target: str) -> None:
        self.channel = grpc.insecure_channel(target)
        self.autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self.channel)
        self.watch: Any = health_pb2_grpc.HealthStub(self.channel).Watch(health_pb2.HealthCheckRequest())
        assert next(self.watch).status == SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(self.channel)
        self.reflection: Any = reflection.ServerReflectionInfo(
            asking(reflection_pb2.ServerReflectionRequest(list_services=""))
        )
        assert next(self.reflection).list_services_response.service
        release = pb.SessionRequest()
        release.release.saved = "nothing"
        message = request([leaf("x", np.ones(2))], [node("exp", "x", "e"), node("sum", "e", "y")], "y", request_id="1")
        self.session: Any = self.autodiff.Session(asking(release, pb.SessionRequest(differentiate=message)))
        while not any(event.HasField("summary") for event in events(next(self.session))):
            pass
        self.held: list[Any] = []

    def hold(self) -> None:
        """Open what does not end by itself: a hook that nobody answers, a stream that nobody reads, an op that sleeps."""
        hook = graph_pb2.Hook(value="x", client=graph_pb2.ClientHook(hook_id=1))
        hooked = request([leaf("x", np.ones(2))], [node("sum", "x", "y")], "y", request_id="2", hooks=[hook])
        waiting = self.autodiff.Session(asking(pb.SessionRequest(differentiate=hooked)))
        while not any(event.HasField("hook_request") for event in events(next(waiting))):
            pass
        large = request([leaf("x", np.ones(1 << 18))], [node("exp", "x", "e"), node("sum", "e", "y")], "y", fetch=["e"])
        unread = self.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=large))
        assert next(unread).events[0].HasField("accepted")
        asleep = request([leaf("x", np.ones(2))], [node("held.asleep", "x", "y")], "y").input.graph
        running = self.autodiff.Evaluate.future(pb.EvaluateRequest(input=pb.RunInput(graph=asleep)))
        ops = op_service_pb2_grpc.OpServiceStub(self.channel)
        proving = ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="matmul", budget_seconds=60.0, refresh=True))
        self.held = [waiting, unread, running, proving]


def refused(opened: Open) -> bool:
    """Whether a new call is not served any more. One that was on its way may be."""
    try:
        opened.autodiff.GetServerInfo(pb.GetServerInfoRequest())
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.UNAVAILABLE
    return False


def test_idle_streams_end_at_once(environment: dict[str, str]) -> None:
    with serve(environment, *OWNED, "--grace", "600") as (process, target):
        opened = Open(target)
        process.terminate()
        assert process.wait(SOON) == 0
        assert [one.status for one in opened.watch] == [NOT_SERVING]
        assert list(opened.reflection) == []
        assert list(opened.session) == []


def test_whatever_is_held_ends_within_the_grace_time(environment: dict[str, str]) -> None:
    with serve(environment, *OWNED, "--grace", "0.5", "--plugin", "tests.support.held_plugin") as (process, target):
        opened = Open(target)
        opened.hold()
        started = time.monotonic()
        process.terminate()
        assert next(opened.watch).status == NOT_SERVING
        assert within(SOON, lambda: refused(opened))
        assert process.wait(SOON) in (0, 128 + signal.SIGKILL)
        assert time.monotonic() - started < SOON
        assert opened.held[2].exception() is not None
    assert within(SOON, lambda: servers(environment) == [])


def test_two_processes_are_one_server(environment: dict[str, str], unused_port: int) -> None:
    words = (*OWNED, "--grace", "0.5", "--processes", "2", "--metrics-port", str(unused_port))
    with serve(environment, *words) as (process, target):

        def status() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["status", target, "--json"]).stdout)
            return found

        assert within(3 * SOON, lambda: [one["number"] for one in status()["processes"]] == [0, 1])
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics", timeout=SOON) as response:
            text = response.read().decode()
        assert 'gradproof_serving{process="0"} 1.0' in text
        assert 'gradproof_serving{process="1"} 1.0' in text
        reached = set()
        for _ in range(40):  # the kernel spreads connections
            with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                autodiff_service_pb2_grpc.AutodiffServiceStub(channel).GetServerInfo(pb.GetServerInfoRequest())
            calls = "gradproof_calls_total"
            with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics", timeout=SOON) as response:
                lines = [line for line in response.read().decode().splitlines() if line.startswith(calls)]
            reached = {line.partition('process="')[2][0] for line in lines if "GetServerInfo" in line}
            if len(reached) == 2:
                break
        assert reached == {"0", "1"}
        taken = ("serve", "--port", target.rpartition(":")[2], "--processes", "2")
        with serve(environment, *taken[1:]) as (other, said):  # the port is not shared with a stranger
            assert said == ""
            assert other.wait(SOON) == 1
        process.terminate()
        assert process.wait(SOON) == 0
    assert within(SOON, lambda: servers(environment) == [])


def test_a_line_is_said_once(environment: dict[str, str]) -> None:
    with serve(environment, *OWNED, "--processes", "2", "--grace", "0") as (process, target):
        assert READY not in target
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.read() == ""
        assert process.wait(SOON) == 0


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
