"""The built-in ops of the server as functions, with its names and attributes.

Generated from the ops of ``gradproof.plugins`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - names and arguments of ops are those of the server

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradproof.client.recording.apply import apply_as
from gradproof.client.tensors.signatures import DTypeLike, Operand, given, limits
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "add_along_axis",
    "addcdiv",
    "addcmul",
    "adjoint",
    "all",
    "angle",
    "any",
    "arange",
    "argcummax",
    "argcummin",
    "argkth",
    "argmax",
    "argmin",
    "argsort",
    "argtopk",
    "argwhere",
    "array_split",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "average",
    "beta",
    "betaln",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "block_diag",
    "broadcast_arrays",
    "broadcast_to",
    "cartesian_prod",
    "cbrt",
    "cdist",
    "ceil",
    "celu",
    "channel_shuffle",
    "checked",
    "cholesky",
    "clip",
    "cofactors",
    "column_stack",
    "complex",
    "compress",
    "concat",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "cosine_embedding_loss",
    "cosine_similarity",
    "count_nonzero",
    "cross_entropy",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "cumulative_trapezoid",
    "deg2rad",
    "det",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diagonal_scatter",
    "diff",
    "digamma",
    "divide",
    "dsplit",
    "dstack",
    "einsum",
    "elu",
    "embedding",
    "entr",
    "equal",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "euclidean_norm",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "external",
    "eye",
    "flatnonzero",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "float_power",
    "floor",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "frac",
    "full_like",
    "gamma",
    "gamma_density",
    "gammainc",
    "gammaincc",
    "gammaln",
    "gather",
    "gaussian_nll_loss",
    "gelu",
    "getitem",
    "glu",
    "greater",
    "greater_equal",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "heaviside",
    "hinge_embedding_loss",
    "hsplit",
    "hstack",
    "huber_loss",
    "hypot",
    "i0",
    "i0e",
    "i0e_decay",
    "i1",
    "i1e",
    "imag",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "inv",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "iv",
    "j0",
    "j1",
    "jv",
    "k0",
    "k0e",
    "k0e_decay",
    "k1",
    "k1e",
    "kl_div",
    "kthvalue",
    "l1_loss",
    "last_occurrence",
    "ldexp",
    "leaky_relu",
    "lerp",
    "less",
    "less_equal",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_ndtr",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logcumsumexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsigmoid",
    "logsumexp",
    "margin_ranking_loss",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "matrix_norm",
    "matrix_transpose",
    "max",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mish",
    "moveaxis",
    "mse_loss",
    "multi_margin_loss",
    "multigammaln",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "multiply",
    "nan_to_num",
    "nanmax",
    "nanmean",
    "nanmedian",
    "nanmin",
    "nanprod",
    "nanquantile",
    "nansum",
    "ndtr",
    "ndtri",
    "negative",
    "nextafter",
    "nll_loss",
    "nonzero",
    "norm",
    "normalize",
    "not_equal",
    "number_true",
    "one_hot",
    "ones_like",
    "overlap_add",
    "p_norm",
    "pad",
    "pairwise_distance",
    "permute_dims",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "polar",
    "polygamma",
    "polygamma_rise",
    "positive",
    "pow",
    "prelu",
    "prod",
    "ptp",
    "put",
    "put_along_axis",
    "quantile",
    "rad2deg",
    "ratio",
    "ravel",
    "ravel_multi_index",
    "real",
    "reciprocal",
    "recurrence",
    "relu",
    "relu6",
    "remainder",
    "repeat",
    "reshape",
    "roll",
    "rot90",
    "round",
    "rrelu",
    "rsqrt",
    "scatter",
    "scatter_add",
    "searchsorted",
    "sections",
    "select",
    "select_scatter",
    "selu",
    "sigmoid",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "slice",
    "slice_scatter",
    "sliding_window_view",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "solve",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tanhshrink",
    "threshold",
    "tile",
    "topk",
    "trace",
    "transpose",
    "trapezoid",
    "tril",
    "triplet_margin_loss",
    "triu",
    "trunc",
    "unflatten",
    "unfold",
    "unslice",
    "unstack",
    "var",
    "vector_norm",
    "vsplit",
    "vstack",
    "where",
    "xlog1py",
    "xlogy",
    "y0",
    "y1",
    "yv",
    "zeros_like",
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


def addcdiv(x: Operand, a: Operand, b: Operand, /, *, value: float = 1) -> Tensor:
    """The op addcdiv: x + value a / b. Inputs: x, a, b. Attributes: value."""
    return apply_as(Tensor, "addcdiv", x, a, b, value=value)[0]


def addcmul(x: Operand, a: Operand, b: Operand, /, *, value: float = 1) -> Tensor:
    """The op addcmul: x + value a b. Inputs: x, a, b. Attributes: value."""
    return apply_as(Tensor, "addcmul", x, a, b, value=value)[0]


def adjoint(x: Operand, /) -> Tensor:
    """The op adjoint: the last two axes exchanged, and conjugated. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "adjoint", x)[0]


def all(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op all: whether all elements over axes are not zero. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "all", x, axis=axis, keepdims=keepdims)[0]


def angle(x: Operand, /) -> Tensor:
    """The op angle: the argument of x, from -π to π; 0 or π for a real number. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "angle", x)[0]


def any(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op any: whether any element over axes is not zero. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "any", x, axis=axis, keepdims=keepdims)[0]


def arange(*, start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None) -> Tensor:
    """The op arange: start, start + step, ... up to stop, which is left out.

    Inputs: none. Attributes: start, stop, step, dtype.
    """
    return apply_as(Tensor, "arange", start=start, stop=stop, step=step, dtype=dtype)[0]


def argcummax(x: Operand, /, *, axis: int) -> Tensor:
    """The op argcummax: the place of the largest of all elements up to each, of several the last.

    Inputs: x. Attributes: axis.
    """
    return apply_as(Tensor, "argcummax", x, axis=axis)[0]


def argcummin(x: Operand, /, *, axis: int) -> Tensor:
    """The op argcummin: the place of the smallest of all elements up to each, of several the last.

    Inputs: x. Attributes: axis.
    """
    return apply_as(Tensor, "argcummin", x, axis=axis)[0]


def argkth(x: Operand, /, *, rank: int, axis: int = -1) -> Tensor:
    """The op argkth: the place of the element of each line at a rank, counted from 0.

    Inputs: x. Attributes: rank, axis.
    """
    return apply_as(Tensor, "argkth", x, rank=rank, axis=axis)[0]


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


def argtopk(x: Operand, /, *, k: int, axis: int = -1, largest: bool = True) -> Tensor:
    """The op argtopk: the places of the k largest or smallest elements of each line, in order.

    Inputs: x. Attributes: k, axis, largest.
    """
    return apply_as(Tensor, "argtopk", x, k=k, axis=axis, largest=largest)[0]


def argwhere(x: Operand, /, *, count: int) -> Tensor:
    """The op argwhere: the indices of the elements that are not 0, as rows; there are count of them.

    Inputs: x. Attributes: count.
    """
    return apply_as(Tensor, "argwhere", x, count=count)[0]


def array_split(x: Operand, /, *, indices_or_sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The op array_split: cut along an axis, into sections whose sizes may differ by 1.

    Inputs: x. Attributes: indices_or_sections, axis.
    """
    return tuple(apply_as(Tensor, "array_split", x, indices_or_sections=indices_or_sections, axis=axis))


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


def atleast_1d(*arrays: Operand) -> tuple[Tensor, ...]:
    """The op atleast_1d: a number as a vector; all else as it is. Inputs: arrays. Attributes: none."""
    return tuple(apply_as(Tensor, "atleast_1d", *arrays))


