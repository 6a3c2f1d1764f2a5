"""Special functions, by the names of `torch.special`.

Generated from ``client_names`` by ``make methods``; do not edit.
"""
# ruff: noqa: A001, A002 - functions and their arguments are those of PyTorch

from __future__ import annotations

from typing import TypeVar

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import along, axes_of, first
from gradproof.client.tensors.signatures import Axes, DTypeLike
from gradproof.client.tensors.tensor import Tensor

__all__ = [
    "erf",
    "erfc",
    "erfcx",
    "exp2",
    "expit",
    "expm1",
    "log1p",
    "log_softmax",
    "logsumexp",
    "round",
    "sinc",
    "softmax",
]

TensorT = TypeVar("TensorT", bound=Tensor)


def erf(input: TensorT) -> TensorT:
    """The error function of each element. The shape stays. Follows torch.special.erf."""
    return apply("erf", first(input, "erf"))


def erfc(input: TensorT) -> TensorT:
    """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.special.erfc."""
    return apply("erfc", first(input, "erfc"))


def erfcx(input: TensorT) -> TensorT:
    """e^(x²) erfc(x) of each element, the scaled complementary error function.

    The shape stays. Follows torch.special.erfcx. Raises InvalidRequest for complex elements.
    """
    return apply("erfcx", first(input, "erfcx"))


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


def log1p(input: TensorT) -> TensorT:
    """The natural logarithm of 1 + x of each element, accurate near 0.

    The shape stays. Follows torch.special.log1p.
    """
    return apply("log1p", first(input, "log1p"))


def log_softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """x - ln Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.special.log_softmax.
    """
    return along("log_softmax", first(input, "log_softmax") if dtype is None else input.to(dtype), dim)


def logsumexp(
    input: TensorT,
    dim: Axes = None,
    keepdim: bool = False,
    *,
    axis: Axes = None,
    keepdims: bool = False,
    dtype: DTypeLike | None = None,
) -> TensorT:
    """ln Σ eˣ over all axes, or over ``dim``, without overflow in between.

    The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
    an axis out of range. Follows torch.special.logsumexp.
    """
    return apply(
        "logsumexp",
        first(input, "logsumexp") if dtype is None else input.to(dtype),
        axis=axes_of(input, axis if dim is None else dim),
        keepdims=bool(keepdim or keepdims),
    )


def round(input: TensorT, *, decimals: int = 0) -> TensorT:
    """The nearest multiple of 10 to the power -``decimals`` of each element; a half goes to the even one.

    The shape stays. Follows torch.special.round.
    """
    return apply("round", first(input, "round"), decimals=decimals)


def sinc(input: TensorT) -> TensorT:
    """sin(πx) / (πx) of each element, 1 at 0. The shape stays. Follows torch.special.sinc."""
    return apply("sinc", first(input, "sinc"))


def softmax(input: TensorT, dim: int = -1, *, dtype: DTypeLike | None = None) -> TensorT:
    """eˣ / Σ eˣ along ``dim``; the shape stays.

    Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
    torch.special.softmax.
    """
    return along("softmax", first(input, "softmax") if dtype is None else input.to(dtype), dim)
