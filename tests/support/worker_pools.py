"""Pools of workers, and checks of runs in them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.conftest import REGISTRY
from tests.support.proof_sources import AssumedProofs
from tests.support.server_processes import running

from gradproof.engine.engine import Run
from gradproof.engine.registry import Registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.verdict import GradientVerdict
from gradproof.engine.verify.verifier import Verifier

SOURCES = [plugin.source for plugin in REGISTRY.plugins]


def started(plugin: str) -> Iterator[Workers]:
    """Workers for the built-in plugins and ``plugin``, until their user is done."""
    pool = Workers([*SOURCES, plugin], extra_bytes=512 << 20)
    pool.start()
    yield pool
    pool.close()


def check(registry: Registry, workers: Workers, run: Run, budget: float, **options: Any) -> dict[str, GradientVerdict]:
    """The verdicts of workers on the gradients of a run, by name."""
    verifier = Verifier(registry, AssumedProofs(registry), workers)
    return {verdict.name: verdict for verdict in verifier.check(run, budget=budget, **options)}


def untimed(verdict: GradientVerdict) -> str:
    """The verdict in full, but for the seconds that it took."""
    return repr(verdict).replace(repr(verdict.graph.seconds), "")


def ended(pids: Sequence[int]) -> bool:
    """True if these processes end within some seconds."""
    until = time.monotonic() + 10
    while any(map(running, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(map(running, pids))
