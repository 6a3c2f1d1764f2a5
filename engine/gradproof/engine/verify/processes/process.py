"""A worker from outside: a process at the other end of a connection, which is given tasks, and can be killed."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.reduction import send_handle
from typing import Any, Protocol

from gradproof.engine.verify.processes.envelope import ORIGIN, Hearing, sound
from gradproof.engine.verify.processes.exit_watch import Watch
from gradproof.engine.verify.processes.spawner import Forked
from gradproof.engine.verify.processes.worker import KEPT_PLANS, KEPT_REGIONS, NOTE_BYTES, NOTHING, Reply, keep
from gradproof.engine.verify.verdict.advice import MEMORY

LONG = 0.1  # seconds
MAX_TASKS = 1000  # SymPy's own caches only grow
LOWEST_PRIORITY = 19
TICK = 0.05


@dataclass
class Counts:
    """How many workers there were: ``started``; ``killed`` since their time was over, or nobody waited for them; and
    ``lost``: ended by anything else, at work or idle."""

    started: int = 0
    killed: int = 0
    lost: int = 0


class Ended(Exception):
    """A worker ended, or was ended, before its answer."""


class Owner(Protocol):
    """The pool that a worker is of."""

    counts: Counts
    watch: Watch
    heard: list[Hearing]

    @property
    def crowded(self) -> bool: ...

    def kill(self, worker: Worker) -> None: ...


class Worker:
    """A process at the other end of a connection."""

    def __init__(self, forked: Forked, workers: Owner) -> None:
        self.pid, self.connection, notes = forked
        self.notes = mmap.mmap(notes, NOTE_BYTES)
        os.close(notes)
        self._workers = workers
        self.plans: OrderedDict[int, bool] = OrderedDict()
        self.regions: OrderedDict[int, bool] = OrderedDict()
        self.tasks, self.started = 0, math.inf
        self.alive = self.prompt = self.kept = True

    def send(self, task: Any, handle: int | None = None) -> None:
        """Give it a task, with an open file if there is one. Raises Ended, and whatever pickle does."""
        self.started = time.monotonic()
        self.tasks += 1
        self.notes[:] = NOTHING.to_bytes(NOTE_BYTES, "little", signed=True)
        try:
            envelope = self.tasks, task, ORIGIN.get(), bool(self._workers.heard)
            self.connection.send_bytes(pickle.dumps(envelope, pickle.HIGHEST_PROTOCOL))
            if handle is not None:
                send_handle(self.connection, handle, self.pid)
        except OSError as error:
            raise self._ended() from error

    def has_plan(self, number: int) -> bool:
        """Whether it has the plan of this number; from now on it has."""
        return _noted(self.plans, number, KEPT_PLANS)

    def has_region(self, number: int) -> bool:
        """Whether it has mapped the region of this number; from now on it has."""
        return _noted(self.regions, number, KEPT_REGIONS)

    def poll(self, seconds: float) -> bool:
        """Whether there is something to receive within ``seconds``. A worker that is at one task for long gives way, where
        there are more of them than processors."""
        if self.prompt and self.long and self._workers.crowded:
            self.prompt = False
            self._give_way(LOWEST_PRIORITY)
        try:
            return self.connection.poll(max(0.0, seconds))
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """The next part of its answer. Raises Ended, also where that is none: a definition may write anything."""
        try:
            reply = self.connection.recv()
        except Exception as error:
            raise self._ended() from error
        if not isinstance(reply, Reply) or reply.number != self.tasks:
            raise self._ended()
        self.kept = self.kept and reply.kept
        timings = sound(reply.timings) if self._workers.heard else []
        for hear in self._workers.heard if timings else ():
            hear(self.pid, timings)
        return reply.what

    def answer(
        self,
        task: Any,
        seconds: float,
        when_long: Callable[[], None] = lambda: None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Any:
        """The one answer to a task, `Failed` if it raised. ``when_long`` is called once in a while if it takes
        long. Raises Ended; or TimeoutError, and is killed, also where nobody waits any more (``gone``)."""
        self.send(task)
        until = time.monotonic() + seconds
        while not self.poll(min(TICK, until - time.monotonic())):
            if time.monotonic() >= until or gone():
                self.kill()
                raise TimeoutError
            if self.long:
                when_long()
        return self.receive()

    @property
    def gone(self) -> bool:
        """Whether an idle one has ended: it has nothing to say."""
        try:
            return self.connection.poll(0)
        except OSError:
            return True

    def _give_way(self, priority: int) -> bool:
        """Change its priority, and that of what it started; whether that is allowed."""
        try:
            os.setpriority(os.PRIO_PGRP, self.pid, priority)
        except OSError:
            return False
        return True

    def fit(self) -> bool:
        """Whether it can take another task: as it was before the last one, and with its own priority, which some systems do
        not give back."""
        if not self.alive or not self.kept or self.tasks >= MAX_TASKS:
            return False
        if not self.prompt:
            self.prompt = self._give_way(os.getpriority(os.PRIO_PROCESS, 0))
        return self.prompt

    @property
    def at(self) -> int:
        """The number that it noted last."""
        return int.from_bytes(self.notes[:], "little", signed=True)

    @property
    def begun(self) -> bool:
        """Whether its task has come to it."""
        return self.at != NOTHING

    @property
    def long(self) -> bool:
        """Whether it has been at its task for long."""
        return time.monotonic() - self.started > LONG

    def kill(self) -> None:
        """End it now."""
        if self.alive:
            self.alive = False
            self._workers.counts.killed += 1
            self._workers.kill(self)

    def lose(self) -> None:
        """It ended by itself, or is no worker any more: it stopped, or said what is no answer."""
        if self.alive:
            self.alive = False
            self._workers.counts.lost += 1
            self._workers.kill(self)

    def close(self) -> None:
        """Let go of it: an idle one ends by itself."""
        self.alive = False
        if not self.connection.closed:
            self._workers.watch.remove(self.connection.fileno())
        self.connection.close()
        self.notes.close()

    def _ended(self) -> Ended:
        self.lose()
        return Ended(f"the process that checked it ended: it took too much memory, or crashed; {MEMORY}")


def _noted(held: OrderedDict[int, bool], number: int, most: int) -> bool:
    """Whether a worker has what goes by a number, which from now on it has."""
    known = number in held
    held[number] = True
    keep(held, number, most)
    return known
