"""Template: a program, ready to be copied into others many times.

A long graph repeats a few steps thousands of times. Inference, conversion and tracing are done once for each op, specs and
attributes; what is left for each repetition is to number its values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from gradproof.engine.cancellation import watched
from gradproof.engine.program import Instruction, Program

SHORT: Final = 64
"""Instructions that are copied without a look at the cancellation."""


class Template:
    """A program whose values are numbered anew, from 0: its inputs first, then its literals, then results in order."""

    __slots__ = ("_instructions", "_literals", "_outputs", "_specs")

    def __init__(self, part: Program) -> None:
        made = [*part.literals, *(output for instruction in part.instructions for output in instruction.outputs)]
        place = {number: k for k, number in enumerate([*part.inputs, *made])}
        first = len(part.inputs)
        self._specs = [part.specs[number] for number in made]
        self._literals = [(place[number] - first, literal) for number, literal in part.literals.items()]
        self._instructions = [
            (op, _taker([place[k] for k in inputs]), [place[k] - first for k in outputs], attributes)
            for op, inputs, outputs, attributes in watched(part.instructions)
        ]
        self._outputs = [None if number is None else place[number] for number in part.outputs]

    def into(self, program: Program, arguments: Sequence[int]) -> list[int | None]:
        """Copy it into ``program``, with ``arguments`` for its inputs. Returns the values of its outputs."""
        start = len(program.specs)
        program.specs += self._specs
        number = [*arguments, *range(start, len(program.specs))]
        for offset, literal in self._literals:
            program.literals[start + offset] = literal
        new, write = tuple.__new__, program.instructions.append  # as `Instruction`, in half the time
        instructions = self._instructions
        for op, take, made, attributes in instructions if len(instructions) < SHORT else watched(instructions):
            outputs = (start + made[0],) if len(made) == 1 else tuple([start + k for k in made])
            write(new(Instruction, (op, take(number), outputs, attributes)))
        return [None if k is None else number[k] for k in self._outputs]


def _taker(places: list[int]) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """The function that takes the items at these places of a list."""
    if len(places) > 1:
        return itemgetter(*places)
    return (lambda items, k=places[0]: (items[k],)) if places else lambda items: ()  # type: ignore[misc]
