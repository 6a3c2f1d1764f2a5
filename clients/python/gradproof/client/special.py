"""Special functions, by the names of `torch.special`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - functions and their arguments are those of PyTorch

from __future__ import annotations

from typing import TypeVar, overload

from gradproof.client.recording.apply import apply, apply_as
from gradproof.client.tensors.arguments import along, axes_of, first
from gradproof.client.tensors.functions import polygamma
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, given
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "bessel_j0",
    "bessel_j1",
    "bessel_y0",
    "bessel_y1",
    "beta",
    "betaln",
    "digamma",
    "entr",
    "erf",
    "erfc",
    "erfcinv",
    "erfcx",
    "erfinv",
    "exp2",
    "expit",
    "expm1",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i0e",
    "i1",
    "i1e",
    "k0",
    "k0e",
    "k1",
    "k1e",
    "log1p",
    "log_ndtr",
    "log_softmax",
    "logit",
    "logsumexp",
    "modified_bessel_k0",
    "modified_bessel_k1",
    "multigammaln",
    "ndtr",
    "ndtri",
    "polygamma",
    "psi",
    "round",
    "scaled_modified_bessel_k0",
    "scaled_modified_bessel_k1",
    "sinc",
    "softmax",
    "xlog1py",
    "xlogy",
    "zeta",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def bessel_j0(input: TensorT) -> TensorT:
    """The Bessel function of the first kind of order 0.

    The shape stays. Follows torch.special.bessel_j0. Raises InvalidRequest for complex elements.
    """
    return apply("j0", first(input, "bessel_j0"))


def bessel_j1(input: TensorT) -> TensorT:
    """The Bessel function of the first kind of order 1.

    The shape stays. Follows torch.special.bessel_j1. Raises InvalidRequest for complex elements.
    """
    return apply("j1", first(input, "bessel_j1"))


def bessel_y0(input: TensorT) -> TensorT:
    """The Bessel function of the second kind of order 0.

    The shape stays. Follows torch.special.bessel_y0. Raises InvalidRequest for complex elements.
    """
    return apply("y0", first(input, "bessel_y0"))


def bessel_y1(input: TensorT) -> TensorT:
    """The Bessel function of the second kind of order 1.

    The shape stays. Follows torch.special.bessel_y1. Raises InvalidRequest for complex elements.
    """
    return apply("y1", first(input, "bessel_y1"))


@overload
def beta(input: TensorT, other: Operand) -> TensorT: ...
@overload
def beta(input: Operand, other: Operand) -> Tensor: ...
def beta(input: Operand, other: Operand) -> Tensor:
    """The beta function Γ(x) Γ(other) / Γ(x + other).

    Shapes broadcast; RuntimeError if they do not. Follows scipy.special.beta. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "beta", input, other)[0]


@overload
def betaln(input: TensorT, other: Operand) -> TensorT: ...
@overload
def betaln(input: Operand, other: Operand) -> Tensor: ...
def betaln(input: Operand, other: Operand) -> Tensor:
    """The logarithm of the modulus of the beta function.

    Shapes broadcast; RuntimeError if they do not. Follows scipy.special.betaln. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "betaln", input, other)[0]


def digamma(input: TensorT) -> TensorT:
    """The derivative ψ(x) of ln Γ(x) at each element.

    The shape stays. Follows torch.special.digamma. Raises InvalidRequest for complex elements.
    """
    return apply("digamma", first(input, "digamma"))


def entr(input: TensorT) -> TensorT:
    """-x ln x of each element, 0 at 0, -∞ below.

    The shape stays. Follows torch.special.entr. Raises InvalidRequest for complex elements.
    """
    return apply("entr", first(input, "entr"))


def erf(input: TensorT) -> TensorT:
    """The error function of each element. The shape stays. Follows torch.special.erf."""
    return apply("erf", first(input, "erf"))


def erfc(input: TensorT) -> TensorT:
    """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.special.erfc."""
    return apply("erfc", first(input, "erfc"))


def erfcinv(input: TensorT) -> TensorT:
    """The inverse of erfc at each element.

    The shape stays. Follows scipy.special.erfcinv. Raises InvalidRequest for complex elements.
    """
    return apply("erfcinv", first(input, "erfcinv"))


def erfcx(input: TensorT) -> TensorT:
    """e^(x²) erfc(x) of each element, the scaled complementary error function.

    The shape stays. Follows torch.special.erfcx. Raises InvalidRequest for complex elements.
    """
    return apply("erfcx", first(input, "erfcx"))


def erfinv(input: TensorT) -> TensorT:
    """The inverse of the error function at each element.

    The shape stays. Follows torch.special.erfinv. Raises InvalidRequest for complex elements.
    """
    return apply("erfinv", first(input, "erfinv"))


def exp2(input: TensorT) -> TensorT:
    """2ˣ of each element. The shape stays. Follows torch.special.exp2."""
    return apply("exp2", first(input, "exp2"))


def expit(input: TensorT) -> TensorT:
    """The logistic function 1 / (1 + e⁻ˣ) of each element.

    The shape stays. Follows torch.special.expit. Raises InvalidRequest for complex elements.
    """
    return apply("sigmoid", first(input, "expit"))


def expm1(input: TensorT) -> TensorT:
    """eˣ - 1 of each element, accurate near 0. The shape stays. Follows torch.special.expm1."""
    return apply("expm1", first(input, "expm1"))


def gamma(input: TensorT) -> TensorT:
    """Γ(x) of each element.

    The shape stays. Follows scipy.special.gamma. Raises InvalidRequest for complex elements.
    """
    return apply("gamma", first(input, "gamma"))


@overload
def gammainc(input: TensorT, other: Operand) -> TensorT: ...
@overload
def gammainc(input: Operand, other: Operand) -> Tensor: ...
def gammainc(input: Operand, other: Operand) -> Tensor:
    """The regularised lower incomplete gamma function P(x, other). There is no derivative along x.

    Shapes broadcast; RuntimeError if they do not. Follows torch.special.gammainc. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "gammainc", input, other)[0]


