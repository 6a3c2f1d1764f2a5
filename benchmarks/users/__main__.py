"""Speed where users stand, as ratios within the run.

    python -m benchmarks.users [--only programs|requests|memory|breakdown ...] [--rounds 5] [--threads 1] [--json FILE]

Programs through tensors beside torch; requests beside an echo of the same bytes, from one client and from eight; the
server's memory beside a tensor of 64 MB; and a breakdown of where each microsecond goes. All results are found right before
they are timed. Rounds are interleaved: the machine is the same for both sides of a ratio.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.users import breakdown, memory, programs, requests


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.users", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=tuple(PARTS), default=tuple(PARTS), metavar="PART")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    options = parser.parse_args(arguments)
    console = Console()
    results = {part: PARTS[part](console, options) for part in options.only}
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


def _programs(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    results = programs.measured(options.rounds, options.threads)
    paths = list(dict.fromkeys(path for row in results.values() for path in row))
    table = _table("a step of a program: milliseconds, and their multiple of torch's", "program", *paths)
    for name, row in results.items():
        table.add_row(name, *(_with_ratio(row[path]["ms"], row[path]["ratio"]) if path in row else "–" for path in paths))
    console.print(table)
    goals = ", ".join(f"{path} {goal:g}x" for path, goal in programs.GOALS.items())
    console.print(f"goals: {goals} at most" if "torch" in paths else "torch is not installed: there are no ratios")
    return results


def _with_ratio(milliseconds: float, ratio: float | None) -> str:
    return f"{milliseconds:.2f}" if ratio is None else f"{milliseconds:.2f} ({ratio:.2g}x)"


def _requests(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    results = requests.measured(options.rounds)
    columns = ("µs, median", "x echo", "per second", "x echo", "goals")
    for name, rows in results.items():
        table = _table(f"requests, {name}", "kind", *columns)
        for kind, row in rows.items():
            numbers = (f"{row['us']:.0f}", f"{row['latency ratio']:.2f}", f"{row['per second']:.0f}")
            table.add_row(kind, *numbers, f"{row['rate ratio']:.2f}", _goal(name, kind, row))
        console.print(table)
    return results


def _goal(table: str, kind: str, row: dict[str, float]) -> str:
    """The goal of a cell, and whether it is met."""
    latency, rate = requests.GOALS.get(kind, (None, None))
    if table.startswith("8 MB"):
        latency = requests.LARGE_GOAL if kind == "session" else None
    if latency is not None and table.endswith("1 client"):
        return f"latency {latency:g}x at most: {'met' if row['latency ratio'] <= latency else 'missed'}"
    if rate is not None and not table.endswith("1 client"):
        return f"rate {rate:g}x at least: {'met' if row['rate ratio'] >= rate else 'missed'}"
    return ""


def _memory(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    results = memory.measured()
    table = _table("peak of the server beside a tensor of 64 MB and its gradient", "call", "x the tensor", "goal")
    for name, peak in results["peak"].items():
        verdict = "met" if peak <= memory.GOAL else "missed"
        table.add_row(name, f"{peak:.2f}", f"{memory.GOAL:g}x at most: {verdict}")
    console.print(table)
    left = results["cancelled"]
    shown = ", ".join(f"{name} {megabytes:.0f} MB" for name, megabytes in left.items())
    console.print(f"{memory.CANCELS} streams that are cancelled: {shown} ({left['after'] / left['before']:.2f}x)")
    return results


def _breakdown(console: Console, options: argparse.Namespace) -> dict[str, Any]:
    results = breakdown.measured()
    table = _table("breakdown of a request: microseconds, and their share", "stage", *results)
    for column in breakdown.COLUMNS:
        table.add_row(column, *(f"{row[column]:.0f} ({row[column] / sum(row.values()):.0%})" for row in results.values()))
    table.add_row("all", *(f"{sum(row.values()):.0f}" for row in results.values()))
    console.print(table)
    return results


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left")
    return table


PARTS: dict[str, Callable[[Console, argparse.Namespace], dict[str, Any]]] = {
    "programs": _programs,
    "requests": _requests,
    "memory": _memory,
    "breakdown": _breakdown,
}

if __name__ == "__main__":
    main()
