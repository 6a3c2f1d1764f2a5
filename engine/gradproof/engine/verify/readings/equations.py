"""Solution of an equation, enclosed, and its derivative by the implicit function theorem.

Interval Newton: with Y a box around an approximation y, J all derivatives of the residual in Y, the set y - J⁻¹ F(y; X)
holds every solution in Y, for every input in X; and if it lies inside of Y, the solution is unique (Moore; Neumaier,
Interval Methods for Systems of Equations, theorem 5.1.7). Where the residual is linear in the unknown, which J says by
itself, Y is as large as any number.

From F(y(x); x) = 0 follows dy = -(dF/dy)⁻¹ dF/dx dx; the contributions of a cotangent g are -(dF/dx)ᵀ λ, where
(dF/dy)ᵀ λ = g.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from flint import acb, arb, arb_mat, arb_series, ctx

from gradproof.engine.attributes import Attributes
from gradproof.engine.implicit import NEITHER, Equation, Triangle
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.scalar_functions import Balls, Undecided
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.inverses import Dense, Inverse, cells, check_count, inverse_of
from gradproof.engine.verify.readings.matrices import (
    UNKNOWN,
    Factor,
    Matrices,
    Moving,
    NotInMatrices,
    Term,
    ball,
    cells_of,
    matrix,
    matrix_of,
)
from gradproof.engine.verify.readings.power_series import Series, tangent
from gradproof.engine.verify.readings.tape import Tape, TooLarge, ball_of

WIDE = arb(2) ** (1 << 20)
"""Radius of the box of the solutions of a linear equation: as large as any number."""
MAX_SWEPT = 2_000_000  # operations of an equation read number by number, once for each unknown
STEPS = 24
TRIES = 4


class Unsolvable(Exception):
    """No reading of an equation can isolate its unknown; the message says why."""


class Linearised(Protocol):
    """A residual at a box of its unknown and its inputs: its value there, and its derivatives."""

    residual: arb_mat
    inverse: Inverse

    def push(self, along: Sequence[arb_mat | None]) -> arb_mat:
        """The derivative along directions of the inputs."""
        ...

    def pull(self, weights: arb_mat) -> list[arb_mat]:
        """For each input the gradient of the sum of weights times residual."""
        ...


class InMatrices:
    """A residual read in whole matrices. Raises NotInMatrices."""

    def __init__(self, equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes) -> None:
        if any(x.ndim > 2 for x in (y, *inputs)):
            raise NotInMatrices("an array of more axes than a matrix")
        variables = [Moving(Factor(matrix_of(x)), x.shape, (Term(k),)) for k, x in enumerate((y, *inputs))]
        try:
            residual = equation.residual(Matrices(), *variables, **attributes)
        except (ZeroDivisionError, NotInMatrices):
            raise
        except BaseException as error:  # a function that takes no whole matrices may take numbers
            reraise_own(error)
            raise NotInMatrices(f"{type(error).__name__}: {error}") from error
        if not isinstance(residual, Moving) or residual.shape != y.shape:
            raise NotInMatrices("the residual is no matrix of the shape of the unknown")
        self.residual, self.terms = residual.value.now, residual.terms
        self.inputs = [x.value.now for x in variables[1:]]
        shape = variables[0].value.matrix.nrows(), variables[0].value.matrix.ncols()
        terms = [term for term in residual.terms if term.variable == UNKNOWN]
        self.inverse = inverse_of(terms, shape, equation.triangle(attributes))

    def push(self, along: Sequence[arb_mat | None]) -> arb_mat:
        total = arb_mat(self.residual.nrows(), self.residual.ncols())
        for term in self.terms:
            d = along[term.variable - 1] if term.variable != UNKNOWN else None
            if d is not None:
                total += term.apply(d)
        return total

    def pull(self, weights: arb_mat) -> list[arb_mat]:
        totals = [arb_mat(x.nrows(), x.ncols()) for x in self.inputs]
        for term in self.terms:
            if term.variable != UNKNOWN:
                totals[term.variable - 1] += term.adjoint(weights)
        return totals


class InNumbers:
    """A residual read number by number, for any function of the table. Raises NotInMatrices if the unknowns are too
    many."""

    def __init__(self, equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes) -> None:
        if any(isinstance(x, acb) for array in (y, *inputs) for x in array.flat):
            raise NotInMatrices("complex numbers are read number by number in their parts")
        self.shape = y.shape if y.ndim == 2 else (y.size, 1)
        self.places = cells(self.shape, equation.triangle(attributes))
        check_count(self.places)
        self.tape = Tape()
        self.y, *self.moving = [_varying(self.tape, x) for x in (y, *inputs)]
        self.equation, self.attributes, self.plain_y, self.inputs = equation, attributes, y, inputs
        residual = residual_of(equation, self.tape, self.y, self.moving, attributes)
        self.cells = residual.reshape(self.shape)
        self.residual = _matrix([ball_of(x) for x in self.cells.flat], self.shape)
        if len(self.places) * len(self.tape.recorded) > MAX_SWEPT:
            raise TooLarge
        if self.tape.tied:
            raise Undecided("a comparison in the equation has equal sides")
        self.inverse: Inverse = Dense(self._written, self.shape, self.places)

    def _written(self) -> arb_mat:
        variables = [self.y.reshape(self.shape)[at] for at in self.places]
        rows = [self.tape.gradient([self.cells[at]], [arb(1)], variables) for at in self.places]
        return _matrix([x for row in rows for x in row], (len(rows), len(rows)))

    def push(self, along: Sequence[arb_mat | None]) -> arb_mat:
        moved: list[Array] = []
        for x, d in zip(self.inputs, along, strict=True):
            line: Array = np.empty(x.shape, object)
            line.reshape(-1)[:] = (
                x.flat if d is None else [arb_series([a, b], 2) for a, b in zip(x.flat, d.entries(), strict=True)]
            )
            moved.append(line)
        residual = residual_of(self.equation, Series(), self.plain_y, moved, self.attributes)
        return _matrix([arb(tangent(x)) for x in residual.flat], self.shape)

    def pull(self, weights: arb_mat) -> list[arb_mat]:
        seeds = [weights[at] for at in self.places]
        results = [self.cells[at] for at in self.places]
        flat = iter(self.tape.gradient(results, seeds, [v for x in self.moving for v in x.flat]))
        return [matrix_of(_filled(x.shape, [next(flat) for _ in range(x.size)])) for x in self.moving]


def residual_of(equation: Equation, f: Any, y: Array, inputs: Sequence[Array], attributes: Attributes) -> Array:
    """The residual read number by number, with reading ``f``. Raises Unsolvable if its shape is not that of y."""
    residual = equation.residual(f, *(_as_argument(x) for x in (y, *inputs)), **attributes)
    cells = residual if isinstance(residual, np.ndarray) else _filled((), [residual])
    if cells.shape != y.shape:
        raise Unsolvable(f"the residual has the shape {cells.shape}; that of the unknown is {y.shape}")
    return cells


def positive_of(equation: Equation, f: Any, y: Array, inputs: Sequence[Array], attributes: Attributes) -> list[Any]:
    """The numbers that are positive at the intended solution."""
    if equation.positive is None:
        return []
    numbers = equation.positive(f, *(_as_argument(x) for x in (y, *inputs)), **attributes)
    return (
        list(numbers.flat)
        if isinstance(numbers, np.ndarray)
        else list(numbers)
        if isinstance(numbers, (tuple, list))
        else [numbers]
    )


def _as_argument(x: Array) -> Any:
    """An array in the form that a residual takes: a number of no axes as itself."""
    return x if x.ndim else x[()]


def linearised(equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes) -> Linearised:
    """The residual of an equation, in whole matrices if it can be. Raises Unsolvable."""
    try:
        return InMatrices(equation, y, inputs, attributes)
    except NotInMatrices as why:
        try:
            return InNumbers(equation, y, inputs, attributes)
        except NotInMatrices as error:
            if any(isinstance(x, acb) for x in y.flat):
                raise
            raise Unsolvable(f"the equation {equation.formula} has no reading in matrices ({why}), and {error}") from None


class Solution:
    """The solution of an equation: ``values`` in balls, nan where none could be enclosed, of ``shape``. Complex balls are
    of an equation that is linear in its unknown, in whole matrices; else NotInMatrices is raised."""

    def __init__(self, equation: Equation, shape: tuple[int, ...], inputs: Sequence[Array], attributes: Attributes) -> None:
        self.shape, self.inputs = shape, inputs
        self.values, self.read = _filled(shape, [arb("nan")] * int(np.prod(shape, dtype=int))), None
        try:
            values = _enclosed(equation, shape, inputs, attributes)
            self.read = linearised(equation, values, inputs, attributes)
            self.values = values
        except (ZeroDivisionError, _NotEnclosed):  # a higher precision may enclose it; until then it is nan
            pass

    def push(self, along: Sequence[Array | None]) -> Array:
        """The motion of the solution when the inputs move ``along``."""
        if self.read is not None:
            try:
                moved = self.read.push([None if d is None else matrix_of(d) for d in along])
                return cells_of(-self.read.inverse.solve(moved), self.shape)
            except ZeroDivisionError:
                pass
        return _filled(self.shape, [arb("nan")] * self.values.size)

    def pull(self, g: Array) -> list[Array]:
        """For each input the gradient of the sum of ``g`` times solution."""
        if self.read is not None:
            try:
                weights = -self.read.inverse.adjoint(matrix_of(g))
                return [cells_of(m, x.shape) for m, x in zip(self.read.pull(weights), self.inputs, strict=True)]
            except ZeroDivisionError:
                pass
        return [_filled(x.shape, [arb("nan")] * x.size) for x in self.inputs]


class _NotEnclosed(Exception):
    """Interval Newton did not converge at this precision."""


def bind_integers(equation: Equation, inputs: Sequence[Array]) -> tuple[Equation, list[Array]]:
    """The equation with its integer and boolean inputs bound, which do not move, and the other inputs."""
    fixed = {k: x for k, x in enumerate(inputs) if x.size and all(isinstance(c, (bool, int)) for c in x.flat)}
    if not fixed:
        return equation, list(inputs)

    def among(function: Callable[..., Any] | None, before: int, known: dict[int, Any]) -> Any:
        def call(*arguments: Any, **attributes: Any) -> Any:
            rest = iter(arguments[before:])
            merged = [known[k] if k in known else next(rest) for k in range(len(inputs))]
            return function(*arguments[:before], *merged, **attributes) if function else None

        return call if function else None

    constants = {k: np.array(x.tolist()) for k, x in fixed.items()}
    bound = replace(
        equation,
        residual=among(equation.residual, 2, fixed),
        start=among(equation.start, 0, constants),
        positive=among(equation.positive, 2, fixed),
    )
    return bound, [x for k, x in enumerate(inputs) if k not in fixed]


def solver(equation: Equation, shape: tuple[int, ...], attributes: Attributes) -> Callable[[Sequence[Array]], Solution]:
    """The map from the inputs of an equation, in balls, to its solution."""
    return lambda inputs: Solution(equation, shape, inputs, attributes)


def _enclosed(equation: Equation, shape: tuple[int, ...], inputs: Sequence[Array], attributes: Attributes) -> Array:
    """An enclosure of the intended solution, for every input in these balls."""
    if not all(ball(x).is_finite() for array in inputs for x in array.flat):
        raise _NotEnclosed
    (start, step), box, triangle = _approximate(equation, shape, inputs, attributes), None, equation.triangle(attributes)
    if equation.start is None:
        box = _boxed(start, WIDE, triangle)
    elif all(arb(x).is_exact() for array in inputs for x in array.flat):
        box = _around(start, step, triangle)  # the last step had that size, and the next is far smaller
    at = linearised(equation, start, inputs, attributes)
    for _ in range(TRIES):
        if box is None:
            first = cells_of(at.inverse.solve(at.residual), shape)
            box = _around(start, _largest(first), triangle)
        inside = linearised(equation, box, inputs, attributes)
        moved = cells_of(inside.inverse.solve(at.residual), shape)
        image = _filled(shape, [x - d for x, d in zip(start.flat, moved.flat, strict=True)])
        if all(_within(x, y) for x, y in zip(image.flat, box.flat, strict=True)):
            _demand_intended(equation, image, inputs, attributes)
            return image
        if equation.start is None:
            break
        box = _boxed(start, arb(box.flat[0].rad()) * 8, triangle)
    raise _NotEnclosed


def _within(inner: arb, outer: arb) -> bool:
    if isinstance(outer, acb):
        return _within(acb(inner).real, outer.real) and _within(acb(inner).imag, outer.imag)
    if outer.is_zero():
        return bool(inner.is_zero())
    return bool(inner.is_finite() and inner.lower() > outer.lower() and inner.upper() < outer.upper())


def _demand_intended(equation: Equation, y: Array, inputs: Sequence[Array], attributes: Attributes) -> None:
    """Raises Undecided if the enclosed solution is not that of the definition."""
    for x in positive_of(equation, Balls(), y, inputs, attributes):
        if x <= 0:
            raise Undecided(f"the start leads to a solution of {equation.formula} that is not the intended one")
        if not x > 0:
            raise _NotEnclosed


def _approximate(
    equation: Equation, shape: tuple[int, ...], inputs: Sequence[Array], attributes: Attributes
) -> tuple[Array, arb]:
    """A solution for the centres of the inputs, as exact numbers, and the size of the last step to it: from the start in
    floats by Newton's method. For a linear equation 0, from where a single step is enough."""
    has_complex = any(isinstance(x, acb) for array in inputs for x in array.flat)
    zero = _filled(shape, [acb(0) if has_complex else arb(0)] * int(np.prod(shape, dtype=int)))
    if equation.start is None:
        return zero, WIDE
    centres = [_filled(x.shape, [arb(arb(b).mid()) for b in x.flat]) for x in inputs]
    try:
        floats = np.asarray(equation.start(*(_floats(x) for x in centres), **attributes), np.float64)
    except BaseException as error:  # a plugin's code, at inputs that need not have a solution
        reraise_own(error)
        raise _NotEnclosed from None
    if floats.shape != shape or not np.isfinite(floats).all():
        raise _NotEnclosed
    y = _filled(shape, [arb(x) for x in floats.ravel().tolist()])
    triangle = equation.triangle(attributes)
    if triangle is not NEITHER:
        y = np.where(_half(shape, triangle), y, zero)
    previous = arb("inf")
    for _ in range(STEPS):
        at = linearised(equation, y, centres, attributes)
        step = cells_of(at.inverse.solve(at.residual), shape)
        y = _filled(shape, [arb((a - b).mid()) for a, b in zip(y.flat, step.flat, strict=True)])
        size, scale = _largest(step), _largest(y)
        if not size.is_finite():
            raise _NotEnclosed
        if size <= scale * arb(2) ** (24 - ctx.prec) or (size >= previous and previous < scale / 2**20):
            break
        previous = size
    return y, size


