"""What a derived graph rests on: its nodes were written by rules, and what goes through them, or reads what they computed,
is no better known than these rules. The graph's own checks cannot see that: a wrong rule's result has derivatives too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gradproof.engine.engine import Run
from gradproof.engine.graph import Rule
from gradproof.engine.verify.verdict import RuleVerdict, SummaryWord
from gradproof.engine.verify.verdict import RuleWord as Word
from gradproof.engine.verify.verdict.summary import ORDER, refutation


class Origin:
    """The weakest rule by which the instructions of a run were derived, and those behind them. ``known`` gives the verdict
    on a rule; it is asked once for each."""

    def __init__(self, run: Run, known: Callable[[Rule], RuleVerdict]) -> None:
        self._graph, self._node_of, self._known = run.plan.lowered.graph, run.plan.lowered.node_of, known
        self._instructions = run.plan.program.instructions[: run.plan.forward_length]
        self._made_by: dict[int, int] = {}
        self._words: list[tuple[SummaryWord, str]] = []
        self._behind: list[int | None] = []

    def weaken(
        self, summary: SummaryWord, reason: str, through: Iterable[int], read: Iterable[int]
    ) -> tuple[SummaryWord, str]:
        """A summary after a look at the rules that wrote the instructions ``through``, which a gradient flows through, and
        all that the values ``read`` were computed by."""
        if not self._graph.rules:
            return summary, reason
        self._look()
        own = [k for position in through if (k := self._weakest(self._rules(position))) is not None]
        behind = [self._behind[self._made_by[number]] for number in read if number in self._made_by]
        weakest = self._weakest([*own, *(k for k in behind if k is not None)])
        if weakest is not None and ORDER.index(self._words[weakest][0]) < ORDER.index(summary):
            return self._words[weakest]
        return summary, reason

    def _rules(self, position: int) -> tuple[int, ...]:
        return self._graph.nodes[self._node_of[position]].rules

    def _weakest(self, rules: Iterable[int]) -> int | None:
        """The one that lowers a summary most; None if all are proved."""
        weakest = min(rules, key=lambda k: ORDER.index(self._words[k][0]), default=None)
        return None if weakest is None or self._words[weakest][0] is SummaryWord.VERIFIED else weakest

    def _look(self) -> None:
        """For each instruction the weakest rule that it rests on."""
        if self._words:
            return
        self._words = [_judge(rule, self._known(rule)) for rule in self._graph.rules]
        for position, instruction in enumerate(self._instructions):
            above = (self._behind[self._made_by[k]] for k in instruction.inputs if k in self._made_by)
            self._behind.append(self._weakest([*self._rules(position), *(k for k in above if k is not None)]))
            self._made_by.update(dict.fromkeys(instruction.outputs, position))


def _judge(rule: Rule, verdict: RuleVerdict) -> tuple[SummaryWord, str]:
    derived = f"derived by the rule of {rule.op}"
    if verdict.word is Word.REFUTED:
        return SummaryWord.WRONG, f"{derived}, which is refuted: {refutation(verdict)}"
    if not verdict.proved:
        return SummaryWord.PLAUSIBLE, f"{derived}: rule {verdict.word}: {verdict.reason}"
    return SummaryWord.VERIFIED, ""
