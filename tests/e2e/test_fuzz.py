"""Whatever is sent: an answer in time, with a status that says whose fault it is, and a server that is as it was.

``CHECK_FUZZ`` sets how many requests there are in all (``make fuzz``: 100 000).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support import fuzzing
from tests.support.fuzzing import FRAMES, GOOD
from tests.support.server_fixture import Served, serving
from tests.support.statuses import fault_of

from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2

pytestmark = pytest.mark.stress
REQUESTS = int(os.environ.get("CHECK_FUZZ", "1200"))
SECONDS = 30.0  # for one answer; a run of such graphs takes milliseconds
Code = grpc.StatusCode
SERVICES = dict.fromkeys(("ListOps", "GetOp", "VerifyOp"), "OpService") | {"GetStatus": "OperationsService"}
OURS = (Code.INTERNAL.value[0], Code.UNKNOWN.value[0])
RIGHT = {Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.RESOURCE_EXHAUSTED}
SHARES = dict.fromkeys(GOOD, 0.04) | {"Differentiate": 0.2, "Derive": 0.1, "VerifyOp": 0.005, "Explain": 0.01}
ONE = fuzzing.run(fuzzing.GRAPHS[1])
HOOK_SECONDS, REPLIES = 0.1, 3


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(hook_timeout_seconds=HOOK_SECONDS)
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.faulty_plugin"], limits=limits) as one:
        yield one
        answer = one.autodiff.Differentiate(ONE, timeout=SECONDS)
        assert len(answer.gradients) == 1
        health = health_pb2_grpc.HealthStub(one.channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert not one.host.handler.sessions
        admission = one.host.handler.admission
        left = (admission.busy, admission.queued, admission.large, admission.small, admission.nbytes, admission.sessions)
        assert not any(left), left


def examples(share: float) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=max(10, int(REQUESTS * share)), deadline=None, suppress_health_check=checks)


def sent(served: Served, name: str, raw: bytes) -> None:
    """Make a call with these bytes; its status must be one of those that say whose fault it is."""
    service = SERVICES.get(name, "AutodiffService")
    path, channel = f"/gradproof.v1.{service}/{name}", served.channel
    method: Any = channel.unary_unary(path)
    if name in ("StreamingDifferentiate", "VerifyOp"):
        method = channel.unary_stream(path)
        answers(method(raw, timeout=SECONDS))
    else:
        answers(method.future(raw, timeout=SECONDS), single=True)


def answers(call: Any, *, single: bool = False, heard: Callable[[Any], None] = lambda _: None) -> list[Any]:
    """What a call gives before it ends; ``heard`` is told of each. Its status must be one of those that say whose fault it
    is."""
    found: list[Any] = []
    with suppress(grpc.RpcError):
        for answer in [call.result()] if single else call:
            found.append(answer)
            heard(answer)
    assert call.code() in RIGHT, call.details()
    return found


def hurried(message: Any) -> Any:
    """The message with short times for what it asks: a budget of a minute may take one."""
    if isinstance(message, pb.DifferentiateRequest):
        message.verify.budget_seconds = min(message.verify.budget_seconds, 0.1) or 0.1
    elif isinstance(message, pb.StreamingDifferentiateRequest):
        hurried(message.request)
    elif isinstance(message, op_service_pb2.VerifyOpRequest):
        message.budget_seconds = min(message.budget_seconds, 0.02) or 0.02
    elif isinstance(message, pb.SessionRequest) and message.HasField("differentiate"):
        hurried(message.differentiate)
    return message


@pytest.mark.parametrize("name", GOOD)
def test_requests(served: Served, name: str) -> None:
    """Messages that were right, messages at random, and bytes."""
    good = GOOD[name]

    @examples(SHARES[name])
    @given(st.one_of(fuzzing.changed(good), fuzzing.changed(good), fuzzing.messages(type(good[0]))).map(hurried))
    def of_messages(message: Any) -> None:
        sent(served, name, message.SerializeToString())

    @examples(SHARES[name] / 4)
    @given(fuzzing.damaged(good))
    def of_bytes(raw: bytes) -> None:
        sent(served, name, raw)

    of_messages()
    of_bytes()


@pytest.mark.parametrize("name", GOOD)
def test_what_is_changed_was_right(served: Served, name: str) -> None:
    """Requests that are refused before they are changed would try next to nothing."""
    for one in map(hurried, GOOD[name]):
        method: Any = served.channel.unary_unary(f"/gradproof.v1.{SERVICES.get(name, 'AutodiffService')}/{name}")
        if name in ("StreamingDifferentiate", "VerifyOp"):
            method = served.channel.unary_stream(method._method.decode())
            call = method(one.SerializeToString(), timeout=SECONDS)
            answers(call)
        else:
            answers(call := method.future(one.SerializeToString(), timeout=SECONDS), single=True)
        short = one.request if name == "StreamingDifferentiate" else one
        weak = isinstance(short, pb.DifferentiateRequest) and short.verify.required  # which a short budget may not reach
        assert call.code() is Code.OK or weak, call.details()


def talk(served: Served, frames: list[pb.SessionRequest], replies: list[pb.SessionRequest]) -> list[Any]:
    """The answers of a session; where a hook asks, the next of ``replies`` is sent."""
    questions: Queue[None] = Queue()

    def said() -> Iterator[pb.SessionRequest]:
        yield from frames
        if fuzzing.asked(frames):
            with suppress(Empty):
                for reply in replies:
                    questions.get(timeout=HOOK_SECONDS)
                    yield reply

    def heard(answer: Any) -> None:
        if any(event.HasField("hook_request") for event in answer.events):
            questions.put(None)

    return answers(served.autodiff.Session(said(), timeout=SECONDS), heard=heard)


def test_sessions(served: Served) -> None:
    """Frames in any order: each request has its answer or its fault, and the session ends when the client has no more."""

    @examples(0.1)
    @given(fuzzing.talks(), st.lists(fuzzing.changed(fuzzing.REPLIES), max_size=REPLIES))
    def talked(frames: list[pb.SessionRequest], replies: list[pb.SessionRequest]) -> None:
        for answer in talk(served, list(map(hurried, frames)), replies):
            assert not answer.HasField("status") or answer.status.code not in OURS, answer.status

    talked()


@pytest.mark.parametrize("frames", fuzzing.TALKS, ids=["upload", "kept", "hook", "hook and kept", "uploads"])
def test_right_talks_are_answered(served: Served, frames: list[pb.SessionRequest]) -> None:
    """No fault in a session that nobody has changed, but that a run may come before the one whose values it wants."""
    replies = [pb.SessionRequest(hook_reply=pb.HookReply(hook_id=n)) for n in fuzzing.asked(frames)]
    faults = [fault_of(answer) for answer in talk(served, frames, replies) if answer.HasField("status")]
    assert {fault.reason for fault in faults} <= {"SAVED_NOT_FOUND"}, faults


def test_session_bytes(served: Served) -> None:
    """Damaged frames end the stream, or are answered, like any other request."""

    @examples(0.04)
    @given(st.lists(fuzzing.damaged(FRAMES), max_size=5))
    def talked(frames: list[bytes]) -> None:
        method: Any = served.channel.stream_stream("/gradproof.v1.AutodiffService/Session")
        answers(method(iter(frames), timeout=SECONDS))

    talked()
