"""Trigonometric and hyperbolic functions and their inverses."""

import numpy as np

from gradproof.engine.extend import ABOVE_ONE, HOLOMORPHIC, REAL, UNIT, Op, hookimpl, ops

GRADPROOF_API = 1


def over_square(g, c):
    """g / c², divided twice, so as not to overflow; where a complex c is infinite, 0 and not nan."""
    if c.dtype.kind != "c":
        return g / c / c
    share = ops.reciprocal(c)
    return g * share * share


def tanh_rule(g, y, x):
    """1/cosh², which keeps its digits at large |x| where 1 - y² has none left."""
    return over_square(g, ops.cosh(x))


def tan_rule(g, y, x):
    """1 + y²; of complex numbers 1/cos²: far from the real line y is nearly ±i, and 1 + y² all rounding."""
    return over_square(g, ops.cos(x)) if x.dtype.kind == "c" else g * (1 + y * y)


def atan2_rule(g, y, a, b):
    r = ops.hypot(a, b)
    origin = ops.equal(r, 0)
    r = ops.where(origin, 1, r)
    return g * (b / r) / r, -g * (a / r) / r


def asinh_rule(g, y, x):
    """1 / √(1 + x²), which hypot does not let overflow; there is none for complex numbers."""
    return g / (ops.sqrt(1 + x * x) if x.dtype.kind == "c" else ops.hypot(x, 1))


TRIGONOMETRY = (
    Op("sin", np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x), complex=HOLOMORPHIC, doc="sin x"),
    Op("cos", np.cos, lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x), complex=HOLOMORPHIC, doc="cos x"),
    Op("tan", np.tan, tan_rule, lambda f, x: f.tan(x), complex=HOLOMORPHIC, doc="tan x"),
    Op(
        "asin",
        np.arcsin,
        lambda g, y, x: g / ops.sqrt((1 - x) * (1 + x)),
        lambda f, x: f.asin(x),
        domains=UNIT,
        complex=HOLOMORPHIC,
        doc="arcsin x",
    ),
    Op(
        "acos",
        np.arccos,
        lambda g, y, x: -g / ops.sqrt((1 - x) * (1 + x)),
        lambda f, x: f.acos(x),
        domains=UNIT,
        complex=HOLOMORPHIC,
        doc="arccos x",
    ),
    Op("atan", np.arctan, lambda g, y, x: g / (1 + x * x), lambda f, x: f.atan(x), complex=HOLOMORPHIC, doc="arctan x"),
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
        lambda g, y, x: g / ((1 - x) * (1 + x)),
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
