"""Functions that call the method of the same name, or record an op: ``exp(x)`` is ``x.exp()``.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - functions and their arguments are those of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar, overload

from gradproof.client.recording.apply import apply, apply_as
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import axes_of, axis_of, first
from gradproof.client.tensors.functions import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    block_diag,
    broadcast_tensors,
    cartesian_prod,
    cat,
    column_stack,
    concat,
    concatenate,
    dstack,
    hstack,
    meshgrid,
    polygamma,
    row_stack,
    stack,
    vstack,
    where,
)
from gradproof.client.tensors.linear_algebra import einsum, tensordot
from gradproof.client.tensors.lines import (
    bucketize,
    cumulative_trapezoid,
    searchsorted,
    std_mean,
    trapezoid,
    trapz,
    var_mean,
)
from gradproof.client.tensors.ordering import MinAndMax, ValuesAndIndices
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, Places, Scalar, given
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addbmm",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "addr",
    "adjoint",
    "all",
    "allclose",
    "amax",
    "amin",
    "aminmax",
    "angle",
    "any",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "average",
    "baddbmm",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "block_diag",
    "bmm",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "cartesian_prod",
    "cat",
    "cbrt",
    "cdist",
    "ceil",
    "celu",
    "channel_shuffle",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "column_stack",
    "complex",
    "concat",
    "concatenate",
    "conj",
    "copysign",
    "cos",
    "cosh",
    "cosine_similarity",
    "count_nonzero",
    "cross",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
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
    "dist",
    "div",
    "divide",
    "dot",
    "dsplit",
    "dstack",
    "einsum",
    "eq",
    "equal",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "fix",
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
    "gather",
    "ge",
    "gelu",
    "ger",
    "greater",
    "greater_equal",
    "gt",
    "hardshrink",
    "heaviside",
    "hsplit",
    "hstack",
    "hypot",
    "i0",
    "igamma",
    "igammac",
    "imag",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_select",
    "inner",
    "inverse",
    "is_complex",
    "is_floating_point",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isneginf",
    "isposinf",
    "isreal",
    "kron",
    "kthvalue",
    "ldexp",
    "le",
    "lerp",
    "less",
    "less_equal",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logaddexp2",
    "logcumsumexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logit",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "matrix_power",
    "max",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mm",
    "moveaxis",
    "movedim",
    "msort",
    "mul",
    "multiply",
    "mv",
    "mvlgamma",
    "nan_to_num",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanquantile",
    "nansum",
    "narrow",
    "ne",
    "neg",
    "negative",
    "nextafter",
    "nonzero",
    "norm",
    "not_equal",
    "numel",
    "outer",
    "pairwise_distance",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "polar",
    "polygamma",
    "positive",
    "pow",
    "prelu",
    "prod",
    "ptp",
    "put",
    "quantile",
    "rad2deg",
    "ravel",
    "real",
    "reciprocal",
    "relu",
    "remainder",
    "repeat_interleave",
    "reshape",
    "roll",
    "rot90",
    "round",
    "row_stack",
    "rrelu",
    "rsqrt",
    "scatter",
    "scatter_add",
    "searchsorted",
    "select",
    "select_scatter",
    "selu",
    "sgn",
    "sigmoid",
    "sign",
    "signbit",
    "silu",
    "sin",
    "sinc",
    "sinh",
    "slice_scatter",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "std_mean",
    "sub",
    "subtract",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tensor_split",
    "tensordot",
    "threshold",
    "tile",
    "topk",
    "trace",
    "transpose",
    "trapezoid",
    "trapz",
    "tril",
    "triu",
    "true_divide",
    "trunc",
    "unbind",
    "unflatten",
    "unsqueeze",
    "var",
    "var_mean",
    "vdot",
    "vsplit",
    "vstack",
    "where",
    "xlogy",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def abs(input: TensorT) -> TensorT:
    """The absolute value |x| of each element; of complex elements the modulus, of real dtype.

    The shape stays. Follows torch.abs and Array API abs.
    """
    return first(input, "abs").abs()


def absolute(input: TensorT) -> TensorT:
    """The absolute value |x| of each element; of complex elements the modulus, of real dtype.

    The shape stays. Follows torch.absolute and Array API abs.
    """
    return first(input, "absolute").absolute()


def acos(input: TensorT) -> TensorT:
    """The inverse cosine of each element, in radians. The shape stays. Follows torch.acos and Array API acos."""
    return first(input, "acos").acos()


def acosh(input: TensorT) -> TensorT:
    """The inverse hyperbolic cosine of each element. The shape stays. Follows torch.acosh and Array API acosh."""
    return first(input, "acosh").acosh()


def add(input: TensorT, other: Operand, *, alpha: Scalar = 1) -> TensorT:
    """``input + alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.add."""
    return first(input, "add").add(other, alpha=alpha)


def addbmm(input: TensorT, batch1: Operand, batch2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> TensorT:
    """``beta * input + alpha * sum(batch1 @ batch2)`` over stacks (b, n, k) and (b, k, m); ``input`` is left out if
    ``beta`` is 0.

    Follows torch.addbmm.
    """
    return first(input, "addbmm").addbmm(batch1, batch2, beta=beta, alpha=alpha)


def addcdiv(input: TensorT, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> TensorT:
    """``input + value * tensor1 / tensor2``. Shapes broadcast; RuntimeError if they do not. Follows torch.addcdiv."""
    return first(input, "addcdiv").addcdiv(tensor1, tensor2, value=value)


def addcmul(input: TensorT, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> TensorT:
    """``input + value * tensor1 * tensor2``. Shapes broadcast; RuntimeError if they do not. Follows torch.addcmul."""
    return first(input, "addcmul").addcmul(tensor1, tensor2, value=value)


def addmm(input: TensorT, mat1: Operand, mat2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> TensorT:
    """``beta * input + alpha * (mat1 @ mat2)``; ``input`` is left out if ``beta`` is 0. Follows torch.addmm."""
    return first(input, "addmm").addmm(mat1, mat2, beta=beta, alpha=alpha)


def addmv(input: TensorT, mat: Operand, vec: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> TensorT:
    """``beta * input + alpha * (mat @ vec)``; ``input`` is left out if ``beta`` is 0. Follows torch.addmv."""
    return first(input, "addmv").addmv(mat, vec, beta=beta, alpha=alpha)


def addr(input: TensorT, vec1: TensorT, vec2: TensorT, *, beta: Scalar = 1, alpha: Scalar = 1) -> TensorT:
    """``beta * input + alpha * outer(vec1, vec2)``; ``input`` is left out if ``beta`` is 0. Follows torch.addr."""
    return first(input, "addr").addr(vec1, vec2, beta=beta, alpha=alpha)


def adjoint(input: TensorT) -> TensorT:
    """The last two axes exchanged, and the elements conjugated.

    Raises IndexError for an axis out of range. Follows torch.adjoint.
    """
    return first(input, "adjoint").adjoint()


def all(input: TensorT, dim: Axes = None, keepdim: bool = False) -> TensorT:
    """True if all elements, over all axes or ``dim``, are not 0; bool.

    The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows torch.all and
    Array API all.
    """
    return first(input, "all").all(dim, keepdim)


def allclose(input: TensorT, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """True if all elements are close to those of ``other``, see `isclose`.

    Shapes broadcast. Follows torch.allclose.
    """
    return first(input, "allclose").allclose(other, rtol, atol, equal_nan)


def amax(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The largest element over all axes, or over ``dim``; ties share the gradient evenly.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.amax and Array API max.
    """
    return first(input, "amax").amax(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def amin(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The smallest element over all axes, or over ``dim``; ties share the gradient evenly.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.amin and Array API min.
    """
    return first(input, "amin").amin(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def aminmax(input: TensorT, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax[TensorT]:
    """The smallest and the largest element over all axes, or along ``dim``. Follows torch.aminmax."""
    return first(input, "aminmax").aminmax(dim=dim, keepdim=keepdim)


def angle(input: TensorT) -> TensorT:
    """The argument of each complex element, in radians; 0 or π for a real one.

    The shape stays. Follows torch.angle.
    """
    return first(input, "angle").angle()


def any(input: TensorT, dim: Axes = None, keepdim: bool = False) -> TensorT:
    """True if an element, over all axes or ``dim``, is not 0; bool.

    The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows torch.any and
    Array API any.
    """
    return first(input, "any").any(dim, keepdim)


def arccos(input: TensorT) -> TensorT:
    """The inverse cosine of each element, in radians. The shape stays. Follows torch.arccos and Array API acos."""
    return first(input, "arccos").arccos()


def arccosh(input: TensorT) -> TensorT:
    """The inverse hyperbolic cosine of each element. The shape stays. Follows torch.arccosh and Array API acosh."""
    return first(input, "arccosh").arccosh()


def arcsin(input: TensorT) -> TensorT:
    """The inverse sine of each element, in radians. The shape stays. Follows torch.arcsin and Array API asin."""
    return first(input, "arcsin").arcsin()


def arcsinh(input: TensorT) -> TensorT:
    """The inverse hyperbolic sine of each element. The shape stays. Follows torch.arcsinh and Array API asinh."""
    return first(input, "arcsinh").arcsinh()


def arctan(input: TensorT) -> TensorT:
    """The inverse tangent of each element, in radians. The shape stays. Follows torch.arctan and Array API atan."""
    return first(input, "arctan").arctan()


@overload
def arctan2(input: TensorT, other: Operand) -> TensorT: ...
@overload
def arctan2(input: Operand, other: Operand) -> Tensor: ...
def arctan2(input: Operand, other: Operand) -> Tensor:
    """The angle of the point (other, input), in radians.

    Shapes broadcast; RuntimeError if they do not. Follows torch.arctan2 and Array API atan2. Raises InvalidRequest for
    complex elements.
    """
    return apply_as(Tensor, "atan2", input, other)[0]


def arctanh(input: TensorT) -> TensorT:
    """The inverse hyperbolic tangent of each element. The shape stays. Follows torch.arctanh and Array API atanh."""
    return first(input, "arctanh").arctanh()


def argmax(input: TensorT, dim: int | None = None, keepdim: bool = False) -> TensorT:
    """The position of the largest element (of several the first), counted through the whole tensor or along ``dim``;
    int64.

    Follows torch.argmax and Array API argmax.
    """
    return first(input, "argmax").argmax(dim, keepdim)


def argmin(input: TensorT, dim: int | None = None, keepdim: bool = False) -> TensorT:
    """The position of the smallest element (of several the first), counted through the whole tensor or along ``dim``;
    int64.

    Follows torch.argmin and Array API argmin.
    """
    return first(input, "argmin").argmin(dim, keepdim)


def argsort(input: TensorT, dim: int = -1, descending: bool = False, stable: bool = True) -> TensorT:
    """The positions along ``dim`` that sort each line; int64. The sort is stable even if ``stable`` is False.

    Follows torch.argsort and Array API argsort.
    """
    return first(input, "argsort").argsort(dim, descending, stable)


def argwhere(input: TensorT) -> TensorT:
    """The indices of the elements that are not 0, a row (ndim,) for each; int64. Follows torch.argwhere."""
    return first(input, "argwhere").argwhere()


def asin(input: TensorT) -> TensorT:
    """The inverse sine of each element, in radians. The shape stays. Follows torch.asin and Array API asin."""
    return first(input, "asin").asin()


def asinh(input: TensorT) -> TensorT:
    """The inverse hyperbolic sine of each element. The shape stays. Follows torch.asinh and Array API asinh."""
    return first(input, "asinh").asinh()


def atan(input: TensorT) -> TensorT:
    """The inverse tangent of each element, in radians. The shape stays. Follows torch.atan and Array API atan."""
    return first(input, "atan").atan()


@overload
def atan2(input: TensorT, other: Operand) -> TensorT: ...
@overload
def atan2(input: Operand, other: Operand) -> Tensor: ...
def atan2(input: Operand, other: Operand) -> Tensor:
    """The angle of the point (other, input), in radians.

    Shapes broadcast; RuntimeError if they do not. Follows torch.atan2 and Array API atan2. Raises InvalidRequest for
    complex elements.
    """
    return apply_as(Tensor, "atan2", input, other)[0]


def atanh(input: TensorT) -> TensorT:
    """The inverse hyperbolic tangent of each element. The shape stays. Follows torch.atanh and Array API atanh."""
    return first(input, "atanh").atanh()


def average(input: TensorT, dim: Axes = None, *, weights: Operand | None = None, keepdim: bool = False) -> TensorT:
    """The mean over all axes, or over ``dim``, with ``weights`` of their shape.

    The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows numpy.average.
    """
    return apply("average", first(input, "average"), *given(weights), axis=axes_of(input, dim), keepdims=keepdim)


def baddbmm(input: TensorT, batch1: Operand, batch2: Operand, *, beta: Scalar = 1, alpha: Scalar = 1) -> TensorT:
    """``beta * input + alpha * (batch1 @ batch2)`` of stacks (b, n, k) and (b, k, m); ``input`` is left out if
    ``beta`` is 0.

    Follows torch.baddbmm.
    """
    return first(input, "baddbmm").baddbmm(batch1, batch2, beta=beta, alpha=alpha)


@overload
def bitwise_and(input: TensorT, other: Operand) -> TensorT: ...
@overload
def bitwise_and(input: Operand, other: Operand) -> Tensor: ...
def bitwise_and(input: Operand, other: Operand) -> Tensor:
    """The bits that both have.

    Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_and and Array API bitwise_and.
    """
    return apply_as(Tensor, "bitwise_and", input, other)[0]


@overload
def bitwise_left_shift(input: TensorT, other: Operand) -> TensorT: ...
@overload
def bitwise_left_shift(input: Operand, other: Operand) -> Tensor: ...
def bitwise_left_shift(input: Operand, other: Operand) -> Tensor:
    """``input * 2**other`` of integers, without the bits beyond those of the dtype.

    Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_left_shift and Array API bitwise_left_shift.
    """
    return apply_as(Tensor, "bitwise_left_shift", input, other)[0]


def bitwise_not(input: TensorT) -> TensorT:
    """The complement of the bits of each integer; of a bool the other one.

    The shape stays. Follows torch.bitwise_not and Array API bitwise_invert.
    """
    return first(input, "bitwise_not").bitwise_not()


@overload
def bitwise_or(input: TensorT, other: Operand) -> TensorT: ...
@overload
def bitwise_or(input: Operand, other: Operand) -> Tensor: ...
def bitwise_or(input: Operand, other: Operand) -> Tensor:
    """The bits that either has.

    Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_or and Array API bitwise_or.
    """
    return apply_as(Tensor, "bitwise_or", input, other)[0]


@overload
def bitwise_right_shift(input: TensorT, other: Operand) -> TensorT: ...
@overload
def bitwise_right_shift(input: Operand, other: Operand) -> Tensor: ...
def bitwise_right_shift(input: Operand, other: Operand) -> Tensor:
    """``floor(input / 2**other)`` of integers.

    Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_right_shift and Array API bitwise_right_shift.
    """
    return apply_as(Tensor, "bitwise_right_shift", input, other)[0]


@overload
def bitwise_xor(input: TensorT, other: Operand) -> TensorT: ...
@overload
def bitwise_xor(input: Operand, other: Operand) -> Tensor: ...
def bitwise_xor(input: Operand, other: Operand) -> Tensor:
    """The bits that either, but not both, has.

    Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_xor and Array API bitwise_xor.
    """
    return apply_as(Tensor, "bitwise_xor", input, other)[0]


def bmm(input: TensorT, mat2: Operand) -> TensorT:
    """The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.bmm.
    """
    return first(input, "bmm").bmm(mat2)


def broadcast_to(input: TensorT, shape: int | Sequence[int], *rest: int) -> TensorT:
    """The tensor broadcast to ``shape``; -1 keeps a size.

    Follows torch.Tensor.expand and Array API broadcast_to. Raises RuntimeError for too few sizes, InvalidRequest if
    they do not fit.
    """
    return first(input, "broadcast_to").broadcast_to(shape, *rest)


def cbrt(input: TensorT) -> TensorT:
    """∛x of each element. The shape stays. Follows numpy.cbrt. Raises InvalidRequest for complex elements."""
    return first(input, "cbrt").cbrt()


def cdist(x1: TensorT, x2: Operand, p: float = 2.0) -> TensorT:
    """The ``p``-norms of the differences of all rows of (..., n, k) and (..., m, k); (..., n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.cdist.
    """
    return apply("cdist", first(x1, "cdist"), x2, p=p)


def ceil(input: TensorT) -> TensorT:
    """The smallest integer from each element on.

    The shape stays. Follows torch.ceil and Array API ceil. Raises InvalidRequest for complex elements.
    """
    return first(input, "ceil").ceil()


def celu(input: TensorT, alpha: float = 1.0) -> TensorT:
    """x where x > 0, elsewhere alpha (e^(x / alpha) - 1).

    Raises InvalidRequest if parameters are out of range. Follows torch.celu. Raises InvalidRequest for complex
    elements.
    """
    return apply("celu", first(input, "celu"), alpha=alpha)


def channel_shuffle(input: TensorT, groups: int) -> TensorT:
    """The channels of (n, groups · c, ...) with the groups interleaved.

    Raises IndexError for an axis out of range. Follows torch.channel_shuffle.
    """
    return apply("channel_shuffle", first(input, "channel_shuffle"), groups=groups)


def chunk(input: TensorT, chunks: int, dim: int = 0) -> tuple[TensorT, ...]:
    """At most ``chunks`` parts along an axis, of a common size (the last may be smaller). Follows torch.chunk.

    Raises IndexError for an axis out of range, RuntimeError for a number below 1 and for a 0-d tensor.
    """
    return first(input, "chunk").chunk(chunks, dim)


def clamp(input: TensorT, min: Operand | None = None, max: Operand | None = None) -> TensorT:
    """The elements limited to [``min``, ``max``]; None is no limit. At a limit the gradient is 1.

    Follows torch.clamp and Array API clip. Raises RuntimeError if both limits are None.
    """
    return first(input, "clamp").clamp(min, max)


def clamp_max(input: TensorT, max: Operand) -> TensorT:
    """The elements, but ``max`` where they are larger. Follows torch.clamp_max."""
    return first(input, "clamp_max").clamp_max(max)


def clamp_min(input: TensorT, min: Operand) -> TensorT:
    """The elements, but ``min`` where they are smaller. Follows torch.clamp_min."""
    return first(input, "clamp_min").clamp_min(min)


def clip(input: TensorT, min: Operand | None = None, max: Operand | None = None) -> TensorT:
    """The elements limited to [``min``, ``max``]; None is no limit. At a limit the gradient is 1.

    Follows torch.clamp and Array API clip. Raises RuntimeError if both limits are None.
    """
    return first(input, "clip").clip(min, max)


def clone(input: TensorT) -> TensorT:
    """A copy through which gradients flow. Follows torch.clone."""
    return first(input, "clone").clone()


def complex(real: TensorT, imag: Operand) -> TensorT:
    """The complex numbers with these real and imaginary parts.

    Shapes broadcast; RuntimeError if they do not. Follows torch.complex. Raises InvalidRequest for bool and integer
    and complex elements.
    """
    return apply("complex", first(real, "complex"), imag)


def conj(input: TensorT) -> TensorT:
    """The complex conjugate; the tensor itself if it is not complex. Follows torch.conj and Array API conj."""
    return first(input, "conj").conj()


@overload
def copysign(input: TensorT, other: Operand) -> TensorT: ...
@overload
def copysign(input: Operand, other: Operand) -> Tensor: ...
def copysign(input: Operand, other: Operand) -> Tensor:
    """The modulus of ``input`` with the sign of ``other``, which a 0 has too.

    Shapes broadcast; RuntimeError if they do not. Follows torch.copysign and Array API copysign. Raises InvalidRequest
    for complex elements.
    """
    return apply_as(Tensor, "copysign", input, other)[0]


def cos(input: TensorT) -> TensorT:
    """The cosine of each element, in radians. The shape stays. Follows torch.cos and Array API cos."""
    return first(input, "cos").cos()


def cosh(input: TensorT) -> TensorT:
    """The hyperbolic cosine of each element. The shape stays. Follows torch.cosh and Array API cosh."""
    return first(input, "cosh").cosh()


def cosine_similarity(x1: TensorT, x2: Operand, dim: int = 1, eps: float = 1e-08) -> TensorT:
    """The cosines of the angles between vectors along ``dim``; norms count as at least ``eps``.

    Raises InvalidRequest if shapes do not fit. Follows torch.cosine_similarity.
    """
    return apply("cosine_similarity", first(x1, "cosine_similarity"), x2, axis=axis_of(x1, dim), eps=eps)


def count_nonzero(input: TensorT, dim: Axes = None) -> TensorT:
    """The number of elements over all axes, or over ``dim``, that are not 0.

    The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows
    torch.count_nonzero and Array API count_nonzero.
    """
    return first(input, "count_nonzero").count_nonzero(dim)


def cross(input: TensorT, other: Recorded, dim: int = -1) -> TensorT:
    """The cross products of vectors of size 3 along ``dim``. Shapes broadcast.

    Follows torch.linalg.cross and Array API linalg.cross. Raises RuntimeError if a size along ``dim`` is not 3.
    """
    return first(input, "cross").cross(other, dim)


def cummax(input: TensorT, dim: int) -> ValuesAndIndices[TensorT]:
    """The largest of all elements up to each along ``dim``: values and positions. Follows torch.cummax."""
    return first(input, "cummax").cummax(dim)


def cummin(input: TensorT, dim: int) -> ValuesAndIndices[TensorT]:
    """The smallest of all elements up to each along ``dim``: values and positions. Follows torch.cummin."""
    return first(input, "cummin").cummin(dim)


def cumprod(input: TensorT, dim: int = 0, *, dtype: DTypeLike | None = None) -> TensorT:
    """Running products along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.cumprod and
    Array API cumulative_prod.
    """
    return first(input, "cumprod").cumprod(dim, dtype=dtype)


def cumsum(input: TensorT, dim: int = 0, *, dtype: DTypeLike | None = None) -> TensorT:
    """Running sums along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.cumsum and
    Array API cumulative_sum.
    """
    return first(input, "cumsum").cumsum(dim, dtype=dtype)


def deg2rad(input: TensorT) -> TensorT:
    """Each element from degrees to radians.

    The shape stays. Follows torch.deg2rad. Raises InvalidRequest for complex elements.
    """
    return first(input, "deg2rad").deg2rad()


def det(input: TensorT) -> TensorT:
    """The determinants of matrices (..., n, n), of shape (...). Follows torch.det and Array API linalg.det.

    Raises InvalidRequest if the matrices are not square.
    """
    return first(input, "det").det()


def diag(input: TensorT, diagonal: int = 0) -> TensorT:
    """The matrix with a vector on its diagonal, or that diagonal of a matrix.

    Raises IndexError for an axis out of range. Follows torch.diag.
    """
    return first(input, "diag").diag(diagonal)


def diag_embed(input: TensorT, offset: int = 0, dim1: int = -2, dim2: int = -1) -> TensorT:
    """Zeros, with the last axis on a diagonal of two new axes.

    Raises IndexError for an axis out of range. Follows torch.diag_embed.
    """
    return first(input, "diag_embed").diag_embed(offset, dim1, dim2)


def diagflat(input: TensorT, offset: int = 0) -> TensorT:
    """The matrix with all elements on a diagonal.

    Raises IndexError for an axis out of range. Follows torch.diagflat.
    """
    return first(input, "diagflat").diagflat(offset)


def diagonal(input: TensorT, offset: int = 0, dim1: int = 0, dim2: int = 1) -> TensorT:
    """A diagonal of the planes of two axes, as the last axis.

    Raises IndexError for an axis out of range. Follows torch.diagonal and Array API linalg.diagonal.
    """
    return first(input, "diagonal").diagonal(offset, dim1, dim2)


def diagonal_scatter(input: TensorT, src: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> TensorT:
    """The tensor with ``src`` on a diagonal of the planes of two axes.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
    torch.diagonal_scatter.
    """
    return first(input, "diagonal_scatter").diagonal_scatter(src, offset, dim1, dim2)


def diff(
    input: TensorT, n: int = 1, dim: int = -1, prepend: Recorded | None = None, append: Recorded | None = None
) -> TensorT:
    """Differences of neighbours along ``dim``, ``n`` times, of the tensor with others in front of it and behind it.

    Follows torch.diff and Array API diff. Raises RuntimeError for a 0-d tensor.
    """
    return first(input, "diff").diff(n, dim, prepend, append)


def digamma(input: TensorT) -> TensorT:
    """The derivative ψ(x) of ln Γ(x) at each element.

    The shape stays. Follows torch.digamma. Raises InvalidRequest for complex elements.
    """
    return first(input, "digamma").digamma()


def dist(input: TensorT, other: Operand, p: float = 2) -> TensorT:
    """The norm of order ``p`` of ``input - other``. Shapes broadcast. Follows torch.dist."""
    return first(input, "dist").dist(other, p)


def div(input: TensorT, other: Operand, *, rounding_mode: str | None = None) -> TensorT:
    """``input / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

    Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
    """
    return first(input, "div").div(other, rounding_mode=rounding_mode)


def divide(input: TensorT, other: Operand, *, rounding_mode: str | None = None) -> TensorT:
    """``input / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

    Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
    """
    return first(input, "divide").divide(other, rounding_mode=rounding_mode)


def dot(input: TensorT, tensor: Operand) -> TensorT:
    """The inner product of two vectors (k,): a scalar.

    Raises InvalidRequest if shapes do not fit. Follows torch.dot.
    """
    return first(input, "dot").dot(tensor)


def dsplit(input: TensorT, indices_or_sections: int | Sequence[int]) -> tuple[TensorT, ...]:
    """Sections along the third axis, of a common size or between indices.

    Raises IndexError for an axis out of range. Follows torch.dsplit.
    """
    return first(input, "dsplit").dsplit(indices_or_sections)


@overload
def eq(input: TensorT, other: Operand) -> TensorT: ...
@overload
def eq(input: Operand, other: Operand) -> Tensor: ...
def eq(input: Operand, other: Operand) -> Tensor:
    """True where ``input == other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.eq and Array API equal.
    """
    return apply_as(Tensor, "equal", input, other)[0]


def equal(input: TensorT, other: Recorded) -> bool:
    """True if shape and elements are those of ``other``; a nan is equal to nothing. Follows torch.equal."""
    return first(input, "equal").equal(other)


def erf(input: TensorT) -> TensorT:
    """The error function of each element. The shape stays. Follows torch.erf."""
    return first(input, "erf").erf()


def erfc(input: TensorT) -> TensorT:
    """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.erfc."""
    return first(input, "erfc").erfc()


def erfinv(input: TensorT) -> TensorT:
    """The inverse of the error function at each element.

    The shape stays. Follows torch.erfinv. Raises InvalidRequest for complex elements.
    """
    return first(input, "erfinv").erfinv()


def exp(input: TensorT) -> TensorT:
    """eˣ of each element. The shape stays. Follows torch.exp and Array API exp."""
    return first(input, "exp").exp()


def exp2(input: TensorT) -> TensorT:
    """2ˣ of each element. The shape stays. Follows torch.exp2."""
    return first(input, "exp2").exp2()


def expm1(input: TensorT) -> TensorT:
    """eˣ - 1 of each element, accurate near 0. The shape stays. Follows torch.expm1 and Array API expm1."""
    return first(input, "expm1").expm1()


def fix(input: TensorT) -> TensorT:
    """Each element without its fractional part.

    The shape stays. Follows torch.fix and Array API trunc. Raises InvalidRequest for complex elements.
    """
    return first(input, "fix").fix()


def flatten(input: TensorT, start_dim: int = 0, end_dim: int = -1) -> TensorT:
    """The axes from ``start_dim`` to ``end_dim`` joined to a single axis.

    Follows torch.flatten. Raises IndexError for an axis out of range, RuntimeError if the axes are in reverse.
    """
    return first(input, "flatten").flatten(start_dim, end_dim)


def flip(input: TensorT, dims: int | Sequence[int], *rest: int) -> TensorT:
    """The order of elements reversed along axes. Follows torch.flip and Array API flip.

    Raises IndexError for an axis out of range, RuntimeError for one that is named twice.
    """
    return first(input, "flip").flip(dims, *rest)


def fliplr(input: TensorT) -> TensorT:
    """The order of the second axis reversed. Raises IndexError for an axis out of range. Follows torch.fliplr."""
    return first(input, "fliplr").fliplr()


def flipud(input: TensorT) -> TensorT:
    """The order of the first axis reversed. Raises IndexError for an axis out of range. Follows torch.flipud."""
    return first(input, "flipud").flipud()


@overload
def float_power(input: TensorT, exponent: Operand) -> TensorT: ...
@overload
def float_power(input: Operand, exponent: Operand) -> Tensor: ...
def float_power(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent`` in float64 or complex128.

    Shapes broadcast; RuntimeError if they do not. Follows torch.float_power.
    """
    return apply_as(Tensor, "float_power", input, exponent)[0]


def floor(input: TensorT) -> TensorT:
    """The largest integer up to each element.

    The shape stays. Follows torch.floor and Array API floor. Raises InvalidRequest for complex elements.
    """
    return first(input, "floor").floor()


@overload
def floor_divide(input: TensorT, other: Operand) -> TensorT: ...
@overload
def floor_divide(input: Operand, other: Operand) -> Tensor: ...
def floor_divide(input: Operand, other: Operand) -> Tensor:
    """The largest integer up to ``input / other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.floor_divide and Array API floor_divide. Raises
    InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "floor_divide", input, other)[0]


@overload
def fmax(input: TensorT, other: Operand) -> TensorT: ...
@overload
def fmax(input: Operand, other: Operand) -> Tensor: ...
def fmax(input: Operand, other: Operand) -> Tensor:
    """The larger element, or the number beside a nan.

    Shapes broadcast; RuntimeError if they do not. Follows torch.fmax.
    """
    return apply_as(Tensor, "fmax", input, other)[0]


@overload
def fmin(input: TensorT, other: Operand) -> TensorT: ...
@overload
def fmin(input: Operand, other: Operand) -> Tensor: ...
def fmin(input: Operand, other: Operand) -> Tensor:
    """The smaller element, or the number beside a nan.

    Shapes broadcast; RuntimeError if they do not. Follows torch.fmin.
    """
    return apply_as(Tensor, "fmin", input, other)[0]


@overload
def fmod(input: TensorT, other: Operand) -> TensorT: ...
@overload
def fmod(input: Operand, other: Operand) -> Tensor: ...
def fmod(input: Operand, other: Operand) -> Tensor:
    """``input - other * trunc(input / other)``, which has the sign of ``input``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.fmod. Raises InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "fmod", input, other)[0]


def frac(input: TensorT) -> TensorT:
    """The fractional part of each element, with its sign.

    The shape stays. Follows torch.frac. Raises InvalidRequest for bool and complex elements.
    """
    return first(input, "frac").frac()


def gather(input: TensorT, dim: int, index: Recorded) -> TensorT:
    """For each position of ``index`` the element there, but at ``index`` along ``dim``; of the shape of ``index``.

    Follows torch.gather and Array API take_along_axis. Raises RuntimeError if ``index`` has another number of axes, or
    is larger along another axis than ``dim``.
    """
    return first(input, "gather").gather(dim, index)


@overload
def ge(input: TensorT, other: Operand) -> TensorT: ...
@overload
def ge(input: Operand, other: Operand) -> Tensor: ...
def ge(input: Operand, other: Operand) -> Tensor:
    """True where ``input >= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.ge and Array API greater_equal.
    """
    return apply_as(Tensor, "greater_equal", input, other)[0]


def gelu(input: TensorT, approximate: Literal["none", "tanh"] = "none") -> TensorT:
    """x Φ(x) of each element, Φ the normal distribution function; ``approximate`` is "none" or "tanh".

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.gelu.
    """
    return first(input, "gelu").gelu(approximate)


def ger(input: TensorT, vec2: Recorded) -> TensorT:
    """The products of all pairs of elements of two vectors (n,) and (m,); (n, m).

    Follows torch.outer and Array API linalg.outer. Raises RuntimeError for matrices.
    """
    return first(input, "ger").ger(vec2)


@overload
def greater(input: TensorT, other: Operand) -> TensorT: ...
@overload
def greater(input: Operand, other: Operand) -> Tensor: ...
def greater(input: Operand, other: Operand) -> Tensor:
    """True where ``input > other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.greater and Array API greater.
    """
    return apply_as(Tensor, "greater", input, other)[0]


@overload
def greater_equal(input: TensorT, other: Operand) -> TensorT: ...
@overload
def greater_equal(input: Operand, other: Operand) -> Tensor: ...
def greater_equal(input: Operand, other: Operand) -> Tensor:
    """True where ``input >= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.greater_equal and Array API greater_equal.
    """
    return apply_as(Tensor, "greater_equal", input, other)[0]


@overload
def gt(input: TensorT, other: Operand) -> TensorT: ...
@overload
def gt(input: Operand, other: Operand) -> Tensor: ...
def gt(input: Operand, other: Operand) -> Tensor:
    """True where ``input > other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.gt and Array API greater.
    """
    return apply_as(Tensor, "greater", input, other)[0]


def hardshrink(input: TensorT, lambd: float = 0.5) -> TensorT:
    """x where |x| > lambd, elsewhere 0.

    Raises InvalidRequest if parameters are out of range. Follows torch.hardshrink. Raises InvalidRequest for complex
    elements.
    """
    return first(input, "hardshrink").hardshrink(lambd)


@overload
def heaviside(input: TensorT, values: Operand) -> TensorT: ...
@overload
def heaviside(input: Operand, values: Operand) -> Tensor: ...
def heaviside(input: Operand, values: Operand) -> Tensor:
    """0 where ``input`` is negative, ``values`` where it is 0, 1 where it is positive.

    Shapes broadcast; RuntimeError if they do not. Follows torch.heaviside. Raises InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "heaviside", input, values)[0]


def hsplit(input: TensorT, indices_or_sections: int | Sequence[int]) -> tuple[TensorT, ...]:
    """Sections along the second axis, that of a vector along its only one, of a common size or between indices.

    Raises IndexError for an axis out of range. Follows torch.hsplit.
    """
    return first(input, "hsplit").hsplit(indices_or_sections)


@overload
def hypot(input: TensorT, other: Operand) -> TensorT: ...
@overload
def hypot(input: Operand, other: Operand) -> Tensor: ...
def hypot(input: Operand, other: Operand) -> Tensor:
    """``sqrt(input**2 + other**2)``, without overflow in between.

    Shapes broadcast; RuntimeError if they do not. Follows torch.hypot and Array API hypot. Raises InvalidRequest for
    complex elements.
    """
    return apply_as(Tensor, "hypot", input, other)[0]


def i0(input: TensorT) -> TensorT:
    """The modified Bessel function of the first kind of order 0.

    The shape stays. Follows torch.i0. Raises InvalidRequest for complex elements.
    """
    return first(input, "i0").i0()


@overload
def igamma(input: TensorT, other: Operand) -> TensorT: ...
@overload
def igamma(input: Operand, other: Operand) -> Tensor: ...
def igamma(input: Operand, other: Operand) -> Tensor:
    """The regularised lower incomplete gamma function P(x, other). There is no derivative along x.

    Shapes broadcast; RuntimeError if they do not. Follows torch.igamma. Raises InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "gammainc", input, other)[0]


@overload
def igammac(input: TensorT, other: Operand) -> TensorT: ...
@overload
def igammac(input: Operand, other: Operand) -> Tensor: ...
def igammac(input: Operand, other: Operand) -> Tensor:
    """The regularised upper incomplete gamma function Q(x, other) = 1 - P(x, other). There is no derivative along x.

    Shapes broadcast; RuntimeError if they do not. Follows torch.igammac. Raises InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "gammaincc", input, other)[0]


def imag(input: TensorT) -> TensorT:
    """The imaginary part. Follows torch.imag and Array API imag. Raises RuntimeError if the tensor is not complex."""
    return first(input, "imag").imag


def index_add(input: TensorT, dim: int, index: Places, source: Operand, *, alpha: Scalar = 1) -> TensorT:
    """The tensor with ``alpha * source`` added to its parts at ``index`` along an axis; parts that are named twice get
    both.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_add.
    """
    return first(input, "index_add").index_add(dim, index, source, alpha=alpha)


def index_copy(input: TensorT, dim: int, index: Places, source: Operand) -> TensorT:
    """The tensor with ``source`` in place of its parts at ``index`` along an axis, the last of those that are named
    twice.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_copy.
    """
    return first(input, "index_copy").index_copy(dim, index, source)


def index_fill(input: TensorT, dim: int, index: Places, value: Operand) -> TensorT:
    """The tensor with ``value`` in place of its parts at ``index`` along an axis.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_fill.
    """
    return first(input, "index_fill").index_fill(dim, index, value)


def index_put(input: TensorT, indices: Sequence[Places], values: Operand, accumulate: bool = False) -> TensorT:
    """The tensor with ``values`` in place of the elements at integer or boolean ``indices`` of its first axes, the
    last of those that are named twice; or added to them. Follows torch.index_put.

    Raises IndexError for too many indices, InvalidRequest if the shape of ``values`` does not fit.
    """
    return first(input, "index_put").index_put(indices, values, accumulate)


def index_select(input: TensorT, dim: int, index: Places) -> TensorT:
    """The parts at the positions ``index`` along an axis. Follows torch.index_select and Array API take.

    Raises IndexError for an axis, and for an index that is known, out of range, and for indices that are no vector (a
    scalar is a vector of 1), RuntimeError for indices that are no integers.
    """
    return first(input, "index_select").index_select(dim, index)


def inner(input: TensorT, other: Recorded) -> TensorT:
    """The sums of products over the last axes of (..., k) and (..., k), for all pairs of the others; of their shapes.

    Follows torch.inner. Raises RuntimeError if the last sizes differ.
    """
    return first(input, "inner").inner(other)


def inverse(input: TensorT) -> TensorT:
    """The inverses of matrices (..., n, n). Follows torch.inverse and Array API linalg.inv.

    Raises InvalidRequest if the matrices are not square; DataFault, when the value is computed, for a singular matrix.
    """
    return first(input, "inverse").inverse()


def is_complex(input: TensorT) -> bool:
    """True if the dtype is complex. Follows torch.is_complex."""
    return first(input, "is_complex").is_complex()


def is_floating_point(input: TensorT) -> bool:
    """True if its numbers are real and floating point. Follows torch.is_floating_point."""
    return first(input, "is_floating_point").is_floating_point()


def isclose(input: TensorT, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> TensorT:
    """True where ``|input - other| <= atol + rtol * |other|``, and for two nans if ``equal_nan``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.isclose.
    """
    return first(input, "isclose").isclose(other, rtol, atol, equal_nan)


def isfinite(input: TensorT) -> TensorT:
    """True where an element is neither infinite nor nan; bool.

    The shape stays. Follows torch.isfinite and Array API isfinite.
    """
    return first(input, "isfinite").isfinite()


def isinf(input: TensorT) -> TensorT:
    """True where an element is infinite; bool. The shape stays. Follows torch.isinf and Array API isinf."""
    return first(input, "isinf").isinf()


def isnan(input: TensorT) -> TensorT:
    """True where an element is nan; bool. The shape stays. Follows torch.isnan and Array API isnan."""
    return first(input, "isnan").isnan()


def isneginf(input: TensorT) -> TensorT:
    """True where an element is -∞; bool.

    The shape stays. Follows torch.isneginf. Raises InvalidRequest for complex elements.
    """
    return first(input, "isneginf").isneginf()


def isposinf(input: TensorT) -> TensorT:
    """True where an element is ∞; bool.

    The shape stays. Follows torch.isposinf. Raises InvalidRequest for complex elements.
    """
    return first(input, "isposinf").isposinf()


def isreal(input: TensorT) -> TensorT:
    """True where the imaginary part of an element is 0; bool. The shape stays. Follows torch.isreal."""
    return first(input, "isreal").isreal()


def kron(input: TensorT, other: Recorded) -> TensorT:
    """The Kronecker product: each element of ``input`` times ``other``, as blocks. Follows torch.kron."""
    return first(input, "kron").kron(other)


def kthvalue(input: TensorT, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices[TensorT]:
    """The ``k``-th smallest element of each line along ``dim``, counted from 1: values and positions.

    Follows torch.kthvalue. Raises RuntimeError if ``k`` is out of range.
    """
    return first(input, "kthvalue").kthvalue(k, dim, keepdim)


@overload
def ldexp(input: TensorT, other: Operand) -> TensorT: ...
@overload
def ldexp(input: Operand, other: Operand) -> Tensor: ...
def ldexp(input: Operand, other: Operand) -> Tensor:
    """``input * 2**other``. Shapes broadcast; RuntimeError if they do not. Follows torch.ldexp."""
    return apply_as(Tensor, "ldexp", input, other)[0]


@overload
def le(input: TensorT, other: Operand) -> TensorT: ...
@overload
def le(input: Operand, other: Operand) -> Tensor: ...
def le(input: Operand, other: Operand) -> Tensor:
    """True where ``input <= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.le and Array API less_equal.
    """
    return apply_as(Tensor, "less_equal", input, other)[0]


def lerp(input: TensorT, end: Operand, weight: Operand) -> TensorT:
    """``input + weight * (end - input)``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.lerp. Raises InvalidRequest for bool elements.
    """
    return first(input, "lerp").lerp(end, weight)


@overload
def less(input: TensorT, other: Operand) -> TensorT: ...
@overload
def less(input: Operand, other: Operand) -> Tensor: ...
def less(input: Operand, other: Operand) -> Tensor:
    """True where ``input < other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.less and Array API less.
    """
    return apply_as(Tensor, "less", input, other)[0]


@overload
def less_equal(input: TensorT, other: Operand) -> TensorT: ...
@overload
def less_equal(input: Operand, other: Operand) -> Tensor: ...
def less_equal(input: Operand, other: Operand) -> Tensor:
    """True where ``input <= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.less_equal and Array API less_equal.
    """
    return apply_as(Tensor, "less_equal", input, other)[0]


def lgamma(input: TensorT) -> TensorT:
    """ln |Γ(x)| of each element. The shape stays. Follows torch.lgamma. Raises InvalidRequest for complex elements."""
    return first(input, "lgamma").lgamma()


def log(input: TensorT) -> TensorT:
    """The natural logarithm of each element. The shape stays. Follows torch.log and Array API log."""
    return first(input, "log").log()


def log10(input: TensorT) -> TensorT:
    """The logarithm to base 10 of each element. The shape stays. Follows torch.log10 and Array API log10."""
    return first(input, "log10").log10()


def log1p(input: TensorT) -> TensorT:
    """The natural logarithm of 1 + x of each element, accurate near 0.

    The shape stays. Follows torch.log1p and Array API log1p.
    """
    return first(input, "log1p").log1p()


def log2(input: TensorT) -> TensorT:
    """The logarithm to base 2 of each element. The shape stays. Follows torch.log2 and Array API log2."""
    return first(input, "log2").log2()


def log_softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.log_softmax.
    """
    return first(input, "log_softmax").log_softmax(dim, dtype=dtype)


@overload
def logaddexp(input: TensorT, other: Operand) -> TensorT: ...
@overload
def logaddexp(input: Operand, other: Operand) -> Tensor: ...
def logaddexp(input: Operand, other: Operand) -> Tensor:
    """``log(exp(input) + exp(other))``, without overflow in between.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp and Array API logaddexp. Raises
    InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "logaddexp", input, other)[0]


@overload
def logaddexp2(input: TensorT, other: Operand) -> TensorT: ...
@overload
def logaddexp2(input: Operand, other: Operand) -> Tensor: ...
def logaddexp2(input: Operand, other: Operand) -> Tensor:
    """``log2(2**input + 2**other)``, without overflow in between.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp2. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "logaddexp2", input, other)[0]


