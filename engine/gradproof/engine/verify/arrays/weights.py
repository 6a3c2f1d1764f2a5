"""Inner products of whole arrays, in float64, with a known error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.engine.spec import Array, parts

BLOCK = 2**14
"""Elements at a time: what is made of so many stays in the cache."""
SUMMED = 2.0**-47
"""An inner product is within so much of the sum of its products' magnitudes. NumPy adds up pairwise, 128 numbers in eight
lanes at the ends: 16 additions, and one for each doubling up to a block (Higham, Accuracy and Stability, section 4.2).
Sums of blocks are exact."""


@dataclass
class Weight:
    """Σ a b, and Σ |a b|."""

    signed: float = 0.0
    size: float = 0.0

    def __iadd__(self, other: Weight) -> Weight:
        self.signed += other.signed
        self.size += other.size
        return self


def blocks(size: int) -> Iterator[slice]:
    """``range(size)`` in slices."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def flat(array: Any) -> Array:
    """The numbers of an array, complex ones as two, in one row: a view where there can be one."""
    return parts(np.asarray(array)).reshape(-1)


def weigh(a: Any, b: Array) -> Weight:
    """The inner product of a gradient ``a`` (of any dtype) and a direction ``b``. Where the direction is 0 nothing is
    weighed, whatever the gradient is."""
    one, other = flat(a), flat(b)
    signed, sizes = [], []
    for block in blocks(other.size):
        product = one[block].astype(np.float64) * other[block]
        total = float(product.sum())
        if not math.isfinite(total):
            product[other[block] == 0] = 0
            total = float(product.sum())
        signed.append(total)
        sizes.append(float(np.abs(product, out=product).sum()))
    return Weight(total_of(signed), total_of(sizes))


def total_of(numbers: list[float]) -> float:
    """Their exact sum, rounded once; nan where there is none."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.nan
