"""Functions with a backward of their own, for tests of the client."""

from __future__ import annotations

from typing import Any

from gradproof.client.autograd import Function


class Cube(Function):
    """The third power."""

    @staticmethod
    def forward(ctx: Any, a: Any) -> Any:
        """The cubes of the elements."""
        ctx.save_for_backward(a)
        return a * a * a

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        """The gradient 3 a² g."""
        (a,) = ctx.saved_tensors
        return 3 * a * a * g
