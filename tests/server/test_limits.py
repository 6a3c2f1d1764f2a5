"""Limits: what `Infer` estimates is what a run is refused for, and what a run allocates."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.conftest import REGISTRY, Bench
from tests.support.executors import single_executor
from tests.support.server_fixture import Served, leaf, node, request, serving

from gradproof.client import Accepted, Client, GraphBuilder, ResourceExhausted
from gradproof.engine.engine import Engine
from gradproof.engine.errors import LimitExceeded
from gradproof.engine.lower import lower
from gradproof.engine.registry import Registry
from gradproof.server.limits import Limits
from gradproof.server.requests.counts import check_counts
from gradproof.server.runs.admission import Turn
from gradproof.server.runs.handler import Handler
from gradproof.server.runs.inference import infer
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import Assembler, WireError, encode_spec

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


@pytest.mark.slow
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


@single_executor
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
    said = engine.estimate(job, lower(job.graph, registry)).largest.nbytes
    prepared = engine.prepare(job)
    assert prepared.cost.nbytes == said
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


# Infer and runs say the same, to the byte


def random_request(draw: Random) -> pb.DifferentiateRequest:
    """A graph of matrices with hooks, retained, fetched and hooked values; some of its leaves do not require grad."""
    names, nodes = ["x0", "x1"], []
    shape = (draw.choice((1, 7, 40)),) * 2
    leaves = [leaf(name, np.full(shape, 0.1), requires_grad=name == "x0" or draw.random() < 0.5) for name in names]
    for k in range(draw.randint(1, 8)):
        op = draw.choice(("add", "multiply", "matmul", "sin", "matrix_transpose", "tril", "exp", "softmax"))
        count = 2 if op in ("add", "multiply", "matmul") else 1
        nodes.append(node(op, " ".join(draw.choice(names) for _ in range(count)), f"v{k}"))
        names.append(f"v{k}")
    nodes.append(node("sum", names[-1], "y"))
    inner = names[2:]
    message = request(leaves, nodes, "y")
    message.input.fetch.extend(draw.sample(inner, draw.randint(0, len(inner))))
    message.retain.extend(draw.sample(inner, draw.randint(0, min(2, len(inner)))))
    for _ in range(draw.randint(0, 2)):
        hook = message.hooks.add(value=draw.choice(inner))
        if draw.random() < 0.5:
            hook.named.name = "record"
            continue
        spec = encode_spec(shape, np.dtype(np.float64))
        twice = [node("add", "g g", "a"), node("multiply", "a g", "b")]
        own = graph_pb2.Graph(leaves=[graph_pb2.Leaf(name="g", spec=spec)], nodes=twice, outputs=["b"])
        hook.graph.CopyFrom(own)
    return message


def inferred(served: Served, message: pb.DifferentiateRequest) -> pb.InferResponse:
    asked = pb.InferRequest(
        graph=message.input.graph, hooks=message.hooks, retain=message.retain, fetch=message.input.fetch
    )
    response: pb.InferResponse = served.autodiff.Infer(asked)
    return response


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_what_infer_says_of_a_request_is_what_its_run_is_admitted_with(served: Served, seed: int) -> None:
    message = random_request(Random(seed))
    said = inferred(served, message)
    first = request_of(served, message)
    if said.estimated_bytes > LIMIT:
        assert [fault.reason for fault in said.violations] == ["LIMIT_EXCEEDED"]
        assert first == ("estimated_bytes", max(said.estimated_bytes, 0))
        return
    assert not said.violations
    assert first == ("accepted", said.estimated_bytes, said.estimated_flops)
    derived = served.autodiff.Derive(pb.DeriveRequest(graph=message.input.graph, mode=pb.DERIVE_MODE_GRADIENT)).graph
    evaluated = served.autodiff.Infer(pb.InferRequest(graph=derived)).evaluate_bytes
    tight = served.host.handler
    values = tight._prepare(pb.EvaluateRequest(input=pb.RunInput(graph=derived)), {}, None)[0]
    assert values.cost.nbytes == evaluated


def request_of(served: Served, message: pb.DifferentiateRequest) -> tuple[Any, ...]:
    """What a stream says of the cost of a run, or the limit that it is refused for."""
    stream = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message))
    try:
        accepted = next(stream).events[0].accepted
    except grpc.RpcError as error:
        info = error_details_pb2.ErrorInfo()
        rpc_status.from_call(error).details[0].Unpack(info)
        return info.metadata["limit"], int(info.metadata["actual"])
    list(stream)
    return "accepted", accepted.estimated_bytes, accepted.estimated_flops


def exceeded(error: pytest.ExceptionInfo[LimitExceeded]) -> set[str]:
    return {name for name, _, _ in error.value.passed}


def test_every_count_of_a_request_has_a_limit_and_all_that_are_passed_are_told_at_once() -> None:
    attribute = graph_pb2.Attribute(string_value="long" * 10)
    nodes = [
        node("concat", "x x x", "a", attributes={"axis": attribute, "b": attribute}),
        node("sum", "a", "y"),
        node("sum", "a", "z"),
    ]
    message = request([leaf("x", np.ones((2, 2))), leaf("w", 1.0)], nodes, "y z a")
    message.input.graph.rules.add(op="sin")
    message.input.graph.rules.add(op="sin")
    for names_of_values in (message.gradients, message.retain, message.input.fetch):
        names_of_values.extend(["x", "y"])
    for _ in range(2):
        message.hooks.add(value="x").named.name = "record"
        message.seeds.add(output="y")
        message.input.values.add(name="x").value.spec.shape.extend([2, 3])
        message.input.reuse.add(values=["a", "b"])
    message.verify.budget_seconds = 2.0
    names = [
        *("graph_leaves", "graph_outputs", "graph_rules", "graph_edges", "node_inputs", "node_attributes"),
        *("attribute_bytes", "rank", "values", "seeds", "gradients", "retain", "fetch", "reuse", "reuse_values"),
        *("hooks_per_value", "tensor_elements", "verify_budget_seconds"),
    ]
    small = Limits(**dict.fromkeys(names, 1))
    with pytest.raises(LimitExceeded) as caught:
        check_counts(message, small)
    assert exceeded(caught) == set(names) - {"graph_edges", "node_inputs", "node_attributes", "attribute_bytes"}
    wide = Limits(**{name: 1 for name in names if not name.startswith("graph_") or name == "graph_edges"})
    with pytest.raises(LimitExceeded) as caught:
        check_counts(message, wide)
    assert exceeded(caught) == {name for name in names if not name.startswith("graph_")} | {"graph_edges"}
    for name in ("graph_nodes", "hooks"):
        with pytest.raises(LimitExceeded) as caught:
            check_counts(message, Limits(**{name: 1}))
        assert exceeded(caught) == {name}
    check_counts(message, Limits())
    with pytest.raises(LimitExceeded, match="gradients is 2"):
        check_counts(pb.DeriveRequest(by=["x", "y"]), Limits(gradients=1))


def test_a_response_too_long_for_one_message_is_refused_before_the_run(served: Served) -> None:
    handler = Handler(Engine(REGISTRY), served.host.proofs, Limits(message_bytes=5000))
    turn = Turn(handler.admission, "", None)
    message = request([leaf("x", np.ones(500))], [node("sin", "x", "a"), node("sum", "a", "y")], "y")
    try:
        assert handler._begin(turn, message, {}, None, False)
        message.input.fetch.append("a")
        with pytest.raises(LimitExceeded, match="call StreamingDifferentiate, or use a Session") as caught:
            handler._begin(turn, message, {}, None, False)
        assert (caught.value.name, caught.value.actual) == ("message_bytes", 8000)
        assert handler._begin(turn, message, {}, None, True)
        asked = pb.EvaluateRequest(input=pb.RunInput(graph=message.input.graph, fetch=["a", "x"]))
        with pytest.raises(LimitExceeded, match="Evaluate on a Session"):
            handler._prepared(turn, asked, {}, None)
    finally:
        handler.close()


def test_names_that_are_too_long_are_not_repeated(served: Served) -> None:
    long = "w" * 5000
    message = request([leaf("x", 1.0)], [node(long, "x", "a"), node("sin", long, "y")], f"y {long}")
    message.retain.append(long)
    message.hooks.add(value=long, label=long).named.name = long
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(message)
    assert "w" * 33 not in str(caught.value.details())
    assert "NAME_LENGTH" in str(rpc_status.from_call(caught.value))


def test_infer_lists_so_many_faults_and_counts_all() -> None:
    graph = request([leaf("x", 1.0)], [node("nope", "x", f"v{k}") for k in range(50)], "x").input.graph
    found = infer(pb.InferRequest(graph=graph), Engine(REGISTRY), Limits(violations=7))
    assert (len(found.violations), found.violation_count) == (7, 50)


@pytest.mark.parametrize(
    ("field", "number", "path", "named"),
    [("required", 99, "verify.required", "SUMMARY_WORD_VERIFIED"), ("level", 7, "verify.level", "VERIFY_LEVEL_OFF")],
)
def test_a_number_that_no_enum_has_is_refused(served: Served, field: str, number: int, path: str, named: str) -> None:
    message = request([leaf("x", 1.0)], [], "x")
    setattr(message.verify, field, number)
    with pytest.raises(grpc.RpcError, match=f"{path}: {number} is none of .*{named}") as caught:
        served.autodiff.Differentiate(message)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.slow
def test_forty_thousand_empty_uploads_take_no_time_and_are_bounded() -> None:
    uploads = Assembler(1 << 20, max_held=40_000, max_open=2)
    empty = encode_spec((0,), np.dtype(np.float64))
    for k in range(40_000):
        uploads.header(tensor_pb2.TensorHeader(tensor_id=k, spec=empty))
    with pytest.raises(WireError, match="40001 tensors would be held"):
        uploads.header(tensor_pb2.TensorHeader(tensor_id=40_000, spec=empty))
    assert uploads.take(7) is not None
    assert uploads.take(7) is None
    byte = encode_spec((1,), np.dtype(np.int8))
    uploads = Assembler(10, max_open=2)
    for k in range(2):
        uploads.header(tensor_pb2.TensorHeader(tensor_id=k, spec=byte, total_bytes=1))
    with pytest.raises(WireError, match="3 open tensors would be held, and the limit is 2"):
        uploads.header(tensor_pb2.TensorHeader(tensor_id=2, spec=byte, total_bytes=1))
    assert uploads.held_bytes == 2
    uploads.chunk(tensor_pb2.TensorChunk(tensor_id=0, data=b"a"))
    assert (uploads.take(0), uploads.held_bytes) == (np.array([97]), 1)
