"""Reads of numbers while a function runs: what was computed from them is not in the record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_watchers: ContextVar[tuple[list[Any], ...]] = ContextVar("gradproof_reads", default=())


def watched() -> bool:
    """True while reads are noted."""
    return bool(_watchers.get())


def note(tensor: Any) -> None:
    """Note that the numbers of a tensor are read. Integers and truth values do not count: they have no derivative."""
    if tensor.dtype.kind not in "biu":
        for reads in _watchers.get():
            reads.append(tensor)


@contextmanager
def watching() -> Iterator[list[Any]]:
    """Collect the tensors whose numbers are read inside."""
    reads: list[Any] = []
    token = _watchers.set((*_watchers.get(), reads))
    try:
        yield reads
    finally:
        _watchers.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Note nothing inside: what the record itself reads does not leave it."""
    token = _watchers.set(())
    try:
        yield
    finally:
        _watchers.reset(token)
