"""True derivatives in balls, without any backward rule.

A definition is read on a tape of balls. The partial derivatives of each table function come from its power series form,
those of + - * / are the product and quotient rules, and one sweep back gives the gradient of the definition, enclosed.
Nothing here knows what an op's rule claims: that is what makes it a judge of rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flint import arb

from gradproof.engine.functions import FUNCTIONS, Balls, Function


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

    def _binary(self, other: Any, ball: arb, mine: Any, others: Any) -> Var:
        parents = [(self, mine)]
        if isinstance(other, Var):
            parents.append((other, others))
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
        theirs = ball_of(other)
        return self._binary(other, self.ball * theirs, theirs, self.ball)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Var:
        theirs = ball_of(other)
        quotient = self.ball / theirs
        return self._binary(other, quotient, 1 / arb(theirs), -quotient / theirs)

    def __rtruediv__(self, other: Any) -> Var:
        quotient = other / self.ball
        return Var(self.tape, quotient, [(self, -quotient / self.ball)])

    def __pow__(self, exponent: Any) -> Any:
        return self.tape.power(self, exponent)


def ball_of(x: Any) -> Any:
    return x.ball if isinstance(x, Var) else x


class Tape(Balls):
    """The reading that records. ``limit`` bounds the number of operations (TooLarge is raised beyond). ``favourite``:
    a variable that every tie goes to, as if it were a little larger (+1) or smaller (-1) than its equals."""

    def __init__(self, ties: int | None = None, limit: int = 200_000) -> None:
        super().__init__(ties)
        self.limit = limit
        self.recorded: list[Var] = []
        self.favourite: tuple[Var, int] | None = None
        for function in FUNCTIONS:
            setattr(self, function.name, _Recorded(self, function))

    def variable(self, ball: arb) -> Var:
        return Var(self, ball)

    def compare(self, a: Any, b: Any) -> int:
        left, right = ball_of(a), ball_of(b)
        sign = super().compare(left, right)
        if self.favourite is None or a is b or not (arb(left) - arb(right)).is_zero():
            return sign
        one, side = self.favourite
        return side if one is a else -side if one is b else sign

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
        for position in range(len(self.recorded) - 1, -1, -1):
            mine = adjoint[position]
            if mine is None:
                continue
            for parent, partial in self.recorded[position].parents:
                previous = adjoint[parent.position]
                part = mine * partial
                adjoint[parent.position] = part if previous is None else previous + part
        return [arb(0) if adjoint[x.position] is None else arb(adjoint[x.position]) for x in variables]


class _Recorded:
    """A table function that records its application."""

    def __init__(self, tape: Tape, function: Function) -> None:
        self.tape, self.function = tape, function

    def __call__(self, *arguments: Any) -> Any:
        balls = [arb(ball_of(x)) for x in arguments]
        value = self.function.ball(*balls)
        moving = [k for k, x in enumerate(arguments) if isinstance(x, Var)]
        if not moving:
            return value
        partials = self.function.partials(balls, moving)
        return Var(self.tape, value, list(zip([arguments[k] for k in moving], partials, strict=True)))
