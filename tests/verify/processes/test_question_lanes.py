"""Questions about a large run, divided between workers: each asked once, in parts of about equal cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.graph_runs import run_of
from tests.support.proof_sources import AssumedProofs
from tests.support.worker_pools import SOURCES, untimed

from gradproof.engine.engine import Run
from gradproof.engine.verify.findings import MAX_LANES, SHARED_OUT_BYTES, RemoteFindings
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.runs import Brief, Kind, Question, layout_of, questions_of
from gradproof.engine.verify.verifier import Verifier


class Crew(Workers):
    """Workers with a fixed number of spare workers."""

    extra = 3

    @property
    def spare(self) -> int:
        return self.extra


class Laid(RemoteFindings):
    """Findings without workers, which only divide the questions."""

    def __init__(self, workers: Workers, run: Run, questions: list[Question]) -> None:
        self.workers, self.run, self.questions = workers, run, questions
        self.layout = layout_of(run.values, run.plan.program.specs)


def mixed(bench: Bench, rows: int) -> Run:
    """Expensive products, cheap functions and small nodes."""
    random = np.random.default_rng(0)
    leaves = {"x": random.normal(size=(rows, 60)), "w": random.normal(size=(60, 60)) / 8}
    lines = [f"v{k} = {'matmul' if k % 3 == 0 else 'multiply' if k % 3 == 1 else 'tanh'}({op})" for k, op in _steps(9)]
    return run_of(bench, leaves, [*lines, "m = mean(v8)", "s = exp(m)"], "s")


def _steps(count: int) -> Iterator[tuple[int, str]]:
    for k in range(count):
        before = f"v{k - 1}" if k else "x"
        yield k, (f"{before}, w" if k % 3 == 0 else f"{before}, {before}" if k % 3 == 1 else before)


def laid(run: Run, extra: int) -> tuple[list[list[int]], list[Question], Laid]:
    workers = Crew()
    workers.extra = extra
    questions = questions_of(range(run.plan.forward_length), [])
    findings = Laid(workers, run, questions)
    return findings._parts(), questions, findings


@pytest.mark.parametrize("extra", [2, 3, 16])
def test_numbers_are_divided_evenly(bench: Bench, extra: int) -> None:
    parts, questions, findings = laid(mixed(bench, 2000), extra)
    assert len(parts) == 1 + min(extra, MAX_LANES)
    assert sorted(k for part in parts for k in part) == list(range(len(questions)))
    assert [questions[k].kind for k in parts[0]] == [Kind.GRAPHS]
    assert all(part == sorted(part) for part in parts)
    costs = [sum(map(findings._cost, part)) for part in parts[1:]]
    assert max(costs) - min(costs) <= max(map(findings._cost, range(len(questions))))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "extra"), [(2000, 1), (2000, 0), (2000, -3), (20, 3)])
def test_one_worker_reads_all_numbers_where_no_other_is_idle_or_they_are_few(bench: Bench, rows: int, extra: int) -> None:
    run = mixed(bench, rows)
    parts, questions, findings = laid(run, extra)
    assert (findings.layout.size > SHARED_OUT_BYTES) == (rows == 2000)
    assert parts == [[0], list(range(1, len(questions)))]


@pytest.mark.slow
def test_several_workers_say_what_this_process_says(bench: Bench) -> None:
    run = mixed(bench, 2000)
    workers = Crew(SOURCES)
    workers.start()
    try:
        proofs = AssumedProofs(REGISTRY)
        here = [untimed(verdict) for verdict in Verifier(REGISTRY, proofs).check(run, budget=60.0)]
        there = [untimed(verdict) for verdict in Verifier(REGISTRY, proofs, workers).check(run, budget=60.0)]
        assert there == here
        assert workers.counts.started >= 4
        assert not workers.busy
    finally:
        workers.close()


@pytest.mark.slow
def test_a_busy_pool_has_no_spare_workers() -> None:
    workers = Workers(SOURCES, most=3)
    workers.start()
    try:
        free = workers.spare
        assert 1 <= free <= 2
        with workers.worker(30.0):
            assert workers.spare == free - 1
        assert workers.spare == free
    finally:
        workers.close()


@pytest.mark.slow
def test_the_brief_of_all_parts_is_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks of a run differ only in their questions."""
    run, sent = mixed(bench, 2000), []
    workers = Crew(SOURCES)
    workers.start()
    task = RemoteFindings.task

    def noted(self: RemoteFindings, worker: Any, indices: Any) -> Any:
        sent.append(task(self, worker, indices))
        return sent[-1]

    monkeypatch.setattr(RemoteFindings, "task", noted)
    try:
        questions = questions_of(range(run.plan.forward_length), [])
        findings = RemoteFindings(workers, run, Brief(), questions, 60.0)
        findings.wait_for_all()
        findings.close()
    finally:
        workers.close()
    assert len(sent) == 4
    assert {examine.number for examine in sent} == {sent[0].number}
    assert all(examine.layout == sent[0].layout and examine.brief == sent[0].brief for examine in sent)
    assert len(findings.answers) == len(questions)
