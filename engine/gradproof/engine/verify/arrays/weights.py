"""Inner products of whole arrays, in float64, with a known error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.engine.spec import Array, DType, part_dtype, parts
from gradproof.engine.verify.ulps import smallest_normal, unit

BLOCK = 2**14
"""Elements at a time: what is made of so many stays in the cache."""
SUMMED = 32
"""An inner product is within so many rounding units of the sum of its products' magnitudes: one for the product, and NumPy
adds up pairwise, 128 numbers in eight lanes at the ends, which makes 16 additions, and one for each doubling up to a block
(Higham, Accuracy and Stability, section 4.2). Sums of blocks are exact."""


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
    """The inner product of a gradient ``a`` (of a dtype that is no wider) and a direction ``b``. Where the direction is 0
    nothing is weighed, whatever the gradient is."""
    one, other = flat(a), flat(b)
    signed, sizes = [], []
    with np.errstate(all="ignore"):
        for block in blocks(other.size):
            product = one[block].astype(other.dtype, copy=False) * other[block]
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


@dataclass
class Added:
    """A gradient against the sum of its contributions, along a direction: by how much it misses that, and by how much it
    may; the first element where it misses it by more, what the contributions give there, and the gradient."""

    defect: float = 0.0
    allowed: float = 0.0
    place: int | None = None
    several: float = 0.0
    whole: float = 0.0


def added_up(gradient: Array, contributions: Sequence[Array], along: Array) -> Added:
    """Element by element. What is not finite is left out: the check of sums answers for it."""
    dtype = part_dtype(gradient.dtype)
    share = 2 * (len(contributions) + 1) * unit(dtype) + SUMMED * unit(along.dtype)
    whole, several, step = flat(gradient), [flat(one) for one in contributions], along.reshape(-1)
    defects, sizes = [], []
    found = Added()
    for block in blocks(step.size):
        t = step[block]
        rest = -(whole[block].astype(t.dtype, copy=False) * t)
        size: Any = np.abs(rest)
        for one in several:
            product = one[block].astype(t.dtype, copy=False) * t
            rest += product
            size += np.abs(product)
        bad = np.abs(rest) > size * share + smallest_normal(dtype)
        if not math.isfinite(float(size.sum())):
            known = np.isfinite(size) & np.isfinite(rest)
            rest, size, bad = np.where(known, rest, 0), np.where(known, size, 0), bad & known
        defects.append(float(rest.sum()))
        sizes.append(float(size.sum()))
        if found.place is None and bad.any():
            k = int(np.argmax(bad))
            found.place = block.start + k
            found.whole = float(whole[found.place] * t[k])
            found.several = found.whole + float(rest[k])
    found.defect, total = total_of(defects), total_of(sizes)
    found.allowed = share * total + smallest_normal(dtype) * step.size
    return found


_UPS = np.random.default_rng(5).random(BLOCK) < 0.5


def rounded(value: Array, dtype: DType) -> Array:
    """Numbers that were computed in the dtype to work in, rounded otherwise than in the run: one float up or down, at
    random, where that dtype is the run's; where it is a wider one, they are."""
    if dtype != value.dtype:
        return value
    step = float(np.finfo(dtype).eps)
    flips = np.where(_UPS, 1 + step, 1 - step / 2).astype(dtype)
    flat = np.array(value).reshape(-1)
    for block in blocks(flat.size):
        flat[block] *= flips[: block.stop - block.start]
    return flat.reshape(value.shape)
