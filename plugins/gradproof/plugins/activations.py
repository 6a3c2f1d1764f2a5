"""Activations of neural networks, and the error function."""

import numpy as np
from scipy import special

from gradproof.engine.extend import Exact, InferenceError, Kink, Memory, ops, registering
from gradproof.plugins.dtypes import narrow
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import magnitude, mirrored, over_square

GRADPROOF_API = 1

MAX_ORDER = 100  # of repeated integrals of erfc

TWO_OVER_SQRT_PI = Exact(lambda f: 2 / f.sqrt(f.pi))
SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
NORMAL_PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))


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


# softplus and silu


def softplus(x):
    return np.logaddexp(x, 0)


def softplus_rule(g, y, x):
    """g / (1 + e⁻ˣ). In the left tail the factor e⁻ˣ is split into two roots, since g may be as large as it is small."""
    a = magnitude(x)
    root = ops.exp(-a / 2)
    return mirrored(g, x, g * root * (root * ops.sigmoid(a)))


def silu(x):
    """x sigmoid(x), rounded once where the result is denormal."""
    low = x < lowest(x) + 8
    if not low.any():
        return x * special.expit(x)
    tail = np.clip(x, -1e4, 0)
    root = np.exp(tail / 2)
    return np.where(low, tail * root * root, np.maximum(x, -1e4) * special.expit(x))


def silu_rule(g, y, x):
    """g s (1 + x (1 - s)) with s = 1 / (1 + e⁻ˣ). The factor e⁻ˣ is split as in `softplus_rule`."""
    a = magnitude(x)
    s, root = ops.sigmoid(a), ops.exp(-a / 2)
    return mirrored(g, x, g * root * (root * s * (1 - a * s)))


# relu


def relu(x):
    return np.maximum(x, 0)


def relu_rule(g, y, x):
    return ops.where(x <= 0, 0, g)


def relu_define(f, x):
    return f.where(f.less(0, x), x, 0 * x)


# gelu


def gelu(x):
    """x Φ(x), with the tail from erfcx, since SciPy's Φ is 0 where the result is a denormal float.

    The square of a number with few digits is exact, and the rest of x² is small (W. J. Cody, Rational Chebyshev
    approximations for the error function, 1969)."""
    t = np.clip(x, -50, 0)
    few = np.rint(t * 16) / 16
    square = np.exp(-few * few / 2) * np.exp((few - t) * (few + t) / 2)
    return np.where(x < -5, t / 2 * square * special.erfcx(-t * np.sqrt(x.dtype.type(0.5))), x * special.ndtr(x))


def gelu_rule(g, y, x):
    """g (Φ(x) + x φ(x)) with the density φ of Φ. The factor φ is split as in `softplus_rule`, and Φ comes from erfcx, which
    keeps its digits in the tail."""
    a = magnitude(x)
    root = ops.exp(-(a * a) / 4)
    return mirrored(g, x, g * root * (root * (ops.erfcx(a * SQRT_HALF) / 2 - a * NORMAL_PEAK)))


def gelu_define(f, x):
    return x * (1 + f.erf(x / f.sqrt(f.number(2)))) / 2


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
    backwards from far above the order. Raises InferenceError for an order that is out of range."""
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

# fmt: off
ACTIVATIONS = (
    # op          forward               cotangent      definition    ties
    R("sigmoid",  SIGMOID,              sigmoid_rule,  lambda f, x: 1 / (1 + f.exp(-x))),
    R("softplus", narrow(softplus),     softplus_rule, lambda f, x: f.log(1 + f.exp(x))),
    R("silu",     narrow(silu),         silu_rule,     lambda f, x: x / (1 + f.exp(-x))),
    R("relu",     relu,                 relu_rule,     relu_define,  ties="0 at 0", kink=Kink.SMALLEST, doc=RELU),
    R("gelu",     narrow(gelu),         gelu_rule,     gelu_define),
    R("erf",      narrow(special.erf),  erf_rule,      lambda f, x: f.erf(x)),
    R("erfc",     narrow(special.erfc), erfc_rule,     lambda f, x: f.erfc(x)),
    R("erfcx",    erfcx,                erfcx_rule,    erfcx_define, doc=ERFCX),
)
# fmt: on

MEMORY = {"sigmoid": Memory(into=sigmoid_into)}

register_ops = registering(*named(ACTIVATIONS), memory=MEMORY)
