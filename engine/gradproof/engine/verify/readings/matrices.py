"""Equations read in whole matrices: a matrix, and the linear maps by which it moves with the unknown and with the inputs.

``A X`` moves with X by Δ ↦ A Δ, and with A by Δ ↦ Δ X: each term of a derivative is a chain of such steps, which is
applied, or transposed and applied, in a few matrix products. No matrix of the size n² x n² is ever written.

Matrices of complex balls are read alike: a residual of these operations is holomorphic, and so is its solution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from flint import acb, acb_mat, arb, arb_mat, fmpq

from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.determinants import Line, determinant_and_cofactors

UNKNOWN = 0  # among the variables: the inputs are 1, 2, ...


class NotInMatrices(Exception):
    """A residual uses operations other than sums and products of matrices, or an unknown cannot be isolated in it."""


@dataclass(frozen=True, eq=False)
class Factor:
    """A matrix, or its transpose. Two factors are the same if they hold the same object: equal balls may hold different
    matrices."""

    matrix: arb_mat
    is_transposed: bool = False

    @property
    def now(self) -> arb_mat:
        """The matrix, transposed if the factor is."""
        return self.matrix.transpose() if self.is_transposed else self.matrix

    @property
    def transposed(self) -> Factor:
        return Factor(self.matrix, not self.is_transposed)

    def same(self, other: Factor) -> bool:
        """True if both are the same matrix, transposed alike."""
        return self.matrix is other.matrix and self.is_transposed == other.is_transposed


@dataclass(frozen=True)
class Product:
    """Δ ↦ F Δ, or Δ F. ``varying``: F depends on the unknown."""

    factor: Factor
    left: bool
    varying: bool

    def apply(self, d: arb_mat) -> arb_mat:
        return self.factor.now * d if self.left else d * self.factor.now

    def adjoint(self, g: arb_mat) -> arb_mat:
        return self.factor.transposed.now * g if self.left else g * self.factor.transposed.now


@dataclass(frozen=True)
class Transpose:
    """Δ ↦ Δᵀ."""

    varying: bool = False

    def apply(self, d: arb_mat) -> arb_mat:
        return d.transpose()

    adjoint = apply


@dataclass(frozen=True)
class Scale:
    """Δ ↦ c Δ."""

    number: arb
    varying: bool = False

    def apply(self, d: arb_mat) -> arb_mat:
        return d * self.number

    adjoint = apply


@dataclass(frozen=True)
class Slope:
    """The derivative of a function of a matrix, as two maps."""

    push: Callable[[arb_mat], arb_mat]
    pull: Callable[[arb_mat], arb_mat]
    varying: bool

    def apply(self, d: arb_mat) -> arb_mat:
        return self.push(d)

    def adjoint(self, g: arb_mat) -> arb_mat:
        return self.pull(g)


Step: TypeAlias = Product | Transpose | Scale | Slope


@dataclass(frozen=True)
class Term:
    """A term of a derivative: the variable that moves, and the steps from its motion to that of the result."""

    variable: int
    steps: tuple[Step, ...] = ()

    def then(self, *steps: Step) -> Term:
        """The term followed by further steps."""
        return replace(self, steps=(*self.steps, *steps))

    def apply(self, d: arb_mat) -> arb_mat:
        """The motion of the result for a motion of the variable."""
        return reduce(lambda x, step: step.apply(x), self.steps, d)

    def adjoint(self, g: arb_mat) -> arb_mat:
        """The gradient of the variable for a cotangent of the result."""
        return reduce(lambda x, step: step.adjoint(x), reversed(self.steps), g)


class Moving:
    """A matrix in a residual, of ``shape`` () (n,) or (n, m): its enclosure, and the terms of its derivative."""

    __array_ufunc__ = None

    def __init__(self, value: Factor, shape: tuple[int, ...], terms: Iterable[Term] = ()) -> None:
        self.value, self.shape, self.terms = value, shape, tuple(terms)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def varying(self) -> bool:
        """True if the matrix depends on the unknown."""
        return any(term.variable == UNKNOWN for term in self.terms)

    def __getattr__(self, name: str) -> Any:
        raise NotInMatrices(f"{name} is no operation of whole matrices")

    @property
    def T(self) -> Moving:
        if self.ndim != 2:
            raise NotInMatrices("only a matrix has a transpose")
        return Moving(self.value.transposed, self.shape[::-1], (term.then(Transpose()) for term in self.terms))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Any:
        raise NotInMatrices("elements are not whole matrices")

    __getitem__ = __iter__

    def __neg__(self) -> Moving:
        return self * -1

    def __add__(self, other: Any) -> Moving:
        addend = moving(other)
        if addend.shape != self.shape:
            raise NotInMatrices("a sum of matrices of different shapes")
        return Moving(Factor(self.value.now + addend.value.now), self.shape, (*self.terms, *addend.terms))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Moving:
        return self + -moving(other)

    def __rsub__(self, other: Any) -> Moving:
        return moving(other) + -self

    def __mul__(self, other: Any) -> Moving:
        if not isinstance(other, (int, float, Fraction, arb)):
            raise NotInMatrices("a product of elements")
        number = arb(fmpq(*Fraction(other).as_integer_ratio())) if not isinstance(other, arb) else other
        return Moving(Factor(self.value.now * number), self.shape, (term.then(Scale(number)) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Moving:
        if not isinstance(other, (int, float, Fraction, arb)):
            raise NotInMatrices("a quotient of elements")
        return self * (1 / (other if isinstance(other, arb) else Fraction(other)))

    def __matmul__(self, other: Any) -> Moving:
        right = moving(other)
        if self.ndim != 2 or not right.ndim or self.shape[1] != right.shape[0]:
            raise NotInMatrices(f"a product of shapes {self.shape} and {right.shape}")
        left_terms = (term.then(Product(right.value, False, right.varying)) for term in self.terms)
        right_terms = (term.then(Product(self.value, True, self.varying)) for term in right.terms)
        shape = (self.shape[0], *right.shape[1:])
        return Moving(Factor(self.value.now * right.value.now), shape, (*left_terms, *right_terms))

    def __rmatmul__(self, other: Any) -> Moving:
        return moving(other) @ self


def moving(x: Any) -> Moving:
    """``x``, or an array of exact numbers that does not move."""
    if isinstance(x, Moving):
        return x
    if not isinstance(x, np.ndarray) or x.ndim > 2:
        raise NotInMatrices("a number beside a matrix")
    return Moving(Factor(matrix_of(x)), x.shape)


class Matrices:
    """The reading of a residual in whole matrices."""

    def __getattr__(self, name: str) -> Any:
        raise NotInMatrices(f"{name} is a function of numbers")

    def number(self, value: Any) -> arb:
        return arb(fmpq(*Fraction(value).as_integer_ratio()))

    def eye(self, n: int) -> Array:
        return np.eye(n, dtype=int).astype(object)

    def cofactors(self, a: Any) -> Moving:
        """The matrix of cofactors: the gradient of the determinant. Its derivative is therefore a symmetric map."""
        square, fixed = moving(a), Line(moving(a).value.now)

        def along(d: arb_mat) -> arb_mat:
            return determinant_and_cofactors(Line(fixed.value, d))[1].slope

        slope = Slope(along, along, square.varying)
        return Moving(
            Factor(determinant_and_cofactors(fixed)[1].value), square.shape, (term.then(slope) for term in square.terms)
        )

    def det(self, a: Any) -> Moving:
        """The determinant; its gradient is the matrix of cofactors, of singular matrices too."""
        square = moving(a)
        whole, line = determinant_and_cofactors(Line(square.value.now))
        gradient = line.value

        def push(d: arb_mat) -> arb_mat:
            return matrix(1, 1, [sum((x * y for x, y in zip(d.entries(), gradient.entries(), strict=True)), arb(0))])

        slope = Slope(push, lambda g: gradient * g[0, 0], square.varying)
        return Moving(Factor(matrix(1, 1, [whole[0]])), (), (term.then(slope) for term in square.terms))


def matrix_of(cells: Array) -> arb_mat:
    """An array as a matrix: of other than two axes as a column of its elements."""
    rows, columns = cells.shape if cells.ndim == 2 else (cells.size, 1)
    return matrix(rows, columns, cells.flat)


def matrix(rows: int, columns: int, values: Iterable[Any]) -> arb_mat:
    """The matrix of ``values``, row by row: of complex balls if any value is complex."""
    balls = [ball(x) for x in values]
    kind: Any = acb_mat if any(isinstance(x, acb) for x in balls) else arb_mat
    result: arb_mat = kind(rows, columns, balls)
    return result


def ball(x: Any) -> arb:
    """A number as a ball, real or complex."""
    result: arb = x if isinstance(x, acb) else arb(x)  # type: ignore[assignment]
    return result


def cells_of(matrix: arb_mat, shape: Sequence[int]) -> Array:
    """The elements of a matrix as an array of ``shape``."""
    cells: Array = np.empty(matrix.nrows() * matrix.ncols(), object)
    cells[:] = matrix.entries()
    return cells.reshape(tuple(shape))