def atleast_2d(*arrays: Operand) -> tuple[Tensor, ...]:
    """The op atleast_2d: a number or vector as the row of a matrix. Inputs: arrays. Attributes: none."""
    return tuple(apply_as(Tensor, "atleast_2d", *arrays))


def atleast_3d(*arrays: Operand) -> tuple[Tensor, ...]:
    """The op atleast_3d: (n,) as (1, n, 1), and (n, m) as (n, m, 1). Inputs: arrays. Attributes: none."""
    return tuple(apply_as(Tensor, "atleast_3d", *arrays))


def average(
    x: Operand, weights: Operand | None = None, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """The op average: the mean over axes, with weights or without. Inputs: x, weights. Attributes: axis, keepdims."""
    return apply_as(Tensor, "average", x, *given(weights), axis=axis, keepdims=keepdims)[0]


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


def bitwise_and(a: Operand, b: Operand, /) -> Tensor:
    """The op bitwise_and: a and b, bit by bit. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "bitwise_and", a, b)[0]


def bitwise_invert(x: Operand, /) -> Tensor:
    """The op bitwise_invert: not x, bit by bit. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "bitwise_invert", x)[0]


def bitwise_left_shift(a: Operand, b: Operand, /) -> Tensor:
    """The op bitwise_left_shift: a 2ᵇ, without the bits beyond those of the dtype. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "bitwise_left_shift", a, b)[0]


def bitwise_or(a: Operand, b: Operand, /) -> Tensor:
    """The op bitwise_or: a or b, bit by bit. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "bitwise_or", a, b)[0]


def bitwise_right_shift(a: Operand, b: Operand, /) -> Tensor:
    """The op bitwise_right_shift: ⌊a / 2ᵇ⌋. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "bitwise_right_shift", a, b)[0]


def bitwise_xor(a: Operand, b: Operand, /) -> Tensor:
    """The op bitwise_xor: a ≠ b, bit by bit. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "bitwise_xor", a, b)[0]


def block_diag(*arrays: Operand) -> Tensor:
    """The op block_diag: matrices along the diagonal of a larger one. Inputs: arrays. Attributes: none."""
    return apply_as(Tensor, "block_diag", *arrays)[0]


def broadcast_arrays(*arrays: Operand) -> tuple[Tensor, ...]:
    """The op broadcast_arrays: arrays repeated to a common shape. Inputs: arrays. Attributes: none."""
    return tuple(apply_as(Tensor, "broadcast_arrays", *arrays))


def broadcast_to(x: Operand, /, *, shape: Sequence[int]) -> Tensor:
    """The op broadcast_to: x repeated to a larger shape. Inputs: x. Attributes: shape."""
    return apply_as(Tensor, "broadcast_to", x, shape=shape)[0]


def cartesian_prod(*arrays: Operand) -> Tensor:
    """The op cartesian_prod: all tuples of elements of vectors, as rows. Inputs: arrays. Attributes: none."""
    return apply_as(Tensor, "cartesian_prod", *arrays)[0]


def cbrt(x: Operand, /) -> Tensor:
    """The op cbrt: ∛x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "cbrt", x)[0]


def cdist(x1: Operand, x2: Operand, /, *, p: float = 2.0) -> Tensor:
    """The op cdist: the p-norms of the differences of each row of x1 and each row of x2.

    Inputs: x1, x2. Attributes: p.
    """
    return apply_as(Tensor, "cdist", x1, x2, p=p)[0]


def ceil(x: Operand, /) -> Tensor:
    """The op ceil: -⌊-x⌋. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "ceil", x)[0]


def celu(x: Operand, /, *, alpha: float = 1.0) -> Tensor:
    """The op celu: x where x > 0, else alpha (exp(x / alpha) - 1). Inputs: x. Attributes: alpha."""
    return apply_as(Tensor, "celu", x, alpha=alpha)[0]


def channel_shuffle(x: Operand, /, *, groups: int) -> Tensor:
    """The op channel_shuffle: the channels of (n, groups c, ...) with the groups interleaved.

    Inputs: x. Attributes: groups.
    """
    return apply_as(Tensor, "channel_shuffle", x, groups=groups)[0]


def checked(x: Operand, /, *, low: float | None = None, high: float | None = None) -> Tensor:
    """The op checked: x, all of whose elements must be from low to high. Inputs: x. Attributes: low, high."""
    return apply_as(Tensor, "checked", x, low=low, high=high)[0]


def cholesky(a: Operand, /, *, upper: float = False) -> Tensor:
    """The op cholesky: the lower factor L with L Lᵀ = (a + aᵀ) / 2, or Lᵀ for upper. Inputs: a. Attributes: upper."""
    return apply_as(Tensor, "cholesky", a, upper=upper)[0]


def clip(x: Operand, min: Operand | None = None, max: Operand | None = None, /) -> Tensor:
    """The op clip: x limited to [min, max]. Inputs: x, min, max. Attributes: none."""
    return apply_as(Tensor, "clip", *limits(x, min, max))[0]


def cofactors(a: Operand, /) -> Tensor:
    """The op cofactors: the matrix of cofactors: the gradient of the determinant, of singular matrices too.

    Inputs: a. Attributes: none.
    """
    return apply_as(Tensor, "cofactors", a)[0]


def column_stack(*arrays: Operand) -> Tensor:
    """The op column_stack: matrices joined along the second axis, vectors as columns.

    Inputs: arrays. Attributes: none.
    """
    return apply_as(Tensor, "column_stack", *arrays)[0]


def complex(real: Operand, imag: Operand, /) -> Tensor:
    """The op complex: real + i imag. Inputs: real, imag. Attributes: none."""
    return apply_as(Tensor, "complex", real, imag)[0]


def compress(x: Operand, condition: Operand, /, *, count: int, axis: int | None = None) -> Tensor:
    """The op compress: the parts along an axis where the condition is true, count of them.

    Inputs: x, condition. Attributes: count, axis.
    """
    return apply_as(Tensor, "compress", x, condition, count=count, axis=axis)[0]


def concat(*arrays: Operand, axis: int = 0) -> Tensor:
    """The op concat: arrays joined along an axis. Inputs: arrays. Attributes: axis."""
    return apply_as(Tensor, "concat", *arrays, axis=axis)[0]


def conj(x: Operand, /) -> Tensor:
    """The op conj: conj x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "conj", x)[0]


def copysign(a: Operand, b: Operand, /) -> Tensor:
    """The op copysign: -|a| if 1 / b < 0 else |a|. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "copysign", a, b)[0]


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


def cosine_similarity(x1: Operand, x2: Operand, /, *, axis: int = 1, eps: float = 1e-08) -> Tensor:
    """The op cosine_similarity: the cosine of the angle between vectors along an axis, whose norms count as eps where
    they are smaller.

    Inputs: x1, x2. Attributes: axis, eps.
    """
    return apply_as(Tensor, "cosine_similarity", x1, x2, axis=axis, eps=eps)[0]


