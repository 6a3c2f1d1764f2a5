"""Cancellation: what nobody waits for stops after the node that it is at, however it was left, in every executor."""

from __future__ import annotations

import gc
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import grpc
import numpy as np
import pytest
from tests.conftest import Bench
from tests.support import counting_plugin as counting
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.statuses import fault_of
from tests.support.waiting import until

from gradproof.client import Client, DeadlineExceeded, GraphBuilder
from gradproof.engine.cancellation import Cancellation
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine, ValueEvent
from gradproof.engine.errors import Cancelled
from gradproof.engine.lower import lower
from gradproof.engine.plugin_errors import shielded
from gradproof.engine.registry import build_registry
from gradproof.plugins import BUILTIN
from gradproof.server.runs.admission import SMALL_THREADS as THREADS
from gradproof.server.runs.run_batcher import RunBatcher
from gradproof.v1 import autodiff_service_pb2 as pb

SIZES = (1, 300, 1 << 18)
"""A single number, an array that is bound, one that runs in blocks."""

REGISTRY = build_registry(BUILTIN, others=[counting])


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    counting.counted.clear()
    counting.entered.clear()
    counting.released.clear()
    yield
    counting.act.clear()
    counting.released.set()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.counting_plugin"]) as one:
        yield one


def idle(served: Served) -> bool:
    return served.host.handler.admission.busy == 0


FORWARD = [node("counting.gate", "x", "a"), node("counting.count", "a", "b"), node("sum", "b", "y")]
BACKWARD = [node("counting.count", "x", "a"), node("counting.gate_behind", "a", "b"), node("sum", "b", "y")]


def asked(nodes: list[Any], level: Any = pb.VERIFY_LEVEL_OFF, size: int = 2) -> pb.DifferentiateRequest:
    return request([leaf("x", np.ones(size))], nodes, "y", verify=pb.VerifyOptions(level=level))


def leave_unary(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    call = served.autodiff.Differentiate.future(message)
    return lambda: call.cancel()


def leave_stream(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    call = served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message))
    return lambda: call.cancel()


