"""The pool of workers: processes that read definitions, each for one task at a time, which can be killed.

All are forked from one template (`template`), so that a new one is there within milliseconds. There are as many as are at
work, and one more. Nothing is left of them when this process ends, however that happens.
"""

from __future__ import annotations

import math
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from threading import Condition, Lock
from typing import Any

from gradproof.engine.verify import template
from gradproof.engine.verify.advice import AGAIN, MEMORY
from gradproof.engine.verify.worker import NOTE_BYTES, Failed, Ping, keep

EXTRA_BYTES = 1 << 30  # of memory, for each worker
MAX_WORKERS = 16  # at their tasks, of those that have not been for long
MAX_LONG = 48  # beside them, at tasks that take long
LONG = 0.1  # seconds
MAX_IDLE = 4
MAX_TASKS = 1000  # SymPy's own caches only grow
START_SECONDS = 60.0
LOWEST_PRIORITY = 19
TICK = 0.05
NOTHING = -1  # noted before the first step of a task
CLOSE_SECONDS = 1.0


class NoWorker(Exception):
    """No process is there for a task; the message says why."""


class Ended(Exception):
    """A worker ended, or was ended, before its answer."""


class Worker:
    """A process at the other end of a connection."""

    def __init__(self, pid: int, connection: Connection, notes: int, workers: Workers) -> None:
        self.pid, self.connection, self.notes, self._workers = pid, connection, notes, workers
        self.plans: OrderedDict[int, bool] = OrderedDict()
        self.tasks, self.started = 0, math.inf
        self.alive = self.prompt = True

    def send(self, task: Any, handle: int | None = None) -> None:
        """Give it a task, with an open file if there is one. Raises Ended."""
        self.started = time.monotonic()
        self.tasks += 1
        os.pwrite(self.notes, NOTHING.to_bytes(NOTE_BYTES, "little", signed=True), 0)
        try:
            self.connection.send_bytes(pickle.dumps(task, pickle.HIGHEST_PROTOCOL))
            if handle is not None:
                send_handle(self.connection, handle, self.pid)
        except (BrokenPipeError, ConnectionError, OSError) as error:
            raise self._ended() from error

    def has_plan(self, number: int) -> bool:
        """Whether it has the plan of this number; from now on it has."""
        known = number in self.plans
        self.plans[number] = True
        keep(self.plans, number)
        return known

    def poll(self, seconds: float) -> bool:
        """Whether there is something to receive within ``seconds``. A worker that is at one task for long gives way, where
        there are more of them than processors."""
        if self.prompt and self.long and self._workers.crowded:
            self.prompt = False
            self._give_way(LOWEST_PRIORITY)
        try:
            return self.connection.poll(max(0.0, seconds))
        except (BrokenPipeError, ConnectionError, OSError) as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """What it sends next. Raises Ended."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError, OSError) as error:
            raise self._ended() from error

    def answer(self, task: Any, seconds: float, when_long: Callable[[], None] = lambda: None) -> Any:
        """The one answer to a task, `Failed` if it raised. ``when_long`` is called once in a while if it takes
        long. Raises Ended; or TimeoutError, and is killed."""
        self.send(task)
        until = time.monotonic() + seconds
        while not self.poll(min(TICK, until - time.monotonic())):
            if time.monotonic() >= until:
                self.kill()
                raise TimeoutError
            if self.long:
                when_long()
        return self.receive()

    def _give_way(self, priority: int) -> bool:
        """Change its priority; whether that is allowed."""
        try:
            os.setpriority(os.PRIO_PROCESS, self.pid, priority)
        except OSError:
            return False
        return True

    def fit(self) -> bool:
        """Whether it can take another task: with its own priority, which some systems do not give back."""
        if self.alive and not self.prompt:
            self.prompt = self._give_way(os.getpriority(os.PRIO_PROCESS, 0))
        return self.alive and self.prompt and self.tasks < MAX_TASKS

    @property
    def at(self) -> int:
        """The number that it noted last."""
        return int.from_bytes(os.pread(self.notes, NOTE_BYTES, 0), "little", signed=True)

    @property
    def long(self) -> bool:
        """Whether it has been at its task for long."""
        return time.monotonic() - self.started > LONG

    def kill(self) -> None:
        """End it now."""
        if self.alive:
            self.alive = False
            self._workers.kill(self)

    def close(self) -> None:
        """Let go of it: an idle one ends by itself."""
        self.alive = False
        self.connection.close()
        os.close(self.notes)

    def _ended(self) -> Ended:
        self.alive = False
        return Ended(f"the process that checked it ended: it took too much memory, or crashed; {MEMORY}")


class Workers:
    """Workers for the plugins at the import paths ``sources`` (which may be set until the first is taken); ``most`` at a
    time, not counting those that have been at a task for long, each with ``extra_bytes`` of memory of its own. Safe to use
    from several threads."""

    def __init__(self, sources: Sequence[str] = (), *, most: int = MAX_WORKERS, extra_bytes: int = EXTRA_BYTES) -> None:
        self.sources, self.most, self.extra_bytes = list(sources), most, extra_bytes
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._coming = self._failures = 0
        self._fault = ""
        self._changed = Condition()
        self._closed = False
        self._template = _Template(self)
        self._background = ThreadPoolExecutor(1, "fork")

    def prepare(self) -> None:
        """Begin to bring up the template, which loads what needs no plugin. Does not wait."""
        self._background.submit(self._template.spawn)

    def start(self, timeout: float = START_SECONDS) -> None:
        """Bring up the template and a first worker now. Raises NoWorker."""
        with self.worker(timeout) as one:
            one.answer(Ping(), timeout)

    @contextmanager
    def worker(self, seconds: float, gone: Callable[[], bool] = lambda: False) -> Iterator[Worker]:
        """A worker for the body, which is waited for up to ``seconds``. If the body raises, it is killed. Raises
        NoWorker."""
        one = self.take(seconds, gone)
        try:
            yield one
        except BaseException:
            one.kill()
            raise
        finally:
            self.give_back(one)

    def take(self, seconds: float, gone: Callable[[], bool] = lambda: False) -> Worker:
        """A worker, waited for up to ``seconds``; to be given back. Raises NoWorker."""
        until = time.monotonic() + seconds
        with self._changed:
            failures = self._failures
            while True:
                if self._closed:
                    raise NoWorker("the server is stopping")
                if self._idle:
                    one = self._idle.pop()
                    self._busy.add(one)
                    self._have_spare()
                    return one
                if self._failures > failures:
                    raise NoWorker(self._fault)
                self._have_spare()
                left = until - time.monotonic()
                if left <= 0 or gone():
                    why = "all processes for checks are at work" if self._full else "no process was ready in time"
                    raise NoWorker(f"budget: {why}; {AGAIN}")
                self._changed.wait(min(left, TICK))

    def _have_spare(self) -> None:
        """Have a worker forked unless one is idle, or on its way, or there are enough. The lock is held."""
        if not self._idle and not self._coming and not self._full and not self._closed:
            self._coming += 1
            self._background.submit(self._fork)

    @property
    def _full(self) -> bool:
        at_work = len(self._busy)
        return at_work - sum(one.long for one in self._busy) >= self.most or at_work >= self.most + MAX_LONG

    @property
    def crowded(self) -> bool:
        """Whether more workers are at work than there are processors."""
        return len(self._busy) > (os.cpu_count() or 1)

    def kill(self, one: Worker) -> None:
        """End a worker now."""
        self._template.kill(one)

    def _fork(self) -> None:
        one = None
        try:
            one = self._template.fork()
        except (NoWorker, OSError) as error:
            self._fault = str(error)
        with self._changed:
            self._coming -= 1
            self._failures += one is None
            if one is not None and self._closed:
                one.close()
            elif one is not None:
                self._idle.append(one)
            self._changed.notify_all()

    def give_back(self, one: Worker) -> None:
        """Have a worker back, with its task done, or killed."""
        with self._changed:
            self._busy.discard(one)
            if one.fit() and not self._closed:
                self._idle.append(one)
            else:
                one.close()
            while len(self._idle) > MAX_IDLE:
                self._idle.pop(0).close()  # the one that has rested longest
            self._have_spare()
            self._changed.notify_all()

    def close(self) -> None:
        """Kill all workers, whatever they are at, and end the template. Who waits for an answer gets `Ended`."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        self._template.close()
        self._background.shutdown(cancel_futures=True)
        for one in idle:
            one.close()


