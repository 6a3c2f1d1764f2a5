"""Large nodes: every element enclosed over whole arrays, a sample read by Arb, a wrong element located anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.applications import applied, arrays_of, changed, checked, drawn, positive, verdict_on
from tests.support.proof_sources import NoProofs
from tests.support.registries import with_rules
from tests.support.verdicts import judge, numbers

from gradproof.engine.extend import Op, hookimpl, ops
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.rules import linear_inputs
from gradproof.engine.spec import DType, spec_of
from gradproof.engine.verify.nodes import arb_reading, check_node
from gradproof.engine.verify.numbers import Application, Checked, check_values
from gradproof.engine.verify.verdict import SummaryWord, ValueWord
from gradproof.plugins import BUILTIN

MANY = 5000
FLOATS = [np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
FULL = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}


NODES: dict[str, Callable[[DType], tuple[Any, Any]]] = {
    "tanh": lambda t: applied("tanh", drawn((70, 80), t), seed=drawn((70, 80), t, 1)),
    "divide": lambda t: applied("divide", drawn((MANY,), t), positive((MANY,), t, 1), seed=drawn((MANY,), t, 2)),
    "where": lambda t: applied(
        "where", drawn((MANY,), t) > 0, drawn((MANY,), t, 1), drawn((MANY,), t, 2), seed=drawn((MANY,), t)
    ),
    "log1p": lambda t: applied("log1p", positive((20_000,), t), seed=drawn((20_000,), t, 1)),
    "matmul": lambda t: applied("matmul", drawn((60, 80), t), drawn((80, 50), t, 1), seed=drawn((60, 50), t, 2)),
    "matmul in stacks": lambda t: applied(
        "matmul", drawn((6, 20, 30), t), drawn((6, 30, 10), t, 1), seed=drawn((6, 20, 10), t, 2)
    ),
    "softmax": lambda t: applied("softmax", drawn((60, 70), t), seed=drawn((60, 70), t, 1), axis=1),
    "log_softmax": lambda t: applied("log_softmax", drawn((60, 70), t), seed=drawn((60, 70), t, 1), axis=1),
    "sum": lambda t: applied("sum", drawn((90, 60), t), seed=drawn((60,), t, 1), axis=(0,)),
    "mean": lambda t: applied("mean", drawn((90, 60), t), seed=drawn((90, 1), t, 1), axis=(1,), keepdims=True),
    "var": lambda t: applied("var", drawn((90, 60), t), seed=drawn((60,), t, 1), axis=(0,)),
    "transpose": lambda t: applied("transpose", drawn((90, 60), t), seed=drawn((60, 90), t, 1), axes=(1, 0)),
    "concat": lambda t: applied("concat", drawn((90, 30), t), drawn((90, 20), t, 1), seed=drawn((90, 50), t, 2), axis=1),
    "take": lambda t: applied("take", drawn((90, 30), t), np.arange(200) % 90, seed=drawn((200, 30), t, 1), axis=0),
    "max": lambda t: applied("max", drawn((90, 60), t), seed=drawn((90,), t, 1), axis=(1,)),
}


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", NODES)
def test_what_a_node_computes_raises_no_alarm(name: str, dtype: DType) -> None:
    application, rule = NODES[name](dtype)
    verdicts = checked(application, rule)
    for which, array in enumerate(arrays_of(application)):
        verdict = verdict_on(verdicts, application, which)
        assert verdict.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED, ValueWord.ILL_CONDITIONED, ValueWord.TIE), (
            verdict
        )
        assert verdict.checked == verdict.total == array.size
    assert verdicts.forward.sampled >= (64 if application.op.elementwise else 1)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", FULL, ids=str)
@pytest.mark.parametrize("name", NODES)
def test_one_wrong_element_is_found_wherever_it_is(name: str, dtype: DType) -> None:
    """In each array of the node, at random places, with either sign."""
    application, rule = NODES[name](dtype)
    random = np.random.default_rng(len(name))
    for which, array in enumerate(arrays_of(application)):
        if array.dtype.kind in "biu":
            continue
        sizes = np.abs(np.asarray(array, np.float64)).reshape(-1)
        for place in random.choice(np.flatnonzero(sizes > np.median(sizes) / 4), 3).tolist():
            value = float(array.flat[place]) * (1 + FULL[dtype] * float(random.choice((-1, 1))))
            bad, where = changed(application, which, place, value)
            verdict = verdict_on(checked(bad, rule), application, which)
            assert (verdict.word, verdict.element) == (ValueWord.OFF, where), verdict
            assert float(verdict.got) == float(arrays_of(bad)[which].flat[place])
            assert float(verdict.expected) == pytest.approx(float(array.flat[place]), rel=1e-3 * FULL[dtype] ** 0.5)


@pytest.mark.parametrize("relative", [1e-9, 1e-13])
def test_a_wrong_element_is_found_by_its_last_digits_too(relative: float) -> None:
    application, rule = applied("tanh", np.linspace(-3, 3, MANY))
    bad, where = changed(application, 1, 3217, application.contributions[0].flat[3217] * (1 + relative))
    verdict = checked(bad, rule).contributions[0]
    assert verdict is not None
    assert (verdict.word, verdict.element) == (ValueWord.OFF, where)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_number_that_is_none_is_off(value: float) -> None:
    for name in ("tanh", "matmul", "softmax"):
        application, rule = NODES[name](np.dtype(np.float64))
        for which in range(len(arrays_of(application))):
            bad, where = changed(application, which, 1234, value)
            verdict = verdict_on(checked(bad, rule), application, which)
            assert (verdict.word, verdict.element) == (ValueWord.OFF, where), verdict


def test_every_element_is_enclosed_and_a_sample_read_by_arb(registry: Registry) -> None:
    verdict = judge(registry, "sin", np.linspace(0, 1, MANY))["x0"]
    forward = numbers(verdict)
    assert (forward.word, forward.checked, forward.total) == (ValueWord.ENCLOSED, MANY, MANY)
    assert 64 <= forward.sampled < 100
    assert 0 < forward.max_ulps < 16
    assert verdict.uses[0].forward.word is ValueWord.ENCLOSED
    assert verdict.summary is SummaryWord.VERIFIED


def test_the_place_is_that_in_the_whole_array() -> None:
    registry = with_rules(sin=lambda g, y, x: g * ops.where(x > 4998, 0, ops.cos(x)))
    verdict = judge(registry, "planted.sin", np.arange(5000.0).reshape(50, 100))["x0"]
    assert numbers(verdict).word is ValueWord.OFF
    assert numbers(verdict).element == "[49, 99]"


@pytest.mark.slow
@pytest.mark.parametrize("count", [100, 128, 129, 2048, 2049])
def test_the_word_is_the_same_on_either_side_of_a_threshold(registry: Registry, count: int) -> None:
    x = np.random.default_rng(count).normal(size=count)
    for op in ("exp", "relu", "sum"):
        verdict = judge(registry, op, x)["x0"]
        assert numbers(verdict).word is ValueWord.ENCLOSED
        assert numbers(verdict).checked == count
        assert verdict.summary is SummaryWord.VERIFIED
    x[::7] = 0.0
    assert numbers(judge(registry, "relu", x)["x0"]).word is ValueWord.TIE
    x[3] = np.nan
    assert numbers(judge(registry, "exp", x)["x0"]).word is ValueWord.NONFINITE
    x[3] = 800.0
    assert numbers(judge(registry, "exp", x)["x0"]).word is ValueWord.OVERFLOWED


# through rules


def test_a_rule_that_is_not_proved_leaves_its_numbers_screened(registry: Registry) -> None:
    x = drawn((60, 70), np.dtype(np.float64))
    verdict = judge(registry, "softmax", x, seed=x, proofs=NoProofs, axis=1)["x0"]
    value = numbers(verdict)
    assert value.word is ValueWord.SCREENED
    assert (value.checked, value.screened, value.total) == (0, x.size, x.size)
    assert "PENDING" in value.reason
    assert verdict.summary is SummaryWord.PLAUSIBLE


def test_a_rule_that_is_wrong_in_large_shapes_only_is_found_along_a_direction() -> None:
    """Its proof, in a small case, would not know; and the numbers are those of the rule, to the last bit."""

    def rule(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
        return y * (g - ops.sum(g * y, axis=axis, keepdims=True)) * (1 + Fraction(x.size > 1000, 2**20))

    registry = with_rules(softmax=rule)
    x = drawn((60, 70), np.dtype(np.float64))
    application, program = applied("planted.softmax", x, seed=drawn((60, 70), x.dtype, 1), registry=registry, axis=1)
    assert checked(application, program).contributions[0] is not None
    application = replace(application, op=replace(application.op, arrays=REGISTRY.op("softmax").arrays))
    [verdict] = checked(application, program).contributions
    assert verdict is not None
    assert verdict.word is ValueWord.OFF
    assert "directions" in verdict.reason
    y, g = application.results[0], application.cotangents[0]
    truth = y * (g - (g * y).sum(axis=1, keepdims=True))
    index = tuple(int(k) for k in verdict.element.strip("[]").split(","))
    assert float(verdict.expected) == pytest.approx(truth[index], rel=1e-9)


def test_an_op_without_a_form_is_projected_and_never_verified() -> None:
    a, b = drawn((60, 80), np.dtype(np.float64)), drawn((80, 50), np.dtype(np.float64), 1)
    application, rule = applied("matmul", a, b, seed=drawn((60, 50), a.dtype, 2))
    application = replace(application, op=replace(application.op, arrays=None))
    verdicts = check_node(application, rule, (True, True), 20.0)
    for verdict in verdicts.contributions:
        assert verdict is not None
        assert (verdict.word, verdict.checked) == (ValueWord.SCREENED, 0)
        assert "projections" in verdict.reason
    wrong = np.array(application.contributions[0])
    wrong[17, 33] += 1e-7
    first = check_node(replace(application, contributions=[wrong, None]), rule, (True, True), 20.0).contributions[0]
    assert first is not None
    assert (first.word, first.element) == (ValueWord.OFF, "[17, 33]")


@pytest.mark.parametrize(
    ("op", "shapes", "expected"),
    [
        ("matmul", [(2, 3), (3, 2)], (True, True)),
        ("sum", [(2, 3)], (True,)),
        ("take", [(3,), (2,)], (True, False)),
        ("multiply", [(3,), (3,)], (True, True)),
        ("softmax", [(3,)], (False,)),
        ("var", [(3,)], (False,)),
        ("max", [(3,)], (False,)),
    ],
)
def test_what_an_op_is_linear_in_is_read_from_its_rule(
    registry: Registry, op: str, shapes: list[tuple[int, ...]], expected: tuple[bool, ...]
) -> None:
    declaration = registry.op(op)
    case = next(c for c in declaration.proof_cases() if len(c.inputs) == len(shapes))
    assert linear_inputs(registry.rule_of(declaration, case), 1) == expected


# definitions of others, and time


def plugin(op: Op) -> Registry:
    class Plugin:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(op)

    return build_registry(BUILTIN, others=[Plugin()])


def test_an_op_that_cannot_be_read_over_arrays_is_sampled() -> None:
    def define(f: Any, x: Any) -> Any:
        if type(f).__name__ == "Arrays":
            raise NotImplementedError("no arrays")
        return x * x

    registry = plugin(Op("plain.square", np.square, lambda g, y, x: 2 * g * x, define))
    verdict = judge(registry, "plain.square", np.linspace(1, 2, MANY))["x0"]
    value = numbers(verdict)
    assert value.word is ValueWord.ENCLOSED
    assert 64 <= value.checked == value.sampled < MANY
    assert "a sample" in value.reason
    assert verdict.summary is SummaryWord.PLAUSIBLE
    few = numbers(judge(registry, "plain.square", np.linspace(1, 2, 1000))["x0"])
    assert (few.word, few.checked) == (ValueWord.ENCLOSED, 1000)


@pytest.mark.parametrize("error", [SystemExit, KeyError, ZeroDivisionError, MemoryError])
def test_a_form_that_raises_anything_costs_its_own_word(error: type[BaseException]) -> None:
    def form(f: Any, a: Any, b: Any) -> Any:
        raise error("no such luck")

    application, rule = applied("matmul", drawn((60, 80), np.dtype(np.float64)), drawn((80, 50), np.dtype(np.float64)))
    verdicts = check_node(replace(application, op=replace(application.op, arrays=form)), rule, (True, True), 20.0)
    assert verdicts.forward.word in (ValueWord.UNCHECKED, ValueWord.ENCLOSED, ValueWord.CONDITIONED)
    assert verdicts.forward.checked < verdicts.forward.total


def test_what_there_was_no_time_for_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that only Arb can judge, all of them different: in float64, where exp overflows."""
    monkeypatch.setattr(arb_reading, "CHUNK", 16)
    application, rule = applied("exp", np.linspace(710, 720, MANY))
    verdicts = check_node(application, rule, (False,), 0.0)
    assert verdicts.forward.checked < verdicts.forward.total == MANY
    assert f"{verdicts.forward.checked} of {MANY} elements enclosed" in verdicts.forward.reason
    assert "a budget of about" in verdicts.forward.reason


