"""Losses of numbers: differences, binary labels, distributions, pairs and triplets. `class_losses` has those of classes.

Names, formulas and defaults are those of ``torch.nn.functional``. Inputs and weights broadcast; ``reduction`` is
"mean", "sum" or "none". Losses of float16 and bfloat16 are computed in float32, and rounded once."""

import numpy as np

from gradproof.engine.extend import (
    INTEGER,
    POSITIVE,
    PROPER,
    REAL,
    Composite,
    Exact,
    InferenceError,
    case,
    ops,
    registering,
)
from gradproof.plugins.axes import boolean, number
from gradproof.plugins.loss_parts import above_zero, averaged, of_numbers, of_reals, reduced, weighted
from gradproof.plugins.names import named

GRADPROOF_API = 1

HALF_LOG_TWO_PI = Exact(lambda f: f.log(2 * f.pi) / 2)
LOWEST_LOG = -100  # of `binary_cross_entropy`, as in PyTorch
TINY = 1e-12  # added to squared lengths by `cosine_embedding_loss`, as in PyTorch

# differences


@of_reals
def mse_loss(x, target, weight=None, *, reduction="mean"):
    return averaged(ops.square(x - target), weight, reduction)


@of_numbers
def l1_loss(x, target, weight=None, *, reduction="mean"):
    return averaged(ops.abs(x - target), weight, reduction)


@of_reals
def huber_loss(x, target, weight=None, *, delta=1.0, reduction="mean"):
    """c (d - c/2) for the difference d, limited to c: no square of a large d, and no jump of the slope."""
    above_zero("delta", delta)
    d = x - target
    c = ops.clip(d, -delta, delta)
    return reduced(weighted(c * (d - c / 2), weight), reduction)


@of_reals
def smooth_l1_loss(x, target, *, beta=1.0, reduction="mean"):
    if number("beta", beta) == 0:
        return l1_loss(x, target, reduction=reduction)
    above_zero("beta", beta)
    d = x - target
    c = ops.clip(d, -beta, beta)
    return reduced(c / beta * (d - c / 2), reduction)


# binary labels


def log_above(logarithm, x, pole):
    """max(logarithm(x), -100), with the derivative 0 where the limit holds, also at the pole."""
    there = ops.not_equal(x, pole)
    y = logarithm(ops.where(there, x, 1 - pole))
    return ops.where(there, ops.maximum(y, LOWEST_LOG), LOWEST_LOG)


@of_reals
def binary_cross_entropy(x, target, weight=None, *, reduction="mean"):
    x = ops.checked(x, low=0.0, high=1.0)
    of_ones, of_zeros = log_above(ops.log, x, 0), log_above(lambda t: ops.log1p(-t), x, 1)
    return reduced(weighted((target - 1) * of_zeros - target * of_ones, weight), reduction)


def logistic(x, target, pos_weight=None):
    """-p t ln σ(x) - (1 - t) ln σ(-x), a sum of two positive terms: the usual formula, with a single logarithm, cancels
    where x is negative and large."""
    return weighted(target * ops.softplus(-x), pos_weight) + (1 - target) * ops.softplus(x)


@of_reals
def binary_cross_entropy_with_logits(x, target, weight=None, pos_weight=None, *, reduction="mean"):
    return reduced(weighted(logistic(x, target, pos_weight), weight), reduction)


@of_reals
def multilabel_soft_margin_loss(x, target, weight=None, *, reduction="mean"):
    if not x.ndim:
        raise InferenceError("needs an axis of labels")
    return reduced(ops.mean(weighted(logistic(x, target), weight), axis=-1), reduction)


@of_reals
def soft_margin_loss(x, target, *, reduction="mean"):
    return reduced(ops.softplus(-target * x), reduction)


@of_reals
def hinge_embedding_loss(x, target, *, margin=1.0, reduction="mean"):
    near = ops.where(ops.not_equal(target, -1), x, 0)
    return reduced(near + ops.where(ops.not_equal(target, 1), ops.relu(number("margin", margin) - x), 0), reduction)


# distributions