def count_nonzero(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op count_nonzero: the number of elements over axes that are not zero.

    Inputs: x. Attributes: axis, keepdims.
    """
    return apply_as(Tensor, "count_nonzero", x, axis=axis, keepdims=keepdims)[0]


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


def cummax(x: Operand, /, *, axis: int) -> tuple[Tensor, ...]:
    """The op cummax: the largest of all elements up to each along an axis, and their places.

    Inputs: x. Attributes: axis.
    """
    return tuple(apply_as(Tensor, "cummax", x, axis=axis))


def cummin(x: Operand, /, *, axis: int) -> tuple[Tensor, ...]:
    """The op cummin: the smallest of all elements up to each along an axis, and their places.

    Inputs: x. Attributes: axis.
    """
    return tuple(apply_as(Tensor, "cummin", x, axis=axis))


def cumprod(x: Operand, /, *, axis: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The op cumprod: running products along an axis. Inputs: x. Attributes: axis, dtype."""
    return apply_as(Tensor, "cumprod", x, axis=axis, dtype=dtype)[0]


def cumsum(x: Operand, /, *, axis: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The op cumsum: running sums along an axis. Inputs: x. Attributes: axis, dtype."""
    return apply_as(Tensor, "cumsum", x, axis=axis, dtype=dtype)[0]


def cumulative_prod(
    x: Operand, /, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Tensor:
    """The op cumulative_prod: running products along an axis, behind 1 with include_initial.

    Inputs: x. Attributes: axis, dtype, include_initial.
    """
    return apply_as(Tensor, "cumulative_prod", x, axis=axis, dtype=dtype, include_initial=include_initial)[0]


def cumulative_sum(
    x: Operand, /, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Tensor:
    """The op cumulative_sum: running sums along an axis, behind 0 with include_initial.

    Inputs: x. Attributes: axis, dtype, include_initial.
    """
    return apply_as(Tensor, "cumulative_sum", x, axis=axis, dtype=dtype, include_initial=include_initial)[0]


def cumulative_trapezoid(
    y: Operand, x: Operand | None = None, /, *, dx: float = 1.0, axis: int = -1, initial: float | None = None
) -> Tensor:
    """The op cumulative_trapezoid: the integrals of y up to each element by the trapezoidal rule.

    Inputs: y, x. Attributes: dx, axis, initial.
    """
    return apply_as(Tensor, "cumulative_trapezoid", y, *given(x), dx=dx, axis=axis, initial=initial)[0]


def deg2rad(x: Operand, /) -> Tensor:
    """The op deg2rad: x π / 180. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "deg2rad", x)[0]


def det(a: Operand, /) -> Tensor:
    """The op det: the determinant. Inputs: a. Attributes: none."""
    return apply_as(Tensor, "det", a)[0]


def diag(x: Operand, /, *, k: int = 0) -> Tensor:
    """The op diag: the matrix with a vector on diagonal k; of a matrix, its diagonal k. Inputs: x. Attributes: k."""
    return apply_as(Tensor, "diag", x, k=k)[0]


def diag_embed(x: Operand, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Tensor:
    """The op diag_embed: zeros, with the last axis of x on a diagonal of two new axes.

    Inputs: x. Attributes: offset, axis1, axis2.
    """
    return apply_as(Tensor, "diag_embed", x, offset=offset, axis1=axis1, axis2=axis2)[0]


def diagflat(x: Operand, /, *, k: int = 0) -> Tensor:
    """The op diagflat: the matrix with all elements of x on diagonal k. Inputs: x. Attributes: k."""
    return apply_as(Tensor, "diagflat", x, k=k)[0]


def diagonal(x: Operand, /, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The op diagonal: a diagonal of two axes, which become the last axis.

    Inputs: x. Attributes: offset, axis1, axis2.
    """
    return apply_as(Tensor, "diagonal", x, offset=offset, axis1=axis1, axis2=axis2)[0]


def diagonal_scatter(x: Operand, values: Operand, /, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The op diagonal_scatter: x with values on a diagonal of two axes.

    Inputs: x, values. Attributes: offset, axis1, axis2.
    """
    return apply_as(Tensor, "diagonal_scatter", x, values, offset=offset, axis1=axis1, axis2=axis2)[0]


def diff(
    x: Operand, prepend: Operand | None = None, append: Operand | None = None, /, *, n: int = 1, axis: int = -1
) -> Tensor:
    """The op diff: differences of neighbours, n times. Inputs: x, prepend, append. Attributes: n, axis."""
    return apply_as(Tensor, "diff", x, *given(prepend, append), n=n, axis=axis)[0]


def digamma(x: Operand, /) -> Tensor:
    """The op digamma: ψ(x) = Γ'(x) / Γ(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "digamma", x)[0]


def divide(a: Operand, b: Operand, /) -> Tensor:
    """The op divide: a / b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "divide", a, b)[0]


def dsplit(x: Operand, /, *, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The op dsplit: cut into sections along the third axis. Inputs: x. Attributes: indices_or_sections."""
    return tuple(apply_as(Tensor, "dsplit", x, indices_or_sections=indices_or_sections))


def dstack(*arrays: Operand) -> Tensor:
    """The op dstack: arrays joined along the third axis. Inputs: arrays. Attributes: none."""
    return apply_as(Tensor, "dstack", *arrays)[0]


def einsum(*operands: Operand, subscripts: str) -> Tensor:
    """The op einsum: sums of products over axes that letters name, as in 'ij,jk->ik'.

    Inputs: operands. Attributes: subscripts.
    """
    return apply_as(Tensor, "einsum", *operands, subscripts=subscripts)[0]


def elu(x: Operand, /, *, alpha: float = 1.0) -> Tensor:
    """The op elu: x where x > 0, else alpha (exp x - 1). Inputs: x. Attributes: alpha."""
    return apply_as(Tensor, "elu", x, alpha=alpha)[0]


def embedding(weight: Operand, indices: Operand, /, *, padding_idx: int | None = None) -> Tensor:
    """The op embedding: rows of weight at indices; the row padding_idx has no gradient.

    Inputs: weight, indices. Attributes: padding_idx.
    """
    return apply_as(Tensor, "embedding", weight, indices, padding_idx=padding_idx)[0]


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


def euclidean_norm(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op euclidean_norm: √Σ |x|² over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "euclidean_norm", x, axis=axis, keepdims=keepdims)[0]


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


def external(*arrays: Operand, results: int = 1) -> tuple[Tensor, ...]:
    """The op external: values computed outside the graph, from the other inputs.

    Inputs: arrays. Attributes: results.
    """
    return tuple(apply_as(Tensor, "external", *arrays, results=results))


def eye(*, n_rows: int, n_cols: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Tensor:
    """The op eye: 1 on diagonal k, 0 elsewhere. Inputs: none. Attributes: n_rows, n_cols, k, dtype."""
    return apply_as(Tensor, "eye", n_rows=n_rows, n_cols=n_cols, k=k, dtype=dtype)[0]


def flatnonzero(mask: Operand, /, *, count: int) -> Tensor:
    """The op flatnonzero: the places, in C order, of the true elements, count of them.

    Inputs: mask. Attributes: count.
    """
    return apply_as(Tensor, "flatnonzero", mask, count=count)[0]


def flatten(x: Operand, /, *, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """The op flatten: the axes from start_axis to end_axis joined to a single axis.

    Inputs: x. Attributes: start_axis, end_axis.
    """
    return apply_as(Tensor, "flatten", x, start_axis=start_axis, end_axis=end_axis)[0]


def flip(x: Operand, /, *, axis: int | Sequence[int] | None = None) -> Tensor:
    """The op flip: the order reversed along axes. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "flip", x, axis=axis)[0]


def fliplr(x: Operand, /) -> Tensor:
    """The op fliplr: the order of the second axis reversed. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "fliplr", x)[0]


def flipud(x: Operand, /) -> Tensor:
    """The op flipud: the order of the first axis reversed. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "flipud", x)[0]


def float_power(x: Operand, exponent: Operand, /) -> Tensor:
    """The op float_power: x^exponent in float64 or complex128. Inputs: x, exponent. Attributes: none."""
    return apply_as(Tensor, "float_power", x, exponent)[0]


def floor(x: Operand, /) -> Tensor:
    """The op floor: ⌊x⌋. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "floor", x)[0]


def floor_divide(a: Operand, b: Operand, /) -> Tensor:
    """The op floor_divide: ⌊a / b⌋. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "floor_divide", a, b)[0]


