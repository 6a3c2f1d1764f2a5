"""Cost of verdicts: ratios within a run, on a single thread. ``python -m benchmarks.verdicts [--real [--only NAME]]``.

``--real``: only at the size of real data; ``--only``: workloads with this in their name.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tests.support.proof_sources import LocalProofs
from tests.support.verdicts import finish

from benchmarks import at_size
from benchmarks.speed import LIMITED, limited
from gradproof.engine.engine import Engine
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import spec_of
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.verdict import GradientVerdict
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN

ROUNDS = 7


def job_of(leaves: dict[str, Any], nodes: Sequence[tuple[str, str, str]], output: str) -> Job:
    """A job from rows ``(op, inputs, output)``; the output is seeded with ones."""
    graph_leaves = tuple(Leaf(name, spec_of(array), True) for name, array in leaves.items())
    graph = Graph(graph_leaves, tuple(Node(op, tuple(inputs.split()), (out,)) for op, inputs, out in nodes), (output,))
    return Job(graph, tuple(leaves.items()))


def seconds(function: Callable[[], Any]) -> float:
    """Median of some rounds, after a warm-up."""
    function()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        function()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def chain(length: int) -> Job:
    ops = ("sin {0}", "multiply {0} a", "add {0} b", "tanh {0}")
    rows = []
    for k in range(length):
        op, _, inputs = ops[k % 4].format(f"v{k}").partition(" ")
        rows.append((op, inputs, f"v{k + 1}"))
    return job_of({"v0": np.array(0.7), "a": np.array(1.01), "b": np.array(0.3)}, rows, f"v{length}")


def elementwise(op: str, size: int, count: int) -> Job:
    random = np.random.default_rng(0)
    leaves = {f"x{k}": random.uniform(0.5, 2, size) for k in range(count)}
    graph = job_of(leaves, [(op, " ".join(leaves), "y")], "y")
    return Job(graph.graph, graph.values, (("y", random.normal(size=size)),))


def report(name: str, gradient: float, checking: float, verdicts: Sequence[GradientVerdict] = ()) -> None:
    words = ", ".join(sorted({str(verdict.summary) for verdict in verdicts}))
    print(f"{name:34} gradient {gradient * 1e3:9.3f} ms   verdicts {checking * 1e3:9.3f} ms   "
          f"{checking / gradient:6.1f} x   {words}")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args(arguments)
    if os.environ.get(LIMITED) != "1":
        command = [sys.executable, "-m", "benchmarks.verdicts", *(sys.argv[1:] if arguments is None else arguments)]
        sys.exit(subprocess.call(command, env=limited(1)))
    if not options.real:
        small()
    print("At the size of real data:")
    at_size.report(LocalProofs, options.only)


def small() -> None:
    """Graphs of few nodes."""
    registry = build_registry(BUILTIN)
    engine, verifier = Engine(registry), Verifier(registry, LocalProofs(registry))

    def measure(name: str, job: Job) -> None:
        run = finish(engine, job)
        verdicts = list(verifier.check(run, budget=60.0))
        gradient = seconds(lambda: finish(engine, job))
        report(name, gradient, seconds(lambda: list(verifier.check(run, budget=60.0))), verdicts)

    print("Everything, with proofs known:")
    measure("20 nodes, 0-d", chain(20))
    measure("200 nodes, 0-d", chain(200))
    for op, count in (("multiply", 2), ("tanh", 1), ("gelu", 1), ("softplus", 1), ("maximum", 2)):
        measure(f"{op}, 10^6 elements", elementwise(op, 1_000_000, count))
    random = np.random.default_rng(1)
    matrices = {"a": random.normal(size=(512, 512)), "b": random.normal(size=(512, 512))}
    measure("matmul and sum, 512 x 512", job_of_sum(matrices))
    print("The same in another process, which can be killed:")
    overhead(registry, engine)
    print("The graph word alone:")
    for length in (1000, 10_000):
        run = finish(engine, chain(length))
        words = check_graph(run, 60.0)
        gradient = seconds(lambda: finish(engine, chain(length)))  # noqa: B023 - called at once
        report(f"{length} nodes, 0-d: {words['a'].word}", gradient, seconds(lambda: check_graph(run, 60.0)))  # noqa: B023


def overhead(registry: Registry, engine: Engine) -> None:
    """Cost of checks in worker processes, in alternation with the same checks in this process."""
    workers = Workers([plugin.source for plugin in registry.plugins])
    proofs = LocalProofs(registry)
    here, there = Verifier(registry, proofs), Verifier(registry, proofs, workers)
    try:
        workers.start()
        for length in (1, 5, 20, 200):
            run = finish(engine, chain(length))
            taken: list[list[float]] = [[], []]
            for _ in range(20 * ROUNDS):
                for verifier, times in zip((here, there), taken, strict=True):
                    started = time.perf_counter()
                    list(verifier.check(run, budget=60.0))
                    times.append(time.perf_counter() - started)
            here_median, there_median = map(statistics.median, taken)
            best = min(taken[1]) - min(taken[0])
            print(f"{length:4} nodes: here {here_median * 1e3:8.3f} ms   workers {there_median * 1e3:8.3f} ms   "
                  f"more {(there_median - here_median) * 1e3:6.3f} ms, at best {best * 1e3:6.3f} ms")  # fmt: skip
    finally:
        workers.close()


def job_of_sum(leaves: dict[str, Any]) -> Job:
    return job_of(leaves, [("matmul", "a b", "y"), ("sum", "y", "s")], "s")


if __name__ == "__main__":
    main()