@of_reals
def kl_div(x, target, *, log_target=False, reduction="mean"):
    if boolean("log_target", log_target):
        losses = ops.exp(target) * (target - x)
    else:
        losses = target * (ops.log(ops.where(ops.equal(target, 0), 1, target)) - x)
    if reduction == "batchmean":
        return ops.sum(losses) / (losses.shape[0] if losses.ndim else 1)
    return reduced(losses, reduction)


@of_reals
def poisson_nll_loss(x, target, *, log_input=True, full=False, eps=1e-8, reduction="mean"):
    losses = ops.exp(x) - target * x if boolean("log_input", log_input) else x - target * ops.log(x + number("eps", eps))
    if boolean("full", full):  # Stirling's approximation of ln(target!)
        large = target > 1
        t = ops.where(large, target, 1)
        losses = losses + ops.where(large, t * ops.log(t) - t + ops.log(t) / 2 + HALF_LOG_TWO_PI, 0)
    return reduced(losses, reduction)


@of_reals
def gaussian_nll_loss(x, target, var, *, full=False, eps=1e-6, reduction="mean"):
    if var.shape != x.shape and var.shape == x.shape[:-1]:
        var = ops.expand_dims(var, axis=-1)
    var = ops.clip(ops.checked(var, low=0.0), above_zero("eps", eps))
    losses = (ops.log(var) + ops.square(x - target) / var) / 2
    return reduced(losses + HALF_LOG_TWO_PI if boolean("full", full) else losses, reduction)


# pairs and triplets


@of_reals
def margin_ranking_loss(x1, x2, target, *, margin=0.0, reduction="mean"):
    return reduced(ops.relu(number("margin", margin) - target * (x1 - x2)), reduction)


def length(x):
    """The root of the squared length along the last axis and `TINY`: smooth at 0."""
    return ops.sqrt(ops.sum(ops.square(x), axis=-1) + TINY)


@of_reals
def cosine_embedding_loss(x1, x2, target, *, margin=0.0, reduction="mean"):
    if not x1.ndim == x2.ndim == target.ndim + 1:
        ranks = f"{x1.ndim}, {x2.ndim} and {target.ndim}"
        raise InferenceError(f"x1, x2 and target have rank {ranks}; that of target must be one less")
    cosine = ops.sum(x1 * x2, axis=-1) / (length(x1) * length(x2))
    near = ops.where(ops.equal(target, 1), 1 - cosine, 0)
    return reduced(near + ops.where(ops.equal(target, -1), ops.relu(cosine - number("margin", margin)), 0), reduction)


def distance(a, b, p, eps):
    """The p-norm of a - b + eps along the last axis; its gradient is 0 where it is 0."""
    return ops.vector_norm(a - b + number("eps", eps), ord=p, axis=-1)


@of_reals
def triplet_margin_loss(  # noqa: PLR0913 - the attributes are PyTorch's
    anchor, positive, negative, *, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"
):
    if not anchor.ndim == positive.ndim == negative.ndim > 0:
        ranks = f"{anchor.ndim}, {positive.ndim} and {negative.ndim}"
        raise InferenceError(f"anchor, positive and negative have rank {ranks}; the ranks must be equal, and not 0")
    above_zero("p", p)
    near, far = distance(anchor, positive, p, eps), distance(anchor, negative, p, eps)
    if boolean("swap", swap):
        far = ops.minimum(far, distance(positive, negative, p, eps))
    return reduced(ops.relu(near - far + number("margin", margin)), reduction)


CORNER = "0 at the corner of the hinge"
LIMIT = "0 where a logarithm is limited"
AT_EPS = "1 for var at eps"
PAIR, TRIPLE, NONE, SUM = ((2, 3), (2, 3)), ((2, 3), (2, 3), (2, 3)), {"reduction": "none"}, {"reduction": "sum"}
EACH = (case(*PAIR), case((2, 1), (3,), **NONE), case((), (), **SUM))
WEIGHTED = (*EACH, case(*TRIPLE), case((2, 3), (2, 3), (3,), **NONE))
SMOOTHED = (*EACH, case(*PAIR, beta=0.0))
TWO_WEIGHTS = (*WEIGHTED, case((2, 3), (2, 3), (), (3,)))
LABELS = (case(*PAIR), case((2, 3), (2, 3), (3,), **NONE))
TARGETS = (*EACH, case(*PAIR, log_target=True), case(*PAIR, reduction="batchmean"))
COUNTS = (*EACH, case(*PAIR, full=True), case(*PAIR, log_input=False))
VARIANCES = (case(*TRIPLE), case((2, 3), (2, 3), (2,), full=True, **NONE))
RANKED = (case(*TRIPLE), case((), (), (), margin=0.5, **SUM))
SIGNS = np.array([[1, -1, -1], [-1, 1, 0]])
SIGNED = (case((2, 3), SIGNS), case((3,), SIGNS[:, :1], **NONE), case((), np.array(1), **SUM))
EMBEDDED = (case((2, 3), (2, 3), SIGNS[0, :2]), case((3,), (3,), np.array(-1), margin=0.5, **NONE))
TRIPLETS = (case(*TRIPLE), case(*TRIPLE, p=1.0, swap=True), case((3,), (3,), (3,), p=3.0, **NONE))

