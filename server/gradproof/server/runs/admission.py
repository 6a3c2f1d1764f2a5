"""Admission: whether a request may work now, waits, or is refused; by identity, and by what it is estimated to cost.

Small work has threads of its own and waits for nobody. Large work takes one of a few slots, in turn between identities. A
run that waits for its client (for a hook's answer, for what it sent to be read) gives its slot back, and counts as waiting.
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
from typing import Any, Protocol, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from gradproof.engine.caller import Caller
from gradproof.engine.cancellation import Cancellation
from gradproof.engine.errors import LimitExceeded
from gradproof.engine.estimate import Cost
from gradproof.engine.plugin_errors import shielded
from gradproof.server.calls.calls import CURRENT
from gradproof.server.calls.record import begin
from gradproof.server.limits import Limits

SMALL_SECONDS = 0.0005
"""Work that is estimated below this is small."""

SMALL_THREADS = 32
PATIENCE = 0.05  # seconds for what was sent to be read, before a slot is given back
LOST_SECONDS = 30.0  # after which the slot of work that nobody waits for, and that does not end, is another's
LARGE_NICE = 5  # of the threads of large work
SOON = 0.05  # the shortest wait that a refused client is told
SWITCH_SECONDS = 0.0002  # after which a thread that computes in Python lets another one go on
COLLECTIONS = (5000, 4, 1000)
"""When garbage is looked for: often among few objects, and hardly ever among all, which takes half a second beside a
graph of 100,000 nodes."""
T = TypeVar("T")


class Observer(Protocol):
    """Hears how long each phase of a request took: queue, decode, run, checks, encode."""

    def observe(self, phase: str, seconds: float) -> None: ...


class Seconds:
    """An observer that adds up."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()

    def observe(self, phase: str, seconds: float) -> None:
        self.total[phase] += seconds  # type: ignore[assignment]


class Busy(LimitExceeded):
    """A request that may be sent again after ``retry_seconds``. ``reason``: OVERLOADED where all callers together ask too
    much, QUOTA_EXCEEDED where this one does."""

    def __init__(self, reason: str, name: str, actual: float, limit: float, retry_seconds: float, hint: str = "") -> None:
        super().__init__(name, actual, limit, hint)
        self.reason, self.retry_seconds = reason, max(SOON, retry_seconds)


def identity() -> str:
    """Name of the caller of this call; where the server asks for none, the address it calls from."""
    call = CURRENT.get()
    return call.caller.name or host_of(call.peer)


def host_of(peer: str) -> str:
    """The host of a gRPC peer such as ipv4:10.0.0.1:5000: a client with many connections is one."""
    return peer if peer.startswith("unix:") else peer.rpartition(":")[0]


def quiet() -> None:
    """Let the thread compute with infinities and nans in silence: verdicts say what came of it."""
    np.seterr(all="ignore")


def modest() -> None:
    """As `quiet`, and let threads of small work and of the event loop go first where there are too few processors."""
    quiet()
    if sys.platform == "linux":  # where a priority is that of a thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + LARGE_NICE)


