"""The Python client: graphs as they are written, results as arrays, faults as exceptions."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support import faulty_plugin
from tests.support.server_fixture import Served

from gradproof.client import (
    Accepted,
    Client,
    DeadlineExceeded,
    FieldFault,
    Gradient,
    GraphBuilder,
    InternalError,
    InvalidRequest,
    NotFound,
    NotServed,
    ResourceExhausted,
    RunError,
    Summary,
    Unavailable,
    Value,
    Verdict,
    connect,
    hook,
)
from gradproof.client.events import REQUIRED
from gradproof.client.requests import INLINE_BYTES, translated
from gradproof.server.supervision.embedded import EmbeddedServer
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2
from gradproof.wire import WireError, decode_tensor


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


@pytest.fixture
def client(served: Served) -> Client:
    return served.client


@pytest.fixture
def sent(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that the server gets from here on, the newest last."""
    found: list[Any] = []
    prepare = served.host.handler._prepare

    def spy(request: Any, *rest: Any) -> Any:
        found.append(request)
        return prepare(request, *rest)

    monkeypatch.setattr(served.host.handler, "_prepare", spy)
    monkeypatch.setattr(served.host.handler, "recall", lambda _: None)
    return found


def square() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(x * x, "y")
    return g


def only(found: dict[str, Gradient], name: str) -> Any:
    return found[name].gradient


class TestGraphBuilder:
    def test_operators_are_ops(self, client: Client) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 3.0)
        y = g.leaf("y", 2.0)
        made = {
            "neg": -x,
            "add": x + y,
            "radd": 1 + x,
            "sub": x - y,
            "rsub": 1 - x,
            "mul": x * y,
            "rmul": 2 * x,
            "div": x / y,
            "rdiv": 1 / y,
            "pow": x**y,
        }
        for name, ref in made.items():
            g.output(ref, name)
        expected = dict(zip(made, (-3, 5, 4, 1, -2, 6, 6, 1.5, 0.5, 9)))
        assert {name: float(value) for name, value in client.evaluate(g).items()} == expected

    def test_matmul(self, client: Client) -> None:
        g = GraphBuilder()
        a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
        g.output(g.leaf("a", a) @ g.leaf("b", b), "c")
        assert client.evaluate(g)["c"].tolist() == (a @ b).tolist()

    def test_numbers_are_weak_and_arrays_are_not(self, client: Client) -> None:
        g = GraphBuilder()
        x = g.leaf("x", np.array([1, 2], "f4"))
        g.output(x * 2.0, "weak")
        g.output(x * np.float64(2.0), "strong")
        found = client.evaluate(g)
        assert {name: value.dtype.name for name, value in found.items()} == {"weak": "float32", "strong": "float64"}
        constants = [leaf for leaf in g.to_proto().leaves if leaf.name.startswith("constant")]
        assert [leaf.value.weak for leaf in constants] == [True, False]
        assert not any(leaf.requires_grad for leaf in constants)

    def test_names(self) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 1.0)
        assert [(x + x).name, (x + x).name, g.apply("add", x, x, name="mine").name] == ["add_0", "add_1", "mine"]
        assert g.apply("planted.cube", x).name == "cube_0"
        y = g.output(x * x, "product")
        z = y + 1
        assert y.name == "product"
        message = g.to_proto()
        assert list(message.outputs) == ["product"]
        assert [list(node.inputs) for node in message.nodes if z.name in node.outputs] == [["product", "constant_0"]]

    def test_names_at_fault(self) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 1.0)
        with pytest.raises(ValueError, match="the name 'x' is taken"):
            g.leaf("x", 2.0)
        with pytest.raises(ValueError, match="the name 'x' is taken"):
            g.apply("exp", x, name="x")
        with pytest.raises(ValueError, match="the name 'x' is taken"):
            g.output(-x, "x")
        with pytest.raises(ValueError, match="needs a name"):
            g.leaf("", 1.0)
        with pytest.raises(ValueError, match="'x' is a value of another graph"):
            GraphBuilder().apply("exp", x)

    def test_values_at_fault(self) -> None:
        g = GraphBuilder()
        with pytest.raises(WireError, match="cannot be sent"):
            g.leaf("x", "text")
        with pytest.raises(WireError, match="is not None, bool"):
            g.apply("sum", g.leaf("v", np.ones(2)), axis=object())

    def test_several_outputs(self, client: Client) -> None:
        g = GraphBuilder()
        parts = g.apply_multiple("split", g.leaf("v", np.arange(4.0)), names=["a", "b"], sections=2)
        for part in parts:
            g.output(part)
        assert {name: value.tolist() for name, value in client.evaluate(g).items()} == {"a": [0, 1], "b": [2, 3]}

    def test_a_message_is_a_copy(self) -> None:
        g = square()
        g.to_proto().ClearField("nodes")
        assert len(g.to_proto().nodes) == 1


