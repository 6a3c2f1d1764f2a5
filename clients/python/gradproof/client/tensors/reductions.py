"""Reducing tensor methods with signatures of their own."""

from __future__ import annotations

from typing import Self

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axes_of, axis_of
from gradproof.client.tensors.elementwise import Elementwise
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, given


class Reductions(Elementwise):
    """Reductions over all axes, or over ``dim``: these axes go, or stay with size 1 if ``keepdim``.

    IndexError is raised for an axis out of range.
    """

    __slots__ = ()

    def norm(
        self, p: float | str | None = "fro", dim: Axes = None, keepdim: bool = False, dtype: DTypeLike | None = None
    ) -> Self:
        """The norm of order ``p`` ("fro" is 2) of the elements over all axes, or over ``dim``.

        Follows torch.norm and Array API linalg.vector_norm. Raises RuntimeError for the norm "nuc", which is not there.
        """
        if isinstance(p, str) and p != "fro":
            raise RuntimeError(f"norm() of order {p!r} is not there; numbers and 'fro' are")
        order = 2 if p is None or isinstance(p, str) else p
        x = self if dtype is None else self.to(dtype)
        return apply("vector_norm", x, ord=order, axis=axes_of(self, dim), keepdims=keepdim)

    def dist(self, other: Operand, p: float = 2) -> Self:
        """The norm of order ``p`` of ``self - other``. Shapes broadcast. Follows torch.dist."""
        return apply("vector_norm", apply("subtract", self, other), ord=p)

    def diff(self, n: int = 1, dim: int = -1, prepend: Recorded | None = None, append: Recorded | None = None) -> Self:
        """Differences of neighbours along ``dim``, ``n`` times, of the tensor with others in front of it and behind it.

        Follows torch.diff and Array API diff. Raises RuntimeError for a 0-d tensor.
        """
        if not self.ndim:
            raise RuntimeError("diff expects input to be at least one-dimensional")
        axis = axis_of(self, dim)
        if append is not None and prepend is None:
            none = (slice(None),) * axis + (slice(0, 0),)
            return apply("diff", self, self.leaf(np.empty(self.shape, self.dtype)[none]), append, n=n, axis=axis)
        return apply("diff", self, *given(prepend, append), n=n, axis=axis)
