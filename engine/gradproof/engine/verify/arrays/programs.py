"""Ops and programs read over whole arrays of balls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.arrays.ball import MOST, BallArray, ball_array, exact
from gradproof.engine.verify.arrays.conditions import Mask
from gradproof.engine.verify.arrays.dual import Dual
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.floats.ulps import smallest_normal, unit
from gradproof.engine.verify.readings.attributes import in_balls


class NoArrays(Exception):
    """An op has no reading over whole arrays; the message says why."""


def entered(array: Array) -> Any:
    """An array of a run as a definition takes it: floats as exact balls, conditions as masks, integers unchanged."""
    if array.dtype.kind == "b":
        return Mask(array)
    if array.dtype == np.float64:
        return BallArray(array)  # as it is: nothing writes to it
    return array if array.dtype.kind in "iu" else exact(array)


def read_op(op: Op, f: Arrays, inputs: Sequence[Any], attributes: Attributes, outputs: Sequence[Spec]) -> list[Any]:
    """The outputs of an op, of the shapes of ``outputs``: balls, or masks for conditions. Raises NoArrays, and any
    exception of the op's code."""
    if any(is_complex(spec) for spec in outputs):
        raise NoArrays(f"op {op.name!r}: complex numbers are not read in arrays")
    if op.elementwise and not op.definitions:
        raise NoArrays(f"op {op.name!r} has no definition")
    if not op.elementwise and op.arrays is None:
        raise NoArrays(f"op {op.name!r} has no form for whole arrays")
    exactly = in_balls(attributes)
    try:
        with np.errstate(all="ignore"):  # what is not finite says so itself
            if op.arrays is not None and not op.elementwise:
                whole = op.arrays(f, *inputs, **exactly)
                results = list(whole) if isinstance(whole, tuple) else [whole]
            else:
                results = [define(f, *inputs, **exactly) for define in op.definitions]
    except NotImplementedError as error:
        raise NoArrays(f"op {op.name!r}: {error}") from error
    return [shaped(x, spec.shape, op) for x, spec in zip(results, outputs, strict=False)]


def read_program(program: Program, inputs: Sequence[Any], f: Arrays) -> list[Any]:
    """The outputs of a program; None where a rule says NO_GRADIENT. Raises NoArrays.

    If ``f.model``, each instruction is charged the unit roundoff of its output's dtype, and the underflow of that dtype.
    """
    values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        spec = program.specs[number]
        if isinstance(literal, bool) and spec.dtype.kind == "b":
            values[number] = literal
            continue
        value = literal.define(f) if isinstance(literal, Exact) else f.number(literal)
        values[number] = evaluated(value, spec, not is_held(value, spec)) if f.model else value
    for instruction in program.instructions:
        outputs = [program.specs[k] for k in instruction.outputs]
        operands = [values[k] for k in instruction.inputs]
        if f.model:
            operands = [charged(x, unit(outputs[0].dtype)) for x in operands]
        results = read_op(instruction.op, f, operands, instruction.attributes, outputs)
        if f.model:
            narrower = instruction.op.name == "astype" and unit(outputs[0].dtype) > _unit_of(
                program.specs[instruction.inputs[0]]
            )
            results = [evaluated(x, spec, narrower) for x, spec in zip(results, outputs, strict=True)]
        values.update(zip(instruction.outputs, results, strict=True))
    return [None if k is None else values[k] for k in program.outputs]


def _unit_of(spec: Spec) -> float:
    """Unit roundoff of a dtype, 0 for integers."""
    return unit(spec.dtype) if is_differentiable(spec.dtype) else 0.0


def is_held(x: Any, spec: Spec) -> bool:
    """True if the dtype holds the numbers exactly."""
    if not isinstance(x, BallArray) or not is_differentiable(spec.dtype):
        return True
    with np.errstate(over="ignore"):
        return x.spread is None and not x.part and bool((x.mid.astype(spec.dtype).astype(np.float64) == x.mid).all())


def charged(x: Any, rounding: float) -> Any:
    """The same balls, with the unit roundoff that later operations are charged."""
    if isinstance(x, BallArray):
        return BallArray(x.mid, x.spread, rounding, part=x.part, scale=x.scale)
    if isinstance(x, Dual):
        return Dual(charged(x.head, rounding), {k: charged(t, rounding) for k, t in x.tangents.items()})
    return x


def evaluated(x: Any, spec: Spec, rounds: bool) -> Any:
    """Balls that contain an evaluation's results: with the underflow of the dtype, and rounded to it if ``rounds``."""
    if (
        not isinstance(x, BallArray)
        or not is_differentiable(spec.dtype)
        or (x.spread is None and not x.part and not rounds)
    ):
        return x
    small = np.abs(x.mid) < smallest_normal(spec.dtype)
    if not small.any() and x.part < MOST / 2:
        return BallArray(x.mid, x.spread, x.unit, part=x.part + (unit(spec.dtype) if rounds else 0.0), scale=x.scale)
    lost = smallest_normal(spec.dtype) * unit(spec.dtype) * 2
    rad = x.radius() + np.where(small, lost, 0.0)
    return BallArray(x.mid, rad + np.abs(x.mid) * unit(spec.dtype) if rounds else rad, x.unit)


def shaped(x: Any, shape: tuple[int, ...], op: Op) -> Any:
    """A result broadcast to the shape of the output, as a definition may be a constant. Raises NoArrays if it does not
    fit."""
    if isinstance(x, bool):
        x = Mask(np.asarray(x))
    elif not isinstance(x, (BallArray, Dual, Mask)):
        x = ball_array(x)
        if x is NotImplemented:
            raise NoArrays(f"op {op.name!r}: its form for whole arrays gives what is no number")
    if x.shape == shape:
        return x
    try:
        if isinstance(x, Mask):
            return Mask(np.broadcast_to(x.true, shape), np.broadcast_to(x.false, shape))
        return x.moved(lambda a: np.broadcast_to(a, shape))
    except ValueError:
        raise NoArrays(f"op {op.name!r}: its form for whole arrays gives shape {x.shape}, and not {shape}") from None


def output_balls(f: Arrays, x: Any, spec: Spec) -> BallArray:
    """An output as balls of its shape; a condition as 1 and 0."""
    number = f.as_number(x)
    ball = number if isinstance(number, BallArray) else number.head
    return ball if ball.shape == spec.shape else BallArray(np.broadcast_to(ball.mid, spec.shape), ball.rad, ball.unit)


__all__ = ["NoArrays", "entered", "output_balls", "read_op", "read_program"]
