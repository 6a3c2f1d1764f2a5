"""The pool of proofs: SymPy in processes that can be killed, a memory of verdicts, and the cache on disk behind it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Condition, Semaphore
from typing import Any

from gradproof.engine.graph import Graph
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.cache import ProofCache
from gradproof.engine.verify.checker import checker_digest
from gradproof.engine.verify.classes import ProofKey, digest_of
from gradproof.engine.verify.formulas import Explained, NoFormula
from gradproof.engine.verify.verdict import Rule, RuleVerdict
from gradproof.engine.verify.worker import Explain, Failed, Prove
from gradproof.engine.verify.workers import Ended, NoWorker, Workers

PROOF_SECONDS = 30.0
MAX_QUEUED = 1000
MAX_LONG = 8  # proofs that take long, beside those whose turn it is
WAIT_SECONDS = 5.0  # for a free process, where someone waits for the answer


class ProofPool:
    """Rule verdicts for the ops of a registry (implements `Proofs`).

    Args:
        registry: its plugins are loaded again in each process, by import path.
        directory: where proofs are kept; None keeps none.
        workers: the processes; left out, they are its own. They are closed with it.
        at_once: how many proofs at a time.
        seconds: after this a proof is killed, and UNDECIDED.
    """

    def __init__(
        self,
        registry: Registry,
        directory: Path | None = None,
        *,
        workers: Workers | None = None,
        at_once: int = 1,
        seconds: float = PROOF_SECONDS,
    ) -> None:
        self.registry, self.seconds = registry, seconds
        self.cache = ProofCache(directory) if directory else None
        if self.cache:
            checker_digest()  # now, rather than while someone waits
        self.workers = workers or Workers()
        self.workers.sources = [plugin.source for plugin in registry.plugins if plugin.source]
        self._known: dict[ProofKey, RuleVerdict] = {}
        self._asked: dict[ProofKey, Future[Any]] = {}
        self._looked: set[ProofKey] = set()
        self._stored = Condition()
        self._closed = False
        self._threads = ThreadPoolExecutor(at_once + MAX_LONG, "proof")
        self._prompt = Semaphore(at_once)

    def start(self, timeout: float = 60.0) -> None:
        """Bring a process up now, rather than with the first proof."""
        self.workers.start(timeout)

    def close(self) -> None:
        """Kill what is running and end the processes. Who waits for a proof waits no longer."""
        with self._stored:
            self._closed = True
            self._stored.notify_all()
        self.workers.close()
        self._threads.shutdown(cancel_futures=True)

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """What is known, in memory or on disk. Does not wait for a proof."""
        key = key.traced(self.registry)
        known = self._known.get(key)
        if known is None and self.cache and key not in self._looked:
            self._looked.add(key)
            digest = digest_of(self.registry, key)
            known = self.cache.get(digest) if digest else None
            if known is not None and known.word is Rule.UNDECIDED and known.budget < self.seconds:
                known = None  # it was stopped, and there is more time now
            if known is not None:
                self._known[key] = known
        return known

    def request(self, key: ProofKey, *, again: bool = False) -> None:
        """Queue a proof unless it is known or queued (``again``: even if it is known), or the queue is full: then it is
        for the next one who asks."""
        key = key.traced(self.registry)
        with self._stored:
            if key in self._asked or (not again and key in self._known):
                return
            if self._closed or len(self._asked) >= MAX_QUEUED:
                return
            plugin = self.registry.plugin_of(key.op)
            if not plugin.source:
                self._known[key] = RuleVerdict(
                    Rule.UNDECIDED,
                    key.op,
                    str(key.case),
                    reason=f"plugin {plugin.name!r} has no import path, so no other process can load it to prove it",
                )
                return
            self._asked[key] = self._threads.submit(self._prove, key)

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all ``keys`` are known, or for ``seconds``, or until the pool is closed."""
        wanted = {key.traced(self.registry) for key in keys}

        def over() -> bool:
            return self._closed or (wanted <= self._known.keys() and wanted.isdisjoint(self._asked))

        with self._stored:
            self._stored.wait_for(over, seconds)

    def explain(self, graph: Graph, name: str, values: Mapping[str, Array], seconds: float) -> Explained:
        """The formulas of a value, from a process that can be killed. Raises NoFormula, also where they take too long."""
        try:
            with self.workers.worker(WAIT_SECONDS) as one:
                found = one.answer(Explain(graph, name, dict(values), seconds), seconds)
        except NoWorker as error:
            raise NoFormula(str(error)) from None
        except TimeoutError:
            raise NoFormula(f"the formulas took longer than {seconds:g} s") from None
        except Ended:
            raise NoFormula("the process that makes formulas ended: it took too much memory, or crashed") from None
        if isinstance(found, Failed):
            raise NoFormula(found.text if found.kind == NoFormula.__name__ else str(found))
        assert isinstance(found, Explained)
        return found

    def _prove(self, key: ProofKey) -> None:
        """Have a worker prove a rule, and remember what comes of it."""
        started = time.perf_counter()
        keep = True
        try:
            with _Turn(self._prompt) as turn, self.workers.worker(self.seconds) as one:
                started = time.perf_counter()
                found = one.answer(Prove(key, self.seconds), self.seconds, turn.end)
            if isinstance(found, Failed):
                verdict, keep = _undecided(key, str(found), time.perf_counter() - started), False
            else:
                verdict = found
        except TimeoutError:
            seconds = time.perf_counter() - started
            verdict = _undecided(key, f"the proof took longer than {self.seconds:g} s and was stopped", seconds)
            verdict = replace(verdict, budget=self.seconds)
        except (Ended, NoWorker) as error:
            reason = str(error) if isinstance(error, NoWorker) else "the proof process ended: too much memory, or a crash"
            verdict, keep = _undecided(key, reason, time.perf_counter() - started), False
        self._finish(key, verdict, keep)

    def _finish(self, key: ProofKey, verdict: RuleVerdict, keep: bool) -> None:
        if self.cache and keep and (verdict.word in (Rule.PROVED, Rule.PROVED_AE, Rule.REFUTED) or verdict.budget):
            digest = digest_of(self.registry, key)
            if digest is not None:
                self.cache.put(digest, verdict)
        with self._stored:
            self._known[key] = verdict
            self._asked.pop(key, None)
            self._stored.notify_all()


class _Turn:
    """A turn among the proofs that run at the same time, which may be ended before its proof: then the next begins, and
    this one goes on behind it."""

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


def _undecided(key: ProofKey, reason: str, seconds: float) -> RuleVerdict:
    return RuleVerdict(Rule.UNDECIDED, key.op, str(key.case), reason=reason, seconds=seconds)
