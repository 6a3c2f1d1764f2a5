"""The reading of whole-array forms in plain floats: matrix products and sums are NumPy's, and have no radii.

A product's value is made only where it is asked for: its derivative A dB + dA B does not need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import UNIT, BallArray
from gradproof.engine.verify.arrays.dual import Dual, head, tangents
from gradproof.engine.verify.arrays.reading import Arrays


class Late(BallArray):
    """Exact numbers of a known shape, made when they are first asked for."""

    __slots__ = ("_make", "_made", "_shape")

    def __init__(self, shape: tuple[int, ...], make: Callable[[], Array]) -> None:
        self._shape, self._make = shape, make
        self._made: Array | None = None
        self.rad, self.unit = None, UNIT

    @property
    def mid(self) -> Array:  # type: ignore[override]
        if self._made is None:
            self._made = np.asarray(self._make(), np.float64)
        return self._made

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def size(self) -> int:
        return int(np.prod(self._shape, dtype=int))


class Plain(Arrays):
    """One reading: what it gives is near the truth, and nothing is said of how near."""

    def matmul(self, a: Any, b: Any) -> Any:
        one, other = head(self.as_number(a)), head(self.as_number(b))
        found: dict[int, Array] = {}
        for k, t in tangents(a).items():
            found[k] = np.broadcast_to(t.mid, one.shape) @ other.mid
        for k, t in tangents(b).items():
            part = one.mid @ np.broadcast_to(t.mid, other.shape)
            found[k] = np.add(found[k], part, out=found[k]) if k in found and isinstance(part, np.ndarray) else (
                found[k] + part if k in found else part
            )
        value = Late(_shape(one.shape, other.shape), lambda: one.mid @ other.mid)
        return Dual(value, {k: BallArray(x) for k, x in found.items()}) if found else value

    def total(self, terms: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if not isinstance(terms, (BallArray, Dual)):
            return super().total(terms)

        def each(one: BallArray, shape: tuple[int, ...]) -> BallArray:
            return BallArray(np.sum(np.broadcast_to(one.mid, shape), axis=axis, keepdims=keepdims))

        value = head(terms)
        found = each(value, value.shape)
        moving = {k: each(t, value.shape) for k, t in tangents(terms).items()}
        return Dual(found, moving) if moving else found


def _shape(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a matrix product."""
    left, right = a if len(a) > 1 else (1, *a), b if len(b) > 1 else (*b, 1)
    outer = np.broadcast_shapes(left[:-2], right[:-2])
    return (*outer, *(left[-2:-1] if len(a) > 1 else ()), *(right[-1:] if len(b) > 1 else ()))
