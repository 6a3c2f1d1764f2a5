"""Admission control: a request works now, waits, or is refused, by its caller and its estimated cost.

Small work has its own threads and never waits. Large work takes a slot; slots are few, and go round-robin between callers.
A run that waits for its client (for the answer of a hook, or until its output is read) releases its slot meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from gradproof.engine.caller import Caller
from gradproof.engine.cancellation import Cancellation
from gradproof.engine.errors import LimitExceeded
from gradproof.engine.estimate import Cost
from gradproof.engine.plugin_errors import shielded
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.record import begin_phase, observe_phase
from gradproof.server.limits import Limits

SMALL_SECONDS = 0.0005
"""Work with a lower estimate is small."""

SMALL_THREADS = 32
PATIENCE = 0.05  # seconds for the client to read, before the slot is released
LOST_SECONDS = 30.0  # after this time, abandoned work that does not end loses its slot
LARGE_NICE = 5  # niceness of the threads of large work
SOON = 0.05  # shortest retry delay for a refused client
SWITCH_SECONDS = 0.0002  # interval after which a thread that computes in Python hands over to others
COLLECTIONS = (5000, 4, 1000)
"""Thresholds of the garbage collector: a full collection is rare, since it takes half a second beside a graph of 100,000
nodes."""
T = TypeVar("T")


class Busy(LimitExceeded):
    """Refusal of a request that may be sent again after ``retry_seconds``. ``reason`` is OVERLOADED if all callers together
    exceed a limit, QUOTA_EXCEEDED if this caller does."""

    def __init__(self, reason: str, name: str, actual: float, limit: float, retry_seconds: float, hint: str = "") -> None:
        super().__init__(name, actual, limit, hint)
        self.reason, self.retry_seconds = reason, max(SOON, retry_seconds)


def caller_name() -> str:
    """The name of the caller of this call; for a server without callers, the host it calls from."""
    call = CURRENT.get()
    return call.caller.name or host_of(call.peer)


def host_of(peer: str) -> str:
    """The host of a gRPC peer such as ipv4:10.0.0.1:5000, so that all connections of a client count together."""
    return peer if peer.startswith("unix:") else peer.rpartition(":")[0]


def silence_warnings() -> None:
    """Turn off NumPy's floating-point warnings in this thread; verdicts report infinities and nans."""
    np.seterr(all="ignore")


def lower_priority() -> None:
    """As `silence_warnings`, and lower the priority of this thread below those of small work and the event loop."""
    silence_warnings()
    if sys.platform == "linux":  # only there a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + LARGE_NICE)


