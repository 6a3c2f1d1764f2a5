"""Requests of a known form: the same results as in the general way, which is taken where they fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.server_fixture import Served, serving

from gradproof.client import Client, GraphBuilder, InvalidRequest, Result, RunError


def program(size: int = 3) -> GraphBuilder:
    g = GraphBuilder()
    x, w = g.leaf("x", shape=(size,), requires_grad=True), g.leaf("w", shape=(), requires_grad=True)
    g.output(g.apply("sum", g.apply("sin", x * w, name="s")), "y")
    return g


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("cache")) as served:
        yield served


@pytest.fixture(params=["calls", "session"])
def differentiate(request: pytest.FixtureRequest, served: Served) -> Any:
    with Client(served.target) as client:
        if request.param == "calls":
            yield client.differentiate
        else:
            with client.session() as session:
                yield session.differentiate


def same(a: Result, b: Result) -> None:
    assert a.digest == b.digest
    assert [*a.gradients] == [*b.gradients]
    for name, gradient in a.gradients.items():
        np.testing.assert_array_equal(gradient.gradient, b.gradients[name].gradient)
        assert (gradient.grad_fn, gradient.raw is gradient.gradient) == (b.gradients[name].grad_fn, True)
    for name, value in a.values.items():
        np.testing.assert_array_equal(value, b.values[name])


def values(k: int, size: int = 3) -> dict[str, Any]:
    return {"x": np.linspace(-1.0, k, size), "w": np.array(0.5 + k)}


def test_results_are_those_of_the_general_way(differentiate: Any, served: Served) -> None:
    g = program()
    for k in range(6):
        got = differentiate(g, values(k), verify="off", fetch=["y"], retain=["s"])
        expected = served.client.differentiate(g.to_proto(), values(k), verify="off", fetch=["y"], retain=["s"])
        same(got, expected)


def test_a_graph_that_grew_is_another(differentiate: Any) -> None:
    g = program()
    for _ in range(4):
        differentiate(g, values(1), verify="off")
    g.output(g.apply("square", g.leaf("z", 3.0, requires_grad=True)), "more")
    for _ in range(4):
        assert differentiate(g, values(1), verify="off").gradients["z"].gradient == 6.0


def test_a_graph_that_the_server_has_forgotten_is_sent_again(differentiate: Any, served: Served) -> None:
    g = program()
    for _ in range(4):
        first = differentiate(g, values(1), verify="off")
    served.host.handler.graphs.clear()
    for _ in range(2):
        same(differentiate(g, values(1), verify="off"), first)


def test_faults_are_those_of_the_general_way(differentiate: Any) -> None:
    g = program()
    for _ in range(4):
        differentiate(g, values(1), verify="off")
    for _ in range(2):
        with pytest.raises(InvalidRequest, match=r"leaf 'x' is float64\[3\], its value is float64\[4\]"):
            differentiate(g, values(1, 4), verify="off")
    g = GraphBuilder()
    x, k = g.leaf("x", shape=(3,), requires_grad=True), g.leaf("k", shape=(1,), dtype=np.int64)
    g.output(g.apply("sum", g.apply("take", x, k, axis=0)))
    for _ in range(4):
        differentiate(g, {"x": np.ones(3), "k": np.array([1])}, verify="off")
    for _ in range(2):
        with pytest.raises(RunError, match="take") as caught:
            differentiate(g, {"x": np.ones(3), "k": np.array([5])}, verify="off")
        assert caught.value.reason == "DATA_FAULT"


def test_results_that_are_too_large_for_a_message_come_in_chunks(differentiate: Any) -> None:
    g = GraphBuilder()
    x = g.leaf("x", shape=(), requires_grad=True)
    y = g.apply("broadcast_to", x, shape=(700_000,), name="b")
    g.output(g.apply("sum", y * y), "y")
    for k in range(4):
        got = differentiate(g, {"x": np.array(float(k))}, verify="off", retain=["b"])
        np.testing.assert_array_equal(got.gradients["b"].gradient, np.full(700_000, 2.0 * k))


def test_a_session_id_is_free_after_a_request(served: Served) -> None:
    with Client(served.target) as client, client.session() as session:
        g = program()
        for k in range(4):
            session.differentiate(g, values(k), verify="off")
        assert not session._responses
        assert not session._deadlines
