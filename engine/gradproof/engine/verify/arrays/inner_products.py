"""Inner products of whole arrays in float32 or float64, with a known error."""

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
"""Elements of a block: enough for calls to cost little, and little memory."""
PRODUCT_ROUNDINGS = 32
"""Error bound of an inner product, in unit roundoffs of the sum of its products' magnitudes: 1 for the product, 16 for the
additions at the ends of NumPy's pairwise summation (128 numbers in eight lanes), and 1 for each doubling up to a block
(Higham, Accuracy and Stability of Numerical Algorithms, section 4.2). Sums of blocks are exact."""


@dataclass
class InnerProduct:
    """``signed``: Σ a b; ``size``: Σ |a b|."""

    signed: float = 0.0
    size: float = 0.0

    def __iadd__(self, other: InnerProduct) -> InnerProduct:
        self.signed += other.signed
        self.size += other.size
        return self


def blocks(size: int, step: int = BLOCK) -> Iterator[slice]:
    """``range(size)`` in slices of at most ``step``."""
    for start in range(0, size, step):
        yield slice(start, min(start + step, size))


def flat_parts(array: Array) -> Array:
    """The numbers of an array in a row, complex numbers as two; a view where possible."""
    return parts(np.asarray(array)).reshape(-1)


def all_finite(x: Array) -> bool:
    """True if every number is finite."""
    return bool(np.isfinite(x).all()) if not math.isfinite(float(x.sum())) else True


def magnitude(a: Array, b: Array) -> float:
    """Σ |a b| of a gradient and a direction, as `inner_product` gives it."""
    gradient, direction = flat_parts(a), flat_parts(b)
    sizes = []
    with np.errstate(all="ignore"):
        for block in blocks(direction.size):
            product = gradient[block].astype(direction.dtype, copy=False) * direction[block]
            sizes.append(float(np.abs(product, out=product).sum()))
    total = exact_sum(sizes)
    return total if math.isfinite(total) else inner_product(a, b).size


def inner_product(a: Array, b: Array) -> InnerProduct:
    """The inner product of a gradient ``a`` and a direction ``b`` of a dtype that is not narrower. Terms in which the
    direction is 0 count as 0, also where the gradient is not finite."""
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
    """The sum of floats, rounded once (``math.fsum``); nan if it is undefined."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.nan


@dataclass
class SumDefect:
    """The difference of a gradient and the sum of its contributions, along a direction.

    Attributes:
        defect: the inner product of the difference with the direction.
        allowed: bound of ``defect`` if the gradient is the rounded sum.
        place: flat place of the first element with a larger difference than rounding explains; None if there is none.
        terms, whole: at that element the sum of the contributions and the gradient, times the direction.
    """

    defect: float = 0.0
    allowed: float = 0.0
    place: int | None = None
    terms: float = 0.0
    whole: float = 0.0


def sum_defect(gradient: Array, contributions: Sequence[Array], along: Array) -> SumDefect:
    """Compare a gradient with the sum of its contributions, element by element along a direction. Elements that are not
    finite are left out: the check of sums covers them."""
    dtype = part_dtype(gradient.dtype)
    share = 2 * (len(contributions) + 1) * unit(dtype) + PRODUCT_ROUNDINGS * unit(along.dtype)
    whole, terms, step = (
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
        for contribution in terms:
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
            result.terms = result.whole + float(rest[k])
    result.defect, total = exact_sum(defects), exact_sum(sizes)
    result.allowed = share * total + smallest_normal(dtype) * step.size
    return result


@cache
def _flips(dtype: DType) -> Array:
    """Factors for a block that round a number to the next float up or down, at random."""
    step = float(np.finfo(dtype).eps)
    return np.where(np.random.default_rng(5).random(BLOCK) < 0.5, 1 + step, 1 - step / 2).astype(dtype)


def perturbed(value: Array, dtype: DType, out: Array | None = None) -> Array:
    """Numbers of the working dtype rounded differently from the run: to the next float up or down at random if the dtype is
    that of the run, unchanged if it is wider. Written to ``out`` if that is an array."""
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