def logcumsumexp(input: TensorT, dim: int) -> TensorT:
    """Running ln Σ eˣ along ``dim``, without overflow in between; the shape stays.

    Raises IndexError for an axis out of range. Follows torch.logcumsumexp. Raises InvalidRequest for complex elements.
    """
    return first(input, "logcumsumexp").logcumsumexp(dim)


@overload
def logical_and(input: TensorT, other: Operand) -> TensorT: ...
@overload
def logical_and(input: Operand, other: Operand) -> Tensor: ...
def logical_and(input: Operand, other: Operand) -> Tensor:
    """True where both are not 0; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logical_and and Array API logical_and.
    """
    return apply_as(Tensor, "logical_and", input, other)[0]


def logical_not(input: TensorT) -> TensorT:
    """True where an element is 0; bool. The shape stays. Follows torch.logical_not and Array API logical_not."""
    return first(input, "logical_not").logical_not()


@overload
def logical_or(input: TensorT, other: Operand) -> TensorT: ...
@overload
def logical_or(input: Operand, other: Operand) -> Tensor: ...
def logical_or(input: Operand, other: Operand) -> Tensor:
    """True where either is not 0; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logical_or and Array API logical_or.
    """
    return apply_as(Tensor, "logical_or", input, other)[0]


@overload
def logical_xor(input: TensorT, other: Operand) -> TensorT: ...
@overload
def logical_xor(input: Operand, other: Operand) -> Tensor: ...
def logical_xor(input: Operand, other: Operand) -> Tensor:
    """True where either, but not both, is not 0; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logical_xor and Array API logical_xor.
    """
    return apply_as(Tensor, "logical_xor", input, other)[0]