def tune_process() -> None:
    """Keep latency low beside large work: BLAS uses half of the processors, the interpreter switches threads often, and
    objects that exist now are exempt from garbage collection."""
    threadpool_limits(max(1, (os.cpu_count() or 1) // 2), user_api="blas")
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


class Admission:
    """Admits the requests of all calls. Its counters are public: ``in_flight``, ``waiting`` (runs that wait for their
    clients), ``small`` and ``large`` (work in threads), ``queued``, ``sessions``, ``nbytes`` (estimated, of all runs),
    ``admitted`` (since the start), ``refused`` (by reason and limit). Belongs to a single event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_flight = self.waiting = self.small = self.large = self.queued = self.sessions = 0
        self.nbytes = self.admitted = 0
        self.refused: Counter[tuple[str, str]] = Counter()
        self.pace = 1.0  # actual seconds of large work per estimated second
        self._runs_of: Counter[str] = Counter()
        self._waiting_of: Counter[str] = Counter()
        self._sessions_of: Counter[str] = Counter()
        self._queue: OrderedDict[str, deque[tuple[asyncio.Future[None], float]]] = OrderedDict()
        self._working: dict[Turn, tuple[float, float]] = {}
        self._small_threads = ThreadPoolExecutor(SMALL_THREADS, "small", initializer=silence_warnings)
        self._large_threads = ThreadPoolExecutor(
            limits.large_runs + limits.runs_in_flight, "large", initializer=lower_priority
        )

    def close(self) -> None:
        """Start no more work, without waiting for work that runs."""
        self._small_threads.shutdown(wait=False, cancel_futures=True)
        self._large_threads.shutdown(wait=False, cancel_futures=True)

    def request(self, left: float | None = None) -> Turn:
        """A request that is in flight inside the block of which it is the context manager; ``left`` is the time to the
        deadline of its call, in seconds. Entering it raises Busy at once if a limit is reached."""
        return Turn(self, caller_name(), None if left is None else time.monotonic() + left)

    def admit(self, caller: str) -> None:
        """Count a request of a caller as in flight. Raises Busy if a limit is reached."""
        if self.in_flight >= self.limits.runs_in_flight:
            raise self._busy("OVERLOADED", "runs_in_flight", self.in_flight)
        if self._runs_of[caller] >= (most := self._share(CURRENT.get().caller)):
            raise self._busy("QUOTA_EXCEEDED", "runs_per_caller", self._runs_of[caller], most)
        self.admitted += 1
        self.count(caller, 1)

    @contextmanager
    def session(self) -> Iterator[None]:
        """A session that is open inside the block. Raises Busy if a limit is reached."""
        caller, limits = caller_name(), self.limits
        with self._counting_refusals():
            if self.sessions >= limits.sessions:
                raise self._busy("OVERLOADED", "sessions", self.sessions)
            if self._sessions_of[caller] >= limits.sessions_per_caller:
                raise self._busy("QUOTA_EXCEEDED", "sessions_per_caller", self._sessions_of[caller])
        self.sessions += 1
        self._sessions_of[caller] += 1
        try:
            yield
        finally:
            self.sessions -= 1
            _decrement(self._sessions_of, caller)

    @property
    def busy(self) -> int:
        """Number of requests in flight, or waiting for their clients."""
        return self.in_flight + self.waiting

    def expected_wait(self) -> float:
        """Estimated seconds until large work that arrives now may begin."""
        now = time.monotonic()
        if self.large < self.limits.large_runs and not self.queued:
            return 0.0
        running = sum(max(0.0, self.pace * seconds - (now - since)) for since, seconds in self._working.values())
        queued = sum(seconds for places in self._queue.values() for _, seconds in places)
        return (running + self.pace * queued) / self.limits.large_runs

    @contextmanager
    def _counting_refusals(self) -> Iterator[None]:
        try:
            yield
        except LimitExceeded as error:
            self.count_refusal(error)
            raise

    def count_refusal(self, error: LimitExceeded) -> None:
        """Count a refusal, by reason and limit."""
        self.refused[error.reason, error.name] += 1

    def _share(self, caller: Caller) -> int:
        """Number of runs that a caller may have in flight: its own quota, or the general limit."""
        if caller.runs is None and caller.share is None:
            return self.limits.runs_per_caller
        quotas = (caller.runs, None if caller.share is None else max(1, int(caller.share * self.limits.runs_in_flight)))
        return min(quota for quota in quotas if quota is not None)

    def _busy(self, reason: str, name: str, actual: int, limit: int | None = None) -> Busy:
        most = getattr(self.limits, name) if limit is None else limit
        return Busy(reason, name, actual + 1, most, self.expected_wait(), "send it again later")

    def count(self, caller: str, by: int) -> None:
        """Change the number of requests in flight."""
        self.in_flight += by
        self._runs_of[caller] += by
        if not self._runs_of[caller]:
            del self._runs_of[caller]

    def submit(self, large: bool, function: Callable[[], T]) -> Future[T]:
        """Start ``function`` in a thread for small or large work, with the context of this call."""
        threads = self._large_threads if large else self._small_threads
        return threads.submit(copy_context().run, function)

    async def take_slot(self, turn: Turn, seconds: float, *, resumed: bool) -> None:
        """Wait for a slot for work of so many estimated seconds. Raises Busy if the queue is too long, unless the run is
        ``resumed``."""
        started = time.monotonic()
        if self.large >= self.limits.large_runs or self.queued:
            if not resumed:
                self.check_queue(turn)
            await self._wait_in_queue(turn.caller, seconds)
        else:
            self.large += 1
        self._working[turn] = (time.monotonic(), seconds)
        observe_phase("queue", time.monotonic() - started)

    def check_queue(self, turn: Turn) -> None:
        """Raise Busy if the queue is full, or longer than the deadline allows."""
        limit, wait = self.limits.runs_queued, self.expected_wait()
        if self.queued >= limit:
            raise self._busy("OVERLOADED", "runs_queued", self.queued)
        if turn.deadline is not None and time.monotonic() + wait > turn.deadline:
            left = max(0.0, round(turn.deadline - time.monotonic(), 3))
            hint = "the wait would exceed its deadline: give it more time, or send it later"
            raise Busy("OVERLOADED", "deadline_seconds", round(wait, 3), left, wait, hint)

    async def _wait_in_queue(self, caller: str, seconds: float) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = place, seconds
        self._queue.setdefault(caller, deque()).append(entry)
        self.queued += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._free_slot()
            else:
                self._leave_queue(caller, entry)
            raise
        finally:
            self.queued -= 1

    def _leave_queue(self, caller: str, entry: tuple[asyncio.Future[None], float]) -> None:
        """Remove an entry, so that it no longer counts in `expected_wait`."""
        places = self._queue.get(caller, deque())
        if entry in places:  # otherwise `_free_slot` has skipped it
            places.remove(entry)
            if not places:
                del self._queue[caller]

    def _free_slot(self) -> None:
        """Give a free slot to the next caller in the queue."""
        while self._queue:
            caller, places = self._queue.popitem(last=False)
            place, _ = places.popleft()
            if places:
                self._queue[caller] = places  # to the end of the queue
            if not place.done():  # otherwise its task was cancelled, and has not left the queue yet
                place.set_result(None)
                return
        self.large -= 1

    def give_back(self, turn: Turn) -> None:
        """Free the slot of ``turn``, and update the pace."""
        since, seconds = self._working.pop(turn)
        if seconds > 10 * SMALL_SECONDS:
            taken = min(100.0, max(0.01, (time.monotonic() - since) / seconds))
            self.pace += (taken - self.pace) / 8
            gc.collect(1)  # cycles that a run leaves may hold large arrays
        self._free_slot()

    def begin_waiting(self, caller: str) -> bool:
        """Count a run as waiting for its client instead of in flight. Returns False if too many wait already."""
        limits = self.limits
        if self.waiting >= limits.runs_waiting or self._waiting_of[caller] >= limits.waiting_per_caller:
            return False
        self.waiting += 1
        self._waiting_of[caller] += 1
        self.count(caller, -1)
        return True

    def end_waiting(self, caller: str) -> None:
        """Count a run as in flight again."""
        self.waiting -= 1
        _decrement(self._waiting_of, caller)
        self.count(caller, 1)


class Turn:
    """A request that was admitted, with its slot. ``cancellation`` is set when its call is cancelled during work."""

    def __init__(self, admission: Admission, caller: str, deadline: float | None) -> None:
        self.admission, self.caller, self.deadline = admission, caller, deadline
        self.cancellation = Cancellation()
        self._has_slot = self._reserved = self._waits = False
        self._phase, self._since = "", 0.0
        self._work: Future[Any] | None = None
        self._nbytes = 0

    def __enter__(self) -> Turn:
        try:
            self.admission.admit(self.caller)
        except LimitExceeded as error:
            self.admission.count_refusal(error)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()
        if isinstance(error, LimitExceeded):
            self.admission.count_refusal(error)

    async def run(self, phase: str, seconds: float, function: Callable[..., T], *arguments: object) -> T:
        """The result of ``function(*arguments)`` in a thread. Large work, by its estimated ``seconds``, takes a slot first,
        and keeps it until the request ends or waits for its client. Raises Busy if the queue is too long."""
        admission, large = self.admission, seconds > SMALL_SECONDS
        if large and not self._has_slot:
            begin_phase("queue")
            await admission.take_slot(self, seconds, resumed=self._reserved)
            self._has_slot = True
        admission.small += not large
        self._phase, self._since = phase, time.perf_counter()
        begin_phase(phase)
        work = admission.submit(large, partial(shielded, self.cancellation.within, function, *arguments))
        self._work = work
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            self.cancellation.cancel()
            raise
        finally:
            admission.small -= not large
            observe_phase(self._phase, time.perf_counter() - self._since)

    def enter_phase(self, phase: str) -> None:
        """Start another phase of the work. Called from its thread."""
        if self.cancellation.cancelled:  # `run` has observed the time so far
            return
        now = time.perf_counter()
        observe_phase(self._phase, now - self._since)
        self._phase, self._since = phase, now
        begin_phase(phase)

    def reserve(self, cost: Cost) -> None:
        """Reserve memory for a run, which is not refused afterwards. Raises Busy if all runs together would need too much
        memory, or the queue is too long."""
        admission = self.admission
        nbytes, limit = admission.nbytes + cost.nbytes, admission.limits.bytes_in_flight
        if nbytes > limit and admission.nbytes:
            hint = "wait for other requests to end"
            raise Busy("OVERLOADED", "bytes_in_flight", nbytes, limit, admission.expected_wait(), hint)
        if cost.seconds > SMALL_SECONDS and not self._has_slot and admission.large >= admission.limits.large_runs:
            admission.check_queue(self)
        self._reserved = True
        self._nbytes = cost.nbytes
        admission.nbytes += cost.nbytes

    @contextmanager
    def waiting_for_client(self, patience: float = PATIENCE) -> Iterator[None]:
        """Inside the block the run waits for its client. After ``patience`` seconds it releases its slot, and counts as
        waiting unless too many runs do."""
        timer = asyncio.get_running_loop().call_later(patience, self._begin_waiting) if patience else None
        if timer is None:
            self._begin_waiting()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            self._end_waiting()

    def release_slot(self) -> None:
        """Give the slot back, if any."""
        if self._has_slot:
            self._has_slot = False
            self.admission.give_back(self)

    def _begin_waiting(self) -> None:
        self.release_slot()
        self._waits = self.admission.begin_waiting(self.caller)

    def _end_waiting(self) -> None:
        if self._waits:
            self._waits = False
            self.admission.end_waiting(self.caller)

    def end(self) -> None:
        """End the request. Work that cannot be interrupted keeps its slot until it ends."""
        self.admission.count(self.caller, -1)
        self.admission.nbytes -= self._nbytes
        if not self._has_slot:
            return
        if self._work is None or self._work.done():
            self.release_slot()
            return
        loop, work, self._work = asyncio.get_running_loop(), self._work, None
        lost = loop.call_later(LOST_SECONDS, self.release_slot)

        def over() -> None:
            lost.cancel()
            self.release_slot()

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(over)

        work.add_done_callback(ended)


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
