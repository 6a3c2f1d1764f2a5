"""The normal distribution: its distribution function with logarithm and inverse, and inverse error functions."""

import numpy as np
from scipy import special

from gradproof.engine.extend import PROPER, UNIT, Domain, Exact, ops, registering
from gradproof.plugins.dtypes import in_float64
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import magnitude

GRADPROOF_API = 1

SQRT_HALF = Exact(lambda f: f.sqrt(f.number(2)) / 2)
PEAK = Exact(lambda f: 1 / f.sqrt(2 * f.pi))
HALF_ROOT_PI = Exact(lambda f: f.sqrt(f.pi) / 2)
ROOT_HALF_PI = Exact(lambda f: f.sqrt(f.pi / 2))
HALF_ROOT_TWO_PI = Exact(lambda f: f.sqrt(2 * f.pi) / 2)
BELOW_TWO = Domain("between 0 and 2", {"positive": True}, lambda t: t, lambda random: 2 * PROPER.sample(random))
DENORMAL = 2.0**-1022


def ndtr(x):
    """`scipy.special.ndtr`, with the left tail from erfcx, since SciPy's has lost its last digits there.

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
    """g φ(x) / Φ(x): left of 0 by erfcx, in which e^(-x²/2) cancels; right of 0 with that factor in two roots."""
    a = magnitude(x)
    root = ops.exp(-(a * a) / 4)
    right = g * root * (root * PEAK / (1 - root * root * ops.erfcx(a * SQRT_HALF) / 2))
    return ops.where(x < 0, ops.ratio(g, 1, ops.erfcx(a * SQRT_HALF), ROOT_HALF_PI), right)


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
    return ops.ratio(g, ops.erfcx(ops.where(x < 0, -y, y)) * HALF_ROOT_PI, 1 - magnitude(x), 1)


def erfcinv_rule(g, y, x):
    """As `erfinv_rule`, with erfc y = x, and erfc(-y) = 2 - x."""
    return -ops.ratio(g, ops.erfcx(ops.where(x < 1, y, -y)) * HALF_ROOT_PI, ops.where(x < 1, x, 2 - x), 1)


def ndtri_rule(g, y, p):
    """g / φ(y), as in `erfinv_rule`."""
    scaled = ops.erfcx(ops.where(p < 0.5, -y, y) * SQRT_HALF) * HALF_ROOT_TWO_PI
    return ops.ratio(g, scaled, ops.where(p < 0.5, p, 1 - p), 1)


def ndtr_define(f, x):
    return f.erfc(-x / f.sqrt(f.number(2))) / 2


def log_ndtr_define(f, x):
    return f.log(f.erfc(-x / f.sqrt(f.number(2))) / 2)


def ndtri_define(f, p):
    return -f.sqrt(f.number(2)) * f.erfcinv(2 * p)


NDTR = "Φ(x) = (1 + erf(x / √2)) / 2, the distribution function of the standard normal distribution"

# fmt: off
NORMAL = (
    # op           forward                      cotangent      definition               domain
    R("ndtr",      in_float64(ndtr),            ndtr_rule,     ndtr_define,             doc=NDTR),
    R("log_ndtr",  in_float64(log_ndtr),        log_ndtr_rule, log_ndtr_define,         doc="ln Φ(x)"),
    R("ndtri",     in_float64(special.ndtri),   ndtri_rule,    ndtri_define,            domains=PROPER,
      doc="the inverse of Φ"),
    R("erfinv",    in_float64(special.erfinv),  erfinv_rule,   lambda f, x: f.erfinv(x),  domains=UNIT),
    R("erfcinv",   in_float64(erfcinv),         erfcinv_rule,  lambda f, x: f.erfcinv(x), domains=BELOW_TWO),
)
# fmt: on

register_ops = registering(*named(NORMAL))
