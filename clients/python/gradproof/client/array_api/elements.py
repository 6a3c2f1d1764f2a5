"""Elements: limits, order, places and sets, with the signatures of the Array API standard."""
# ruff: noqa: A002 - arguments have the names of the standard

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar, cast

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.signatures import Operand, Scalar
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)


class UniqueAll(NamedTuple):
    """The distinct elements, the places of the first of each, the place of each element among them, and their counts."""

    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class UniqueCounts(NamedTuple):
    """The distinct elements and their counts."""

    values: Tensor
    counts: Tensor


class UniqueInverse(NamedTuple):
    """The distinct elements, and the place of each element among them."""

    values: Tensor
    inverse_indices: Tensor


def clip(x: TensorT, /, min: Scalar | Recorded | None = None, max: Scalar | Recorded | None = None) -> TensorT:
    """The elements limited to [``min``, ``max``]; None is no limit. Follows Array API clip."""
    return x.clone() if min is None and max is None else x.clamp(min, max)


def argsort(x: TensorT, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> TensorT:
    """The places along an axis that sort each line; int64. Follows Array API argsort."""
    return x.argsort(axis, descending)


def sort(x: TensorT, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> TensorT:
    """Each line along an axis sorted. Follows Array API sort."""
    return x.sort(axis, descending).values


def diff(
    x: TensorT, /, *, axis: int = -1, n: int = 1, prepend: Recorded | None = None, append: Recorded | None = None
) -> TensorT:
    """Differences of neighbours along an axis, ``n`` times. Follows Array API diff."""
    return x.diff(n, axis, prepend, append)


def nonzero(x: TensorT, /) -> tuple[TensorT, ...]:
    """The places of the elements that are not 0, a vector for each axis. The tensor is computed at once.

    Follows Array API nonzero.
    """
    return x.nonzero(as_tuple=True)


def searchsorted(
    x1: TensorT, x2: Operand, /, *, side: Literal["left", "right"] = "left", sorter: Recorded | None = None
) -> TensorT:
    """The places in the sorted vector ``x1`` where the elements of ``x2`` keep the order; int64, of the shape of ``x2``.

    Follows Array API searchsorted.
    """
    line = x1 if sorter is None else apply("take", x1, sorter, axis=0)
    return apply("searchsorted", line, x2, right=side == "right")


def take(x: TensorT, indices: Operand, /, *, axis: int | None = None) -> TensorT:
    """The parts at ``indices`` along an axis, which may be left out for vectors. Follows Array API take.

    Raises ValueError if it is left out for others.
    """
    if axis is None and x.ndim != 1:
        raise ValueError(f"take: axis must be given for a tensor of {x.ndim} axes")
    places = indices if isinstance(indices, Recorded) else np.asarray(indices)
    return apply("take", x, places, axis=axis or 0)


def unique_all(x: Tensor, /) -> UniqueAll:
    """The distinct elements in order, through which gradients flow to the first of equal elements. The tensor is computed
    at once, since shapes depend on it.

    Follows Array API unique_all.
    """
    array = np.asarray(x.detach())
    found = np.unique(array, return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    indices, inverse, counts = found[1:]
    rest = [cast("Tensor", x.leaf(np.array(part))) for part in (indices, inverse.reshape(array.shape), counts)]
    return UniqueAll(apply("take", x.reshape(-1), rest[0], axis=0), *rest)


def unique_counts(x: Tensor, /) -> UniqueCounts:
    """The distinct elements in order, and their counts; see `unique_all`. Follows Array API unique_counts."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Tensor, /) -> UniqueInverse:
    """The distinct elements in order, and the place of each element among them; see `unique_all`.

    Follows Array API unique_inverse.
    """
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Tensor, /) -> Tensor:
    """The distinct elements in order; see `unique_all`. Follows Array API unique_values."""
    return unique_all(x).values
