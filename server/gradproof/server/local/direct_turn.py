"""Turns of runs in the caller's thread: they are admitted without quotas, and compute where they are called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import numpy as np

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.estimate import Cost

T = TypeVar("T")
LONG_SECONDS = 0.01
"""Work with a longer estimate is watched by a timer, which ends it at its deadline; for less, waking the timer's thread
would take longer than the work."""


class Timers(Protocol):
    """Calls a function after some seconds, unless the call is cancelled."""

    def call_later(self, seconds: float, function: Callable[[], object]) -> Callable[[], object]: ...


class DirectTurn:
    """A run in the caller's thread: it has its turn at once. ``deadline``: on the monotonic clock, or None."""

    def __init__(self, timers: Timers, left: float | None) -> None:
        self.cancellation, self.deadline = Cancellation(), None if left is None else time.monotonic() + left
        self._timers, self._left = timers, left
        self._stop_timer: Callable[[], object] | None = None

    async def run(self, phase: str, seconds: float, function: Callable[..., T], *arguments: object) -> T:
        """The result of ``function(*arguments)``. Raises Cancelled after the deadline."""
        if self._left is not None and seconds > LONG_SECONDS and self._stop_timer is None:
            assert self.deadline is not None
            left = self.deadline - time.monotonic()
            self._stop_timer = self._timers.call_later(left, self.cancellation.cancel)
        with np.errstate(all="ignore"):
            return self.cancellation.within(function, *arguments)

    def enter_phase(self, phase: str) -> None:
        """Do nothing: nobody measures the phases."""

    def reserve(self, cost: Cost) -> None:
        """Do nothing: the memory is the caller's own."""

    def release_slot(self) -> None:
        """Do nothing: there are no slots."""

    @contextmanager
    def waiting_for_client(self, patience: float = 0.0) -> Iterator[None]:
        """Do nothing: nobody waits for the thread."""
        yield

    def end(self) -> None:
        """Stop the timer of the deadline."""
        if self._stop_timer is not None:
            self._stop_timer()


class DirectAdmission:
    """Admits every run at once, in the thread that calls."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers

    @contextmanager
    def request(self, left: float | None = None) -> Iterator[DirectTurn]:
        """A turn that ends with the block."""
        turn = DirectTurn(self._timers, left)
        try:
            yield turn
        finally:
            turn.end()
