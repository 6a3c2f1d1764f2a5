"""No false alarm: whatever floats the built-in ops meet, no check says that a right number is wrong.

``CHECK_DRAWS`` sets how many points are drawn for each op; `make check` draws a thousand.
"""

from __future__ import annotations

import os
from ast import literal_eval
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from tests.conftest import REGISTRY
from tests.support.fault_injection import of_run
from tests.support.proof_sources import NoProofs
from tests.support.sample_inputs import job_of, ordinary_point, points
from tests.support.sweeps import draws
from tests.support.verdicts import finish

from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault
from gradproof.engine.op import Op
from gradproof.engine.spec import Array
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord, UseVerdict, ValueWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.testing import Trial

DRAWS = int(os.environ.get("CHECK_DRAWS", "3"))
ENGINE = Engine(REGISTRY)
VERIFIER = Verifier(REGISTRY, NoProofs(REGISTRY))
"""Proofs do not depend on the numbers, and have their own test."""

judging = settings(
    max_examples=DRAWS, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


OPS = [pytest.param(op, id=op.name) for op in REGISTRY.ops.values() if op.differentiable]


def judged(point: Trial) -> list[GradientVerdict]:
    return list(VERIFIER.check(finish(ENGINE, job_of(point)), budget=60.0))


def behind_an_overflow(point: Trial, use: UseVerdict) -> bool:
    """Whether a rule met a result or a slope that overflowed: infinite where the gradient is not, or nan where a cotangent
    of 0 met it. That is no right number, and is rightly called wrong."""
    off = use.value.word is ValueWord.OFF and use.value.got in ("nan", "inf", "-inf")
    return off and (use.forward.word is ValueWord.OVERFLOWED or slope_overflowed(point, use))


def slope_overflowed(point: Trial, use: UseVerdict) -> bool:
    """Whether the true slope of an elementwise op, at the element that is called wrong, is beyond the largest float: the
    verdict on that element alone, under a cotangent of 1, says so."""
    index, shape = tuple(literal_eval(use.value.element or "[]")), point.seeds[0].shape
    if not REGISTRY.op(point.op).elementwise or len(index) != len(shape):
        return False
    cells = tuple(np.array(np.broadcast_to(x, shape)[index]) for x in point.arrays)
    alone = judged(replace(point, arrays=cells, seeds=tuple(np.ones_like(g[index]) for g in point.seeds)))
    uses = [one for verdict in alone for one in verdict.uses if (one.op, one.input) == (use.op, use.input)]
    return any(one.value.word is ValueWord.OVERFLOWED for one in uses)


def summed_from_no_number(use: UseVerdict) -> bool:
    """Whether an input that was broadcast gets a sum with inf or nan in it: of a rule that may be behind an overflow."""
    return use.op == "broadcast_to" and use.value.word is ValueWord.NONFINITE


def words(point: Trial) -> Counter[ValueWord]:
    """How often each word is said of this point, after none of them was an alarm."""
    everything = judged(point)
    uses = [use for verdict in everything for use in verdict.uses]
    behind = [use for use in uses if behind_an_overflow(point, use)]
    overflowed = bool(behind) or any(use.forward.word is ValueWord.OVERFLOWED for use in uses)
    verdicts = [
        verdict
        for verdict in everything
        if not any(use in behind or (overflowed and summed_from_no_number(use)) for use in verdict.uses)
    ]
    alarms = [f"{catch.level}: {catch.text}: {catch.got} for {catch.expected}" for v in verdicts for catch in of_run(v)]
    assert not alarms, f"{point}: {'; '.join(alarms)}"
    assert all(verdict.summary is not SummaryWord.WRONG for verdict in verdicts), f"{point}: {verdicts}"
    return Counter(use.value.word for verdict in verdicts for use in verdict.uses)


@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        ("ldexp", (np.array([np.inf, -np.inf, 1.0]), np.array([-2000, -2000, 3]))),
        *((op, (np.array([np.inf, 7.0]), np.array([b, 3.0]))) for op in ("remainder", "fmod") for b in (5e-324, -5e-324)),
        *((op, (np.array([-2.0, 2.0]), np.array([np.inf, -np.inf]))) for op in ("remainder", "fmod")),
    ],
)
def test_infinities_beside_the_ends_of_the_range(op: str, arrays: tuple[Array, ...]) -> None:
    with np.errstate(all="ignore"):
        words(Trial(op, arrays, {}, (np.ones(arrays[0].shape),)))


@pytest.mark.parametrize(("op", "numbers"), [("digamma", (1e-300,)), ("y1", (1e-300,)), ("zeta", (3.0, 1e-300))])
def test_a_slope_beyond_the_range_under_a_cotangent_of_0(op: str, numbers: tuple[float, ...]) -> None:
    for shape in ((), (2,)):
        at = Trial(op, tuple(np.full(shape, x) for x in numbers), {}, (np.ones(shape),))
        assert words(at) == {ValueWord.OVERFLOWED: 1}
        assert not words(replace(at, seeds=(np.zeros(shape),))), "nan, which is no right number"


@pytest.mark.sweep(of=2)
@pytest.mark.slow
@pytest.mark.parametrize("op", OPS)
def test_a_right_op_is_never_called_wrong(op: Op) -> None:
    seen = words(ordinary_point(op))

    @settings(judging, max_examples=DRAWS if op.rule else draws(DRAWS, op.name, of=5))  # a composite is its parts
    @given(points(op))
    def at(point: Trial) -> None:
        try:
            seen.update(words(point))
        except DataFault:  # a singular matrix has no inverse
            reject()

    at()
    assert seen[ValueWord.ENCLOSED] > 0, seen
