"""Requests that come again: the same answers as the first time, and the same refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from tests.support.server_fixture import leaf, node, request

from gradproof.engine.engine import Engine
from gradproof.engine.errors import GradproofError, NotFound
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.plugins import BUILTIN
from gradproof.server.requests.reply import _varint
from gradproof.server.runs.admission import Busy
from gradproof.server.runs.handler import Handler
from gradproof.server.runs.prepared_request import LOOP_SECONDS, PreparedRequests, form_of
from gradproof.server.services.services import AutodiffServicer
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire import encode_tensor

REGISTRY = build_registry(BUILTIN)
CONTEXT: Any = SimpleNamespace(time_remaining=lambda: None)


@pytest.fixture
def handlers(tmp_path: Path) -> tuple[Handler, Handler]:
    """A handler that prepares requests, and one that does not."""
    pool, engine = ProofPool(REGISTRY, tmp_path), Engine(REGISTRY)
    general = Handler(Engine(REGISTRY), pool)
    return Handler(engine, pool, prepared=PreparedRequests(engine, general.limits.message_bytes)), general


def given(
    values: dict[str, Any], nodes: list[Any], outputs: str, *, moving: str = "", **rest: Any
) -> pb.DifferentiateRequest:
    """A request whose values stand beside the graph."""
    leaves = []
    for name, value in values.items():
        one = leaf(name, value, requires_grad=name in moving.split())
        one.ClearField("value")
        leaves.append(one)
    whole = request(leaves, nodes, outputs, **rest)
    for name, value in values.items():
        whole.input.values.add(name=name, value=encode_tensor(np.asarray(value)))
    return whole


def evaluation(whole: pb.DifferentiateRequest) -> pb.EvaluateRequest:
    return pb.EvaluateRequest(input=whole.input)


X = np.array([0.5, -1.5, 3.0])
REQUESTS: dict[str, Callable[[], Any]] = {
    "numbers": lambda: given(
        {"a": 1.5, "b": -0.0}, [node("multiply", "a b", "p"), node("sin", "p", "y")], "y", moving="a b"
    ),
    "vector": lambda: given({"x": X}, [node("multiply", "x x", "s"), node("sum", "s", "y")], "y", moving="x"),
    "values and retained": lambda: given(
        {"x": X}, [node("exp", "x", "e"), node("sum", "e", "y")], "y", moving="x", fetch=["y", "e", "y"], retain=["e"]
    ),
    "float32 and indices": lambda: given(
        {"x": X.astype("f4"), "k": np.array([2, 0])},
        [node("take", "x k", "t", attributes={"axis": {"int_value": 0}}), node("sum", "t", "y")], "y", moving="x",
    ),
    "bfloat16": lambda: given({"x": X.astype(ml_dtypes.bfloat16)}, [node("sum", "x", "y")], "y", moving="x"),
    "complex": lambda: given(
        {"x": X + 1j}, [node("real", "x", "r"), node("sum", "r", "y")], "y", moving="x", request_id="name"
    ),
    "nothing reaches b": lambda: given({"a": X, "b": X}, [node("sum", "a", "y")], "y", moving="a b"),
    "no elements": lambda: given({"x": np.empty((0, 3))}, [node("sum", "x", "y")], "y", moving="x", fetch=["x"]),
    "seeds": lambda: given(
        {"x": X}, [node("sin", "x", "y")], "y", moving="x",
        seeds=[pb.Seed(output="y", cotangent=encode_tensor(np.array([1.0, -2.0, 0.5])))],
    ),
    "not finite": lambda: given(
        {"x": np.array([np.nan, -np.inf, 0.0])}, [node("log", "x", "l"), node("sum", "l", "y")], "y", moving="x"
    ),
    "values of the graph": lambda: request(
        [leaf("x", X), leaf("c", 2.0, requires_grad=False)], [node("multiply", "x c", "p"), node("sum", "p", "y")], "y"
    ),
    "evaluated": lambda: evaluation(given({"x": X, "k": np.array(True)}, [node("where", "k x x", "w")], "w")),
}  # fmt: skip


def answered(servicer: AutodiffServicer, asked: Any) -> Any:
    method = servicer.Differentiate if isinstance(asked, pb.DifferentiateRequest) else servicer.Evaluate
    return asyncio.run(method(asked, CONTEXT))


def read(kind: Any, answer: Any) -> Any:
    """A response without its times."""
    response = kind.FromString(answer) if isinstance(answer, bytes) else answer
    response.summary.ClearField("run_seconds")
    response.summary.ClearField("verify_seconds")
    return response


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_that_of_the_first_time(name: str, handlers: tuple[Handler, Handler]) -> None:
    quick, general = map(AutodiffServicer, handlers)
    asked = REQUESTS[name]()
    kind = pb.DifferentiateResponse if isinstance(asked, pb.DifferentiateRequest) else pb.EvaluateResponse
    answers = [answered(quick, asked) for _ in range(4)]
    assert [type(answer) for answer in answers] == [kind, kind, bytes, bytes]
    expected = read(kind, answered(general, asked)).SerializeToString(deterministic=True)
    for answer in answers:
        assert read(kind, answer).SerializeToString(deterministic=True) == expected
    assert asked == REQUESTS[name]()


@pytest.mark.parametrize("name", REQUESTS)
def test_streams_and_sessions_have_the_same_events(name: str, handlers: tuple[Handler, Handler]) -> None:
    handler, general = handlers
    asked = REQUESTS[name]()
    for _ in range(2):
        answered(AutodiffServicer(handler), asked)
    recalled = handler.recall(asked)
    assert recalled is not None
    results = asyncio.run(handler.repeat(recalled))
    assert results is not None
    session = pb.SessionResponse.FromString(recalled.session(results))
    stream = pb.StreamingDifferentiateResponse.FromString(recalled.stream(results))
    assert session.request_id == asked.input.request_id
    assert list(stream.events) == list(session.events)
    assert [event.sequence for event in stream.events] == list(range(len(stream.events)))
    if isinstance(asked, pb.DifferentiateRequest):

        async def events() -> list[pb.Event]:
            return [event async for event in general.differentiate(asked, {}, chunked=True)]

        expected = asyncio.run(events())
        for event in (expected[-1], stream.events[-1]):
            event.summary.ClearField("run_seconds")
            event.summary.ClearField("verify_seconds")
        got = [event.SerializeToString(deterministic=True) for event in stream.events]
        assert got == [event.SerializeToString(deterministic=True) for event in expected]


def prepared(handler: Handler, asked: Any) -> Any:
    """The request, which comes for the third time."""
    for _ in range(2):
        answered(AutodiffServicer(handler), asked)
    assert handler.recall(asked) is not None
    return asked


def test_new_elements_have_new_gradients(handlers: tuple[Handler, Handler]) -> None:
    asked = prepared(handlers[0], REQUESTS["vector"]())
    for x in (X + 1, X * 1e300, -X):
        asked.input.values[0].value.data = x.tobytes()
        response = pb.DifferentiateResponse.FromString(answered(AutodiffServicer(handlers[0]), asked))
        np.testing.assert_array_equal(np.frombuffer(response.gradients[0].gradient.data), 2 * x)


def changes() -> dict[str, Callable[[Any], None]]:
    def tensor(asked: Any) -> Any:
        return asked.input.values[0].value

    return {
        "a byte less": lambda asked: setattr(tensor(asked), "data", bytes(23)),
        "no bytes": lambda asked: setattr(tensor(asked), "data", b""),
        "another shape": lambda asked: tensor(asked).spec.shape.append(1),
        "another dtype": lambda asked: setattr(tensor(asked).spec, "dtype", tensor_pb2.DATA_TYPE_INT64),
        "another name": lambda asked: setattr(asked.input.values[0], "name", "z"),
        "a value twice": lambda asked: asked.input.values.append(asked.input.values[0]),
        "no such gradient": lambda asked: asked.gradients.append("nothing"),
        "an unknown level": lambda asked: setattr(asked.verify, "budget_seconds", -1.0),
        "saved outside a session": lambda asked: setattr(asked.input, "save_as", "name"),
    }


@pytest.mark.parametrize("name", changes())
def test_a_fault_is_refused_as_the_first_time(name: str, handlers: tuple[Handler, Handler]) -> None:
    asked = prepared(handlers[0], REQUESTS["vector"]())
    changes()[name](asked)
    texts = []
    for handler in handlers:
        with pytest.raises(GradproofError) as caught:
            asyncio.run(anext(handler.differentiate(asked, {}, chunked=False)))
        assert handler.recall(asked) is None
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


def test_a_run_that_fails_is_handled_as_a_new_request(handlers: tuple[Handler, Handler]) -> None:
    asked = prepared(handlers[0], REQUESTS["float32 and indices"]())
    asked.input.values[1].value.data = np.array([2, 7]).tobytes()
    recalled = handlers[0].recall(asked)
    assert recalled is not None
    assert asyncio.run(handlers[0].repeat(recalled)) is None
    assert handlers[0].admission.in_flight == 0


def test_where_there_is_no_room_a_repeated_request_is_refused(handlers: tuple[Handler, Handler]) -> None:
    handler = handlers[0]
    recalled = handler.recall(prepared(handler, REQUESTS["vector"]()))
    assert recalled is not None
    handler.admission.in_flight = handler.limits.runs_in_flight
    with pytest.raises(Busy, match="runs_in_flight"):
        asyncio.run(handler.repeat(recalled))
    assert handler.admission.refused["OVERLOADED", "runs_in_flight"] == 1


def test_a_digest_that_the_server_has_forgotten_is_not_found(handlers: tuple[Handler, Handler]) -> None:
    handler, asked = handlers[0], REQUESTS["vector"]()
    asked.input.digest = answered(AutodiffServicer(handler), asked).accepted.digest
    prepared(handler, asked)
    handler.graphs.clear()
    assert handler.recall(asked) is None
    with pytest.raises(NotFound):
        asyncio.run(anext(handler.differentiate(asked, {}, chunked=False)))


def test_short_runs_of_own_ops_step_in_the_loop(handlers: tuple[Handler, Handler]) -> None:
    handler = handlers[0]
    recalled = handler.recall(prepared(handler, REQUESTS["vector"]()))
    assert recalled is not None
    assert recalled.prepared.in_loop
    recalled.prepared.seconds = 2 * LOOP_SECONDS
    assert not recalled.prepared.in_loop
    submitted: list[bool] = []
    submit = handler.admission.submit
    handler.admission.submit = lambda large, function: submitted.append(large) or submit(large, function)
    assert asyncio.run(handler.repeat(recalled)) is not None
    assert submitted == [False]
    recalled.prepared.seconds, recalled.prepared._blocks = 0.0, True
    assert not recalled.prepared.in_loop


def test_large_requests_and_checks_have_no_form() -> None:
    large = given({"x": np.zeros(1 << 18)}, [node("sum", "x", "y")], "y", moving="x")
    checked = REQUESTS["vector"]()
    checked.verify.level = pb.VERIFY_LEVEL_EVERYTHING
    numbers = REQUESTS["vector"]()
    numbers.input.values[0].value.doubles.values.extend(X)
    assert [form_of(asked) for asked in (large, checked, numbers)] == [None, None, None]


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (1 << 21, "80808001")]
)
def test_lengths_are_written_as_the_encoding_says(number: int, expected: str) -> None:
    """https://protobuf.dev/programming-guides/encoding/#varints has 300 as ac 02."""
    assert _varint(number).hex() == expected