def test_like_elements_are_read_once() -> None:
    x = np.full(MANY, 710.0)
    x[::5] = 711.0
    verdicts = checked(*applied("exp", x))
    assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.OVERFLOWED, MANY)
    assert verdicts.forward.sampled < 200


BOUNDS = [(-1.0, 1.0), (-np.inf, 0.5), (0.25, np.inf), (-np.inf, np.inf), (-0.0, np.inf), (2.0, -2.0), (np.inf, 1.0)]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_a_bound_that_is_infinite_is_an_absent_bound(registry: Registry, low: float, high: float) -> None:
    x = np.linspace(-3, 3, MANY)
    for count in (MANY, 10):
        step = MANY // count
        for verdict in judge(registry, "clip", x[::step], np.full(count, low), np.full(count, high)).values():
            assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


def over_arrays(application: Application) -> Checked:
    return checked(application, None)


PAIRS = [(a, b) for a in (np.inf, -np.inf, np.nan, 1.0) for b in (np.inf, -np.inf, np.nan, 1.0)]
COMPARISONS = ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "maximum", "minimum"]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("op", COMPARISONS)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_comparing_infinities_raises_no_alarm(op: str, a: float, b: float) -> None:
    """Element by element in Arb, and over arrays, where it is among finite numbers."""
    for count, check in ((3, check_values), (3, over_arrays), (MANY, over_arrays)):
        x, y = np.linspace(1, 2, count), np.linspace(2, 3, count)
        x[count // 2], y[count // 2] = a, b
        declaration = REGISTRY.op(op)
        result = declaration.forward(x, y)
        application = Application(declaration, {}, [x, y], [spec_of(result)], [result], [np.zeros(count)], [None, None])
        verdict = check(application).forward
        if np.isnan(a) or np.isnan(b):
            assert verdict.word in (ValueWord.UNCHECKED, ValueWord.NONFINITE)
        elif a == b and np.isinf(a) and result.dtype.kind == "b":
            assert verdict.word is ValueWord.NONFINITE
        else:
            assert verdict.word is ValueWord.ENCLOSED
            wrong = np.array(result)
            wrong[0] = not wrong[0] if result.dtype.kind == "b" else 7.0
            assert check(replace(application, results=[wrong])).forward.word is ValueWord.OFF


@pytest.mark.slow
def test_complex_numbers_are_read_as_pairs() -> None:
    z = drawn((MANY,), np.dtype(np.float64)) + 1j * drawn((MANY,), np.dtype(np.float64), 1)
    for op in ("exp", "multiply", "conj", "abs"):
        arrays = (z, z[::-1].copy()) if op == "multiply" else (z,)
        application, rule = applied(op, *arrays)
        verdicts = checked(application, rule)
        assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.ENCLOSED, MANY), (op, verdicts.forward)
        for which in range(len(arrays_of(application))):
            assert verdict_on(verdicts, application, which).checked == MANY
            array = arrays_of(application)[which]
            bad, where = changed(application, which, 4321, array.flat[4321] * (1 + 1e-9))
            verdict = verdict_on(checked(bad, rule), application, which)
            assert (verdict.word, verdict.element) == (ValueWord.OFF, where), verdict
