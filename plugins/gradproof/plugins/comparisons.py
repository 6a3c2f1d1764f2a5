"""Comparisons, logic, and the ops that choose by them."""

import numpy as np

from gradproof.engine.extend import DIRECT, HOLOMORPHIC, INTEGER, NO_GRADIENT, REAL, Kink, Op, hookimpl, ops

GRADPROOF_API = 1


def maximum_rule(g, y, a, b):
    share = ops.where(ops.equal(a, b), g / 2, g)
    return ops.where(a >= b, share, 0), ops.where(b >= a, share, 0)


def minimum_rule(g, y, a, b):
    share = ops.where(ops.equal(a, b), g / 2, g)
    return ops.where(a <= b, share, 0), ops.where(b <= a, share, 0)


def clip_rule(g, y, x, min, max):
    """What NumPy's clip does is minimum(maximum(x, min), max): where min > max the result is max."""
    inside = ops.logical_and(min <= x, x <= max)
    low = ops.logical_and(x < min, min < max)
    high = ops.logical_or(x > max, ops.logical_and(x < min, min > max))
    return ops.where(inside, g, 0), ops.where(low, g, 0), ops.where(high, g, 0)


def where_into(out, condition, a, b):
    np.copyto(out, b)
    np.copyto(out, a, where=condition if condition.dtype == bool else condition != 0)


COMPARISONS = (
    Op("equal", np.equal, None, lambda f, a, b: f.equal(a, b), complex=DIRECT, doc="a = b"),
    Op("not_equal", np.not_equal, None, lambda f, a, b: f.negate(f.equal(a, b)), complex=DIRECT, doc="a ≠ b"),
    Op("less", np.less, None, lambda f, a, b: f.less(a, b), doc="a < b"),
    Op("less_equal", np.less_equal, None, lambda f, a, b: f.less_equal(a, b), doc="a ≤ b"),
    Op("greater", np.greater, None, lambda f, a, b: f.less(b, a), doc="a > b"),
    Op("greater_equal", np.greater_equal, None, lambda f, a, b: f.less_equal(b, a), doc="a ≥ b"),
    Op("logical_and", np.logical_and, None, lambda f, a, b: f.both(a, b), domains=INTEGER, complex=DIRECT, doc="both"),
    Op("logical_or", np.logical_or, None, lambda f, a, b: f.either(a, b), domains=INTEGER, complex=DIRECT, doc="either"),
    Op("logical_not", np.logical_not, None, lambda f, x: f.negate(x), domains=INTEGER, complex=DIRECT, doc="not"),
    Op(
        "where",
        np.where,
        lambda g, y, condition, a, b: (NO_GRADIENT, ops.where(condition, g, 0), ops.where(condition, 0, g)),
        lambda f, condition, a, b: f.where(condition, a, b),
        domains=(INTEGER, REAL, REAL),
        promotes=(1, 2),
        complex=HOLOMORPHIC,
        into=where_into,
        doc="a where the condition holds, else b",
    ),
    Op(
        "maximum",
        np.maximum,
        maximum_rule,
        lambda f, a, b: f.where(f.less(a, b), b, a),
        ties="half to each",
        kink=Kink.MEAN,
        doc="the larger of a and b",
    ),
    Op(
        "minimum",
        np.minimum,
        minimum_rule,
        lambda f, a, b: f.where(f.less(b, a), b, a),
        ties="half to each",
        kink=Kink.MEAN,
        doc="the smaller of a and b",
    ),
    Op(
        "clip",
        np.clip,
        clip_rule,
        lambda f, x, min, max: f.where(f.less(max, f.where(f.less(x, min), min, x)), max, f.where(f.less(x, min), min, x)),
        grad_fn="ClampBackward1",
        ties="1 for x at its bounds",
        kink=(Kink.LARGEST, Kink.SMALLEST),
        doc="x limited to [min, max]",
    ),
)


@hookimpl
def register_ops(register):
    for op in COMPARISONS:
        register(op)
