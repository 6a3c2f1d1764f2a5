"""Implicit definitions: what an op computes, said by an equation instead of a formula.

    Equation("A X = B", lambda f, x, a, b: a @ x - b)

The text is read in several ways: as the proof of a rule, by differentiating it; in balls, for an enclosure of the one
solution; to first order, for true contributions and the whole graph. None of them has a formula of the solution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Equation:
    """The equation F(y; x) = 0 that defines the only output y of an op, as its ``define``.

    The residual is of as many numbers as y. Of an op with ``infer`` the last two axes of y and of each input, or fewer
    where an input has fewer, belong to one equation, and the axes before them are a stack of equations. Of an elementwise
    op each element is an equation. Written with ``+ - @ .T`` and numbers, and `f.eye`, `f.det` and `f.cofactors`, the
    residual is read in whole matrices: `a @ x - b`, `x @ a - b`, or of a triangular y `y @ y.T - s`, cost O(n³). All else
    (products of elements, functions, `a @ x + x @ b`) is read number by number, and solved for up to
    `equations.MAX_UNKNOWNS` unknowns.

    Args:
        formula: what it is, for people: ``A X = B``.
        residual: ``(f, y, *inputs, **attributes) -> F``, of y's shape; over the function table ``f`` and arrays of scalars.
        start: ``(*arrays, **attributes) -> y``, an approximation of the solution in float64, for one equation. Its digits
            are not trusted: what is found from it is enclosed, and shown to be a solution; without ``positive`` that is the
            one that is meant. None: the residual is linear in y.
        positive: ``(f, y, *inputs, **attributes)``: numbers that are positive at the solution that is meant, and not all of
            them at any other. Trusted, as a definition is.
        triangular: y is lower triangular: above its diagonal it is 0, and the residual counts on and below it only.
    """

    formula: str
    residual: Callable[..., Any]
    start: Callable[..., Any] | None = None
    positive: Callable[..., Any] | None = None
    triangular: bool = False


@dataclass(frozen=True)
class Parametrisation:
    """Free numbers from which the inputs and the outputs of an implicit op follow by plain formulas: its proof is made in
    them. A Cholesky factor has roots in roots; that of L Lᵀ is L.

    Args:
        formula: what it is, for people: ``A = L Lᵀ + K``.
        point: ``(f, free, *inputs, **attributes) -> (inputs, outputs)``: tuples of object arrays over the function table
            ``f`` (see `SYMBOLIC`). ``free(name, domain)`` is a free number, a different one for each name; they must be as
            many as the elements of the inputs. ``inputs`` are specs, and, where an input is integer or boolean, its
            concrete array, which is to be returned as it is.
    """

    formula: str
    point: Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]
