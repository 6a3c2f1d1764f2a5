"""Every call of the contract, through a real server: right answers, every kind of bad input, and a server that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from tests.serving import Served, serving

from gradproof.client import GraphBuilder, InvalidRequest, NotFound, NotServed, ResourceExhausted, RunError, hook
from gradproof.client.client import Client
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, op_service_pb2, op_service_pb2_grpc, tensor_pb2, verdict_pb2
from gradproof.wire import decode_tensor, encode_tensor

LIMITS = Limits(graph_nodes=20_000, estimated_bytes=64 << 20, tensor_elements=1 << 22)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    plugins = ["tests.misbehaving_plugin", "tests.slow_plugin"]
    with serving(tmp_path_factory.mktemp("proofs"), plugins=plugins, limits=LIMITS, proof_seconds=3.0) as served:
        yield served


@pytest.fixture
def client(running: Served) -> Client:
    return running.client


@pytest.fixture
def channel(running: Served) -> grpc.Channel:
    return running.channel


@pytest.fixture
def stub(running: Served) -> Any:
    return running.autodiff


def leaf(name: str, value: Any, requires_grad: bool = True) -> graph_pb2.Leaf:
    return graph_pb2.Leaf(name=name, value=encode_tensor(np.asarray(value)), requires_grad=requires_grad)


def node(op: str, inputs: str, outputs: str, **attributes: graph_pb2.Attribute) -> graph_pb2.Node:
    return graph_pb2.Node(op=op, inputs=inputs.split(), outputs=outputs.split(), attributes=attributes)


def tutorial() -> graph_pb2.Graph:
    return graph_pb2.Graph(
        leaves=[leaf("x", 3.0), leaf("a", 4.0), leaf("b", 5.0)],
        nodes=[node("multiply", "a x", "y"), node("add", "y b", "z")],
        outputs=["z"],
    )


def vector() -> graph_pb2.Graph:
    """Some non-linear graph over a vector, with a sum at its end."""
    return graph_pb2.Graph(
        leaves=[leaf("v", [0.3, -1.5, 2.0])],
        nodes=[node("tanh", "v", "t"), node("multiply", "t v", "p"), node("sum", "p", "s")],
        outputs=["s"],
    )


def streamed(stub: Any, request: pb.DifferentiateRequest) -> list[pb.Event]:
    whole = pb.StreamingDifferentiateRequest(request=request)
    return [response.event for response in stub.StreamingDifferentiate(whole, timeout=60)]


# right answers


def test_evaluate_gives_outputs_and_fetched_values(stub: Any) -> None:
    response = stub.Evaluate(pb.EvaluateRequest(graph=tutorial()))
    assert {v.name: float(decode_tensor(v.value)) for v in response.values} == {"z": 17.0}
    response = stub.Evaluate(pb.EvaluateRequest(graph=tutorial(), fetch=["y", "b"]))
    assert {v.name: float(decode_tensor(v.value)) for v in response.values} == {"y": 12.0, "b": 5.0}


def test_differentiate_gives_everything_in_one_message(stub: Any) -> None:
    response = stub.Differentiate(pb.DifferentiateRequest(graph=tutorial(), retain=["y"], fetch=["z"], request_id="r1"))
    found = {g.value: float(decode_tensor(g.gradient)) for g in response.gradients}
    assert found == {"x": 4.0, "a": 3.0, "b": 1.0, "y": 1.0}
    assert response.accepted.request_id == "r1"
    assert response.accepted.nodes == 2
    assert [v.name for v in response.values] == ["z"]
    assert {v.value for v in response.verdicts} == set(found)
    assert response.summary.verified == 4
    assert next(g.grad_fn for g in response.gradients if g.value == "y") == "MulBackward0"


def test_events_come_in_order(stub: Any) -> None:
    request = pb.DifferentiateRequest(graph=tutorial(), retain=["y"], fetch=["y"])
    events = streamed(stub, request)
    assert [event.sequence for event in events] == list(range(len(events)))
    kinds = [event.WhichOneof("kind") for event in events]
    assert kinds[0] == "accepted"
    assert kinds[-1] == "summary"
    assert kinds.index("values") < kinds.index("gradients") < kinds.index("verdicts")
    order = [g.value for event in events for g in event.gradients.gradients]
    assert order == ["b", "y", "a", "x"]
    assert [v.value for event in events for v in event.verdicts.verdicts] == order


def bits(gradients: Any) -> dict[str, bytes]:
    return {g.value: bytes(g.gradient.data) for g in gradients}


def test_all_calls_and_all_levels_give_the_same_bits(stub: Any) -> None:
    found = []
    levels = [pb.VERIFY_LEVEL_OFF, pb.VERIFY_LEVEL_CACHED, pb.VERIFY_LEVEL_VALUES, pb.VERIFY_LEVEL_EVERYTHING]
    for level in levels:
        request = pb.DifferentiateRequest(graph=vector(), retain=["t", "p"], request_id="same")
        request.verify.level = level
        unary = stub.Differentiate(request)
        assert bool(unary.verdicts) == (level != pb.VERIFY_LEVEL_OFF)
        found.append(bits(unary.gradients))
        found.append(bits(g for event in streamed(stub, request) for g in event.gradients.gradients))
        session = stub.Session(iter([pb.SessionRequest(differentiate=request)]))
        found.append(bits(g for response in session for g in response.event.gradients.gradients))
    assert len(found) == 12
    assert set(found[0]) == {"v", "t", "p"}
    assert all(one == found[0] for one in found)


def test_checking_less_claims_less(stub: Any) -> None:
    request = pb.DifferentiateRequest(graph=vector())
    request.verify.level = pb.VERIFY_LEVEL_CACHED
    response = stub.Differentiate(request)
    assert response.summary.verified == 0
    assert response.summary.plausible == 1
    request.verify.level = pb.VERIFY_LEVEL_EVERYTHING
    assert stub.Differentiate(request).summary.verified == 1


def test_the_graph_is_sent_once(stub: Any) -> None:
    digest = stub.Differentiate(pb.DifferentiateRequest(graph=tutorial())).accepted.digest
    values = [tensor_pb2.NamedTensor(name=n, value=encode_tensor(np.array(v))) for n, v in zip("xab", (2.0, 7.0, 0.0))]
    response = stub.Differentiate(pb.DifferentiateRequest(digest=digest, values=values))
    assert {g.value: float(decode_tensor(g.gradient)) for g in response.gradients} == {"x": 7.0, "a": 2.0, "b": 1.0}


def test_values_beside_the_graph_replace_those_it_carries(stub: Any) -> None:
    values = [tensor_pb2.NamedTensor(name="a", value=encode_tensor(np.array(10.0)))]
    response = stub.Differentiate(pb.DifferentiateRequest(graph=tutorial(), values=values, gradients=["x"]))
    assert [float(decode_tensor(g.gradient)) for g in response.gradients] == [10.0]


def test_hooks_give_raw_and_hooked_gradients(client: Client) -> None:
    g = GraphBuilder()
    v = g.leaf("v", np.zeros(3), requires_grad=True)
    g.output(g.apply("multiply", v, 1.0, name="w"))
    hooks = [hook("v", "record"), hook("v", "scale", factor=2.0), hook("v", "clip", max_value=5.0)]
    result = client.differentiate(g, seeds={"w": [1.0, 2.0, 3.0]}, hooks=hooks)
    one = result.gradients["v"]
    assert one.gradient is not None
    assert one.raw is not None
    assert one.gradient.tolist() == [2, 4, 5]
    assert one.raw.tolist() == [1, 2, 3]
    assert [(h.name, h.changed, h.result.tolist()) for h in one.hooks] == [
        ("record", False, [1, 2, 3]),
        ("scale", True, [2, 4, 6]),
        ("clip", True, [2, 4, 5]),
    ]
    assert result.verdicts["v"].graph == "CUT"
    assert result.verdicts["v"].summary == "verified"


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("zero", {}, [0.0, 0.0]),
        ("round", {"decimals": 1}, [3.1, -4.0]),
        ("clip", {"max_norm": 1.0}, [3.14 / np.hypot(3.14, 4), -4 / np.hypot(3.14, 4)]),
        ("clip", {"min_value": -1.0, "max_value": 1.0}, [1.0, -1.0]),
        ("scale", {"factor": -1.0}, [-3.14, 4.0]),
        ("record", {}, [3.14, -4.0]),
    ],
)
def test_every_named_hook(client: Client, name: str, attributes: dict[str, Any], expected: list[float]) -> None:
    g = GraphBuilder()
    g.output(g.apply("negative", g.leaf("v", np.zeros(2), requires_grad=True), name="w"))
    result = client.differentiate(g, seeds={"w": [-3.14, 4.0]}, hooks=[hook("v", name, **attributes)], verify="off")
    assert result.gradients["v"].gradient == pytest.approx(expected)


def test_none_is_not_zeros(client: Client) -> None:
    g = GraphBuilder()
    x, away = g.leaf("x", 1.0, requires_grad=True), g.leaf("away", 1.0, requires_grad=True)
    g.apply("sin", away, name="unused")
    g.output(g.apply("sign", x, name="y"))
    result = client.differentiate(g)
    assert result.gradients["away"].gradient is None
    assert result.gradients["x"].gradient == 0.0


def test_infer_gives_shapes_and_all_faults(client: Client) -> None:
    found = client.infer(vector())
    assert found.values["p"] == (np.dtype(float), (3,))
    assert found.values["s"] == (np.dtype(float), ())
    assert found.digest
    assert not found.faults
    graph = vector()
    graph.nodes[0].op = "tanhh"
    graph.outputs.append("nothing")
    found = client.infer(graph)
    assert {(f.path, f.reason) for f in found.faults} == {
        ("graph.nodes[0].op", "OP_UNKNOWN"),
        ("graph.outputs[1]", "VALUE_UNKNOWN"),
    }
    assert "did you mean 'tanh'" in next(f.message for f in found.faults if f.reason == "OP_UNKNOWN")
    assert not found.digest


def test_server_info_states_versions_limits_plugins_and_hooks(client: Client) -> None:
    info = client.info()
    assert {"gradproof", "numpy", "sympy", "python-flint", "plugin_api"} <= set(info.versions)
    assert dict(info.limits) == LIMITS.table()
    assert {"arithmetic", "reductions", "misbehaving"} <= {p.name for p in info.plugins}
    assert {"scale", "clip", "zero", "round", "record"} <= {h.name for h in info.hooks}


def test_ops_are_listed_in_pages_and_shown(channel: grpc.Channel, client: Client) -> None:
    ops = op_service_pb2_grpc.OpServiceStub(channel)
    names, token = [], ""
    while True:
        page = ops.ListOps(op_service_pb2.ListOpsRequest(page_size=30, page_token=token))
        assert len(page.ops) <= 30
        names += [op.name for op in page.ops]
        token = page.next_page_token
        if not token:
            break
    assert names == [op.name for op in client.ops()]
    assert len(names) == len(set(names)) > 80
    shown = client.op("softmax")
    assert shown.op.attributes["axis"] == "-1"
    assert "multiply" in shown.cases[0].rule
    with pytest.raises(NotFound, match="no op 'nothing'"):
        client.op("nothing")
    with pytest.raises(NotFound):
        list(client.verify_op("nothing"))


def test_verify_op_proves_case_by_case_and_the_catalogue_remembers(client: Client) -> None:
    steps = list(client.verify_op("cumsum"))
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].total == len(steps)
    assert {step.verdict.word for step in steps} == {"PROVED"}
    known = {op.name: op.verdict for op in client.ops()}
    verdict = known["cumsum"]
    assert verdict is not None
    assert verdict.word == "PROVED"
    assert known["less"] is None
    again = list(client.verify_op("cumsum", refresh=True))
    assert not any(step.verdict.cached for step in again)
    assert list(client.verify_op("less")) == []


def test_large_gradients_arrive_in_chunks(stub: Any, client: Client) -> None:
    x = np.arange(700_000.0)
    graph = graph_pb2.Graph(
        leaves=[graph_pb2.Leaf(name="s", value=encode_tensor(np.array(2.0)), requires_grad=True)],
        nodes=[
            node("broadcast_to", "s", "big", shape=graph_pb2.Attribute(ints=graph_pb2.IntList(values=[x.size]))),
            node("cumsum", "big", "run"),
            node("sum", "run", "total"),
        ],
        outputs=["total"],
    )
    request = pb.DifferentiateRequest(graph=graph, retain=["big"])
    request.verify.level = pb.VERIFY_LEVEL_OFF
    events = streamed(stub, request)
    assert max(event.ByteSize() for event in events) < 4 << 20
    assert sum(event.WhichOneof("kind") == "chunk" for event in events) == 6
    with pytest.raises(grpc.RpcError) as caught:
        stub.Differentiate(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    result = client.send(request)
    gradient = result.gradients["big"].gradient
    assert gradient is not None
    assert np.array_equal(gradient, np.arange(700_000.0, 0, -1))


def test_several_clients_at_once_get_their_own_answers(running: Served) -> None:
    def work(k: int) -> bool:
        with Client(running.target) as one:
            g = GraphBuilder()
            x = g.leaf("x", float(k), requires_grad=True)
            g.output(x * x * float(k))
            gradients = [one.differentiate(g).gradients["x"].gradient for _ in range(5)]
        return all(gradient == 2.0 * k * k for gradient in gradients)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(1, 17)))


def test_a_proof_that_hangs_delays_no_gradient_and_takes_nothing_from_the_numbers(stub: Any) -> None:
    graph = graph_pb2.Graph(
        leaves=[leaf("v", 0.5)], nodes=[node("slow.hang", "v", "h"), node("sin", "h", "s")], outputs=["s"]
    )
    request = changed(graph)
    request.retain.append("h")
    request.verify.budget_ms = 300
    found: dict[str, Any] = {}
    for event in streamed(stub, request):
        if event.WhichOneof("kind") == "gradients":
            assert not found
        found.update({verdict.value: verdict for verdict in event.verdicts.verdicts})
    assert found["v"].uses[0].rule.word == verdict_pb2.RULE_WORD_PENDING
    assert found["v"].uses[0].value.word == verdict_pb2.VALUE_WORD_ENCLOSED
    assert found["v"].summary == verdict_pb2.SUMMARY_WORD_PLAUSIBLE
    assert stub.Differentiate(changed(vector())).gradients


# what is not served yet


def test_what_comes_later_says_so(stub: Any, client: Client) -> None:
    for call, request in ((stub.Derive, pb.DeriveRequest()), (stub.Explain, pb.ExplainRequest())):
        with pytest.raises(grpc.RpcError) as caught:
            call(request)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "not served yet" in str(caught.value.details())
    for action in (
        graph_pb2.Hook(value="z", graph=tutorial()),
        graph_pb2.Hook(value="z", client=graph_pb2.ClientHook(hook_id=1)),
    ):
        with pytest.raises(NotServed, match="hooks are not served yet"):
            client.differentiate(tutorial(), hooks=[action])


# bad input: a clear error, and a server that goes on


def broken(**change: Any) -> pb.DifferentiateRequest:
    request = pb.DifferentiateRequest(graph=vector())
    for name, value in change.items():
        getattr(request, name).MergeFrom(value)
    return request


def changed(graph: graph_pb2.Graph) -> pb.DifferentiateRequest:
    return pb.DifferentiateRequest(graph=graph)


def graph_with(**parts: Any) -> pb.DifferentiateRequest:
    graph = vector()
    for name, value in parts.items():
        getattr(graph, name).extend(value)
    return changed(graph)


def renamed_leaf(**fields: Any) -> pb.DifferentiateRequest:
    graph = vector()
    for name, value in fields.items():
        if name in ("spec", "value"):
            getattr(graph.leaves[0], name).CopyFrom(value)
        else:
            setattr(graph.leaves[0], name, value)
    return changed(graph)


def short_bytes() -> pb.DifferentiateRequest:
    request = changed(vector())
    request.graph.leaves[0].value.data = b"123"
    return request


def overflowing() -> pb.DifferentiateRequest:
    request = changed(vector())
    del request.graph.leaves[0].value.spec.shape[:]
    request.graph.leaves[0].value.spec.shape.extend([1 << 40, 1 << 40])
    return request


BAD = {
    "unknown op": (graph_with(nodes=[node("sinn", "v", "q")]), "graph.nodes[3].op", "OP_UNKNOWN"),
    "cyclic names": (graph_with(nodes=[node("add", "v r", "q"), node("sin", "q", "r")]), "graph.nodes[3].inputs", "CYCLE"),
    "dangling name": (graph_with(nodes=[node("sin", "w", "q")]), "graph.nodes[3].inputs[0]", "VALUE_UNKNOWN"),
    "dangling output": (graph_with(outputs=["w"]), "graph.outputs[1]", "VALUE_UNKNOWN"),
    "duplicate name": (graph_with(nodes=[node("sin", "v", "t")]), "graph.nodes[3].outputs[0]", "NAME_DUPLICATE"),
    "wrong arity": (graph_with(nodes=[node("sin", "v v", "q")]), "graph.nodes[3].inputs", "ARITY"),
    "shape mismatch": (
        graph_with(leaves=[leaf("u", [1.0, 2.0])], nodes=[node("add", "v u", "q")]),
        "graph.nodes[3]",
        "INFERENCE",
    ),
    "unknown attribute": (
        graph_with(nodes=[node("sin", "v", "q", axis=graph_pb2.Attribute(int_value=1))]),
        "graph.nodes[3]",
        "INFERENCE",
    ),
    "integer leaf": (
        graph_with(leaves=[leaf("i", np.array([1, 2]))]),
        "graph.leaves[1].requires_grad",
        "REQUIRES_GRAD_DTYPE",
    ),
    "complex leaf": (graph_with(leaves=[leaf("c", 1j)]), "graph.leaves[1].requires_grad", "REQUIRES_GRAD_DTYPE"),
    "no seed": (graph_with(outputs=["p"]), "graph.outputs[1]", "SEED_MISSING"),
    "seed of another shape": (
        broken(seeds=[pb.Seed(output="s", cotangent=encode_tensor(np.ones(1)))]),
        "seeds[0].cotangent",
        "SEED_SHAPE",
    ),
    "seed of no output": (
        broken(seeds=[pb.Seed(output="t", cotangent=encode_tensor(np.ones(3)))]),
        "seeds[0].output",
        "VALUE_UNKNOWN",
    ),
    "bytes of another length": (short_bytes(), "graph.leaves[0].value.data", "TENSOR_LENGTH"),
    "shape that overflows": (overflowing(), "graph.leaves[0].value.spec.shape", "SHAPE_INVALID"),
    "value of another shape": (
        broken(values=[tensor_pb2.NamedTensor(name="v", value=encode_tensor(np.ones(2)))]),
        "values[0].value",
        "VALUE_SPEC",
    ),
    "value of no leaf": (
        broken(values=[tensor_pb2.NamedTensor(name="w", value=encode_tensor(np.ones(2)))]),
        "values[0].name",
        "VALUE_UNKNOWN",
    ),
    "gradient of no value": (broken(gradients=["vv"]), "gradients[0]", "VALUE_UNKNOWN"),
    "hook on no value": (broken(hooks=[hook("w", "zero")]), "hooks[0].value", "VALUE_UNKNOWN"),
    "no such hook": (broken(hooks=[hook("v", "scales")]), "hooks[0].named.name", "HOOK_UNKNOWN"),
    "hook without its attribute": (broken(hooks=[hook("v", "scale")]), "hooks[0].named.attributes", "HOOK_ATTRIBUTE"),
    "a name that is too long": (
        graph_with(nodes=[node("sin", "v", "n" * 300)]),
        "graph.nodes[3].outputs[0]",
        "NAME_LENGTH",
    ),
    "no output": (
        pb.DifferentiateRequest(graph=graph_pb2.Graph(leaves=[leaf("v", 1.0)])),
        "graph.outputs",
        "OUTPUT_MISSING",
    ),
    "no value": (
        renamed_leaf(name="v2"),
        "graph.nodes[0].inputs[0]",
        "VALUE_UNKNOWN",
    ),
    "nothing requires grad": (renamed_leaf(requires_grad=False), "graph.leaves", "NOTHING_TO_DIFFERENTIATE"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_told_by_path_and_the_server_goes_on(client: Client, name: str) -> None:
    request, path, reason = BAD[name]
    with pytest.raises(InvalidRequest) as caught:
        client.send(request)
    assert (path, reason) in {(fault.path, fault.reason) for fault in caught.value.faults}, caught.value.faults
    assert path in str(caught.value)
    assert client.send(changed(vector())).verdicts["v"].summary != "wrong"


def test_all_faults_are_told_at_once(client: Client) -> None:
    graph = vector()
    graph.nodes[0].op = "sinn"
    graph.nodes.extend([node("add", "v", "q"), node("sin", "w", "r")])
    graph.leaves.append(leaf("i", np.array([1])))
    with pytest.raises(InvalidRequest) as caught:
        client.send(changed(graph))
    assert {fault.reason for fault in caught.value.faults} == {
        "OP_UNKNOWN",
        "ARITY",
        "VALUE_UNKNOWN",
        "REQUIRES_GRAD_DTYPE",
    }


def test_a_status_with_thousands_of_faults_still_arrives(stub: Any) -> None:
    graph = vector()
    graph.nodes.extend(node("sinn", "v", f"q{k}") for k in range(5000))
    with pytest.raises(grpc.RpcError) as caught:
        stub.Differentiate(changed(graph))
    status = rpc_status.from_call(caught.value)
    assert status is not None
    assert status.ByteSize() < 6000
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(bad)
    assert info.metadata["faults"] == "5000"
    assert 5 <= len(bad.field_violations) <= 20


@pytest.mark.parametrize(
    ("op", "shape", "reason", "text"),
    [
        ("odd.raising", (2,), "FORWARD_FAULT", "LookupError: the forward gave up"),
        ("odd.shrinking", (2,), "FORWARD_FAULT", "float64[2] was inferred"),
        ("odd.crooked", (1, 2, 2), "RULE_FAULT", "returned a cotangent of shape ()"),
    ],
)
def test_a_plugin_at_fault_is_named_and_never_unknown(
    client: Client, op: str, shape: tuple[int, ...], reason: str, text: str
) -> None:
    graph = graph_pb2.Graph(
        leaves=[leaf("v", np.ones(shape))],
        nodes=[node("sin", "v", "s"), node(op, "s", "q"), node("sum", "q", "t")],
        outputs=["t"],
    )
    with pytest.raises(RunError, match="odd") as caught:
        client.send(changed(graph))
    assert caught.value.reason == reason
    assert (caught.value.node, caught.value.op, caught.value.plugin) == (1, op, "misbehaving")
    assert text in str(caught.value)
    assert client.send(changed(vector())).gradients


def test_a_fault_during_the_run_is_an_event_before_it_is_a_status(stub: Any) -> None:
    graph = graph_pb2.Graph(leaves=[leaf("v", 1.0)], nodes=[node("odd.raising", "v", "q")], outputs=["q"])
    events: list[pb.Event] = []
    responses = stub.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=changed(graph)))
    with pytest.raises(grpc.RpcError) as caught:
        events.extend(response.event for response in responses)
    assert [event.WhichOneof("kind") for event in events] == ["accepted", "fault"]
    assert (events[1].fault.node, events[1].fault.op, events[1].fault.reason) == (0, "odd.raising", "FORWARD_FAULT")
    assert caught.value.code() is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("odd_shape", "hook 'odd_shape' has changed the size of value 'v'"),
        ("odd_type", "hook 'odd_type' has changed the type of value 'v' (was float64 got float32)"),
        ("odd_nagging", "RuntimeError: no gradients on Mondays"),
    ],
)
def test_a_hook_at_fault_is_named(client: Client, name: str, text: str) -> None:
    with pytest.raises(RunError) as caught:
        client.differentiate(vector(), hooks=[hook("v", name)])
    assert caught.value.reason == "HOOK_FAULT"
    assert text in str(caught.value)


def test_limits_are_named(client: Client) -> None:
    graph = vector()
    graph.nodes.extend(node("sin", "v", f"q{k}") for k in range(LIMITS.graph_nodes))
    with pytest.raises(ResourceExhausted, match="graph_nodes is 20003, and the limit is 20000") as caught:
        client.send(changed(graph))
    assert caught.value.metadata["limit"] == "graph_nodes"
    wide = graph_pb2.Attribute(ints=graph_pb2.IntList(values=[1 << 30]))
    graph = graph_pb2.Graph(leaves=[leaf("v", 1.0)], nodes=[node("broadcast_to", "v", "w", shape=wide)], outputs=["w"])
    with pytest.raises(ResourceExhausted, match="estimated_bytes"):
        client.evaluate(graph)
    request = changed(vector())
    request.verify.budget_ms = LIMITS.verify_budget_ms + 1
    with pytest.raises(ResourceExhausted, match="verify_budget_ms"):
        client.send(request)


def test_an_unknown_digest_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match="send the graph itself") as caught:
        client.send(pb.DifferentiateRequest(digest="f" * 64))
    assert caught.value.reason == "GRAPH_NOT_FOUND"


def test_what_nobody_foresaw_is_an_incident_not_a_leak(
    running: Served, stub: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(running.host.handler, "_prepare", fail)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Differentiate(changed(vector()))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "incident" in str(caught.value.details())
    assert "secret" not in str(caught.value.details())


# beside the contract


def test_health_and_reflection(running: Served, channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "gradproof.v1.AutodiffService", "gradproof.v1.OpService"):
        status = health.Check(health_pb2.HealthCheckRequest(service=service)).status
        assert status == health_pb2.HealthCheckResponse.SERVING


def grpcurl(running: Served, *arguments: str, data: Any = None) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("grpcurl")
    body = ["-d", "@"] if data is not None else []
    return subprocess.run(
        [program, "-plaintext", *body, running.target, *arguments],
        input=json.dumps(data) if data is not None else None,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_grpcurl_lists_the_services_by_reflection(running: Served) -> None:
    listed = grpcurl(running, "list").stdout.split()
    assert {"gradproof.v1.AutodiffService", "gradproof.v1.OpService", "grpc.health.v1.Health"} <= set(listed)


JSON_GRAPH = {
    "leaves": [
        {
            "name": "x",
            "requiresGrad": True,
            "value": {"spec": {"dtype": "DATA_TYPE_FLOAT64", "shape": [2]}, "numbers": {"values": [1, 3]}},
        }
    ],
    "nodes": [
        {"op": "square", "inputs": ["x"], "outputs": ["y"]},
        {"op": "sum", "inputs": ["y"], "outputs": ["s"], "attributes": {"axis": {"intValue": 0}}},
    ],
    "outputs": ["s"],
}


def test_grpcurl_runs_a_stream_from_json(running: Served) -> None:
    call = grpcurl(running, "gradproof.v1.AutodiffService/StreamingDifferentiate", data={"request": {"graph": JSON_GRAPH}})
    assert call.returncode == 0, call.stderr
    assert '"value": "x"' in call.stdout
    assert "SUMMARY_WORD_VERIFIED" in call.stdout
    assert "RULE_WORD_PROVED" in call.stdout


def test_grpcurl_shows_the_paths_of_three_faults(running: Served) -> None:
    graph = json.loads(json.dumps(JSON_GRAPH))
    graph["nodes"][0]["op"] = "sqare"
    graph["nodes"][1]["inputs"] = ["nothing"]
    graph["outputs"] = ["s", "t"]
    call = grpcurl(running, "gradproof.v1.AutodiffService/StreamingDifferentiate", data={"request": {"graph": graph}})
    assert call.returncode != 0
    for path in ("graph.nodes[0].op", "graph.nodes[1].inputs[0]", "graph.outputs[1]"):
        assert path in call.stderr
    assert "InvalidArgument" in call.stderr
