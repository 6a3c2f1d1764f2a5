"""Implicit definitions: the result of an op, defined by an equation instead of a formula.

    Equation("A X = B", lambda f, x, a, b: a @ x - b)

The equation is read in several ways: for the proof of a rule, by differentiating it; in balls, for an enclosure of the
solution; to first order, for true contributions and the whole graph. None of them needs a formula of the solution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Triangle(StrEnum):
    """The half of a matrix that is not 0 by definition."""

    NEITHER = "neither triangle"
    LOWER = "the lower triangle"
    UPPER = "the upper triangle"


NEITHER: Final = Triangle.NEITHER
LOWER: Final = Triangle.LOWER
UPPER: Final = Triangle.UPPER


@dataclass(frozen=True)
class Equation:
    """The equation F(y; x) = 0 that defines the only output y of an op, as its ``define``.

    The residual has as many numbers as y. For an op with ``infer`` the last two axes of y and of each input, or fewer
    where an input has fewer, belong to an equation, and the axes before them are a stack of equations. For an elementwise
    op each element is an equation. Written with ``+ - @ .T`` and numbers, and `f.eye`, `f.det` and `f.cofactors`, the
    residual is read in whole matrices: `a @ x - b`, `x @ a - b`, or for a triangular y `y @ y.T - s`, cost O(n³). Anything
    else (products of elements, functions, `a @ x + x @ b`) is read number by number, and solved for up to
    `equations.MAX_UNKNOWNS` unknowns.

    Args:
        formula: the equation as people write it: ``A X = B``.
        residual: ``(f, y, *inputs, **attributes) -> F``, of y's shape; over the function table ``f`` and arrays of scalars.
        start: ``(*arrays, **attributes) -> y``, an approximation of the solution in float64, for a single equation. Its
            digits are not trusted: the solution near it is enclosed, and shown to be a solution; without ``positive`` that
            is the solution that the op computes. None: the residual is linear in y.
        positive: ``(f, y, *inputs, **attributes)``: numbers that are positive at the solution that the op computes, and not
            all of them at any other solution. Trusted, as a definition is.
        triangular: the half of the matrix y that is not 0 by definition, where the residual counts: LOWER or UPPER; or
            ``(**attributes) -> half``. NEITHER: all of it.
    """

    formula: str
    residual: Callable[..., Any]
    start: Callable[..., Any] | None = None
    positive: Callable[..., Any] | None = None
    triangular: Triangle | Callable[..., Triangle] = NEITHER

    def triangle(self, attributes: Mapping[str, Any]) -> Triangle:
        """The half of y that is not 0 by definition."""
        return self.triangular if isinstance(self.triangular, Triangle) else self.triangular(**attributes)


@dataclass(frozen=True)
class Parametrisation:
    """Parametrisation of an implicit op: free numbers from which its inputs and outputs follow by plain formulas. Its proof
    is made in them. A Cholesky factor has roots in roots; that of L Lᵀ is L.

    Args:
        formula: the parametrisation as people write it: ``A = L Lᵀ + K``.
        point: ``(f, free, *inputs, **attributes) -> (inputs, outputs)``: tuples of object arrays over the function table
            ``f`` (see `SYMBOLIC`). ``free(name, domain)`` is a free number, a different number for each name; they must be
            as many as the elements of the inputs. ``inputs`` are specs, and, where an input is integer or boolean, its
            concrete array, which is returned as it is.
    """

    formula: str
    point: Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]
