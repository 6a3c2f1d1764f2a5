"""Trigonometric and hyperbolic functions and their inverses."""

import numpy as np

from gradproof.engine.extend import ABOVE_ONE, REAL, UNIT, Op, hookimpl, ops

GRADPROOF_API = 1


def tanh_rule(g, y, x):
    """1/cosh², which keeps its digits at large |x| where 1 - y² has none left; divided twice, so as not to overflow."""
    c = ops.cosh(x)
    return g / c / c


def atan2_rule(g, y, a, b):
    r = ops.hypot(a, b)
    origin = ops.equal(r, 0)
    r = ops.where(origin, 1, r)
    return g * (b / r) / r, -g * (a / r) / r


TRIGONOMETRY = (
    Op("sin", np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x), doc="sin x"),
    Op("cos", np.cos, lambda g, y, x: -g * ops.sin(x), lambda f, x: f.cos(x), doc="cos x"),
    Op("tan", np.tan, lambda g, y, x: g * (1 + y * y), lambda f, x: f.tan(x), doc="tan x"),
    Op(
        "asin",
        np.arcsin,
        lambda g, y, x: g / ops.sqrt((1 - x) * (1 + x)),
        lambda f, x: f.asin(x),
        domains=UNIT,
        doc="arcsin x",
    ),
    Op(
        "acos",
        np.arccos,
        lambda g, y, x: -g / ops.sqrt((1 - x) * (1 + x)),
        lambda f, x: f.acos(x),
        domains=UNIT,
        doc="arccos x",
    ),
    Op("atan", np.arctan, lambda g, y, x: g / (1 + x * x), lambda f, x: f.atan(x), doc="arctan x"),
    Op("atan2", np.arctan2, atan2_rule, lambda f, a, b: f.atan2(a, b), ties="0 at the origin", doc="the angle of (b, a)"),
    Op("sinh", np.sinh, lambda g, y, x: g * ops.cosh(x), lambda f, x: f.sinh(x), doc="sinh x"),
    Op("cosh", np.cosh, lambda g, y, x: g * ops.sinh(x), lambda f, x: f.cosh(x), doc="cosh x"),
    Op("tanh", np.tanh, tanh_rule, lambda f, x: f.tanh(x), doc="tanh x"),
    Op("asinh", np.arcsinh, lambda g, y, x: g / ops.hypot(x, 1), lambda f, x: f.asinh(x), domains=REAL, doc="arsinh x"),
    Op(
        "acosh",
        np.arccosh,
        lambda g, y, x: g / (ops.sqrt(x - 1) * ops.sqrt(x + 1)),
        lambda f, x: f.acosh(x),
        domains=ABOVE_ONE,
        doc="arcosh x",
    ),
    Op("atanh", np.arctanh, lambda g, y, x: g / ((1 - x) * (1 + x)), lambda f, x: f.atanh(x), domains=UNIT, doc="artanh x"),
)


@hookimpl
def register_ops(register):
    for op in TRIGONOMETRY:
        register(op)
