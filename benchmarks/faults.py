"""Planted faults caught by central differences, beside those caught by Gradproof. ``python -m benchmarks.faults``

The checker of differences follows torch.autograd.gradcheck: central differences in float64, eps 1e-6, atol 1e-5, rtol 1e-3,
compared with the op's rule at the inputs that show each fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from tests.support.fault_catalogue import Fault
from tests.support.fault_injection import NAME, arrays_of, catches, job_of, planted, registry_with
from tests.support.subtle_faults import EVERY
from tests.support.verdicts import finish

from gradproof.engine.engine import Engine
from gradproof.engine.errors import GradproofError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import is_differentiable, spec_of

EPSILON, ABSOLUTE, RELATIVE = 1e-6, 1e-5, 1e-3


def differences_agree(op: Op, registry: Registry, name: str, fault: Fault) -> bool:
    """True if central differences of the forward agree with the gradients of a run. Raises GradproofError."""
    job = job_of(fault, registry, name)
    run = finish(Engine(registry), job)
    seeds = dict(job.seeds)
    arrays = [np.array(x) for x in arrays_of(fault)]
    inference = op.inference([spec_of(x) for x in arrays], fault.attributes)
    for k, x in enumerate(arrays):
        if not is_differentiable(x.dtype):
            continue
        number = run.plan.backward.raw.get(run.plan.lowered.values[f"x{k}"])
        gradient = np.zeros(x.shape) if number is None else np.asarray(run.values[number], np.float64)
        for index in np.ndindex(x.shape):
            sides = []
            for step in (EPSILON, -EPSILON):
                moved = [a.copy() for a in arrays]
                moved[k][index] += step
                sides.append(_weighted(op, moved, inference, list(seeds.values())))
            slope = (sides[0] - sides[1]) / (2 * EPSILON)
            if not abs(slope - gradient[index]) <= ABSOLUTE + RELATIVE * abs(slope):
                return False
    return True


def _weighted(op: Op, arrays: Sequence[Any], inference: Any, seeds: Sequence[Any]) -> float:
    specs = inference.inputs or [spec_of(a) for a in arrays]
    inputs = [np.broadcast_to(a, spec.shape).astype(spec.dtype) for a, spec in zip(arrays, specs, strict=True)]
    with np.errstate(all="ignore"):
        result = op.forward(*inputs, **inference.attributes)
    outputs = result if isinstance(result, tuple) else (result,)
    return float(sum(np.sum(np.asarray(y, np.float64) * g) for y, g in zip(outputs, seeds, strict=True)))


def differences_catch(fault: Fault, fields: Any = None) -> bool:
    """True if the checker of differences reports a fault."""
    op = planted(fault, fields)
    registry = registry_with(op)
    if registry.refused:
        return True
    try:
        return not differences_agree(registry.op(NAME), registry, NAME, fault)
    except GradproofError:
        return True


def main() -> None:
    table = Table(title="Planted faults, and how many are caught")
    for column in ("family", "planted", "by differences", "by Gradproof", "alarms of differences", "of Gradproof"):
        table.add_column(column, justify="left" if column == "family" else "right")
    totals = np.zeros(5, int)
    for family, faults in EVERY.items():
        row = np.array(
            [
                len(faults),
                sum(differences_catch(fault) for fault in faults),
                sum(bool(catches(fault)) for fault in faults),
                sum(differences_catch(fault, {}) for fault in faults if fault.level not in ("refused", "run")),
                sum(bool(catches(fault, {})) for fault in faults if fault.level not in ("refused", "run")),
            ]
        )
        totals += row
        table.add_row(family, *map(str, row))
    table.add_row("all", *map(str, totals), style="bold")
    Console().print(table)
    print("Alarms are raised on the same op at the same inputs, without the fault.")


if __name__ == "__main__":
    main()
