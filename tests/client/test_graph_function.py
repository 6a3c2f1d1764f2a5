"""Graphs as functions of their leaves: sent once, and the bits of any other call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client import requests
from gradproof.client.errors import InvalidRequest


def graph() -> gp.GraphBuilder:
    g = gp.GraphBuilder()
    x = g.leaf("x", shape=(3,), requires_grad=True)
    k = g.leaf("k", 2.0, requires_grad=True)
    n = g.leaf("n")
    g.output(g.apply("sum", g.apply("sin", x * k, name="s") * n, name="y"))
    return g


X = np.array([0.1, 0.2, 0.3])


def test_the_bits_of_differentiate(shared: Served) -> None:
    f = shared.client.function(graph(), fetch=["y", "s"])
    expected = shared.client.differentiate(graph(), {"x": X, "n": 3.0}, fetch=["y", "s"], verify="off")
    for _ in range(3):
        values, gradients = f(X, 3.0)
        assert [v.tobytes() for v in values] == [expected.values[name].tobytes() for name in ("y", "s")]
        found = [expected.gradients[name].gradient for name in ("x", "k")]
        assert [g.tobytes() for g in gradients if g is not None] == [g.tobytes() for g in found if g is not None]
    assert (f.leaves, f.seeds, f.fetch, f.gradients) == (("x", "n"), (), ("y", "s"), ("x", "k"))


def test_seeds_and_values_alone(shared: Served) -> None:
    seeded = shared.client.function(graph(), gradients=["x"], seeds=["y"])
    plain = shared.client.function(graph(), gradients=["x"])
    (once,), (twice,) = plain(X, 1.0)[1], seeded(X, 1.0, 2.0)[1]
    assert once is not None
    assert twice is not None
    assert (twice == 2 * once).all()
    (y,), none = shared.client.function(graph(), gradients=[])(X, 1.0)
    assert none == ()
    assert y == shared.client.evaluate(graph(), {"x": X, "n": 1.0})["y"]


def test_the_graph_is_sent_once(shared: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    original = requests.RunExchange.__init__

    def noted(self: Any, request: Any, *rest: Any) -> None:
        sent.append(request.input.WhichOneof("source"))
        original(self, request, *rest)

    monkeypatch.setattr(requests.RunExchange, "__init__", noted)
    f = shared.client.function(graph())
    for _ in range(3):
        f(X, 1.0)
    assert sent == ["graph", "digest", "digest"]
    g = graph()
    del sent[:]
    with shared.client.session() as session:
        for _ in range(2):
            session.evaluate(g, {"x": X, "n": 1.0})
        g.apply("exp", 1.0)
        session.evaluate(g, {"x": X, "n": 1.0})
    assert sent == ["graph", "digest", "graph"]


def test_a_graph_that_the_server_forgot_is_sent_again(shared: Served) -> None:
    f = shared.client.function(graph())
    before = f(X, 1.0)[0]
    f._digest = "0" * 64
    assert f(X, 1.0)[0] == before


def test_faults(shared: Served) -> None:
    f = shared.client.function(graph())
    with pytest.raises(TypeError, match=r"takes 2 values \(x, n\), got 1"):
        f(X)
    with pytest.raises(InvalidRequest):
        f(X[:2], 1.0)
    with pytest.raises(ValueError, match="no gradient is asked for"):
        shared.client.function(graph(), gradients=[], seeds=["y"])


def test_threads(shared: Served) -> None:
    f = shared.client.function(graph())
    expected = float(f(X, 1.0)[0][0])
    with ThreadPoolExecutor(4) as pool:
        assert [float(v[0]) for v, _ in pool.map(lambda n: f(X, float(n)), range(12))] == pytest.approx(
            [expected * n for n in range(12)]
        )
