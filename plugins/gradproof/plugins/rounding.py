"""Rounding to integers, and division with a remainder. What is rounded is constant between its steps: its gradient is 0."""

import numpy as np

from gradproof.engine.extend import NONZERO, REAL, DataFault, Op, hookimpl, ops, zeros_like
from gradproof.plugins.axes import first

GRADPROOF_API = 1


def flat(g, y, x):
    return zeros_like(x)


def trunc_define(f, x):
    return f.where(f.less(x, 0), -f.floor(-x), f.floor(x))


def round_define(f, x):
    """Of two integers that are equally near the even one."""
    half_up = x + f.number(1) / 2
    whole = f.floor(half_up)
    return f.where(f.equal(half_up, whole), 2 * f.floor(half_up / 2), whole)


def remainder_rule(g, y, a, b):
    """The quotient from the remainder itself: a / b, rounded, may already be the next integer. One that is beyond the
    largest float may be multiplied by little."""
    quotient = (a - y) / b
    finite = ops.equal(quotient - quotient, 0)
    return g, -ops.where(finite, g * quotient, g / b * (a - y))


def of_integers_too(function):
    """``function``, but that integers divided by 0 are an error: NumPy gives 0, with a warning."""

    def forward(a, b):
        if b.dtype.kind in "iu" and not b.all():
            raise DataFault("an integer is divided by 0", element=first(b == 0))
        return function(a, b)

    return forward


STEPS = "0 at the steps"

ROUNDING = (
    Op("floor", np.floor, flat, lambda f, x: f.floor(x), ties=STEPS, doc="the largest integer up to x"),
    Op("ceil", np.ceil, flat, lambda f, x: -f.floor(-x), ties=STEPS, doc="the smallest integer from x on"),
    Op("trunc", np.trunc, flat, trunc_define, ties=STEPS, doc="x without what is behind the point"),
    Op("round", np.rint, flat, round_define, ties=STEPS, doc="the nearest integer, the even one of two"),
    Op(
        "floor_divide",
        of_integers_too(np.floor_divide),
        lambda g, y, a, b: (zeros_like(a), zeros_like(b)),
        lambda f, a, b: f.floor(a / b),
        domains=(REAL, NONZERO),
        ties=STEPS,
        doc="the largest integer up to a / b",
    ),
    Op(
        "remainder",
        of_integers_too(np.remainder),
        remainder_rule,
        lambda f, a, b: a - b * f.floor(a / b),
        ties="1 and -a / b where that is an integer",
        domains=(REAL, NONZERO),
        doc="a - b floor(a / b), which has the sign of b",
    ),
)


@hookimpl
def register_ops(register):
    for op in ROUNDING:
        register(op)
