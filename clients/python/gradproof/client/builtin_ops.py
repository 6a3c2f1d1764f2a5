"""The built-in ops of the server as functions, with its names and attributes.

Generated from the ops of ``gradproof.plugins`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - names and arguments of ops are those of the server

from __future__ import annotations

from collections.abc import Sequence

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import DTypeLike, Operand, given
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "add_along_axis",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "beta",
    "betaln",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "broadcast_to",
    "ceil",
    "celu",
    "checked",
    "cholesky",
    "clip",
    "cofactors",
    "complex",
    "concat",
    "conj",
    "cos",
    "cosh",
    "cosine_embedding_loss",
    "cross_entropy",
    "cumprod",
    "cumsum",
    "det",
    "digamma",
    "divide",
    "elu",
    "entr",
    "equal",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "flip",
    "floor",
    "floor_divide",
    "gamma",
    "gamma_density",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "greater",
    "greater_equal",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hinge_embedding_loss",
    "huber_loss",
    "hypot",
    "i0",
    "i0e",
    "i0e_decay",
    "i1",
    "i1e",
    "imag",
    "inv",
    "iv",
    "j0",
    "j1",
    "jv",
    "kl_div",
    "l1_loss",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_ndtr",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logit",
    "logsigmoid",
    "logsumexp",
    "margin_ranking_loss",
    "matmul",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mish",
    "mse_loss",
    "multi_margin_loss",
    "multigammaln",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "multiply",
    "ndtr",
    "ndtri",
    "negative",
    "nll_loss",
    "not_equal",
    "pad",
    "poisson_nll_loss",
    "polygamma",
    "polygamma_rise",
    "pow",
    "prelu",
    "prod",
    "ratio",
    "real",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "reshape",
    "round",
    "rrelu",
    "rsqrt",
    "scatter_add",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "slice",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "solve",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tanhshrink",
    "threshold",
    "transpose",
    "tril",
    "triplet_margin_loss",
    "triu",
    "trunc",
    "unslice",
    "var",
    "where",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yv",
    "zeta",
]


def abs(x: Operand, /) -> Tensor:
    """The op abs: |x|. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "abs", x)[0]


def acos(x: Operand, /) -> Tensor:
    """The op acos: arccos x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "acos", x)[0]


def acosh(x: Operand, /) -> Tensor:
    """The op acosh: arcosh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "acosh", x)[0]


def add(a: Operand, b: Operand, /) -> Tensor:
    """The op add: a + b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "add", a, b)[0]


def add_along_axis(x: Operand, indices: Operand, updates: Operand, /, *, axis: int = -1) -> Tensor:
    """The op add_along_axis: x with updates added at indices along an axis, on each line its own.

    Inputs: x, indices, updates. Attributes: axis.
    """
    return apply_as(Tensor, "add_along_axis", x, indices, updates, axis=axis)[0]


def argmax(x: Operand, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The op argmax: the place of the largest, of several the first. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "argmax", x, axis=axis, keepdims=keepdims)[0]


def argmin(x: Operand, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The op argmin: the place of the smallest, of several the first. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "argmin", x, axis=axis, keepdims=keepdims)[0]


def argsort(x: Operand, /, *, axis: int = -1, descending: bool = False) -> Tensor:
    """The op argsort: the places of the elements of each line in order; equal ones stay in theirs.

    Inputs: x. Attributes: axis, descending.
    """
    return apply_as(Tensor, "argsort", x, axis=axis, descending=descending)[0]


def asin(x: Operand, /) -> Tensor:
    """The op asin: arcsin x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "asin", x)[0]


def asinh(x: Operand, /) -> Tensor:
    """The op asinh: arsinh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "asinh", x)[0]


def astype(x: Operand, /, *, dtype: DTypeLike) -> Tensor:
    """The op astype: another dtype. Inputs: x. Attributes: dtype."""
    return apply_as(Tensor, "astype", x, dtype=dtype)[0]


def atan(x: Operand, /) -> Tensor:
    """The op atan: arctan x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "atan", x)[0]


def atan2(a: Operand, b: Operand, /) -> Tensor:
    """The op atan2: atan2(a, b). Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "atan2", a, b)[0]


def atanh(x: Operand, /) -> Tensor:
    """The op atanh: artanh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "atanh", x)[0]


def beta(a: Operand, b: Operand, /) -> Tensor:
    """The op beta: B(a, b). Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "beta", a, b)[0]


def betaln(a: Operand, b: Operand, /) -> Tensor:
    """The op betaln: ln B(a, b). Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "betaln", a, b)[0]


