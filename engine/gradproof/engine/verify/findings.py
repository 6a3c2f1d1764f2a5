"""Findings of workers about a run: questions go to processes that can be killed, and answers are kept as they come.

A question that takes most of the time left is given up: its process is killed, and another process continues with the
next question. So a definition that never ends loses its own answer only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from multiprocessing.connection import wait
from typing import Any

from gradproof.engine.cancellation import Deadline, look
from gradproof.engine.engine import Run
from gradproof.engine.errors import Cancelled
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.numbers import Checked
from gradproof.engine.verify.processes import (
    NOTHING,
    TICK,
    Batch,
    Ended,
    Examine,
    Failed,
    NoWorker,
    Region,
    SharedBy,
    Worker,
    Workers,
)
from gradproof.engine.verify.runs import (
    Brief,
    Examination,
    Kind,
    Question,
    budget_is_over,
    layout_of,
    packed_plan,
    request_of,
    ties_unchecked,
    unexamined,
    write_values,
)
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.engine.verify.verdict.advice import AUTHOR, MEMORY, TIME

INLINE_BYTES = 1 << 16  # of values; more are sent in shared memory
ALONE_BYTES = 1 << 13  # of values; with more, a process of its own reads the whole graph
SHARED_OUT_BYTES = 1 << 20  # of values; with more, several workers share the questions about numbers
MAX_LANES = 4  # workers that share the numbers of a run
NODE, PRODUCTS = 10_000, 64  # cost of a node in elements, and products of a matrix product that cost as much as an element
SHARE = 0.75  # of the time left, for a question while others wait
GRACE, GRACE_SHARE = 0.03, 0.1  # seconds, and share of the time, for a worker to answer that its time is over


class RemoteFindings:
    """Findings of workers about a run (implements `Findings`), within ``seconds``."""

    def __init__(
        self,
        workers: Workers,
        run: Run,
        brief: Brief,
        questions: Sequence[Question],
        seconds: float,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self.workers, self.run, self.brief, self.questions = workers, run, brief, list(questions)
        self.seconds, self.gone = seconds, gone
        self.deadline = time.monotonic() + seconds
        self.last = self.deadline + min(GRACE, GRACE_SHARE * seconds)
        self.answers: dict[int, Any] = {}
        self._index = {question: k for k, question in enumerate(questions)}
        self.ended: set[int] = set()
        self._stalled: list[tuple[str, int]] = []
        self.region: Region | None = None
        self.buffer = b""
        self._lanes: list[_Lane] = []
        try:
            Deadline(self.deadline).within(self._write)
        except Cancelled:
            look()
            self.answers = dict.fromkeys(range(len(questions)), Failed("", budget_is_over(seconds)))
            return
        except (MemoryError, OSError) as error:  # this process has no room, and continues without checks
            reason = f"there is no room to send the run to a process that checks it: {describe(error)}; {MEMORY}"
            self.answers = dict.fromkeys(range(len(questions)), Failed("", reason))
            return
        self._lanes = [_Lane(self, part) for part in self._parts() if part]

    def _parts(self) -> list[list[int]]:
        """Questions for each worker, of about equal cost; several parts only if processors are idle."""
        everything = range(len(self.questions))
        alone = [k for k in everything if self.questions[k].kind is Kind.GRAPHS and self.layout.size > ALONE_BYTES]
        rest = [k for k in everything if k not in alone]
        count = min(self.workers.spare, MAX_LANES) if self.layout.size > SHARED_OUT_BYTES else 1
        parts: list[list[int]] = [[] for _ in range(max(1, count))]
        costs = [0.0] * len(parts)
        for k in sorted(rest, key=self._cost, reverse=True):
            least = costs.index(min(costs))
            parts[least].append(k)
            costs[least] += self._cost(k)
        return [alone, *map(sorted, parts)]

    def _cost(self, index: int) -> float:
        """Estimated cost of an answer, in elements."""
        if self.questions[index].kind is not Kind.NUMBERS:
            return NODE
        _, size = self._size(index)
        instruction, specs = self._instruction(index), self.run.plan.program.specs
        if instruction.op.contracts:
            size += specs[instruction.outputs[0]].size * specs[instruction.inputs[0]].shape[-1] // PRODUCTS
        return NODE + size

    def _write(self) -> None:
        """Write the values to a buffer for all workers."""
        specs = self.run.plan.program.specs
        self.layout = layout_of(self.run.values, specs)
        if self.layout.size > INLINE_BYTES:
            self.region = self.workers.memory.take(self.layout.size)
            write_values(self.run.values, specs, self.layout, self.region.memory)
        else:
            buffer = bytearray(self.layout.size)
            write_values(self.run.values, specs, self.layout, buffer)
            self.buffer = bytes(buffer)

    @cached_property
    def _here(self) -> Examination:
        """The run in this process, for answers that need no definition."""
        return Examination(self.run, self.brief, 0.0)

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self.deadline - time.monotonic()

    # answers

    def graphs(self) -> dict[str, GraphVerdict]:
        """Graph verdicts of a worker; SKIPPED if it gave none."""
        answer = self._answer(Question(Kind.GRAPHS))
        if isinstance(answer, Failed):
            return dict.fromkeys(self.run.job.requested(), GraphVerdict(GraphWord.SKIPPED, answer.text))
        return dict(answer)

    def tied(self) -> dict[str, str]:
        """Sentences of a worker about tied comparisons."""
        answer = self._answer(Question(Kind.TIED))
        if isinstance(answer, Failed):
            return dict.fromkeys(self.run.job.requested(), ties_unchecked(answer.text))
        return dict(answer)

    def numbers(self, position: int) -> Checked:
        """Value verdicts of a worker; UNCHECKED if it gave none."""
        answer = self._answer(Question(Kind.NUMBERS, position))
        if isinstance(answer, Failed):
            return unexamined(self._here.application(position), answer.text)
        assert isinstance(answer, Checked)
        return answer

    def derivative(self, name: str) -> tuple[str, str] | None:
        """The derivative that a worker computed, if any."""
        answer = self._answer(Question(Kind.DERIVATIVE, name))
        return None if isinstance(answer, Failed) else answer

    def nodes_read(self) -> tuple[int, int]:
        """Number of nodes whose numbers have an answer, and of all nodes that were asked about. Thread-safe."""
        nodes = [k for k, question in enumerate(self.questions) if question.kind is Kind.NUMBERS]
        return sum(k in self.answers for k in nodes), len(nodes)

    def wait_for_all(self) -> None:
        """Wait until every question has an answer."""
        while any(lane.worker is not None for lane in self._lanes):
            self._receive_next()

    def close(self) -> None:
        """Kill the workers that are still busy, and give the memory back."""
        for lane in self._lanes:
            lane.stop()
        if self.region is not None:
            self.workers.memory.give_back(self.region)
            self.region = None

    def _answer(self, question: Question) -> Any:
        index = self._index.get(question)
        if index is None:
            return Failed("", "it was not asked for")
        while index not in self.answers and any(lane.worker is not None for lane in self._lanes):
            self._receive_next()
        return self.answers.get(index) or self.answers.setdefault(index, Failed("", budget_is_over(self.seconds)))

    # workers

    def _receive_next(self) -> None:
        """Receive the next answers, and give up questions that take too long."""
        active = {lane.worker.connection: lane for lane in self._lanes if lane.worker is not None}
        ready = wait(list(active), max(0.0, min(TICK, self.last - time.monotonic())))
        over = self.gone()
        for connection, lane in active.items():
            if over:
                lane.stop()
            elif connection in ready:
                lane.receive()
            else:
                lane.watch()

    def task(self, worker: Worker, indices: Sequence[int]) -> Examine:
        """The questions ``indices`` as a task for ``worker``."""
        plan = packed_plan(self.run.plan)
        data = None if worker.has_plan(plan.number) else plan.data
        questions = [(k, self.questions[k]) for k in indices]
        return Examine(
            plan.number, data, request_of(self.run), self.layout, self._values(worker), self.brief, questions, self.left
        )

    def _values(self, worker: Worker) -> bytes | SharedBy:
        if self.region is None:
            return self.buffer
        return SharedBy(self.region.number, not worker.has_region(self.region.number))

    def give_up(self, index: int, reason: str) -> None:
        """Answer a question by the reason why there is no answer. Questions about the same op at that size or larger are
        not asked."""
        self.answers[index] = Failed("", reason)
        if self.questions[index].kind is Kind.NUMBERS:
            self._stalled.append(self._size(index))

    def unanswered(self, indices: Sequence[int]) -> list[int]:
        """The members of ``indices`` that have no answer yet."""
        for k in indices:
            if k not in self.answers and self._stalled and self.questions[k].kind is Kind.NUMBERS:
                op, size = self._size(k)
                if any(op == stalled_op and size >= least for stalled_op, least in self._stalled):
                    self.answers[k] = Failed("", f"budget: a check of {op} that is no larger took too long; {TIME}")
        return [k for k in indices if k not in self.answers]

    def _size(self, index: int) -> tuple[str, int]:
        instruction, specs = self._instruction(index), self.run.plan.program.specs
        return instruction.op.name, sum(specs[k].size for k in (*instruction.inputs, *instruction.outputs))

    def _instruction(self, index: int) -> Instruction:
        position = self.questions[index].of
        assert isinstance(position, int)
        return self.run.plan.program.instructions[position]


class _Lane:
    """Questions that a worker answers in order; a killed worker is replaced."""

    def __init__(self, findings: RemoteFindings, indices: Sequence[int]) -> None:
        self.findings, self.indices = findings, indices
        self.worker: Worker | None = None
        self.begin()

    def begin(self) -> None:
        """Take a worker, and send it all unanswered questions."""
        findings = self.findings
        indices = findings.unanswered(self.indices)
        if not indices or findings.left <= 0:
            return
        try:
            self.worker = findings.workers.take(findings.left, findings.gone)
        except NoWorker as error:
            findings.answers.update((k, Failed("", str(error))) for k in indices)
            return
        self.at, self.since, self.allowed = NOTHING, time.monotonic(), SHARE * findings.left
        try:
            task = findings.task(self.worker, indices)
            new = isinstance(task.buffer, SharedBy) and task.buffer.new
            self.worker.send(task, findings.region.handle if new and findings.region else None)
        except Ended as error:
            self._replace_worker(str(error), ended=True)
        except BaseException as error:  # attributes are made by plugins, and may not be picklable
            reason = f"the run cannot be sent to a process that checks it: {describe(reraise_own(error))}; {AUTHOR}"
            findings.answers.update((k, Failed("", reason)) for k in indices)
            self.stop()

    def receive(self) -> None:
        """Receive a batch of answers."""
        assert self.worker is not None
        try:
            batch = self.worker.receive()
        except Ended as error:
            self._replace_worker(str(error), ended=True)
            return
        if isinstance(batch, Failed):  # before the first question
            batch = Batch([(k, batch) for k in self.findings.unanswered(self.indices)], True)
        self.findings.answers.update(batch.answers)
        if batch.last:
            self._give_back()

    def watch(self) -> None:
        """Give up a question that takes too long."""
        assert self.worker is not None
        findings, now, at = self.findings, time.monotonic(), self.worker.at
        self.worker.poll(0)
        if at != self.at:
            self.at, self.since, self.allowed = at, now, self._share(at) * findings.left
        if now > findings.last:
            self._replace_worker(budget_is_over(findings.seconds))
        elif now - self.since > self.allowed:
            self._replace_worker(f"budget: it took more than {self.allowed:.2g} s, most of the time that was left; {TIME}")

    def _share(self, at: int) -> float:
        """Share of the time left that a question may take."""
        return 1.0 if at == self.indices[-1] else SHARE

    def _replace_worker(self, reason: str, *, ended: bool = False) -> None:
        """Replace a worker that ended or takes too long; its current question has no answer.

        If it ``ended`` by itself, another process may have caused that, so the question is asked once more. A worker that
        ended before it received the task does not count.
        """
        assert self.worker is not None
        at, begun = self.worker.at, self.worker.begun
        self.worker.kill()
        self._give_back()
        open_ = self.findings.unanswered(self.indices)
        if open_:
            index = at if at in open_ else open_[0]
            if ended and (not begun or index not in self.findings.ended):
                self.findings.ended.update((index,) if begun else ())
            else:
                self.findings.give_up(index, reason)
        self.begin()

    def stop(self) -> None:
        """Give the worker back, or kill it if it is busy."""
        if self.worker is not None:
            self.worker.kill()
            self._give_back()

    def _give_back(self) -> None:
        assert self.worker is not None
        self.findings.workers.give_back(self.worker)
        self.worker = None
