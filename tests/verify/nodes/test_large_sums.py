"""Sums of contributions, and ties of comparisons, at any size."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench, Line
from tests.support.graph_runs import every_dtype, normal, run_of

from gradproof.engine.engine import Engine
from gradproof.engine.extend import Op, hookimpl
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.runs import check_sum
from gradproof.engine.verify.runs.ties import tied_values
from gradproof.engine.verify.verdict import AccumulationWord
from gradproof.plugins import BUILTIN


@pytest.mark.slow
@every_dtype
def test_sums_of_many_elements_that_cancel_are_exact(dtype: Any) -> None:
    """More sums than can be added singly; the right digits of the worst are reported."""
    count = 30_000
    parts = [normal(count, seed=k, dtype=dtype, scale=100.0) for k in range(3)]
    parts.append((-(parts[0].astype(float) + parts[1].astype(float))).astype(dtype))
    parts.append((-parts[2]).astype(dtype))
    raw = parts[0]
    for part in parts[1:]:
        raw = (raw + part).astype(dtype)
    truth = [float(sum(Fraction(float(part[k])) for part in parts)) for k in range(count)]
    nearest = np.array(truth).astype(dtype)
    assert check_sum(parts, nearest, 5).word is AccumulationWord.EXACT
    verdict = check_sum(parts, raw, 5)
    assert verdict.word is AccumulationWord.ILL_CONDITIONED
    k = int(re.findall(r"element \[(\d+)\]", verdict.reason)[0])
    assert f"the sum is {truth[k]:.6g}"[:16] in verdict.reason
    wrong = nearest.copy()
    wrong[20_011] = 40
    assert f"element [{20_011}]" in check_sum(parts, wrong, 5).reason
    assert check_sum(parts, wrong, 5).word is AccumulationWord.OFF
    wrong[20_011] = np.nan
    assert check_sum(parts, wrong, 5).word is AccumulationWord.OFF


def test_a_sum_of_two_is_right_to_the_last_bit_or_seen_to_be_off() -> None:
    a, b = normal(50_000), normal(50_000, seed=1)
    b[7] = -a[7] * (1 - 2.0**-40)
    assert check_sum([a, b], a + b, 2).word is AccumulationWord.EXACT
    wrong = a + b
    wrong[7] *= 1.0001
    assert check_sum([a, b], wrong, 2).word is AccumulationWord.ILL_CONDITIONED
    wrong[7] = 1
    assert check_sum([a, b], wrong, 2).word is AccumulationWord.OFF


@pytest.mark.parametrize("size", [50, 5000, 200_000])
def test_ties_are_found_at_any_size(bench: Bench, size: int) -> None:
    """Of a comparison, of the largest, and of an order; and none where none is."""
    x = np.random.default_rng(1).permutation(size) / 4 + 0.125
    for op, attributes in (("argmax", {"axis": 0}), ("argsort", {"axis": 0}), ("argmin", {"axis": 0})):
        lines: list[Line] = [
            (f"i = {op}(x)", attributes),
            ("j = astype(i)", {"dtype": "float64"}),
            "k = multiply(x, j)",
            "s = sum(k)",
        ]
        assert tied_values(run_of(bench, {"x": x}, lines, "s"), ["x"]) == {}
        twice = x.copy()
        twice[0], twice[1] = (x.max(), x.max()) if op != "argmin" else (x.min(), x.min())
        [text] = tied_values(run_of(bench, {"x": twice}, lines, "s"), ["x"]).values()
        assert text.startswith(f"node 0 ({op}): both sides of the comparison are equal")


class Close:
    """Comparisons with a definition of their own."""

    GRADPROOF_API = 1

    @hookimpl
    def register_ops(self, register: Callable[[Op], None]) -> None:
        register(
            Op("close.outside", lambda x, *, d: np.asarray(np.abs(x) > d), None, lambda f, x, *, d: f.less(d, f.modulus(x)))
        )


def test_ties_inside_of_a_definition_are_found_in_large_arrays() -> None:
    registry = build_registry(BUILTIN, others=[Close()])
    bench = Bench(Engine(registry))
    x = normal(10_000)
    x[123] = -3.0
    lines: list[Line] = [("c = close.outside(x)", {"d": 3.0}), "y = where(c, x, z)", "s = sum(y)"]
    leaves = {"x": x, "z": np.zeros(10_000)}
    ties = tied_values(run_of(bench, leaves, lines, "s", constants="z"), ["x"])
    assert ties["x"].startswith("node 0 (close.outside), element [123]: both sides of the comparison are equal")
    x[123] = -3.1
    assert tied_values(run_of(bench, leaves, lines, "s", constants="z"), ["x"]) == {}
