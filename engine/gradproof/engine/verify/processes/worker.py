"""A worker: the process that reads definitions for proofs, formulas and examinations of runs, and may be killed at any
time.

It receives import paths, keys and arrays, never expressions.
"""

from __future__ import annotations

import gc
import importlib
import math
import mmap
import os
import pickle
import resource
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.errors import text_of
from gradproof.engine.graph import Graph
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import Interrupt
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import calibration
from gradproof.engine.verify.processes import heap
from gradproof.engine.verify.processes.cputime import OutOfTime, cpu_seconds
from gradproof.engine.verify.processes.envelope import Timing, redirect_output
from gradproof.engine.verify.processes.side_effects import process_state
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
from gradproof.engine.verify.verdict.advice import MEMORY

OTHER_PROGRAM = "the rule traces differently in the proof process"
CPU_FACTOR = 4.0  # allowed CPU time per second; more than the threads of a process that proves
FLUSH_SECONDS = 0.002
IDLE_SECONDS = 5.0  # after which free memory goes back to the system
KEPT_PLANS = 64
KEPT_REGIONS = 4
NOTE_BYTES = 8
NOTHING, BEGUN = -1, -2  # steps: no task has arrived; a task has arrived, and is before its first step
WARMING = ("multiply", "clip")  # a sum of products, and a rule with branches, which SymPy simplifies
WARM_SECONDS = 5.0

_registry: Registry | None = None
_memory = 1 << 30


def load_plugin(source: str) -> Any:
    """The plugin at an import path, ``module`` or ``module:attribute``."""
    module, _, attribute = source.partition(":")
    plugin: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        plugin = getattr(plugin, part)
    return plugin


def load_registry(sources: Sequence[str], path: Sequence[str], extra_bytes: int, folder: Path | None = None) -> None:
    """Build the registry from the import paths of its plugins.

    Args:
        extra_bytes: memory that a worker may allocate beyond the memory mapped at its start.
        folder: where measurements of NumPy's functions are stored; None stores none.
    """
    global _registry, _memory
    sys.path[:] = path
    _registry = build_registry([load_plugin(source) for source in sources])  # the server accepted each before
    _memory = extra_bytes
    calibration.keep_in(folder)


def warm() -> None:
    """Prove a rule or two of the registry, so that all forked processes share what SymPy imports and caches at first
    use."""
    assert _registry is not None
    for op in (_registry.ops[name] for name in WARMING if name in _registry.ops):
        for case in op.declared_cases()[:1]:
            prove_key(ProofKey(op.name, case), WARM_SECONDS)


def work(connection: Connection, notes: int) -> None:
    """Run the tasks that come through a connection, in order, until its other end is closed. ``notes``: file of the
    current step."""
    np.seterr(all="ignore")  # verdicts report numbers that are not finite
    heap.keep_freed()
    context = WorkerContext(connection, notes)
    lines = redirect_output()
    while True:
        try:
            if not connection.poll(IDLE_SECONDS):
                heap.give_back()
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        context.note(BEGUN)
        try:
            context.number, task, origin, context.timed = pickle.loads(data)
            del data
            lines.begin(origin)
            context.begin(type(task).__name__.lower())
            task.run(context)
        except OwnerGone:
            return
        except BaseException as error:  # a definition is plugin code, which may raise anything
            context.answer(failed(error))


class OwnerGone(Interrupt):
    """The process that waits for the answer has ended."""


