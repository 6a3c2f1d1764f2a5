"""Work in a process that may be killed at any time: proofs, formulas, examinations of runs. It is told import paths, keys
and arrays, never expressions."""

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
from gradproof.engine.verify.processes.envelope import Timing, marked
from gradproof.engine.verify.processes.side_effects import state
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey, name_of
from gradproof.engine.verify.proof_cache.proof_key import sampled_keys
from gradproof.engine.verify.readings.formulas import Explained, explain
from gradproof.engine.verify.runs.evidence import Layout, Request, read_values, run_of, unpack_plan
from gradproof.engine.verify.runs.examination import Brief, Examination, Question
from gradproof.engine.verify.runs.known_rules import KnownRules
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.advice import MEMORY

ANOTHER = "the rule traces differently in the proof process"
FAR = 4.0  # more than there are threads in a process that proves
FLUSH_SECONDS = 0.002
IDLE_SECONDS = 5.0  # after which free memory goes back to the system
KEPT_PLANS = 64
KEPT_REGIONS = 4
NOTE_BYTES = 8
NOTHING, BEGUN = -1, -2  # noted before a task has come, and before its first step
WARMING = ("multiply", "clip")  # a sum of products, and a rule with branches, which SymPy simplifies
WARM_SECONDS = 5.0

_registry: Registry | None = None
_memory = 1 << 30


def load(source: str) -> Any:
    """The plugin at an import path, ``module`` or ``module:attribute``."""
    module, _, attribute = source.partition(":")
    plugin: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        plugin = getattr(plugin, part)
    return plugin


def load_registry(sources: Sequence[str], path: Sequence[str], extra_bytes: int, folder: Path | None = None) -> None:
    """Build the registry again from the import paths of its plugins. ``extra_bytes``: memory that a worker may take beyond
    what is mapped at its start; ``folder``: where measurements of NumPy's functions are kept, None keeps none."""
    global _registry, _memory
    sys.path[:] = path
    _registry = build_registry([load(source) for source in sources])  # each was accepted before
    _memory = extra_bytes
    calibration.keep_in(folder)


def warm() -> None:
    """Prove a rule or two that the registry has, so that what SymPy imports and makes when it is first used is there in
    every process that is forked from this one."""
    assert _registry is not None
    for op in (_registry.ops[name] for name in WARMING if name in _registry.ops):
        for case in op.declared_cases()[:1]:
            prove_key(ProofKey(op.name, case), WARM_SECONDS)


def work(connection: Connection, notes: int) -> None:
    """Do what comes through a connection, one task after the other, until its other end is closed."""
    np.seterr(all="ignore")  # numbers that are not finite have words of their own
    heap.keep_freed()
    desk = Desk(connection, notes)
    lines = marked()
    while True:
        try:
            if not connection.poll(IDLE_SECONDS):
                heap.give_back()
            data = connection.recv_bytes()
        except (EOFError, ConnectionError):
            return
        desk.note(BEGUN)
        try:
            desk.number, task, origin, desk.timed = pickle.loads(data)
            del data
            lines.begin(origin)
            desk.begin(type(task).__name__.lower())
            task.run(desk)
        except OwnerGone:
            return
        except BaseException as error:  # a definition is a stranger's code, which may raise anything
            desk.answer(failed(error))


class OwnerGone(Interrupt):
    """Nobody is there to be answered."""


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
    """The answer, or a part of it, to the task of a number. ``kept``: the process is as the task found it;
    ``timings``: what it was at, where somebody wants to know."""

    number: int
    what: Any
    kept: bool
    timings: tuple[Timing, ...] = ()


class Batch(NamedTuple):
    """Answers to questions, by their index; ``last``: there are no more."""

    answers: list[tuple[int, Any]]
    last: bool


