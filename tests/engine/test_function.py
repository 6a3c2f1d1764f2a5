"""`Engine.function`: a graph as a Python function, compiled and interpreted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.fault_injection import registry_with

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine
from gradproof.engine.errors import Cancelled, DataFault, InvalidRequest
from gradproof.engine.extend import Op, ops
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.registry import Registry
from gradproof.engine.spec import spec


def test_values_and_gradients_by_order() -> None:
    graph = Graph(
        (Leaf("x", spec(()), True), Leaf("w", spec((3,)), True), Leaf("c", spec((3,)))),
        (Node("multiply", ("x", "w"), ("a",)), Node("multiply", ("a", "c"), ("b",)), Node("sum", ("b",), ("s",))),
        ("s",),
    )
    f = Engine(REGISTRY).function(graph)
    w, c = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, -1.0])
    for _ in range(2):
        (value,), (dx, dw) = f(2.0, w, c)
        assert value == -4.0
        assert dx == -2.0
        np.testing.assert_array_equal(dw, [2.0, 0.0, -2.0])


def test_numbers_that_python_has_not() -> None:
    graph = Graph((Leaf("x", spec(()), True),), (Node("log", ("x",), ("y",)),), ("y",))
    f = Engine(REGISTRY).function(graph)
    assert [f(0.0) for _ in range(4)] == [((-np.inf,), (np.inf,))] * 4
    compiled = f.compiled()
    assert compiled is None or (compiled.careful and compiled.failures == 0)


def test_a_leaf_that_does_not_matter_has_none() -> None:
    graph = Graph((Leaf("x", spec(()), True), Leaf("y", spec(()), True)), (Node("sin", ("x",), ("s",)),), ("s",))
    assert Engine(REGISTRY).function(graph)(0.0, 1.0) == ((0.0,), (1.0, None))


def test_what_does_not_fit_is_named() -> None:
    graph = Graph((Leaf("x", spec((2,)), True),), (Node("sum", ("x",), ("s",)),), ("s",))
    f = Engine(REGISTRY).function(graph)
    with pytest.raises(InvalidRequest, match=r"leaf 'x' is float64\[2\], its value is float64\[3\]"):
        f(np.ones(3))
    with pytest.raises(TypeError, match="takes 1 values"):
        f(np.ones(2), np.ones(2))
    with pytest.raises(InvalidRequest):
        Engine(REGISTRY).function(Graph((), (), ("s",)))


def test_seeds_are_arguments_behind_the_leaves() -> None:
    """Values and gradients of y = W x and s = sum(y^2), by hand."""
    graph = Graph(
        (Leaf("w", spec((2, 3)), True), Leaf("x", spec((3,)), True)),
        (Node("matmul", ("w", "x"), ("y",)), Node("square", ("y",), ("q",)), Node("sum", ("q",), ("s",))),
        ("y", "s"),
    )
    w, x = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    u, c = np.array([3.0, -2.0]), 0.5
    y = w @ x
    for at_once in (True, False):
        f = Engine(REGISTRY).function(graph, seeds=("s", "y"), fetch=("s",), gradients=("x", "y"), at_once=at_once)
        assert (f.leaves, f.seeds, f.fetch, f.gradients) == (("w", "x"), ("s", "y"), ("s",), ("x", "y"))
        for _ in range(3):  # interpreted, then compiled
            (s,), (dx, dy) = f(w, x, c, u)
            assert s == float(y @ y)
            np.testing.assert_array_equal(dy, u + 2 * c * y)
            np.testing.assert_array_equal(dx, w.T @ (u + 2 * c * y))


def test_results_come_in_the_order_in_which_they_are_computed() -> None:
    graph = Graph(
        (Leaf("x", spec(()), True), Leaf("idle", spec(()), True)),
        (Node("sin", ("x",), ("y",)), Node("exp", ("y",), ("z",))),
        ("z",),
    )
    f = Engine(REGISTRY).function(graph, fetch=("y", "z"), gradients=("idle", "x", "y"))
    assert f.leaving == ("y", "z", "y", "x", "idle")
    y, z, dy, dx, idle = f.results([0.3, 1.0])
    assert (y, z, idle) == (math.sin(0.3), math.exp(math.sin(0.3)), None)
    assert (dy, dx) == (z, z * math.cos(0.3))
    assert f(0.3, 1.0) == ((y, z), (None, dx, dy))


def test_a_function_may_have_values_only() -> None:
    graph = Graph((Leaf("x", spec(()), True),), (Node("sin", ("x",), ("y",)),), ("y",))
    assert Engine(REGISTRY).function(graph, gradients=())(0.5) == ((math.sin(0.5),), ())
    with pytest.raises(InvalidRequest, match="no gradient is asked for"):
        Engine(REGISTRY).function(graph, gradients=(), seeds=("y",))


@pytest.mark.parametrize("names", [{"fetch": ("q",)}, {"gradients": ("q",)}, {"seeds": ("q",)}, {"seeds": ("x",)}], ids=str)
def test_names_that_do_not_exist_are_faults(names: dict[str, Any]) -> None:
    graph = Graph((Leaf("x", spec(()), True),), (Node("sin", ("x",), ("y",)),), ("y",))
    with pytest.raises(InvalidRequest, match=repr(next(iter(names.values()))[0])):
        Engine(REGISTRY).function(graph, **names)


def test_a_seed_that_does_not_fit_is_named() -> None:
    graph = Graph((Leaf("x", spec((2,)), True),), (Node("sin", ("x",), ("y",)),), ("y",))
    f = Engine(REGISTRY).function(graph, seeds=("y",))
    with pytest.raises(InvalidRequest, match=r"the seed of 'y' is to be float64\[2\], it is float64\[3\]"):
        f(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match=r"takes 2 values \(x, seed of y\), got 1"):
        f(np.ones(2))


@pytest.mark.parametrize("plans", list(Plans))
def test_the_policy_of_the_engine_holds_for_functions(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph((Leaf("x", spec((3,)), True),), (Node("sin", ("x",), ("y",)), Node("sum", ("y",), ("s",))), ("s",))
    x = np.array([0.1, 0.2, 0.3])
    for most, small in ((6, True), (5, False)):  # the plan has six instructions
        monkeypatch.setattr("gradproof.engine.compiled.store.MAX_ITEMS", most)
        f = Engine(REGISTRY, compilations=Compilations(plans)).function(graph)
        assert len(f._plan.program.instructions) == 6
        assert (f.compiled() is not None) == (small and plans is not Plans.NEVER)
        (s,), (dx,) = f(x)
        assert s == np.sin(x).sum()
        np.testing.assert_array_equal(dx, np.cos(x))


def test_a_function_ends_with_its_cancellation() -> None:
    graph = Graph((Leaf("x", spec((300,)), True),), (Node("sin", ("x",), ("y",)), Node("sum", ("y",), ("s",))), ("s",))
    cancellation = Cancellation()
    cancellation.cancel()
    for at_once in (True, False):
        with pytest.raises(Cancelled):
            Engine(REGISTRY).function(graph, at_once=at_once).results([np.ones(300)], cancellation)


# constants


CALLS = list[tuple[int, ...]]()


def _counted(x: Any) -> Any:
    CALLS.append(x.shape)
    return np.sin(x)


def counted() -> Registry:
    """The ops, and an op ``count.sin`` that notes its calls."""
    op = Op("count.sin", _counted, lambda g, y, x: g * ops.cos(x), define=lambda f, x: f.sin(x))
    return registry_with(op)


@pytest.mark.parametrize("plans", list(Plans))
def test_a_constant_is_no_argument_and_gives_the_same_bits(plans: Plans) -> None:
    """Also behind transposes, whose layout decides the order of sums, and above the size up to which literals are
    folded."""
    random = np.random.default_rng(4)
    w, x = random.normal(size=(60, 40)), random.normal(size=(3, 60))
    graph = Graph(
        (Leaf("w", spec(w.shape)), Leaf("x", spec(x.shape), True)),
        (
            Node("transpose", ("w",), ("t",), {"axes": (1, 0)}),
            Node("exp", ("t",), ("e",)),
            Node("transpose", ("e",), ("u",), {"axes": (1, 0)}),
            Node("matmul", ("x", "u"), ("y",)),
            Node("sum", ("t",), ("a",), {"axis": (0,)}),
            Node("sum", ("a",), ("b",)),
            Node("sum", ("y",), ("c",)),
            Node("multiply", ("b", "c"), ("s",)),
        ),
        ("s",),
    )
    engine = Engine(REGISTRY, compilations=Compilations(plans))
    whole, part = engine.function(graph), engine.function(graph, constants={"w": w})
    assert part.leaves == ("x",)
    for array in (x, -2 * x):
        (s,), (dx,) = whole(w, array)
        (t,), (dy,) = part(array)
        assert s == t
        assert dx.tobytes() == dy.tobytes()


@pytest.mark.parametrize("size", [3, 5000])
def test_what_depends_on_constants_only_is_computed_once(size: int) -> None:
    graph = Graph(
        (Leaf("w", spec((size,))), Leaf("x", spec((size,)), True)),
        (Node("count.sin", ("w",), ("a",)), Node("multiply", ("a", "x"), ("b",)), Node("sum", ("b",), ("s",))),
        ("s",),
    )
    engine, w, x = Engine(counted(), compilations=Compilations(Plans.AUTO)), np.linspace(0, 1, size), np.ones(size)
    CALLS.clear()
    f = engine.function(graph, constants={"w": w})
    made = CALLS.count((size,))
    for _ in range(3):
        (s,), (dx,) = f(x)
        assert s == np.sum(np.sin(w))
        np.testing.assert_array_equal(dx, np.sin(w))
    assert CALLS.count((size,)) == made == 1


def test_a_constant_is_a_copy() -> None:
    graph = Graph((Leaf("w", spec(())), Leaf("x", spec(()), True)), (Node("multiply", ("w", "x"), ("y",)),), ("y",))
    w = np.array(3.0)
    f = Engine(REGISTRY).function(graph, constants={"w": w})
    w[...] = 5.0
    assert f(2.0) == ((6.0,), (3.0,))


def test_the_gradient_of_a_constant_may_be_asked_for() -> None:
    graph = Graph((Leaf("w", spec(()), True), Leaf("x", spec(()), True)), (Node("multiply", ("w", "x"), ("y",)),), ("y",))
    f = Engine(REGISTRY).function(graph, constants={"w": np.array(3.0)})
    assert f(2.0) == ((6.0,), (2.0, 3.0))


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        ({"q": np.ones(2)}, "no leaf is named 'q'"),
        ({"x": np.ones(3)}, r"leaf 'x' is float64\[2\], the constant is float64\[3\]"),
    ],
)
def test_a_constant_that_does_not_fit_is_named(constants: dict[str, np.ndarray], text: str) -> None:
    graph = Graph((Leaf("x", spec((2,)), True),), (Node("sum", ("x",), ("s",)),), ("s",))
    with pytest.raises(InvalidRequest, match=text):
        Engine(REGISTRY).function(graph, constants=constants)


def test_a_constant_where_an_op_fails_is_named_with_its_node() -> None:
    graph = Graph(
        (Leaf("a", spec((2, 2))), Leaf("b", spec((2,)), True)),
        (Node("solve", ("a", "b"), ("x",)), Node("sum", ("x",), ("s",))),
        ("s",),
    )
    f = Engine(REGISTRY).function(graph, constants={"a": np.zeros((2, 2))})
    with pytest.raises(DataFault, match=r"nodes\[0\] \(solve"):
        f(np.ones(2))


# rows of seeds

NODES = {
    "numbers": [Node("sin", ("p",), ("a",)), Node("exp", ("a",), ("b",)), Node("multiply", ("b", "q"), ("y",))],
    "a perceptron": [
        Node("matmul", ("x", "w"), ("z",)),
        Node("tanh", ("z",), ("h",)),
        Node("matmul", ("h", "v"), ("y",)),
    ],
    "transposes": [
        Node("exp", ("w",), ("e",)),
        Node("transpose", ("e",), ("t",), {"axes": (1, 0)}),
        Node("multiply", ("t", "t"), ("m",)),
        Node("sum", ("m",), ("r",), {"axis": (0,)}),
        Node("matmul", ("x", "e"), ("z",)),
        Node("multiply", ("z", "p"), ("k",)),
        Node("sum", ("k",), ("c",), {"axis": (0,)}),
        Node("multiply", ("c", "q"), ("y",)),
    ],
    "slices": [
        Node("slice", ("x",), ("a",), {"start": (0, 0), "stop": (3, 3)}),
        Node("slice", ("x",), ("b",), {"start": (0, 1), "stop": (3, 4)}),
        Node("multiply", ("a", "b"), ("c",)),
        Node("concat", ("c", "c"), ("y",), {"axis": 1}),
    ],
    "linear in its leaves": [Node("add", ("x", "x"), ("y",))],
}
LEAVES = {"p": (), "q": (), "x": (3, 4), "w": (4, 5), "v": (5, 2)}


@pytest.mark.parametrize("plans", list(Plans))
@pytest.mark.parametrize("name", NODES)
def test_rows_have_the_bits_of_calls(name: str, plans: Plans) -> None:
    random = np.random.default_rng(7)
    used = [leaf for leaf in LEAVES if any(leaf in node.inputs for node in NODES[name])]
    graph = Graph(tuple(Leaf(leaf, spec(LEAVES[leaf]), True) for leaf in used), tuple(NODES[name]), ("y",))
    engine = Engine(REGISTRY, compilations=Compilations(plans))
    fetched = (NODES[name][0].outputs[0], "y")
    f = engine.function(graph, seeds=("y",), fetch=fetched, gradients=(*used, NODES[name][0].outputs[0]))
    leaves = [random.normal(size=LEAVES[leaf]) for leaf in used]
    shape = np.shape(f(*leaves, *[np.ones(engine.infer(graph).specs()["y"].shape)])[0][1])
    seeds = [(random.normal(size=shape),) for _ in range(4)]
    for _ in range(2):
        rows = f.rows(leaves, seeds)
        assert len(rows) == 4
        for row, seed in zip(rows, seeds, strict=True):
            for got, expected in zip(row, f(*leaves, *seed), strict=True):
                assert [np.asarray(a).tobytes() for a in got] == [np.asarray(a).tobytes() for a in expected]
    assert f.rows(leaves, []) == []


def test_rows_are_those_of_the_jacobian() -> None:
    """Of softmax, whose Jacobian is diag(y) - y y'."""
    graph = Graph((Leaf("x", spec((4,)), True),), (Node("softmax", ("x",), ("y",), {"axis": 0}),), ("y",))
    f = Engine(REGISTRY).function(graph, seeds=("y",))
    x = np.array([0.1, -1.0, 2.0, 0.5])
    rows = f.rows([x], [(seed,) for seed in np.eye(4)])
    y = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose([dx for _, (dx,) in rows], np.diag(y) - np.outer(y, y), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("plans", [Plans.AUTO, Plans.NEVER])
def test_what_does_not_depend_on_the_seeds_is_computed_once(plans: Plans) -> None:
    graph = Graph((Leaf("x", spec((3,)), True),), (Node("count.sin", ("x",), ("a",)), Node("exp", ("a",), ("y",))), ("y",))
    f = Engine(counted(), compilations=Compilations(plans)).function(graph, seeds=("y",))
    f.rows([np.ones(3)], [(np.ones(3),)])
    CALLS.clear()
    f.rows([np.ones(3)], [(np.full(3, float(k)),) for k in range(5)])
    assert CALLS == [(3,)]


def test_rows_where_python_has_no_number() -> None:
    """The logarithm of 0 raises in Python's floats, its gradient too."""
    graph = Graph((Leaf("x", spec(()), True),), (Node("log", ("x",), ("y",)),), ("y",))
    f = Engine(REGISTRY).function(graph, seeds=("y",))
    for _ in range(4):
        assert f.rows([0.0], [(1.0,), (-2.0,)]) == [((-np.inf,), (np.inf,)), ((-np.inf,), (-np.inf,))]


def test_rows_end_with_their_cancellation_and_name_what_does_not_fit() -> None:
    graph = Graph((Leaf("x", spec((300,)), True),), (Node("sin", ("x",), ("y",)),), ("y",))
    f = Engine(REGISTRY).function(graph, seeds=("y",))
    x = np.ones(300)
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        f.rows([x], [(x,)], cancellation)
    with pytest.raises(InvalidRequest, match="the seed of 'y'"):
        f.rows([x], [(x,), (np.ones(2),)])
    with pytest.raises(TypeError, match="takes 2 values"):
        f.rows([x], [(x,), ()])


# second derivatives


@pytest.mark.parametrize("plans", list(Plans))
def test_value_gradient_and_hvp_come_from_one_graph(plans: Plans) -> None:
    """Of Rosenbrock's function in three dimensions, whose Hessian is tridiagonal and written out below."""
    graph = Graph(
        (Leaf("x", spec((3,)), True), Leaf("c", spec(())), Leaf("one", spec(()))),
        (
            Node("slice", ("x",), ("a",), {"start": (0,), "stop": (2,)}),
            Node("slice", ("x",), ("b",), {"start": (1,), "stop": (3,)}),
            Node("square", ("a",), ("p",)),
            Node("subtract", ("b", "p"), ("q",)),
            Node("square", ("q",), ("r",)),
            Node("multiply", ("c", "r"), ("u",)),
            Node("subtract", ("one", "a"), ("d",)),
            Node("square", ("d",), ("e",)),
            Node("add", ("u", "e"), ("v",)),
            Node("sum", ("v",), ("s",)),
        ),
        ("s",),
    )
    derived = derive(graph, REGISTRY, Mode.HVP)
    (product,) = derived.derivatives
    fetch = ("s", derived.gradients["x"], str(product.value))
    numbers = {"c": np.array(100.0), "one": np.array(1.0)}
    constants = {**dict(derived.values), **numbers}
    engine = Engine(REGISTRY, compilations=Compilations(plans))
    f = engine.function(derived.graph, fetch=fetch, gradients=(), constants=constants)
    assert f.leaves == ("x", derived.leaves["x"])
    x, t = np.array([-1.2, 1.0, 0.7]), np.array([0.5, -2.0, 1.5])
    (value, gradient, hvp), _ = f(x, t)
    (same,), (again,) = engine.function(graph, gradients=("x",), constants=numbers)(x)
    assert value == same
    assert gradient.tobytes() == again.tobytes()
    hessian = np.diag([1200 * x[0] ** 2 - 400 * x[1] + 2, 1200 * x[1] ** 2 - 400 * x[2] + 202, 200.0])
    hessian -= np.diag(400 * x[:2], 1) + np.diag(400 * x[:2], -1)
    np.testing.assert_allclose(hvp, hessian @ t, rtol=1e-13)


@pytest.mark.parametrize("mode", [Mode.JVP, Mode.HVP, Mode.HESSIAN])
def test_derived_graphs_compute_the_output_too(mode: Mode) -> None:
    """Though no derivative of a sum needs it."""
    graph = Graph((Leaf("x", spec((2,)), True),), (Node("sin", ("x",), ("y",)), Node("sum", ("y",), ("s",))), ("s",))
    derived = derive(graph, REGISTRY, mode)
    f = Engine(REGISTRY).function(derived.graph, fetch=("s",), gradients=(), constants=dict(derived.values))
    x = np.array([0.5, 2.0])
    (s,), _ = f(*[x if name == "x" else np.ones(2) for name in f.leaves])
    assert s == np.sin(x).sum()
