"""Hostile definitions in workers: what they do to their process costs only their own verdict."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench
from tests.support import wild_plugin
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.verdicts import finish
from tests.support.waiting import until
from tests.support.wild_plugin import ENDING, LEAVING, LONG, Look
from tests.support.worker_pools import check, started

from gradproof.engine.engine import Engine
from gradproof.engine.extend import Inferred, Op, hookimpl
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.verdict import (
    AccumulationVerdict,
    AccumulationWord,
    GradientVerdict,
    RuleVerdict,
    RuleWord,
    SummaryWord,
    UseVerdict,
    ValueVerdict,
    ValueWord,
)
from gradproof.plugins import BUILTIN
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2
from gradproof.wire import decode_tensor


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry_with_plugins = build_registry(BUILTIN, others=[wild_plugin, Odd])
    assert not registry_with_plugins.refused
    return registry_with_plugins


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    yield from started("tests.support.wild_plugin")


@pytest.fixture(scope="module")
def bench(registry: Registry) -> Bench:
    return Bench(Engine(registry))


class Odd:
    """A plugin whose attributes cannot be pickled."""

    GRADPROOF_API = 1

    @staticmethod
    @hookimpl
    def register_ops(register: Callable[[Op], None]) -> None:
        def infer(x: Any, *, power: int = 2) -> Inferred:
            return Inferred((x,), {"power": lambda: 2})

        forward = lambda x, power: x ** power()  # noqa: E731
        define = lambda f, i, x, power: x[i] * x[i]  # noqa: E731
        register(Op("odd.square", forward, None, define, infer))


def clean(bench: Bench, registry: Registry, workers: Workers) -> None:
    """Later checks are not affected."""
    run = finish(bench.engine, bench.job({"x": np.array(0.5)}, ["y = square(x)"], "y"))
    for _ in range(2):
        assert check(registry, workers, run, 20.0)["x"].summary is SummaryWord.VERIFIED


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("deed", LEAVING)
def test_side_effects_of_a_definition_stay_in_its_process(
    bench: Bench, registry: Registry, workers: Workers, deed: str
) -> None:
    with workers.worker(20) as worker:
        fresh = worker.answer(Look(), 20)
    run = finish(bench.engine, bench.job({"x": np.array(0.5)}, [f"y = wild.{deed}(x)"], "y"))
    check(registry, workers, run, 20.0)
    idle = [workers.take(20) for _ in range(len(workers._idle))]
    try:
        assert [worker.answer(Look(), 20) for worker in idle] == [fresh] * len(idle)
    finally:
        for worker in idle:
            workers.give_back(worker)
    clean(bench, registry, workers)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("deed", ENDING)
def test_the_end_of_a_definition_costs_its_own_word(bench: Bench, registry: Registry, workers: Workers, deed: str) -> None:
    budget, started = 1.0 if deed in ("stop", "mask") else 30.0, time.monotonic()
    lines = ["a = sin(x)", f"b = wild.{deed}(a)", "c = exp(y)", "d = add(b, c)"]
    run = finish(bench.engine, bench.job({"x": np.array(0.5), "y": np.array(0.25)}, lines, "d"))
    verdicts = check(registry, workers, run, budget)
    assert time.monotonic() - started < 1.2 * budget + 0.5  # the machine may be busy
    assert verdicts["y"].uses[0].value.word is ValueWord.ENCLOSED
    assert verdicts["x"].summary in (SummaryWord.PLAUSIBLE, SummaryWord.UNCHECKED) or deed in ("fork", "stop_parent")
    assert len(verdicts["x"].reason) < LONG / 1000
    assert not workers._busy
    clean(bench, registry, workers)


def test_a_run_that_cannot_be_pickled_costs_words_and_nothing_else(
    bench: Bench, registry: Registry, workers: Workers
) -> None:
    x = np.linspace(0.1, 1.0, 20_000)
    lines = ["a = odd.square(c)", "y = multiply(x, a)", "z = sum(y)"]
    run = finish(bench.engine, replace(bench.job({"x": x, "c": x}, lines, "z"), gradients=("x",)))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        verdict = check(registry, workers, run, 20.0)["x"]
        assert "cannot be sent to a process that checks it" in verdict.uses[0].value.reason
        assert verdict.summary is SummaryWord.PLAUSIBLE
        assert not workers._busy
    assert len(os.listdir("/proc/self/fd")) <= before + 4  # of workers that have become idle
    clean(bench, registry, workers)


def test_a_run_that_there_is_no_room_for_costs_words_and_nothing_else(
    bench: Bench, registry: Registry, workers: Workers
) -> None:
    """The limit of open files of this process is reached."""
    x = np.linspace(0.1, 1.0, 20_000)
    run = finish(bench.engine, bench.job({"x": x}, ["y = tanh(x)", "z = sum(y)"], "z"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    workers.memory.trim(0)  # an idle region of another run would need no file
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, hard))
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        verdict = check(registry, workers, run, 20.0)["x"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)
    assert verdict.summary is SummaryWord.PLAUSIBLE
    assert "there is no room to send the run" in verdict.uses[0].value.reason
    clean(bench, registry, workers)


# messages


def use(k: int) -> UseVerdict:
    number = ValueVerdict(ValueWord.ENCLOSED, reason=f"use {k}")
    return UseVerdict(k, "sin", "x", 0, RuleVerdict(RuleWord.PROVED, "sin", "()"), number, number)


@pytest.mark.slow
def test_batches_of_verdicts_are_bounded_in_bytes() -> None:
    exact = AccumulationVerdict(AccumulationWord.EXACT)
    small = [GradientVerdict(f"x{k}", SummaryWord.VERIFIED, "r" * 1000, (use(k),), exact) for k in range(3000)]
    large = GradientVerdict("x", SummaryWord.VERIFIED, "r" * LONG, tuple(map(use, range(40_000))), exact)
    batches = list(encode.verdict_batches([*small, large, *small]))
    assert [verdict.value for batch in batches for verdict in batch.verdicts] == [
        verdict.name for verdict in (*small, large, *small)
    ]
    assert max(batch.ByteSize() for batch in batches) < 1.1 * encode.BATCH_BYTES
    [shortened] = [verdict for batch in batches for verdict in batch.verdicts if verdict.value == "x"]
    assert shortened.reason.endswith(f"; {len(shortened.uses)} of 40000 uses are listed")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(message_bytes=40_000, explain_seconds=120.0)
    plugins = ["tests.support.stuck_plugin", "tests.support.wild_plugin"]
    folder = tmp_path_factory.mktemp("proofs")
    with serving(folder, plugin=plugins, proof_seconds=1.0, limits=limits) as served:
        yield served


@pytest.mark.slow
@pytest.mark.parametrize("count", [10, 300])
def test_verdicts_make_no_unary_answer_too_long(running: Served, count: int) -> None:
    """A value with many uses, which are left out."""
    nodes = [node("sin", "x", "s0"), *(node("multiply", f"x s{k}", f"s{k + 1}") for k in range(count))]
    message = request([leaf("x", np.array(0.9))], nodes, f"s{count}", verify=pb.VerifyOptions(budget_seconds=20.0))
    response = running.autodiff.Differentiate(message)
    assert float(decode_tensor(response.gradients[0].gradient)) == pytest.approx(
        count * 0.9 ** (count - 1) * np.sin(0.9) + 0.9**count * np.cos(0.9)
    )
    [verdict] = response.verdicts
    assert len(verdict.uses) == (count + 1 if count == 10 else 0)
    assert verdict.reason


# abandoned calls


def test_many_calls_that_wait_for_proofs_take_nothing_from_the_checks(running: Served) -> None:
    asked = op_service_pb2.VerifyOpRequest(name="stuck.hang_symbols", budget_seconds=600.0)
    message = request([leaf("x", np.array(0.5))], [node("square", "x", "y")], "y", verify=pb.VerifyOptions())
    calls = [running.ops.VerifyOp(asked) for _ in range(2 * running.host.settings.limits.runs_in_flight)]
    try:
        response = running.autodiff.Differentiate(message)
        assert len(response.verdicts[0].uses) == 1
        assert not response.verdicts[0].reason.startswith("budget")
    finally:
        for call in calls:
            call.cancel()


def test_formulas_that_nobody_waits_for_free_their_worker(running: Served) -> None:
    workers = running.host.proofs.workers
    until(lambda: not workers._busy)
    graph = request([leaf("x", np.array(0.5))], [node("stuck.hang_symbols", "x", "y")], "y").input.graph
    call = running.autodiff.Explain.future(pb.ExplainRequest(graph=graph, value="y"))
    until(lambda: bool(workers._busy))
    call.cancel()
    until(lambda: not workers._busy)


@pytest.mark.slow
def test_attributes_are_sampled_where_a_forward_can_be_stopped(running: Served) -> None:
    asked = op_service_pb2.VerifyOpRequest(name="wild.patient", budget_seconds=2.0)
    started = time.monotonic()
    events = list(running.ops.VerifyOp(asked))
    assert events[-1].cases_done == events[-1].cases_total
    assert time.monotonic() - started < 5 * 2.0
