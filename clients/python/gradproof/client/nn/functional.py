"""Activations, losses and distances, by the names of `torch.nn.functional`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A002, PLR0913 - functions and their arguments are those of PyTorch

from __future__ import annotations

from typing import Literal, TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import along, axis_of, first
from gradproof.client.tensors.convolutions import avg_pool2d, conv2d, max_pool2d
from gradproof.client.tensors.layers import batch_norm, dropout, embedding, group_norm, layer_norm, linear, one_hot, pad
from gradproof.client.tensors.signatures import DTypeLike, Operand, Reduction, given
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "channel_shuffle",
    "conv2d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "margin_ranking_loss",
    "max_pool2d",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "triplet_margin_loss",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def binary_cross_entropy(
    input: TensorT, target: Operand, weight: Operand | None = None, *, reduction: Reduction = "mean"
) -> TensorT:
    """-target ln(input) - (1 - target) ln(1 - input), times ``weight``; logarithms are at least -100.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.binary_cross_entropy. Raises InvalidRequest
    for complex elements.
    """
    return apply("binary_cross_entropy", first(input, "binary_cross_entropy"), target, *given(weight), reduction=reduction)


def binary_cross_entropy_with_logits(
    input: TensorT,
    target: Operand,
    weight: Operand | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Operand | None = None,
) -> TensorT:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow in between; ``pos_weight`` is a factor of the
    first term.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.binary_cross_entropy_with_logits. Raises
    InvalidRequest for complex elements.
    """
    return apply(
        "binary_cross_entropy_with_logits",
        first(input, "binary_cross_entropy_with_logits"),
        target,
        *given(1.0 if weight is None and pos_weight is not None else weight, pos_weight),
        reduction=reduction,
    )


def celu(input: TensorT, alpha: float = 1.0) -> TensorT:
    """x where x > 0, elsewhere alpha (e^(x / alpha) - 1).

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.celu. Raises InvalidRequest for
    complex elements.
    """
    return apply("celu", first(input, "celu"), alpha=alpha)


def channel_shuffle(input: TensorT, groups: int) -> TensorT:
    """The channels of (n, groups · c, ...) with the groups interleaved.

    Raises IndexError for an axis out of range. Follows torch.nn.functional.channel_shuffle.
    """
    return apply("channel_shuffle", first(input, "channel_shuffle"), groups=groups)


def cosine_embedding_loss(
    input1: TensorT, input2: Operand, target: Operand, margin: float = 0.0, *, reduction: Reduction = "mean"
) -> TensorT:
    """1 - c for the cosine c along the last axis where the target is 1, max(0, c - margin) where it is -1.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.cosine_embedding_loss.
    """
    return apply(
        "cosine_embedding_loss", first(input1, "cosine_embedding_loss"), input2, target, margin=margin, reduction=reduction
    )


def cosine_similarity(x1: TensorT, x2: Operand, dim: int = 1, eps: float = 1e-08) -> TensorT:
    """The cosines of the angles between vectors along ``dim``; norms count as at least ``eps``.

    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.cosine_similarity.
    """
    return apply("cosine_similarity", first(x1, "cosine_similarity"), x2, axis=axis_of(x1, dim), eps=eps)


