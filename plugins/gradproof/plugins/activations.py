"""Activations of neural networks, and the error function."""

import numpy as np
from scipy import special

from gradproof.engine.extend import Composite, Exact, InferenceError, Kink, Memory, case, ops, registering
from gradproof.plugins.axes import at, axis_of, number
from gradproof.plugins.dtypes import in_float32, narrow, rounded_once
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import beside, magnitude, mirrored, over_square

GRADPROOF_API = 1

MAX_ORDER = 100  # of repeated integrals of erfc

TWO_OVER_SQRT_PI = Exact(lambda f: 2 / f.sqrt(f.pi))


def lowest(x):
    """The number below which e⁻ˣ is beyond the range of the dtype that it is computed in: float64, or float32."""
    return -709 if x.dtype == np.float64 else -88


# sigmoid


def sigmoid(x):
    """`scipy.special.expit`; eˣ where that gives 0 and a denormal float is nearer."""
    low = x < lowest(x)
    if not low.any():
        return special.expit(x)
    return np.where(low, np.exp(np.minimum(x, 0)), special.expit(x))


SIGMOID = narrow(sigmoid)
setattr(SIGMOID, "numbers", "1.0 / (1.0 + exp(-{0}))")  # noqa: B010 - the form for single numbers, while e⁻ˣ is finite


def sigmoid_into(out, x):
    """`sigmoid` written to ``out``, which may be ``x``."""
    if x.dtype.char in "fd" and not (x < lowest(x)).any():
        return special.expit(x, out=out)
    return np.copyto(out, SIGMOID(x))


def sigmoid_rule(g, y, x):
    return over_square(g, ops.cosh(x / 2)) / 4


# softplus