def leave_evaluate(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    call = served.autodiff.Evaluate.future(pb.EvaluateRequest(input=pb.RunInput(graph=message.input.graph)))
    return lambda: call.cancel()


def leave_session(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    message.input.request_id = "r"
    hung_up = counting.released

    def frames() -> Iterator[pb.SessionRequest]:
        yield pb.SessionRequest(differentiate=message)
        hung_up.wait(60)

    call = served.autodiff.Session(frames())
    return lambda: call.cancel()


def cancel_in_session(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    message.input.request_id = "r"
    said: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
    said.put(pb.SessionRequest(differentiate=message))
    call = served.autodiff.Session(iter(said.get, None))

    def leave() -> None:
        said.put(pb.SessionRequest(cancel=pb.CancelRun(request_id="r")))
        said.put(None)
        assert [fault_of(one).reason for one in call if one.HasField("status")] == ["CANCELLED"]

    return leave


def outlast(served: Served, message: pb.DifferentiateRequest) -> Callable[[], Any]:
    call = served.autodiff.Differentiate.future(message, timeout=0.5)

    def leave() -> None:
        with pytest.raises(grpc.RpcError) as caught:
            call.result()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    return leave


WAYS = [leave_unary, leave_stream, leave_session, cancel_in_session, outlast]


def left(served: Served, message: pb.DifferentiateRequest, way: Any) -> list[int]:
    """What was counted behind the gate at which the run was when it was left."""
    leave = way(served, message)
    assert counting.entered.wait(20)
    before = list(counting.counted)
    leave()
    until(lambda: idle(served))
    counting.released.set()
    together = threading.Barrier(THREADS + 1)
    for _ in range(THREADS):  # each of which needs a thread that has nothing else to do
        served.host.handler.admission._small_threads.submit(together.wait, 20)
    together.wait(20)
    return counting.counted[len(before) :]


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("nodes", [FORWARD, BACKWARD], ids=["forward", "backward"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_run_that_was_left_computes_no_other_node(served: Served, way: Any, nodes: list[Any]) -> None:
    assert left(served, asked(nodes), way) == []


def test_an_evaluation_that_was_left_computes_no_other_node(served: Served) -> None:
    assert left(served, asked(FORWARD), leave_evaluate) == []


@pytest.mark.parametrize("level", [pb.VERIFY_LEVEL_OFF, pb.VERIFY_LEVEL_VALUES])
def test_neither_does_one_of_a_compiled_plan_or_one_that_is_checked(served: Served, level: Any) -> None:
    counting.released.set()
    message = asked(BACKWARD, level, size=5)
    for _ in range(3):  # a plan is compiled when it runs for the second time
        served.autodiff.Differentiate(message)
    counting.released.clear()
    counting.entered.clear()
    assert left(served, message, leave_unary) == []


def test_the_server_is_as_good_as_before(served: Served) -> None:
    counting.released.set()
    response = served.autodiff.Differentiate(asked(FORWARD))
    assert response.summary.nodes_computed == 3


@pytest.mark.parametrize("plans", list(Plans))
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("behind", [False, True], ids=["forward", "backward"])
def test_every_executor_stops_at_the_next_node(plans: Plans, size: int, behind: bool) -> None:
    engine = Engine(REGISTRY, compilations=Compilations(plans))
    bench = Bench(engine)
    lines = ["a = counting.count(x)", "b = counting.trigger_behind(a)" if behind else "b = counting.trigger(x)"]
    lines += ["c = counting.count(b)", "d = multiply(c, c)", "y = sum(d)"]
    x = np.ones(size) if size > 1 else np.asarray(1.0)
    job = bench.job({"x": x}, lines, "y")
    for _ in range(3):
        assert list(engine.gradients(engine.prepare(job, evidence=False)))
    whole = len(counting.counted) // 3
    counting.counted.clear()
    cancellation = Cancellation()
    counting.act.append(cancellation.cancel)
    with pytest.raises(Cancelled):
        list(engine.gradients(cancellation.within(partial(engine.prepare, job, evidence=False))))
    assert 0 < len(counting.counted) < whole


@pytest.mark.parametrize("size", [300, 1 << 18])
def test_a_stretch_of_elementwise_work_stops_between_calls_and_blocks(size: int) -> None:
    engine = Engine(REGISTRY, compilations=Compilations(Plans.ALWAYS))
    lines = ["h = exp(x)", *(f"h{k} = sin({'h' if k == 0 else f'h{k - 1}'})" for k in range(6)), "y = sum(h5)"]
    job = Bench(engine).job({"x": np.zeros(size)}, lines, "y", fetch=("h",))
    cancellation = Cancellation()
    run = engine.gradients(cancellation.within(partial(engine.prepare, job, evidence=False)))
    assert next(run).name == "h"
    cancellation.cancel()
    with pytest.raises(Cancelled):
        next(run)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Cycles are not collected: what is freed is freed when its last reference goes."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def batcher_of(plans: Plans) -> RunBatcher:
    """A run of three large results, of which no batch has more than one."""
    bench = Bench(Engine(REGISTRY, compilations=Compilations(plans)))
    lines = [f"{y} = exp({x})" for x, y in ("xa", "ab", "bc")]
    job = bench.job({"x": np.ones(SIZES[-1])}, [*lines, "y = sum(c)"], "y", fetch=("a", "b", "c"))
    prepared = Cancellation().within(lambda: bench.engine.prepare(job, evidence=plans is Plans.NEVER))
    return RunBatcher(bench.engine, prepared, save=False, chunked=True)


@pytest.mark.sweep(of=2)
@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("plans", [Plans.NEVER, Plans.ALWAYS], ids=str)
@pytest.mark.parametrize("stopped", ["between two batches", "at work"])
def test_the_memory_of_a_run_that_was_left_is_free_at_once(plans: Plans, stopped: str) -> None:
    batcher = batcher_of(plans)
    [event] = batcher.batch()
    assert isinstance(event, ValueEvent)
    array, running = weakref.ref(event.value), weakref.ref(batcher.events)
    if stopped == "at work":
        batcher.cancel()
        with suppress(Cancelled):  # a compiled plan may be done
            shielded(batcher.batch)
    del event, batcher
    assert running() is None
    assert array() is None


def test_lowering_planning_and_deriving_stop_too() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    engine = Engine(REGISTRY)
    job = Bench(engine).job({"x": np.ones(2)}, ["s = exp(x)", "y = sum(s)"], "y")
    with pytest.raises(Cancelled):
        cancellation.within(lower, job.graph, REGISTRY)
    with pytest.raises(Cancelled):
        cancellation.within(engine.prepare, job)
    for mode in Mode:
        with pytest.raises(Cancelled):
            cancellation.within(derive, job.graph, REGISTRY, mode)
    assert list(engine.differentiate(job))  # and nothing of it was kept


def test_a_call_without_checks_is_given_its_timeout_and_no_more(served: Served) -> None:
    g = GraphBuilder()
    x = g.leaf("x", np.ones(2), requires_grad=True)
    g.output(g.apply("sum", g.apply("counting.gate", x)))
    started = time.monotonic()
    with Client(served.target, timeout=0.3) as client, pytest.raises(DeadlineExceeded):
        client.differentiate(g, verify="off", budget=30.0)
    assert time.monotonic() - started < 10.0
