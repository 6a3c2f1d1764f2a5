"""The pool of proofs: SymPy in processes that can be killed, a memory of verdicts, and the cache on disk behind it."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Condition
from typing import Any

from pebble import ProcessExpired, ProcessPool

from gradproof.engine.graph import Graph
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.engine.verify import worker
from gradproof.engine.verify.classes import ProofKey
from gradproof.engine.verify.formulas import Explained, NoFormula
from gradproof.engine.verify.memory import ProofMemory
from gradproof.engine.verify.verdict import Rule, RuleVerdict

PROOF_SECONDS = 30.0
PATIENCE = 2.0  # times its CPU time is what a proof gets on the wall, of a busy machine
EXTRA_BYTES = 1 << 30
MAX_QUEUED = 1000
WAIT_SECONDS = 5.0  # for a free process, where someone waits for the answer


class ProofPool:
    """Rule verdicts for the ops of a registry (implements `Proofs`).

    Args:
        registry: its plugins are loaded again in each process, by import path.
        directory: where proofs are kept; None keeps none.
        workers: how many processes.
        seconds: of CPU time, after which a proof is stopped, and UNDECIDED.
    """

    def __init__(
        self, registry: Registry, directory: Path | None = None, *, workers: int = 1, seconds: float = PROOF_SECONDS
    ) -> None:
        self.registry, self.seconds = registry, seconds
        self.memory = ProofMemory(registry, directory, seconds)
        self._asked: dict[ProofKey, Future[Any]] = {}
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
        """What is known, in memory or on disk. Does not wait for a proof; one that did not end by itself is tried again."""
        key = key.traced(self.registry)
        known = self.memory.lookup(key)
        if known is not None and not self.memory.is_settled(key):
            self.request(key, again=True)
        return known

    def keys_of(self, op: str) -> list[ProofKey]:
        """The classes of an op that are known, in memory or on disk."""
        return self.memory.keys_of(op)

    def refresh(self, key: ProofKey) -> None:
        """Forget what is known, and queue a proof."""
        key = key.traced(self.registry)
        self.memory.forget(key)
        self.request(key, again=True)

    def request(self, key: ProofKey, *, again: bool = False) -> None:
        """Queue a proof unless it is known or queued (``again``: even if it is known), or the queue is full: then it is
        for the next one who asks."""
        key = key.traced(self.registry)
        with self._stored:
            if key in self._asked or (not again and self.memory.lookup(key) is not None):
                return
            if self._closed or len(self._asked) >= MAX_QUEUED:
                return
            plugin = self.registry.plugin_of(key.op)
            if not plugin.source:
                reason = f"plugin {plugin.name!r} has no import path, so no other process can load it to prove it"
                self.memory.keep(key, RuleVerdict(Rule.UNDECIDED, key.op, str(key.case), reason=reason))
                return
            started = time.perf_counter()
            future = self._pool.schedule(worker.prove_key, args=(key, self.seconds), timeout=PATIENCE * self.seconds + 1)
            self._asked[key] = future
        future.add_done_callback(lambda done: self._finish(key, done, started))

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all ``keys`` are known, or for ``seconds``, or until the pool is closed."""
        wanted = {key.traced(self.registry) for key in keys}

        def over() -> bool:
            return self._closed or (wanted.isdisjoint(self._asked) and all(map(self.memory.lookup, wanted)))

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
        settled = False
        try:
            verdict: RuleVerdict = future.result()
            settled = True
        except TimeoutError:
            verdict = _undecided(key, f"the proof took longer than {seconds:.0f} s and was stopped", seconds)
        except ProcessExpired as error:
            verdict = _undecided(key, f"the proof process ended: {error}", seconds)
        except Exception as error:  # a definition is a stranger's code
            verdict, settled = _undecided(key, f"{type(error).__name__}: {error}", seconds), True
        self.memory.keep(key, verdict, settled=settled)
        with self._stored:
            self._asked.pop(key, None)
            self._stored.notify_all()


def _undecided(key: ProofKey, reason: str, seconds: float) -> RuleVerdict:
    return RuleVerdict(Rule.UNDECIDED, key.op, str(key.case), reason=reason, seconds=seconds)