def fmax(a: Operand, b: Operand, /) -> Tensor:
    """The op fmax: the larger, or the number beside a nan. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "fmax", a, b)[0]


def fmin(a: Operand, b: Operand, /) -> Tensor:
    """The op fmin: the smaller, or the number beside a nan. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "fmin", a, b)[0]


def fmod(a: Operand, b: Operand, /) -> Tensor:
    """The op fmod: (a + b) nan if isinf(a) else a - b (-⌊-a / b⌋ if a / b < 0 else ⌊a / b⌋).

    Inputs: a, b. Attributes: none.
    """
    return apply_as(Tensor, "fmod", a, b)[0]


def frac(x: Operand, /) -> Tensor:
    """The op frac: x - (-⌊-x⌋ if x < 0 else ⌊x⌋). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "frac", x)[0]


def full_like(x: Operand, /, *, value: float, dtype: DTypeLike | None = None) -> Tensor:
    """The op full_like: the number value in the shape of x. Inputs: x. Attributes: value, dtype."""
    return apply_as(Tensor, "full_like", x, value=value, dtype=dtype)[0]


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


def gather(x: Operand, indices: Operand, /, *, axis: int) -> Tensor:
    """The op gather: elements at indices along an axis, of each line its own; the indices may be for a corner of x.

    Inputs: x, indices. Attributes: axis.
    """
    return apply_as(Tensor, "gather", x, indices, axis=axis)[0]


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


def getitem(x: Operand, /, *indices: Operand, key: Sequence[Any] | None = None) -> Tensor:
    """The op getitem: the elements at a key: a list of integers, slices (start, stop, step), None for a new axis,
    '...', 'array' for the next input of integers, and ('mask', count) for the next input as a mask with count true
    elements.

    Inputs: x, indices. Attributes: key.
    """
    return apply_as(Tensor, "getitem", x, *indices, key=key)[0]


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


def heaviside(x: Operand, value: Operand, /) -> Tensor:
    """The op heaviside: 0 where x < 0, value where x = 0, 1 where x > 0. Inputs: x, value. Attributes: none."""
    return apply_as(Tensor, "heaviside", x, value)[0]


def hinge_embedding_loss(x: Operand, target: Operand, /, *, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The op hinge_embedding_loss: x where target is 1, max(0, margin - x) where it is -1, and their sum elsewhere.

    Inputs: x, target. Attributes: margin, reduction.
    """
    return apply_as(Tensor, "hinge_embedding_loss", x, target, margin=margin, reduction=reduction)[0]


def hsplit(x: Operand, /, *, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The op hsplit: cut into sections along the second axis, a vector along its only axis.

    Inputs: x. Attributes: indices_or_sections.
    """
    return tuple(apply_as(Tensor, "hsplit", x, indices_or_sections=indices_or_sections))


def hstack(*arrays: Operand) -> Tensor:
    """The op hstack: arrays joined along the second axis, vectors along their only axis.

    Inputs: arrays. Attributes: none.
    """
    return apply_as(Tensor, "hstack", *arrays)[0]


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


def index_add(x: Operand, indices: Operand, updates: Operand, /, *, axis: int = 0) -> Tensor:
    """The op index_add: x with updates added at indices along an axis.

    Inputs: x, indices, updates. Attributes: axis.
    """
    return apply_as(Tensor, "index_add", x, indices, updates, axis=axis)[0]


def index_copy(x: Operand, indices: Operand, updates: Operand, /, *, axis: int = 0) -> Tensor:
    """The op index_copy: x with updates in place of its parts at indices along an axis, of several the last one.

    Inputs: x, indices, updates. Attributes: axis.
    """
    return apply_as(Tensor, "index_copy", x, indices, updates, axis=axis)[0]


def index_fill(x: Operand, indices: Operand, value: Operand, /, *, axis: int) -> Tensor:
    """The op index_fill: x with a number in place of its parts at indices along an axis.

    Inputs: x, indices, value. Attributes: axis.
    """
    return apply_as(Tensor, "index_fill", x, indices, value, axis=axis)[0]


def index_put(
    x: Operand, values: Operand, /, *indices: Operand, key: Sequence[Any] | None = None, accumulate: bool = False
) -> Tensor:
    """The op index_put: x with values in place of the elements at a key, as getitem has it, or added to them.

    Inputs: x, values, indices. Attributes: key, accumulate.
    """
    return apply_as(Tensor, "index_put", x, values, *indices, key=key, accumulate=accumulate)[0]


def inv(a: Operand, /) -> Tensor:
    """The op inv: the inverse of a matrix. Inputs: a. Attributes: none."""
    return apply_as(Tensor, "inv", a)[0]


def isclose(a: Operand, b: Operand, /, *, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """The op isclose: |a - b| ≤ atol + rtol |b|; a nan is close to a nan if equal_nan.

    Inputs: a, b. Attributes: rtol, atol, equal_nan.
    """
    return apply_as(Tensor, "isclose", a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)[0]


def isfinite(x: Operand, /) -> Tensor:
    """The op isfinite: whether x is neither nan nor infinite. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isfinite", x)[0]


def isinf(x: Operand, /) -> Tensor:
    """The op isinf: whether x is infinite. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isinf", x)[0]


def isnan(x: Operand, /) -> Tensor:
    """The op isnan: whether x is nan. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isnan", x)[0]


def isneginf(x: Operand, /) -> Tensor:
    """The op isneginf: whether x is -∞. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isneginf", x)[0]


def isposinf(x: Operand, /) -> Tensor:
    """The op isposinf: whether x is ∞. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isposinf", x)[0]


def isreal(x: Operand, /) -> Tensor:
    """The op isreal: whether the imaginary part of x is 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "isreal", x)[0]


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


def k0(x: Operand, /) -> Tensor:
    """The op k0: the modified Bessel function of the second kind of order 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "k0", x)[0]


def k0e(x: Operand, /) -> Tensor:
    """The op k0e: eˣ K₀(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "k0e", x)[0]


def k0e_decay(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op k0e_decay: (-1)ⁿ times the derivative of order n of eˣ K₀(x). Inputs: x. Attributes: order."""
    return apply_as(Tensor, "k0e_decay", x, order=order)[0]


def k1(x: Operand, /) -> Tensor:
    """The op k1: the modified Bessel function of the second kind of order 1. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "k1", x)[0]


def k1e(x: Operand, /) -> Tensor:
    """The op k1e: eˣ K₁(x). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "k1e", x)[0]


def kl_div(x: Operand, target: Operand, /, *, log_target: bool = False, reduction: str = "mean") -> Tensor:
    """The op kl_div: target (ln target - x), where x is a logarithm, as is target with log_target. The mean is over
    all elements, batchmean over the first axis.

    Inputs: x, target. Attributes: log_target, reduction.
    """
    return apply_as(Tensor, "kl_div", x, target, log_target=log_target, reduction=reduction)[0]


def kthvalue(x: Operand, /, *, k: int, axis: int = -1, keepdims: bool = False) -> tuple[Tensor, ...]:
    """The op kthvalue: the k-th smallest element of each line, counted from 1, and its place.

    Inputs: x. Attributes: k, axis, keepdims.
    """
    return tuple(apply_as(Tensor, "kthvalue", x, k=k, axis=axis, keepdims=keepdims))


