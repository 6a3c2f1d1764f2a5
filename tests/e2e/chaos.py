"""Chaos: processes of a server are killed at random while clients work. Every answer must come, in time, and be right.

    python -m tests.e2e.chaos [kills] [seed]

Ends with status 1 if an answer was lost, wrong or late, or a process was left. Clients repeat what was cut off; a server is
replaced by its supervisor, an embedded one by its client, and worker processes by the server.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Event, Lock, Thread

import numpy as np
from tests.support.server_processes import KINDS, Processes, served
from tests.support.waiting import within

from gradproof.client import Client, GradproofError, GraphBuilder, connect
from gradproof.server.supervision.supervisor import SETTLED_SECONDS

CLIENTS, BUDGET, TIMEOUT, LATE = 4, 1.0, 30.0, 5.0
RETRIES = 1000  # the time that a call may take is its limit
SPARED_SECONDS = SETTLED_SECONDS + 6.0
"""A server that is killed sooner after the last one is taken for broken, and has to wait: see the supervisor."""


@dataclass
class Toll:
    """What came of it: answers, words of verdicts, kills by kind, and faults, of which there should be none."""

    answers: int = 0
    words: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    spared: float = 0.0
    lock: Lock = field(default_factory=Lock)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {kind}s" for kind, count in sorted(self.kills.items()))
        words = ", ".join(f"{count} {word}" for word, count in self.words.most_common())
        return f"{self.answers} answers ({words}), slowest {self.slowest:.1f} s; killed {kills}; {len(self.faults)} faults"


def graph(size: int) -> GraphBuilder:
    """The sum of sin(x) x: its gradient is sin(x) + x cos(x)."""
    g = GraphBuilder()
    x = g.leaf("x", np.linspace(0.1, 2.0, size), requires_grad=True)
    g.output(g.apply("sum", g.apply("multiply", g.apply("sin", x), x), name="y"))
    return g


def work(client: Client, seed: int, over: Event, toll: Toll) -> None:
    """Ask until it is over."""
    random = Random(seed)
    while not over.is_set():
        size = random.choice((1, 3, 50, 2000))
        x, started = np.linspace(0.1, 2.0, size), time.monotonic()
        verify = random.choice(("off", "everything", "everything"))
        try:
            result = client.differentiate(graph(size), verify=verify, budget=BUDGET)
            close = np.allclose(np.asarray(result.gradients["x"].gradient), np.sin(x) + x * np.cos(x), rtol=1e-12)
            word = result.verdicts["x"].summary if verify != "off" else "off"
            fault = "" if close and word != "wrong" else f"a wrong answer: {word}"
        except GradproofError as error:
            word, fault = "", f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        if seconds > TIMEOUT + BUDGET + LATE:
            fault = f"{fault} after {seconds:.1f} s"
        with toll.lock:
            toll.answers += 1
            toll.words[word] += 1
            toll.slowest = max(toll.slowest, seconds)
            if fault:
                toll.faults.append(fault)


def strike(processes: Callable[[], Processes], kinds: tuple[str, ...], random: Random, toll: Toll) -> None:
    """Kill a process of some kind; a server or its supervisor only if the last kill was long ago."""
    now, kind = time.monotonic(), random.choice(kinds)
    if kind in ("supervisor", "server"):
        if now < toll.spared:
            return
        toll.spared = now + SPARED_SECONDS
    found = processes().of(kind)
    if found:
        with suppress(ProcessLookupError):
            os.kill(random.choice(found), signal.SIGKILL)
            toll.kills[kind] += 1


def storm(
    clients: list[Client], processes: Callable[[], Processes], kinds: tuple[str, ...], kills: int, pause: float, seed: int
) -> Toll:
    """So many kills, about ``pause`` seconds apart, and what the clients have seen by the end."""
    random, over, toll = Random(seed), Event(), Toll()
    threads = [Thread(target=work, args=(one, seed + k, over, toll), daemon=True) for k, one in enumerate(clients)]
    for thread in threads:
        thread.start()
    while toll.kills.total() < kills:
        over.wait(random.uniform(0.2, 1.8) * pause)
        strike(processes, kinds, random, toll)
    over.set()
    for thread in threads:
        thread.join(TIMEOUT + BUDGET + 2 * LATE)
        if thread.is_alive():
            toll.faults.append("a call hangs")
    return toll


@contextmanager
def operated(folder: Path, *options: str) -> Iterator[tuple[list[Client], Callable[[], Processes]]]:
    """Clients of a server as an operator runs it."""
    with served(folder / "proofs", *options) as one:
        clients = [Client(one.target, timeout=TIMEOUT, retries=RETRIES) for _ in range(CLIENTS)]
        yield clients, lambda: one
        for client in clients:
            client.close()


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[list[Client], Callable[[], Processes]]]:
    """A client of a server of its own, from several threads. Its processes are children of this one."""
    others = set(Processes(os.getpid()).tree())
    with connect(timeout=TIMEOUT, retries=RETRIES, arguments=["--cache", str(folder / "proofs")]) as client:
        yield [client] * CLIENTS, lambda: _Below(os.getpid(), others)
    if not within(LATE, lambda: not _Below(os.getpid(), others).left()):
        raise AssertionError("a process is left")


class _Below(Processes):
    """The processes of servers that are children of this one, but for those that were there before."""

    def __init__(self, root: int, others: set[int]) -> None:
        super().__init__(root)
        self.others = others

    def left(self) -> list[int]:
        """All of them that are there now; what others have started since hangs below them."""
        tree, found = self.tree(), []
        for pid in tree:
            above = pid
            while above != self.root and above not in self.others:
                above = tree[above]
            if above == self.root and pid != self.root:
                found.append(pid)
        return found

    def of(self, kind: str) -> list[int]:
        tree = self.tree()
        return [pid for pid in self.left() if pid in tree and self._kind(pid, tree) == kind]

    def _kind(self, pid: int, tree: dict[int, int]) -> str:
        return KINDS[min(self.depth(pid, tree) - 1, len(KINDS) - 1)]


def main(kills: int = 100, seed: int = 0) -> int:
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        with operated(Path(folder, "operated")) as (clients, processes):
            toll = storm(clients, processes, KINDS[1:], kills, 1.0, seed)
            print(f"operated: {toll}")
            faults += len(toll.faults)
            print(*toll.faults[:10], sep="\n")
        with embedded(Path(folder, "embedded")) as (clients, processes):
            toll = storm(clients, processes, KINDS, kills // 4, 12.0, seed)
            print(f"embedded: {toll}")
            faults += len(toll.faults)
            print(*toll.faults[:10], sep="\n")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
