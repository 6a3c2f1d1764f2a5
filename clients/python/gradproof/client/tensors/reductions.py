"""Reducing tensor methods with signatures of their own."""

from __future__ import annotations

from typing import Self

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import axes_of
from gradproof.client.tensors.elementwise import Elementwise
from gradproof.client.tensors.signatures import Axes


class Reductions(Elementwise):
    """Reductions over all axes, or over ``dim``: these axes go, or stay with size 1 if ``keepdim``.

    IndexError is raised for an axis out of range.
    """

    __slots__ = ()

    def all(self, dim: Axes = None, keepdim: bool = False) -> Self:
        """True if all elements, over all axes or ``dim``, are not 0; bool. Follows torch.all and Array API all."""
        return apply("equal", self.logical_not().sum(dim, keepdim), 0)

    def any(self, dim: Axes = None, keepdim: bool = False) -> Self:
        """True if an element, over all axes or ``dim``, is not 0; bool. Follows torch.any and Array API any."""
        return apply("not_equal", self.ne(0).sum(dim, keepdim), 0)

    def norm(self, p: float | str = 2, dim: Axes = None, keepdim: bool = False) -> Self:
        """The norm of order ``p`` (2 or "fro", 1, or infinity) of the elements over all axes, or over ``dim``.

        Follows torch.norm and Array API linalg.vector_norm. Raises RuntimeError for another order.
        """
        if p in (1, np.inf):
            return apply("sum" if p == 1 else "max", self.abs(), axis=axes_of(self, dim), keepdims=keepdim)
        if p not in (2, "fro"):
            raise RuntimeError(f"norm() of order {p} is not there; 1, 2 and inf are")
        squares = apply("square", self.abs() if self.is_complex() else self)
        return apply("sqrt", apply("sum", squares, axis=axes_of(self, dim), keepdims=keepdim))
