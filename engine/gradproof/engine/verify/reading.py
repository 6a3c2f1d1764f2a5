"""Reading a program through the definitions of its ops: with symbols, in balls, or on a tape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradproof.engine.op import Attributes, Case, Inferred, Op
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Exact, Program


class NoDefinition(Exception):
    """An op in the program says nothing of what it computes."""


def read_op(
    op: Op,
    f: Any,
    inputs: Sequence[Array],
    attributes: Attributes,
    outputs: Sequence[Spec],
    tick: Callable[[], None] | None = None,
) -> list[Array]:
    """The outputs of one op, as object arrays of the scalars of reading ``f``. ``tick`` is called for each element, and may
    raise."""
    if not op.definitions:
        raise NoDefinition(f"op {op.name!r} has no definition")
    results = []
    for define, spec in zip(op.definitions, outputs, strict=False):
        result = np.empty(spec.shape, object)
        for index in np.ndindex(spec.shape) if spec.shape else ((),):
            if tick is not None:
                tick()
            try:
                if op.elementwise:
                    result[index] = define(f, *(x[index] for x in inputs), **attributes)
                else:
                    result[index] = define(f, index, *inputs, **attributes)
            except NotImplementedError as error:
                raise NoDefinition(f"op {op.name!r}: {error}") from error
        results.append(result)
    return results


def read(program: Program, inputs: Sequence[Array], f: Any) -> list[Array | None]:
    """The outputs of ``program`` for object arrays ``inputs`` of the scalars of reading ``f`` (integer and boolean
    inputs hold Python numbers). Raises NoDefinition."""
    values: dict[int, Array] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        cell = np.empty((), object)
        cell[()] = literal.define(f) if isinstance(literal, Exact) else f.number(literal)
        values[number] = cell
    for one in program.instructions:
        outputs = [program.specs[k] for k in one.outputs]
        results = read_op(one.op, f, [values[k] for k in one.inputs], one.attributes, outputs)
        values.update(zip(one.outputs, results, strict=True))
    return [None if k is None else values[k] for k in program.outputs]


def concrete(array: Array) -> Array:
    """Integer or boolean values as an object array of Python numbers."""
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = array[index].item()
    return result


def integer_inputs(case: Case, found: Inferred) -> list[Array | None]:
    """For each input its concrete values if it is integer or boolean, at the shape the op sees."""
    wanted = found.inputs or case.specs()
    return [
        concrete(np.broadcast_to(x, spec.shape)) if isinstance(x, np.ndarray) else None
        for x, spec in zip(case.inputs, wanted, strict=True)
    ]
