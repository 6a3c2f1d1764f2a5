"""Requests beside an echo of the same bytes: latency of a single client, and requests per second of several."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.support.server_processes import served

from benchmarks.users.clients import KINDS

SMALL, LARGE = 10, 1_000_000
LARGE_KINDS = ("echo", "echo without messages", "session", "Client", "Client.session")
"""Kinds that carry 8 MB: no single message of the contract does."""
CLIENTS = 8
GOALS = {
    "session": (1.3, 0.9), "unary": (1.5, 0.7), "unary, all checks": (3.0, None), "session, all checks": (3.0, None),
}  # fmt: skip
"""Goals beside echo: latency of one client at most, requests per second of eight at least."""
LARGE_GOAL = 0.6


class Process:
    """A client process."""

    def __init__(self, targets: dict[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.users.clients"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.say(connect=targets)

    def say(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def times(self) -> list[float]:
        """Seconds of each request of the last command. Raises SystemExit where the process has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a client ended with status {self._process.wait()}")
        times: list[float] = json.loads(line)
        return times

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def echoing(kind: str) -> Iterator[str]:
    """The address of an echo server of this kind, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.users.echo", kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


@contextmanager
def servers(*options: str) -> Iterator[dict[str, str]]:
    """Addresses of the servers that clients connect to."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        yield {
            "gradproof": stack.enter_context(served(Path(folder), *options)).target,
            "echo": stack.enter_context(echoing("sync")),
            "aio": stack.enter_context(echoing("aio")),
        }


def measured(
    rounds: int, seconds: float = 0.3, kinds: Sequence[str] = tuple(KINDS), clients: int = CLIENTS
) -> dict[str, Any]:
    """Small requests of one client and of several, and large requests of one, by kind: medians over interleaved rounds of
    the median latency and of the requests per second, and the medians of their ratios to those of ``echo``."""
    with servers() as targets, ExitStack() as stack:
        processes = [Process(targets) for _ in range(clients)]
        for process in processes:
            stack.callback(process.close)
        large = [kind for kind in LARGE_KINDS if kind in kinds]
        return {
            "small, 1 client": _rounds(processes[:1], kinds, SMALL, rounds, seconds),
            f"small, {clients} clients": _rounds(processes, kinds, SMALL, rounds, seconds),
            "8 MB, 1 client": _rounds(processes[:1], large, LARGE, rounds, 3 * seconds),
        }


def _rounds(
    processes: Sequence[Process], kinds: Sequence[str], elements: int, rounds: int, seconds: float
) -> dict[str, dict[str, float]]:
    def once(kind: str, duration: float) -> tuple[float, float]:
        for process in processes:
            process.say(kind=kind, elements=elements, seconds=duration)
        answers = [process.times() for process in processes]
        return median(t for times in answers for t in times), sum(len(times) / sum(times) for times in answers)

    numbers: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for kind in kinds:  # connects, and warms caches and plans
        once(kind, seconds / 3)
    for _ in range(rounds):
        for kind in kinds:
            numbers[kind].append(once(kind, seconds))
    base = numbers["echo"]
    return {
        kind: {
            "us": 1e6 * median(latency for latency, _ in pairs),
            "per second": median(rate for _, rate in pairs),
            "latency ratio": median(a / b for (a, _), (b, _) in zip(pairs, base, strict=True)),
            "rate ratio": median(a / b for (_, a), (_, b) in zip(pairs, base, strict=True)),
        }
        for kind, pairs in numbers.items()
    }
