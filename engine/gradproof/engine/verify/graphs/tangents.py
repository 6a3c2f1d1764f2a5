"""How directions get through one node: the terms in which that is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from gradproof.engine.spec import Array, DType, Spec, is_differentiable
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.floats.ulps import close_enough, explained, smallest_normal, unit
from gradproof.engine.verify.readings import parts_shape

Along: TypeAlias = Array | None
"""The derivative of a value along a direction (parts of a complex one), in the dtype to work in; None: 0."""
Beside: TypeAlias = tuple[Array | None, Array] | None


def working(*dtypes: DType) -> DType:
    """The dtype to work in where gradients have these: one that tells more than they do. A derivative along a direction is
    one of the floats that it is rounded to, and need not be exact."""
    narrow = all(dtype.itemsize <= (8 if dtype.kind == "c" else 4) for dtype in dtypes if is_differentiable(dtype))
    return np.dtype(np.float32 if narrow else np.float64)


@dataclass
class Tangent:
    """A value on its way: its derivative along each direction; and, beside the run, the value that it has when the numbers
    before it are rounded otherwise (None: it has that of the run), and its derivative along the first direction there.
    ``beside`` is None where it does not move."""

    along: list[Along]
    beside: Beside = None

    @property
    def moves(self) -> bool:
        return any(along is not None for along in self.along)

    @property
    def apart(self) -> bool:
        """Whether it is other beside the run."""
        return self.beside is not None and not (self.beside[0] is None and self.beside[1] is self.along[0])


@dataclass
class Operand:
    """A value that a node reads, at one or more places: the floats of the run, how it moves, and the contributions that the
    node's rule gave for it."""

    array: Array
    tangent: Tangent
    contributions: list[Array] = field(default_factory=list)


@dataclass
class Node:
    """An instruction with all that is known about it. ``operands``: by number, the values that it reads; ``results``: the
    floats of the run; ``cotangents``: of each output its gradient, None where it has none; ``starts``: of each output and
    direction, where a new direction starts; ``terms``: of how many terms a sum in its rule may be; ``tick``: is called now
    and then, and raises where the time is over."""

    instruction: Instruction
    operands: dict[int, Operand]
    inputs: list[Spec]
    outputs: list[Spec]
    results: list[Array]
    cotangents: list[Array | None]
    starts: Callable[[int, int], Along]
    terms: int
    tick: Callable[[], None]

    @cached_property
    def moving(self) -> dict[int, Operand]:
        """The values that move."""
        return {number: operand for number, operand in self.operands.items() if operand.tangent.moves}

    @property
    def directions(self) -> int:
        return max((len(operand.tangent.along) for operand in self.operands.values()), default=0)

    @cached_property
    def working(self) -> DType:
        """The dtype to work in."""
        return working(*(spec.dtype for spec in (*self.inputs, *self.outputs)))

    @cached_property
    def dtype(self) -> DType:
        """The dtype with the fewest digits."""
        own = [spec.dtype for spec in (*self.inputs, *self.outputs) if is_differentiable(spec.dtype)]
        return max(own, key=unit)

    @cached_property
    def close(self) -> float:
        """The part of itself that a contribution may be off, and be as good as rules are."""
        return 2 * close_enough(self.dtype) * unit(self.dtype)

    @property
    def explained(self) -> float:
        """The part of itself that an input may be off."""
        return 2 * explained(self.dtype) * unit(self.dtype)

    @cached_property
    def tiny(self) -> float:
        """The most that underflow may add to a product."""
        return 8 * smallest_normal(self.dtype)


@dataclass(frozen=True)
class Contradiction:
    """Along a direction the node's outputs change the loss by ``forward``, and its contributions say ``claimed``."""

    place: str
    forward: float
    claimed: float
    direction: int


@dataclass
class Crossed:
    """Findings about a node. ``along``: by output and direction, how it moves (None where it does not); ``beside``: by
    output, see `Tangent`. ``defects`` and ``allowed``: by direction, by how much the contributions miss the derivative, and
    by how much they may; ``excess``: by how much those miss it that only rounding explains. ``left``: elements that were
    left out, and why; ``moved``: how much these move by rounding, see `Sweep`."""

    along: list[list[Along]]
    beside: list[Beside]
    defects: list[float]
    allowed: list[float]
    sizes: list[float]
    excess: list[float]
    contradictions: list[Contradiction] = field(default_factory=list)
    left: int = 0
    reason: str = ""
    moved: float = 0.0


class Unread(Exception):
    """A node cannot be read; the message says why."""


def blank(node: Node, *, beside: bool) -> Crossed:
    """Nothing found yet, and room for it, to be filled."""
    count = node.directions
    moving = [any(operand.tangent.along[k] is not None for operand in node.operands.values()) for k in range(count)]
    along: list[list[Along]] = []
    apart: list[Beside] = []
    for spec in node.outputs:
        shape = parts_shape(spec)
        differs = is_differentiable(spec.dtype)
        along.append([np.empty(shape, node.working) if differs and moves else None for moves in moving])
        apart.append(
            (np.empty(shape, node.working), np.empty(shape, node.working)) if differs and beside and moving[0] else None
        )
    return Crossed(along, apart, *zeros(count))


def zeros(count: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Four sums for each of so many directions."""
    return [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count
