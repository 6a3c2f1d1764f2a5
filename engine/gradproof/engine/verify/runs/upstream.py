"""Values that rules read. A wrong value makes a right rule give a wrong number, also where no gradient flows through the
node that computed it (a mask, a constant factor); an unchecked value limits the summary."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from gradproof.engine.engine import Run
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

Weak = tuple[int, int]
"""Severity of a node (0: wrong, 1: not vouched for), and the position of its instruction."""


class UpstreamValues:
    """Weakest instruction behind a value, by its forward verdict, which ``forward`` gives for a position."""

    def __init__(self, run: Run, forward: Callable[[int], ValueVerdict]) -> None:
        self.forward = forward
        self.instructions = run.plan.program.instructions[: run.plan.forward_length]
        self.made_by = {out: k for k, instruction in enumerate(self.instructions) for out in instruction.outputs}
        self.known: dict[int, Weak | None] = {}

    def weakest(self, numbers: Iterable[int]) -> Weak | None:
        """First wrong instruction behind the values ``numbers``, or else the first that is not vouched for, or None."""
        positions = {self.made_by[number] for number in numbers if number in self.made_by}
        for position in sorted(self._behind(positions, self.known)):
            before = [self.known[self.made_by[k]] for k in self.instructions[position].inputs if k in self.made_by]
            weak_values = [weak for weak in before if weak is not None]
            if not any(weak[0] == 0 for weak in weak_values):
                verdict = self.forward(position)
                if not vouched(verdict):
                    weak_values.append((int(verdict.word is not ValueWord.OFF), position))
            self.known[position] = min(weak_values, default=None)
        return min((weak for position in positions if (weak := self.known[position]) is not None), default=None)

    def behind(self, numbers: Iterable[int], known: Container[int]) -> list[int]:
        """Positions of the instructions behind the values ``numbers``, in order, without those behind the ``known``
        ones."""
        return sorted(self._behind({self.made_by[k] for k in numbers if k in self.made_by}, known))

    def _behind(self, positions: Iterable[int], known: Container[int]) -> set[int]:
        """Positions of these instructions and all behind them that are not ``known``."""
        behind: set[int] = set()
        pending = [position for position in positions if position not in known]
        while pending:
            position = pending.pop()
            if position not in behind:
                behind.add(position)
                above = (self.made_by[k] for k in self.instructions[position].inputs if k in self.made_by)
                pending.extend(k for k in above if k not in known)
        return behind


def vouched(verdict: ValueVerdict) -> bool:
    """True if every element of a value is known to be its definition's, to its digits."""
    return verdict.word in (ValueWord.ENCLOSED, ValueWord.TIE, ValueWord.CONDITIONED) and verdict.checked >= verdict.total