@overload
def gammaincc(input: TensorT, other: Operand) -> TensorT: ...
@overload
def gammaincc(input: Operand, other: Operand) -> Tensor: ...
def gammaincc(input: Operand, other: Operand) -> Tensor:
    """The regularised upper incomplete gamma function Q(x, other) = 1 - P(x, other). There is no derivative along x.

    Shapes broadcast; RuntimeError if they do not. Follows torch.special.gammaincc. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "gammaincc", input, other)[0]


def gammaln(input: TensorT) -> TensorT:
    """ln |Γ(x)| of each element.

    The shape stays. Follows torch.special.gammaln. Raises InvalidRequest for complex elements.
    """
    return apply("gammaln", first(input, "gammaln"))


def i0(input: TensorT) -> TensorT:
    """The modified Bessel function of the first kind of order 0.

    The shape stays. Follows torch.special.i0. Raises InvalidRequest for complex elements.
    """
    return apply("i0", first(input, "i0"))


def i0e(input: TensorT) -> TensorT:
    """e^(-|x|) times the modified Bessel function of the first kind of order 0.

    The shape stays. Follows torch.special.i0e. Raises InvalidRequest for complex elements.
    """
    return apply("i0e", first(input, "i0e"))


def i1(input: TensorT) -> TensorT:
    """The modified Bessel function of the first kind of order 1.

    The shape stays. Follows torch.special.i1. Raises InvalidRequest for complex elements.
    """
    return apply("i1", first(input, "i1"))


def i1e(input: TensorT) -> TensorT:
    """e^(-|x|) times the modified Bessel function of the first kind of order 1.

    The shape stays. Follows torch.special.i1e. Raises InvalidRequest for complex elements.
    """
    return apply("i1e", first(input, "i1e"))


def k0(input: TensorT) -> TensorT:
    """The modified Bessel function of the second kind of order 0.

    The shape stays. Follows torch.special.k0. Raises InvalidRequest for complex elements.
    """
    return apply("k0", first(input, "k0"))


def k0e(input: TensorT) -> TensorT:
    """eˣ times the modified Bessel function of the second kind of order 0.

    The shape stays. Follows torch.special.k0e. Raises InvalidRequest for complex elements.
    """
    return apply("k0e", first(input, "k0e"))


def k1(input: TensorT) -> TensorT:
    """The modified Bessel function of the second kind of order 1.

    The shape stays. Follows torch.special.k1. Raises InvalidRequest for complex elements.
    """
    return apply("k1", first(input, "k1"))


def k1e(input: TensorT) -> TensorT:
    """eˣ times the modified Bessel function of the second kind of order 1.

    The shape stays. Follows torch.special.k1e. Raises InvalidRequest for complex elements.
    """
    return apply("k1e", first(input, "k1e"))


def log1p(input: TensorT) -> TensorT:
    """The natural logarithm of 1 + x of each element, accurate near 0.

    The shape stays. Follows torch.special.log1p.
    """
    return apply("log1p", first(input, "log1p"))


def log_ndtr(input: TensorT) -> TensorT:
    """ln Φ(x) of each element, accurate in both tails.

    The shape stays. Follows torch.special.log_ndtr. Raises InvalidRequest for complex elements.
    """
    return apply("log_ndtr", first(input, "log_ndtr"))


def log_softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.special.log_softmax.
    """
    return along("log_softmax", first(input, "log_softmax") if dtype is None else input.to(dtype), dim)


