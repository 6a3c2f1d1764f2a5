"""Rounding to integers, and division with a remainder. Rounded numbers are constant between steps: their gradient is 0."""

import numpy as np

from gradproof.engine.extend import NONZERO, REAL, DataFault, ops, registering, zeros_like
from gradproof.plugins.axes import first_true
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def flat_rule(g, y, x):
    return zeros_like(x)


def trunc_define(f, x):
    return f.where(f.less(x, 0), -f.floor(-x), f.floor(x))


def round_define(f, x):
    """The nearest integer; halfway between two integers, the even integer."""
    half_up = x + f.number(1) / 2
    whole = f.floor(half_up)
    return f.where(f.equal(half_up, whole), 2 * f.floor(half_up / 2), whole)


def remainder_rule(g, y, a, b):
    """g and -g ⌊a / b⌋, with the quotient from the remainder y: a / b, rounded, may already be the next integer.

    Where the quotient is beyond the largest float, g / b times a - y need not be."""
    quotient = (a - y) / b
    finite = ops.equal(quotient - quotient, 0)
    return g, -ops.where(finite, g * quotient, g / b * (a - y))


def constant_rule(g, y, a, b):
    return zeros_like(a), zeros_like(b)


def refusing_zero(function):
    """``function`` that raises DataFault where an integer is divided by 0: NumPy gives 0, with a warning."""

    def forward(a, b):
        if b.dtype.kind in "iu" and not b.all():
            raise DataFault("an integer is divided by 0", element=first_true(b == 0))
        return function(a, b)

    return forward


floor_divide, remainder = refusing_zero(np.floor_divide), refusing_zero(np.remainder)

STEPS = "0 at the steps"
TO_EVEN = "the nearest integer; of two, the even integer"
JUMPS = "1 and -a / b where that is an integer"
DIVISOR = (REAL, NONZERO)

# fmt: off
ROUNDING = (
    # op              forward       cotangents      definition                              ties, domain
    R("floor",        np.floor,     flat_rule,      lambda f, x: f.floor(x),                ties=STEPS),
    R("ceil",         np.ceil,      flat_rule,      lambda f, x: -f.floor(-x),              ties=STEPS),
    R("trunc",        np.trunc,     flat_rule,      trunc_define,                           ties=STEPS),
    R("round",        np.rint,      flat_rule,      round_define,                           ties=STEPS, doc=TO_EVEN),
    R("floor_divide", floor_divide, constant_rule,  lambda f, a, b: f.floor(a / b),         ties=STEPS, domains=DIVISOR),
    R("remainder",    remainder,    remainder_rule, lambda f, a, b: a - b * f.floor(a / b), ties=JUMPS, domains=DIVISOR),
)
# fmt: on

register_ops = registering(*named(ROUNDING))
