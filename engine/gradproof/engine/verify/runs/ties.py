"""Ties of the whole graph: comparisons with equal sides that move with a gradient's value.

A mask has no gradient, so no rule is asked where it flips. At such a point the gradient is the derivative of the branch
that was taken, not of the function: `where(x == 2, 8, x³)` at 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Run
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.arrays import Arrays, BallArray, Dual, NoArrays, entered, head, read_op
from gradproof.engine.verify.floats.balls import balls_of
from gradproof.engine.verify.numbers.truth import MAX_OPERATIONS
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, concrete, read_parts

FEW_ELEMENTS = 256
"""Elements of an elementwise op up to which it is read in balls; of more elements only doubtful ones are."""
MAX_ELEMENTS = 2048
"""Elements up to which other ops without a form for whole arrays are read."""


def tied_values(run: Run, names: Sequence[str]) -> dict[str, str]:
    """For each value of ``names`` that moves the sides of a tied comparison, a sentence about the first such comparison."""
    program, lowered = run.plan.program, run.plan.lowered
    forward = program.instructions[: run.plan.forward_length]
    bits = {lowered.values[name]: 1 << k for k, name in enumerate(names)}
    behind: dict[int, int] = dict(bits)
    comparing: list[tuple[int, int]] = []
    for position, instruction in enumerate(forward):
        reached = 0
        for number in instruction.inputs:
            reached |= behind.get(number, 0)
        if not reached:
            continue
        for out in instruction.outputs:
            behind[out] = behind.get(out, 0) | reached
        if not any(is_differentiable(program.specs[out].dtype) for out in instruction.outputs) and any(
            behind.get(k, 0) and is_differentiable(program.specs[k].dtype) for k in instruction.inputs
        ):
            comparing.append((position, reached))
    sentences: dict[str, str] = {}
    needed = _needed(run, forward) if comparing else set()
    for position, reached in watched(comparing):
        instruction = forward[position]
        if needed.isdisjoint(instruction.outputs):
            continue
        place = _tie(run, instruction, [behind.get(k, 0) != 0 for k in instruction.inputs])
        if place is None:
            continue
        node = f"{lowered.place(position)}{place}"
        text = f"{node}: both sides of the comparison are equal, and move"
        for k, name in enumerate(names):
            if reached >> k & 1:
                sentences.setdefault(name, f"{text} with {name!r}: on either side another branch is taken")
    return sentences


def _needed(run: Run, forward: Sequence[Instruction]) -> set[int]:
    """Values that a seeded output is computed from."""
    needed = {run.plan.lowered.values[name] for name in run.plan.backward.seeds}
    for instruction in reversed(forward):
        if not needed.isdisjoint(instruction.outputs):
            needed.update(instruction.inputs)
    return needed


def _tie(run: Run, instruction: Instruction, moving: Sequence[bool]) -> str | None:
    """Text of the place where an instruction compares equal numbers; None if it compares none."""
    arrays = [np.asarray(run.values[k]) for k in instruction.inputs]
    if instruction.op.elementwise and len(arrays) == 2 and all(is_differentiable(x.dtype) for x in arrays):
        return (
            None if instruction.inputs[0] == instruction.inputs[1] else _place(np.equal(*arrays) & np.isfinite(arrays[0]))
        )
    size = sum(x.size for x in arrays)
    if instruction.op.elementwise and size <= FEW_ELEMENTS:
        return "" if _reading_ties(run, instruction, arrays, moving) else None
    doubtful = _array_ties(run, instruction, arrays, moving)
    if doubtful is None:
        return "" if size <= MAX_ELEMENTS and _reading_ties(run, instruction, arrays, moving) else None
    if not instruction.op.elementwise:
        return "" if doubtful.any() else None
    for index in map(tuple, np.argwhere(doubtful)[:FEW_ELEMENTS]):
        if _reading_ties(run, instruction, [np.asarray(x[index]) for x in arrays], moving):
            return f", element {[int(k) for k in index]}"
    return None


class _Comparing(Arrays):
    """Reading of whole arrays that collects in ``maybe`` where both sides of a comparison are equal or may be."""

    def __init__(self) -> None:
        super().__init__()
        self.maybe: Any = False

    def _compared(self, a: Any, b: Any) -> tuple[Array, Array, Array]:
        below, above, equal = super()._compared(a, b)
        if a is not b and (isinstance(a, Dual) or isinstance(b, Dual)):
            self.maybe = self.maybe | ~(below | above)
        return below, above, equal

    def place_of_largest(self, x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
        value = head(x).mid
        several = (value == np.max(value, axis=axis, keepdims=True, initial=-np.inf)).sum(axis=axis) > 1
        self._note(x, several)
        return super().place_of_largest(x, axis, keepdims)

    def order(self, x: Any, axis: int, descending: bool = False) -> BallArray:
        lines = np.sort(np.moveaxis(head(x).mid, axis, -1), axis=-1)
        self._note(x, lines[..., 1:] == lines[..., :-1])
        return super().order(x, axis, descending)

    def _note(self, x: Any, equal: Any) -> None:
        """Equal exact numbers are a tie; rounded numbers decide nothing."""
        if isinstance(x, Dual) and x.head.rad is None and np.any(equal):
            self.tied = True


def _array_ties(run: Run, instruction: Instruction, arrays: Sequence[Array], moving: Sequence[bool]) -> Array | None:
    """Mask of the elements where the definition, read over whole arrays, may compare equal moving numbers.

    For an op that is not elementwise a scalar: whether it does at all. None if the op cannot be read.
    """
    if any(x.dtype.kind == "c" for x in arrays):
        return None
    f = _Comparing()
    inputs: list[Any] = []
    for x, moves in zip(arrays, moving, strict=True):
        cells = entered(x)
        if moves and isinstance(cells, BallArray):
            cells = Dual(cells, {0: BallArray(np.ones(x.shape))})
        inputs.append(cells)
    specs = run.plan.program.specs
    try:
        with np.errstate(all="ignore"):
            read_op(instruction.op, f, inputs, instruction.attributes, [specs[k] for k in instruction.outputs])
    except (NoArrays, NotImplementedError, ArithmeticError, ValueError, TypeError, AttributeError):
        return None
    except BaseException as error:  # a definition is plugin code
        reraise_own(error)
        return None
    if instruction.op.elementwise:
        return np.broadcast_to(np.asarray(f.maybe) | np.asarray(f.tied), arrays[0].shape)
    return np.asarray(np.any(f.tied))


def _place(equal: Array) -> str | None:
    if not equal.any():
        return None
    index = [int(k) for k in np.argwhere(equal)[0]] if equal.ndim else []
    return f", element {index}" if index else ""


def _reading_ties(run: Run, instruction: Instruction, arrays: Sequence[Array], moving: Sequence[bool]) -> bool:
    """True if the definition, read at these numbers, compares equal numbers that move."""
    specs = run.plan.program.specs
    input_specs = [replace(specs[k], shape=x.shape) for k, x in zip(instruction.inputs, arrays, strict=True)]
    output_specs = [
        replace(specs[k], shape=arrays[0].shape) if instruction.op.elementwise else specs[k] for k in instruction.outputs
    ]
    inputs: list[Any] = []
    with precision(128):
        tape = Tape(MAX_OPERATIONS)
        for x, moves in zip(arrays, moving, strict=True):
            cells = balls_of(x) if is_differentiable(x.dtype) else concrete(x)
            if moves and is_differentiable(x.dtype):
                flat = cells.reshape(-1)
                flat[:] = [tape.variable(ball) for ball in flat]
            inputs.append(cells)
        try:
            read_parts(instruction.op, tape, inputs, input_specs, instruction.attributes, output_specs)
        except (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError, TypeError, AttributeError):
            return False
        except BaseException as error:  # a definition is plugin code
            reraise_own(error)
            return False
    return bool(tape.ties)
