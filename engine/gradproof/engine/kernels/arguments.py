"""Arguments at which a kernel is measured: where its function is hard, and values that are no numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine import points
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, DType

GENERAL = (
    points.between(-5, 5),
    points.between(-746, 746),
    points.ALL,
    points.sized(-30, 30),
    points.near(0, 1, -1, 0.5, 2),
)
"""Draws for any function."""
EDGES = (np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0)


def arguments_of(op: Op, dtype: DType) -> tuple[Array, ...]:
    """An array of ``dtype`` for each input of an op: general points, those of the function that its definition is; its
    stress inputs; the ends of the range, denormal numbers, zeros of either sign, infinities and nan, each with each."""
    count = len(op.inputs)
    name = function_of(op)
    drawn = _general(op.name, count)
    if name:
        drawn = tuple(np.concatenate(pair) for pair in zip(drawn, points.of(name), strict=True))
    info = np.finfo(dtype)
    ends = [float(x) for x in (info.max, info.tiny, info.smallest_subnormal, info.tiny / 2, info.max / 2)]
    special = np.array([*EDGES, *op.stress, *ends, *(-x for x in ends)])
    crossed = [axis.ravel() for axis in np.meshgrid(*[special] * count, indexing="ij")]
    with np.errstate(all="ignore"):
        return tuple(np.concatenate(parts).astype(dtype) for parts in zip(drawn, crossed, strict=True))


def function_of(op: Op) -> str:
    """The row of the function table that the definition of an op is, with its inputs in order; empty for any other."""
    inputs = tuple(object() for _ in op.inputs)
    try:
        written = op.definitions[0](_Names(), *inputs)
    except Exception:  # more than a name: an operator, a comparison
        return ""
    known = isinstance(written, tuple) and len(written) == 2 and written[1] == inputs
    return str(written[0]) if known and written[0] in points.DRAWS else ""


class _Names:
    """A function table whose functions give their name and arguments."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: (name, arguments)


def _general(name: str, count: int) -> tuple[Array, ...]:
    random = np.random.default_rng(sum(map(ord, name)))
    each = points.COUNT // len(GENERAL) + 1
    return tuple(random.permutation(np.concatenate([draw(random, each) for draw in GENERAL])) for _ in range(count))
