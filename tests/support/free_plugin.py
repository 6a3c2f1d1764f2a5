"""Ops with a float attribute, for workers to import: one that is proved for all values, and one that is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradproof.engine.extend import Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "free"

LEAKY = Op(
    "free.leaky",
    lambda x, *, slope=0.01: np.where(x < 0, slope * x, x).astype(x.dtype),
    lambda g, y, x, *, slope: ops.where(x < 0, slope * g, g),
    lambda f, x, *, slope=0.01: f.where(f.less(x, 0), slope * x, x),
    doc="x where x > 0, else slope x",
)
SHIFTED = Op(
    "free.shifted",
    lambda x, *, s=0.3: x / (s - 0.75) * (s - 0.75),
    lambda g, y, x, *, s: 1 * g,
    lambda f, x, *, s=0.3: x / (s - 0.75) * (s - 0.75),
    doc="x, in which a singularity at s = 3/4 cancels",
)


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    register(LEAKY)
    register(SHIFTED)
