"""What a run on a server promises besides its answer: levels of checking, proofs that hang, faults on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tests.support.server_fixture import Served, serving

from gradproof.client import GraphBuilder, hook
from gradproof.client.client import Client
from gradproof.engine.cases import case
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import decode_tensor, encode_tensor


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    plugins = ["tests.support.faulty_plugin", "tests.support.slow_plugin"]
    with serving(tmp_path_factory.mktemp("proofs"), plugin=plugins, proof_seconds=3.0, shipped_proofs=False) as served:
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


def changed(graph: graph_pb2.Graph) -> pb.DifferentiateRequest:
    return pb.DifferentiateRequest(input=pb.RunInput(graph=graph))


def streamed(stub: Any, request: pb.DifferentiateRequest) -> list[pb.Event]:
    whole = pb.StreamingDifferentiateRequest(request=request)
    return [event for response in stub.StreamingDifferentiate(whole, timeout=60) for event in response.events]


@pytest.mark.slow
def test_checking_less_claims_less(running: Served, stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing proved and no number seen: unchecked. Both: verified. Proofs alone: plausible."""
    request = pb.DifferentiateRequest(input=pb.RunInput(graph=vector()))
    request.verify.level = pb.VERIFY_LEVEL_CACHED
    with monkeypatch.context() as held:  # or the proofs that it asks for may be ready before it answers
        held.setattr(running.host.proofs, "request", lambda key: None)
        assert stub.Differentiate(request).summary.unchecked == 1
    request.verify.budget_seconds = 60
    expected = (
        (pb.VERIFY_LEVEL_EVERYTHING, "verified"),
        (pb.VERIFY_LEVEL_CACHED, "plausible"),
        (pb.VERIFY_LEVEL_VALUES, "verified"),
    )
    for level, word in expected:
        request.verify.level = level
        summary = stub.Differentiate(request).summary
        assert getattr(summary, word) == 1, (word, summary)


def test_values_beside_the_graph_replace_those_it_carries(stub: Any) -> None:
    values = [tensor_pb2.NamedTensor(name="a", value=encode_tensor(np.array(10.0)))]
    response = stub.Differentiate(
        pb.DifferentiateRequest(input=pb.RunInput(graph=tutorial(), values=values), gradients=["x"])
    )
    assert [float(decode_tensor(g.gradient)) for g in response.gradients] == [10.0]


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


def test_a_proof_that_hangs_delays_no_gradient_and_takes_nothing_from_the_numbers(stub: Any) -> None:
    graph = graph_pb2.Graph(
        leaves=[leaf("v", 0.5)], nodes=[node("slow.hang", "v", "h"), node("sin", "h", "s")], outputs=["s"]
    )
    request = changed(graph)
    request.retain.append("h")
    request.verify.budget_seconds = 0.3
    found: dict[str, Any] = {}
    for event in streamed(stub, request):
        if event.WhichOneof("kind") == "gradients":
            assert not found
        found.update({verdict.value: verdict for verdict in event.verdicts.verdicts})
    assert found["v"].uses[0].rule.word == verdict_pb2.RULE_WORD_PENDING
    assert found["v"].uses[0].value.word == verdict_pb2.VALUE_WORD_ENCLOSED
    assert found["v"].summary == verdict_pb2.SUMMARY_WORD_PLAUSIBLE
    assert stub.Differentiate(changed(vector())).gradients


def test_a_fault_during_the_run_is_an_event_before_it_is_a_status(stub: Any) -> None:
    graph = graph_pb2.Graph(leaves=[leaf("v", 1.0)], nodes=[node("faulty.explode", "v", "q")], outputs=["q"])
    events: list[pb.Event] = []
    responses = stub.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=changed(graph)))
    with pytest.raises(grpc.RpcError) as caught:
        events.extend(event for response in responses for event in response.events)
    assert [event.WhichOneof("kind") for event in events] == ["accepted", "fault"]
    assert (events[1].fault.node, events[1].fault.op, events[1].fault.reason) == (0, "faulty.explode", "FORWARD_FAULT")
    assert caught.value.code() is grpc.StatusCode.INTERNAL


