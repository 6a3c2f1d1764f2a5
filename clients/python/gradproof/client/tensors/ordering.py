"""Tensor methods of order: largest and smallest elements, their positions, and sorting."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Generic, NamedTuple, Self, TypeVar, overload

from gradproof.client.recording.apply import apply, apply_multiple
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axis_of, integer
from gradproof.client.tensors.selecting import Selecting

TensorT = TypeVar("TensorT", bound=Recorded)


class ValuesAndIndices(NamedTuple, Generic[TensorT]):
    """Elements and their positions along an axis. A gradient flows to just these elements, also where others are equal."""

    values: TensorT
    indices: TensorT


class MinAndMax(NamedTuple, Generic[TensorT]):
    """The smallest and the largest elements."""

    min: TensorT
    max: TensorT


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
        axis = axis_of(self, dim)
        if not 0 <= integer("k", k) <= (self.shape[axis] if self.ndim else 1):
            raise RuntimeError("selected index k out of range")
        return self._with_places("topk", dim, k=k, largest=largest)

    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices[Self]:
        """The ``k``-th smallest element of each line along ``dim``, counted from 1: values and positions.

        Follows torch.kthvalue. Raises RuntimeError if ``k`` is out of range.
        """
        axis = axis_of(self, dim)
        if not 1 <= integer("k", k) <= (self.shape[axis] if self.ndim else 1):
            raise RuntimeError("kthvalue(): selected number k out of range for dimension " + str(axis))
        return self._with_places("kthvalue", dim, k=k, keepdims=keepdim)

    @overload
    def median(self, dim: None = None, keepdim: bool = False) -> Self: ...
    @overload
    def median(self, dim: int, keepdim: bool = False) -> ValuesAndIndices[Self]: ...
    def median(self, dim: int | None = None, keepdim: bool = False) -> Self | ValuesAndIndices[Self]:
        """The median of all elements, or of each line along ``dim`` with its position: of two in the middle the smaller,
        nan if there is a nan. Follows torch.median. Raises RuntimeError for no elements."""
        line = self.reshape(-1) if dim is None else self
        axis = axis_of(line, 0 if dim is None else dim)
        size = line.shape[axis] if line.ndim else 1
        if not size:
            raise RuntimeError("median(): expected to have elements along the axis")
        middle = line.kthvalue((size + 1) // 2, axis, keepdim)
        if self.dtype.kind in "fV":
            last = line.kthvalue(size, axis, keepdim)  # a nan is behind all numbers
            middle = ValuesAndIndices(
                *(apply("where", last.values.isnan(), b, a) for a, b in zip(middle, last, strict=True))
            )
        return middle.values if dim is None else middle

    def cummax(self, dim: int) -> ValuesAndIndices[Self]:
        """The largest of all elements up to each along ``dim``: values and positions. Follows torch.cummax."""
        return self._with_places("cummax", dim)

    def cummin(self, dim: int) -> ValuesAndIndices[Self]:
        """The smallest of all elements up to each along ``dim``: values and positions. Follows torch.cummin."""
        return self._with_places("cummin", dim)

    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax[Self]:
        """The smallest and the largest element over all axes, or along ``dim``. Follows torch.aminmax."""
        return MinAndMax(self.amin(dim, keepdim), self.amax(dim, keepdim))

    def _with_places(self, op: str, dim: int, **attributes: object) -> ValuesAndIndices[Self]:
        """The two results of an op along an axis; of a 0-d tensor, which is taken to have an axis, those of rank 0."""
        axis = axis_of(self, dim)
        values, places = apply_multiple(op, self if self.ndim else self.reshape(1), axis=axis, **attributes)
        return ValuesAndIndices(values, places) if self.ndim else ValuesAndIndices(values.reshape(()), places.reshape(()))

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
