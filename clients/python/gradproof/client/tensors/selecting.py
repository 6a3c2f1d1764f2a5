"""Tensor methods that select elements: indexing as NumPy has it, gathers, masks, parts and repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self, TypeVar, cast, overload

import numpy as np

from gradproof.client.recording.apply import apply, apply_multiple
from gradproof.client.recording.placeholders import no_shape
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axis_of, integer, integers
from gradproof.client.tensors.keys import key_of, read, require_within
from gradproof.client.tensors.products import Products
from gradproof.client.tensors.signatures import Key, Operand, Places

RecordedT = TypeVar("RecordedT", bound=Recorded)


class Selecting(Products):
    """Selection of elements. No gradient flows to indices and masks.

    A gather out of range raises DataFault when its value is computed.
    """

    __slots__ = ()

    def __getitem__(self, key: Key) -> Self:
        """The elements at ``key``: integers, slices, ``...``, None, lists, integer and boolean arrays and tensors.

        Raises IndexError for an index that is known and out of range, or for too many; DataFault, when the value is
        computed, for a computed index out of range.
        """
        parts = list(key) if isinstance(key, tuple) else [key]
        if not all(part is None or part is Ellipsis or isinstance(part, (slice, int)) for part in parts):
            parts = [read(part) for part in parts]
        if any(isinstance(part, (bool, np.ndarray, Recorded)) for part in parts):
            entries, arrays = key_of(parts, self.shape)
            return apply("getitem", self, *arrays, key=entries)
        return self._basic(parts)

    def __setitem__(self, key: Key, value: Operand) -> None:
        """Take ``value`` at ``key``: a change in place. ``y[key] += 1`` is this, after a change of the view ``y[key]``.

        Raises RuntimeError as other changes in place.
        """
        if self.stale is not None and self.stale is value:
            culprit, self.stale = self.stale, None
            if not culprit.replaces(self[key]):
                self.stale = culprit
        entries, arrays = key_of([read(part) for part in (key if isinstance(key, tuple) else (key,))], self.shape)
        self._overwrite(entries, value, *arrays)

    def where(self, condition: Operand, other: Operand) -> Self:
        """The elements where ``condition`` is not 0, those of ``other`` elsewhere. Shapes broadcast.

        Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast.
        """
        return cast("Self", apply("where", condition, self, other))

    def masked_select(self, mask: Recorded) -> Self:
        """The elements where ``mask`` is true, as a vector. Shapes broadcast. Follows torch.masked_select.

        The mask is computed at once, since shapes depend on it.
        """
        mask.require_value(no_shape("masked_select"))
        shape = np.broadcast_shapes(self.shape, mask.shape)
        return apply("masked_select", self, mask, count=int(np.count_nonzero(np.broadcast_to(mask.value(), shape))))

    @overload
    def nonzero(self, *, as_tuple: Literal[False] = False) -> Self: ...
    @overload
    def nonzero(self, *, as_tuple: Literal[True]) -> tuple[Self, ...]: ...
    @overload
    def nonzero(self, *, as_tuple: bool) -> Self | tuple[Self, ...]: ...
    def nonzero(self, *, as_tuple: bool = False) -> Self | tuple[Self, ...]:
        """The indices of the elements that are not 0: a row (ndim,) of a matrix for each, or with ``as_tuple`` a vector for
        each axis; int64. Follows torch.nonzero and Array API nonzero.

        The tensor is computed at once, since shapes depend on it.
        """
        self.require_value(no_shape("nonzero"))
        line = self if self.ndim else self.reshape(1)
        places = apply_multiple("nonzero", line, count=int(np.count_nonzero(line.value())))
        if as_tuple:
            return tuple(places)
        matrix = apply("stack", *places, axis=1)
        return matrix if self.ndim else matrix.narrow(1, 0, 0)

    def argwhere(self) -> Self:
        """The indices of the elements that are not 0, a row (ndim,) for each; int64. Follows torch.argwhere."""
        self.require_value(no_shape("argwhere"))
        return apply("argwhere", self, count=int(np.count_nonzero(self.value())))

    def index_put(self, indices: Sequence[Places], values: Operand, accumulate: bool = False) -> Self:
        """The tensor with ``values`` in place of the elements at integer or boolean ``indices`` of its first axes, the last
        of those that are named twice; or added to them. Follows torch.index_put.

        Raises IndexError for too many indices, InvalidRequest if the shape of ``values`` does not fit.
        """
        entries, arrays = key_of([read(part) for part in indices], self.shape)
        return apply("index_put", self, values, *arrays, key=entries, accumulate=accumulate)

    def take(self, index: Places) -> Self:
        """The elements at ``index``, counted through the whole tensor; of the shape of ``index``. Follows torch.take.

        Raises as `index_select`.
        """
        return _taken(self.reshape(-1), 0, index)

    def index_select(self, dim: int, index: Places) -> Self:
        """The parts at the positions ``index`` along an axis. Follows torch.index_select and Array API take.

        Raises IndexError for an axis, and for an index that is known, out of range, and for indices that are no vector (a
        scalar is a vector of 1), RuntimeError for indices that are no integers.
        """
        axis = axis_of(self, dim)
        if not self.ndim:
            return self.reshape(1).index_select(0, index).reshape(())
        rank = index.ndim if isinstance(index, Recorded) else np.ndim(index)
        if rank > 1:
            raise IndexError("index_select(): Index is supposed to be a vector")
        parts = _taken(self, axis, index)
        return parts if rank else parts.unsqueeze(axis)

    def gather(self, dim: int, index: Recorded) -> Self:
        """For each position of ``index`` the element there, but at ``index`` along ``dim``; of the shape of ``index``.

        Follows torch.gather and Array API take_along_axis. Raises RuntimeError if ``index`` has another number of axes, or
        is larger along another axis than ``dim``.
        """
        axis = axis_of(self, dim)
        if index.dtype.kind not in "iu":
            raise RuntimeError("gather(): Expected dtype int32/int64 for index")
        if index.ndim != self.ndim:
            raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
        pairs = enumerate(zip(index.shape, self.shape, strict=True))
        if wrong := [k for k, (n, size) in pairs if n > size and k != axis]:
            raise RuntimeError(
                f"Size does not match at dimension {wrong[0]} expected index {list(index.shape)} to be no larger than self "
                f"{list(self.shape)} apart from dimension {axis}"
            )
        return apply("gather", self, index, axis=axis)

    def take_along_dim(self, indices: Recorded, dim: int | None = None) -> Self:
        """The elements at ``indices`` along an axis, of each line its own; counted through the whole tensor without one.

        The shapes broadcast along the other axes. Follows torch.take_along_dim and Array API take_along_axis. Raises
        RuntimeError if ``indices`` has another number of axes.
        """
        if dim is None:
            return self.reshape(-1).take_along_dim(apply("reshape", indices, shape=(indices.numel(),)), 0)
        axis = axis_of(self, dim)
        if indices.ndim != self.ndim:
            raise RuntimeError(
                "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
                f"{self.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
            )
        own, others = (tuple(1 if k == axis else n for k, n in enumerate(x.shape)) for x in (self, indices))
        wide = list(np.broadcast_shapes(own, others))
        sizes = [tuple(x.shape[k] if k == axis else n for k, n in enumerate(wide)) for x in (self, indices)]
        return apply("take_along_axis", self.expand(sizes[0]), apply("broadcast_to", indices, shape=sizes[1]), axis=axis)

    def narrow(self, dim: int, start: int, length: int) -> Self:
        """The ``length`` parts along an axis from ``start`` on. Follows torch.narrow.

        A negative ``start`` counts from the end. Raises IndexError for an axis or ``start`` out of range, RuntimeError for
        a length that is negative or too large.
        """
        axis, at, count = axis_of(self, dim), integer("start", start), integer("length", length)
        if not self.ndim:
            raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
        if count < 0:
            raise RuntimeError("narrow(): length must be non-negative.")
        size = self.shape[axis]
        if not -size <= at <= size:
            raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {at})")
        first = at + size if at < 0 else at
        if first + count > size:
            raise RuntimeError(f"start ({first}) + length ({count}) exceeds dimension size ({size}).")
        return self[(slice(None),) * axis + (slice(first, first + count),)]

    def select(self, dim: int, index: int) -> Self:
        """The part at ``index`` along an axis, without that axis. Follows torch.select. Raises IndexError out of range."""
        axis, place = axis_of(self, dim), integer("index", index)
        if not self.ndim:
            raise IndexError("select() cannot be applied to a 0-dim tensor.")
        if not -self.shape[axis] <= place < self.shape[axis]:
            raise IndexError(
                f"select(): index {place} out of range for tensor of size {list(self.shape)} at dimension {axis}"
            )
        return apply("select", self, axis=axis, index=place)

    def slice_scatter(
        self, src: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
    ) -> Self:
        """The tensor with ``src`` in place of a slice along an axis. Follows torch.slice_scatter.

        Raises IndexError for an axis out of range, InvalidRequest if the shape of ``src`` does not fit.
        """
        axis = axis_of(self, dim)
        first, last, stride = slice(start, end, step).indices(self.shape[axis])
        starts, stops, steps = [0] * self.ndim, list(self.shape), [1] * self.ndim
        starts[axis], stops[axis], steps[axis] = first, max(first, last), stride
        return apply("slice_scatter", self, src, start=starts, stop=stops, step=steps)

    def split(self, split_size: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Parts along an axis: all of a size (the last may be smaller), or of several sizes. Follows torch.split.

        Raises IndexError for an axis out of range, RuntimeError for a size below 1 and for a wrong sum.
        """
        axis = axis_of(self, dim)
        if not self.ndim:
            raise RuntimeError("split expects at least a 1-dimensional tensor")
        if isinstance(split_size, Sequence):
            if sum(split_size) != self.shape[axis]:
                raise RuntimeError(
                    f"split_with_sizes expects split_sizes to sum exactly to {self.shape[axis]} (input tensor's size at "
                    f"dimension {axis}), but got split_sizes={list(split_size)}"
                )
            return tuple(apply_multiple("split", self, sections=tuple(split_size), axis=axis))
        whole, size = self.shape[axis], integer("split_size", split_size)
        if size < 1:
            raise RuntimeError(f"split expects split_size to be positive, but got split_size={size}")
        rest = [whole % size] if whole % size else []
        return tuple(apply_multiple("split", self, sections=(*[size] * (whole // size), *rest), axis=axis))

    def unbind(self, dim: int = 0) -> tuple[Self, ...]:
        """The parts along an axis, without that axis. Follows torch.unbind and Array API unstack."""
        axis = axis_of(self, dim)
        return tuple(apply_multiple("unstack", self, axis=axis)) if self.shape[axis] else ()

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Self, ...]:
        """At most ``chunks`` parts along an axis, of a common size (the last may be smaller). Follows torch.chunk.

        Raises IndexError for an axis out of range, RuntimeError for a number below 1 and for a 0-d tensor.
        """
        if not self.ndim:
            raise RuntimeError("chunk expects at least a 1-dimensional tensor")
        if integer("chunks", chunks) < 1:
            raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
        return self.split(max(1, -(-self.shape[axis_of(self, dim)] // chunks)), dim)

    def repeat(self, times: int | Sequence[int], *rest: int) -> Self:
        """The tensor repeated along each axis; more numbers than axes put new axes in front.

        Follows torch.Tensor.repeat and Array API tile. Raises RuntimeError for fewer numbers than axes.
        """
        counts = integers("times", times, rest)
        if len(counts) < self.ndim:
            raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
        return apply("tile", self, repetitions=counts)

    def tile(self, dims: int | Sequence[int], *rest: int) -> Self:
        """The tensor repeated along its last axes, once along the others. Follows torch.tile and Array API tile."""
        return apply("tile", self, repetitions=integers("dims", dims, rest))

    def repeat_interleave(self, repeats: int | Sequence[int] | Recorded, dim: int | None = None) -> Self:
        """Each element along an axis, or of the flattened tensor, repeated, by a count for all or one for each.

        Follows torch.repeat_interleave and Array API repeat. Raises InvalidRequest if the number of counts does not fit.
        """
        counts = repeats.value().tolist() if isinstance(repeats, Recorded) else repeats
        return apply("repeat", self, repeats=counts, axis=None if dim is None else axis_of(self, dim))

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


def _taken(x: RecordedT, axis: int, index: Places) -> RecordedT:
    """The parts of ``x`` at positions of any shape along an axis."""
    places = index if isinstance(index, Recorded) else np.asarray(index, None if np.size(index) else np.int64)
    if places.dtype.kind not in "iu":
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    known = places.array if isinstance(places, Recorded) else places
    if known is not None:
        require_within(known, axis, x.shape[axis])
    return apply("take", x, places, axis=axis)