def test_what_nobody_foresaw_is_an_incident_not_a_leak(
    running: Served, stub: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(running.host.handler, "_prepare", fail)
    monkeypatch.setattr(running.host.handler, "recall", lambda _: None)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Differentiate(changed(vector()))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "incident" in str(caught.value.details())
    assert "secret" not in str(caught.value.details())


def hanging() -> pb.DifferentiateRequest:
    """A run whose only proof hangs until it is killed."""
    return changed(graph_pb2.Graph(leaves=[leaf("v", 0.5)], nodes=[node("slow.hang", "v", "h")], outputs=["h"]))


@pytest.mark.slow
def test_small_requests_and_other_proofs_go_on_while_one_hangs(tmp_path: Path) -> None:
    """One worker spins on a proof that never ends. The run gets its verdict within its budget; meanwhile others run, and
    the other worker proves what they need."""
    with serving(tmp_path, plugin=["tests.support.slow_plugin"], proof_seconds=600.0) as served:
        request = hanging()
        request.verify.budget_seconds = 60.0
        slow = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=request), timeout=120)
        kinds = [next(slow).events[0].WhichOneof("kind") for _ in range(2)]
        assert kinds == ["accepted", "gradients"]  # and now it waits for its proof
        small = changed(vector())
        small.verify.budget_seconds = 60.0
        for _ in range(5):
            found = served.autodiff.Differentiate(small, timeout=120)
            assert found.summary.verified == 1
        assert served.host.proofs.lookup(ProofKey("slow.hang", case(()))) is None  # still at it
        slow.cancel()
        request.verify.budget_seconds = 0.2
        [verdict] = served.autodiff.Differentiate(request, timeout=60).verdicts
        assert verdict.uses[0].rule.word == verdict_pb2.RULE_WORD_PENDING
        assert verdict.summary == verdict_pb2.SUMMARY_WORD_PLAUSIBLE


@pytest.mark.slow
def test_a_large_array_meets_a_proof_that_hangs(tmp_path: Path) -> None:
    """Its screen needs the definition in SymPy, where it hangs. The run gets its verdict, and so do others like it."""
    with serving(tmp_path, plugin=["tests.support.slow_plugin"], proof_seconds=600.0) as served:
        large = np.linspace(0.0, 1.0, 3000)
        graph = graph_pb2.Graph(leaves=[leaf("v", large)], nodes=[node("slow.hang", "v", "h"), node("sum", "h", "s")])
        graph.outputs.append("s")
        request = changed(graph)
        request.verify.budget_seconds = 5.0
        [verdict] = served.autodiff.Differentiate(request, timeout=60).verdicts
        assert verdict.summary == verdict_pb2.SUMMARY_WORD_PLAUSIBLE
        assert verdict.uses[0].rule.word == verdict_pb2.RULE_WORD_PENDING
        graph.nodes[0].op = "tanh"
        other = changed(graph)
        other.verify.budget_seconds = 60.0
        [verdict] = served.autodiff.Differentiate(other, timeout=120).verdicts
        assert verdict.uses[0].value.word == verdict_pb2.VALUE_WORD_ENCLOSED


@pytest.mark.slow
def test_nobody_waits_for_a_proof_on_behalf_of_a_client_that_left(tmp_path: Path) -> None:
    """Eight threads check. Sixteen clients leave while their proof hangs; another request would wait behind them."""
    with serving(tmp_path, plugin=["tests.support.slow_plugin"], proof_seconds=600.0) as served:
        request = hanging()
        request.verify.budget_seconds = 60.0
        whole = pb.StreamingDifferentiateRequest(request=request)
        streams = [served.autodiff.StreamingDifferentiate(whole, timeout=120) for _ in range(16)]
        for stream in streams:
            assert [next(stream).events[0].WhichOneof("kind") for _ in range(2)] == ["accepted", "gradients"]
        for stream in streams:
            stream.cancel()
        other = changed(vector())
        other.verify.budget_seconds = 30.0  # half of what those who left would have waited
        assert served.autodiff.Differentiate(other, timeout=45).summary.verified == 1


@pytest.mark.slow
def test_a_server_with_a_hanging_proof_stops(tmp_path: Path) -> None:
    with serving(tmp_path, plugin=["tests.support.slow_plugin"], proof_seconds=600.0) as served:
        request = hanging()
        request.verify.budget_seconds = 60.0
        stream = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=request), timeout=600)
        assert [next(stream).events[0].WhichOneof("kind") for _ in range(2)] == ["accepted", "gradients"]
    # `serving` stops the server within a minute, or raises: the proof has ten, and the check one.