def binary_cross_entropy(
    x: Operand, target: Operand, weight: Operand | None = None, /, *, reduction: str = "mean"
) -> Tensor:
    """The op binary_cross_entropy: -target ln x - (1 - target) ln(1 - x), weighted; x is from 0 to 1, logarithms at
    least -100.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "binary_cross_entropy", x, target, *given(weight), reduction=reduction)[0]


def binary_cross_entropy_with_logits(
    x: Operand,
    target: Operand,
    weight: Operand | None = None,
    pos_weight: Operand | None = None,
    /,
    *,
    reduction: str = "mean",
) -> Tensor:
    """The op binary_cross_entropy_with_logits: -target ln s - (1 - target) ln(1 - s) for s = 1 / (1 + e⁻ˣ), weighted;
    pos_weight is for target.

    Inputs: x, target, weight, pos_weight. Attributes: reduction.
    """
    return apply_as(Tensor, "binary_cross_entropy_with_logits", x, target, *given(weight, pos_weight), reduction=reduction)[
        0
    ]


def broadcast_to(x: Operand, /, *, shape: Sequence[int]) -> Tensor:
    """The op broadcast_to: x repeated to a larger shape. Inputs: x. Attributes: shape."""
    return apply_as(Tensor, "broadcast_to", x, shape=shape)[0]


def ceil(x: Operand, /) -> Tensor:
    """The op ceil: -⌊-x⌋. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "ceil", x)[0]


def celu(x: Operand, /, *, alpha: float = 1.0) -> Tensor:
    """The op celu: x where x > 0, else alpha (exp(x / alpha) - 1). Inputs: x. Attributes: alpha."""
    return apply_as(Tensor, "celu", x, alpha=alpha)[0]


def checked(x: Operand, /, *, low: float | None = None, high: float | None = None) -> Tensor:
    """The op checked: x, all of whose elements must be from low to high. Inputs: x. Attributes: low, high."""
    return apply_as(Tensor, "checked", x, low=low, high=high)[0]


def cholesky(a: Operand, /) -> Tensor:
    """The op cholesky: the lower factor L with L Lᵀ = (a + aᵀ) / 2. Inputs: a. Attributes: none."""
    return apply_as(Tensor, "cholesky", a)[0]


def clip(x: Operand, min: Operand, max: Operand, /) -> Tensor:
    """The op clip: x limited to [min, max]. Inputs: x, min, max. Attributes: none."""
    return apply_as(Tensor, "clip", x, min, max)[0]


def cofactors(a: Operand, /) -> Tensor:
    """The op cofactors: the matrix of cofactors: the gradient of the determinant, of singular matrices too.

    Inputs: a. Attributes: none.
    """
    return apply_as(Tensor, "cofactors", a)[0]


def complex(real: Operand, imag: Operand, /) -> Tensor:
    """The op complex: real + i imag. Inputs: real, imag. Attributes: none."""
    return apply_as(Tensor, "complex", real, imag)[0]


def concat(*arrays: Operand, axis: int = 0) -> Tensor:
    """The op concat: arrays joined along an axis. Inputs: arrays. Attributes: axis."""
    return apply_as(Tensor, "concat", *arrays, axis=axis)[0]


def conj(x: Operand, /) -> Tensor:
    """The op conj: conj x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "conj", x)[0]


def cos(x: Operand, /) -> Tensor:
    """The op cos: cos x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "cos", x)[0]


def cosh(x: Operand, /) -> Tensor:
    """The op cosh: cosh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "cosh", x)[0]


def cosine_embedding_loss(
    x1: Operand, x2: Operand, target: Operand, /, *, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """The op cosine_embedding_loss: 1 - c for the cosine c along the last axis where target is 1, max(0, c - margin)
    where it is -1.

    Inputs: x1, x2, target. Attributes: margin, reduction.
    """
    return apply_as(Tensor, "cosine_embedding_loss", x1, x2, target, margin=margin, reduction=reduction)[0]


def cross_entropy(
    x: Operand,
    target: Operand,
    weight: Operand | None = None,
    /,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """The op cross_entropy: nll_loss of log_softmax x; a target of floats holds the probability of each class.

    Inputs: x, target, weight. Attributes: ignore_index, label_smoothing, reduction.
    """
    return apply_as(
        Tensor,
        "cross_entropy",
        x,
        target,
        *given(weight),
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )[0]


def cumprod(x: Operand, /, *, axis: int = 0) -> Tensor:
    """The op cumprod: running products along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "cumprod", x, axis=axis)[0]


def cumsum(x: Operand, /, *, axis: int = 0) -> Tensor:
    """The op cumsum: running sums along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "cumsum", x, axis=axis)[0]


def det(a: Operand, /) -> Tensor:
    """The op det: the determinant. Inputs: a. Attributes: none."""
    return apply_as(Tensor, "det", a)[0]


def digamma(x: Operand, /) -> Tensor:
    """The op digamma: ψ(x) = Γ'(x) / Γ(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "digamma", x)[0]


