"""Records of calls: phases, times and sizes. Logs, metrics, traces and `gradproof status` read them."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import NamedTuple, Protocol

from gradproof.engine.verify.processes import ORIGIN
from gradproof.server.calls.calls import CURRENT, MAX_REQUEST_ID, Call

PHASES = ("queue", "decode", "run", "checks", "encode")
"""Phases of a call, in order."""


@dataclass(slots=True, eq=False)
class Record:
    """Record of a call, or of a request of a session; ``parent`` is then the record of its stream. ``phase`` is the phase
    that began last, ``seconds`` the time of each phase so far, ``verdicts`` the number of gradients by summary; ``reason``
    and ``limit`` are those of the error that ended the call."""

    call: Call
    parent: Record | None = None
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
        """Seconds since the call began."""
        return time.perf_counter() - self.started


class Watcher(Protocol):
    """Observes calls: `observe` is called at the end of each phase, `ended` at the end of each call. Both may be called
    from any thread, and must not raise."""

    def observe(self, record: Record | None, phase: str, seconds: float) -> None: ...

    def ended(self, record: Record) -> None: ...


class CallRegistry:
    """The calls in flight, and the watchers of calls. While a server is ``warming``, calls through its own socket are not
    recorded. Thread-safe."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self.warming = False
        self._open: dict[int, Record] = {}
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._open)

    def records(self) -> list[Record]:
        """Records of the calls in flight, oldest first."""
        return list(self._open.values())

    @contextmanager
    def open(self, record: Record) -> Iterator[Record]:
        """Keep ``record`` open for the block, as the current record of this context."""
        if self.warming and record.call.peer.startswith("unix:"):
            yield record
            return
        number = next(self._numbers)
        self._open[number] = record
        tokens = CURRENT_RECORD.set(OpenRecord(self, record)), ORIGIN.set(record.call.request_id)
        try:
            yield record
        finally:
            CURRENT_RECORD.reset(tokens[0])
            ORIGIN.reset(tokens[1])
            del self._open[number]
            for watcher in self.watchers:
                watcher.ended(record)


class OpenRecord(NamedTuple):
    """A record of a call in flight, and the registry that has it."""

    registry: CallRegistry
    record: Record


CURRENT_RECORD: ContextVar[OpenRecord | None] = ContextVar("gradproof_record", default=None)
_lock = Lock()


@contextmanager
def nested_record(part: str, request_id: str) -> Iterator[Record]:
    """Open a record for a request of the running stream; ``part`` is added to the method, ``request_id`` to the id of the
    stream. Outside a call the record is not kept."""
    stream, current = CURRENT.get(), CURRENT_RECORD.get()
    name = f"{stream.request_id}/{request_id}"[:MAX_REQUEST_ID]
    call = replace(stream, method=f"{stream.method}/{part}", request_id=name)
    token = CURRENT.set(call)
    try:
        if current is None:
            yield Record(call)
            return
        with current.registry.open(Record(call, current.record)) as record:
            yield record
    finally:
        CURRENT.reset(token)


def record_caller(call: Call) -> None:
    """Replace the call of the current record, after its caller was authenticated."""
    current = CURRENT_RECORD.get()
    if current is not None:
        current.record.call = call


def observe_phase(phase: str, seconds: float) -> None:
    """Add time of a phase to the current record; does nothing outside a call."""
    current = CURRENT_RECORD.get()
    if current is None:
        return
    registry, record = current
    with _lock:
        record.seconds[phase] = record.seconds.get(phase, 0.0) + seconds
    for watcher in registry.watchers:
        watcher.observe(record, phase, seconds)


def begin_phase(phase: str) -> None:
    """Set the phase of the current record."""
    current = CURRENT_RECORD.get()
    if current is not None:
        current.record.phase = phase


def count_verdicts(counts: dict[str, int]) -> None:
    """Add numbers of gradients by summary to the current record."""
    current = CURRENT_RECORD.get()
    if current is not None:
        current.record.verdicts.update({word: count for word, count in counts.items() if count})