def l1_loss(x: Operand, target: Operand, weight: Operand | None = None, /, *, reduction: str = "mean") -> Tensor:
    """The op l1_loss: |x - target|, weighted; the mean is over the sum of the weights.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "l1_loss", x, target, *given(weight), reduction=reduction)[0]


def last_occurrence(indices: Operand, /, *, size: int, axis: int | None = None) -> Tensor:
    """The op last_occurrence: true where no later index along the axis names the same place.

    Inputs: indices. Attributes: size, axis.
    """
    return apply_as(Tensor, "last_occurrence", indices, size=size, axis=axis)[0]


def ldexp(x: Operand, exponent: Operand, /) -> Tensor:
    """The op ldexp: x 2^exponent. Inputs: x, exponent. Attributes: none."""
    return apply_as(Tensor, "ldexp", x, exponent)[0]


def leaky_relu(x: Operand, /, *, negative_slope: float = 0.01) -> Tensor:
    """The op leaky_relu: x where x > 0, else the negative slope times x. Inputs: x. Attributes: negative_slope."""
    return apply_as(Tensor, "leaky_relu", x, negative_slope=negative_slope)[0]


def lerp(start: Operand, end: Operand, weight: Operand, /) -> Tensor:
    """The op lerp: start + weight (end - start). Inputs: start, end, weight. Attributes: none."""
    return apply_as(Tensor, "lerp", start, end, weight)[0]


def less(a: Operand, b: Operand, /) -> Tensor:
    """The op less: a < b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "less", a, b)[0]


def less_equal(a: Operand, b: Operand, /) -> Tensor:
    """The op less_equal: a ≤ b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "less_equal", a, b)[0]


def linspace(*, start: float, stop: float, num: int, endpoint: bool = True, dtype: DTypeLike | None = None) -> Tensor:
    """The op linspace: num numbers from start to stop, evenly spaced.

    Inputs: none. Attributes: start, stop, num, endpoint, dtype.
    """
    return apply_as(Tensor, "linspace", start=start, stop=stop, num=num, endpoint=endpoint, dtype=dtype)[0]


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


def logaddexp2(a: Operand, b: Operand, /) -> Tensor:
    """The op logaddexp2: ln(e^(a ln 2) + e^(b ln 2)) / ln 2. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logaddexp2", a, b)[0]


def logcumsumexp(x: Operand, /, *, axis: int = 0) -> Tensor:
    """The op logcumsumexp: running ln Σ eˣ along an axis. Inputs: x. Attributes: axis."""
    return apply_as(Tensor, "logcumsumexp", x, axis=axis)[0]


def logical_and(a: Operand, b: Operand, /) -> Tensor:
    """The op logical_and: a and b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logical_and", a, b)[0]


def logical_not(x: Operand, /) -> Tensor:
    """The op logical_not: not x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "logical_not", x)[0]


def logical_or(a: Operand, b: Operand, /) -> Tensor:
    """The op logical_or: a or b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logical_or", a, b)[0]


def logical_xor(a: Operand, b: Operand, /) -> Tensor:
    """The op logical_xor: a and not b or b and not a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "logical_xor", a, b)[0]


def logit(x: Operand, /, *, eps: float | None = None) -> Tensor:
    """The op logit: ln(x / (1 - x)) of x, or of x clipped to eps and 1 - eps. Inputs: x. Attributes: eps."""
    return apply_as(Tensor, "logit", x, eps=eps)[0]


def logsigmoid(x: Operand, /) -> Tensor:
    """The op logsigmoid: -ln(1 + e⁻ˣ). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "logsigmoid", x)[0]


def logsumexp(
    x: Operand, b: Operand | None = None, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """The op logsumexp: ln Σ eˣ, or ln Σ b eˣ, over axes. Inputs: x, b. Attributes: axis, keepdims."""
    return apply_as(Tensor, "logsumexp", x, *given(b), axis=axis, keepdims=keepdims)[0]


def margin_ranking_loss(
    x1: Operand, x2: Operand, target: Operand, /, *, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """The op margin_ranking_loss: max(0, margin - target (x1 - x2)).

    Inputs: x1, x2, target. Attributes: margin, reduction.
    """
    return apply_as(Tensor, "margin_ranking_loss", x1, x2, target, margin=margin, reduction=reduction)[0]


def masked_fill(x: Operand, mask: Operand, value: Operand, /) -> Tensor:
    """The op masked_fill: x with a number where the mask is true. Inputs: x, mask, value. Attributes: none."""
    return apply_as(Tensor, "masked_fill", x, mask, value)[0]


def masked_scatter(x: Operand, mask: Operand, source: Operand, /) -> Tensor:
    """The op masked_scatter: x with the elements of source, in their order, where the mask is true.

    Inputs: x, mask, source. Attributes: none.
    """
    return apply_as(Tensor, "masked_scatter", x, mask, source)[0]


def masked_select(x: Operand, mask: Operand, /, *, count: int) -> Tensor:
    """The op masked_select: the elements where the mask is true, count of them, as a vector.

    Inputs: x, mask. Attributes: count.
    """
    return apply_as(Tensor, "masked_select", x, mask, count=count)[0]


def matmul(a: Operand, b: Operand, /) -> Tensor:
    """The op matmul: matrix product. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "matmul", a, b)[0]


def matrix_norm(
    x: Operand, /, *, ord: float | str = "fro", axis: Sequence[int] = (-2, -1), keepdims: bool = False
) -> Tensor:
    """The op matrix_norm: the norm of matrices: Frobenius, the largest or smallest sum of a column (1, -1), of a row
    (inf, -inf).

    Inputs: x. Attributes: ord, axis, keepdims.
    """
    return apply_as(Tensor, "matrix_norm", x, ord=ord, axis=axis, keepdims=keepdims)[0]


def matrix_transpose(x: Operand, /) -> Tensor:
    """The op matrix_transpose: the last two axes swapped. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "matrix_transpose", x)[0]


def max(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op max: the largest over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "max", x, axis=axis, keepdims=keepdims)[0]


def maximum(a: Operand, b: Operand, /) -> Tensor:
    """The op maximum: b if a < b else a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "maximum", a, b)[0]


def mean(
    x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, dtype: DTypeLike | None = None
) -> Tensor:
    """The op mean: the mean over axes. Inputs: x. Attributes: axis, keepdims, dtype."""
    return apply_as(Tensor, "mean", x, axis=axis, keepdims=keepdims, dtype=dtype)[0]


def median(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op median: the middle element over axes, or the mean of two. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "median", x, axis=axis, keepdims=keepdims)[0]


def meshgrid(*arrays: Operand, indexing: str = "xy") -> tuple[Tensor, ...]:
    """The op meshgrid: the coordinates of a grid, from those along its axes. Inputs: arrays. Attributes: indexing."""
    return tuple(apply_as(Tensor, "meshgrid", *arrays, indexing=indexing))


def min(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op min: the smallest over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "min", x, axis=axis, keepdims=keepdims)[0]


def minimum(a: Operand, b: Operand, /) -> Tensor:
    """The op minimum: b if b < a else a. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "minimum", a, b)[0]


def mish(x: Operand, /) -> Tensor:
    """The op mish: x tanh(ln(1 + eˣ)). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "mish", x)[0]


def moveaxis(x: Operand, /, *, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The op moveaxis: axes moved to other positions; the others keep their order.

    Inputs: x. Attributes: source, destination.
    """
    return apply_as(Tensor, "moveaxis", x, source=source, destination=destination)[0]


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
    """The op multilabel_soft_margin_loss: the binary cross-entropy of logits, weighted, and its mean along the last
    axis.

    Inputs: x, target, weight. Attributes: reduction.
    """
    return apply_as(Tensor, "multilabel_soft_margin_loss", x, target, *given(weight), reduction=reduction)[0]


def multiply(a: Operand, b: Operand, /) -> Tensor:
    """The op multiply: a b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "multiply", a, b)[0]


