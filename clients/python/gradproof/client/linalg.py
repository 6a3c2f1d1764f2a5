"""Linear algebra, by the names of `torch.linalg`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A002 - functions and their arguments are those of PyTorch

from __future__ import annotations

from typing import TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axes_of, first
from gradproof.client.tensors.linear_algebra import cholesky, multi_dot, solve, solve_triangular, vecdot
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "solve",
    "solve_triangular",
    "vecdot",
    "vector_norm",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def cross(input: TensorT, other: Recorded, dim: int = -1) -> TensorT:
    """The cross products of vectors of size 3 along ``dim``. Shapes broadcast.

    Follows torch.linalg.cross. Raises RuntimeError if a size along ``dim`` is not 3.
    """
    return first(input, "cross").cross(other, dim)


def det(input: TensorT) -> TensorT:
    """The determinants of matrices (..., n, n), of shape (...). Follows torch.linalg.det.

    Raises InvalidRequest if the matrices are not square.
    """
    return first(input, "det").det()


def diagonal(A: TensorT, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> TensorT:
    """A diagonal of matrices. Raises IndexError for an axis out of range. Follows torch.linalg.diagonal."""
    return apply("diagonal", first(A, "diagonal"), offset=offset, axis1=dim1, axis2=dim2)


def inv(input: TensorT) -> TensorT:
    """The inverses of matrices (..., n, n). Follows torch.linalg.inv.

    Raises InvalidRequest if the matrices are not square; DataFault, when the value is computed, for a singular matrix.
    """
    return first(input, "inv").inverse()


def matmul(input: TensorT, other: Operand) -> TensorT:
    """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.linalg.matmul.
    """
    return apply("matmul", first(input, "matmul"), other)


def matrix_norm(
    A: TensorT,
    ord: float | str = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The norms of matrices along the axes ``dim``: Frobenius, or the largest or smallest sum of a column (1, -1) or
    of a row (inf, -inf).

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.linalg.matrix_norm.
    """
    return apply(
        "matrix_norm",
        first(A, "matrix_norm") if dtype is None else A.to(dtype),
        ord=ord,
        axis=axes_of(A, dim),
        keepdims=keepdim,
    )


def matrix_power(input: TensorT, n: int) -> TensorT:
    """The powers of matrices (..., k, k), of their inverses if ``n`` is negative.

    Follows torch.linalg.matrix_power.
    """
    return first(input, "matrix_power").matrix_power(n)


def norm(
    A: TensorT, ord: float | str | None = None, dim: Axes = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> TensorT:
    """The norm of vectors along an axis ``dim``, or of matrices along two; without ``dim`` that of a vector or matrix,
    and without ``ord`` that of all elements.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.linalg.norm.
    """
    return apply(
        "norm", first(A, "norm") if dtype is None else A.to(dtype), ord=ord, axis=axes_of(A, dim), keepdims=keepdim
    )


def vector_norm(
    x: TensorT, ord: float = 2, dim: Axes = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> TensorT:
    """The norm of order ``ord`` of the elements over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.linalg.vector_norm.
    """
    return apply("vector_norm", first(x, "vector_norm"), ord=ord, axis=axes_of(x, dim), keepdims=keepdim, dtype=dtype)
