"""Reads of numbers while a function runs, and what else it does that is not in the record: draws of random numbers and
changes in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Guard: TypeAlias = Callable[[Literal["read", "draw", "change"], Any], None]


@dataclass
class Watch:
    """What is noted while a function runs.

    Attributes:
        reads: the tensors whose numbers are read. Integers and truth values do not count: they have no derivative.
        guard: is called with what is done, and the tensor that it is done to, before it happens: "read", "draw" (without a
            tensor) or "change", which stands for a change in place, of flags and of hooks.
    """

    reads: list[Any] = field(default_factory=list)
    guard: Guard | None = None


_watches: ContextVar[tuple[Watch, ...]] = ContextVar("gradproof_reads", default=())


def watched() -> bool:
    """True while reads are noted."""
    return bool(_watches.get())


def note(tensor: Any) -> None:
    """Note that the numbers of a tensor are read."""
    for watch in _watches.get():
        if watch.guard is not None:
            watch.guard("read", tensor)
        if tensor.dtype.kind not in "biu":
            watch.reads.append(tensor)


def note_change(tensor: Any) -> None:
    """Note that a tensor is about to change."""
    for watch in _watches.get():
        if watch.guard is not None:
            watch.guard("change", tensor)


def note_draw() -> None:
    """Note that random numbers are about to be drawn."""
    for watch in _watches.get():
        if watch.guard is not None:
            watch.guard("draw", None)


@contextmanager
def watching(guard: Guard | None = None) -> Iterator[Watch]:
    """Note what happens inside."""
    watch = Watch(guard=guard)
    token = _watches.set((*_watches.get(), watch))
    try:
        yield watch
    finally:
        _watches.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Note nothing inside: what the record itself reads does not leave it."""
    token = _watches.set(())
    try:
        yield
    finally:
        _watches.reset(token)
