"""Reading of a program through the definitions of its ops: with symbols, in balls, or on a tape.

The cells of a complex tensor are its parts: an array of real scalars with a last axis of two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradproof.engine.attributes import Attributes, in_rule
from gradproof.engine.cases import Case
from gradproof.engine.complexes import Complexes, Pair, pair
from gradproof.engine.implicit import Equation
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable, part_dtype
from gradproof.engine.trace import Exact, Program
from gradproof.engine.verify.readings.attributes import in_balls, in_symbols
from gradproof.engine.verify.readings.complex_equations import in_parts, pairs_of, parts_of, solver_in_parts
from gradproof.engine.verify.readings.equations import Unsolvable, bind_integers, solver
from gradproof.engine.verify.readings.sealing import Sealing
from gradproof.engine.verify.readings.symbolic_equations import formula


class NoDefinition(Exception):
    """An op in the program has no definition."""


def read_op(
    op: Op,
    f: Any,
    inputs: Sequence[Array],
    attributes: Attributes,
    outputs: Sequence[Spec],
    tick: Callable[[], None] | None = None,
) -> list[Array]:
    """The outputs of an op, as object arrays of the scalars of reading ``f``. ``tick`` is called for each element, and
    may raise."""
    if op.equation is not None:
        if len(outputs) != 1:
            raise NoDefinition(f"op {op.name!r}: an equation defines a single output, and this has {len(outputs)}")
        return [solved(op, op.equation, f, inputs, attributes, outputs[0], tick)]
    if not op.definitions:
        raise NoDefinition(f"op {op.name!r} has no definition")
    attributes = read_attributes(f, attributes)
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


def solved(
    op: Op,
    equation: Equation,
    f: Any,
    inputs: Sequence[Array],
    attributes: Attributes,
    output: Spec,
    tick: Callable[[], None] | None = None,
) -> Array:
    """The output of an op that is defined by an equation. With symbols the output has a formula only where the equation
    is linear in it."""
    attributes = read_attributes(f, attributes)
    result = np.empty(output.shape, object)
    for index, cells in stack(op, inputs, output):
        if tick is not None:
            tick()
        try:
            shape = result[index].shape if isinstance(result[index], np.ndarray) else ()
            fixed, moving = bind_integers(equation, cells)
            if isinstance(f, Complexes):
                solution = _solved_in_parts(fixed, f.f, shape, moving, attributes, is_complex=is_complex(output))
            elif f is SYMBOLIC:
                solution = formula(equation, shape, cells, attributes)
            else:
                solution = f.block(moving, solver(fixed, shape, attributes))
            result[index] = solution if shape else solution[()]
        except (Unsolvable, NotImplementedError) as error:
            raise NoDefinition(f"op {op.name!r}: {error}") from error
    return result


def _solved_in_parts(
    equation: Equation, f: Any, shape: tuple[int, ...], inputs: Sequence[Array], attributes: Attributes, *, is_complex: bool
) -> Array:
    """The solution of an equation of complex numbers, in pairs of the scalars of ``f``."""
    arrays = [parts_of(x, f) for x in inputs]
    kinds = [is_complex, *(x.shape != whole.shape for x, whole in zip(arrays, inputs, strict=True))]
    if f is SYMBOLIC:
        parts = (*shape, 2) if is_complex else shape
        solution = formula(in_parts(equation, kinds, attributes), parts, arrays, attributes)
    else:
        solution = f.block(arrays, solver_in_parts(equation, shape, kinds, attributes))
    return pairs_of(solution, is_complex=is_complex)


def stack(op: Op, inputs: Sequence[Array], output: Spec) -> Iterator[tuple[tuple[int, ...], list[Array]]]:
    """The equations of a stack: the index of each, and its inputs."""
    axes = 0 if op.elementwise else 2
    inner = [min(x.ndim, axes) for x in inputs]
    outer = max((x.ndim - own for x, own in zip(inputs, inner, strict=True)), default=0)
    for index in np.ndindex(output.shape[:outer]):
        places = [index[outer - (x.ndim - own) :] for x, own in zip(inputs, inner, strict=True)]
        yield index, [_part(x, at) for x, at in zip(inputs, places, strict=True)]


def _part(x: Array, index: tuple[int, ...]) -> Array:
    part: Array = np.empty(x.shape[len(index) :], object)
    part[()] = x[index]
    return part


def read_attributes(f: Any, attributes: Attributes) -> Attributes:
    """Attributes as reading ``f`` takes them."""
    if not attributes:
        return attributes
    if isinstance(f, Sealing):
        return in_rule(attributes)
    return (in_symbols if SYMBOLIC in (f, getattr(f, "f", None)) else in_balls)(attributes)


def read_parts(
    op: Op,
    f: Any,
    inputs: Sequence[Array],
    specs: Sequence[Spec],
    attributes: Attributes,
    outputs: Sequence[Spec],
    tick: Callable[[], None] | None = None,
) -> list[Array]:
    """The outputs of an op on tensors that may be complex, as `read_op`: their cells, and those of the outputs, are
    parts."""
    if not any(map(is_complex, (*specs, *outputs))):
        return read_op(op, f, inputs, attributes, outputs, tick)
    pairs = [_paired(x, spec) for x, spec in zip(inputs, specs, strict=True)]
    results = read_op(op, Complexes(f), pairs, attributes, outputs, tick)
    return [_parted(y, spec, f, op) for y, spec in zip(results, outputs, strict=False)]


def _paired(cells: Array, spec: Spec) -> Array:
    if not is_differentiable(spec.dtype):
        return cells
    result: Array = np.empty(spec.shape, object)
    for index in np.ndindex(spec.shape):
        result[index] = Pair(*cells[index]) if is_complex(spec) else Pair(cells[index])
    return result


def _parted(cells: Array, spec: Spec, f: Any, op: Op) -> Array:
    if not is_differentiable(spec.dtype):
        return cells
    result: Array = np.empty(parts_shape(spec), object)
    for index in np.ndindex(spec.shape):
        z = pair(cells[index])
        if is_complex(spec):
            result[*index, 0] = z.re
            result[*index, 1] = f.number(0) if z.is_real else z.im
        elif z.is_real:
            result[index] = z.re
        else:
            raise NoDefinition(f"op {op.name!r}: the definition gives complex numbers, and the result is {spec.dtype.name}")
    return result


def parts_shape(spec: Spec) -> tuple[int, ...]:
    """The shape of the cells of a tensor."""
    return (*spec.shape, 2) if is_complex(spec) else spec.shape


def place_of(index: Sequence[int], spec: Spec) -> str:
    """The place of a cell as text: ``[0, 1]``, or of a complex tensor ``[0, 1] imaginary part``."""
    if not is_complex(spec):
        return str(list(index))
    return f"{list(index[:-1])} {('real', 'imaginary')[index[-1]]} part"


def on_reals(program: Program) -> Program:
    """The program with the dtypes of the parts: the same instructions for real numbers."""
    return replace(program, specs=[Spec(spec.shape, part_dtype(spec.dtype), spec.weak) for spec in program.specs])


def read(program: Program, inputs: Sequence[Array], f: Any) -> list[Array | None]:
    """The outputs of ``program`` for object arrays ``inputs`` of the scalars of reading ``f`` (integer and boolean
    inputs hold Python numbers; complex ones are parts). Raises NoDefinition."""
    values: dict[int, Array] = dict(zip(program.inputs, inputs, strict=True))
    values.update(literals(program, f))
    for instruction in program.instructions:
        specs, outputs = [program.specs[k] for k in instruction.inputs], [program.specs[k] for k in instruction.outputs]
        results = read_parts(
            instruction.op, f, [values[k] for k in instruction.inputs], specs, instruction.attributes, outputs
        )
        values.update(zip(instruction.outputs, results, strict=True))
    return [None if k is None else values[k] for k in program.outputs]


def literals(program: Program, f: Any) -> dict[int, Array]:
    """The literals of a program by number, as 0-d object arrays of the scalars of reading ``f``; complex ones as parts."""
    cells: dict[int, Array] = {}
    for number, literal in program.literals.items():
        cell = np.empty((), object)
        if isinstance(literal, int) and program.specs[number].dtype.kind in "biu":
            cell[()] = literal  # a condition or a place: a ball of 0 is no falsehood, and no index
        else:
            cell[()] = literal.define(f) if isinstance(literal, Exact) else f.number(literal)
        cells[number] = np.array([cell[()], f.number(0)], object) if is_complex(program.specs[number]) else cell
    return cells


def concrete(array: Array) -> Array:
    """Integer or boolean values as an object array of Python numbers."""
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = array[index].item()
    return result


def integer_inputs(case: Case, inference: Inferred) -> list[Array | None]:
    """For each input its concrete values if it is integer or boolean, at the shape the op sees."""
    specs = inference.inputs or case.specs()
    return [
        concrete(np.broadcast_to(x, spec.shape)) if isinstance(x, np.ndarray) else None
        for x, spec in zip(case.inputs, specs, strict=True)
    ]
