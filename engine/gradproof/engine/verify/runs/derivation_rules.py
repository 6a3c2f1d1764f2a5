"""Rules that wrote the nodes of a derived graph. A gradient that flows through such nodes, or reads their values, is
known no better than these rules; the checks of the graph itself cannot tell, since a wrong derivative has derivatives
too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gradproof.engine.engine import Run
from gradproof.engine.graph import Rule
from gradproof.engine.verify.verdict import RuleVerdict, SummaryWord
from gradproof.engine.verify.verdict import RuleWord as Word
from gradproof.engine.verify.verdict.summary import ORDER, refutation


class DerivationRules:
    """Weakest rule by which the instructions of a run were derived. ``verdict_of`` gives the verdict on a rule, once for
    each."""

    def __init__(self, run: Run, verdict_of: Callable[[Rule], RuleVerdict]) -> None:
        self._graph, self._node_of, self._verdict_of = run.plan.lowered.graph, run.plan.lowered.node_of, verdict_of
        self._instructions = run.plan.program.instructions[: run.plan.forward_length]
        self._made_by: dict[int, int] = {}
        self._words: list[tuple[SummaryWord, str]] = []
        self._behind: list[int | None] = []

    def weaken(
        self, summary: SummaryWord, reason: str, through: Iterable[int], read: Iterable[int]
    ) -> tuple[SummaryWord, str]:
        """Lower a summary to the weakest rule that wrote the instructions ``through``, or that the values ``read`` depend
        on."""
        if not self._graph.rules:
            return summary, reason
        self._look()
        direct = [k for position in through if (k := self._weakest(self._rules(position))) is not None]
        behind = [self._behind[self._made_by[number]] for number in read if number in self._made_by]
        weakest = self._weakest([*direct, *(k for k in behind if k is not None)])
        if weakest is not None and ORDER.index(self._words[weakest][0]) < ORDER.index(summary):
            return self._words[weakest]
        return summary, reason

    def _rules(self, position: int) -> tuple[int, ...]:
        return self._graph.nodes[self._node_of[position]].rules

    def _weakest(self, rules: Iterable[int]) -> int | None:
        """Rule that lowers a summary most; None if all are proved."""
        weakest = min(rules, key=lambda k: ORDER.index(self._words[k][0]), default=None)
        return None if weakest is None or self._words[weakest][0] is SummaryWord.VERIFIED else weakest

    def _look(self) -> None:
        """Find for each instruction the weakest rule that it depends on."""
        if self._words:
            return
        self._words = [_summary_of(rule, self._verdict_of(rule)) for rule in self._graph.rules]
        for position, instruction in enumerate(self._instructions):
            above = (self._behind[self._made_by[k]] for k in instruction.inputs if k in self._made_by)
            self._behind.append(self._weakest([*self._rules(position), *(k for k in above if k is not None)]))
            self._made_by.update(dict.fromkeys(instruction.outputs, position))


def _summary_of(rule: Rule, verdict: RuleVerdict) -> tuple[SummaryWord, str]:
    """Summary and reason that a rule allows."""
    derived = f"derived by the rule of {rule.op}"
    if verdict.word is Word.REFUTED:
        return SummaryWord.WRONG, f"{derived}, which is refuted: {refutation(verdict)}"
    if not verdict.proved:
        return SummaryWord.PLAUSIBLE, f"{derived}: rule {verdict.word}: {verdict.reason}"
    return SummaryWord.VERIFIED, ""
