"""The pool of proofs: SymPy in processes that can be killed, a memory of verdicts, and the cache on disk behind it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from threading import Condition
from typing import Any

from pebble import ProcessExpired, ProcessPool

from gradproof.engine.graph import Graph
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.engine.verify import worker
from gradproof.engine.verify.cache import ProofCache
from gradproof.engine.verify.checker import checker_digest
from gradproof.engine.verify.classes import ProofKey, digest_of
from gradproof.engine.verify.formulas import Explained, NoFormula
from gradproof.engine.verify.verdict import Rule, RuleVerdict

PROOF_SECONDS = 30.0
EXTRA_BYTES = 1 << 30
MAX_QUEUED = 1000
WAIT_SECONDS = 5.0  # for a free process, where someone waits for the answer


class ProofPool:
    """Rule verdicts for the ops of a registry (implements `Proofs`).

    Args:
        registry: its plugins are loaded again in each process, by import path.
        directory: where proofs are kept; None keeps none.
        workers: how many processes.
        seconds: after this a proof is killed, and UNDECIDED.
    """

    def __init__(
        self, registry: Registry, directory: Path | None = None, *, workers: int = 1, seconds: float = PROOF_SECONDS
    ) -> None:
        self.registry, self.seconds = registry, seconds
        self.cache = ProofCache(directory) if directory else None
        if self.cache:
            checker_digest()  # now, rather than while someone waits
        self._known: dict[ProofKey, RuleVerdict] = {}
        self._asked: dict[ProofKey, Future[Any]] = {}
        self._looked: set[ProofKey] = set()
        self._stored = Condition()
        self._closed = False
        self._warming: Future[Any] | None = None
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["gradproof.engine.verify.preload"])
        sources = [plugin.source for plugin in registry.plugins if plugin.source]
        self._pool = ProcessPool(
            max_workers=workers,
            max_tasks=200,  # SymPy's own caches only grow
            initializer=worker.start,
            initargs=(sources, EXTRA_BYTES),
            context=context,
        )

    def start(self, timeout: float = 60.0) -> None:
        """Bring a process up now, rather than with the first proof."""
        self._warming = self._pool.schedule(worker.ready)
        self._warming.result(timeout)

    def close(self) -> None:
        """Kill what is running and end the processes. Who waits for a proof waits no longer."""
        with self._stored:
            self._closed = True
            self._stored.notify_all()
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        if self._warming is not None:
            self._warming.cancel()  # a pool that stops leaves it open, and whoever waits for it waiting

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
            started = time.perf_counter()
            future = self._pool.schedule(worker.prove_key, args=(key, self.seconds), timeout=self.seconds)
            self._asked[key] = future
        future.add_done_callback(lambda done: self._finish(key, done, started))

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all ``keys`` are known, or for ``seconds``, or until the pool is closed."""
        wanted = {key.traced(self.registry) for key in keys}

        def over() -> bool:
            return self._closed or (wanted <= self._known.keys() and wanted.isdisjoint(self._asked))

        with self._stored:
            self._stored.wait_for(over, seconds)

    def explain(self, graph: Graph, name: str, values: Mapping[str, Array], seconds: float) -> Explained:
        """The formulas of a value, from a process that can be killed. Raises NoFormula, also where they take too long."""
        future = self._pool.schedule(worker.explain_value, args=(graph, name, dict(values), seconds), timeout=seconds)
        try:
            found: Explained = future.result(seconds + WAIT_SECONDS)
        except TimeoutError:
            future.cancel()  # type: ignore[no-untyped-call]
            raise NoFormula(f"the formulas took longer than {seconds:g} s, or all processes are at work") from None
        except (ProcessExpired, MemoryError) as error:
            raise NoFormula(f"the process that makes formulas ended: {error}") from error
        return found

    def _finish(self, key: ProofKey, future: Future[Any], started: float) -> None:
        seconds = time.perf_counter() - started
        keep = True
        try:
            verdict: RuleVerdict = future.result()
        except TimeoutError:
            verdict = _undecided(key, f"the proof took longer than {self.seconds:g} s and was stopped", seconds)
            verdict = replace(verdict, budget=self.seconds)
        except ProcessExpired as error:
            verdict, keep = _undecided(key, f"the proof process ended: {error}", seconds), False
        except Exception as error:  # a definition is a stranger's code
            verdict, keep = _undecided(key, f"{type(error).__name__}: {error}", seconds), False
        if self.cache and keep and (verdict.word in (Rule.PROVED, Rule.PROVED_AE, Rule.REFUTED) or verdict.budget):
            digest = digest_of(self.registry, key)
            if digest is not None:
                self.cache.put(digest, verdict)
        with self._stored:
            self._known[key] = verdict
            self._asked.pop(key, None)
            self._stored.notify_all()


def _undecided(key: ProofKey, reason: str, seconds: float) -> RuleVerdict:
    return RuleVerdict(Rule.UNDECIDED, key.op, str(key.case), reason=reason, seconds=seconds)
