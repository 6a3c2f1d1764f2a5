"""What is vouched for, element by element: digits, overflow, infinities, ties, denied uses, values that nobody checked.

Each family has planted faults, which may not be trusted, and right controls, which raise no alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import mpmath
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench, Line
from tests.support.fault_injection import registry_with
from tests.support.proof_sources import SharedProofs
from tests.support.registries import with_rules
from tests.support.verdicts import finish, judge, numbers

from gradproof.engine.engine import Engine
from gradproof.engine.extend import NO_GRADIENT, Inferred, Op, Spec, case, ops
from gradproof.engine.registry import Registry
from gradproof.engine.verify.verdict import AccumulationWord, GradientVerdict, SummaryWord, ValueWord
from gradproof.engine.verify.verifier import Verifier

TRUSTED = (SummaryWord.VERIFIED, SummaryWord.PLAUSIBLE)
INF = float("inf")


def verdicts_by_name(
    leaves: dict[str, Any], lines: Sequence[Line], *, constants: str = "", registry: Registry = REGISTRY, out: str = "s"
) -> dict[str, GradientVerdict]:
    """Verdicts on a graph, by name."""
    engine = Engine(registry)
    run = finish(engine, Bench(engine).job(leaves, lines, out, constants=constants))
    return {verdict.name: verdict for verdict in Verifier(registry, SharedProofs(registry)).check(run, budget=60.0)}


def planted(**fields: Any) -> Registry:
    op = Op(**{"name": "planted.op", **fields})
    registry = registry_with(op)
    assert not registry.refused
    return registry


def scalar(x: Any) -> Inferred:
    return Inferred((Spec((), x.dtype),))


def same(x: Any) -> Inferred:
    return Inferred((x,))


# digits: a cotangent is widened by its own unit in the last place


def running(wrong: bool) -> Registry:
    """Reversed running sums, by the sum of all less the sum before where ``wrong``."""

    def rule(g: Any, y: Any, x: Any) -> Any:
        if wrong:
            return ops.broadcast_to(ops.sum(g), shape=x.shape) - ops.cumsum(g, axis=0) + g
        return ops.flip(ops.cumsum(ops.flip(g, axis=0), axis=0), axis=0)

    def define(f: Any, i: Any, x: Any) -> Any:
        return f.total(x[k] for k in range(i[0] + 1))

    return planted(
        forward=lambda x: np.cumsum(x).astype(x.dtype), rule=rule, define=define, infer=same, cases=(case((3,)), case((2,)))
    )


@pytest.mark.slow
@pytest.mark.parametrize("large", [1e17, 3e22, -1e30])
def test_a_small_sum_beside_a_large_cotangent(large: float) -> None:
    x, g = np.arange(4.0), np.array([large, 1.0, 2.0, 3.0])
    wrong = judge(running(True), "planted.op", x, seed=g)["x0"]
    assert wrong.summary is SummaryWord.WRONG, wrong
    right = judge(running(False), "planted.op", x, seed=g)["x0"]
    assert right.summary is SummaryWord.VERIFIED, right.reason


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("op", ["sin", "tanh", "exp"])
def test_an_elementwise_cotangent_allows_nothing_to_its_neighbours(op: str, dtype: Any) -> None:
    shipped: Any = REGISTRY.op(op).rule

    def rule(g: Any, y: Any, x: Any) -> Any:
        return shipped(ops.where(ops.abs(g) < 1, 3 * g, g), y, x)

    x, g = np.array([0.25, 0.5, -0.5], dtype), np.array([30000, 0.001, 0.002], dtype)
    assert numbers(judge(with_rules(**{op: rule}), f"planted.{op}", x, seed=g)["x0"]).word is ValueWord.OFF
    assert judge(REGISTRY, op, x, seed=g)["x0"].summary is SummaryWord.VERIFIED


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize(("away", "power"), [(2e-11, 2), (3e-9, 2), (1e-12, 2)])
@pytest.mark.parametrize("op", ["asin", "acos", "atanh"])
def test_a_formula_that_loses_digits_is_not_verified(op: str, away: float, power: int) -> None:
    naive = {
        "asin": lambda g, y, x: g / ops.sqrt(1 - x * x),
        "acos": lambda g, y, x: -g / ops.sqrt(1 - x * x),
        "atanh": lambda g, y, x: g / (1 - x * x),
    }[op]
    x = np.array([1 - away])
    verdict = judge(with_rules(**{op: naive}), f"planted.{op}", x)["x0"]
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert "another formula would keep the digits" in verdict.reason
    assert judge(REGISTRY, op, x)["x0"].summary is SummaryWord.VERIFIED


@pytest.mark.parametrize(("a", "b"), [(3e16, 2.0), (1e20, 7.0), (1e300, 1.0)])
def test_contributions_that_cancel(a: float, b: float) -> None:
    leaves = {"x": np.array([1.5]), "a": np.array([a]), "b": np.array([b])}
    lines = [
        "p = multiply(x, a)",
        "q = multiply(x, b)",
        "m = multiply(x, a)",
        "r = add(p, q)",
        "d = subtract(r, m)",
        "s = sum(d)",
    ]
    verdict = verdicts_by_name(leaves, lines, constants="ab")["x"]
    assert verdict.accumulation.word is AccumulationWord.ILL_CONDITIONED
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert "digit" in verdict.reason


# overflow is a word of its own, and off wins over all


@pytest.mark.parametrize(("op", "x"), [("reciprocal", 5e-31), ("rsqrt", 1e-30), ("log", 1e-39)])
def test_an_overflow_is_reported(op: str, x: float) -> None:
    verdict = judge(REGISTRY, op, np.array([x, 2.0], np.float32), seed=[3.0, 1.0])["x0"]
    assert numbers(verdict).word is ValueWord.OVERFLOWED
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert numbers(verdict).element == "[0]"


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("beside", [np.nan, INF, -INF])
@pytest.mark.parametrize("op", ["sin", "exp", "atan"])
def test_an_off_element_is_reported_beside_a_nonfinite_element(op: str, beside: float) -> None:
    shipped: Any = REGISTRY.op(op).rule
    wrong = with_rules(**{op: lambda g, y, x: 2 * shipped(g, y, x)})
    x = np.array([0.5, beside])
    value = numbers(judge(wrong, f"planted.{op}", x)["x0"])
    assert (value.word, value.element) == (ValueWord.OFF, "[0]")
    assert judge(REGISTRY, op, x)["x0"].summary is not SummaryWord.WRONG


def test_a_number_where_the_truth_is_0_is_not_nan() -> None:
    lines = ["e = exp(x)", "c = clip(e, k, m)", "s = sum(c)"]
    leaves = {"x": np.array([0.1, 900.0]), "k": np.array(0.5), "m": np.array(2.0)}
    verdict = verdicts_by_name(leaves, lines, constants="km")["x"]
    assert verdict.summary not in TRUSTED
    assert "nan was first made by node 0 (exp), backward, element [1]" in verdict.reason or "[1]" in verdict.reason
    assert verdict.nonfinite is not None


def root_rule(g: Any, y: Any, x: Any) -> Any:
    return g / (3 * ops.square(y))


def cube_root(f: Any, x: Any) -> Any:
    return f.sign(x) * f.power(f.modulus(x), f.number(1) / 3)


def test_no_derivative_is_stated_where_an_op_has_none() -> None:
    """The sign of the definition jumps at 0, where the branch that is read is constant."""
    registry = planted(forward=np.cbrt, rule=root_rule, define=cube_root)
    for x in (np.array(0.0), np.array([8.0, 0.0])):
        verdict = verdicts_by_name({"x": x}, ["y = planted.op(x)", "s = sum(y)"], registry=registry)["x"]
        assert "inf was first made by node 0 (planted.op), backward" in verdict.reason
        assert "the derivative is" not in verdict.reason


def test_a_finite_derivative_is_stated_beside_a_branch_that_is_decided() -> None:
    """The derivative by the element that was clipped is 0, though another element is at the kink of abs."""
    lines = ["a = abs(x)", "e = exp(a)", "c = clip(e, k, m)", "s = sum(c)"]
    leaves = {"x": np.array([0.0, 900.0]), "k": np.array(0.5), "m": np.array(2.0)}
    verdict = verdicts_by_name(leaves, lines, constants="km")["x"]
    assert "nan" in verdict.reason
    assert "the derivative is 0" in verdict.reason


# infinities are limits


MASK = np.triu(np.full((4, 4), -INF), 1)


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "least"),
    [("softmax", -INF), ("softmax", -1.7976931348623157e308), ("softmax", -1e300), ("log_softmax", -INF)],
)
def test_masks(op: str, least: float) -> None:
    x = np.random.default_rng(1).normal(size=(4, 4))
    mask = np.where(np.isinf(MASK), least, 0.0)
    weights = np.where(np.isinf(MASK), 0.0, np.arange(16.0).reshape(4, 4) + 1)
    for line in ("m = add(x, k)", "m = where(c, x, k)"):
        leaves = {"x": x, "k": mask, "c": mask == 0, "w": weights}
        lines = [line, f"y = {op}(m)", "z = where(c, y, w)", "p = multiply(z, w)", "s = sum(p)"]
        verdict = verdicts_by_name(leaves, lines, constants="kcw")["x"]
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


@pytest.mark.parametrize("factor", [2, Fraction(1001, 1000)])
def test_a_wrong_rule_beside_a_mask(factor: Any) -> None:
    def rule(g: Any, y: Any, x: Any, *, axis: int) -> Any:
        return y * (g - factor * ops.sum(g * y, axis=axis, keepdims=True))

    registry = registry_with(replace(REGISTRY.op("softmax"), name="planted.op", rule=rule))
    x = np.array([[1.0, 2.0, 0.5, -INF], [0.3, -INF, 1.0, 2.0]])
    verdict = judge(registry, "planted.op", x, seed=[[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])["x0"]
    assert numbers(verdict).word is ValueWord.OFF


@pytest.mark.parametrize("taken", ["multiply(x, x)", "sin(x)"])
@pytest.mark.parametrize("other", ["log(x)", "sqrt(n)", "asin(b)"])
def test_a_branch_that_was_not_taken(taken: str, other: str) -> None:
    """Its numbers may be nan; the gradient of the branch that was taken has its own word."""
    x = np.array([-1.5, 2.0])
    leaves = {"x": x, "n": np.array([-4.0, 4.0]), "b": np.array([1.0, 0.5]), "c": np.array([False, True])}
    verdicts = verdicts_by_name(leaves, [f"t = {taken}", f"o = {other}", "y = where(c, o, t)", "s = sum(y)"], constants="c")
    assert verdicts["x"].summary is SummaryWord.VERIFIED, verdicts["x"].reason


def test_a_nan_of_a_branch_that_was_not_taken_is_explained() -> None:
    leaves = {"x": np.array([3.0, 0.5]), "c": np.array([False, True])}
    verdict = verdicts_by_name(leaves, ["a = asin(x)", "y = where(c, a, x)", "s = sum(y)"], constants="c")["x"]
    if verdict.nonfinite is not None:
        assert (verdict.nonfinite.node, verdict.nonfinite.op) == (0, "asin")
        assert "the derivative by element [0] is 1.0" in verdict.reason
        assert verdict.summary is SummaryWord.WRONG


# ties of the whole graph


@pytest.mark.parametrize(
    "condition",
    ["equal(x, k)", "less(x, k)", "less_equal(x, k)", "greater(x, k)", "greater_equal(k, x)", "not_equal(x, k)"],
)
def test_a_condition_with_equal_sides_is_a_tie(condition: str) -> None:
    lines = [f"c = {condition}", "q = multiply(x, x)", "y = where(c, k, q)", "s = sum(y)"]
    tied = verdicts_by_name({"x": np.array([2.0, 1.0]), "k": np.array(2.0)}, lines, constants="k")["x"]
    assert tied.summary is SummaryWord.PLAUSIBLE
    assert "both sides of the comparison are equal" in tied.reason
    apart = verdicts_by_name({"x": np.array([2.5, 1.0]), "k": np.array(2.0)}, lines, constants="k")["x"]
    assert apart.summary is SummaryWord.VERIFIED, apart.reason


def test_a_tie_of_constants_is_none_of_the_gradient() -> None:
    lines = ["c = equal(k, m)", "y = where(c, x, k)", "s = sum(y)"]
    leaves = {"x": np.array([2.0]), "k": np.array([1.0]), "m": np.array([1.0])}
    assert verdicts_by_name(leaves, lines, constants="km")["x"].summary is SummaryWord.VERIFIED


def test_a_tie_through_masks_of_masks() -> None:
    lines = ["e = exp(x)", "a = less(e, k)", "n = logical_not(a)", "f = where(n, k, x)", "y = multiply(x, f)", "s = sum(y)"]
    tied = verdicts_by_name({"x": np.array([0.0]), "k": np.array(1.0)}, lines, constants="k")["x"]
    assert tied.summary is SummaryWord.PLAUSIBLE


@pytest.mark.parametrize("op", ["floor", "ceil", "trunc", "sign"])
def test_a_jump_is_a_tie_though_both_sides_are_flat(op: str) -> None:
    at = 0.0 if op == "sign" else 2.0
    lines = [f"c = {op}(x)", "y = multiply(c, x)", "s = sum(y)"]
    assert verdicts_by_name({"x": np.array([at, 1.5])}, lines)["x"].summary is SummaryWord.PLAUSIBLE
    assert verdicts_by_name({"x": np.array([at + 0.25, 1.5])}, lines)["x"].summary is SummaryWord.VERIFIED


# denied uses, and None


def hypot(denied: bool) -> Registry:
    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        return g * a / y, NO_GRADIENT if denied and a.size > 2 else g * b / y

    return registry_with(replace(REGISTRY.op("hypot"), name="planted.op", rule=rule))


@pytest.mark.slow
def test_a_use_that_a_rule_denies_is_checked_to_be_0() -> None:
    a, b = np.arange(1.0, 5.0), np.arange(2.0, 6.0)
    lines = ["h = planted.op(a, b)", "n = sin(b)", "y = add(h, n)", "s = sum(y)"]
    assert verdicts_by_name({"a": a, "b": b}, lines, registry=hypot(True))["b"].summary is SummaryWord.WRONG
    assert verdicts_by_name({"a": a, "b": b}, lines, registry=hypot(False))["b"].summary is SummaryWord.VERIFIED


def test_none_has_a_verdict() -> None:
    a, b = np.arange(1.0, 5.0), np.arange(2.0, 6.0)
    lines = ["h = planted.op(a, b)", "s = sum(h)"]
    verdict = verdicts_by_name({"a": a, "b": b}, lines, registry=hypot(True))["b"]
    assert verdict.summary is SummaryWord.WRONG
    unused = verdicts_by_name({"a": a, "b": b}, ["h = sin(a)", "s = sum(h)"])["b"]
    assert (unused.summary, unused.reason) == (SummaryWord.VERIFIED, "no output depends on it")


def test_a_denial_lowers_the_gradients_before_it() -> None:
    a, b = np.arange(1.0, 5.0), np.arange(2.0, 6.0)
    lines = ["d = sin(b)", "h = planted.op(a, d)", "y = add(h, b)", "s = sum(y)"]
    assert verdicts_by_name({"a": a, "b": b}, lines, registry=hypot(True))["b"].summary is SummaryWord.WRONG
    assert verdicts_by_name({"a": a, "b": b}, lines, registry=hypot(False))["b"].summary is SummaryWord.VERIFIED


# unchecked values


@pytest.mark.slow
@pytest.mark.parametrize("size", [3000, 20_000])
def test_a_wrong_constant_that_is_too_large_is_found_by_a_spot(size: int) -> None:
    shipped = REGISTRY.op("logsumexp")

    def forward(x: Any, **attributes: Any) -> Any:
        return shipped.forward(x, **attributes) + (1 if x.size > 2048 else 0)

    registry = registry_with(replace(shipped, name="planted.op", forward=forward, into=None))
    leaves = {"x": np.array([1.0, 2.0]), "c": np.linspace(0, 1, size)}
    for op, summary in (("planted.op", SummaryWord.WRONG), ("logsumexp", SummaryWord.VERIFIED)):
        verdict = verdicts_by_name(
            leaves, [f"k = {op}(c)", "y = multiply(x, k)", "s = sum(y)"], constants="c", registry=registry
        )["x"]
        assert verdict.summary is summary, verdict.reason


def test_a_large_reduction_is_checked_in_spots() -> None:
    def energy(factor: Any) -> Registry:
        return planted(
            forward=lambda x: np.asarray(np.sum(x * x), x.dtype),
            rule=lambda g, y, x: 2 * g * x * (factor if x.size > 1000 else 1),
            define=lambda f, i, x: f.total(t * t for t in x.flat),
            infer=scalar,
            cases=(case((3,)), case((2,))),
        )

    x = np.linspace(0.5, 2.0, 5000)
    assert judge(energy(Fraction(3, 2)), "planted.op", x)["x0"].summary is SummaryWord.WRONG
    assert judge(energy(1), "planted.op", x)["x0"].summary in TRUSTED


@pytest.mark.slow
def test_a_screen_that_cancels_as_the_rule_does_asks_for_balls() -> None:
    """(√x - 1) / (x - 1) = 1 / (√x + 1), written so that both terms of the derivative are large near 1."""

    def rule(right: bool, g: Any, y: Any, x: Any) -> Any:
        d, root = x - 1, ops.sqrt(x)
        if right:
            return -g / (2 * root * ops.square(root + 1))
        return g * (Fraction(1, 2) * (1 / d) / root - (root - 1) / ops.square(d))

    def forward(x: Any) -> Any:
        return 1 / (np.sqrt(x) + 1)

    def slope(right: bool) -> Registry:
        define, domains = lambda f, x: (f.sqrt(x) - 1) / (x - 1), REGISTRY.op("sqrt").domains
        return planted(forward=forward, rule=partial(rule, right), define=define, domains=domains)

    x = np.concatenate([np.linspace(0.5, 0.8, 4000), np.linspace(1.3, 2.0, 4000)])
    assert judge(slope(True), "planted.op", x)["x0"].summary in TRUSTED
    x[np.arange(40) * 7 + 1234] = 1 + 1e-7 * (1 + np.arange(40) / 40)
    assert judge(slope(True), "planted.op", x)["x0"].summary in TRUSTED
    assert judge(slope(False), "planted.op", x)["x0"].summary not in TRUSTED


# decompositions are accurate for their largest element


@pytest.mark.parametrize("sizes", [(1e-150, 1e-160, 1e280), (1e100, 1e-100, 1.0), (3.0, 0.0, 5.0)])
def test_a_determinant_of_numbers_far_apart_is_no_alarm(sizes: tuple[float, ...]) -> None:
    a = np.diag(sizes)
    verdict = verdicts_by_name({"a": a}, ["s = det(a)"])["a"]
    assert verdict.summary is not SummaryWord.WRONG, verdict.reason


def test_the_oracle_of_the_limits() -> None:
    """The gradient beside a mask, by mpmath: of (1, 2, -inf) the shares of 1 and 2."""
    share = float(1 / (1 + mpmath.e))
    x = np.array([1.0, 2.0, -INF])
    verdict = judge(REGISTRY, "log_softmax", x, seed=[0.0, 1.0, 0.0])["x0"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
    engine = Engine(REGISTRY)
    run = finish(engine, Bench(engine).job({"x": x}, ["y = log_softmax(x)"], "y", seeds={"y": np.array([0.0, 1.0, 0.0])}))
    gradient = np.asarray(run.values[run.plan.backward.raw[run.plan.lowered.values["x"]]])
    assert gradient == pytest.approx([-share, share, 0.0], rel=1e-12)


# casts of integers, which have no gradient


@pytest.mark.parametrize("size", [5, 3000])
@pytest.mark.parametrize(("source", "target"), [("bool", "float64"), ("int64", "float32"), ("uint8", "int64")])
def test_what_a_rule_reads_may_be_an_integer_that_was_cast(source: str, target: str, size: int) -> None:
    """A factor made of a mask, and places made of small integers, are vouched for at every size."""
    leaves = {"x": np.random.default_rng(7).normal(size=size), "m": (np.arange(size) % 3).astype(source)}
    use = "take(x, c)" if target == "int64" else "multiply(x, c)"
    verdict = verdicts_by_name(leaves, [("c = astype(m)", {"dtype": target}), f"y = {use}", "s = sum(y)"])["x"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
