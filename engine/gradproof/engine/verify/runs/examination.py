"""Examination of a run: all that reading definitions tells about its numbers.

It runs in a process that can be killed, since a definition is plugin code. It answers small questions one by one, so that
the answers before a question that does not end are kept.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from gradproof.engine.backward import Contribution
from gradproof.engine.cancellation import Deadline, look, watched
from gradproof.engine.engine import Run
from gradproof.engine.errors import Cancelled
from gradproof.engine.spec import Array
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.nodes import check_node
from gradproof.engine.verify.numbers import Application, Checked, check_values, unjudged
from gradproof.engine.verify.runs.applications import application_of, check_live
from gradproof.engine.verify.runs.known_rules import KnownRule, KnownRules, RunRules
from gradproof.engine.verify.runs.liveness import live_elements
from gradproof.engine.verify.runs.nonfinite import true_derivative
from gradproof.engine.verify.runs.ties import tied_values
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord, ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, TIME

DERIVATIVE_SECONDS = 1.0
FEW, FEW_WHOLE = 128, 64
"""Elements up to which Arb alone reads a node: of an elementwise op; of any other op, whose elements cost more."""
ANOTHER_RULE = "the rule traces differently in the process that checks it"
NOT_ASKED = "numbers were not to be checked"
GRAPH_SHARE = 0.5  # of the time left, since numbers are checked after the graph


class Kind(StrEnum):
    """Kind of a question about a run."""

    GRAPHS = "graphs"  # graph verdicts, by requested value
    TIED = "tied"  # comparisons with equal sides: a sentence for each requested value that moves with them
    NUMBERS = "numbers"  # value verdicts on an instruction and on the contributions of its rule
    DERIVATIVE = "derivative"  # the derivative where a gradient is not finite: element and number


class Question(NamedTuple):
    """A question of an examination. ``of``: position of an instruction, or name of a value."""

    kind: Kind
    of: int | str = ""


@dataclass(frozen=True)
class Brief:
    """Data for an examination beside the run.

    Attributes:
        denied: inputs, as (position, slot), that rules give no gradient.
        linear: by position, for each input whether the op is linear in it.
        programs: by position, hashes of the rules that ran, for nodes whose values may be enclosed through their rules.
    """

    denied: frozenset[tuple[int, int]] = frozenset()
    linear: Mapping[int, tuple[bool, ...]] = field(default_factory=dict)
    programs: Mapping[int, str] = field(default_factory=dict)


def brief_of(rules: RunRules, denied: frozenset[tuple[int, int]]) -> Brief:
    """The brief about a run whose backward pass was made of ``rules``."""
    plan = rules.run.plan
    linear, programs = dict[int, tuple[bool, ...]](), dict[int, str]()
    through = (use.instruction for use in plan.backward.contributions)
    for position in watched(dict.fromkeys([*watched(through), *(position for position, _ in denied)])):
        rule, instruction = rules.of(position), plan.program.instructions[position]
        if any(rule.linear):
            linear[position] = rule.linear
        sizes = [plan.program.specs[k].size for k in (*instruction.inputs, *instruction.outputs)]
        if not instruction.op.elementwise and max(sizes) > FEW_WHOLE:
            programs[position] = rule.digest
    return Brief(denied, linear, programs)


class Findings(Protocol):
    """Answers about a run."""

    def wait_for_all(self) -> None:
        """Wait until all questions are answered."""

    def close(self) -> None:
        """Give up the questions that are still open, and release resources."""

    def graphs(self) -> dict[str, GraphVerdict]:
        """Graph verdicts, by requested value."""

    def tied(self) -> dict[str, str]:
        """A sentence for each requested value that moves the sides of a tied comparison."""

    def numbers(self, position: int) -> Checked:
        """Value verdicts on the instruction at ``position`` and on its contributions."""

    def derivative(self, name: str) -> tuple[str, str] | None:
        """Element and value of the derivative where the gradient of ``name`` is not finite; None if it is not known."""


class Examination:
    """Reads the definitions of the ops of a run in this process, for up to ``seconds``; later answers say that the time
    is over.

    ``rules``: rules of the ops, through which contributions of large nodes are read; None: not read through rules.
    """

    def __init__(self, run: Run, brief: Brief, seconds: float, rules: KnownRules | None = None) -> None:
        self.run, self.brief, self.seconds, self.rules = run, brief, seconds, rules
        self.deadline = time.monotonic() + seconds
        self.uses_by: dict[int, list[Contribution]] = defaultdict(list)
        for use in run.plan.backward.contributions:
            self.uses_by[use.instruction].append(use)
        self._live: dict[int, Array] | None = None
        self._known: dict[int, Checked] = {}

    @property
    def left(self) -> float:
        """Seconds until the time is over."""
        return self.deadline - time.monotonic()

    def wait_for_all(self) -> None:
        """Nothing runs ahead in this process."""

    def close(self) -> None:
        """Nothing is held."""

    def answer(self, question: Question) -> Any:
        """The answer to a question."""
        match question:
            case Question(Kind.GRAPHS):
                return self.graphs()
            case Question(Kind.TIED):
                return self.tied()
            case Question(Kind.NUMBERS, int(position)):
                return self.numbers(position)
            case Question(Kind.DERIVATIVE, str(name)):
                return self.derivative(name)
        raise ValueError(f"unknown question {question}")

    def graphs(self) -> dict[str, GraphVerdict]:
        """Graph verdicts, within half of the time left."""
        return check_graph(self.run, GRAPH_SHARE * self.left)

    def tied(self) -> dict[str, str]:
        """Sentences about tied comparisons, within the time left."""
        names = self.run.job.requested()
        try:
            return Deadline(self.deadline).within(tied_values, self.run, names)
        except Cancelled:
            look()
            return dict.fromkeys(names, ties_unchecked(budget_is_over(self.seconds)))

    def derivative(self, name: str) -> tuple[str, str] | None:
        """The finite derivative that a gradient hides, within a second."""
        truth = true_derivative(self.run, name, max(0.0, min(self.left, DERIVATIVE_SECONDS)))
        return None if truth is None else (truth[0], str(truth[1].str(12, radius=False)))

    def numbers(self, position: int) -> Checked:
        """Value verdicts on an instruction; cached."""
        checked = self._known.get(position)
        if checked is None:
            checked = self._known[position] = self._numbers(position)
        return checked

    def _numbers(self, position: int) -> Checked:
        whole = self.application(position)
        if self.left <= 0:
            return unexamined(whole, budget_is_over(self.seconds))
        try:
            return Deadline(self.deadline).within(self._check_live_part, position, whole)
        except Cancelled:
            look()
            return unexamined(whole, budget_is_over(self.seconds))

    def _check_live_part(self, position: int, whole: Application) -> Checked:
        if self._live is None:
            self._live = live_elements(self.run)
        instruction = self.run.plan.program.instructions[position]
        live = self._live.get(instruction.outputs[0])
        if live is not None and instruction.op.elementwise:
            return check_live(whole, live, lambda part: self._check_application(position, part))
        return self._check_application(position, whole)

    def application(self, position: int) -> Application:
        """The instruction at ``position`` as an application."""
        return application_of(self.run, position, self.uses_by.get(position, []), self.brief.denied)

    def _check_application(self, position: int, application: Application) -> Checked:
        if application.size <= (FEW if application.op.elementwise else FEW_WHOLE):
            return check_values(application)
        linear = self.brief.linear.get(position, (False,) * len(application.inputs))
        rule = self._rule(position, application)
        if rule is None or rule.digest == self.brief.programs.get(position, rule.digest):
            return check_node(application, None if rule is None else rule.program, linear, self.left)
        checked = check_node(application, None, linear, self.left)
        return Checked(checked.forward, tuple(v and by_another_rule(v) for v in checked.contributions))

    def _rule(self, position: int, application: Application) -> KnownRule | None:
        """The rule of an instruction, traced in this process; None if it is not needed."""
        if self.rules is None or application.op.elementwise or all(c is None for c in application.contributions):
            return None
        return self.rules.of(self.run, position)


def ties_unchecked(reason: str) -> str:
    """Sentence about a gradient whose ties were not looked for."""
    return f"ties of comparisons were not looked for: {reason}"


class NoFindings:
    """Findings of a run whose numbers are not checked (implements `Findings`): no definition is read."""

    def __init__(self, run: Run, brief: Brief) -> None:
        self.run, self._here = run, Examination(run, brief, 0.0)
        self._known: dict[int, Checked] = {}

    def wait_for_all(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is held."""

    def graphs(self) -> dict[str, GraphVerdict]:
        """SKIPPED for each requested value."""
        return dict.fromkeys(self.run.job.requested(), GraphVerdict(GraphWord.SKIPPED, NOT_ASKED))

    def tied(self) -> dict[str, str]:
        """No sentences."""
        return {}

    def numbers(self, position: int) -> Checked:
        """UNCHECKED for all numbers of the instruction."""
        checked = self._known.get(position)
        if checked is None:
            checked = self._known[position] = unexamined(self._here.application(position), NOT_ASKED)
        return checked

    def derivative(self, name: str) -> None:
        """No derivative."""
        return None


