"""Runs of graphs written as lines, and the verdicts on the whole graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import Bench, Line

from gradproof.engine.engine import Run
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.verdict import GraphVerdict


def run_of(bench: Bench, leaves: dict[str, Any], lines: Sequence[Line], outputs: str, **rest: Any) -> Run:
    """The run of a job of a bench."""
    return bench.events(bench.job(leaves, lines, outputs, **rest))[1]


def changed(run: Run, name: str, factor: complex) -> Run:
    """The run with the raw gradient of ``name`` scaled."""
    values = list(run.values)
    number = run.plan.backward.raw[run.plan.lowered.values[name]]
    values[number] = np.asarray(values[number]) * factor
    return replace(run, values=values)


SECONDS = 600.0
"""For the reading of a graph, on a machine that is busy with other tests."""

DTYPES = {name: np.dtype(getattr(ml_dtypes, name, name)) for name in ("float64", "float32", "float16", "bfloat16")}
every_dtype = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float64, scale: float = 1.0) -> Any:
    """Normal numbers from a fixed generator, with deviation ``scale``."""
    return (np.random.default_rng((seed, *shape)).normal(size=shape) * scale).astype(dtype)


def graphs_of(
    bench: Bench, leaves: dict[str, Any], lines: Sequence[Line], outputs: str, **rest: Any
) -> dict[str, GraphVerdict]:
    """The verdicts on a run of these lines, by the name of the gradient."""
    return check_graph(run_of(bench, leaves, lines, outputs, **rest), SECONDS)
