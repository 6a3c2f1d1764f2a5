"""Linear algebra by the names of PyTorch: functions that no method of tensors has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from string import ascii_lowercase, ascii_uppercase
from types import EllipsisType
from typing import Any, TypeAlias, TypeVar, cast, overload

import numpy as np

from gradproof.client.recording.apply import apply, apply_as
from gradproof.client.tensors.arguments import axis_of, first
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)
Sublist: TypeAlias = Sequence[int | EllipsisType]
"""The labels of the axes of an operand of `einsum`: integers from 0 to 51, and ``...``."""


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


def solve_triangular(A: TensorT, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> TensorT:
    """The solution X of A X = B (of X A = B unless ``left``) for the upper or lower triangles of matrices A (..., n, n) and
    matrices B; the other half of A is not looked at, nor is its diagonal if ``unitriangular``, where it counts as ones.

    Follows torch.linalg.solve_triangular. Raises RuntimeError if A is not square, or if the shapes do not fit; DataFault,
    when the value is computed, for a 0 on the diagonal.
    """
    if min(first(A, "solve_triangular").ndim, B.ndim) < 2:
        raise RuntimeError(
            f"linalg.solve_triangular: A and B must be matrices, or stacks of them, not {A.shape} and {B.shape}"
        )
    if A.shape[-2] != A.shape[-1]:
        raise RuntimeError(
            "linalg.solve_triangular: A must be batches of square matrices, but they are "
            f"{A.shape[-2]} by {A.shape[-1]} matrices"
        )
    half = apply("triu", A, k=int(unitriangular)) if upper else apply("tril", A, k=-int(unitriangular))
    return solve(half + np.eye(A.shape[-1], dtype=A.dtype) if unitriangular else half, B, left=left)


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
    outer = [a.shape[k] for k in free[0]], [b.shape[k] for k in free[1]]
    count = math.prod(sizes)
    rows = a.permute([*free[0], *inner[0]]).reshape(math.prod(outer[0]), count)
    columns = b.permute([*inner[1], *free[1]]).reshape(count, math.prod(outer[1]))
    return rows.matmul(columns).reshape([*outer[0], *outer[1]])


@overload
def einsum(equation: str, /, *operands: Operand | Sequence[Operand]) -> Tensor: ...
@overload
def einsum(operand: Operand, sublist: Sublist, /, *rest: Operand | Sublist) -> Tensor: ...
def einsum(*args: Any) -> Tensor:
    """The sums of products over axes that letters name: ``einsum("ij,jk->ik", a, b)`` is ``a @ b``.

    A letter that is repeated takes a diagonal; ``...`` stands for axes that broadcast; without ``->`` the result has the
    axes behind ``...`` and those whose letter appears once, in alphabetical order. Axes of size 1 are repeated. Three
    operands or more are multiplied by pairs, in the order that `numpy.einsum_path` finds.

    Also ``einsum(a, [0, 1], b, [1, 2], [0, 2])``, with numbers in place of letters. Follows torch.einsum. Raises
    RuntimeError for an equation that does not fit the operands, ValueError without operands and for numbers from 52 on.
    """
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one operand and its "
            "subscripts list"
        )
    if isinstance(args[0], str):
        equation, operands = args[0], args[1:]
        if (
            len(operands) == 1
            and isinstance(operands[0], (list, tuple))
            and any(isinstance(x, Tensor) for x in operands[0])
        ):
            operands = tuple(operands[0])
    else:
        pairs = len(args) // 2
        operands, sublists = args[: 2 * pairs : 2], args[1 : 2 * pairs : 2]
        equation = ",".join(map(_letters, sublists))
        if len(args) % 2:
            equation += f"->{_letters(args[-1])}"
    return apply_as(Tensor, "einsum", *operands, subscripts=equation)[0]


def _letters(sublist: Sublist) -> str:
    """Labels in place of numbers, in the same order."""
    if not all(label is ... or 0 <= label < len(_LABELS) for label in sublist):
        raise ValueError("einsum(): subscript in subscript list is not within the valid range [0, 52)")
    return "".join("..." if label is ... else _LABELS[label] for label in sublist)


_LABELS = ascii_uppercase + ascii_lowercase
