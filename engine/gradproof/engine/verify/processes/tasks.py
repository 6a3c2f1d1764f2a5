"""Tasks of a worker. They carry import paths, keys and arrays, never expressions."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from gradproof.engine.cases import Case
from gradproof.engine.graph import Graph
from gradproof.engine.notation.op_page import op_page
from gradproof.engine.plan import Plan
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.processes.context import Batch, WorkerContext, failed
from gradproof.engine.verify.processes.cputime import OutOfTime, cpu_seconds
from gradproof.engine.verify.processes.loading import loaded_registry
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey, name_of
from gradproof.engine.verify.proof_cache.proof_key import sampled_keys
from gradproof.engine.verify.readings.formulas import Explained, explain
from gradproof.engine.verify.runs import (
    Brief,
    Examination,
    KnownRules,
    Layout,
    Question,
    Request,
    read_values,
    run_of,
    unpack_plan,
)
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

OTHER_PROGRAM = "the rule traces differently in the proof process"
FLUSH_SECONDS = 0.002


@dataclass(frozen=True)
class Ping:
    """Task: answers True."""

    def run(self, context: WorkerContext) -> None:
        """Answer."""
        context.answer(True)


@dataclass(frozen=True)
class Prove:
    """Task: proves the rule of ``key`` in its shape class within ``seconds``; a rule that is traced differently here is
    not proved."""

    key: ProofKey
    seconds: float

    def run(self, context: WorkerContext) -> None:
        """Answer with the verdict."""
        context.limit(self.seconds)
        context.answer(prove_key(self.key, self.seconds))


@dataclass(frozen=True)
class SampleCases:
    """Task: samples attributes of an op for ``seconds``; answers with cases."""

    op: str
    seconds: float

    def run(self, context: WorkerContext) -> None:
        """Answer with the cases."""
        context.limit(self.seconds)
        context.answer(sampled_cases(self.op, self.seconds))


@dataclass(frozen=True)
class Explain:
    """Task: formulas of a value, within ``seconds``."""

    graph: Graph
    name: str
    values: Mapping[str, Array]
    seconds: float

    def run(self, context: WorkerContext) -> None:
        """Answer with the formulas."""
        context.limit(self.seconds)
        context.answer(explain_value(self.graph, self.name, self.values))


@dataclass(frozen=True)
class DescribeOp:
    """Task: the page of an op, within ``seconds``."""

    op: str
    seconds: float

    def run(self, context: WorkerContext) -> None:
        """Answer with the page."""
        context.limit(self.seconds)
        registry = loaded_registry()
        context.answer(op_page(registry, registry.op(self.op)))


class SharedBy(NamedTuple):
    """Shared memory region ``number``; its handle follows the message if it is ``new`` to the worker."""

    number: int
    new: bool


@dataclass(frozen=True)
class Examine:
    """Task: answers questions about a run, in `Batch`es.

    Attributes:
        number: of the plan.
        plan: bytes of the plan, the first time that it is sent to this worker.
        buffer: the values, as bytes or in shared memory.
        questions: with their indices.
    """

    number: int
    plan: bytes | None
    request: Request
    layout: Layout
    buffer: bytes | SharedBy
    brief: Brief
    questions: Sequence[tuple[int, Question]]
    seconds: float

    def run(self, context: WorkerContext) -> None:
        """Answer the questions, batch by batch."""
        buffer = self.buffer
        values = context.region(buffer.number, buffer.new) if isinstance(buffer, SharedBy) else buffer
        context.limit(self.seconds + 1)
        registry = loaded_registry()
        plan = self._plan(context, registry)
        arrays = read_values(plan.program.specs, self.layout, values)
        examination = Examination(run_of(plan, self.request, arrays), self.brief, self.seconds, _known_rules(registry))
        for batch in _batches(self._answers(examination, context), len(self.questions)):
            context.answer(batch, last=batch.last)

    def _plan(self, context: WorkerContext, registry: Registry) -> Plan:
        if self.plan is not None:
            gc.disable()
            context.plans.put(self.number, unpack_plan(self.plan, registry))
            gc.enable()
        plan = context.plans.get(self.number)
        if plan is None:
            raise LookupError(f"this process does not have plan {self.number}")
        return plan

    def _answers(self, examination: Examination, context: WorkerContext) -> Iterator[tuple[int, Any]]:
        for index, question in self.questions:
            context.note(index)
            context.begin(f"{question.kind.name.lower()} {question.of}".rstrip())
            answer: Any
            try:
                answer = examination.answer(question)
            except BaseException as error:  # a definition is plugin code, which may raise anything
                answer = failed(error)
            yield index, answer


def _batches(items: Iterator[tuple[int, Any]], count: int) -> Iterator[Batch]:
    """The ``count`` items, grouped by those that come within `FLUSH_SECONDS`."""
    answers, started = [], time.monotonic()
    for done, item in enumerate(items, 1):
        answers.append(item)
        if done == count or time.monotonic() - started > FLUSH_SECONDS:
            yield Batch(answers, done == count)
            answers, started = [], time.monotonic()


def prove_key(key: ProofKey, seconds: float) -> RuleVerdict:
    """Verdict on the rule of a key, within ``seconds`` of CPU time; UNDECIDED if the rule is traced differently in this
    process."""
    registry = loaded_registry()
    if key.program and ProofKey(key.op, key.case).traced(registry).program != key.program:
        return RuleVerdict(RuleWord.UNDECIDED, key.op, str(key.case), reason=OTHER_PROGRAM)
    digest = name_of(registry, key) or ""
    try:
        with cpu_seconds(seconds):
            verdict = prove(registry, registry.op(key.op), key.case)
    except OutOfTime as error:
        verdict = RuleVerdict(
            RuleWord.UNDECIDED, key.op, str(key.case), reason=str(error), seconds=seconds, budget=float(seconds)
        )
    return replace(verdict, digest=digest)


def sampled_cases(op: str, seconds: float) -> list[Case]:
    """Cases of an op with sampled attributes: those that are ready within ``seconds`` of CPU time."""
    registry = loaded_registry()
    cases: list[Case] = []
    with suppress(OutOfTime), cpu_seconds(seconds):
        cases.extend(key.case for key in sampled_keys(registry, registry.op(op)))
    return cases


def explain_value(graph: Graph, name: str, values: Mapping[str, Array]) -> Explained:
    """Formulas of a value. Raises NoFormula."""
    return explain(graph, loaded_registry(), name, values)


_rules: KnownRules | None = None


def _known_rules(registry: Registry) -> KnownRules:
    """Rules of the ops of this process, each traced once."""
    global _rules
    if _rules is None or _rules.registry is not registry:
        _rules = KnownRules(registry)
    return _rules
