"""Schedules of learning rates: a step of a schedule is an epoch."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradproof.client.optim.optimizer import Group, Optimizer


class LRScheduler:
    """A schedule of the learning rates of an optimiser. A subclass writes `rate`.

    Follows torch.optim.lr_scheduler.LRScheduler. Raises TypeError for what is no optimiser, KeyError for a ``last_epoch``
    other than -1 if the groups have no "initial_lr".

    Attributes:
        base_lrs: the learning rates at the start, a number for each group.
        last_epoch: the number of steps so far.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        for k, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{k}] when resuming scheduler with last_epoch >= 0"
                )
        self.optimizer, self.last_epoch = optimizer, last_epoch
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self._last_lr: list[float] = []
        self._advance()

    def rate(self, group: Group, place: int) -> float:
        """The learning rate of a group in the epoch ``last_epoch``.

        Raises NotImplementedError unless a subclass writes it.
        """
        raise NotImplementedError

    def step(self) -> None:
        """Go on to the next epoch, and set the learning rates. Warns before the first step of the optimiser.

        Follows torch.optim.lr_scheduler.LRScheduler.step.
        """
        if not self.optimizer.steps:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the learning rate "
                "schedule is skipped. Call `optimizer.step()` before `lr_scheduler.step()`.",
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self.last_epoch += 1
        groups = self.optimizer.param_groups
        self._last_lr = [self.rate(group, k) for k, group in enumerate(groups)]
        for group, rate in zip(groups, self._last_lr):
            group["lr"] = rate

    def get_last_lr(self) -> list[float]:
        """The learning rates that were set last. Follows torch.optim.lr_scheduler.LRScheduler.get_last_lr."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser. Follows torch.optim.lr_scheduler.LRScheduler.state_dict."""
        return {name: value for name, value in vars(self).items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the attributes of another schedule. Follows torch.optim.lr_scheduler.LRScheduler.load_state_dict."""
        vars(self).update(state_dict)


class LambdaLR(LRScheduler):
    """The learning rate at the start, times a function of the epoch, or a function for each group.

    Follows torch.optim.lr_scheduler.LambdaLR. Raises ValueError if the numbers of functions and groups differ.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"Expected {groups} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def rate(self, group: Group, place: int) -> float:
        """The learning rate of a group."""
        return self.base_lrs[place] * self.lr_lambdas[place](self.last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimiser and the functions. Follows torch.optim.lr_scheduler.LambdaLR.state_dict."""
        return {name: value for name, value in super().state_dict().items() if name != "lr_lambdas"}


class StepLR(LRScheduler):
    """The learning rate times ``gamma`` after each ``step_size`` epochs. Follows torch.optim.lr_scheduler.StepLR."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, group: Group, place: int) -> float:
        """The learning rate of a group."""
        falls = self.last_epoch and self.last_epoch % self.step_size == 0
        return float(group["lr"]) * (self.gamma if falls else 1.0)


class ExponentialLR(LRScheduler):
    """The learning rate times ``gamma`` after each epoch. Follows torch.optim.lr_scheduler.ExponentialLR."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, group: Group, place: int) -> float:
        """The learning rate of a group."""
        return float(group["lr"]) * (self.gamma if self.last_epoch else 1.0)


class CosineAnnealingLR(LRScheduler):
    """Half a wave of a cosine from the learning rate to ``eta_min`` in ``T_max`` epochs, and back in as many (Loshchilov
    and Hutter, 2017). Follows torch.optim.lr_scheduler.CosineAnnealingLR."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, group: Group, place: int) -> float:
        """The learning rate of a group, from the last, which another schedule may have changed."""
        if not self.last_epoch:
            return float(group["lr"])
        before, now = (1 + math.cos(math.pi * (self.last_epoch - k) / self.T_max) for k in (1, 0))
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # from the lowest point upwards
            return float(group["lr"]) + (self.base_lrs[place] - self.eta_min) * now / 2
        return now / before * (float(group["lr"]) - self.eta_min) + self.eta_min
