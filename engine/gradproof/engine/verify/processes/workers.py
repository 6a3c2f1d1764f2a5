"""The pool of workers: processes that read definitions, each for one task at a time, which can be killed.

All are forked from one template (`template`), so that a new one is there within milliseconds. There are as many as are at
work, and one more. One that ends is replaced at once, and so is the template, whatever ended it (`watch`). Nothing is left
of them when this process ends, however that happens.
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
from gradproof.engine.verify.processes.envelope import Hearing
from gradproof.engine.verify.processes.exit_watch import Watch
from gradproof.engine.verify.processes.process import TICK, Counts, Ended, Worker
from gradproof.engine.verify.processes.shared_memory import SharedMemory
from gradproof.engine.verify.processes.spawner import START_SECONDS, NoWorker, Spawner
from gradproof.engine.verify.processes.worker import Ping
from gradproof.engine.verify.verdict.advice import AGAIN

EXTRA_BYTES = 1 << 30  # of memory, for each worker
MAX_WORKERS = 16  # at their tasks, of those that have not been for long
MAX_LONG = 48  # beside them, at tasks that take long
MAX_IDLE = 4
TRIES = 2  # to answer a question, where a worker ends at it
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds, between two tries to start what does not start


class Workers:
    """Workers for the plugins at the import paths ``sources`` (which may be set until the first is taken); ``most`` at a
    time, not counting those that have been at a task for long, each with ``extra_bytes`` of memory of its own. Safe to use
    from several threads.

    Attributes:
        ready: whether definitions can be read: the template is up, and the last fork of it went well.
        fault: why not, or empty.
        changed: called with ``ready`` whenever that changed, from any thread; is not to wait, nor to raise.
        counts: workers so far.
        memory: regions of memory that they can map.
        folder: where they keep what they measured of NumPy's functions, None for nowhere; set before the first is taken.
        heard: called with the times that a worker took for each part of an answer.
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
        self._coming = self._failures = self._in_a_row = 0
        self.ready, self.fault = False, "no process has been started"
        self.changed: list[Callable[[bool], None]] = []
        self.counts = Counts()
        self.heard: list[Hearing] = []
        self._pause = FIRST_PAUSE
        self._again: Timer | None = None
        self._changed = Condition()
        self._closed = False
        self.watch = Watch()
        self.folder: Path | None = None
        self._spawner = Spawner(self._told, lambda number: self.watch.add(number, self._template_ended), self.watch.remove)
        self._spawner.stderr = stderr
        self._background = ThreadPoolExecutor(1, "fork")
        self.memory = SharedMemory()

    def _told(self) -> dict[str, Any]:
        return {"sources": self.sources, "path": list(sys.path), "extra_bytes": self.extra_bytes, "folder": self.folder}

    @property
    def idle(self) -> int:
        """Workers that wait for a task."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Workers at a task."""
        return len(self._busy)

    def prepare(self) -> None:
        """Begin to bring up the template, which loads what needs no plugin. Does not wait."""
        self._background.submit(self._spawner.spawn)

    def start(self, timeout: float = START_SECONDS) -> None:
        """Bring up the template and a first worker now. Raises NoWorker."""
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
        """The answer of a worker, which is waited for up to ``wait`` seconds, to a task for which there are ``seconds``. If
        the worker ends at it, which may be another's deed, another one is asked, once; one that had ended before counts as
        none. Raises as `worker` and `Worker.answer`."""
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
        """A worker for the body, which is waited for up to ``seconds``. If the body raises, it is killed. Raises
        NoWorker."""
        worker = self.take(seconds, gone)
        try:
            yield worker
        except BaseException:
            worker.kill()
            raise
        finally:
            self.give_back(worker)

    def take(self, seconds: float, gone: Callable[[], bool] = lambda: False) -> Worker:
        """A worker, waited for up to ``seconds``; to be given back. Raises NoWorker."""
        until = time.monotonic() + seconds
        with self._changed:
            failures = self._failures
            while True:
                if self._closed:
                    raise NoWorker("the server is stopping")
                while self._idle:
                    worker = self._idle.pop()
                    if worker.gone:  # and nobody has said so yet
                        worker.lose()
                        worker.close()
                        continue
                    self._busy.add(worker)
                    self._have_spare()
                    return worker
                if self._failures > failures and (self._in_a_row > 1 or not self.counts.started):
                    raise NoWorker(self.fault)  # where there were workers before, it is tried once more
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
        return at_work - sum(worker.long for worker in self._busy) >= self.most or at_work >= self.most + MAX_LONG

    @property
    def crowded(self) -> bool:
        """Whether more workers are at work than there are processors."""
        return len(self._busy) > (os.cpu_count() or 1)

    @property
    def spare(self) -> int:
        """How many more workers could be at work at once, each with a processor, and nobody would wait for one."""
        with self._changed:
            return min(os.cpu_count() or 1, self.most - 1) - len(self._busy)

    def kill(self, worker: Worker) -> None:
        """End a worker now."""
        self._spawner.kill(worker.pid)

    def _fork(self) -> None:
        worker, fault = None, ""
        try:
            worker = Worker(self._spawner.fork(), self)
            self.watch.add(worker.connection.fileno(), partial(self._worker_ended, worker))
        except Exception as error:  # whatever it is, the next one is not to wait for this
            known = isinstance(error, NoWorker)
            fault = str(error) if known else f"no process for checks can be started: {describe(error)}"
        with self._changed:
            self._coming -= 1
            self._failures += bool(fault)
            self._in_a_row = self._in_a_row + 1 if fault else 0
            told = self._note(fault)
            if worker is not None:
                self.counts.started += 1
                if fault or self._closed:
                    worker.close()
                else:
                    self._idle.append(worker)
            self._changed.notify_all()
            if not self._closed:
                self._try_again(fault)
        for tell in told:
            tell(self.ready)

    def _try_again(self, fault: str) -> None:
        """Where nothing could be started, try again after a pause, which grows. The lock is held."""
        if not fault:
            self._pause = FIRST_PAUSE
        elif self._again is None:
            self._again = Timer(self._pause, self._after_pause)
            self._again.daemon = True
            self._again.start()
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _after_pause(self) -> None:
        with self._changed:
            self._again = None
            self._have_spare()

    def _note(self, fault: str) -> Sequence[Callable[[bool], None]]:
        """Note why no definition can be read now, or, by an empty text, that it can; those who are to be told, where that
        is news. The lock is held."""
        ready = not fault and not self._closed
        told = tuple(self.changed) if ready != self.ready else ()
        self.ready, self.fault = ready, fault
        return told

    def _say(self, fault: str) -> None:
        """Note why no definition can be read now, and tell."""
        with self._changed:
            told = self._note(fault)
        for tell in told:
            tell(self.ready)

    def _worker_ended(self, worker: Worker) -> None:
        """An idle one is replaced. The one who uses a busy one sees it too, and replaces it."""
        with self._changed:
            if worker in self._idle:
                self._idle.remove(worker)
                worker.lose()
                worker.close()
                self._have_spare()

    def _template_ended(self) -> None:
        """Its workers end with it: all begin anew."""
        if self._closed:
            return
        self._say("the process that workers are forked from ended; another one is being started")
        with self._changed:
            if not self._coming:
                self._coming += 1
                self._background.submit(self._fork)

    def give_back(self, worker: Worker) -> None:
        """Have a worker back, with its task done, or killed."""
        with self._changed:
            self._busy.discard(worker)
            if worker.fit() and not self._closed:
                self._idle.append(worker)
            else:
                worker.close()
            while len(self._idle) > MAX_IDLE:
                self._idle.pop(0).close()  # the one that has rested longest
            self._have_spare()
            self._changed.notify_all()

    def close(self) -> None:
        """Kill all workers, whatever they are at, and end the template. Who waits for an answer gets `Ended`."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            if self._again is not None:
                self._again.cancel()
            self._changed.notify_all()
        self._say("the server is stopping")
        self.watch.close()
        self._spawner.close()
        self._background.shutdown(cancel_futures=True)
        for worker in idle:
            worker.close()
        self.memory.close()


__all__ = ["Ended", "NoWorker", "Workers"]
