"""Functions of several tensors."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar, cast, overload

import numpy as np

from gradproof.client.recording.apply import apply, apply_as
from gradproof.client.tensors.arguments import axis_of, first
from gradproof.client.tensors.signatures import Axes, Operand, given
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along an axis; their shapes may differ along that axis only.

    Follows torch.cat and Array API concat. Raises InvalidRequest if shapes differ elsewhere, or without tensors.
    """
    return apply_as(Tensor, "concat", *tensors, axis=dim)[0]


concat = concatenate = cat


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, of a common shape, joined along a new axis.

    Follows torch.stack and Array API stack. Raises InvalidRequest if shapes differ, or without tensors.
    """
    return apply_as(Tensor, "stack", *tensors, axis=dim)[0]


def where(condition: Operand, input: Operand, other: Operand) -> Tensor:
    """``input`` where ``condition`` is not 0, ``other`` elsewhere. Shapes broadcast.

    The gradient of the branch that is not taken is 0 times its derivative: nan where that is infinite, as in PyTorch.
    Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast.
    """
    return apply_as(Tensor, "where", condition, input, other)[0]


def hstack(tensors: Sequence[Operand]) -> Tensor:
    """The tensors joined along the second axis, vectors along their only one. Follows torch.hstack.

    Raises InvalidRequest if shapes differ elsewhere, or without tensors.
    """
    return apply_as(Tensor, "hstack", *tensors)[0]


def vstack(tensors: Sequence[Operand]) -> Tensor:
    """The tensors joined along the first axis, vectors as rows. Follows torch.vstack. Raises as `hstack`."""
    return apply_as(Tensor, "vstack", *tensors)[0]


row_stack = vstack


def dstack(tensors: Sequence[Operand]) -> Tensor:
    """The tensors joined along the third axis. Follows torch.dstack. Raises as `hstack`."""
    return apply_as(Tensor, "dstack", *tensors)[0]


def column_stack(tensors: Sequence[Operand]) -> Tensor:
    """The tensors joined along the second axis, vectors as columns. Follows torch.column_stack. Raises as `hstack`."""
    return apply_as(Tensor, "column_stack", *tensors)[0]


def block_diag(*tensors: Operand) -> Tensor:
    """Matrices along the diagonal of a larger one, numbers and vectors as rows. Follows torch.block_diag."""
    return apply_as(Tensor, "block_diag", *tensors)[0]


def cartesian_prod(*tensors: Operand) -> Tensor:
    """All tuples of elements of vectors, as rows; of a single vector this itself. Follows torch.cartesian_prod."""
    return apply_as(Tensor, "cartesian_prod", *tensors)[0]


def meshgrid(*tensors: Operand, indexing: Literal["ij", "xy"] = "ij") -> tuple[Tensor, ...]:
    """The coordinates of a grid, from those along its axes, which are vectors. "xy" exchanges the first two axes.

    Follows torch.meshgrid and Array API meshgrid. Raises InvalidRequest for matrices.
    """
    return tuple(apply_as(Tensor, "meshgrid", *_each(tensors), indexing=indexing))


def broadcast_tensors(*tensors: Operand) -> tuple[Tensor, ...]:
    """The tensors repeated to a common shape. Follows torch.broadcast_tensors and Array API broadcast_arrays.

    Raises InvalidRequest if shapes do not broadcast.
    """
    return tuple(apply_as(Tensor, "broadcast_arrays", *tensors))


@overload
def atleast_1d(tensors: Operand, /) -> Tensor: ...
@overload
def atleast_1d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]: ...
def atleast_1d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]:
    """Each tensor, a number as a vector. Follows torch.atleast_1d."""
    return _single("atleast_1d", tensors)


@overload
def atleast_2d(tensors: Operand, /) -> Tensor: ...
@overload
def atleast_2d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]: ...
def atleast_2d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]:
    """Each tensor, a number or vector as the row of a matrix. Follows torch.atleast_2d."""
    return _single("atleast_2d", tensors)


@overload
def atleast_3d(tensors: Operand, /) -> Tensor: ...
@overload
def atleast_3d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]: ...
def atleast_3d(*tensors: Operand) -> Tensor | tuple[Tensor, ...]:
    """Each tensor, a vector (n,) as (1, n, 1), and a matrix (n, m) as (n, m, 1). Follows torch.atleast_3d."""
    return _single("atleast_3d", tensors)


def polygamma(n: int, input: TensorT) -> TensorT:
    """The derivative of order ``n`` of digamma at each element. The shape stays. Follows torch.polygamma."""
    return first(input, "polygamma").polygamma(n)


def searchsorted(sorted_sequence: Operand, input: TensorT, *, right: bool = False) -> TensorT:
    """For each element the position in a sorted vector where it keeps the order: in front of equal ones, or with ``right``
    behind them; int64. Follows torch.searchsorted and Array API searchsorted."""
    return cast("TensorT", apply("searchsorted", sorted_sequence, input, right=right))


def bucketize(input: TensorT, boundaries: Operand, *, right: bool = False) -> TensorT:
    """For each element its bucket between sorted boundaries, as `searchsorted`; int64. Follows torch.bucketize."""
    return searchsorted(boundaries, input, right=right)


def trapezoid(y: TensorT, x: Operand | None = None, *, dx: float = 1.0, dim: int = -1) -> TensorT:
    """The integral along an axis by the trapezoidal rule, of elements at the places ``x`` or at a distance ``dx``.

    Follows torch.trapezoid. Raises IndexError for an axis out of range, InvalidRequest if the shape of ``x`` does not fit.
    """
    return apply("trapezoid", first(y, "trapezoid"), *given(x), dx=dx, axis=axis_of(y, dim))


trapz = trapezoid


def cumulative_trapezoid(y: TensorT, x: Operand | None = None, *, dx: float = 1.0, dim: int = -1) -> TensorT:
    """The integrals up to each element but the first, as `trapezoid`. Follows torch.cumulative_trapezoid."""
    return apply("cumulative_trapezoid", first(y, "cumulative_trapezoid"), *given(x), dx=dx, axis=axis_of(y, dim))


def var_mean(
    input: TensorT, dim: Axes = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[TensorT, TensorT]:
    """The variance and the mean, see `var`. Follows torch.var_mean."""
    return input.var(dim, unbiased, keepdim, correction=correction), input.mean(dim, keepdim)


def std_mean(
    input: TensorT, dim: Axes = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[TensorT, TensorT]:
    """The standard deviation and the mean, see `std`. Follows torch.std_mean."""
    return input.std(dim, unbiased, keepdim, correction=correction), input.mean(dim, keepdim)


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


def _each(tensors: tuple[Operand, ...]) -> Sequence[Operand]:
    """The tensors of ``f(a, b)`` or of ``f([a, b])``."""
    return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors


def _single(op: str, tensors: tuple[Operand, ...]) -> Tensor | tuple[Tensor, ...]:
    """The results of an op, or its single result."""
    results = tuple(apply_as(Tensor, op, *_each(tensors)))
    return results if len(results) > 1 or isinstance(tensors[0], (list, tuple)) else results[0]
