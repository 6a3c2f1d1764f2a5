"""A server under load, and among faults: kills, slow readers, clients that vanish, a full disk, clocks that jump."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from hashlib import sha256
from pathlib import Path
from queue import Queue
from threading import Event
from typing import Any

import grpc
import numpy as np
import pytest
from benchmarks import load
from tests.e2e import chaos, steady
from tests.support.server_fixture import leaf, node, request, serving
from tests.support.server_processes import KINDS, ServerProcess, served
from tests.support.waiting import within

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, operations_service_pb2, operations_service_pb2_grpc

pytestmark = [pytest.mark.stress, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]
SECONDS = 30.0  # what would wait for so long hangs
STALL_SECONDS = 1.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for the whole module, which nothing here may leave other than it was."""
    folder = tmp_path_factory.mktemp("server")
    with served(
        folder,
        "--plugin",
        "tests.support.stuck_plugin",
        f"--limits.stall-seconds={STALL_SECONDS}",
    ) as one:
        with grpc.insecure_channel(one.target) as channel:
            load.latencies(autodiff_service_pb2_grpc.AutodiffServiceStub(channel), 0.2)
        yield one
        assert one.process.poll() is None


@pytest.fixture
def stub(server: ServerProcess) -> Iterator[Any]:
    with grpc.insecure_channel(server.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield autodiff_service_pb2_grpc.AutodiffServiceStub(channel)


def answers(stub: Any) -> None:
    """The server answers a small request, and rightly."""
    answer = stub.Differentiate(load.small(), timeout=SECONDS)
    assert np.frombuffer(answer.gradients[0].gradient.data).tolist() == [2.0, 4.0]


def test_small_requests_leave_nothing_behind(server: ServerProcess) -> None:
    found = steady.course(server, 1500)
    assert found.flat, str(found)


def test_cancelled_streams_leave_no_memory_behind(server: ServerProcess) -> None:
    found = load.memory(server)
    assert found["left by each cancelled stream"] < load.LEFT_BYTES, found
    assert found["threads more"] < 5, found  # of two hundred idle sessions none has one of its own


def test_a_leak_of_cancelled_streams_is_seen(tmp_path: Path) -> None:
    """An op keeps every second result, where each stream has eight, until it has 800 MB."""
    with served(tmp_path, "--plugin", "tests.support.leaking_plugin") as one, grpc.insecure_channel(one.target) as channel:
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        left = load.left_behind(one, stub, load.wide(1 << 20, "leaking.exp"))
    assert left > load.LEFT_BYTES


def in_flight(target: str) -> int:
    """Calls that the server has not ended, but the one that asks."""
    with grpc.insecure_channel(target) as channel:
        stub: Any = operations_service_pb2_grpc.OperationsServiceStub(channel)
        status = stub.GetStatus(operations_service_pb2.GetStatusRequest(), timeout=SECONDS)
    return int(sum(process.calls_in_flight for process in status.processes)) - 1


def test_readers_that_do_not_read(server: ServerProcess, stub: Any) -> None:
    """They keep nobody from anything, and are cut off in the end: nothing of their calls is left in the server."""
    message = pb.StreamingDifferentiateRequest(request=load.wide(1 << 20))
    calls = [stub.StreamingDifferentiate(message, timeout=2 * SECONDS) for _ in range(8)]
    for call in calls:
        next(call)
    assert in_flight(server.target) == len(calls)
    for _ in range(20):
        answers(stub)
    assert within(SECONDS, lambda: in_flight(server.target) == 0)
    for call in calls:
        with suppress(grpc.RpcError):
            list(call)
        assert call.code() in (grpc.StatusCode.ABORTED, grpc.StatusCode.CANCELLED), call.details()
    answers(stub)


def test_clients_that_say_half_of_it(server: ServerProcess, stub: Any) -> None:
    """Connections with nothing, or half a greeting, on them; sessions with half an upload; clients killed within a run."""
    before = server.descriptors()
    host, port = server.target.split(":")
    with ExitStack() as stack:
        for k in range(30):
            one = stack.enter_context(socket.create_connection((host, int(port)), SECONDS))
            one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[: k % 25])
        answers(stub)
    header: dict[str, Any] = {"tensor_id": 1, "total_bytes": 1 << 20, "spec": {"dtype": "DATA_TYPE_FLOAT64"}}
    header["spec"]["shape"] = [1 << 17]
    over = Event()

    def frames() -> Iterator[pb.SessionRequest]:
        yield pb.SessionRequest(header=header)  # type: ignore[arg-type]
        yield pb.SessionRequest(chunk={"tensor_id": 1, "data": b"\0" * 1000})  # type: ignore[arg-type]
        over.wait(SECONDS)

    calls = [stub.Session(frames(), timeout=SECONDS) for _ in range(10)]
    answers(stub)
    for call in calls:
        call.cancel()
    over.set()
    code = f"import sys; from tests.e2e import test_load; test_load.vanish({server.target!r})"
    vanishing = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    for process in vanishing:
        assert process.stdout is not None
        assert process.stdout.readline() == b"running\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    answers(stub)
    assert within(SECONDS, lambda: server.descriptors() <= before + 2), (before, server.descriptors())


