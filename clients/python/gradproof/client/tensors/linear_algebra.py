"""Linear algebra by the names of PyTorch: functions that no method of tensors has."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TypeVar, cast

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import axis_of, first
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)


def solve(A: TensorT, B: Operand, *, left: bool = True) -> TensorT:
    """The solution X of A X = B (of X A = B unless ``left``), for matrices A (..., n, n) and a vector or matrices B;
    B of the shape (..., n) of A without its last axis is a stack of vectors.

    Follows torch.linalg.solve and Array API linalg.solve. Raises InvalidRequest if the shapes do not fit; DataFault, when
    the value is computed, for a singular matrix.
    """
    first(A, "solve")
    if left and A.ndim > 2 and (B.shape if isinstance(B, Tensor) else np.shape(B)) == A.shape[:-1]:  # type: ignore[arg-type]
        return apply("squeeze", apply("solve", A, apply("expand_dims", cast("Tensor", B), axis=-1)), axis=-1)
    if left:
        return apply("solve", A, B)
    transposed = apply("matrix_transpose", B) if isinstance(B, Tensor) else cast("Tensor", B)
    return apply("matrix_transpose", apply("solve", A.mT, transposed))


def cholesky(A: TensorT, *, upper: bool = False) -> TensorT:
    """The lower triangular L with A = L Lᵀ, or the upper Lᵀ, of positive definite matrices (..., n, n).

    Follows torch.linalg.cholesky and Array API linalg.cholesky. Raises InvalidRequest if the matrices are not square;
    DataFault, when the value is computed, if one is not positive definite.
    """
    return apply("cholesky", first(A, "cholesky"), upper=upper)


def multi_dot(tensors: Sequence[TensorT]) -> TensorT:
    """The product of two or more matrices, of which the first and the last may be vectors. Follows torch.linalg.multi_dot.

    The order is that of writing, from the left. Raises RuntimeError for fewer than two, InvalidRequest if sizes do not fit.
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {len(tensors)}")
    return reduce(lambda product, factor: product.matmul(factor), tensors)


def vecdot(x: TensorT, y: Operand, *, dim: int = -1) -> TensorT:
    """The inner products along ``dim``, Σ conj(x) y. Shapes broadcast.

    Follows torch.linalg.vecdot and Array API linalg.vecdot. Raises RuntimeError if shapes do not broadcast, IndexError for
    an axis out of range.
    """
    product = apply("multiply", first(x, "vecdot").conj(), y)
    return apply("sum", product, axis=axis_of(product, dim) if product.ndim else None)


def tensordot(a: TensorT, b: Tensor, dims: int | Sequence[Sequence[int]] = 2) -> TensorT:
    """The sums of products over pairs of axes: the last of ``a`` and the first of ``b``, as many as ``dims``, or those that
    two lists name. Follows torch.tensordot and Array API tensordot.

    Raises RuntimeError if their sizes differ.
    """
    if isinstance(dims, int):
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    inner = [axis_of(a, dim) for dim in dims[0]], [axis_of(b, dim) for dim in dims[1]]
    free = [k for k in range(a.ndim) if k not in inner[0]], [k for k in range(b.ndim) if k not in inner[1]]
    sizes = [a.shape[k] for k in inner[0]]
    if sizes != [b.shape[k] for k in inner[1]]:
        raise RuntimeError(
            f"contracted dimensions need to match, but first has sizes {sizes} and second {[b.shape[k] for k in inner[1]]}"
        )
    count = int(np.prod(sizes, dtype=int))
    rows = a.permute([*free[0], *inner[0]]).reshape(a.numel() // max(count, 1), count)
    columns = b.permute([*inner[1], *free[1]]).reshape(count, b.numel() // max(count, 1))
    return rows.matmul(columns).reshape([*(a.shape[k] for k in free[0]), *(b.shape[k] for k in free[1])])
