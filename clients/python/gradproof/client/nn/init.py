"""Initialisation of parameters, by the names and the distributions of `torch.nn.init`. Numbers are NumPy's."""

from __future__ import annotations

import math
import warnings
from typing import Literal, TypeAlias, TypeVar

import numpy as np

from gradproof.client.events import Array
from gradproof.client.recording.modes import no_grad
from gradproof.client.tensors.generator import generator
from gradproof.client.tensors.tensor import Tensor

T = TypeVar("T", bound=Tensor)
Nonlinearity: TypeAlias = Literal[
    "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid", "tanh",
    "relu", "leaky_relu", "selu",
]  # fmt: skip
Fan: TypeAlias = Literal["fan_in", "fan_out"]


def calculate_gain(nonlinearity: Nonlinearity, param: float | None = None) -> float:
    """The factor of weights before an activation that keeps the size of signals; ``param`` is the slope of a leaky ReLU.

    Follows torch.nn.init.calculate_gain. Raises ValueError for another activation, or a slope that is no number.
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, int | float | None):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
    if nonlinearity.startswith("conv") or nonlinearity in ("linear", "sigmoid"):
        return 1.0
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0) -> T:
    """Fill with numbers that are uniform between ``a`` and ``b``. Follows torch.nn.init.uniform_."""
    return _filled(tensor, generator().uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0) -> T:
    """Fill with normal numbers. Follows torch.nn.init.normal_."""
    return _filled(tensor, generator().normal(mean, std, tensor.shape))


def constant_(tensor: T, val: float) -> T:
    """Fill with ``val``. Follows torch.nn.init.constant_."""
    return _filled(tensor, np.full(tensor.shape, val))


def zeros_(tensor: T) -> T:
    """Fill with zeros. Follows torch.nn.init.zeros_."""
    return constant_(tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill with ones. Follows torch.nn.init.ones_."""
    return constant_(tensor, 1.0)


def eye_(tensor: T) -> T:
    """Fill a matrix with the identity. Follows torch.nn.init.eye_. Raises ValueError unless there are two axes."""
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _filled(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def kaiming_uniform_(tensor: T, a: float = 0.0, mode: Fan = "fan_in", nonlinearity: Nonlinearity = "leaky_relu") -> T:
    """Fill with numbers that are uniform within ± gain √(3 / fan).

    Follows torch.nn.init.kaiming_uniform_. Raises ValueError for fewer than two axes, another mode or activation.
    """
    return tensor if _is_empty(tensor) else _spread(tensor, math.sqrt(3.0) * _kaiming(tensor, a, mode, nonlinearity))


def kaiming_normal_(tensor: T, a: float = 0.0, mode: Fan = "fan_in", nonlinearity: Nonlinearity = "leaky_relu") -> T:
    """Fill with normal numbers of standard deviation gain / √fan.

    Follows torch.nn.init.kaiming_normal_. Raises ValueError for fewer than two axes, another mode or activation.
    """
    return tensor if _is_empty(tensor) else normal_(tensor, 0.0, _kaiming(tensor, a, mode, nonlinearity))


def xavier_uniform_(tensor: T, gain: float = 1.0) -> T:
    """Fill with numbers that are uniform within ± gain √(6 / (fan in + fan out)).

    Follows torch.nn.init.xavier_uniform_. Raises ValueError for fewer than two axes.
    """
    return _spread(tensor, math.sqrt(3.0) * gain * math.sqrt(2.0 / sum(_fans(tensor))))


def xavier_normal_(tensor: T, gain: float = 1.0) -> T:
    """Fill with normal numbers of standard deviation gain √(2 / (fan in + fan out)).

    Follows torch.nn.init.xavier_normal_. Raises ValueError for fewer than two axes.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))))


def _filled(tensor: T, array: Array) -> T:
    with no_grad():
        return tensor.copy_(array)


def _spread(tensor: T, bound: float) -> T:
    return uniform_(tensor, -bound, bound)


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
    return 0 in tensor.shape


def _kaiming(tensor: Tensor, a: float, mode: str, nonlinearity: Nonlinearity) -> float:
    """The standard deviation."""
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _fans(tensor)[mode.lower() == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _fans(weight: Tensor) -> tuple[int, int]:
    """The numbers of inputs of an output, and of outputs of an input, of a weight (outputs, inputs, *kernel)."""
    if weight.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field
