"""Functions of several tensors."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor


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


@overload
def where(condition: Tensor) -> tuple[Tensor, ...]: ...
@overload
def where(condition: Operand, input: Operand, other: Operand) -> Tensor: ...
def where(condition: Operand, input: Operand | None = None, other: Operand | None = None) -> Tensor | tuple[Tensor, ...]:
    """``input`` where ``condition`` is not 0, ``other`` elsewhere. Shapes broadcast. Without both the indices, along each
    axis, where ``condition`` is not 0.

    The gradient of the branch that is not taken is 0 times its derivative: nan where that is infinite, as in PyTorch.
    Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast, TypeError for one branch only.
    """
    if input is None and other is None and isinstance(condition, Tensor):
        return condition.nonzero(as_tuple=True)
    if input is None or other is None:
        raise TypeError("where() takes both branches, or neither beside a tensor")
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


def _each(tensors: tuple[Operand, ...]) -> Sequence[Operand]:
    """The tensors of ``f(a, b)`` or of ``f([a, b])``."""
    return tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors


def _single(op: str, tensors: tuple[Operand, ...]) -> Tensor | tuple[Tensor, ...]:
    """The results of an op, or its single result."""
    results = tuple(apply_as(Tensor, op, *_each(tensors)))
    return results if len(results) > 1 or isinstance(tensors[0], (list, tuple)) else results[0]