class TestCalls:
    def test_differentiate(self, client: Client) -> None:
        result = client.differentiate(square(), fetch=["y"], budget=60.0)
        assert result.values["y"] == 9.0
        assert only(result.gradients, "x") == 6.0
        verdict = result.verdicts["x"]
        assert verdict.summary == "verified", verdict.reason
        assert {use.rule.word for use in verdict.uses} == {"PROVED"}
        assert {use.value.word for use in verdict.uses} == {"ENCLOSED"}
        assert (verdict.accumulation.word, verdict.accumulation.use_count) == ("EXACT", 2)
        assert result.summary is not None
        assert (result.summary.verified, result.summary.wrong) == (1, 0)

    def test_arrays_that_come_back_are_read_only(self, client: Client) -> None:
        gradient = only(client.differentiate(square(), verify="off").gradients, "x")
        assert not gradient.flags.writeable

    def test_stream(self, client: Client) -> None:
        kinds = [type(event) for event in client.stream(square(), fetch=["y"])]
        assert kinds == [Accepted, Value, Gradient, Verdict, Summary]

    def test_a_stream_may_be_left(self, client: Client) -> None:
        events = client.stream(square())
        assert isinstance(next(events), Accepted)
        events.close()  # type: ignore[attr-defined]
        assert only(client.differentiate(square(), verify="off").gradients, "x") == 6.0

    def test_values_beside_the_graph(self, client: Client) -> None:
        g = GraphBuilder()
        x = g.leaf("x", shape=(2,), dtype=np.float32, requires_grad=True)
        g.output(g.apply("sum", x * x))
        gradient = only(client.differentiate(g, {"x": np.array([1, 2], "f4")}, verify="off").gradients, "x")
        assert gradient.dtype == np.float32
        assert gradient.tolist() == [2, 4]
        assert only(client.differentiate(square(), {"x": 5.0}, verify="off").gradients, "x") == 10.0

    def test_seeds_retain_and_gradients(self, client: Client) -> None:
        g = GraphBuilder()
        v = g.leaf("v", np.arange(3.0), requires_grad=True)
        w = g.leaf("w", np.ones(3), requires_grad=True)
        h = g.apply("multiply", v, w, name="h")
        g.output(h * 2, "y")
        result = client.differentiate(g, seeds={"y": [1.0, 2.0, 3.0]}, retain=["h"], gradients=["v"], verify="off")
        assert {name: g.gradient.tolist() for name, g in result.gradients.items() if g.gradient is not None} == {
            "h": [2, 4, 6],
            "v": [2, 4, 6],
        }
        assert result.gradients["h"].grad_fn == "MulBackward0"

    def test_hooks(self, client: Client) -> None:
        g = square()
        hooks = [hook("y", "scale", factor=3.0), hook("y", "record")]
        result = client.differentiate(g, hooks=hooks, retain=["y"], budget=60.0)
        y = result.gradients["y"]
        assert y.raw == 1.0
        assert y.gradient == 3.0
        assert [(trace.label, float(trace.gradient), trace.changed) for trace in y.hook_traces] == [
            ("scale", 3.0, True),
            ("record", 3.0, False),
        ]
        assert only(result.gradients, "x") == 18.0
        assert result.verdicts["x"].hooked_by == ("y",)
        ref = GraphBuilder().leaf("x", 1.0)
        assert hook(ref, "zero") == graph_pb2.Hook(value="x", named=graph_pb2.NamedHook(name="zero"))

    @pytest.mark.parametrize(
        ("name", "attributes", "expected"),
        [
            ("scale", {"factor": 0.5}, [1.25, -2.0]),
            ("clip", {"max_value": 1.0}, [1.0, -4.0]),
            ("zero", {}, [0.0, 0.0]),
            ("round", {"decimals": 0}, [2.0, -4.0]),
            ("record", {}, [2.5, -4.0]),
        ],
    )
    def test_every_named_hook(self, client: Client, name: str, attributes: dict[str, Any], expected: list[float]) -> None:
        g = GraphBuilder()
        g.output(g.apply("sum", g.leaf("v", np.ones(2), requires_grad=True) * np.array([2.5, -4.0])))
        result = client.differentiate(g, hooks=[hook("v", name, **attributes)], verify="off")
        assert only(result.gradients, "v").tolist() == expected

    def test_no_gradient_is_none(self, client: Client) -> None:
        g = square()
        g.leaf("aside", 1.0, requires_grad=True)
        assert only(client.differentiate(g, verify="off").gradients, "aside") is None

    def test_infer(self, client: Client) -> None:
        g = GraphBuilder()
        v = g.leaf("v", shape=(2, 3), dtype=np.float32)
        g.output(g.apply("sum", v, axis=0, name="s"))
        found = client.infer(g)
        assert found.specs == {"v": (np.dtype("f4"), (2, 3)), "s": (np.dtype("f4"), (3,))}
        assert not found.faults
        assert len(found.digest) == 64
        g.apply("sine", v)
        (fault,) = client.infer(g).faults
        assert (fault.path, fault.reason) == ("graph.nodes[1].op", "OP_UNKNOWN")
        assert str(fault).startswith("graph.nodes[1].op: there is no op 'sine'")

    def test_info_ops_and_op(self, client: Client, served: Served) -> None:
        assert client.info().versions["numpy"] == np.__version__
        ops = {op.name: op for op in client.ops()}
        assert list(ops) == list(served.host.registry.ops)
        assert ops["sum"].attributes == {"axis": None, "keepdims": False, "dtype": None}
        assert ops["broadcast_to"].attributes["shape"] is REQUIRED
        assert len(ops["add"].inputs) == 2
        assert ops["sum"].verdict is None  # it was not asked for
        assert client.op("sum").op.name == "sum"

    def test_ops_with_verdicts(self, client: Client) -> None:
        list(client.verify_op("negative"))
        ops = {op.name: op for op in client.ops(verdicts=True)}
        assert ops["less"].verdict is None  # it has no rule
        words = {name: op.verdict.word for name, op in ops.items() if op.verdict is not None}
        assert set(words) == {name for name, op in ops.items() if op.differentiable}
        assert words["negative"] == "PROVED"

    def test_verify_op(self, client: Client) -> None:
        steps = list(client.verify_op("negative"))
        assert {step.verdict.word for step in steps} == {"PROVED"}
        assert [step.cases_done for step in steps] == list(range(1, steps[0].cases_total + 1))

    def test_send(self, client: Client) -> None:
        request = pb.DifferentiateRequest(input=pb.RunInput(graph=square().to_proto()))
        result = client.send(request, budget=60.0)
        assert only(result.gradients, "x") == 6.0
        assert request == pb.DifferentiateRequest(input=pb.RunInput(graph=square().to_proto()))

    def test_a_message_is_as_good_as_a_builder(self, client: Client) -> None:
        assert client.evaluate(square().to_proto(), fetch=["x"])["x"] == 3.0
        assert only(client.differentiate(square().to_proto(), verify="off").gradients, "x") == 6.0


