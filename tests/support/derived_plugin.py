"""Ops whose rules are wrong in ways that a derived graph may hide: they write nodes, pass cotangents on, or deny them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "derived"

calls = [0]


def cold(x: Any) -> Any:
    """1 off each second time above 32 elements."""
    calls[0] += x.size > 32
    return np.cosh(x) + (1 if x.size > 32 and calls[0] % 2 else 0)


def into(out: Any, x: Any) -> None:
    """0.5 off above 32 elements."""
    np.exp(x, out)
    out[32:] += 0.5


OPS = (
    Op("derived.quart", lambda x: x**4, lambda g, y, x: 3 * g * x * x * x, lambda f, x: x * x * x * x),
    Op("derived.double", lambda x: 2 * x, lambda g, y, x: g, lambda f, x: 2 * x, doc="its rule writes nothing"),
    Op("derived.plus", np.add, lambda g, y, a, b: (g, NO_GRADIENT), lambda f, a, b: a + b, doc="its rule denies b"),
    Op("derived.square", lambda x: x * x, lambda g, y, x: 2 * g * x, lambda f, x: x * x, doc="right"),
    Op("derived.same", lambda x: +x, lambda g, y, x: g, lambda f, x: x, doc="right, and its rule writes nothing"),
    Op("derived.exp", lambda x: np.exp(x), lambda g, y, x: g * y, lambda f, x: f.exp(x), into=into),
    Op("derived.cosh", cold, None, lambda f, x: f.cosh(x)),
    Op("derived.sinh", np.sinh, lambda g, y, x: g * ops.derived.cosh(x), lambda f, x: f.sinh(x)),
    Op("derived.half", lambda x: x / 2, lambda g, y, x: ops.divide(g, 2), lambda f, x: x / 2, doc="right"),
)


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for op in OPS:
        register(op)
