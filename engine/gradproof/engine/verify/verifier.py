"""Putting the checks together: from a finished run to one verdict per gradient.

A gradient is as good as its contributions, their sum, and the gradients they were pulled from: by the chain rule the three
local checks compose, so a summary is the weakest word on the way from the outputs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Run
from gradproof.engine.registry import Registry
from gradproof.engine.spec import is_differentiable
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.findings import Remote
from gradproof.engine.verify.floats.ulps import finite
from gradproof.engine.verify.numbers.accumulation import check_sum, expected_uses, seeded
from gradproof.engine.verify.numbers.nonfinite import origin_of
from gradproof.engine.verify.numbers.origin import Origin
from gradproof.engine.verify.numbers.upstream import UpstreamValues
from gradproof.engine.verify.processes.workers import Workers
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_cache.shape_class import NO_CASE
from gradproof.engine.verify.runs.examination import Brief, Examination, Findings, Unasked, brief_of, late, questions_of
from gradproof.engine.verify.runs.known_rules import KnownRule, KnownRules
from gradproof.engine.verify.runs.progress import Progress
from gradproof.engine.verify.verdict import (
    AccumulationVerdict,
    AccumulationWord,
    GradientVerdict,
    GraphVerdict,
    RuleVerdict,
    RuleWord,
    SummaryWord,
    UseVerdict,
    ValueVerdict,
)
from gradproof.engine.verify.verdict.advice import AGAIN
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

LOOK_UP_SECONDS = 0.1  # how often who waits for a proof looks whether anybody waits for him
LATE = 0.1  # of the time for checks: so much later it is over for putting words together too


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
    """Checks runs over the ops of one registry. Safe to use from several threads. Definitions are read by ``workers``;
    without them, in this process, where nobody can stop one that does not end."""

    registry: Registry
    proofs: Proofs
    workers: Workers | None = None
    rules: KnownRules = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.rules = KnownRules(self.registry)

    def check(
        self,
        run: Run,
        *,
        values: bool = True,
        wait: float = 0.0,
        budget: float = 5.0,
        gone: Callable[[], bool] = lambda: False,
        progress: Progress | None = None,
    ) -> Iterator[GradientVerdict]:
        """One verdict for each wanted gradient of the run, in the order in which they became final; at last those of None
        gradients.

        Args:
            values: check the numbers too.
            budget: seconds for all of it, after which the rest stays UNCHECKED.
            wait: seconds of these to wait, all in all, for proofs that are not known yet, once the numbers are checked.
            gone: whether nobody waits for verdicts any more: then nothing is waited for, or checked, either.
            progress: counts that are kept up to date while the check runs.
        """
        check = _Check(self, run, values, budget, wait, gone)
        check.progress = progress or check.progress
        return check.verdicts()


class _Check:
    """The check of one run."""

    def __init__(
        self, verifier: Verifier, run: Run, values: bool, budget: float, wait: float, gone: Callable[[], bool]
    ) -> None:
        self.verifier, self.run, self.plan = verifier, run, run.plan
        self.values, self.budget, self.wait, self.gone = values, budget, wait, gone
        self.progress = Progress()
        self.deadline = time.monotonic() + budget
        self.uses_of: dict[int, list[Contribution]] = defaultdict(list)
        self.uses_by: dict[int, list[Contribution]] = defaultdict(list)
        for use in watched(self.plan.backward.contributions):
            self.uses_of[use.value].append(use)
            self.uses_by[use.instruction].append(use)
        self.names = {number: name for name, number in watched(self.plan.lowered.values.items())}
        self.ground = UpstreamValues(run, self._forward)
        self.origin = Origin(run, lambda rule: self._proof(rule.op, verifier.rules.key_of(rule)))

    def verdicts(self) -> Iterator[GradientVerdict]:
        """The verdicts that there is time for, and for the other gradients that there was none."""
        sent = set()
        for verdict in self._verdicts():
            sent.add(verdict.name)
            yield verdict
        for name in watched(self.run.job.wanted()):
            if name not in sent:
                yield too_late(name, self.budget)

    @property
    def over(self) -> bool:
        """Whether nobody waits for more words."""
        return self.gone() or time.monotonic() > self.deadline + LATE * self.budget

    def _verdicts(self) -> Iterator[GradientVerdict]:
        self.rules: dict[int, KnownRule] = {}
        for position in watched(self.uses_by):
            if self.over:
                return
            self.rules[position] = self.verifier.rules.of(self.run, position)
        self.keys = {position: rule.key for position, rule in self.rules.items()}
        self.denied = list(self._denied())
        self.findings = self._asked()
        try:
            yield from self._composed()
        finally:
            self.findings.close()

    def _asked(self) -> Findings:
        """The findings about the numbers, which are on their way from now on."""
        denied = frozenset((position, slot) for position, slot, _ in self.denied)
        if not self.values:
            return Unasked(self.run, Brief(denied))
        brief = brief_of(self.run, denied, self.verifier.rules)
        workers = self.verifier.workers
        if workers is None:
            return Examination(self.run, brief, self.budget, self.verifier.rules)
        bad = [name for name in watched(self.run.job.wanted()) if not self._finite(name)] if not self.run.hooked else []
        left = self.deadline - time.monotonic()
        findings = Remote(workers, self.run, brief, questions_of(self._positions(), bad), left, self.gone)
        self.progress.nodes = findings.nodes_read
        return findings

    def _positions(self) -> list[int]:
        """The instructions whose numbers are asked for, in order: uses and all that their rules read, use by use."""
        positions = dict.fromkeys(position for position, _, _ in self.denied)
        behind: set[int] = set()
        for number in watched(self.plan.backward.raw):
            positions.update(dict.fromkeys(use.instruction for use in self.uses_of[number]))
            more = self.ground.behind(self._read(number), behind)
            behind.update(more)
            positions.update(dict.fromkeys(more))
        return list(positions)

    def _finite(self, name: str) -> bool:
        raw = self.plan.backward.raw.get(self.plan.lowered.values[name])
        return raw is None or finite(np.asarray(self.run.values[raw]))

    def _composed(self) -> Iterator[GradientVerdict]:
        written = [self.verifier.rules.key_of(rule) for rule in watched(self.plan.lowered.graph.rules)]
        for key in watched({key for key in watched((*self.keys.values(), *written)) if key}):
            self._request(key)
            if self.over:
                return
        graphs = self.findings.graphs()
        expected, wanted = self._expected(), set(self.run.job.wanted())
        self.silent = self._silent_uses()
        self.tied = self.findings.tied()
        self.lost = self._lost()
        known: dict[int, Known] = {}
        for number in watched(self.plan.backward.raw):
            if self.over:
                return
            uses = [self._use(use) for use in self.uses_of[number]] + self.silent[number]
            name = self.names.get(number, "")
            total = self._sum(number, expected[name] if name else None)
            pulled = {out for use in self.uses_of[number] for out in self._instruction(use).outputs}
            summary, reason, hooked = compose(
                *self._derived(number, *self._grounded(number, *summarize(uses, total))),
                [
                    *((self.names.get(k, ""), known[k]) for k in sorted(pulled) if k in known),
                    *(("", self.lost[k]) for k in (number,) if k in self.lost),
                ],
            )
            passed_on = tuple(dict.fromkeys([*hooked, *([name] if name in self.run.hooked else [])]))
            known[number] = (summary, reason, passed_on)
            if name in wanted:
                graph = seen_through_hooks(graphs[name], hooked)
                summary, reason = self._tied(name, *contradicted(summary, reason, graph))
                verdict = GradientVerdict(name, summary, reason, tuple(uses), total, hooked, graph)
                yield self._explained(number, verdict)
        for name in watched(self.run.job.wanted()):
            if self.plan.lowered.values[name] not in known:
                yield self._nothing(name, graphs[name])

    def _nothing(self, name: str, graph: GraphVerdict) -> GradientVerdict:
        """The verdict on a gradient that is None: that nothing flows to the value is a claim too."""
        number = self.plan.lowered.values[name]
        uses = self.silent[number]
        total = AccumulationVerdict(AccumulationWord.EXACT, 0)
        summary, reason = self._derived(number, *summarize(uses, total))
        if number in self.lost:
            summary, reason, _ = compose(summary, reason, [("", self.lost[number])])
        elif not uses:
            reason = "no output depends on it"
        return GradientVerdict(name, *contradicted(summary, reason, graph), tuple(uses), total, (), graph)

    def _tied(self, name: str, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, at most plausible where a comparison that moves with the value has equal sides."""
        if summary is SummaryWord.VERIFIED and name in self.tied:
            return SummaryWord.PLAUSIBLE, self.tied[name]
        return summary, reason

    def _explained(self, number: int, verdict: GradientVerdict) -> GradientVerdict:
        """The verdict with the origin of a gradient that is not finite, and what it should be if that is known."""
        raw = self.plan.backward.raw[number]
        if not self.values or self.gone() or finite(np.asarray(self.run.values[raw])):
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

    def _grounded(self, number: int, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, after a look at the values that the rules of its uses read."""
        if not self.values or summary is SummaryWord.WRONG:
            return summary, reason
        weak = self.ground.weakest(self._read(number))
        if weak is None:
            return summary, reason
        severity, position = weak
        node, op = self.plan.lowered.node_of[position], self.plan.program.instructions[position].op.name
        if severity == 0:
            return SummaryWord.WRONG, miscomputed(node, op, self._forward(position))
        if summary is SummaryWord.VERIFIED:
            return SummaryWord.PLAUSIBLE, unvouched(node, op, self._forward(position))
        return summary, reason

    def _read(self, number: int) -> set[int]:
        """The values that the rules of the uses of a value read."""
        numbers: set[int] = set()
        for use in self.uses_of[number]:
            instruction = self._instruction(use)
            saved = (*instruction.outputs, *instruction.inputs)
            read = self.rules[use.instruction].input_dependencies[use.position]
            numbers.update(saved[k - len(instruction.outputs)] for k in read if k >= len(instruction.outputs))
        return numbers

    def _derived(self, number: int, summary: SummaryWord, reason: str) -> tuple[SummaryWord, str]:
        """The summary, after a look at the rules by which the nodes of a derived graph were written."""
        through = [use.instruction for use in self.uses_of[number]]
        through += [position for position, _, denied in self.denied if denied == number]
        return self.origin.weaken(summary, reason, through, self._read(number))

    def _instruction(self, use: Contribution) -> Instruction:
        return self.plan.program.instructions[use.instruction]

    def _expected(self) -> dict[str, int]:
        """Uses of each value in the submitted graph, less those where a rule says NO_GRADIENT."""
        counts = expected_uses(self.run)
        for _, _, number in self.denied:
            if number in self.names:
                counts[self.names[number]] -= 1
        return counts

    def _denied(self) -> Iterator[tuple[int, int, int]]:
        """Every use whose rule says NO_GRADIENT: instruction, input, and the value that is used there (followed back
        through inserted conversions to the one that the graph names)."""
        source: dict[int, int] = {}
        for position in watched(range(self.plan.forward_length)):
            instruction = self.plan.program.instructions[position]
            if instruction.outputs[0] not in self.names:
                source[instruction.outputs[0]] = source.get(instruction.inputs[0], instruction.inputs[0])
            elif any(out in self.plan.backward.final for out in instruction.outputs):
                for slot, result in enumerate(self.verifier.rules.of(self.run, position).program.outputs):
                    if result is None:
                        yield position, slot, source.get(instruction.inputs[slot], instruction.inputs[slot])

    def _silent_uses(self) -> dict[int, list[UseVerdict]]:
        """Uses of differentiable values that their rules deny. The denial is a claim: that the contribution is 0, which is
        checked, and that it is so everywhere, which is proved."""
        silent: dict[int, list[UseVerdict]] = defaultdict(list)
        for position, slot, number in watched(self.denied):
            if not is_differentiable(self.plan.program.specs[number].dtype):
                continue
            instruction = self.plan.program.instructions[position]
            key = self.verifier.rules.of(self.run, position).key
            self._request(key)
            nothing = self.findings.numbers(position).contributions[slot]
            assert nothing is not None  # it has been judged as 0
            node, rule = self.plan.lowered.node_of[position], self._proof(instruction.op.name, key)
            silent[number].append(
                UseVerdict(node, instruction.op.name, instruction.op.input_name(slot), slot, rule, lowered(nothing, rule))
            )
        return silent

    def _lost(self) -> dict[int, Known]:
        """Of values without a gradient, which their uses deny, the weakest of what is known of that: it is said of all
        that they were computed from."""
        lost: dict[int, Known] = {}
        for position in watched(range(self.plan.forward_length - 1, -1, -1)):
            instruction = self.plan.program.instructions[position]
            missing = [out for out in instruction.outputs if out not in self.plan.backward.final]
            nothing = AccumulationVerdict(AccumulationWord.EXACT)
            weak: list[Known] = [(*summarize(self.silent[out], nothing), ()) for out in missing if self.silent[out]]
            weak += [lost[out] for out in missing if out in lost]
            for number in instruction.inputs if weak else ():
                before = lost.get(number, (SummaryWord.VERIFIED, "", ()))
                lost[number] = compose(before[0], before[1], [("", known) for known in weak])
        return {number: known for number, known in lost.items() if known[0] is not SummaryWord.VERIFIED}

    def _sum(self, number: int, expected: int | None) -> AccumulationVerdict:
        values = self.run.values
        parts = [values[use.number] for use in self.uses_of[number]]
        name = self.names.get(number, "")
        seed = self.plan.backward.seeds.get(name)
        if seed is not None:
            if not seeded(self.run, name, np.asarray(values[seed])):
                return AccumulationVerdict(AccumulationWord.OFF, len(parts) + 1, "the seed is not the one of the request")
            parts.insert(0, values[seed])
        raw = np.asarray(values[self.plan.backward.raw[number]])
        return check_sum(parts, raw, len(parts) if expected is None else expected)

    def _use(self, use: Contribution) -> UseVerdict:
        instruction = self._instruction(use)
        checked = self.findings.numbers(use.instruction)
        value = checked.contributions[use.position]
        assert value is not None  # every contribution has been judged
        node = self.plan.lowered.node_of[use.instruction]
        rule = self._proof(instruction.op.name, self.keys[use.instruction])
        return UseVerdict(
            node,
            instruction.op.name,
            instruction.op.input_name(use.position),
            use.position,
            rule,
            lowered(value, rule),
            lowered_forward(checked.forward, rule),
        )

    def _forward(self, position: int) -> ValueVerdict:
        """The verdict on what an instruction computed. The form that encloses it is proved with the rule of its op."""
        verdict, op = self.findings.numbers(position).forward, self.plan.program.instructions[position].op
        if not verdict.through_rule or op.rule is None:
            return verdict
        key = self.verifier.rules.of(self.run, position).key
        self._request(key)
        return lowered_forward(verdict, self._proof(op.name, key))

    def _request(self, key: ProofKey | None) -> None:
        """Ask for a proof that is not known yet."""
        if key is not None and self.verifier.proofs.lookup(key) is None:
            self.verifier.proofs.request(key)
            self.progress.proofs.append(key)

    def _proof(self, op: str, key: ProofKey | None) -> RuleVerdict:
        if key is None:
            return RuleVerdict(RuleWord.UNDECIDED, op, reason=NO_CASE)
        proofs = self.verifier.proofs
        known = proofs.lookup(key)
        if known is None and self.wait > 0:
            self.findings.settle()  # numbers first: a proof that hangs takes nothing from them
        while known is None and (left := min(self.wait, self.deadline - time.monotonic())) > 0 and not self.gone():
            started = time.monotonic()
            proofs.wait([key], min(left, LOOK_UP_SECONDS))
            self.wait -= time.monotonic() - started
            known = proofs.lookup(key)
        return known or RuleVerdict(
            RuleWord.PENDING, op, str(key.case), reason=f"not proved yet: its proof is queued; {AGAIN}"
        )


def too_late(name: str, budget: float) -> GradientVerdict:
    """The verdict on a gradient that there was no time for."""
    return GradientVerdict(name, SummaryWord.UNCHECKED, late(budget))