class TestDigests:
    def test_a_graph_is_sent_once(self, client: Client, sent: list[Any]) -> None:
        g = square()
        for x in (1.0, 2.0):
            assert only(client.differentiate(g, {"x": x}, verify="off").gradients, "x") == 2 * x
        assert only(client.differentiate(g, verify="off").gradients, "x") == 6.0  # the leaf's own value
        assert [request.input.WhichOneof("source") for request in sent] == ["graph", "digest", "digest"]
        assert not sent[1].input.HasField("graph")

    def test_a_graph_that_changed_is_sent_again(self, client: Client, sent: list[Any]) -> None:
        g = square()
        client.differentiate(g, verify="off")
        g.output(g.apply("exp", g.leaf("z", 0.0, requires_grad=True)))
        assert set(client.differentiate(g, verify="off").gradients) == {"x", "z"}
        assert [request.input.WhichOneof("source") for request in sent] == ["graph", "graph"]

    def test_a_graph_that_the_server_forgot_is_sent_again(self, client: Client, served: Served, sent: list[Any]) -> None:
        g = square()
        client.differentiate(g, verify="off")
        served.host.handler.graphs.clear()
        assert only(client.differentiate(g, verify="off").gradients, "x") == 6.0
        assert only(client.differentiate(g, verify="off").gradients, "x") == 6.0
        assert [request.input.WhichOneof("source") for request in sent] == ["graph", "digest", "graph", "digest"]

    def test_so_is_a_large_one(self, client: Client, served: Served) -> None:
        array = np.random.default_rng(2).normal(size=600_000)
        assert array.nbytes > INLINE_BYTES
        g = GraphBuilder()
        v = g.leaf("v", array, requires_grad=True)
        g.output(g.apply("sum", v * v))
        for forgotten in (False, False, True):
            if forgotten:
                served.host.handler.graphs.clear()
            gradient = only(client.differentiate(g, verify="off").gradients, "v")
            assert gradient.tobytes() == (2 * array).tobytes()
        assert client.evaluate(g, fetch=["v"])["v"].tobytes() == array.tobytes()