def vanish(target: str) -> None:
    """A client with a session in which a check hangs, to be killed."""
    stub: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(grpc.insecure_channel(target))
    over = Event()

    def frames() -> Iterator[pb.SessionRequest]:
        yield pb.SessionRequest(differentiate=load.hanging())
        over.wait(SECONDS)

    for _ in stub.Session(frames()):
        print("running", flush=True)


def test_idle_sessions_cost_nothing(server: ServerProcess, stub: Any) -> None:
    before, over = server.threads(), Event()
    with ExitStack() as stack:
        for _ in range(load.SESSIONS):
            stack.callback(stub.Session(load.idle(over), timeout=SECONDS).cancel)
        for _ in range(20):
            answers(stub)
        assert server.threads() == before
        over.set()


def test_a_caller_that_floods_keeps_nobody_out(tmp_path: Path) -> None:
    """Five hundred calls of a caller at once: what is above its share is refused; another caller has all its answers."""
    tokens = {name: name * 40 for name in "ab"}
    lines = [
        f'[callers.{name}]\nsha256 = "{sha256(token.encode()).hexdigest()}"\nscopes = ["evaluate"]\n'
        for name, token in tokens.items()
    ]
    file = tmp_path / "callers.toml"
    file.write_text("".join(lines))
    file.chmod(0o600)
    heavy = pb.EvaluateRequest(input=pb.RunInput(graph=load.product(600).input.graph, fetch=["y"]))
    with serving(tmp_path / "proofs", token_file=file) as one:
        mine, other = ((("authorization", f"Bearer {tokens[name]}"),) for name in "ab")
        flood = [one.autodiff.Evaluate.future(heavy, metadata=other, timeout=2 * SECONDS) for _ in range(500)]
        for _ in range(20):
            one.autodiff.Differentiate(load.small(), metadata=mine, timeout=SECONDS)
        codes = Counter(call.code() for call in flood)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes


def test_a_full_disk_costs_no_answer(tmp_path: Path) -> None:
    """Neither the proofs nor the log can be written: runs are answered and checked, proofs are kept in memory."""
    with served(tmp_path) as one, grpc.insecure_channel(one.target) as channel:
        for pid in one.tree():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))
        stub: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        for op in ("sin", "cos", "tanh"):
            message = request([leaf("x", np.array([0.5]))], [node(op, "x", "s"), node("sum", "s", "y")], "y")
            message.verify.CopyFrom(pb.VerifyOptions(budget_seconds=20.0))
            answer = stub.Differentiate(message, timeout=SECONDS)
            assert answer.summary.verified == 1, answer
        answers(stub)


@pytest.mark.parametrize("years", [10, -10])
def test_clocks_that_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    """The time of day is set by years while a session with a deadline is open: nothing expires, or waits, by it."""
    now, frames = time.time, Queue[pb.SessionRequest | None]()
    with serving(tmp_path) as one:
        events = one.autodiff.Session(iter(frames.get, None), timeout=SECONDS)
        for k, jump in enumerate((0, years, 0)):
            monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump * 365 * 86_400)
            message = load.small()
            message.verify.CopyFrom(pb.VerifyOptions(budget_seconds=20.0))
            message.input.request_id = f"{k}"
            frames.put(pb.SessionRequest(differentiate=message))
            answers = [event for answer in summarized(events) for event in answer.events]
            assert [event.summary.verified for event in answers if event.HasField("summary")] == [1]
        frames.put(None)
        assert not list(events)


def summarized(events: Any) -> Iterator[pb.SessionResponse]:
    """The answers of a session up to the end of a run."""
    for answer in events:
        yield answer
        if answer.HasField("status") or any(event.HasField("summary") for event in answer.events):
            return


@pytest.mark.parametrize("kind", ["operated", "embedded"])
def test_processes_that_are_killed(tmp_path: Path, kind: str) -> None:
    """Kills at random under load: no answer is lost, late or wrong, and no process is left."""
    if kind == "operated":
        with chaos.operated(tmp_path) as (clients, processes):
            toll = chaos.storm(clients, processes, KINDS[1:], 4, 0.5, seed=7)
    else:
        with chaos.embedded(tmp_path) as (clients, processes):
            toll = chaos.storm(clients, processes, KINDS, 3, 1.0, seed=3)
    assert not toll.faults, str(toll) + "\n".join(toll.faults[:5])
    assert toll.answers
