"""Whatever is sent: an answer in time, with a status that says whose fault it is, and a server that is as it was.

``GRADPROOF_FUZZ`` sets how many requests there are in all (``make fuzz``: 100 000).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import fuzzing
from tests.fuzzing import DIFFERENTIATE, FRAMES, GOOD
from tests.serving import Served, serving

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2

REQUESTS = int(os.environ.get("GRADPROOF_FUZZ", "1200"))
SECONDS = 30.0  # for one answer; a run of such graphs takes milliseconds
Code = grpc.StatusCode
RIGHT = {Code.OK, Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.FAILED_PRECONDITION, Code.RESOURCE_EXHAUSTED}
SHARES = dict.fromkeys(GOOD, 0.04) | {"Differentiate": 0.2, "Derive": 0.1, "VerifyOp": 0.005, "Explain": 0.01}
ONE = DIFFERENTIATE[4]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.faulty_plugin"]) as one:
        yield one
        answer = one.autodiff.Differentiate(ONE, timeout=SECONDS)
        assert len(answer.gradients) == 1
        health = health_pb2_grpc.HealthStub(one.channel).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        assert not one.host.handler.sessions


def examples(share: float) -> settings:
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
    return settings(max_examples=max(10, int(REQUESTS * share)), deadline=None, suppress_health_check=checks)


def sent(served: Served, name: str, raw: bytes) -> None:
    """Make a call with these bytes; its status must be one of those that say whose fault it is."""
    service = "OpService" if name in ("ListOps", "GetOp", "VerifyOp") else "AutodiffService"
    path, channel = f"/gradproof.v1.{service}/{name}", served.channel
    method: Any = channel.unary_unary(path)
    if name in ("StreamingDifferentiate", "VerifyOp"):
        method = channel.unary_stream(path)
        answers(method(raw, timeout=SECONDS))
    else:
        answers(method.future(raw, timeout=SECONDS), single=True)


def answers(call: Any, *, single: bool = False) -> list[Any]:
    """What a call gives before it ends. Its status must be one of those that say whose fault it is."""
    found: list[Any] = []
    with suppress(grpc.RpcError):
        found.extend([call.result()] if single else call)
    assert call.code() in RIGHT, call.details()
    return found


def hurried(message: Any) -> Any:
    """The message with short times for what it asks: a budget of a minute may take one."""
    if isinstance(message, pb.DifferentiateRequest):
        message.verify.budget_ms = min(message.verify.budget_ms, 100) or 100
    elif isinstance(message, pb.StreamingDifferentiateRequest):
        hurried(message.request)
    elif isinstance(message, op_service_pb2.VerifyOpRequest):
        message.budget_ms = min(message.budget_ms, 20) or 20
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


def test_sessions(served: Served) -> None:
    """Frames in any order: each request has its answer or its fault, and the session ends when the client has no more."""

    @examples(0.1)
    @given(st.lists(st.one_of(st.sampled_from(FRAMES), fuzzing.changed(FRAMES)).map(hurried), max_size=8))
    def talked(frames: list[pb.SessionRequest]) -> None:
        for answer in answers(served.autodiff.Session(iter(frames), timeout=SECONDS)):
            if answer.HasField("fault"):
                assert answer.fault.code not in (Code.INTERNAL.value[0], Code.UNKNOWN.value[0]), answer.fault

    talked()


def test_session_bytes(served: Served) -> None:
    """Damaged frames end the stream, or are answered, like any other request."""

    @examples(0.04)
    @given(st.lists(fuzzing.damaged(FRAMES), max_size=5))
    def talked(frames: list[bytes]) -> None:
        method: Any = served.channel.stream_stream("/gradproof.v1.AutodiffService/Session")
        answers(method(iter(frames), timeout=SECONDS))

    talked()
