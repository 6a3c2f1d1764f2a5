"""Work of a server after its client left: how long its processes go on after a cancellation or a deadline.

    python -m benchmarks.leaving [PART OF A NAME ...]

Each kind of call is made with a heavy request, and left at several moments. CPU time is read from the kernel for all
processes of the server. Time used later than a tenth of a second after the client left is waste; the goal is next to none.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tests.support.server_fixture import leaf
from tests.support.server_processes import Processes

from gradproof.server.supervision.embedded import EmbeddedServer
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2, op_service_pb2, op_service_pb2_grpc

ALLOWED = 0.1  # seconds in which work may go on
MOMENTS = (0.02, 0.1, 0.3, 0.8, 2.0)  # seconds after which a call is left
QUIET = 0.15  # seconds without work, after which the server counts as at rest
MOST = 0.004  # seconds of CPU time in `QUIET` of a server at rest
PATIENCE = 20.0  # seconds


class Meter:
    """CPU time of a server and all its processes, ended processes included."""

    def __init__(self, root: int) -> None:
        self._processes = Processes(root)
        self._seen: dict[tuple[int, str], int] = {}

    def seconds(self) -> float:
        for pid in self._processes.tree():
            with suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        used = int((thread / "schedstat").read_text().split()[0])
                        self._seen[pid, thread.name] = max(used, self._seen.get((pid, thread.name), 0))
        return sum(self._seen.values()) / 1e9

    def rest(self) -> tuple[float, float]:
        """Wait until the server is at rest. Returns wall and CPU seconds until then, both counted after `ALLOWED`."""
        started = time.monotonic()
        time.sleep(ALLOWED)
        first = last = self.seconds()
        busy = changed = time.monotonic()
        while time.monotonic() - changed < QUIET and time.monotonic() - started < PATIENCE:
            time.sleep(0.03)
            used = self.seconds()
            if used - last > MOST * 0.03 / QUIET + 0.002:
                changed = time.monotonic()
            last = used
        return changed - busy, last - first


# requests


def chain(count: int, value: Any, ops: tuple[str, ...] = ("sin", "tanh", "exp", "negative")) -> graph_pb2.Graph:
    nodes = [graph_pb2.Node(op=ops[k % len(ops)], inputs=[f"v{k}"], outputs=[f"v{k + 1}"]) for k in range(count)]
    if np.ndim(value):
        nodes.append(graph_pb2.Node(op="sum", inputs=[f"v{count}"], outputs=["s"]))
    return graph_pb2.Graph(
        leaves=[leaf("v0", np.asarray(value))], nodes=nodes, outputs=["s" if np.ndim(value) else f"v{count}"]
    )


def wide(count: int) -> graph_pb2.Graph:
    """A graph with as many leaves and outputs as nodes."""
    leaves = [leaf(f"x{k}", np.asarray(0.5 + k)) for k in range(count)]
    nodes = [graph_pb2.Node(op="sin", inputs=[f"x{k}"], outputs=[f"y{k}"]) for k in range(count)]
    return graph_pb2.Graph(leaves=leaves, nodes=nodes, outputs=[f"y{k}" for k in range(count)])


def faulty(count: int) -> graph_pb2.Graph:
    """A graph in which no shapes fit."""
    nodes = [graph_pb2.Node(op="no_op", inputs=[f"n{k}"], outputs=[f"y{k}"]) for k in range(count)]
    return graph_pb2.Graph(leaves=[leaf("x", np.asarray(1.0))], nodes=nodes, outputs=[f"z{k}" for k in range(count // 2)])


def vector(count: int, size: int) -> graph_pb2.Graph:
    graph = chain(count, np.linspace(0.1, 0.9, size))
    del graph.nodes[-1]
    graph.outputs[:] = [f"v{count}"]
    return graph


def run(graph: graph_pb2.Graph, level: Any = pb.VERIFY_LEVEL_OFF, **rest: Any) -> pb.DifferentiateRequest:
    return pb.DifferentiateRequest(
        input=pb.RunInput(graph=graph), verify=pb.VerifyOptions(level=level, budget_seconds=30.0), **rest
    )


def all_values(count: int) -> list[str]:
    return [f"v{k}" for k in range(1, count + 1)]


@dataclass
class Stubs:
    """Stubs of both services."""

    autodiff: Any
    ops: Any


Start = Callable[[Stubs, float | None], Any]


def unary(name: str, message: Any) -> Start:
    return lambda stubs, timeout: getattr(stubs.autodiff, name).future(message, timeout=timeout)


def stream(message: pb.DifferentiateRequest) -> Start:
    streaming = pb.StreamingDifferentiateRequest(request=message)
    return lambda stubs, timeout: stubs.autodiff.StreamingDifferentiate(streaming, timeout=timeout)


def session(message: pb.DifferentiateRequest) -> Start:
    frame = pb.SessionRequest(differentiate=message)
    frame.differentiate.input.request_id = "r"
    return lambda stubs, timeout: stubs.autodiff.Session(iter([frame]), timeout=timeout)


def verify(name: str) -> Start:
    message = op_service_pb2.VerifyOpRequest(name=name, refresh=True, budget_seconds=30.0)
    return lambda stubs, timeout: stubs.ops.VerifyOp(message, timeout=timeout)


def of_ops(name: str, message: Any) -> Start:
    return lambda stubs, timeout: getattr(stubs.ops, name).future(message, timeout=timeout)


def cases() -> Iterator[tuple[str, Start]]:
    """Kinds of calls, each with heavy requests."""
    everything, values = pb.VERIFY_LEVEL_EVERYTHING, pb.VERIFY_LEVEL_VALUES
    long, arrays = chain(95_000, 0.5), chain(400, np.linspace(0.1, 0.9, 1 << 18))
    yield "Infer, 95,000 nodes", unary("Infer", pb.InferRequest(graph=long))
    yield "Infer, 30,000 leaves", unary("Infer", pb.InferRequest(graph=wide(30_000)))
    yield "Infer, 60,000 faults", unary("Infer", pb.InferRequest(graph=faulty(60_000)))
    yield "Evaluate, 95,000 nodes", unary("Evaluate", pb.EvaluateRequest(input=pb.RunInput(graph=long)))
    fetched = pb.EvaluateRequest(input=pb.RunInput(graph=chain(40_000, 0.5), fetch=all_values(40_000)))
    yield "Evaluate, 40,000 fetched", unary("Evaluate", fetched)
    yield "Evaluate, arrays", unary("Evaluate", pb.EvaluateRequest(input=pb.RunInput(graph=arrays)))
    yield "Differentiate, 95,000 nodes", unary("Differentiate", run(long))
    yield "Differentiate, 30,000 leaves", unary("Differentiate", run(wide(30_000)))
    yield "Differentiate, 16,000 nodes, compiled", unary("Differentiate", run(chain(16_000, 0.5)))
    yield "Differentiate, 4,000 arrays, compiled", unary("Differentiate", run(chain(4_000, np.linspace(0.1, 0.9, 300))))
    yield "Differentiate, large arrays", unary("Differentiate", run(arrays))
    yield "StreamingDifferentiate, 20,000 retained", stream(run(chain(20_000, 0.5), retain=all_values(20_000)))
    yield "StreamingDifferentiate, checked, 3,000 nodes", stream(run(chain(3_000, 0.5), everything))
    yield "StreamingDifferentiate, checked, 95,000 nodes", stream(run(long, values))
    yield "StreamingDifferentiate, checked, arrays", stream(run(chain(40, np.linspace(0.1, 0.9, 1 << 18)), values))
    yield "Session, 95,000 nodes", session(run(long))
    yield "Session, checked, 3,000 nodes", session(run(chain(3_000, 0.5), everything))
    yield "Derive, jacobian", unary("Derive", pb.DeriveRequest(graph=vector(15, 300), mode=pb.DERIVE_MODE_JACOBIAN))
    yield "Derive, hessian", unary("Derive", pb.DeriveRequest(graph=chain(6, np.ones(60)), mode=pb.DERIVE_MODE_HESSIAN))
    yield "Derive, 25,000 nodes", unary("Derive", pb.DeriveRequest(graph=chain(25_000, 0.5), mode=pb.DERIVE_MODE_HVP))
    explained = chain(120, 0.5, ("sin", "exp", "tanh"))
    yield "Explain", unary("Explain", pb.ExplainRequest(graph=explained, value="v120"))
    for name in ("softmax", "matmul", "cholesky"):
        yield f"VerifyOp, {name}", verify(name)
    yield "ListOps", of_ops("ListOps", op_service_pb2.ListOpsRequest(page_size=1000))
    yield "GetOp", of_ops("GetOp", op_service_pb2.GetOpRequest(name="softmax"))


@contextmanager
def server() -> Iterator[tuple[Stubs, Meter]]:
    with tempfile.TemporaryDirectory() as cache:
        embedded = EmbeddedServer(["--cache", cache])
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(embedded.target, options)
        try:
            stubs = Stubs(
                autodiff_service_pb2_grpc.AutodiffServiceStub(channel), op_service_pb2_grpc.OpServiceStub(channel)
            )
            yield stubs, Meter(embedded.child.process.pid)
        finally:
            channel.close()
            embedded.stop()


def leave(stubs: Stubs, start: Start, moment: float, by_deadline: bool) -> str:
    """Make a call, and leave it after ``moment`` seconds. Returns its status if it ended before, else an empty text."""
    call = start(stubs, moment if by_deadline else None)
    time.sleep(moment)
    if not call.is_active() and call.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
        return str(call.code().name)
    call.cancel()
    return ""


def main(words: Iterable[str]) -> None:
    words = [word.lower() for word in words]
    worst = 0.0
    with server() as (stubs, meter):
        stubs.ops.GetOp(op_service_pb2.GetOpRequest(name="sin"))
        meter.rest()
        for name, start in cases():
            if words and not any(word in name.lower() for word in words):
                continue
            for by_deadline in (False, True):
                cells = []
                for moment in MOMENTS:
                    ended = leave(stubs, start, moment, by_deadline)
                    _, used = meter.rest()
                    cells.append(f"{ended[:9] or f'{1e3 * used:.0f}':>9}")
                    worst = max(worst, 0.0 if ended else used)
                print(f"{name:50} {'deadline' if by_deadline else 'cancel':9} {' '.join(cells)}", flush=True)
    print(f"at most {1e3 * worst:.0f} ms of CPU time later than {1e3 * ALLOWED:.0f} ms after a client left")


if __name__ == "__main__":
    main(sys.argv[1:])