def nan_to_num(x: Operand, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """The op nan_to_num: x; nan, and the infinities, by default the largest and the least float, where x is none.

    Inputs: x. Attributes: nan, posinf, neginf.
    """
    return apply_as(Tensor, "nan_to_num", x, nan=nan, posinf=posinf, neginf=neginf)[0]


def nanmax(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nanmax: the largest over axes that is not nan. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "nanmax", x, axis=axis, keepdims=keepdims)[0]


def nanmean(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nanmean: the mean of the elements over axes that are not nan. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "nanmean", x, axis=axis, keepdims=keepdims)[0]


def nanmedian(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nanmedian: the median of the elements that are not nan. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "nanmedian", x, axis=axis, keepdims=keepdims)[0]


def nanmin(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nanmin: the smallest over axes that is not nan. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "nanmin", x, axis=axis, keepdims=keepdims)[0]


def nanprod(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nanprod: the product of the elements over axes that are not nan.

    Inputs: x. Attributes: axis, keepdims.
    """
    return apply_as(Tensor, "nanprod", x, axis=axis, keepdims=keepdims)[0]


def nanquantile(
    x: Operand,
    /,
    *,
    q: float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    method: str = "linear",
) -> Tensor:
    """The op nanquantile: the quantile of the elements that are not nan, for a share q, or for several.

    Inputs: x. Attributes: q, axis, keepdims, method.
    """
    return apply_as(Tensor, "nanquantile", x, q=q, axis=axis, keepdims=keepdims, method=method)[0]


def nansum(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op nansum: the sum of the elements over axes that are not nan. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "nansum", x, axis=axis, keepdims=keepdims)[0]


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


def nextafter(a: Operand, b: Operand, /) -> Tensor:
    """The op nextafter: the float after a towards b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "nextafter", a, b)[0]


def nll_loss(
    x: Operand, target: Operand, weight: Operand | None = None, /, *, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The op nll_loss: -x at the class that is the target, weighted by class; the mean is over the sum of the weights.

    Inputs: x, target, weight. Attributes: ignore_index, reduction.
    """
    return apply_as(Tensor, "nll_loss", x, target, *given(weight), ignore_index=ignore_index, reduction=reduction)[0]


def nonzero(x: Operand, /, *, count: int) -> tuple[Tensor, ...]:
    """The op nonzero: the indices, along each axis, of the elements that are not 0, of which there are count.

    Inputs: x. Attributes: count.
    """
    return tuple(apply_as(Tensor, "nonzero", x, count=count))


def norm(
    x: Operand, /, *, ord: float | str | None = None, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """The op norm: a norm of vectors over an axis, or of matrices over two.

    Inputs: x. Attributes: ord, axis, keepdims.
    """
    return apply_as(Tensor, "norm", x, ord=ord, axis=axis, keepdims=keepdims)[0]


def normalize(x: Operand, /, *, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """The op normalize: x divided by its p-norm along an axis, or by eps where that is larger.

    Inputs: x. Attributes: p, axis, eps.
    """
    return apply_as(Tensor, "normalize", x, p=p, axis=axis, eps=eps)[0]


def not_equal(a: Operand, b: Operand, /) -> Tensor:
    """The op not_equal: a ≠ b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "not_equal", a, b)[0]


def number_true(mask: Operand, /) -> Tensor:
    """The op number_true: the numbers, in C order from 0, of the true elements; 0 for the others.

    Inputs: mask. Attributes: none.
    """
    return apply_as(Tensor, "number_true", mask)[0]


def one_hot(indices: Operand, /, *, num_classes: int) -> Tensor:
    """The op one_hot: 1 at the place of each class along a new last axis, and 0 elsewhere.

    Inputs: indices. Attributes: num_classes.
    """
    return apply_as(Tensor, "one_hot", indices, num_classes=num_classes)[0]


def ones_like(x: Operand, /, *, dtype: DTypeLike | None = None) -> Tensor:
    """The op ones_like: ones in the shape of x. Inputs: x. Attributes: dtype."""
    return apply_as(Tensor, "ones_like", x, dtype=dtype)[0]


def overlap_add(x: Operand, /, *, length: int, axis: int, step: int = 1) -> Tensor:
    """The op overlap_add: the sum of windows at their places along an axis.

    Inputs: x. Attributes: length, axis, step.
    """
    return apply_as(Tensor, "overlap_add", x, length=length, axis=axis, step=step)[0]


def p_norm(x: Operand, /, *, p: float, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op p_norm: (Σ xᵖ)^(1/p) over axes, for numbers that are not negative.

    Inputs: x. Attributes: p, axis, keepdims.
    """
    return apply_as(Tensor, "p_norm", x, p=p, axis=axis, keepdims=keepdims)[0]


def pad(x: Operand, /, *, widths: Sequence[Sequence[int]], mode: str = "constant", value: float = 0) -> Tensor:
    """The op pad: x, and around it a number, or its own elements once more.

    Inputs: x. Attributes: widths, mode, value.
    """
    return apply_as(Tensor, "pad", x, widths=widths, mode=mode, value=value)[0]


def pairwise_distance(x1: Operand, x2: Operand, /, *, p: float = 2.0, eps: float = 1e-06, keepdims: bool = False) -> Tensor:
    """The op pairwise_distance: the p-norm of x1 - x2 + eps along the last axis.

    Inputs: x1, x2. Attributes: p, eps, keepdims.
    """
    return apply_as(Tensor, "pairwise_distance", x1, x2, p=p, eps=eps, keepdims=keepdims)[0]


def permute_dims(x: Operand, /, *, axes: Sequence[int] | None) -> Tensor:
    """The op permute_dims: axes permuted. Inputs: x. Attributes: axes."""
    return apply_as(Tensor, "permute_dims", x, axes=axes)[0]


def pixel_shuffle(x: Operand, /, *, upscale_factor: int) -> Tensor:
    """The op pixel_shuffle: (..., c r², h, w) as (..., c, h r, w r). Inputs: x. Attributes: upscale_factor."""
    return apply_as(Tensor, "pixel_shuffle", x, upscale_factor=upscale_factor)[0]


def pixel_unshuffle(x: Operand, /, *, downscale_factor: int) -> Tensor:
    """The op pixel_unshuffle: (..., c, h r, w r) as (..., c r², h, w). Inputs: x. Attributes: downscale_factor."""
    return apply_as(Tensor, "pixel_unshuffle", x, downscale_factor=downscale_factor)[0]


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


def polar(modulus: Operand, angle: Operand, /) -> Tensor:
    """The op polar: modulus (cos angle + i sin angle). Inputs: modulus, angle. Attributes: none."""
    return apply_as(Tensor, "polar", modulus, angle)[0]


def polygamma(x: Operand, /, *, n: int = 0) -> Tensor:
    """The op polygamma: the derivative of order n of digamma. Inputs: x. Attributes: n."""
    return apply_as(Tensor, "polygamma", x, n=n)[0]


def polygamma_rise(x: Operand, h: Operand, /, *, n: int = 0) -> Tensor:
    """The op polygamma_rise: ψ⁽ⁿ⁾(x + h) - ψ⁽ⁿ⁾(x), also where the two are close. Inputs: x, h. Attributes: n."""
    return apply_as(Tensor, "polygamma_rise", x, h, n=n)[0]


def positive(x: Operand, /) -> Tensor:
    """The op positive: x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "positive", x)[0]


def pow(x: Operand, exponent: Operand, /) -> Tensor:
    """The op pow: x^exponent. Inputs: x, exponent. Attributes: none."""
    return apply_as(Tensor, "pow", x, exponent)[0]


def prelu(x: Operand, weight: Operand, /) -> Tensor:
    """The op prelu: x where x > 0, else the weight times x; a weight, or one for each channel (axis 1).

    Inputs: x, weight. Attributes: none.
    """
    return apply_as(Tensor, "prelu", x, weight)[0]


def prod(
    x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, dtype: DTypeLike | None = None
) -> Tensor:
    """The op prod: the product over axes. Inputs: x. Attributes: axis, keepdims, dtype."""
    return apply_as(Tensor, "prod", x, axis=axis, keepdims=keepdims, dtype=dtype)[0]


def ptp(x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """The op ptp: the largest less the smallest over axes. Inputs: x. Attributes: axis, keepdims."""
    return apply_as(Tensor, "ptp", x, axis=axis, keepdims=keepdims)[0]


def put(x: Operand, indices: Operand, values: Operand, /, *, accumulate: bool = False) -> Tensor:
    """The op put: x with values in place of its elements, or added to them, at places in C order.

    Inputs: x, indices, values. Attributes: accumulate.
    """
    return apply_as(Tensor, "put", x, indices, values, accumulate=accumulate)[0]


def put_along_axis(x: Operand, indices: Operand, updates: Operand, /, *, axis: int = -1) -> Tensor:
    """The op put_along_axis: x with updates in place of elements at indices along an axis, on each line its own, of
    several the last one.

    Inputs: x, indices, updates. Attributes: axis.
    """
    return apply_as(Tensor, "put_along_axis", x, indices, updates, axis=axis)[0]


def quantile(
    x: Operand,
    /,
    *,
    q: float | Sequence[float],
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    method: str = "linear",
) -> Tensor:
    """The op quantile: the quantile for a share q, or for several.

    Inputs: x. Attributes: q, axis, keepdims, method.
    """
    return apply_as(Tensor, "quantile", x, q=q, axis=axis, keepdims=keepdims, method=method)[0]


def rad2deg(x: Operand, /) -> Tensor:
    """The op rad2deg: 180 x / π. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "rad2deg", x)[0]


def ratio(a: Operand, b: Operand, c: Operand, d: Operand, /) -> Tensor:
    """The op ratio: a b / (c d). Inputs: a, b, c, d. Attributes: none."""
    return apply_as(Tensor, "ratio", a, b, c, d)[0]


def ravel(x: Operand, /) -> Tensor:
    """The op ravel: the elements in C order, as a vector. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "ravel", x)[0]


def ravel_multi_index(*indices: Operand, shape: Sequence[int]) -> Tensor:
    """The op ravel_multi_index: the places, in C order, of elements at indices along each axis.

    Inputs: indices. Attributes: shape.
    """
    return apply_as(Tensor, "ravel_multi_index", *indices, shape=shape)[0]


def real(x: Operand, /) -> Tensor:
    """The op real: Re x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "real", x)[0]


def reciprocal(x: Operand, /) -> Tensor:
    """The op reciprocal: 1 / x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "reciprocal", x)[0]


