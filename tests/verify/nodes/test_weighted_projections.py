"""Errors that are small beside the whole: a rule that is another where numbers are equal, an opaque backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.fault_injection import BASE
from tests.support.registries import registry_of
from tests.support.verdicts import judge

from gradproof.engine.extend import Op, ops
from gradproof.engine.spec import Array, spec_of
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.nodes.weighted_projections import check_equalities, check_without_rule
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.verdict import GradientVerdict, RuleWord, SummaryWord, ValueWord

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(120, 90))
ERROR = {"float64": 2.0**-30, "float32": 2.0**-10}


def seeded(op: str, x: Array, **attributes: Any) -> Array:
    [out] = BASE.op(op).inference([spec_of(x)], attributes).outputs
    return np.random.default_rng(5).normal(size=out.shape).astype(out.dtype)


def otherwise(base: str, number: float, error: float) -> Op:
    """An op whose rule is wrong where its input is this number, and right almost everywhere."""
    op = BASE.op(base)
    assert op.rule is not None
    right: Callable[..., Any] = op.rule

    def rule(g: Any, y: Any, x: Any, **attributes: Any) -> Any:
        twin = right(g, y, x, **attributes)
        return ops.where(ops.equal(x, number), (1 + error) * twin, twin)

    return replace(op, name="opaque.op", rule=rule)


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("base", "axis"), [("sum", 0), ("mean", 0), ("cumsum", 1)])
def test_a_rule_that_is_another_at_one_number(base: str, axis: int, dtype: str) -> None:
    x = X.astype(dtype)
    planted = otherwise(base, float(x[70, 33]), ERROR[dtype])
    verdict = judge(registry_of(planted), "opaque.op", x, seed=seeded(base, x, axis=axis), axis=axis)["x0"]
    assert verdict.summary is SummaryWord.WRONG, verdict
    assert verdict.uses[0].value.word is ValueWord.OFF
    assert verdict.uses[0].value.element == "[70, 33]"


def test_the_number_is_found_where_the_rule_moves_what_it_chose() -> None:
    """The places where numbers are equal are not those of the contribution here."""
    op = BASE.op("flip")
    number = float(X[70, 33])

    def rule(g: Any, y: Any, x: Any, *, axis: Any) -> Any:
        flipped = ops.flip(x, axis=axis)
        return ops.flip(ops.where(ops.equal(flipped, number), (1 + 2.0**-30) * g, g), axis=axis)

    planted = replace(op, name="opaque.op", rule=rule)
    verdict = judge(registry_of(planted), "opaque.op", X, seed=seeded("flip", X, axis=0), axis=0)["x0"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.uses[0].value.element == "[70, 33]"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize(("op", "axis"), [("max", 0), ("min", 1), ("prod", 0)])
def test_right_rules_that_ask_for_equality_are_right(op: str, axis: int, dtype: str) -> None:
    """Two of prod's factors are 0 in a line, and a single factor in another."""
    x = (1 + X / 8).astype(dtype) if op == "prod" else X.astype(dtype)
    if op == "prod":
        x[3, 5] = x[9, 5] = x[4, 6] = 0
    verdict = judge(REGISTRY, op, x, seed=seeded(op, x, axis=axis), axis=axis)["x0"]
    assert verdict.summary in (SummaryWord.VERIFIED, SummaryWord.PLAUSIBLE), verdict
    assert verdict.uses[0].value.word not in (ValueWord.OFF, ValueWord.UNCHECKED), verdict


def test_a_tie_of_the_op_itself_is_left_to_its_convention() -> None:
    x = X.copy()
    x[3] = x.max(axis=0) + 1
    x[4] = x[3]
    verdict = judge(REGISTRY, "max", x, seed=seeded("max", x, axis=0), axis=0)["x0"]
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert verdict.uses[0].value.word is ValueWord.TIE


# opaque backwards


