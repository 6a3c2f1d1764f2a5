"""The function table in arrays: NumPy's and SciPy's functions, how far they may be off, and their derivatives.

How far: in units in the last place of float64, for arguments that are exact. Balls need more than the value at a midpoint:
of a function that grows (or falls) both ends are computed, of one that changes by at most so much per unit of its argument
the radius is multiplied by that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray, grown


@dataclass(frozen=True)
class ArrayFunction:
    """One row: ``numpy`` is within ``ulps`` of the true value at every float in its domain. ``slope``: None for a monotone
    function, else a bound of |derivative| everywhere. ``partials(f, *arguments)`` gives the derivatives, written with
    ``f``, the reading of arrays."""

    name: str
    numpy: Callable[..., Any]
    ulps: float
    partials: Callable[..., tuple[Any, ...]]
    slope: float | None = None

    def ball(self, x: BallArray) -> BallArray:
        """The function of one array of balls."""
        with np.errstate(all="ignore"):
            mid = np.asarray(self.numpy(x.mid))
            charge = np.abs(mid) * (2 * x.unit * self.ulps)
            if x.rad is None:
                return BallArray(mid, grown(charge), x.unit)
            if self.slope is not None:
                return BallArray(mid, grown(charge + self.slope * x.rad), x.unit)
            return BallArray(mid, grown(self._ends(x, mid, charge)), x.unit)

    def _ends(self, x: BallArray, mid: Array, charge: Array) -> Array:
        rad = grown(np.asarray(x.rad) + np.abs(x.mid) * UNIT)
        low, high = np.asarray(self.numpy(x.mid - rad)), np.asarray(self.numpy(x.mid + rad))
        most = np.maximum(np.abs(low - mid), np.abs(high - mid))
        return np.asarray(charge + most + np.maximum(np.abs(low), np.abs(high)) * (2 * UNIT * (self.ulps + 1)))


ROWS: tuple[ArrayFunction, ...] = (
    ArrayFunction("exp", np.exp, 2, lambda f, x: (f.exp(x),)),
    ArrayFunction("log", np.log, 2, lambda f, x: (1 / x,)),
    ArrayFunction("log1p", np.log1p, 2, lambda f, x: (1 / (1 + x),)),
    ArrayFunction("sqrt", np.sqrt, 1, lambda f, x: (0.5 / f.sqrt(x),)),
    ArrayFunction("sin", np.sin, 2, lambda f, x: (f.cos(x),), slope=1),
    ArrayFunction("cos", np.cos, 2, lambda f, x: (-f.sin(x),), slope=1),
    ArrayFunction("tanh", np.tanh, 4, lambda f, x: (1 / (f.cosh(x) * f.cosh(x)),)),
)
TABLE = {row.name: row for row in ROWS}
