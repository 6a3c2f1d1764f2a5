"""Data of a sweep: values with their directional derivatives, nodes, and the results of a node."""

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
"""Derivative of a value along a direction (of the parts of a complex value), in the working dtype; None for 0."""
Nearby: TypeAlias = tuple[Array | None, Array] | None


def working_dtype(*dtypes: DType) -> DType:
    """Working dtype of a node whose gradients have ``dtypes``: float32 for dtypes of up to 32 bits, else float64. It has
    at least the digits of the gradients; a rounded direction is a direction as good as the exact one."""
    narrow = all(dtype.itemsize <= (8 if dtype.kind == "c" else 4) for dtype in dtypes if is_differentiable(dtype))
    return np.dtype(np.float32 if narrow else np.float64)


@dataclass
class Tangent:
    """A value of a sweep in motion.

    Attributes:
        along: derivative along each direction.
        nearby: the value in the nearby run (None: as in the run), and its derivative along the first direction there;
            None if it does not move.
    """

    along: list[Along]
    nearby: Nearby = None

    @property
    def moves(self) -> bool:
        """True if the value moves along any direction."""
        return any(along is not None for along in self.along)

    @property
    def differs(self) -> bool:
        """True if the nearby run has another value or derivative than the run."""
        return self.nearby is not None and not (self.nearby[0] is None and self.nearby[1] is self.along[0])


@dataclass
class Operand:
    """A value that a node reads, at any number of inputs: the floats of the run, its tangent, and the contributions that
    the node's rule gave for it."""

    array: Array
    tangent: Tangent
    contributions: list[Array] = field(default_factory=list)


@dataclass
class Node:
    """An instruction with the data that its comparison needs.

    Attributes:
        operands: by value number, the values that it reads.
        results: arrays of the outputs in the run.
        cotangents: the gradient of each output, None if it has none.
        starts: by output and direction, the new direction that starts at the output.
        terms: largest number of terms of a sum in its rule.
        tick: called now and then; raises when the time is over.
    """

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
        """Operands that move."""
        return {number: operand for number, operand in self.operands.items() if operand.tangent.moves}

    @property
    def directions(self) -> int:
        """Number of directions."""
        return max((len(operand.tangent.along) for operand in self.operands.values()), default=0)

    @cached_property
    def working_dtype(self) -> DType:
        """Dtype of the comparison."""
        return working_dtype(*(spec.dtype for spec in (*self.inputs, *self.outputs)))

    @cached_property
    def dtype(self) -> DType:
        """Differentiable dtype with the fewest digits."""
        dtypes = [spec.dtype for spec in (*self.inputs, *self.outputs) if is_differentiable(spec.dtype)]
        return max(dtypes, key=unit)

    @cached_property
    def close(self) -> float:
        """Relative error of a contribution that counts as close."""
        return 2 * close_enough(self.dtype) * unit(self.dtype)

    @property
    def explained(self) -> float:
        """Relative error of an input that rounding explains."""
        return 2 * explained(self.dtype) * unit(self.dtype)

    @cached_property
    def tiny(self) -> float:
        """Largest absolute error that underflow adds to a product."""
        return 8 * smallest_normal(self.dtype)


@dataclass(frozen=True)
class Contradiction:
    """A direction along which the outputs of a node change the loss by ``forward``, while its contributions claim
    ``claimed``."""

    place: str
    forward: float
    claimed: float
    direction: int


@dataclass
class Crossed:
    """Results of a node.

    Attributes:
        along: by output and direction, the derivative of the output (None: 0).
        nearby: by output, as in `Tangent`.
        defects: by direction, the difference between derivative and contributions.
        allowed: by direction, the difference that is allowed.
        sizes: by direction, the sum of the magnitudes of the claimed products.
        excess: by direction, the part of the difference that only rounding of the inputs explains.
        left_out: number of elements that were left out, and ``reason``: why.
        moved: change of the derivative by another rounding of these elements, as in `SweepResult`.
    """

    along: list[list[Along]]
    nearby: list[Nearby]
    defects: list[float]
    allowed: list[float]
    sizes: list[float]
    excess: list[float]
    contradictions: list[Contradiction] = field(default_factory=list)
    left_out: int = 0
    reason: str = ""
    moved: float = 0.0


class Unreadable(Exception):
    """A node cannot be read; the message says why."""


def blank(node: Node, *, nearby: bool) -> Crossed:
    """Results of a node with arrays that are still to be filled."""
    count = node.directions
    moving = [any(operand.tangent.along[k] is not None for operand in node.operands.values()) for k in range(count)]
    along: list[list[Along]] = []
    nearby_pairs: list[Nearby] = []
    for spec in node.outputs:
        shape = parts_shape(spec)
        differs = is_differentiable(spec.dtype)
        along.append([np.empty(shape, node.working_dtype) if differs and moves else None for moves in moving])
        nearby_pairs.append(
            (np.empty(shape, node.working_dtype), np.empty(shape, node.working_dtype))
            if differs and nearby and moving[0]
            else None
        )
    return Crossed(along, nearby_pairs, *zeros(count))


def zeros(count: int) -> tuple[list[float], list[float], list[float], list[float]]:
    """Four lists of ``count`` zeros, to sum up in."""
    return [0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count
