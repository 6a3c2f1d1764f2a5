"""Words and cost of verdicts at the size of real data, beside the gradient: ``python -m benchmarks.verdicts --real``.

A row is a workload in float64 or float32: the words on its gradients, the time of the gradient, and the time of checks as a
multiple of it. ``first``: with proofs still to be made. ``here``: in this process with proofs known, as for each graph that
comes again. ``workers``: as ``here``, in processes that can be killed. ``call`` and ``values``: calls of a client to its
own server with the levels *everything* and *values*, as multiples of a call without checks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from tests.support.verdicts import finish

from benchmarks.real_data import REAL
from benchmarks.workloads import Workload
from gradproof.client import Client, GraphBuilder, connect
from gradproof.engine.engine import Engine
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.verdict import GradientVerdict
from gradproof.engine.verify.verdict.summary import ORDER
from gradproof.engine.verify.verifier import Proofs, Verifier
from gradproof.plugins import BUILTIN

BUDGET = 5.0
ROUNDS = 5
LONG = 2.0  # seconds; longer checks are measured once
DTYPES = ("float64", "float32")
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """A line of the table: counted words, the reason of the weakest, seconds of the gradient, and ratios to it (``call``
    and ``values``: to a call without checks)."""

    name: str
    dtype: str
    words: str
    reason: str
    gradient: float
    first: float
    here: float
    workers: float
    call: float
    values: float

    def text(self) -> str:
        ratios = " ".join(f"{x:8.1f}" for x in (self.first, self.here, self.workers, self.call, self.values))
        return f"{self.name:34} {self.dtype} {self.gradient * 1e3:9.2f} ms {ratios}   {self.words}"


HEAD = f"{'':34} {'':7} {'gradient':>12} {'first':>8} {'here':>8} {'workers':>8} {'call':>8} {'values':>8}   words"


def job_of(workload: Workload) -> Job:
    names = (leaf.name for leaf in workload.graph.leaves)
    return Job(workload.graph, tuple(zip(names, workload.values, strict=True)))


def builder_of(workload: Workload) -> GraphBuilder:
    """Build the graph of a workload as a client sends it."""
    builder, refs = GraphBuilder(), {}
    for leaf, value in zip(workload.graph.leaves, workload.values, strict=True):
        refs[leaf.name] = builder.leaf(leaf.name, value, requires_grad=leaf.requires_grad)
    for node in workload.graph.nodes:
        inputs = [refs[name] for name in node.inputs]
        outputs = builder.apply_multiple(node.op, *inputs, names=node.outputs, **node.attributes)
        refs.update(zip(node.outputs, outputs, strict=True))
    for output in workload.graph.outputs:
        builder.output(refs[output])
    return builder


def timed(function: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def ratio(check: Callable[[], Any], reference: Callable[[], Any]) -> tuple[float, float]:
    """Duration of ``check`` as a multiple of that of ``reference``, and seconds of ``reference``: medians over alternating
    rounds, after a warm-up. A check longer than ``LONG`` is measured once."""
    reference()
    _, once = timed(check)
    ratios, seconds = [], []
    for _ in range(ROUNDS):
        reference_seconds = min(timed(reference)[1] for _ in range(3))
        ratios.append((once if once > LONG else timed(check)[1]) / reference_seconds)
        seconds.append(reference_seconds)
    return statistics.median(ratios), statistics.median(seconds)


def words(verdicts: Sequence[GradientVerdict]) -> tuple[str, str]:
    """Count the summaries as text, and give the reason of the weakest."""
    counted = Counter(str(verdict.summary) for verdict in verdicts)
    weakest = min(verdicts, key=lambda verdict: ORDER.index(verdict.summary))
    reason = "" if weakest.summary is ORDER[-1] else f"{weakest.name}: {weakest.reason}"
    return ", ".join(f"{count} {word}" for word, count in counted.items()), reason


class Measured:
    """Measures rows: with an engine, checks in this process and in workers, and a client of its own server."""

    def __init__(self, registry: Registry, proofs: Callable[[Registry], Proofs], workers: Workers, client: Client) -> None:
        self.registry = registry
        self.engine, self.client = Engine(self.registry), client
        self.proofs = proofs
        known = proofs(self.registry)
        self.here, self.there = Verifier(self.registry, known), Verifier(self.registry, known, workers)

    def row(self, name: str, dtype: str, workload: Workload) -> Row:
        job, builder = job_of(workload), builder_of(workload)
        run = finish(self.engine, job)
        anew = Verifier(self.registry, self.proofs(self.registry))
        _, first = timed(lambda: list(anew.check(run, budget=60.0)))
        list(self.here.check(run, budget=60.0))
        summary, reason = words(list(self.there.check(run, budget=BUDGET)))
        (here, gradient), (workers, _) = (
            ratio(lambda: list(verifier.check(run, budget=BUDGET)), lambda: finish(self.engine, job))  # noqa: B023 - called at once
            for verifier in (self.here, self.there)
        )
        (call, _), (values, _) = (
            ratio(
                lambda: self.client.differentiate(builder, verify=level),  # noqa: B023
                lambda: self.client.differentiate(builder, verify="off"),
            )
            for level in ("everything", "values")
        )
        return Row(name, dtype, summary, reason, gradient, first / gradient, here, workers, call, values)


def report(proofs: Callable[[Registry], Proofs], part: str = "") -> list[Row]:
    """Print a row for each workload whose name contains ``part``, and the reasons of gradients that are not verified."""
    registry = build_registry(BUILTIN)
    workers, rows = Workers([plugin.source for plugin in registry.plugins]), []
    try:
        workers.start()
        with tempfile.TemporaryDirectory() as folder, connect(arguments=["--cache", folder]) as client:
            measured = Measured(registry, proofs, workers, client)
            print(HEAD)
            for name, make in REAL.items():
                for dtype in DTYPES if part in name else ():
                    rows.append(measured.row(name, dtype, make(np.dtype(dtype))))
                    print(rows[-1].text(), flush=True)
    finally:
        workers.close()
    print("\nNot verified:")
    for row in rows:
        if row.reason:
            print(f"{row.name}, {row.dtype}: {row.reason}")
    return rows


__all__ = ["BUDGET", "Row", "builder_of", "job_of", "report", "words"]
