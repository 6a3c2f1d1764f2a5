"""Differences: slopes of functions by extrapolated central differences, for what has no definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.testing.fault import Broken
from gradproof.testing.trial import Trial, run

STEPS = 8
ENOUGH = 1e-5
"""Largest relative error of a slope that says something."""


class Slope(NamedTuple):
    """A slope and an estimate of its error."""

    value: float
    error: float


def slope(f: Callable[[float], float], scale: float = 1.0) -> Slope:
    """The derivative of ``f`` at 0 by central differences with halved steps, extrapolated to 0.

    Source: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), 1982.

    Args:
        f: a smooth function of a number.
        scale: the first step.
    """
    table: list[list[float]] = []
    best = Slope(np.nan, np.inf)
    step = scale / 8
    for k in range(STEPS):
        row = [(f(step) - f(-step)) / (2 * step)]
        for j in range(1, k + 1):
            row.append(row[j - 1] + (row[j - 1] - table[k - 1][j - 1]) / (4**j - 1))
            error = max(abs(row[j] - row[j - 1]), abs(row[j] - table[k - 1][j - 1]))
            if error <= best.error:
                best = Slope(row[j], error)
        table.append(row)
        step /= 2
    return best


def demand_slopes(registry: Registry, trial: Trial) -> None:
    """Raises Broken where the contribution to an input is not the slope of <cotangent, forward> along a direction of that
    input. Complex inputs are left out."""
    ran = run(registry, trial)
    for k, (x, claimed) in enumerate(zip(trial.arrays, ran.contributions, strict=True)):
        if claimed is None or x.dtype.kind != "f" or not x.size:
            continue
        direction = np.resize(np.array([1.0, -0.5, 0.75]), x.shape)

        def along(t: float, k: int = k, direction: Array = direction) -> float:
            moved = [y + t * direction if j == k else y for j, y in enumerate(trial.arrays)]
            results = run(registry, trial.at(*moved)).results
            return float(sum(np.sum(y * g) for y, g in zip(results, trial.seeds, strict=True)))

        found = slope(along)
        got = float(np.sum(claimed * np.broadcast_to(direction, claimed.shape)))
        size = max(abs(found.value), abs(got))
        if found.error <= ENOUGH * size and abs(got - found.value) > max(1e-4 * size, 10 * found.error):
            name = ran.op.input_name(k)
            raise Broken(
                f"the cotangent of {name} along {direction.tolist()} is {got:.10g}, and the slope of the forward "
                f"{found.value:.10g}, at {trial}"
            )
