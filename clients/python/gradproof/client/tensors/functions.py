"""Functions of several tensors."""
# ruff: noqa: A002 - arguments have the names of PyTorch

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


def where(condition: Operand, input: Operand, other: Operand) -> Tensor:
    """``input`` where ``condition`` is not 0, ``other`` elsewhere. Shapes broadcast.

    The gradient of the branch that is not taken is 0 times its derivative: nan where that is infinite, as in PyTorch.
    Follows torch.where and Array API where. Raises RuntimeError if shapes do not broadcast.
    """
    return apply_as(Tensor, "where", condition, input, other)[0]
