"""Summary of a gradient: from the words of its verdicts to a single word, and the sentence that decides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from gradproof.engine.verify.verdict.words import (
    AccumulationVerdict,
    AccumulationWord,
    GraphVerdict,
    GraphWord,
    RuleVerdict,
    RuleWord,
    SummaryWord,
    UseVerdict,
    ValueVerdict,
    ValueWord,
)

ORDER = (SummaryWord.WRONG, SummaryWord.UNCHECKED, SummaryWord.PLAUSIBLE, SummaryWord.VERIFIED)
Known: TypeAlias = tuple[SummaryWord, str, tuple[str, ...]]  # word, sentence, and the hooked values on the way


def summarize(uses: Sequence[UseVerdict], total: AccumulationVerdict) -> tuple[SummaryWord, str]:
    """The word for a gradient's own contributions and sum, and the sentence that decides it."""
    summaries = [_summary_of(use) for use in uses]
    if total.word is AccumulationWord.OFF:
        summaries.append((SummaryWord.WRONG, f"accumulation: {total.reason}"))
    elif total.word is AccumulationWord.ILL_CONDITIONED:
        summaries.append((SummaryWord.PLAUSIBLE, f"accumulation: {total.reason}"))
    elif total.word is AccumulationWord.UNCHECKED:
        summaries.append((SummaryWord.UNCHECKED, f"accumulation: {total.reason}"))
    return min(summaries, key=lambda pair: ORDER.index(pair[0]), default=(SummaryWord.VERIFIED, "the seed itself"))


def _summary_of(use: UseVerdict) -> tuple[SummaryWord, str]:
    """The word for a single contribution, and the sentence that decides it."""
    place = f"node {use.node} ({use.op}), input {use.input}"
    rule, value = use.rule, use.value
    element = f", element {value.element}" if value.element else ""
    if use.forward.word is ValueWord.OFF:  # first: a rule that reads a wrong result gives wrong numbers too
        return SummaryWord.WRONG, miscomputed(use.node, use.op, use.forward)
    if value.word is ValueWord.OFF:
        return SummaryWord.WRONG, f"{place}{element}: the rule gave {value.got}, the derivative is {value.expected}"
    if rule.word is RuleWord.REFUTED:
        return SummaryWord.WRONG, f"{place}: {rule.op} is refuted: {refutation(rule)}"
    if value.word in (ValueWord.UNCHECKED, ValueWord.NONFINITE, ValueWord.OVERFLOWED):
        word = SummaryWord.PLAUSIBLE if rule.proved else SummaryWord.UNCHECKED
        return word, f"{place}{element}: value {value.word}: {value.reason}"
    if not rule.proved:
        return SummaryWord.PLAUSIBLE, f"{place}: rule {rule.word}: {rule.reason}"
    if value.word in (ValueWord.TIE, ValueWord.ILL_CONDITIONED):
        return SummaryWord.PLAUSIBLE, f"{place}{element}: value {value.word}: {value.reason}"
    if value.word is ValueWord.SCREENED or value.checked < value.total:
        count = f"{value.checked} of {value.total} elements enclosed"
        return SummaryWord.PLAUSIBLE, f"{place}: {value.reason if count in value.reason else _joined(count, value.reason)}"
    return SummaryWord.VERIFIED, "every rule proved, every number enclosed, every sum right"


def _joined(first: str, then: str) -> str:
    return f"{first}: {then}" if then else first


ENCLOSING = (ValueWord.ENCLOSED, ValueWord.TIE, ValueWord.CONDITIONED)


def lowered(value: ValueVerdict, rule: RuleVerdict) -> ValueVerdict:
    """The verdict on numbers that were enclosed by what their rule gives: SCREENED unless the rule is proved, and the
    forms for whole arrays are shown to be the definitions."""
    if not value.through_rule or value.word not in ENCLOSING or (rule.proved and rule.arrays):
        return value
    why = "the numbers are what the rule gives, which is" if not rule.proved else UNSHOWN + "the rule, though, is"
    return replace(value, word=ValueWord.SCREENED, checked=0, screened=value.checked, reason=f"{why} {rule.word}")


def lowered_forward(value: ValueVerdict, rule: RuleVerdict) -> ValueVerdict:
    """The verdict on a forward value that was enclosed by its op's form for whole arrays: SCREENED unless that form is
    shown to be the definition."""
    if not value.through_rule or value.word not in ENCLOSING or rule.arrays:
        return value
    return replace(
        value, word=ValueWord.SCREENED, checked=0, screened=value.checked, reason=UNSHOWN + f"the rule is {rule.word}"
    )


UNSHOWN = "the form for whole arrays that encloses the numbers is not shown to be the definition; "


def miscomputed(node: int, op: str, value: ValueVerdict) -> str:
    """The sentence for a node whose forward value is not what its definition gives."""
    where = f", element {value.element}" if value.element else ""
    return f"node {node} ({op}){where}: the node computed {value.got}, its definition gives {value.expected}"


def unvouched(node: int, op: str, value: ValueVerdict) -> str:
    """The sentence for a node whose forward value is read by a rule, and is not shown to be right."""
    where = f", element {value.element}" if value.element else ""
    count = f"{value.screened or value.checked} of {value.total} elements checked"
    return f"node {node} ({op}){where}: a rule reads its value, which is {value.word}: {value.reason or count}"


def refutation(rule: RuleVerdict) -> str:
    """The refutation of a rule as a sentence: the reason, the place, and both numbers."""
    where = f"{rule.input} {rule.element}".replace("[]", "").strip()
    text = rule.reason + (f" for {where}" if where else "") + (f" at {rule.point}" if rule.point else "")
    return f"{text}: it gives {rule.got}, the truth is {rule.expected}" if rule.got else text


def contradicted(summary: SummaryWord, reason: str, graph: GraphVerdict) -> tuple[SummaryWord, str]:
    """The summary after the check of the whole graph, which may contradict and adds nothing else."""
    if graph.word is GraphWord.INCONSISTENT and summary is not SummaryWord.WRONG:
        return SummaryWord.WRONG, f"the whole graph: {graph.reason}"
    if graph.word is GraphWord.ILL_CONDITIONED and summary is SummaryWord.VERIFIED:
        return (
            SummaryWord.PLAUSIBLE,
            f"the whole graph: {graph.bits_lost:.0f} bits may be lost to rounding ({graph.reason})",
        )
    return summary, reason


def seen_through_hooks(graph: GraphVerdict, hooks: Sequence[str]) -> GraphVerdict:
    """The verdict on a graph whose gradient came through hooks: CUT, as it is not the gradient of the graph alone."""
    if not hooks or graph.word is GraphWord.INCONSISTENT:
        return graph
    between = f"{graph.word} between the hooks" if graph.word is not GraphWord.SKIPPED else f"not compared: {graph.reason}"
    return replace(graph, word=GraphWord.CUT, reason=f"{between} on {', '.join(hooks)}")


def compose(summary: SummaryWord, reason: str, pulled: Sequence[tuple[str, Known]]) -> Known:
    """The summary after the gradients it was pulled from: the weakest of all, and every hooked value on the way."""
    hooked: list[str] = []
    for name, (upstream, why, hooks) in pulled:
        hooked.extend(hooks)
        if ORDER.index(upstream) < ORDER.index(summary):
            summary, reason = upstream, why if why.startswith("through ") or not name else f"through {name!r}: {why}"
    return summary, reason, tuple(dict.fromkeys(hooked))
