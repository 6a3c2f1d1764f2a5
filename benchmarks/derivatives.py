"""Second derivatives through tensors, in gradients: what a product with a Hessian and a whole Hessian cost.

    python -m benchmarks.derivatives [--rounds 15] [--only NAME ...] [--verdicts] [--json FILE]

For each function and number of inputs the time of a gradient (record, pass, numbers as an array), and the times of products
with the Hessian and of the Hessian, as multiples of it; beside them the first Hessian, which is derived, traced and
planned. Rounds are interleaved, and a ratio is that of the medians.
Hessians are found right before they are timed: their product with a vector is that of `hvp`, and the difference of two
gradients.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import gradproof.client as gp
from gradproof.client.autograd import functional
from gradproof.engine.spec import Array

SIZES = (8, 16, 64)
WARM = 5
"""Calls before the first that is timed: plans are compiled meanwhile."""
GOALS = {"hvp": 4.0, "vhp": 4.0, "hessian": 30.0}
"""Goals: gradients' time, at most."""
Function = Callable[[gp.Tensor], gp.Tensor]


def quartic(n: int) -> Function:
    """The square of a quadratic form, and the sum of fourth powers."""
    a = gp.tensor(np.random.default_rng(0).normal(size=(n, n)) / np.sqrt(n))
    return lambda x: (a @ x).square().sum().square() + (x**4).sum()


def perceptron(n: int) -> Function:
    """The square of a perceptron of two layers of 32."""
    random = np.random.default_rng(1)
    first, second = (gp.tensor(random.normal(size=(32, k)) / np.sqrt(k)) for k in (n, 32))
    return lambda x: (second @ (first @ x).tanh()).tanh().square().sum()


def logsumexp(n: int) -> Function:
    """The logarithm of a sum of exponentials of linear forms."""
    a = gp.tensor(np.random.default_rng(2).normal(size=(2 * n, n)))
    return lambda x: (a @ x).logsumexp(0)


def chain(n: int) -> Function:
    """A hundred rounds of two ops, each on all numbers."""
    shift = gp.tensor(np.random.default_rng(3).normal(size=n) / 10)

    def function(x: gp.Tensor) -> gp.Tensor:
        for _ in range(100):
            x = x.roll(1, 0).sin() + shift
        return (x * x).sum()

    return function


FUNCTIONS: dict[str, Callable[[int], Function]] = {
    "quartic form": quartic,
    "perceptron": perceptron,
    "logsumexp": logsumexp,
    "chain of 300 nodes": chain,
}


def calls(f: Function, at: Array, along: Array) -> dict[str, Callable[[], Array]]:
    """What is timed, by name: each from arrays to an array."""

    def gradient() -> Array:
        x = gp.tensor(at, requires_grad=True)
        f(x).backward()
        assert x.grad is not None
        return x.grad.numpy()

    return {
        "gradient": gradient,
        "hvp": lambda: functional.hvp(f, gp.tensor(at), gp.tensor(along))[1].numpy(),
        "vhp": lambda: functional.vhp(f, gp.tensor(at), gp.tensor(along))[1].numpy(),
        "hessian": lambda: gp.func.hessian(f)(gp.tensor(at)).numpy(),
    }


def check(f: Function, at: Array, along: Array) -> float:
    """The seconds of the first Hessian. Raises SystemExit if derivatives differ from each other, or from a difference of
    gradients."""
    timed = calls(f, at, along)
    timed["gradient"]()
    start = perf_counter()
    timed["hessian"]()
    first = perf_counter() - start
    results = {name: call() for name, call in timed.items()}
    step = 1e-5
    ends = [calls(f, at + sign * step * along, along)["gradient"]() for sign in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * step)
    size = np.abs(results["hvp"]).max()
    products = {"vhp": results["vhp"], "hessian": results["hessian"] @ along}
    for name, product in products.items():
        if not np.allclose(product, results["hvp"], rtol=0, atol=1e-12 * size):
            raise SystemExit(f"{name} differs from hvp: {product} and {results['hvp']}")
    if not np.allclose(slope, results["hvp"], rtol=0, atol=1e-6 * size):
        raise SystemExit(f"hvp differs from a difference of gradients: {results['hvp']} and {slope}")
    return first


def measured(names: Sequence[str], sizes: Sequence[int], rounds: int, *, verdicts: bool = False) -> dict[str, Any]:
    """Milliseconds of a gradient, multiples of it, and, for ``verdicts``, seconds of the verdict of the Hessian."""
    results: dict[str, Any] = {}
    for name in names:
        for n in sizes:
            random = np.random.default_rng(n)
            f, at, along = FUNCTIONS[name](n), random.normal(size=n), random.normal(size=n)
            first = check(f, at, along)
            timed = calls(f, at, along)
            times: dict[str, list[float]] = {key: [] for key in timed}
            for k in range(WARM + rounds):
                for key, call in timed.items():
                    start = perf_counter()
                    call()
                    if k >= WARM:
                        times[key].append(perf_counter() - start)
            medians = {key: median(own) for key, own in times.items()}
            row: dict[str, Any] = {key: medians[key] / medians["gradient"] for key in GOALS}
            row |= {"gradient ms": 1e3 * medians["gradient"], "first": first / medians["gradient"]}
            if verdicts:
                hessian = gp.func.hessian(f)(gp.tensor(at))
                hessian.numpy()
                start = perf_counter()
                verdict = hessian.verdict
                row["verdict s"] = perf_counter() - start
                row["verdict"] = verdict.summary if verdict is not None else "none"
            results[f"{name}, {n}"] = row
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.derivatives", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=tuple(FUNCTIONS), default=tuple(FUNCTIONS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--verdicts", action="store_true", help="ask for the verdict of each Hessian, too")
    parser.add_argument("--json", metavar="FILE", help="write the numbers to this file")
    options = parser.parse_args(arguments)
    results = measured(options.only, options.sizes, options.rounds, verdicts=options.verdicts)
    table = Table(title="second derivatives, in gradients", title_justify="left")
    for column in (
        "function, inputs",
        "gradient, ms",
        *GOALS,
        "first hessian",
        *(["verdict of the Hessian"] if options.verdicts else []),
    ):
        table.add_column(column, justify="left" if column == "function, inputs" else "right")
    for name, row in results.items():
        verdict = [f"{row['verdict']}, {row['verdict s']:.1f} s"] if options.verdicts else []
        table.add_row(
            name, f"{row['gradient ms']:.1f}", *(f"{row[key]:.1f}" for key in GOALS), f"{row['first']:.0f}", *verdict
        )
    console = Console()
    console.print(table)
    console.print("goals: " + ", ".join(f"{key} {goal:g}" for key, goal in GOALS.items()) + " gradients at most")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
