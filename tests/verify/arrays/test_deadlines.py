"""Budgets inside what is large: arithmetic of arrays, and copies of runs, end when their time does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench, Line
from tests.support.graph_runs import run_of

from gradproof.engine import cancellation
from gradproof.engine.cancellation import Cancellation, Deadline, look
from gradproof.engine.errors import Cancelled
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.runs import Brief, Examination, KnownRules, layout_of, write_values
from gradproof.engine.verify.runs.evidence import AT_ONCE
from gradproof.engine.verify.verdict import ValueWord


class Clock:
    """A clock that is at 0 for so many looks, and far later from then on."""

    def __init__(self, looks: int) -> None:
        self.looks, self.seen = looks, 0

    def monotonic(self) -> float:
        self.seen += 1
        return 0.0 if self.seen <= self.looks else 1e12


def timed(monkeypatch: pytest.MonkeyPatch, looks: int) -> Clock:
    clock = Clock(looks)
    monkeypatch.setattr(cancellation, "time", clock)
    return clock


def test_work_ends_at_its_deadline_and_with_the_work_it_is_part_of(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = timed(monkeypatch, 3)
    own = Deadline(1.0)
    seen = []

    def work() -> None:
        while True:
            look()
            seen.append(clock.seen)

    with pytest.raises(Cancelled):
        own.within(work)
    assert seen == [1, 2, 3]
    assert own.cancelled
    look()  # nothing else is cancelled
    outer = Cancellation()
    inner = outer.within(lambda: Deadline(2e12))
    outer.cancel()
    with pytest.raises(Cancelled):
        inner.within(look)


@pytest.mark.parametrize("work", [lambda x: x + x, lambda x: x * x, lambda x: x / x, lambda x: x * 2.0])
def test_arithmetic_of_balls_looks_before_it_begins(work: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    x = BallArray(np.linspace(1, 2, 1000), 1e-9)
    clock = timed(monkeypatch, 1)
    with pytest.raises(Cancelled):
        Deadline(1.0).within(lambda: work(work(x)))
    assert clock.seen == 2


LARGE: dict[str, Line] = {
    "matmul": "y = matmul(a, b)",
    "softmax": ("y = softmax(a)", {"axis": 1}),
    "logsumexp": ("y = logsumexp(a)", {"axis": 0}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_node_whose_time_is_over_is_left_at_once(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    leaves = {x: random.normal(size=(60, 60)) for x in ("a", "b")}
    run = run_of(bench, leaves, [LARGE[name], "s = sum(y)"], "s")

    def numbers(looks: int) -> tuple[Any, int]:
        clock = timed(monkeypatch, looks)
        return Examination(run, Brief(), 1e6, KnownRules(REGISTRY)).numbers(0), clock.seen

    whole, every = numbers(10**9)
    assert whole.forward.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED)
    assert every > 2
    for looks in (0, 1, every // 2, every - 1):
        verdicts, seen = numbers(looks)
        assert seen == looks + 1  # and no more work behind it
        assert verdicts.forward.word is ValueWord.UNCHECKED
        assert "budget" in verdicts.forward.reason
        assert all(verdict is None or verdict.word is ValueWord.UNCHECKED for verdict in verdicts.contributions)


def test_a_run_is_copied_as_far_as_there_is_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 4 * AT_ONCE // 8
    run = run_of(bench, {"x": np.ones(count)}, ["y = negative(x)", "s = sum(y)"], "s")
    specs = run.plan.program.specs
    layout = layout_of(run.values, specs)
    buffer = bytearray(layout.size)
    timed(monkeypatch, 2)
    with pytest.raises(Cancelled):
        Deadline(1.0).within(write_values, run.values, specs, layout, buffer)
    assert np.count_nonzero(np.frombuffer(buffer, np.uint8)) <= 2 * AT_ONCE
    assert np.frombuffer(buffer, np.float64)[: AT_ONCE // 8].all()