def divide(a: Operand, b: Operand, /) -> Tensor:
    """The op divide: a / b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "divide", a, b)[0]


def elu(x: Operand, /, *, alpha: float = 1.0) -> Tensor:
    """The op elu: x where x > 0, else alpha (exp x - 1). Inputs: x. Attributes: alpha."""
    return apply_as(Tensor, "elu", x, alpha=alpha)[0]


def entr(x: Operand, /) -> Tensor:
    """The op entr: -x ln x, 0 at 0, and -inf for x < 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "entr", x)[0]


def equal(a: Operand, b: Operand, /) -> Tensor:
    """The op equal: a = b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "equal", a, b)[0]


def erf(x: Operand, /) -> Tensor:
    """The op erf: erf x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "erf", x)[0]


def erfc(x: Operand, /) -> Tensor:
    """The op erfc: erfc x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "erfc", x)[0]


def erfcinv(x: Operand, /) -> Tensor:
    """The op erfcinv: erfc⁻¹x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "erfcinv", x)[0]


def erfcx(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op erfcx: exp(x²) erfc x, the tail of erfc without its decay; or its integral from x on, repeated order
    times.

    Inputs: x. Attributes: order.
    """
    return apply_as(Tensor, "erfcx", x, order=order)[0]


def erfinv(x: Operand, /) -> Tensor:
    """The op erfinv: erf⁻¹x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "erfinv", x)[0]


def exp(x: Operand, /) -> Tensor:
    """The op exp: eˣ. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "exp", x)[0]


def exp2(x: Operand, /) -> Tensor:
    """The op exp2: e^(x ln 2). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "exp2", x)[0]


def expand_dims(x: Operand, /, *, axis: int | Sequence[int]) -> Tensor:
    """The op expand_dims: axes of size 1 put in. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "expand_dims", x, axis=axis)[0]


def expm1(x: Operand, /) -> Tensor:
    """The op expm1: eˣ - 1. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "expm1", x)[0]


def flip(x: Operand, /, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """The op flip: the order reversed along axes. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "flip", x, axis=axis)[0]


def floor(x: Operand, /) -> Tensor:
    """The op floor: ⌊x⌋. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "floor", x)[0]


def floor_divide(a: Operand, b: Operand, /) -> Tensor:
    """The op floor_divide: ⌊a / b⌋. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "floor_divide", a, b)[0]


def gamma(x: Operand, /) -> Tensor:
    """The op gamma: Γ(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "gamma", x)[0]


def gamma_density(a: Operand, x: Operand, /) -> Tensor:
    """The op gamma_density: xᵃ⁻¹ e⁻ˣ / Γ(a), the derivative of gammainc. Inputs: a, x. Attributes: none."""
    return apply_as(Tensor, "gamma_density", a, x)[0]


def gammainc(a: Operand, x: Operand, /) -> Tensor:
    """The op gammainc: the regularised lower incomplete gamma function P(a, x), without a derivative along a.

    Inputs: a, x. Attributes: none.
    """
    return apply_as(Tensor, "gammainc", a, x)[0]


def gammaincc(a: Operand, x: Operand, /) -> Tensor:
    """The op gammaincc: the regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x), without a derivative
    along a.

    Inputs: a, x. Attributes: none.
    """
    return apply_as(Tensor, "gammaincc", a, x)[0]


def gammaln(x: Operand, /) -> Tensor:
    """The op gammaln: ln |Γ(x)|. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "gammaln", x)[0]


def gaussian_nll_loss(
    x: Operand, target: Operand, var: Operand, /, *, full: bool = False, eps: float = 1e-06, reduction: str = "mean"
) -> Tensor:
    """The op gaussian_nll_loss: (ln var + (x - target)² / var) / 2, with var at least eps; full adds ln(2π) / 2.

    Inputs: x, target, var. Attributes: full, eps, reduction.
    """
    return apply_as(Tensor, "gaussian_nll_loss", x, target, var, full=full, eps=eps, reduction=reduction)[0]


def gelu(x: Operand, /, *, approximate: str = "none") -> Tensor:
    """The op gelu: x (1 + erf(x / √2)) / 2; if approximate='tanh' x sigmoid(w) with w = 2 √(2 / π) (x + 0.044715 x³).

    Inputs: x. Attributes: approximate.
    """
    return apply_as(Tensor, "gelu", x, approximate=approximate)[0]


def glu(x: Operand, /, *, axis: int = -1) -> Tensor:
    """The op glu: the first half along an axis, times the sigmoid of the second. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "glu", x, axis=axis)[0]


def greater(a: Operand, b: Operand, /) -> Tensor:
    """The op greater: b < a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "greater", a, b)[0]


def greater_equal(a: Operand, b: Operand, /) -> Tensor:
    """The op greater_equal: b ≤ a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "greater_equal", a, b)[0]


def hardshrink(x: Operand, /, *, lambd: float = 0.5) -> Tensor:
    """The op hardshrink: x where |x| > lambd, else 0. Inputs: x. Attributes: lambd."""
    return apply_as(Tensor, "hardshrink", x, lambd=lambd)[0]


