"""Functions of several tensors."""

from __future__ import annotations

from collections.abc import Sequence

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors joined along an axis; their shapes may differ along that axis only.

    Follows torch.cat and Array API concat. Raises InvalidRequest if shapes differ elsewhere, or without tensors.
    """
    return apply_as(Tensor, "concat", *tensors, axis=dim)[0]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The tensors, of a common shape, joined along a new axis.

    Follows torch.stack and Array API stack. Raises InvalidRequest if shapes differ, or without tensors.
    """
    return apply_as(Tensor, "stack", *tensors, axis=dim)[0]


def where(condition: Operand, a: Operand, b: Operand) -> Tensor:
    """``a`` where ``condition`` is not 0, ``b`` elsewhere. Shapes broadcast.

    The gradient of the branch that is not taken is 0 times its derivative: nan where that is infinite, as in PyTorch.
    Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast.
    """
    return apply_as(Tensor, "where", condition, a, b)[0]


def maximum(a: Operand, b: Operand) -> Tensor:
    """The larger of both, element by element; a tie shares the gradient evenly. Shapes broadcast.

    Follows torch.maximum and Array API maximum. Raises RuntimeError if shapes do not broadcast.
    """
    return apply_as(Tensor, "maximum", a, b)[0]


def minimum(a: Operand, b: Operand) -> Tensor:
    """The smaller of both, element by element; a tie shares the gradient evenly. Shapes broadcast.

    Follows torch.minimum and Array API minimum. Raises RuntimeError if shapes do not broadcast.
    """
    return apply_as(Tensor, "minimum", a, b)[0]
