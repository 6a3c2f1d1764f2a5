"""The checker, checked: every planted fault is caught by the level that is there for it, and nothing right is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.support.engine_faults import lost_edge, summing
from tests.support.fault_catalogue import Fault
from tests.support.fault_injection import BASE, NAME, Catch, catches, of_run
from tests.support.proof_sources import LocalProofs
from tests.support.subtle_faults import FAULTS

from gradproof.engine.backward import Contribution
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine, Run
from gradproof.engine.lru import LRUCache
from gradproof.engine.verify.verifier import Verifier

NUMBERS = ("L0", "L1", "LB", "L2")


def test_the_table_is_as_large_as_it_should_be() -> None:
    assert len(FAULTS) + len(ENGINE) + len(TAMPERED) >= 250
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS)
    assert {fault.level for fault in FAULTS} == {"L0", "L1", "LB", "L2", "behaviour", "refused", "run"}


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_planted_fault_is_caught(fault: Fault) -> None:
    catches_ = catches(fault)
    caught = [catch for catch in catches_ if catch.level == fault.level]
    assert caught, catches_
    assert caught[0].op.startswith(NAME), caught[0]
    if fault.level in NUMBERS:
        best = max(caught, key=lambda catch: bool(catch.got))
        assert best.got != best.expected, best
        assert best.input or fault.level == "L0", best


RIGHT = {(f.op, repr(f.arrays), repr(f.attributes)): f for f in FAULTS if f.level not in ("refused", "run")}
"""One fault for each op, run and attributes: without what is wrong in them, those that share these are the same."""


@pytest.mark.sweep(of=8)
@pytest.mark.slow
@pytest.mark.parametrize("fault", RIGHT.values(), ids=str)
def test_the_same_op_without_the_fault_raises_no_alarm(fault: Fault) -> None:
    assert catches(fault, {}) == []


# the engine with a screw loose: every rule is right

LEAVES = {"x": np.array([0.3, -0.8]), "w": np.array([1.5, 0.6])}
LINES = ["a = sin(x)", "b = multiply(a, w)", "c = multiply(b, a)", "d = add(c, x)", "s = sum(d)"]


def judged(run: Run) -> list[Catch]:
    return [catch for verdict in Verifier(BASE, LocalProofs(BASE)).check(run) for catch in of_run(verdict)]


def a_run(**rest: Any) -> Run:
    bench = Bench(Engine(BASE))
    return bench.events(bench.job(LEAVES, LINES, "s", retain=list("abcds"), **rest))[1]


def wrong_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Engine._seeds
    monkeypatch.setattr(Engine, "_seeds", lambda self, job, plan: {n: 2 * s for n, s in whole(self, job, plan).items()})


ENGINE: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "the second use is dropped": ("LA", summing(lambda apply, self, inputs: inputs[0])),
    "the gradient is overwritten": ("LA", summing(lambda apply, self, inputs: inputs[1])),
    "the second use is subtracted": ("LA", summing(lambda apply, self, inputs: apply(self, "subtract", inputs, {}))),
    "the second use is added twice": (
        "LA",
        summing(lambda apply, self, inputs: apply(self, "add", [apply(self, "add", inputs, {}), inputs[1]], {})),
    ),
    "the larger use wins": ("LA", summing(lambda apply, self, inputs: apply(self, "maximum", inputs, {}))),
    "an edge is lost": ("LA", lost_edge),
    "another seed": ("LA", wrong_seed),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINE)
def test_an_engine_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    level, patch = ENGINE[name]
    monkeypatch.setattr(BASE, "traced", LRUCache(1000))
    monkeypatch.setattr(
        Compilations, "default", Plans.NEVER
    )  # where both executors run, the difference is an error before any check
    assert judged(a_run()) == []
    patch(monkeypatch)
    catches_ = judged(a_run())
    assert level in {catch.level for catch in catches_}, catches_
    if name != "another seed":  # the gradient of twice the output is consistent in itself
        assert "L3" in {catch.level for catch in catches_}, catches_


def use_of(run: Run, value: str, op: str) -> Contribution:
    number = run.plan.lowered.values[value]
    program = run.plan.program
    uses = run.plan.backward.contributions
    return next(u for u in uses if u.value == number and program.instructions[u.instruction].op.name == op)


def tampered(run: Run, change: Callable[[list[Any]], None]) -> Run:
    values = list(run.values)
    change(values)
    return replace(run, values=values)


def out_of_order(run: Run) -> Run:
    """The node of a is visited when only one of its two uses has come."""
    use = use_of(run, "x", "sin")
    a = run.plan.lowered.values["a"]
    half = use_of(run, "a", "multiply")

    def change(values: list[Any]) -> None:
        early = np.asarray(values[half.number])
        values[use.cotangents[0]] = early
        values[use.number] = early * np.cos(values[run.plan.lowered.values["x"]])
        other = next(u for u in run.plan.backward.contributions if u.value == use.value and u is not use)
        values[run.plan.backward.raw[use.value]] = np.asarray(values[use.number]) + np.asarray(values[other.number])

    assert a in run.plan.backward.raw
    return tampered(run, change)


def saved_value_changed(run: Run) -> Run:
    """Something wrote to a between the passes."""
    return tampered(run, lambda values: values.__setitem__(run.plan.lowered.values["b"], np.array([9.0, 9.0])))


def contributions_exchanged(run: Run) -> Run:
    """Two inputs got each other's contributions."""
    first, second = use_of(run, "b", "multiply"), use_of(run, "w", "multiply")

    def change(values: list[Any]) -> None:
        values[first.number], values[second.number] = values[second.number], values[first.number]

    return tampered(run, change)


def gradients_exchanged(run: Run) -> Run:
    """Two leaves got each other's gradients."""
    raw, numbers = run.plan.backward.raw, run.plan.lowered.values

    def change(values: list[Any]) -> None:
        x, w = raw[numbers["x"]], raw[numbers["w"]]
        values[x], values[w] = values[w], values[x]

    return tampered(run, change)


def last_bits(run: Run) -> Run:
    """A sum is off by one part in 10^12."""
    number = run.plan.backward.raw[run.plan.lowered.values["x"]]
    return tampered(run, lambda values: values.__setitem__(number, np.asarray(values[number]) * (1 + 1e-12)))


TAMPERED: dict[str, tuple[str, Callable[[Run], Run]]] = {
    "nodes visited out of order": ("L3", out_of_order),
    "a saved value changed between the passes": ("L0", saved_value_changed),
    "contributions exchanged": ("L2", contributions_exchanged),
    "gradients exchanged": ("LA", gradients_exchanged),
    "a sum off in its last digits": ("LA", last_bits),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_run_is_caught(name: str) -> None:
    level, tamper = TAMPERED[name]
    catches_ = judged(tamper(a_run()))
    assert level in {catch.level for catch in catches_}, catches_
