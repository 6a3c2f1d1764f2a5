"""Speed of gradients: value and gradients of every leaf, beside other systems in the same run.

    python -m benchmarks.speed [--only NAME ...] [--threads 1] [--rounds 9] [--plugin gradproof_mkl] [--quick] [--json FILE]

All systems must agree to 1e-9 before anything is timed. Rounds are interleaved, and a ratio is the median over rounds of
the other's time by ours in the same round. Further tables: memory, cold time, growth, first gradients of long graphs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

ROUND_SECONDS = 0.02
AGREEMENT = 1e-9
COMMAND = (sys.executable, "-m", "benchmarks.speed")
LIMITED, PLUGIN = "BENCHMARK_THREADS", "BENCHMARK_PLUGIN"
GOALS = {
    "scalar": 40.0, "elementwise_1e3": 4.0, "elementwise": 1.5, "mlp": 1.3, "layer_norm": 2.5, "gmm": 2.0, "lstm": 2.5,
    "matmul": 1.0, "conv": 1.0,
}  # fmt: skip
"""Goals: speed as a multiple of that of torch eager, on a single thread."""
HAND = 1.15
"""Goal: time as a multiple of that of NumPy by hand, at most."""
MEASURED = ("elementwise_1e6", "mlp_b512", "layer_norm_256x512", "gmm_d10_k25", "lstm_T20_h64_b16", "conv_16x28x28x8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="workloads whose names start so")
    parser.add_argument("--threads", type=int, default=1, choices=(1, 2))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--plugin", metavar="MODULE", help="use the kernels of this plugin")
    parser.add_argument("--quick", action="store_true", help="three rounds, and the first table only")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if os.environ.get(LIMITED) != str(options.threads):
        again = [*COMMAND, *(arguments or sys.argv[1:])]
        sys.exit(
            subprocess.call(again, env=limited(options.threads) | ({PLUGIN: options.plugin} if options.plugin else {}))
        )
    from gradproof.engine.compiled.blocks import use_threads

    use_threads(options.threads)
    if options.child:
        _child(*options.child.split(":"))
        return
    console = Console()
    results = {"speed": _speed(console, options)}
    if not options.quick:
        results |= {"cold": _cold(console, options), "growth": _growth(console)}
        results |= {"first": _first(console), "bytes": _bytes(console)}
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


def limited(threads: int) -> dict[str, str]:
    """The environment in which every library uses ``threads`` threads; libraries read it when they are loaded."""
    count = str(threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GRADPROOF_THREADS", LIMITED)
    flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if count == "1" else ""
    return {**os.environ, **dict.fromkeys(names, count), "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}


def _speed(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.systems import SYSTEMS
    from benchmarks.workloads import WORKLOADS

    table = Table(title=f"value and gradients, {options.threads} thread(s): microseconds, and their ratio to ours")
    for column in ("workload", *(system.name for system in SYSTEMS), "goals"):
        table.add_column(column, justify="left" if column == "workload" else "right")
    results: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, make in WORKLOADS.items():
        if options.only and not name.startswith(tuple(options.only)):
            continue
        times = _times(make(), name, 3 if options.quick else options.rounds, options.threads, absent)
        ours = times["gradproof"]
        row = {system: (median(t), median(a / b for a, b in zip(t, ours, strict=True))) for system, t in times.items()}
        results[name] = {system: {"us": us, "ratio": ratio} for system, (us, ratio) in row.items()}
        cells = [_cell(system.name, row.get(system.name)) for system in SYSTEMS]
        table.add_row(name, *cells, _goals(name, row) if options.threads == 1 else "")
    console.print(table)
    for system, reason in absent.items():
        console.print(f"{system}: {reason}")
    return results


def _cell(system: str, value: tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    us, ratio = value
    shown = f"{us:.0f}" if us >= 100 else f"{us:.1f}"
    return shown if system == "gradproof" else f"{shown} ({ratio:.2g}x)"


def _goals(name: str, row: dict[str, tuple[float, float]]) -> str:
    words = []
    goal = next((value for start, value in GOALS.items() if name.startswith(start)), None)
    if goal is not None and "torch eager" in row:
        words.append(f"{goal:g}x torch: {'met' if row['torch eager'][1] >= goal else 'missed'}")
    if "NumPy by hand" in row:
        words.append(f"{1 / row['NumPy by hand'][1]:.2f} of by hand")
    return ", ".join(words)


def _times(workload: Any, name: str, rounds: int, threads: int, absent: dict[str, str]) -> dict[str, list[float]]:
    """Microseconds per run in each round, by system. Raises SystemExit where two systems differ."""
    from benchmarks.systems import SYSTEMS, Absent

    runners: dict[str, Any] = {}
    first: Any = None
    for system in SYSTEMS:
        if system.name == "jax jit" and name in ("scalar_chain_2000", "scalar_dag_1000"):
            continue  # half a minute of compilation
        try:
            run, answer = system.runner(workload, threads)
        except Absent as error:
            if "installed" in str(error):
                absent[system.name] = str(error)
            continue
        result = answer(run())
        first = first or result
        _agree(name, system.name, first, result)
        runners[system.name] = run
    times: dict[str, list[float]] = {system_name: [] for system_name in runners}
    counts = {system_name: _count(run) for system_name, run in runners.items()}
    for _ in range(rounds):
        for system_name, run in runners.items():
            times[system_name].append(_timed(run, counts[system_name]))
    return times


def _count(run: Any) -> int:
    run()
    seconds = _timed(run, 1) / 1e6
    return max(1, min(1000, int(ROUND_SECONDS / max(seconds, 1e-7))))


def _timed(run: Any, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - started) / count * 1e6


def _agree(name: str, system: str, first: Any, answer: Any) -> None:
    import numpy as np

    value = abs(first[0] - answer[0]) / max(1.0, abs(first[0]))
    worst = max(
        [
            value,
            *(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-300)) for a, b in zip(first[1], answer[1], strict=True)),
        ]
    )
    if not worst <= AGREEMENT:
        sys.exit(f"{name}: {system} differs from gradproof by {worst:.1e}")


def _cold(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    """Cold starts, each system and workload in its own process: milliseconds to build and run for the first time after the
    libraries are loaded, and the megabytes by which ten more runs raise the peak of the process above its peak before."""
    from benchmarks.systems import SYSTEMS

    table = Table(title="cold: milliseconds to the first result; megabytes of memory above the state before")
    for column in ("workload", *(system.name for system in SYSTEMS)):
        table.add_column(column, justify="left" if column == "workload" else "right")
    results: dict[str, Any] = {}
    for name in MEASURED:
        if options.only and not name.startswith(tuple(options.only)):
            continue
        cells = []
        for position, system in enumerate(SYSTEMS):
            command = [
                sys.executable,
                "-m",
                "benchmarks.speed",
                "--threads",
                str(options.threads),
                "--child",
                f"{name}:{position}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 3:
                cells.append("–")
                continue
            if done.returncode:
                sys.exit(f"{name}: {system.name}: {done.stderr}")
            milliseconds, megabytes = map(float, done.stdout.split())
            results.setdefault(name, {})[system.name] = {"ms": milliseconds, "MB": megabytes}
            cells.append(f"{milliseconds:.0f} ms, {megabytes:.0f} MB")
        table.add_row(name, *cells)
    console.print(table)
    return results


def _child(name: str, position: str) -> None:
    from benchmarks.systems import SYSTEMS, Absent
    from benchmarks.workloads import WORKLOADS, elementwise

    system = SYSTEMS[int(position)]
    try:
        system.runner(elementwise(3), 1)[0]()  # libraries load
    except Absent:
        sys.exit(3)
    workload = WORKLOADS[name]()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _peak()
    started = time.perf_counter()
    try:
        run, _ = system.runner(workload, 1)
    except Absent:
        sys.exit(3)
    run()
    milliseconds = (time.perf_counter() - started) * 1e3
    for _ in range(10):
        run()
    print(milliseconds, _peak() - before)


def _peak() -> float:
    """Peak memory of this process in megabytes."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _growth(console: Console) -> dict[str, Any]:
    """Microseconds per node of chains of growing length: to plan, to compile, and to run interpreted and compiled."""
    from benchmarks.systems import ENGINE
    from benchmarks.workloads import scalar_chain
    from gradproof.engine.compiled.compiled import Compiled, Variant
    from gradproof.engine.compiled.store import MAX_ITEMS
    from gradproof.engine.job import Job

    table = Table(title="growth: microseconds a node of a chain of single numbers")
    for column in ("nodes", "plan", "compile", "run interpreted", "run compiled"):
        table.add_column(column, justify="right")
    results: dict[str, Any] = {}
    for count in (10, 100, 1000, 10_000, 100_000):
        workload = scalar_chain(count)
        graph = workload.graph
        job = Job(graph, tuple(zip((leaf.name for leaf in graph.leaves), workload.values, strict=True)))
        started = time.perf_counter()
        prepared = ENGINE.prepare(job)
        row: list[float | None] = [(time.perf_counter() - started) / count * 1e6]
        if len(prepared.plan.program.instructions) <= MAX_ITEMS:
            started = time.perf_counter()
            compiled = Compiled(prepared.plan, Variant(graph.outputs))
            row.append((time.perf_counter() - started) / count * 1e6)
        else:
            compiled = None
            row.append(None)
        repeats = max(1, 20_000 // count)
        row.append(_timed(lambda: list(ENGINE.gradients(prepared)), repeats) / count)  # noqa: B023
        row.append(_timed(lambda: compiled.all(workload.values), repeats) / count if compiled else None)  # noqa: B023
        results[str(count)] = row
        table.add_row(f"{count:,}", *("–" if cell is None else f"{cell:.2f}" for cell in row))
    console.print(table)
    return results


def _first(console: Console) -> dict[str, Any]:
    """Time to the first gradient of LSTMs of growing length, with nothing known of the graph, beside torch eager: a long
    graph is interpreted, and compiled in the background if it comes again."""
    from benchmarks.systems import Absent, TorchEager
    from benchmarks.workloads import lstm
    from gradproof.engine.engine import Engine
    from gradproof.engine.job import Job
    from gradproof.engine.registry import build_registry
    from gradproof.plugins import BUILTIN

    table = Table(title="first gradient of an LSTM (hidden 14, batch 1)")
    for column in ("steps", "instructions", "µs to plan each", "first gradient, ms", "torch eager, ms"):
        table.add_column(column, justify="right")
    results: dict[str, Any] = {}
    registry = build_registry(BUILTIN)
    for steps in (20, 200, 1600):
        workload = lstm(steps, 14, 1)
        engine, graph = Engine(registry), workload.graph
        job = Job(graph, tuple(zip((leaf.name for leaf in graph.leaves), workload.values, strict=True)))
        started = time.perf_counter()
        prepared = engine.prepare(job, evidence=False)
        planned = time.perf_counter() - started
        list(engine.gradients(prepared))
        first = time.perf_counter() - started
        try:
            other = _timed(TorchEager().runner(workload, 1)[0], 1) / 1e3
        except Absent:
            other = None
        count = len(prepared.plan.program.instructions)
        results[str(steps)] = row = [count, planned / count * 1e6, first * 1e3, other]
        table.add_row(f"{steps:,}", f"{count:,}", *("–" if cell is None else f"{cell:.1f}" for cell in row[1:]))
        engine.compilations.close()
    console.print(table)
    return results


def _bytes(console: Console) -> dict[str, Any]:
    """Bytes per element of the elementwise workload: of all values, of the planned memory, and moved by all calls."""
    from benchmarks.systems import ENGINE
    from benchmarks.workloads import elementwise

    table = Table(title="bytes an element of the elementwise workload (a float64 has 8)")
    for column in ("elements", "all values", "planned memory", "read and written"):
        table.add_column(column, justify="right")
    results: dict[str, Any] = {}
    for count in (100_000, 1_000_000):
        compiled = ENGINE.function(elementwise(count).graph).compiled()
        assert compiled is not None
        calls = [call for recipe in compiled._recipes for call in recipe.calls]
        moved = sum(buffer.spec.nbytes for call in calls for buffer in (*call.inputs, call.out))
        row = [size / count for size in (compiled.plan.cost.nbytes, compiled._layout.nbytes, moved)]
        results[str(count)] = row
        table.add_row(f"{count:,}", *(f"{cell:.0f}" for cell in row))
    console.print(table)
    return results


if __name__ == "__main__":
    main()
