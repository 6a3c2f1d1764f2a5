"""The server, as a client of the protocol sees it: every call, every fault, every limit."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from tests.support.server_fixture import Served, leaf, node, request, serving

from gradproof.client import GraphBuilder
from gradproof.client.decoding import EventDecoder
from gradproof.client.events import Gradient
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, op_service_pb2, tensor_pb2
from gradproof.wire import decode_attributes, decode_tensor, encode_tensor

SERVICES = ["gradproof.v1.AutodiffService", "gradproof.v1.OpService"]
EVERYTHING = pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=60.0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    plugins = ["tests.support.faulty_plugin", "gradproof.server.demo_faulty_op"]
    with serving(tmp_path_factory.mktemp("proofs"), plugin=plugins) as one:
        yield one


@pytest.fixture(autouse=True)
def still_serving(served: Served) -> Iterator[None]:
    """Whatever a test did to the server: it answers the next request rightly."""
    yield
    assert gradient(served.autodiff.Differentiate(product()), "x") == 4.0


def product(**rest: Any) -> pb.DifferentiateRequest:
    """y = a·x at x = 3, a = 4."""
    return request([leaf("x", np.float64(3)), leaf("a", np.float64(4))], [node("multiply", "a x", "y")], "y", **rest)


def chain(**rest: Any) -> pb.DifferentiateRequest:
    """Three layers on a matrix, with values whose gradients take rounding."""
    rng = np.random.default_rng(7)
    leaves = [leaf("x", rng.normal(size=(5, 4))), leaf("w", rng.normal(size=(4, 3)))]
    nodes = [
        node("matmul", "x w", "h"),
        node("tanh", "h", "t"),
        node("log_softmax", "t", "s", attributes={"axis": graph_pb2.Attribute(int_value=1)}),
        node("sum", "s", "loss"),
    ]
    return request(leaves, nodes, "loss", **rest)


def gradient(response: pb.DifferentiateResponse, name: str) -> Any:
    return next(decode_tensor(one.gradient) for one in response.gradients if one.value == name)


def events(served: Served, message: pb.DifferentiateRequest) -> list[pb.Event]:
    whole = pb.StreamingDifferentiateRequest(request=message)
    return [event for response in served.autodiff.StreamingDifferentiate(whole) for event in response.events]


def streamed(found: list[pb.Event]) -> dict[str, bytes]:
    decoder = EventDecoder()
    decoded = [one for event in found for one in decoder.decode(event)]
    return {g.value: g.gradient.tobytes() for g in decoded if isinstance(g, Gradient) and g.gradient is not None}


def finished(answer: Any) -> None:
    """Read an answer to its end."""
    if hasattr(answer, "__next__"):
        list(answer)


def refused(call: Any, message: Any) -> tuple[grpc.StatusCode, str, dict[str, Any]]:
    """Code, message and details by kind of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        finished(call(message))
    error: Any = caught.value
    details: dict[str, Any] = {}
    status = rpc_status.from_call(error)
    assert status is not None
    for packed in status.details:
        kind = packed.TypeName().rpartition(".")[2]
        details[kind] = getattr(error_details_pb2, kind)()
        packed.Unpack(details[kind])
    assert details["ErrorInfo"].domain == "gradproof"
    return error.code(), error.details(), details


def violations(served: Served, message: pb.DifferentiateRequest) -> dict[str, tuple[str, str]]:
    """Path -> (reason, description) of a request at fault."""
    code, _, details = refused(served.autodiff.Differentiate, message)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    bad = details["BadRequest"].field_violations
    assert int(details["ErrorInfo"].metadata["faults"]) >= len(bad)
    return {one.field: (one.reason, one.description) for one in bad}


