"""The engine: what it computes, in which order it tells, and what it refuses, with the words it uses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench, Line

from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine, GradientEvent, ValueEvent
from gradproof.engine.errors import ForwardFault, GradproofError, HookFault, InvalidRequest, RuleFault
from gradproof.engine.extend import NO_GRADIENT, Inferred, Op, Spec, case, hookimpl, ops
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.hooks import Hook
from gradproof.engine.job import Job
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import Array, spec
from gradproof.plugins import BUILTIN

AXB = {"a": np.array(3.0), "x": np.array(4.0), "b": np.array(5.0)}
AXB_LINES = ["y = multiply(a, x)", "z = add(y, b)"]


def planted(*definitions: Op) -> Bench:
    """A bench with a plugin of these ops, called ``planted``."""

    class Planted:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "planted"

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for op in definitions:
                register(op)

    registry = build_registry(BUILTIN, others=[Planted()])
    assert not registry.refused
    return Bench(Engine(registry))


# the tutorial


def test_z_is_a_x_plus_b(bench: Bench) -> None:
    """z = a x + b at 3, 4, 5: dz/da = x, dz/dx = a, dz/db = 1, and of the inner value 1."""
    gradients = bench.gradients(AXB, AXB_LINES, "z", retain=("y",))
    assert gradients == {"a": 4.0, "x": 3.0, "b": 1.0, "y": 1.0}
    assert bench.values(AXB, AXB_LINES, "z")["z"] == 17.0


def test_events_come_in_reverse_order_of_the_nodes_and_values_first(bench: Bench) -> None:
    job = bench.job(AXB, AXB_LINES, "z", retain=("y", "z"), fetch=("z", "a"))
    events, _ = bench.events(job)
    assert [(type(event), event.name) for event in events[:2]] == [(ValueEvent, "z"), (ValueEvent, "a")]
    order = [event.name for event in events[2:]]
    assert order.index("z") < order.index("b") < order.index("a")
    assert order.index("z") < order.index("y") < order.index("x")
    assert sorted(order) == ["a", "b", "x", "y", "z"]


def test_each_gradient_is_told_once(bench: Bench) -> None:
    events, _ = bench.events(bench.job({"x": np.array(2.0)}, ["y = multiply(x, x)", "z = multiply(y, y)"], "z"))
    assert [event.name for event in events] == ["x"]


def test_grad_fn_names_the_node_that_made_the_value(bench: Bench) -> None:
    events, _ = bench.events(bench.job(AXB, AXB_LINES, "z", retain=("y", "z")))
    made = {event.name: event.grad_fn for event in events if isinstance(event, GradientEvent)}
    assert made == {"z": "AddBackward0", "y": "MulBackward0", "a": "", "x": "", "b": ""}


def test_the_order_in_which_nodes_are_sent_does_not_matter(bench: Bench) -> None:
    assert bench.gradients(AXB, AXB_LINES[::-1], "z") == {"a": 4.0, "x": 3.0, "b": 1.0}


def test_what_leaves_a_run_is_read_only_and_owns_its_memory(bench: Bench) -> None:
    x = np.arange(3.0)
    events, _ = bench.events(bench.job({"x": x}, [("y = sum(x)", {})], "y", fetch=("x",)))
    for event in events:
        array = event.value if isinstance(event, ValueEvent) else event.gradient
        assert array is not None
        assert not array.flags.writeable
        assert not np.shares_memory(array, x)
    x[0] = 7.0  # the caller's array is still the caller's
    assert events[0].value[0] == 0.0  # type: ignore[union-attr]


# what flows and what does not


def test_unreachable_is_none_and_a_reached_zero_is_zeros(bench: Bench) -> None:
    x, z, w = np.ones(3), np.ones(3), np.ones(2)
    lines: list[Line] = [("y = sum(m)", {}), "s = sign(x)", "m = multiply(s, z)", "unused = exp(w)"]
    gradients = bench.gradients({"x": x, "z": z, "w": w}, lines, "y")
    np.testing.assert_array_equal(gradients["x"], np.zeros(3))
    np.testing.assert_array_equal(gradients["z"], np.ones(3))
    assert gradients["w"] is None


def test_constants_have_no_gradient_and_stop_it(bench: Bench) -> None:
    gradients = bench.gradients(AXB, AXB_LINES, "z", constants="x b")
    assert gradients == {"a": 4.0}


def test_only_what_is_asked_for(bench: Bench) -> None:
    assert bench.gradients(AXB, AXB_LINES, "z", gradients=("x",)) == {"x": 3.0}


def test_a_comparison_cuts_the_flow(bench: Bench) -> None:
    lines: list[Line] = ["c = less(x, t)", "y = where(c, x, t)"]
    gradients = bench.gradients({"x": np.array(1.0), "t": np.array(2.0)}, lines, "y")
    assert gradients == {"x": 1.0, "t": 0.0}


def test_a_leaf_that_is_an_output_gets_its_seed(bench: Bench) -> None:
    assert bench.gradients({"x": np.array(2.0)}, [], "x", seeds={"x": np.array(3.0)}) == {"x": 3.0}
    assert bench.gradients({"x": np.array(2.0)}, ["y = square(x)"], "x y") == {"x": 5.0}


def test_seeds_of_several_outputs_add_up(bench: Bench) -> None:
    seeds = {"y": np.array([1.0, 2.0]), "z": np.array([10.0, 20.0])}
    gradients = bench.gradients({"x": np.array([3.0, 4.0])}, ["y = negative(x)", "z = square(x)"], "y z", seeds=seeds)
    np.testing.assert_array_equal(gradients["x"], [59.0, 158.0])


def test_an_inner_output_adds_its_seed_to_what_flows(bench: Bench) -> None:
    lines: list[Line] = ["y = square(x)", "z = square(y)"]
    gradients = bench.gradients({"x": np.array(2.0)}, lines, "y z", retain=("y",))
    assert gradients == {"y": 9.0, "x": 36.0}


def test_a_seed_is_cast_to_the_dtype_of_the_output(bench: Bench) -> None:
    x = np.array([1.0, 2.0], np.float32)
    gradients = bench.gradients({"x": x}, ["y = square(x)"], "y", seeds={"y": np.array([1.0, 0.5])})
    assert gradients["x"].dtype == np.float32
    np.testing.assert_array_equal(gradients["x"], [2.0, 2.0])


def test_a_scalar_of_shape_1_needs_no_seed(bench: Bench) -> None:
    np.testing.assert_array_equal(bench.gradients({"x": np.array([[3.0]])}, ["y = square(x)"], "y")["x"], [[6.0]])


# several outputs


def sincos(wrong: bool = False) -> Op:
    return Op(
        "test.sincos",
        lambda x: (np.sin(x), np.cos(x)),
        lambda g, y, x: g[0] * y[1] - g[1] * y[0],
        (lambda f, x: f.sin(x), lambda f, x: f.cos(x)),
    )


def test_an_op_with_two_outputs() -> None:
    bench = planted(sincos())
    x = np.array([0.3, 2.0])
    lines: list[Line] = ["s, c = test.sincos(x)", "m = multiply(s, c)", ("y = sum(m)", {})]
    gradients = bench.gradients({"x": x}, lines, "y", retain=("s",))
    np.testing.assert_allclose(gradients["x"], np.cos(2 * x), rtol=1e-14)
    np.testing.assert_allclose(gradients["s"], np.cos(x), rtol=1e-14)


def test_an_output_that_nothing_uses_has_a_cotangent_of_zeros() -> None:
    bench = planted(sincos())
    gradients = bench.gradients({"x": np.array(0.3)}, ["s, c = test.sincos(x)"], "s", retain=("c",))
    np.testing.assert_allclose(gradients["x"], np.cos(0.3))
    assert gradients["c"] is None


def test_split(bench: Bench) -> None:
    x = np.arange(5.0)
    lines: list[Line] = [("p, q = split(x)", {"sections": (2, 3)}), "q2 = square(q)"]
    seeds = {"p": np.array([10.0, 20.0]), "q2": np.ones(3)}
    gradients = bench.gradients({"x": x}, lines, "p q2", seeds=seeds)
    np.testing.assert_array_equal(gradients["x"], [10.0, 20.0, 4.0, 6.0, 8.0])


def test_split_into_one_section_and_into_too_many(bench: Bench) -> None:
    gradients = bench.gradients({"x": np.ones(3)}, [("p = split(x)", {"sections": 1})], "p", seeds={"p": np.arange(3.0)})
    np.testing.assert_array_equal(gradients["x"], [0.0, 1.0, 2.0])
    outputs = [f"p{k}" for k in range(100)]
    seeds = {name: np.array([float(k)]) for k, name in enumerate(outputs)}
    line = (f"{', '.join(outputs)} = split(x)", {"sections": 100})
    gradients = bench.gradients({"x": np.ones(100)}, [line], " ".join(outputs), seeds=seeds)
    np.testing.assert_array_equal(gradients["x"], np.arange(100.0))
    for sections in (2**40, 10_001):
        graph = bench.graph({"x": np.ones(17)}, [("p = split(x)", {"sections": sections})], "p")
        assert "at most 10000 parts" in bench.engine.infer(graph).faults[0].message


def test_no_gradient_is_not_zeros() -> None:
    op = Op(
        "test.detach_first",
        lambda a, b: a + b,
        lambda g, y, a, b: (NO_GRADIENT, g),
        lambda f, a, b: a + b,
    )
    gradients = planted(op).gradients({"a": np.array(1.0), "b": np.array(2.0)}, ["y = test.detach_first(a, b)"], "y")
    assert gradients == {"a": None, "b": 1.0}


# hooks


def on(value: str, function: Callable[[Array], Any], name: str = "mine") -> Hook:
    return Hook(value, name, {}, function)


TRIPLE = {"x": np.array([1.0, 2.0, 3.0])}


def test_a_hook_that_doubles(bench: Bench) -> None:
    """Raw [1, 2, 3] becomes [2, 4, 6]; both are told, and everything upstream sees the final one."""
    job = bench.job(
        {"x": np.zeros(3)},
        ["h = negative(x)", "y = add(h, h)"],
        "y",
        seeds={"y": np.array([0.5, 1.0, 1.5])},
        hooks=(Hook("h", "scale", {"factor": 2}),),
        retain=("h",),
    )
    events, run = bench.events(job)
    by_name = {event.name: event for event in events if isinstance(event, GradientEvent)}
    np.testing.assert_array_equal(by_name["h"].raw, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(by_name["h"].gradient, [2.0, 4.0, 6.0])
    np.testing.assert_array_equal(by_name["x"].gradient, [-2.0, -4.0, -6.0])
    assert by_name["h"].hooked
    assert not by_name["x"].hooked
    assert run.hooked == {"h"}
    assert [(trace.name, trace.changed) for trace in by_name["h"].traces] == [("scale", True)]


def test_a_hook_sees_the_whole_sum_once(bench: Bench) -> None:
    seen: list[Any] = []

    def record(gradient: Array) -> None:
        seen.append(gradient.copy())

    gradients = bench.gradients({"x": np.array(2.0)}, ["y = multiply(x, x)"], "y", hooks=(on("x", record),))
    assert seen == [4.0]
    assert gradients == {"x": 4.0}


def test_hooks_of_one_value_run_in_order(bench: Bench) -> None:
    hooks = (on("x", lambda g: g + 1, "plus one"), on("x", lambda g: g * 10, "times ten"), on("x", lambda g: None))
    events, _ = bench.events(bench.job({"x": np.array(3.0)}, ["y = negative(x)"], "y", hooks=hooks))
    event = events[0]
    assert isinstance(event, GradientEvent)
    assert event.gradient == 0.0
    assert [trace.result.item() for trace in event.traces] == [0.0, 0.0, 0.0]
    assert [trace.changed for trace in event.traces] == [True, False, False]
    reverse = bench.gradients({"x": np.array(3.0)}, ["y = negative(x)"], "y", hooks=hooks[1::-1])
    assert reverse == {"x": -9.0}


def test_a_hook_that_returns_none_or_the_same_bits_has_changed_nothing(bench: Bench) -> None:
    hooks = (on("x", lambda g: None), on("x", lambda g: g.copy()))
    events, run = bench.events(bench.job({"x": np.array(3.0)}, ["y = square(x)"], "y", hooks=hooks))
    assert isinstance(events[0], GradientEvent)
    assert not events[0].hooked
    assert run.hooked == frozenset()


def test_a_hook_is_not_called_where_no_gradient_flows(bench: Bench) -> None:
    def fail(gradient: Array) -> Array:
        raise AssertionError

    leaves = {"x": np.array(1.0), "w": np.array(2.0)}
    gradients = bench.gradients(leaves, ["y = exp(x)", "u = exp(w)"], "y", hooks=(on("w", fail), on("u", fail)))
    assert gradients["w"] is None


def test_a_hook_on_a_value_that_is_not_asked_for_acts_and_is_not_told(bench: Bench) -> None:
    gradients = bench.gradients(AXB, AXB_LINES, "z", hooks=(on("y", lambda g: g * 0),))
    assert gradients == {"a": 0.0, "x": 0.0, "b": 1.0}


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda g: g[:2], r"hook 'mine' has changed the size of value 'x' \(was \(3,\) got \(2,\)\)"),
        (lambda g: g[None], r"hook 'mine' has changed the size of value 'x'"),
        (lambda g: g.astype(np.float32), r"hook 'mine' has changed the type of value 'x' \(was float64 got float32\)"),
        (lambda g: 1.0, r"expected an array, but hook 'mine' on 'x' returned 'float'"),
        (lambda g: [1.0], r"expected an array, but hook 'mine' on 'x' returned 'list'"),
        (lambda g: 1 / 0, r"hook 'mine' on 'x' raised ZeroDivisionError"),
        (lambda g: g.__iadd__(1), r"hook 'mine' on 'x' raised ValueError: .*read-only"),
    ],
)
def test_what_a_hook_may_not_do(bench: Bench, function: Callable[[Array], Any], text: str) -> None:
    with pytest.raises(HookFault, match=text):
        bench.gradients(TRIPLE, ["y = square(x)"], "y", seeds={"y": np.ones(3)}, hooks=(on("x", function),))


@pytest.mark.parametrize(
    ("name", "attributes", "seed_values", "result"),
    [
        ("scale", {"factor": 0.5}, [2.0, 4.0], [1.0, 2.0]),
        ("clip", {"max_norm": 1.0}, [3.0, 4.0], [0.6, 0.8]),
        ("clip", {"max_norm": 9.0}, [3.0, 4.0], [3.0, 4.0]),
        ("clip", {"min_value": -1.0, "max_value": 1.0}, [-3.0, 0.5], [-1.0, 0.5]),
        ("clip", {"max_value": 1.0}, [-3.0, 2.0], [-3.0, 1.0]),
        ("zero", {}, [3.0, 4.0], [0.0, 0.0]),
        ("round", {"decimals": 1}, [0.123, 4.56], [0.1, 4.6]),
        ("record", {}, [3.0, 4.0], [3.0, 4.0]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_named_hooks(bench: Bench, name: str, attributes: Any, seed_values: Any, result: Any, dtype: str) -> None:
    x = np.zeros(2, dtype)
    seed = np.array(seed_values, dtype)
    hooks = (Hook("x", name, attributes),)
    gradients = bench.gradients({"x": x}, [("y = reshape(x)", {"shape": (2,)})], "y", seeds={"y": seed}, hooks=hooks)
    assert gradients["x"].dtype == dtype
    np.testing.assert_allclose(gradients["x"], np.array(result, dtype), rtol=1e-6)


# faults of a request: all at once, each with path and reason


def faults(bench: Bench, job: Job) -> dict[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        next(bench.engine.differentiate(job))
    return {fault.path: fault.reason for fault in caught.value.faults}


def job_of(leaves: list[Leaf], nodes: list[Node], outputs: tuple[str, ...], **rest: Any) -> Job:
    values = tuple((leaf.name, np.ones(leaf.spec.shape, leaf.spec.dtype)) for leaf in leaves if 0 <= leaf.spec.size < 100)
    return Job(Graph(tuple(leaves), tuple(nodes), outputs), rest.pop("values", values), **rest)


X, Y = Leaf("x", spec(()), True), Leaf("v", spec((3,)), True)
Faulty = tuple[str, Job, str, str]
FAULTS: list[Faulty] = [
    ("unknown op", job_of([X], [Node("sine", ("x",), ("y",))], ("y",)), "graph.nodes[0].op", "OP_UNKNOWN"),
    (
        "cycle",
        job_of([X], [Node("add", ("x", "b"), ("a",)), Node("exp", ("a",), ("b",))], ("b",)),
        "graph.nodes[0].inputs",
        "CYCLE",
    ),
    ("self cycle", job_of([X], [Node("add", ("x", "a"), ("a",))], ("a",)), "graph.nodes[0].inputs", "CYCLE"),
    ("dangling", job_of([X], [Node("exp", ("u",), ("y",))], ("y",)), "graph.nodes[0].inputs[0]", "VALUE_UNKNOWN"),
    ("dangling output", job_of([X], [Node("exp", ("x",), ("y",))], ("q",)), "graph.outputs[0]", "VALUE_UNKNOWN"),
    ("no output", job_of([X], [], ()), "graph.outputs", "OUTPUT_MISSING"),
    ("same output twice", job_of([X], [], ("x", "x")), "graph.outputs[1]", "NAME_DUPLICATE"),
    ("same leaf twice", job_of([X, X], [], ("x",)), "graph.leaves[1].name", "NAME_DUPLICATE"),
    (
        "a node like a leaf",
        job_of([X], [Node("exp", ("x",), ("x",))], ("x",)),
        "graph.nodes[0].outputs[0]",
        "NAME_DUPLICATE",
    ),
    ("no name", job_of([X], [Node("exp", ("x",), ("",))], ("x",)), "graph.nodes[0].outputs[0]", "NAME_EMPTY"),
    ("arity", job_of([X], [Node("add", ("x",), ("y",))], ("y",)), "graph.nodes[0].inputs", "ARITY"),
    ("outputs", job_of([X], [Node("exp", ("x",), ("y", "z"))], ("y",)), "graph.nodes[0].outputs", "ARITY"),
    (
        "shapes",
        job_of([Y, Leaf("w", spec((2,)))], [Node("add", ("v", "w"), ("y",))], ("y",)),
        "graph.nodes[0]",
        "INFERENCE",
    ),
    ("attribute", job_of([Y], [Node("sum", ("v",), ("y",), {"axes": 0})], ("y",)), "graph.nodes[0]", "INFERENCE"),
    ("axis", job_of([Y], [Node("sum", ("v",), ("y",), {"axis": 1})], ("y",)), "graph.nodes[0]", "INFERENCE"),
    ("missing attribute", job_of([Y], [Node("reshape", ("v",), ("y",))], ("y",)), "graph.nodes[0]", "INFERENCE"),
    (
        "integer leaf",
        job_of([Leaf("k", spec((), np.int64), True)], [], ("k",)),
        "graph.leaves[0].requires_grad",
        "REQUIRES_GRAD_DTYPE",
    ),
    (
        "no seed for a complex number",
        job_of([Leaf("k", spec((), complex), True)], [], ("k",)),
        "graph.outputs[0]",
        "SEED_MISSING",
    ),
    ("no seed", job_of([Y], [], ("v",)), "graph.outputs[0]", "SEED_MISSING"),
    ("seed shape", job_of([Y], [], ("v",), seeds=[("v", np.ones(2))]), "seeds[0].cotangent", "SEED_SHAPE"),
    ("seed dtype", job_of([X], [], ("x",), seeds=[("x", np.array(1j))]), "seeds[0].cotangent", "SEED_DTYPE"),
    ("seed of no output", job_of([X], [], ("x",), seeds=[("y", np.array(1.0))]), "seeds[0].output", "VALUE_UNKNOWN"),
    ("two seeds", job_of([X], [], ("x",), seeds=[("x", np.array(1.0))] * 2), "seeds[1].output", "NAME_DUPLICATE"),
    (
        "too large",
        job_of([Leaf("x", spec((2**31, 2**33)), True)], [], ("x",)),
        "graph.leaves[0].spec.shape",
        "SHAPE_INVALID",
    ),
    ("rank", job_of([Leaf("x", spec((1,) * 17), True)], [], ("x",)), "graph.leaves[0].spec.shape", "SHAPE_INVALID"),
    (
        "negative",
        job_of([Leaf("x", spec((-1,)), True)], [], ("x",), values=()),
        "graph.leaves[0].spec.shape",
        "SHAPE_INVALID",
    ),
    (
        "grows too large",
        job_of([X], [Node("broadcast_to", ("x",), ("y",), {"shape": (2**40, 2**40)})], ("y",)),
        "graph.nodes[0]",
        "SHAPE_INVALID",
    ),
    ("no value", job_of([X], [], ("x",), values=()), "graph.leaves[0].value", "VALUE_MISSING"),
    ("value dtype", job_of([X], [], ("x",), values=[("x", np.array(1, np.float32))]), "values[0].value", "VALUE_SPEC"),
    ("value shape", job_of([X], [], ("x",), values=[("x", np.ones(1))]), "values[0].value", "VALUE_SPEC"),
    (
        "value of nothing",
        job_of([X], [], ("x",), values=[("x", np.array(1.0)), ("w", np.array(1.0))]),
        "values[1].name",
        "VALUE_UNKNOWN",
    ),
    ("value twice", job_of([X], [], ("x",), values=[("x", np.array(1.0))] * 2), "values[1].name", "NAME_DUPLICATE"),
    ("gradient of nothing", job_of([X], [], ("x",), gradients=("w",)), "gradients[0]", "VALUE_UNKNOWN"),
    ("retain nothing", job_of([X], [], ("x",), retain=("w",)), "retain[0]", "VALUE_UNKNOWN"),
    ("fetch nothing", job_of([X], [], ("x",), fetch=("w",)), "fetch[0]", "VALUE_UNKNOWN"),
    (
        "gradient of an integer",
        job_of([X, Leaf("k", spec((), np.int64))], [], ("x",), gradients=("k",)),
        "gradients[0]",
        "REQUIRES_GRAD_DTYPE",
    ),
    ("unknown hook", job_of([X], [], ("x",), hooks=(Hook("x", "scales", {}),)), "hooks[0].named.name", "HOOK_UNKNOWN"),
    ("hook on nothing", job_of([X], [], ("x",), hooks=(Hook("w", "zero", {}),)), "hooks[0].value", "VALUE_UNKNOWN"),
    (
        "hook attribute",
        job_of([X], [], ("x",), hooks=(Hook("x", "scale", {"by": 2}),)),
        "hooks[0].named.attributes",
        "HOOK_ATTRIBUTE",
    ),
    (
        "hook needs",
        job_of([X], [], ("x",), hooks=(Hook("x", "scale", {}),)),
        "hooks[0].named.attributes",
        "HOOK_ATTRIBUTE",
    ),
    ("nothing to do", job_of([Leaf("x", spec(()))], [], ("x",)), "graph.leaves", "NOTHING_TO_DIFFERENTIATE"),
]


@pytest.mark.parametrize(("job", "path", "reason"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_told_with_path_and_reason(bench: Bench, job: Job, path: str, reason: str) -> None:
    reasons = faults(bench, job)
    assert reasons.get(path) == reason, reasons


def test_all_faults_are_told_together(bench: Bench) -> None:
    leaves = [X, Leaf("k", spec((), np.int64), True), Leaf("big", spec((2**40, 2)))]
    nodes = [
        Node("sine", ("x",), ("p",)),
        Node("add", ("x",), ("q",)),
        Node("exp", ("nowhere",), ("r",)),
        Node("exp", ("x",), ("x",)),
    ]
    job = job_of(leaves, nodes, ("q", "absent"), hooks=(Hook("x", "nope", {}),), seeds=[("z", np.array(1.0))])
    assert faults(bench, job) == {
        "graph.leaves[1].requires_grad": "REQUIRES_GRAD_DTYPE",
        "graph.leaves[2].spec.shape": "SHAPE_INVALID",
        "graph.leaves[2].value": "VALUE_MISSING",
        "graph.nodes[0].op": "OP_UNKNOWN",
        "graph.nodes[1].inputs": "ARITY",
        "graph.nodes[2].inputs[0]": "VALUE_UNKNOWN",
        "graph.nodes[3].outputs[0]": "NAME_DUPLICATE",
        "graph.outputs[1]": "VALUE_UNKNOWN",
        "hooks[0].named.name": "HOOK_UNKNOWN",
        "seeds[0].output": "VALUE_UNKNOWN",
    }


def test_messages_name_the_culprit_and_the_fix(bench: Bench) -> None:
    job = job_of([Y, Leaf("w", spec((2,)))], [Node("add", ("v", "w"), ("y",)), Node("logg", ("v",), ("l",))], ("y",))
    with pytest.raises(InvalidRequest) as caught:
        next(bench.engine.differentiate(job))
    text = str(caught.value)
    assert "the request has 2 faults" in text
    assert "add(v: float64[3], w: float64[2]): shapes (3,) and (2,) do not broadcast" in text
    assert "there is no op 'logg'; did you mean 'log'?" in text


def test_the_message_for_a_missing_seed_is_the_one_people_know(bench: Bench) -> None:
    with pytest.raises(InvalidRequest, match="grad can be implicitly created only for scalar outputs"):
        next(bench.engine.differentiate(job_of([Y], [], ("v",))))


def test_inference_alone_raises_nothing(bench: Bench) -> None:
    lowered = bench.engine.infer(job_of([X], [Node("sine", ("x",), ("y",)), Node("exp", ("x",), ("z",))], ("y",)).graph)
    assert [fault.reason for fault in lowered.faults] == ["OP_UNKNOWN"]
    assert lowered.specs()["z"] == spec(())


# faults of plugins while running


def explode(x: Array) -> Array:
    if x.size:
        raise RuntimeError("out of magic")
    return x


def test_a_forward_that_raises_is_named() -> None:
    op = Op("test.explode", explode, lambda g, y, x: g, lambda f, x: x)
    with pytest.raises(ForwardFault) as caught:
        planted(op).gradients({"x": np.array(1.0)}, ["a = exp(x)", "y = test.explode(a)"], "y")
    fault = caught.value
    assert (fault.node, fault.op, fault.plugin) == (1, "test.explode", "planted")
    assert str(fault) == "graph.nodes[1] (test.explode, plugin planted): forward raised RuntimeError: out of magic"


def lying(result: Callable[[Array], Any]) -> Op:
    return Op("test.lying", result, lambda g, y, x: g, lambda f, i, x: x[i], lambda x: Inferred((x,)), (case((2,)),))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("result", "text"),
    [
        (lambda x: x[:1], r"forward returned float64\[1\]; float64\[2\] was inferred"),
        (lambda x: x.astype(np.float32), r"forward returned float32\[2\]; float64\[2\] was inferred"),
        (lambda x: x.tolist(), r"forward raised AttributeError"),
    ],
)
def test_a_forward_that_returns_what_was_not_inferred(result: Callable[[Array], Any], text: str) -> None:
    with pytest.raises(ForwardFault, match=text) as caught:
        planted(lying(result)).gradients({"x": np.ones(2)}, ["y = test.lying(x)"], "y", seeds={"y": np.ones(2)})
    assert (caught.value.node, caught.value.plugin) == (0, "planted")


def test_a_fault_in_the_backward_names_the_node_it_belongs_to() -> None:
    bad = Op("test.bad", explode, None, lambda f, x: x)
    op = Op("test.outer", np.exp, lambda g, y, x: g * ops.test.bad(y), lambda f, x: f.exp(x))
    with pytest.raises(ForwardFault) as caught:
        planted(bad, op).gradients({"x": np.array(1.0)}, ["a = negative(x)", "y = test.outer(a)"], "y")
    assert caught.value.node == 1
    assert "in the backward of this node, op 'test.bad'" in str(caught.value)


def test_a_rule_that_misbehaves_only_for_a_live_shape_is_named() -> None:
    op = Op(
        "test.sly",
        lambda x: x + 0,
        lambda g, y, x: g if x.shape[0] < 3 else ops.sum(g),
        lambda f, i, x: x[i],
        lambda x: Inferred((Spec(x.shape, x.dtype),)),
        (case((2,)),),
    )
    bench = planted(op)
    assert bench.gradients({"x": np.ones(2)}, ["y = test.sly(x)"], "y", seeds={"y": np.ones(2)})["x"].shape == (2,)
    with pytest.raises(RuleFault, match=r"cotangent of shape \(\) for input 0 \(x\); expected \(3,\)") as caught:
        bench.gradients({"x": np.ones(3)}, ["a = exp(x)", "y = test.sly(a)"], "y", seeds={"y": np.ones(3)})
    assert (caught.value.node, caught.value.op, caught.value.plugin) == (1, "test.sly", "planted")


def test_the_engine_works_after_a_fault() -> None:
    bench = planted(Op("test.explode", explode, lambda g, y, x: g, lambda f, x: x))
    with pytest.raises(GradproofError):
        bench.gradients({"x": np.array(1.0)}, ["y = test.explode(x)"], "y")
    assert bench.gradients(AXB, AXB_LINES, "z")["a"] == 4.0


# plans


def test_a_plan_is_compiled_once_and_gives_the_same_bits_again(engine: Engine) -> None:
    bench = Bench(engine)
    random = np.random.default_rng(0)
    leaves = {"x": random.normal(size=(4, 5)), "w": random.normal(size=(5, 3))}
    lines: list[Line] = ["m = matmul(x, w)", "t = tanh(m)", ("y = sum(t)", {})]
    events, run = bench.events(bench.job(leaves, lines, "y"))
    again, second = bench.events(bench.job(leaves, lines, "y"))
    assert second.plan is run.plan
    for event, repeated in zip(events, again, strict=True):
        assert event.gradient.tobytes() == repeated.gradient.tobytes()  # type: ignore[union-attr]


def test_plans_differ_by_shape_dtype_and_what_is_wanted(engine: Engine) -> None:
    bench = Bench(engine)

    def plan(x: Array, **rest: Any) -> Any:
        return bench.events(bench.job({"x": x}, [("y = sum(x)", {})], "y", **rest))[1].plan

    first = plan(np.ones(2))
    assert plan(np.zeros(2)) is first
    assert plan(np.ones(3)) is not first
    assert plan(np.ones(2, np.float32)) is not first
    assert plan(np.ones(2), retain=("y",)) is not first


def test_plans_least_recently_used_go_first() -> None:
    bench = Bench(Engine(REGISTRY, max_plans=2))

    def plan(n: int) -> Any:
        return bench.events(bench.job({"x": np.ones(n)}, [("y = sum(x)", {})], "y"))[1].plan

    first, second = plan(1), plan(2)
    assert plan(1) is first
    plan(3)
    assert plan(1) is first
    assert plan(2) is not second


def test_plans_are_bounded_in_size() -> None:
    """A few large graphs would else take all memory: an instruction of a plan takes about a KB."""
    bench = Bench(Engine(REGISTRY, max_instructions=30))

    def plan(name: str, length: int) -> Any:
        steps = [f"{name}{k + 1} = sin({name}{k})" for k in range(length)]
        return bench.events(bench.job({f"{name}0": np.array(0.5)}, steps, f"{name}{length}"))[1].plan

    small = [plan(name, 2) for name in "ab"]
    assert [plan(name, 2) for name in "ab"] == small
    large = plan("c", 20)
    assert len(large.program.instructions) > 30
    assert plan("c", 20) is large  # alone it may be as large as it is
    assert bench.engine.plans_cached == 1
    assert plan("a", 2) is not small[0]
    assert bench.engine.plans_cached == 1


def test_two_interleaved_runs_of_one_plan_do_not_meet(engine: Engine) -> None:
    bench = Bench(engine)

    def job(x: float) -> Job:
        return bench.job({"x": np.array(x)}, ["a = square(x)", "y = exp(a)"], "y", retain=("a",))

    first_run, second_run = engine.differentiate(job(1.0)), engine.differentiate(job(2.0))
    pairs = list(zip(first_run, second_run, strict=True))
    for first, second in pairs:
        assert isinstance(first, GradientEvent)
        assert isinstance(second, GradientEvent)
        scale = {"a": 1.0, "x": 2.0}[first.name]
        assert first.gradient == pytest.approx(scale * np.exp(1.0), rel=1e-15)
        assert second.gradient == pytest.approx(scale * (2.0 if first.name == "x" else 1.0) * np.exp(4.0), rel=1e-15)


@pytest.mark.stress
@pytest.mark.slow
def test_a_chain_of_100_000_nodes(engine: Engine) -> None:
    count = 100_000
    nodes = tuple(Node("negative", (f"v{k}",), (f"v{k + 1}",)) for k in range(count))
    graph = Graph((Leaf("v0", spec(()), True),), nodes, (f"v{count}",))
    [event] = engine.differentiate(Job(graph, (("v0", np.array(2.0)),)))
    assert isinstance(event, GradientEvent)
    assert event.gradient == 1.0


def test_dtypes_that_do_not_promote_are_a_fault_of_the_node(bench: Bench) -> None:
    leaves = {"a": np.ones(2, np.float16), "b": np.ones(2, ml_dtypes.bfloat16)}
    with pytest.raises(InvalidRequest, match="float16 and bfloat16 have no dtype in common"):
        bench.gradients(leaves, ["s = add(a, b)"], "s")


def test_a_job_with_seeds_is_evaluated_by_a_compiled_plan() -> None:
    """A forward plan has no seeds."""
    bench = Bench(Engine(REGISTRY, compilations=Compilations(Plans.ALWAYS)))
    job = bench.job({"x": np.array([0.0, 1.0])}, ["y = exp(x)"], "y", seeds={"y": np.array([1.0, 2.0])})
    (event,) = bench.engine.evaluate(job)
    assert event.value.tolist() == [1.0, math.e]
