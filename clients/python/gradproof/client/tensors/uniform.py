"""Tensor methods that follow from a row of a table: elementwise ops, products, reductions and others.

Generated from ``client_names`` by ``make methods``; do not edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from gradproof.client.recording.apply import apply, apply_multiple
from gradproof.client.tensors.arguments import along, axes_of, axis_of, of_rank, scaled, spread
from gradproof.client.tensors.conversions import Conversions
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, Places, Scalar, given


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

    def positive(self) -> Self:
        """Each element as it is.

        The shape stays. Follows torch.positive and Array API positive. Raises InvalidRequest for bool elements.
        """
        return apply("positive", self)

    def square(self) -> Self:
        """x² of each element. The shape stays. Follows torch.square and Array API square."""
        return apply("square", self)

    def reciprocal(self) -> Self:
        """1 / x of each element, of integers in float64.

        The shape stays. Follows torch.reciprocal and Array API reciprocal.
        """
        return apply("reciprocal", apply("astype", self, dtype="float64") if self.dtype.kind in "iub" else self)

    def sqrt(self) -> Self:
        """√x of each element. The shape stays. Follows torch.sqrt and Array API sqrt."""
        return apply("sqrt", self)

    def rsqrt(self) -> Self:
        """1 / √x of each element. The shape stays. Follows torch.rsqrt."""
        return apply("rsqrt", self)

    def cbrt(self) -> Self:
        """∛x of each element. The shape stays. Follows numpy.cbrt. Raises InvalidRequest for complex elements."""
        return apply("cbrt", self)

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

    def sinc(self) -> Self:
        """sin(πx) / (πx) of each element, 1 at 0. The shape stays. Follows torch.sinc."""
        return apply("sinc", self)

    def deg2rad(self) -> Self:
        """Each element from degrees to radians.

        The shape stays. Follows torch.deg2rad. Raises InvalidRequest for complex elements.
        """
        return apply("deg2rad", self)

    def rad2deg(self) -> Self:
        """Each element from radians to degrees.

        The shape stays. Follows torch.rad2deg. Raises InvalidRequest for complex elements.
        """
        return apply("rad2deg", self)

    def angle(self) -> Self:
        """The argument of each complex element, in radians; 0 or π for a real one.

        The shape stays. Follows torch.angle.
        """
        return apply("angle", self)

    def frac(self) -> Self:
        """The fractional part of each element, with its sign.

        The shape stays. Follows torch.frac. Raises InvalidRequest for bool and complex elements.
        """
        return apply("frac", self)

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

    def logical_not(self) -> Self:
        """True where an element is 0; bool. The shape stays. Follows torch.logical_not and Array API logical_not."""
        return apply("logical_not", self)

    def bitwise_not(self) -> Self:
        """The complement of the bits of each integer; of a bool the other one.

        The shape stays. Follows torch.bitwise_not and Array API bitwise_invert.
        """
        return apply("bitwise_invert", self)

    def isnan(self) -> Self:
        """True where an element is nan; bool. The shape stays. Follows torch.isnan and Array API isnan."""
        return apply("isnan", self)

    def isinf(self) -> Self:
        """True where an element is infinite; bool. The shape stays. Follows torch.isinf and Array API isinf."""
        return apply("isinf", self)

    def isfinite(self) -> Self:
        """True where an element is neither infinite nor nan; bool.

        The shape stays. Follows torch.isfinite and Array API isfinite.
        """
        return apply("isfinite", self)

    def isposinf(self) -> Self:
        """True where an element is ∞; bool.

        The shape stays. Follows torch.isposinf. Raises InvalidRequest for complex elements.
        """
        return apply("isposinf", self)

    def isneginf(self) -> Self:
        """True where an element is -∞; bool.

        The shape stays. Follows torch.isneginf. Raises InvalidRequest for complex elements.
        """
        return apply("isneginf", self)

    def isreal(self) -> Self:
        """True where the imaginary part of an element is 0; bool. The shape stays. Follows torch.isreal."""
        return apply("isreal", self)

    def signbit(self) -> Self:
        """True where an element is negative, -0 included; bool.

        The shape stays. Follows torch.signbit and Array API signbit. Raises InvalidRequest for complex elements.
        """
        return apply("signbit", self)

    def round(self, *, decimals: int = 0) -> Self:
        """The nearest multiple of 10 to the power -``decimals`` of each element; a half goes to the even one.

        The shape stays. Follows torch.round and Array API round.
        """
        return apply("round", self, decimals=decimals)

    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Self:
        """``nan`` where an element is nan, ``posinf`` and ``neginf`` (or the largest and the smallest float) where it is
        infinite.

        The shape stays. Follows torch.nan_to_num.
        """
        return apply("nan_to_num", self, nan=nan, posinf=posinf, neginf=neginf)

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

    def float_power(self, exponent: Operand) -> Self:
        """``self ** exponent`` in float64 or complex128.

        Shapes broadcast; RuntimeError if they do not. Follows torch.float_power.
        """
        return apply("float_power", self, exponent)

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

    def fmax(self, other: Operand) -> Self:
        """The larger element, or the number beside a nan.

        Shapes broadcast; RuntimeError if they do not. Follows torch.fmax.
        """
        return apply("fmax", self, other)

    def fmin(self, other: Operand) -> Self:
        """The smaller element, or the number beside a nan.

        Shapes broadcast; RuntimeError if they do not. Follows torch.fmin.
        """
        return apply("fmin", self, other)

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

    def copysign(self, other: Operand) -> Self:
        """The modulus of ``self`` with the sign of ``other``, which a 0 has too.

        Shapes broadcast; RuntimeError if they do not. Follows torch.copysign and Array API copysign. Raises InvalidRequest
        for complex elements.
        """
        return apply("copysign", self, other)

    def ldexp(self, other: Operand) -> Self:
        """``self * 2**other``. Shapes broadcast; RuntimeError if they do not. Follows torch.ldexp."""
        return apply("ldexp", self, other)

    def heaviside(self, values: Operand) -> Self:
        """0 where ``self`` is negative, ``values`` where it is 0, 1 where it is positive.

        Shapes broadcast; RuntimeError if they do not. Follows torch.heaviside. Raises InvalidRequest for complex elements.
        """
        return apply("heaviside", self, values)

    def logaddexp(self, other: Operand) -> Self:
        """``log(exp(self) + exp(other))``, without overflow in between.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp and Array API logaddexp. Raises
        InvalidRequest for complex elements.
        """
        return apply("logaddexp", self, other)

    def logaddexp2(self, other: Operand) -> Self:
        """``log2(2**self + 2**other)``, without overflow in between.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logaddexp2. Raises InvalidRequest for complex
        elements.
        """
        return apply("logaddexp2", self, other)

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

    def logical_xor(self, other: Operand) -> Self:
        """True where either, but not both, is not 0; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.logical_xor and Array API logical_xor.
        """
        return apply("logical_xor", self, other)

    def bitwise_and(self, other: Operand) -> Self:
        """The bits that both have.

        Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_and and Array API bitwise_and.
        """
        return apply("bitwise_and", self, other)

    def bitwise_or(self, other: Operand) -> Self:
        """The bits that either has.

        Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_or and Array API bitwise_or.
        """
        return apply("bitwise_or", self, other)

    def bitwise_xor(self, other: Operand) -> Self:
        """The bits that either, but not both, has.

        Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_xor and Array API bitwise_xor.
        """
        return apply("bitwise_xor", self, other)

    def bitwise_left_shift(self, other: Operand) -> Self:
        """``self * 2**other`` of integers, without the bits beyond those of the dtype.

        Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_left_shift and Array API bitwise_left_shift.
        """
        return apply("bitwise_left_shift", self, other)

    def bitwise_right_shift(self, other: Operand) -> Self:
        """``floor(self / 2**other)`` of integers.

        Shapes broadcast; RuntimeError if they do not. Follows torch.bitwise_right_shift and Array API bitwise_right_shift.
        """
        return apply("bitwise_right_shift", self, other)

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

    def fmod(self, other: Operand) -> Self:
        """``self - other * trunc(self / other)``, which has the sign of ``self``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.fmod. Raises InvalidRequest for complex elements.
        """
        return apply("fmod", self, other)

    def nextafter(self, other: Operand) -> Self:
        """The next float after ``self`` towards ``other``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.nextafter and Array API nextafter. Raises
        InvalidRequest for complex elements.
        """
        return apply("nextafter", self, other)

    def lerp(self, end: Operand, weight: Operand) -> Self:
        """``self + weight * (end - self)``.

        Shapes broadcast; RuntimeError if they do not. Follows torch.lerp. Raises InvalidRequest for bool elements.
        """
        return apply("lerp", self, end, weight)

    def addcmul(self, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> Self:
        """``self + value * tensor1 * tensor2``. Shapes broadcast; RuntimeError if they do not. Follows torch.addcmul."""
        return apply("addcmul", self, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: Operand, tensor2: Operand, *, value: float = 1) -> Self:
        """``self + value * tensor1 / tensor2``. Shapes broadcast; RuntimeError if they do not. Follows torch.addcdiv."""
        return apply("addcdiv", self, tensor1, tensor2, value=value)

    def isclose(self, other: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Self:
        """True where ``|self - other| <= atol + rtol * |other|``, and for two nans if ``equal_nan``; bool.

        Shapes broadcast; RuntimeError if they do not. Follows torch.isclose.
        """
        return apply("isclose", self, other, rtol=rtol, atol=atol, equal_nan=equal_nan)

    def sigmoid(self) -> Self:
        """The logistic function 1 / (1 + e⁻ˣ) of each element.

        The shape stays. Follows torch.sigmoid. Raises InvalidRequest for complex elements.
        """
        return apply("sigmoid", self)

    def erf(self) -> Self:
        """The error function of each element. The shape stays. Follows torch.erf."""
        return apply("erf", self)

    def erfc(self) -> Self:
        """1 - erf(x) of each element, accurate for large x. The shape stays. Follows torch.erfc."""
        return apply("erfc", self)

    def erfinv(self) -> Self:
        """The inverse of the error function at each element.

        The shape stays. Follows torch.erfinv. Raises InvalidRequest for complex elements.
        """
        return apply("erfinv", self)

    def lgamma(self) -> Self:
        """ln |Γ(x)| of each element. The shape stays. Follows torch.lgamma. Raises InvalidRequest for complex elements."""
        return apply("gammaln", self)

    def digamma(self) -> Self:
        """The derivative ψ(x) of ln Γ(x) at each element.

        The shape stays. Follows torch.digamma. Raises InvalidRequest for complex elements.
        """
        return apply("digamma", self)

    def i0(self) -> Self:
        """The modified Bessel function of the first kind of order 0.

        The shape stays. Follows torch.i0. Raises InvalidRequest for complex elements.
        """
        return apply("i0", self)

    def logit(self, eps: float | None = None) -> Self:
        """ln(x / (1 - x)) of each element, which is first limited to [``eps``, 1 - ``eps``] if there is one.

        The shape stays. Follows torch.logit. Raises InvalidRequest for complex elements.
        """
        return apply("logit", self, eps=eps)

    def polygamma(self, n: int) -> Self:
        """The derivative of order ``n`` of digamma at each element.

        The shape stays. Follows torch.polygamma. Raises InvalidRequest for complex elements.
        """
        return apply("polygamma", self, n=n)

    def mvlgamma(self, p: int) -> Self:
        """The logarithm of the multivariate gamma function of dimension ``p`` at each element.

        The shape stays. Follows torch.mvlgamma. Raises InvalidRequest for complex elements.
        """
        return apply("multigammaln", self, d=p)

    def xlogy(self, other: Operand) -> Self:
        """x ln(other), 0 where x is 0 and ``other`` is not nan.

        Shapes broadcast; RuntimeError if they do not. Follows torch.xlogy. Raises InvalidRequest for complex elements.
        """
        return apply("xlogy", self, other)

    def igamma(self, other: Operand) -> Self:
        """The regularised lower incomplete gamma function P(x, other). There is no derivative along x.

        Shapes broadcast; RuntimeError if they do not. Follows torch.igamma. Raises InvalidRequest for complex elements.
        """
        return apply("gammainc", self, other)

    def igammac(self, other: Operand) -> Self:
        """The regularised upper incomplete gamma function Q(x, other) = 1 - P(x, other). There is no derivative along x.

        Shapes broadcast; RuntimeError if they do not. Follows torch.igammac. Raises InvalidRequest for complex elements.
        """
        return apply("gammaincc", self, other)

    def relu(self) -> Self:
        """The larger of x and 0, element by element.

        Raises InvalidRequest if parameters are out of range. Follows torch.relu.
        """
        return apply("relu", self)

    def prelu(self, weight: Operand) -> Self:
        """Each element, times ``weight`` where it is negative; a single weight, or one for each channel (axis 1).

        Raises InvalidRequest if parameters are out of range. Follows torch.prelu.
        """
        return apply("prelu", self, weight)

    def gelu(self, approximate: Literal["none", "tanh"] = "none") -> Self:
        """x Φ(x) of each element, Φ the normal distribution function; ``approximate`` is "none" or "tanh".

        Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.gelu.
        """
        return apply("gelu", self, approximate=approximate)

    def silu(self) -> Self:
        """x · sigmoid(x) of each element.

        Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.silu. Raises InvalidRequest for
        complex elements.
        """
        return apply("silu", self)

    def softplus(self, beta: float = 1.0, threshold: float = 20.0) -> Self:
        """ln(1 + e^(beta x)) / beta of each element, and the element itself where beta x > threshold.

        Raises InvalidRequest if parameters are out of range. Follows torch.nn.functional.softplus.
        """
        return apply("softplus", self, beta=beta, threshold=threshold)

    def hardshrink(self, lambd: float = 0.5) -> Self:
        """x where |x| > lambd, elsewhere 0.

        Raises InvalidRequest if parameters are out of range. Follows torch.hardshrink. Raises InvalidRequest for complex
        elements.
        """
        return apply("hardshrink", self, lambd=lambd)

    def matmul(self, other: Operand) -> Self:
        """The matrix product of (..., n, k) and (..., k, m), or of vectors (k,): (..., n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.matmul and Array API matmul.
        """
        return apply("matmul", self, other)

    def mm(self, mat2: Operand) -> Self:
        """The matrix product of (n, k) and (k, m): (n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.mm.
        """
        return apply("matmul", of_rank(2, self, "self must be a matrix"), of_rank(2, mat2, "mat2 must be a matrix"))

    def mv(self, vec: Operand) -> Self:
        """The product of a matrix (n, k) and a vector (k,): (n,).

        Raises InvalidRequest if shapes do not fit. Follows torch.mv.
        """
        return apply(
            "matmul",
            of_rank(2, self, "mv: the first argument must be a matrix"),
            of_rank(1, vec, "mv: the second argument must be a vector"),
        )

    def dot(self, tensor: Operand) -> Self:
        """The inner product of two vectors (k,): a scalar.

        Raises InvalidRequest if shapes do not fit. Follows torch.dot.
        """
        return apply("matmul", of_rank(1, self, "1D tensors expected"), of_rank(1, tensor, "1D tensors expected"))

    def bmm(self, mat2: Operand) -> Self:
        """The matrix products of two stacks, (b, n, k) and (b, k, m): (b, n, m).

        Raises InvalidRequest if shapes do not fit. Follows torch.bmm.
        """
        return apply(
            "matmul", of_rank(3, self, "batch1 must be a 3D tensor"), of_rank(3, mat2, "batch2 must be a 3D tensor")
        )

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
        b: Operand | None = None,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """ln Σ eˣ over all axes, or over ``dim``, without overflow in between; ln Σ ``b`` eˣ for weights ``b``.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.logsumexp.
        """
        return apply(
            "logsumexp",
            self if dtype is None else self.to(dtype),
            *given(b),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def nansum(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The sum of the elements over all axes, or over ``dim``, that are not nan.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.nansum.
        """
        return apply(
            "nansum",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def nanmean(
        self,
        dim: Axes = None,
        keepdim: bool = False,
        *,
        axis: Axes = None,
        keepdims: bool = False,
        dtype: DTypeLike | None = None,
    ) -> Self:
        """The mean of the elements over all axes, or over ``dim``, that are not nan.

        The axes go, or stay with size 1 if ``keepdim``. Elements are converted to ``dtype`` first. Raises IndexError for
        an axis out of range. Follows torch.nanmean.
        """
        return apply(
            "nanmean",
            self if dtype is None else self.to(dtype),
            axis=axes_of(self, axis if dim is None else dim),
            keepdims=bool(keepdim or keepdims),
        )

    def all(self, dim: Axes = None, keepdim: bool = False) -> Self:
        """True if all elements, over all axes or ``dim``, are not 0; bool.

        The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows torch.all and
        Array API all.
        """
        return apply("all", self, axis=axes_of(self, dim), keepdims=keepdim)

    def any(self, dim: Axes = None, keepdim: bool = False) -> Self:
        """True if an element, over all axes or ``dim``, is not 0; bool.

        The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows torch.any and
        Array API any.
        """
        return apply("any", self, axis=axes_of(self, dim), keepdims=keepdim)

    def count_nonzero(self, dim: Axes = None) -> Self:
        """The number of elements over all axes, or over ``dim``, that are not 0.

        The axes go, or stay with size 1 if ``keepdim``. Raises IndexError for an axis out of range. Follows
        torch.count_nonzero and Array API count_nonzero.
        """
        return apply("count_nonzero", self, axis=axes_of(self, dim))

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

        ``correction`` is 1, or 0 where ``unbiased``, which may stand first, is False. The axes go, or stay with size 1 if
        ``keepdim``. Raises IndexError for an axis out of range. Follows torch.var and Array API var. Raises InvalidRequest
        for complex elements.
        """
        return spread("var", self, axis if dim is None else dim, unbiased, keepdim, correction)

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

        ``correction`` is 1, or 0 where ``unbiased``, which may stand first, is False. The axes go, or stay with size 1 if
        ``keepdim``. Raises IndexError for an axis out of range. Follows torch.std and Array API std. Raises InvalidRequest
        for complex elements.
        """
        return spread("std", self, axis if dim is None else dim, unbiased, keepdim, correction)

    def softmax(self, dim: int = -1, *, dtype: DTypeLike | None = None) -> Self:
        """eˣ / Σ eˣ along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.softmax.
        """
        return along("softmax", self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: int = -1, *, dtype: DTypeLike | None = None) -> Self:
        """x - ln Σ eˣ along ``dim``; the shape stays.

        Elements are converted to ``dtype`` first. Raises IndexError for an axis out of range. Follows torch.log_softmax.
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

    def logcumsumexp(self, dim: int) -> Self:
        """Running ln Σ eˣ along ``dim``, without overflow in between; the shape stays.

        Raises IndexError for an axis out of range. Follows torch.logcumsumexp. Raises InvalidRequest for complex elements.
        """
        return apply("logcumsumexp", self, axis=axis_of(self, dim))

    def trace(self) -> Self:
        """The sum of the diagonal of a matrix.

        Raises IndexError for an axis out of range. Follows torch.trace and Array API linalg.trace.
        """
        return apply("trace", self)

    def msort(self) -> Self:
        """The elements sorted along the first axis.

        Raises IndexError for an axis out of range. Follows torch.msort. Raises InvalidRequest for complex elements.
        """
        return along("sort", self, 0)

    def quantile(
        self, q: float | Sequence[float], dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Self:
        """The quantile of a share ``q``, or of several, over all axes, or over ``dim``.

        Raises IndexError for an axis out of range. Follows torch.quantile.
        """
        return apply("quantile", self, q=q, axis=axes_of(self, dim), keepdims=keepdim, method=interpolation)

    def nanquantile(
        self, q: float | Sequence[float], dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> Self:
        """The quantile of the elements that are not nan.

        Raises IndexError for an axis out of range. Follows torch.nanquantile.
        """
        return apply("nanquantile", self, q=q, axis=axes_of(self, dim), keepdims=keepdim, method=interpolation)

    def moveaxis(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Self:
        """The axes ``source`` moved to the positions ``destination``; the others keep their order.

        Raises IndexError for an axis out of range. Follows torch.moveaxis and Array API moveaxis.
        """
        return apply("moveaxis", self, source=source, destination=destination)

    def movedim(self, source: int | Sequence[int], destination: int | Sequence[int]) -> Self:
        """The axes ``source`` moved to the positions ``destination``; the others keep their order.

        Raises IndexError for an axis out of range. Follows torch.movedim and Array API moveaxis.
        """
        return apply("moveaxis", self, source=source, destination=destination)

    def swapaxes(self, axis0: int, axis1: int) -> Self:
        """Two axes exchanged. Raises IndexError for an axis out of range. Follows torch.swapaxes."""
        return apply("swapaxes", self, axis1=axis_of(self, axis0), axis2=axis_of(self, axis1))

    def swapdims(self, axis0: int, axis1: int) -> Self:
        """Two axes exchanged. Raises IndexError for an axis out of range. Follows torch.swapdims."""
        return apply("swapaxes", self, axis1=axis_of(self, axis0), axis2=axis_of(self, axis1))

    def ravel(self) -> Self:
        """The elements in C order, as a vector. Raises IndexError for an axis out of range. Follows torch.ravel."""
        return apply("ravel", self)

    def adjoint(self) -> Self:
        """The last two axes exchanged, and the elements conjugated.

        Raises IndexError for an axis out of range. Follows torch.adjoint.
        """
        return apply("adjoint", self)

    def fliplr(self) -> Self:
        """The order of the second axis reversed. Raises IndexError for an axis out of range. Follows torch.fliplr."""
        return apply("fliplr", self)

    def flipud(self) -> Self:
        """The order of the first axis reversed. Raises IndexError for an axis out of range. Follows torch.flipud."""
        return apply("flipud", self)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Self:
        """The plane of two axes turned by ``k`` right angles, from the first to the second.

        Raises IndexError for an axis out of range. Follows torch.rot90.
        """
        return apply("rot90", self, k=k, axes=tuple(dims))

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Self:
        """Elements moved along axes (through the whole tensor without ``dims``), those beyond the end to the front.

        Raises IndexError for an axis out of range. Follows torch.roll and Array API roll.
        """
        return apply("roll", self, shift=shifts, axis=None if dims is None else axes_of(self, dims))

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Self:
        """An axis taken apart into axes of the ``sizes``, of which one may be -1.

        Raises IndexError for an axis out of range. Follows torch.unflatten.
        """
        return apply("unflatten", self, axis=axis_of(self, dim), shape=tuple(sizes))

    def diag(self, diagonal: int = 0) -> Self:
        """The matrix with a vector on its diagonal, or that diagonal of a matrix.

        Raises IndexError for an axis out of range. Follows torch.diag.
        """
        return apply("diag", self, k=diagonal)

    def diagflat(self, offset: int = 0) -> Self:
        """The matrix with all elements on a diagonal.

        Raises IndexError for an axis out of range. Follows torch.diagflat.
        """
        return apply("diagflat", self, k=offset)

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Self:
        """A diagonal of the planes of two axes, as the last axis.

        Raises IndexError for an axis out of range. Follows torch.diagonal and Array API linalg.diagonal.
        """
        return apply("diagonal", self, offset=offset, axis1=dim1, axis2=dim2)

    def diag_embed(self, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Self:
        """Zeros, with the last axis on a diagonal of two new axes.

        Raises IndexError for an axis out of range. Follows torch.diag_embed.
        """
        return apply("diag_embed", self, offset=offset, axis1=dim1, axis2=dim2)

    def unfold(self, dimension: int, size: int, step: int) -> Self:
        """Windows of a size along an axis, a step apart, with their elements along a new last axis.

        Raises IndexError for an axis out of range. Follows torch.Tensor.unfold.
        """
        return apply("unfold", self, axis=axis_of(self, dimension), size=size, step=step)

    def tensor_split(self, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Self, ...]:
        """Sections along an axis whose sizes differ by 1 at most, or those between indices.

        Raises IndexError for an axis out of range. Follows torch.tensor_split.
        """
        return tuple(apply_multiple("array_split", self, indices_or_sections=indices_or_sections, axis=axis_of(self, dim)))

    def vsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Self, ...]:
        """Sections along the first axis, of a common size or between indices.

        Raises IndexError for an axis out of range. Follows torch.vsplit.
        """
        return tuple(apply_multiple("vsplit", self, indices_or_sections=indices_or_sections))

    def hsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Self, ...]:
        """Sections along the second axis, that of a vector along its only one, of a common size or between indices.

        Raises IndexError for an axis out of range. Follows torch.hsplit.
        """
        return tuple(apply_multiple("hsplit", self, indices_or_sections=indices_or_sections))

    def dsplit(self, indices_or_sections: int | Sequence[int]) -> tuple[Self, ...]:
        """Sections along the third axis, of a common size or between indices.

        Raises IndexError for an axis out of range. Follows torch.dsplit.
        """
        return tuple(apply_multiple("dsplit", self, indices_or_sections=indices_or_sections))

    def index_add(self, dim: int, index: Places, source: Operand, *, alpha: Scalar = 1) -> Self:
        """The tensor with ``alpha * source`` added to its parts at ``index`` along an axis; parts that are named twice get
        both.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_add.
        """
        return apply("index_add", self, index, scaled(alpha, source), axis=axis_of(self, dim))

    def index_copy(self, dim: int, index: Places, source: Operand) -> Self:
        """The tensor with ``source`` in place of its parts at ``index`` along an axis, the last of those that are named
        twice.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_copy.
        """
        return apply("index_copy", self, index, source, axis=axis_of(self, dim))

    def index_fill(self, dim: int, index: Places, value: Operand) -> Self:
        """The tensor with ``value`` in place of its parts at ``index`` along an axis.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.index_fill.
        """
        return apply("index_fill", self, index, value, axis=axis_of(self, dim))

    def scatter_add(self, dim: int, index: Places, src: Operand) -> Self:
        """The tensor with ``src`` added at ``index`` along an axis, on each line its own; elements that are named twice
        get both.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.scatter_add.
        """
        return apply("scatter_add", self, index, src, axis=axis_of(self, dim))

    def scatter(self, dim: int, index: Places, src: Operand) -> Self:
        """The tensor with ``src`` at ``index`` along an axis, on each line its own, the last for elements that are named
        twice.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.scatter.
        """
        return apply("scatter", self, index, src, axis=axis_of(self, dim))

    def put(self, index: Places, source: Operand, accumulate: bool = False) -> Self:
        """The tensor with ``source`` in place of elements, or added to them, at ``index``, counted through the whole
        tensor.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.Tensor.put.
        """
        return apply("put", self, index, source, accumulate=accumulate)

    def masked_fill(self, mask: Operand, value: Operand) -> Self:
        """``value`` where ``mask`` is true, the elements elsewhere.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows torch.masked_fill.
        """
        return apply("masked_fill", self, mask, value)

    def masked_scatter(self, mask: Operand, source: Operand) -> Self:
        """The elements of ``source``, in their order, where ``mask`` is true, those of the tensor elsewhere.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
        torch.masked_scatter.
        """
        return apply("masked_scatter", self, mask, source)

    def select_scatter(self, src: Operand, dim: int, index: int) -> Self:
        """The tensor with ``src`` in place of its part at ``index`` along an axis.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
        torch.select_scatter.
        """
        return apply("select_scatter", self, src, axis=axis_of(self, dim), index=index)

    def diagonal_scatter(self, src: Operand, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Self:
        """The tensor with ``src`` on a diagonal of the planes of two axes.

        Raises InvalidRequest if shapes do not fit. Raises IndexError for an axis out of range. Follows
        torch.diagonal_scatter.
        """
        return apply("diagonal_scatter", self, src, offset=offset, axis1=dim1, axis2=dim2)
