"""The Gaussian error linear unit, and its approximation by a sigmoid.

D. Hendrycks and K. Gimpel, Gaussian error linear units, 2016.
"""

from fractions import Fraction

import numpy as np
from scipy import special

from gradproof.engine.extend import Exact, InferenceError, case, ops, registering
from gradproof.plugins.dtypes import in_float32, rounded_once
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import beside, magnitude, mirrored, product

GRADPROOF_API = 1

SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
CUBIC = Fraction("0.044715")
STEEPNESS = Exact(lambda f: 2 * f.sqrt(2 / f.pi))
STEEP = float(2 * np.sqrt(2 / np.pi))
STEEP_REST = float(Fraction("1.59576912160573071175978423973752747390") - Fraction(STEEP))
CUBIC_REST = float(CUBIC - Fraction(float(CUBIC)))
NORMAL_PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))


@rounded_once
def gelu(x, *, approximate):
    """x Φ(x), or x sigmoid(w) with w = 2 √(2 / π) (x + 0.044715 x³) for approximate="tanh". Raises InferenceError for any
    other text but "none"."""
    if approximate not in GELU:
        raise InferenceError(f"approximate is {approximate!r}; it must be 'none' or 'tanh'")
    return GELU[approximate](x)


def gelu_exact(x):
    """x Φ(x), with the tail from erfcx, since SciPy's Φ is 0 where the result is a denormal float."""
    y, far = np.asarray(x * special.ndtr(x)), x < -5
    if far.any():
        y[far] = gelu_tail(np.maximum(x[far], -50))
    return y


def gelu_tail(x):
    """x Φ(x) = x e^(-x²/2) erfcx(-x / √2) / 2. The square of a number with few digits is exact, and the rest of x² is small
    (W. J. Cody, Rational Chebyshev approximations for the error function, 1969)."""
    few = np.rint(x * 16) / 16
    square = np.exp(-few * few / 2) * np.exp((few - x) * (few + x) / 2)
    return x / 2 * square * special.erfcx(-x * np.sqrt(x.dtype.type(0.5)))


def gelu_tanh(x):
    """x sigmoid(w), and x eʷ / (1 + eʷ) in the left tail with the rounding error of w, which grows with w."""
    y = np.asarray(np.maximum(x, -100) * special.expit(x * STEEP * (1 + float(CUBIC) * x * x)))
    far = (x < -4) & (x > -30)
    if far.any():
        w, lost = steep_sum(x[far].astype(np.float64))
        y[far] = x[far] * np.exp(w) * (1 + lost) * special.expit(-w)
    return y


def steep_sum(x):
    """2 √(2 / π) (x + 0.044715 x³) in float64, and its rounding error."""
    square, lost = product(x, x)
    cubic, error = product(square, float(CUBIC))
    lost = lost * float(CUBIC) + square * CUBIC_REST + error
    rest = cubic + 1
    lost += (cubic - (rest - (rest - cubic))) + (1 - (rest - cubic))
    inner, error = product(rest, x)
    w, last = product(inner, STEEP)
    return w, last + (error + lost * x) * STEEP + inner * STEEP_REST


GELU = {"none": gelu_exact, "tanh": gelu_tanh}


@in_float32
def gelu_rule(g, y, x, *, approximate):
    """g (Φ(x) + x φ(x)) with the density φ of Φ. The factor φ is split as in `softplus_rule`, and Φ comes from erfcx, which
    keeps its digits in the tail."""
    a = magnitude(x)
    if approximate == "tanh":
        return mirrored(g, x, g * gelu_tanh_slope(y, x, a))
    root = ops.exp(-(a * a) / 4)
    return mirrored(g, x, g * root * (root * (ops.erfcx(a * SQRT_HALF) / 2 - beside(root, a) * NORMAL_PEAK)))


def gelu_tanh_slope(y, x, a):
    """s (1 - a w' (1 - s)) with s = 1 / (1 + eʷ) at a = |x|; s is y / x in the left tail, where w has lost digits."""
    far, root = x < -1, ops.exp(-a * STEEPNESS * (1 + CUBIC * a * a) / 2)
    s = ops.where(far, y / ops.where(far, x, -1), root * root / (1 + root * root))
    a = beside(root, a)
    return s * (1 - a * STEEPNESS * (1 + 3 * CUBIC * a * a) * (1 - s))


def gelu_define(f, x, *, approximate="none"):
    if approximate == "tanh":
        return x / (1 + f.exp(-2 * f.sqrt(2 / f.pi) * (x + f.number(CUBIC) * x * x * x)))
    return x * (1 + f.erf(x / f.sqrt(f.number(2)))) / 2


APPROXIMATE = (case(()), case((1, 2)), case((), approximate="tanh"))

# fmt: off
GELUS = (
    # op      forward  cotangent   definition
    R("gelu", gelu,    gelu_rule,  gelu_define, cases=APPROXIMATE,
      doc="x (1 + erf(x / √2)) / 2; if approximate='tanh' x sigmoid(w) with w = 2 √(2 / π) (x + 0.044715 x³)"),
)
# fmt: on

register_ops = registering(*named(GELUS))
