"""Ops and hooks of swish: one op of each kind, to be replaced."""

from typing import Any

import numpy as np
from scipy import special

from gradproof.engine.extend import (
    POSITIVE,
    Composite,
    InferenceError,
    Inferred,
    NamedHook,
    Op,
    Spec,
    case,
    ops,
    registering,
)

GRADPROOF_API = 1


# an elementwise op: forward, rule, definition


def forward(x: Any, beta: Any) -> Any:
    """x / (1 + exp(-beta x)), without a warning where the exponential overflows, and the quotient is 0."""
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-beta * x))


def rule(g: Any, y: Any, x: Any, beta: Any) -> Any:
    """With s = sigmoid(beta x): s (1 + beta x (1 - s)) for x, and x² s (1 - s) for beta."""
    rising, falling = ops.sigmoid(beta * x), ops.sigmoid(-beta * x)
    return g * rising * (1 + beta * x * falling), g * x * x * rising * falling


SWISH = Op("swish.swish", forward, rule, lambda f, x, beta: x / (1 + f.exp(-beta * x)), doc="x sigmoid(beta x)")


# a reduction: shapes are inferred, and cases say for which shapes the rule is proved


def mean_square_infer(x: Spec, *, axis: int = -1) -> Inferred:
    """The spec of x without the axis, which is put in canonical form."""
    if not -x.ndim <= axis < x.ndim or not x.shape[axis]:
        raise InferenceError(f"axis {axis} is out of range for rank {x.ndim}, or has no elements")
    axis %= x.ndim
    return Inferred((Spec(x.shape[:axis] + x.shape[axis + 1 :], x.dtype),), {"axis": axis})


def mean_square(x: Any, *, axis: int) -> Any:
    """The mean of the squares along an axis, in float64, rounded once."""
    return np.mean(np.square(x, dtype=np.float64), axis=axis).astype(x.dtype)


def mean_square_rule(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    """2 x / n, times the cotangent of its line."""
    return ops.expand_dims(g, axis=axis) * x * 2 / x.shape[axis]


def mean_square_define(f: Any, i: Any, x: Any, *, axis: int) -> Any:
    """Element i: the mean of the squares of its line."""
    line = [x[(*i[:axis], k, *i[axis:])] for k in range(x.shape[axis])]
    return f.total([value * value for value in line]) / len(line)


MEAN_SQUARE = Op(
    "swish.mean_square",
    mean_square,
    mean_square_rule,
    mean_square_define,
    mean_square_infer,
    cases=(case((3,), axis=0), case((2, 3), axis=1)),
    doc="the mean of the squares along an axis",
)


# a composite: a graph of other ops, whose rules are its own

BLEND = Composite("swish.blend", lambda a, b, *, share=0.5: a + share * (b - a), doc="a, moved towards b by a share")


# a function of SciPy, with its rule and its definition

RELATIVE_ENTROPY = Op(
    "swish.relative_entropy",
    special.rel_entr,
    lambda g, y, x, z: (g * (ops.log(x / z) + 1), -g * x / z),
    lambda f, x, z: x * f.log(x / z),
    domains=POSITIVE,
    stress=(1e-30, 0.25, 40.0, 700.0),
    doc="x log(x / z)",
)


# a hook of gradients


def damp(gradient: Any, *, strength: float = 0.1) -> Any:
    """The gradient times 1 - strength."""
    return (gradient * (1 - strength)).astype(gradient.dtype)


DAMP = NamedHook("swish_damp", damp, "the gradient times 1 - strength")

register_ops = registering(SWISH, MEAN_SQUARE, BLEND, RELATIVE_ENTROPY)
register_hooks = registering(DAMP)
