"""Functions that call the method of the same name: ``exp(x)`` is ``x.exp()``.

Generated from the methods named in ``method_table.py`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - names of functions and arguments are those of PyTorch

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.ordering import ValuesAndIndices
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, Places, Scalar
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bmm",
    "broadcast_to",
    "ceil",
    "chunk",
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "clone",
    "conj",
    "cos",
    "cosh",
    "cumprod",
    "cumsum",
    "det",
    "diagonal",
    "div",
    "divide",
    "dot",
    "eq",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "frac",
    "gather",
    "ge",
    "gelu",
    "gt",
    "hypot",
    "imag",
    "index_select",
    "inverse",
    "is_complex",
    "is_floating_point",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "mean",
    "min",
    "mm",
    "mul",
    "multiply",
    "mv",
    "narrow",
    "ne",
    "neg",
    "norm",
    "numel",
    "outer",
    "permute",
    "pow",
    "prod",
    "real",
    "reciprocal",
    "relu",
    "remainder",
    "reshape",
    "round",
    "rsqrt",
    "select",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "std",
    "sub",
    "subtract",
    "sum",
    "t",
    "take",
    "tan",
    "tanh",
    "topk",
    "trace",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unbind",
    "unsqueeze",
    "var",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def _tensor(x: TensorT, function: str) -> TensorT:
    """``x``, which must be a tensor; TypeError otherwise."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{function}(): the first argument must be a Tensor, not {type(x).__name__}")
    return x


def abs(x: TensorT) -> TensorT:
    """The absolute value |x| of each element; of complex elements the modulus, of real dtype.

    The shape stays. Follows torch.abs and Array API abs.
    """
    return _tensor(x, "abs").abs()


def acos(x: TensorT) -> TensorT:
    """The inverse cosine of each element, in radians. The shape stays. Follows torch.acos and Array API acos."""
    return _tensor(x, "acos").acos()


def acosh(x: TensorT) -> TensorT:
    """The inverse hyperbolic cosine of each element. The shape stays. Follows torch.acosh and Array API acosh."""
    return _tensor(x, "acosh").acosh()


def add(x: TensorT, other: Operand, *, alpha: Scalar = 1) -> TensorT:
    """``x + alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.add."""
    return _tensor(x, "add").add(other, alpha=alpha)


def all(x: TensorT, dim: Axes = None, keepdim: bool = False) -> TensorT:
    """True if all elements, over all axes or ``dim``, are not 0; bool. Follows torch.all and Array API all."""
    return _tensor(x, "all").all(dim, keepdim)


