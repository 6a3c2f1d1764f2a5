"""Inner products of whole arrays, in float64, with a known error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gradproof.engine.spec import Array, DType, part_dtype, parts
from gradproof.engine.verify.floats.ulps import smallest_normal, unit

BLOCK = 2**15
"""Elements at a time: so many that calls cost little beside arithmetic, and memory is not that of whole arrays."""
PRODUCT_ROUNDINGS = 32
"""An inner product is within so many rounding units of the sum of its products' magnitudes: one for the product, and NumPy
adds up pairwise, 128 numbers in eight lanes at the ends, which makes 16 additions, and one for each doubling up to a block
(Higham, Accuracy and Stability, section 4.2). Sums of blocks are exact."""


@dataclass
class InnerProduct:
    """Σ a b, and Σ |a b|."""

    signed: float = 0.0
    size: float = 0.0

    def __iadd__(self, other: InnerProduct) -> InnerProduct:
        self.signed += other.signed
        self.size += other.size
        return self


def blocks(size: int, step: int = BLOCK) -> Iterator[slice]:
    """``range(size)`` in slices of up to ``step``."""
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def flat_parts(array: Any) -> Array:
    """The numbers of an array, complex ones as two, in one row: a view where there can be one."""
    return parts(np.asarray(array)).reshape(-1)


def all_finite(x: Array) -> bool:
    """Whether all numbers are finite."""
    return bool(np.isfinite(x).all()) if not math.isfinite(float(x.sum())) else True


def magnitude(a: Any, b: Array) -> float:
    """Σ |a b| of a gradient and a direction, as `weigh` has it."""
    gradient, direction = flat_parts(a), flat_parts(b)
    sizes = []
    with np.errstate(all="ignore"):
        for block in blocks(direction.size):
            product = gradient[block].astype(direction.dtype, copy=False) * direction[block]
            sizes.append(float(np.abs(product, out=product).sum()))
    total = exact_sum(sizes)
    return total if math.isfinite(total) else inner_product(a, b).size


def inner_product(a: Any, b: Array) -> InnerProduct:
    """The inner product of a gradient ``a`` (of a dtype that is no wider) and a direction ``b``. Where the direction is 0
    nothing is weighed, whatever the gradient is."""
    gradient, direction = flat_parts(a), flat_parts(b)
    signed, sizes = [], []
    with np.errstate(all="ignore"):
        for block in blocks(direction.size):
            product = gradient[block].astype(direction.dtype, copy=False) * direction[block]
            total = float(product.sum())
            if not math.isfinite(total):
                product[direction[block] == 0] = 0
                total = float(product.sum())
            signed.append(total)
            sizes.append(float(np.abs(product, out=product).sum()))
    return InnerProduct(exact_sum(signed), exact_sum(sizes))


def exact_sum(numbers: list[float]) -> float:
    """Their exact sum, rounded once; nan where there is none."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.nan


@dataclass
class SumDefect:
    """A gradient against the sum of its contributions, along a direction: by how much it misses that, and by how much it
    may; the first element where it misses it by more, what the contributions give there, and the gradient."""

    defect: float = 0.0
    allowed: float = 0.0
    place: int | None = None
    several: float = 0.0
    whole: float = 0.0


def sum_defect(gradient: Array, contributions: Sequence[Array], along: Array) -> SumDefect:
    """Element by element. What is not finite is left out: the check of sums answers for it."""
    dtype = part_dtype(gradient.dtype)
    share = 2 * (len(contributions) + 1) * unit(dtype) + PRODUCT_ROUNDINGS * unit(along.dtype)
    whole, several, step = (
        flat_parts(gradient),
        [flat_parts(contribution) for contribution in contributions],
        along.reshape(-1),
    )
    defects, sizes = [], []
    result = SumDefect()
    for block in blocks(step.size):
        t = step[block]
        product = whole[block].astype(t.dtype, copy=False) * t
        rest = -product
        size: Any = np.abs(product)
        for contribution in several:
            np.multiply(contribution[block], t, out=product, casting="unsafe")
            rest += product
            size += np.abs(product, out=product)
        bad = np.abs(rest, out=product) > size * share + smallest_normal(dtype)
        total = float(size.sum())
        if not math.isfinite(total):
            known = np.isfinite(size) & np.isfinite(rest)
            rest, size, bad = np.where(known, rest, 0), np.where(known, size, 0), bad & known
            total = float(size.sum())
        defects.append(float(rest.sum()))
        sizes.append(total)
        if result.place is None and bad.any():
            k = int(np.argmax(bad))
            result.place = block.start + k
            result.whole = float(whole[result.place] * t[k])
            result.several = result.whole + float(rest[k])
    result.defect, total = exact_sum(defects), exact_sum(sizes)
    result.allowed = share * total + smallest_normal(dtype) * step.size
    return result


@cache
def _flips(dtype: DType) -> Array:
    """Factors that round a block up or down by a float, at random."""
    step = float(np.finfo(dtype).eps)
    return np.where(np.random.default_rng(5).random(BLOCK) < 0.5, 1 + step, 1 - step / 2).astype(dtype)


def perturbed(value: Array, dtype: DType, out: Array | None = None) -> Array:
    """Numbers that were computed in the dtype to work in, rounded otherwise than in the run: one float up or down, at
    random, where that dtype is the run's; where it is a wider one, they are. They are written to ``out``, if it is
    given."""
    if dtype != value.dtype:
        if out is None:
            return value
        np.copyto(out, value)
        return out
    flips = _flips(dtype)
    result = np.empty(value.shape, dtype) if out is None else out
    before, after = value.reshape(-1), result.reshape(-1)
    for block in blocks(after.size):
        np.multiply(before[block], flips[: block.stop - block.start], out=after[block])
    return result
