"""Activations of neural networks, and the error function."""

import numpy as np
from scipy import special

from gradproof.engine.extend import Exact, InferenceError, Kink, Op, hookimpl, ops
from gradproof.plugins.dtypes import narrow
from gradproof.plugins.ranges import magnitude, mirrored, over_square

GRADPROOF_API = 1

MAX_ORDER = 100  # of repeated integrals of erfc

TWO_OVER_SQRT_PI = Exact(lambda f: 2 / f.sqrt(f.pi))
SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
NORMAL_PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))


def softplus_rule(g, y, x):
    """1 / (1 + e⁻ˣ), of whose left tail the root is taken: g may be as large as it is small."""
    a = magnitude(x)
    root = ops.exp(-a / 2)
    return mirrored(g, x, g * root * (root * ops.sigmoid(a)))


def sigmoid(x):
    """SciPy's, and eˣ where that is 0 and a float is still denormal."""
    low = x < lowest(x)
    if not low.any():
        return special.expit(x)
    return np.where(low, np.exp(np.minimum(x, 0)), special.expit(x))


SIGMOID = narrow(sigmoid)
setattr(SIGMOID, "numbers", "1.0 / (1.0 + exp(-{0}))")  # noqa: B010 - single numbers are Python's, while e⁻ˣ is finite


def sigmoid_into(out, x):
    """The same, written to an output, which may be the input."""
    if x.dtype.char in "fd" and not (x < lowest(x)).any():
        return special.expit(x, out=out)
    return np.copyto(out, SIGMOID(x))


def silu(x):
    """x sigmoid(x); where that is denormal it is rounded once."""
    low = x < lowest(x) + 8
    if not low.any():
        return x * special.expit(x)
    tail = np.clip(x, -1e4, 0)
    root = np.exp(tail / 2)
    return np.where(low, tail * root * root, np.maximum(x, -1e4) * special.expit(x))


def lowest(x):
    """Below this e⁻ˣ is next to the largest number of the dtype that it is computed in."""
    return -709 if x.dtype == np.float64 else -88


def silu_rule(g, y, x):
    """s (1 + x (1 - s)) with s = 1 / (1 + e⁻ˣ), likewise."""
    a = magnitude(x)
    s, root = ops.sigmoid(a), ops.exp(-a / 2)
    return mirrored(g, x, g * root * (root * s * (1 - a * s)))


def gelu(x):
    """x Φ(x); the tail from erfcx, since SciPy's Φ is 0 where a float is still denormal. The square of a number with few
    digits is exact, and what is left of x² is small (W. J. Cody, Rational Chebyshev approximations for erf, 1969)."""
    t = np.clip(x, -50, 0)
    few = np.rint(t * 16) / 16
    square = np.exp(-few * few / 2) * np.exp((few - t) * (few + t) / 2)
    return np.where(x < -5, t / 2 * square * special.erfcx(-t * np.sqrt(x.dtype.type(0.5))), x * special.ndtr(x))


def gelu_rule(g, y, x):
    """Φ(x) + x φ(x), likewise, with Φ from erfcx, which keeps its digits in the tail."""
    a = magnitude(x)
    root = ops.exp(-(a * a) / 4)
    return mirrored(g, x, g * root * (root * (ops.erfcx(a * SQRT_HALF) / 2 - a * NORMAL_PEAK)))


def erf_rule(g, y, x):
    """2/√π e^(-x²), in two factors: g may be as large as it is small."""
    root = ops.exp(-(x * x) / 2)
    return g * root * (root * TWO_OVER_SQRT_PI)


def erfcx(x, *, order):
    """By the recurrence 2 k Eₖ = Eₖ₋₂ - 2 x Eₖ₋₁ up to x = 1; beyond, where that cancels, by the quotients Eₖ / Eₖ₋₁, which
    are found from far above the order."""
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


ACTIVATIONS = (
    Op(
        "sigmoid",
        SIGMOID,
        lambda g, y, x: over_square(g, ops.cosh(x / 2)) / 4,
        lambda f, x: 1 / (1 + f.exp(-x)),
        into=sigmoid_into,
        doc="1 / (1 + e⁻ˣ)",
    ),
    Op(
        "softplus",
        narrow(lambda x: np.logaddexp(x, 0)),
        softplus_rule,
        lambda f, x: f.log(1 + f.exp(x)),
        doc="ln(1 + eˣ)",
    ),
    Op(
        "silu",
        narrow(silu),
        silu_rule,
        lambda f, x: x / (1 + f.exp(-x)),
        doc="x sigmoid(x)",
    ),
    Op(
        "relu",
        lambda x: np.maximum(x, 0),
        lambda g, y, x: ops.where(x <= 0, 0, g),
        lambda f, x: f.where(f.less(0, x), x, 0 * x),
        ties="0 at 0",
        kink=Kink.SMALLEST,
        doc="x where x > 0, else 0",
    ),
    Op(
        "gelu",
        narrow(gelu),
        gelu_rule,
        lambda f, x: x * (1 + f.erf(x / f.sqrt(f.number(2)))) / 2,
        doc="x Φ(x), exact",
    ),
    Op(
        "erf",
        narrow(special.erf),
        erf_rule,
        lambda f, x: f.erf(x),
        doc="error function",
    ),
    Op(
        "erfc",
        narrow(special.erfc),
        lambda g, y, x: -erf_rule(g, y, x),
        lambda f, x: f.erfc(x),
        doc="1 - erf x",
    ),
    Op(
        "erfcx",
        erfcx,
        lambda g, y, x, *, order: -2 * (order + 1) * (g * ops.erfcx(x, order=order + 1)),
        erfcx_define,
        doc="exp(x²) erfc x, the tail of erfc without its decay; or its integral from x on, repeated ``order`` times",
    ),
)


@hookimpl
def register_ops(register):
    for op in ACTIVATIONS:
        register(op)
