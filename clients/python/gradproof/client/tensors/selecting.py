"""Methods of tensors that pick elements and put them together anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gradproof.client.tensors.tensor import Tensor


def _apply(op: str, *inputs: Any, **attributes: Any) -> Tensor:
    from gradproof.client.recording.apply import apply

    return apply(op, *inputs, **attributes)


class Selecting:
    """What a tensor can do beside indexing. Indices and masks are looked at, and no gradient flows to them."""

    __slots__ = ()

    def where(self: Any, condition: Any, other: Any) -> Tensor:
        """The elements where ``condition`` is true, those of ``other`` elsewhere."""
        return _apply("where", condition, self, other)

    def masked_fill(self: Any, mask: Tensor, value: Any) -> Tensor:
        """``value`` where ``mask`` is true."""
        return _apply("where", mask, value, self)

    def masked_select(self: Any, mask: Tensor) -> Any:
        """The elements where ``mask`` is true, as a vector."""
        shape = np.broadcast_shapes(self.shape, mask.shape)
        return self.expand(shape)[mask.expand(shape)]

    def take(self: Any, index: Tensor) -> Tensor:
        """The elements at ``index``, counted through the whole tensor."""
        return _apply("take", self.reshape(-1), index, axis=0)

    def index_select(self: Any, dim: int, index: Tensor) -> Tensor:
        """The parts at ``index`` along an axis."""
        return _apply("take", self, index, axis=self._axis(dim))

    def gather(self: Any, dim: int, index: Tensor) -> Tensor:
        """At each place of ``index`` the element there, but ``index`` along ``dim``."""
        axis = self._axis(dim)
        if index.ndim != self.ndim:
            raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
        if not self.ndim:
            return _apply("take", self.reshape(1), index, axis=0)
        part = tuple(slice(None) if k == axis else slice(n) for k, n in enumerate(index.shape))
        if any(n > own for k, (n, own) in enumerate(zip(index.shape, self.shape, strict=True)) if k != axis):
            raise RuntimeError(
                f"Size does not match at dimension {axis} expected index {list(index.shape)} to be no larger than self "
                f"{list(self.shape)} apart from dimension {axis}"
            )
        return _apply("take_along_axis", self if index.shape == self.shape else self[part], index, axis=axis)

    def narrow(self: Any, dim: int, start: int, length: int) -> Any:
        """``length`` parts along an axis, from ``start`` on."""
        axis = self._axis(dim)
        if start < 0 or start + length > self.shape[axis]:
            raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({self.shape[axis]}).")
        return self[(slice(None),) * axis + (slice(start, start + length),)]

    def select(self: Any, dim: int, index: int) -> Any:
        """One part along an axis, without it."""
        return self[(slice(None),) * self._axis(dim) + (index,)]

    def split(self: Any, sizes: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """Parts along an axis: of this size (the last may be smaller), or of these."""
        from gradproof.client.recording.apply import apply_multiple

        whole = self.shape[self._axis(dim)]
        if isinstance(sizes, int) and sizes < 1:
            raise RuntimeError(f"split expects split_size to be positive, but got split_size={sizes}")
        parts = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes] * (whole // sizes)
        if sum(parts) < whole and not isinstance(sizes, (tuple, list)):
            parts.append(whole - sum(parts))
        return tuple(apply_multiple("split", self, sections=tuple(parts), axis=dim))

    def unbind(self: Any, dim: int = 0) -> tuple[Tensor, ...]:
        """The parts along an axis, without it."""
        size = self.shape[dim]
        return tuple(part.squeeze(dim) for part in self.split((1,) * size, dim))

    def chunk(self: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        """At most ``chunks`` parts along an axis, of one size (the last may be smaller)."""
        return tuple(self.split(max(1, -(-self.shape[dim] // chunks)), dim))

    def repeat(self: Any, first: Any, *rest: int) -> Any:
        """The tensor again and again, so often along each axis; axes may come in front."""
        times = tuple(first) if isinstance(first, (tuple, list)) else (first, *rest)
        if len(times) < self.ndim:
            raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
        own = (1,) * (len(times) - self.ndim) + self.shape
        apart = [part for size in own for part in (1, size)]
        wide = [part for time, size in zip(times, own, strict=True) for part in (time, size)]
        return self.reshape(tuple(apart)).expand(tuple(wide)).reshape(tuple(n * t for n, t in zip(own, times, strict=True)))

    def diagonal(self: Any) -> Any:
        """The diagonal of a matrix."""
        if self.ndim != 2:
            raise RuntimeError(f"diagonal() is for matrices here, but this tensor is {self.ndim}D")
        places = np.arange(min(self.shape))
        return self[places, places]

    def trace(self: Any) -> Any:
        """The sum of the diagonal of a matrix."""
        return self.diagonal().sum()

    def outer(self: Any, other: Tensor) -> Any:
        """All products of an element of one vector with one of the other."""
        return self.reshape(-1, 1) * other.reshape(1, -1)
