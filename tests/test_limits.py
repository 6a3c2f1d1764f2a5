"""Limits: what `Infer` estimates is what a run is refused for, and what a run allocates."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.serving import Served, serving

from gradproof.client import Accepted, Client, GraphBuilder, ResourceExhausted
from gradproof.engine.engine import Engine
from gradproof.engine.lower import lower
from gradproof.engine.registry import Registry
from gradproof.server.limits import Limits

LIMIT = 1 << 20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), limits=Limits(estimated_bytes=LIMIT)) as one:
        yield one


@pytest.fixture
def client(served: Served) -> Client:
    return served.client


def chain(length: int, size: int, *ops: str, grad: bool = True) -> GraphBuilder:
    g = GraphBuilder()
    y = g.leaf("x", np.linspace(0.1, 0.9, size), requires_grad=grad)
    for k in range(length):
        y = g.apply(ops[k % len(ops)], y, name=f"v{k}")
    g.output(g.apply("sum", y, name="out"))
    return g


def views(length: int) -> GraphBuilder:
    g = GraphBuilder()
    y = g.leaf("x", np.ones((100, 100)), requires_grad=True)
    for _ in range(length):
        y = g.apply("matrix_transpose", y)
    g.output(g.apply("sum", y, name="out"))
    return g


GRAPHS: dict[str, Callable[[], GraphBuilder]] = {
    **{f"exp, {n} long": lambda n=n: chain(n, 2000, "sin", "exp", "log1p") for n in (2, 10, 14, 18, 22, 30)},  # type: ignore[misc]
    **{f"constants, {n} long": lambda n=n: chain(n, 2000, "sin", grad=False) for n in (30, 60, 64, 66, 90)},  # type: ignore[misc]
    "many views": lambda: views(60),
    "one number": lambda: chain(300, 1, "sin"),
}


def refused(call: Callable[[], Any]) -> int:
    """The estimated bytes that a call is refused for, or 0."""
    try:
        call()
    except ResourceExhausted as error:
        return int(error.metadata["actual"]) if error.metadata["limit"] == "estimated_bytes" else -1
    return 0


@pytest.mark.parametrize("name", GRAPHS)
def test_a_run_is_refused_where_infer_says_more_than_the_limit(client: Client, name: str) -> None:
    graph = GRAPHS[name]()
    said = client.infer(graph).estimated_bytes
    differentiable = not name.startswith("constants")
    if differentiable:
        for options in ({"verify": "off"}, {"verify": "cached"}):
            assert refused(lambda options=options: client.differentiate(graph, **options)) == (said if said > LIMIT else 0)  # type: ignore[misc]
        nodes = [f"v{k}" for k in range(sum(node.op != "sum" for node in graph.to_proto().nodes))] if "long" in name else []
        retained = refused(lambda: client.differentiate(graph, verify="off", retain=nodes))
        assert bool(retained) == (said > LIMIT)
    evaluated = refused(lambda: client.evaluate(graph))
    assert evaluated <= said
    assert differentiable or evaluated == (said if said > LIMIT else 0)


def test_both_sides_of_the_limit_are_met(client: Client) -> None:
    said = [client.infer(make()).estimated_bytes for make in GRAPHS.values()]
    assert min(said) < LIMIT < max(said)


def test_accepted_says_the_same(client: Client) -> None:
    graph = chain(4, 2000, "sin")
    accepted = next(event for event in client.stream(graph, verify="off") if isinstance(event, Accepted))
    assert accepted.estimated_bytes == client.infer(graph).estimated_bytes


@pytest.mark.parametrize(
    ("shape", "lines"),
    [
        ((300, 300), [f"v{k} = sin({'x' if k == 0 else f'v{k - 1}'})" for k in range(8)] + ["y = sum(v7)"]),
        ((300, 300), ["t = matrix_transpose(x)", "m = matmul(t, x)", "e = exp(m)", "y = mean(e)"]),
        ((300, 300), ["b = multiply(x, x)", "c = multiply(b, x)", "d = add(b, c)", "s = add(d, x)", "y = sum(s)"]),
        ((90_000,), [("r = reshape(x)", {"shape": (300, 300)}), "t = matrix_transpose(r)", "u = tanh(t)", "y = sum(u)"]),
    ],
)
def test_the_estimate_is_about_what_a_run_allocates(registry: Registry, shape: tuple[int, ...], lines: Any) -> None:
    """Between 2/3 and 3/2 of the peak that tracemalloc sees, leaves included."""
    engine = Engine(registry)
    job = Bench(engine).job({"x": np.full(shape, 0.01)}, lines, "y")
    said = engine.estimate(lower(job.graph, registry))
    prepared = engine.prepare(job)
    assert prepared.nbytes == said
    tracemalloc.start()
    try:
        events = list(engine.gradients(prepared))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert events
    peak += job.values[0][1].nbytes
    assert 2 / 3 < said / peak < 3 / 2, (said, peak)


def test_infer_estimates_what_cannot_be_differentiated(client: Client) -> None:
    g = GraphBuilder()
    g.output(g.apply("floor", g.leaf("x", np.ones(1000), requires_grad=True), name="y"))
    h = GraphBuilder()
    h.output(h.apply("less", h.leaf("x", np.ones(1000), requires_grad=True), h.leaf("one", 1.0), name="y"))
    for graph in (g, h):
        inference = client.infer(graph)
        assert inference.faults == []
        assert inference.estimated_bytes >= 8000
