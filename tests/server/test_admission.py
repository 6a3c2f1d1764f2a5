"""Admission: who may work now, in which order, and who is told what."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from tests.support import counting_plugin as counting
from tests.support.server_fixture import Served, leaf, node, request, serving

from gradproof.engine.caller import Caller
from gradproof.engine.estimate import Cost
from gradproof.server.calls.calls import CURRENT, Call
from gradproof.server.limits import Limits
from gradproof.server.runs.admission import SMALL_SECONDS, Admission, Busy, Turn, host_of
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2

LARGE = 100 * SMALL_SECONDS


def asked(body: Callable[[Admission], Awaitable[None]], **limits: int) -> None:
    """Run ``body`` in an event loop, bounded, with an admission of these limits."""

    async def main() -> None:
        admission = Admission(Limits(**limits))
        try:
            await body(admission)
        finally:
            admission.close()

    asyncio.run(asyncio.wait_for(main(), 60))


@contextmanager
def calling(name: str) -> Iterator[None]:
    token = CURRENT.set(Call(caller=Caller(name)))
    try:
        yield
    finally:
        CURRENT.reset(token)


async def work(admission: Admission, name: str, act: Callable[[], Any], seconds: float = LARGE) -> Any:
    with calling(name), admission.request() as turn:
        return await turn.run("run", seconds, act)


async def until(said: Callable[[], bool]) -> None:
    while not said():
        await asyncio.sleep(0.001)


def test_large_work_takes_turns_between_identities() -> None:
    order: list[str] = []

    async def body(admission: Admission) -> None:
        gate = threading.Event()
        first = asyncio.create_task(work(admission, "z", lambda: gate.wait(30)))
        await until(lambda: admission.large == 1)
        names = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]
        tasks = []
        for k, name in enumerate(names, 1):
            tasks.append(asyncio.create_task(work(admission, name[0], lambda name=name: order.append(name))))  # type: ignore[misc]
            await until(lambda k=k: admission.queued == k)  # type: ignore[misc]
        gate.set()
        await asyncio.gather(first, *tasks)
        assert (admission.large, admission.queued, admission.in_flight) == (0, 0, 0)

    asked(body, large_runs=1)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_small_work_waits_for_no_large_work() -> None:
    async def body(admission: Admission) -> None:
        gate = threading.Event()
        large = [asyncio.create_task(work(admission, "a", lambda: gate.wait(30))) for _ in range(5)]
        await until(lambda: admission.queued == 3)
        assert await work(admission, "a", lambda: 7, seconds=0.0) == 7
        gate.set()
        await asyncio.gather(*large)

    asked(body)


def test_nobody_has_more_than_a_share_of_the_runs_in_flight() -> None:
    async def body(admission: Admission) -> None:
        with calling("a"), admission.request(), admission.request():
            with pytest.raises(Busy) as caught, admission.request():
                pass
            assert (caught.value.reason, caught.value.passed) == ("QUOTA_EXCEEDED", (("runs_per_caller", 3, 2),))
            with calling("b"), admission.request():
                assert admission.in_flight == 3
                with calling("c"), pytest.raises(Busy) as caught, admission.request():
                    pass
            assert (caught.value.reason, caught.value.name) == ("OVERLOADED", "runs_in_flight")
        assert admission.in_flight == 0
        assert admission.refused == {("QUOTA_EXCEEDED", "runs_per_caller"): 1, ("OVERLOADED", "runs_in_flight"): 1}

    asked(body, runs_in_flight=3, runs_per_caller=2)


@pytest.mark.parametrize(("quota", "most"), [({"runs": 3}, 3), ({"share": 0.25}, 2), ({"runs": 5, "share": 0.01}, 1)])
def test_a_caller_may_have_a_quota_of_its_own(quota: dict[str, Any], most: int) -> None:
    async def body(admission: Admission) -> None:
        token = CURRENT.set(Call(caller=Caller("a", **quota)))
        with ExitStack() as stack:
            for _ in range(most):
                stack.enter_context(admission.request())
            with pytest.raises(Busy, match=f"runs_per_caller is {most + 1}, and the limit is {most}"):
                stack.enter_context(admission.request())
        CURRENT.reset(token)

    asked(body, runs_in_flight=8)


def test_the_line_is_bounded_and_a_deadline_that_it_would_pass_is_told_at_once() -> None:
    async def body(admission: Admission) -> None:
        gate = threading.Event()
        running = asyncio.create_task(work(admission, "a", lambda: gate.wait(30), seconds=50.0))
        await until(lambda: admission.large == 1)
        with admission.request(left=10.0) as turn, pytest.raises(Busy) as caught:
            await turn.run("run", LARGE, lambda: None)
        assert (caught.value.reason, caught.value.name) == ("OVERLOADED", "deadline_seconds")
        assert 40 < caught.value.retry_seconds <= 50
        with admission.request(left=10.0) as turn, pytest.raises(Busy):
            turn.reserve(Cost(calls=100_000))
        waiting = asyncio.create_task(work(admission, "a", lambda: None))
        await until(lambda: admission.queued == 1)
        with admission.request() as turn, pytest.raises(Busy) as caught:
            await turn.run("run", LARGE, lambda: None)
        assert (caught.value.name, caught.value.actual, caught.value.limit) == ("runs_queued", 2, 1)
        gate.set()
        await asyncio.gather(running, waiting)

    asked(body, large_runs=1, runs_queued=1)


def test_a_place_in_the_line_that_is_left_is_free() -> None:
    async def body(admission: Admission) -> None:
        gate = threading.Event()
        running = asyncio.create_task(work(admission, "a", lambda: gate.wait(30)))
        await until(lambda: admission.large == 1)
        left = [asyncio.create_task(work(admission, "a", lambda: None)) for _ in range(3)]
        stays = asyncio.create_task(work(admission, "b", lambda: "done"))
        await until(lambda: admission.queued == 4)
        for task in left:
            task.cancel()
        await until(lambda: admission.queued == 1)
        assert admission.expected_wait() <= 2 * LARGE  # what runs, and the one that stays
        stays_not = asyncio.create_task(work(admission, "c", lambda: None))
        await until(lambda: admission.queued == 2)
        stays_not.cancel()
        gate.set()
        assert await stays == "done"
        await running
        assert (admission.large, admission.in_flight, len(admission._queue)) == (0, 0, 0)

    asked(body, large_runs=1)


def test_a_place_that_is_left_as_its_slot_comes_is_free() -> None:
    """The slot that becomes free goes past a place whose task is cancelled, or comes back from it."""

    async def body(admission: Admission) -> None:
        for cancel_first in (True, False):
            gate = threading.Event()
            running = asyncio.create_task(work(admission, "a", lambda gate=gate: gate.wait(30)))  # type: ignore[misc]
            await until(lambda: admission.large == 1)
            left = asyncio.create_task(work(admission, "b", lambda: None))
            await until(lambda: admission.queued == 1)
            if cancel_first:
                left.cancel()
                admission._free_slot()
            else:
                admission._free_slot()
                left.cancel()
            admission.large += 1  # that of `running`, which still has its own
            with suppress(asyncio.CancelledError):
                await left
            gate.set()
            await running
            assert (admission.large, admission.queued, len(admission._queue)) == (0, 0, 0)

    asked(body, large_runs=1)


def test_work_that_goes_on_behind_a_cancel_keeps_its_slot() -> None:
    async def body(admission: Admission) -> None:
        gate, entered = threading.Event(), threading.Event()
        turns: list[Turn] = []

        def stubborn() -> None:
            entered.set()
            gate.wait(30)

        async def go() -> None:
            with admission.request() as turn:
                turns.append(turn)
                await turn.run("run", LARGE, stubborn)

        task = asyncio.create_task(go())
        await until(entered.is_set)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert (admission.in_flight, admission.large, turns[0].cancellation.cancelled) == (0, 1, True)
        gate.set()
        await until(lambda: admission.large == 0)

    asked(body, large_runs=1)


def test_a_run_that_waits_for_its_client_is_none() -> None:
    async def body(admission: Admission) -> None:
        with calling("a"), admission.request() as turn:
            await turn.run("run", LARGE, lambda: None)
            assert (admission.large, admission.in_flight, admission.waiting) == (1, 1, 0)
            with turn.waiting_for_client(patience=0):
                assert (admission.large, admission.in_flight, admission.waiting) == (0, 0, 1)
                with admission.request() as other:  # beyond the limit of those that wait it counts as in flight
                    await other.run("run", LARGE, lambda: None)
                    with other.waiting_for_client(patience=0):
                        assert (admission.large, admission.in_flight, admission.waiting) == (0, 1, 1)
            assert (admission.in_flight, admission.waiting) == (1, 0)
            await turn.run("run", LARGE, lambda: None)
            with turn.waiting_for_client(patience=0.001):
                await until(lambda: admission.waiting == 1)  # nobody reads what was sent
        assert (admission.large, admission.in_flight, admission.waiting) == (0, 0, 0)

    asked(body, waiting_per_caller=1)


def test_a_run_comes_back_to_its_work_however_long_the_line_is() -> None:
    async def body(admission: Admission) -> None:
        gate = threading.Event()
        with admission.request() as turn:
            turn.reserve(Cost(calls=100_000))
            await turn.run("run", LARGE, lambda: None)
            with turn.waiting_for_client(patience=0):
                running = asyncio.create_task(work(admission, "a", lambda: gate.wait(30)))
                await until(lambda: admission.large == 1)
            back = asyncio.create_task(turn.run("run", LARGE, lambda: "back"))
            await until(lambda: admission.queued == 1)
            gate.set()
            assert await back == "back"
            await running

    asked(body, large_runs=1, runs_queued=0)


def test_runs_share_the_memory() -> None:
    async def body(admission: Admission) -> None:
        with admission.request() as one:
            one.reserve(Cost(nbytes=500))  # alone it may be larger
            with admission.request() as other, pytest.raises(Busy, match="bytes_in_flight is 501, and the limit is 100"):
                other.reserve(Cost(nbytes=1))
        assert admission.nbytes == 0
        with admission.request() as one:
            one.reserve(Cost(nbytes=60))
            with admission.request() as other:
                other.reserve(Cost(nbytes=40))
        assert admission.nbytes == 0

    asked(body, bytes_in_flight=100)


def test_sessions_are_counted() -> None:
    async def body(admission: Admission) -> None:
        with calling("a"), admission.session():
            with pytest.raises(Busy, match="sessions_per_caller is 2"), admission.session():
                pass
            with calling("b"), admission.session():
                refused = pytest.raises(Busy, match="sessions is 3")
                with calling("c"), refused, admission.session():
                    pass
        assert admission.sessions == 0

    asked(body, sessions=2, sessions_per_caller=1)


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:10.0.0.1:5000", "ipv4:10.0.0.1"), ("ipv6:[::1]:50", "ipv6:[::1]"), ("unix:/a", "unix:/a"), ("", "")],
)
def test_an_identity_without_a_name_is_a_host(peer: str, host: str) -> None:
    assert host_of(peer) == host


# through a server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(runs_per_caller=2, waiting_per_caller=1, sessions=2, stall_seconds=0.3, estimated_flops=10**9)
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.counting_plugin"], limits=limits) as one:
        yield one


@pytest.fixture(autouse=True)
def gates() -> Iterator[None]:
    counting.entered.clear()
    counting.released.clear()
    yield
    counting.released.set()


def details(error: grpc.RpcError) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in rpc_status.from_call(error).details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure):
            message = kind()
            if one.Unpack(message):
                found[kind.__name__] = message
    return found


def settled(served: Served) -> None:
    end = time.monotonic() + 30
    while served.host.handler.admission.busy or served.host.handler.admission.sessions:
        assert time.monotonic() < end
        time.sleep(0.005)


GATED = [node("counting.gate", "x", "a"), node("sum", "a", "y")]


@pytest.mark.slow
def test_a_client_that_has_its_share_is_told_when_to_come_again(served: Served) -> None:
    calls = [served.autodiff.Differentiate.future(request([leaf("x", np.ones(2))], GATED, "y")) for _ in range(2)]
    while served.host.handler.admission.in_flight < 2:
        time.sleep(0.005)
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(request([leaf("x", 1.0)], [], "x"))
    found = details(caught.value)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert found["ErrorInfo"].reason == "QUOTA_EXCEEDED"
    assert dict(found["ErrorInfo"].metadata) == {"limit": "runs_per_caller", "actual": "3", "allowed": "2"}
    assert found["RetryInfo"].retry_delay.ToMilliseconds() >= 50
    counting.released.set()
    assert all(call.result().gradients for call in calls)
    settled(served)


def test_what_costs_too_much_is_refused_before_it_runs_and_infer_says_so(served: Served) -> None:
    shape = graph_pb2.Attribute(int_list=tensor_pb2.IntList(values=[1000, 1000]))
    nodes = [node("broadcast_to", "x", "a", attributes={"shape": shape}), node("matmul", "a a", "b"), node("sum", "b", "y")]
    message = request([leaf("x", 1.0)], nodes, "y")
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(message)
    info = details(caught.value)["ErrorInfo"]
    assert (info.reason, info.metadata["limit"], "RetryInfo" in details(caught.value)) == (
        "LIMIT_EXCEEDED",
        "estimated_flops",
        False,
    )
    inferred = served.autodiff.Infer(pb.InferRequest(graph=message.input.graph))
    assert int(info.metadata["actual"]) == inferred.estimated_flops > 6 * 10**9 > inferred.evaluate_flops > 2 * 10**9
    assert [fault.reason for fault in inferred.violations] == ["LIMIT_EXCEEDED"]
    assert inferred.digest


def test_a_reader_that_does_not_read_ends_with_aborted(served: Served) -> None:
    """400 gradients of 64 KiB, of which the window of a stream holds a part."""
    nodes = [node("sin", f"v{k}", f"v{k + 1}") for k in range(400)] + [node("sum", "v400", "y")]
    message = request([leaf("v0", np.ones(8192))], nodes, "y", retain=[f"v{k}" for k in range(400)])
    call = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message))
    assert next(call).events[0].HasField("accepted")
    settled(served)  # nobody reads: the server has given the run up
    with pytest.raises(grpc.RpcError) as caught:
        for _ in call:
            pass
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert details(caught.value)["ErrorInfo"].reason == "STALLED"


def test_sessions_beyond_the_limit_are_refused_and_idle_ones_cost_nothing(served: Served) -> None:
    over = threading.Event()

    def silent() -> Iterator[pb.SessionRequest]:
        over.wait(60)
        yield from ()

    calls = [served.autodiff.Session(silent()) for _ in range(2)]
    while served.host.handler.admission.sessions < 2:
        time.sleep(0.005)
    with pytest.raises(grpc.RpcError) as caught:
        list(served.autodiff.Session(iter([])))
    assert details(caught.value)["ErrorInfo"].metadata["limit"] == "sessions"
    assert served.host.handler.admission.busy == 0
    over.set()
    assert [list(call) for call in calls] == [[], []]
    settled(served)


@pytest.mark.parametrize(
    "call", ["Differentiate", "Infer", "Derive", "Explain", "Evaluate", "StreamingDifferentiate", "Session"]
)
def test_bytes_that_are_no_message_are_an_invalid_argument(served: Served, call: str) -> None:
    path = f"/gradproof.v1.AutodiffService/{call}"
    garbage = b"\x0a\xff\xff\xff\xff"

    def say() -> object:
        if call == "Session":
            return list(served.channel.stream_stream(path, bytes, bytes)(iter([garbage])))
        if call == "StreamingDifferentiate":
            return list(served.channel.unary_stream(path, bytes, bytes)(garbage))
        return served.channel.unary_unary(path, bytes, bytes)(garbage)

    with pytest.raises(grpc.RpcError) as caught:
        say()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(caught.value)["ErrorInfo"].reason == "INVALID_REQUEST"


def test_a_message_that_is_too_long_is_refused_in_our_words(served: Served) -> None:
    most = served.host.settings.limits.message_bytes
    with pytest.raises(grpc.RpcError) as caught:
        served.channel.unary_unary("/gradproof.v1.AutodiffService/Infer", bytes, bytes)(bytes(most + 1))
    metadata = dict(details(caught.value)["ErrorInfo"].metadata)
    assert metadata == {"limit": "message_bytes", "actual": str(most + 1), "allowed": str(most)}
    with pytest.raises(grpc.RpcError) as caught:
        served.channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)(b"\x0a\xff\xff\xff\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_address_of_a_caller_is_its_identity(served: Served) -> None:
    seen: list[str] = []
    admission = served.host.handler.admission
    count = admission.count
    admission.count = lambda caller, by: (seen.append(caller), count(caller, by))[1]  # type: ignore[method-assign, func-returns-value]
    try:
        served.autodiff.Differentiate(request([leaf("x", 1.0)], [], "x"))
        list(served.autodiff.Session(iter([pb.SessionRequest(differentiate=request([leaf("x", 1.0)], [], "x"))])))
    finally:
        del admission.count
    assert set(seen) == {"ipv4:127.0.0.1"}
