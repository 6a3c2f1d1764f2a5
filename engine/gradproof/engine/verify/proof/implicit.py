"""Proof of an op that is defined by an equation F(y; x) = 0, by differentiating the equation.

Wherever dF/dy is regular, the true contributions of a cotangent g are -(dF/dx)ᵀ λ with (dF/dy)ᵀ λ = g. The rule must
give these. That is shown at the formula of the solution, where the equation is linear in it; else with free symbols for
both x and y, which shows more than is needed. A rule that is right only where F(y; x) = 0, and whose equation has no
such formula, needs a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import Unproved, differences, discharge
from gradproof.engine.verify.proof.points import input_symbols
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import read
from gradproof.engine.verify.readings.equations import Unsolvable, residual_of
from gradproof.engine.verify.readings.reading import read_attributes, stack
from gradproof.engine.verify.readings.symbolic_equations import contributions, formula, places_of, unknowns


def prove_implicitly(
    op: Op, equation: Equation, case: Case, inference: Inferred, rule: Program
) -> tuple[dict[str, str], set[str]]:
    """The tactics of each obligation, and the ties that were left out. Raises Unproved."""
    output = inference.outputs[0]
    variables, inputs = input_symbols(op, case, inference)
    attributes = read_attributes(SYMBOLIC, inference.attributes)
    y: Array = np.empty(output.shape, object)
    g, _ = symbols("g0_", output.shape, REAL)
    formulas: dict[Any, Any] = {}
    ties: set[str] = set()
    truths: list[Array | None] = [None if x is None else np.full(x.shape, sympy.Integer(0), object) for x in variables]
    try:
        for index, cells in stack(op, inputs, output):
            cotangent = np.asarray(g[index], object)
            unknown = unknowns(equation, cotangent.shape)
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
    specs = inference.inputs or case.specs()
    for k, (pulled, truth) in enumerate(zip(claimed, truths, strict=True)):
        if truth is None:
            continue
        if pulled is None:
            if is_differentiable(specs[k].dtype) and any(x != 0 for x in truth.flat):
                raise Unproved(f"the rule says NO_GRADIENT for input {op.input_name(k)}, which the result depends on")
            continue
        for index in np.ndindex(truth.shape):
            place = f"input {op.input_name(k)}{list(index) if index else ''}"
            tactics[place] = _closed(sympy.sympify(pulled[index]) - truth[index], formulas, place, ties)
    return tactics, ties


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
    cells = [sympy.sympify(residual[at]) for at in places_of(equation, y.shape)]
    return {f"{difference.xreplace(formulas)} = 0" for cell in cells for difference in differences(cell)}


def _closed(residual: Any, formulas: dict[Any, Any], place: str, ties: set[str]) -> str:
    """The tactic that shows ``residual`` to be 0 for any solution. Raises Unproved."""
    if residual == 0:
        return "structural"
    try:
        return discharge(residual.xreplace(formulas), ties)
    except Unproved as error:
        raise Unproved(f"{place}: {error}", region=error.region, point=error.point) from None