def logit(input: TensorT, eps: float | None = None) -> TensorT:
    """ln(x / (1 - x)) of each element, which is first limited to [``eps``, 1 - ``eps``] if there is one.

    The shape stays. Follows torch.logit. Raises InvalidRequest for complex elements.
    """
    return first(input, "logit").logit(eps)


def logsumexp(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    b: Operand | None = None,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """ln Σ eˣ over all axes, or over ``dim``, without overflow in between; ln Σ ``b`` eˣ for weights ``b``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.logsumexp.
    """
    return first(input, "logsumexp").logsumexp(dim, keepdim, b=b, axis=axis, keepdims=keepdims, dtype=dtype)


@overload
def lt(input: TensorT, other: Operand) -> TensorT: ...
@overload
def lt(input: Operand, other: Operand) -> Tensor: ...
def lt(input: Operand, other: Operand) -> Tensor:
    """True where ``input < other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.lt and Array API less.
    """
    return apply_as(Tensor, "less", input, other)[0]


def masked_fill(input: TensorT, mask: Operand, value: Operand) -> TensorT:
    """``value`` where ``mask`` is true, the elements elsewhere.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.masked_fill.
    """
    return first(input, "masked_fill").masked_fill(mask, value)


def masked_scatter(input: TensorT, mask: Operand, source: Operand) -> TensorT:
    """The elements of ``source``, in their order, where ``mask`` is true, those of the tensor elsewhere.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
    torch.masked_scatter.
    """
    return first(input, "masked_scatter").masked_scatter(mask, source)


def masked_select(input: TensorT, mask: Recorded) -> TensorT:
    """The elements where ``mask`` is true, as a vector. Shapes broadcast. Follows torch.masked_select.

    The mask is computed at once, since shapes depend on it.
    """
    return first(input, "masked_select").masked_select(mask)


def matmul(input: TensorT, other: Operand) -> TensorT:
    """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.matmul and Array API matmul.
    """
    return first(input, "matmul").matmul(other)


def matrix_power(input: TensorT, n: int) -> TensorT:
    """The powers of matrices (..., k, k), of their inverses if ``n`` is negative.

    Follows torch.linalg.matrix_power and Array API linalg.matrix_power.
    """
    return first(input, "matrix_power").matrix_power(n)


@overload
def max(input: TensorT, dim: None = None, keepdim: bool = False) -> TensorT: ...


@overload
def max(input: TensorT, dim: int, keepdim: bool = False) -> ValuesAndIndices[TensorT]: ...


@overload
def max(input: TensorT, dim: Recorded) -> TensorT: ...


@overload
def max(input: TensorT, dim: int | Recorded | None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]: ...


def max(input: TensorT, dim: int | Recorded | None = None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]:
    """The largest of all elements (ties share the gradient evenly); over an axis the largest of each line and the
    positions; beside a tensor `maximum`.

    Follows torch.max.
    """
    return first(input, "max").max(dim, keepdim)


@overload
def maximum(input: TensorT, other: Operand) -> TensorT: ...
@overload
def maximum(input: Operand, other: Operand) -> Tensor: ...
def maximum(input: Operand, other: Operand) -> Tensor:
    """The larger element; a tie shares the gradient evenly.

    Shapes broadcast; RuntimeError if they do not. Follows torch.maximum and Array API maximum.
    """
    return apply_as(Tensor, "maximum", input, other)[0]


def mean(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The mean over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.mean and Array API mean.
    """
    return first(input, "mean").mean(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


@overload
def median(input: TensorT, dim: None = None, keepdim: bool = False) -> TensorT: ...


@overload
def median(input: TensorT, dim: int, keepdim: bool = False) -> ValuesAndIndices[TensorT]: ...


def median(input: TensorT, dim: int | None = None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]:
    """The median of all elements, or of each line along ``dim`` with its position: of two in the middle the smaller,
    nan if there is a nan.

    Follows torch.median. Raises RuntimeError for no elements.
    """
    return first(input, "median").median(dim, keepdim)


@overload
def min(input: TensorT, dim: None = None, keepdim: bool = False) -> TensorT: ...


@overload
def min(input: TensorT, dim: int, keepdim: bool = False) -> ValuesAndIndices[TensorT]: ...


@overload
def min(input: TensorT, dim: Recorded) -> TensorT: ...


@overload
def min(input: TensorT, dim: int | Recorded | None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]: ...


def min(input: TensorT, dim: int | Recorded | None = None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]:
    """The smallest of all elements (ties share the gradient evenly); over an axis the smallest of each line and the
    positions; beside a tensor `minimum`.

    Follows torch.min.
    """
    return first(input, "min").min(dim, keepdim)


@overload
def minimum(input: TensorT, other: Operand) -> TensorT: ...
@overload
def minimum(input: Operand, other: Operand) -> Tensor: ...
def minimum(input: Operand, other: Operand) -> Tensor:
    """The smaller element; a tie shares the gradient evenly.

    Shapes broadcast; RuntimeError if they do not. Follows torch.minimum and Array API minimum.
    """
    return apply_as(Tensor, "minimum", input, other)[0]


def mm(input: TensorT, mat2: Operand) -> TensorT:
    """The matrix product of (n, k) and (k, m): (n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.mm.
    """
    return first(input, "mm").mm(mat2)


def moveaxis(input: TensorT, source: int | Sequence[int], destination: int | Sequence[int]) -> TensorT:
    """The axes ``source`` moved to the positions ``destination``; the others keep their order.

    Raises IndexError for an axis out of range. Follows torch.moveaxis and Array API moveaxis.
    """
    return first(input, "moveaxis").moveaxis(source, destination)


def movedim(input: TensorT, source: int | Sequence[int], destination: int | Sequence[int]) -> TensorT:
    """The axes ``source`` moved to the positions ``destination``; the others keep their order.

    Raises IndexError for an axis out of range. Follows torch.movedim and Array API moveaxis.
    """
    return first(input, "movedim").movedim(source, destination)


def msort(input: TensorT) -> TensorT:
    """The elements sorted along the first axis.

    Raises IndexError for an axis out of range. Follows torch.msort. Raises InvalidRequest for complex elements.
    """
    return first(input, "msort").msort()


@overload
def mul(input: TensorT, other: Operand) -> TensorT: ...
@overload
def mul(input: Operand, other: Operand) -> Tensor: ...
def mul(input: Operand, other: Operand) -> Tensor:
    """``input * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.mul and Array API multiply."""
    return apply_as(Tensor, "multiply", input, other)[0]


@overload
def multiply(input: TensorT, other: Operand) -> TensorT: ...
@overload
def multiply(input: Operand, other: Operand) -> Tensor: ...
def multiply(input: Operand, other: Operand) -> Tensor:
    """``input * other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.multiply and Array API multiply.
    """
    return apply_as(Tensor, "multiply", input, other)[0]


def mv(input: TensorT, vec: Operand) -> TensorT:
    """The product of a matrix (n, k) and a vector (k,): (n,).

    Raises InvalidRequest if shapes do not fit. Follows torch.mv.
    """
    return first(input, "mv").mv(vec)


def mvlgamma(input: TensorT, p: int) -> TensorT:
    """The logarithm of the multivariate gamma function of dimension ``p`` at each element.

    The shape stays. Follows torch.mvlgamma. Raises InvalidRequest for complex elements.
    """
    return first(input, "mvlgamma").mvlgamma(p)


def nan_to_num(input: TensorT, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> TensorT:
    """``nan`` where an element is nan, ``posinf`` and ``neginf`` (or the largest and the smallest float) where it is
    infinite.

    The shape stays. Follows torch.nan_to_num.
    """
    return first(input, "nan_to_num").nan_to_num(nan, posinf, neginf)


def nanmax(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The largest element over all axes, or over ``dim``, that is not nan.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows numpy.nanmax.
    """
    return apply(
        "nanmax",
        first(input, "nanmax") if dtype is None else input.to(dtype),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def nanmean(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The mean of the elements over all axes, or over ``dim``, that are not nan.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.nanmean.
    """
    return first(input, "nanmean").nanmean(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def nanmin(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The smallest element over all axes, or over ``dim``, that is not nan.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows numpy.nanmin.
    """
    return apply(
        "nanmin",
        first(input, "nanmin") if dtype is None else input.to(dtype),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def nanprod(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The product of the elements over all axes, or over ``dim``, that are not nan.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows numpy.nanprod.
    """
    return apply(
        "nanprod",
        first(input, "nanprod") if dtype is None else input.to(dtype),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def nanquantile(
    input: TensorT,
    q: float | Sequence[float],
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> TensorT:
    """The quantile of the elements that are not nan.

    Raises IndexError for an axis out of range. Follows torch.nanquantile.
    """
    return first(input, "nanquantile").nanquantile(q, dim, keepdim, interpolation=interpolation)


def nansum(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The sum of the elements over all axes, or over ``dim``, that are not nan.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.nansum.
    """
    return first(input, "nansum").nansum(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def narrow(input: TensorT, dim: int, start: int, length: int) -> TensorT:
    """The ``length`` parts along an axis from ``start`` on. Follows torch.narrow.

    A negative ``start`` counts from the end. Raises IndexError for an axis or ``start`` out of range, RuntimeError for
    a length that is negative or too large.
    """
    return first(input, "narrow").narrow(dim, start, length)


@overload
def ne(input: TensorT, other: Operand) -> TensorT: ...
@overload
def ne(input: Operand, other: Operand) -> Tensor: ...
def ne(input: Operand, other: Operand) -> Tensor:
    """True where ``input != other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.ne and Array API not_equal.
    """
    return apply_as(Tensor, "not_equal", input, other)[0]


def neg(input: TensorT) -> TensorT:
    """-x of each element.

    The shape stays. Follows torch.neg and Array API negative. Raises InvalidRequest for bool elements.
    """
    return first(input, "neg").neg()


def negative(input: TensorT) -> TensorT:
    """-x of each element.

    The shape stays. Follows torch.negative and Array API negative. Raises InvalidRequest for bool elements.
    """
    return first(input, "negative").negative()


@overload
def nextafter(input: TensorT, other: Operand) -> TensorT: ...
@overload
def nextafter(input: Operand, other: Operand) -> Tensor: ...
def nextafter(input: Operand, other: Operand) -> Tensor:
    """The next float after ``input`` towards ``other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.nextafter and Array API nextafter. Raises
    InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "nextafter", input, other)[0]


@overload
def nonzero(input: TensorT, *, as_tuple: Literal[False] = False) -> TensorT: ...


@overload
def nonzero(input: TensorT, *, as_tuple: Literal[True]) -> tuple[TensorT, ...]: ...


@overload
def nonzero(input: TensorT, *, as_tuple: bool) -> TensorT | tuple[TensorT, ...]: ...


def nonzero(input: TensorT, *, as_tuple: bool = False) -> TensorT | tuple[TensorT, ...]:
    """The indices of the elements that are not 0: a row (ndim,) of a matrix for each, or with ``as_tuple`` a vector
    for each axis; int64. Follows torch.nonzero and Array API nonzero.

    The tensor is computed at once, since shapes depend on it.
    """
    return first(input, "nonzero").nonzero(as_tuple=as_tuple)


def norm(
    input: TensorT, p: float | str | None = "fro", dim: Axes = None, keepdim: bool = False, dtype: DTypeLike | None = None
) -> TensorT:
    """The norm of order ``p`` ("fro" is 2) of the elements over all axes, or over ``dim``.

    Follows torch.norm and Array API linalg.vector_norm. Raises RuntimeError for the norm "nuc", which is not there.
    """
    return first(input, "norm").norm(p, dim, keepdim, dtype)


@overload
def not_equal(input: TensorT, other: Operand) -> TensorT: ...
@overload
def not_equal(input: Operand, other: Operand) -> Tensor: ...
def not_equal(input: Operand, other: Operand) -> Tensor:
    """True where ``input != other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.not_equal and Array API not_equal.
    """
    return apply_as(Tensor, "not_equal", input, other)[0]


def numel(input: TensorT) -> int:
    """The number of elements. Follows torch.numel."""
    return first(input, "numel").numel()


def outer(input: TensorT, vec2: Recorded) -> TensorT:
    """The products of all pairs of elements of two vectors (n,) and (m,); (n, m).

    Follows torch.outer and Array API linalg.outer. Raises RuntimeError for matrices.
    """
    return first(input, "outer").outer(vec2)


def pairwise_distance(x1: TensorT, x2: Operand, p: float = 2.0, eps: float = 1e-06, keepdim: bool = False) -> TensorT:
    """The ``p``-norms along the last axis of x1 - x2 + eps.

    Raises InvalidRequest if shapes do not fit. Follows torch.pairwise_distance.
    """
    return apply("pairwise_distance", first(x1, "pairwise_distance"), x2, p=p, eps=eps, keepdims=keepdim)


def permute(input: TensorT, dims: int | Sequence[int], *rest: int) -> TensorT:
    """The axes in another order. Follows torch.permute and Array API permute_dims.

    Raises InvalidRequest if ``dims`` is not an order of all axes.
    """
    return first(input, "permute").permute(dims, *rest)


def pixel_shuffle(input: TensorT, upscale_factor: int) -> TensorT:
    """The channels of (..., c r², h, w) as pixels (..., c, h r, w r), for r the ``upscale_factor``.

    Raises IndexError for an axis out of range. Follows torch.pixel_shuffle.
    """
    return apply("pixel_shuffle", first(input, "pixel_shuffle"), upscale_factor=upscale_factor)


def pixel_unshuffle(input: TensorT, downscale_factor: int) -> TensorT:
    """The pixels of (..., c, h r, w r) as channels (..., c r², h, w), for r the ``downscale_factor``.

    Raises IndexError for an axis out of range. Follows torch.pixel_unshuffle.
    """
    return apply("pixel_unshuffle", first(input, "pixel_unshuffle"), downscale_factor=downscale_factor)


def polar(abs: TensorT, angle: Operand) -> TensorT:
    """The complex numbers with these moduli and arguments.

    Shapes broadcast; RuntimeError if they do not. Follows torch.polar. Raises InvalidRequest for bool and complex
    elements.
    """
    return apply("polar", first(abs, "polar"), angle)


def positive(input: TensorT) -> TensorT:
    """Each element as it is.

    The shape stays. Follows torch.positive and Array API positive. Raises InvalidRequest for bool elements.
    """
    return first(input, "positive").positive()


@overload
def pow(input: TensorT, exponent: Operand) -> TensorT: ...
@overload
def pow(input: Operand, exponent: Operand) -> Tensor: ...
def pow(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent``. Shapes broadcast; RuntimeError if they do not. Follows torch.pow and Array API pow."""
    return apply_as(Tensor, "pow", input, exponent)[0]


def prelu(input: TensorT, weight: Operand) -> TensorT:
    """Each element, times ``weight`` where it is negative; a single weight, or one for each channel (axis 1).

    Raises InvalidRequest if parameters are out of range. Follows torch.prelu.
    """
    return first(input, "prelu").prelu(weight)


def prod(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The product over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.prod and Array API prod.
    """
    return first(input, "prod").prod(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def ptp(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The largest less the smallest element over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows numpy.ptp. Raises InvalidRequest for bool elements.
    """
    return apply(
        "ptp",
        first(input, "ptp") if dtype is None else input.to(dtype),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def put(input: TensorT, index: Places, source: Operand, accumulate: bool = False) -> TensorT:
    """The tensor with ``source`` in place of elements, or added to them, at ``index``, counted through the whole
    tensor.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.Tensor.put.
    """
    return first(input, "put").put(index, source, accumulate)


def quantile(
    input: TensorT,
    q: float | Sequence[float],
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> TensorT:
    """The quantile of a share ``q``, or of several, over all axes, or over ``dim``.

    Raises IndexError for an axis out of range. Follows torch.quantile.
    """
    return first(input, "quantile").quantile(q, dim, keepdim, interpolation=interpolation)


def rad2deg(input: TensorT) -> TensorT:
    """Each element from radians to degrees.

    The shape stays. Follows torch.rad2deg. Raises InvalidRequest for complex elements.
    """
    return first(input, "rad2deg").rad2deg()


def ravel(input: TensorT) -> TensorT:
    """The elements in C order, as a vector. Raises IndexError for an axis out of range. Follows torch.ravel."""
    return first(input, "ravel").ravel()


def real(input: TensorT) -> TensorT:
    """The real part; the tensor itself if it is not complex. Follows torch.real and Array API real."""
    return first(input, "real").real


def reciprocal(input: TensorT) -> TensorT:
    """1 / x of each element, of integers in float64.

    The shape stays. Follows torch.reciprocal and Array API reciprocal.
    """
    return first(input, "reciprocal").reciprocal()


def relu(input: TensorT) -> TensorT:
    """The larger of x and 0, element by element.

    Raises InvalidRequest if parameters are out of range. Follows torch.relu.
    """
    return first(input, "relu").relu()


@overload
def remainder(input: TensorT, other: Operand) -> TensorT: ...
@overload
def remainder(input: Operand, other: Operand) -> Tensor: ...
def remainder(input: Operand, other: Operand) -> Tensor:
    """``input - other * floor(input / other)``, which has the sign of ``other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.remainder and Array API remainder. Raises
    InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "remainder", input, other)[0]


def repeat_interleave(input: TensorT, repeats: int | Sequence[int] | Recorded, dim: int | None = None) -> TensorT:
    """Each element along an axis, or of the flattened tensor, repeated, by a count for all or one for each.

    Follows torch.repeat_interleave and Array API repeat. Raises InvalidRequest if the number of counts does not fit.
    """
    return first(input, "repeat_interleave").repeat_interleave(repeats, dim)


def reshape(input: TensorT, shape: int | Sequence[int], *rest: int) -> TensorT:
    """The elements, in C order, in another shape, of which one size may be -1.

    Follows torch.reshape and Array API reshape. Raises RuntimeError if the number of elements differs.
    """
    return first(input, "reshape").reshape(shape, *rest)


def roll(input: TensorT, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> TensorT:
    """Elements moved along axes (through the whole tensor without ``dims``), those beyond the end to the front.

    Raises IndexError for an axis out of range. Follows torch.roll and Array API roll.
    """
    return first(input, "roll").roll(shifts, dims)


def rot90(input: TensorT, k: int = 1, dims: Sequence[int] = (0, 1)) -> TensorT:
    """The plane of two axes turned by ``k`` right angles, from the first to the second.

    Raises IndexError for an axis out of range. Follows torch.rot90.
    """
    return first(input, "rot90").rot90(k, dims)


def round(input: TensorT, *, decimals: int = 0) -> TensorT:
    """The nearest multiple of 10 to the power -``decimals`` of each element; a half goes to the even one.

    The shape stays. Follows torch.round and Array API round.
    """
    return first(input, "round").round(decimals=decimals)


def rrelu(input: TensorT, lower: float = 0.125, upper: float = 1 / 3) -> TensorT:
    """`leaky_relu` with the mean of ``lower`` and ``upper``, as randomised ReLU is in evaluation.

    Raises InvalidRequest if parameters are out of range. Follows torch.rrelu. Raises InvalidRequest for complex
    elements.
    """
    return apply("rrelu", first(input, "rrelu"), lower=lower, upper=upper)


def rsqrt(input: TensorT) -> TensorT:
    """1 / √x of each element. The shape stays. Follows torch.rsqrt."""
    return first(input, "rsqrt").rsqrt()


def scatter(input: TensorT, dim: int, index: Places, src: Operand) -> TensorT:
    """The tensor with ``src`` at ``index`` along an axis, on each line its own, the last for elements that are named
    twice.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.scatter.
    """
    return first(input, "scatter").scatter(dim, index, src)


def scatter_add(input: TensorT, dim: int, index: Places, src: Operand) -> TensorT:
    """The tensor with ``src`` added at ``index`` along an axis, on each line its own; elements that are named twice
    get both.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.scatter_add.
    """
    return first(input, "scatter_add").scatter_add(dim, index, src)


def select(input: TensorT, dim: int, index: int) -> TensorT:
    """The part at ``index`` along an axis, without that axis. Follows torch.select. Raises IndexError out of range."""
    return first(input, "select").select(dim, index)


def select_scatter(input: TensorT, src: Operand, dim: int, index: int) -> TensorT:
    """The tensor with ``src`` in place of its part at ``index`` along an axis.

    Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
    torch.select_scatter.
    """
    return first(input, "select_scatter").select_scatter(src, dim, index)


def selu(input: TensorT) -> TensorT:
    """1.0507 times `elu` with alpha 1.6733.

    Raises InvalidRequest if parameters are out of range. Follows torch.selu. Raises InvalidRequest for complex
    elements.
    """
    return apply("selu", first(input, "selu"))


def sgn(input: TensorT) -> TensorT:
    """The sign -1, 0 or 1 of each element; x / |x| of complex elements.

    The shape stays. Follows torch.sgn and Array API sign. Raises InvalidRequest for bool elements.
    """
    return first(input, "sgn").sgn()


def sigmoid(input: TensorT) -> TensorT:
    """The logistic function 1 / (1 + e⁻ˣ) of each element.

    The shape stays. Follows torch.sigmoid. Raises InvalidRequest for complex elements.
    """
    return first(input, "sigmoid").sigmoid()


def sign(input: TensorT) -> TensorT:
    """The sign -1, 0 or 1 of each element; x / |x| of complex elements.

    The shape stays. Follows torch.sign and Array API sign. Raises InvalidRequest for bool elements.
    """
    return first(input, "sign").sign()


def signbit(input: TensorT) -> TensorT:
    """True where an element is negative, -0 included; bool.

    The shape stays. Follows torch.signbit and Array API signbit. Raises InvalidRequest for complex elements.
    """
    return first(input, "signbit").signbit()


def silu(input: TensorT) -> TensorT:
    """x · sigmoid(x) of each element.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.silu. Raises InvalidRequest for
    complex elements.
    """
    return first(input, "silu").silu()


def sin(input: TensorT) -> TensorT:
    """The sine of each element, in radians. The shape stays. Follows torch.sin and Array API sin."""
    return first(input, "sin").sin()


def sinc(input: TensorT) -> TensorT:
    """sin(πx) / (πx) of each element, 1 at 0. The shape stays. Follows torch.sinc."""
    return first(input, "sinc").sinc()


def sinh(input: TensorT) -> TensorT:
    """The hyperbolic sine of each element. The shape stays. Follows torch.sinh and Array API sinh."""
    return first(input, "sinh").sinh()


def slice_scatter(
    input: TensorT, src: Operand, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> TensorT:
    """The tensor with ``src`` in place of a slice along an axis. Follows torch.slice_scatter.

    Raises IndexError for an axis out of range, InvalidRequest if the shape of ``src`` does not fit.
    """
    return first(input, "slice_scatter").slice_scatter(src, dim, start, end, step)


def softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.softmax.
    """
    return first(input, "softmax").softmax(dim, dtype=dtype)


def softplus(input: TensorT, beta: float = 1.0, threshold: float = 20.0) -> TensorT:
    """ln(1 + e^(beta x)) / beta of each element, and the element itself where beta x > threshold.

    Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.softplus.
    """
    return first(input, "softplus").softplus(beta, threshold)


def sort(input: TensorT, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesAndIndices[TensorT]:
    """Each line along ``dim`` sorted: values and positions. The sort is stable even if ``stable`` is False.

    Follows torch.sort and Array API sort.
    """
    return first(input, "sort").sort(dim, descending, stable)


def split(input: TensorT, split_size: int | Sequence[int], dim: int = 0) -> tuple[TensorT, ...]:
    """Parts along an axis: all of a size (the last may be smaller), or of several sizes. Follows torch.split.

    Raises IndexError for an axis out of range, RuntimeError for a size below 1 and for a wrong sum.
    """
    return first(input, "split").split(split_size, dim)


def sqrt(input: TensorT) -> TensorT:
    """√x of each element. The shape stays. Follows torch.sqrt and Array API sqrt."""
    return first(input, "sqrt").sqrt()


def square(input: TensorT) -> TensorT:
    """x² of each element. The shape stays. Follows torch.square and Array API square."""
    return first(input, "square").square()


def squeeze(input: TensorT, dim: int | Sequence[int] | None = None) -> TensorT:
    """The tensor without its axes of size 1, or without those of ``dim`` that have size 1.

    Follows torch.squeeze and Array API squeeze. Raises IndexError for an axis out of range.
    """
    return first(input, "squeeze").squeeze(dim)


def std(
    input: TensorT,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Axes = None,
) -> TensorT:
    """The standard deviation over all axes, or over ``dim``: the root of `var`.

    ``correction`` is 1, or 0 where ``unbiased``, which may stand first, is False. The axes go, or stay with size 1 if
    ``keepdim``. Raises IndexError for an axis out of range. Follows torch.std and Array API std. Raises InvalidRequest
    for complex elements.
    """
    return first(input, "std").std(dim, unbiased, keepdim, correction=correction, axis=axis)


def sub(input: TensorT, other: Operand, *, alpha: Scalar = 1) -> TensorT:
    """``input - alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.sub."""
    return first(input, "sub").sub(other, alpha=alpha)


@overload
def subtract(input: TensorT, other: Operand) -> TensorT: ...
@overload
def subtract(input: Operand, other: Operand) -> Tensor: ...
def subtract(input: Operand, other: Operand) -> Tensor:
    """``input - other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.subtract and Array API subtract. Raises InvalidRequest
    for bool elements.
    """
    return apply_as(Tensor, "subtract", input, other)[0]


def sum(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The sum over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.sum and Array API sum.
    """
    return first(input, "sum").sum(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def swapaxes(input: TensorT, axis0: int, axis1: int) -> TensorT:
    """Two axes exchanged. Raises IndexError for an axis out of range. Follows torch.swapaxes."""
    return first(input, "swapaxes").swapaxes(axis0, axis1)


def swapdims(input: TensorT, axis0: int, axis1: int) -> TensorT:
    """Two axes exchanged. Raises IndexError for an axis out of range. Follows torch.swapdims."""
    return first(input, "swapdims").swapdims(axis0, axis1)


def t(input: TensorT) -> TensorT:
    """The transpose of a matrix; a vector stays. Follows torch.t. Raises RuntimeError for more than two axes."""
    return first(input, "t").t()


def take(input: TensorT, index: Places) -> TensorT:
    """The elements at ``index``, counted through the whole tensor; of the shape of ``index``. Follows torch.take.

    Raises as `index_select`.
    """
    return first(input, "take").take(index)


def take_along_dim(input: TensorT, indices: Recorded, dim: int | None = None) -> TensorT:
    """The elements at ``indices`` along an axis, of each line its own; counted through the whole tensor without one.

    The shapes broadcast along the other axes. Follows torch.take_along_dim and Array API take_along_axis. Raises
    RuntimeError if ``indices`` has another number of axes.
    """
    return first(input, "take_along_dim").take_along_dim(indices, dim)


def tan(input: TensorT) -> TensorT:
    """The tangent of each element, in radians. The shape stays. Follows torch.tan and Array API tan."""
    return first(input, "tan").tan()


def tanh(input: TensorT) -> TensorT:
    """The hyperbolic tangent of each element. The shape stays. Follows torch.tanh and Array API tanh."""
    return first(input, "tanh").tanh()


def tensor_split(input: TensorT, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[TensorT, ...]:
    """Sections along an axis whose sizes differ by 1 at most, or those between indices.

    Raises IndexError for an axis out of range. Follows torch.tensor_split.
    """
    return first(input, "tensor_split").tensor_split(indices_or_sections, dim)


def threshold(input: TensorT, threshold: float, value: float) -> TensorT:
    """x where x > threshold, elsewhere ``value``.

    Raises InvalidRequest if parameters are out of range. Follows torch.threshold.
    """
    return apply("threshold", first(input, "threshold"), threshold=threshold, value=value)


def tile(input: TensorT, dims: int | Sequence[int], *rest: int) -> TensorT:
    """The tensor repeated along its last axes, once along the others. Follows torch.tile and Array API tile."""
    return first(input, "tile").tile(dims, *rest)


def topk(input: TensorT, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices[TensorT]:
    """The ``k`` largest (or smallest) elements of each line along ``dim``, sorted: values and positions.

    Follows torch.topk. Raises RuntimeError if ``k`` is out of range.
    """
    return first(input, "topk").topk(k, dim, largest, sorted)


def trace(input: TensorT) -> TensorT:
    """The sum of the diagonal of a matrix.

    Raises IndexError for an axis out of range. Follows torch.trace and Array API linalg.trace.
    """
    return first(input, "trace").trace()


def transpose(input: TensorT, dim0: int, dim1: int) -> TensorT:
    """The tensor with two axes exchanged. Follows torch.transpose. Raises IndexError for an axis out of range."""
    return first(input, "transpose").transpose(dim0, dim1)


def tril(input: TensorT, diagonal: int = 0) -> TensorT:
    """The lower triangles of matrices (..., n, m), zeros above ``diagonal``. Follows torch.tril and Array API tril.

    Raises InvalidRequest for fewer than two axes.
    """
    return first(input, "tril").tril(diagonal)


def triu(input: TensorT, diagonal: int = 0) -> TensorT:
    """The upper triangles of matrices (..., n, m), zeros below ``diagonal``. Follows torch.triu and Array API triu.

    Raises InvalidRequest for fewer than two axes.
    """
    return first(input, "triu").triu(diagonal)


def true_divide(input: TensorT, other: Operand, *, rounding_mode: str | None = None) -> TensorT:
    """``input / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

    Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
    """
    return first(input, "true_divide").true_divide(other, rounding_mode=rounding_mode)


def trunc(input: TensorT) -> TensorT:
    """Each element without its fractional part.

    The shape stays. Follows torch.trunc and Array API trunc. Raises InvalidRequest for complex elements.
    """
    return first(input, "trunc").trunc()


def unbind(input: TensorT, dim: int = 0) -> tuple[TensorT, ...]:
    """The parts along an axis, without that axis. Follows torch.unbind and Array API unstack."""
    return first(input, "unbind").unbind(dim)


def unflatten(input: TensorT, dim: int, sizes: Sequence[int]) -> TensorT:
    """An axis taken apart into axes of the ``sizes``, of which one may be -1.

    Raises IndexError for an axis out of range. Follows torch.unflatten.
    """
    return first(input, "unflatten").unflatten(dim, sizes)


def unsqueeze(input: TensorT, dim: int) -> TensorT:
    """An axis of size 1 put in at ``dim``. Follows torch.unsqueeze and Array API expand_dims.

    Raises IndexError for an axis out of range.
    """
    return first(input, "unsqueeze").unsqueeze(dim)


def var(
    input: TensorT,
    dim: Axes = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Axes = None,
) -> TensorT:
    """The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.

    ``correction`` is 1, or 0 where ``unbiased``, which may stand first, is False. The axes go, or stay with size 1 if
    ``keepdim``. Raises IndexError for an axis out of range. Follows torch.var and Array API var. Raises InvalidRequest
    for complex elements.
    """
    return first(input, "var").var(dim, unbiased, keepdim, correction=correction, axis=axis)


def vdot(input: TensorT, other: Operand) -> TensorT:
    """The inner product of two vectors (k,), of which the first is conjugated: a scalar. Follows torch.vdot."""
    return first(input, "vdot").vdot(other)


def vsplit(input: TensorT, indices_or_sections: int | Sequence[int]) -> tuple[TensorT, ...]:
    """Sections along the first axis, of a common size or between indices.

    Raises IndexError for an axis out of range. Follows torch.vsplit.
    """
    return first(input, "vsplit").vsplit(indices_or_sections)


@overload
def xlogy(input: TensorT, other: Operand) -> TensorT: ...
@overload
def xlogy(input: Operand, other: Operand) -> Tensor: ...
def xlogy(input: Operand, other: Operand) -> Tensor:
    """x ln(other), 0 where x is 0 and ``other`` is not nan.

    Shapes broadcast; RuntimeError if they do not. Follows torch.xlogy. Raises InvalidRequest for complex elements.
    """
    return apply_as(Tensor, "xlogy", input, other)[0]
