"""Losses as modules."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Literal

from gradproof.client.nn import functional
from gradproof.client.nn.module import Module
from gradproof.client.tensors.signatures import Operand, Reduction
from gradproof.client.tensors.tensor import Tensor


class _Loss(Module):
    """A loss with a reduction: the mean or the sum of the losses of the elements, or these themselves ("none")."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        self.reduction: Reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with weights, which are a buffer."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """(input - target)². Follows torch.nn.MSELoss."""

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """|input - target|. Follows torch.nn.L1Loss."""

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d² / (2 beta) for the distance d while d < beta, d - beta / 2 beyond. Follows torch.nn.SmoothL1Loss."""

    def __init__(self, *, reduction: Reduction = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d² / 2 for the distance d while d < delta, delta (d - delta / 2) beyond. Follows torch.nn.HuberLoss."""

    def __init__(self, reduction: Reduction = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.huber_loss(input, target, self.reduction, self.delta)


class KLDivLoss(Module):
    """target (ln(target) - input), where the input is a logarithm, as is the target if ``log_target``.

    Follows torch.nn.KLDivLoss.
    """

    def __init__(
        self, *, reduction: Literal["none", "mean", "sum", "batchmean"] = "mean", log_target: bool = False
    ) -> None:
        super().__init__()
        self.reduction: Literal["none", "mean", "sum", "batchmean"] = reduction
        self.log_target = log_target

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class NLLLoss(_WeightedLoss):
    """-input at the class, along axis 1, that is the target; ``weight`` is by class. Follows torch.nn.NLLLoss."""

    def __init__(self, weight: Tensor | None = None, *, ignore_index: int = -100, reduction: Reduction = "mean") -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """The cross entropy of the softmax of the input along the classes, axis 1, and a target of classes, or of probabilities
    of classes; ``weight`` is by class. Follows torch.nn.CrossEntropyLoss."""

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(_WeightedLoss):
    """-target ln(input) - (1 - target) ln(1 - input), of probabilities. Follows torch.nn.BCELoss."""

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """`BCELoss` of the sigmoid of the input; ``pos_weight`` is a factor of the first term.

    Follows torch.nn.BCEWithLogitsLoss.
    """

    pos_weight: Tensor | None

    def __init__(
        self, weight: Tensor | None = None, *, reduction: Reduction = "mean", pos_weight: Tensor | None = None
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Operand) -> Tensor:
        """The loss."""
        return functional.binary_cross_entropy_with_logits(
            input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )
