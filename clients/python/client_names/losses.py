"""Losses by their names."""

from client_names.row import Row

REDUCED = "*, reduction: Reduction = 'mean'"
WEIGHTED = f"target: Operand, weight: Operand | None = None, {REDUCED}"

# fmt: off
# ruff: noqa: E501
LOSSES = (
    Row("nn.functional.mse_loss",      "mse_loss",      "(input - target)², times ``weight``.", "-", f"target: Operand, {REDUCED}, weight: Operand | None = None"),
    Row("nn.functional.l1_loss",       "l1_loss",       "|input - target|, times ``weight``.", "-", f"target: Operand, {REDUCED}, weight: Operand | None = None"),
    Row("nn.functional.smooth_l1_loss", "smooth_l1_loss", "d² / (2 beta) for the distance d while d < beta, d - beta / 2 beyond.", "-", f"target: Operand, {REDUCED}, beta: float = 1.0"),
    Row("nn.functional.huber_loss",    "huber_loss",    "d² / 2 for the distance d while d < delta, delta (d - delta / 2) beyond, times ``weight``.", "-", "target: Operand, reduction: Reduction = 'mean', delta: float = 1.0, *, weight: Operand | None = None"),
    Row("nn.functional.cross_entropy", "cross_entropy", "The cross entropy of ``log_softmax(input)`` along the classes, axis 1, and classes, or probabilities of classes, that are the target; ``weight`` is by class.", "-", "target: Operand, weight: Operand | None = None, *, ignore_index: int = -100, reduction: Reduction = 'mean', label_smoothing: float = 0.0"),
    Row("nn.functional.nll_loss",      "nll_loss",      "-input at the class, along axis 1, that is the target; ``weight`` is by class.", "-", "target: Operand, weight: Operand | None = None, *, ignore_index: int = -100, reduction: Reduction = 'mean'"),
    Row("nn.functional.binary_cross_entropy", "binary_cross_entropy", "-target ln(input) - (1 - target) ln(1 - input), times ``weight``; logarithms are at least -100.", "-", WEIGHTED),
    Row("nn.functional.binary_cross_entropy_with_logits", "binary_cross_entropy_with_logits", "`binary_cross_entropy` of ``sigmoid(input)``, without overflow in between; ``pos_weight`` is a factor of the first term.", "-", f"{WEIGHTED}, pos_weight: Operand | None = None", "apply({op}, {x}, target, *given(1.0 if weight is None and pos_weight is not None else weight, pos_weight), reduction=reduction)"),
    Row("nn.functional.kl_div",        "kl_div",        "target (ln(target) - input), where the input is a logarithm, as is the target if ``log_target``. \"batchmean\" is the sum over the size of the first axis.", "-", "target: Operand, *, reduction: Literal['none', 'mean', 'sum', 'batchmean'] = 'mean', log_target: bool = False"),
    Row("nn.functional.poisson_nll_loss", "poisson_nll_loss", "exp(input) - target * input, or without ``log_input`` input - target * ln(input + eps); ``full`` adds Stirling's ln(target!).", "-", "target: Operand, log_input: bool = True, full: bool = False, *, eps: float = 1e-08, reduction: Reduction = 'mean'"),
    Row("nn.functional.gaussian_nll_loss", "gaussian_nll_loss", "(ln(var) + (input - target)² / var) / 2, where ``var`` counts as at least ``eps``; ``full`` adds ln(2π) / 2.", "-", "target: Operand, var: Operand, full: bool = False, eps: float = 1e-06, reduction: Reduction = 'mean'"),
    Row("nn.functional.hinge_embedding_loss", "hinge_embedding_loss", "The input where the target is 1, max(0, margin - input) where it is -1.", "-", f"target: Operand, {REDUCED.replace('*, ', '*, margin: float = 1.0, ')}"),
    Row("nn.functional.soft_margin_loss", "soft_margin_loss", "ln(1 + exp(-target * input)).", "-", f"target: Operand, {REDUCED}"),
    Row("nn.functional.multi_margin_loss", "multi_margin_loss", "The sum of max(0, margin - x[target] + x)^p over other classes by the count of all, times ``weight`` of the target.", "-", f"target: Operand, p: int = 1, margin: float = 1.0, weight: Operand | None = None, {REDUCED}"),
    Row("nn.functional.multilabel_margin_loss", "multilabel_margin_loss", "The sum of max(0, 1 - x[k] + x) over the classes k that the target lists before its first -1, and over all others, by the count of all.", "-", f"target: Operand, {REDUCED}"),
    Row("nn.functional.multilabel_soft_margin_loss", "multilabel_soft_margin_loss", "The mean of `binary_cross_entropy_with_logits` along the last axis, times ``weight``.", "-", WEIGHTED),
    Row("nn.functional.cosine_embedding_loss", "cosine_embedding_loss", "1 - c for the cosine c along the last axis where the target is 1, max(0, c - margin) where it is -1.", "-", f"input2: Operand, target: Operand, margin: float = 0.0, {REDUCED}", first="input1"),
    Row("nn.functional.margin_ranking_loss", "margin_ranking_loss", "max(0, margin - target * (input1 - input2)).", "-", f"input2: Operand, target: Operand, margin: float = 0.0, {REDUCED}", first="input1"),
    Row("nn.functional.triplet_margin_loss", "triplet_margin_loss", "max(0, margin + d(anchor, positive) - d(anchor, negative)) for the ``p``-norm d of the difference + eps; with ``swap`` d(positive, negative) counts if it is less.", "-", f"positive: Operand, negative: Operand, margin: float = 1.0, p: float = 2.0, eps: float = 1e-06, swap: bool = False, {REDUCED}", first="anchor"),
)
# fmt: on
