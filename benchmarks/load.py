"""Latency of small requests beside heavy load: a small gradient from a real server, alone and beside each burden.

    python -m benchmarks.load [--seconds 8] [--json FILE]

A single client sends small requests in sequence (two numbers, gradient of the sum of their squares, no checks). Rounds
alone and beside a burden alternate. The last rows are about the server: its memory after large cancelled streams and
beside idle sessions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread
from typing import Any

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table
from tests.support.server_fixture import leaf, node, request
from tests.support.server_processes import ServerProcess, served

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc

GOAL_MS = 10.0
"""Goal for the 99th percentile of the latency of small requests, beside each burden."""
STREAMS = 400
LEFT_BYTES = 1 << 20
"""Goal for what each of so many cancelled streams leaves in the server. A leak is a multiple of it: a stream has eight
arrays of 8 MiB. The memory that plans keep for their next run (`MAX_IDLE_BYTES`) is less than that of all streams."""
HEAVY_ROWS = 2600  # 35 GFlop in the product
SETTLE_SECONDS, READY = 0.3, "burdened"
PATIENCE = 15.0  # seconds until abandoned runs have ended, and free memory was returned to the system
SESSIONS = 200
PLUGINS = ("--plugin", "tests.support.stuck_plugin")
Stub = Any


def small() -> pb.DifferentiateRequest:
    return request([leaf("x", np.array([1.0, 2.0]))], [node("multiply", "x x", "s"), node("sum", "s", "y")], "y")


def product(rows: int) -> pb.DifferentiateRequest:
    """Both gradients of a product of two square matrices, which are broadcast at the server."""
    shape = {"shape": {"int_list": {"values": [rows, rows]}}}
    ones = [node("broadcast_to", f"{name}0", name, attributes=shape) for name in "ab"]
    nodes = [*ones, node("matmul", "a b", "c"), node("sum", "c", "y")]
    return request([leaf("a0", np.array(1.5)), leaf("b0", np.array(0.5))], nodes, "y")


def chain(length: int, size: int = 2) -> pb.DifferentiateRequest:
    nodes = [node("sin", f"v{k}" if k else "x", f"v{k + 1}") for k in range(length)]
    return request([leaf("x", np.ones(size))], [*nodes, node("sum", f"v{length}", "y")], "y", fetch=[])


def wide(size: int, op: str = "exp") -> pb.DifferentiateRequest:
    """Many large results, more than a client reads."""
    parts = [leaf(f"x{k}", np.array(1.0)) for k in range(8)]
    shape = {"shape": {"int_list": {"values": [size]}}}
    nodes = [node("broadcast_to", f"x{k}", f"b{k}", attributes=shape) for k in range(8)]
    nodes += [node(op, f"b{k}", f"e{k}") for k in range(8)] + [node("sum", f"e{k}", f"y{k}") for k in range(8)]
    return request(parts, nodes, " ".join(f"y{k}" for k in range(8)), fetch=[f"e{k}" for k in range(8)])


def hanging() -> pb.DifferentiateRequest:
    """A request whose check does not end by itself."""
    verify = pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=20.0)
    nodes = [node("stuck.hang_symbols", "x", "s"), node("sum", "s", "y")]
    return request([leaf("x", np.array([0.5]))], nodes, "y", verify=verify)


def cancelled(stub: Stub, message: pb.DifferentiateRequest) -> None:
    """Start a stream, and cancel it after its first event."""
    call = stub.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message), timeout=60)
    next(iter(call))
    call.cancel()


def burdens(stub: Stub) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Burdens by name: the number of threads, and the call that each thread repeats."""
    heavy = pb.EvaluateRequest(input=pb.RunInput(graph=product(HEAVY_ROWS).input.graph, fetch=["y"]))
    many, large = pb.InferRequest(graph=chain(99_000).input.graph), wide(1 << 20)
    return {
        "a hanging proof": (1, lambda: stub.Differentiate(hanging(), timeout=30)),
        "four heavy products": (4, lambda: stub.Evaluate(heavy, timeout=120)),
        "Infer of 99 000 nodes": (1, lambda: stub.Infer(many, timeout=60)),
        "cancelled streams": (1, lambda: cancelled(stub, large)),
    }


