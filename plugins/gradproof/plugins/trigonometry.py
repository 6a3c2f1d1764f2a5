"""Trigonometric and hyperbolic functions and their inverses."""

from fractions import Fraction

import numpy as np

from gradproof.engine.extend import ABOVE_ONE, HOLOMORPHIC, REAL, UNIT, Op, hookimpl, ops
from gradproof.plugins.dtypes import in_float32
from gradproof.plugins.ranges import over_square

GRADPROOF_API = 1


def tanh_rule(g, y, x):
    """1/cosh², which keeps its digits at large |x| where 1 - y² has none left."""
    return over_square(g, ops.cosh(x))


@in_float32
def tan_rule(g, y, x):
    """1 + y², which is beyond float16 where the gradient is not; of complex numbers 1/cos²: far from the real line y is
    nearly ±i, and 1 + y² all rounding."""
    return over_square(g, ops.cos(x)) if x.dtype.kind == "c" else g * (1 + y * y)


def atan2_rule(g, y, a, b):
    """b / r² and -a / r²; where r is beyond the largest float, from half of it."""
    r = ops.hypot(a, b)
    finite = ops.not_equal(ops.reciprocal(r), 0)
    r = ops.where(ops.equal(r, 0), 1, ops.where(finite, r, ops.hypot(a / 2, b / 2)))
    return tuple(ops.ratio(g, ops.where(finite, x, x / 4), r, r) for x in (b, -a))


def made_small(x, sign=1):
    """A size, (1 ± x²) over its square, and whether x² is within the range: where it is not, take the former."""
    size = 2**520 if x.dtype.itemsize == 16 else 2**65
    square = x * x
    return size, sign * ops.square(x / size) + Fraction(1, size**2), ops.not_equal(ops.reciprocal(square), 0)


def asinh_rule(g, y, x):
    """1 / √(1 + x²), which hypot does not let overflow; there is none for complex numbers, which are made small first."""
    if x.dtype.kind != "c":
        return g / ops.hypot(x, 1)
    size, small, finite = made_small(x)
    near = 1 + ops.where(finite, x, 0) * x
    return ops.where(finite, g / ops.sqrt(near), g / size / ops.sqrt(small))


def atan_rule(g, y, x):
    """1 / (1 + x²), likewise."""
    if x.dtype.kind != "c":
        return over_square(g, ops.hypot(x, 1))
    size, small, finite = made_small(x)
    return ops.where(finite, g / (1 + ops.where(finite, x, 0) * x), g / size / size / small)


def asin_rule(g, y, x):
    """1 / √(1 - x²), in factors, which keep their digits near ±1; complex numbers likewise."""
    if x.dtype.kind != "c":
        return g / ops.sqrt((1 - x) * (1 + x))
    size, small, finite = made_small(x, -1)
    near = ops.where(finite, x, 0)
    return ops.where(finite, g / ops.sqrt((1 - near) * (1 + near)), g / size / ops.sqrt(small))


def atanh_rule(g, y, x):
    """1 / (1 - x²), likewise."""
    return g / (1 - x) / (1 + x) if x.dtype.kind == "c" else g / ((1 - x) * (1 + x))


TRIGONOMETRY = (
    Op("sin", np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x), complex=HOLOMORPHIC, doc="sin x"),
    Op("cos", np.cos, lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x), complex=HOLOMORPHIC, doc="cos x"),
    Op("tan", np.tan, tan_rule, lambda f, x: f.tan(x), complex=HOLOMORPHIC, doc="tan x"),
    Op(
        "asin",
        np.arcsin,
        asin_rule,
        lambda f, x: f.asin(x),
        domains=UNIT,
        complex=HOLOMORPHIC,
        doc="arcsin x",
    ),
    Op(
        "acos",
        np.arccos,
        lambda g, y, x: -asin_rule(g, y, x),
        lambda f, x: f.acos(x),
        domains=UNIT,
        complex=HOLOMORPHIC,
        doc="arccos x",
    ),
    Op("atan", np.arctan, atan_rule, lambda f, x: f.atan(x), complex=HOLOMORPHIC, doc="arctan x"),
    Op("atan2", np.arctan2, atan2_rule, lambda f, a, b: f.atan2(a, b), ties="0 at the origin", doc="the angle of (b, a)"),
    Op("sinh", np.sinh, lambda g, y, x: g * ops.cosh(x), lambda f, x: f.sinh(x), complex=HOLOMORPHIC, doc="sinh x"),
    Op("cosh", np.cosh, lambda g, y, x: g * ops.sinh(x), lambda f, x: f.cosh(x), complex=HOLOMORPHIC, doc="cosh x"),
    Op("tanh", np.tanh, tanh_rule, lambda f, x: f.tanh(x), complex=HOLOMORPHIC, doc="tanh x"),
    Op("asinh", np.arcsinh, asinh_rule, lambda f, x: f.asinh(x), domains=REAL, complex=HOLOMORPHIC, doc="arsinh x"),
    Op(
        "acosh",
        np.arccosh,
        lambda g, y, x: g / (ops.sqrt(x - 1) * ops.sqrt(x + 1)),
        lambda f, x: f.acosh(x),
        domains=ABOVE_ONE,
        complex=HOLOMORPHIC,
        doc="arcosh x",
    ),
    Op(
        "atanh",
        np.arctanh,
        atanh_rule,
        lambda f, x: f.atanh(x),
        domains=UNIT,
        complex=HOLOMORPHIC,
        doc="artanh x",
    ),
)


@hookimpl
def register_ops(register):
    for op in TRIGONOMETRY:
        register(op)
