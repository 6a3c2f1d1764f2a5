"""Check of a run: the verdicts on uses, sums and graph, composed to a verdict per gradient.

A gradient is as good as its contributions, their sum, and the gradients that these were computed from: by the chain rule
the three local checks compose, so a summary is the weakest word on the way from the outputs.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Run
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.findings import RemoteFindings
from gradproof.engine.verify.floats.ulps import finite
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.runs import (
    Brief,
    DerivationRules,
    Examination,
    Findings,
    KnownRules,
    NoFindings,
    Progress,
    RunRules,
    UpstreamValues,
    brief_of,
    budget_is_over,
    check_sum,
    expected_uses,
    is_requested_seed,
    origin_of,
    questions_of,
)
from gradproof.engine.verify.verdict import (
    AccumulationVerdict,
    AccumulationWord,
    GradientVerdict,
    GraphVerdict,
    SummaryWord,
    UseVerdict,
    ValueVerdict,
)
from gradproof.engine.verify.verdict.summary import (
    Known,
    compose,
    contradicted,
    lowered,
    lowered_forward,
    miscomputed,
    seen_through_hooks,
    summarize,
    unvouched,
)
from gradproof.engine.verify.verdict.wording import joined
from gradproof.engine.verify.verifier.denials import Denials
from gradproof.engine.verify.verifier.rule_verdicts import Proofs, RuleVerdicts

LATE = 0.1  # share of the budget that may pass after it, to compose verdicts


@dataclass(frozen=True)
class CheckOptions:
    """Options of a check, as in `Verifier.check`."""

    values: bool
    budget: float
    wait: float
    gone: Callable[[], bool]
    progress: Progress


class RunCheck:
    """The check of a run."""

    def __init__(self, run: Run, rules: KnownRules, proofs: Proofs, workers: Workers | None, options: CheckOptions) -> None:
        self.run, self.plan, self.known_rules, self.workers, self.options = run, run.plan, rules, workers, options
        self.rules = RunRules(run, rules)
        self.deadline = time.monotonic() + options.budget
        self.uses_of: dict[int, list[Contribution]] = defaultdict(list)
        for use in watched(self.plan.backward.contributions):
            self.uses_of[use.value].append(use)
        self.names = {number: name for name, number in watched(self.plan.lowered.values.items())}
        self.findings: Findings
        self.proofs = RuleVerdicts(
            proofs, options.progress, options.wait, self.deadline, options.gone, lambda: self.findings.wait_for_all()
        )
        self.upstream = UpstreamValues(run, self._forward)
        self.derivation = DerivationRules(run, lambda rule: self.proofs.verdict(rule.op, rules.key_of(rule)))

    def verdicts(self) -> Iterator[GradientVerdict]:
        """Verdicts on all requested gradients; UNCHECKED for those that there was no time for."""
        sent = set()
        for verdict in self._verdicts():
            sent.add(verdict.name)
            yield verdict
        for name in watched(self.run.job.requested()):
            if name not in sent:
                yield too_late(name, self.options.budget)

    @property
    def over(self) -> bool:
        """True once no more verdicts are awaited."""
        return self.options.gone() or time.monotonic() > self.deadline + LATE * self.options.budget

    def _verdicts(self) -> Iterator[GradientVerdict]:
        self.positions = list(dict.fromkeys(use.instruction for use in watched(self.plan.backward.contributions)))
        for position in watched(self.positions):
            if self.over:
                return
            self.rules.of(position)
        self.denials = Denials(self.rules, self.names)
        self.findings = self._start_findings()
        try:
            yield from self._composed()
        finally:
            self.findings.close()

    def _start_findings(self) -> Findings:
        """Findings about the numbers, which workers start on now."""
        denied = self.denials.slots
        if not self.options.values:
            return NoFindings(self.run, Brief(denied))
        brief = brief_of(self.rules, denied)
        if self.workers is None:
            return Examination(self.run, brief, self.options.budget, self.known_rules)
        nonfinite: list[str] = []
        if not self.run.hooked:
            nonfinite = [name for name in watched(self.run.job.requested()) if not self._finite(name)]
        questions = questions_of(self._examined(), nonfinite)
        left = self.deadline - time.monotonic()
        findings = RemoteFindings(self.workers, self.run, brief, questions, left, self.options.gone)
        self.options.progress.nodes = findings.nodes_read
        return findings

    def _examined(self) -> list[int]:
        """Positions of the instructions whose numbers are checked: of uses, and of all that their rules read, in order."""
        positions = dict.fromkeys(use.position for use in self.denials.uses)
        behind: set[int] = set()
        for number in watched(self.plan.backward.raw):
            positions.update(dict.fromkeys(use.instruction for use in self.uses_of[number]))
            more = self.upstream.behind(self._read(number), behind)
            behind.update(more)
            positions.update(dict.fromkeys(more))
        return list(positions)

    def _finite(self, name: str) -> bool:
        raw = self.plan.backward.raw.get(self.plan.lowered.values[name])
        return raw is None or finite(np.asarray(self.run.values[raw]))

    def _composed(self) -> Iterator[GradientVerdict]:
        keys = [self.rules.of(position).key for position in watched(self.positions)]
        keys += [self.known_rules.key_of(rule) for rule in watched(self.plan.lowered.graph.rules)]
        for key in watched({key for key in watched(keys) if key}):
            self.proofs.request(key)
            if self.over:
                return
        graphs = self.findings.graphs()
        expected, requested = self._expected(), set(self.run.job.requested())
        self.denied_uses = self.denials.verdicts(self.findings, self.proofs)
        self.tied = self.findings.tied()
        self.unreached = self.denials.unreached(self.denied_uses)
        known: dict[int, Known] = {}
        for number in watched(self.plan.backward.raw):
            if self.over:
                return
            name = self.names.get(number, "")
            uses = [self._use(use) for use in self.uses_of[number]] + self.denied_uses[number]
            total = self._sum(number, expected.get(number))
            known[number], hooked = self._summary(number, uses, total, known)
            if name in requested:
                graph = seen_through_hooks(graphs[name], hooked)
                summary, reason = self._tied(name, *contradicted(*known[number][:2], graph))
                verdict = GradientVerdict(name, summary, reason, tuple(uses), total, hooked, graph)
                yield self._explained(number, verdict)
        for name in watched(self.run.job.requested()):
            if self.plan.lowered.values[name] not in known:
                yield self._none_gradient(name, graphs[name])

    def _summary(
        self, number: int, uses: list[UseVerdict], total: AccumulationVerdict, known: dict[int, Known]
    ) -> tuple[Known, tuple[str, ...]]:
        """Summary of a value's gradient, with the hooks that later gradients depend on, and the hooks before it."""
        sources = {out for use in self.uses_of[number] for out in self._instruction(use).outputs}
        before = [(self.names.get(k, ""), known[k]) for k in sorted(sources) if k in known]
        if number in self.unreached:
            before.append(("", self.unreached[number]))
        local = self._with_upstream(number, *summarize(uses, total))
        summary, reason, hooked = compose(*self._derived(number, *local), before)
        name = self.names.get(number, "")
        passed_on = tuple(dict.fromkeys([*hooked, *([name] if name in self.run.hooked else [])]))
        return (summary, reason, passed_on), hooked

    def _none_gradient(self, name: str, graph: GraphVerdict) -> GradientVerdict:
        """Verdict on a gradient that is None, the claim that no output depends on the value."""
        number = self.plan.lowered.values[name]
        uses = self.denied_uses[number]
        total = AccumulationVerdict(AccumulationWord.EXACT, 0)
        summary, reason = self._derived(number, *summarize(uses, total))
        if number in self.unreached:
            summary, reason, _ = compose(summary, reason, [("", self.unreached[number])])
        elif not uses:
            reason = "no output depends on it"
        return GradientVerdict(name, *contradicted(summary, reason, graph), tuple(uses), total, (), graph)

    def _tied(self, name: str, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, lowered to PLAUSIBLE if a comparison that moves with the value has equal sides."""
        if summary is SummaryWord.VERIFIED and name in self.tied:
            return SummaryWord.PLAUSIBLE, self.tied[name]
        return summary, reason

    def _explained(self, number: int, verdict: GradientVerdict) -> GradientVerdict:
        """The verdict with the origin of a gradient that is not finite, and the derivative if it is known."""
        raw = self.plan.backward.raw[number]
        if not self.options.values or self.options.gone() or finite(np.asarray(self.run.values[raw])):
            return verdict
        reason, origin = verdict.reason, origin_of(self.run, raw)
        if origin is not None:
            reason = joined(reason, str(origin))
        derivative = self.findings.derivative(verdict.name) if not self.run.hooked else None
        if derivative is not None:
            element, truth = derivative
            place = f" by element {element}" if element else ""
            reason = joined(reason, f"the derivative{place} is {truth}")
        return replace(verdict, reason=reason, nonfinite=origin)

    def _with_upstream(self, number: int, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, lowered by the weakest value that the rules of the uses read."""
        if not self.options.values or summary is SummaryWord.WRONG:
            return summary, reason
        weak = self.upstream.weakest(self._read(number))
        if weak is None:
            return summary, reason
        severity, position = weak
        node, op = self.plan.lowered.node_of[position], self.plan.lowered.part(position)
        if severity == 0:
            return SummaryWord.WRONG, miscomputed(node, op, self._forward(position))
        if summary is SummaryWord.VERIFIED:
            return SummaryWord.PLAUSIBLE, unvouched(node, op, self._forward(position))
        return summary, reason

    def _read(self, number: int) -> set[int]:
        """Numbers of the values that the rules of the uses of a value read."""
        numbers: set[int] = set()
        for use in self.uses_of[number]:
            instruction = self._instruction(use)
            saved = (*instruction.outputs, *instruction.inputs)
            read = self.rules.of(use.instruction).input_dependencies[use.position]
            numbers.update(saved[k - len(instruction.outputs)] for k in read if k >= len(instruction.outputs))
        return numbers

    def _derived(self, number: int, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, lowered by the rules that wrote the nodes of a derived graph."""
        through = [use.instruction for use in self.uses_of[number]]
        through += [use.position for use in self.denials.uses if use.value == number]
        return self.derivation.weaken(summary, reason, through, self._read(number))

    def _instruction(self, use: Contribution) -> Instruction:
        return self.plan.program.instructions[use.instruction]

    def _expected(self) -> Counter[int]:
        """Uses of each value in the submitted graph, and within its composites, without the denied uses."""
        counts = expected_uses(self.run)
        for use in self.denials.uses:
            if use.value in counts:
                counts[use.value] -= 1
        return counts

    def _sum(self, number: int, expected: int | None) -> AccumulationVerdict:
        values = self.run.values
        parts = [values[use.number] for use in self.uses_of[number]]
        name = self.names.get(number, "")
        seed = self.plan.backward.seeds.get(name)
        if seed is not None:
            if not is_requested_seed(self.run, name, np.asarray(values[seed])):
                return AccumulationVerdict(
                    AccumulationWord.OFF, len(parts) + 1, "the seed differs from that of the request"
                )
            parts.insert(0, values[seed])
        raw = np.asarray(values[self.plan.backward.raw[number]])
        return check_sum(parts, raw, len(parts) if expected is None else expected)

    def _use(self, use: Contribution) -> UseVerdict:
        op, checked = self._instruction(use).op, self.findings.numbers(use.instruction)
        value = checked.contributions[use.position]
        assert value is not None  # every contribution is checked
        node = self.plan.lowered.node_of[use.instruction]
        rule = self.proofs.verdict(op.name, self.rules.of(use.instruction).key)
        forward = lowered_forward(checked.forward, rule)
        name, kernels = op.input_name(use.position), self.plan.kernels.get(node, ())
        return UseVerdict(node, op.name, name, use.position, rule, lowered(value, rule), forward, kernels)

    def _forward(self, position: int) -> ValueVerdict:
        """Verdict on the outputs of an instruction, lowered by the proof of its op if a form enclosed them."""
        verdict, op = self.findings.numbers(position).forward, self.plan.program.instructions[position].op
        if not verdict.through_rule or op.rule is None:
            return verdict
        key = self.rules.of(position).key
        self.proofs.request(key)
        return lowered_forward(verdict, self.proofs.verdict(op.name, key))


def too_late(name: str, budget: float) -> GradientVerdict:
    """Verdict on a gradient that there was no time for."""
    return GradientVerdict(name, SummaryWord.UNCHECKED, budget_is_over(budget))
