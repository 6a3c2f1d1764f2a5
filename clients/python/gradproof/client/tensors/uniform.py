"""Tensor methods that follow from a row of a table: elementwise ops, products, reductions and others.

Generated from ``client_names`` by ``make methods``; do not edit.
"""

from __future__ import annotations

from typing import Self

from gradproof.client.recording.apply import apply
from gradproof.client.tensors.arguments import along, axes_of
from gradproof.client.tensors.conversions import Conversions
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand


class Uniform(Conversions):
    """Methods that record an op. ``dim`` and ``axis`` mean the same, as ``keepdim`` and ``keepdims`` do."""

    __slots__ = ()

    def abs(self) -> Self:
        """The absolute value |x| of each element; of complex elements the modulus, of real dtype.

        The shape stays. Follows torch.abs and Array API abs.
        """
        return apply("abs", self)

    def absolute(self) -> Self:
        """The absolute value |x| of each element; of complex elements the modulus, of real dtype.

        The shape stays. Follows torch.absolute and Array API abs.
        """
        return apply("abs", self)

    def neg(self) -> Self:
        """-x of each element.

        The shape stays. Follows torch.neg and Array API negative. Raises InvalidRequest for bool elements.
        """
        return apply("negative", self)

    def negative(self) -> Self:
        """-x of each element.

        The shape stays. Follows torch.negative and Array API negative. Raises InvalidRequest for bool elements.
        """
        return apply("negative", self)

    def square(self) -> Self:
        """x² of each element. The shape stays. Follows torch.square and Array API square."""
        return apply("square", self)

    def reciprocal(self) -> Self:
        """1 / x of each element. The shape stays. Follows torch.reciprocal and Array API reciprocal."""
        return apply("reciprocal", self)

    def sqrt(self) -> Self:
        """√x of each element. The shape stays. Follows torch.sqrt and Array API sqrt."""
        return apply("sqrt", self)

    def rsqrt(self) -> Self:
        """1 / √x of each element. The shape stays. Follows torch.rsqrt."""
        return apply("rsqrt", self)

    def sign(self) -> Self:
        """The sign -1, 0 or 1 of each element; x / |x| of complex elements.

        The shape stays. Follows torch.sign and Array API sign. Raises InvalidRequest for bool elements.
        """
        return apply("sign", self)

    def sgn(self) -> Self:
        """The sign -1, 0 or 1 of each element; x / |x| of complex elements.

        The shape stays. Follows torch.sgn and Array API sign. Raises InvalidRequest for bool elements.
        """
        return apply("sign", self)

    def exp(self) -> Self:
        """eˣ of each element. The shape stays. Follows torch.exp and Array API exp."""
        return apply("exp", self)

    def exp2(self) -> Self:
        """2ˣ of each element. The shape stays. Follows torch.exp2."""
        return apply("exp2", self)

    def expm1(self) -> Self:
        """eˣ - 1 of each element, accurate near 0. The shape stays. Follows torch.expm1 and Array API expm1."""
        return apply("expm1", self)

    def log(self) -> Self:
        """The natural logarithm of each element. The shape stays. Follows torch.log and Array API log."""
        return apply("log", self)

    def log2(self) -> Self:
        """The logarithm to base 2 of each element. The shape stays. Follows torch.log2 and Array API log2."""
        return apply("log2", self)

    def log10(self) -> Self:
        """The logarithm to base 10 of each element. The shape stays. Follows torch.log10 and Array API log10."""
        return apply("log10", self)

    def log1p(self) -> Self:
        """The natural logarithm of 1 + x of each element, accurate near 0.

        The shape stays. Follows torch.log1p and Array API log1p.
        """
        return apply("log1p", self)

    def sin(self) -> Self:
        """The sine of each element, in radians. The shape stays. Follows torch.sin and Array API sin."""
        return apply("sin", self)

    def cos(self) -> Self:
        """The cosine of each element, in radians. The shape stays. Follows torch.cos and Array API cos."""
        return apply("cos", self)

    def tan(self) -> Self:
        """The tangent of each element, in radians. The shape stays. Follows torch.tan and Array API tan."""
        return apply("tan", self)

    def asin(self) -> Self:
        """The inverse sine of each element, in radians. The shape stays. Follows torch.asin and Array API asin."""
        return apply("asin", self)

    def arcsin(self) -> Self:
        """The inverse sine of each element, in radians. The shape stays. Follows torch.arcsin and Array API asin."""
        return apply("asin", self)

    def acos(self) -> Self:
        """The inverse cosine of each element, in radians. The shape stays. Follows torch.acos and Array API acos."""
        return apply("acos", self)

    def arccos(self) -> Self:
        """The inverse cosine of each element, in radians. The shape stays. Follows torch.arccos and Array API acos."""
        return apply("acos", self)

    def atan(self) -> Self:
        """The inverse tangent of each element, in radians. The shape stays. Follows torch.atan and Array API atan."""
        return apply("atan", self)

    def arctan(self) -> Self:
        """The inverse tangent of each element, in radians. The shape stays. Follows torch.arctan and Array API atan."""
        return apply("atan", self)

    def sinh(self) -> Self:
        """The hyperbolic sine of each element. The shape stays. Follows torch.sinh and Array API sinh."""
        return apply("sinh", self)

    def cosh(self) -> Self:
        """The hyperbolic cosine of each element. The shape stays. Follows torch.cosh and Array API cosh."""
        return apply("cosh", self)

    def tanh(self) -> Self:
        """The hyperbolic tangent of each element. The shape stays. Follows torch.tanh and Array API tanh."""
        return apply("tanh", self)

    def asinh(self) -> Self:
        """The inverse hyperbolic sine of each element. The shape stays. Follows torch.asinh and Array API asinh."""
        return apply("asinh", self)

    def arcsinh(self) -> Self:
        """The inverse hyperbolic sine of each element. The shape stays. Follows torch.arcsinh and Array API asinh."""
        return apply("asinh", self)

    def acosh(self) -> Self:
        """The inverse hyperbolic cosine of each element. The shape stays. Follows torch.acosh and Array API acosh."""
        return apply("acosh", self)

    def arccosh(self) -> Self:
        """The inverse hyperbolic cosine of each element. The shape stays. Follows torch.arccosh and Array API acosh."""
        return apply("acosh", self)

    def atanh(self) -> Self:
        """The inverse hyperbolic tangent of each element. The shape stays. Follows torch.atanh and Array API atanh."""
        return apply("atanh", self)

    def arctanh(self) -> Self:
        """The inverse hyperbolic tangent of each element. The shape stays. Follows torch.arctanh and Array API atanh."""
        return apply("atanh", self)

    def sigmoid(self) -> Self:
        """The logistic function 1 / (1 + e⁻ˣ) of each element.

        The shape stays. Follows torch.sigmoid. Raises InvalidRequest for complex elements.
        """
        return apply("sigmoid", self)

    def softplus(self) -> Self:
        """ln(1 + eˣ) of each element.

        The shape stays. Follows torch.nn.functional.softplus. Raises InvalidRequest for complex elements.
        """
        return apply("softplus", self)

    def silu(self) -> Self:
        """x · sigmoid(x) of each element.

        The shape stays. Follows torch.nn.functional.silu. Raises InvalidRequest for complex elements.
        """
        return apply("silu", self)

    def relu(self) -> Self:
        """The larger of x and 0, element by element. The shape stays. Follows torch.relu."""
        return apply("relu", self)

    def gelu(self) -> Self:
        """x Φ(x) of each element, Φ the normal distribution function (no tanh approximation).

        The shape stays. Follows torch.nn.functional.gelu.
        """
        return apply("gelu", self)

    def erf(self) -> Self:
        """The error function of each element. The shape stays. Follows torch.erf."""
        return apply("erf", self)

    def erfc(self) -> Self:
        """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.erfc."""
        return apply("erfc", self)

    def logical_not(self) -> Self:
        """True where an element is 0; bool. The shape stays. Follows torch.logical_not and Array API logical_not."""
        return apply("logical_not", self)

    def floor(self) -> Self:
        """The largest integer up to each element.

        The shape stays. Follows torch.floor and Array API floor. Raises InvalidRequest for complex elements.
        """
        return apply("floor", self)

    def ceil(self) -> Self:
        """The smallest integer from each element on.

        The shape stays. Follows torch.ceil and Array API ceil. Raises InvalidRequest for complex elements.
        """
        return apply("ceil", self)

    def trunc(self) -> Self:
        """Each element without its fractional part.

        The shape stays. Follows torch.trunc and Array API trunc. Raises InvalidRequest for complex elements.
        """
        return apply("trunc", self)

    def fix(self) -> Self:
        """Each element without its fractional part.

        The shape stays. Follows torch.fix and Array API trunc. Raises InvalidRequest for complex elements.
        """
        return apply("trunc", self)

    def round(self) -> Self:
        """The nearest integer of each element; a half goes to the even one.

        The shape stays. Follows torch.round and Array API round.
        """
        return apply("round", self)

    def subtract(self, other: Operand) -> Self:
        """``self - other``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.subtract and Array API subtract. Raises InvalidRequest
        for bool elements.
        """
        return apply("subtract", self, other)

    def mul(self, other: Operand) -> Self:
        """``self * other``. Shapes broadcast; RuntimeError if they do not. Follows torch.mul and Array API multiply."""
        return apply("multiply", self, other)

    def multiply(self, other: Operand) -> Self:
        """``self * other``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.multiply and Array API multiply.
        """
        return apply("multiply", self, other)

    def pow(self, exponent: Operand) -> Self:
        """``self ** exponent``. Shapes broadcast; RuntimeError if they do not. Follows torch.pow and Array API pow."""
        return apply("pow", self, exponent)

    def maximum(self, other: Operand) -> Self:
        """The larger element; a tie shares the gradient evenly.

        Shapes broadcast; RuntimeError if they do not. Follows torch.maximum and Array API maximum.
        """
        return apply("maximum", self, other)

    def minimum(self, other: Operand) -> Self:
        """The smaller element; a tie shares the gradient evenly.

        Shapes broadcast; RuntimeError if they do not. Follows torch.minimum and Array API minimum.
        """
        return apply("minimum", self, other)

    def hypot(self, other: Operand) -> Self:
        """``sqrt(self**2 + other**2)``, without overflow in between.

        Shapes broadcast; RuntimeError if they do not. Follows torch.hypot and Array API hypot. Raises InvalidRequest for
        complex elements.
        """
        return apply("hypot", self, other)

    def atan2(self, other: Operand) -> Self:
        """The angle of the point (other, self), in radians.

        Shapes broadcast; RuntimeError if they do not. Follows torch.atan2 and Array API atan2. Raises InvalidRequest for
        complex elements.
        """
        return apply("atan2", self, other)

    def arctan2(self, other: Operand) -> Self:
        """The angle of the point (other, self), in radians.

        Shapes broadcast; RuntimeError if they do not. Follows torch.arctan2 and Array API atan2. Raises InvalidRequest for
        complex elements.
        """
        return apply("atan2", self, other)

    def logaddexp(self, other: Operand) -> Self:
        """``log(exp(self) + exp(other))``, without overflow in between.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp and Array API logaddexp. Raises
        InvalidRequest for complex elements.
        """
        return apply("logaddexp", self, other)

    def eq(self, other: Operand) -> Self:
        """True where ``self == other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.eq and Array API equal.
        """
        return apply("equal", self, other)

    def ne(self, other: Operand) -> Self:
        """True where ``self != other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.ne and Array API not_equal.
        """
        return apply("not_equal", self, other)

    def not_equal(self, other: Operand) -> Self:
        """True where ``self != other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.not_equal and Array API not_equal.
        """
        return apply("not_equal", self, other)

    def lt(self, other: Operand) -> Self:
        """True where ``self < other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.lt and Array API less.
        """
        return apply("less", self, other)

    def less(self, other: Operand) -> Self:
        """True where ``self < other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.less and Array API less.
        """
        return apply("less", self, other)

    def le(self, other: Operand) -> Self:
        """True where ``self <= other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.le and Array API less_equal.
        """
        return apply("less_equal", self, other)

    def less_equal(self, other: Operand) -> Self:
        """True where ``self <= other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.less_equal and Array API less_equal.
        """
        return apply("less_equal", self, other)

    def gt(self, other: Operand) -> Self:
        """True where ``self > other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.gt and Array API greater.
        """
        return apply("greater", self, other)

    def greater(self, other: Operand) -> Self:
        """True where ``self > other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.greater and Array API greater.
        """
        return apply("greater", self, other)

    def ge(self, other: Operand) -> Self:
        """True where ``self >= other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.ge and Array API greater_equal.
        """
        return apply("greater_equal", self, other)

    def greater_equal(self, other: Operand) -> Self:
        """True where ``self >= other``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.greater_equal and Array API greater_equal.
        """
        return apply("greater_equal", self, other)

    def logical_and(self, other: Operand) -> Self:
        """True where both are not 0; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logical_and and Array API logical_and.
        """
        return apply("logical_and", self, other)

    def logical_or(self, other: Operand) -> Self:
        """True where either is not 0; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logical_or and Array API logical_or.
        """
        return apply("logical_or", self, other)

    def floor_divide(self, other: Operand) -> Self:
        """The largest integer up to ``self / other``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.floor_divide and Array API floor_divide. Raises
        InvalidRequest for complex elements.
        """
        return apply("floor_divide", self, other)

    def remainder(self, other: Operand) -> Self:
        """``self - other * floor(self / other)``, which has the sign of ``other``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.remainder and Array API remainder. Raises
        InvalidRequest for complex elements.
        """
        return apply("remainder", self, other)

    def matmul(self, other: Operand) -> Self:
        """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.matmul and Array API matmul.
        """
        return apply("matmul", self, other)

    def mm(self, mat2: Operand) -> Self:
        """The matrix product of (n, k) and (k, m): (n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.mm.
        """
        return apply("matmul", self, mat2)

    def mv(self, vec: Operand) -> Self:
        """The product of a matrix (n, k) and a vector (k,): (n,).

        Raises InvalidRequest if shapes do not fit. Follows torch.mv.
        """
        return apply("matmul", self, vec)

    def dot(self, tensor: Operand) -> Self:
        """The inner product of two vectors (k,): a scalar.

        Raises InvalidRequest if shapes do not fit. Follows torch.dot.
        """
        return apply("matmul", self, tensor)

    def bmm(self, mat2: Operand) -> Self:
        """The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.bmm.
        """
        return apply("matmul", self, mat2)

    def sum(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The sum over all axes, or over ``dim``.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.sum and Array API sum.
        """
        return apply(
            "sum",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def mean(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The mean over all axes, or over ``dim``.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.mean and Array API mean.
        """
        return apply(
            "mean",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def prod(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The product over all axes, or over ``dim``.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.prod and Array API prod.
        """
        return apply(
            "prod",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def amax(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The largest element over all axes, or over ``dim``; ties share the gradient evenly.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.amax and Array API max.
        """
        return apply(
            "max",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def amin(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The smallest element over all axes, or over ``dim``; ties share the gradient evenly.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.amin and Array API min.
        """
        return apply(
            "min",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def logsumexp(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """ln Σ eˣ over all axes, or over ``dim``, without overflow in between.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.logsumexp.
        """
        return apply(
            "logsumexp",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def var(
        self,
        dim: Axes = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        axis: Axes = None,
    ) -> Self:
        """The variance over all axes, or over ``dim``: the sum of squared deviations over n - ``correction``.

        ``correction`` is 1, or 0 where ``unbiased`` is False. The axes go, or stay with size 1 if ``keepdim``. Raises
        IndexError for an axis out of range. Follows torch.var and Array API var. Raises InvalidRequest for complex
        elements.
        """
        return apply(
            "var",
            self,
            axis=axes_of(self, axis if dim is None else dim),
            correction=int(unbiased) if correction is None else correction,
            keepdims=keepdim,
        )

    def std(
        self,
        dim: Axes = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: float | None = None,
        axis: Axes = None,
    ) -> Self:
        """The standard deviation over all axes, or over ``dim``: the root of `var`.

        ``correction`` is 1, or 0 where ``unbiased`` is False. The axes go, or stay with size 1 if ``keepdim``. Raises
        IndexError for an axis out of range. Follows torch.std and Array API std. Raises InvalidRequest for complex
        elements.
        """
        return apply(
            "sqrt",
            apply(
                "var",
                self,
                axis=axes_of(self, axis if dim is None else dim),
                correction=int(unbiased) if correction is None else correction,
                keepdims=keepdim,
            ),
        )

    def softmax(self, dim: int = -1, *, dtype: DTypeLike | None = None) -> Self:
        """eˣ / Σ eˣ along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.softmax.
        """
        return along("softmax", self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: int = -1, *, dtype: DTypeLike | None = None) -> Self:
        """x - ln Σ eˣ along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows
        torch.nn.functional.log_softmax.
        """
        return along("log_softmax", self if dtype is None else self.to(dtype), dim)

    def cumsum(self, dim: int = 0, *, dtype: DTypeLike | None = None) -> Self:
        """Running sums along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.cumsum and
        Array API cumulative_sum.
        """
        return along("cumsum", self if dtype is None else self.to(dtype), dim)

    def cumprod(self, dim: int = 0, *, dtype: DTypeLike | None = None) -> Self:
        """Running products along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.cumprod and
        Array API cumulative_prod.
        """
        return along("cumprod", self if dtype is None else self.to(dtype), dim)