def hardsigmoid(x: Operand, /) -> Tensor:
    """The op hardsigmoid: (x + 3) / 6 limited to [0, 1]. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "hardsigmoid", x)[0]


def hardswish(x: Operand, /) -> Tensor:
    """The op hardswish: x hardsigmoid(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "hardswish", x)[0]


def hardtanh(x: Operand, /, *, min: float = -1.0, max: float = 1.0) -> Tensor:
    """The op hardtanh: x limited to [min, max]. Inputs: x. Attributes: min, max."""
    return apply_as(Tensor, "hardtanh", x, min=min, max=max)[0]


def hinge_embedding_loss(x: Operand, target: Operand, /, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The op hinge_embedding_loss: x where target is 1, max(0, margin - x) where it is -1, and their sum elsewhere.

    Inputs: x, target. Attributes: margin, reduction.
    """
    return apply_as(Tensor, "hinge_embedding_loss", x, target, margin=margin, reduction=reduction)[0]


def huber_loss(
    x: Operand, target: Operand, weight: Operand | None = None, /, *, delta: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """The op huber_loss: d² / 2 for the distance d of x and target while d < delta, delta (d - delta / 2) beyond;
    weighted.

    Inputs: x, target, weight. Attributes: delta, reduction.
    """
    return apply_as(Tensor, "huber_loss", x, target, *given(weight), delta=delta, reduction=reduction)[0]


def hypot(a: Operand, b: Operand, /) -> Tensor:
    """The op hypot: √(a² + b²). Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "hypot", a, b)[0]


def i0(x: Operand, /) -> Tensor:
    """The op i0: the modified Bessel function of order 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "i0", x)[0]


def i0e(x: Operand, /) -> Tensor:
    """The op i0e: e^-|x| I₀(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "i0e", x)[0]


def i0e_decay(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op i0e_decay: (-1)ⁿ times the derivative of order n of e⁻ˣ I₀(x). Inputs: x. Attributes: order."""
    return apply_as(Tensor, "i0e_decay", x, order=order)[0]


def i1(x: Operand, /) -> Tensor:
    """The op i1: the modified Bessel function of order 1. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "i1", x)[0]


def i1e(x: Operand, /) -> Tensor:
    """The op i1e: e^-|x| I₁(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "i1e", x)[0]


def imag(x: Operand, /) -> Tensor:
    """The op imag: Im x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "imag", x)[0]


def inv(a: Operand, /) -> Tensor:
    """The op inv: the inverse of a matrix. Inputs: a. Attributes: none."""
    return apply_as(Tensor, "inv", a)[0]


def iv(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op iv: the modified Bessel function of a whole order. Inputs: x. Attributes: order."""
    return apply_as(Tensor, "iv", x, order=order)[0]


def j0(x: Operand, /) -> Tensor:
    """The op j0: the Bessel function of the first kind of order 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "j0", x)[0]


def j1(x: Operand, /) -> Tensor:
    """The op j1: the Bessel function of the first kind of order 1. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "j1", x)[0]


def jv(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op jv: the Bessel function of the first kind of a whole order. Inputs: x. Attributes: order."""
    return apply_as(Tensor, "jv", x, order=order)[0]


def kl_div(x: Operand, target: Operand, /, *, log_target: bool = False, reduction: str = "mean") -> Tensor:
    """The op kl_div: target (ln target - x), where x is a logarithm, as is target with log_target. The mean is over
    all elements, batchmean over the first axis.

    Inputs: x, target. Attributes: log_target, reduction.
    """
    return apply_as(Tensor, "kl_div", x, target, log_target=log_target, reduction=reduction)[0]


def l1_loss(x: Operand, target: Operand, weight: Operand | None = None, /, *, reduction: str = "mean") -> Tensor:
    """The op l1_loss: |x - target|, weighted; the mean is over the sum of the weights.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "l1_loss", x, target, *given(weight), reduction=reduction)[0]


def leaky_relu(x: Operand, /, *, negative_slope: float = 0.01) -> Tensor:
    """The op leaky_relu: x where x > 0, else the negative slope times x. Inputs: x. Attributes: negative_slope."""
    return apply_as(Tensor, "leaky_relu", x, negative_slope=negative_slope)[0]


def less(a: Operand, b: Operand, /) -> Tensor:
    """The op less: a < b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "less", a, b)[0]


def less_equal(a: Operand, b: Operand, /) -> Tensor:
    """The op less_equal: a ≤ b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "less_equal", a, b)[0]


def log(x: Operand, /) -> Tensor:
    """The op log: ln x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "log", x)[0]


def log10(x: Operand, /) -> Tensor:
    """The op log10: ln x / ln 10. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "log10", x)[0]


def log1p(x: Operand, /) -> Tensor:
    """The op log1p: ln(1 + x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "log1p", x)[0]


