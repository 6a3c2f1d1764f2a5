"""Context of a worker: its connection, the memory that it shares with its owner, its limits and its answers."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import resource
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from typing import Any, NamedTuple

from gradproof.engine.errors import text_of
from gradproof.engine.lru import LRUCache
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import Interrupt
from gradproof.engine.verify.processes.envelope import Timing
from gradproof.engine.verify.processes.loading import allowed_bytes
from gradproof.engine.verify.processes.side_effects import process_state
from gradproof.engine.verify.verdict.advice import MEMORY

CPU_FACTOR = 4.0  # allowed CPU time per second; more than the threads of a process that proves
KEPT_PLANS = 64
KEPT_REGIONS = 4
"""Most recently used plans and regions that a worker holds. Its owner counts their uses alike, so that it knows which."""
NOTE_BYTES = 8
NOTHING, BEGUN = -1, -2  # steps: no task has arrived; a task has arrived, and is before its first step


class OwnerGone(Interrupt):
    """The process that waits for the answer has ended."""


@dataclass(frozen=True)
class Failed:
    """An error that a task raised."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


def failed(error: BaseException) -> Failed:
    """The error as an answer."""
    if isinstance(error, MemoryError):
        return Failed("MemoryError", f"the memory for checks was over; {MEMORY}")
    return Failed(type(error).__name__, text_of(error))


class Reply(NamedTuple):
    """An answer to task ``number``, or a part of it.

    Attributes:
        unchanged: the process is as it was before the task.
        timings: durations of the steps, if requested.
    """

    number: int
    content: Any
    unchanged: bool
    timings: tuple[Timing, ...] = ()


class Batch(NamedTuple):
    """Answers to questions, with their indices. ``last``: no more batches follow."""

    answers: list[tuple[int, Any]]
    last: bool


class WorkerContext:
    """State of a worker: the connection to its owner, shared memory for its current step, and cached plans."""

    def __init__(self, connection: Connection, notes: int) -> None:
        self.connection, self.notes = connection, mmap.mmap(notes, NOTE_BYTES)
        self.plans: LRUCache[int, Plan] = LRUCache(KEPT_PLANS)
        self.regions: LRUCache[int, mmap.mmap] = LRUCache(KEPT_REGIONS)
        self.number, self.timed = 0, False
        self._timings: list[Timing] = []
        self._step, self._step_began = "", 0
        self._mapped = _mapped()
        self._initial, self._pid = process_state(), os.getpid()

    def answer(self, content: Any, *, last: bool = True) -> None:
        """Send an answer to the current task, or a part of it; the last part says whether the process is unchanged."""
        self._exit_if_forked()
        unchanged = not last or self._initial.unchanged()
        if last:
            sys.stdout.flush()
            self.begin("")
        reply = Reply(self.number, content, unchanged, tuple(self._timings))
        self._timings.clear()
        data = pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
        try:
            self.connection.send_bytes(data)
        except OSError as error:
            raise OwnerGone from error

    def begin(self, name: str) -> None:
        """Start the timing of a step."""
        if self.timed:
            now = time.time_ns()
            if self._step:
                self._timings.append(Timing(self._step, self._step_began, now))
            self._step, self._step_began = name, now

    def note(self, number: int) -> None:
        """Note the current step in the memory that the owner reads."""
        self._exit_if_forked()
        self.notes[:] = number.to_bytes(NOTE_BYTES, "little", signed=True)

    def _exit_if_forked(self) -> None:
        """End this process if a definition forked it: the original process is the worker."""
        if os.getpid() != self._pid:
            os._exit(1)

    def limit(self, seconds: float) -> None:
        """Limit memory, not counting shared memory, and CPU time far above ``seconds``: this process must end even if its
        owner is gone and cannot stop it."""
        most = self._mapped + allowed_bytes() + sum(map(len, self.regions.values()))
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        limit(seconds)

    def region(self, number: int, new: bool) -> mmap.mmap:
        """Shared memory region ``number``; if ``new``, its handle follows the task on the connection."""
        if new:
            handle = recv_handle(self.connection)
            self.regions.put(number, mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
            os.close(handle)
            self._initial = process_state()  # the mapping has its own descriptor
        region = self.regions.get(number)
        if region is None:
            raise LookupError(f"this process has not mapped region {number}")
        return region


def _mapped() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit(seconds: float) -> None:
    """End this process after far more CPU time than ``seconds`` from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + CPU_FACTOR * seconds), hard))
