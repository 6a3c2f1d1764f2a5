"""Ties of the whole graph: comparisons with equal sides that move with a gradient's value.

A mask has no gradient, so that no rule is asked where it flips. A number that lies just there has the derivative of the
branch that was taken, which is not that of the whole: `where(x == 2, 8, x³)` at 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.engine.engine import Run
from gradproof.engine.functions import Undecided
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.strangers import foreign
from gradproof.engine.trace import Instruction
from gradproof.engine.verify.balls import balls_of
from gradproof.engine.verify.reading import NoDefinition, concrete, read_parts
from gradproof.engine.verify.tape import Tape, TooLarge
from gradproof.engine.verify.truth import MAX_OPERATIONS
from gradproof.engine.verify.value import MAX_ELEMENTS


def tied_values(run: Run, names: Sequence[str]) -> dict[str, str]:
    """For each of the values ``names`` that moves the sides of a tied comparison, a sentence that names the first."""
    program, lowered = run.plan.program, run.plan.lowered
    forward = program.instructions[: run.plan.forward_length]
    bits = {lowered.values[name]: 1 << k for k, name in enumerate(names)}
    behind: dict[int, int] = dict(bits)
    comparing: list[tuple[int, int]] = []
    for position, one in enumerate(forward):
        mine = 0
        for number in one.inputs:
            mine |= behind.get(number, 0)
        if not mine:
            continue
        for out in one.outputs:
            behind[out] = behind.get(out, 0) | mine
        if not any(is_differentiable(program.specs[out].dtype) for out in one.outputs) and any(
            behind.get(k, 0) and is_differentiable(program.specs[k].dtype) for k in one.inputs
        ):
            comparing.append((position, mine))
    found: dict[str, str] = {}
    needed = _needed(run, forward) if comparing else set()
    for position, mine in comparing:
        one = forward[position]
        if needed.isdisjoint(one.outputs):
            continue
        place = _tie(run, one, [behind.get(k, 0) != 0 for k in one.inputs])
        if place is None:
            continue
        text = f"node {lowered.node_of[position]} ({one.op.name}){place}: both sides of the comparison are equal, and move"
        for k, name in enumerate(names):
            if mine >> k & 1:
                found.setdefault(name, f"{text} with {name!r}: on either side another branch is taken")
    return found


def _needed(run: Run, forward: Sequence[Instruction]) -> set[int]:
    """The values that an output with a seed is computed from."""
    needed = {run.plan.lowered.values[name] for name in run.plan.backward.seeds}
    for one in reversed(forward):
        if not needed.isdisjoint(one.outputs):
            needed.update(one.inputs)
    return needed


def _tie(run: Run, one: Instruction, moving: Sequence[bool]) -> str | None:
    """Where an instruction compares equal numbers, as text; None if it does nowhere."""
    arrays = [np.asarray(run.values[k]) for k in one.inputs]
    if one.op.elementwise and len(arrays) == 2 and all(is_differentiable(x.dtype) for x in arrays):
        return None if one.inputs[0] == one.inputs[1] else _place(np.equal(*arrays) & np.isfinite(arrays[0]))
    if sum(x.size for x in arrays) > MAX_ELEMENTS:
        return None
    return " " if _reading_ties(run, one, arrays, moving) else None


def _place(equal: Array) -> str | None:
    if not equal.any():
        return None
    index = [int(k) for k in np.argwhere(equal)[0]] if equal.ndim else []
    return f", element {index}" if index else ""


def _reading_ties(run: Run, one: Instruction, arrays: Sequence[Array], moving: Sequence[bool]) -> bool:
    """Whether the definition, read at these numbers, compares equal ones that move."""
    specs = run.plan.program.specs
    given, made = [specs[k] for k in one.inputs], [specs[k] for k in one.outputs]
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
            read_parts(one.op, tape, inputs, given, one.attributes, made)
        except (Undecided, TooLarge, NoDefinition, ArithmeticError, ValueError, TypeError, AttributeError):
            return False
        except BaseException as error:  # a definition is a stranger's code
            foreign(error)
            return False
    return bool(tape.ties)