def log2(x: Operand, /) -> Tensor:
    """The op log2: ln x / ln 2. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "log2", x)[0]


def log_ndtr(x: Operand, /) -> Tensor:
    """The op log_ndtr: ln Φ(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "log_ndtr", x)[0]


def log_softmax(x: Operand, /, *, axis: int = -1) -> Tensor:
    """The op log_softmax: x - ln Σ eˣ along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "log_softmax", x, axis=axis)[0]


def logaddexp(a: Operand, b: Operand, /) -> Tensor:
    """The op logaddexp: ln(eᵃ + eᵇ). Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logaddexp", a, b)[0]


def logical_and(a: Operand, b: Operand, /) -> Tensor:
    """The op logical_and: a and b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logical_and", a, b)[0]


def logical_not(x: Operand, /) -> Tensor:
    """The op logical_not: not x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "logical_not", x)[0]


def logical_or(a: Operand, b: Operand, /) -> Tensor:
    """The op logical_or: a or b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logical_or", a, b)[0]


def logit(x: Operand, /, *, eps: float | None = None) -> Tensor:
    """The op logit: ln(x / (1 - x)) of x, or of x clipped to eps and 1 - eps. Inputs: x. Attributes: eps."""
    return apply_as(Tensor, "logit", x, eps=eps)[0]


def logsigmoid(x: Operand, /) -> Tensor:
    """The op logsigmoid: -ln(1 + e⁻ˣ). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "logsigmoid", x)[0]


def logsumexp(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op logsumexp: ln Σ eˣ over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "logsumexp", x, axis=axis, keepdims=keepdims)[0]


def margin_ranking_loss(
    x1: Operand, x2: Operand, target: Operand, /, *, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """The op margin_ranking_loss: max(0, margin - target (x1 - x2)).

    Inputs: x1, x2, target. Attributes: margin, reduction.
    """
    return apply_as(Tensor, "margin_ranking_loss", x1, x2, target, margin=margin, reduction=reduction)[0]


def matmul(a: Operand, b: Operand, /) -> Tensor:
    """The op matmul: matrix product. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "matmul", a, b)[0]


def matrix_transpose(x: Operand, /) -> Tensor:
    """The op matrix_transpose: the last two axes swapped. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "matrix_transpose", x)[0]


def max(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op max: the largest over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "max", x, axis=axis, keepdims=keepdims)[0]


def maximum(a: Operand, b: Operand, /) -> Tensor:
    """The op maximum: b if a < b else a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "maximum", a, b)[0]


def mean(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op mean: the mean over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "mean", x, axis=axis, keepdims=keepdims)[0]


def min(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op min: the smallest over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "min", x, axis=axis, keepdims=keepdims)[0]


def minimum(a: Operand, b: Operand, /) -> Tensor:
    """The op minimum: b if b < a else a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "minimum", a, b)[0]


def mish(x: Operand, /) -> Tensor:
    """The op mish: x tanh(ln(1 + eˣ)). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "mish", x)[0]


def mse_loss(x: Operand, target: Operand, weight: Operand | None = None, /, *, reduction: str = "mean") -> Tensor:
    """The op mse_loss: (x - target)², weighted; the mean is over the sum of the weights.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "mse_loss", x, target, *given(weight), reduction=reduction)[0]


def multi_margin_loss(
    x: Operand,
    target: Operand,
    weight: Operand | None = None,
    /,
    *,
    p: float = 1,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    """The op multi_margin_loss: the sum of max(0, margin - x[target] + x)^p over other classes by the count of all,
    weighted by class.

    Inputs: x, target, weight. Attributes: p, margin, reduction.
    """
    return apply_as(Tensor, "multi_margin_loss", x, target, *given(weight), p=p, margin=margin, reduction=reduction)[0]


def multigammaln(a: Operand, /, *, d: int = 1) -> Tensor:
    """The op multigammaln: the logarithm of the multivariate gamma function of d dimensions.

    Inputs: a. Attributes: d.
    """
    return apply_as(Tensor, "multigammaln", a, d=d)[0]


def multilabel_margin_loss(x: Operand, target: Operand, /, *, reduction: str = "mean") -> Tensor:
    """The op multilabel_margin_loss: the sum of max(0, 1 - x[k] + x) over the classes k that the target lists before
    its first -1 and the classes that it does not list, by the count of all.

    Inputs: x, target. Attributes: reduction.
    """
    return apply_as(Tensor, "multilabel_margin_loss", x, target, reduction=reduction)[0]


def multilabel_soft_margin_loss(
    x: Operand, target: Operand, weight: Operand | None = None, /, *, reduction: str = "mean"
) -> Tensor:
    """The op multilabel_soft_margin_loss: the mean of binary_cross_entropy_with_logits along the last axis, weighted.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "multilabel_soft_margin_loss", x, target, *given(weight), reduction=reduction)[0]


def multiply(a: Operand, b: Operand, /) -> Tensor:
    """The op multiply: a b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "multiply", a, b)[0]


