"""Linear algebra, with the signatures of the Array API standard."""
# ruff: noqa: A002 - arguments have the names of the standard

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from gradproof.client.builtin_ops import det, inv, matmul, matrix_transpose, solve
from gradproof.client.recording.apply import apply
from gradproof.client.tensors import linear_algebra
from gradproof.client.tensors.signatures import DTypeLike, Operand
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
    "matrix_transpose",
    "outer",
    "solve",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def cholesky(x: TensorT, /, *, upper: bool = False) -> TensorT:
    """The triangular factor of positive definite matrices (..., n, n). Follows Array API linalg.cholesky.

    Raises DataFault, when the value is computed, if a matrix is not positive definite.
    """
    return linear_algebra.cholesky(x, upper=upper)


def cross(x1: TensorT, x2: Tensor, /, *, axis: int = -1) -> TensorT:
    """The cross products of vectors of size 3 along an axis. Raises RuntimeError for other sizes.

    Follows Array API linalg.cross.
    """
    return x1.cross(x2, axis)


def diagonal(x: TensorT, /, *, offset: int = 0) -> TensorT:
    """A diagonal of matrices (..., n, m). Follows Array API linalg.diagonal."""
    return apply("diagonal", x, offset=offset, axis1=-2, axis2=-1)


def matrix_norm(x: TensorT, /, *, keepdims: bool = False, ord: float | str = "fro") -> TensorT:
    """The norms of matrices (..., n, m): Frobenius ("fro"), 1, -1, inf and -inf. Follows Array API linalg.matrix_norm.

    Raises InvalidRequest for the orders of singular values.
    """
    return apply("matrix_norm", x, ord=ord, axis=(-2, -1), keepdims=keepdims)


def matrix_power(x: TensorT, n: int, /) -> TensorT:
    """The powers of matrices (..., k, k), of their inverses for a negative ``n``. Follows Array API linalg.matrix_power."""
    return x.matrix_power(n)


def outer(x1: TensorT, x2: Tensor, /) -> TensorT:
    """The products of all pairs of elements of two vectors (n,) and (m,); (n, m). Follows Array API linalg.outer."""
    return x1.outer(x2)


def tensordot(x1: TensorT, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> TensorT:
    """The sums of products over pairs of axes. Raises RuntimeError if their sizes differ. Follows Array API tensordot."""
    return linear_algebra.tensordot(x1, x2, axes)


def trace(x: TensorT, /, *, offset: int = 0, dtype: DTypeLike | None = None) -> TensorT:
    """The sums of a diagonal of matrices (..., n, m). Follows Array API linalg.trace."""
    return apply("trace", x, offset=offset, dtype=dtype)


def vecdot(x1: TensorT, x2: Operand, /, *, axis: int = -1) -> TensorT:
    """The inner products along an axis, Σ conj(x1) x2. Shapes broadcast. Follows Array API vecdot."""
    return linear_algebra.vecdot(x1, x2, dim=axis)


def vector_norm(
    x: TensorT,
    /,
    *,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> TensorT:
    """The norm of order ``ord`` of the elements over all axes, or over some. Follows Array API linalg.vector_norm."""
    return apply("vector_norm", x, ord=ord, axis=axis, keepdims=keepdims)