def logit(input: TensorT, eps: float | None = None) -> TensorT:
    """ln(x / (1 - x)) of each element, which is first limited to [``eps``, 1 - ``eps``] if there is one.

    The shape stays. Follows torch.special.logit. Raises InvalidRequest for complex elements.
    """
    return apply("logit", first(input, "logit"), eps=eps)


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
    an axis out of range. Follows torch.special.logsumexp.
    """
    return apply(
        "logsumexp",
        first(input, "logsumexp") if dtype is None else input.to(dtype),
        *given(b),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def modified_bessel_k0(input: TensorT) -> TensorT:
    """The modified Bessel function of the second kind of order 0.

    The shape stays. Follows torch.special.modified_bessel_k0. Raises InvalidRequest for complex elements.
    """
    return apply("k0", first(input, "modified_bessel_k0"))


def modified_bessel_k1(input: TensorT) -> TensorT:
    """The modified Bessel function of the second kind of order 1.

    The shape stays. Follows torch.special.modified_bessel_k1. Raises InvalidRequest for complex elements.
    """
    return apply("k1", first(input, "modified_bessel_k1"))


def multigammaln(input: TensorT, p: int) -> TensorT:
    """The logarithm of the multivariate gamma function of dimension ``p`` at each element.

    The shape stays. Follows torch.special.multigammaln. Raises InvalidRequest for complex elements.
    """
    return apply("multigammaln", first(input, "multigammaln"), d=p)


def ndtr(input: TensorT) -> TensorT:
    """The normal distribution function Φ(x) of each element.

    The shape stays. Follows torch.special.ndtr. Raises InvalidRequest for complex elements.
    """
    return apply("ndtr", first(input, "ndtr"))


def ndtri(input: TensorT) -> TensorT:
    """The inverse of the normal distribution function at each element.

    The shape stays. Follows torch.special.ndtri. Raises InvalidRequest for complex elements.
    """
    return apply("ndtri", first(input, "ndtri"))


def psi(input: TensorT) -> TensorT:
    """The derivative ψ(x) of ln Γ(x) at each element.

    The shape stays. Follows torch.special.psi. Raises InvalidRequest for complex elements.
    """
    return apply("digamma", first(input, "psi"))


def round(input: TensorT, *, decimals: int = 0) -> TensorT:
    """The nearest multiple of 10 to the power -``decimals`` of each element; a half goes to the even one.

    The shape stays. Follows torch.special.round.
    """
    return apply("round", first(input, "round"), decimals=decimals)


def scaled_modified_bessel_k0(input: TensorT) -> TensorT:
    """eˣ times the modified Bessel function of the second kind of order 0.

    The shape stays. Follows torch.special.scaled_modified_bessel_k0. Raises InvalidRequest for complex elements.
    """
    return apply("k0e", first(input, "scaled_modified_bessel_k0"))


def scaled_modified_bessel_k1(input: TensorT) -> TensorT:
    """eˣ times the modified Bessel function of the second kind of order 1.

    The shape stays. Follows torch.special.scaled_modified_bessel_k1. Raises InvalidRequest for complex elements.
    """
    return apply("k1e", first(input, "scaled_modified_bessel_k1"))


def sinc(input: TensorT) -> TensorT:
    """sin(πx) / (πx) of each element, 1 at 0. The shape stays. Follows torch.special.sinc."""
    return apply("sinc", first(input, "sinc"))


def softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.special.softmax.
    """
    return along("softmax", first(input, "softmax") if dtype is None else input.to(dtype), dim)


@overload
def xlog1py(input: TensorT, other: Operand) -> TensorT: ...
@overload
def xlog1py(input: Operand, other: Operand) -> Tensor: ...
def xlog1py(input: Operand, other: Operand) -> Tensor:
    """x ln(1 + other), 0 where x is 0 and ``other`` is not nan.

    Shapes broadcast; RuntimeError if they do not. Follows torch.special.xlog1py. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "xlog1py", input, other)[0]


@overload
def xlogy(input: TensorT, other: Operand) -> TensorT: ...
@overload
def xlogy(input: Operand, other: Operand) -> Tensor: ...
def xlogy(input: Operand, other: Operand) -> Tensor:
    """x ln(other), 0 where x is 0 and ``other`` is not nan.

    Shapes broadcast; RuntimeError if they do not. Follows torch.special.xlogy. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "xlogy", input, other)[0]


@overload
def zeta(input: TensorT, other: Operand) -> TensorT: ...
@overload
def zeta(input: Operand, other: Operand) -> Tensor: ...
def zeta(input: Operand, other: Operand) -> Tensor:
    """The zeta function of Hurwitz, Σ (other + k)⁻ˣ over k >= 0. There is no derivative along x.

    Shapes broadcast; RuntimeError if they do not. Follows torch.special.zeta. Raises InvalidRequest for complex
    elements.
    """
    return apply_as(Tensor, "zeta", input, other)[0]