def ndtr(x: Operand, /) -> Tensor:
    """The op ndtr: Φ(x) = (1 + erf(x / √2)) / 2, the distribution function of the standard normal distribution.

    Inputs: x. Attributes: none.
    """
    return apply_as(Tensor, "ndtr", x)[0]


def ndtri(p: Operand, /) -> Tensor:
    """The op ndtri: the inverse of Φ. Inputs: p. Attributes: none."""
    return apply_as(Tensor, "ndtri", p)[0]


def negative(x: Operand, /) -> Tensor:
    """The op negative: -x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "negative", x)[0]


def nll_loss(
    x: Operand, target: Operand, weight: Operand | None = None, /, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The op nll_loss: -x at the class that is the target, weighted by class; the mean is over the sum of the weights.

    Inputs: x, target, weight. Attributes: ignore_index, reduction.
    """
    return apply_as(Tensor, "nll_loss", x, target, *given(weight), ignore_index=ignore_index, reduction=reduction)[0]


def not_equal(a: Operand, b: Operand, /) -> Tensor:
    """The op not_equal: a ≠ b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "not_equal", a, b)[0]


def pad(x: Operand, /, *, widths: Sequence[Sequence[int]]) -> Tensor:
    """The op pad: zeros put around x. Inputs: x. Attributes: widths."""
    return apply_as(Tensor, "pad", x, widths=widths)[0]


def poisson_nll_loss(
    x: Operand,
    target: Operand,
    /,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-08,
    reduction: str = "mean",
) -> Tensor:
    """The op poisson_nll_loss: eˣ - target x; without log_input x - target ln(x + eps). full adds Stirling's
    ln(target!) above 1.

    Inputs: x, target. Attributes: log_input, full, eps, reduction.
    """
    return apply_as(Tensor, "poisson_nll_loss", x, target, log_input=log_input, full=full, eps=eps, reduction=reduction)[0]


def polygamma(x: Operand, /, *, n: int = 0) -> Tensor:
    """The op polygamma: the derivative of order n of digamma. Inputs: x. Attributes: n."""
    return apply_as(Tensor, "polygamma", x, n=n)[0]


def polygamma_rise(x: Operand, h: Operand, /, *, n: int = 0) -> Tensor:
    """The op polygamma_rise: ψ⁽ⁿ⁾(x + h) - ψ⁽ⁿ⁾(x), also where the two are close. Inputs: x, h. Attributes: n."""
    return apply_as(Tensor, "polygamma_rise", x, h, n=n)[0]


def pow(x: Operand, exponent: Operand, /) -> Tensor:
    """The op pow: x^exponent. Inputs: x, exponent. Attributes: none."""
    return apply_as(Tensor, "pow", x, exponent)[0]


def prelu(x: Operand, weight: Operand, /) -> Tensor:
    """The op prelu: x where x > 0, else the weight times x; a weight, or one for each channel (axis 1).

    Inputs: x, weight. Attributes: none.
    """
    return apply_as(Tensor, "prelu", x, weight)[0]


def prod(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op prod: the product over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "prod", x, axis=axis, keepdims=keepdims)[0]


def ratio(a: Operand, b: Operand, c: Operand, d: Operand, /) -> Tensor:
    """The op ratio: a b / (c d). Inputs: a, b, c, d. Attributes: none."""
    return apply_as(Tensor, "ratio", a, b, c, d)[0]


def real(x: Operand, /) -> Tensor:
    """The op real: Re x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "real", x)[0]


def reciprocal(x: Operand, /) -> Tensor:
    """The op reciprocal: 1 / x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "reciprocal", x)[0]


def relu(x: Operand, /) -> Tensor:
    """The op relu: x where x > 0, else 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "relu", x)[0]


def relu6(x: Operand, /) -> Tensor:
    """The op relu6: x limited to [0, 6]. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "relu6", x)[0]


def remainder(a: Operand, b: Operand, /) -> Tensor:
    """The op remainder: a - b ⌊a / b⌋. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "remainder", a, b)[0]


def reshape(x: Operand, /, *, shape: Sequence[int]) -> Tensor:
    """The op reshape: the same elements in C order, in another shape. Inputs: x. Attributes: shape."""
    return apply_as(Tensor, "reshape", x, shape=shape)[0]


def round(x: Operand, /) -> Tensor:
    """The op round: the nearest integer; of two, the even integer. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "round", x)[0]


def rrelu(x: Operand, /, *, lower: float = 0.125, upper: float = 0.3333333333333333) -> Tensor:
    """The op rrelu: leaky_relu with the mean of lower and upper, as of randomised ReLU in evaluation.

    Inputs: x. Attributes: lower, upper.
    """
    return apply_as(Tensor, "rrelu", x, lower=lower, upper=upper)[0]


def rsqrt(x: Operand, /) -> Tensor:
    """The op rsqrt: 1 / √x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "rsqrt", x)[0]


