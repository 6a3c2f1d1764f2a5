"""Driving of coroutines that wait for nothing: from their start to their end, without an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


def driven(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    coroutine.close()
    raise RuntimeError("a run in the caller's thread waited for an event loop")


def driven_items(items: AsyncGenerator[T]) -> Generator[T, None, None]:
    """The items of an asynchronous generator that waits for nothing."""
    try:
        while True:
            try:
                item = driven(anext(items))
            except StopAsyncIteration:
                return
            yield item
    finally:
        driven(items.aclose())
