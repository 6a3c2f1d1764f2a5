"""Lost processes: a worker or template is replaced, whatever ended it, and callers do not notice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import REGISTRY
from tests.support.held_tasks import Deadly, HeldOnce
from tests.support.waiting import until
from tests.support.worker_pools import SOURCES, ended

from gradproof.engine.cases import case
from gradproof.engine.verify.processes import Ended, NoWorker, Workers
from gradproof.engine.verify.processes.tasks import Ping
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleWord

pytestmark = pytest.mark.stress

SIGNALS = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGUSR1]


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    pool = Workers(SOURCES)
    pool.start()
    yield pool
    pool.close()


def rested(workers: Workers) -> bool:
    """True if a single worker is idle, all others have ended, and none is starting."""
    return workers.ready and workers.idle > 0 and not workers.busy and not workers._starting


def template_of(workers: Workers) -> int:
    process = workers._spawner._process
    assert process is not None
    return process.pid


def children(pid: int) -> list[str]:
    """States of the children of a process."""
    numbers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] for number in numbers]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_an_idle_worker_that_dies_is_replaced_at_once(workers: Workers, number: signal.Signals) -> None:
    until(lambda: rested(workers))
    before, pids = workers.counts.lost, [worker.pid for worker in workers._idle]
    files = len(os.listdir("/proc/self/fd")) - 2 * len(pids)
    for pid in pids:
        os.kill(pid, number)
    until(
        lambda: rested(workers) and not {worker.pid for worker in workers._idle} & set(pids)
    )  # though nobody asks for anything
    assert workers.counts.lost == before + len(pids)
    assert ended(pids)
    until(lambda: "Z" not in children(template_of(workers)))
    assert len(os.listdir("/proc/self/fd")) - 2 * workers.idle <= files
    assert workers.ready


def test_a_dead_worker_is_not_handed_out(workers: Workers) -> None:
    for _ in range(10):
        until(lambda: rested(workers))
        for worker in list(workers._idle):
            os.kill(worker.pid, signal.SIGKILL)
        assert workers.ask(Ping(), 30, wait=30) is True


def test_a_question_whose_worker_was_killed_is_asked_once_more(workers: Workers, tmp_path: Path) -> None:
    path, answers = tmp_path / "held", list[int]()
    asking = threading.Thread(target=lambda: answers.append(workers.ask(HeldOnce(path), 60, wait=30)))
    asking.start()
    until(lambda: path.exists() and bool(path.read_text()))
    first = int(path.read_text())
    os.kill(first, signal.SIGKILL)
    asking.join(30)
    assert len(answers) == 1
    assert answers[0] != first


def test_a_question_that_ends_each_worker_is_asked_twice(workers: Workers, tmp_path: Path) -> None:
    before = workers.counts.lost
    with pytest.raises(Ended, match="ended"):
        workers.ask(Deadly(tmp_path / "died"), 30, wait=30)
    assert (tmp_path / "died").read_text() == "xx"
    assert workers.counts.lost == before + 2


def test_a_task_that_takes_too_long_is_killed_and_not_repeated(workers: Workers, tmp_path: Path) -> None:
    before = workers.counts.killed
    with pytest.raises(TimeoutError):
        workers.ask(HeldOnce(tmp_path / "held"), 0.5, wait=30)
    assert workers.counts.killed == before + 1


def test_a_template_that_is_killed_is_replaced_at_once_with_its_workers(workers: Workers) -> None:
    until(lambda: rested(workers))
    said: list[bool] = []
    workers.readiness_listeners.append(said.append)
    files = len(os.listdir("/proc/self/fd")) - 2 * workers.idle
    template, pids = template_of(workers), [worker.pid for worker in workers._idle]
    os.kill(template, signal.SIGKILL)
    until(lambda: said == [False, True])  # though nobody asks for anything
    workers.readiness_listeners.remove(said.append)
    until(lambda: rested(workers))
    assert template_of(workers) != template
    assert ended([template, *pids])
    assert not Path(f"/proc/{template}").exists()  # nor is it a zombie
    assert not workers.fault
    assert workers.ask(Ping(), 30, wait=30) is True
    until(lambda: rested(workers))
    assert len(os.listdir("/proc/self/fd")) - 2 * workers.idle <= files


def test_a_task_without_a_template_waits_for_the_next_template(workers: Workers) -> None:
    for _ in range(2):
        until(lambda: rested(workers) and workers._spawner._process is not None)
        os.kill(template_of(workers), signal.SIGKILL)
        assert workers.ask(Ping(), 60, wait=60) is True


def test_a_proof_outlives_its_process() -> None:
    pool = ProofPool(REGISTRY)
    try:
        pool.start()
        key = ProofKey("softmax", case((3,), axis=0))
        pool.request(key)
        until(lambda: pool.workers.busy > 0)
        for worker in list(pool.workers._busy):
            os.kill(worker.pid, signal.SIGKILL)
        pool.wait([key], 60)
        verdict = pool.lookup(key)
        assert verdict is not None
        assert verdict.word is RuleWord.PROVED
        assert (pool.queued, pool.running) == (0, 0)
        assert pool.done[RuleWord.PROVED] >= 1
    finally:
        pool.close()


def test_a_pool_says_why_it_is_not_ready() -> None:
    pool, readiness = Workers(["tests.no_such_plugin"]), list[bool]()
    pool.readiness_listeners.append(readiness.append)
    try:
        assert not pool.ready
        with pytest.raises(NoWorker):
            pool.start()
        assert not pool.ready
        assert "its standard error says why" in pool.fault
        assert readiness == []  # it never was
    finally:
        pool.close()
    assert pool.fault == "the server is stopping"
