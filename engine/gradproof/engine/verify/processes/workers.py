"""Pool of workers: processes that read definitions, each a single task at a time, and can be killed.

All are forked from a template process (`template`), which takes milliseconds. The pool keeps an idle worker beside the
busy ones. A worker or template that ends is replaced at once (`exit_watch`). No process is left when this process ends,
however it ends.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition, Timer
from typing import Any

from gradproof.engine.plugin_errors import describe
from gradproof.engine.verify.processes.envelope import TimingListener
from gradproof.engine.verify.processes.exit_watch import Watch
from gradproof.engine.verify.processes.process import TICK, Counts, Ended, Worker
from gradproof.engine.verify.processes.shared_memory import SharedMemory
from gradproof.engine.verify.processes.spawner import START_SECONDS, NoWorker, Spawner
from gradproof.engine.verify.processes.tasks import Ping
from gradproof.engine.verify.verdict.advice import AGAIN

EXTRA_BYTES = 1 << 30  # of memory, for each worker
MAX_WORKERS = 16  # busy, not counting those that are busy for long
MAX_LONG = 48  # additional workers that are busy for long
MAX_IDLE = 4
TRIES = 2  # to answer a task at which workers end
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries to start a worker


class Workers:
    """Workers with the plugins at the import paths ``sources`` (which may be set until the first worker starts).

    At most ``most`` are busy at a time, not counting long tasks; each may allocate ``extra_bytes``. Thread-safe.

    Attributes:
        ready: definitions can be read: the template runs, and its last fork succeeded.
        fault: reason why they cannot be read, or empty.
        readiness_listeners: called with ``ready`` when it changes, from any thread; must neither wait nor raise.
        counts: numbers of workers so far.
        memory: shared memory regions.
        folder: where workers store measurements of NumPy's functions, None for nowhere; set before the first worker
            starts.
        timing_listeners: called with the timings of each answer.
    """

    def __init__(
        self,
        sources: Sequence[str] = (),
        *,
        most: int = MAX_WORKERS,
        extra_bytes: int = EXTRA_BYTES,
        stderr: int | None = None,
    ) -> None:
        self.sources, self.most, self.extra_bytes = list(sources), most, extra_bytes
        self._idle: list[Worker] = []
        self._busy: set[Worker] = set()
        self._starting = self._failures = self._failures_in_a_row = 0
        self.ready, self.fault = False, "no process has been started"
        self.readiness_listeners: list[Callable[[bool], None]] = []
        self.counts = Counts()
        self.timing_listeners: list[TimingListener] = []
        self._pause = FIRST_PAUSE
        self._retry_timer: Timer | None = None
        self._changed = Condition()
        self._closed = False
        self.watch = Watch()
        self.folder: Path | None = None
        self._spawner = Spawner(
            self._load_arguments, lambda number: self.watch.add(number, self._template_ended), self.watch.remove
        )
        self._spawner.stderr = stderr
        self._background = ThreadPoolExecutor(1, "fork")
        self.memory = SharedMemory()

    def _load_arguments(self) -> dict[str, Any]:
        return {"sources": self.sources, "path": list(sys.path), "extra_bytes": self.extra_bytes, "folder": self.folder}

    @property
    def idle(self) -> int:
        """Number of idle workers."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Number of busy workers."""
        return len(self._busy)

    def prepare(self) -> None:
        """Start the template, which loads all that needs no plugin. Does not wait."""
        self._background.submit(self._spawner.start_template)

    def start(self, timeout: float = START_SECONDS) -> None:
        """Start the template and a first worker. Raises NoWorker."""
        with self.worker(timeout) as worker:
            worker.answer(Ping(), timeout)

    def ask(
        self,
        task: Any,
        seconds: float,
        *,
        wait: float,
        when_long: Callable[[], None] = lambda: None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Answer of a worker, waited for up to ``wait`` seconds, to a task that may take ``seconds``.

        If the worker ends, perhaps because of another process, a second worker is asked; a worker that ended before it
        received the task does not count. Raises as `worker` and `Worker.answer`.
        """
        ended = 0
        while True:
            with self.worker(wait, gone) as worker:
                started = time.monotonic()
                try:
                    return worker.answer(task, seconds, when_long, gone)
                except Ended:
                    ended += worker.begun
                    if ended == TRIES or self._closed:
                        raise
            seconds -= time.monotonic() - started

    @contextmanager
    def worker(self, seconds: float, gone: Callable[[], bool] = lambda: False) -> Iterator[Worker]:
        """Context manager: a worker, waited for up to ``seconds``; killed if the body raises. Raises NoWorker."""
        worker = self.take(seconds, gone)
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        finally:
            self.give_back(worker)

    def take(self, seconds: float, gone: Callable[[], bool] = lambda: False) -> Worker:
        """A worker, waited for up to ``seconds``; the caller gives it back. Raises NoWorker."""
        until = time.monotonic() + seconds
        with self._changed:
            failures = self._failures
            while True:
                if self._closed:
                    raise NoWorker("the server is stopping")
                while self._idle:
                    worker = self._idle.pop()
                    if worker.gone:  # the watch has not reported it yet
                        worker.mark_lost()
                        worker.close()
                        continue
                    self._busy.add(worker)
                    self._ensure_idle()
                    return worker
                if self._failures > failures and (self._failures_in_a_row > 1 or not self.counts.started):
                    raise NoWorker(self.fault)  # tried once more if workers have started before
                self._ensure_idle()
                left = until - time.monotonic()
                if left <= 0 or gone():
                    why = "all processes for checks are at work" if self._full else "no process was ready in time"
                    raise NoWorker(f"budget: {why}; {AGAIN}")
                self._changed.wait(min(left, TICK))

    def _ensure_idle(self) -> None:
        """Fork a worker unless a worker is idle or starting, or the pool is full. The lock is held."""
        if not self._idle and not self._starting and not self._full and not self._closed:
            self._starting += 1
            self._background.submit(self._fork)

    @property
    def _full(self) -> bool:
        at_work = len(self._busy)
        return at_work - sum(worker.long for worker in self._busy) >= self.most or at_work >= self.most + MAX_LONG

    @property
    def is_overloaded(self) -> bool:
        """True if more workers are busy than there are processors."""
        return len(self._busy) > (os.cpu_count() or 1)

    @property
    def spare(self) -> int:
        """Number of workers that can be busy in addition, each on a processor of its own, without making another caller
        wait."""
        with self._changed:
            return min(os.cpu_count() or 1, self.most - 1) - len(self._busy)

    def kill(self, worker: Worker) -> None:
        """Kill a worker."""
        self._spawner.kill(worker.pid)

    def _fork(self) -> None:
        worker, fault = None, ""
        try:
            worker = Worker(self._spawner.fork(), self)
            self.watch.add(worker.connection.fileno(), partial(self._worker_ended, worker))
        except Exception as error:  # whatever it is, later callers must not wait for this worker
            known = isinstance(error, NoWorker)
            fault = str(error) if known else f"no process for checks can be started: {describe(error)}"
        with self._changed:
            self._starting -= 1
            self._failures += bool(fault)
            self._failures_in_a_row = self._failures_in_a_row + 1 if fault else 0
            to_notify = self._note(fault)
            if worker is not None:
                self.counts.started += 1
                if fault or self._closed:
                    worker.close()
                else:
                    self._idle.append(worker)
            self._changed.notify_all()
            if not self._closed:
                self._retry_later(fault)
        for tell in to_notify:
            tell(self.ready)

    def _retry_later(self, fault: str) -> None:
        """After a failure, schedule another try after a growing pause. The lock is held."""
        if not fault:
            self._pause = FIRST_PAUSE
        elif self._retry_timer is None:
            self._retry_timer = Timer(self._pause, self._after_pause)
            self._retry_timer.daemon = True
            self._retry_timer.start()
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _after_pause(self) -> None:
        with self._changed:
            self._retry_timer = None
            self._ensure_idle()

    def _note(self, fault: str) -> Sequence[Callable[[bool], None]]:
        """Set ``fault`` and ``ready``; returns the listeners to notify if ``ready`` changed. The lock is held."""
        ready = not fault and not self._closed
        to_notify = tuple(self.readiness_listeners) if ready != self.ready else ()
        self.ready, self.fault = ready, fault
        return to_notify

    def _announce(self, fault: str) -> None:
        """Set ``fault`` and notify the listeners."""
        with self._changed:
            to_notify = self._note(fault)
        for tell in to_notify:
            tell(self.ready)

    def _worker_ended(self, worker: Worker) -> None:
        """Replace an idle worker that ended; the caller of a busy worker sees its end itself."""
        with self._changed:
            if worker in self._idle:
                self._idle.remove(worker)
                worker.mark_lost()
                worker.close()
                self._ensure_idle()

    def _template_ended(self) -> None:
        """Start again: the workers of a template end with it."""
        if self._closed:
            return
        self._announce("the process that workers are forked from ended; another is being started")
        with self._changed:
            if not self._starting:
                self._starting += 1
                self._background.submit(self._fork)

    def give_back(self, worker: Worker) -> None:
        """Take back a worker, which is idle or was killed."""
        with self._changed:
            self._busy.discard(worker)
            if worker.is_reusable() and not self._closed:
                self._idle.append(worker)
            else:
                worker.close()
            while len(self._idle) > MAX_IDLE:
                self._idle.pop(0).close()  # idle for longest
            self._ensure_idle()
            self._changed.notify_all()

    def close(self) -> None:
        """Kill all workers, busy or idle, and the template. Callers that wait for an answer get `Ended`."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._retry_timer is not None:
                self._retry_timer.cancel()
            self._changed.notify_all()
        self._announce("the server is stopping")
        self.watch.close()
        self._spawner.close()
        self._background.shutdown(cancel_futures=True)
        for worker in idle:
            worker.close()
        self.memory.close()


__all__ = ["Ended", "NoWorker", "Workers"]