def recurrence(a: Operand, x: Operand, /, *, axis: int = 0) -> Tensor:
    """The op recurrence: yₖ = aₖ yₖ₋₁ + xₖ along an axis, with y₀ = x₀. Inputs: a, x. Attributes: axis."""
    return apply_as(Tensor, "recurrence", a, x, axis=axis)[0]


def relu(x: Operand, /) -> Tensor:
    """The op relu: x where x > 0, else 0. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "relu", x)[0]


def relu6(x: Operand, /) -> Tensor:
    """The op relu6: x limited to [0, 6]. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "relu6", x)[0]


def remainder(a: Operand, b: Operand, /) -> Tensor:
    """The op remainder: (a + b) nan if isinf(a) else a - b ⌊a / b⌋. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "remainder", a, b)[0]


def repeat(x: Operand, /, *, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """The op repeat: each element along an axis repeated. Inputs: x. Attributes: repeats, axis."""
    return apply_as(Tensor, "repeat", x, repeats=repeats, axis=axis)[0]


def reshape(x: Operand, /, *, shape: Sequence[int]) -> Tensor:
    """The op reshape: the same elements in C order, in another shape. Inputs: x. Attributes: shape."""
    return apply_as(Tensor, "reshape", x, shape=shape)[0]


def roll(x: Operand, /, *, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Tensor:
    """The op roll: elements moved along axes, those beyond the end to the front.

    Inputs: x. Attributes: shift, axis.
    """
    return apply_as(Tensor, "roll", x, shift=shift, axis=axis)[0]


def rot90(x: Operand, /, *, k: int = 1, axes: Sequence[int] | None = (0, 1)) -> Tensor:
    """The op rot90: turned by k right angles, from the first of axes to the second. Inputs: x. Attributes: k, axes."""
    return apply_as(Tensor, "rot90", x, k=k, axes=axes)[0]


def round(x: Operand, /, *, decimals: int = 0) -> Tensor:
    """The op round: the nearest multiple of 10^-decimals, an integer by default; of two, the even multiple.

    Inputs: x. Attributes: decimals.
    """
    return apply_as(Tensor, "round", x, decimals=decimals)[0]


def rrelu(x: Operand, /, *, lower: float = 0.125, upper: float = 0.3333333333333333) -> Tensor:
    """The op rrelu: leaky_relu with the mean of lower and upper, as of randomised ReLU in evaluation.

    Inputs: x. Attributes: lower, upper.
    """
    return apply_as(Tensor, "rrelu", x, lower=lower, upper=upper)[0]


def rsqrt(x: Operand, /) -> Tensor:
    """The op rsqrt: 1 / √x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "rsqrt", x)[0]


def scatter(x: Operand, indices: Operand, values: Operand, /, *, axis: int) -> Tensor:
    """The op scatter: x with values in place of its elements at indices along an axis, on each line its own.

    Inputs: x, indices, values. Attributes: axis.
    """
    return apply_as(Tensor, "scatter", x, indices, values, axis=axis)[0]


def scatter_add(x: Operand, indices: Operand, values: Operand, /, *, axis: int) -> Tensor:
    """The op scatter_add: x with values added at indices along an axis, on each line its own.

    Inputs: x, indices, values. Attributes: axis.
    """
    return apply_as(Tensor, "scatter_add", x, indices, values, axis=axis)[0]


def searchsorted(line: Operand, values: Operand, /, *, right: bool = False) -> Tensor:
    """The op searchsorted: the places among sorted elements where values keep the order, left or right of the same.

    Inputs: line, values. Attributes: right.
    """
    return apply_as(Tensor, "searchsorted", line, values, right=right)[0]


def sections(x: Operand, /, *, sizes: Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The op sections: cut into 2 to 16 sections of given sizes. Inputs: x. Attributes: sizes, axis."""
    return tuple(apply_as(Tensor, "sections", x, sizes=sizes, axis=axis))


def select(x: Operand, /, *, axis: int, index: int) -> Tensor:
    """The op select: the part at a place of an axis, without that axis. Inputs: x. Attributes: axis, index."""
    return apply_as(Tensor, "select", x, axis=axis, index=index)[0]


def select_scatter(x: Operand, values: Operand, /, *, axis: int, index: int) -> Tensor:
    """The op select_scatter: x with values in place of its part at a place of an axis.

    Inputs: x, values. Attributes: axis, index.
    """
    return apply_as(Tensor, "select_scatter", x, values, axis=axis, index=index)[0]


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


def signbit(x: Operand, /) -> Tensor:
    """The op signbit: whether x is negative, -0 included. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "signbit", x)[0]


def silu(x: Operand, /) -> Tensor:
    """The op silu: x / (1 + e⁻ˣ). Inputs: x. Attributes: none."""
    return apply_as(Tensor, "silu", x)[0]


