"""Behaviour of an op: faults that refute it although its rule is the derivative of its definition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.registries import registry_of

from gradproof.engine.cases import Case
from gradproof.engine.extend import NO_GRADIENT, Inferred, Kink, Op, Spec, case, hookimpl, ops
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof.float_checks import run_program
from gradproof.engine.verify.proof.second_derivative import second_program
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.summary import refutation
from gradproof.plugins import BUILTIN


def verdict_of(op: Op, at: Case | None = None) -> RuleVerdict:
    return prove(registry_of(op), op, at or op.proof_cases()[-1])


def cube(**fields: Any) -> Op:
    whole: dict[str, Any] = {
        "forward": lambda x: x * x * x,
        "rule": lambda g, y, x: 3 * g * x * x,
        "define": lambda f, x: x * x * x,
        **fields,
    }
    return Op("planted.cube", **whole)


def test_a_sound_op_says_what_was_seen() -> None:
    verdict = verdict_of(cube())
    assert verdict.word is RuleWord.PROVED
    assert verdict.obligations[0].startswith("input x[0, 0]: ")
    seen = " | ".join(verdict.obligations)
    assert "linear in the cotangent, and 0 at 0" in seen
    assert "the forward computes the definition in float64, float32, float16, bfloat16; pure and repeatable" in seen
    assert "the second derivative agrees at an exact point" in seen


def test_a_wrong_forward_refutes_the_op() -> None:
    verdict = verdict_of(cube(forward=lambda x: x * x * x * 1.0005))
    assert verdict.word is RuleWord.REFUTED
    assert "the forward does not compute the definition" in verdict.reason
    assert verdict.got != verdict.expected
    assert verdict.got in refutation(verdict)


def test_a_forward_that_is_wrong_in_one_dtype_only() -> None:
    def forward(x: Any) -> Any:
        return (x * x * x) if x.dtype != np.float32 else (x * x * x) * np.float32(1.001)

    verdict = verdict_of(cube(forward=forward))
    assert (verdict.word, "in float32" in verdict.reason) == (RuleWord.REFUTED, True)


def test_an_into_that_gives_other_bits() -> None:
    verdict = verdict_of(cube(into=lambda out, x: np.multiply(x, np.square(x) * (1 + 1e-15), out)))
    assert verdict.word is RuleWord.REFUTED
    assert "other bits than its `into`" in verdict.reason
    assert verdict_of(cube(into=lambda out, x: np.multiply(x * x, x, out))).word is RuleWord.PROVED


def test_a_place_where_the_result_is_not() -> None:
    def moved(place: int) -> Op:
        return Op(
            "planted.shift",
            lambda x: np.concatenate([np.zeros(1, x.dtype), x]),
            lambda g, y, x: ops.slice(g, start=(1,), stop=(x.size + 1,)),
            lambda f, i, x: x[(i[0] - 1,)] if i[0] else f.number(0),
            lambda x: Inferred((Spec((x.size + 1,), x.dtype),)),
            (case((2,)),),
            place=lambda x: (slice(place, place + x.size),),
        )

    assert verdict_of(moved(1)).word is RuleWord.PROVED
    verdict = verdict_of(moved(0))
    assert verdict.word is RuleWord.REFUTED
    assert "other bits than its `place`" in verdict.reason


def test_a_view_has_one_input() -> None:
    with pytest.raises(ValueError, match="view and place are for ops of a single input, this has 2"):
        Op("planted.pair", np.add, view=True)


def test_a_forward_that_writes_to_its_input() -> None:
    def forward(x: Any) -> Any:
        y = x * x * x
        if x.size:
            x *= 0
        return y

    verdict = verdict_of(cube(forward=forward))
    assert (verdict.word, verdict.reason, verdict.input) == (RuleWord.REFUTED, "the forward writes to its input", "x")


def test_a_forward_that_does_not_repeat_itself() -> None:
    calls: list[int] = []

    def forward(x: Any) -> Any:
        calls.append(1)
        return x * x * x + (1e-3 if len(calls) % 2 else 0) * (x.size > 0)

    verdict = verdict_of(cube(forward=forward))
    assert (verdict.word, "other bits" in verdict.reason) == (RuleWord.REFUTED, True)
    assert verdict.got != verdict.expected


def test_a_rule_that_casts_to_one_dtype() -> None:
    verdict = verdict_of(cube(rule=lambda g, y, x: ops.astype(3 * g * x * x, dtype="float64")))
    assert (verdict.word, "in float32" in verdict.reason) == (RuleWord.REFUTED, True)
    assert "float64" in verdict.reason


@pytest.mark.parametrize(
    "rule",
    [lambda g, y, x: 3 * g * g * x * x, lambda g, y, x: 3 * g * x * x + 1, lambda g, y, x: 3 * ops.abs(g) * x * x],
    ids=["square", "offset", "magnitude"],
)
def test_a_rule_that_is_not_linear_is_refuted(rule: Callable[..., Any]) -> None:
    assert verdict_of(cube(rule=rule)).word is RuleWord.REFUTED


def test_a_rule_that_is_linear_only_where_no_point_was_sampled() -> None:
    """Off by 1 where the cotangent is exactly 0: true almost everywhere, and 0 must still give 0."""
    verdict = verdict_of(cube(rule=lambda g, y, x: 3 * g * x * x + ops.where(ops.equal(g, 0), 1, 0)))
    assert (verdict.word, verdict.reason) == (RuleWord.REFUTED, "the rule is not 0 where the cotangent is 0")
    assert float(verdict.got) == 1.0


RELU: dict[str, Any] = {
    "forward": lambda x: np.maximum(x, 0),
    "define": lambda f, x: f.where(f.less(0, x), x, 0 * x),
    "ties": "0 at 0",
    "kink": Kink.SMALLEST,
}


def test_a_broken_convention_refutes_the_op() -> None:
    right = verdict_of(cube(**RELU, rule=lambda g, y, x: ops.where(x <= 0, 0, g)))
    assert right.word is RuleWord.PROVED_AE
    assert any("the convention holds at" in line for line in right.obligations)
    verdict = verdict_of(cube(**RELU, rule=lambda g, y, x: ops.where(x < 0, 0, g)))
    assert (verdict.word, "not the op's convention" in verdict.reason) == (RuleWord.REFUTED, True)
    assert "x = " in verdict.point
    outside = verdict_of(cube(**RELU, rule=lambda g, y, x: ops.where(x < 0, 0, ops.where(x > 0, g, 7 * g))))
    assert (outside.word, "hull" in outside.reason) == (RuleWord.REFUTED, True)


def test_a_kink_away_from_0_is_found_by_solving_for_it() -> None:
    shifted = {**RELU, "forward": lambda x: np.maximum(2 * x - 3, 0)}
    shifted["define"] = lambda f, x: f.where(f.less(3, 2 * x), 2 * x - 3, 0 * x)
    right = verdict_of(cube(**shifted, rule=lambda g, y, x: ops.where(2 * x <= 3, 0, 2 * g)))
    assert any("the convention holds at" in line for line in right.obligations)
    wrong = verdict_of(cube(**shifted, rule=lambda g, y, x: ops.where(2 * x < 3, 0, 2 * g)))
    assert (wrong.word, "convention" in wrong.reason) == (RuleWord.REFUTED, True)


def test_an_op_in_the_rule_without_a_rule_of_its_own_is_said() -> None:
    twice = Op("planted.twice", lambda x: 2 * x, None, lambda f, x: 2 * x)
    op = cube(rule=lambda g, y, x: (g + ops.planted.twice(g)) * x * x)

    class Planted:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(twice)
            register(op)

    registry = build_registry(BUILTIN, others=[Planted()])
    verdict = prove(registry, op, op.proof_cases()[0])
    assert verdict.word is RuleWord.PROVED
    assert any(line.startswith("no second derivative: op 'planted.twice'") for line in verdict.obligations)


def test_a_second_derivative_that_is_wrong_refutes() -> None:
    """The rule is right; that of an op in it is not, so that differentiating again goes wrong."""
    square = Op("planted.square", np.square, lambda g, y, x: 3 * g * x, lambda f, x: x * x)
    op = cube(rule=lambda g, y, x: 3 * g * ops.planted.square(x))

    class Planted:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(square)
            register(op)

    registry = build_registry(BUILTIN, others=[Planted()])
    verdict = prove(registry, op, op.proof_cases()[0])
    assert (verdict.word, verdict.reason) == (RuleWord.REFUTED, "the second derivative differs at an exact point")
    assert (verdict.input, verdict.got != verdict.expected) == ("x", True)


def test_the_second_program_is_the_second_derivative(registry: Registry) -> None:
    """d/dg and d/dx of h * (g cos x) for sin: h cos x, and -h g sin x."""
    op = registry.op("sin")
    at = case(())
    inference = op.inference(at.specs(), {})
    program, differentiable = second_program(registry, op, inference, at.specs(), registry.rule_of(op, at))
    assert differentiable == [True, True]
    g, x, h = 1.5, 0.7, -2.0
    by_g, by_x = run_program(program, [np.array(g), np.array(x), np.array(h)])
    assert by_g is not None
    assert by_x is not None
    assert float(by_g) == pytest.approx(h * np.cos(x), rel=1e-15)
    assert float(by_x) == pytest.approx(-h * g * np.sin(x), rel=1e-15)


def test_a_denied_gradient_that_matters_is_refuted() -> None:
    assert verdict_of(cube(rule=lambda g, y, x: NO_GRADIENT)).word is RuleWord.REFUTED