class Desk:
    """The state of a worker: the connection to its owner, memory in which it notes what it is at, and plans it has read."""

    def __init__(self, connection: Connection, notes: int) -> None:
        self.connection, self.notes = connection, mmap.mmap(notes, NOTE_BYTES)
        self.plans: OrderedDict[int, Plan] = OrderedDict()
        self.regions: OrderedDict[int, mmap.mmap] = OrderedDict()
        self.number, self.timed = 0, False
        self._timings: list[Timing] = []
        self._at, self._began = "", 0
        self._mapped = _mapped()
        self._found, self._pid = state(), os.getpid()

    def answer(self, what: Any, *, last: bool = True) -> None:
        """Send an answer to the task at hand, or a part of it; with the last goes whether the process is as it was."""
        self._be_alone()
        kept = not last or self._found.kept()
        if last:
            sys.stdout.flush()
            self.begin("")
        reply = Reply(self.number, what, kept, tuple(self._timings))
        self._timings.clear()
        data = pickle.dumps(reply, pickle.HIGHEST_PROTOCOL)
        try:
            self.connection.send_bytes(data)
        except OSError as error:
            raise OwnerGone from error

    def begin(self, name: str) -> None:
        """Say what it is at from now on."""
        if self.timed:
            now = time.time_ns()
            if self._at:
                self._timings.append(Timing(self._at, self._began, now))
            self._at, self._began = name, now

    def note(self, number: int) -> None:
        """Say which step it is at."""
        self._be_alone()
        self.notes[:] = number.to_bytes(NOTE_BYTES, "little", signed=True)

    def _be_alone(self) -> None:
        """End this process if a definition forked it: the other one is the worker."""
        if os.getpid() != self._pid:
            os._exit(1)

    def limit(self, seconds: float) -> None:
        """Cap memory, not counting what the owner shares; and end this process by itself once it has worked far longer than
        its owner would let it: that one may be gone, and then nobody else stops it."""
        most = self._mapped + _memory + sum(map(len, self.regions.values()))
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        limit(seconds)

    def region(self, number: int, new: bool) -> mmap.mmap:
        """The memory of this number that the owner shares; its handle comes behind the task if it is ``new`` here."""
        if new:
            handle = recv_handle(self.connection)
            self.regions[number] = mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
            os.close(handle)
        keep(self.regions, number, KEPT_REGIONS)
        if new:
            self._found = state()  # a mapping has a descriptor of its own
        return self.regions[number]


