"""Rounding to integers, and division with a remainder. Rounded numbers are constant between steps: their gradient is 0."""

from fractions import Fraction

import numpy as np

from gradproof.engine.extend import NONZERO, REAL, Memory, ops, registering, zeros_like
from gradproof.plugins.axes import refuse
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def flat_rule(g, y, x):
    return zeros_like(x)


def trunc_define(f, x):
    return f.where(f.less(x, 0), -f.floor(-x), f.floor(x))


def frac(x):
    """x - trunc(x); 0 for an infinity, as in C, where PyTorch gives nan."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(x), 0, x - np.trunc(x)).astype(x.dtype)


def round_half_even(x, *, decimals=0):
    """`numpy.round`: integers stay integers. With decimals floats are rounded in float64, and stay what they are where they
    have no such decimals, or 10^decimals is beyond the range."""
    if not decimals or x.dtype.kind not in "fV":
        return np.rint(x) if x.dtype.kind in "fV" else np.round(x, decimals)
    with np.errstate(all="ignore"):
        rounded = np.round(x.astype(np.float64), decimals)
    return np.where(np.isfinite(rounded), rounded, x).astype(x.dtype)


def round_into(out, x, *, decimals):
    """`round_half_even` written to ``out``."""
    if decimals or x.dtype.kind not in "fV":
        return np.copyto(out, round_half_even(x, decimals=decimals))
    return np.rint(x, out)


def round_rule(g, y, x, *, decimals):
    return zeros_like(x)


def round_define(f, x, *, decimals=0):
    """The nearest multiple of 10^-decimals; halfway between two, the even multiple."""
    scale = Fraction(10) ** int(decimals)
    half_up = x * f.number(scale) + f.number(1) / 2
    whole = f.floor(half_up)
    return f.where(f.equal(half_up, whole), 2 * f.floor(half_up / 2), whole) / f.number(scale)


def remainder_rule(g, y, a, b):
    """g and -g ⌊a / b⌋, with the quotient from the remainder y: a / b, rounded, may already be the next integer.

    Where the quotient is beyond the largest float, g / b times a - y need not be. For an infinite b it is 0, or -1 where
    the signs differ."""
    quotient = ops.where(ops.isinf(b), ops.where(ops.equal(a, y), zeros_like(b), -1), (a - y) / b)
    finite = ops.equal(quotient - quotient, 0)
    return g, -ops.where(finite, g * quotient, g / b * (a - y))


def fmod_rule(g, y, a, b):
    """g and -g trunc(a / b), with the quotient from the remainder y, as in `remainder_rule`."""
    return remainder_rule(g, y, a, b)


def remainder_define(f, a, b):
    """nan for an infinite a, however small b."""
    return f.where(f.isinf(a), (a + b) * f.number(float("nan")), a - b * f.floor(a / b))


def fmod_define(f, a, b):
    return f.where(f.isinf(a), (a + b) * f.number(float("nan")), a - b * trunc_define(f, a / b))


def constant_rule(g, y, a, b):
    return zeros_like(a), zeros_like(b)


def refusing_zero(function):
    """``function`` that raises DataFault where an integer is divided by 0: NumPy gives 0, with a warning."""

    def forward(a, b):
        if b.dtype.kind in "iu":
            refuse(b == 0, "an integer is divided by 0")
        return function(a, b)

    return forward


floor_divide, remainder, fmod = map(refusing_zero, (np.floor_divide, np.remainder, np.fmod))

STEPS = "0 at the steps"
TO_EVEN = "the nearest multiple of 10^-decimals, an integer by default; of two, the even multiple"
JUMPS = "1 and -a / b where that is an integer"
DIVISOR = (REAL, NONZERO)

# fmt: off
ROUNDING = (
    # op              forward       cotangents      definition                              ties, domain
    R("floor",        np.floor,     flat_rule,      lambda f, x: f.floor(x),                ties=STEPS),
    R("ceil",         np.ceil,      flat_rule,      lambda f, x: -f.floor(-x),              ties=STEPS),
    R("trunc",        np.trunc,     flat_rule,      trunc_define,                           ties=STEPS),
    R("frac",         frac,         lambda g, y, x: g, lambda f, x: x - trunc_define(f, x), ties="1 at the steps"),
    R("round",        round_half_even, round_rule,  round_define,                           ties=STEPS, doc=TO_EVEN),
    R("floor_divide", floor_divide, constant_rule,  lambda f, a, b: f.floor(a / b),         ties=STEPS, domains=DIVISOR),
    R("remainder",    remainder,    remainder_rule, remainder_define,                       ties=JUMPS, domains=DIVISOR),
    R("fmod",         fmod,         fmod_rule,      fmod_define,                            ties=JUMPS, domains=DIVISOR),
)
# fmt: on

MEMORY = {"round": Memory(into=round_into)}

register_ops = registering(*named(ROUNDING), memory=MEMORY)