def sin(x: Operand, /) -> Tensor:
    """The op sin: sin x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sin", x)[0]


def sinc(x: Operand, /, *, order: int = 0) -> Tensor:
    """The op sinc: sin(πx) / (πx), 1 at 0; or its derivative of the order. Inputs: x. Attributes: order."""
    return apply_as(Tensor, "sinc", x, order=order)[0]


def sinh(x: Operand, /) -> Tensor:
    """The op sinh: sinh x. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "sinh", x)[0]


def slice(x: Operand, /, *, start: Sequence[int], stop: Sequence[int | None], step: Sequence[int] | None = None) -> Tensor:
    """The op slice: x[start:stop:step] on each axis. Inputs: x. Attributes: start, stop, step."""
    return apply_as(Tensor, "slice", x, start=start, stop=stop, step=step)[0]


def slice_scatter(
    x: Operand, values: Operand, /, *, start: Sequence[int], stop: Sequence[int | None], step: Sequence[int] | None = None
) -> Tensor:
    """The op slice_scatter: x with values in place of a slice. Inputs: x, values. Attributes: start, stop, step."""
    return apply_as(Tensor, "slice_scatter", x, values, start=start, stop=stop, step=step)[0]


def sliding_window_view(
    x: Operand, /, *, window_shape: int | Sequence[int], axis: int | Sequence[int] | None = None
) -> Tensor:
    """The op sliding_window_view: windows along several axes, with their elements along new last axes.

    Inputs: x. Attributes: window_shape, axis.
    """
    return apply_as(Tensor, "sliding_window_view", x, window_shape=window_shape, axis=axis)[0]


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


def sort(x: Operand, /, *, axis: int = -1, descending: bool = False) -> Tensor:
    """The op sort: the elements of each line in order. Inputs: x. Attributes: axis, descending."""
    return apply_as(Tensor, "sort", x, axis=axis, descending=descending)[0]


def split(x: Operand, /, *, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The op split: cut into sections along an axis. Inputs: x. Attributes: sections, axis."""
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


def std(x: Operand, /, *, axis: int | Sequence[int] | None = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The op std: the standard deviation over axes, the root of the variance.

    Inputs: x. Attributes: axis, correction, keepdims.
    """
    return apply_as(Tensor, "std", x, axis=axis, correction=correction, keepdims=keepdims)[0]


def stop_gradient(x: Operand, /) -> Tensor:
    """The op stop_gradient: x, held constant: no gradient flows back through it. Inputs: x. Attributes: none."""
    return apply_as(Tensor, "stop_gradient", x)[0]


def subtract(a: Operand, b: Operand, /) -> Tensor:
    """The op subtract: a - b. Inputs: a, b. Attributes: none."""
    return apply_as(Tensor, "subtract", a, b)[0]


def sum(
    x: Operand, /, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, dtype: DTypeLike | None = None
) -> Tensor:
    """The op sum: the sum over axes. Inputs: x. Attributes: axis, keepdims, dtype."""
    return apply_as(Tensor, "sum", x, axis=axis, keepdims=keepdims, dtype=dtype)[0]


def swapaxes(x: Operand, /, *, axis1: int, axis2: int) -> Tensor:
    """The op swapaxes: two axes exchanged. Inputs: x. Attributes: axis1, axis2."""
    return apply_as(Tensor, "swapaxes", x, axis1=axis1, axis2=axis2)[0]


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


def tile(x: Operand, /, *, repetitions: int | Sequence[int]) -> Tensor:
    """The op tile: x repeated as a whole, along each axis. Inputs: x. Attributes: repetitions."""
    return apply_as(Tensor, "tile", x, repetitions=repetitions)[0]


def topk(x: Operand, /, *, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, ...]:
    """The op topk: the k largest or smallest elements of each line in order, and their places.

    Inputs: x. Attributes: k, axis, largest.
    """
    return tuple(apply_as(Tensor, "topk", x, k=k, axis=axis, largest=largest))


def trace(x: Operand, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1, dtype: DTypeLike | None = None) -> Tensor:
    """The op trace: the sum of a diagonal of two axes. Inputs: x. Attributes: offset, axis1, axis2, dtype."""
    return apply_as(Tensor, "trace", x, offset=offset, axis1=axis1, axis2=axis2, dtype=dtype)[0]


def transpose(x: Operand, /, *, axes: Sequence[int] | None = None) -> Tensor:
    """The op transpose: axes permuted. Inputs: x. Attributes: axes."""
    return apply_as(Tensor, "transpose", x, axes=axes)[0]


def trapezoid(y: Operand, x: Operand | None = None, /, *, dx: float = 1.0, axis: int = -1) -> Tensor:
    """The op trapezoid: the integral of y along an axis by the trapezoidal rule, at places x or at a distance dx.

    Inputs: y, x. Attributes: dx, axis.
    """
    return apply_as(Tensor, "trapezoid", y, *given(x), dx=dx, axis=axis)[0]


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


def unflatten(x: Operand, /, *, axis: int, shape: Sequence[int]) -> Tensor:
    """The op unflatten: an axis taken apart into several. Inputs: x. Attributes: axis, shape."""
    return apply_as(Tensor, "unflatten", x, axis=axis, shape=shape)[0]


def unfold(x: Operand, /, *, axis: int, size: int, step: int = 1) -> Tensor:
    """The op unfold: windows along an axis, with their elements along a new last axis.

    Inputs: x. Attributes: axis, size, step.
    """
    return apply_as(Tensor, "unfold", x, axis=axis, size=size, step=step)[0]


def unslice(x: Operand, /, *, shape: Sequence[int], start: Sequence[int], step: Sequence[int]) -> Tensor:
    """The op unslice: zeros, with x at a slice: what slice is undone by. Inputs: x. Attributes: shape, start, step."""
    return apply_as(Tensor, "unslice", x, shape=shape, start=start, step=step)[0]


def unstack(x: Operand, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The op unstack: the parts along an axis, without that axis. Inputs: x. Attributes: axis."""
    return tuple(apply_as(Tensor, "unstack", x, axis=axis))


def var(x: Operand, /, *, axis: int | Sequence[int] | None = None, correction: float = 0, keepdims: bool = False) -> Tensor:
    """The op var: the variance over axes, divided by n - correction.

    Inputs: x. Attributes: axis, correction, keepdims.
    """
    return apply_as(Tensor, "var", x, axis=axis, correction=correction, keepdims=keepdims)[0]


def vector_norm(
    x: Operand,
    /,
    *,
    ord: float = 2,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The op vector_norm: the norm of vectors over axes, of any order.

    Inputs: x. Attributes: ord, axis, keepdims, dtype.
    """
    return apply_as(Tensor, "vector_norm", x, ord=ord, axis=axis, keepdims=keepdims, dtype=dtype)[0]


def vsplit(x: Operand, /, *, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """The op vsplit: cut into sections along the first axis. Inputs: x. Attributes: indices_or_sections."""
    return tuple(apply_as(Tensor, "vsplit", x, indices_or_sections=indices_or_sections))


def vstack(*arrays: Operand) -> Tensor:
    """The op vstack: arrays joined along the first axis, vectors as rows. Inputs: arrays. Attributes: none."""
    return apply_as(Tensor, "vstack", *arrays)[0]


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


def zeros_like(x: Operand, /, *, dtype: DTypeLike | None = None) -> Tensor:
    """The op zeros_like: zeros in the shape of x. Inputs: x. Attributes: dtype."""
    return apply_as(Tensor, "zeros_like", x, dtype=dtype)[0]


def zeta(s: Operand, q: Operand, /) -> Tensor:
    """The op zeta: the zeta function of Hurwitz, Σ (q + k)⁻ˢ over k from 0 on, without a derivative along s.

    Inputs: s, q. Attributes: none.
    """
    return apply_as(Tensor, "zeta", s, q)[0]
