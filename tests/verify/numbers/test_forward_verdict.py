"""L0 and LB: a node that does not compute its definition, and a rule that breaks its convention at a kink."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.proof_sources import NoProofs
from tests.support.registries import with_fields
from tests.support.verdicts import judge, numbers

from gradproof.engine.extend import Kink, ops
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Spec
from gradproof.engine.verify.nodes.spots import spot_forward
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.verdict import SummaryWord, ValueWord

WRONG: dict[str, tuple[str, Callable[..., Any], list[float]]] = {
    "another function": ("sin", lambda x: np.cos(x), [0.3, 1.0]),
    "a factor": ("exp", lambda x: np.exp(x) * 1.0005, [0.3]),
    "one part in 10^12": ("exp", lambda x: np.exp(x) * (1 + 1e-12), [0.3]),
    "digits lost near 0": ("log1p", lambda x: np.log(1 + x), [1e-12]),
    "digits lost by expm1": ("expm1", lambda x: np.exp(x) - 1, [1e-9]),
    "overflow": ("hypot", lambda a, b: np.sqrt(a * a + b * b), [1e200]),
    "two faces": ("tanh", lambda x: np.tanh(x) if x.size < 3 else x, [0.5, 1.0, 2.0]),
    "half the precision": ("cos", lambda x: np.cos(x).astype(np.float32).astype(x.dtype), [1.0]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_forward_is_off(name: str) -> None:
    op, forward, x = WRONG[name]
    registry = with_fields(**{op: {"forward": forward}})
    count = len(registry.op(op).inputs)
    with np.errstate(all="ignore"):
        verdict = judge(registry, f"planted.{op}", *(np.array(x) for _ in range(count)))["x0"]
    value = verdict.uses[0].forward
    assert value.word is ValueWord.OFF
    assert value.got != value.expected
    assert verdict.summary is SummaryWord.WRONG
    assert "the node computed" in verdict.reason or numbers(verdict).word is ValueWord.OFF


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_right_forwards_are_enclosed(registry: Registry, dtype: Any) -> None:
    x = np.array([0.25, 1.5, 3.0], dtype)
    for op in ("exp", "tanh", "softplus", "gelu", "log_softmax", "cumsum", "var", "logsumexp"):
        forward = judge(registry, op, x)["x0"].uses[0].forward
        assert forward.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED), (op, forward)


def test_log_softmax_keeps_its_digits_near_certainty(registry: Registry) -> None:
    """The largest of the log probabilities is -log1p(the rest), which is far from 0 in relative terms only."""
    for x in ([40.0, 0.0], [0.0, -50.0, -60.0], [1.0, 1.0]):
        verdict = judge(registry, "log_softmax", np.array(x))["x0"]
        assert verdict.uses[0].forward.word is ValueWord.ENCLOSED, verdict.uses[0].forward


def test_a_forward_that_overflows_where_the_truth_does_is_right(registry: Registry) -> None:
    assert judge(registry, "exp", np.array([1000.0]))["x0"].uses[0].forward.word is ValueWord.OVERFLOWED


def at_kink(op: str, fields: dict[str, Any], *arrays: list[float]) -> Any:
    registry = with_fields(**{op: fields})
    return numbers(judge(registry, f"planted.{op}", *(np.array(a) for a in arrays))["x0"])


def test_within_the_hull_but_not_the_convention_is_off() -> None:
    one_at_zero = {"rule": lambda g, y, x: ops.where(x < 0, 0, g)}
    verdict = at_kink("relu", one_at_zero, [0.0])
    assert verdict.word is ValueWord.OFF
    assert "not the op's convention" in verdict.reason
    greedy = {"rule": lambda g, y, a, b: (ops.where(a >= b, g, 0), ops.where(b > a, g, 0))}
    assert at_kink("maximum", greedy, [1.0], [1.0]).word is ValueWord.OFF


def test_without_a_declared_convention_the_hull_is_enough() -> None:
    any_slope = {"rule": lambda g, y, x: ops.where(x < 0, 0, g), "kink": None}
    verdict = at_kink("relu", any_slope, [0.0])
    assert (verdict.word, "hull" in verdict.reason) == (ValueWord.TIE, True)


@pytest.mark.slow
def test_each_convention_has_its_meaning() -> None:
    for kink, slope in ((Kink.SMALLEST, 0), (Kink.LARGEST, 1), (Kink.MEAN, 0.5)):
        rule = {"rule": lambda g, y, x, s=slope: ops.where(ops.equal(x, 0), g * s, ops.where(x > 0, g, 0)), "kink": kink}
        assert at_kink("relu", rule, [0.0, -1.0]).word is ValueWord.TIE
        for other in Kink:
            if other is not kink:
                assert at_kink("relu", {**rule, "kink": other}, [0.0]).word is ValueWord.OFF


def test_a_kink_that_is_none_has_one_derivative() -> None:
    """As in elu, both sides meet with the same slope, so the derivative is 1, and 0 is wrong though a branch is tied."""
    define = {
        "define": lambda f, x: f.where(f.less(0, x), x, f.exp(x) - 1),
        "forward": lambda x: np.where(x > 0, x, np.expm1(x)),
    }
    right = {**define, "rule": lambda g, y, x: g * ops.where(x > 0, 1, ops.exp(x))}
    wrong = {**define, "rule": lambda g, y, x: g * ops.where(x > 0, 1, ops.where(x < 0, ops.exp(x), 0))}
    assert at_kink("relu", right, [0.0]).word is ValueWord.ENCLOSED
    assert at_kink("relu", wrong, [0.0]).word is ValueWord.OFF


def test_a_kink_of_an_expression_is_left_along_its_variables() -> None:
    """max(1 - x, 0) is tied at x = 1 in an expression."""
    hinge = {
        "define": lambda f, x: f.where(f.less(0, 1 - x), 1 - x, 0 * x),
        "forward": lambda x: np.maximum(1 - x, 0),
        "rule": lambda g, y, x: ops.where(x < 1, -g, 0),
        "kink": Kink.SMALLEST,
    }
    assert at_kink("relu", hinge, [1.0, 0.0]).word is ValueWord.TIE
    assert at_kink("relu", {**hinge, "rule": lambda g, y, x: ops.where(x < 1, -g, g)}, [1.0]).word is ValueWord.OFF


@pytest.mark.parametrize("count", [2, 3, 5])
def test_ties_among_several_are_shared_evenly(registry: Registry, count: int) -> None:
    for op in ("max", "min"):
        assert numbers(judge(registry, op, np.array([3.0] * count))["x0"]).word is ValueWord.TIE


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_sum_in_order_may_be_rounded_at_each_addition(dtype: Any) -> None:
    """Equal numbers are all rounded to one side: half a unit of the sum so far, n times. The truth is n x."""
    n = 4096
    x = np.full(n, 0.1, dtype)
    for verdict in judge(REGISTRY, "cumsum", x, proofs=NoProofs, axis=0).values():
        assert verdict.uses[0].forward.word in (ValueWord.SCREENED, ValueWord.ILL_CONDITIONED)  # the form is not proved
        assert verdict.summary is not SummaryWord.WRONG
    total = Application(REGISTRY.op("cumsum"), {"axis": 0}, [x], [Spec((n,), x.dtype)], [np.cumsum(x)], [], [None])
    late = replace(total, results=[np.where(np.arange(n) == n - 1, total.results[0] * dtype(1.01), total.results[0])])
    assert spot_forward(total, math.inf).word is not ValueWord.OFF
    assert spot_forward(late, math.inf).word is ValueWord.OFF
