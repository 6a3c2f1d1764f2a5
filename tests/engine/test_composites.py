"""Composites: traced once, inlined wherever they are used, and called by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.support import composite_plugin

from gradproof.engine import lower
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault, InvalidRequest
from gradproof.engine.extend import Composite, Op, case, ops, registering
from gradproof.engine.inference import InferenceError
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import spec
from gradproof.plugins import BUILTIN

REGISTRY = build_registry(BUILTIN, others=[composite_plugin])
X = np.array([0.5, -1.25, 2.0])


@pytest.fixture(scope="module")
def made() -> Bench:
    return Bench(Engine(REGISTRY))


def composite(name: str) -> Composite:
    op = REGISTRY.op(name)
    assert isinstance(op, Composite)
    return op


def test_a_composite_has_the_gradient_of_its_parts(made: Bench) -> None:
    x, target = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    assert made.values({"x": x, "t": target}, ["y = made.mse(x, t)"], "y")["y"] == np.mean((x - 1) ** 2)
    gradients = made.apply("made.mse", [x, target])
    np.testing.assert_array_equal(gradients[0], (x - 1) / 3)
    np.testing.assert_array_equal(gradients[1], (1 - x) / 3)


def test_it_broadcasts_promotes_and_takes_optional_inputs(made: Bench) -> None:
    x, target, weight = np.array([1, 2, 3], np.float32), np.zeros((2, 3)), np.array([1.0, 0, 2])
    gradients = made.apply("made.mse", [x, target, weight], {"reduction": "none"}, [np.ones((2, 3))])
    assert [g.dtype for g in gradients] == [np.float32, np.float64, np.float64]
    np.testing.assert_array_equal(gradients[0], [4, 0, 24])
    np.testing.assert_array_equal(gradients[2], [2, 8, 18])


def test_a_scalar_of_python_stays_weak(made: Bench) -> None:
    """In a composite of a composite, as in an op."""
    expansion = composite("made.nested").expand([spec((2,), np.float32)], {})
    assert {expansion.specs[number].dtype for part in expansion.instructions for number in part.outputs} == {np.dtype("f4")}


def test_attributes_are_exact_numbers(made: Bench) -> None:
    got = made.apply("made.scaled", [X], {"alpha": 0.1})[0]
    np.testing.assert_allclose(got, 1 / np.cosh(0.1 * X) ** 2, rtol=1e-15)


@pytest.mark.parametrize("name", ["made.same", "made.nested", "made.deaf"])
def test_an_output_may_be_an_input(made: Bench, name: str) -> None:
    values = made.values({"x": X}, [f"y = {name}(x)", f"z = {name}(y)"], "y z")
    assert set(values) == {"y", "z"}
    gradients = made.gradients({"x": X}, ["y = made.same(x)", "z = sum(y)"], "z")
    np.testing.assert_array_equal(gradients["x"], [1, 1, 1])


def test_outputs_that_are_the_same_value_are_values_of_their_own(made: Bench) -> None:
    seeds = [np.full(3, weight) for weight in (1.0, 2.0, 4.0)]
    np.testing.assert_allclose(made.apply("made.pair", [X], seeds=seeds)[0], 5 + 2 * np.exp(X), rtol=1e-15)


def test_any_number_of_inputs(made: Bench) -> None:
    gradients = made.apply("made.stack", [np.ones((1, 2)), np.ones((3, 2))], seeds=[np.arange(8.0).reshape(4, 2)])
    np.testing.assert_array_equal(gradients[0], [[0, 1]])
    np.testing.assert_array_equal(gradients[1], [[2, 3], [4, 5], [6, 7]])


def test_it_knows_what_it_is() -> None:
    facts = {name: (composite(name).elementwise, composite(name).differentiable) for name in REGISTRY.ops if "made" in name
             and REGISTRY.op(name).composite}  # fmt: skip
    assert facts["made.mse"] == (False, True)
    assert facts["made.lerp"] == facts["made.same"] == facts["made.nested"] == (True, True)
    assert facts["made.close"] == (True, False)
    assert composite("made.mse").optional == 1
    assert composite("made.mse").grad_fn == "MseBackward0"


def test_an_expansion_is_traced_once() -> None:
    first = composite("made.lerp").expand([spec((2,))] * 3, {})
    assert composite("made.lerp").expand([spec((2,))] * 3, {}) is first
    assert composite("made.lerp").expand([spec((3,))] * 3, {}) is not first


def test_second_derivatives_follow(made: Bench) -> None:
    graph = made.graph({"x": X}, ["y = made.scaled(x)", "s = sum(y)"], "s")
    derived = derive(graph, REGISTRY, Mode.HVP, ["x"])
    assert not any(REGISTRY.op(node.op).composite for node in derived.graph.nodes[1:])


FAULTS: list[tuple[str, dict[str, Any], str]] = [
    ("y = made.mse(x)", {}, "made.mse takes 2 to 3 inputs (x, target, weight), got 1"),
    ("y = made.mse(x, x)", {"reduction": "all"}, "made.mse(x: float64[3], x: float64[3]): reduction is 'all'"),
    ("y = made.mse(x, z)", {}, "made.mse(x: float64[3], z: float64[2]): shapes (3,) and (2,) do not broadcast"),
    ("y = made.mse(x, x)", {"redaction": "mean"}, "has no attribute 'redaction'; it has reduction"),
]


@pytest.mark.parametrize(("line", "attributes", "text"), FAULTS, ids=[text for *_, text in FAULTS])
def test_faults_name_the_composite(made: Bench, line: str, attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made.values({"x": X, "z": X[:2]}, [(line, attributes)], "y")
    assert text in str(caught.value)


def test_a_fault_of_a_part_names_both(made: Bench) -> None:
    with pytest.raises(DataFault) as caught:
        made.values({"x": -X}, ["y = made.strict_sum(x)"], "y")
    assert "made.strict_sum" in str(caught.value)
    assert "in 'made.strict', a part of it: a number is negative" in str(caught.value)


def loop(x: Any) -> Any:
    return ops.bad.loop(x)


REFUSED: list[tuple[Op, str]] = [
    (Composite("bad.sum", lambda x: ops.sum(x)), "is a composite that is not elementwise, and has no case"),
    (Composite("bad.unknown", lambda x: ops.sine(x)), "there is no op 'sine'"),
    (Composite("bad.number", lambda x: 1.0), "returned float as output 0; expected a traced value"),
    (Composite("bad.branch", lambda x: x if x > 0 else -x), "write a branch on a value as ops.where"),
    (Composite("bad.raises", lambda x: [][0]), "cannot be traced: IndexError"),
    (Composite("bad.loop", loop), "RecursionError"),
    (Composite("bad.case", lambda a, b: a + b, cases=(case((2,), (3,)),)), "do not broadcast"),
]


@pytest.mark.parametrize(("op", "why"), REFUSED, ids=[op.name for op, _ in REFUSED])
def test_a_composite_at_fault_is_refused(op: Op, why: str) -> None:
    registry = build_registry(BUILTIN, others=[plugin(op)])
    assert op.name not in registry.ops
    [refusal] = registry.refused
    assert why in str(refusal)


def plugin(*declared: Op, name: str = "bad") -> Any:
    class Plugin:
        GRADPROOF_API = 1
        GRADPROOF_NAME = name
        register_ops: Callable[..., Any] = staticmethod(registering(*declared))

    return Plugin()


def test_a_composite_goes_with_an_op_that_it_is_made_of() -> None:
    broken = plugin(Op("bad.op", np.sin, lambda g, y, x: 1, lambda f, x: f.sin(x)))
    user = plugin(Composite("user.twice", lambda x: ops.bad.op(ops.bad.op(x))), name="user")
    registry = build_registry(BUILTIN, others=[broken, user])
    assert {refusal.plugin for refusal in registry.refused} == {"bad", "user"}


def test_unbound_it_has_no_ops() -> None:
    with pytest.raises(InferenceError, match="there is no op"):
        Composite("free.sine", lambda x: ops.sin(x)).expand([spec(())], {})


def test_composites_do_not_make_a_graph_too_large(made: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit on nodes is not a limit on what they stand for."""
    monkeypatch.setattr(lower, "MAX_INSTRUCTIONS", 50)
    lines = [f"x{k + 1} = made.scaled(x{k})" for k in range(30)]
    with pytest.raises(InvalidRequest) as caught:
        made.values({"x0": X}, lines, "x30")
    assert [violation.reason for violation in caught.value.faults] == ["GRAPH_LARGE"]
    assert "more than 50 instructions" in str(caught.value)