# fmt: off
LOSSES = (
    Composite("mse_loss", mse_loss, cases=WEIGHTED,
              doc="(x - target)², weighted; the mean is over the sum of the weights"),
    Composite("l1_loss", l1_loss, cases=WEIGHTED, ties="0 at x = target",
              doc="|x - target|, weighted; the mean is over the sum of the weights"),
    Composite("smooth_l1_loss", smooth_l1_loss, cases=SMOOTHED, ties="0 at x = target, if beta is 0",
              doc="d² / (2 beta) for the distance d of x and target while d < beta, d - beta / 2 beyond"),
    Composite("huber_loss", huber_loss, cases=WEIGHTED,
              doc="d² / 2 for the distance d of x and target while d < delta, delta (d - delta / 2) beyond; weighted"),
    Composite("binary_cross_entropy", binary_cross_entropy, cases=WEIGHTED, domains=PROPER, ties=LIMIT,
              doc="-target ln x - (1 - target) ln(1 - x), weighted; x is from 0 to 1, logarithms at least -100"),
    Composite("binary_cross_entropy_with_logits", binary_cross_entropy_with_logits, cases=TWO_WEIGHTS,
              doc="-target ln s - (1 - target) ln(1 - s) for s = 1 / (1 + e⁻ˣ), weighted; pos_weight is for target"),
    Composite("multilabel_soft_margin_loss", multilabel_soft_margin_loss, cases=LABELS,
              doc="the binary cross-entropy of logits, weighted, and its mean along the last axis"),
    Composite("soft_margin_loss", soft_margin_loss, cases=EACH,
              doc="ln(1 + e^(-target x))"),
    Composite("hinge_embedding_loss", hinge_embedding_loss, cases=SIGNED, domains=(REAL, INTEGER), ties=CORNER,
              doc="x where target is 1, max(0, margin - x) where it is -1, and their sum elsewhere"),
    Composite("kl_div", kl_div, cases=TARGETS, domains=(REAL, POSITIVE),
              doc="target (ln target - x), where x is a logarithm, as is target with log_target. The mean is over all "
              "elements, batchmean over the first axis"),
    Composite("poisson_nll_loss", poisson_nll_loss, cases=COUNTS, domains=POSITIVE,
              doc="eˣ - target x; without log_input x - target ln(x + eps). full adds Stirling's ln(target!) above 1"),
    Composite("gaussian_nll_loss", gaussian_nll_loss, cases=VARIANCES, domains=(REAL, REAL, POSITIVE), ties=AT_EPS,
              doc="(ln var + (x - target)² / var) / 2, with var at least eps; full adds ln(2π) / 2"),
    Composite("margin_ranking_loss", margin_ranking_loss, cases=RANKED, ties=CORNER,
              doc="max(0, margin - target (x1 - x2))"),
    Composite("cosine_embedding_loss", cosine_embedding_loss, cases=EMBEDDED, domains=(REAL, REAL, INTEGER), ties=CORNER,
              doc="1 - c for the cosine c along the last axis where target is 1, max(0, c - margin) where it is -1"),
    Composite("triplet_margin_loss", triplet_margin_loss, cases=TRIPLETS, ties=CORNER,
              doc="max(0, margin + d(anchor, positive) - d(anchor, negative)) for the p-norm d of the difference plus eps, "
              "over the last axis; with swap, d(positive, negative) where that is less"),
)
# fmt: on

register_ops = registering(*named(LOSSES))
