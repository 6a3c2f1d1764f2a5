"""Formulas: the values of a small graph and their derivatives, read through the definitions of its ops, for people.

Leaves are symbols (`x`, or `x_0_1` for an element); Python numbers and integers are themselves. No rule is read: these
are the derivatives that SymPy takes of the definitions, which is what the rules are proved to be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from gradproof.engine.graph import Graph
from gradproof.engine.lower import lower
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.verify.readings.reading import concrete, literals, read, read_op

LOCAL_ELEMENTS = 16


@dataclass(frozen=True)
class Formula:
    """The value ``of`` (``by`` empty), or its derivative by the value ``by``; ``kind``: value, local, gradient or
    subexpression. Names of elements have their indices: ``x[0, 1]``."""

    kind: str
    of: str
    by: str
    text: str
    latex: str


@dataclass(frozen=True)
class Explained:
    """Formulas of a value; ``subexpressions`` are the common parts of its gradient, by the names that stand for them,
    each in terms of those before it."""

    formulas: tuple[Formula, ...]
    subexpressions: tuple[Formula, ...] = ()


class NoFormula(Exception):
    """A value has no formula; the message says why."""


def explain(graph: Graph, registry: Registry, name: str, values: Mapping[str, Array]) -> Explained:
    """The formulas of the value ``name`` of a graph without faults. Raises NoFormula."""
    lowered = lower(graph, registry)
    program = lowered.builder.program
    cells: dict[int, Array] = literals(program, SYMBOLIC)
    shown: dict[Any, str] = {}
    moving: dict[str, Array] = {}
    if any(map(is_complex, program.specs)):
        raise NoFormula("formulas are of real numbers, and the graph has complex ones")
    for leaf in graph.leaves:
        value = None if leaf.requires_grad else values.get(leaf.name)
        cells[lowered.values[leaf.name]] = _leaf(leaf.name, leaf.spec, value, shown)
        if leaf.requires_grad:
            moving[leaf.name] = cells[lowered.values[leaf.name]]
    try:
        for instruction in program.instructions:
            outputs = [program.specs[k] for k in instruction.outputs]
            results = read_op(
                instruction.op, SYMBOLIC, [cells[k] for k in instruction.inputs], instruction.attributes, outputs
            )
            cells.update(zip(instruction.outputs, results, strict=True))
    except BaseException as error:  # a definition is a plugin's code
        reraise_own(error)
        raise NoFormula(f"a definition cannot be read in symbols: {describe(error)}") from error
    result = _numbers(cells[lowered.values[name]])
    formulas = [_formula("value", _place(name, i), "", result[i]) for i in np.ndindex(result.shape)]
    formulas += _local(graph, registry, name, lowered.specs())
    gradients, subexpressions = _gradient(name, result, moving, shown)
    return Explained((*formulas, *gradients), subexpressions)


def _leaf(name: str, spec: Spec, value: Array | None, shown: dict[Any, str]) -> Array:
    """The elements of a leaf: symbols, or known numbers that do not move."""
    if not is_differentiable(spec.dtype):
        if value is None:
            raise NoFormula(f"leaf {name!r} is {spec.dtype.name} and has no value")
        return concrete(value)
    array = np.empty(spec.shape, object)
    for i in np.ndindex(spec.shape):
        if spec.weak and value is not None:
            if not np.isfinite(value[i]):
                raise NoFormula(f"leaf {name!r} is {value[i]}, which is no number for a formula")
            array[i] = sympy.Rational(repr(float(value[i])))
        else:
            text = "_".join([name, *map(str, i)])
            while sympy.Symbol(text, real=True) in shown:
                text += "_"  # x_0 may be an element, and a leaf
            array[i] = sympy.Symbol(text, real=True)
            shown[array[i]] = _place(name, i)
    return array


def _local(graph: Graph, registry: Registry, name: str, specs: Mapping[str, Spec]) -> list[Formula]:
    """The derivatives of the node that made the value, by each of its inputs: of a single element where the op is
    elementwise."""
    node = next((node for node in graph.nodes if name in node.outputs), None)
    if node is None or not all(node.inputs):
        return []
    op = registry.op(node.op)
    if op.neutral is not None and len(node.inputs) < len(op.inputs):
        return []
    specs_in = [Spec((), specs[n].dtype, specs[n].weak) if op.elementwise else specs[n] for n in node.inputs]
    inference = op.inference(specs_in, node.attributes)
    specs_op = inference.inputs or specs_in
    if not all(is_differentiable(spec.dtype) for spec in specs_op) or sum(s.size for s in specs_op) > LOCAL_ELEMENTS:
        return []
    names = [n if node.inputs.count(n) == 1 else op.input_name(k) for k, n in enumerate(node.inputs)]
    symbols: dict[Any, str] = {}
    inputs = [_leaf(n, spec.strong, None, symbols) for n, spec in zip(names, specs_op, strict=True)]
    expansion = op.expand(specs_op, node.attributes)
    if expansion is None:
        results: Sequence[Any] = read_op(op, SYMBOLIC, inputs, inference.attributes, inference.outputs)
    else:
        results = read(expansion, inputs, SYMBOLIC)
    result = _numbers(results[node.outputs.index(name)])
    return [
        _formula("local", _place(name, i), _place(input_name, j), _tidy(sympy.diff(result[i], x[j])))
        for input_name, x in zip(names, inputs, strict=True)
        for i in np.ndindex(result.shape)
        for j in np.ndindex(x.shape)
        if x[j] in getattr(result[i], "free_symbols", ())
    ]


def _gradient(
    name: str, result: Array, moving: Mapping[str, Array], shown: Mapping[Any, str]
) -> tuple[list[Formula], tuple[Formula, ...]]:
    """The gradient of the sum of the elements by each leaf that requires grad, with common subexpressions named."""
    loss = sympy.Add(*result.flat)
    symbols = [x for array in moving.values() for x in array.flat]
    taken = {str(x) for x in loss.free_symbols}
    fresh = (sympy.Symbol(f"t{k}") for k in range(10_000) if f"t{k}" not in taken)
    replacements, reduced = sympy.cse([_tidy(sympy.diff(loss, x)) for x in symbols], symbols=fresh, order="canonical")
    of = name if result.shape == () else f"sum of {name}"
    subexpressions = tuple(_formula("subexpression", str(symbol), "", expression) for symbol, expression in replacements)
    return [_formula("gradient", of, shown[x], e) for x, e in zip(symbols, reduced, strict=True)], subexpressions


def _tidy(expression: Any) -> Any:
    """The expression with common factors extracted, where that is fast and shorter."""
    together = sympy.factor_terms(sympy.cancel(expression) if expression.is_rational_function() else expression)
    return together if sympy.count_ops(together) < sympy.count_ops(expression) else expression


def _numbers(cells: Array) -> Array:
    result = np.empty(cells.shape, object)
    for i in np.ndindex(cells.shape):
        result[i] = sympy.sympify(SYMBOLIC.as_number(cells[i]))
    return result


def _place(name: str, index: Sequence[int]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _formula(kind: str, of: str, by: str, expression: Any) -> Formula:
    return Formula(kind, of, by, sympy.sstr(expression), sympy.latex(expression))
