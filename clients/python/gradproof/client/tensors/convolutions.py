"""Convolutions and pools of images, made of windows: a window is a row of a matrix, and a kernel a column."""
# ruff: noqa: A002 - arguments are those of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import first, integers
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)
Sizes: TypeAlias = int | Sequence[int]
"""A size for both axes of an image, or a size for each."""


def conv2d(
    input: TensorT,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | Literal["valid", "same"] = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> TensorT:
    """The cross-correlation of images (n, c, h, w) or (c, h, w) with kernels (o, c / groups, kh, kw), plus ``bias`` (o,);
    (n, o, h', w') or (o, h', w') with h' = (h + 2 padding - dilation (kh - 1) - 1) // stride + 1.

    Follows torch.nn.functional.conv2d. Raises RuntimeError if numbers of axes or channels do not fit, or if a kernel is
    larger than the image; ValueError for "same" with a stride.
    """
    if first(input, "conv2d").ndim not in (3, 4):
        raise RuntimeError(
            "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: " + str(list(input.shape))
        )
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    _channels_fit(input, weight, groups)
    kernel, steps, gaps = weight.shape[2:], _pair("stride", stride), _pair("dilation", dilation)
    if padding == "same" and steps != (1, 1):
        raise ValueError("padding='same' is not supported for strided convolutions")
    around = _padding(padding, kernel, gaps)
    patches = _windows(_padded(input, around, 0.0), kernel, steps, gaps)  # (n, c, h', w', kh, kw)
    n, c, h, w = patches.shape[:4]
    rows = patches.reshape(n, groups, c // groups, h, w, *kernel).permute(1, 0, 3, 4, 2, 5, 6)
    columns = weight.reshape(groups, weight.shape[0] // groups, -1).mT
    products = rows.reshape(groups, n * h * w, -1).matmul(columns).reshape(groups, n, h, w, -1)
    images = products.permute(1, 0, 4, 2, 3).reshape(n, weight.shape[0], h, w)
    return images if bias is None else images.add(bias.reshape(-1, 1, 1))


def max_pool2d(
    input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1
) -> TensorT:
    """The largest element of each window of images (..., h, w); the gradient flows to the first of several.

    Follows torch.nn.functional.max_pool2d. Raises RuntimeError if a window is larger than the image, or the padding larger
    than half of a window.
    """
    windows = _pooled("max_pool2d", input, kernel_size, stride, padding, dilation, float("-inf"))
    return windows.flatten(-2).max(-1).values


def avg_pool2d(input: TensorT, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> TensorT:
    """The mean of each window of images (..., h, w), where elements around the image are 0.

    Follows torch.nn.functional.avg_pool2d. Raises as `max_pool2d`.
    """
    return _pooled("avg_pool2d", input, kernel_size, stride, padding, 1, 0.0).mean((-2, -1))


def _pooled(
    name: str, x: TensorT, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes, value: float
) -> TensorT:
    """The windows of a pool, padded with ``value``."""
    kernel = _pair("kernel_size", kernel_size)
    steps = kernel if stride is None else _pair("stride", stride)
    around = _padding(padding, kernel, (1, 1))
    if any(2 * before > size for (before, _), size in zip(around, kernel)):
        raise RuntimeError("pad should be at most half of effective kernel size")
    if first(x, name).ndim not in (3, 4):
        raise RuntimeError(f"{name}: Expected 3D or 4D (batch mode) tensor, but got {list(x.shape)}")
    return _windows(_padded(x, around, value), kernel, steps, _pair("dilation", dilation))


def _channels_fit(x: Tensor, weight: Tensor, groups: int) -> None:
    if weight.ndim != 4:
        raise RuntimeError(f"weight should have four dimensions, but got {weight.ndim}")
    if x.shape[1] != weight.shape[1] * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
            f"{weight.shape[1] * groups} channels, but got {x.shape[1]} channels instead"
        )
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"{list(weight.shape)} instead"
        )


def _pair(name: str, value: Sizes) -> tuple[int, int]:
    """A number for each of two axes."""
    numbers = integers(name, value)
    if len(numbers) not in (1, 2):
        raise RuntimeError(f"{name} must be one number or two, but got {list(numbers)}")
    return numbers[0], numbers[-1]


def _padding(padding: Sizes | str, kernel: Sequence[int], gaps: Sequence[int]) -> list[tuple[int, int]]:
    """The numbers of elements before and after each axis."""
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ValueError(f"Invalid padding string '{padding}', should be one of valid, same")
        total = [gap * (size - 1) if padding == "same" else 0 for gap, size in zip(gaps, kernel)]
        return [(n // 2, n - n // 2) for n in total]
    return [(n, n) for n in _pair("padding", padding)]


def _padded(x: TensorT, around: Sequence[tuple[int, int]], value: float) -> TensorT:
    if not any(map(any, around)):
        return x
    return apply("pad", x, widths=[(0, 0)] * (x.ndim - 2) + list(around), mode="constant", value=value)


def _windows(x: TensorT, kernel: Sequence[int], steps: Sequence[int], gaps: Sequence[int]) -> TensorT:
    """The windows (..., h', w', kh, kw) of images (..., h, w)."""
    spans = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel)]
    if any(span > size for span, size in zip(spans, x.shape[-2:])):
        sizes = [" x ".join(map(str, part)) for part in (x.shape[-2:], spans)]
        raise RuntimeError(
            f"Calculated padded input size per channel: ({sizes[0]}). Kernel size: ({sizes[1]}). Kernel size can't be "
            "greater than actual input size"
        )
    rows = apply("unfold", x, axis=x.ndim - 2, size=spans[0], step=steps[0])  # (..., h', w, kh)
    both = apply("unfold", rows, axis=x.ndim - 1, size=spans[1], step=steps[1])  # (..., h', w', kh, kw)
    return both if gaps == (1, 1) else both[..., :: gaps[0], :: gaps[1]]
