"""Products and quotients whose parts may leave the range of a dtype where the whole does not."""

import numpy as np
from ml_dtypes import finfo

from gradproof.engine.extend import HOLOMORPHIC, NONZERO, REAL, Op, hookimpl, ops

GRADPROOF_API = 1


def ratio(a, b, c, d):
    """a b / (c d) as (a / c) (b / d); where one of these leaves the range, with the exponents apart."""
    if a.dtype == object:  # whatever arithmetic tests bring
        return a * b / (c * d)
    with np.errstate(all="ignore"):
        left, right = np.asarray(a / c), np.asarray(b / d)
        whole = np.asarray(left * right)
        beyond = ~(_safe(left) & _safe(right))
        if beyond.any():
            whole[beyond] = _apart(*(np.broadcast_to(x, whole.shape)[beyond] for x in (a, b, c, d))).astype(whole.dtype)
    return whole


WITHIN = "1e-300 < abs({0} / {2}) < 1e300 and 1e-300 < abs({1} / {3}) < 1e300"
NUMBERS = f"(({{0}} / {{2}}) * ({{1}} / {{3}}) if {WITHIN} else sqrt(-1.0))"  # where Python raises, forward decides
setattr(ratio, "numbers", NUMBERS)  # noqa: B010 - single numbers are Python's


def _safe(x):
    size, info = np.abs(x), finfo(x.dtype)
    return (size >= info.smallest_normal) & (size <= info.max)


def _apart(a, b, c, d):
    """The same in float64, which has room for all that is narrower; float64 itself by mantissas and exponents."""
    if a.dtype.kind == "c":
        a, b, c, d = (x.astype(np.complex128) for x in (a, b, c, d))
        found = (a * b) / (c * d)
        return np.where(np.isfinite(found), found, np.where(np.abs(a) < np.abs(b), a / c / d * b, b / d / c * a))
    if a.dtype != np.float64:
        a, b, c, d = (x.astype(np.float64) for x in (a, b, c, d))
        return a * b / (c * d)
    (a, i), (b, j), (c, k), (d, m) = map(np.frexp, (a, b, c, d))
    return np.ldexp(a * b / (c * d), i + j - k - m)


def over_square(g, c):
    """g / c², divided twice, so as not to overflow; where a complex c is infinite, 0 and not nan."""
    if c.dtype.kind != "c":
        return g / c / c
    share = ops.reciprocal(c)
    return g * share * share


def magnitude(x):
    """|x|, with a derivative at 0 too: that of its right side."""
    return ops.where(x < 0, -x, x)


def mirrored(g, x, tail):
    """g times a slope that at x and -x adds up to 1, from ``tail``: g times the slope at -|x|, which may be tiny."""
    return ops.where(x < 0, tail, g - tail)


RANGES = (
    Op(
        "ratio",
        ratio,
        lambda g, y, a, b, c, d: (
            ops.ratio(g, b, c, d),
            ops.ratio(g, a, c, d),
            -ops.ratio(g, y, c, 1),
            -ops.ratio(g, y, d, 1),
        ),
        lambda f, a, b, c, d: a * b / (c * d),
        domains=(REAL, REAL, NONZERO, NONZERO),
        complex=HOLOMORPHIC,
        doc="a b / (c d), whatever the range of its parts",
    ),
)


@hookimpl
def register_ops(register):
    for op in RANGES:
        register(op)
