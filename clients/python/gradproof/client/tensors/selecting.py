"""Tensor methods that select elements: indexing as NumPy has it, gathers, masks, parts and repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self, TypeGuard, cast

import numpy as np

from gradproof.client.recording.apply import apply, apply_multiple
from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.arguments import axis_of, integer, integers
from gradproof.client.tensors.arithmetic import in_place_refused
from gradproof.client.tensors.products import Products
from gradproof.client.tensors.signatures import Key, Operand, Places


class Selecting(Products):
    """Selection of elements. No gradient flows to indices and masks.

    A gather out of range raises DataFault when its value is computed.
    """

    __slots__ = ()

    def __getitem__(self, key: Key) -> Self:
        """The elements at ``key``: integers, slices, ``...``, None, lists, integer and boolean arrays and tensors.

        Slices become an op slice, all else a gather. Raises IndexError for an index out of range, or for too many.
        """
        parts = [_plain(part) for part in (key if isinstance(key, tuple) else (key,))]
        if _is_basic(parts):
            return self._basic(parts)
        positions = np.arange(self.numel(), dtype=np.int64).reshape(self.shape)[tuple(parts)]
        return apply("take", self.reshape(-1), np.asarray(positions), axis=0)

    def __setitem__(self, key: Key, value: Operand) -> None:
        """Give a leaf a new value: that of ``value`` at ``key``. Raises RuntimeError as changes in place do."""
        in_place_refused(self, value)
        array = np.array(self.value())
        parts = tuple(_plain(part) for part in (key if isinstance(key, tuple) else (key,)))
        array[parts] = value.value() if isinstance(value, Recorded) else value
        self._become(array)

    def where(self, condition: Operand, other: Operand) -> Self:
        """The elements where ``condition`` is not 0, those of ``other`` elsewhere. Shapes broadcast.

        Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast.
        """
        return cast("Self", apply("where", condition, self, other))

    def masked_fill(self, mask: Operand, value: Operand) -> Self:
        """``value`` where ``mask`` is not 0, the elements elsewhere. Shapes broadcast. Follows torch.masked_fill."""
        return cast("Self", apply("where", mask, value, self))

    def masked_select(self, mask: Recorded) -> Self:
        """The elements where ``mask`` is true, as a vector. Shapes broadcast. Follows torch.masked_select."""
        shape = np.broadcast_shapes(self.shape, mask.shape)
        return self.expand(shape)[np.broadcast_to(mask.value(), shape)]

    def take(self, index: Places) -> Self:
        """The elements at ``index``, counted through the whole tensor; of the shape of ``index``. Follows torch.take."""
        return apply("take", self.reshape(-1), index, axis=0)

    def index_select(self, dim: int, index: Places) -> Self:
        """The parts at the positions ``index`` along an axis. Follows torch.index_select and Array API take.

        Raises IndexError for an axis out of range.
        """
        axis = axis_of(self, dim)
        return apply("take", self, index, axis=axis) if self.ndim else self.reshape(1).index_select(0, index).reshape(())

    def gather(self, dim: int, index: Recorded) -> Self:
        """For each position of ``index`` the element there, but at ``index`` along ``dim``; of the shape of ``index``.

        Follows torch.gather and Array API take_along_axis. Raises RuntimeError if ``index`` has another number of axes, or
        is larger along another axis than ``dim``.
        """
        axis = axis_of(self, dim)
        if index.ndim != self.ndim:
            raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
        if not self.ndim:
            return apply("take", self.reshape(1), index, axis=0)
        part = tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(index.shape))
        if any(n > size for k, (n, size) in enumerate(zip(index.shape, self.shape, strict=True)) if k != axis):
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {list(index.shape)} to be no larger than self "
                f"{list(self.shape)} apart from dimension {axis}"
            )
        return apply("take_along_axis", self if index.shape == self.shape else self[part], index, axis=axis)

    def narrow(self, dim: int, start: int, length: int) -> Self:
        """The ``length`` parts along an axis from ``start`` on. Follows torch.narrow.

        Raises IndexError for an axis, RuntimeError for a part out of range.
        """
        axis = axis_of(self, dim)
        if start < 0 or start + length > self.shape[axis]:
            raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({self.shape[axis]}).")
        return self[(slice(None),) * axis + (slice(start, start + length),)]

    def select(self, dim: int, index: int) -> Self:
        """The part at ``index`` along an axis, without that axis. Follows torch.select. Raises IndexError out of range."""
        return self[(slice(None),) * axis_of(self, dim) + (index,)]

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Parts along an axis: all of a size (the last may be smaller), or of several sizes. Follows torch.split.

        Raises IndexError for an axis out of range, RuntimeError for a size below 1, InvalidRequest for a wrong sum.
        """
        axis = axis_of(self, dim)
        if isinstance(split_size, Sequence):
            return tuple(apply_multiple("split", self, sections=tuple(split_size), axis=axis))
        whole, size = self.shape[axis], integer("split_size", split_size)
        if size < 1:
            raise RuntimeError(f"split expects split_size to be positive, but got split_size={size}")
        rest = [whole % size] if whole % size else []
        return tuple(apply_multiple("split", self, sections=(*[size] * (whole // size), *rest), axis=axis))

    def unbind(self, dim: int = 0) -> tuple[Self, ...]:
        """The parts along an axis, without that axis. Follows torch.unbind and Array API unstack."""
        axis = axis_of(self, dim)
        return tuple(part.squeeze(axis) for part in self.split((1,) * self.shape[axis], axis))

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Self, ...]:
        """At most ``chunks`` parts along an axis, of a common size (the last may be smaller). Follows torch.chunk."""
        return self.split(max(1, -(-self.shape[axis_of(self, dim)] // chunks)), dim)

    def repeat(self, times: int | Sequence[int], *rest: int) -> Self:
        """The tensor repeated along each axis; more numbers than axes put new axes in front.

        Follows torch.Tensor.repeat and Array API tile. Raises RuntimeError for fewer numbers than axes.
        """
        counts = integers("times", times, rest)
        if len(counts) < self.ndim:
            raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
        aligned = (1,) * (len(counts) - self.ndim) + self.shape
        apart = [part for size in aligned for part in (1, size)]
        wide = [part for count, size in zip(counts, aligned, strict=True) for part in (count, size)]
        return self.reshape(apart).expand(wide).reshape([n * k for n, k in zip(aligned, counts, strict=True)])

    def diagonal(self) -> Self:
        """The diagonal of a matrix (n, m), of shape (min(n, m),). Follows torch.diagonal and Array API linalg.diagonal.

        Raises RuntimeError if the tensor is no matrix.
        """
        if self.ndim != 2:
            raise RuntimeError(f"diagonal() is for matrices here, but this tensor is {self.ndim}D")
        positions = np.arange(min(self.shape))
        return self[positions, positions]

    def trace(self) -> Self:
        """The sum of the diagonal of a matrix; a scalar. Follows torch.trace. Raises as `diagonal`."""
        return self.diagonal().sum()

    def _basic(self, parts: list[Any]) -> Self:
        """The elements at integers, slices, ``...`` and None: an op slice, then axes that go and axes that come."""
        count = sum(part is not None and part is not Ellipsis for part in parts)
        if count > self.ndim:
            raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
        if parts.count(Ellipsis) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        rest = [slice(None)] * (self.ndim - count)
        at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
        parts = [*parts[:at], *rest, *parts[at + 1 :]]
        ranges: list[slice] = []
        removed: list[int] = []
        inserted: list[int] = []
        position = 0
        for part in parts:
            if part is None:
                inserted.append(position)
                position += 1
                continue
            axis = len(ranges)
            size = self.shape[axis]
            if isinstance(part, slice):
                first, last, stride = part.indices(size)
                ranges.append(slice(first, None if last < 0 else last, stride))
                position += 1
                continue
            if not -size <= part < size:
                raise IndexError(f"index {part} is out of bounds for dimension {axis} with size {size}")
            ranges.append(slice(part % size, part % size + 1, 1))
            removed.append(axis)
        result = self
        if ranges != [slice(0, size, 1) for size in self.shape]:
            start, stop, step = zip(*((r.start, r.stop, r.step) for r in ranges), strict=True)
            result = apply("slice", self, start=start, stop=stop, step=step)
        if removed:
            result = apply("squeeze", result, axis=tuple(removed))
        return apply("expand_dims", result, axis=tuple(inserted)) if inserted else result


def _is_basic(parts: list[Any]) -> TypeGuard[list[int | slice | None]]:
    """True if an index has nothing but integers, slices, ``...`` and None."""
    return all(part is None or part is Ellipsis or type(part) is int or isinstance(part, slice) for part in parts)


def _plain(part: Any) -> Any:
    """A part of an index as NumPy takes it."""
    if isinstance(part, Recorded):
        array = part.value()
        return int(array) if array.ndim == 0 and array.dtype.kind in "iu" else array
    if isinstance(part, np.integer):
        return int(part)
    if isinstance(part, (list, np.ndarray)):
        return np.asarray(part) if len(part) or isinstance(part, np.ndarray) else np.zeros(0, np.int64)
    return part