class _Template:
    """The process that workers are forked from; started with the first, and again if it ends."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._loaded = self._closed = False

    def spawn(self) -> None:
        """Start the process, if there is none. Raises NoWorker or OSError."""
        with self._lock:
            self._spawn()

    def fork(self) -> Worker:
        """A new worker. Raises NoWorker or OSError."""
        with self._lock:
            own, connection = self._spawn()
            mine, other = socket.socketpair()
            notes = _scratch(NOTE_BYTES)
            try:
                self._load(connection)
                socket.send_fds(own, [template.FORK + bytes(template.PID_BYTES)], [other.fileno(), notes])
                pid = int.from_bytes(self._hear(connection), "little")
            except (EOFError, OSError, NoWorker):
                mine.close()
                os.close(notes)
                self._lose()
                raise
            finally:
                other.close()
            return Worker(pid, Connection(mine.detach()), notes, self._workers)

    def kill(self, worker: Worker) -> None:
        """Kill a worker, by its parent: its number may be another's by now."""
        try:
            if self._socket is not None:
                self._socket.sendall(template.KILL + worker.pid.to_bytes(template.PID_BYTES, "little"))
        except OSError:  # the template is gone, and its workers with it
            pass

    def _spawn(self) -> tuple[socket.socket, Connection]:
        if self._closed:
            raise NoWorker("the server is stopping")
        if self._socket is None or self._connection is None:
            mine, other = socket.socketpair()
            with other:
                self._process = subprocess.Popen(
                    template.started(other.fileno()), stdin=subprocess.DEVNULL, stdout=2, pass_fds=[other.fileno()]
                )
            self._socket, self._connection = mine, Connection(os.dup(mine.fileno()))
        return self._socket, self._connection

    def _load(self, connection: Connection) -> None:
        """Have it load the plugins."""
        if not self._loaded:
            sources, extra_bytes = self._workers.sources, self._workers.extra_bytes
            connection.send({"sources": sources, "path": list(sys.path), "extra_bytes": extra_bytes})
            self._hear(connection)
            self._loaded = True

    def _hear(self, connection: Connection) -> bytes:
        if not connection.poll(START_SECONDS):
            raise NoWorker(f"the process that workers are forked from did not answer within {START_SECONDS:g} s")
        try:
            return connection.recv_bytes()
        except EOFError:
            raise NoWorker("the process that workers are forked from ended; its standard error says why") from None

    def _lose(self) -> None:
        process = self._process
        if self._socket is not None:
            self._socket.close()
        if self._connection is not None:
            self._connection.close()
        self._process = self._socket = self._connection = None
        self._loaded = False
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it, and with it all workers."""
        self._closed = True
        process, own = self._process, self._socket
        if process is not None and own is not None:
            try:
                own.shutdown(socket.SHUT_RDWR)  # it kills its workers, and ends
                process.wait(CLOSE_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
        with self._lock:
            self._lose()


def _scratch(size: int) -> int:
    """An open file without a name, in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("gradproof")
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.ftruncate(number, size)
    return number


def shared(size: int) -> int:
    """An open file of ``size`` bytes that other processes can map, and nobody can find. To be closed."""
    return _scratch(size)


__all__ = ["Ended", "Failed", "NoWorker", "Worker", "Workers", "shared"]
