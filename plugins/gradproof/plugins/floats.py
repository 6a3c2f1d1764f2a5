"""Floats as such: nan, infinities, signs of zeros, exponents and neighbours."""

import numpy as np
from ml_dtypes import finfo

from gradproof.engine.extend import INTEGER, NO_GRADIENT, REAL, InferenceError, ops, registering
from gradproof.plugins.axes import number
from gradproof.plugins.families import D, R
from gradproof.plugins.names import named

GRADPROOF_API = 1


def isfinite_define(f, x):
    return f.negate(f.either(f.isnan(x), f.isinf(x)))


def isposinf_define(f, x):
    return f.both(f.isinf(x), f.less(0, f.where(f.isnan(x), 0, x)))


def isneginf_define(f, x):
    return f.both(f.isinf(x), f.less(f.where(f.isnan(x), 0, x), 0))


def isreal_define(f, x):
    return f.equal(f.imag(x), 0)


def signbit_define(f, x):
    """By the sign of 1 / x, since a zero has a sign too."""
    return f.less(1 / x, 0)


def nan_to_num(x, *, nan=0.0, posinf=None, neginf=None):
    """`numpy.nan_to_num`. Raises InferenceError for a replacement that is neither a number nor None."""
    ends = [None if end is None else number(name, end) for name, end in (("posinf", posinf), ("neginf", neginf))]
    if x.dtype.kind != "V":
        return np.nan_to_num(x, True, number("nan", nan), *ends)
    info = finfo(x.dtype)  # of bfloat16, which NumPy leaves as it is
    top, bottom = (limit if end is None else end for end, limit in zip(ends, (info.max, info.min), strict=True))
    return np.select([np.isnan(x), x == np.inf, x == -np.inf], [number("nan", nan), top, bottom], x).astype(x.dtype)


def nan_to_num_rule(g, y, x, *, nan, posinf, neginf):
    return ops.where(ops.isfinite(x), g, 0)


def nan_to_num_define(f, x, *, nan=0.0, posinf=None, neginf=None):
    """The largest and the least number of a dtype, which are the defaults, are no numbers of the reals: nan."""
    top, bottom = (f.number(float("nan") if end is None else end) for end in (posinf, neginf))
    known = f.where(f.isnan(x), f.number(nan), x)
    return f.where(f.isinf(x), f.where(f.less(0, known), top, bottom), known)


def ldexp(x, exponent):
    """`numpy.ldexp`, for any integers or truth values as exponents. Raises InferenceError for others."""
    if exponent.dtype.kind not in "biu":
        raise InferenceError(f"exponent is {exponent.dtype.name}; it must be an integer")
    return np.ldexp(x, np.clip(exponent, -(1 << 20), 1 << 20).astype(np.int32))


def ldexp_rule(g, y, x, exponent):
    return ops.ldexp(g, exponent), NO_GRADIENT


def ldexp_define(f, x, exponent):
    """An infinite x stays infinite, however small the power; the slope is the power there too."""
    return x * f.power(f.number(2), f.as_number(exponent)) + f.where(f.isinf(x), f.constant(x), 0)


def nextafter_define(f, a, b):
    """Raises NotImplementedError: the reals know no floats."""
    raise NotImplementedError("the next float depends on the dtype")


NUMBER = "x; nan, and the infinities, by default the largest and the least float, where x is none"
REAL_PART_ALONE = "whether the imaginary part of x is 0"
LDEXP = "x 2^exponent"
NEXT = "the float after a towards b"
SCALED = (REAL, INTEGER)

# fmt: off
FLOATS = (
    # op            forward       cotangents       definition                domain
    D("isnan",      np.isnan,     None,            lambda f, x: f.isnan(x),  doc="whether x is nan"),
    D("isinf",      np.isinf,     None,            lambda f, x: f.isinf(x),  doc="whether x is infinite"),
    D("isfinite",   np.isfinite,  None,            isfinite_define,          doc="whether x is neither nan nor infinite"),
    R("isposinf",   np.isposinf,  None,            isposinf_define,          doc="whether x is ∞"),
    R("isneginf",   np.isneginf,  None,            isneginf_define,          doc="whether x is -∞"),
    D("isreal",     np.isreal,    None,            isreal_define,            doc=REAL_PART_ALONE),
    R("signbit",    np.signbit,   None,            signbit_define,           doc="whether x is negative, -0 included"),
    R("nan_to_num", nan_to_num,   nan_to_num_rule, nan_to_num_define,        doc=NUMBER),
    R("ldexp",      ldexp,        ldexp_rule,      ldexp_define,             domains=SCALED, promotes=(0,), doc=LDEXP),
    R("nextafter",  np.nextafter, None,            nextafter_define,         doc=NEXT),
)
# fmt: on

register_ops = registering(*named(FLOATS))
