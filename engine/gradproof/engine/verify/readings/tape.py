"""True derivatives in balls, without any backward rule.

A definition is read on a tape of balls. The partial derivatives of each table function come from its power series form,
those of + - * / are the product and quotient rules, and a single sweep back gives the gradient of the definition,
enclosed. The tape knows no rule of any op, so that it can judge rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.scalar_function import ScalarFunction
from gradproof.engine.scalar_functions import Balls, Infinity, Undecided


class TooLarge(Exception):
    """The definition needs more operations than the check may spend."""


class Var:
    """A ball on a tape."""

    __slots__ = ("ball", "parents", "position", "tape")

    def __init__(self, tape: Tape, ball: arb, parents: Sequence[tuple[Var, Any]] = ()) -> None:
        if len(tape.recorded) >= tape.limit:
            raise TooLarge
        self.tape, self.ball, self.parents = tape, ball, parents
        self.position = len(tape.recorded)
        tape.recorded.append(self)

    def _binary(self, other: Any, ball: arb, partial: Any, other_partial: Any) -> Var:
        parents = [(self, partial)]
        if isinstance(other, Var):
            parents.append((other, other_partial))
        return Var(self.tape, ball, parents)

    def __neg__(self) -> Var:
        return Var(self.tape, -self.ball, [(self, -1)])

    def __add__(self, other: Any) -> Var:
        return self._binary(other, self.ball + ball_of(other), 1, 1)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Var:
        return self._binary(other, self.ball - ball_of(other), 1, -1)

    def __rsub__(self, other: Any) -> Var:
        return Var(self.tape, other - self.ball, [(self, -1)])

    def __mul__(self, other: Any) -> Var:
        factor = ball_of(other)
        return self._binary(other, self.ball * factor, factor, self.ball)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Var:
        divisor = ball_of(other)
        quotient = self.ball / divisor
        return self._binary(other, quotient, 1 / arb(divisor), -quotient / divisor)

    def __rtruediv__(self, other: Any) -> Var:
        quotient = other / self.ball
        return Var(self.tape, quotient, [(self, -quotient / self.ball)])

    def __pow__(self, exponent: Any) -> Any:
        return self.tape.power(self, exponent)


@dataclass(frozen=True)
class Block:
    """Variables that were solved for together: the position of the first and their number, the arrays of numbers that
    they depend on, and the map from a cotangent of all of them to those of the arrays."""

    first: int
    shape: tuple[int, ...]
    inputs: Sequence[Any]
    pull: Callable[[Any], Sequence[Any]]

    @property
    def count(self) -> int:
        """Number of variables."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def moving(self) -> list[Var]:
        """The variables that the block depends on."""
        return [x for array in self.inputs for x in array.flat if isinstance(x, Var)]


def ball_of(x: Any) -> Any:
    """The ball of a variable, or the number itself."""
    return x.ball if isinstance(x, Var) else x