class TestCalls:
    @pytest.mark.slow
    def test_evaluate(self, served: Served) -> None:
        graph = product().input.graph
        response = served.autodiff.Evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
        assert [(v.name, float(decode_tensor(v.value))) for v in response.values] == [("y", 12.0)]
        again = pb.EvaluateRequest(input=pb.RunInput(digest=response.accepted.digest, fetch=["a", "y"]))
        again.input.values.extend(tensor_pb2.NamedTensor(name=n, value=encode_tensor(np.float64(2))) for n in "ax")
        assert [decode_tensor(v.value) for v in served.autodiff.Evaluate(again).values] == [2.0, 4.0]

    def test_differentiate(self, served: Served) -> None:
        response = served.autodiff.Differentiate(product(fetch=["y"], request_id="r", verify=EVERYTHING, retain=["y"]))
        assert (response.accepted.request_id, response.accepted.node_count) == ("r", 1)
        assert len(response.accepted.digest) == 64
        assert [decode_tensor(v.value) for v in response.values] == [12.0]
        assert {g.value: decode_tensor(g.gradient)[()] for g in response.gradients} == {"y": 1.0, "x": 4.0, "a": 3.0}
        assert {g.value: g.grad_fn for g in response.gradients} == {"y": "MulBackward0", "x": "", "a": ""}
        assert {v.value for v in response.verdicts} == {"y", "x", "a"}
        assert response.summary.verified == 3
        assert response.summary.elements_checked == response.summary.elements_total > 0

    def test_infer_reports_every_spec_and_every_fault_and_runs_nothing(self, served: Served) -> None:
        graph = product().input.graph
        found = served.autodiff.Infer(pb.InferRequest(graph=graph))
        assert {v.name for v in found.specs} == {"x", "a", "y"}
        assert not found.violations
        evaluated = served.autodiff.Evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=graph, request_id="e")))
        assert found.digest == evaluated.accepted.digest
        assert evaluated.accepted.request_id == "e"
        assert evaluated.accepted.node_count == evaluated.summary.nodes_computed == len(graph.nodes)
        assert evaluated.accepted.estimated_bytes == found.evaluate_bytes
        graph.nodes.append(node("faulty.explode", "y", "z"))
        graph.nodes.append(node("sine", "y", "s"))
        found = served.autodiff.Infer(pb.InferRequest(graph=graph))
        assert {v.name for v in found.specs} == {"x", "a", "y", "z"}
        assert [(f.field, f.reason) for f in found.violations] == [("graph.nodes[2].op", "OP_UNKNOWN")]
        assert not found.digest

    def test_server_info(self, served: Served) -> None:
        info = served.autodiff.GetServerInfo(pb.GetServerInfoRequest())
        assert info.versions["numpy"] == np.__version__
        assert info.versions["plugin_api"] == "1"
        assert info.limits["message_bytes"] == 4 << 20
        assert dict(info.limits) == Limits().table()
        plugins = {one.name: one for one in info.plugins}
        assert "faulty.explode" in plugins["faulty"].ops
        assert "faulty.grow" in plugins["faulty"].hooks
        assert list(plugins["planted"].ops) == ["planted.cube"]
        assert not info.refused
        hooks = {one.name: {a.name: a for a in one.attributes} for one in info.hooks}
        assert list(hooks["scale"]) == ["factor"]
        assert not hooks["scale"]["factor"].HasField("default_value")
        assert hooks["clip"]["max_norm"].default_value.none
        assert hooks["round"]["decimals"].default_value.int_value == 0
        assert set(hooks) >= {"scale", "clip", "zero", "round", "record"}

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [1, 7, 0, 1000])
    def test_list_ops_in_pages(self, served: Served, size: int) -> None:
        names: list[str] = []
        token = ""
        while token or not names:
            page = served.ops.ListOps(op_service_pb2.ListOpsRequest(page_size=size, page_token=token))
            assert 1 <= len(page.ops) <= (size or 100)
            names += [op.name for op in page.ops]
            token = page.next_page_token
        assert names == list(served.host.registry.ops)

    def test_list_ops_with_a_strange_token(self, served: Served) -> None:
        code, text, details = refused(served.ops.ListOps, op_service_pb2.ListOpsRequest(page_token="nowhere"))
        assert code is grpc.StatusCode.NOT_FOUND
        assert details["ErrorInfo"].reason == "PAGE_NOT_FOUND"
        assert "start again" in text

    def test_get_op(self, served: Served) -> None:
        found = served.ops.GetOp(op_service_pb2.GetOpRequest(name="sum"))
        assert found.op.name == "sum"
        assert found.op.grad_fn == "SumBackward0"
        defaults = {attribute.name: attribute.default_value for attribute in found.op.attributes}
        assert decode_attributes(defaults) == {"axis": None, "keepdims": False, "dtype": None}
        (shape,) = served.ops.GetOp(op_service_pb2.GetOpRequest(name="broadcast_to")).op.attributes
        assert (shape.name, shape.HasField("default_value")) == ("shape", False)
        assert found.op.differentiable
        assert not found.op.elementwise
        assert found.cases
        assert all(case.shape_class and case.rule_text for case in found.cases)
        code, text, details = refused(served.ops.GetOp, op_service_pb2.GetOpRequest(name="sine"))
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.NOT_FOUND, "OP_NOT_FOUND")
        assert "'sine'" in text

    def test_verify_op(self, served: Served) -> None:
        steps = list(served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="planted.cube")))
        assert [step.cases_done for step in steps] == list(range(1, len(steps) + 1))
        assert {step.cases_total for step in steps} == {len(steps)}
        for step in steps:
            name = "RULE_WORD_REFUTED"
            assert json_format.MessageToDict(step.verdict)["word"] == name
            assert step.verdict.witness.point
            assert step.verdict.witness.got != step.verdict.witness.expected
        again = list(served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="planted.cube", refresh=True)))
        assert len(again) == len(steps)
        assert list(served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="maximum")))
        assert not list(served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="less")))
        assert refused(served.ops.VerifyOp, op_service_pb2.VerifyOpRequest(name="?"))[0] is grpc.StatusCode.NOT_FOUND

    def test_health(self, served: Served) -> None:
        stub = health_pb2_grpc.HealthStub(served.channel)
        for name in ("", *SERVICES):
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def test_reflection(self, served: Served) -> None:
        stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([asked]))
        assert {one.name for one in answer.list_services_response.service} >= {*SERVICES, "grpc.health.v1.Health"}


