"""Putting the checks together: from a finished run to one verdict per gradient.

A gradient is as good as its contributions, their sum, and the gradients they were pulled from: by the chain rule the three
local checks compose, so a summary is the weakest word on the way from the outputs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.engine import Run
from gradproof.engine.registry import Registry
from gradproof.engine.rules import trace_rule
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Instruction, Program
from gradproof.engine.verify.accumulation import check_sum, expected_uses
from gradproof.engine.verify.classes import ProofKey, key_of
from gradproof.engine.verify.value import Application, check_values
from gradproof.engine.verify.verdict import (
    Accumulation,
    AccumulationVerdict,
    GradientVerdict,
    Rule,
    RuleVerdict,
    Summary,
    UseVerdict,
    Value,
    ValueVerdict,
)

ORDER = (Summary.WRONG, Summary.UNCHECKED, Summary.PLAUSIBLE, Summary.VERIFIED)


class Proofs(Protocol):
    """Where rule verdicts come from."""

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """What is known already; must not wait."""

    def request(self, key: ProofKey) -> None:
        """Ask for a proof; must not wait."""

    def wait(self, keys: list[ProofKey], seconds: float) -> None:
        """Wait until all are known, or the time is over."""


@dataclass
class Verifier:
    """Checks runs over the ops of one registry. Safe to use from several threads."""

    registry: Registry
    proofs: Proofs
    _rules: dict[Any, tuple[Program, ProofKey | None]] = field(default_factory=dict, repr=False)

    def check(self, run: Run, *, values: bool = True, wait: float = 0.0, budget: float = 5.0) -> Iterator[GradientVerdict]:
        """One verdict for each wanted gradient of the run, in the order in which they became final; None gradients have
        none. ``values``: check the numbers too. ``wait``: seconds to wait for proofs that are missing. ``budget``:
        seconds after which the remaining numbers stay UNCHECKED."""
        deadline = time.monotonic() + budget
        plan = run.plan
        uses_of: dict[int, list[Contribution]] = defaultdict(list)
        for use in plan.backward.contributions:
            uses_of[use.value].append(use)
        keys = {position: self._rule(run, position)[1] for position in {u.instruction for u in plan.backward.contributions}}
        self._prove(list({key for key in keys.values() if key}), wait)
        numbers: dict[int, list[ValueVerdict | None]] = {}
        by_instruction: dict[int, list[Contribution]] = defaultdict(list)
        for use in plan.backward.contributions:
            by_instruction[use.instruction].append(use)
        names = {number: name for name, number in plan.lowered.values.items()}
        expected = self._expected(run)
        seeds = {plan.lowered.values[name]: seed for name, seed in plan.backward.seeds.items()}
        known: dict[int, tuple[Summary, str, tuple[str, ...]]] = {}
        wanted = set(run.job.wanted())
        for number, raw in plan.backward.raw.items():
            uses = []
            for use in uses_of[number]:
                position = use.instruction
                if position not in numbers:
                    late = time.monotonic() > deadline
                    numbers[position] = self._numbers(run, by_instruction[position], skip=not values or late, late=late)
                uses.append(self._use(run, use, keys[position], numbers[position]))
            parts = [run.values[use.number] for use in uses_of[number]]
            if number in seeds:
                parts.insert(0, run.values[seeds[number]])
            name = names.get(number)
            count = expected[name] if name is not None else len(parts)
            total = check_sum(parts, np.asarray(run.values[raw]), count)
            summary, reason = _summary(uses, total)
            pulled = {out for use in uses_of[number] for out in plan.program.instructions[use.instruction].outputs}
            summary, reason, hooked = _compose(
                summary, reason, [(names.get(k, ""), known[k]) for k in pulled if k in known]
            )
            passed_on = tuple(dict.fromkeys([*hooked, *([name] if name in run.hooked else [])]))
            known[number] = (summary, reason, passed_on)
            if name in wanted:
                yield GradientVerdict(name, summary, reason, tuple(uses), total, hooked, bool(passed_on))

    def _prove(self, keys: list[ProofKey], wait: float) -> None:
        missing = [key for key in keys if self.proofs.lookup(key) is None]
        for key in missing:
            self.proofs.request(key)
        if missing and wait > 0:
            self.proofs.wait(missing, wait)

    def _rule(self, run: Run, position: int) -> tuple[Program, ProofKey | None]:
        """The traced rule of an instruction, and its proof key; remembered."""
        program = run.plan.program
        one = program.instructions[position]
        inputs = tuple(Spec(program.specs[k].shape, program.specs[k].dtype) for k in one.inputs)
        cache_key = (one.op.name, inputs, repr(one.attributes))
        found = self._rules.get(cache_key)
        if found is None:
            outputs = [program.specs[k] for k in one.outputs]
            rule = trace_rule(self.registry.ops, one.op, inputs, outputs, one.attributes)
            found = (rule, key_of(self.registry, one.op, inputs, rule, one.attributes))
            if len(self._rules) > 20_000:
                self._rules.clear()
            self._rules[cache_key] = found
        return found

    def _expected(self, run: Run) -> dict[str, int]:
        """Uses of each value in the submitted graph, less those where a rule says NO_GRADIENT."""
        counts = expected_uses(run)
        plan = run.plan
        names = {number: name for name, number in plan.lowered.values.items()}
        for position in range(len(plan.forward)):
            one = plan.program.instructions[position]
            if not any(out in plan.backward.final for out in one.outputs):
                continue
            outputs = self._rule(run, position)[0].outputs
            for number, result in zip(one.inputs, outputs, strict=True):
                if result is None and number in names:
                    counts[names[number]] -= 1
        return counts

    def _numbers(self, run: Run, uses: list[Contribution], *, skip: bool, late: bool) -> list[ValueVerdict | None]:
        plan, values = run.plan, run.values
        one: Instruction = plan.program.instructions[uses[0].instruction]
        claimed: list[Any] = [None] * len(one.inputs)
        for use in uses:
            claimed[use.position] = np.asarray(values[use.number])
        if skip:
            reason = "the time for checks was over" if late else "numbers were not to be checked"
            return [None if c is None else ValueVerdict(Value.UNCHECKED, 0.0, 0, c.size, reason=reason) for c in claimed]
        application = Application(
            one.op,
            one.attributes,
            [np.asarray(values[k]) for k in one.inputs],
            [plan.program.specs[k] for k in one.outputs],
            [np.asarray(values[k]) for k in uses[0].cotangents],
            claimed,
        )
        return check_values(application)

    def _use(self, run: Run, use: Contribution, key: ProofKey | None, numbers: list[ValueVerdict | None]) -> UseVerdict:
        one = run.plan.program.instructions[use.instruction]
        value = numbers[use.position]
        assert value is not None  # every contribution has been judged
        if key is None:
            rule = RuleVerdict(Rule.UNDECIDED, one.op.name, reason="no small case stands for this shape")
        else:
            rule = self.proofs.lookup(key) or RuleVerdict(Rule.PENDING, one.op.name, str(key.case), reason="queued")
        name = f"{one.op.inputs[0]}[{use.position}]" if one.op.variadic else one.op.inputs[use.position]
        return UseVerdict(run.plan.lowered.node_of[use.instruction], one.op.name, name, use.position, rule, value)


def _summary(uses: list[UseVerdict], total: AccumulationVerdict) -> tuple[Summary, str]:
    """The word for one gradient's own contributions and sum, and the sentence that decides it."""
    judged = [_judge(use) for use in uses]
    if total.word is Accumulation.OFF:
        judged.append((Summary.WRONG, f"accumulation: {total.reason}"))
    elif total.word is Accumulation.UNCHECKED:
        judged.append((Summary.UNCHECKED, f"accumulation: {total.reason}"))
    return min(judged, key=lambda pair: ORDER.index(pair[0]), default=(Summary.VERIFIED, "the seed itself"))


