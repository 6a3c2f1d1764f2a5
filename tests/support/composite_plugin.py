"""Composites, right and wrong, beside ops of which they are made."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Composite, DataFault, InferenceError, Op, case, ops, registering

GRADPROOF_API = 1
GRADPROOF_NAME = "made"


def mse(x: Any, target: Any, weight: Any = None, *, reduction: str = "mean") -> Any:
    if reduction not in ("mean", "none"):
        raise InferenceError(f"reduction is {reduction!r}; it must be 'mean' or 'none'")
    error = ops.square(x - target)
    if weight is not None:
        error = error * weight
    return ops.mean(error) if reduction == "mean" else error


def strict(x: Any) -> Any:
    """The sine, for numbers that are not negative."""
    if (x < 0).any():
        raise DataFault("a number is negative", element="[0]")
    return np.sin(x)


SQUARES = (case((2, 3), (2, 3)), case((3,), (2, 3), (3,)), case((2, 3), (2, 3), reduction="none"))

register_ops = registering(
    Op("made.silent", np.sin, lambda g, y, x: NO_GRADIENT, lambda f, x: f.sin(x)),
    Op("made.false_cube", lambda x: x**3, lambda g, y, x: g * x * x * 2, lambda f, x: x * x * x),
    Op("made.strict", strict, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x)),
    Composite("made.mse", mse, cases=SQUARES, doc="the mean squared error"),
    Composite("made.lerp", lambda a, b, w: a + w * (b - a), define=lambda f, a, b, w: a * (1 - w) + b * w),
    Composite("made.scaled", lambda x, *, alpha=1.5: ops.tanh(x * alpha) / alpha),
    Composite("made.same", lambda x: x),
    Composite("made.pair", lambda x: (x, ops.exp(x), x)),
    Composite("made.stack", lambda *arrays: ops.concat(*arrays, axis=0), cases=(case((1, 2), (2, 2)),)),
    Composite("made.close", lambda a, b: ops.abs(a - b) <= 1),
    Composite("made.nested", lambda x: ops.made.scaled(x, alpha=2) * ops.made.same(x) + 1),
    Composite("made.deaf", lambda x: ops.made.silent(x) * ops.exp(x)),
    Composite("made.lying", lambda x: x * ops.sin(x), define=lambda f, x: x * f.cos(x)),
    Composite("made.false", lambda x: ops.made.false_cube(x) + x),
    Composite("made.strict_sum", lambda x: ops.sum(ops.made.strict(x)), cases=(case((3,)),)),
)