class TestRuns:
    def test_one_message_a_stream_and_a_session_give_the_same_bits(self, served: Served) -> None:
        one = served.autodiff.Differentiate(chain())
        bits = {g.value: decode_tensor(g.gradient).tobytes() for g in one.gradients}
        assert set(bits) == {"x", "w"}
        assert streamed(events(served, chain())) == bits
        frames = iter([pb.SessionRequest(differentiate=chain())])
        assert streamed([event for response in served.autodiff.Session(frames) for event in response.events]) == bits

    @pytest.mark.slow
    def test_what_is_checked_does_not_change_a_bit(self, served: Served) -> None:
        found = []
        for level in (pb.VERIFY_LEVEL_OFF, pb.VERIFY_LEVEL_CACHED, pb.VERIFY_LEVEL_VALUES, pb.VERIFY_LEVEL_EVERYTHING):
            response = served.autodiff.Differentiate(chain(verify=pb.VerifyOptions(level=level, budget_seconds=60.0)))
            found.append({g.value: g.gradient.data for g in response.gradients})
            assert {v.value for v in response.verdicts} == (set() if level == pb.VERIFY_LEVEL_OFF else {"x", "w"})
        assert found[0] == found[1] == found[2] == found[3]
        assert response.summary.wrong == 0
        assert response.summary.verified == 2, [v.reason for v in response.verdicts]

    def test_events_come_in_order(self, served: Served) -> None:
        found = events(served, chain(verify=EVERYTHING, fetch=["loss"], retain=["h"], request_id="mine"))
        kinds = [event.WhichOneof("kind") for event in found]
        assert [event.sequence for event in found] == list(range(len(found)))
        assert (kinds[0], kinds[-1]) == ("accepted", "summary")
        assert found[0].accepted.request_id == "mine"
        assert kinds.index("values") < kinds.index("gradients") < kinds.index("verdicts")
        sent: set[str] = set()
        judged: list[str] = []
        for event in found:
            sent |= {g.value for g in event.gradients.gradients}
            for verdict in event.verdicts.verdicts:
                assert verdict.value in sent
                judged.append(verdict.value)
        assert sorted(judged) == sorted(sent) == ["h", "w", "x"]

    def test_a_graph_is_named_by_its_digest_afterwards(self, served: Served) -> None:
        first = served.autodiff.Differentiate(product())
        values = [tensor_pb2.NamedTensor(name=n, value=encode_tensor(np.float64(v))) for n, v in (("x", 1), ("a", 7))]
        again = pb.DifferentiateRequest(input=pb.RunInput(digest=first.accepted.digest, values=values))
        assert gradient(served.autodiff.Differentiate(again), "x") == 7.0
        del again.input.values[1]
        assert violations(served, again) == {"input.graph.leaves[1].value": ("VALUE_MISSING", "leaf 'a' has no value")}
        again.input.digest = "0" * 64
        code, text, details = refused(served.autodiff.Differentiate, again)
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.NOT_FOUND, "GRAPH_NOT_FOUND")
        assert "send the graph itself" in text

    def test_hooks_and_raw_gradients(self, served: Served) -> None:
        factor = {"factor": graph_pb2.Attribute(double_value=2.0)}
        scale = graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="scale", attributes=factor))
        record = graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="record"))
        response = served.autodiff.Differentiate(product(hooks=[scale, record], retain=["y"], verify=EVERYTHING))
        y = next(g for g in response.gradients if g.value == "y")
        assert [float(decode_tensor(t)) for t in (y.raw, y.gradient)] == [1.0, 2.0]
        assert [(trace.label, trace.changed) for trace in y.hook_traces] == [("scale", True), ("record", False)]
        assert gradient(response, "x") == 8.0
        assert {v.value: list(v.hooked_by) for v in response.verdicts}["x"] == ["y"]

    def test_no_gradient_is_not_zeros(self, served: Served) -> None:
        message = request([leaf("x", np.float64(3)), leaf("b", np.ones(2))], [node("square", "x", "y")], "y")
        found = {g.value: g.HasField("gradient") for g in served.autodiff.Differentiate(message).gradients}
        assert found == {"x": True, "b": False}

    def test_a_large_gradient_arrives_in_chunks_and_not_in_one_message(self, served: Served) -> None:
        graph = GraphBuilder()
        big = graph.apply("broadcast_to", graph.leaf("x", 2.0, requires_grad=True), shape=(600_000,), name="big")
        graph.output(graph.apply("sum", graph.apply("square", big)))
        message = pb.DifferentiateRequest(input=pb.RunInput(graph=graph.to_proto()), retain=["big"])
        message.verify.level = pb.VERIFY_LEVEL_OFF
        found = events(served, message)
        kinds = [event.WhichOneof("kind") for event in found]
        assert kinds.count("header") == 1
        assert kinds.count("chunk") == 5
        assert max(event.ByteSize() for event in found) < 2 << 20
        assert [event.sequence for event in found] == list(range(len(found)))
        assert streamed(found)["big"] == np.full(600_000, 4.0).tobytes()
        code, _, details = refused(served.autodiff.Differentiate, message)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert details["ErrorInfo"].metadata["limit"] == "message_bytes"

    def test_many_clients_at_once(self, served: Served) -> None:
        start = threading.Barrier(8)

        def work(n: int) -> bool:
            start.wait(30)
            right = True
            for k in range(5):
                x = float(100 * n + k)
                g = GraphBuilder()
                v = g.leaf(f"v{n}", x, requires_grad=True)
                g.output(v * v * v)
                result = served.client.differentiate(g, verify="off")
                right = right and result.gradients[f"v{n}"].gradient == 3 * x * x
            return right

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(work, range(8)))


