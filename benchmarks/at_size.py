"""What verdicts say and cost at the size of real data, beside the gradient: ``python -m benchmarks.verdicts --real``.

For each workload in float64 and float32: the words on its gradients; the time of the gradient; and how many times that a
check takes. ``first``: proofs still to be made. ``here``: in this process, proofs known, as for any graph that comes again.
``workers``: the same in processes that can be killed. ``call``: a call of a client to a server of its own that asks for
everything, and one that asks for values, both times that of a call that asks for no checks.
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

from benchmarks.real_data import REAL
from benchmarks.workloads import Workload
from gradproof.client import Client, GraphBuilder, connect
from gradproof.engine.engine import Engine, Run
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes.workers import Workers
from gradproof.engine.verify.verdict import GradientVerdict
from gradproof.engine.verify.verdict.summary import ORDER
from gradproof.engine.verify.verifier import Proofs, Verifier
from gradproof.plugins import BUILTIN

BUDGET = 5.0
ROUNDS = 5
LONG = 2.0  # seconds, after which nothing is measured more often
DTYPES = ("float64", "float32")
T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """Words by their number, the reason of the weakest, seconds for the gradient, and ratios to it (``call``, ``values``:
    to a call without checks)."""

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


def run_of(engine: Engine, job: Job) -> Run:
    """The job, run to its end."""
    events = engine.differentiate(job)
    while True:
        try:
            next(events)
        except StopIteration as end:
            run: Run = end.value
            return run


def builder_of(workload: Workload) -> GraphBuilder:
    """The same graph as a client sends it."""
    builder, refs = GraphBuilder(), {}
    for leaf, value in zip(workload.graph.leaves, workload.values, strict=True):
        refs[leaf.name] = builder.leaf(leaf.name, value, requires_grad=leaf.requires_grad)
    for node in workload.graph.nodes:
        inputs = [refs[name] for name in node.inputs]
        made = builder.apply_multiple(node.op, *inputs, names=node.outputs, **node.attributes)
        refs.update(zip(node.outputs, made, strict=True))
    for output in workload.graph.outputs:
        builder.output(refs[output])
    return builder


def timed(function: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = function()
    return result, time.perf_counter() - started


def ratio(check: Callable[[], Any], beside: Callable[[], Any]) -> tuple[float, float]:
    """How many times as long as the other one a check takes, and the seconds of the other: medians over rounds in turn,
    after one that is not counted. A check that is long is measured once."""
    beside()
    _, once = timed(check)
    ratios, seconds = [], []
    for _ in range(ROUNDS):
        own = min(timed(beside)[1] for _ in range(3))
        ratios.append((once if once > LONG else timed(check)[1]) / own)
        seconds.append(own)
    return statistics.median(ratios), statistics.median(seconds)


def words(verdicts: Sequence[GradientVerdict]) -> tuple[str, str]:
    """The words with their numbers, and the reason of the weakest."""
    counted = Counter(str(one.summary) for one in verdicts)
    weakest = min(verdicts, key=lambda one: ORDER.index(one.summary))
    reason = "" if weakest.summary is ORDER[-1] else f"{weakest.name}: {weakest.reason}"
    return ", ".join(f"{count} {word}" for word, count in counted.items()), reason


class Measured:
    """Everything that rows are measured with: an engine, checks here and in workers, a client of a server of its own."""

    def __init__(self, registry: Registry, proofs: Callable[[Registry], Proofs], workers: Workers, client: Client) -> None:
        self.registry = registry
        self.engine, self.client = Engine(self.registry), client
        self.proofs = proofs
        known = proofs(self.registry)
        self.here, self.there = Verifier(self.registry, known), Verifier(self.registry, known, workers)

    def row(self, name: str, dtype: str, workload: Workload) -> Row:
        job, builder = job_of(workload), builder_of(workload)
        run = run_of(self.engine, job)
        anew = Verifier(self.registry, self.proofs(self.registry))
        _, first = timed(lambda: list(anew.check(run, budget=60.0)))
        list(self.here.check(run, budget=60.0))
        said, reason = words(list(self.there.check(run, budget=BUDGET)))
        (here, gradient), (workers, _) = (
            ratio(lambda: list(verifier.check(run, budget=BUDGET)), lambda: run_of(self.engine, job))  # noqa: B023 - called at once
            for verifier in (self.here, self.there)
        )
        (call, _), (values, _) = (
            ratio(
                lambda: self.client.differentiate(builder, verify=level),  # noqa: B023
                lambda: self.client.differentiate(builder, verify="off"),
            )
            for level in ("everything", "values")
        )
        return Row(name, dtype, said, reason, gradient, first / gradient, here, workers, call, values)


def report(proofs: Callable[[Registry], Proofs], only: str = "") -> list[Row]:
    """Print a row for each workload whose name has ``only`` in it, and the reasons of those not verified."""
    registry = build_registry(BUILTIN)
    workers, rows = Workers([plugin.source for plugin in registry.plugins]), []
    try:
        workers.start()
        with tempfile.TemporaryDirectory() as folder, connect(arguments=["--cache", folder]) as client:
            measured = Measured(registry, proofs, workers, client)
            print(HEAD)
            for name, make in REAL.items():
                for dtype in DTYPES if only in name else ():
                    rows.append(measured.row(name, dtype, make(np.dtype(dtype))))
                    print(rows[-1].text(), flush=True)
    finally:
        workers.close()
    print("\nWhat is not verified:")
    for row in rows:
        if row.reason:
            print(f"{row.name}, {row.dtype}: {row.reason}")
    return rows


__all__ = ["BUDGET", "Row", "builder_of", "job_of", "report", "words"]
