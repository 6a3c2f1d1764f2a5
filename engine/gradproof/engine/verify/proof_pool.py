"""Pool of proofs: SymPy in processes that can be killed, a memory of verdicts, and the cache on disk behind it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path
from threading import Condition, Semaphore

from gradproof.engine.cancellation import Cancellation, current
from gradproof.engine.graph import Graph
from gradproof.engine.plugin_errors import describe
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.processes import DescribeOp, Ended, Explain, Failed, NoWorker, Prove, SampleCases, Workers
from gradproof.engine.verify.proof_cache import ProofKey, ProofMemory
from gradproof.engine.verify.readings.formulas import Explained, NoFormula
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.advice import IMPORT, MEMORY, PROOF

PROOF_SECONDS = 30.0
PATIENCE = 2.0  # wall time that a proof gets, as a multiple of its CPU time
MAX_QUEUED = 1000
MAX_LONG = 8  # long proofs beside those whose turn it is
WAIT_SECONDS = 5.0  # for a free process, where a caller waits for the answer


class ProofPool:
    """Rule verdicts for the ops of a registry (implements `Proofs`).

    Args:
        registry: its plugins are loaded again in each process, by import path.
        directory: where proofs are saved; None saves none.
        shipped: whether proofs that are shipped with a plugin are used.
        workers: the processes; if left out, the pool has its own. They are closed with it.
        at_once: number of concurrent proofs.
        seconds: CPU time after which a proof is stopped, and UNDECIDED.

    Attributes:
        running: number of proofs in progress.
        done: number of finished proofs, by their word.
    """

    def __init__(
        self,
        registry: Registry,
        directory: Path | None = None,
        *,
        shipped: bool = False,
        workers: Workers | None = None,
        at_once: int = 1,
        seconds: float = PROOF_SECONDS,
    ) -> None:
        self.registry, self.seconds = registry, seconds
        self.memory = ProofMemory(registry, directory, seconds, shipped=shipped)
        self.workers = workers or Workers()
        self.workers.sources = [plugin.source for plugin in registry.plugins if plugin.source]
        self.workers.folder = self.memory.cache.directory if self.memory.cache else None
        self._futures: dict[ProofKey, Future[None]] = {}
        self._requesters: dict[ProofKey, set[Cancellation]] = {}
        self._waiting: dict[ProofKey, dict[ProofKey, set[Cancellation]]] = {}
        self._stored = Condition()
        self._closed = False
        self._threads = ThreadPoolExecutor(at_once + MAX_LONG, "proof")
        self._prompt = Semaphore(at_once)
        self.running = 0
        self.done: Counter[RuleWord] = Counter()

    @property
    def queued(self) -> int:
        """Number of proofs that wait for their turn."""
        return max(0, len(self._futures) - self.running)

    def start(self, timeout: float = 60.0) -> None:
        """Start a process now, rather than with the first proof."""
        self.workers.start(timeout)

    def close(self) -> None:
        """Kill running proofs and end the processes. Wakes every thread that waits for a proof."""
        with self._stored:
            self._closed = True
            self._stored.notify_all()
        self.workers.close()
        self._threads.shutdown(cancel_futures=True)

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """The known verdict, in memory, shipped or on disk: for all values of attributes, if that is proved, or else for
        those of the key. Does not wait for a proof; a proof that ended for an outer reason is tried again."""
        if key.general is not None:
            general = self.lookup(key.general)
            if general is not None and general.proved:
                return general
        key = key.traced(self.registry)
        known = self.memory.lookup(key)
        if known is not None and not self.memory.is_settled(key):
            self.request(key, again=True)
        return known

    def keys_of(self, op: str) -> list[ProofKey]:
        """The known classes of an op, in memory or on disk."""
        return self.memory.keys_of(op)

    def refresh(self, key: ProofKey) -> None:
        """Forget the verdict on a key, and queue a proof."""
        key = key.traced(self.registry)
        for stale in (key, key.general):
            if stale is not None:
                self.memory.forget(stale)
        self.request(key, again=True)

    def request(self, key: ProofKey, *, again: bool = False) -> None:
        """Queue a proof unless its verdict is known or it is queued (``again``: even if it is known), or the queue is
        full: then it is left to the next request. A proof for all values of attributes runs first, and the proof for the
        values of the key waits behind it: it runs if the general proof fails. The request is made in the name of the
        `current` cancellation (see `abandon`)."""
        requester = current()
        if not requester.cancelled:
            self._request(key.traced(self.registry), {requester}, again)

    def _request(self, key: ProofKey, requesters: set[Cancellation], again: bool = False) -> None:
        with self._stored:
            if key.general is not None and (key.general in self._futures or self.memory.lookup(key.general) is None):
                self._request(key.general, requesters)
                if key.general in self._futures:
                    self._waiting.setdefault(key.general, {}).setdefault(key, set()).update(requesters)
                    return
            if key in self._futures:
                self._requesters[key].update(requesters)
                return
            if not again and self.memory.lookup(key) is not None:
                return
            if self._closed or len(self._futures) >= MAX_QUEUED:
                return
            plugin = self.registry.plugin_of(key.op)
            if not plugin.source:
                reason = f"plugin {plugin.name!r} has no import path, so no other process can load it to prove it; {IMPORT}"
                self.memory.keep(key, RuleVerdict(RuleWord.UNDECIDED, key.op, str(key.case), reason=reason))
                return
            self._requesters[key] = set(requesters)
            self._futures[key] = self._threads.submit(copy_context().run, self._prove, key)

    def abandon(self, requester: Cancellation) -> None:
        """Withdraw all requests of ``requester``: proofs that have no other requests are not started, or are stopped."""
        with self._stored:
            requester.cancel()  # it makes no further requests
            for waiting in self._waiting.values():
                for key in list(waiting):
                    waiting[key].discard(requester)
                    if not waiting[key]:
                        del waiting[key]
            for key in list(self._requesters):
                self._requesters[key].discard(requester)
                if not self._requesters[key] and self._futures[key].cancel():
                    self._forget(key)

    def _unwanted(self, key: ProofKey) -> bool:
        """True if all requests for a proof were withdrawn."""
        return not self._requesters.get(key)

    def _forget(self, key: ProofKey) -> dict[ProofKey, set[Cancellation]]:
        """Remove a proof that is finished or withdrawn, and return the proofs that waited behind it. The lock is held."""
        self._futures.pop(key, None)
        self._requesters.pop(key, None)
        return self._waiting.pop(key, {})

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all ``keys`` are known, or for ``seconds``, or until the pool is closed."""
        awaited = {key.traced(self.registry) for key in keys}

        def is_known(key: ProofKey) -> bool:
            general = key.general and self.memory.lookup(key.general)
            if general and general.proved and key.general not in self._futures:
                return True
            return key not in self._futures and self.memory.lookup(key) is not None

        def over() -> bool:
            return self._closed or all(map(is_known, awaited))

        with self._stored:
            self._stored.wait_for(over, seconds)

    def explain(
        self,
        graph: Graph,
        name: str,
        values: Mapping[str, Array],
        seconds: float,
        gone: Callable[[], bool] = lambda: False,
    ) -> Explained:
        """The formulas of a value, from a process that is killed when the caller is ``gone``. Raises NoFormula, also
        where they take too long."""
        try:
            task = Explain(graph, name, dict(values), seconds)
            answer = self.workers.ask(task, seconds, wait=WAIT_SECONDS, gone=gone)
        except NoWorker as error:
            raise NoFormula(str(error)) from None
        except TimeoutError:
            raise NoFormula(f"the formulas took longer than {seconds:g} s") from None
        except Ended:
            raise NoFormula("the process that makes formulas ended: it took too much memory, or crashed") from None
        if isinstance(answer, Failed):
            raise NoFormula(answer.text if answer.kind == NoFormula.__name__ else str(answer))
        assert isinstance(answer, Explained)
        return answer

    def sampled_keys(self, op: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> list[ProofKey]:
        """Keys of cases with sampled attributes, which may refute the rule of an op: as many as a worker finds within
        ``seconds``, since forwards run at values that the plugin may not expect."""
        answer = self._asked(op, SampleCases(op, seconds), seconds, gone)
        return [ProofKey(op, case).traced(self.registry) for case in answer] if isinstance(answer, list) else []

    def describe(self, op: str, seconds: float, gone: Callable[[], bool] = lambda: False) -> str:
        """The page of an op, which a worker writes within ``seconds``, since it reads definitions and runs the op; empty if
        it takes longer, or no worker can load the op."""
        answer = self._asked(op, DescribeOp(op, seconds), seconds, gone)
        return answer if isinstance(answer, str) else ""

    def _asked(self, op: str, task: SampleCases | DescribeOp, seconds: float, gone: Callable[[], bool]) -> object:
        """The answer of a worker to a task about an op; None if it takes too long, or no worker can load the op."""
        if not self.registry.plugin_of(op).source:
            return None
        try:
            return self.workers.ask(task, PATIENCE * seconds, wait=WAIT_SECONDS, gone=gone)
        except (NoWorker, TimeoutError, Ended):
            return None

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._stored:
            self.running += 1
        try:
            yield
        finally:
            with self._stored:
                self.running -= 1

    def _prove(self, key: ProofKey) -> None:
        """Have a worker prove a rule, and remember the verdict."""
        started, settled, answer = time.perf_counter(), False, None
        gone = partial(self._unwanted, key)
        try:
            with _Turn(self._prompt) as turn, self._at_work():
                started = time.perf_counter()
                task, most = Prove(key, self.seconds), PATIENCE * self.seconds + 1
                wait = 0.0 if gone() else self.seconds
                answer = self.workers.ask(task, most, wait=wait, when_long=turn.end, gone=gone)
            settled, reason = True, str(answer)
        except TimeoutError:
            reason = f"the proof took longer than {time.perf_counter() - started:.0f} s and was stopped; {PROOF}"
        except NoWorker as error:
            reason = str(error)
        except Ended:
            reason = f"the proof process ended: it took too much memory, or crashed; {MEMORY}"
        except BaseException as error:  # threads that wait for the proof get a verdict in any case
            reason = f"the proof failed: {describe(error)}"
        if not isinstance(answer, RuleVerdict):
            taken = time.perf_counter() - started
            answer = RuleVerdict(RuleWord.UNDECIDED, key.op, str(key.case), reason=reason, seconds=taken)
        with self._stored:
            if not settled and gone():  # it says nothing about the rule
                self._forget(key)
                return
        try:
            self.memory.keep(key, answer, settled=settled)
        finally:
            with self._stored:
                self.done[answer.word] += 1
                for waiting, requesters in self._forget(key).items():
                    if not answer.proved:
                        self._request(waiting, requesters)
                self._stored.notify_all()


class _Turn:
    """A turn among the concurrent proofs, which may be ended before its proof: then the next begins, and this proof goes
    on beside it."""

    def __init__(self, turns: Semaphore) -> None:
        self._turns, self._mine = turns, False

    def __enter__(self) -> _Turn:
        self._turns.acquire()
        self._mine = True
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        if self._mine:
            self._mine = False
            self._turns.release()