def without_values(spec: tensor_pb2.TensorSpec) -> graph_pb2.Leaf:
    return graph_pb2.Leaf(name="x", spec=spec, requires_grad=True)


X = leaf("x", np.float64(3))
V = leaf("v", np.ones(3))
SHORT = graph_pb2.Leaf(name="x", value=encode_tensor(np.ones(2)), requires_grad=True)
SHORT.value.data = SHORT.value.data[:-1]
HUGE = graph_pb2.Leaf(name="x", value=encode_tensor(np.ones(2)), requires_grad=True)
HUGE.value.spec.shape[:] = [2**62, 4]
SEED = pb.Seed(output="y", cotangent=encode_tensor(np.ones(2)))
SQUARE = node("square", "x", "y")

FAULTS: dict[str, tuple[pb.DifferentiateRequest, str, str, str]] = {
    "unknown op": (
        request([X], [node("squaer", "x", "y")], "y"),
        "input.graph.nodes[0].op",
        "OP_UNKNOWN",
        "did you mean 'square'",
    ),
    "cycle": (
        request([X], [node("add", "x b", "a"), node("exp", "a", "b")], "b"),
        "input.graph.nodes[0].inputs",
        "CYCLE",
        "through or before 'a', 'b'",
    ),
    "dangling input": (
        request([X], [node("add", "x z", "y")], "y"),
        "input.graph.nodes[0].inputs[1]",
        "VALUE_UNKNOWN",
        "'z'",
    ),
    "dangling output": (request([X], [SQUARE], "q"), "input.graph.outputs[0]", "VALUE_UNKNOWN", "'q'"),
    "duplicate leaf": (request([X, X], [SQUARE], "y"), "input.graph.leaves[1].name", "NAME_DUPLICATE", "leaves[0].name"),
    "duplicate node": (request([X], [SQUARE, SQUARE], "y"), "input.graph.nodes[1].outputs[0]", "NAME_DUPLICATE", "'y'"),
    "nameless": (request([X, leaf("", 1.0)], [SQUARE], "y"), "input.graph.leaves[1].name", "NAME_EMPTY", "needs a name"),
    "long name": (
        request([X, leaf("n" * 257, 1.0)], [SQUARE], "y"),
        "input.graph.leaves[1].name",
        "NAME_LENGTH",
        "256 bytes",
    ),
    "too few inputs": (
        request([X], [node("add", "x", "y")], "y"),
        "input.graph.nodes[0].inputs",
        "ARITY",
        "takes 2 inputs",
    ),
    "too many inputs": (
        request([X], [node("exp", "x x", "y")], "y"),
        "input.graph.nodes[0].inputs",
        "ARITY",
        "takes 1 input ",
    ),
    "no outputs named": (
        request([X], [node("exp", "x", "")], "x"),
        "input.graph.nodes[0].outputs",
        "ARITY",
        "1 outputs, 0 named",
    ),
    "shapes": (
        request([V, leaf("w", np.ones(2))], [node("add", "v w", "y")], "y"),
        "input.graph.nodes[0]",
        "INFERENCE",
        "do not broadcast",
    ),
    "attribute": (
        request([V], [node("sum", "v", "y", attributes={"axes": graph_pb2.Attribute(int_value=0)})], "y"),
        "input.graph.nodes[0]",
        "INFERENCE",
        "no attribute 'axes'",
    ),
    "integer requires grad": (
        request([leaf("x", np.int64(3))], [SQUARE], "y"),
        "input.graph.leaves[0].requires_grad",
        "REQUIRES_GRAD_DTYPE",
        "only tensors of floating point and complex dtype can require gradients",
    ),
    "no seed": (
        request([V], [node("exp", "v", "y")], "y"),
        "input.graph.outputs[0]",
        "SEED_MISSING",
        "grad can be implicitly created only for scalar outputs",
    ),
    "seed shape": (request([V], [node("exp", "v", "y")], "y", seeds=[SEED]), "seeds[0].cotangent", "SEED_SHAPE", "(2,)"),
    "seed elsewhere": (
        request([X], [SQUARE], "y", seeds=[pb.Seed(output="x", cotangent=encode_tensor(1.0))]),
        "seeds[0].output",
        "VALUE_UNKNOWN",
        "no output is named 'x'",
    ),
    "two seeds": (
        request([V], [node("exp", "v", "y")], "y", seeds=[pb.Seed(output="y", cotangent=V.value)] * 2),
        "seeds[1].output",
        "NAME_DUPLICATE",
        "two seeds",
    ),
    "short bytes": (
        request([SHORT], [SQUARE], "y"),
        "input.graph.leaves[0].value.data",
        "TENSOR_LENGTH",
        "15 bytes for float64[2], which has 16",
    ),
    "huge shape": (request([HUGE], [SQUARE], "y"), "input.graph.leaves[0].value.spec.shape", "SHAPE_INVALID", "overflows"),
    "no dtype": (
        request([graph_pb2.Leaf(name="x")], [SQUARE], "y"),
        "input.graph.leaves[0].spec.dtype",
        "DTYPE",
        "not a dtype",
    ),
    "no value": (
        request([without_values(X.spec)], [SQUARE], "y"),
        "input.graph.leaves[0].value",
        "VALUE_MISSING",
        "'x' has no value",
    ),
    "value for nobody": (
        request([X], [SQUARE], "y", values=[tensor_pb2.NamedTensor(name="z", value=X.value)]),
        "input.values[0].name",
        "VALUE_UNKNOWN",
        "no leaf is named 'z'",
    ),
    "value of another shape": (
        request([X], [SQUARE], "y", values=[tensor_pb2.NamedTensor(name="x", value=V.value)]),
        "input.values[0].value",
        "VALUE_SPEC",
        "leaf 'x' is",
    ),
    "upload outside a session": (
        request(
            [X], [SQUARE], "y", values=[tensor_pb2.NamedTensor(name="x", value=tensor_pb2.Tensor(spec=X.spec, tensor_id=1))]
        ),
        "input.values[0].value.tensor_id",
        "TENSOR_ID_UNKNOWN",
        "in chunks as 1",
    ),
    "unknown gradient": (request([X], [SQUARE], "y", gradients=["z"]), "gradients[0]", "VALUE_UNKNOWN", "'z'"),
    "unknown retain": (request([X], [SQUARE], "y", retain=["z"]), "retain[0]", "VALUE_UNKNOWN", "'z'"),
    "unknown fetch": (request([X], [SQUARE], "y", fetch=["z"]), "input.fetch[0]", "VALUE_UNKNOWN", "'z'"),
    "hook on nobody": (
        request([X], [SQUARE], "y", hooks=[graph_pb2.Hook(value="z", named=graph_pb2.NamedHook(name="zero"))]),
        "hooks[0].value",
        "VALUE_UNKNOWN",
        "'z'",
    ),
    "unknown hook": (
        request([X], [SQUARE], "y", hooks=[graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="zerro"))]),
        "hooks[0].named.name",
        "HOOK_UNKNOWN",
        "did you mean 'zero'",
    ),
    "hook without its attribute": (
        request([X], [SQUARE], "y", hooks=[graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="scale"))]),
        "hooks[0].named.attributes",
        "HOOK_ATTRIBUTE",
        "needs the attribute 'factor'",
    ),
    "nothing wanted": (
        request([leaf("x", np.float64(1), requires_grad=False)], [SQUARE], "y"),
        "input.graph.leaves",
        "NOTHING_TO_DIFFERENTIATE",
        "no leaf requires grad",
    ),
    "a budget before it began": (
        product(verify=pb.VerifyOptions(budget_seconds=-1.0)),
        "verify.budget_seconds",
        "VERIFY_BUDGET",
        "no time in seconds",
    ),
    "a budget that is no number": (
        product(verify=pb.VerifyOptions(budget_seconds=float("nan"))),
        "verify.budget_seconds",
        "VERIFY_BUDGET",
        "no time in seconds",
    ),
    "no such format": (product(tensor_format=9), "input.tensor_format", "TENSOR_FORMAT", "9 is none of"),
    "empty graph": (pb.DifferentiateRequest(), "input.graph.outputs", "OUTPUT_MISSING", "names no output"),
}


