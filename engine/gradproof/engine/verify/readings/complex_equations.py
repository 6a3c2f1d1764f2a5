"""Equations of complex numbers: two real equations for each residual, its real and its imaginary part, of the two parts of
each unknown.

An equation that is linear in its unknown and written for whole matrices is holomorphic, and is solved in matrices of
complex balls, at the cost of a real equation. There dy = J dx in complex numbers, and the gradient dL/dRe + i dL/dIm of x
is Jᴴ times that of y: the conjugate of Jᵀ times the conjugate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flint import acb, arb

from gradproof.engine.attributes import Attributes
from gradproof.engine.complexes import Complexes, Pair, pair
from gradproof.engine.implicit import NEITHER, Equation
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.equations import Solution, Unsolvable, positive_of, residual_of
from gradproof.engine.verify.readings.matrices import NotInMatrices


def parts_of(cells: Array, f: Any) -> Array:
    """Pairs as an array of their parts, with a last axis of two; real numbers as they are."""
    if all(not isinstance(z, Pair) or z.is_real for z in cells.flat):
        return _each(lambda z: z.re if isinstance(z, Pair) else z, cells)
    return _split(cells, lambda z: (z.re, f.number(0) if z.is_real else z.im))


def pairs_of(cells: Array, *, is_complex: bool) -> Array:
    """Parts as pairs."""
    if not is_complex:
        return _each(Pair, cells)
    pairs: Array = np.empty(cells.shape[:-1], object)
    for index in np.ndindex(pairs.shape):
        pairs[index] = Pair(*cells[index])
    return pairs


def in_parts(equation: Equation, kinds: Sequence[bool | None], attributes: Attributes) -> Equation:
    """The equation as real equations of parts. ``kinds``: for y and each input, True if it is complex, None for integers
    and conditions. Raises Unsolvable."""
    if equation.triangle(attributes) is not NEITHER:
        raise Unsolvable(f"the equation {equation.formula} of a triangular matrix of complex numbers has no reading")

    def read(f: Any, of: Callable[..., Any], arrays: Sequence[Any], attributes: Attributes) -> Any:
        cells = [np.asarray(x) for x in arrays]
        y, *inputs = [x if kind is None else pairs_of(x, is_complex=kind) for x, kind in zip(cells, kinds, strict=True)]
        return of(equation, Complexes(f), y, inputs, attributes)

    def residual(f: Any, *arrays: Any, **attributes: Any) -> Array:
        cells = read(f, residual_of, arrays, attributes)
        if kinds[0]:
            return _split(cells, lambda z: (pair(z).re, f.number(0) if pair(z).is_real else pair(z).im))
        return _each(lambda z: _real(equation, z), cells)

    def positive(f: Any, *arrays: Any, **attributes: Any) -> list[Any]:
        return [_real(equation, z) for z in read(f, positive_of, arrays, attributes)]

    def start(*arrays: Array, **attributes: Any) -> Array:
        floats = [x[..., 0] + 1j * x[..., 1] if kind else x for x, kind in zip(arrays, kinds[1:], strict=True)]
        y = np.asarray(equation.start(*floats, **attributes) if equation.start else ())
        return np.stack([y.real, y.imag], -1) if kinds[0] else y

    return replace(
        equation,
        residual=residual,
        start=start if equation.start else None,
        positive=positive if equation.positive else None,
        triangular=NEITHER,
    )


class ComplexSolution:
    """The solution of an equation that is read in complex balls, in parts (see `Solution`). Raises NotInMatrices."""

    def __init__(
        self,
        equation: Equation,
        shape: tuple[int, ...],
        inputs: Sequence[Array],
        kinds: Sequence[bool],
        attributes: Attributes,
    ) -> None:
        self.kinds = kinds[1:]
        self.solution = Solution(equation, shape, self._balls(inputs), attributes)
        self.values = _parted(self.solution.values)

    def _balls(self, arrays: Sequence[Array | None]) -> list[Any]:
        """Parts, or real numbers, as complex balls."""
        return [
            None if x is None else _joined(x) if kind else _each(acb, x) for x, kind in zip(arrays, self.kinds, strict=True)
        ]

    def push(self, along: Sequence[Array | None]) -> Array:
        """The motion of the solution when the inputs move ``along``."""
        return _parted(self.solution.push(self._balls(along)))

    def pull(self, g: Array) -> list[Array]:
        """For each input the gradient of the sum of ``g`` times solution, in parts."""
        pulled = self.solution.pull(_each(lambda z: z.conjugate(), _joined(g)))
        parts = [_parted(_each(lambda z: _in_complex(z).conjugate(), x)) for x in pulled]
        return [x if kind else x[..., 0] for x, kind in zip(parts, self.kinds, strict=True)]


def solver_in_parts(
    equation: Equation, shape: tuple[int, ...], kinds: Sequence[bool], attributes: Attributes
) -> Callable[[Sequence[Array]], Any]:
    """The map from the inputs of an equation, in parts, to its solution in parts. ``kinds``: for y and each input, True if
    it is complex."""

    def solve(inputs: Sequence[Array]) -> Any:
        if kinds[0] and equation.start is None:
            try:
                return ComplexSolution(equation, shape, inputs, kinds, attributes)
            except (NotInMatrices, Unsolvable):  # a residual that is not holomorphic, or no sum of products
                pass
        parts = (*shape, 2) if kinds[0] else shape
        return Solution(in_parts(equation, kinds, attributes), parts, inputs, attributes)

    return solve


def _real(equation: Equation, z: Any) -> Any:
    if not pair(z).is_real:
        raise Unsolvable(f"the equation {equation.formula} has a complex residual, and its unknown is real")
    return pair(z).re


def _joined(parts: Array) -> Array:
    cells: Array = np.empty(parts.shape[:-1], object)
    for index in np.ndindex(cells.shape):
        cells[index] = acb(*parts[index])
    return cells


def _parted(cells: Array) -> Array:
    """The parts of complex balls."""
    return _split(cells, lambda z: (_in_complex(z).real, _in_complex(z).imag))


def _in_complex(z: Any) -> acb:
    """A ball as a complex ball; nan is nan in both parts."""
    if isinstance(z, acb):
        return z
    return acb(z, z if arb(z).is_nan() else 0)


def _split(cells: Array, halves: Callable[[Any], tuple[Any, Any]]) -> Array:
    parts: Array = np.empty((*cells.shape, 2), object)
    for index in np.ndindex(cells.shape):
        parts[*index, 0], parts[*index, 1] = halves(cells[index])
    return parts


def _each(function: Callable[[Any], Any], cells: Array) -> Array:
    results: Array = np.empty(cells.shape, object)
    for index in np.ndindex(cells.shape):
        results[index] = function(cells[index])
    return results
