"""A stream from a coroutine on an event loop to a thread, which reads it as an iterator."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")
READ_AHEAD = 4  # items that wait for a slow reader; the coroutine then waits too


class LoopStream(Generic[T]):
    """The items that a coroutine puts, until it ends; its exception is raised behind them. ``work`` makes the coroutine
    from a function that puts an item, and waits while the reader has not taken the last ones. Raises ConnectionError in a
    fork, which has no loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[Callable[[T], Coroutine[Any, Any, None]]], Coroutine[Any, Any, None]],
    ) -> None:
        self._loop, self._owner = loop, os.getpid()
        self._items: deque[T] = deque()
        self._change = threading.Condition()
        self._ended = False
        self._room = asyncio.Event()
        self._task: Future[None] = asyncio.run_coroutine_threadsafe(work(self._put), loop)
        self._task.add_done_callback(self._end)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if os.getpid() != self._owner:
            raise ConnectionError("the stream belongs to the process that this is a fork of")
        with self._change:
            while not self._items and not self._ended:
                self._change.wait()
            if not self._items:
                self._task.result()
                raise StopIteration
            item = self._items.popleft()
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._room.set)
        return item

    def cancel(self) -> None:
        """End the coroutine, if it has not ended."""
        if os.getpid() == self._owner:
            self._task.cancel()

    async def _put(self, item: T) -> None:
        while len(self._items) >= READ_AHEAD:
            self._room.clear()
            if len(self._items) >= READ_AHEAD:
                await self._room.wait()
        with self._change:
            self._items.append(item)
            self._change.notify()

    def _end(self, _: Future[None]) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()
