"""Trigonometric and hyperbolic functions and their inverses."""

from fractions import Fraction

import numpy as np

from gradproof.engine.extend import ABOVE_ONE, NONZERO, UNIT, ops, registering
from gradproof.plugins.dtypes import in_float32
from gradproof.plugins.families import H, R
from gradproof.plugins.names import named
from gradproof.plugins.ranges import beside, over_square
from gradproof.plugins.sinc import SINC, sinc, sinc_define, sinc_rule

GRADPROOF_API = 1


def tanh_rule(g, y, x):
    """g / cosh² x, which keeps its digits at large |x|, where 1 - y² has none left."""
    return over_square(g, ops.cosh(x))


def sinh_rule(g, y, x):
    """g cosh x, and 0 where g is 0: so derivatives of 1 / cosh² x are finite where cosh x is not."""
    return g * beside(g, ops.cosh(x))


def cosh_rule(g, y, x):
    """g sinh x, and 0 where g is 0, as in `sinh_rule`."""
    return g * beside(g, ops.sinh(x))


@in_float32
def tan_rule(g, y, x):
    """g (1 + y²), traced in float32 since y² may leave float16 where the gradient does not.

    For complex numbers g / cos² x: far from the real line y is nearly ±i, and 1 + y² is all rounding."""
    return over_square(g, ops.cos(x)) if x.dtype.kind == "c" else g * (1 + y * y)


def atan2_rule(g, y, a, b):
    """g b / r² and -g a / r² with r = √(a² + b²); computed from r / 2 where r is beyond the largest float."""
    r = ops.hypot(a, b)
    finite = ops.not_equal(ops.reciprocal(r), 0)
    r = ops.where(ops.equal(r, 0), 1, ops.where(finite, r, ops.hypot(a / 2, b / 2)))
    return tuple(ops.ratio(g, ops.where(finite, x, x / 4), r, r) for x in (b, -a))


def scaled_square(x, sign=1):
    """A size s, (1 ± x²) / s², and a condition: whether x² is finite. Where it is not, the rules use the scaled form."""
    size = 2**520 if x.dtype.itemsize == 16 else 2**65
    square = x * x
    return size, sign * ops.square(x / size) + Fraction(1, size**2), ops.not_equal(ops.reciprocal(square), 0)


def asinh_rule(g, y, x):
    """g / √(1 + x²), by hypot, which does not overflow; complex numbers, for which there is no hypot, are scaled."""
    if x.dtype.kind != "c":
        return g / ops.hypot(x, 1)
    size, small, finite = scaled_square(x)
    near = 1 + ops.where(finite, x, 0) * x
    return ops.where(finite, g / ops.sqrt(near), g / size / ops.sqrt(small))


def atan_rule(g, y, x):
    """g / (1 + x²), computed as in `asinh_rule`."""
    if x.dtype.kind != "c":
        return over_square(g, ops.hypot(x, 1))
    size, small, finite = scaled_square(x)
    return ops.where(finite, g / (1 + ops.where(finite, x, 0) * x), g / size / size / small)


def asin_rule(g, y, x):
    """g / √(1 - x²), in factors, which keep their digits near ±1."""
    if x.dtype.kind != "c":
        return g / ops.sqrt((1 - x) * (1 + x))
    size, small, finite = scaled_square(x, -1)
    near = ops.where(finite, x, 0)
    return ops.where(finite, g / ops.sqrt((1 - near) * (1 + near)), g / size / ops.sqrt(small))


def acos_rule(g, y, x):
    return -asin_rule(g, y, x)


def acosh_rule(g, y, x):
    return g / (ops.sqrt(x - 1) * ops.sqrt(x + 1))


def atanh_rule(g, y, x):
    """g / (1 - x²), in factors, as `asin_rule`."""
    return g / (1 - x) / (1 + x) if x.dtype.kind == "c" else g / ((1 - x) * (1 + x))


# fmt: off
TRIGONOMETRY = (
    # op       forward     cotangents of the inputs         definition                     domain, ties
    H("sin",   np.sin,     lambda g, y, x: g * ops.cos(x),  lambda f, x: f.sin(x)),
    H("cos",   np.cos,     lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x)),
    H("tan",   np.tan,     tan_rule,                        lambda f, x: f.tan(x)),
    H("asin",  np.arcsin,  asin_rule,                       lambda f, x: f.asin(x),        domains=UNIT),
    H("acos",  np.arccos,  acos_rule,                       lambda f, x: f.acos(x),        domains=UNIT),
    H("atan",  np.arctan,  atan_rule,                       lambda f, x: f.atan(x)),
    R("atan2", np.arctan2, atan2_rule,                      lambda f, a, b: f.atan2(a, b), ties="0 at the origin"),
    H("sinh",  np.sinh,    sinh_rule,                       lambda f, x: f.sinh(x)),
    H("cosh",  np.cosh,    cosh_rule,                       lambda f, x: f.cosh(x)),
    H("tanh",  np.tanh,    tanh_rule,                       lambda f, x: f.tanh(x)),
    H("asinh", np.arcsinh, asinh_rule,                      lambda f, x: f.asinh(x)),
    H("acosh", np.arccosh, acosh_rule,                      lambda f, x: f.acosh(x),       domains=ABOVE_ONE),
    H("atanh", np.arctanh, atanh_rule,                      lambda f, x: f.atanh(x),       domains=UNIT),
    H("sinc",  sinc,       sinc_rule,                       sinc_define,                   domains=NONZERO, doc=SINC),
)
# fmt: on

register_ops = registering(*named(TRIGONOMETRY))
