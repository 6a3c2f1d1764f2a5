"""Uses of values to which rules give no gradient (NO_GRADIENT), as claims that are checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from gradproof.engine.cancellation import watched
from gradproof.engine.spec import is_differentiable
from gradproof.engine.verify.runs import Findings, RunRules
from gradproof.engine.verify.verdict import AccumulationVerdict, AccumulationWord, SummaryWord, UseVerdict
from gradproof.engine.verify.verdict.summary import Known, compose, lowered, summarize
from gradproof.engine.verify.verifier.rule_verdicts import RuleVerdicts


class DeniedUse(NamedTuple):
    """An input that a rule gives no gradient: position of the instruction, index of the input, number of the value."""

    position: int
    slot: int
    value: int


class Denials:
    """The denied uses of a run. A denial claims that the contribution is 0: its value is checked, its rule is proved."""

    def __init__(self, rules: RunRules, names: Mapping[int, str]) -> None:
        self.rules, self.plan, self.names = rules, rules.run.plan, names
        self.uses = list(self._uses())

    def _uses(self) -> Iterator[DeniedUse]:
        """Denied uses; a value that an inserted conversion computed is replaced by the value that the graph names."""
        source: dict[int, int] = {}
        for position in watched(range(self.plan.forward_length)):
            instruction = self.plan.program.instructions[position]
            if instruction.outputs[0] not in self.names and not self.plan.lowered.in_composite(position):
                source[instruction.outputs[0]] = source.get(instruction.inputs[0], instruction.inputs[0])
            elif any(out in self.plan.backward.final for out in instruction.outputs):
                for slot, result in enumerate(self.rules.of(position).program.outputs):
                    if result is None:
                        number = instruction.inputs[slot]
                        yield DeniedUse(position, slot, source.get(number, number))

    @cached_property
    def slots(self) -> frozenset[tuple[int, int]]:
        """The denied uses as pairs of position and input index."""
        return frozenset((use.position, use.slot) for use in self.uses)

    def verdicts(self, findings: Findings, proofs: RuleVerdicts) -> dict[int, list[UseVerdict]]:
        """Verdicts on the denied uses of differentiable values, by value."""
        verdicts: dict[int, list[UseVerdict]] = defaultdict(list)
        for position, slot, number in watched(self.uses):
            if not is_differentiable(self.plan.program.specs[number].dtype):
                continue
            op, key = self.plan.program.instructions[position].op, self.rules.of(position).key
            proofs.request(key)
            value = findings.numbers(position).contributions[slot]
            assert value is not None  # it is checked as 0
            node, rule = self.plan.lowered.node_of[position], proofs.verdict(op.name, key)
            verdicts[number].append(UseVerdict(node, op.name, op.input_name(slot), slot, rule, lowered(value, rule)))
        return verdicts

    def unreached(self, verdicts: Mapping[int, Sequence[UseVerdict]]) -> dict[int, Known]:
        """Weakest summaries of denials behind values that have no gradient because of them, for all values that these
        were computed from. ``verdicts``: those of `verdicts`."""
        weakest: dict[int, Known] = {}
        for position in watched(range(self.plan.forward_length - 1, -1, -1)):
            instruction = self.plan.program.instructions[position]
            missing = [out for out in instruction.outputs if out not in self.plan.backward.final]
            empty_sum = AccumulationVerdict(AccumulationWord.EXACT)
            weak: list[Known] = [(*summarize(verdicts[out], empty_sum), ()) for out in missing if verdicts.get(out)]
            weak += [weakest[out] for out in missing if out in weakest]
            for number in instruction.inputs if weak else ():
                summary, reason, _ = weakest.get(number, (SummaryWord.VERIFIED, "", ()))
                weakest[number] = compose(summary, reason, [("", known) for known in weak])
        return {number: known for number, known in weakest.items() if known[0] is not SummaryWord.VERIFIED}
