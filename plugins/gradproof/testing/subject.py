"""Subject of the checks: an op in a registry, with the verdicts on its rule, each proved once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from gradproof.engine.cases import Case
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof.sampled_attributes import sampled_cases
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

MAX_SAMPLED = 12  # cases with sampled attributes


@dataclass
class Subject:
    """An op under test.

    Attributes:
        registry: the registry that it is in.
        op: the op as it is registered there.
        notes: lines about what was not checked, or loses digits.
    """

    registry: Registry
    op: Op
    notes: list[str] = field(default_factory=list)

    @cached_property
    def verdicts(self) -> list[tuple[Case, RuleVerdict]]:
        """The verdicts on the rule: in the declared cases, with other values of the attributes, and in complex numbers. The
        first refutation is the last verdict."""
        found: list[tuple[Case, RuleVerdict]] = []
        for case in self._cases():
            verdict = prove(self.registry, self.op, case)
            found.append((case, verdict))
            if verdict.word is RuleWord.REFUTED:
                break
        return found

    def _cases(self) -> Iterator[Case]:
        op = self.op
        if op.rule is None and not (op.composite and op.definitions):
            return
        yield from op.proof_cases()
        yield from op.complex_cases()
        if not op.composite and op.backward is None:
            yield from islice(sampled_cases(op), MAX_SAMPLED)

    def note(self, text: str) -> None:
        """Add a line to the notes, once."""
        if text not in self.notes:
            self.notes.append(text)