class TestErrors:
    def test_invalid_request(self, client: Client) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 1.0, requires_grad=True)
        g.output(g.apply("sine", x, name="y"))
        g.apply("add", x)
        with pytest.raises(InvalidRequest, match="the request has 2 faults") as caught:
            client.differentiate(g)
        assert caught.value.reason == "INVALID_REQUEST"
        assert [(fault.path, fault.reason) for fault in caught.value.faults] == [
            ("input.graph.nodes[0].op", "OP_UNKNOWN"),
            ("input.graph.nodes[1].inputs", "ARITY"),
        ]
        with pytest.raises(InvalidRequest):
            client.evaluate(g)

    def test_not_found(self, client: Client) -> None:
        with pytest.raises(NotFound, match="'sine'") as caught:
            client.op("sine")
        assert caught.value.reason == "OP_NOT_FOUND"
        with pytest.raises(NotFound):
            list(client.verify_op("sine"))
        with pytest.raises(NotFound) as caught:
            client.send(pb.DifferentiateRequest(input=pb.RunInput(digest="unheard")))
        assert caught.value.reason == "GRAPH_NOT_FOUND"

    def test_run_error(self, client: Client) -> None:
        g = GraphBuilder()
        x = g.leaf("x", 1.0, requires_grad=True)
        g.output(g.apply("faulty.explode", x * 2))
        with pytest.raises(RunError, match="forward raised OSError; the server's log") as caught:
            client.differentiate(g)
        error = caught.value
        assert (error.node, error.op, error.plugin, error.reason) == (1, "faulty.explode", "faulty", "FORWARD_FAULT")
        with pytest.raises(RunError, match="raised ValueError; the server's log") as caught:
            client.differentiate(square(), hooks=[hook("y", "faulty.refuse")])
        assert (caught.value.node, caught.value.reason) == (None, "HOOK_FAULT")
        assert {**caught.value.metadata, "incident": ""} == {"value": "y", "kind": "ValueError", "incident": ""}

    def test_the_same_through_a_session(self, client: Client) -> None:
        g = GraphBuilder()
        v = g.leaf("v", np.zeros(500_000), requires_grad=True)
        g.output(g.apply("sum", g.apply("faulty.explode", v)))
        with pytest.raises(RunError, match="forward raised OSError; the server's log") as caught:
            client.differentiate(g)
        assert (caught.value.node, caught.value.op, caught.value.plugin) == (0, "faulty.explode", "faulty")
        g.apply("sine", v)
        with pytest.raises(InvalidRequest) as invalid:
            client.differentiate(g)
        assert isinstance(invalid.value.faults[0], FieldFault)
        assert invalid.value.faults[0].path == "input.graph.nodes[2].op"

    def test_resource_exhausted(self, client: Client) -> None:
        with pytest.raises(ResourceExhausted) as caught:
            client.differentiate(square(), budget=61.0)
        assert caught.value.metadata == {"limit": "verify_budget_seconds", "actual": "61.0", "allowed": "60.0"}

    def test_not_served(self, client: Client) -> None:
        """A call that an older server does not have."""
        absent: Any = client._channel.unary_unary("/gradproof.v1.AutodiffService/Dream")
        with pytest.raises(NotServed), translated():
            absent(b"")

    def test_internal_error(self, client: Client, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(served.host.handler, "_prepare", None)
        monkeypatch.setattr(served.host.handler, "recall", lambda _: None)
        with pytest.raises(InternalError, match=r"incident [0-9a-f]{12}") as caught:
            client.differentiate(square())
        assert caught.value.reason == "INTERNAL"

    def test_deadline_exceeded(self, served: Served) -> None:
        g = GraphBuilder()
        g.output(g.apply("faulty.wait", g.leaf("x", 1.0)))
        faulty_plugin.released.clear()
        try:
            with Client(served.target, timeout=0.1) as hasty, pytest.raises(DeadlineExceeded):
                hasty.evaluate(g)
        finally:
            faulty_plugin.released.set()

    def test_unavailable(self) -> None:
        with socket.socket() as taken:  # bound, and nobody listens
            taken.bind(("127.0.0.1", 0))
            with (
                Client(f"127.0.0.1:{taken.getsockname()[1]}", timeout=30.0, retries=1) as nobody,
                pytest.raises(Unavailable),
            ):
                nobody.evaluate(square())

    def test_a_level_that_does_not_exist(self, client: Client) -> None:
        with pytest.raises(ValueError, match="verify is 'all'; it may be off, cached, values, everything"):
            client.differentiate(square(), verify="all")


class TestEmbedded:
    @pytest.mark.slow
    def test_a_server_of_ones_own_starts_and_stops(self, tmp_path: Path) -> None:
        with connect(arguments=["--cache", str(tmp_path)]) as client:
            assert client.evaluate(square())["y"] == 9.0
            target = client.target
        client.close()
        with Client(target, timeout=30.0, retries=1) as again, pytest.raises(Unavailable):
            again.evaluate(square())

    @pytest.mark.slow
    def test_its_process_is_gone(self, tmp_path: Path) -> None:
        server = EmbeddedServer(["--cache", str(tmp_path)])
        assert server.child.process.poll() is None
        server.stop()
        assert server.child.process.returncode == 0
        server.stop()

    @pytest.mark.slow
    def test_a_server_that_does_not_come_up_says_why(self) -> None:
        with pytest.raises(RuntimeError, match=r"the embedded server ended with status 1:[\s\S]*--nonsense"):
            connect(arguments=["--nonsense"])

    def test_with_a_target_none_is_started(self, served: Served) -> None:
        with connect(served.target) as client:
            request = pb.EvaluateRequest(input=pb.RunInput(graph=square().to_proto()))
            assert decode_tensor(served.autodiff.Evaluate(request).values[0].value) == client.evaluate(square())["y"]