class Bounded(Balls):
    """The reading of values. ``limit`` bounds the number of comparisons; beyond, TooLarge is raised."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self._compared = limit, 0

    def compare(self, a: Any, b: Any) -> int:
        self._compared += 1
        if self._compared > self.limit:
            raise TooLarge
        return super().compare(a, b)

    def isnan(self, x: Any) -> bool:
        return bool(arb(ball_of(x)).is_nan())

    def isinf(self, x: Any) -> bool:
        ball = ball_of(x)
        return isinstance(ball, Infinity) or bool(abs(arb(ball)) == arb("inf"))


class Tape(Bounded):
    """The reading that records. ``limit`` bounds the number of operations too.

    A kink is left along a direction: where both sides of a comparison are equal, they are compared again a little
    further along ``direction`` (the motion of each variable, by its position). Without a direction they are equal, and
    ``ties`` collects the positions of the variables that both sides depend on, in disjoint groups.
    """

    def __init__(self, limit: int = 200_000, direction: Mapping[int, float] | None = None) -> None:
        super().__init__(limit)
        self.direction = direction
        self.recorded: list[Var] = []
        self.ties: list[set[int]] = []
        self._motions: list[float] = []
        self.blocks: dict[int, Block] = {}  # by the position of each of their variables

    def reading(self, row: ScalarFunction) -> Callable[..., Any]:
        return _Recorded(self, row)

    def variable(self, ball: arb) -> Var:
        """A new variable with a value."""
        return Var(self, ball)

    def block(self, inputs: Sequence[Any], solve: Callable[[Sequence[Any]], Any]) -> Any:
        balls = []
        for array in inputs:
            cells = np.empty(array.shape, object)
            cells.reshape(-1)[:] = [arb(ball_of(x)) for x in array.flat]
            balls.append(cells)
        solution = solve(balls)
        if not any(isinstance(x, Var) for array in inputs for x in array.flat):
            return solution.values
        block = Block(len(self.recorded), solution.values.shape, inputs, solution.pull)
        outputs = np.empty(solution.values.shape, object)
        outputs.reshape(-1)[:] = [self.variable(ball) for ball in solution.values.flat]
        self.blocks.update(dict.fromkeys(range(block.first, block.first + block.count), block))
        return outputs

    def ball(self, x: Any) -> arb:
        return arb(ball_of(x))

    def compare(self, a: Any, b: Any) -> int:
        tied = self.tied
        sign = super().compare(ball_of(a), ball_of(b))
        if sign:
            return sign
        if a is b or not (isinstance(a, Var) or isinstance(b, Var)):
            self.tied = tied  # the same value twice, or constants: equal wherever the variables go
            return 0
        if self.direction is None:
            self._tie(self._origins(a) | self._origins(b))
            return 0
        ahead = self._motion(a) - self._motion(b)
        return (ahead > 0) - (ahead < 0)

    def _tie(self, variables: set[int]) -> None:
        disjoint = [group for group in self.ties if group.isdisjoint(variables)]
        self.ties = [*disjoint, variables.union(*(group for group in self.ties if group not in disjoint))]

    def _origins(self, x: Any) -> set[int]:
        """Positions of the variables that ``x`` was computed from."""
        origins, visited = set(), set()
        pending = [x] if isinstance(x, Var) else []
        while pending:
            variable = pending.pop()
            if variable.position in visited:
                continue
            visited.add(variable.position)
            if variable.position in self.blocks:
                pending.extend(self.blocks[variable.position].moving)
            elif variable.parents:
                pending.extend(parent for parent, _ in variable.parents)
            else:
                origins.add(variable.position)
        return origins

    def _motion(self, x: Any) -> float:
        """The motion of ``x`` when the variables move along the direction."""
        if not isinstance(x, Var):
            return 0.0
        for variable in self.recorded[len(self._motions) : x.position + 1]:
            if variable.position in self.blocks:
                raise Undecided("both sides of a comparison that rests on an equation are equal")
            moved = sum(float(arb(partial).mid()) * self._motions[parent.position] for parent, partial in variable.parents)
            self._motions.append(moved if variable.parents else (self.direction or {}).get(variable.position, 0.0))
        return self._motions[x.position]

    def total(self, terms: Iterable[Any]) -> Any:
        parts = list(terms)
        ball = sum((ball_of(part) for part in parts), arb(0))
        parents = [(part, 1) for part in parts if isinstance(part, Var)]
        return Var(self, ball, parents) if parents else ball

    def gradient(self, outputs: Sequence[Any], seeds: Sequence[Any], variables: Sequence[Var]) -> list[arb]:
        """Enclosures of d(sum of seeds * outputs) / d(variable), for each variable."""
        adjoint: list[Any] = [None] * len(self.recorded)
        for output, seed in zip(outputs, seeds, strict=True):
            if isinstance(output, Var):
                previous = adjoint[output.position]
                adjoint[output.position] = seed if previous is None else previous + seed

        def add(variable: Var, part: Any) -> None:
            previous = adjoint[variable.position]
            adjoint[variable.position] = part if previous is None else previous + part

        for position in range(len(self.recorded) - 1, -1, -1):
            block = self.blocks.get(position)
            if block is not None and block.first == position:
                self._through(block, adjoint, add)
            cotangent = adjoint[position]
            if cotangent is None:
                continue
            for parent, partial in self.recorded[position].parents:
                add(parent, cotangent * partial)
        return [arb(0) if adjoint[x.position] is None else arb(adjoint[x.position]) for x in variables]

    def _through(self, block: Block, adjoint: Sequence[Any], add: Callable[[Var, Any], None]) -> None:
        """Pull the adjoints of a block's variables back to the numbers that they depend on."""
        adjoints = adjoint[block.first : block.first + block.count]
        if all(adjoint_ is None for adjoint_ in adjoints):
            return
        cotangent = np.empty(block.count, object)
        cotangent[:] = [arb(0) if adjoint_ is None else arb(adjoint_) for adjoint_ in adjoints]
        pulled = block.pull(cotangent.reshape(block.shape))
        for array, parts in zip(block.inputs, pulled, strict=True):
            for x, part in zip(array.flat, parts.flat, strict=True):
                if isinstance(x, Var):
                    add(x, part)

    def reach(self, outputs: Sequence[Any], sizes: Sequence[float], variables: Sequence[Var]) -> list[float]:
        """For each variable the largest of the ``sizes`` of those outputs that depend on it."""
        reaches = [0.0] * len(self.recorded)
        for output, size in zip(outputs, sizes, strict=True):
            if isinstance(output, Var):
                reaches[output.position] = max(reaches[output.position], size)
        for position in range(len(self.recorded) - 1, -1, -1):
            block = self.blocks.get(position)
            if block is not None and block.first == position:
                most = max(reaches[position : position + block.count])
                for parent in block.moving:
                    reaches[parent.position] = max(reaches[parent.position], most)
            reach_ = reaches[position]
            for parent, _ in self.recorded[position].parents if reach_ else ():
                reaches[parent.position] = max(reaches[parent.position], reach_)
        return [reaches[x.position] for x in variables]


class _Recorded:
    """A table function that records its application."""

    def __init__(self, tape: Tape, function: ScalarFunction) -> None:
        self.tape, self.function = tape, function

    def __call__(self, *arguments: Any) -> Any:
        balls = [arb(ball_of(x)) for x in arguments]
        value = self.function.ball(*balls)
        moving = [k for k, x in enumerate(arguments) if isinstance(x, Var)]
        if not moving:
            return value
        return Var(self.tape, value, [(arguments[k], self._partial(balls, k)) for k in moving])

    def _partial(self, balls: Sequence[arb], axis: int) -> arb:
        """The derivative by an argument; nan at a pole, which does not touch the others."""
        try:
            return self.function.partials(balls, [axis])[0]
        except (ValueError, ZeroDivisionError):
            return arb("nan")
