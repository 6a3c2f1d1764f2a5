"""Inverses of the linear maps by which a residual moves with its unknown: of a product from both sides, of a triangular
product plus its transpose (both O(n³)), and of any other map of few unknowns.

Each inverse solves for all maps in the balls at once, so that its result contains every solution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Protocol

import numpy as np
from flint import acb_mat, arb, arb_mat

from gradproof.engine.implicit import LOWER, NEITHER, UPPER, Triangle
from gradproof.engine.verify.readings.matrices import Factor, NotInMatrices, Product, Scale, Slope, Term, Transpose, matrix

MAX_UNKNOWNS = 256  # of a map that has no structure: its matrix is written down

ONE = arb(1)
Cells = Sequence[tuple[int, int]]


class Inverse(Protocol):
    """The inverse of a linear map of matrices, and of its adjoint. Both raise ZeroDivisionError where the map has none."""

    def solve(self, r: arb_mat) -> arb_mat:
        """The matrix that the map takes to ``r``."""
        ...

    def adjoint(self, g: arb_mat) -> arb_mat:
        """The matrix that the adjoint map takes to ``g``."""
        ...


def inverse_of(terms: Sequence[Term], shape: tuple[int, int], triangle: Triangle) -> Inverse:
    """The inverse of the sum of ``terms`` on matrices of ``shape``, or on the triangular ones of them. Raises NotInMatrices
    if no method applies."""
    chains = [_chain(term) for term in terms]
    if len(chains) == 1 and chains[0] is not None and triangle is NEITHER:
        return Sandwich(chains[0])
    half = _halves(chains, triangle)
    if half is not None:
        return half
    places = cells(shape, triangle)
    check_count(places)
    return Dense(lambda: _written(terms, shape, places), shape, places)


def _halves(chains: Sequence[Chain | None], triangle: Triangle) -> Halves | Transposed | None:
    """The inverse of a triangular product plus its transpose; None for any other map."""
    pair = [chain for chain in chains if chain is not None]
    if len(pair) != 2 or len(chains) != 2 or triangle is NEITHER:
        return None
    first, second = pair if triangle is LOWER else (chain.of_transposed for chain in pair)
    if not first.mirrors(second):
        return None
    lower = Halves(second if first.is_transposed else first)
    return lower if triangle is LOWER else Transposed(lower)


def _written(terms: Sequence[Term], shape: tuple[int, int], places: Cells) -> arb_mat:
    """A linear map as a matrix over its unknowns."""
    columns = []
    for place in places:
        unit = arb_mat(*shape)
        unit[place] = arb(1)
        moved = reduce(lambda x, y: x + y, (term.apply(unit) for term in terms), arb_mat(*shape))
        columns.append([moved[at] for at in places])
    return matrix(len(places), len(places), [x for row in zip(*columns, strict=True) for x in row])


def check_count(places: Cells) -> None:
    """Raises NotInMatrices if the unknowns are too many for a map without structure."""
    if len(places) > MAX_UNKNOWNS:
        raise NotInMatrices(f"{len(places)} unknowns depend on each other; {MAX_UNKNOWNS} are solved for at most")


def cells(shape: tuple[int, int], triangle: Triangle) -> Cells:
    """The places of the unknowns."""
    below, above = triangle is not UPPER, triangle is not LOWER
    return [(r, c) for r, c in np.ndindex(shape) if r == c or (below if r > c else above)]


@dataclass(frozen=True)
class Chain:
    """The map Δ ↦ c P Δ Q (``is_transposed``: of Δᵀ), P and Q products of factors."""

    lefts: tuple[Factor, ...] = ()
    rights: tuple[Factor, ...] = ()
    number: arb = ONE
    is_transposed: bool = False

    @property
    def mirrored(self) -> Chain:
        """The map to the transposed result."""
        lefts, rights = (tuple(factor.transposed for factor in reversed(side)) for side in (self.rights, self.lefts))
        return Chain(lefts, rights, self.number, not self.is_transposed)

    @property
    def of_transposed(self) -> Chain:
        """The same map, as a map of the transposed matrix."""
        return replace(self, is_transposed=not self.is_transposed)

    def mirrors(self, other: Chain) -> bool:
        """True if both give transposes of each other, for any matrices in the balls of their factors."""
        mirrored = self.mirrored
        pairs = [*zip(mirrored.lefts, other.lefts), *zip(mirrored.rights, other.rights)]
        alike = len(mirrored.lefts) == len(other.lefts) and len(mirrored.rights) == len(other.rights)
        exact = self.number.is_exact() and bool(self.number == other.number)
        return alike and exact and mirrored.is_transposed == other.is_transposed and all(a.same(b) for a, b in pairs)


def _chain(term: Term) -> Chain | None:
    """A term as a single product from both sides; None if it is no such product, or if two factors of it vary: the mean
    of such products is no product of means."""
    if sum(step.varying for step in term.steps) > 1:
        return None
    chain = Chain()
    for step in term.steps:
        match step:
            case Product(factor, True):
                chain = Chain((factor, *chain.lefts), chain.rights, chain.number, chain.is_transposed)
            case Product(factor):
                chain = Chain(chain.lefts, (*chain.rights, factor), chain.number, chain.is_transposed)
            case Transpose():
                chain = chain.mirrored
            case Scale(number):
                chain = Chain(chain.lefts, chain.rights, chain.number * number, chain.is_transposed)
            case Slope():
                return None
    return chain


def _product(factors: Sequence[Factor]) -> arb_mat | None:
    """The product of all factors; None for no factors, which is the identity."""
    return reduce(lambda x, y: x * y, (factor.now for factor in factors)) if factors else None


class Sandwich:
    """The inverse of P Δ Q = R."""

    def __init__(self, chain: Chain) -> None:
        self.left, self.right = _product(chain.lefts), _product(chain.rights)
        self.number, self.is_transposed = chain.number, chain.is_transposed

    def solve(self, r: arb_mat) -> arb_mat:
        d = _right(self.right, _left(self.left, r / self.number))
        return d.transpose() if self.is_transposed else d

    def adjoint(self, g: arb_mat) -> arb_mat:
        g = g.transpose() if self.is_transposed else g
        return _right(_transposed(self.right), _left(_transposed(self.left), g / self.number))


def _transposed(a: arb_mat | None) -> arb_mat | None:
    return None if a is None else a.transpose()


def _left(a: arb_mat | None, r: arb_mat) -> arb_mat:
    """a⁻¹ r."""
    if a is None:
        return r
    return (acb_mat(a) if isinstance(r, acb_mat) else a).solve(r)


def _right(a: arb_mat | None, r: arb_mat) -> arb_mat:
    """r a⁻¹."""
    return r if a is None else _left(a.transpose(), r.transpose()).transpose()


class Halves:
    """The inverse of P Δ Q + (P Δ Q)ᵀ = R for triangular Δ, where only the lower half of R counts, P is lower and Q upper
    triangular.

    With Z = Q⁻ᵀ P Δ, which is lower triangular, the equation is Z + Zᵀ = Q⁻ᵀ R Q⁻¹: Z is the lower half of the right
    side, with half of the diagonal (as in the derivative of a Cholesky factor, Murray, arXiv:1602.07527).
    """

    def __init__(self, chain: Chain) -> None:
        self.left, self.right = _product(chain.lefts), _product(chain.rights)
        self.number = chain.number
        lower = _transposed(self.right)
        for factor in (self.left, lower):
            if factor is not None and any(
                not factor[r, c].is_zero() for r in range(factor.nrows()) for c in range(r + 1, factor.ncols())
            ):
                raise NotInMatrices("the factors around the unknown are not triangular")

    def solve(self, r: arb_mat) -> arb_mat:
        half = _map(r / self.number, lambda x, i, j: x[i, j] if i >= j else x[j, i])
        z = _halved(_right(self.right, _left(_transposed(self.right), half)))
        return _lower(_left(self.left, z if self.right is None else self.right.transpose() * z))

    def adjoint(self, g: arb_mat) -> arb_mat:
        z = _left(_transposed(self.left), _lower(g))
        w = _halved(z if self.right is None else self.right * z)
        w = _left(self.right, _right(_transposed(self.right), w))
        return _map(w / self.number, lambda x, i, j: x[i, j] + x[j, i] if i > j else x[i, j] if i == j else arb(0))


class Transposed:
    """The inverse on upper triangular matrices, by ``lower``, the inverse of the map of their transposes, whose result is
    transposed to itself: its upper half is its lower half."""

    def __init__(self, lower: Halves) -> None:
        self.lower = lower

    def solve(self, r: arb_mat) -> arb_mat:
        return self.lower.solve(r.transpose()).transpose()

    def adjoint(self, g: arb_mat) -> arb_mat:
        return self.lower.adjoint(g.transpose()).transpose()


def _map(x: arb_mat, at: Callable[[arb_mat, int, int], arb]) -> arb_mat:
    return matrix(x.nrows(), x.ncols(), [at(x, i, j) for i in range(x.nrows()) for j in range(x.ncols())])


def _lower(x: arb_mat) -> arb_mat:
    return _map(x, lambda x, i, j: x[i, j] if i >= j else arb(0))


def _halved(x: arb_mat) -> arb_mat:
    """The lower half, with half of the diagonal."""
    return _map(x, lambda x, i, j: x[i, j] if i > j else x[i, j] / 2 if i == j else arb(0))


class Dense:
    """The inverse of any linear map, as a matrix over its unknowns, which is written when it is needed."""

    def __init__(self, write: Callable[[], arb_mat], shape: tuple[int, int], places: Cells) -> None:
        self.write, self.shape, self.places = write, shape, places

    @cached_property
    def matrix(self) -> arb_mat:
        """The matrix of the map over its unknowns."""
        return self.write()

    def solve(self, r: arb_mat) -> arb_mat:
        return self._solved(self.matrix, r)

    def adjoint(self, g: arb_mat) -> arb_mat:
        return self._solved(self.matrix.transpose(), g)

    def _solved(self, square: arb_mat, r: arb_mat) -> arb_mat:
        solution = _left(square, matrix(len(self.places), 1, [r[at] for at in self.places]))
        result = type(solution)(*self.shape)
        for at, x in zip(self.places, solution.entries(), strict=True):
            result[at] = x
        return result
