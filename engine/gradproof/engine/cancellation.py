"""Cancellation: work for which no caller waits any more ends soon, wherever it is.

A run checks its cancellation between nodes. All other work on large graphs is loops of short steps over `watched` items,
which end when the cancellation that the thread works for is set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from gradproof.engine.errors import Cancelled

T = TypeVar("T")


class Cancellation:
    """A flag that a worker and its caller share. ``cancelled`` is set once, by any thread, and read between
    steps."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Set the flag."""
        self.cancelled = True

    def check(self) -> None:
        """Raises Cancelled if the flag is set."""
        if self.cancelled:
            raise Cancelled

    def within(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of ``function(*arguments)``; loops in it over `watched` items end with this cancellation."""
        outer = current()
        _thread.cancellation = self
        try:
            return function(*arguments)
        finally:
            _thread.cancellation = outer


class Deadline(Cancellation):
    """The cancellation of work that also ends when `time.monotonic`, in seconds, passes ``at``."""

    __slots__ = ("at", "outer")

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at, self.outer = at, current()

    def check(self) -> None:
        """Raises Cancelled if the flag or that of the outer cancellation is set, or the time is over."""
        self.outer.check()
        self.cancelled = self.cancelled or time.monotonic() > self.at
        super().check()


class _Never(Cancellation):
    __slots__ = ()

    def cancel(self) -> None:
        raise RuntimeError("this cancellation is shared by all work that runs to its end: make another to cancel")


NEVER: Final = _Never()
"""The cancellation of work that runs to its end."""

_thread = threading.local()


def current() -> Cancellation:
    """The cancellation that this thread works for."""
    cancellation: Cancellation = getattr(_thread, "cancellation", NEVER)
    return cancellation


def look() -> None:
    """Raises Cancelled if the `current` cancellation is set."""
    current().check()


def watched(items: Iterable[T]) -> Iterator[T]:
    """Iterate over the items, with a `look` before each."""
    cancellation = current()
    return iter(items) if cancellation is NEVER else _until(cancellation, items)


def _until(cancellation: Cancellation, items: Iterable[T]) -> Iterator[T]:
    for item in items:
        if cancellation.cancelled:
            raise Cancelled
        yield item
