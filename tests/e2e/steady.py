"""A million small requests: memory, descriptors and threads of a server that stay as they are.

    python -m tests.e2e.steady [requests]

Requests of every kind, from unary calls and sessions, many of them new graphs, wrong, or cancelled. Ends with status 1 if
the server grew between the second quarter and the last by more than ``GROWTH_BYTES``, or an answer was wrong.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Lock, Thread
from typing import Any

import grpc
import numpy as np
from tests.support.server_fixture import leaf, node, request
from tests.support.server_processes import ServerProcess, served

from gradproof.server.runs.admission import SMALL_THREADS
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc

THREADS, SAMPLES, RUNS_PER_SESSION = 4, 40, 10  # together fewer runs than a caller may have in flight
GROWTH_BYTES, GROWTH_DESCRIPTORS = 32 << 20, 8
GROWTH_THREADS = SMALL_THREADS  # a pool may still be filling up


@dataclass
class Course:
    """Samples along the way, and what was answered."""

    resident: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    seconds: float = 0.0

    def note(self, server: ServerProcess) -> None:
        self.resident.append(server.resident())
        self.descriptors.append(server.descriptors())
        self.threads.append(server.threads())

    def growth(self, samples: list[int]) -> float:
        """From the second quarter to the last: caches are full by then."""
        quarter = max(1, len(samples) // 4)
        return median(samples[-quarter:]) - median(samples[quarter : 2 * quarter])

    @property
    def flat(self) -> bool:
        return (
            not self.wrong
            and self.growth(self.resident) < GROWTH_BYTES
            and self.growth(self.descriptors) < GROWTH_DESCRIPTORS
            and self.growth(self.threads) < GROWTH_THREADS
        )

    def __str__(self) -> str:
        total = self.codes.total()
        return (
            f"{total} requests in {self.seconds:.0f} s, {dict(self.codes)}; "
            f"memory {self.resident[len(self.resident) // 4] >> 20} to {self.resident[-1] >> 20} MiB "
            f"(growth {self.growth(self.resident) / 2**20:.1f}), descriptors {self.growth(self.descriptors):+.0f}, "
            f"threads {self.growth(self.threads):+.0f}; {self.wrong} wrong"
        )


class Asker:
    """One client. Every request has a number, and is of a kind that depends on it alone."""

    def __init__(self, target: str, course: Course, lock: Lock) -> None:
        self.channel = grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)])
        self.autodiff: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(self.channel)
        self.ops: Any = op_service_pb2_grpc.OpServiceStub(self.channel)
        self.course, self.lock = course, lock
        self.digest = self.autodiff.Differentiate(square(0)).accepted.digest

    def ask(self, n: int) -> int:
        """Make request ``n``, or a session of several; how many they were."""
        kind, count = n % 50, 1
        try:
            if kind == 0:
                count = self.session(n)
            elif kind == 1:
                call = self.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=square(n)))
                next(iter(call))
                call.cancel()
            elif kind == 2:
                self.autodiff.Infer(pb.InferRequest(graph=square(n).input.graph), timeout=60)
            elif kind == 3:
                self.autodiff.Derive(
                    pb.DeriveRequest(graph=square(n).input.graph, mode=pb.DERIVE_MODE_GRADIENT), timeout=60
                )
            elif kind == 4:
                self.ops.GetOp(op_service_pb2.GetOpRequest(name="sin"), timeout=60)
            elif kind == 5:
                bad = square(n)
                bad.input.graph.nodes[0].op = f"nonsense{n}"
                self.autodiff.Differentiate(bad, timeout=60)
            elif kind == 6:  # a graph that nobody has seen, for caches to be full of
                self.right(self.autodiff.Differentiate(square(n, f"x{n}"), timeout=60))
            elif kind == 7:
                checked = square(n)
                checked.verify.CopyFrom(pb.VerifyOptions(level=pb.VERIFY_LEVEL_VALUES, budget_seconds=1.0))
                self.right(self.autodiff.Differentiate(checked, timeout=60))
            elif kind < 30:
                self.right(self.autodiff.Differentiate(square(n), timeout=60))
            else:
                short = pb.DifferentiateRequest(
                    input=pb.RunInput(digest=self.digest), verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
                )
                short.input.values.add(name="x", value=square(0).input.graph.leaves[0].value)
                self.right(self.autodiff.Differentiate(short, timeout=60))
            code = "OK"
        except grpc.RpcError as error:
            code = error.code().name
        with self.lock:
            self.course.codes[code] += count
            self.course.wrong += code not in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")
        return count

    def session(self, n: int) -> int:
        """A session with a few runs, some kept."""
        frames = []
        for k in range(RUNS_PER_SESSION):
            one = square(n)
            one.input.request_id, one.input.save_as = f"{n}.{k}", "k" if k % 5 == 0 else ""
            frames.append(pb.SessionRequest(differentiate=one))
        done = sum(
            bool(event.HasField("summary"))
            for answer in self.autodiff.Session(iter(frames), timeout=120)
            for event in answer.events
        )
        if done != RUNS_PER_SESSION:
            self.wrong()
        return done

    def right(self, answer: pb.DifferentiateResponse) -> None:
        if np.frombuffer(answer.gradients[0].gradient.data).tolist() != [2.0, 4.0]:
            self.wrong()

    def wrong(self) -> None:
        with self.lock:
            self.course.wrong += 1


def square(n: int, name: str = "x") -> pb.DifferentiateRequest:
    nodes = [node("multiply", f"{name} {name}", "s"), node("sum", "s", "y")]
    return request([leaf(name, np.array([1.0, 2.0]))], nodes, "y", request_id=str(n))


def course(server: ServerProcess, requests: int) -> Course:
    """So many requests, sampled along the way."""
    found, lock, over = Course(), Lock(), Event()
    numbers = itertools.count()
    sampled = [0]

    def work() -> None:
        asker = Asker(server.target, found, lock)
        while not over.is_set():
            asker.ask(next(numbers))
            with lock:
                total = found.codes.total()
                if total * SAMPLES >= requests * (sampled[0] + 1):
                    sampled[0] += 1
                    found.note(server)
                if total >= requests:
                    over.set()
        asker.channel.close()

    threads, started = [Thread(target=work) for _ in range(THREADS)], time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.seconds = time.monotonic() - started
    return found


def main(requests: int = 1_000_000) -> int:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as server:
        found = course(server, requests)
    print(found)
    return int(not found.flat)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
