"""Functions of several tensors, by the names that PyTorch's users know. All ops are in `gradproof.client.ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradproof.client.record import apply
from gradproof.client.tensor import Tensor


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along an axis."""
    return apply("concat", *tensors, axis=dim)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joined along a new axis."""
    return apply("stack", *tensors, axis=dim)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """``a`` where ``condition`` is true, ``b`` elsewhere. The gradient of the branch not taken is 0 times its derivative:
    nan where that is infinite, as in PyTorch."""
    return apply("where", condition, a, b)


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two, element by element; a tie shares the gradient evenly."""
    return apply("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two, element by element; a tie shares the gradient evenly."""
    return apply("minimum", a, b)
