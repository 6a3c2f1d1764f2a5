"""Workers: verdicts equal those of this process, whatever definitions do; no call hangs, and no process or file is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import REGISTRY, Bench
from tests.support import stuck_plugin
from tests.support.proof_sources import AssumedProofs
from tests.support.random_programs import random_job
from tests.support.verdicts import finish
from tests.support.worker_pools import SOURCES, check, ended, started, untimed

from gradproof.engine.engine import Engine, Run
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Spec
from gradproof.engine.verify.processes import Ended, NoWorker, Workers
from gradproof.engine.verify.processes.tasks import Ping
from gradproof.engine.verify.runs import layout_of, read_values, unpack_plan, write_values
from gradproof.engine.verify.runs.evidence import pack_plan
from gradproof.engine.verify.verdict import GradientVerdict, GraphWord, SummaryWord, ValueWord
from gradproof.engine.verify.verifier import LATE, Verifier
from gradproof.plugins import BUILTIN


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry_with_plugins = build_registry(BUILTIN, others=[stuck_plugin])
    assert not registry_with_plugins.refused
    return registry_with_plugins


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    yield from started("tests.support.stuck_plugin")


@pytest.fixture(scope="module")
def bench(registry: Registry) -> Bench:
    return Bench(Engine(registry))


# equal verdicts


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_workers_say_what_this_process_says(workers: Workers, seed: int) -> None:
    """Random programs: views, broadcast values, reductions, hooks, several dtypes; some in shared memory."""
    run = finish(Engine(REGISTRY), random_job(Bench(Engine(REGISTRY)), seed))
    here = {verdict.name: verdict for verdict in Verifier(REGISTRY, AssumedProofs(REGISTRY)).check(run, budget=60.0)}
    there = check(REGISTRY, workers, run, 60.0)
    assert list(map(untimed, there.values())) == list(map(untimed, here.values()))


def test_a_plan_goes_to_each_worker_once(workers: Workers, bench: Bench, registry: Registry) -> None:
    run = finish(bench.engine, bench.job({"x": np.array(2.0)}, ["y = sin(x)", "z = multiply(y, y)"], "z"))
    first, second = check(registry, workers, run, 60.0), check(registry, workers, run, 60.0)
    assert untimed(first["x"]) == untimed(second["x"])
    plan = unpack_plan(pack_plan(run.plan), registry)
    assert plan.program.text() == run.plan.program.text()
    assert plan.program.instructions[0].op is registry.op("sin")


DTYPES = [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.complex64, np.complex128, np.int64, np.int8, np.bool_]


@given(st.data())
def test_values_come_back_with_all_bits(data: st.DataObject) -> None:
    values: list[Any] = []
    specs: list[Spec] = []
    for _ in range(data.draw(st.integers(0, 6))):
        dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
        shape = tuple(data.draw(st.lists(st.integers(0, 12), max_size=3)))
        random = np.random.default_rng(len(values))
        array: Any = random.integers(0, 2 if dtype.kind == "b" else 200, (*shape, dtype.itemsize)).astype(np.uint8)
        array = array.view(dtype)[..., 0]
        how = data.draw(st.sampled_from(["as it is", "turned", "stretched", "missing", "number"]))
        if how == "turned":
            array = array.T
        elif how == "stretched":
            array = np.broadcast_to(array, (3, *array.shape))
        specs.append(Spec(array.shape, dtype))
        number = how == "number" and not array.shape and dtype == np.float64
        values.append(None if how == "missing" else array.item() if number else array)
    layout = layout_of(values, specs)
    buffer = bytearray(layout.size)
    write_values(values, specs, layout, buffer)
    for value, spec, back in zip(values, specs, read_values(specs, layout, bytes(buffer)), strict=True):
        if value is None:
            assert back is None
        else:
            assert (back.shape, back.dtype, back.flags.writeable) == (spec.shape, spec.dtype, False)
            assert back.tobytes() == np.asarray(value, spec.dtype).tobytes()


def test_broadcast_values_are_sent_without_repetition() -> None:
    wide = np.broadcast_to(np.float64(2.0), (1 << 27,))
    layout = layout_of([wide], [Spec(wide.shape, wide.dtype)])
    assert layout.size == 8


# definitions that misbehave

GRAPH = ["a = sin(x)", "b = {op}(a)", "c = exp(y)", "d = add(b, c)"]


def stuck(bench: Bench, op: str) -> Run:
    lines = [line.format(op=op) for line in GRAPH]
    return finish(bench.engine, bench.job({"x": np.array(0.5), "y": np.array(0.25)}, lines, "d"))


@pytest.mark.slow
@pytest.mark.parametrize("deed", ["hang", "hang_in_c", "eat"])
def test_a_definition_that_does_not_end_costs_its_own_word(
    bench: Bench, registry: Registry, workers: Workers, deed: str
) -> None:
    budget, started = 2.0, time.monotonic()
    verdicts = check(registry, workers, stuck(bench, f"stuck.{deed}_numbers"), budget)
    assert time.monotonic() - started < 1.2 * budget + 0.5  # the machine may be busy
    assert verdicts["y"].uses[0].value.word is ValueWord.ENCLOSED
    [use] = verdicts["x"].uses
    assert use.value.word is ValueWord.ENCLOSED  # sin, with the cotangent that it had
    assert verdicts["x"].summary is not SummaryWord.VERIFIED
    assert ("budget" if deed != "eat" else "memory") in verdicts["x"].reason.lower()


@pytest.mark.parametrize("deed", ["die", "refuse"])
def test_a_definition_that_ends_badly_costs_its_own_word(
    bench: Bench, registry: Registry, workers: Workers, deed: str
) -> None:
    verdicts = check(registry, workers, stuck(bench, f"stuck.{deed}_numbers"), 20.0)
    assert verdicts["y"].summary is SummaryWord.VERIFIED
    assert verdicts["x"].summary is SummaryWord.PLAUSIBLE
    assert ("process that checked it ended" if deed == "die" else "no such luck") in verdicts["x"].reason


def test_a_graph_reading_that_hangs_leaves_the_numbers_their_words(
    bench: Bench, registry: Registry, workers: Workers
) -> None:
    budget, started = 1.0, time.monotonic()
    verdicts = check(registry, workers, stuck(bench, "stuck.hang_series"), budget)
    assert time.monotonic() - started < 1.2 * budget + 0.5
    assert {verdict.graph.word for verdict in verdicts.values()} == {GraphWord.SKIPPED}
    assert "budget" in verdicts["x"].graph.reason
    assert all(use.value.word is ValueWord.ENCLOSED for verdict in verdicts.values() for use in verdict.uses)


def test_a_large_array_is_read_without_symbols(bench: Bench, registry: Registry, workers: Workers) -> None:
    """A definition that hangs in SymPy is still enclosed over whole arrays."""
    x = np.linspace(0.1, 1.0, 5000)
    run = finish(bench.engine, bench.job({"x": x}, ["y = stuck.hang_symbols(x)", "z = sum(y)"], "z"))
    started = time.monotonic()
    verdicts = check(registry, workers, run, 3.0)
    assert time.monotonic() - started < 4.0
    value = verdicts["x"].uses[0].value
    assert (value.word, value.checked, value.total) == (ValueWord.ENCLOSED, 5000, 5000)


@pytest.mark.slow
def test_what_a_definition_starts_ends_with_its_worker(bench: Bench, registry: Registry, workers: Workers) -> None:
    check(registry, workers, stuck(bench, "stuck.start_numbers"), 1.5)

    def started() -> list[int]:
        numbers = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and stuck_plugin.MARK.encode() in (entry / "cmdline").read_bytes():
                    numbers.append(int(entry.name))
        return numbers

    assert ended(started())


def test_an_op_that_hung_is_not_asked_again_in_the_same_run(bench: Bench, registry: Registry, workers: Workers) -> None:
    lines = [f"v{k + 1} = stuck.hang_numbers(v{k})" for k in range(12)] + ["w = exp(v0)", "z = add(v12, w)"]
    run = finish(bench.engine, bench.job({"v0": np.array(0.5)}, lines, "z"))
    verdicts = check(registry, workers, run, 1.0)
    values = {use.op: use.value for use in verdicts["v0"].uses}
    assert values["exp"].word is ValueWord.ENCLOSED
    assert "budget" in values["stuck.hang_numbers"].reason


def test_verdicts_nobody_waits_for_end_at_once(bench: Bench, registry: Registry, workers: Workers) -> None:
    gone = threading.Event()
    verdicts = Verifier(registry, AssumedProofs(registry), workers).check(
        stuck(bench, "stuck.hang_numbers"), budget=600.0, gone=gone.is_set
    )
    threading.Timer(0.3, gone.set).start()
    started = time.monotonic()
    rest = list(verdicts)
    assert time.monotonic() - started < 10
    assert {verdict.name for verdict in rest} == {"x", "y"}
    assert not workers._busy


@pytest.mark.slow
@pytest.mark.parametrize("budget", [0.0, 0.001, 0.01, 0.1])
def test_small_budgets_are_kept(bench: Bench, registry: Registry, workers: Workers, budget: float) -> None:
    lines = [f"v{k + 1} = {('sin', 'tanh', 'exp', 'negative')[k % 4]}(v{k})" for k in range(2000)]
    run = finish(bench.engine, bench.job({"v0": np.array(0.5)}, lines, "v2000"))
    check(registry, workers, run, 60.0)  # the plan is packed, the rules are known
    started = time.monotonic()
    verdicts_by_name = check(registry, workers, run, budget)
    assert time.monotonic() - started < budget * (1 + LATE) + 2.0  # the machine may be busy; a soak measures
    assert verdicts_by_name["v0"].summary is not SummaryWord.WRONG
    assert verdicts_by_name["v0"].reason


@pytest.mark.slow
def test_checks_that_end_cost_no_worker(bench: Bench, registry: Registry, workers: Workers) -> None:
    """Small and large checks, and checks in which another worker reads the whole graph."""
    for length in (1, 5, 400):
        lines = [f"v{k + 1} = {('sin', 'tanh', 'exp', 'negative')[k % 4]}(v{k})" for k in range(length)]
        run = finish(bench.engine, bench.job({"v0": np.array(0.5)}, lines, f"v{length}"))
        check(registry, workers, run, 60.0)
        before = {worker.pid for worker in workers._idle}
        check(registry, workers, run, 60.0)
        assert {worker.pid for worker in workers._idle} == before


@pytest.mark.slow
def test_values_that_are_shared_are_let_go(bench: Bench, registry: Registry, workers: Workers) -> None:
    x = np.linspace(0.1, 1.0, 100_000)
    run = finish(bench.engine, bench.job({"x": x}, ["y = tanh(x)", "z = sum(y)"], "z"))
    verdicts_by_name = check(registry, workers, run, 60.0)
    assert verdicts_by_name["x"].uses[0].value.word is ValueWord.ENCLOSED
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        check(registry, workers, run, 60.0)
    assert len(os.listdir("/proc/self/fd")) <= before


# the pool


def test_a_worker_that_is_killed_is_replaced(workers: Workers) -> None:
    with workers.worker(30) as worker:
        worker.kill()
    with workers.worker(30) as other:
        assert other.pid != worker.pid
        assert other.answer(Ping(), 30) is True
    assert ended([worker.pid])


def test_a_worker_that_is_killed_from_outside_is_replaced(workers: Workers) -> None:
    worker = workers.take(30)
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(Ended):
        worker.answer(Ping(), 30)
    workers.give_back(worker)
    with workers.worker(30) as other:
        assert other.answer(Ping(), 30) is True


@pytest.mark.slow
def test_a_template_that_dies_is_started_again() -> None:
    pool = Workers(SOURCES)
    try:
        pool.start()
        assert pool._spawner._process is not None
        os.kill(pool._spawner._process.pid, signal.SIGKILL)
        answers = 0
        for _ in range(4):  # those that were forked before went with it
            try:
                with pool.worker(60) as worker:
                    answers += worker.answer(Ping(), 60)
            except (Ended, NoWorker):
                continue
        assert answers
    finally:
        pool.close()


@pytest.mark.slow
def test_a_pool_that_is_full_says_so() -> None:
    pool = Workers(SOURCES, most=1)
    try:
        with pool.worker(60), pytest.raises(NoWorker, match="all processes for checks are at work"), pool.worker(0.1):
            pass
        with pool.worker(60) as worker:
            assert worker.answer(Ping(), 60) is True
    finally:
        pool.close()


@pytest.mark.slow
def test_a_pool_that_is_closed_ends_every_conversation(registry: Registry, bench: Bench) -> None:
    pool = Workers([*SOURCES, "tests.support.stuck_plugin"])
    pool.start()
    received: list[GradientVerdict] = []
    run = stuck(bench, "stuck.hang_numbers")
    verdicts = Verifier(registry, AssumedProofs(registry), pool).check(run, budget=600.0)
    waiting = threading.Thread(target=lambda: received.extend(verdicts))
    waiting.start()
    while not pool._busy:
        time.sleep(0.01)
    pids = [worker.pid for worker in pool._busy]
    pool.close()
    waiting.join(30)
    assert {worker.name for worker in received} == {"x", "y"}
    assert ended(pids)
    with pytest.raises(NoWorker, match="stopping"), pool.worker(1):
        pass


@pytest.mark.slow
def test_a_plugin_that_cannot_be_loaded_again_is_named() -> None:
    pool = Workers(["tests.no_such_plugin"])
    try:
        with pytest.raises(NoWorker, match="ended; its standard error says why"):
            pool.start()
    finally:
        pool.close()


OWNER = """
import os, sys, time
sys.path.insert(0, {here!r})
from gradproof.engine.verify.processes import Workers
from gradproof.plugins import BUILTIN
pool = Workers({sources!r})
pool.start()
worker = pool.take(30)
print(pool._spawner._process.pid, worker.pid, flush=True)
{end}
"""


@pytest.mark.stress
@pytest.mark.slow
@pytest.mark.parametrize("end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "os.abort()"])
def test_nothing_is_left_of_an_owner_that_is_gone(end: str) -> None:
    code = OWNER.format(here=str(Path(__file__).parents[3]), sources=SOURCES, end=end)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2, done.stderr
    assert ended(pids)
