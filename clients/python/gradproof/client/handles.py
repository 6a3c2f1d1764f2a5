"""Hooks in the order they were registered, and the handles that remove them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

_ids = itertools.count()


class Handle:
    """Removes a hook; may be called twice. As a context manager it removes the hook at the end. ``id`` is its number."""

    def __init__(self, hooks: Hooks) -> None:
        self.id = next(_ids)
        self._hooks: Hooks | None = hooks

    def remove(self) -> None:
        """From the next pass on, and for tensors that this pass has not reached, the hook is not called."""
        if self._hooks is not None:
            self._hooks.remove(self.id)
            self._hooks = None

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


class Hooks:
    """Hooks by the id of their handle, in order of registration."""

    __slots__ = ("_hooks",)

    def __init__(self) -> None:
        self._hooks: dict[int, Any] | None = None  # most tensors have none

    def add(self, hook: Any) -> Handle:
        handle = Handle(self)
        if self._hooks is None:
            self._hooks = {}
        self._hooks[handle.id] = hook
        return handle

    def remove(self, number: int) -> None:
        if self._hooks:
            self._hooks.pop(number, None)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Ids and hooks, as they are now: what is added or removed meanwhile does not count."""
        return iter(list((self._hooks or {}).items()))

    def __contains__(self, number: int) -> bool:
        return number in (self._hooks or {})

    def __bool__(self) -> bool:
        return bool(self._hooks)


def label_of(hook: Callable[..., Any]) -> str:
    """The name of a function, as errors call it."""
    return getattr(hook, "__name__", type(hook).__name__)
