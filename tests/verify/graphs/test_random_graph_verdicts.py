"""Random graphs of thousands of elements in four dtypes: no right gradient may be a contradiction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.support.graph_runs import DTYPES, graphs_of

from gradproof.engine.verify.verdict import GraphWord

UNARY = ("sin", "exp", "tanh", "relu", "abs", "sigmoid", "log1p", "sqrt", "log", "reciprocal", "erf", "floor", "square")
BINARY = ("add", "multiply", "subtract", "divide", "maximum", "minimum", "pow", "hypot", "atan2")
LINEWISE: list[tuple[str, dict[str, Any]]] = [
    ("softmax", {"axis": 1}), ("log_softmax", {"axis": 0}), ("cumsum", {"axis": 1}), ("flip", {"axis": 0}),
]  # fmt: skip


def sample_graph(seed: int) -> tuple[dict[str, Any], list[Line]]:
    """A random graph: three leaves and a matrix, and up to a dozen nodes, each of earlier values."""
    random = np.random.default_rng(seed)
    dtype = list(DTYPES.values())[seed % 4]
    rows, columns = (int(2 ** random.uniform(4, 8)) for _ in range(2))
    leaves = {f"x{k}": random.normal(size=(rows, columns)) * 10 ** random.uniform(-2, 1.3) for k in range(3)}
    if seed % 3 == 0:
        for leaf in leaves.values():
            leaf[random.random(leaf.shape) < 0.2] = 0
    if seed % 5 == 0:
        leaves["x2"] = np.ones((rows, columns))
    leaves["w"] = random.normal(size=(columns, columns)) / columns**0.5
    names, lines = ["x0", "x1", "x2"], list[Line]()
    for k in range(int(random.integers(3, 13))):
        first, second = (names[int(random.integers(len(names)))] for _ in range(2))
        match int(random.integers(9)):
            case 0 | 1 | 2 | 3:
                lines.append(f"n{k} = {UNARY[int(random.integers(len(UNARY)))]}({first})")
            case 4 | 5 | 6:
                lines.append(f"n{k} = {BINARY[int(random.integers(len(BINARY)))]}({first}, {second})")
            case 7:
                lines.append(f"n{k} = matmul({first}, w)")
            case _:
                op, attributes = LINEWISE[int(random.integers(len(LINEWISE)))]
                lines.append((f"n{k} = {op}({first})", attributes))
        names.append(f"n{k}")
    return {n: leaf.astype(dtype) for n, leaf in leaves.items()}, [*lines, f"s = {('sum', 'mean')[seed % 2]}({names[-1]})"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("first", range(0, 80, 20))
def test_random_graphs_raise_no_alarm(bench: Bench, first: int) -> None:
    for seed in range(first, first + 20):
        leaves, lines = sample_graph(seed)
        for verdict in graphs_of(bench, leaves, lines, "s").values():
            assert verdict.word is not GraphWord.INCONSISTENT, (seed, verdict)
            assert verdict.word is not GraphWord.SKIPPED or "not finite" in verdict.reason, (seed, verdict)
