"""Ops and programs read over whole arrays of balls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.engine.attributes import in_balls
from gradproof.engine.op import Attributes, Op
from gradproof.engine.spec import Array, Spec, is_complex
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.arrays.ball import BallArray, exact
from gradproof.engine.verify.arrays.conditions import Mask
from gradproof.engine.verify.arrays.reading import Arrays


class NoArrays(Exception):
    """An op has no reading over whole arrays; the message says why."""


def entered(array: Array) -> Any:
    """The numbers of a run as a definition takes them: floats as exact balls, conditions as masks, integers as they are."""
    if array.dtype.kind == "b":
        return Mask(array)
    return array if array.dtype.kind in "iu" else exact(array)


def read_op(op: Op, f: Arrays, inputs: Sequence[Any], attributes: Attributes, outputs: Sequence[Spec]) -> list[Any]:
    """The outputs of one op: balls, or masks for conditions. Raises NoArrays, and what a stranger's code raises."""
    if any(is_complex(spec) for spec in outputs):
        raise NoArrays(f"op {op.name!r}: complex numbers are not read in arrays")
    if op.elementwise:
        if not op.definitions:
            raise NoArrays(f"op {op.name!r} has no definition")
        return [define(f, *inputs, **in_balls(attributes)) for define in op.definitions]
    if op.arrays is None:
        raise NoArrays(f"op {op.name!r} has no form for whole arrays")
    found = op.arrays(f, *inputs, **attributes)
    return list(found) if isinstance(found, tuple) else [found]


def read_program(program: Program, inputs: Sequence[Any], f: Arrays) -> list[Any]:
    """The outputs of a program, None where a rule says NO_GRADIENT. Raises NoArrays."""
    values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        if isinstance(literal, bool) and program.specs[number].dtype.kind == "b":
            values[number] = literal
        else:
            values[number] = literal.define(f) if isinstance(literal, Exact) else f.number(literal)
    for one in program.instructions:
        outputs = [program.specs[k] for k in one.outputs]
        results = read_op(one.op, f, [values[k] for k in one.inputs], one.attributes, outputs)
        values.update(zip(one.outputs, results, strict=True))
    return [None if k is None else values[k] for k in program.outputs]


def numbers(f: Arrays, x: Any, spec: Spec) -> BallArray:
    """An output as balls of its shape; a condition as 1 and 0."""
    found = f.as_number(x)
    ball = found if isinstance(found, BallArray) else found.head
    return ball if ball.shape == spec.shape else BallArray(np.broadcast_to(ball.mid, spec.shape), ball.rad, ball.unit)


__all__ = ["NoArrays", "entered", "numbers", "read_op", "read_program"]
