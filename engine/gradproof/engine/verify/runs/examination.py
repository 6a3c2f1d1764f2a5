"""The examination of a run: everything that is found out about its numbers by reading definitions.

It runs in a process that can be killed, since a definition is a stranger's code. It is asked in small questions, each with
an answer of its own, so that the answers before a question that does not end are not lost with it.
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
from gradproof.engine.verify.graphs.wholegraph import check_graph
from gradproof.engine.verify.nodes import check_node
from gradproof.engine.verify.numbers.applications import application_of, check_live
from gradproof.engine.verify.numbers.liveness import live_elements
from gradproof.engine.verify.numbers.nonfinite import true_derivative
from gradproof.engine.verify.numbers.ties import tied_values
from gradproof.engine.verify.numbers.value import Application, Checked, check_values, unjudged
from gradproof.engine.verify.runs.known_rules import KnownRule, KnownRules
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord, ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import AUTHOR, TIME

DERIVATIVE_SECONDS = 1.0
FEW, FEW_WHOLE = 128, 64
"""A node of up to so many elements is read by Arb alone: of an elementwise op, and of another, whose elements are dear."""
ANOTHER_RULE = "the rule traces differently in the process that checks it"
NOT_ASKED = "numbers were not to be checked"
GRAPH_SHARE = 0.5  # of the time that is left, where numbers are still to be checked


class Kind(StrEnum):
    """What is asked of a run."""

    GRAPHS = "graphs"  # the check of the whole graph: a verdict for each wanted value
    TIED = "tied"  # comparisons with equal sides: a sentence for each wanted value that moves with one
    NUMBERS = "numbers"  # whether an instruction computed its definition, and its rule the derivative
    DERIVATIVE = "derivative"  # what a gradient that is not finite should be, as element and number


class Question(NamedTuple):
    """A step of an examination; ``of``: the position of an instruction, or the name of a value."""

    kind: Kind
    of: int | str = ""


@dataclass(frozen=True)
class Brief:
    """Everything that an examination is told beside the run: uses that rules deny, which inputs an op is linear in, and
    hashes of the rules that ran, by position, for the nodes whose numbers may be enclosed through their rules."""

    denied: frozenset[tuple[int, int]] = frozenset()
    linear: Mapping[int, tuple[bool, ...]] = field(default_factory=dict)
    programs: Mapping[int, str] = field(default_factory=dict)


def brief_of(run: Run, denied: frozenset[tuple[int, int]], rules: KnownRules) -> Brief:
    """The brief about a run whose backward pass was made of these rules."""
    linear, programs = dict[int, tuple[bool, ...]](), dict[int, str]()
    through = (use.instruction for use in run.plan.backward.contributions)
    for position in watched(dict.fromkeys([*watched(through), *(position for position, _ in denied)])):
        rule, instruction = rules.of(run, position), run.plan.program.instructions[position]
        if any(rule.linear):
            linear[position] = rule.linear
        sizes = [run.plan.program.specs[k].size for k in (*instruction.inputs, *instruction.outputs)]
        if not instruction.op.elementwise and max(sizes) > FEW_WHOLE:
            programs[position] = rule.digest
    return Brief(denied, linear, programs)


class Findings(Protocol):
    """Answers about one run."""

    def settle(self) -> None:
        """Wait until all is found out that is asked."""

    def close(self) -> None:
        """Nothing more is asked."""

    def graphs(self) -> dict[str, GraphVerdict]: ...

    def tied(self) -> dict[str, str]: ...

    def numbers(self, position: int) -> Checked: ...

    def derivative(self, name: str) -> tuple[str, str] | None: ...


class Examination:
    """Reads the definitions of the ops of one run, in this process. Asked for something after its ``seconds`` are over, it
    says that they are. ``rules``: those of the ops, through which contributions of large nodes are read."""

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
        """Seconds until its time is over."""
        return self.deadline - time.monotonic()

    def settle(self) -> None:
        """Nothing is found out ahead here."""

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
        raise ValueError(f"{question} is no question")

    def graphs(self) -> dict[str, GraphVerdict]:
        """The check of the whole graph, which may take half of the time."""
        return check_graph(self.run, GRAPH_SHARE * self.left)

    def tied(self) -> dict[str, str]:
        names = self.run.job.wanted()
        try:
            return Deadline(self.deadline).within(tied_values, self.run, names)
        except Cancelled:
            look()
            return dict.fromkeys(names, untied(late(self.seconds)))

    def derivative(self, name: str) -> tuple[str, str] | None:
        truth = true_derivative(self.run, name, max(0.0, min(self.left, DERIVATIVE_SECONDS)))
        return None if truth is None else (truth[0], str(truth[1].str(12, radius=False)))

    def numbers(self, position: int) -> Checked:
        checked = self._known.get(position)
        if checked is None:
            checked = self._known[position] = self._numbers(position)
        return checked

    def _numbers(self, position: int) -> Checked:
        whole = self.application(position)
        if self.left <= 0:
            return unexamined(whole, late(self.seconds))
        try:
            return Deadline(self.deadline).within(self._examined, position, whole)
        except Cancelled:
            look()
            return unexamined(whole, late(self.seconds))

    def _examined(self, position: int, whole: Application) -> Checked:
        if self._live is None:
            self._live = live_elements(self.run)
        instruction = self.run.plan.program.instructions[position]
        live = self._live.get(instruction.outputs[0])
        if live is not None and instruction.op.elementwise:
            return check_live(whole, live, lambda part: self._judged(position, part))
        return self._judged(position, whole)

    def application(self, position: int) -> Application:
        return application_of(self.run, position, self.uses_by.get(position, []), self.brief.denied)

    def _judged(self, position: int, application: Application) -> Checked:
        if application.size <= (FEW if application.op.elementwise else FEW_WHOLE):
            return check_values(application)
        linear = self.brief.linear.get(position, (False,) * len(application.inputs))
        rule = self._rule(position, application)
        if rule is None or rule.digest == self.brief.programs.get(position, rule.digest):
            return check_node(application, None if rule is None else rule.program, linear, self.left)
        checked = check_node(application, None, linear, self.left)
        return Checked(checked.forward, tuple(v and through_another(v) for v in checked.contributions))

    def _rule(self, position: int, application: Application) -> KnownRule | None:
        """The rule of an instruction, as it is traced here; None where there is none."""
        if self.rules is None or application.op.elementwise or all(c is None for c in application.contributions):
            return None
        return self.rules.of(self.run, position)


def untied(reason: str) -> str:
    """The sentence where nobody looked for ties."""
    return f"ties of comparisons were not looked for: {reason}"


class Unasked:
    """The findings where numbers were not to be checked (implements `Findings`): no definition is read."""

    def __init__(self, run: Run, brief: Brief) -> None:
        self.run, self._here = run, Examination(run, brief, 0.0)
        self._known: dict[int, Checked] = {}

    def settle(self) -> None:
        """Nothing is on its way."""

    def close(self) -> None:
        """Nothing is held."""

    def graphs(self) -> dict[str, GraphVerdict]:
        return dict.fromkeys(self.run.job.wanted(), GraphVerdict(GraphWord.SKIPPED, NOT_ASKED))

    def tied(self) -> dict[str, str]:
        return {}

    def numbers(self, position: int) -> Checked:
        checked = self._known.get(position)
        if checked is None:
            checked = self._known[position] = unexamined(self._here.application(position), NOT_ASKED)
        return checked

    def derivative(self, name: str) -> None:
        return None


def unexamined(application: Application, reason: str) -> Checked:
    """The word for numbers that nobody could look at."""
    forward = ValueVerdict(ValueWord.UNCHECKED, total=sum(y.size for y in application.results), reason=reason)
    return Checked(forward, unjudged(application, ValueWord.UNCHECKED, reason))


def through_another(verdict: ValueVerdict) -> ValueVerdict:
    """The word for a contribution of a rule that is another program here, given what is seen without a rule: elements that
    are off, or all of them enclosed by the definition; anything less might have been enclosed through the rule."""
    if verdict.word is ValueWord.OFF or verdict.checked == verdict.total:
        return verdict
    return ValueVerdict(ValueWord.UNCHECKED, total=verdict.total, reason=f"{ANOTHER_RULE}; {AUTHOR}")


def late(seconds: float) -> str:
    """The reason of what was not checked since the time was over."""
    return f"budget: the {seconds:.3g} s for checks were over; {TIME}"


def questions_of(positions: Sequence[int], not_finite: Sequence[str]) -> list[Question]:
    """All that is asked of a run, in order."""
    return [
        Question(Kind.GRAPHS),
        Question(Kind.TIED),
        *(Question(Kind.NUMBERS, position) for position in positions),
        *(Question(Kind.DERIVATIVE, name) for name in not_finite),
    ]