def scatter_add(x: Operand, indices: Operand, updates: Operand, /, *, axis: int = 0) -> Tensor:
    """The op scatter_add: x with updates added at indices along an axis.

    Inputs: x, indices, updates. Attributes: axis.
    """
    return apply_as(Tensor, "scatter_add", x, indices, updates, axis=axis)[0]


def selu(x: Operand, /) -> Tensor:
    """The op selu: elu with alpha 1.6733, times 1.0507 (Klambauer et al., Self-normalizing neural networks, 2017).

    Inputs: x. Attributes: none.
    """
    return apply_as(Tensor, "selu", x)[0]


def sigmoid(x: Operand, /) -> Tensor:
    """The op sigmoid: 1 / (1 + e⁻ˣ). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sigmoid", x)[0]


def sign(x: Operand, /) -> Tensor:
    """The op sign: sign x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sign", x)[0]


def silu(x: Operand, /) -> Tensor:
    """The op silu: x / (1 + e⁻ˣ). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "silu", x)[0]


def sin(x: Operand, /) -> Tensor:
    """The op sin: sin x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sin", x)[0]


def sinh(x: Operand, /) -> Tensor:
    """The op sinh: sinh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sinh", x)[0]


def slice(x: Operand, /, *, start: Sequence[int], stop: Sequence[int | None], step: Sequence[int] | None = None) -> Tensor:
    """The op slice: x[start:stop:step] on each axis. Inputs: x. Attributes: start, stop, step."""
    return apply_as(Tensor, "slice", x, start=start, stop=stop, step=step)[0]


def smooth_l1_loss(x: Operand, target: Operand, /, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """The op smooth_l1_loss: d² / (2 beta) for the distance d of x and target while d < beta, d - beta / 2 beyond.

    Inputs: x, target. Attributes: beta, reduction.
    """
    return apply_as(Tensor, "smooth_l1_loss", x, target, beta=beta, reduction=reduction)[0]


def soft_margin_loss(x: Operand, target: Operand, /, *, reduction: str = "mean") -> Tensor:
    """The op soft_margin_loss: ln(1 + e^(-target x)). Inputs: x, target. Attributes: reduction."""
    return apply_as(Tensor, "soft_margin_loss", x, target, reduction=reduction)[0]


def softmax(x: Operand, /, *, axis: int = -1) -> Tensor:
    """The op softmax: eˣ / Σ eˣ along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "softmax", x, axis=axis)[0]


def softmin(x: Operand, /, *, axis: int = -1) -> Tensor:
    """The op softmin: e⁻ˣ / Σ e⁻ˣ along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "softmin", x, axis=axis)[0]


def softplus(x: Operand, /, *, beta: float = 1.0, threshold: float | None = None) -> Tensor:
    """The op softplus: ln(1 + e^(βx)) / β, and x where βx is above the threshold.

    Inputs: x. Attributes: beta, threshold.
    """
    return apply_as(Tensor, "softplus", x, beta=beta, threshold=threshold)[0]


def softshrink(x: Operand, /, *, lambd: float = 0.5) -> Tensor:
    """The op softshrink: x moved by lambd towards 0; 0 where |x| <= lambd. Inputs: x. Attributes: lambd."""
    return apply_as(Tensor, "softshrink", x, lambd=lambd)[0]


def softsign(x: Operand, /) -> Tensor:
    """The op softsign: x / (1 + |x|). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "softsign", x)[0]


def solve(a: Operand, b: Operand, /) -> Tensor:
    """The op solve: x of a x = b, for a vector b or for each column of a matrix b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "solve", a, b)[0]


def split(x: Operand, /, *, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The op split: cut into sections along an axis (at most 16). Inputs: x. Attributes: sections, axis."""
    return tuple(apply_as(Tensor, "split", x, sections=sections, axis=axis))


def sqrt(x: Operand, /) -> Tensor:
    """The op sqrt: √x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sqrt", x)[0]


def square(x: Operand, /) -> Tensor:
    """The op square: x². Inputs: x. Attributes: none."""
    return apply_as(Tensor, "square", x)[0]


def squeeze(x: Operand, /, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """The op squeeze: axes of size 1 taken out. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "squeeze", x, axis=axis)[0]


def stack(*arrays: Operand, axis: int = 0) -> Tensor:
    """The op stack: arrays joined along a new axis. Inputs: arrays. Attributes: axis."""
    return apply_as(Tensor, "stack", *arrays, axis=axis)[0]


