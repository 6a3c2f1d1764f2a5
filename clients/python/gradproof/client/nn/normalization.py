"""Normalization of channels: over a batch, with running means and variances, and over groups of channels."""
# ruff: noqa: A002 - arguments are those of PyTorch

from __future__ import annotations

from gradproof.client.nn import functional, init
from gradproof.client.nn.module import Module
from gradproof.client.nn.parameter import Parameter
from gradproof.client.tensors.constructors import empty, ones, tensor, zeros
from gradproof.client.tensors.signatures import DTypeLike
from gradproof.client.tensors.tensor import Tensor


class _Affine(Module):
    """A weight and a bias of the channels; without ``affine`` both are None."""

    weight: Parameter | None
    bias: Parameter | None

    def _register_affine(self, channels: int, affine: bool, bias: bool, dtype: DTypeLike | None) -> None:
        for name, there in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, Parameter(empty((channels,), dtype=dtype)) if there else None)

    def reset_parameters(self) -> None:
        """Set the weight to ones and the bias to zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _BatchNorm(_Affine):
    """(x - mean) / √(variance + eps) of each channel, times ``weight``, plus ``bias``.

    In training mean and variance are those of the batch; in evaluation the running ones, which start with 0 and 1 and move
    to those of each batch by the share ``momentum`` (None: all batches count alike). Without ``track_running_stats`` they
    are always those of the batch.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    ranks: tuple[int, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._register_affine(num_features, affine, bias, dtype)
        self.register_buffer("running_mean", zeros(num_features, dtype=dtype) if track_running_stats else None)
        self.register_buffer("running_var", ones(num_features, dtype=dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", tensor(0) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set running means to 0, variances to 1 and the count of batches to 0."""
        for name, value in (("running_mean", 0), ("running_var", 1), ("num_batches_tracked", 0)):
            if (buffer := getattr(self, name)) is not None:
                buffer.fill_(value)

    def reset_parameters(self) -> None:
        """Set the weight to ones, the bias to zeros, and the running statistics to those of no batch."""
        self.reset_running_stats()
        super().reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input. Raises ValueError for another rank."""
        if input.ndim not in self.ranks:
            expected = " or ".join(f"{rank}D" for rank in self.ranks)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")
        share = self.momentum or 0.0
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            share = 1.0 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        running = (self.running_mean, self.running_var) if not self.training or self.track_running_stats else (None, None)
        of_batch = self.training or self.running_mean is None
        return functional.batch_norm(input, *running, self.weight, self.bias, of_batch, share, self.eps)

    def extra_repr(self) -> str:
        """The number of channels, and what was chosen."""
        chosen = f"affine={self.affine}, bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, {chosen}"


class BatchNorm1d(_BatchNorm):
    """Batch normalization of inputs (n, c) or (n, c, l). Follows torch.nn.BatchNorm1d."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of inputs (n, c, h, w). Follows torch.nn.BatchNorm2d."""

    ranks = (4,)


class GroupNorm(_Affine):
    """(x - mean) / √(variance + eps) of each group of channels of inputs (n, c, ...), times ``weight``, plus ``bias``.

    Follows torch.nn.GroupNorm. Raises ValueError if the channels do not divide into the groups.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self._register_affine(num_channels, affine, bias, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Groups and channels, and what was chosen."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"