@dataclass(frozen=True)
class Failed:
    """An error that a task raised."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


def failed(error: BaseException) -> Failed:
    """The error as an answer."""
    if isinstance(error, MemoryError):
        return Failed("MemoryError", f"the memory for checks was over; {MEMORY}")
    return Failed(type(error).__name__, text_of(error))


class Reply(NamedTuple):
    """An answer to task ``number``, or a part of it.

    Attributes:
        unchanged: the process is as it was before the task.
        timings: durations of the steps, if requested.
    """

    number: int
    what: Any
    unchanged: bool
    timings: tuple[Timing, ...] = ()


class Batch(NamedTuple):
    """Answers to questions, with their indices. ``last``: no more batches follow."""

    answers: list[tuple[int, Any]]
    last: bool


class WorkerContext:
    """State of a worker: the connection to its owner, shared memory for its current step, and cached plans."""

    def __init__(self, connection: Connection, notes: int) -> None:
        self.connection, self.notes = connection, mmap.mmap(notes, NOTE_BYTES)
        self.plans: OrderedDict[int, Plan] = OrderedDict()
        self.regions: OrderedDict[int, mmap.mmap] = OrderedDict()
        self.number, self.timed = 0, False
        self._timings: list[Timing] = []
        self._at, self._on_start = "", 0
        self._mapped = _mapped()
        self._initial, self._pid = process_state(), os.getpid()

    def answer(self, what: Any, *, last: bool = True) -> None:
        """Send an answer to the current task, or a part of it; the last part says whether the process is unchanged."""
        self._exit_if_forked()
        unchanged = not last or self._initial.unchanged()
        if last:
            sys.stdout.flush()
            self.begin("")
        reply = Reply(self.number, what, unchanged, tuple(self._timings))
        self._timings.clear()
        data = pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
        try:
            self.connection.send_bytes(data)
        except OSError as error:
            raise OwnerGone from error

    def begin(self, name: str) -> None:
        """Start the timing of a step."""
        if self.timed:
            now = time.time_ns()
            if self._at:
                self._timings.append(Timing(self._at, self._on_start, now))
            self._at, self._on_start = name, now

    def note(self, number: int) -> None:
        """Note the current step in the memory that the owner reads."""
        self._exit_if_forked()
        self.notes[:] = number.to_bytes(NOTE_BYTES, "little", signed=True)

    def _exit_if_forked(self) -> None:
        """End this process if a definition forked it: the original process is the worker."""
        if os.getpid() != self._pid:
            os._exit(1)

    def limit(self, seconds: float) -> None:
        """Limit memory, not counting shared memory, and CPU time far above ``seconds``: this process must end even if its
        owner is gone and cannot stop it."""
        most = self._mapped + _memory + sum(map(len, self.regions.values()))
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        limit(seconds)

    def region(self, number: int, new: bool) -> mmap.mmap:
        """Shared memory region ``number``; if ``new``, its handle follows the task on the connection."""
        if new:
            handle = recv_handle(self.connection)
            self.regions[number] = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
            os.close(handle)
        keep(self.regions, number, KEPT_REGIONS)
        if new:
            self._initial = process_state()  # the mapping has its own descriptor
        return self.regions[number]


def _mapped() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit(seconds: float) -> None:
    """End this process after far more CPU time than ``seconds`` from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + CPU_FACTOR * seconds), hard))


_rules: KnownRules | None = None


def _known_rules(registry: Registry) -> KnownRules:
    """Rules of the ops of this process, each traced once."""
    global _rules
    if _rules is None or _rules.registry is not registry:
        _rules = KnownRules(registry)
    return _rules


# tasks


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
        assert _registry is not None
        plan = self._plan(context, _registry)
        arrays = read_values(plan.program.specs, self.layout, values)
        examination = Examination(run_of(plan, self.request, arrays), self.brief, self.seconds, _known_rules(_registry))
        for batch in _batches(self._answers(examination, context), len(self.questions)):
            context.answer(batch, last=batch.last)

    def _plan(self, context: WorkerContext, registry: Registry) -> Plan:
        if self.plan is not None:
            gc.disable()
            context.plans[self.number] = unpack_plan(self.plan, registry)
            gc.enable()
        keep(context.plans, self.number, KEPT_PLANS)
        return context.plans[self.number]

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


def keep(held: OrderedDict[int, Any], number: int, most: int) -> None:
    """Mark ``number`` as used last, and drop the least recently used beyond ``most``. A worker and its owner do the same,
    so that both know what the worker has."""
    held.move_to_end(number)
    while len(held) > most:
        held.popitem(last=False)


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
    assert _registry is not None
    if key.program and ProofKey(key.op, key.case).traced(_registry).program != key.program:
        return RuleVerdict(RuleWord.UNDECIDED, key.op, str(key.case), reason=OTHER_PROGRAM)
    digest = name_of(_registry, key) or ""
    try:
        with cpu_seconds(seconds):
            verdict = prove(_registry, _registry.op(key.op), key.case)
    except OutOfTime as error:
        verdict = RuleVerdict(
            RuleWord.UNDECIDED, key.op, str(key.case), reason=str(error), seconds=seconds, budget=float(seconds)
        )
    return replace(verdict, digest=digest)


def sampled_cases(op: str, seconds: float) -> list[Case]:
    """Cases of an op with sampled attributes: those that are ready within ``seconds`` of CPU time."""
    assert _registry is not None
    cases: list[Case] = []
    with suppress(OutOfTime), cpu_seconds(seconds):
        cases.extend(key.case for key in sampled_keys(_registry, _registry.op(op)))
    return cases


def explain_value(graph: Graph, name: str, values: Mapping[str, Array]) -> Explained:
    """Formulas of a value. Raises NoFormula."""
    assert _registry is not None
    return explain(graph, _registry, name, values)
