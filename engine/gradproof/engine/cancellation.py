"""Cancellation: work that nobody waits for any more ends soon, wherever it is.

A run looks between its nodes. All other work on large graphs is loops of short steps: they go over what is `watched`, and
end with the cancellation of whoever has the thread work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from gradproof.engine.errors import Cancelled

T = TypeVar("T")


class Cancellation:
    """Shared by those who work and those who wait for it. ``cancelled`` is set once, by any thread, and read between
    steps."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.cancelled = True

    def check(self) -> None:
        """Raises Cancelled if nobody waits any more."""
        if self.cancelled:
            raise Cancelled

    def within(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function; loops in it over what is `watched` end with this cancellation."""
        before = current()
        _thread.cancellation = self
        try:
            return function(*arguments)
        finally:
            _thread.cancellation = before


class Deadline(Cancellation):
    """The cancellation of work that also ends when the time of `time.monotonic` is ``at``."""

    __slots__ = ("at", "outer")

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at, self.outer = at, current()

    def check(self) -> None:
        self.outer.check()
        self.cancelled = self.cancelled or time.monotonic() > self.at
        super().check()


class _Never(Cancellation):
    __slots__ = ()

    def cancel(self) -> None:
        raise RuntimeError("this cancellation is shared by all that is waited for to its end: make one to cancel")


NEVER: Final = _Never()
"""The cancellation of work that is waited for to its end."""

_thread = threading.local()


def current() -> Cancellation:
    """The cancellation of what this thread does."""
    found: Cancellation = getattr(_thread, "cancellation", NEVER)
    return found


def look() -> None:
    """Raises Cancelled if nobody waits any more for what this thread does."""
    current().check()


def watched(items: Iterable[T]) -> Iterator[T]:
    """The items, with a `look` before each."""
    cancellation = current()
    return iter(items) if cancellation is NEVER else _until(cancellation, items)


def _until(cancellation: Cancellation, items: Iterable[T]) -> Iterator[T]:
    for item in items:
        if cancellation.cancelled:
            raise Cancelled
        yield item
