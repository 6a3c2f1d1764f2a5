"""Tiling: an operand that is broadcast over short lines is repeated a few times first, so that the lines are long.

NumPy's inner loop runs along the last axis. For shapes (25, 1000, 10) and (25, 1, 10) that is ten elements at a time, and
costs several times the arithmetic; with the second repeated fifty times, as (25, 20, 500) and (25, 1, 500), it is five
hundred.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradproof.engine.spec import Array, Spec

SHORT: Final = 64
LONG: Final = 512
LARGE: Final = 1 << 14


@dataclass(frozen=True, slots=True)
class Tiled:
    """A call ``ufunc(*inputs, out)`` where an input is broadcast along ``axis``, counted from the end."""

    ufunc: Callable[..., Any]
    axis: int

    def __call__(self, *arrays: Array) -> None:
        out = arrays[-1]
        lines, length = out.shape[self.axis], math.prod(out.shape[self.axis + 1 :])
        count = _divisor(lines, LONG // max(length, 1))
        if count < 2 or not all(x.flags.c_contiguous for x in arrays):
            self.ufunc(*arrays)
            return
        self.ufunc(*[self._long(x, lines, length, count) for x in arrays])

    def _long(self, x: Array, lines: int, length: int, count: int) -> Array:
        leading = x.shape[: self.axis] if x.ndim >= -self.axis else ()
        if x.ndim >= -self.axis and x.shape[self.axis] == lines:
            return x.reshape(*leading, lines // count, count * length)
        tile = np.empty((*leading, count, length), x.dtype)
        tile[...] = x.reshape(*leading, 1, length)
        return tile.reshape(*leading, 1, count * length)


def tiled(ufunc: np.ufunc, inputs: Sequence[Spec], output: Spec) -> Tiled | None:
    """The tiling of a call, or None: it has one if all inputs have the same short lines as the output, and an input has a
    single line where the output has many."""
    if output.size < LARGE:
        return None
    for axis in range(-2, -output.ndim - 1, -1):
        behind = output.shape[axis + 1 :]
        length = math.prod(behind)
        if not 1 < length <= SHORT or any(x.shape[axis + 1 :] != behind for x in inputs):
            return None
        sizes = [x.shape[axis] if x.ndim >= -axis else 1 for x in inputs]
        if output.shape[axis] > 1 and 1 in sizes:
            return Tiled(ufunc, axis)
    return None


def _divisor(number: int, most: int) -> int:
    """The largest divisor of ``number`` up to ``most``."""
    return next((k for k in range(min(most, number), 1, -1) if number % k == 0), 1)