def subtract(a: Operand, b: Operand, /) -> Tensor:
    """The op subtract: a - b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "subtract", a, b)[0]


def sum(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op sum: the sum over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "sum", x, axis=axis, keepdims=keepdims)[0]


def take(x: Operand, indices: Operand, /, *, axis: int = 0) -> Tensor:
    """The op take: elements at indices along an axis. Inputs: x, indices. Attributes: axis."""
    return apply_as(Tensor, "take", x, indices, axis=axis)[0]


def take_along_axis(x: Operand, indices: Operand, /, *, axis: int = -1) -> Tensor:
    """The op take_along_axis: elements at indices along an axis, of each line its own.

    Inputs: x, indices. Attributes: axis.
    """
    return apply_as(Tensor, "take_along_axis", x, indices, axis=axis)[0]


def tan(x: Operand, /) -> Tensor:
    """The op tan: tan x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "tan", x)[0]


def tanh(x: Operand, /) -> Tensor:
    """The op tanh: tanh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "tanh", x)[0]


def tanhshrink(x: Operand, /) -> Tensor:
    """The op tanhshrink: x - tanh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "tanhshrink", x)[0]


def threshold(x: Operand, /, *, threshold: float, value: float) -> Tensor:
    """The op threshold: x where x > threshold, else value. Inputs: x. Attributes: threshold, value."""
    return apply_as(Tensor, "threshold", x, threshold=threshold, value=value)[0]


def transpose(x: Operand, /, *, axes: Sequence[int] | None = None) -> Tensor:
    """The op transpose: axes permuted. Inputs: x. Attributes: axes."""
    return apply_as(Tensor, "transpose", x, axes=axes)[0]


def tril(x: Operand, /, *, k: int = 0) -> Tensor:
    """The op tril: the lower triangle. Inputs: x. Attributes: k."""
    return apply_as(Tensor, "tril", x, k=k)[0]


def triplet_margin_loss(
    anchor: Operand,
    positive: Operand,
    negative: Operand,
    /,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-06,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """The op triplet_margin_loss: max(0, margin + d(anchor, positive) - d(anchor, negative)) for the p-norm d of the
    difference plus eps, over the last axis; with swap, d(positive, negative) where that is less.

    Inputs: anchor, positive, negative. Attributes: margin, p, eps, swap, reduction.
    """
    return apply_as(
        Tensor,
        "triplet_margin_loss",
        anchor,
        positive,
        negative,
        margin=margin,
        p=p,
        eps=eps,
        swap=swap,
        reduction=reduction,
    )[0]


def triu(x: Operand, /, *, k: int = 0) -> Tensor:
    """The op triu: the upper triangle. Inputs: x. Attributes: k."""
    return apply_as(Tensor, "triu", x, k=k)[0]


def trunc(x: Operand, /) -> Tensor:
    """The op trunc: -⌊-x⌋ if x < 0 else ⌊x⌋. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "trunc", x)[0]


def unslice(x: Operand, /, *, shape: Sequence[int], start: Sequence[int], step: Sequence[int]) -> Tensor:
    """The op unslice: zeros, with x at a slice: what slice is undone by. Inputs: x. Attributes: shape, start, step."""
    return apply_as(Tensor, "unslice", x, shape=shape, start=start, step=step)[0]


def var(x: Operand, /, *, axis: int | Sequence[int] | None = None, correction: int = 0, keepdims: bool = False) -> Tensor:
    """The op var: the variance over axes, divided by n - correction.

    Inputs: x. Attributes: axis, correction, keepdims.
    """
    return apply_as(Tensor, "var", x, axis=axis, correction=correction, keepdims=keepdims)[0]


def where(condition: Operand, a: Operand, b: Operand, /) -> Tensor:
    """The op where: a if condition else b. Inputs: condition, a, b. Attributes: none."""
    return apply_as(Tensor, "where", condition, a, b)[0]


def xlog1py(x: Operand, y: Operand, /) -> Tensor:
    """The op xlog1py: x ln(1 + y), and 0 at x = 0. Inputs: x, y. Attributes: none."""
    return apply_as(Tensor, "xlog1py", x, y)[0]


def xlogy(x: Operand, y: Operand, /) -> Tensor:
    """The op xlogy: x ln y, and 0 at x = 0. Inputs: x, y. Attributes: none."""
    return apply_as(Tensor, "xlogy", x, y)[0]


def y0(x: Operand, /) -> Tensor:
    """The op y0: the Bessel function of the second kind of order 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "y0", x)[0]


def y1(x: Operand, /) -> Tensor:
    """The op y1: the Bessel function of the second kind of order 1. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "y1", x)[0]


def yv(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op yv: the Bessel function of the second kind of a whole order. Inputs: x. Attributes: order."""
    return apply_as(Tensor, "yv", x, order=order)[0]


def zeta(s: Operand, q: Operand, /) -> Tensor:
    """The op zeta: the zeta function of Hurwitz, Σ (q + k)⁻ˢ over k from 0 on, without a derivative along s.

    Inputs: s, q. Attributes: none.
    """
    return apply_as(Tensor, "zeta", s, q)[0]
