"""The normal distribution: its distribution function with logarithm and inverse, and inverse error functions."""

import numpy as np
from scipy import special

from gradproof.engine.extend import POSITIVE, PROPER, UNIT, Exact, ops, registering
from gradproof.plugins.dtypes import in_float64
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import magnitude

GRADPROOF_API = 1

SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))
HALF_ROOT_PI = Exact(lambda f: f.sqrt(f.pi) / 2)
HALF_ROOT_TWO_PI = Exact(lambda f: f.sqrt(2 * f.pi) / 2)
DENORMAL = 2.0**-1022


def ndtr(x):
    """`scipy.special.ndtr`, with the left tail from erfcx, since SciPy's has lost hundreds of units in the last place there.

    The square of a number with few digits is exact, and the rest of x² is small (W. J. Cody, Rational Chebyshev
    approximations for the error function, 1969)."""
    t = np.clip(x, -40, -1)
    few = np.rint(t * 16) / 16
    tail = np.exp(-few * few / 2) * np.exp((few - t) * (few + t) / 2) * special.erfcx(-t * np.sqrt(0.5)) / 2
    return np.where(x < -1, tail, special.ndtr(x))


def log_ndtr(x):
    """`scipy.special.log_ndtr`; right of 0 from the tail, where SciPy has lost all digits."""
    return np.where(x > 0, np.log1p(-ndtr(-np.abs(x))), special.log_ndtr(np.minimum(x, 0)))


def log_ndtr_rule(g, y, x):
    """g φ(x) / Φ(x): left of 0 by erfcx, in which the factor e^(-x²/2) cancels; right of 0 with that factor in two roots."""
    a = magnitude(x)
    root = ops.exp(-(a * a) / 4)
    right = g * root * (root * PEAK / (1 - root * root * ops.erfcx(a * SQRT_HALF) / 2))
    return ops.where(x < 0, g * PEAK / ops.erfcx(a * SQRT_HALF) * 2, right)


def ndtr_rule(g, y, x):
    """g φ(x), in two factors, since g may be as large as φ is small."""
    root = ops.exp(-(x * x) / 4)
    return g * root * (root * PEAK)


def erfcinv(x):
    """`scipy.special.erfcinv`; a step of Newton's method for ln erfc y = ln x, by erfcx, where x is denormal."""
    y = special.erfcinv(x)
    low = (x > 0) & (x < DENORMAL)
    if not low.any():
        return y
    start = np.where(low, 27.0, 1.0)
    for _ in range(4):
        tail = special.erfcx(start)
        start = start + (np.log(tail) - start * start - np.log(np.where(low, x, 1.0))) * tail * np.sqrt(np.pi) / 2
    return np.where(low, start, y)


def erfinv_rule(g, y, x):
    """√π/2 g e^(y²), with e^(y²) as erfcx y / erfc y, and erfc y = 1 - x, which keeps its digits for large y."""
    return g * (ops.erfcx(ops.where(x < 0, -y, y)) * HALF_ROOT_PI) / (1 - magnitude(x))


def erfcinv_rule(g, y, x):
    """As `erfinv_rule`, with erfc y = x, and erfc(-y) = 2 - x."""
    return -g * (ops.erfcx(ops.where(x < 1, y, -y)) * HALF_ROOT_PI) / ops.where(x < 1, x, 2 - x)


def ndtri_rule(g, y, p):
    """g / φ(y), as in `erfinv_rule`."""
    return g * (ops.erfcx(ops.where(p < 0.5, -y, y) * SQRT_HALF) * HALF_ROOT_TWO_PI) / ops.where(p < 0.5, p, 1 - p)


NDTR = "Φ(x) = (1 + erf(x / √2)) / 2, the distribution function of the standard normal distribution"
NDTRI = "the inverse of Φ, -√2 erfcinv(2p)"

# fmt: off
NORMAL = (
    # op           forward                      cotangent      definition
    R("ndtr",      in_float64(ndtr),            ndtr_rule,     lambda f, x: f.erfc(-x / f.sqrt(f.number(2))) / 2, doc=NDTR),
    R("log_ndtr",  in_float64(log_ndtr),        log_ndtr_rule, lambda f, x: f.log(f.erfc(-x / f.sqrt(f.number(2))) / 2),
      doc="ln Φ(x)"),
    R("ndtri",     in_float64(special.ndtri),   ndtri_rule,    lambda f, p: -f.sqrt(f.number(2)) * f.erfcinv(2 * p),
      domains=PROPER, doc=NDTRI),
    R("erfinv",    in_float64(special.erfinv),  erfinv_rule,   lambda f, x: f.erfinv(x), domains=UNIT, doc="the inverse of erf"),
    R("erfcinv",   in_float64(erfcinv),         erfcinv_rule,  lambda f, x: f.erfcinv(x), domains=POSITIVE,
      doc="the inverse of erfc"),
)
# fmt: on

register_ops = registering(*named(NORMAL))