def bear(target: str, name: str) -> None:
    """Put the burden on the server until this process is killed; prints ``READY`` at the start. Raises RpcError if the
    server refuses the burden."""
    channel = grpc.insecure_channel(target)
    count, call = burdens(autodiff_service_pb2_grpc.AutodiffServiceStub(channel))[name]
    refused: list[grpc.RpcError] = []

    def work() -> None:
        while not refused:
            try:
                call()
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED):
                    refused.append(error)

    threads = [Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    print(READY, flush=True)
    for thread in threads:
        thread.join()
    raise refused[0]


@contextmanager
def burdened(target: str, name: str) -> Iterator[None]:
    """Run a burden in its own process, so that it shares no interpreter with the measuring client."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.load", "--bear", name, target], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline().decode().strip() == READY
        time.sleep(SETTLE_SECONDS)
        yield
        assert process.poll() is None, f"{name!r} was refused"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


BURDENS = ("a hanging proof", "four heavy products", "Infer of 99 000 nodes", "cancelled streams")
ROWS: dict[str, tuple[str, ...]] = {"nothing": (), **{name: (name,) for name in BURDENS}, "all of these": BURDENS}


def latencies(stub: Stub, seconds: float) -> list[float]:
    """Milliseconds of small requests in sequence."""
    message, times, end = small(), [], time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.perf_counter()
        stub.Differentiate(message, timeout=60)
        times.append(1000 * (time.perf_counter() - started))
    return times


def measured(target: str, seconds: float, rounds: int = 3) -> dict[str, dict[str, float]]:
    """Percentiles of the latency beside each burden, in rounds that alternate."""
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        latencies(stub, 0.5)
        for _ in range(rounds):
            for name, burdens_beside in ROWS.items():
                with ExitStack() as stack:
                    for burden in burdens_beside:
                        stack.enter_context(burdened(target, burden))
                    times[name] += latencies(stub, seconds / rounds)
    return {name: percentiles(latencies_beside) for name, latencies_beside in times.items()}


def percentiles(times: Sequence[float]) -> dict[str, float]:
    cuts = quantiles(times, n=1000, method="inclusive")
    return {"requests": len(times), "p50": cuts[499], "p99": cuts[989], "worst": max(times)}


def settled(server: ServerProcess, seconds: float, enough: float = 0) -> int:
    """Resident bytes of an idle server: the least within ``seconds``, in which abandoned runs end, and free memory is
    returned to the system; the first that is ``enough`` ends it sooner."""
    end, least = time.monotonic() + seconds, server.resident()
    while time.monotonic() < end and least > enough:
        time.sleep(0.1)
        least = min(least, server.resident())
    return least


def left_behind(server: ServerProcess, stub: Stub, message: pb.DifferentiateRequest) -> float:
    """Resident bytes that each of ``STREAMS`` cancelled streams leaves in the server, where
    ``STREAMS * LEFT_BYTES`` in all are enough to end it early."""
    before = settled(server, 3.0)
    limit, now = before + STREAMS * LEFT_BYTES, before
    for k in range(STREAMS):
        cancelled(stub, message)
        if k % 20 == 19 and (now := settled(server, PATIENCE, limit)) > limit:
            break
    return (now - before) / STREAMS


def memory(server: ServerProcess) -> dict[str, float]:
    """Resident bytes that large cancelled streams leave in the server, and those beside idle sessions."""
    with grpc.insecure_channel(server.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub: Stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        left = left_behind(server, stub, wide(1 << 20))
        threads, descriptors = server.threads(), server.descriptors()
        with ExitStack() as stack:
            over = Event()
            for _ in range(SESSIONS):
                call = stub.Session(idle(over), timeout=120)
                stack.callback(call.cancel)
            times = percentiles(latencies(stub, 2.0))
            numbers = {
                "left by each cancelled stream": left,
                "beside idle sessions": server.resident(),
                "threads more": server.threads() - threads,
                "descriptors more": server.descriptors() - descriptors,
                "p99 beside idle sessions": times["p99"],
            }
            over.set()
    return numbers


def idle(over: Event) -> Iterator[pb.SessionRequest]:
    """A client that sends nothing."""
    over.wait(60)
    yield from ()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of measuring, beside each burden")
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    parser.add_argument("--bear", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.bear:
        bear(options.bear[1], options.bear[0])
    console = Console()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), *PLUGINS) as server:
        results: dict[str, Any] = {"latency": measured(server.target, options.seconds), "memory": memory(server)}
    table = Table(title=f"a small request, in milliseconds (goal: 99 of 100 below {GOAL_MS:g})")
    for column in ("beside", "requests", "p50", "p99", "worst"):
        table.add_column(column, justify="left" if column == "beside" else "right")
    for name, row in results["latency"].items():
        table.add_row(name, f"{row['requests']:.0f}", *(f"{row[column]:.2f}" for column in ("p50", "p99", "worst")))
    console.print(table)
    for name, value in results["memory"].items():
        console.print(f"{name}: {value / 2**20:.1f} MiB" if value > 1e5 else f"{name}: {value:.2f}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
