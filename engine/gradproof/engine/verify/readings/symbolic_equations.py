"""Equations in symbols: the derivative of a residual, the formula of a solution where it is linear, and the
contributions that follow from the equation by the implicit function theorem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from gradproof.engine.attributes import Attributes
from gradproof.engine.implicit import NEITHER, Equation
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.equations import Unsolvable, residual_of
from gradproof.engine.verify.readings.inverses import Cells, cells

MAX_UNKNOWNS = 64
MAX_ROWS = 6  # of a system that is solved by Cramer's rule


def formula(equation: Equation, shape: tuple[int, ...], inputs: Sequence[Array], attributes: Attributes) -> Array:
    """The solution as a formula. Raises Unsolvable if the residual is not linear in it."""
    unknown = unknowns(equation, shape, attributes)
    places = places_of(equation, shape, attributes)
    if len(places) > MAX_UNKNOWNS:
        raise Unsolvable(f"{len(places)} unknowns have no short formula")
    residual = residual_of(equation, SYMBOLIC, unknown, inputs, attributes)
    symbols = [unknown[at] for at in places]
    matrix = jacobian(residual, unknown, places)
    if any(x.has(*symbols) for row in matrix for x in row):
        raise Unsolvable(f"the equation {equation.formula} is not linear in what it defines, which has no formula")
    rest = [-sympy.sympify(residual[at]).xreplace(dict.fromkeys(symbols, sympy.Integer(0))) for at in places]
    solution: Array = np.full(shape, sympy.Integer(0), object)
    for at, x in zip(places, cramer(matrix, rest), strict=True):
        solution[at] = x
    return solution


def unknowns(equation: Equation, shape: tuple[int, ...], attributes: Attributes) -> Array:
    """Symbols for the unknowns of the equation, and zeros where they are 0 by definition."""
    cells: Array = np.full(shape, sympy.Integer(0), object)
    for at in places_of(equation, shape, attributes):
        cells[at] = sympy.Dummy(f"y{list(at) if at else ''}", real=True)
    return cells


def places_of(equation: Equation, shape: tuple[int, ...], attributes: Attributes) -> Sequence[tuple[int, ...]]:
    """The places of the unknowns, in an array of ``shape``."""
    triangle = equation.triangle(attributes)
    if triangle is not NEITHER:
        square: Cells = cells((shape[0], shape[1]), triangle)
        return square
    return list(np.ndindex(shape))


def jacobian(residual: Array, unknown: Array, places: Sequence[tuple[int, ...]]) -> list[list[Any]]:
    """The derivatives of the residual, a row for each of its places, by the unknown at each."""
    return [[sympy.diff(residual[row], unknown[at]) for at in places] for row in places]


def cramer(matrix: Sequence[Sequence[Any]], right: Sequence[Any]) -> list[Any]:
    """The solution of a linear system by Cramer's rule, as fractions of determinants; independent blocks are solved
    apart. Raises Unsolvable if a block has more than `MAX_ROWS` rows, or more equations than unknowns."""
    solution: list[Any] = [sympy.Integer(0)] * len(right)
    for rows, columns in _parts(matrix):
        if len(rows) != len(columns) or len(rows) > MAX_ROWS:
            raise Unsolvable(f"{len(rows)} equations of {len(columns)} unknowns have no short formula")
        square = np.array([[matrix[r][c] for c in columns] for r in rows], object)
        determinant = SYMBOLIC.det(square)
        for k, column in enumerate(columns):
            replaced = square.copy()
            replaced[:, k] = [right[r] for r in rows]
            solution[column] = SYMBOLIC.det(replaced) / determinant
    return solution


def _parts(matrix: Sequence[Sequence[Any]]) -> list[tuple[list[int], list[int]]]:
    """The independent blocks of a matrix: rows and columns that have elements in common."""
    left, parts = set(range(len(matrix))), []
    while left:
        rows, columns = {min(left)}, set[int]()
        while True:
            wider = {c for r in rows for c, x in enumerate(matrix[r]) if x != 0}
            more = {r for r in left if any(matrix[r][c] != 0 for c in wider)} | rows
            if wider == columns and more == rows:
                break
            rows, columns = more, wider
        left -= rows
        parts.append((sorted(rows), sorted(columns)))
    return parts


def contributions(
    equation: Equation, y: Array, inputs: Sequence[Array], g: Array, attributes: Attributes, moving: Sequence[Array | None]
) -> list[Array | None]:
    """For each input the contribution that the equation implies: -(dF/dx)ᵀ λ with (dF/dy)ᵀ λ = g, at symbols y for any
    solution. ``moving``: the symbols that the inputs are made of. Raises Unsolvable."""
    places = places_of(equation, y.shape, attributes)
    residual = residual_of(equation, SYMBOLIC, y, inputs, attributes)
    matrix = jacobian(residual, y, places)
    weights = cramer([list(column) for column in zip(*matrix, strict=True)], [g[at] for at in places])
    results: list[Array | None] = []
    for symbols in moving:
        if symbols is None:
            results.append(None)
            continue
        result: Array = np.empty(symbols.shape, object)
        for index in np.ndindex(symbols.shape):
            x = symbols[index]
            result[index] = -sympy.Add(*(w * sympy.diff(residual[at], x) for w, at in zip(weights, places, strict=True)))
        results.append(result)
    return results
