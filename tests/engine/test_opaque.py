"""Opaque ops: a backward in plain NumPy. Never proved; looked at, and each of its numbers enclosed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.support.registries import registry_of
from tests.support.verdicts import judge, numbers

from gradproof.engine.engine import Engine
from gradproof.engine.errors import ForwardFault, NoRule
from gradproof.engine.extend import Inferred, Op, Spec, case
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof.second_derivative import second_program
from gradproof.engine.verify.verdict import RuleWord, SummaryWord, ValueWord


def softsign(**fields: Any) -> Op:
    whole: dict[str, Any] = {
        "forward": lambda x: x / (1 + np.abs(x)),
        "backward": lambda g, y, x: g / (1 + np.abs(x)) ** 2,
        "define": lambda f, x: x / (1 + f.where(f.less(x, 0), -x, x)),
        **fields,
    }
    return Op("opaque.softsign", **whole)


def test_its_numbers_are_enclosed_and_its_rule_is_not_proved() -> None:
    registry = registry_of(softsign())
    assert not registry.refused
    assert "opaque.softsign_vjp" in registry.ops
    verdict = judge(registry, "opaque.softsign", np.array([0.5, -2.0, 3.0]))["x0"]
    assert numbers(verdict).word is ValueWord.ENCLOSED
    assert verdict.uses[0].rule.word is RuleWord.NO_SPEC
    assert "opaque.softsign_vjp" in verdict.uses[0].rule.reason
    assert any("the backward was right at" in obligation for obligation in verdict.uses[0].rule.obligations)
    assert verdict.summary is SummaryWord.PLAUSIBLE


def test_the_gradient_is_that_of_the_backward() -> None:
    bench = Bench(Engine(registry_of(softsign())))
    x = np.array([0.5, -2.0])
    [output] = bench.apply("opaque.softsign", [x])
    assert output.tolist() == (1 / (1 + np.abs(x)) ** 2).tolist()


def test_a_wrong_backward_is_refuted_and_off() -> None:
    op = softsign(backward=lambda g, y, x: g / (1 + np.abs(x)))
    registry = registry_of(op)
    verdict = judge(registry, "opaque.softsign", np.array([2.0]))["x0"]
    assert numbers(verdict).word is ValueWord.OFF
    assert verdict.uses[0].rule.word is RuleWord.REFUTED
    assert verdict.uses[0].rule.got != verdict.uses[0].rule.expected
    assert verdict.summary is SummaryWord.WRONG


def test_a_backward_that_is_right_only_when_it_is_watched() -> None:
    """Right where a checker would call it, on a few elements; wrong on more."""

    def backward(g: Any, y: Any, x: Any) -> Any:
        slope = 1 / (1 + np.abs(x)) ** 2
        return g * (slope if x.size <= 4 else 2 * slope)

    registry = registry_of(softsign(backward=backward))
    op = registry.op("opaque.softsign")
    assert prove(registry, op, op.proof_cases()[0]).word is RuleWord.NO_SPEC
    verdict = judge(registry, "opaque.softsign", np.linspace(-1, 2, 9))["x0"]
    assert numbers(verdict).word is ValueWord.OFF
    assert verdict.summary is SummaryWord.WRONG


def test_indices_and_several_outputs() -> None:
    def infer(x: Spec, k: Spec, *, scale: float = 1.0) -> Inferred:
        return Inferred((x, x), {"scale": scale})

    op = Op(
        "opaque.both",
        lambda x, k, *, scale: (scale * np.roll(x, int(k)), x + 1),
        backward=lambda g, y, x, k, *, scale: (scale * np.roll(g[0], -int(k)) + g[1], None),
        define=(
            lambda f, i, x, k, *, scale: f.number(scale) * x[(i[0] - int(k[()])) % x.shape[0]],
            lambda f, i, x, k, *, scale: x[i] + 1,
        ),
        infer=infer,
        cases=(case((3,), np.array(1), scale=2.0),),
        outputs=2,
    )
    registry = registry_of(op)
    assert not registry.refused, registry.refused
    bench = Bench(Engine(registry))
    g, h = np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.25, 0.125])
    output, nothing = bench.apply("opaque.both", [np.array([1.0, 2.0, 4.0]), np.array(1)], {"scale": 2.0}, [g, h])
    assert output.tolist() == (2 * np.roll(g, -1) + h).tolist()
    assert nothing is None
    whole = registry.op("opaque.both")
    verdict = prove(registry, whole, whole.cases[0])
    assert (verdict.word, any("was right" in obligation for obligation in verdict.obligations)) == (RuleWord.NO_SPEC, True)


def test_there_is_no_second_derivative_and_the_error_says_so() -> None:
    registry = registry_of(softsign())
    op = registry.op("opaque.softsign")
    at = case(())
    with pytest.raises(NoRule, match=r"opaque\.softsign_vjp"):
        second_program(registry, op, op.inference(at.specs(), {}), at.specs(), registry.rule_of(op, at))


@pytest.mark.parametrize(
    ("backward", "text"),
    [
        (lambda g, y, x: (g, g), "2 cotangents for 1 inputs"),
        (lambda g, y, x: np.zeros(7), "was inferred"),
        (lambda g, y, x: g.astype(np.float16), "was inferred"),
        (lambda g, y, x: g.nothing, "AttributeError"),
    ],
)
def test_what_is_no_cotangent_is_a_fault_with_a_name(backward: Callable[..., Any], text: str) -> None:
    bench = Bench(Engine(registry_of(softsign(backward=backward))))
    with pytest.raises(ForwardFault, match=text) as caught:
        bench.apply("opaque.softsign", [np.array([1.0, 2.0])])
    assert (caught.value.node, caught.value.plugin) == (0, "opaque")


def test_an_op_has_a_rule_or_a_backward() -> None:
    registry = registry_of(softsign(rule=lambda g, y, x: g), refused=True)
    assert "has both a rule and a backward" in str(registry.refused[0])


def test_the_name_of_the_companion_must_be_free() -> None:
    registry = registry_of(Op("opaque.softsign_vjp", np.sin), softsign(), refused=True)
    assert "softsign_vjp" in str(registry.refused[0])
