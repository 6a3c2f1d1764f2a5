"""Life and death: a server ends with its owner and within its grace time, whatever it is at; it answers once it says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.support.marked_servers import OWNED, ROOT, SOON, environment, serve, servers
from tests.support.server_fixture import leaf, node, request
from tests.support.waiting import within

from gradproof.client import Client, connect
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc

__all__ = ["environment"]

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked for in /proc"),
]

JOB = """
import os, signal, sys, threading, time
import numpy as np
from gradproof.client import GraphBuilder, connect

how, cache = sys.argv[1:]
client = connect(arguments=["--cache", cache, "--plugin", "tests.support.held_plugin"])
g = GraphBuilder()
g.output(g.apply("held.grasping", g.leaf("x", np.ones(2))))
threading.Thread(target=lambda: client.evaluate(g), daemon=True).start()
time.sleep(0.3)  # until the server is lost in it, or nearly
print("here", flush=True)
if how == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "fork" and os.fork() == 0:
    time.sleep(60)
os._exit(0)
"""


def processor_seconds(pid: int) -> float:
    """What a process has worked so far."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("how", ["kill", "fork"])
def test_an_embedded_server_ends_with_its_owner(environment: dict[str, str], tmp_path: Path, how: str) -> None:
    """An op of it holds the interpreter; a fork of the owner lives on, with all descriptors of the owner. Nobody else
    holds the output of the owner."""
    job = subprocess.Popen(
        [sys.executable, "-c", JOB, how, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        process_group=0,
    )
    with job:
        assert job.stdout is not None
        assert job.stdout.readline() == b"here\n"
        job.wait(60)
        assert within(SOON, lambda: servers(environment) == [])
        os.killpg(job.pid, signal.SIGKILL) if how == "fork" else None
        assert b"Traceback" not in job.stdout.read()


def test_sigterm_ends_a_server_within_its_grace_time_whatever_runs(environment: dict[str, str]) -> None:
    with serve(environment, *OWNED, "--grace", "0.2", "--plugin", "tests.support.held_plugin") as (process, target):
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(grpc.insecure_channel(target))
        graph = request([leaf("x", np.ones(2))], [node("held.grasping", "x", "y")], "y").input.graph
        call = stub.Evaluate.future(pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
        time.sleep(0.3)
        process.terminate()
        assert process.wait(SOON) in (0, 128 + signal.SIGKILL)
        assert call.exception() is not None
    assert within(SOON, lambda: servers(environment) == [])


def test_a_second_signal_ends_it_at_once(environment: dict[str, str]) -> None:
    with serve(environment, *OWNED, "--grace", "600", "--plugin", "tests.support.held_plugin") as (process, target):
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(grpc.insecure_channel(target))
        graph = request([leaf("x", np.ones(2))], [node("held.asleep", "x", "y")], "y").input.graph
        running = stub.Evaluate.future(pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert not running.done()
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON) == 128 + signal.SIGKILL


def test_a_ready_server_answers_at_once_and_an_idle_one_ends_at_once(environment: dict[str, str]) -> None:
    """Idle though a session is open, a watch of its health, and a call that a client gave up."""
    with serve(environment, "--grace", "600", "--plugin", "tests.support.held_plugin") as (process, target):
        channel = grpc.insecure_channel(target)
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        ops = op_service_pb2_grpc.OpServiceStub(channel)
        grpc.channel_ready_future(channel).result(SOON)
        message = request([leaf("x", np.ones(2))], [node("exp", "x", "e"), node("sum", "e", "y")], "y")
        calls: list[Callable[[], Any]] = [
            lambda: stub.Differentiate(message),
            lambda: ops.ListOps(op_service_pb2.ListOpsRequest()),
            lambda: stub.Infer(pb.InferRequest(graph=message.input.graph)),
            lambda: stub.GetServerInfo(pb.GetServerInfoRequest()),
        ]
        for call in calls:  # what a busy machine does to the clock on the wall decides nothing
            started, used = time.perf_counter(), processor_seconds(process.pid)
            call()
            assert processor_seconds(process.pid) - used < 5 * 0.05
            assert time.perf_counter() - started < SOON
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        with Client(target) as client, client.session() as session:
            session.release("nothing")
            graph = request([leaf("x", np.ones(2))], [node("held.asleep", "x", "y")], "y").input.graph
            with pytest.raises(grpc.RpcError):
                stub.Evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=graph)), timeout=0.2)
            process.terminate()
            assert process.wait(SOON) == 0
        assert [one.status for one in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]


def test_what_an_embedded_server_says_is_said_here(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Its output is a pipe of its own, so that of the owner ends with the owner; what it writes is not lost."""
    with connect(arguments=["--cache", str(tmp_path), "--plugin", "tests.support.talking_plugin"]) as client:
        assert "talking.say" in {op.name for op in client.ops()}
    assert "said at the start" in capsys.readouterr().err


def test_numbers_that_overflow_are_no_news_for_the_log(environment: dict[str, str], tmp_path: Path) -> None:
    code = f"""
import numpy as np
from gradproof.client import GraphBuilder, connect
with connect(arguments=["--cache", {str(tmp_path)!r}]) as client:
    for op, at in (("exp", 1e4), ("sqrt", -1.0), ("sum", np.inf)):
        g = GraphBuilder()
        x = g.leaf("x", np.array([at, at, 0.0]), requires_grad=True)
        g.output(g.apply("sum", g.apply(op, 3 / x - 1 / x) * x * 1e300 * 1e300))
        client.differentiate(g, budget=1.0)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
