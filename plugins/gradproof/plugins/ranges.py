"""Products and quotients whose parts may leave the range of a dtype where the whole does not."""

from functools import cache

import numpy as np
from ml_dtypes import finfo

from gradproof.engine.extend import NONZERO, REAL, Memory, ops, registering
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1


CHUNK = 1 << 15
"""Elements that are computed at once, so that the quotients stay in the cache."""


def ratio(a, b, c, d):
    """a b / (c d) as (a / c) (b / d); mantissas and exponents are computed apart where a factor leaves the range."""
    if a.dtype == object:  # exact numbers, in tests
        return a * b / (c * d)
    if a.dtype.char not in "fd":
        return _whole(a, b, c, d)
    out = np.empty(np.broadcast_shapes(*(np.shape(x) for x in (a, b, c, d))), a.dtype)
    ratio_into(out, a, b, c, d)
    return out


def _whole(a, b, c, d):
    with np.errstate(all="ignore"):
        left, right = np.asarray(a / c), np.asarray(b / d)
        whole = np.asarray(left * right)
        beyond = ~(_safe(left) & _safe(right))
        if beyond.any():
            whole[beyond] = _apart(*(np.broadcast_to(x, whole.shape)[beyond] for x in (a, b, c, d))).astype(whole.dtype)
    return whole


def ratio_into(out, a, b, c, d):
    """`ratio` written to ``out``."""
    if out.dtype.char not in "fd" or out.ndim == 0:
        np.copyto(out, _whole(a, b, c, d))
        return
    inputs = [np.broadcast_to(x, out.shape) for x in (a, b, c, d)]
    rows = max(1, CHUNK * out.shape[0] // max(out.size, 1))
    left = np.empty((min(rows, out.shape[0]), *out.shape[1:]), out.dtype)
    size = np.empty_like(left)
    with np.errstate(all="ignore"):
        for start in range(0, out.shape[0], rows):
            end = min(start + rows, out.shape[0])
            a, b, c, d = (x[start:end] for x in inputs)
            _chunk(out[start:end], a, b, c, d, left[: end - start], size[: end - start])


def _chunk(out, a, b, c, d, left, size):
    """`ratio` with memory for the quotient a / c, and for sizes."""
    np.divide(a, c, left)
    np.divide(b, d, out)
    safe = _all_safe(left, size) and _all_safe(out, size)
    np.multiply(left, out, out)
    if not safe:
        beyond = ~(_safe(left) & _safe(np.divide(b, d)))
        out[beyond] = _apart(*(x[beyond] for x in (a, b, c, d))).astype(out.dtype)


def _all_safe(x, size):
    """As ``_safe(x).all()``, in fewer passes; ``size`` is memory for the absolute values."""
    low, high = _range(x.dtype)
    np.abs(x, size)
    return bool(np.minimum.reduce(size, None, initial=high) >= low and np.maximum.reduce(size, None, initial=0) <= high)


WITHIN = "1e-300 < abs({0} / {2}) < 1e300 and 1e-300 < abs({1} / {3}) < 1e300"
NUMBERS = f"(({{0}} / {{2}}) * ({{1}} / {{3}}) if {WITHIN} else sqrt(-1.0))"  # where Python raises, forward decides
setattr(ratio, "numbers", NUMBERS)  # noqa: B010 - the form for single numbers, in Python


def _safe(x):
    size, (low, high) = np.abs(x), _range(x.dtype)
    return (size >= low) & (size <= high)


@cache
def _range(dtype):
    """The smallest normal and the largest number of a dtype."""
    info = finfo(dtype)
    return info.smallest_normal, info.max


def _apart(a, b, c, d):
    """a b / (c d) in float64, whose range holds the parts of narrower dtypes; float64 by mantissas and exponents."""
    if a.dtype.kind == "c":
        a, b, c, d = (x.astype(np.complex128) for x in (a, b, c, d))
        plain = (a * b) / (c * d)
        return np.where(np.isfinite(plain), plain, np.where(np.abs(a) < np.abs(b), a / c / d * b, b / d / c * a))
    if a.dtype != np.float64:
        a, b, c, d = (x.astype(np.float64) for x in (a, b, c, d))
        return a * b / (c * d)
    (a, i), (b, j), (c, k), (d, m) = map(np.frexp, (a, b, c, d))
    return np.ldexp(a * b / (c * d), i + j - k - m)


def product(a, b):
    """The rounded product of two float64 arrays, and its rounding error, without overflow below 10³⁰⁰ (T. J. Dekker, A
    floating-point technique for extending the available precision, 1971)."""
    whole = a * b
    (high, low), (upper, lower) = _halves(a), _halves(b)
    return whole, ((high * upper - whole) + high * lower + low * upper) + low * lower


def _halves(a):
    """A float64 as the sum of two numbers of 26 bits."""
    shifted = 134217729.0 * a
    high = shifted - (shifted - a)
    return high, a - high


def over_square(g, c):
    """g / c², divided twice, so that c² does not overflow; 0 and not nan where a complex c is infinite."""
    if c.dtype.kind != "c":
        return g / c / c
    share = ops.reciprocal(c)
    return g * share * share


def magnitude(x):
    """|x|, with the derivative 1 at 0."""
    return ops.where(x < 0, -x, x)


def beside(factor, a):
    """``a``, and 0 where the factor is 0, since their product is 0 even where ``a`` is infinite."""
    return ops.where(ops.equal(factor, 0), 0, a)


def mirrored(g, x, tail):
    """g s(x) for a slope with s(x) + s(-x) = 1, from ``tail`` = g s(-|x|), which may be tiny."""
    return ops.where(x < 0, tail, g - tail)


def ratio_rule(g, y, a, b, c, d):
    return ops.ratio(g, b, c, d), ops.ratio(g, a, c, d), -ops.ratio(g, y, c, 1), -ops.ratio(g, y, d, 1)


# fmt: off
RANGES = (
    H("ratio", ratio, ratio_rule, lambda f, a, b, c, d: a * b / (c * d), domains=(REAL, REAL, NONZERO, NONZERO)),
)
# fmt: on

register_ops = registering(*named(RANGES), memory={"ratio": Memory(into=ratio_into)})
