"""Sessions: many runs on one stream, uploads in chunks, faults that do not end it, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from structlog.testing import capture_logs
from tests.conftest import REGISTRY
from tests.support import faulty_plugin
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.session_stream import SessionStream, gradients, square
from tests.support.statuses import fault_of

from gradproof.client.decoding import EventDecoder
from gradproof.client.events import Gradient, Value
from gradproof.engine.engine import Engine
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.limits import Limits
from gradproof.server.runs.handler import Handler
from gradproof.server.services.session import run_session
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import decode_tensor, encode_spec, encode_tensor

CODE = {code.value[0]: code for code in grpc.StatusCode}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(session_upload_bytes=16 << 20)
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.faulty_plugin"], limits=limits) as one:
        yield one


@pytest.fixture
def talk(served: Served) -> Iterator[SessionStream]:
    one = SessionStream(served)
    yield one
    one.leave()


@pytest.mark.slow
def test_many_runs_on_one_stream(talk: SessionStream) -> None:
    for k in range(20):
        talk.say(differentiate=square(f"r{k}", float(k)))
    answers = talk.end()
    for k in range(20):
        events = [event for answer in answers if answer.request_id == f"r{k}" for event in answer.events]
        assert [event.sequence for event in events] == list(range(len(events)))
        assert events[0].accepted.request_id == f"r{k}"
        assert events[-1].WhichOneof("kind") == "summary"
        assert gradients(events) == {"x": 2.0 * k}
    assert {answer.request_id for answer in answers} == {f"r{k}" for k in range(20)}


def test_evaluate(talk: SessionStream) -> None:
    whole = square("v", 3.0)
    talk.say(evaluate=pb.EvaluateRequest(input=pb.RunInput(graph=whole.input.graph, fetch=["y", "x"], request_id="v")))
    events = talk.hear_run("v")
    assert [(event.sequence, event.WhichOneof("kind")) for event in events] == [
        (0, "accepted"),
        (1, "values"),
        (2, "summary"),
    ]
    assert (events[0].accepted.node_count, events[2].summary.nodes_computed) == (1, 1)
    assert events[0].accepted.estimated_bytes
    assert [(v.name, float(decode_tensor(v.value))) for v in events[1].values.values] == [("y", 9.0), ("x", 3.0)]
    talk.say(evaluate=pb.EvaluateRequest(input=pb.RunInput(digest=events[0].accepted.digest, request_id="again")))
    answer = talk.hear()
    assert (answer.request_id, fault_of(answer).reason) == ("again", "INVALID_REQUEST")
    assert [(one.path, one.reason) for one in fault_of(answer).faults] == [("input.graph.leaves[0].value", "VALUE_MISSING")]


def big(request_id: str, size: int, upload: int, **rest: Any) -> pb.DifferentiateRequest:
    spec = encode_spec((size,), np.dtype("f8"))
    nodes = [node("square", "v", "s"), node("sum", "s", "y")]
    value = tensor_pb2.Tensor(spec=spec, tensor_id=upload)
    carrying = graph_pb2.Leaf(name="v", spec=spec, requires_grad=True)
    named = tensor_pb2.NamedTensor(name="v", value=value)
    return request([carrying], nodes, "y", request_id=request_id, values=[named], **rest)


def test_a_tensor_above_four_mebibytes_there_and_back(talk: SessionStream) -> None:
    array = np.random.default_rng(1).normal(size=600_000)
    assert array.nbytes > 4 << 20
    talk.upload(array, 7)
    talk.say(differentiate=big("big", len(array), 7))
    events = talk.hear_run("big")
    assert max(event.ByteSize() for event in events) < 2 << 20
    assert gradients(events)["v"].tobytes() == (2 * array).tobytes()
    talk.say(differentiate=big("gone", len(array), 7))  # an upload serves one request
    answer = talk.hear()
    assert [(one.path, one.reason) for one in fault_of(answer).faults] == [
        ("input.values[0].value.tensor_id", "TENSOR_ID_UNKNOWN")
    ]
    talk.upload(array, 7)  # so its id is free again
    talk.say(
        evaluate=pb.EvaluateRequest(
            input=pb.RunInput(
                graph=big("", len(array), 7).input.graph, values=big("", 600_000, 7).input.values, fetch=["s"]
            )
        )
    )
    decoder = EventDecoder()
    (value,) = [one for event in talk.hear_run("") for one in decoder.decode(event) if isinstance(one, Value)]
    assert value.value.tobytes() == (array * array).tobytes()


@pytest.mark.parametrize("tensor_format", [tensor_pb2.TENSOR_FORMAT_BYTES, tensor_pb2.TENSOR_FORMAT_NUMBERS])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_gradient_with_the_traces_of_many_hooks_is_no_longer_than_a_message(
    served: Served, dtype: str, tensor_format: Any
) -> None:
    array = np.arange(60_000.0).astype(dtype)
    hooks = [graph_pb2.Hook(value="x", named=graph_pb2.NamedHook(name="record")) for _ in range(12)]
    message = request([leaf("x", array)], [node("square", "x", "y")], "y", hooks=hooks, tensor_format=tensor_format)
    message.seeds.add(output="y", cotangent=encode_tensor(np.ones(len(array), dtype)))
    message.verify.level = pb.VERIFY_LEVEL_OFF
    decoder = EventDecoder()
    responses = list(served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message)))
    assert max(response.ByteSize() for response in responses) < 4 << 20
    events = [decoded for response in responses for event in response.events for decoded in decoder.decode(event)]
    (gradient,) = [event for event in events if isinstance(event, Gradient)]
    assert gradient.gradient is not None
    assert np.array_equal(gradient.gradient, 2 * array)
    assert {trace.gradient.tobytes() for trace in gradient.hook_traces} == {gradient.gradient.tobytes()}
    assert len(gradient.hook_traces) == 12


def test_uploads_of_another_spec_are_refused(talk: SessionStream) -> None:
    talk.upload(np.ones(3), 1)
    talk.say(differentiate=big("r", 4, 1))
    (fault,) = fault_of(talk.hear()).faults
    assert (fault.path, fault.reason) == ("input.values[0].value.tensor_id", "TENSOR_ID_SPEC")


def test_an_unknown_upload_is_named(talk: SessionStream) -> None:
    talk.say(differentiate=big("r", 3, 99))
    answer = talk.hear()
    assert answer.request_id == "r"
    assert CODE[fault_of(answer).code] is grpc.StatusCode.INVALID_ARGUMENT
    (fault,) = fault_of(answer).faults
    assert (fault.path, fault.reason) == ("input.values[0].value.tensor_id", "TENSOR_ID_UNKNOWN")
    assert "99" in fault.message


def test_chunks_at_fault_are_answered_and_the_session_goes_on(talk: SessionStream) -> None:
    spec = encode_spec((2,), np.dtype("f8"))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"chunk": tensor_pb2.TensorChunk(tensor_id=5, data=b"x")}, "TENSOR_ID_UNKNOWN"),
        ({"header": tensor_pb2.TensorHeader(tensor_id=5, spec=spec, total_bytes=15)}, "TENSOR_LENGTH"),
        ({"header": tensor_pb2.TensorHeader(tensor_id=5)}, "DTYPE"),
    ]
    for frame, reason in wrong:
        talk.say(**frame)
        assert [one.reason for one in fault_of(talk.hear()).faults] == [reason]
    talk.say(header=tensor_pb2.TensorHeader(tensor_id=5, spec=spec, total_bytes=16))
    talk.say(chunk=tensor_pb2.TensorChunk(tensor_id=5, offset=8, data=bytes(8)))
    assert fault_of(talk.hear()).faults[0].path == "chunk.offset"
    talk.say(chunk=tensor_pb2.TensorChunk(tensor_id=5, data=np.ones(2).tobytes()))
    talk.say(differentiate=big("r", 2, 5))
    assert gradients(talk.hear_run("r"))["v"].tolist() == [2, 2]


def test_uploads_are_limited(talk: SessionStream) -> None:
    spec = encode_spec((1 << 21,), np.dtype("f8"))
    for number in (1, 2):
        talk.say(header=tensor_pb2.TensorHeader(tensor_id=number, spec=spec, total_bytes=16 << 20))
    answer = talk.hear()
    assert CODE[fault_of(answer).code] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert fault_of(answer).reason == "LIMIT_EXCEEDED"
    assert "session_upload_bytes" in fault_of(answer).message
    assert str(32 << 20) in fault_of(answer).message


def test_faults_are_answered_and_the_session_goes_on(talk: SessionStream) -> None:
    nodes = [node("sine", "x", "a"), node("add", "x", "b")]
    talk.say(differentiate=request([leaf("x", np.float64(3))], nodes, "q", request_id="bad"))
    answer = talk.hear()
    assert answer.request_id == "bad"
    assert CODE[fault_of(answer).code] is grpc.StatusCode.INVALID_ARGUMENT
    assert {one.path for one in fault_of(answer).faults} == {
        "input.graph.nodes[0].op",
        "input.graph.nodes[1].inputs",
        "input.graph.outputs[0]",
    }
    talk.say(differentiate=pb.DifferentiateRequest(input=pb.RunInput(digest="unheard", request_id="digest")))
    answer = talk.hear()
    assert (answer.request_id, CODE[fault_of(answer).code]) == ("digest", grpc.StatusCode.NOT_FOUND)
    talk.say(differentiate=square("good", 3.0))
    assert gradients(talk.hear_run("good")) == {"x": 6.0}


def test_a_node_at_fault_is_answered_and_the_session_goes_on(talk: SessionStream) -> None:
    talk.say(differentiate=request([leaf("x", 3.0)], [node("faulty.explode", "x", "y")], "y", request_id="bad"))
    answers = [talk.hear() for _ in range(3)]
    assert {answer.request_id for answer in answers} == {"bad"}
    assert [answer.events[0].WhichOneof("kind") for answer in answers[:2]] == ["accepted", "fault"]
    assert answers[1].events[0].fault.op == "faulty.explode"
    assert (CODE[fault_of(answers[2]).code], fault_of(answers[2]).reason) == (grpc.StatusCode.INTERNAL, "FORWARD_FAULT")
    talk.say(differentiate=square("good", 3.0))
    assert gradients(talk.hear_run("good")) == {"x": 6.0}


def test_what_nobody_foresaw_is_answered_and_the_session_goes_on(
    served: Served, talk: SessionStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("a secret of the inside")

    with capture_logs() as logged, monkeypatch.context() as patch:
        patch.setattr(served.host.handler, "_prepare", broken)
        patch.setattr(served.host.handler, "recall", lambda _: None)
        talk.say(differentiate=square("bad", 3.0))
        answer = talk.hear()
        with pytest.raises(grpc.RpcError, match="incident") as caught:
            served.autodiff.Differentiate(square("", 3.0))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    incidents = [entry["incident"] for entry in logged if "incident" in entry]
    assert [name in text for name, text in zip(incidents, (fault_of(answer).message, str(caught.value)))] == [True, True]
    assert (answer.request_id, fault_of(answer).reason) == ("bad", "INTERNAL")
    assert "incident" in fault_of(answer).message
    assert "secret" not in fault_of(answer).message
    talk.say(differentiate=square("good", 3.0))
    assert gradients(talk.hear_run("good")) == {"x": 6.0}


@pytest.fixture
def gate() -> Iterator[None]:
    """Closed for ``faulty.wait``, and open in the end whatever happens."""
    faulty_plugin.entered.clear()
    faulty_plugin.released.clear()
    yield
    faulty_plugin.released.set()


def waiting(request_id: str) -> pb.DifferentiateRequest:
    return request([leaf("x", 3.0)], [node("faulty.wait", "x", "y")], "y", request_id=request_id)


def test_a_run_cancelled_before_its_first_step_says_so_and_frees_its_id(talk: SessionStream) -> None:
    """Both frames are there before the server looks at the first."""
    one = request([leaf("x", 3.0)], [node("square", "x", "y")], "y", request_id="again")
    for _ in range(3):
        talk.say(differentiate=one)
        talk.say(cancel=pb.CancelRun(request_id="again"))
        while True:
            answer = talk.hear()
            assert answer.request_id == "again"
            if answer.HasField("status"):
                assert fault_of(answer).reason == "CANCELLED"
                break
            if answer.events[0].WhichOneof("kind") == "summary":  # it was done before anyone could stop it
                break
    assert talk.end() == []


def test_a_running_request_can_be_cancelled(talk: SessionStream, gate: None) -> None:
    talk.say(differentiate=waiting("slow"))
    assert talk.hear().events[0].WhichOneof("kind") == "accepted"
    assert faulty_plugin.entered.wait(60)
    talk.say(cancel=pb.CancelRun(request_id="nobody"))  # nothing to stop: nothing is said
    talk.say(cancel=pb.CancelRun(request_id="slow"))
    answer = talk.hear()
    assert (answer.request_id, fault_of(answer).reason) == ("slow", "CANCELLED")
    assert CODE[fault_of(answer).code] is grpc.StatusCode.CANCELLED
    talk.say(differentiate=square("slow", 3.0))  # its id is free again
    assert gradients(talk.hear_run("slow")) == {"x": 6.0}


def test_an_id_in_progress_is_refused_and_others_overtake(talk: SessionStream, gate: None) -> None:
    talk.say(differentiate=waiting("slow"))
    assert talk.hear().events[0].WhichOneof("kind") == "accepted"
    talk.say(differentiate=square("slow", 3.0))
    (fault,) = fault_of(talk.hear()).faults
    assert (fault.path, fault.reason) == ("input.request_id", "REQUEST_ID")
    talk.say(differentiate=square("quick", 3.0))
    assert gradients(talk.hear_run("quick")) == {"x": 6.0}
    faulty_plugin.released.set()
    events = [event for answer in talk.end() for event in answer.events]
    assert gradients(events) == {"x": 1.0}
    assert events[-1].WhichOneof("kind") == "summary"


def test_a_client_that_hangs_up_leaves_nothing_behind(served: Served, gate: None) -> None:
    talk = SessionStream(served)
    talk.say(differentiate=waiting("slow"))
    for k in range(60):  # more answers than the queue holds, and nobody reads them
        talk.say(differentiate=square(f"r{k}", 1.0))
    assert faulty_plugin.entered.wait(60)
    talk.leave()
    faulty_plugin.released.set()
    again = SessionStream(served)
    again.say(differentiate=square("good", 3.0))
    assert gradients([event for answer in again.end() for event in answer.events]) == {"x": 6.0}
    for _ in range(1000):  # calls, rather than time, for the others to be counted down
        if not served.host.handler.admission.busy:
            break
        served.autodiff.Differentiate(square("", 3.0))
    assert served.host.handler.admission.busy == 0


def test_a_session_that_ends_in_the_middle_leaves_no_task_behind(tmp_path: Path) -> None:
    """One run waits for the client, one for room to answer in, and one has its values kept."""

    async def main() -> None:
        handler, before = Handler(Engine(REGISTRY), ProofPool(REGISTRY, tmp_path)), asyncio.all_tasks()

        async def frames() -> AsyncIterator[pb.SessionRequest]:
            kept, hooked = square("kept", 3.0), square("hooked", 3.0)
            kept.input.save_as = "run"
            hooked.hooks.add(value="x", client=graph_pb2.ClientHook(hook_id=1))
            for one in (kept, hooked, *(square(f"r{k}", 1.0) for k in range(40))):
                yield pb.SessionRequest(differentiate=one)
            await asyncio.Event().wait()  # and then says nothing

        responses = run_session(handler, frames())
        missing = {("kept", "summary"), ("hooked", "hook_request")}
        async for response in responses:
            assert isinstance(response, pb.SessionResponse)  # the first of its form
            for event in response.events:
                missing.discard((response.request_id, event.WhichOneof("kind") or ""))
            if not missing:
                break
        assert handler.admission.busy > 0
        assert len(handler.forward_cache) == 1
        await responses.aclose()
        assert len(handler.forward_cache) == 0
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0)
        assert handler.admission.busy == 0
        handler.close()
        handler.proofs.close()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_frames_that_nobody_waits_for(talk: SessionStream) -> None:
    talk.say(hook_reply=pb.HookReply(hook_id=1))
    answer = talk.hear()
    assert (answer.request_id, fault_of(answer).message.count("no run waits for hook 1")) == ("", 1)
    assert [(one.path, one.reason) for one in fault_of(answer).faults] == [("hook_reply.hook_id", "HOOK_ID")]
    talk.say()
    assert [(one.path, one.reason) for one in fault_of(talk.hear()).faults] == [("frame", "FRAME_EMPTY")]


def test_a_session_without_a_word_ends(talk: SessionStream) -> None:
    assert talk.end() == []
