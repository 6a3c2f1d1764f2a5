"""The record of a call: what it is at, and what it took. Logs, metrics, traces and `gradproof status` read it."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Protocol

from gradproof.engine.verify.processes import ORIGIN
from gradproof.server.calls.calls import CURRENT, MAX_REQUEST_ID, Call

PHASES = ("queue", "decode", "run", "checks", "encode")
"""Parts of a call, in their order."""


@dataclass(slots=True, eq=False)
class Record:
    """One call, or a request of a session, which has the record of its stream ``above``. ``phase``: its part that began
    last; ``seconds``: what each part took so far; ``verdicts``: gradients by their summary; ``reason`` and ``limit``: of
    the error that ended it."""

    call: Call
    above: Record | None = None
    started: float = field(default_factory=time.perf_counter)
    began: int = field(default_factory=time.time_ns)
    phase: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    code: str = ""
    reason: str = ""
    limit: str = ""

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.started


class Watcher(Protocol):
    """Hears of calls: of each part as it ends, and of each call as it ends. Called from any thread; is not to raise."""

    def observe(self, record: Record | None, phase: str, seconds: float) -> None: ...

    def ended(self, record: Record) -> None: ...


class Book:
    """The calls in flight, and the watchers of calls. While a server is ``warming``, calls at its own socket are its own:
    nobody hears of them. Safe to use from several threads."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self.warming = False
        self._open: dict[int, Record] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._open)

    def records(self) -> list[Record]:
        """Records of the calls in flight, the oldest first."""
        return list(self._open.values())

    @contextmanager
    def open(self, record: Record) -> Iterator[Record]:
        """Keep a record for the body, in which `observe` and `phase` know it."""
        if self.warming and record.call.peer.startswith("unix:"):
            yield record
            return
        number = next(self._numbers)
        self._open[number] = record
        tokens = CURRENT_RECORD.set((self, record)), ORIGIN.set(record.call.request_id)
        try:
            yield record
        finally:
            CURRENT_RECORD.reset(tokens[0])
            ORIGIN.reset(tokens[1])
            del self._open[number]
            for watcher in self.watchers:
                watcher.ended(record)


CURRENT_RECORD: ContextVar[tuple[Book, Record] | None] = ContextVar("gradproof_record", default=None)
_lock = Lock()


@contextmanager
def below(part: str, request_id: str) -> Iterator[Record]:
    """A record of its own for a request of the stream that the running call is, called ``part``. Its id is that of the
    stream with the client's name for the request behind it. Outside a call nobody hears of it."""
    stream, found = CURRENT.get(), CURRENT_RECORD.get()
    name = f"{stream.request_id}/{request_id}"[:MAX_REQUEST_ID]
    call = replace(stream, method=f"{stream.method}/{part}", request_id=name)
    token = CURRENT.set(call)
    try:
        if found is None:
            yield Record(call)
            return
        book, above = found
        with book.open(Record(call, above)) as record:
            yield record
    finally:
        CURRENT.reset(token)


def identified(call: Call) -> None:
    """Note whose the running call is."""
    found = CURRENT_RECORD.get()
    if found is not None:
        found[1].call = call


def observe(phase: str, seconds: float) -> None:
    """Note that a part of the running call took so many seconds; nothing happens outside a call."""
    found = CURRENT_RECORD.get()
    if found is None:
        return
    book, record = found
    with _lock:
        record.seconds[phase] = record.seconds.get(phase, 0.0) + seconds
    for watcher in book.watchers:
        watcher.observe(record, phase, seconds)


def begin(phase: str) -> None:
    """Note what the running call is at."""
    found = CURRENT_RECORD.get()
    if found is not None:
        found[1].phase = phase


def judged(counts: dict[str, int]) -> None:
    """Note how many gradients of the running call got which summary."""
    found = CURRENT_RECORD.get()
    if found is not None:
        found[1].verdicts.update({word: count for word, count in counts.items() if count})
