"""Activations, losses and distances, by the names of `torch.nn.functional`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A002 - names of functions and arguments are those of PyTorch

from __future__ import annotations

from typing import TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import first
from gradproof.client.tensors.signatures import DTypeLike
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "log_softmax",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def log_softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.nn.functional.log_softmax.
    """
    return first(input, "log_softmax").log_softmax(dim, dtype=dtype)


def relu(input: TensorT) -> TensorT:
    """The larger of x and 0, element by element. The shape stays. Follows torch.nn.functional.relu."""
    return apply("relu", first(input, "relu"))


def sigmoid(input: TensorT) -> TensorT:
    """The logistic function 1 / (1 + e⁻ˣ) of each element.

    The shape stays. Follows torch.nn.functional.sigmoid. Raises InvalidRequest for complex elements.
    """
    return apply("sigmoid", first(input, "sigmoid"))


def silu(input: TensorT) -> TensorT:
    """x · sigmoid(x) of each element.

    The shape stays. Follows torch.nn.functional.silu. Raises InvalidRequest for complex elements.
    """
    return apply("silu", first(input, "silu"))


def softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.nn.functional.softmax.
    """
    return first(input, "softmax").softmax(dim, dtype=dtype)


def tanh(input: TensorT) -> TensorT:
    """The hyperbolic tangent of each element. The shape stays. Follows torch.nn.functional.tanh."""
    return apply("tanh", first(input, "tanh"))
