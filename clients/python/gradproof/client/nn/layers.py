"""Layers: functions with weights, and those that behave otherwise in training."""
# ruff: noqa: A002, PLR0913 - arguments are those of PyTorch

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from gradproof.client.nn import functional, init
from gradproof.client.nn.module import Module
from gradproof.client.nn.parameter import Parameter
from gradproof.client.recording.modes import no_grad
from gradproof.client.tensors.arguments import integers
from gradproof.client.tensors.constructors import empty
from gradproof.client.tensors.convolutions import Sizes
from gradproof.client.tensors.signatures import DTypeLike
from gradproof.client.tensors.tensor import Tensor


def _parameter(*shape: int, dtype: DTypeLike | None) -> Parameter:
    return Parameter(empty(shape, dtype=dtype))


class Identity(Module):
    """The input itself. Follows torch.nn.Identity."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """The input."""
        return input


class Linear(Module):
    """``x @ weight.T + bias`` of inputs (..., in_features); (..., out_features).

    Weight (out_features, in_features) and bias (out_features,) are uniform within ± 1 / √in_features. Follows
    torch.nn.Linear.
    """

    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, dtype: DTypeLike | None = None) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = _parameter(out_features, in_features, dtype=dtype)
        self.register_parameter("bias", _parameter(out_features, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0))
        if self.bias is not None:
            bound = 1.0 / math.sqrt(self.in_features) if self.in_features else 0.0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The result (..., out_features)."""
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Conv2d(Module):
    """The cross-correlation of images (n, in_channels, h, w) with kernels (out_channels, in_channels / groups, kh, kw).

    Weight and bias are uniform within ± 1 / √(in_channels / groups · kh · kw). Follows torch.nn.Conv2d. Raises ValueError
    for channels that ``groups`` does not divide, and for another padding.
    """

    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | Literal["valid", "same"] = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        *,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        _check_convolution(in_channels, out_channels, groups, padding_mode)
        self.in_channels, self.out_channels, self.groups, self.padding_mode = (
            in_channels,
            out_channels,
            groups,
            padding_mode,
        )
        self.kernel_size, self.stride, self.dilation = map(_pair, (kernel_size, stride, dilation))
        if isinstance(padding, str) and padding not in ("valid", "same"):
            raise ValueError(f"Invalid padding string '{padding}', should be one of {{'same', 'valid'}}")
        if padding == "same" and self.stride != (1, 1):
            raise ValueError("padding='same' is not supported for strided convolutions")
        self.padding = padding if isinstance(padding, str) else _pair(padding)
        self.weight = _parameter(out_channels, in_channels // groups, *self.kernel_size, dtype=dtype)
        self.register_parameter("bias", _parameter(out_channels, dtype=dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5.0))
        if self.bias is not None and self.weight.numel():
            bound = 1.0 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        """The images (n, out_channels, h', w')."""
        image, padding = input, self.padding
        if self.padding_mode != "zeros":
            image, padding = functional.pad(input, self._around(), self.padding_mode), (0, 0)
        return functional.conv2d(image, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _around(self) -> list[int]:
        """The padding as `functional.pad` takes it: last axis first."""
        if isinstance(self.padding, str):
            total = [d * (k - 1) if self.padding == "same" else 0 for d, k in zip(self.dilation, self.kernel_size)]
            return [n for size in reversed(total) for n in (size // 2, size - size // 2)]
        return [n for n in reversed(self.padding) for _ in range(2)]

    def extra_repr(self) -> str:
        """Channels and sizes, and the rest where it is not usual."""
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        parts += [f"padding={self.padding}"] if self.padding != (0, 0) else []
        parts += [f"dilation={self.dilation}"] if self.dilation != (1, 1) else []
        parts += [f"groups={self.groups}"] if self.groups != 1 else []
        parts += ["bias=False"] if self.bias is None else []
        parts += [f"padding_mode={self.padding_mode}"] if self.padding_mode != "zeros" else []
        return ", ".join(parts)


def _check_convolution(in_channels: int, out_channels: int, groups: int, padding_mode: str) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    for name, channels in (("in", in_channels), ("out", out_channels)):
        if channels % groups:
            raise ValueError(f"{name}_channels must be divisible by groups")
    modes = ("zeros", "circular", "reflect", "replicate")
    if padding_mode not in modes:
        raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")


def _pair(value: Sizes) -> tuple[int, int]:
    numbers = integers("size", value)
    return numbers[0], numbers[-1]


class MaxPool2d(Module):
    """The largest element of each window of images (..., h, w). Follows torch.nn.MaxPool2d."""

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, dilation: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        """The images (..., h', w')."""
        return functional.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """The sizes of windows."""
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"{sizes}, ceil_mode=False"


class AvgPool2d(Module):
    """The mean of each window of images (..., h, w), where elements around the image are 0. Follows torch.nn.AvgPool2d."""

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, input: Tensor) -> Tensor:
        """The images (..., h', w')."""
        return functional.avg_pool2d(input, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """The sizes of windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class LayerNorm(Module):
    """(x - mean) / √(variance + eps) over the last axes, times ``weight``, plus ``bias``, of shape ``normalized_shape``.

    The weight starts with ones and the bias with zeros. Follows torch.nn.LayerNorm.
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: Sizes,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = integers("normalized_shape", normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, there in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, _parameter(*self.normalized_shape, dtype=dtype) if there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The shape, and what was chosen."""
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class Embedding(Module):
    """The rows of a weight (num_embeddings, embedding_dim) at integers (...); (..., embedding_dim).

    The weight is normal, and 0 in the row ``padding_idx``, to which no gradient flows. Follows torch.nn.Embedding. Raises
    AssertionError for a row that is not there, as PyTorch does.
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, dtype: DTypeLike | None = None
    ) -> None:
        super().__init__()
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise AssertionError("Padding_idx must be within num_embeddings")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = _parameter(num_embeddings, embedding_dim, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            array = self.weight.value().copy()
            array[self.padding_idx] = 0
            with no_grad():
                self.weight.copy_(array)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> Embedding:
        """A layer with the rows of ``embeddings``, which are not trained if ``freeze``.

        Follows torch.nn.Embedding.from_pretrained.
        """
        layer = cls(embeddings.shape[0], embeddings.shape[1], padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        """The rows (..., embedding_dim)."""
        return functional.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Sizes, and the padding row."""
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Dropout(Module):
    """In training, elements set to 0 at random with probability ``p``, and the others over 1 - ``p``; else the input.

    Nothing is changed in place, also with ``inplace``. Follows torch.nn.Dropout. Raises ValueError for a probability out of
    range.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` joined to a single axis. Follows torch.nn.Flatten."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The tensor with fewer axes."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """An axis split into several. Follows torch.nn.Unflatten."""

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        """The tensor with more axes."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
