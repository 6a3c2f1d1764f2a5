"""Background: work that nobody waits for, a task at a time, in a thread that gives way to all others.

Python runs a single thread at a time, and takes turns every five milliseconds: a thread that computes without a pause
delays each step of a request by as much. A task looks at a cancellation between its steps, as all long work here does; that
look is where it sleeps.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from typing import Final

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.errors import Cancelled

STRETCH: Final = 0.0005  # seconds of work between two pauses
PAUSE: Final = 0.0001  # seconds; enough for a thread that waits to begin
MAX_WAITING: Final = 32
CLOSING_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


class GivingWay(Cancellation):
    """A cancellation that sleeps for `PAUSE` when it is looked at and `STRETCH` has passed since it last slept."""

    __slots__ = ("_awake", "_cancelled")

    def __init__(self) -> None:
        self._awake = time.monotonic()
        super().__init__()

    @property
    def cancelled(self) -> bool:
        """True if the work is to end."""
        if time.monotonic() - self._awake > STRETCH:
            time.sleep(PAUSE)
            self._awake = time.monotonic()
        return self._cancelled

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        self._cancelled = value


class Background:
    """Runs tasks one after another. Its thread starts with the first and ends with the last. An exception of a task is
    logged."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._tasks: deque[Callable[[], None]] = deque()
        self._thread: Thread | None = None
        self._giving_way = GivingWay()
        self._closed = False

    def submit(self, task: Callable[[], None]) -> bool:
        """Run a task later; False if it will not be, since `MAX_WAITING` wait already, or it is closed."""
        with self._changed:
            if self._closed or len(self._tasks) >= MAX_WAITING:
                return False
            self._tasks.append(task)
            if self._thread is None:
                self._thread = Thread(target=self._work, name="gradproof-background", daemon=True)
                self._thread.start()
            return True

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._tasks:
                    self._thread = None
                    self._changed.notify_all()
                    return
                task = self._tasks.popleft()
            try:
                self._giving_way.within(task)
            except Cancelled:
                pass
            except BaseException:
                _log.exception("a task in the background failed")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until nothing is left to do; False if that takes longer than ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, seconds)

    def close(self) -> None:
        """Drop the tasks that wait, and end the task that runs at its next look. Waits for that for `CLOSING_SECONDS` at
        most: what hangs in the code of a plugin is left behind."""
        with self._changed:
            self._closed = True
            self._tasks.clear()
        self._giving_way.cancel()
        self.wait(CLOSING_SECONDS)
