"""Functions along lines of elements: places in sorted lines, integrals, and deviations with their means."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import TypeVar, cast

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import axis_of, first
from gradproof.client.tensors.signatures import Axes, Operand, given
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)


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
