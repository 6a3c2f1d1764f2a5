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


def batch_norm(  # noqa: PLR0913 - the arguments of PyTorch
    input: TensorT,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> TensorT:
    """``input`` (n, c, ...) minus the mean of each channel, over √(variance + eps), times ``weight``, plus ``bias``, of
    shape (c,).

    In ``training`` mean and variance are those of the batch, and the running ones move to them in place, by the share
    ``momentum`` (the variance with n - 1 in place of n); otherwise they are the running ones. Follows
    torch.nn.functional.batch_norm. Raises ValueError for a batch of one value per channel.
    """
    shape = first(input, "batch_norm").shape
    spread = (1, shape[1], *(1,) * (len(shape) - 2))
    axes = (0, *range(2, len(shape)))
    if training and input.numel() == shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size torch.Size({list(shape)})")
    if training or running_mean is None or running_var is None:
        mean = input.mean(axes, keepdim=True)
        centred = input.sub(mean)
        variance: Tensor = centred.square().mean(axes, keepdim=True)
        count = input.numel() // max(shape[1], 1)
        for running, found in ((running_mean, mean), (running_var, variance.mul(count / max(count - 1, 1)))):
            if running is not None:
                running.data = running.mul(1 - momentum).add(found.detach().reshape(shape[1]).mul(momentum)).detach()
    else:
        centred, variance = input.sub(running_mean.reshape(spread)), running_var.reshape(spread)
    return _affine(centred.mul(variance.add(eps).rsqrt()), weight, bias, spread)


def group_norm(
    input: TensorT, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> TensorT:
    """``input`` (n, c, ...) minus the mean of each group of channels, over √(variance + eps), times ``weight``, plus
    ``bias``, of shape (c,).

    Follows torch.nn.functional.group_norm. Raises RuntimeError if the channels do not divide into the groups.
    """
    shape = first(input, "group_norm").shape
    if shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    groups = input.reshape(shape[0], num_groups, input.numel() // max(shape[0] * num_groups, 1))
    centred = groups.sub(groups.mean(-1, keepdim=True))
    result = centred.mul(centred.square().mean(-1, keepdim=True).add(eps).rsqrt()).reshape(shape)
    return _affine(result, weight, bias, (1, shape[1], *(1,) * (len(shape) - 2)))


def _affine(x: TensorT, weight: Tensor | None, bias: Tensor | None, shape: tuple[int, ...]) -> TensorT:
    """``x`` times a weight, plus a bias, of the channels."""
    scaled = x if weight is None else x.mul(weight.reshape(shape))
    return scaled if bias is None else scaled.add(bias.reshape(shape))


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
