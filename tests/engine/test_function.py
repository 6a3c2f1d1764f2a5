"""`Engine.function`: a graph as a Python function, compiled and interpreted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.errors import Cancelled, InvalidRequest
from gradproof.engine.graph import Graph, Leaf, Node
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