def settle() -> None:
    """Let this process answer small requests beside large ones: products of matrices leave a core to others, threads that
    compute in Python let each other go on soon, and what there is already is never looked through for garbage."""
    threadpool_limits(max(1, (os.cpu_count() or 1) // 2), user_api="blas")
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)


class Admission:
    """Admits the requests of all calls. Numbers to read: ``in_flight``, ``waiting`` (runs that wait for their clients),
    ``small`` and ``large`` (work in threads), ``queued``, ``sessions``, ``nbytes`` (estimated, of runs), ``admitted`` (in
    all), ``refused`` by reason and limit. Belongs to one event loop."""

    def __init__(self, limits: Limits, observer: Observer | None = None) -> None:
        self.limits = limits
        self.observer = observer or Seconds()
        self.in_flight = self.waiting = self.small = self.large = self.queued = self.sessions = 0
        self.nbytes = self.admitted = 0
        self.refused: Counter[tuple[str, str]] = Counter()
        self.pace = 1.0  # seconds that large work took, for each that was estimated
        self._runs_of: Counter[str] = Counter()
        self._waiting_of: Counter[str] = Counter()
        self._sessions_of: Counter[str] = Counter()
        self._line: OrderedDict[str, deque[tuple[asyncio.Future[None], float]]] = OrderedDict()
        self._owed: dict[Turn, tuple[float, float]] = {}
        self._small_threads = ThreadPoolExecutor(SMALL_THREADS, "small", initializer=quiet)
        self._large_threads = ThreadPoolExecutor(limits.large_runs + limits.runs_in_flight, "large", initializer=modest)

    def close(self) -> None:
        """Start nothing more. The threads end after what they are at, for which nobody waits."""
        self._small_threads.shutdown(wait=False, cancel_futures=True)
        self._large_threads.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def request(self, left: float | None = None) -> Iterator[Turn]:
        """A request that is in flight inside the block; ``left``: the seconds that its call may take. Raises Busy at once
        where too many are."""
        caller, limits = identity(), self.limits
        with self._counting():
            if self.in_flight >= limits.runs_in_flight:
                raise self._busy("OVERLOADED", "runs_in_flight", self.in_flight)
            if self._runs_of[caller] >= (most := self._share(CURRENT.get().caller)):
                raise self._busy("QUOTA_EXCEEDED", "runs_per_caller", self._runs_of[caller], most)
            self.admitted += 1
            turn = Turn(self, caller, None if left is None else time.monotonic() + left)
            self._count(caller, 1)
            try:
                yield turn
            finally:
                turn._end()

    @contextmanager
    def session(self) -> Iterator[None]:
        """A session that is open inside the block. Raises Busy where too many are."""
        caller, limits = identity(), self.limits
        with self._counting():
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
            _less(self._sessions_of, caller)

    @property
    def busy(self) -> int:
        """Requests that are in flight, or wait for their clients."""
        return self.in_flight + self.waiting

    def expected_wait(self) -> float:
        """Seconds until large work that comes now may begin, about."""
        now = time.monotonic()
        if self.large < self.limits.large_runs and not self.queued:
            return 0.0
        running = sum(max(0.0, self.pace * seconds - (now - since)) for since, seconds in self._owed.values())
        line = sum(seconds for places in self._line.values() for _, seconds in places)
        return (running + self.pace * line) / self.limits.large_runs

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except LimitExceeded as error:
            self.refused[error.reason, error.name] += 1
            raise

    def _share(self, caller: Caller) -> int:
        """How many runs a caller may have in flight: its own quota, or what all have."""
        if caller.runs is None and caller.share is None:
            return self.limits.runs_per_caller
        quotas = (caller.runs, None if caller.share is None else max(1, int(caller.share * self.limits.runs_in_flight)))
        return min(quota for quota in quotas if quota is not None)

    def _busy(self, reason: str, name: str, actual: int, limit: int | None = None) -> Busy:
        most = getattr(self.limits, name) if limit is None else limit
        return Busy(reason, name, actual + 1, most, self.expected_wait(), "send it again later")

    def _count(self, caller: str, by: int) -> None:
        self.in_flight += by
        self._runs_of[caller] += by
        if not self._runs_of[caller]:
            del self._runs_of[caller]

    async def _take(self, turn: Turn, seconds: float, *, back: bool) -> None:
        """Wait for a slot. A run that comes ``back`` to its work is not refused any more."""
        started = time.monotonic()
        if self.large >= self.limits.large_runs or self.queued:
            if not back:
                self._check_line(turn)
            await self._stand(turn.caller, seconds)
        else:
            self.large += 1
        self._owed[turn] = (time.monotonic(), seconds)
        self.observer.observe("queue", time.monotonic() - started)

    def _check_line(self, turn: Turn) -> None:
        limit, wait = self.limits.runs_queued, self.expected_wait()
        if self.queued >= limit:
            raise self._busy("OVERLOADED", "runs_queued", self.queued)
        if turn.deadline is not None and time.monotonic() + wait > turn.deadline:
            left = max(0.0, round(turn.deadline - time.monotonic(), 3))
            hint = "it would wait longer for its turn than its deadline allows: give it more time, or send it later"
            raise Busy("OVERLOADED", "deadline_seconds", round(wait, 3), left, wait, hint)

    async def _stand(self, caller: str, seconds: float) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = place, seconds
        self._line.setdefault(caller, deque()).append(entry)
        self.queued += 1
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._free()
            else:
                self._leave(caller, entry)
            raise
        finally:
            self.queued -= 1

    def _leave(self, caller: str, entry: tuple[asyncio.Future[None], float]) -> None:
        """Give up a place: it counts no longer in the wait that others are told."""
        places = self._line.get(caller, deque())
        if entry in places:  # or a slot that became free went past it
            places.remove(entry)
            if not places:
                del self._line[caller]

    def _free(self) -> None:
        """A slot is free: it goes to the identity whose turn it is."""
        while self._line:
            caller, places = self._line.popitem(last=False)
            place, _ = places.popleft()
            if places:
                self._line[caller] = places  # behind the others
            if not place.done():  # its task was cancelled, and has not come to leave the line yet
                place.set_result(None)
                return
        self.large -= 1

    def _give(self, turn: Turn) -> None:
        since, seconds = self._owed.pop(turn)
        if seconds > 10 * SMALL_SECONDS:
            taken = min(100.0, max(0.01, (time.monotonic() - since) / seconds))
            self.pace += (taken - self.pace) / 8
            gc.collect(1)  # what a run leaves in cycles may hold large arrays
        self._free()


class Turn:
    """The turn of a request: the work that it may do, and when. ``cancellation`` is that of its work: set when the call is
    left while it works."""

    def __init__(self, admission: Admission, caller: str, deadline: float | None) -> None:
        self.admission, self.caller, self.deadline = admission, caller, deadline
        self.cancellation = Cancellation()
        self._holds = self._began = self._waits = False
        self._phase, self._since = "", 0.0
        self._work: Future[Any] | None = None
        self._nbytes = 0

    async def do(self, phase: str, seconds: float, function: Callable[..., T], *arguments: object) -> T:
        """``function(*arguments)`` in a thread. Large work (by ``seconds``, estimated) takes a slot first, and keeps it
        until the request ends, or waits for its client. Raises Busy where the line is too long."""
        admission, large = self.admission, seconds > SMALL_SECONDS
        if large and not self._holds:
            begin("queue")
            await admission._take(self, seconds, back=self._began)
            self._holds = True
        threads = admission._large_threads if large else admission._small_threads
        admission.small += not large
        self._phase, self._since = phase, time.perf_counter()
        begin(phase)
        work = threads.submit(copy_context().run, shielded, self.cancellation.within, function, *arguments)
        self._work = work
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            self.cancellation.cancel()
            raise
        finally:
            admission.small -= not large
            admission.observer.observe(self._phase, time.perf_counter() - self._since)

    def enter(self, phase: str) -> None:
        """The work in the thread goes on with another part of the request. Called from that thread."""
        if self.cancellation.cancelled:  # nobody waits, and what it took so far has been noted
            return
        now = time.perf_counter()
        self.admission.observer.observe(self._phase, now - self._since)
        self._phase, self._since = phase, now
        begin(phase)

    def expect(self, cost: Cost) -> None:
        """A run is to come. Raises Busy where it would take too much beside the others, or the line is too long for it;
        later it is not refused any more."""
        admission = self.admission
        nbytes, limit = admission.nbytes + cost.nbytes, admission.limits.bytes_in_flight
        if nbytes > limit and admission.nbytes:
            hint = "wait for other requests to end"
            raise Busy("OVERLOADED", "bytes_in_flight", nbytes, limit, admission.expected_wait(), hint)
        if cost.seconds > SMALL_SECONDS and not self._holds and admission.large >= admission.limits.large_runs:
            admission._check_line(self)
        self._began = True
        self._nbytes = cost.nbytes
        admission.nbytes += cost.nbytes

    @contextmanager
    def aside(self, patience: float = PATIENCE) -> Iterator[None]:
        """It is for the client to do something inside the block: if it takes more than ``patience`` seconds, the slot is
        another's, and the run counts as waiting, as long as there are not too many of those."""
        timer = asyncio.get_running_loop().call_later(patience, self._step_aside) if patience else None
        if timer is None:
            self._step_aside()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            self._come_back()

    def rest(self) -> None:
        """No more large work comes, or not soon: give the slot back."""
        if self._holds:
            self._holds = False
            self.admission._give(self)

    def _step_aside(self) -> None:
        self.rest()
        admission, limits = self.admission, self.admission.limits
        if admission.waiting < limits.runs_waiting and admission._waiting_of[self.caller] < limits.waiting_per_caller:
            self._waits = True
            admission.waiting += 1
            admission._waiting_of[self.caller] += 1
            admission._count(self.caller, -1)

    def _come_back(self) -> None:
        if self._waits:
            self._waits = False
            self.admission.waiting -= 1
            _less(self.admission._waiting_of, self.caller)
            self.admission._count(self.caller, 1)

    def _end(self) -> None:
        """The request is over. Work that goes on, since nothing can stop it, keeps its slot until it ends."""
        self.admission._count(self.caller, -1)
        self.admission.nbytes -= self._nbytes
        if not self._holds:
            return
        if self._work is None or self._work.done():
            self.rest()
            return
        loop, work, self._work = asyncio.get_running_loop(), self._work, None  # its result is nobody's
        lost = loop.call_later(LOST_SECONDS, self.rest)

        def over() -> None:
            lost.cancel()
            self.rest()

        def ended(_: Future[Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(over)

        work.add_done_callback(ended)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