@rounded_once
def softplus(x, *, beta, threshold):
    """ln(1 + e^(βx)) / β, and x where βx is above the threshold. Raises InferenceError for β = 0, and for no numbers."""
    if number("beta", beta) == 0:
        raise InferenceError("beta is 0; 1 / beta has no value")
    if threshold is not None:
        number("threshold", threshold)
    scaled = x * beta
    smooth = (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta
    return smooth if threshold is None else np.where(scaled > threshold, x, smooth)


def softplus_rule(g, y, x, *, beta, threshold):
    """g / (1 + e^(-βx)). In the left tail the factor e^(βx) is split into roots, since g may be as large as it is small."""
    scaled = beta * x
    a = magnitude(scaled)
    root = ops.exp(-a / 2)
    smooth = mirrored(g, scaled, g * root * (root * ops.sigmoid(a)))
    return smooth if threshold is None else ops.where(scaled > threshold, g, smooth)


def softplus_define(f, x, *, beta=1.0, threshold=None):
    smooth = f.log(1 + f.exp(beta * x)) / beta
    return smooth if threshold is None else f.where(f.less(threshold, beta * x), x, smooth)


# silu


def silu(x):
    """x sigmoid(x), rounded once where the result is denormal."""
    low = x < lowest(x) + 8
    if not low.any():
        return x * special.expit(x)
    tail = np.clip(x, -1e4, 0)
    root = np.exp(tail / 2)
    return np.where(low, tail * root * root, np.maximum(x, -1e4) * special.expit(x))


@in_float32
def silu_rule(g, y, x):
    """g s (1 + x (1 - s)) with s = 1 / (1 + e⁻ˣ). The factor e⁻ˣ is split as in `softplus_rule`."""
    a = magnitude(x)
    root = ops.exp(-a / 2)
    s = ops.sigmoid(a)
    return mirrored(g, x, g * root * (root * s * (1 - beside(root, a) * s)))


# mish


@rounded_once
def mish(x):
    """x tanh(ln(1 + eˣ)) as x n / (n + 2) with n = eˣ (eˣ + 2); rounded once where the result is denormal."""
    low = x < lowest(x) + 8
    few = np.exp(np.clip(x, -1e4, 40))  # from 40 on the quotient is 1
    n = few * (few + 2)
    if not low.any():
        return x * (n / (n + 2))
    root = np.exp(np.clip(x, -1e4, 0) / 2)
    return np.where(low, np.maximum(x, -1e4) * root * root, np.maximum(x, -1e4) * (n / (n + 2)))


@in_float32
def mish_rule(g, y, x):
    """g (t + x t') with t = p / q and t' = r (1 + a) (2 / q)², from e^-|x|. Its factor in the left tail is split as in
    `softplus_rule`."""
    left, root = x < 0, ops.exp(-magnitude(x) / 2)
    a = root * root
    p, r = ops.where(left, 2 + a, 1 + 2 * a), ops.where(left, 1, a * a)
    q = ops.where(left, 2 + a * p, p + 2 * a * a)
    slope = p / q + r * (1 + a) * ops.square(2 / q) * beside(root, x)
    return ops.where(left, g * root * (root * slope), g * slope)


def mish_define(f, x):
    n = f.exp(x) * (f.exp(x) + 2)
    return x * n / (n + 2)


# softsign and tanhshrink


def softsign(x):
    """x / (1 + |x|), and ±1 where x is infinite."""
    return np.where(np.isinf(x), np.copysign(1, x), x / (1 + np.abs(x)))


def softsign_define(f, x):
    return f.where(f.less(x, 0), x / (1 - x), x / (1 + x))


@rounded_once
def tanhshrink(x):
    """x - tanh x; where that cancels, x c / (1 + c) with tanh x = x / (1 + c), by Lambert's continued fraction."""
    near = np.clip(x, -1, 1)
    square = near * near
    c = np.zeros_like(square)
    for odd in range(21, 1, -2):
        c = square / (odd + c)
    return np.where(x == near, near * c / (1 + c), x - np.tanh(x))


def softsign_rule(g, y, x):
    return over_square(g, 1 + magnitude(x))


def tanhshrink_rule(g, y, x):
    t = ops.tanh(x)
    return g * t * t


# relu


def relu(x):
    return np.maximum(x, 0)


def relu_rule(g, y, x):
    return ops.where(x <= 0, 0, g)


def relu_define(f, x):
    return f.where(f.less(0, x), x, 0 * x)


# glu


def glu(x, *, axis=-1):
    """Raises InferenceError for an axis that is out of range, or has an odd size."""
    axis = axis_of(axis, x.ndim)
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise InferenceError(f"axis {axis} of {x.spec} has an odd size: it has no halves")
    start, middle = (0,) * x.ndim, at((0,) * x.ndim, axis, half)
    return ops.slice(x, start=start, stop=at(x.shape, axis, half)) * ops.sigmoid(ops.slice(x, start=middle, stop=x.shape))


# error functions


def erf_rule(g, y, x):
    """2 g e^(-x²) / √π, in two factors, since g may be as large as it is small."""
    root = ops.exp(-(x * x) / 2)
    return g * root * (root * TWO_OVER_SQRT_PI)


def erfc_rule(g, y, x):
    return -erf_rule(g, y, x)


def erfcx(x, *, order):
    """Iterated integrals of erfc, scaled by e^(x²), for float64; see DLMF 7.18.

    Up to x = 1 by the recurrence 2 k Eₖ = Eₖ₋₂ - 2 x Eₖ₋₁; beyond, where that cancels, by the quotients Eₖ / Eₖ₋₁, computed
    backwards from far above the order. Raises InferenceError for an order that is out of range, and for complex numbers."""
    if x.dtype.kind == "c":
        raise InferenceError("is of real numbers")
    if not 0 <= order <= MAX_ORDER:
        raise InferenceError(f"order is {order}; it must be from 0 to {MAX_ORDER}")
    wide = np.asarray(x, np.float64)
    first = special.erfcx(wide)
    low, high = np.full_like(wide, 2 / np.sqrt(np.pi)), first
    for k in range(1, order + 1):
        low, high = high, (low - 2 * wide * high) / (2 * k)
    if order:
        far, quotient = np.maximum(wide, 1), np.zeros_like(wide)
        for k in range(order + 250, 0, -1):
            quotient = 1 / (2 * far + 2 * (k + 1) * quotient)
            first = first * quotient if k <= order else first
        high = np.where(wide > 1, first, high)
    return high.astype(x.dtype if x.dtype.kind in "fV" else np.float64)


def erfcx_define(f, x, *, order=0):
    low, high = 2 / f.sqrt(f.pi), f.exp(x * x) * f.erfc(x)
    for k in range(1, order + 1):
        low, high = high, (low - 2 * x * high) / (2 * k)
    return high


def erfcx_rule(g, y, x, *, order):
    return -2 * (order + 1) * (g * ops.erfcx(x, order=order + 1))


RELU = "x where x > 0, else 0"
ERFCX = "exp(x²) erfc x, the tail of erfc without its decay; or its integral from x on, repeated order times"

HALVES = (case((4,)), case((4, 3), axis=0), case((2, 6), axis=1))

# fmt: off
ACTIVATIONS = (
    # op            forward               cotangent        definition                                       ties
    R("sigmoid",    SIGMOID,              sigmoid_rule,    lambda f, x: 1 / (1 + f.exp(-x))),
    R("softplus",   softplus,             softplus_rule,   softplus_define, ties="the slope below, at the threshold",
      doc="ln(1 + e^(βx)) / β, and x where βx is above the threshold"),
    R("silu",       narrow(silu),         silu_rule,       lambda f, x: x / (1 + f.exp(-x))),
    R("mish",       mish,                 mish_rule,       mish_define,     doc="x tanh(ln(1 + eˣ))"),
    R("softsign",   narrow(softsign),     softsign_rule,   softsign_define, ties="1 at 0", doc="x / (1 + |x|)"),
    R("tanhshrink", tanhshrink,           tanhshrink_rule, lambda f, x: x - f.tanh(x)),
    R("relu",       relu,                 relu_rule,       relu_define,     ties="0 at 0", kink=Kink.SMALLEST, doc=RELU),
    Composite("glu", glu, cases=HALVES, doc="the first half along an axis, times the sigmoid of the second"),
    Composite("logsigmoid", lambda x: -ops.softplus(-x), doc="-ln(1 + e⁻ˣ)"),
    R("erf",        narrow(special.erf),  erf_rule,        lambda f, x: f.erf(x)),
    R("erfc",       narrow(special.erfc), erfc_rule,       lambda f, x: f.erfc(x)),
    R("erfcx",      erfcx,                erfcx_rule,      erfcx_define,    doc=ERFCX),
)
# fmt: on

MEMORY = {"sigmoid": Memory(into=sigmoid_into)}

register_ops = registering(*named(ACTIVATIONS), memory=MEMORY)