def _mapped() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def limit(seconds: float) -> None:
    """End this process once it has used far more CPU time than ``seconds`` from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + FAR * seconds), hard))


_rules: KnownRules | None = None


def _known_rules(registry: Registry) -> KnownRules:
    """The rules of the ops of this process, each traced once."""
    global _rules
    if _rules is None or _rules.registry is not registry:
        _rules = KnownRules(registry)
    return _rules


# tasks


@dataclass(frozen=True)
class Ping:
    """Answers once the worker is up."""

    def run(self, desk: Desk) -> None:
        desk.answer(True)


@dataclass(frozen=True)
class Prove:
    """Proves one rule in one shape class, for which there are ``seconds``: the rule that was asked about, and no other
    that this process happens to make of it."""

    key: ProofKey
    seconds: float

    def run(self, desk: Desk) -> None:
        desk.limit(self.seconds)
        desk.answer(prove_key(self.key, self.seconds))


@dataclass(frozen=True)
class Draw:
    """Draws attributes of an op, for ``seconds``: answers with cases."""

    op: str
    seconds: float

    def run(self, desk: Desk) -> None:
        desk.limit(self.seconds)
        desk.answer(draw_cases(self.op, self.seconds))


@dataclass(frozen=True)
class Explain:
    """The formulas of one value, for which there are ``seconds``."""

    graph: Graph
    name: str
    values: Mapping[str, Array]
    seconds: float

    def run(self, desk: Desk) -> None:
        desk.limit(self.seconds)
        desk.answer(explain_value(self.graph, self.name, self.values))


class SharedBy(NamedTuple):
    """Memory that the owner shares; a handle comes behind the message where it is ``new`` to the worker."""

    number: int
    new: bool


@dataclass(frozen=True)
class Examine:
    """Answers questions about a run, in `Batch`es. ``plan`` goes by a number; its bytes come with it the first time.
    Values come in ``buffer``, as bytes or in shared memory."""

    number: int
    plan: bytes | None
    request: Request
    layout: Layout
    buffer: bytes | SharedBy
    brief: Brief
    questions: Sequence[tuple[int, Question]]
    seconds: float

    def run(self, desk: Desk) -> None:
        buffer = self.buffer
        values = desk.region(buffer.number, buffer.new) if isinstance(buffer, SharedBy) else buffer
        desk.limit(self.seconds + 1)
        assert _registry is not None
        plan = self._plan(desk, _registry)
        arrays = read_values(plan.program.specs, self.layout, values)
        examination = Examination(run_of(plan, self.request, arrays), self.brief, self.seconds, _known_rules(_registry))
        for batch in _batches(self._answers(examination, desk), len(self.questions)):
            desk.answer(batch, last=batch.last)

    def _plan(self, desk: Desk, registry: Registry) -> Plan:
        if self.plan is not None:
            gc.disable()
            desk.plans[self.number] = unpack_plan(self.plan, registry)
            gc.enable()
        keep(desk.plans, self.number, KEPT_PLANS)
        return desk.plans[self.number]

    def _answers(self, examination: Examination, desk: Desk) -> Iterator[tuple[int, Any]]:
        for index, question in self.questions:
            desk.note(index)
            desk.begin(f"{question.kind.name.lower()} {question.of}".rstrip())
            answer: Any
            try:
                answer = examination.answer(question)
            except BaseException as error:  # a definition is a stranger's code, which may raise anything
                answer = failed(error)
            yield index, answer


def keep(held: OrderedDict[int, Any], number: int, most: int) -> None:
    """Keep what was used last, ``number`` among it. A worker and its owner do the same, so that both know what the worker
    has."""
    held.move_to_end(number)
    while len(held) > most:
        held.popitem(last=False)


def _batches(items: Iterator[tuple[int, Any]], count: int) -> Iterator[Batch]:
    """The ``count`` items, those together that come within two milliseconds."""
    answers, started = [], time.monotonic()
    for done, item in enumerate(items, 1):
        answers.append(item)
        if done == count or time.monotonic() - started > FLUSH_SECONDS:
            yield Batch(answers, done == count)
            answers, started = [], time.monotonic()


def prove_key(key: ProofKey, seconds: float) -> RuleVerdict:
    """The verdict on the rule of a key, for which there are ``seconds`` of CPU time: UNDECIDED where another program is
    traced here."""
    assert _registry is not None
    if key.program and ProofKey(key.op, key.case).traced(_registry).program != key.program:
        return RuleVerdict(RuleWord.UNDECIDED, key.op, str(key.case), reason=ANOTHER)
    digest = name_of(_registry, key) or ""
    try:
        with cpu_seconds(seconds):
            verdict = prove(_registry, _registry.op(key.op), key.case)
    except OutOfTime as error:
        verdict = RuleVerdict(
            RuleWord.UNDECIDED, key.op, str(key.case), reason=str(error), seconds=seconds, budget=float(seconds)
        )
    return replace(verdict, digest=digest)


def draw_cases(op: str, seconds: float) -> list[Case]:
    """Cases of an op with drawn attributes: those that are found in ``seconds`` of CPU time."""
    assert _registry is not None
    cases: list[Case] = []
    with suppress(OutOfTime), cpu_seconds(seconds):
        for key in sampled_keys(_registry, _registry.op(op)):
            cases.append(key.case)
    return cases


def explain_value(graph: Graph, name: str, values: Mapping[str, Array]) -> Explained:
    """The formulas of one value. Raises NoFormula."""
    assert _registry is not None
    return explain(graph, _registry, name, values)