def unexamined(application: Application, reason: str) -> Checked:
    """Verdicts UNCHECKED on all numbers of an application."""
    forward = ValueVerdict(ValueWord.UNCHECKED, total=sum(y.size for y in application.results), reason=reason)
    return Checked(forward, unjudged(application, ValueWord.UNCHECKED, reason))


def by_another_rule(verdict: ValueVerdict) -> ValueVerdict:
    """Verdict on a contribution whose rule is traced differently in this process, from its verdict without a rule.

    It stands if it is OFF, or if the definition enclosed all elements; otherwise elements might have been enclosed
    through the rule that ran, and the word is UNCHECKED.
    """
    if verdict.word is ValueWord.OFF or verdict.checked == verdict.total:
        return verdict
    return ValueVerdict(ValueWord.UNCHECKED, total=verdict.total, reason=f"{ANOTHER_RULE}; {AUTHOR}")


def budget_is_over(seconds: float) -> str:
    """Reason of what was not checked because the time was over."""
    return f"budget: the {seconds:.3g} s for checks were over; {TIME}"


def questions_of(positions: Sequence[int], not_finite: Sequence[str]) -> list[Question]:
    """Questions about a run, in order."""
    return [
        Question(Kind.GRAPHS),
        Question(Kind.TIED),
        *(Question(Kind.NUMBERS, position) for position in positions),
        *(Question(Kind.DERIVATIVE, name) for name in not_finite),
    ]
