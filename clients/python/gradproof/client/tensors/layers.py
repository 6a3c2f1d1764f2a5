"""Layers of networks as functions: linear, embedding, classes and padding."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import first, integers
from gradproof.client.tensors.generator import generator, random_tensor
from gradproof.client.tensors.signatures import Operand
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)
Mode = Literal["constant", "reflect", "replicate", "circular"]
MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""The modes of PyTorch, and what the server, as NumPy, calls them."""


def linear(input: TensorT, weight: Tensor, bias: Operand | None = None) -> TensorT:
    """``input @ weight.T + bias`` of inputs (..., k), a weight (m, k) or (k,) and a bias (m,) or (); (..., m) or (...).

    Follows torch.nn.functional.linear. Raises InvalidRequest if shapes do not fit.
    """
    product = first(input, "linear").matmul(weight.t())
    return product if bias is None else product.add(bias)


def embedding(input: Operand, weight: TensorT, padding_idx: int | None = None) -> TensorT:
    """The rows of a weight (n, k) at the integers ``input``; (..., k). No gradient flows to the row ``padding_idx``.

    Follows torch.nn.functional.embedding. Raises DataFault, when the value is computed, for an integer out of range.
    """
    return apply("embedding", first(weight, "embedding"), input, padding_idx=padding_idx)


def one_hot(tensor: TensorT, num_classes: int = -1) -> TensorT:
    """1 at the place of each class along a new last axis, 0 elsewhere; int64. -1 stands for the largest class and 1.

    Follows torch.nn.functional.one_hot. Raises RuntimeError for -1 if there are no elements; DataFault, when the value is
    computed, for a class out of range.
    """
    if num_classes == -1:
        if not first(tensor, "one_hot").numel():
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.value().max()) + 1
    return apply("one_hot", first(tensor, "one_hot"), num_classes=num_classes)


def pad(input: TensorT, pad: Sequence[int], mode: Mode = "constant", value: float | None = None) -> TensorT:
    """The tensor with elements around it: ``pad`` has the numbers before and after the last axis, then those of the axis
    before it, and so on; a negative number cuts elements off.

    The elements are ``value`` (0), or in the other modes the tensor's own, continued. Follows torch.nn.functional.pad.
    Raises RuntimeError for an odd number of numbers or for too many, InvalidRequest if the tensor is too small.
    """
    sizes = integers("pad", pad)
    if len(sizes) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(sizes) > 2 * first(input, "pad").ndim:
        raise RuntimeError(
            f"Padding length should be less than or equal to two times the input dimension, got {len(sizes)}"
        )
    if mode not in MODES:
        raise RuntimeError(f"Unrecognised padding mode {mode}; modes are {', '.join(MODES)}")
    widths = [(0, 0)] * (input.ndim - len(sizes) // 2) + list(zip(sizes[::2], sizes[1::2], strict=True))[::-1]
    cuts = [slice(max(0, -a), size + min(0, b)) for (a, b), size in zip(widths, input.shape, strict=True)]
    wide = [(max(0, a), max(0, b)) for a, b in widths]
    kept = input if wide == widths else input[tuple(cuts)]
    return apply("pad", kept, widths=wide, mode=MODES[mode], value=0 if value is None else value)


def layer_norm(
    input: TensorT,
    normalized_shape: Sequence[int],
    weight: Operand | None = None,
    bias: Operand | None = None,
    eps: float = 1e-5,
) -> TensorT:
    """``input`` (..., *normalized_shape) minus its mean over these axes, over √(variance + eps), times ``weight``, plus
    ``bias``, both of shape ``normalized_shape``.

    Follows torch.nn.functional.layer_norm. Raises RuntimeError if the last axes have other sizes.
    """
    sizes = integers("normalized_shape", normalized_shape)
    if not sizes or first(input, "layer_norm").shape[-len(sizes) :] != sizes:
        raise RuntimeError(
            f"Given normalized_shape={list(sizes)}, expected input with shape [*, {', '.join(map(str, sizes))}], but got "
            f"input of size{list(input.shape)}"
        )
    axes = tuple(range(-len(sizes), 0))
    centred = input.sub(input.mean(axes, keepdim=True))
    result = centred.mul(centred.square().mean(axes, keepdim=True).add(eps).rsqrt())
    result = result if weight is None else result.mul(weight)
    return result if bias is None else result.add(bias)


def dropout(input: TensorT, p: float = 0.5, training: bool = True) -> TensorT:
    """``input`` with elements set to 0 at random, each with probability ``p``, and the others over 1 - ``p``; itself unless
    ``training``. The mask is drawn at the client, and is a constant of the graph.

    Follows torch.nn.functional.dropout. Raises ValueError for a probability out of range.
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return first(input, "dropout")
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    return input.mul(random_tensor(lambda shape: (generator().random(shape) >= p) * scale, input.shape, input.dtype))
