"""L-BFGS: a quasi-Newton method that knows the Hessian from the last steps."""
# ruff: noqa: PLR0913 - arguments are those of PyTorch

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradproof.client.events import Array
from gradproof.client.optim.line_search import strong_wolfe
from gradproof.client.optim.optimizer import Closure, Optimizer, Parameters, evaluated, give, reals
from gradproof.client.tensors.tensor import Tensor


@dataclass
class Memory:
    """Steps, changes of the gradient along them, and the last direction, step size and gradient."""

    steps: list[Array]
    changes: list[Array]
    scale: float = 1.0
    direction: Array | None = None
    rate: float = 0.0
    gradient: Array | None = None
    iterations: int = 0
    evaluations: int = 0

    def take(self, gradient: Array, size: int) -> None:
        """Take in the last step, if the function is convex along it, and drop the oldest of more than ``size``."""
        if self.direction is None or self.gradient is None:
            return
        change, step = gradient - self.gradient, self.direction * self.rate
        curvature = float(change @ step)
        if curvature > 1e-10:
            self.steps, self.changes = [*self.steps, step][-size:], [*self.changes, change][-size:]
            self.scale = curvature / float(change @ change)

    def newton(self, gradient: Array) -> Array:
        """Minus the approximate inverse Hessian times the gradient: two loops over the steps (Nocedal, 1980)."""
        direction, factors = -gradient, []
        for step, change in zip(reversed(self.steps), reversed(self.changes)):
            factors.append(float(step @ direction) / float(change @ step))
            direction = direction - factors[-1] * change
        direction = direction * self.scale
        for step, change, factor in zip(self.steps, self.changes, reversed(factors)):
            direction = direction + step * (factor - float(change @ direction) / float(change @ step))
        return direction


class LBFGS(Optimizer):
    """The method of Broyden, Fletcher, Goldfarb and Shanno with limited memory. `step` needs a closure, which computes loss
    and gradients anew, and makes up to ``max_iter`` iterations, of step size ``lr`` or (``line_search_fn="strong_wolfe"``)
    of a step size that fulfils the strong Wolfe conditions.

    Follows torch.optim.LBFGS; a line search may try other step sizes. Raises ValueError for several groups, RuntimeError
    for another line search.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: Literal["strong_wolfe"] | None = None,
    ) -> None:
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")
        settings = {
            "lr": lr, "max_iter": max_iter, "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change, "history_size": history_size,
            "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, settings)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._tensors: list[Tensor] = self.param_groups[0]["params"]

    def step(self, closure: Closure | None = None) -> Any:
        """Make up to ``max_iter`` iterations; returns the loss before them. Follows torch.optim.LBFGS.step.

        Raises TypeError without a closure.
        """
        if closure is None:
            raise TypeError("LBFGS.step() missing 1 required positional argument: 'closure'")
        group = self.param_groups[0]
        first = evaluated(closure)
        loss, gradient = float(_number(first)), self._gradient()
        memory = self._memory()
        memory.evaluations += 1
        made, evaluations = 0, 1
        while made < group["max_iter"] and not _is_flat(gradient, group):
            made, memory.iterations = made + 1, memory.iterations + 1
            memory.take(gradient, group["history_size"])
            memory.direction, memory.gradient = memory.newton(gradient), gradient
            if float(gradient @ memory.direction) > -group["tolerance_change"]:
                break
            before, memory.rate = loss, self._rate(gradient, memory)
            loss, gradient, used = self._move(closure, loss, gradient, memory, last=made == group["max_iter"])
            evaluations, memory.evaluations = evaluations + used, memory.evaluations + used
            if evaluations >= group["max_eval"] or _is_small(memory, loss - before, group["tolerance_change"]):
                break
        self.state[self._tensors[0]]["memory"] = memory
        self.steps += 1
        return first

    def _memory(self) -> Memory:
        memory: Memory | None = self.state[self._tensors[0]].get("memory")
        return Memory([], []) if memory is None else copy.copy(memory)

    def _rate(self, gradient: Array, memory: Memory) -> float:
        rate = float(self.param_groups[0]["lr"])
        return rate if memory.iterations > 1 else rate * min(1.0, 1.0 / float(np.abs(gradient).sum()))

    def _move(
        self, closure: Closure, loss: float, gradient: Array, memory: Memory, *, last: bool
    ) -> tuple[float, Array, int]:
        """Make a step; the new loss and gradient, and the number of evaluations. The ``last`` step is not evaluated, unless
        by a search."""
        direction = memory.direction
        assert direction is not None
        origin = self._values()
        if self.param_groups[0]["line_search_fn"] is None:
            self._place(origin + memory.rate * direction)
            if last:
                return loss, gradient, 0
            return float(_number(evaluated(closure))), self._gradient(), 1
        memory.rate, loss, gradient, used = strong_wolfe(
            self._along(closure, origin, direction), memory.rate, loss, gradient, direction
        )
        self._place(origin + memory.rate * direction)
        return loss, gradient, used

    def _along(self, closure: Closure, origin: Array, direction: Array) -> Callable[[float], tuple[float, Array]]:
        def function(rate: float) -> tuple[float, Array]:
            self._place(origin + rate * direction)
            return float(_number(evaluated(closure))), self._gradient()

        return function

    def _values(self) -> Array:
        return np.concatenate([reals(tensor.value()).reshape(-1) for tensor in self._tensors])

    def _gradient(self) -> Array:
        gradients = [(tensor, tensor.accumulated) for tensor in self._tensors]
        parts = [np.zeros_like(tensor.value()) if g is None else g.value() for tensor, g in gradients]
        return np.concatenate([reals(part).reshape(-1) for part in parts])

    def _place(self, values: Array) -> None:
        """Give the parameters the numbers of a vector."""
        start = 0
        for tensor in self._tensors:
            like = reals(tensor.value())
            give(tensor, values[start : start + like.size].astype(like.dtype))
            start += like.size


def _number(loss: Any) -> Any:
    return loss.detach().item() if isinstance(loss, Tensor) else loss


def _is_flat(gradient: Array, group: dict[str, Any]) -> bool:
    return bool(np.abs(gradient).max(initial=0.0) <= group["tolerance_grad"])


def _is_small(memory: Memory, change: float, tolerance: float) -> bool:
    """True if the last step, or the change of the loss by it, was small."""
    assert memory.direction is not None
    return bool(np.abs(memory.direction * memory.rate).max() <= tolerance or abs(change) < tolerance)
