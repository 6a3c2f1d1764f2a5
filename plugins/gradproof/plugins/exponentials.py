"""Exponentials and logarithms."""

import numpy as np

from gradproof.engine.extend import ABOVE_MINUS_ONE, POSITIVE, Exact, ops, registering
from gradproof.plugins.families import H, R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import magnitude, mirrored

GRADPROOF_API = 1

LN2 = Exact(lambda f: f.log(f.number(2)))
LN10 = Exact(lambda f: f.log(f.number(10)))


def log1p(x):
    """`numpy.log1p`; for complex input NumPy computes log(1 + x), which loses a small x, so it is computed here."""
    if x.dtype.kind != "c":
        return np.log1p(x)
    beyond = x.real * (2 + x.real) + x.imag * x.imag  # |1 + x|² - 1
    near = np.abs(beyond) < 0.5
    out = np.array(np.log(1 + x))
    out.real = np.where(near, np.log1p(np.where(near, beyond, 0)) / 2, out.real)
    return out


def log10_rule(g, y, x):
    return ops.ratio(g, 1, x, LN10)


def logaddexp_rule(g, y, a, b):
    return g * ops.sigmoid(a - b), g * ops.sigmoid(b - a)


def logaddexp2_rule(g, y, a, b):
    """g 2ᵃ / (2ᵃ + 2ᵇ) and g 2ᵇ / (2ᵃ + 2ᵇ). The power of the smaller is split into two roots, as in `softplus_rule`."""
    root = ops.exp2(-magnitude(a - b) / 2)
    tail = g * root * (root / (1 + root * root))
    return mirrored(g, a - b, tail), mirrored(g, b - a, tail)


def logaddexp2_define(f, a, b):
    ln2 = f.log(f.number(2))
    return f.log(f.exp(a * ln2) + f.exp(b * ln2)) / ln2


def log_to_base(base):
    """The definition of the logarithm to ``base``."""
    return lambda f, x: f.log(x) / f.log(f.number(base))


# fmt: off
EXPONENTIALS = (
    # op           forward       cotangents of the inputs        definition               domain
    H("exp",       np.exp,       lambda g, y, x: g * y,          lambda f, x: f.exp(x)),
    H("exp2",      np.exp2,      lambda g, y, x: g * (y * LN2),  lambda f, x: f.exp(x * f.log(f.number(2)))),
    H("expm1",     np.expm1,     lambda g, y, x: g * ops.exp(x), lambda f, x: f.expm1(x)),
    H("log",       np.log,       lambda g, y, x: g / x,          lambda f, x: f.log(x),   domains=POSITIVE),
    H("log2",      np.log2,      lambda g, y, x: g / x / LN2,    log_to_base(2),          domains=POSITIVE),
    H("log10",     np.log10,     log10_rule,                     log_to_base(10),         domains=POSITIVE),
    H("log1p",     log1p,        lambda g, y, x: g / (1 + x),    lambda f, x: f.log1p(x), domains=ABOVE_MINUS_ONE),
    R("logaddexp", np.logaddexp, logaddexp_rule,                 lambda f, a, b: f.log(f.exp(a) + f.exp(b))),
    R("logaddexp2", np.logaddexp2, logaddexp2_rule,              logaddexp2_define),
)
# fmt: on

register_ops = registering(*named(EXPONENTIALS))
