"""A worker as its owner sees it: a process that receives tasks through a connection, and can be killed."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.reduction import send_handle
from typing import Any, Protocol

from gradproof.engine.lru import LRUCache
from gradproof.engine.verify.processes.context import KEPT_PLANS, KEPT_REGIONS, NOTE_BYTES, NOTHING, Reply
from gradproof.engine.verify.processes.envelope import ORIGIN, TimingListener, valid_timings
from gradproof.engine.verify.processes.exit_watch import Watch
from gradproof.engine.verify.processes.spawner import Forked
from gradproof.engine.verify.verdict.advice import MEMORY

LONG = 0.1  # seconds, after which a task is long
MAX_TASKS = 1000  # SymPy's own caches only grow
LOWEST_PRIORITY = 19
TICK = 0.05


@dataclass
class Counts:
    """Number of workers that ``started``; were ``killed`` because their time was over or nobody waited for them; and were
    ``lost``, ended by anything else."""

    started: int = 0
    killed: int = 0
    lost: int = 0


class Ended(Exception):
    """A worker ended before its answer."""


class Owner(Protocol):
    """The pool of a worker."""

    counts: Counts
    watch: Watch
    timing_listeners: list[TimingListener]

    @property
    def is_overloaded(self) -> bool: ...

    def kill(self, worker: Worker) -> None: ...


class Worker:
    """A worker process and the connection to it."""

    def __init__(self, forked: Forked, workers: Owner) -> None:
        self.pid, self.connection, notes = forked
        self.notes = mmap.mmap(notes, NOTE_BYTES)
        os.close(notes)
        self._workers = workers
        self.plans: LRUCache[int, bool] = LRUCache(KEPT_PLANS)
        self.regions: LRUCache[int, bool] = LRUCache(KEPT_REGIONS)
        self.tasks, self.started = 0, math.inf
        self.alive = self.has_normal_priority = self.unchanged = True

    def send(self, task: Any, handle: int | None = None) -> None:
        """Send a task, with the descriptor of a file if any. Raises Ended, and the exceptions of pickle."""
        self.started = time.monotonic()
        self.tasks += 1
        self.notes[:] = NOTHING.to_bytes(NOTE_BYTES, "little", signed=True)
        try:
            envelope = self.tasks, task, ORIGIN.get(), bool(self._workers.timing_listeners)
            self.connection.send_bytes(pickle.dumps(envelope, pickle.HIGHEST_PROTOCOL))
            if handle is not None:
                send_handle(self.connection, handle, self.pid)
        except OSError as error:
            raise self._ended() from error

    def has_plan(self, number: int) -> bool:
        """True if the worker has the plan of this number; from now on it has."""
        return _noted(self.plans, number)

    def has_region(self, number: int) -> bool:
        """True if the worker has mapped the region of this number; from now on it has."""
        return _noted(self.regions, number)

    def poll(self, seconds: float) -> bool:
        """True if a message arrives within ``seconds``. Lowers the priority of a long task if there are more tasks than
        processors."""
        if self.has_normal_priority and self.long and self._workers.is_overloaded:
            self.has_normal_priority = False
            self._give_way(LOWEST_PRIORITY)
        try:
            return self.connection.poll(max(0.0, seconds))
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """The next part of the answer. Raises Ended, also for an invalid message: a definition may write anything."""
        try:
            reply = self.connection.recv()
        except Exception as error:
            raise self._ended() from error
        if not isinstance(reply, Reply) or reply.number != self.tasks:
            raise self._ended()
        self.unchanged = self.unchanged and reply.unchanged
        timings = valid_timings(reply.timings) if self._workers.timing_listeners else []
        for listener in self._workers.timing_listeners if timings else ():
            listener(self.pid, timings)
        return reply.content

    def answer(
        self,
        task: Any,
        seconds: float,
        when_long: Callable[[], None] = lambda: None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Any:
        """The only answer to a task, `Failed` if it raised. ``when_long`` is called repeatedly while a long task runs.

        Raises Ended; or TimeoutError, after killing the worker, if the time is over or the caller is ``gone``.
        """
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
        """True if an idle worker has ended: an idle worker sends nothing."""
        try:
            return self.connection.poll(0)
        except OSError:
            return True

    def _give_way(self, priority: int) -> bool:
        """Set the priority of its process group; True if that is allowed."""
        try:
            os.setpriority(os.PRIO_PGRP, self.pid, priority)
        except OSError:
            return False
        return True

    def is_reusable(self) -> bool:
        """True if the worker can take another task: unchanged by the last, and with normal priority, which some systems
        do not restore."""
        if not self.alive or not self.unchanged or self.tasks >= MAX_TASKS:
            return False
        if not self.has_normal_priority:
            self.has_normal_priority = self._give_way(os.getpriority(os.PRIO_PROCESS, 0))
        return self.has_normal_priority

    @property
    def at(self) -> int:
        """The step that the worker noted last."""
        return int.from_bytes(self.notes[:], "little", signed=True)

    @property
    def begun(self) -> bool:
        """True if the worker has received its task."""
        return self.at != NOTHING

    @property
    def long(self) -> bool:
        """True if its task takes long."""
        return time.monotonic() - self.started > LONG

    def kill(self) -> None:
        """Kill the worker."""
        if self.alive:
            self.alive = False
            self._workers.counts.killed += 1
            self._workers.kill(self)

    def mark_lost(self) -> None:
        """Count the worker as lost, and kill it: it ended by itself, was stopped, or sent an invalid message."""
        if self.alive:
            self.alive = False
            self._workers.counts.lost += 1
            self._workers.kill(self)

    def close(self) -> None:
        """Close the connection; an idle worker then ends."""
        self.alive = False
        if not self.connection.closed:
            self._workers.watch.remove(self.connection.fileno())
        self.connection.close()
        self.notes.close()

    def _ended(self) -> Ended:
        self.mark_lost()
        return Ended(f"the process that checked it ended: it took too much memory, or crashed; {MEMORY}")


def _noted(held: LRUCache[int, bool], number: int) -> bool:
    """True if ``number`` is in ``held``, where it is marked as used last."""
    known = held.get(number) is not None
    held.put(number, True)
    return known
