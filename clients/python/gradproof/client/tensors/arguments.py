"""Arguments of methods and functions: axes as PyTorch takes them, the tensor that comes first, and factors."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex, TypeVar

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.signatures import Axes, Operand, Scalar

T = TypeVar("T", bound=Recorded)
OperandT = TypeVar("OperandT")


def first(x: T, function: str) -> T:
    """``x``, the first argument of a function, which must be a tensor; TypeError otherwise."""
    if not isinstance(x, Recorded):
        raise TypeError(f"{function}(): the first argument must be a Tensor, not {type(x).__name__}")
    return x


def of_rank(rank: int, operand: OperandT, fault: str) -> OperandT:
    """``operand``, which must have ``rank`` axes; RuntimeError otherwise. Products of vectors and of matrices differ."""
    found = operand.ndim if isinstance(operand, Recorded) else np.ndim(operand)  # type: ignore[arg-type]
    if found != rank:
        raise RuntimeError(f"{fault}, but it has {found} dimensions")
    return operand


def integer(name: str, value: object) -> int:
    """``value`` as an integer. Raises TypeError for a bool, a float and all else that is no integer."""
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        hint = "; keepdim is an argument of its own" if isinstance(value, bool) and name == "dim" else ""
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}{hint}")
    return index(value)


def integers(name: str, first: int | Sequence[int], rest: Sequence[int] = ()) -> tuple[int, ...]:
    """The integers of ``f(2, 3)`` or of ``f((2, 3))``. Raises TypeError if one is no integer."""
    values = first if isinstance(first, (Sequence, np.ndarray)) and not rest else (first, *rest)
    return tuple(integer(name, value) for value in values)


def axis_of(x: Recorded, dim: int, added: int = 0) -> int:
    """An axis of ``x``, counted from the front. A 0-d tensor is taken to have an axis, as in PyTorch.

    ``added`` axes of the result are counted too. Raises IndexError if it is out of range, TypeError if it is no integer.
    """
    axis, rank = integer("dim", dim), max(1, x.ndim + added)
    if not -rank <= axis < rank:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {axis})")
    return axis % rank


def axes_of(x: Recorded, dim: Axes) -> int | tuple[int, ...] | None:
    """Axes of ``x`` as ops take them: None, all of them, also for an empty ``dim`` and for a 0-d tensor.

    Raises IndexError if an axis is out of range, RuntimeError if one is named twice, TypeError if one is no integer.
    """
    if dim is None:
        return None
    if not isinstance(dim, Sequence):
        axis = axis_of(x, dim)
        return axis if x.ndim else None
    axes = tuple(axis_of(x, part) for part in dim)
    if len(set(axes)) < len(axes):
        twice = next(axis for axis in axes if axes.count(axis) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return axes if axes and x.ndim else None


def spread(op: str, x: T, dim: Axes, unbiased: bool, keepdim: bool, correction: float | None) -> T:
    """The variance or standard deviation along axes. A bool in place of the axes is ``unbiased``, as in PyTorch."""
    axes, usual = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return apply(
        op, x, axis=axes_of(x, axes), correction=int(usual) if correction is None else correction, keepdims=keepdim
    )


def along(op: str, x: T, dim: int, **attributes: object) -> T:
    """The result of an op that works along an axis and keeps the shape; a 0-d tensor is taken to have an axis."""
    axis = axis_of(x, dim)
    if x.ndim:
        return apply(op, x, axis=axis, **attributes)
    return apply("reshape", apply(op, apply("reshape", x, shape=(1,)), axis=0, **attributes), shape=())


def scaled(alpha: Scalar, operand: Operand) -> Operand:
    """``alpha * operand``."""
    return operand if alpha == 1 else alpha * operand  # type: ignore[operator]


def weakly_complex(x: Any, dtype: dtypes.DType) -> Any:
    """A complex Python number beside a real tensor, as a complex array of the tensor's precision."""
    return np.asarray(x, dtypes.complex_of(dtype)) if type(x) is complex and dtype.kind != "c" else x