def cross_entropy(
    input: TensorT,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> TensorT:
    """The cross entropy of ``log_softmax(input)`` along the classes, axis 1, and classes, or probabilities of classes,
    that are the target; ``weight`` is by class.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.cross_entropy.
    """
    return apply(
        "cross_entropy",
        first(input, "cross_entropy"),
        target,
        *given(weight),
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def elu(input: TensorT, alpha: float = 1.0) -> TensorT:
    """x where x > 0, elsewhere alpha (eˣ - 1).

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.elu. Raises InvalidRequest for
    complex elements.
    """
    return apply("elu", first(input, "elu"), alpha=alpha)


def gaussian_nll_loss(
    input: TensorT, target: Operand, var: Operand, full: bool = False, eps: float = 1e-06, reduction: Reduction = "mean"
) -> TensorT:
    """(ln(var) + (input - target)² / var) / 2, where ``var`` counts as at least ``eps``; ``full`` adds ln(2π) / 2.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.gaussian_nll_loss. Raises InvalidRequest
    for complex elements.
    """
    return apply(
        "gaussian_nll_loss", first(input, "gaussian_nll_loss"), target, var, full=full, eps=eps, reduction=reduction
    )


def gelu(input: TensorT, approximate: Literal["none", "tanh"] = "none") -> TensorT:
    """x Φ(x) of each element, Φ the normal distribution function; ``approximate`` is "none" or "tanh".

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.gelu.
    """
    return apply("gelu", first(input, "gelu"), approximate=approximate)


def glu(input: TensorT, dim: int = -1) -> TensorT:
    """The first half along ``dim``, times the sigmoid of the second.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.glu. Raises InvalidRequest for
    complex elements.
    """
    return apply("glu", first(input, "glu"), axis=axis_of(input, dim))


def hardshrink(input: TensorT, lambd: float = 0.5) -> TensorT:
    """x where |x| > lambd, elsewhere 0.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.hardshrink. Raises InvalidRequest
    for complex elements.
    """
    return apply("hardshrink", first(input, "hardshrink"), lambd=lambd)


def hardsigmoid(input: TensorT) -> TensorT:
    """(x + 3) / 6 of each element, limited to [0, 1].

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.hardsigmoid. Raises
    InvalidRequest for complex elements.
    """
    return apply("hardsigmoid", first(input, "hardsigmoid"))


def hardswish(input: TensorT) -> TensorT:
    """x · hardsigmoid(x) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.hardswish. Raises InvalidRequest
    for complex elements.
    """
    return apply("hardswish", first(input, "hardswish"))


def hardtanh(input: TensorT, min_val: float = -1.0, max_val: float = 1.0) -> TensorT:
    """Each element limited to [``min_val``, ``max_val``].

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.hardtanh. Raises InvalidRequest
    for complex elements.
    """
    return apply("hardtanh", first(input, "hardtanh"), min=min_val, max=max_val)


def hinge_embedding_loss(input: TensorT, target: Operand, *, margin: float = 1.0, reduction: Reduction = "mean") -> TensorT:
    """The input where the target is 1, max(0, margin - input) where it is -1.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.hinge_embedding_loss. Raises InvalidRequest
    for complex elements.
    """
    return apply("hinge_embedding_loss", first(input, "hinge_embedding_loss"), target, margin=margin, reduction=reduction)


def huber_loss(
    input: TensorT, target: Operand, reduction: Reduction = "mean", delta: float = 1.0, *, weight: Operand | None = None
) -> TensorT:
    """d² / 2 for the distance d while d < delta, delta (d - delta / 2) beyond, times ``weight``.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.huber_loss. Raises InvalidRequest for
    complex elements.
    """
    return apply("huber_loss", first(input, "huber_loss"), target, *given(weight), reduction=reduction, delta=delta)


def kl_div(
    input: TensorT,
    target: Operand,
    *,
    reduction: Literal["none", "mean", "sum", "batchmean"] = "mean",
    log_target: bool = False,
) -> TensorT:
    """target (ln(target) - input), where the input is a logarithm, as is the target if ``log_target``. "batchmean" is
    the sum over the size of the first axis.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.kl_div. Raises InvalidRequest for complex
    elements.
    """
    return apply("kl_div", first(input, "kl_div"), target, reduction=reduction, log_target=log_target)


def l1_loss(input: TensorT, target: Operand, *, reduction: Reduction = "mean", weight: Operand | None = None) -> TensorT:
    """|input - target|, times ``weight``.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.l1_loss.
    """
    return apply("l1_loss", first(input, "l1_loss"), target, *given(weight), reduction=reduction)


def leaky_relu(input: TensorT, negative_slope: float = 0.01) -> TensorT:
    """Each element, times ``negative_slope`` where it is negative.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.leaky_relu. Raises InvalidRequest
    for complex elements.
    """
    return apply("leaky_relu", first(input, "leaky_relu"), negative_slope=negative_slope)


def log_softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.nn.functional.log_softmax.
    """
    return along("log_softmax", first(input, "log_softmax") if dtype is None else input.to(dtype), dim)


def logsigmoid(input: TensorT) -> TensorT:
    """ln(1 / (1 + e⁻ˣ)) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.logsigmoid. Raises InvalidRequest
    for bool elements.
    """
    return apply("logsigmoid", first(input, "logsigmoid"))


def margin_ranking_loss(
    input1: TensorT, input2: Operand, target: Operand, margin: float = 0.0, *, reduction: Reduction = "mean"
) -> TensorT:
    """max(0, margin - target * (input1 - input2)).

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.margin_ranking_loss. Raises InvalidRequest
    for complex elements.
    """
    return apply(
        "margin_ranking_loss", first(input1, "margin_ranking_loss"), input2, target, margin=margin, reduction=reduction
    )


def mish(input: TensorT) -> TensorT:
    """x tanh(ln(1 + eˣ)) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.mish.
    """
    return apply("mish", first(input, "mish"))


def mse_loss(input: TensorT, target: Operand, *, reduction: Reduction = "mean", weight: Operand | None = None) -> TensorT:
    """(input - target)², times ``weight``.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.mse_loss. Raises InvalidRequest for complex
    elements.
    """
    return apply("mse_loss", first(input, "mse_loss"), target, *given(weight), reduction=reduction)


def multi_margin_loss(
    input: TensorT,
    target: Operand,
    p: int = 1,
    margin: float = 1.0,
    weight: Operand | None = None,
    *,
    reduction: Reduction = "mean",
) -> TensorT:
    """The sum of max(0, margin - x[target] + x)^p over other classes by the count of all, times ``weight`` of the
    target.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.multi_margin_loss.
    """
    return apply(
        "multi_margin_loss",
        first(input, "multi_margin_loss"),
        target,
        *given(weight),
        p=p,
        margin=margin,
        reduction=reduction,
    )


def multilabel_margin_loss(input: TensorT, target: Operand, *, reduction: Reduction = "mean") -> TensorT:
    """The sum of max(0, 1 - x[k] + x) over the classes k that the target lists before its first -1, and over all
    others, by the count of all.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.multilabel_margin_loss.
    """
    return apply("multilabel_margin_loss", first(input, "multilabel_margin_loss"), target, reduction=reduction)


def multilabel_soft_margin_loss(
    input: TensorT, target: Operand, weight: Operand | None = None, *, reduction: Reduction = "mean"
) -> TensorT:
    """The mean of `binary_cross_entropy_with_logits` along the last axis, times ``weight``.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.multilabel_soft_margin_loss. Raises
    InvalidRequest for complex elements.
    """
    return apply(
        "multilabel_soft_margin_loss",
        first(input, "multilabel_soft_margin_loss"),
        target,
        *given(weight),
        reduction=reduction,
    )


def nll_loss(
    input: TensorT,
    target: Operand,
    weight: Operand | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> TensorT:
    """-input at the class, along axis 1, that is the target; ``weight`` is by class.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.nll_loss.
    """
    return apply(
        "nll_loss", first(input, "nll_loss"), target, *given(weight), ignore_index=ignore_index, reduction=reduction
    )


def normalize(input: TensorT, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> TensorT:
    """Vectors along ``dim`` over their ``p``-norm, which counts as at least ``eps``.

    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.normalize.
    """
    return apply("normalize", first(input, "normalize"), p=p, axis=axis_of(input, dim), eps=eps)


def pairwise_distance(x1: TensorT, x2: Operand, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> TensorT:
    """The ``p``-norms along the last axis of x1 - x2 + eps.

    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.pairwise_distance.
    """
    return apply("pairwise_distance", first(x1, "pairwise_distance"), x2, p=p, eps=eps, keepdims=keepdim)


def pixel_shuffle(input: TensorT, upscale_factor: int) -> TensorT:
    """The channels of (..., c r², h, w) as pixels (..., c, h r, w r), for r the ``upscale_factor``.

    Raises IndexError for an axis out of range. Follows torch.nn.functional.pixel_shuffle.
    """
    return apply("pixel_shuffle", first(input, "pixel_shuffle"), upscale_factor=upscale_factor)


def pixel_unshuffle(input: TensorT, downscale_factor: int) -> TensorT:
    """The pixels of (..., c, h r, w r) as channels (..., c r², h, w), for r the ``downscale_factor``.

    Raises IndexError for an axis out of range. Follows torch.nn.functional.pixel_unshuffle.
    """
    return apply("pixel_unshuffle", first(input, "pixel_unshuffle"), downscale_factor=downscale_factor)


def poisson_nll_loss(
    input: TensorT,
    target: Operand,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-08,
    reduction: Reduction = "mean",
) -> TensorT:
    """exp(input) - target * input, or without ``log_input`` input - target * ln(input + eps); ``full`` adds Stirling's
    ln(target!).

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.poisson_nll_loss. Raises InvalidRequest for
    complex elements.
    """
    return apply(
        "poisson_nll_loss",
        first(input, "poisson_nll_loss"),
        target,
        log_input=log_input,
        full=full,
        eps=eps,
        reduction=reduction,
    )


def prelu(input: TensorT, weight: Operand) -> TensorT:
    """Each element, times ``weight`` where it is negative; a single weight, or one for each channel (axis 1).

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.prelu.
    """
    return apply("prelu", first(input, "prelu"), weight)


def relu(input: TensorT) -> TensorT:
    """The larger of x and 0, element by element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.relu.
    """
    return apply("relu", first(input, "relu"))


def relu6(input: TensorT) -> TensorT:
    """Each element limited to [0, 6].

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.relu6. Raises InvalidRequest for
    complex elements.
    """
    return apply("relu6", first(input, "relu6"))


def rrelu(input: TensorT, lower: float = 0.125, upper: float = 1 / 3) -> TensorT:
    """`leaky_relu` with the mean of ``lower`` and ``upper``, as randomised ReLU is in evaluation.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.rrelu. Raises InvalidRequest for
    complex elements.
    """
    return apply("rrelu", first(input, "rrelu"), lower=lower, upper=upper)


def selu(input: TensorT) -> TensorT:
    """1.0507 times `elu` with alpha 1.6733.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.selu. Raises InvalidRequest for
    complex elements.
    """
    return apply("selu", first(input, "selu"))


def sigmoid(input: TensorT) -> TensorT:
    """The logistic function 1 / (1 + e⁻ˣ) of each element.

    The shape stays. Follows torch.nn.functional.sigmoid. Raises InvalidRequest for complex elements.
    """
    return apply("sigmoid", first(input, "sigmoid"))


def silu(input: TensorT) -> TensorT:
    """x · sigmoid(x) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.silu. Raises InvalidRequest for
    complex elements.
    """
    return apply("silu", first(input, "silu"))


def smooth_l1_loss(input: TensorT, target: Operand, *, reduction: Reduction = "mean", beta: float = 1.0) -> TensorT:
    """d² / (2 beta) for the distance d while d < beta, d - beta / 2 beyond.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.smooth_l1_loss. Raises InvalidRequest for
    complex elements.
    """
    return apply("smooth_l1_loss", first(input, "smooth_l1_loss"), target, reduction=reduction, beta=beta)


def soft_margin_loss(input: TensorT, target: Operand, *, reduction: Reduction = "mean") -> TensorT:
    """ln(1 + exp(-target * input)).

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.soft_margin_loss. Raises InvalidRequest for
    complex elements.
    """
    return apply("soft_margin_loss", first(input, "soft_margin_loss"), target, reduction=reduction)


def softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.nn.functional.softmax.
    """
    return along("softmax", first(input, "softmax") if dtype is None else input.to(dtype), dim)


def softmin(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """e⁻ˣ / Σ e⁻ˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.nn.functional.softmin. Raises InvalidRequest for bool elements.
    """
    return along("softmin", first(input, "softmin") if dtype is None else input.to(dtype), dim)


def softplus(input: TensorT, beta: float = 1.0, threshold: float = 20.0) -> TensorT:
    """ln(1 + e^(beta x)) / beta of each element, and the element itself where beta x > threshold.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.softplus.
    """
    return apply("softplus", first(input, "softplus"), beta=beta, threshold=threshold)


def softshrink(input: TensorT, lambd: float = 0.5) -> TensorT:
    """Each element moved by ``lambd`` towards 0; 0 where |x| <= lambd.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.softshrink. Raises InvalidRequest
    for complex elements.
    """
    return apply("softshrink", first(input, "softshrink"), lambd=lambd)


def softsign(input: TensorT) -> TensorT:
    """x / (1 + |x|) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.softsign. Raises InvalidRequest
    for complex elements.
    """
    return apply("softsign", first(input, "softsign"))


def tanh(input: TensorT) -> TensorT:
    """The hyperbolic tangent of each element. The shape stays. Follows torch.nn.functional.tanh."""
    return apply("tanh", first(input, "tanh"))


def tanhshrink(input: TensorT) -> TensorT:
    """x - tanh x of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.tanhshrink.
    """
    return apply("tanhshrink", first(input, "tanhshrink"))


def threshold(input: TensorT, threshold: float, value: float) -> TensorT:
    """x where x > threshold, elsewhere ``value``.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.threshold.
    """
    return apply("threshold", first(input, "threshold"), threshold=threshold, value=value)


def triplet_margin_loss(
    anchor: TensorT,
    positive: Operand,
    negative: Operand,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-06,
    swap: bool = False,
    *,
    reduction: Reduction = "mean",
) -> TensorT:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)) for the ``p``-norm d of the difference + eps; with
    ``swap`` d(positive, negative) counts if it is less.

    The result is the mean or the sum of the losses of the elements, or with ``reduction`` "none" these themselves.
    Raises InvalidRequest if shapes do not fit. Follows torch.nn.functional.triplet_margin_loss. Raises InvalidRequest
    for complex elements.
    """
    return apply(
        "triplet_margin_loss",
        first(anchor, "triplet_margin_loss"),
        positive,
        negative,
        margin=margin,
        p=p,
        eps=eps,
        swap=swap,
        reduction=reduction,
    )
