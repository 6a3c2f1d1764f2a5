"""Tensor methods of order: largest and smallest elements, their positions, and sorting."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Generic, NamedTuple, Self, TypeVar, overload

from gradproof.client.recording.apply import apply
from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.arguments import axis_of
from gradproof.client.tensors.selecting import Selecting

TensorT = TypeVar("TensorT", bound=Recorded)


class ValuesAndIndices(NamedTuple, Generic[TensorT]):
    """Elements and their positions along an axis. A gradient flows to just these elements, also where others are equal."""

    values: TensorT
    indices: TensorT


class Ordering(Selecting):
    """Methods of the order of elements. Raises IndexError for an axis out of range, InvalidRequest for complex elements."""

    __slots__ = ()

    @overload
    def max(self, dim: None = None, keepdim: bool = False) -> Self: ...
    @overload
    def max(self, dim: int, keepdim: bool = False) -> ValuesAndIndices[Self]: ...
    @overload
    def max(self, dim: Recorded) -> Self: ...
    @overload
    def max(self, dim: int | Recorded | None, keepdim: bool = False) -> Self | ValuesAndIndices[Self]: ...
    def max(self, dim: int | Recorded | None = None, keepdim: bool = False) -> Self | ValuesAndIndices[Self]:
        """The largest of all elements (ties share the gradient evenly); over an axis the largest of each line and the
        positions; beside a tensor `maximum`. Follows torch.max."""
        return self._extremum("max", "maximum", dim, keepdim)

    @overload
    def min(self, dim: None = None, keepdim: bool = False) -> Self: ...
    @overload
    def min(self, dim: int, keepdim: bool = False) -> ValuesAndIndices[Self]: ...
    @overload
    def min(self, dim: Recorded) -> Self: ...
    @overload
    def min(self, dim: int | Recorded | None, keepdim: bool = False) -> Self | ValuesAndIndices[Self]: ...
    def min(self, dim: int | Recorded | None = None, keepdim: bool = False) -> Self | ValuesAndIndices[Self]:
        """The smallest of all elements (ties share the gradient evenly); over an axis the smallest of each line and the
        positions; beside a tensor `minimum`. Follows torch.min."""
        return self._extremum("min", "minimum", dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The position of the largest element (of several the first), counted through the whole tensor or along ``dim``;
        int64. Follows torch.argmax and Array API argmax."""
        return self._position("argmax", dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Self:
        """The position of the smallest element (of several the first), counted through the whole tensor or along ``dim``;
        int64. Follows torch.argmin and Array API argmin."""
        return self._position("argmin", dim, keepdim)

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Self:
        """The positions along ``dim`` that sort each line; int64. The sort is stable even if ``stable`` is False.

        Follows torch.argsort and Array API argsort.
        """
        if not self.ndim:
            return apply("argmax", self)
        return apply("argsort", self, axis=axis_of(self, dim), descending=descending)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesAndIndices[Self]:
        """Each line along ``dim`` sorted: values and positions. The sort is stable even if ``stable`` is False.

        Follows torch.sort and Array API sort.
        """
        return self._elements(self.argsort(dim, descending), dim)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices[Self]:
        """The ``k`` largest (or smallest) elements of each line along ``dim``, sorted: values and positions.

        Follows torch.topk. Raises RuntimeError if ``k`` is out of range.
        """
        size = self.shape[axis_of(self, dim)] if self.ndim else 1
        if not 0 <= k <= size:
            raise RuntimeError("selected index k out of range")
        return self._elements(self.argsort(dim, largest).narrow(dim, 0, k) if self.ndim else self.argsort(), dim)

    def _extremum(self, op: str, of_two: str, dim: int | Recorded | None, keepdim: bool) -> Self | ValuesAndIndices[Self]:
        if dim is None:
            return apply(op, self)
        if isinstance(dim, Recorded):
            return apply(of_two, self, dim)
        extrema = self._elements(self._position(f"arg{op}", dim, True), dim)
        if keepdim or not self.ndim:
            return extrema
        return ValuesAndIndices(extrema.values.squeeze(dim), extrema.indices.squeeze(dim))

    def _position(self, op: str, dim: int | None, keepdim: bool) -> Self:
        axis = None if dim is None else axis_of(self, dim)
        return apply(op, self, axis=axis if self.ndim else None, keepdims=keepdim)

    def _elements(self, indices: Self, dim: int) -> ValuesAndIndices[Self]:
        """The elements at positions along an axis, and the positions."""
        axis = axis_of(self, dim)
        return ValuesAndIndices(apply("take_along_axis", self, indices, axis=axis) if self.ndim else self.clone(), indices)
