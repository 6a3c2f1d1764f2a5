"""The screen: all elements of large nodes, the worst and a sample enclosed; projections for ops that are linear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gradproof.engine.verify.screen import kernel_of, screen
from tests.test_value import judge, numbers, with_rules

from gradproof.engine.extend import Op, hookimpl, ops
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.rules import linear_inputs
from gradproof.engine.spec import spec, spec_of
from gradproof.engine.verify.value import Application
from gradproof.engine.verify.verdict import Rule, Summary, Value
from gradproof.plugins import BUILTIN

MANY = 5000


def applied(registry: Registry, op: str, *arrays: Any, wrong: Callable[[Any], None]) -> Application:
    """``op`` on arrays, with its true contribution for the first, changed by ``wrong``."""
    found = registry.op(op)
    y = found.forward(*arrays)
    kernel = kernel_of(found, {}, [False] * len(arrays))
    assert kernel is not None
    contribution = np.array(np.broadcast_to(kernel(*arrays)[1], arrays[0].shape))
    wrong(contribution)
    rest = [None] * (len(arrays) - 1)
    return Application(found, {}, list(arrays), [spec_of(y)], [y], [np.ones_like(y)], [contribution, *rest])


def test_every_element_is_screened_and_a_sample_enclosed(registry: Registry) -> None:
    verdict = judge(registry, "sin", np.linspace(0, 1, MANY))["x0"]
    found = numbers(verdict)
    assert found.word is Value.SCREENED
    assert 60 < found.checked < found.total == found.screened == MANY
    assert 0 < found.max_ulps < 8
    assert verdict.uses[0].forward.word is Value.SCREENED
    assert verdict.summary is Summary.VERIFIED


@pytest.mark.parametrize("relative", [1e-9, 1e-13])
def test_one_wrong_element_of_many_is_found_wherever_it_is(registry: Registry, relative: float) -> None:
    def wrong(contribution: Any) -> None:
        contribution[3217] *= 1 + relative

    found = screen(applied(registry, "tanh", np.linspace(-3, 3, MANY), wrong=wrong), (False,)).contributions[0]
    assert found is not None
    assert found.word is Value.OFF
    assert found.element == "[3217]"


def test_the_place_is_that_in_the_whole_array() -> None:
    registry = with_rules(sin=lambda g, y, x: g * ops.where(x > 4998, 0, ops.cos(x)))
    verdict = judge(registry, "planted.sin", np.arange(5000.0).reshape(50, 100))["x0"]
    assert numbers(verdict).word is Value.OFF
    assert numbers(verdict).element == "[49, 99]"


def test_what_the_screen_cannot_tell_is_enclosed_or_said(registry: Registry) -> None:
    """At large arguments the floating point derivative of softplus, by its definition, is inf / inf."""
    x = np.linspace(-5, 5, MANY)
    x[::500] = 800.0
    few = numbers(judge(registry, "softplus", x)["x0"])
    assert (few.word, few.screened) == (Value.SCREENED, MANY)
    many = judge(registry, "softplus", np.full(MANY, 800.0) + np.arange(MANY))["x0"]
    assert numbers(many).screened < MANY
    assert "in doubt" in numbers(many).reason
    assert many.summary is Summary.PLAUSIBLE


def test_masks_and_several_inputs(registry: Registry) -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, MANY))
    for verdict in judge(registry, "where", a > b, a, b, seed=b).values():
        assert verdict.summary is Summary.VERIFIED
    for verdict in judge(registry, "atan2", a, b, seed=b).values():
        assert numbers(verdict).word is Value.SCREENED
    for dtype in (np.float16, np.float32):
        assert numbers(judge(registry, "divide", a.astype(dtype), b.astype(dtype))["x0"]).word is Value.SCREENED


BOUNDS = [(-1.0, 1.0), (-np.inf, 0.5), (0.25, np.inf), (-np.inf, np.inf), (-0.0, np.inf), (2.0, -2.0), (np.inf, 1.0)]


@pytest.mark.parametrize(("low", "high"), BOUNDS)
def test_a_bound_that_is_infinite_is_an_absent_bound(registry: Registry, low: float, high: float) -> None:
    x = np.linspace(-3, 3, MANY)
    verdict = judge(registry, "clip", x, np.full(MANY, low), np.full(MANY, high))["x0"]
    assert numbers(verdict).word is Value.SCREENED
    assert verdict.summary is Summary.VERIFIED
    kernel = kernel_of(registry.op("clip"), {}, [False] * 3)
    assert kernel is not None
    assert np.array_equal(kernel(x, np.full(MANY, low), np.full(MANY, high))[0], np.clip(x, low, high))
    for one in judge(registry, "clip", x[::500], np.full(10, low), np.full(10, high)).values():
        assert one.summary is Summary.VERIFIED


def test_an_op_without_a_floating_point_form_is_sampled() -> None:
    class Plugin:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            def define(f: Any, x: Any) -> Any:
                if type(f).__name__ == "Symbolic":
                    raise NotImplementedError("no symbols")
                return x * x

            register(Op("plain.square", np.square, lambda g, y, x: 2 * g * x, define))

    registry = build_registry(BUILTIN, others=[Plugin()])
    verdict = judge(registry, "plain.square", np.linspace(1, 2, MANY))["x0"]
    assert numbers(verdict).word is Value.ENCLOSED
    assert numbers(verdict).screened == 0
    assert numbers(verdict).checked < MANY
    assert "a sample" in numbers(verdict).reason


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "expected"),
    [
        ("matmul", [(2, 3), (3, 2)], {}, (True, True)),
        ("sum", [(2, 3)], {}, (True,)),
        ("take", [(3,), (2,)], {}, (True, False)),
        ("multiply", [(3,), (3,)], {}, (True, True)),
        ("softmax", [(3,)], {}, (False,)),
        ("var", [(3,)], {}, (False,)),
        ("max", [(3,)], {}, (False,)),
    ],
)
def test_what_an_op_is_linear_in_is_read_from_its_rule(
    registry: Registry, op: str, shapes: list[tuple[int, ...]], attributes: dict[str, Any], expected: tuple[bool, ...]
) -> None:
    found = registry.op(op)
    case = next(c for c in found.proof_cases() if len(c.inputs) == len(shapes))
    assert linear_inputs(registry.rule_of(found, case), 1) == expected


def test_contractions_are_screened_by_projections(registry: Registry) -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(size=(60, 80)), random.normal(size=(80, 40))
    for verdict in judge(registry, "matmul", a, b, seed=random.normal(size=(60, 40))).values():
        assert (numbers(verdict).word, numbers(verdict).checked) == (Value.SCREENED, 0)
        assert "projections" in numbers(verdict).reason
        assert verdict.summary is Summary.PLAUSIBLE
    for dtype in (np.float16, np.float32):
        assert numbers(judge(registry, "matmul", a.astype(dtype), b.astype(dtype))["x0"]).word is Value.SCREENED
    assert numbers(judge(registry, "sum", np.ones(4000))["x0"]).word is Value.SCREENED
    assert numbers(judge(registry, "take", random.normal(size=4000), np.arange(3000))["x0"]).word is Value.SCREENED


def test_a_large_op_that_is_not_linear_is_unchecked(registry: Registry) -> None:
    verdict = judge(registry, "softmax", np.ones((50, 60)))["x0"]
    assert numbers(verdict).word is Value.UNCHECKED
    assert "not linear" in verdict.reason
    assert verdict.uses[0].rule.word is Rule.PROVED
    assert verdict.summary is Summary.PLAUSIBLE


def test_one_wrong_element_of_a_contraction_is_hunted_down(registry: Registry) -> None:
    random = np.random.default_rng(2)
    a, b, g = random.normal(size=(60, 80)), random.normal(size=(80, 40)), random.normal(size=(60, 40))
    wrong = g @ b.T
    wrong[17, 33] += 1e-7
    outputs = [spec((60, 40))]
    one = Application(registry.op("matmul"), {}, [a, b], outputs, [a @ b], [g], [wrong, a.T @ g])
    first, second = screen(one, (True, True)).contributions
    assert first is not None
    assert second is not None
    assert (first.word, first.element) == (Value.OFF, "[17, 33]")
    assert float(first.got) == pytest.approx(float(first.expected) + 1e-7)
    assert second.word is Value.SCREENED


def test_too_large_a_node_is_not_screened(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.screen.MAX_SCREENED", 3000)
    found = numbers(judge(registry, "sin", np.ones(MANY))["x0"])
    assert found.word is Value.UNCHECKED
    assert "3000 are screened at most" in found.reason
