"""Tensor methods that change the shape or the order of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axes_of, axis_of, integers
from gradproof.client.tensors.arithmetic import Arithmetic


class Shapes(Arithmetic):
    """Methods of shapes and axes. Sizes and axes may be arguments or a sequence: ``f(2, 3)`` is ``f((2, 3))``."""

    __slots__ = ()

    def reshape(self, shape: int | Sequence[int], *rest: int) -> Self:
        """The elements, in C order, in another shape, of which one size may be -1.

        Follows torch.reshape and Array API reshape. Raises RuntimeError if the number of elements differs.
        """
        sizes = target = integers("shape", shape, rest)
        if (wrong := min(target, default=0)) < -1:
            raise RuntimeError(f"invalid shape dimension {wrong} at index {target.index(wrong)} of shape {list(sizes)}")
        if target.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if -1 in target:
            known = int(np.prod([n for n in target if n != -1], dtype=int))
            if not known and not self.numel():
                raise RuntimeError(
                    f"cannot reshape tensor of 0 elements into shape {list(sizes)} because the unspecified dimension size "
                    "-1 can be any value and is ambiguous"
                )
            size = self.numel() // known if known else 0
            target = tuple(size if n == -1 else n for n in target)
        if int(np.prod(target, dtype=int)) != self.numel():
            raise RuntimeError(f"shape '{list(sizes)}' is invalid for input of size {self.numel()}")
        return apply("reshape", self, shape=target)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Self:
        """The axes from ``start_dim`` to ``end_dim`` joined to a single axis.

        Follows torch.flatten. Raises IndexError for an axis out of range, RuntimeError if the axes are in reverse.
        """
        first, last = axis_of(self, start_dim), axis_of(self, end_dim)
        if first > last:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        return apply("flatten", self, start_axis=first, end_axis=last)

    def view_as(self, other: Recorded) -> Self:
        """The elements in the shape of ``other``. Follows torch.Tensor.view_as. Raises RuntimeError as `reshape`."""
        return self.reshape(other.shape)

    def expand(self, shape: int | Sequence[int], *rest: int) -> Self:
        """The tensor broadcast to ``shape``; -1 keeps a size.

        Follows torch.Tensor.expand and Array API broadcast_to. Raises RuntimeError for too few sizes, InvalidRequest
        if they do not fit.
        """
        target = integers("shape", shape, rest)
        if len(target) < self.ndim:
            raise RuntimeError(
                f"the number of sizes provided ({len(target)}) must be greater or equal to the number of dimensions in the "
                f"tensor ({self.ndim})"
            )
        aligned = (1,) * (len(target) - self.ndim) + self.shape
        if -1 in target[: len(target) - self.ndim]:
            place = target.index(-1)
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {place}"
            )
        sizes = tuple(size if n == -1 else n for n, size in zip(target, aligned, strict=True))
        return apply("broadcast_to", self, shape=sizes)

    broadcast_to = expand

    def expand_as(self, other: Recorded) -> Self:
        """The tensor broadcast to the shape of ``other``. Follows torch.Tensor.expand_as. Raises as `expand`."""
        return self.expand(other.shape)

    def sum_to_size(self, shape: int | Sequence[int], *rest: int) -> Self:
        """The sum over the axes that broadcasting from ``shape`` would repeat; of shape ``shape``.

        Follows torch.Tensor.sum_to_size. Raises RuntimeError if ``shape`` does not broadcast to the shape of the tensor.
        """
        target = integers("shape", shape, rest)
        extra = self.ndim - len(target)
        aligned = self.shape[extra:] if extra >= 0 else ()
        if extra < 0 or any(n not in (1, size) for n, size in zip(target, aligned, strict=True)):
            raise RuntimeError(f"size {{{list(target)}}} is not expandable to size {{{list(self.shape)}}}.")
        result = apply("sum", self, axis=tuple(range(extra))) if extra else self
        axes = tuple(k for k, (n, size) in enumerate(zip(target, aligned, strict=True)) if n == 1 != size)
        return apply("sum", result, axis=axes, keepdims=True) if axes else result

    def unsqueeze(self, dim: int) -> Self:
        """An axis of size 1 put in at ``dim``. Follows torch.unsqueeze and Array API expand_dims.

        Raises IndexError for an axis out of range.
        """
        return apply("expand_dims", self, axis=axis_of(self, dim, 1))

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Self:
        """The tensor without its axes of size 1, or without those of ``dim`` that have size 1.

        Follows torch.squeeze and Array API squeeze. Raises IndexError for an axis out of range.
        """
        if dim is None:
            return apply("squeeze", self, axis=None)
        axes = {axis_of(self, axis) for axis in (dim if isinstance(dim, (tuple, list)) else (dim,))}
        return apply("squeeze", self, axis=tuple(sorted(axis for axis in axes if self.shape[axis : axis + 1] == (1,))))

    def permute(self, dims: int | Sequence[int], *rest: int) -> Self:
        """The axes in another order. Follows torch.permute and Array API permute_dims.

        Raises InvalidRequest if ``dims`` is not an order of all axes.
        """
        return apply("transpose", self, axes=integers("dims", dims, rest))

    def transpose(self, dim0: int, dim1: int) -> Self:
        """The tensor with two axes exchanged. Follows torch.transpose. Raises IndexError for an axis out of range."""
        axes = list(range(self.ndim))
        first, second = axis_of(self, dim0), axis_of(self, dim1)
        if axes:
            axes[first], axes[second] = second, first
        return apply("transpose", self, axes=tuple(axes))

    def t(self) -> Self:
        """The transpose of a matrix; a vector stays. Follows torch.t. Raises RuntimeError for more than two axes."""
        if self.ndim > 2:
            raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
        return apply("transpose", self)

    @property
    def T(self) -> Self:
        """The tensor with all axes in reverse. Follows torch.Tensor.T."""
        return apply("transpose", self)

    @property
    def mT(self) -> Self:
        """The last two axes exchanged: (..., n, m) becomes (..., m, n).

        Follows torch.Tensor.mT and Array API matrix_transpose. Raises InvalidRequest for fewer than two axes.
        """
        return apply("matrix_transpose", self)

    @property
    def mH(self) -> Self:
        """The last two axes exchanged, and the elements conjugated. Follows torch.Tensor.mH. Raises as `mT`."""
        return apply("adjoint", self)

    @property
    def H(self) -> Self:
        """The conjugate transpose of a matrix. Follows torch.Tensor.H. Raises RuntimeError unless it has two axes."""
        if self.ndim not in (0, 2):
            raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
        return apply("adjoint", self) if self.ndim else apply("conj", self)

    def flip(self, dims: int | Sequence[int], *rest: int) -> Self:
        """The order of elements reversed along axes. Follows torch.flip and Array API flip.

        Raises IndexError for an axis out of range, RuntimeError for one that is named twice.
        """
        return apply("flip", self, axis=axes_of(self, integers("dims", dims, rest)) or ())

    def clone(self) -> Self:
        """A copy through which gradients flow. Follows torch.clone."""
        return apply("reshape", self, shape=self.shape)

    # matrices

    def det(self) -> Self:
        """The determinants of matrices (..., n, n), of shape (...). Follows torch.det and Array API linalg.det.

        Raises InvalidRequest if the matrices are not square.
        """
        return apply("det", self)

    def inverse(self) -> Self:
        """The inverses of matrices (..., n, n). Follows torch.inverse and Array API linalg.inv.

        Raises InvalidRequest if the matrices are not square; DataFault, when the value is computed, for a singular matrix.
        """
        return apply("inv", self)

    def tril(self, diagonal: int = 0) -> Self:
        """The lower triangles of matrices (..., n, m), zeros above ``diagonal``. Follows torch.tril and Array API tril.

        Raises InvalidRequest for fewer than two axes.
        """
        return apply("tril", self, k=diagonal)

    def triu(self, diagonal: int = 0) -> Self:
        """The upper triangles of matrices (..., n, m), zeros below ``diagonal``. Follows torch.triu and Array API triu.

        Raises InvalidRequest for fewer than two axes.
        """
        return apply("triu", self, k=diagonal)
