"""Ops whose rules are wrong in ways that a derived graph may hide: they write nodes, pass cotangents on, or deny them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "derived"

OPS = (
    Op("derived.quart", lambda x: x**4, lambda g, y, x: 3 * g * x * x * x, lambda f, x: x * x * x * x),
    Op("derived.double", lambda x: 2 * x, lambda g, y, x: g, lambda f, x: 2 * x, doc="its rule writes nothing"),
    Op("derived.plus", np.add, lambda g, y, a, b: (g, NO_GRADIENT), lambda f, a, b: a + b, doc="its rule denies b"),
    Op("derived.square", lambda x: x * x, lambda g, y, x: 2 * g * x, lambda f, x: x * x, doc="right"),
    Op("derived.same", lambda x: +x, lambda g, y, x: g, lambda f, x: x, doc="right, and its rule writes nothing"),
    Op("derived.half", lambda x: x / 2, lambda g, y, x: ops.divide(g, 2), lambda f, x: x / 2, doc="right"),
)


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for op in OPS:
        register(op)
