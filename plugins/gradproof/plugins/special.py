"""Products with logarithms, with their limits at 0, and the log-odds."""

import numpy as np
from scipy import special

from gradproof.engine.extend import ABOVE_MINUS_ONE, POSITIVE, PROPER, REAL, InferenceError, case, ops, registering
from gradproof.plugins.dtypes import in_float64
from gradproof.plugins.families import R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def xlogy_rule(g, y, x, other):
    """g ln y and g x / y; 0 at x = 0, where y has no say, and along x where ln y has no value besides (as in PyTorch)."""
    none = ops.equal(x, 0)
    inside = ops.where(ops.logical_and(none, other <= 0), 1, other)
    return g * ops.log(inside), ops.where(none, 0, ops.ratio(g, x, ops.where(none, 1, other), 1))


def xlog1py_rule(g, y, x, other):
    """g ln(1 + y) and g x / (1 + y); the rest as `xlogy_rule`."""
    none = ops.equal(x, 0)
    inside = ops.where(ops.logical_and(none, other <= -1), 0, other)
    return g * ops.log1p(inside), ops.where(none, 0, ops.ratio(g, x, 1 + ops.where(none, 0, other), 1))


def bounds(eps):
    """Raises InferenceError for an eps that is out of range."""
    if eps is not None and not 0 <= eps < 0.5:
        raise InferenceError(f"eps is {eps}; it must be from 0 to below 0.5, or None")


def logit(x, *, eps):
    """`scipy.special.logit`, of x between eps and 1 - eps."""
    bounds(eps)
    return special.logit(x if eps is None else np.clip(x, eps, 1 - eps))


def logit_rule(g, y, x, *, eps):
    """g / (x (1 - x)); 0 where x was clipped."""
    slope = ops.ratio(g, 1, x, 1 - x)
    return slope if eps is None else ops.where(ops.logical_or(x < eps, x > 1 - eps), 0, slope)


def logit_define(f, x, *, eps=None):
    if eps is not None:
        x = f.where(f.less(x, eps), f.number(eps), f.where(f.less(1 - f.number(eps), x), 1 - f.number(eps), x))
    return f.log(x / (1 - x))


def xlogy_define(f, x, y):
    return f.where(f.equal(x, 0), 0 * x, x * f.log(y))


def xlog1py_define(f, x, y):
    return f.where(f.equal(x, 0), 0 * x, x * f.log1p(y))


LOGITS = (case(()), case((2, 3)), case((1, 2), eps=0.125))

# fmt: off
SPECIAL = (
    R("xlogy",   in_float64(special.xlogy),   xlogy_rule,   xlogy_define,   domains=(REAL, POSITIVE),
      ties="0 along y at x = 0; 0 along x at x = 0 and y <= 0", doc="x ln y, and 0 at x = 0"),
    R("xlog1py", in_float64(special.xlog1py), xlog1py_rule, xlog1py_define, domains=(REAL, ABOVE_MINUS_ONE),
      ties="0 along y at x = 0; 0 along x at x = 0 and y <= -1", doc="x ln(1 + y), and 0 at x = 0"),
    R("entr",    in_float64(special.entr),    lambda g, y, x: -g * (1 + ops.log(x)), lambda f, x: -x * f.log(x),
      domains=POSITIVE, doc="-x ln x, 0 at 0, and -inf for x < 0"),
    R("logit",   in_float64(logit),           logit_rule,   logit_define,   domains=PROPER, cases=LOGITS,
      ties="1 / (x (1 - x)) at eps and 1 - eps", doc="ln(x / (1 - x)) of x, or of x clipped to eps and 1 - eps"),
)
# fmt: on

register_ops = registering(*named(SPECIAL))
