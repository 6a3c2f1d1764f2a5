"""Proof of an op that is defined by an equation F(y; x) = 0, by differentiating the equation.

Wherever dF/dy is regular, the true contributions of a cotangent g are -(dF/dx)ᵀ λ with (dF/dy)ᵀ λ = g. The rule must
give these. That is shown at the formula of the solution, where the equation is linear in it; else with free symbols for
both x and y, which shows more than is needed. A rule that is right only where F(y; x) = 0, and whose equation has no
such formula, needs a chart. An equation of complex numbers is read as real equations of their parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sympy

from gradproof.engine.attributes import Attributes
from gradproof.engine.cases import Case
from gradproof.engine.domains import REAL
from gradproof.engine.implicit import Equation
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.spec import Array, Spec, is_complex, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import Unproved, differences, discharge
from gradproof.engine.verify.proof.points import input_symbols
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import parts_shape, read
from gradproof.engine.verify.readings.complex_equations import in_parts, pairs_of, parts_of
from gradproof.engine.verify.readings.equations import Unsolvable, residual_of
from gradproof.engine.verify.readings.reading import place_of, read_attributes, stack
from gradproof.engine.verify.readings.symbolic_equations import contributions, formula, places_of, unknowns


def prove_implicitly(
    op: Op, equation: Equation, case: Case, inference: Inferred, rule: Program
) -> tuple[dict[str, str], set[str]]:
    """The tactics of each obligation, and the ties that were left out. Raises Unproved."""
    output = inference.outputs[0]
    variables, inputs = input_symbols(op, case, inference)
    attributes = read_attributes(SYMBOLIC, inference.attributes)
    specs = inference.inputs or case.specs()
    y: Array = np.empty(parts_shape(output), object)
    g, _ = symbols("g0_", parts_shape(output), REAL)
    formulas: dict[Any, Any] = {}
    ties: set[str] = set()
    truths: list[Array | None] = [None if x is None else np.full(x.shape, sympy.Integer(0), object) for x in variables]
    try:
        equation, equations = _equations(op, equation, inputs, specs, output, attributes)
        for index, cells in equations:
            cotangent = np.asarray(g[index], object)
            unknown = unknowns(equation, cotangent.shape, attributes)
            y[index] = unknown if unknown.shape else unknown[()]
            parts = contributions(equation, unknown, cells, cotangent, attributes, variables)
            for whole, part in zip(truths, parts, strict=True):
                if whole is not None and part is not None:
                    whole += part
            solved = _formulas(equation, unknown, cells, attributes)
            formulas |= solved
            ties |= _ties(equation, unknown, cells, attributes, solved)
    except (Unsolvable, NotImplementedError) as error:
        raise Unproved(str(error)) from None
    claimed = read(rule, [g, y, *inputs], SYMBOLIC)
    tactics: dict[str, str] = {}
    for k, (pulled, truth) in enumerate(zip(claimed, truths, strict=True)):
        if truth is None:
            continue
        if pulled is None:
            if is_differentiable(specs[k].dtype) and any(x != 0 for x in truth.flat):
                raise Unproved(f"the rule says NO_GRADIENT for input {op.input_name(k)}, which the result depends on")
            continue
        for index in np.ndindex(truth.shape):
            place = f"input {op.input_name(k)}{place_of(index, specs[k]) if index else ''}"
            tactics[place] = _closed(sympy.sympify(pulled[index]) - truth[index], formulas, place, ties)
    return tactics, ties


def _equations(
    op: Op, equation: Equation, inputs: Sequence[Array], specs: Sequence[Spec], output: Spec, attributes: Attributes
) -> tuple[Equation, Iterator[tuple[tuple[int, ...], list[Array]]]]:
    """The equation in real numbers, and for each place of a stack the inputs. Raises Unsolvable."""
    if not any(map(is_complex, (output, *specs))):
        return equation, stack(op, inputs, output)
    kinds = [is_complex(spec) if is_differentiable(spec.dtype) else None for spec in (output, *specs)]
    pairs = [x if kind is None else pairs_of(x, is_complex=kind) for x, kind in zip(inputs, kinds[1:], strict=True)]
    in_pairs = stack(op, pairs, output)
    parts = ((index, [parts_of(x, SYMBOLIC) for x in cells]) for index, cells in in_pairs)
    return in_parts(equation, kinds, attributes), parts


def _formulas(equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes) -> dict[Any, Any]:
    """The unknowns as formulas of the inputs, where the equation is linear in them; else an empty dictionary."""
    try:
        solution = formula(equation, y.shape, inputs, attributes)
    except Unsolvable:
        return {}
    return {unknown: x for unknown, x in zip(y.flat, solution.flat, strict=True) if unknown.is_Symbol}


def _ties(
    equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes, formulas: dict[Any, Any]
) -> set[str]:
    """The ties where the equation compares equal numbers, or is at a step: there its solution may have no derivative."""
    residual = residual_of(equation, SYMBOLIC, y, inputs, attributes)
    cells = [sympy.sympify(residual[at]) for at in places_of(equation, y.shape, attributes)]
    return {f"{difference.xreplace(formulas)} = 0" for cell in cells for difference in differences(cell)}


def _closed(residual: Any, formulas: dict[Any, Any], place: str, ties: set[str]) -> str:
    """The tactic that shows ``residual`` to be 0 for any solution. Raises Unproved."""
    if residual == 0:
        return "structural"
    try:
        return discharge(residual.xreplace(formulas), ties)
    except Unproved as error:
        raise Unproved(f"{place}: {error}", region=error.region, point=error.point) from None
