"""Gradient descent with momentum, and with a step size for each number of its own."""
# ruff: noqa: PLR0913 - arguments are those of PyTorch

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradproof.client.events import Array
from gradproof.client.optim.optimizer import Group, Optimizer, Parameters, check, check_betas


def _decayed(group: Group, value: Array, gradient: Array) -> Array:
    """The gradient with that of the penalty weight_decay |value|² / 2."""
    return gradient + group["weight_decay"] * value if group["weight_decay"] else gradient


class SGD(Optimizer):
    """Gradient descent, with momentum (heavy ball, or Nesterov's).

    Follows torch.optim.SGD. Raises ValueError for negative settings, and for Nesterov's momentum without momentum or with
    dampening.
    """

    kept = frozenset({"momentum_buffer"})

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize,
        }  # fmt: skip
        check(settings, {"lr": "learning rate", "momentum": "momentum value", "weight_decay": "weight_decay value"})
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, settings)

    def update(self, group: Group, state: dict[str, Any], value: Array, gradient: Array) -> Array:
        """b ← momentum b + (1 - dampening) g, from b = g at first; value - lr b."""
        gradient, momentum = _decayed(group, value, gradient), group["momentum"]
        if momentum:
            buffer = state.get("momentum_buffer")
            buffer = gradient if buffer is None else momentum * buffer + (1 - group["dampening"]) * gradient
            state["momentum_buffer"] = buffer
            gradient = gradient + momentum * buffer if group["nesterov"] else buffer
        result: Array = value - group["lr"] * gradient
        return result


class Adam(Optimizer):
    """Steps by the mean of gradients over the root of the mean of their squares (Kingma and Ba, 2015).

    Follows torch.optim.Adam. Raises ValueError for negative settings and decay rates outside [0, 1).
    """

    kept = frozenset({"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"})
    decoupled = False
    """Whether weights decay by themselves, apart from the gradient."""

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize,
        }  # fmt: skip
        check({"lr": lr, "eps": eps}, {"lr": "learning rate", "eps": "epsilon value"})
        check_betas(betas)
        check({"weight_decay": weight_decay}, {"weight_decay": "weight_decay value"})
        super().__init__(params, settings)

    def update(self, group: Group, state: dict[str, Any], value: Array, gradient: Array) -> Array:
        """m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g²; value - lr m̂ / (√v̂ + eps), both without the bias to 0."""
        if self.decoupled:
            value = value * (1 - group["lr"] * group["weight_decay"])
        else:
            gradient = _decayed(group, value, gradient)
        first, second = group["betas"]
        zeros, step = np.zeros_like(value), float(state["step"])
        mean, square = state.get("exp_avg", zeros), state.get("exp_avg_sq", zeros)
        state["exp_avg"] = mean = mean + (1 - first) * (gradient - mean)
        state["exp_avg_sq"] = square = second * square + (1 - second) * gradient * gradient
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = square = np.maximum(state.get("max_exp_avg_sq", zeros), square)
        root = np.sqrt(square) / math.sqrt(1 - second**step) + group["eps"]
        result: Array = value - (group["lr"] / (1 - first**step)) * (mean / root)
        return result


class AdamW(Adam):
    """`Adam` with weights that decay by themselves: value (1 - lr weight_decay) (Loshchilov and Hutter, 2019).

    Follows torch.optim.AdamW. Raises as `Adam`.
    """

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """Steps by gradients over the root of the mean of their squares (Hinton, 2012), or, centered, of their variance.

    Follows torch.optim.RMSprop. Raises ValueError for negative settings.
    """

    kept = frozenset({"step", "square_avg", "grad_avg", "momentum_buffer"})

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum, "centered": centered,
            "maximize": maximize,
        }  # fmt: skip
        texts = {"lr": "learning rate", "eps": "epsilon value", "momentum": "momentum value"}
        check(settings, {**texts, "weight_decay": "weight_decay value", "alpha": "alpha value"})
        super().__init__(params, settings)

    def update(self, group: Group, state: dict[str, Any], value: Array, gradient: Array) -> Array:
        """v ← α v + (1 - α) g²; value - lr g / (√v + eps), with momentum as of `SGD`."""
        gradient, alpha, zeros = _decayed(group, value, gradient), group["alpha"], np.zeros_like(value)
        state["square_avg"] = square = alpha * state.get("square_avg", zeros) + (1 - alpha) * gradient * gradient
        if group["centered"]:
            mean = state.get("grad_avg", zeros)
            state["grad_avg"] = mean = mean + (1 - alpha) * (gradient - mean)
            square = square - mean * mean
        move = gradient / (np.sqrt(square) + group["eps"])
        if group["momentum"]:
            move = state["momentum_buffer"] = group["momentum"] * state.get("momentum_buffer", zeros) + move
        result: Array = value - group["lr"] * move
        return result


class Adagrad(Optimizer):
    """Steps by gradients over the root of the sum of their squares (Duchi, Hazan and Singer, 2011).

    Follows torch.optim.Adagrad. Raises ValueError for negative settings.
    """

    kept = frozenset({"step", "sum"})

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "maximize": maximize,
        }  # fmt: skip
        texts = {"lr": "learning rate", "lr_decay": "lr_decay value", "weight_decay": "weight_decay value"}
        texts |= {"initial_accumulator_value": "initial_accumulator_value value", "eps": "epsilon value"}
        check(settings, texts)
        super().__init__(params, settings)

    def update(self, group: Group, state: dict[str, Any], value: Array, gradient: Array) -> Array:
        """s ← s + g²; value - lr / (1 + (step - 1) lr_decay) g / (√s + eps)."""
        gradient = _decayed(group, value, gradient)
        start = np.full_like(value, group["initial_accumulator_value"])
        state["sum"] = total = state.get("sum", start) + gradient * gradient
        rate = group["lr"] / (1 + (float(state["step"]) - 1) * group["lr_decay"])
        result: Array = value - rate * (gradient / (np.sqrt(total) + group["eps"]))
        return result
