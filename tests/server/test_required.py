"""A run whose verdicts must be of some strength: the same over every transport, and nothing that was computed is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support.command_line import gradproof
from tests.support.server_fixture import Served, leaf, node, request
from tests.support.session_stream import SessionStream
from tests.support.statuses import fault_of

from gradproof.client import GraphBuilder, InvalidRequest, VerdictRequired
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import verdict_pb2


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


def cubed(required: Any, level: Any = pb.VERIFY_LEVEL_EVERYTHING) -> pb.DifferentiateRequest:
    """x³ by a rule that is planted wrong, beside a product that is right."""
    options = pb.VerifyOptions(level=level, required=required, budget_seconds=30.0)
    leaves = [leaf("x", 2.0), leaf("a", 3.0)]
    nodes = [node("planted.cube", "x", "c"), node("multiply", "c a", "y")]
    return request(leaves, nodes, "y", verify=options)


VERIFIED, PLAUSIBLE = verdict_pb2.SUMMARY_WORD_VERIFIED, verdict_pb2.SUMMARY_WORD_PLAUSIBLE


def test_a_stream_sends_everything_and_then_says_what_falls_short(served: Served) -> None:
    events: list[pb.Event] = []
    stream = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=cubed(VERIFIED)))
    with pytest.raises(grpc.RpcError) as caught:
        events.extend(event for response in stream for event in response.events)
    assert [event.WhichOneof("kind") for event in events][-1] == "summary"
    assert {g.value for event in events for g in event.gradients.gradients} == {"x", "a"}
    call: grpc.Call = caught.value  # type: ignore[assignment]
    assert call.code() is grpc.StatusCode.FAILED_PRECONDITION
    status = rpc_status.from_call(call)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, info.metadata["gradients"], info.metadata["required"]) == ("VERDICT_REQUIRED", "x", "verified")
    assert "'x' is wrong" in status.message
    assert "'a'" not in status.message


def test_a_unary_call_ends_with_the_same_status(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(cubed(PLAUSIBLE))
    call: grpc.Call = caught.value  # type: ignore[assignment]
    assert call.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_what_is_strong_enough_passes(served: Served) -> None:
    fine = request([leaf("x", 2.0)], [node("tanh", "x", "y")], "y", verify=cubed(VERIFIED).verify)
    assert served.autodiff.Differentiate(fine).summary.verified == 1
    assert served.autodiff.Differentiate(cubed(verdict_pb2.SUMMARY_WORD_WRONG)).summary.wrong == 1
    assert served.autodiff.Differentiate(cubed(verdict_pb2.SUMMARY_WORD_UNSPECIFIED)).summary.wrong == 1


def test_a_session_goes_on_behind_it(served: Served) -> None:
    talk = SessionStream(served)
    one = cubed(VERIFIED)
    one.input.request_id = "r"
    talk.say(differentiate=one)
    kinds = []
    while (answer := talk.hear()).events:
        kinds.append(answer.events[0].WhichOneof("kind"))
    assert kinds[-1] == "summary"
    assert fault_of(answer).reason == "VERDICT_REQUIRED"
    failure = error_details_pb2.PreconditionFailure()
    assert any(detail.Unpack(failure) for detail in answer.status.details)
    (violation,) = failure.violations
    assert (violation.type, violation.subject) == ("VERDICT_REQUIRED", "x")
    assert violation.description.startswith("wrong: ")
    one.verify.required = verdict_pb2.SUMMARY_WORD_UNSPECIFIED
    talk.say(differentiate=one)
    assert talk.hear_run("r")
    assert talk.end() == []


def builder() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 2.0, requires_grad=True)
    g.output(g.apply("planted.cube", x, name="y"))
    return g


def test_the_client_raises_and_keeps_what_came(served: Served) -> None:
    with pytest.raises(VerdictRequired, match="'x' is wrong") as caught:
        served.client.differentiate(builder(), required="verified", budget=30.0)
    result = caught.value.result
    assert result.verdicts["x"].summary == "wrong"
    assert float(np.asarray(result.gradients["x"].gradient)) == 8.0
    assert served.client.differentiate(builder(), budget=30.0).verdicts["x"].summary == "wrong"
    with pytest.raises(ValueError, match="it may be verified, plausible, unchecked"):
        served.client.differentiate(builder(), required="certain")


@pytest.mark.slow
def test_a_session_carries_it_to_the_client_too(served: Served) -> None:
    g = GraphBuilder()
    x = g.leaf("x", np.ones(400_000), requires_grad=True)
    g.output(g.apply("sum", g.apply("planted.cube", x), name="y"))
    with pytest.raises(VerdictRequired) as caught:
        served.client.differentiate(g, required="plausible", budget=30.0)
    assert caught.value.result.gradients["x"].gradient is not None


def test_nothing_can_be_required_where_nothing_is_checked(served: Served) -> None:
    with pytest.raises(InvalidRequest) as caught:
        served.client.send(cubed(VERIFIED, pb.VERIFY_LEVEL_OFF))
    assert [(fault.path, fault.reason) for fault in caught.value.faults] == [("verify.required", "VERIFY_REQUIRED_OFF")]


def test_the_command_line(served: Served, tmp_path: Path) -> None:
    file, broken = tmp_path / "graph.json", tmp_path / "broken.json"
    for path, op in ((file, "tanh"), (broken, "planted.cube")):
        graph = request([leaf("x", 2.0)], [node(op, "x", "y"), node("relu", "y", "z")], "z").input.graph
        path.write_text(json_format.MessageToJson(graph), encoding="utf-8")
    done = gradproof("diff", str(file), "--required", "verified", "--target", served.target)
    assert done.exit_code == 0, done.output
    done = gradproof("diff", str(broken), "--required", "plausible", "--target", served.target)
    assert done.exit_code == 1
    assert "every gradient must be plausible" in done.stderr
    assert "x" in done.stdout
    done = gradproof("diff", str(file), "--required", "sure", "--target", served.target)
    assert done.exit_code == 2
