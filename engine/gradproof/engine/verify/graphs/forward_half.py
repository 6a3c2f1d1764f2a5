"""The forward half of a run, as far as its outputs depend on it differentiably, and what the backward half says of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.engine import Run
from gradproof.engine.spec import Array, is_differentiable


class Skipped(Exception):
    """Nothing can be compared; the message says why."""


class ForwardHalf:
    """``positions``: the instructions that an output with a seed depends on, through differentiable values. ``uses``: by
    instruction, the contributions of its rule; ``parts``: by value, those to its gradient. ``hooked``: values whose
    gradient a hook changed. ``seeds``: by value, the number of its seed."""

    def __init__(self, run: Run) -> None:
        self.run, self.plan = run, run.plan
        self.program, self.values, self.backward = run.plan.program, run.values, run.plan.backward
        numbers = self.plan.lowered.values
        self.seeds = {numbers[name]: number for name, number in self.backward.seeds.items()}
        self.positions = self._positions()
        self.uses: dict[int, list[Contribution]] = defaultdict(list)
        self.parts: dict[int, list[Contribution]] = defaultdict(list)
        for use in self.backward.contributions:
            self.uses[use.instruction].append(use)
            self.parts[use.value].append(use)
        self.hooked = {numbers[name] for name in run.hooked}

    def _positions(self) -> list[int]:
        needed = set(self.seeds)
        positions = []
        for position in range(self.plan.forward_length - 1, -1, -1):
            instruction = self.program.instructions[position]
            if not needed.isdisjoint(instruction.outputs) and self._moves(instruction.outputs):
                needed.update(instruction.inputs)
                positions.append(position)
        return positions[::-1]

    def _moves(self, numbers: Iterable[int]) -> bool:
        return any(is_differentiable(self.program.specs[k].dtype) for k in numbers)

    @property
    def size(self) -> int:
        """How many elements it has."""
        computed = (out for k in self.positions for out in self.program.instructions[k].outputs)
        return sum(self.program.specs[number].size for number in (*computed, *self.program.inputs))

    def value(self, number: int) -> Array:
        """A value of the run."""
        return np.asarray(self.values[number])

    def raw(self, number: int) -> Array:
        """The raw gradient of a value: what its uses and seed added up to."""
        return self.value(self.backward.raw[number])

    def starts(self) -> list[int]:
        """Values that instructions are given: inputs, and literals."""
        return [k for k in (*self.program.inputs, *self.program.literals) if self.values[k] is not None]

    def node(self, position: int) -> str:
        """An instruction in words."""
        return f"node {self.plan.lowered.node_of[position]} ({self.program.instructions[position].op.name})"
