"""L2, ties and accumulation: planted faults must be OFF, and no right number may be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from flint import arb
from tests.support.proof_sources import NoProofs, SharedProofs
from tests.support.registries import registry_of, with_rules
from tests.support.verdicts import finish, graph_of, judge, numbers, verdicts_of

from gradproof.engine.engine import Engine
from gradproof.engine.errors import NoRule
from gradproof.engine.extend import NO_GRADIENT, Op, hookimpl, ops
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.hooks import Hook
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.rules import trace_rule
from gradproof.engine.spec import Spec, spec_of
from gradproof.engine.verify.floats.ulps import distance
from gradproof.engine.verify.numbers import Application, check_values
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import key_of
from gradproof.engine.verify.proof_cache.shape_class import shrink
from gradproof.engine.verify.runs import check_sum
from gradproof.engine.verify.verdict import (
    AccumulationWord,
    RuleWord,
    SummaryWord,
    ValueWord,
)
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN


@pytest.mark.slow
def test_a_right_gradient_is_enclosed_within_few_ulps(registry: Registry) -> None:
    for op, x in (("tanh", [0.3, -2.0, 40.0]), ("exp", [1.0, -700.0]), ("log1p", [1e-9, 3.0]), ("erf", [0.1, 5.0])):
        verdict = judge(registry, op, np.array(x))["x0"]
        assert verdict.summary is SummaryWord.VERIFIED, verdict
        assert numbers(verdict).word is ValueWord.ENCLOSED
        assert numbers(verdict).max_ulps < 8
        assert (numbers(verdict).checked, numbers(verdict).total) == (len(x), len(x))


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "rule", "x"),
    [
        ("sin", lambda g, y, x: -g * ops.cos(x), [0.3]),  # sign
        ("sin", lambda g, y, x: g * ops.sin(x), [0.3]),  # the wrong function
        ("tanh", lambda g, y, x: g * (1 - y * y), [40.0]),  # right algebra, no digits left at 40
        ("sigmoid", lambda g, y, x: g * y * (1 - y), [40.0]),
        ("expm1", lambda g, y, x: g * (y + 1), [-40.0]),
        ("log1p", lambda g, y, x: g / x, [2.0]),
        ("square", lambda g, y, x: g * x, [3.0]),  # a factor
        ("square", lambda g, y, x: 2 * g * x * (1 + ops.square(x) * 0 + 0.0005), [3.0]),  # a factor of 1.0005
    ],
)
def test_a_wrong_number_is_off_and_named(op: str, rule: Callable[..., Any], x: list[float]) -> None:
    verdict = judge(with_rules(**{op: rule}), f"planted.{op}", np.array(x))["x0"]
    value = numbers(verdict)
    assert value.word is ValueWord.OFF
    assert verdict.summary is SummaryWord.WRONG
    assert f"planted.{op}" in verdict.reason
    assert "input x, element [0]" in verdict.reason
    assert value.got in verdict.reason
    assert value.expected in verdict.reason


@pytest.mark.slow
def test_a_forgotten_transpose_is_off_even_for_square_matrices() -> None:
    # Shapes give such a rule away unless they are square, so this rule only forgets it there.
    right = build_registry(BUILTIN).op("matmul").rule
    assert right is not None
    registry = with_rules(
        matmul=lambda g, y, a, b: (
            right(g, y, a, b)
            if a.ndim < 2 or b.ndim < 2 or b.shape[-1] != b.shape[-2]
            else (g @ b, ops.matrix_transpose(a) @ g)
        )
    )
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    verdicts = judge(registry, "planted.matmul", a, b)
    assert numbers(verdicts["x0"]).word is ValueWord.OFF
    assert numbers(verdicts["x1"]).word is ValueWord.ENCLOSED


@pytest.mark.slow
def test_one_wrong_element_of_many_is_found_and_located() -> None:
    registry = build_registry(BUILTIN)
    x = np.linspace(-3, 3, 1001)
    right = 1 - np.tanh(x) ** 2
    wrong = right.copy()
    wrong[700] *= 1 + 1e-9
    application = Application(registry.op("tanh"), {}, [x], [spec_of(x)], [np.tanh(x)], [np.ones_like(x)], [wrong])
    verdict = check_values(application).contributions[0]
    assert verdict is not None
    assert verdict.word is ValueWord.OFF
    assert verdict.element == "[700]"


def test_float32_is_judged_in_its_own_ulps(registry: Registry) -> None:
    verdict = judge(registry, "tanh", np.array([0.5, 3.0], np.float32))["x0"]
    assert numbers(verdict).word is ValueWord.ENCLOSED
    assert numbers(verdict).max_ulps < 8


def test_cancellation_that_the_inputs_explain_is_conditioned(registry: Registry) -> None:
    x = np.array([1.0, -1.0, 1e-13])
    verdict = judge(registry, "matmul", np.eye(3), np.ones((3, 1)), seed=x.reshape(3, 1))["x1"]
    assert numbers(verdict).word is ValueWord.ENCLOSED  # an identity loses nothing
    random = np.random.default_rng(5)  # however a dot product is summed, 40 products that cancel leave their rounding
    rows, g = random.uniform(1, 2, (40, 1)), random.uniform(-2, 2, (40, 1))
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(rows[:-1, 0], g[:-1, 0], strict=True))
    g[-1] = -float(exact / Fraction(rows[-1, 0]))
    verdict = judge(registry, "matmul", rows, np.ones((1, 1)), seed=g)["x1"]
    assert numbers(verdict).word is ValueWord.ILL_CONDITIONED
    assert re.search(r"about \d digits? (is|are) right", numbers(verdict).reason)
    assert verdict.summary is SummaryWord.PLAUSIBLE


def hyperbola(x: float) -> Fraction:
    """sqrt(x² + 1) - x, to far more digits than a float has."""
    scale = 10**60
    exact = Fraction(x)
    return Fraction(math.isqrt((exact * exact + 1).numerator * scale**2 // (exact * exact + 1).denominator), scale) - exact


@pytest.mark.slow
@pytest.mark.parametrize("x", [1e5, 1e8])
def test_cancellation_within_the_op_is_not_explained_by_its_inputs(x: float) -> None:
    """The true value moves by as many digits as x does, which balls do not show where x is used twice."""
    small = Op(
        "planted.hyperbola",
        lambda x: np.sqrt(x * x + 1) - x,
        lambda g, y, x: -g * y / ops.sqrt(x * x + 1),
        lambda f, x: f.sqrt(x * x + 1) - x,
    )
    verdict = judge(registry_of(small), small.name, np.array([x]))["x0"]
    forward = verdict.uses[0].forward
    assert forward.word is ValueWord.OFF
    assert forward.got == repr(math.sqrt(x * x + 1) - x)
    assert float(forward.expected) == pytest.approx(float(hyperbola(x)), rel=1e-14)
    assert verdict.summary is SummaryWord.WRONG
    with_digits = replace(small, forward=lambda x: 1 / (np.sqrt(x * x + 1) + x))
    assert judge(registry_of(with_digits), small.name, np.array([x]))["x0"].summary is SummaryWord.VERIFIED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "arrays", "gradient"),
    [
        ("relu", [[0.0]], 0.0),
        ("abs", [[0.0]], 0.0),
        ("maximum", [[1.0], [1.0]], 0.5),
        ("minimum", [[1.0], [1.0]], 0.5),
        ("clip", [[0.0], [0.0], [1.0]], 1.0),
        ("max", [[3.0, 3.0]], 0.5),
    ],
)
def test_ties_follow_the_convention_and_lie_in_the_hull(
    registry: Registry, op: str, arrays: list[list[float]], gradient: float
) -> None:
    verdict = judge(registry, op, *(np.array(a) for a in arrays))["x0"]
    assert numbers(verdict).word is ValueWord.TIE
    assert verdict.summary is SummaryWord.PLAUSIBLE
    graph, values = graph_of(op, *(np.array(a) for a in arrays))
    run = finish(Engine(registry), Job(graph, values, [("y", np.ones(1) if op != "max" else np.array(1.0))]))
    computed = np.asarray(run.values[run.plan.backward.final[run.plan.lowered.values["x0"]]])
    assert computed.flat[0] == gradient


def test_a_value_outside_the_hull_at_a_tie_is_off() -> None:
    registry = with_rules(relu=lambda g, y, x: ops.where(x > 0, g, ops.where(ops.equal(x, 0), 5 * g, 0)))
    verdict = judge(registry, "planted.relu", np.array([0.0]))["x0"]
    assert numbers(verdict).word is ValueWord.OFF
    assert verdict.summary is SummaryWord.WRONG


@pytest.mark.slow
def test_at_a_tie_an_overflow_is_one(registry: Registry) -> None:
    """The quotient is 2**127, or a unit less from the other side; doubled, both overflow float32."""
    at = np.array([4.0], np.float32), np.array([2.0**-125], np.float32)
    assert numbers(judge(registry, "remainder", *at, seed=[2.0])["x1"]).word is ValueWord.OVERFLOWED
    for wrong in (lambda g, y, a, b: (g, g * a / b), lambda g, y, a, b: (g, g / (b - b) * 0)):
        planted = with_rules(remainder=wrong)
        assert numbers(judge(planted, "planted.remainder", *at, seed=[2.0])["x1"]).word is ValueWord.OFF


@pytest.mark.slow
def test_ties_among_several_go_to_each_of_them_in_turn(registry: Registry) -> None:
    """Three equal elements share evenly; a side of the kink gives all to a single element, the middle element too."""
    assert numbers(judge(registry, "max", np.array([3.0, 3.0, 3.0, 1.0]))["x0"]).word is ValueWord.TIE
    assert numbers(judge(registry, "min", np.array([0.0, -0.0, 0.0]))["x0"]).word is ValueWord.TIE
    right = registry.op("max").rule
    assert right is not None
    greedy = with_rules(max=lambda g, y, x, **where: right(4 * g, y, x, **where))
    assert numbers(judge(greedy, "planted.max", np.array([3.0, 3.0, 3.0]))["x0"]).word is ValueWord.OFF
    crowd = numbers(judge(registry, "max", np.zeros(100))["x0"])
    assert (crowd.word, crowd.checked) == (ValueWord.TIE, 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        ("atanh", [[1.0]]),  # a pole
        ("divide", [[5e-324], [1e-8]]),  # a denormal number, of which one unit is the whole
        ("atan2", [[5e-324], [-1e-8]]),
        ("pow", [[5e-324], [1e-300]]),
        ("pow", [[1e300], [-1e-8]]),
        ("pow", [[1e-200], [2.0]]),
        ("pow", [[-2.0], [3.0]]),
        ("exp", [[710.0]]),
        ("gelu", [[-38.0]]),
        ("tanh", [[360.0]]),
        ("erf", [[26.0]]),
        ("logaddexp", [[800.0], [-800.0]]),
    ],
)
def test_extreme_inputs_raise_no_false_alarm(registry: Registry, op: str, arrays: list[list[float]]) -> None:
    for verdict in judge(registry, op, *(np.array(a) for a in arrays)).values():
        assert verdict.summary is not SummaryWord.WRONG, verdict


def test_a_nonfinite_value_is_reported(registry: Registry) -> None:
    assert numbers(judge(registry, "sqrt", np.array([0.0]))["x0"]).word is ValueWord.NONFINITE
    assert numbers(judge(registry, "exp", np.array([np.nan]))["x0"]).word is ValueWord.NONFINITE


def test_an_op_without_definition_has_no_ball_form_and_no_proof() -> None:
    class Plain:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(Op("plain.twice", lambda x: 2 * x, lambda g, y, x: 2 * g))

    registry = build_registry(BUILTIN, others=[Plain()])
    assert not registry.refused
    verdict = judge(registry, "plain.twice", np.array([1.0]))["x0"]
    assert numbers(verdict).word is ValueWord.UNCHECKED
    assert "no ball form" in numbers(verdict).reason
    assert verdict.uses[0].rule.word is RuleWord.NO_SPEC
    assert verdict.summary is SummaryWord.UNCHECKED


def test_a_derivative_that_is_zero_by_cancellation_is_known_to_be_zero(registry: Registry) -> None:
    """The sum of a softmax is 1 whatever its input: the true gradient is 0, the float one is rounding."""
    words = set()
    for seed in range(8):
        verdict = judge(registry, "softmax", np.random.default_rng(seed).normal(size=5), axis=0)["x0"]
        word = numbers(verdict).word
        words.add(word)
        assert verdict.summary is (SummaryWord.VERIFIED if word is ValueWord.ENCLOSED else SummaryWord.PLAUSIBLE), verdict
    assert words == {ValueWord.ENCLOSED, ValueWord.ILL_CONDITIONED}


def test_a_choice_is_proved_for_both_of_its_sides() -> None:
    wrong_where_false = with_rules(
        where=lambda g, y, c, a, b: (NO_GRADIENT, ops.where(c, g, 0), ops.where(c, 0, 2 * g)),
    )
    verdict = judge(wrong_where_false, "planted.where", np.array([True]), np.array([1.0]), np.array([2.0]))["x2"]
    assert verdict.uses[0].rule.word is RuleWord.REFUTED


@pytest.mark.slow
def test_prod_and_cumprod_are_right_at_zeros(registry: Registry) -> None:
    for op, options in (("prod", {}), ("cumprod", {"axis": 0})):
        verdict = judge(registry, op, np.array([2.0, 0.0, 3.0]), **options)["x0"]
        assert verdict.summary is SummaryWord.VERIFIED, verdict


def test_a_use_that_the_rule_denies_is_a_claim_like_any_other() -> None:
    """y = a b + b, where the planted rule says that b gets nothing from the product."""
    registry = with_rules(multiply=lambda g, y, a, b: (g * b, NO_GRADIENT))
    graph = Graph(
        (Leaf("a", Spec((), np.dtype(float))), Leaf("b", Spec((), np.dtype(float)), True)),
        (Node("planted.multiply", ("a", "b"), ("p",)), Node("add", ("p", "b"), ("y",))),
        ("y",),
    )
    verdict = verdicts_of(registry, Job(graph, [("a", np.array(2.0)), ("b", np.array(3.0))]))["b"]
    assert verdict.summary is SummaryWord.WRONG
    assert verdict.accumulation.word is AccumulationWord.EXACT
    assert {use.rule.word for use in verdict.uses} == {RuleWord.PROVED, RuleWord.REFUTED}


@pytest.mark.slow
def test_a_comparison_that_is_always_tied_is_no_thin_set() -> None:
    registry = with_rules(
        square=lambda g, y, x: g * ops.where(ops.equal(ops.square(x + 1), x * x + 2 * x + 1), 7, 2 * x),
        sin=lambda g, y, x: g * ops.where(ops.equal(ops.square(ops.sin(x)) + ops.square(ops.cos(x)), 1), 7, ops.cos(x)),
    )
    for op in ("planted.square", "planted.sin"):
        verdict = judge(registry, op, np.array([0.5]))["x0"]
        assert not verdict.uses[0].rule.proved, verdict
        assert verdict.summary is not SummaryWord.VERIFIED


def test_a_thin_region_is_not_an_empty_one() -> None:
    thin = Op(
        "thin.kink",
        lambda x: +x,
        lambda g, y, x: g,
        lambda f, x: f.where(f.both(f.less(0, x), f.less(x, f.number(1) / 10**10)), 2 * x, x),
    )
    registry = build_registry(BUILTIN)
    registry.ops[thin.name] = thin
    registry.owners[thin.name] = registry.plugin_of("sin")
    for case in thin.proof_cases():
        verdict = prove(registry, thin, case)
        assert (verdict.word, verdict.got != verdict.expected) == (
            RuleWord.REFUTED,
            True,
        )  # no random point is in that region


def test_a_rule_that_truncates_on_its_way_is_refuted() -> None:
    registry = with_rules(
        sin=lambda g, y, x: g * ops.astype(ops.astype(ops.cos(x), dtype="int32"), dtype=x.dtype.name),
    )
    verdict = judge(registry, "planted.sin", np.array([0.5]))["x0"].uses[0].rule
    assert verdict.word is RuleWord.REFUTED
    assert float(verdict.got) == 0 != float(verdict.expected)


def test_bfloat16_is_judged_in_its_own_ulps() -> None:
    x = np.array([0.5, 1.25]).astype(ml_dtypes.bfloat16)
    right = numbers(judge(build_registry(BUILTIN), "sin", x)["x0"])
    assert right.word is ValueWord.ENCLOSED
    assert right.max_ulps < 4
    wrong = with_rules(sin=lambda g, y, x: g * ops.cos(x) * Fraction(6, 5))
    assert numbers(judge(wrong, "planted.sin", x)["x0"]).word is ValueWord.OFF


def test_a_definition_that_raises_costs_no_gradient() -> None:
    def define(f: Any, x: Any) -> Any:
        raise KeyError("lost")

    broken = Op("lost.op", lambda x: +x, lambda g, y, x: g, define)
    registry = build_registry(BUILTIN)
    registry.ops[broken.name] = broken
    registry.owners[broken.name] = registry.plugin_of("sin")
    verdict = verdicts_of(registry, Job(*graph_of("lost.op", np.array(1.0))), NoProofs)["x0"]
    assert numbers(verdict).word is ValueWord.UNCHECKED
    assert "KeyError" in numbers(verdict).reason


def test_a_gradient_through_an_op_without_rule_is_refused() -> None:
    silent = Op("silent.op", np.square, None, lambda f, x: x * x)
    registry = build_registry(BUILTIN)
    registry.ops[silent.name] = silent
    registry.owners[silent.name] = registry.plugin_of("sin")
    graph = Graph(
        (Leaf("b", Spec((), np.dtype(float)), True),),
        (Node("silent.op", ("b",), ("p",)), Node("add", ("p", "b"), ("y",))),
        ("y",),
    )
    with pytest.raises(NoRule, match="has no backward rule") as caught:
        finish(Engine(registry), Job(graph, [("b", np.array(3.0))]))
    assert caught.value.node == 0


def test_sums_that_overflow_or_vanish_are_not_exact() -> None:
    assert check_sum([np.array([1.0]), np.array([2.0])], np.array([np.nan]), 2).word is AccumulationWord.OFF
    half = [np.array([6e4], np.float16)] * 2
    assert check_sum(half, np.array([np.inf], np.float16), 2).word is AccumulationWord.UNCHECKED


def test_means_over_many_halves_do_not_vanish(registry: Registry) -> None:
    graph, values = graph_of("mean", np.ones(70_000, np.float16))
    run = finish(Engine(registry), Job(graph, values))
    gradient = np.asarray(run.values[run.plan.backward.final[run.plan.lowered.values["x0"]]])
    assert float(gradient[0]) == pytest.approx(1 / 70_000, rel=1e-2)


# accumulation and composition


def shared_use() -> Job:
    """b = a + a; c = b * b: values that are used twice."""
    graph = Graph(
        (Leaf("a", Spec((), np.dtype(float)), True),),
        (Node("add", ("a", "a"), ("b",)), Node("multiply", ("b", "b"), ("c",))),
        ("c",),
    )
    return Job(graph, [("a", np.array(3.0))], retain=["b"])


def test_values_used_twice_are_summed(registry: Registry) -> None:
    verdicts = verdicts_of(registry, shared_use())
    assert {name: v.accumulation.uses for name, v in verdicts.items()} == {"a": 2, "b": 2}
    assert all(v.summary is SummaryWord.VERIFIED for v in verdicts.values())


@pytest.mark.slow
def test_a_dropped_second_use_is_caught(registry: Registry) -> None:
    run = finish(Engine(registry), shared_use())
    number = run.plan.lowered.values["b"]
    lost = next(c for c in run.plan.backward.contributions if c.value == number)
    run.plan.backward.contributions.remove(lost)
    verdicts = {v.name: v for v in Verifier(registry, SharedProofs(registry)).check(run)}
    assert verdicts["b"].accumulation.word is AccumulationWord.OFF
    assert verdicts["b"].summary is SummaryWord.WRONG
    assert "2 times" in verdicts["b"].reason


def test_a_gradient_overwritten_instead_of_added_is_caught(registry: Registry) -> None:
    run = finish(Engine(registry), shared_use())
    number = run.plan.lowered.values["b"]
    part = next(c for c in run.plan.backward.contributions if c.value == number)
    run.values[run.plan.backward.raw[number]] = run.values[part.number]
    verdicts = {v.name: v for v in Verifier(registry, SharedProofs(registry)).check(run)}
    assert verdicts["b"].accumulation.word is AccumulationWord.OFF
    assert verdicts["a"].summary is SummaryWord.WRONG  # and so is the gradient that depends on it
    assert "through 'b'" in verdicts["a"].reason


def test_sums_allow_their_own_rounding_and_nothing_more() -> None:
    parts = [np.array([0.1]), np.array([0.2]), np.array([0.3])]
    good = parts[0] + parts[1] + parts[2]
    assert check_sum(parts, good, 3).word is AccumulationWord.EXACT
    assert check_sum(parts, good * (1 + 1e-12), 3).word is AccumulationWord.OFF
    assert check_sum(parts[:1], parts[0], 1).word is AccumulationWord.EXACT
    assert check_sum(parts[:1], np.nextafter(parts[0], 1), 1).word is AccumulationWord.OFF
    assert check_sum([np.array([np.inf]), parts[0]], np.array([np.inf]), 2).word is AccumulationWord.UNCHECKED


def test_upstream_of_a_wrong_rule_everything_is_wrong() -> None:
    registry = with_rules(sin=lambda g, y, x: g * ops.sin(x))
    graph = Graph(
        (Leaf("x", Spec((), np.dtype(float)), True),),
        (Node("exp", ("x",), ("u",)), Node("planted.sin", ("u",), ("v",)), Node("square", ("v",), ("w",))),
        ("w",),
    )
    verdicts = verdicts_of(registry, Job(graph, [("x", np.array(0.3))], retain=["u", "v"]))
    assert {name: str(v.summary) for name, v in verdicts.items()} == {"v": "verified", "u": "wrong", "x": "wrong"}
    assert verdicts["x"].reason.startswith("through 'u': node 1 (planted.sin)")


def test_a_hook_is_a_cut_and_is_named_upstream(registry: Registry) -> None:
    job = shared_use()
    hooked = Job(job.graph, job.values, hooks=[Hook("b", "scale", {"factor": 3.0})], retain=["b"])
    verdicts = verdicts_of(registry, hooked)
    assert verdicts["a"].hooked_by == ("b",)
    assert verdicts["b"].hooked_by == ()
    assert all(v.summary is SummaryWord.VERIFIED for v in verdicts.values())
    unchanged = Job(job.graph, job.values, hooks=[Hook("b", "record", {})], retain=["b"])
    assert verdicts_of(registry, unchanged)["a"].hooked_by == ()


def test_without_a_proof_nothing_is_verified(registry: Registry) -> None:
    verdicts = verdicts_of(registry, shared_use(), NoProofs)
    assert all(v.summary is SummaryWord.PLAUSIBLE for v in verdicts.values())
    assert verdicts["b"].uses[0].rule.word is RuleWord.PENDING
    unseen = verdicts_of(registry, shared_use(), values=False)
    assert all(v.summary is SummaryWord.PLAUSIBLE for v in unseen.values())
    late = verdicts_of(registry, shared_use(), budget=-1.0)
    assert "for checks were over" in late["b"].reason


# classes


def test_elementwise_nodes_of_all_shapes_are_one_class(registry: Registry) -> None:
    op = registry.op("tanh")
    keys = set()
    for shape in ((), (7,), (3, 4, 5)):
        x = Spec(shape, np.dtype(float))
        keys.add(str(key_of(registry, op, [x], _rule(registry, op, [x]), {})))
    assert len(keys) == 1


def _rule(registry: Registry, op: Op, specs: list[Spec]) -> Any:
    inference = op.inference(specs, {})
    return trace_rule(registry.ops, op, inference.inputs or specs, inference.outputs, inference.attributes)


def test_an_elementwise_op_whose_rule_depends_on_the_shape_has_several_classes() -> None:
    registry = with_rules(sin=lambda g, y, x: g * ops.cos(x) if x.ndim < 2 else g * ops.sin(x))
    verdict = judge(registry, "planted.sin", np.array([[0.3, 0.4]]))["x0"]
    assert verdict.uses[0].rule.word is RuleWord.REFUTED


def test_shrinking_keeps_equal_sizes_equal_and_small() -> None:
    specs = [Spec((100, 1, 7), np.dtype(float)), Spec((7, 100, 0), np.dtype(float))]
    case = shrink(specs, {"axis": (0,)})
    first, second = (x if isinstance(x, tuple) else x.shape for x in case.inputs)
    assert max(*first, *second) <= 3
    assert first[1] == 1
    assert second[2] == 0
    assert first[0] == second[1]
    assert first[2] == second[0]


@pytest.mark.parametrize(("got", "truth", "ulps"), [(1.0, 1, 0.0), (np.nextafter(1.0, 2), 1, 1.0), (np.inf, 1, np.inf)])
def test_distance_is_in_units_in_the_last_place(got: float, truth: int, ulps: float) -> None:
    assert distance(got, arb(truth), np.dtype(np.float64)) == ulps


@pytest.mark.parametrize("condition", [False, True])
def test_a_constant_condition_selects_its_branch(condition: bool) -> None:
    """Of ``where(False, a, b)`` the rule and its readings take b."""
    first, second = (1, 2) if condition else (2, 1)
    registry = with_rules(sin=lambda g, y, x: ops.where(condition, first * g * ops.cos(x), second * g * ops.cos(x)))
    assert judge(registry, "planted.sin", np.array([0.5, 1.0]))["x0"].summary is SummaryWord.VERIFIED