class TestFaults:
    @pytest.mark.parametrize("name", FAULTS)
    def test_a_fault_is_named_by_its_path_and_reason(self, served: Served, name: str) -> None:
        message, path, reason, text = FAULTS[name]
        found = violations(served, message)
        assert path in found, found
        assert found[path][0] == reason
        assert text in found[path][1]

    def test_three_faults_are_reported_at_once(self, served: Served) -> None:
        nodes = [node("sine", "x", "a"), node("add", "x", "b"), node("exp", "nobody", "y")]
        assert {path: reason for path, (reason, _) in violations(served, request([X], nodes, "y")).items()} == {
            "input.graph.nodes[0].op": "OP_UNKNOWN",
            "input.graph.nodes[1].inputs": "ARITY",
            "input.graph.nodes[2].inputs[0]": "VALUE_UNKNOWN",
        }

    def test_five_thousand_faults_fit_in_a_small_status(self, served: Served) -> None:
        nodes = [node("unheard_of" * 20, "x", f"y{k}") for k in range(5000)]
        code, text, details = refused(served.autodiff.Differentiate, request([X], nodes, "y0"))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert details["ErrorInfo"].metadata["faults"] == "5000"
        assert 1 <= len(details["BadRequest"].field_violations) <= 20
        assert sum(detail.ByteSize() for detail in details.values()) < 4096
        assert len(text) <= 900
        assert "5000 faults" in text

    def test_an_op_that_raises_is_named(self, served: Served) -> None:
        message = request([X], [SQUARE, node("faulty.explode", "y", "z")], "z")
        code, text, details = refused(served.autodiff.Differentiate, message)
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.INTERNAL, "FORWARD_FAULT")
        metadata = dict(details["ErrorInfo"].metadata)
        incident = metadata.pop("incident")
        assert metadata == {"node": "1", "op": "faulty.explode", "plugin": "faulty", "kind": "OSError"}
        place = "graph.nodes[1] (faulty.explode, plugin faulty)"
        assert text == f"{place}: forward raised OSError; the server's log has it as incident {incident}"
        stream = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message))
        assert next(stream).events[0].WhichOneof("kind") == "accepted"
        fault = next(stream).events[0].fault
        assert (fault.node, fault.op, fault.plugin, fault.reason) == (1, "faulty.explode", "faulty", "FORWARD_FAULT")
        with pytest.raises(grpc.RpcError, match=f"forward raised OSError; .* incident {fault.incident}"):
            next(stream)

    def test_an_op_that_returns_another_shape_than_it_infers(self, served: Served) -> None:
        code, text, details = refused(served.autodiff.Differentiate, request([V], [node("faulty.lie", "v", "y")], "y"))
        assert code is grpc.StatusCode.INVALID_ARGUMENT  # the seed first: nothing has run
        message = request([V], [node("faulty.lie", "v", "y"), node("sum", "y", "z")], "z")
        code, text, details = refused(served.autodiff.Differentiate, message)
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.INTERNAL, "FORWARD_FAULT")
        assert "returned float64[2]; float64[3] was inferred" in text

    def test_a_rule_of_the_wrong_shape_is_named(self, served: Served) -> None:
        message = request([leaf("x", np.ones(4))], [node("faulty.misshapen", "x", "y"), node("sum", "y", "z")], "z")
        code, _, details = refused(served.autodiff.Differentiate, message)
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.INTERNAL, "RULE_FAULT")
        assert details["ErrorInfo"].metadata == {"node": "0", "op": "faulty.misshapen", "plugin": "faulty"}
        message.input.graph.leaves[0].CopyFrom(leaf("x", np.ones(3)))
        assert gradient(served.autodiff.Differentiate(message), "x").tolist() == [1, 1, 1]

    @pytest.mark.parametrize(
        ("hook", "text", "code"),
        [
            ("faulty.grow", "has changed the size of value 'y'", grpc.StatusCode.FAILED_PRECONDITION),
            ("faulty.refuse", "raised ValueError; the server's log has it as", grpc.StatusCode.INTERNAL),
        ],
    )
    def test_a_hook_at_fault_is_named(self, served: Served, hook: str, text: str, code: grpc.StatusCode) -> None:
        named = graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name=hook))
        found, said, details = refused(served.autodiff.Differentiate, product(hooks=[named]))
        assert (found, details["ErrorInfo"].reason) == (code, "HOOK_FAULT")
        assert details["ErrorInfo"].metadata["value"] == "y"
        assert f"hook '{hook}'" in said
        assert text in said

    @pytest.mark.parametrize("call", ["Evaluate", "Infer"])
    def test_other_calls_report_the_same(self, served: Served, call: str) -> None:
        graph = request([X], [node("sine", "x", "y")], "y").input.graph
        if call == "Infer":
            (fault,) = served.autodiff.Infer(pb.InferRequest(graph=graph)).violations
            assert (fault.field, fault.reason) == ("graph.nodes[0].op", "OP_UNKNOWN")
        else:
            code, _, details = refused(served.autodiff.Evaluate, pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert details["BadRequest"].field_violations[0].field == "input.graph.nodes[0].op"


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(graph_nodes=3, hooks=1, tensor_elements=100, estimated_bytes=4000, verify_budget_seconds=1.0)
    with serving(tmp_path_factory.mktemp("tight"), limits=limits) as one:
        yield one


class TestLimits:
    def exceeded(self, served: Served, message: pb.DifferentiateRequest, name: str) -> None:
        code, text, details = refused(served.autodiff.Differentiate, message)
        assert (code, details["ErrorInfo"].reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
        metadata = details["ErrorInfo"].metadata
        assert metadata["limit"] == details["QuotaFailure"].violations[0].subject == name
        assert float(metadata["actual"]) > float(metadata["allowed"]) == served.host.settings.limits.table()[name]
        assert name in text

    @pytest.mark.slow
    def test_each_limit_is_named(self, tight: Served) -> None:
        zero = graph_pb2.Hook(value="y", named=graph_pb2.NamedHook(name="zero"))
        self.exceeded(tight, request([X], [node("exp", "x", f"y{k}") for k in range(4)], "y0"), "graph_nodes")
        self.exceeded(tight, product(hooks=[zero, zero]), "hooks")
        self.exceeded(tight, request([leaf("v", np.ones(101))], [node("sum", "v", "y")], "y"), "tensor_elements")
        self.exceeded(tight, product(verify=pb.VerifyOptions(budget_seconds=1.001)), "verify_budget_seconds")
        axis = {"shape": graph_pb2.Attribute(int_list=tensor_pb2.IntList(values=[1000]))}
        wide = [node("broadcast_to", "x", "b", attributes=axis), node("sum", "b", "y")]
        self.exceeded(tight, request([X], wide, "y"), "tensor_elements")
        long = leaf("v", np.ones(100))
        self.exceeded(
            tight,
            request([long], [node("exp", "v", "e"), node("exp", "e", "f"), node("sum", "f", "y")], "y"),
            "estimated_bytes",
        )
        assert gradient(tight.autodiff.Differentiate(product()), "x") == 4.0

    def test_a_message_above_any_limit_is_refused_by_grpc(self, served: Served) -> None:
        message = request([leaf("v", np.ones(1_200_000))], [node("sum", "v", "y")], "y")
        with pytest.raises(grpc.RpcError) as caught:
            served.autodiff.Differentiate(message)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


GRAPH: dict[str, Any] = {
    "leaves": [
        {
            "name": "x",
            "requiresGrad": True,
            "value": {"spec": {"dtype": "DATA_TYPE_FLOAT64", "shape": ["3"]}, "doubles": {"values": [1, 2, -0.5]}},
        }
    ],
    "nodes": [{"op": "square", "inputs": ["x"], "outputs": ["s"]}, {"op": "sum", "inputs": ["s"], "outputs": ["y"]}],
    "outputs": ["y"],
}


class TestGrpcurl:
    """A client that has nothing of ours: grpcurl, with the reflection service and JSON."""

    def call(self, served: Served, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).with_name("grpcurl")
        command = [str(program), "-plaintext", *(["-d", "@"] if given else []), served.target, *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)

    def test_list(self, served: Served) -> None:
        done = self.call(served, "list")
        assert done.returncode == 0, done.stderr
        assert set(done.stdout.split()) >= set(SERVICES)

    def test_describe(self, served: Served) -> None:
        done = self.call(served, "describe", "gradproof.v1.AutodiffService")
        assert "gradproof.v1.DifferentiateRequest" in done.stdout

    def test_streaming_differentiate_from_json(self, served: Served) -> None:
        given = json.dumps({"request": {"input": {"graph": GRAPH}, "verify": {"budgetSeconds": 60}}})
        done = self.call(served, "gradproof.v1.AutodiffService/StreamingDifferentiate", given=given)
        assert done.returncode == 0, done.stderr
        found: list[pb.Event] = []
        decoder, text = json.JSONDecoder(), done.stdout.strip()
        while text:
            one, end = decoder.raw_decode(text)
            found.extend(json_format.ParseDict(one, pb.StreamingDifferentiateResponse()).events)
            text = text[end:].strip()
        assert streamed(found) == {"x": np.array([2.0, 4.0, -1.0]).tobytes()}
        assert found[-1].summary.verified == 1

    def test_results_are_read_as_numbers(self, served: Served) -> None:
        flags = {"op": "greater", "inputs": ["x", "y"], "outputs": ["b"]}
        counts = {"op": "sum", "inputs": ["b"], "outputs": ["n"]}
        graph = {**GRAPH, "nodes": [*GRAPH["nodes"], flags, counts]}
        source = {"graph": graph, "fetch": ["s", "y", "b", "n"], "tensor_format": "TENSOR_FORMAT_NUMBERS"}
        given = json.dumps({"input": source, "verify": {"level": "VERIFY_LEVEL_OFF"}})
        done = self.call(served, "gradproof.v1.AutodiffService/Differentiate", given=given)
        assert done.returncode == 0, done.stderr
        response = json.loads(done.stdout)
        values = {value["name"]: value["value"] for value in response["values"]}
        assert values["s"]["doubles"] == {"values": [1, 4, 0.25]}
        assert values["y"]["doubles"] == {"values": [5.25]}
        assert values["b"]["bools"] == {"values": [False, False, False]}
        assert values["n"]["ints"] == {"values": ["0"]}
        assert response["gradients"][0]["gradient"]["doubles"] == {"values": [2, 4, -1]}

    def test_field_paths_are_printed(self, served: Served) -> None:
        graph = {**GRAPH, "outputs": ["nobody"]}
        graph["nodes"] = [{**GRAPH["nodes"][0], "op": "sqare"}, {**GRAPH["nodes"][1], "inputs": ["s", "s"]}]
        done = self.call(
            served, "gradproof.v1.AutodiffService/Differentiate", given=json.dumps({"input": {"graph": graph}})
        )
        assert done.returncode != 0
        assert "InvalidArgument" in done.stderr
        for path in ("input.graph.nodes[0].op", "input.graph.nodes[1].inputs", "input.graph.outputs[0]"):
            assert path in done.stderr
