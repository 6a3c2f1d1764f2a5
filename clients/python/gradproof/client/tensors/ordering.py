"""Methods of tensors about order: what is largest, where it is, and lines sorted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gradproof.client.tensors.tensor import Tensor


def _apply(op: str, *inputs: Any, **attributes: Any) -> Tensor:
    from gradproof.client.recording.apply import apply

    return apply(op, *inputs, **attributes)


class ValuesAndIndices(NamedTuple):
    """Elements, and where they are along the axis. A gradient flows to just these elements, also where others are equal."""

    values: Tensor
    indices: Tensor


class Ordering:
    """What a tensor can do with the order of its elements."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What a tensor has."""

    def max(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        """The largest element of all, where ties share the gradient evenly; over ``dim`` its `ValuesAndIndices`: values and indices.
        Beside a tensor: `maximum`."""
        return self._extremum("max", "maximum", dim, keepdim)

    def min(self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        """The smallest element; as `max`."""
        return self._extremum("min", "minimum", dim, keepdim)

    def _extremum(self: Any, op: str, of_two: str, dim: Any, keepdim: bool) -> Any:
        if dim is None:
            return _apply(op, self)
        if hasattr(dim, "requires_grad"):
            return _apply(of_two, self, dim)
        found: ValuesAndIndices = self._at(self._place(f"arg{op}", dim, True), dim)
        return found if keepdim or not self.ndim else ValuesAndIndices(*(one.squeeze(dim) for one in found))

    def argmax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """Where the largest element is, of several the first: counted through the whole tensor, or along ``dim``."""
        return self._place("argmax", dim, keepdim)

    def argmin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """Where the smallest element is; as `argmax`."""
        return self._place("argmin", dim, keepdim)

    def _place(self, op: str, dim: Any, keepdim: bool) -> Tensor:
        axis = None if dim is None else self._axis(dim)
        return _apply(op, self, axis=axis if self.ndim else None, keepdims=keepdim)

    def argsort(self: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
        """Where the elements of each line are, in order. It is always stable: equal ones stay in theirs."""
        if not self.ndim:
            return _apply("argmax", self)
        return _apply("argsort", self, axis=self._axis(dim), descending=descending)

    def sort(self: Any, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesAndIndices:
        """Each line in order: values and indices."""
        found: ValuesAndIndices = self._at(self.argsort(dim, descending), dim)
        return found

    def topk(self: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
        """The ``k`` largest (or smallest) of each line, in order: values and indices."""
        size = self.shape[self._axis(dim)] if self.ndim else 1
        if not 0 <= k <= size:
            raise RuntimeError("selected index k out of range")
        found: ValuesAndIndices = self._at(
            self.argsort(dim, largest).narrow(dim, 0, k) if self.ndim else self.argsort(), dim
        )
        return found

    def _at(self: Any, indices: Any, dim: int) -> ValuesAndIndices:
        axis = self._axis(dim)
        return ValuesAndIndices(_apply("take_along_axis", self, indices, axis=axis) if self.ndim else self.clone(), indices)
