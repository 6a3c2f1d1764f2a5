"""Comparisons, logic, and the ops that choose by them."""

import numpy as np

from gradproof.engine.extend import INTEGER, NO_GRADIENT, REAL, Kink, Memory, ops, promoted, registering
from gradproof.plugins.axes import boolean, number
from gradproof.plugins.families import D, H, R
from gradproof.plugins.names import named

GRADPROOF_API = 1


HALF = "half to each"
FIRST = "all to a"
TO_FIRST = (Kink.LARGEST, Kink.SMALLEST)
LARGER = "the larger, or the number beside a nan"
SMALLER = "the smaller, or the number beside a nan"
CLOSE = "|a - b| ≤ atol + rtol |b|; a nan is close to a nan if equal_nan"
CLIP = "x limited to [min, max]"
ONE_AT_BOUNDS = "1 for x at its bounds"
MANY = 512
BITS = {"f": np.dtype(np.int32), "d": np.dtype(np.int64)}
BOUNDS = (Kink.LARGEST, Kink.SMALLEST)


def where_rule(g, y, condition, a, b):
    return NO_GRADIENT, ops.where(condition, g, 0), ops.where(condition, 0, g)


def where_define(f, condition, a, b):
    return f.where(condition, a, b)


def maximum_rule(g, y, a, b):
    share = ops.where(ops.equal(a, b), g / 2, g)
    return ops.where(a >= b, share, 0), ops.where(b >= a, share, 0)


def minimum_rule(g, y, a, b):
    share = ops.where(ops.equal(a, b), g / 2, g)
    return ops.where(a <= b, share, 0), ops.where(b <= a, share, 0)


def clip_rule(g, y, x, low, high):
    """g for that of x, min and max which the result is.

    NumPy's clip is minimum(maximum(x, low), high): where low > high the result is high."""
    inside = ops.logical_and(low <= x, x <= high)
    below = ops.logical_and(x < low, low < high)
    above = ops.logical_or(x > high, ops.logical_and(x < low, low > high))
    return ops.where(inside, g, 0), ops.where(below, g, 0), ops.where(above, g, 0)


def fmax_rule(g, y, a, b):
    first = ops.logical_or(a >= b, ops.isnan(b))
    return ops.where(first, g, 0), ops.where(first, 0, g)


def fmin_rule(g, y, a, b):
    first = ops.logical_or(a <= b, ops.isnan(b))
    return ops.where(first, g, 0), ops.where(first, 0, g)


def numbers(f, a, b):
    """Both numbers, the other in place of a nan."""
    return f.where(f.isnan(a), b, a), f.where(f.isnan(b), a, b)


def fmax_define(f, a, b):
    a, b = numbers(f, a, b)
    return f.where(f.less(a, b), b, a)


def fmin_define(f, a, b):
    a, b = numbers(f, a, b)
    return f.where(f.less(b, a), b, a)


def xor_define(f, a, b):
    return f.either(f.both(a, f.negate(b)), f.both(b, f.negate(a)))


def isclose(a, b, *, rtol=1e-5, atol=1e-8, equal_nan=False):
    """`numpy.isclose`, in float64 for narrower floats, whose sums leave their range or their digits.

    Raises InferenceError for a tolerance that is no number."""
    rtol, atol, equal_nan = number("rtol", rtol), number("atol", atol), boolean("equal_nan", equal_nan)
    wide = np.result_type(a.dtype, np.float64) if a.dtype.kind in "fV" else a.dtype
    return np.isclose(a.astype(wide), b.astype(wide), rtol, atol, equal_nan)


def isclose_define(f, a, b, *, rtol=1e-5, atol=1e-8, equal_nan=False):
    """No number is close to a nan, and a nan is close to a nan only if asked to be."""
    x, y = (f.where(f.isnan(z), 0, z) for z in (a, b))
    near = f.less_equal(f.modulus(x - y), f.number(atol) + f.number(rtol) * f.modulus(y))
    known = f.both(near, f.negate(f.either(f.isnan(a), f.isnan(b))))
    return f.either(known, f.both(f.isnan(a), f.isnan(b))) if equal_nan else known


def where_into(out, condition, a, b):
    """`numpy.where` written to ``out``. Of many floats it chooses the bits, which needs no branch for each element."""
    bits = BITS.get(out.dtype.char)
    if bits is None or out.size < MANY or condition.dtype != bool:
        np.copyto(out, b)
        np.copyto(out, a, where=condition if condition.dtype == bool else condition != 0)
        return
    chosen, b = out.view(bits), b.view(bits)
    np.bitwise_xor(a.view(bits), b, out=chosen)
    np.bitwise_and(chosen, np.negative(condition.view(np.int8)).astype(bits), out=chosen)
    np.bitwise_xor(chosen, b, out=chosen)


def unbounded(*specs):
    """The ends of the dtype that the given inputs have together: bounds that change nothing."""
    dtype = promoted([spec for spec in specs if spec is not None])
    if dtype.kind == "b":
        return None, False, True
    return (None, np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "iu" else (None, -np.inf, np.inf)


def clip_define(f, x, min=None, max=None):  # noqa: A002 - the names of its inputs, as in NumPy
    raised = f.where(f.less(x, min), min, x)
    return f.where(f.less(max, raised), max, raised)


# fmt: off
COMPARISONS = (
    # op               forward           no rule definition                      domain
    D("equal",         np.equal,         None,   lambda f, a, b: f.equal(a, b)),
    D("not_equal",     np.not_equal,     None,   lambda f, a, b: f.negate(f.equal(a, b))),
    R("less",          np.less,          None,   lambda f, a, b: f.less(a, b)),
    R("less_equal",    np.less_equal,    None,   lambda f, a, b: f.less_equal(a, b)),
    R("greater",       np.greater,       None,   lambda f, a, b: f.less(b, a)),
    R("greater_equal", np.greater_equal, None,   lambda f, a, b: f.less_equal(b, a)),
    D("logical_and",   np.logical_and,   None,   lambda f, a, b: f.both(a, b),   domains=INTEGER),
    D("logical_or",    np.logical_or,    None,   lambda f, a, b: f.either(a, b), domains=INTEGER),
    D("logical_xor",   np.logical_xor,   None,   xor_define,                     domains=INTEGER),
    D("logical_not",   np.logical_not,   None,   lambda f, x: f.negate(x),       domains=INTEGER),
    D("isclose",       isclose,          None,   isclose_define, doc=CLOSE),
)

CHOICES = (
    # op         forward     cotangents    definition                                   domain, ties
    H("where",   np.where,   where_rule,   where_define,                    domains=(INTEGER, REAL, REAL), promotes=(1, 2)),
    R("maximum", np.maximum, maximum_rule, lambda f, a, b: f.where(f.less(a, b), b, a), ties=HALF, kink=Kink.MEAN),
    R("minimum", np.minimum, minimum_rule, lambda f, a, b: f.where(f.less(b, a), b, a), ties=HALF, kink=Kink.MEAN),
    R("fmax",    np.fmax,    fmax_rule,  fmax_define,                       ties=FIRST, kink=TO_FIRST, doc=LARGER),
    R("fmin",    np.fmin,    fmin_rule,  fmin_define,                       ties=FIRST, kink=TO_FIRST, doc=SMALLER),
    R("clip",    np.clip,    clip_rule,    clip_define,                     ties=ONE_AT_BOUNDS, kink=BOUNDS, doc=CLIP,
      neutral=unbounded),
)
# fmt: on

MEMORY = {"where": Memory(into=where_into)}

register_ops = registering(*named(COMPARISONS + CHOICES), memory=MEMORY)
