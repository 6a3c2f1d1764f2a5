"""The differentiable part of a run's forward pass, with the gradients that the backward pass computed for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from gradproof.engine.backward import Contribution
from gradproof.engine.engine import Run
from gradproof.engine.spec import Array, is_differentiable


class Skipped(Exception):
    """Raised where there is nothing to compare; the message says why."""


class ForwardHalf:
    """Instructions that a seeded output depends on through differentiable values.

    Attributes:
        positions: positions of these instructions, in order.
        uses: by instruction, the contributions of its rule.
        parts: by value, the contributions to its gradient.
        hooked: values whose gradient a hook changed.
        seeds: by value, the number of its seed.
    """

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
        """Number of elements of all values that it computes, and of the inputs."""
        computed = (out for k in self.positions for out in self.program.instructions[k].outputs)
        return sum(self.program.specs[number].size for number in (*computed, *self.program.inputs))

    def value(self, number: int) -> Array:
        """Array of a value of the run."""
        return np.asarray(self.values[number])

    def raw(self, number: int) -> Array:
        """Gradient of a value before hooks: the sum of its contributions and its seed."""
        return self.value(self.backward.raw[number])

    def starts(self) -> list[int]:
        """Numbers of the values that no instruction computes: inputs and literals."""
        return [k for k in (*self.program.inputs, *self.program.literals) if self.values[k] is not None]

    def node(self, position: int) -> str:
        """Text that names an instruction: its node and its op."""
        return self.plan.lowered.place(position)