def amax(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The largest element over all axes, or over ``dim``; ties share the gradient evenly.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.amax and Array API max.
    """
    return _tensor(x, "amax").amax(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def amin(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The smallest element over all axes, or over ``dim``; ties share the gradient evenly.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.amin and Array API min.
    """
    return _tensor(x, "amin").amin(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def any(x: TensorT, dim: Axes = None, keepdim: bool = False) -> TensorT:
    """True if an element, over all axes or ``dim``, is not 0; bool. Follows torch.any and Array API any."""
    return _tensor(x, "any").any(dim, keepdim)


def argmax(x: TensorT, dim: int | None = None, keepdim: bool = False) -> TensorT:
    """The position of the largest element (of several the first), counted through the whole tensor or along ``dim``;
    int64. Follows torch.argmax and Array API argmax.
    """
    return _tensor(x, "argmax").argmax(dim, keepdim)


def argmin(x: TensorT, dim: int | None = None, keepdim: bool = False) -> TensorT:
    """The position of the smallest element (of several the first), counted through the whole tensor or along ``dim``;
    int64. Follows torch.argmin and Array API argmin.
    """
    return _tensor(x, "argmin").argmin(dim, keepdim)


def argsort(x: TensorT, dim: int = -1, descending: bool = False, stable: bool = True) -> TensorT:
    """The positions along ``dim`` that sort each line; int64. The sort is stable even if ``stable`` is False.

    Follows torch.argsort and Array API argsort.
    """
    return _tensor(x, "argsort").argsort(dim, descending, stable)


def asin(x: TensorT) -> TensorT:
    """The inverse sine of each element, in radians. The shape stays. Follows torch.asin and Array API asin."""
    return _tensor(x, "asin").asin()


def asinh(x: TensorT) -> TensorT:
    """The inverse hyperbolic sine of each element. The shape stays. Follows torch.asinh and Array API asinh."""
    return _tensor(x, "asinh").asinh()


def atan(x: TensorT) -> TensorT:
    """The inverse tangent of each element, in radians. The shape stays. Follows torch.atan and Array API atan."""
    return _tensor(x, "atan").atan()


def atan2(x: TensorT, other: Operand) -> TensorT:
    """The angle of the point (other, x), in radians.

    Shapes broadcast; RuntimeError if they do not. Follows torch.atan2 and Array API atan2. Raises InvalidRequest for
    complex elements.
    """
    return _tensor(x, "atan2").atan2(other)


def atanh(x: TensorT) -> TensorT:
    """The inverse hyperbolic tangent of each element. The shape stays. Follows torch.atanh and Array API atanh."""
    return _tensor(x, "atanh").atanh()


def bmm(x: TensorT, other: Operand) -> TensorT:
    """The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.bmm.
    """
    return _tensor(x, "bmm").bmm(other)


def broadcast_to(x: TensorT, shape: int | Sequence[int], *rest: int) -> TensorT:
    """The tensor broadcast to ``shape``; -1 keeps a size.

    Follows torch.Tensor.expand and Array API broadcast_to. Raises RuntimeError for too few sizes, InvalidRequest
    if they do not fit.
    """
    return _tensor(x, "broadcast_to").broadcast_to(shape, *rest)


def ceil(x: TensorT) -> TensorT:
    """The smallest integer from each element on.

    The shape stays. Follows torch.ceil and Array API ceil. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "ceil").ceil()


def chunk(x: TensorT, chunks: int, dim: int = 0) -> tuple[TensorT, ...]:
    """At most ``chunks`` parts along an axis, of a common size (the last may be smaller). Follows torch.chunk."""
    return _tensor(x, "chunk").chunk(chunks, dim)


def clamp(x: TensorT, min: Operand | None = None, max: Operand | None = None) -> TensorT:
    """The elements limited to [``min``, ``max``]; None is no limit. At a limit the gradient is 1.

    Follows torch.clamp and Array API clip. Raises RuntimeError if both limits are None.
    """
    return _tensor(x, "clamp").clamp(min, max)


def clamp_max(x: TensorT, max: Operand) -> TensorT:
    """The elements, but ``max`` where they are larger. Follows torch.clamp_max."""
    return _tensor(x, "clamp_max").clamp_max(max)


def clamp_min(x: TensorT, min: Operand) -> TensorT:
    """The elements, but ``min`` where they are smaller. Follows torch.clamp_min."""
    return _tensor(x, "clamp_min").clamp_min(min)


def clip(x: TensorT, min: Operand | None = None, max: Operand | None = None) -> TensorT:
    """The elements limited to [``min``, ``max``]; None is no limit. At a limit the gradient is 1.

    Follows torch.clamp and Array API clip. Raises RuntimeError if both limits are None.
    """
    return _tensor(x, "clip").clip(min, max)


def clone(x: TensorT) -> TensorT:
    """A copy through which gradients flow. Follows torch.clone."""
    return _tensor(x, "clone").clone()


def conj(x: TensorT) -> TensorT:
    """The complex conjugate; the tensor itself if it is not complex. Follows torch.conj and Array API conj."""
    return _tensor(x, "conj").conj()


def cos(x: TensorT) -> TensorT:
    """The cosine of each element, in radians. The shape stays. Follows torch.cos and Array API cos."""
    return _tensor(x, "cos").cos()


def cosh(x: TensorT) -> TensorT:
    """The hyperbolic cosine of each element. The shape stays. Follows torch.cosh and Array API cosh."""
    return _tensor(x, "cosh").cosh()


def cumprod(x: TensorT, dim: int = 0) -> TensorT:
    """Running products along ``dim``; the shape stays.

    Raises InvalidRequest for an axis out of range. Follows torch.cumprod and Array API cumulative_prod.
    """
    return _tensor(x, "cumprod").cumprod(dim)


def cumsum(x: TensorT, dim: int = 0) -> TensorT:
    """Running sums along ``dim``; the shape stays.

    Raises InvalidRequest for an axis out of range. Follows torch.cumsum and Array API cumulative_sum.
    """
    return _tensor(x, "cumsum").cumsum(dim)


def det(x: TensorT) -> TensorT:
    """The determinants of matrices (..., n, n), of shape (...). Follows torch.det and Array API linalg.det.

    Raises InvalidRequest if the matrices are not square.
    """
    return _tensor(x, "det").det()


def diagonal(x: TensorT) -> TensorT:
    """The diagonal of a matrix (n, m), of shape (min(n, m),). Follows torch.diagonal and Array API linalg.diagonal.

    Raises RuntimeError if the tensor is no matrix.
    """
    return _tensor(x, "diagonal").diagonal()


def div(x: TensorT, other: Operand, *, rounding_mode: str | None = None) -> TensorT:
    """``x / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

    Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
    """
    return _tensor(x, "div").div(other, rounding_mode=rounding_mode)


def divide(x: TensorT, other: Operand, *, rounding_mode: str | None = None) -> TensorT:
    """``x / other``; the quotient is rounded down or towards 0 if ``rounding_mode`` is "floor" or "trunc".

    Follows torch.div and Array API divide. Raises RuntimeError for another mode, or if shapes do not broadcast.
    """
    return _tensor(x, "divide").divide(other, rounding_mode=rounding_mode)


def dot(x: TensorT, other: Operand) -> TensorT:
    """The inner product of two vectors (k,): a scalar.

    Raises InvalidRequest if shapes do not fit. Follows torch.dot.
    """
    return _tensor(x, "dot").dot(other)


def eq(x: TensorT, other: Operand) -> TensorT:
    """True where ``x == other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.eq and Array API equal.
    """
    return _tensor(x, "eq").eq(other)


def erf(x: TensorT) -> TensorT:
    """The error function of each element. The shape stays. Follows torch.erf."""
    return _tensor(x, "erf").erf()


def erfc(x: TensorT) -> TensorT:
    """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.erfc."""
    return _tensor(x, "erfc").erfc()


def exp(x: TensorT) -> TensorT:
    """eˣ of each element. The shape stays. Follows torch.exp and Array API exp."""
    return _tensor(x, "exp").exp()


def exp2(x: TensorT) -> TensorT:
    """2ˣ of each element. The shape stays. Follows torch.exp2."""
    return _tensor(x, "exp2").exp2()


def expm1(x: TensorT) -> TensorT:
    """eˣ - 1 of each element, accurate near 0. The shape stays. Follows torch.expm1 and Array API expm1."""
    return _tensor(x, "expm1").expm1()


def flatten(x: TensorT, start_dim: int = 0, end_dim: int = -1) -> TensorT:
    """The axes from ``start_dim`` to ``end_dim`` joined to a single axis.

    Follows torch.flatten. Raises IndexError for an axis out of range, RuntimeError if the axes are in reverse.
    """
    return _tensor(x, "flatten").flatten(start_dim, end_dim)


def flip(x: TensorT, dims: int | Sequence[int], *rest: int) -> TensorT:
    """The order of elements reversed along axes. Follows torch.flip and Array API flip.

    Raises InvalidRequest for an axis out of range.
    """
    return _tensor(x, "flip").flip(dims, *rest)


def floor(x: TensorT) -> TensorT:
    """The largest integer up to each element.

    The shape stays. Follows torch.floor and Array API floor. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "floor").floor()


def floor_divide(x: TensorT, other: Operand) -> TensorT:
    """The largest integer up to ``x / other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.floor_divide and Array API floor_divide. Raises
    InvalidRequest for complex elements.
    """
    return _tensor(x, "floor_divide").floor_divide(other)


def frac(x: TensorT) -> TensorT:
    """The fractional part of each element, with its sign. Follows torch.frac. InvalidRequest for complex elements."""
    return _tensor(x, "frac").frac()


def gather(x: TensorT, dim: int, index: Recorded) -> TensorT:
    """For each position of ``index`` the element there, but at ``index`` along ``dim``; of the shape of ``index``.

    Follows torch.gather and Array API take_along_axis. Raises RuntimeError if ``index`` has another number of axes, or
    is larger along another axis than ``dim``.
    """
    return _tensor(x, "gather").gather(dim, index)


def ge(x: TensorT, other: Operand) -> TensorT:
    """True where ``x >= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.ge and Array API greater_equal.
    """
    return _tensor(x, "ge").ge(other)


def gelu(x: TensorT) -> TensorT:
    """x Φ(x) of each element, Φ the normal distribution function (no tanh approximation).

    The shape stays. Follows torch.nn.functional.gelu.
    """
    return _tensor(x, "gelu").gelu()


def gt(x: TensorT, other: Operand) -> TensorT:
    """True where ``x > other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.gt and Array API greater.
    """
    return _tensor(x, "gt").gt(other)


def hypot(x: TensorT, other: Operand) -> TensorT:
    """``sqrt(x**2 + other**2)``, without overflow in between.

    Shapes broadcast; RuntimeError if they do not. Follows torch.hypot and Array API hypot. Raises InvalidRequest for
    complex elements.
    """
    return _tensor(x, "hypot").hypot(other)


def imag(x: TensorT) -> TensorT:
    """The imaginary part. Follows torch.imag and Array API imag. Raises RuntimeError if the tensor is not complex."""
    return _tensor(x, "imag").imag


def index_select(x: TensorT, dim: int, index: Places) -> TensorT:
    """The parts at the positions ``index`` along an axis. Follows torch.index_select and Array API take.

    Raises IndexError for an axis out of range.
    """
    return _tensor(x, "index_select").index_select(dim, index)


def inverse(x: TensorT) -> TensorT:
    """The inverses of matrices (..., n, n). Follows torch.inverse and Array API linalg.inv.

    Raises InvalidRequest if the matrices are not square; DataFault, when the value is computed, for a singular matrix.
    """
    return _tensor(x, "inverse").inverse()


def is_complex(x: TensorT) -> bool:
    """True if the dtype is complex. Follows torch.is_complex."""
    return _tensor(x, "is_complex").is_complex()


def is_floating_point(x: TensorT) -> bool:
    """True if its numbers are real and floating point. Follows torch.is_floating_point."""
    return _tensor(x, "is_floating_point").is_floating_point()


def isfinite(x: TensorT) -> TensorT:
    """True where an element is neither infinite nor nan; bool. Follows torch.isfinite and Array API isfinite."""
    return _tensor(x, "isfinite").isfinite()


def isinf(x: TensorT) -> TensorT:
    """True where an element is infinite; bool. Follows torch.isinf and Array API isinf."""
    return _tensor(x, "isinf").isinf()


def isnan(x: TensorT) -> TensorT:
    """True where an element is nan; bool. Follows torch.isnan and Array API isnan."""
    return _tensor(x, "isnan").isnan()


def le(x: TensorT, other: Operand) -> TensorT:
    """True where ``x <= other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.le and Array API less_equal.
    """
    return _tensor(x, "le").le(other)


def log(x: TensorT) -> TensorT:
    """The natural logarithm of each element. The shape stays. Follows torch.log and Array API log."""
    return _tensor(x, "log").log()


def log10(x: TensorT) -> TensorT:
    """The logarithm to base 10 of each element. The shape stays. Follows torch.log10 and Array API log10."""
    return _tensor(x, "log10").log10()


def log1p(x: TensorT) -> TensorT:
    """The natural logarithm of 1 + x of each element, accurate near 0.

    The shape stays. Follows torch.log1p and Array API log1p.
    """
    return _tensor(x, "log1p").log1p()


def log2(x: TensorT) -> TensorT:
    """The logarithm to base 2 of each element. The shape stays. Follows torch.log2 and Array API log2."""
    return _tensor(x, "log2").log2()


def log_softmax(x: TensorT, dim: int = -1) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Raises InvalidRequest for an axis out of range. Follows torch.nn.functional.log_softmax.
    """
    return _tensor(x, "log_softmax").log_softmax(dim)


def logaddexp(x: TensorT, other: Operand) -> TensorT:
    """``log(exp(x) + exp(other))``, without overflow in between.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp and Array API logaddexp. Raises
    InvalidRequest for complex elements.
    """
    return _tensor(x, "logaddexp").logaddexp(other)


def logical_and(x: TensorT, other: Operand) -> TensorT:
    """True where both are not 0; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logical_and and Array API logical_and.
    """
    return _tensor(x, "logical_and").logical_and(other)


def logical_not(x: TensorT) -> TensorT:
    """True where an element is 0; bool. The shape stays. Follows torch.logical_not and Array API logical_not."""
    return _tensor(x, "logical_not").logical_not()


def logical_or(x: TensorT, other: Operand) -> TensorT:
    """True where either is not 0; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.logical_or and Array API logical_or.
    """
    return _tensor(x, "logical_or").logical_or(other)


def logical_xor(x: TensorT, other: Operand) -> TensorT:
    """True where either, but not both, is not 0; bool. Shapes broadcast. Follows torch.logical_xor."""
    return _tensor(x, "logical_xor").logical_xor(other)


def logsumexp(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """ln Σ eˣ over all axes, or over ``dim``, without overflow in between.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.logsumexp.
    """
    return _tensor(x, "logsumexp").logsumexp(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def lt(x: TensorT, other: Operand) -> TensorT:
    """True where ``x < other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.lt and Array API less.
    """
    return _tensor(x, "lt").lt(other)


def masked_fill(x: TensorT, mask: Operand, value: Operand) -> TensorT:
    """``value`` where ``mask`` is not 0, the elements elsewhere. Shapes broadcast. Follows torch.masked_fill."""
    return _tensor(x, "masked_fill").masked_fill(mask, value)


def masked_select(x: TensorT, mask: Recorded) -> TensorT:
    """The elements where ``mask`` is true, as a vector. Shapes broadcast. Follows torch.masked_select."""
    return _tensor(x, "masked_select").masked_select(mask)


def matmul(x: TensorT, other: Operand) -> TensorT:
    """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.matmul and Array API matmul.
    """
    return _tensor(x, "matmul").matmul(other)


@overload
def max(x: TensorT, dim: None = None, keepdim: bool = False) -> TensorT: ...


@overload
def max(x: TensorT, dim: int, keepdim: bool = False) -> ValuesAndIndices[TensorT]: ...


@overload
def max(x: TensorT, dim: Recorded) -> TensorT: ...


@overload
def max(x: TensorT, dim: int | Recorded | None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]: ...


def max(x: TensorT, dim: int | Recorded | None = None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]:
    """The largest of all elements (ties share the gradient evenly); over an axis the largest of each line and the
    positions; beside a tensor `maximum`. Follows torch.max.
    """
    return _tensor(x, "max").max(dim, keepdim)


def mean(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The mean over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.mean and Array API mean.
    """
    return _tensor(x, "mean").mean(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


@overload
def min(x: TensorT, dim: None = None, keepdim: bool = False) -> TensorT: ...


@overload
def min(x: TensorT, dim: int, keepdim: bool = False) -> ValuesAndIndices[TensorT]: ...


@overload
def min(x: TensorT, dim: Recorded) -> TensorT: ...


@overload
def min(x: TensorT, dim: int | Recorded | None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]: ...


def min(x: TensorT, dim: int | Recorded | None = None, keepdim: bool = False) -> TensorT | ValuesAndIndices[TensorT]:
    """The smallest of all elements (ties share the gradient evenly); over an axis the smallest of each line and the
    positions; beside a tensor `minimum`. Follows torch.min.
    """
    return _tensor(x, "min").min(dim, keepdim)


def mm(x: TensorT, other: Operand) -> TensorT:
    """The matrix product of (n, k) and (k, m): (n, m).

    Raises InvalidRequest if shapes do not fit. Follows torch.mm.
    """
    return _tensor(x, "mm").mm(other)


def mul(x: TensorT, other: Operand) -> TensorT:
    """``x * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.mul and Array API multiply."""
    return _tensor(x, "mul").mul(other)


def multiply(x: TensorT, other: Operand) -> TensorT:
    """``x * other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.multiply and Array API multiply.
    """
    return _tensor(x, "multiply").multiply(other)


def mv(x: TensorT, other: Operand) -> TensorT:
    """The product of a matrix (n, k) and a vector (k,): (n,).

    Raises InvalidRequest if shapes do not fit. Follows torch.mv.
    """
    return _tensor(x, "mv").mv(other)


def narrow(x: TensorT, dim: int, start: int, length: int) -> TensorT:
    """The ``length`` parts along an axis from ``start`` on. Follows torch.narrow.

    Raises IndexError for an axis, RuntimeError for a part out of range.
    """
    return _tensor(x, "narrow").narrow(dim, start, length)


def ne(x: TensorT, other: Operand) -> TensorT:
    """True where ``x != other``; bool.

    Shapes broadcast; RuntimeError if they do not. Follows torch.ne and Array API not_equal.
    """
    return _tensor(x, "ne").ne(other)


def neg(x: TensorT) -> TensorT:
    """-x of each element.

    The shape stays. Follows torch.neg and Array API negative. Raises InvalidRequest for bool elements.
    """
    return _tensor(x, "neg").neg()


def norm(x: TensorT, p: float | str = 2, dim: Axes = None, keepdim: bool = False) -> TensorT:
    """The norm of order ``p`` (2 or "fro", 1, or infinity) of the elements over all axes, or over ``dim``.

    Follows torch.norm and Array API linalg.vector_norm. Raises RuntimeError for another order.
    """
    return _tensor(x, "norm").norm(p, dim, keepdim)


def numel(x: TensorT) -> int:
    """The number of elements. Follows torch.numel."""
    return _tensor(x, "numel").numel()


def outer(x: TensorT, other: Recorded) -> TensorT:
    """The products of all pairs of elements of two vectors (n,) and (m,); (n, m). Follows torch.outer and Array API
    linalg.outer.
    """
    return _tensor(x, "outer").outer(other)


def permute(x: TensorT, dims: int | Sequence[int], *rest: int) -> TensorT:
    """The axes in another order. Follows torch.permute and Array API permute_dims.

    Raises InvalidRequest if ``dims`` is not an order of all axes.
    """
    return _tensor(x, "permute").permute(dims, *rest)


def pow(x: TensorT, other: Operand) -> TensorT:
    """``x ** other``. Shapes broadcast; RuntimeError if they do not. Follows torch.pow and Array API pow."""
    return _tensor(x, "pow").pow(other)


def prod(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The product over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.prod and Array API prod.
    """
    return _tensor(x, "prod").prod(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def real(x: TensorT) -> TensorT:
    """The real part; the tensor itself if it is not complex. Follows torch.real and Array API real."""
    return _tensor(x, "real").real


def reciprocal(x: TensorT) -> TensorT:
    """1 / x of each element. The shape stays. Follows torch.reciprocal and Array API reciprocal."""
    return _tensor(x, "reciprocal").reciprocal()


def relu(x: TensorT) -> TensorT:
    """The larger of x and 0, element by element. The shape stays. Follows torch.relu."""
    return _tensor(x, "relu").relu()


def remainder(x: TensorT, other: Operand) -> TensorT:
    """``x - other * floor(x / other)``, which has the sign of ``other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.remainder and Array API remainder. Raises
    InvalidRequest for complex elements.
    """
    return _tensor(x, "remainder").remainder(other)


def reshape(x: TensorT, shape: int | Sequence[int], *rest: int) -> TensorT:
    """The elements, in C order, in another shape, of which one size may be -1.

    Follows torch.reshape and Array API reshape. Raises RuntimeError if the number of elements differs.
    """
    return _tensor(x, "reshape").reshape(shape, *rest)


def round(x: TensorT) -> TensorT:
    """The nearest integer of each element; a half goes to the even one.

    The shape stays. Follows torch.round and Array API round.
    """
    return _tensor(x, "round").round()


def rsqrt(x: TensorT) -> TensorT:
    """1 / √x of each element. The shape stays. Follows torch.rsqrt."""
    return _tensor(x, "rsqrt").rsqrt()


def select(x: TensorT, dim: int, index: int) -> TensorT:
    """The part at ``index`` along an axis, without that axis. Follows torch.select. Raises IndexError out of range."""
    return _tensor(x, "select").select(dim, index)


def sigmoid(x: TensorT) -> TensorT:
    """The logistic function 1 / (1 + e⁻ˣ) of each element.

    The shape stays. Follows torch.sigmoid. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "sigmoid").sigmoid()


def sign(x: TensorT) -> TensorT:
    """The sign -1, 0 or 1 of each element; x / |x| of complex elements.

    The shape stays. Follows torch.sgn and Array API sign. Raises InvalidRequest for bool elements.
    """
    return _tensor(x, "sign").sign()


def silu(x: TensorT) -> TensorT:
    """x · sigmoid(x) of each element.

    The shape stays. Follows torch.nn.functional.silu. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "silu").silu()


def sin(x: TensorT) -> TensorT:
    """The sine of each element, in radians. The shape stays. Follows torch.sin and Array API sin."""
    return _tensor(x, "sin").sin()


def sinh(x: TensorT) -> TensorT:
    """The hyperbolic sine of each element. The shape stays. Follows torch.sinh and Array API sinh."""
    return _tensor(x, "sinh").sinh()


def softmax(x: TensorT, dim: int = -1) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Raises InvalidRequest for an axis out of range. Follows torch.softmax.
    """
    return _tensor(x, "softmax").softmax(dim)


def softplus(x: TensorT) -> TensorT:
    """ln(1 + eˣ) of each element.

    The shape stays. Follows torch.nn.functional.softplus. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "softplus").softplus()


def sort(x: TensorT, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesAndIndices[TensorT]:
    """Each line along ``dim`` sorted: values and positions. The sort is stable even if ``stable`` is False.

    Follows torch.sort and Array API sort.
    """
    return _tensor(x, "sort").sort(dim, descending, stable)


def split(x: TensorT, sizes: int | Sequence[int], dim: int = 0) -> tuple[TensorT, ...]:
    """Parts along an axis: all of a size (the last may be smaller), or of ``sizes``. Follows torch.split.

    Raises IndexError for an axis out of range, RuntimeError for a size below 1, InvalidRequest for a wrong sum.
    """
    return _tensor(x, "split").split(sizes, dim)


def sqrt(x: TensorT) -> TensorT:
    """√x of each element. The shape stays. Follows torch.sqrt and Array API sqrt."""
    return _tensor(x, "sqrt").sqrt()


def square(x: TensorT) -> TensorT:
    """x² of each element. The shape stays. Follows torch.square and Array API square."""
    return _tensor(x, "square").square()


def squeeze(x: TensorT, dim: int | Sequence[int] | None = None) -> TensorT:
    """The tensor without its axes of size 1, or without those of ``dim`` that have size 1.

    Follows torch.squeeze and Array API squeeze. Raises IndexError for an axis out of range.
    """
    return _tensor(x, "squeeze").squeeze(dim)


def std(
    x: TensorT,
    dim: Axes = None,
    unbiased: bool = True,
    *,
    correction: int | None = None,
    keepdim: bool = False,
    axis: Axes = None,
) -> TensorT:
    """The standard deviation over all axes, or over ``dim``: the root of `var`.

    ``correction`` is 1, or 0 where ``unbiased`` is False. The axes go, or stay with size 1 if ``keepdim``. Raises
    InvalidRequest for an axis out of range. Follows torch.std and Array API std. Raises InvalidRequest for complex
    elements.
    """
    return _tensor(x, "std").std(dim, unbiased, correction=correction, keepdim=keepdim, axis=axis)


def sub(x: TensorT, other: Operand, *, alpha: Scalar = 1) -> TensorT:
    """``x - alpha * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.sub."""
    return _tensor(x, "sub").sub(other, alpha=alpha)


def subtract(x: TensorT, other: Operand) -> TensorT:
    """``x - other``.

    Shapes broadcast; RuntimeError if they do not. Follows torch.subtract and Array API subtract. Raises InvalidRequest
    for bool elements.
    """
    return _tensor(x, "subtract").subtract(other)


def sum(
    x: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """The sum over all axes, or over ``dim``.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises InvalidRequest
    for an axis out of range. Follows torch.sum and Array API sum.
    """
    return _tensor(x, "sum").sum(dim, keepdim, axis=axis, keepdims=keepdims, dtype=dtype)


def t(x: TensorT) -> TensorT:
    """The transpose of a matrix; a vector stays. Follows torch.t. Raises RuntimeError for more than two axes."""
    return _tensor(x, "t").t()


def take(x: TensorT, index: Places) -> TensorT:
    """The elements at ``index``, counted through the whole tensor; of the shape of ``index``. Follows torch.take."""
    return _tensor(x, "take").take(index)


def tan(x: TensorT) -> TensorT:
    """The tangent of each element, in radians. The shape stays. Follows torch.tan and Array API tan."""
    return _tensor(x, "tan").tan()


def tanh(x: TensorT) -> TensorT:
    """The hyperbolic tangent of each element. The shape stays. Follows torch.tanh and Array API tanh."""
    return _tensor(x, "tanh").tanh()


def topk(x: TensorT, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices[TensorT]:
    """The ``k`` largest (or smallest) elements of each line along ``dim``, sorted: values and positions.

    Follows torch.topk. Raises RuntimeError if ``k`` is out of range.
    """
    return _tensor(x, "topk").topk(k, dim, largest, sorted)


def trace(x: TensorT) -> TensorT:
    """The sum of the diagonal of a matrix; a scalar. Follows torch.trace. Raises as `diagonal`."""
    return _tensor(x, "trace").trace()


def transpose(x: TensorT, dim0: int, dim1: int) -> TensorT:
    """The tensor with two axes exchanged. Follows torch.transpose. Raises IndexError for an axis out of range."""
    return _tensor(x, "transpose").transpose(dim0, dim1)


def tril(x: TensorT, diagonal: int = 0) -> TensorT:
    """The lower triangles of matrices (..., n, m), zeros above ``diagonal``. Follows torch.tril and Array API tril.

    Raises InvalidRequest for fewer than two axes.
    """
    return _tensor(x, "tril").tril(diagonal)


def triu(x: TensorT, diagonal: int = 0) -> TensorT:
    """The upper triangles of matrices (..., n, m), zeros below ``diagonal``. Follows torch.triu and Array API triu.

    Raises InvalidRequest for fewer than two axes.
    """
    return _tensor(x, "triu").triu(diagonal)


def trunc(x: TensorT) -> TensorT:
    """Each element without its fractional part.

    The shape stays. Follows torch.trunc and Array API trunc. Raises InvalidRequest for complex elements.
    """
    return _tensor(x, "trunc").trunc()


def unbind(x: TensorT, dim: int = 0) -> tuple[TensorT, ...]:
    """The parts along an axis, without that axis. Follows torch.unbind and Array API unstack."""
    return _tensor(x, "unbind").unbind(dim)


def unsqueeze(x: TensorT, dim: int) -> TensorT:
    """An axis of size 1 put in at ``dim``. Follows torch.unsqueeze and Array API expand_dims.

    Raises InvalidRequest for an axis out of range.
    """
    return _tensor(x, "unsqueeze").unsqueeze(dim)


def var(
    x: TensorT,
    dim: Axes = None,
    unbiased: bool = True,
    *,
    correction: int | None = None,
    keepdim: bool = False,
    axis: Axes = None,
) -> TensorT:
    """The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.

    ``correction`` is 1, or 0 where ``unbiased`` is False. The axes go, or stay with size 1 if ``keepdim``. Raises
    InvalidRequest for an axis out of range. Follows torch.var and Array API var. Raises InvalidRequest for complex
    elements.
    """
    return _tensor(x, "var").var(dim, unbiased, correction=correction, keepdim=keepdim, axis=axis)