def _judge(use: UseVerdict) -> tuple[Summary, str]:
    place = f"node {use.node} ({use.op}), input {use.input}"
    rule, value = use.rule, use.value
    element = f", element {value.element}" if value.element else ""
    if value.word is Value.OFF:
        return Summary.WRONG, f"{place}{element}: the rule gave {value.got}, the derivative is {value.expected}"
    if rule.word is Rule.REFUTED:
        where = f"{rule.element} " if rule.element not in ("", "[]") else ""
        return Summary.WRONG, (
            f"{place}: the rule is refuted for {rule.input} {where}at {rule.point}: it gives {rule.got}, "
            f"the derivative is {rule.expected}"
        )
    if value.word in (Value.UNCHECKED, Value.NONFINITE):
        known = Summary.PLAUSIBLE if rule.proved else Summary.UNCHECKED
        return known, f"{place}: value {value.word}: {value.reason}"
    if not rule.proved:
        return Summary.PLAUSIBLE, f"{place}: rule {rule.word}: {rule.reason}"
    if value.word is Value.TIE:
        return Summary.PLAUSIBLE, f"{place}: value {value.word}: {value.reason}"
    if value.checked < value.total:
        return Summary.PLAUSIBLE, f"{place}: {value.checked} of {value.total} elements enclosed"
    # CONDITIONED stays verified: the true value is known, and no float computation from these inputs does better.
    return Summary.VERIFIED, "every rule proved, every number enclosed, every sum right"


def _compose(
    summary: Summary, reason: str, pulled: list[tuple[str, tuple[Summary, str, tuple[str, ...]]]]
) -> tuple[Summary, str, tuple[str, ...]]:
    """The summary after the gradients it was pulled from: the weakest of all, and every hooked value on the way."""
    hooked: list[str] = []
    for name, (other, why, hooks) in pulled:
        hooked.extend(hooks)
        if ORDER.index(other) < ORDER.index(summary):
            summary, reason = other, why if why.startswith("through ") or not name else f"through {name!r}: {why}"
    return summary, reason, tuple(dict.fromkeys(hooked))
