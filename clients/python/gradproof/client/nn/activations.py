"""Activations as modules."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Literal

from gradproof.client.nn import functional
from gradproof.client.nn.module import Module
from gradproof.client.tensors.tensor import Tensor


class _InPlace(Module):
    """An activation that takes ``inplace``, though nothing is changed in place: the result is the same."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """``inplace``, where it is set."""
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """The larger of x and 0. Follows torch.nn.ReLU."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.relu(input)


class SiLU(_InPlace):
    """x sigmoid(x). Follows torch.nn.SiLU."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.silu(input)


class LeakyReLU(_InPlace):
    """x where x > 0, elsewhere ``negative_slope`` x. Follows torch.nn.LeakyReLU."""

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return ", ".join(filter(None, [f"negative_slope={self.negative_slope}", super().extra_repr()]))


class ELU(_InPlace):
    """x where x > 0, elsewhere ``alpha`` (e^x - 1). Follows torch.nn.ELU."""

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.elu(input, self.alpha)

    def extra_repr(self) -> str:
        """The factor."""
        return ", ".join(filter(None, [f"alpha={self.alpha}", super().extra_repr()]))


class Tanh(Module):
    """The hyperbolic tangent. Follows torch.nn.Tanh."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.tanh(input)


class Sigmoid(Module):
    """1 / (1 + e^-x). Follows torch.nn.Sigmoid."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.sigmoid(input)


class GELU(Module):
    """x Φ(x), or with "tanh" an approximation of it. Follows torch.nn.GELU."""

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate: Literal["none", "tanh"] = approximate

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """The approximation."""
        return f"approximate='{self.approximate}'"


class Softplus(Module):
    """ln(1 + e^(beta x)) / beta, and x where beta x > ``threshold``. Follows torch.nn.Softplus."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The parameters."""
        return f"beta={self.beta}, threshold={self.threshold}"


class _Along(Module):
    """An activation along an axis; without ``dim`` the axis that PyTorch takes: 0 for 0, 1 or 3 axes, else 1."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def _axis(self, x: Tensor) -> int:
        if self.dim is not None:
            return self.dim
        return 0 if x.ndim in (0, 1, 3) else 1

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class Softmax(_Along):
    """e^x over its sum along an axis. Follows torch.nn.Softmax."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.softmax(input, self._axis(input))


class LogSoftmax(_Along):
    """The logarithm of `Softmax`. Follows torch.nn.LogSoftmax."""

    def forward(self, input: Tensor) -> Tensor:
        """The result, of the shape of the input."""
        return functional.log_softmax(input, self._axis(input))
