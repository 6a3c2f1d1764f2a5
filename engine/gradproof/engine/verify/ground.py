"""What a gradient rests on: the values that rules read. A wrong one makes a right rule give a wrong number, also where no
gradient flows through the node that computed it: a mask, a factor that is held constant."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gradproof.engine.engine import Run
from gradproof.engine.verify.verdict import Value, ValueVerdict


class Ground:
    """The first node behind a value that did not compute its definition. ``forward`` judges one instruction."""

    def __init__(self, run: Run, forward: Callable[[int], ValueVerdict]) -> None:
        self.forward = forward
        self.instructions = run.plan.program.instructions[: len(run.plan.forward)]
        self.made_by = {out: k for k, one in enumerate(self.instructions) for out in one.outputs}
        self.faults: dict[int, int | None] = {}

    def fault(self, numbers: Iterable[int]) -> int | None:
        """The position of the first instruction that is off, of all that the values ``numbers`` were computed by."""
        made = {self.made_by[number] for number in numbers if number in self.made_by}
        for position in sorted(self._behind(made)):
            before = [self.faults[self.made_by[k]] for k in self.instructions[position].inputs if k in self.made_by]
            found = [k for k in before if k is not None]
            if not found and self.forward(position).word is Value.OFF:
                found = [position]
            self.faults[position] = min(found, default=None)
        return min((k for position in made if (k := self.faults[position]) is not None), default=None)

    def _behind(self, made: Iterable[int]) -> set[int]:
        """The instructions behind these that are not judged yet."""
        found: set[int] = set()
        pending = [position for position in made if position not in self.faults]
        while pending:
            position = pending.pop()
            if position not in found:
                found.add(position)
                above = (self.made_by[k] for k in self.instructions[position].inputs if k in self.made_by)
                pending.extend(k for k in above if k not in self.faults)
        return found