def _largest(cells: Array) -> arb:
    return max((abs(x).upper() for x in cells.flat), key=float, default=arb(0))


def _around(y: Array, step: arb, triangle: Triangle) -> Array:
    """A box that holds the solution if ``step`` was a step of Newton's method towards it."""
    return _boxed(y, step * 4 + _largest(y) * arb(2) ** (8 - ctx.prec), triangle)


def _boxed(y: Array, radius: arb, triangle: Triangle) -> Array:
    box = _filled(y.shape, [_wide(x, radius.upper()) for x in y.flat])
    if triangle is not NEITHER:
        box = np.where(_half(y.shape, triangle), box, _filled(y.shape, [arb(0)] * y.size))
    return box


def _wide(x: arb, radius: arb) -> arb:
    """A ball around ``x``; around a complex number a square."""
    return acb(arb(x.real, radius), arb(x.imag, radius)) if isinstance(x, acb) else arb(x, radius)


def _half(shape: Sequence[int], triangle: Triangle) -> Array:
    """The mask of the elements of a triangular matrix that are not 0 by definition."""
    mask: Array = np.zeros(shape, bool)
    for at in cells((shape[0], shape[1]), triangle):
        mask[at] = True
    return mask


def _varying(tape: Tape, balls: Array) -> Array:
    return _filled(balls.shape, [tape.variable(arb(x)) for x in balls.flat])


def _floats(cells: Array) -> Array:
    return np.array([float(x) for x in cells.flat]).reshape(cells.shape)


def _filled(shape: Sequence[int], values: Sequence[Any]) -> Array:
    array: Array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(tuple(shape))


def _matrix(values: Sequence[Any], shape: tuple[int, int]) -> arb_mat:
    return matrix(*shape, values)