def opaque(spoil: Callable[[Array], Array], dtype: str = "float64") -> GradientVerdict:
    """The verdict on a softmax with a backward in NumPy, whose results on many elements are spoiled."""

    def backward(g: Any, y: Any, x: Any, *, axis: int) -> Any:
        wide = x.astype(np.longdouble)
        outputs = np.exp(wide - wide.max(axis=axis, keepdims=True))
        outputs /= outputs.sum(axis=axis, keepdims=True)
        gradient = (outputs * (g - (outputs * g).sum(axis=axis, keepdims=True))).astype(x.dtype)
        return spoil(gradient) if x.size > 5000 else gradient

    x = X.astype(dtype)
    registry = registry_of(replace(BASE.op("softmax"), name="opaque.op", rule=None, backward=backward))
    return judge(registry, "opaque.op", x, seed=seeded("softmax", x, axis=1), axis=1)["x0"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_one_is_screened(dtype: str) -> None:
    verdict = opaque(lambda gradient: gradient, dtype)
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert verdict.uses[0].rule.word is RuleWord.NO_SPEC
    assert verdict.uses[0].value.word is ValueWord.SCREENED
    assert verdict.uses[0].value.screened == X.size


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-9), ("float32", 1e-2)])
@pytest.mark.parametrize("where", [(0, 0), (119, 89), (50, 7)])
def test_one_wrong_element_is_found(where: tuple[int, int], dtype: str, error: float) -> None:
    def spoil(gradient: Array) -> Array:
        gradient[where] *= 1 + error
        return gradient

    verdict = opaque(spoil, dtype)
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.uses[0].value.element == str(list(where))


def test_errors_that_cancel_are_found() -> None:
    def spoil(gradient: Array) -> Array:
        some = 1e-6 * gradient[3, 5]
        gradient[3, 5] += some
        gradient[3, 6] -= some
        return gradient

    assert opaque(spoil).uses[0].value.word is ValueWord.OFF


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_rounding_of_a_mean_is_no_alarm(dtype: str) -> None:
    """The form of a variance shifts numbers by an element, and this backward rounds a mean that is far from 0."""

    def backward(g: Any, y: Any, x: Any, *, axis: Any, correction: Any, keepdims: bool) -> Any:
        return np.expand_dims(g, axis) * 2 * (x - x.mean(axis=axis, keepdims=True)) / len(x)

    x = (X + (1e6 if dtype == "float64" else 50)).astype(dtype)
    registry = registry_of(replace(BASE.op("var"), name="opaque.op", rule=None, backward=backward))
    verdict = judge(registry, "opaque.op", x, seed=seeded("var", x, axis=0), axis=0)["x0"]
    assert verdict.uses[0].value.word is ValueWord.SCREENED, verdict


# the checks themselves


def application(x: Array, g: Array, claimed: Array) -> Application:
    """An application of cumsum along the last axis."""
    y = np.cumsum(x, axis=-1)
    return Application(BASE.op("cumsum"), {"axis": 1}, (x,), (spec_of(y),), (y,), (g,), (claimed,))


def pulled(g: Array) -> Array:
    return np.flip(np.cumsum(np.flip(g, 1), axis=1), 1)


def test_what_a_rule_gives_is_compared_and_not_the_floats() -> None:
    """Floats that are far off are another check's; here they hide nothing."""
    g = RANDOM.integers(1, 9, X.shape).astype(float)
    right = pulled(g)
    wrong = right.copy()
    wrong[8, 9] *= 1 + 2.0**-32
    node = application(X, g, wrong)
    equal = np.zeros(X.shape, bool)
    assert check_equalities(node, 0, BallArray(right), [equal]) is None
    verdict = check_equalities(node, 0, BallArray(wrong), [equal])
    assert verdict is not None
    assert (verdict.word, verdict.element) == (ValueWord.OFF, "[8, 9]")


def test_elements_that_are_not_known_hide_nothing() -> None:
    g = RANDOM.integers(1, 9, X.shape).astype(float)
    wrong = pulled(g)
    wrong[8, 9] *= 1 + 2.0**-32
    rad = np.zeros(X.shape)
    rad[1:4] = 1e30
    rad[5] = np.inf
    verdict = check_equalities(application(X, g, wrong), 0, BallArray(wrong, rad), [])
    assert verdict is not None
    assert verdict.element == "[8, 9]"


def test_a_blind_check_has_no_word_for_what_is_not_finite() -> None:
    g = np.ones(X.shape)
    claimed = pulled(g)
    claimed[0, 0] = np.inf
    assert check_without_rule(application(X, g, claimed), 0, 5.0) is None


def test_zeros_are_compared_too() -> None:
    g = np.zeros(X.shape)
    g[:60] = RANDOM.integers(1, 9, (60, 90))
    claimed = pulled(g)
    claimed[80, 80] = 1e-3
    verdict = check_without_rule(application(X, g, claimed), 0, 5.0)
    assert verdict is not None
    assert (verdict.word, verdict.element, verdict.expected) == (ValueWord.OFF, "[80, 80]", "0")
