"""Units in the last place: the distance of a float from the truth, and its limits, for each dtype (of a complex dtype,
for that of its parts)."""

from __future__ import annotations

import cmath
import math
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.spec import Array, DType, part_dtype

CLOSE = 64.0
CLOSE_HALF = 8.0
EXPLAINED = 32
EXPLAINED_HALF = 8
NEAREST = 4
"""Units in the last place within which a float is as accurate as its dtype allows."""


def exact(x: Any) -> arb:
    """The float ``x`` as an exact ball."""
    return arb(float(x))


def finite(array: Array) -> bool:
    """True if every element is finite."""
    if array.ndim == 0:  # a fast path: many values are scalars
        return cmath.isfinite(array.item())
    return bool(np.isfinite(array).all())


@lru_cache
def full(dtype: DType) -> bool:
    """True if a unit in the last place is a small part of a number of ``dtype`` (not so for 16 bits)."""
    return dtype.kind in "fc" and dtype.itemsize >= 4


@lru_cache
def close_enough(dtype: DType) -> float:
    """Distance that counts as close, in units in the last place."""
    return CLOSE if full(dtype) else CLOSE_HALF


@lru_cache
def explained(dtype: DType) -> int:
    """Units of each input that may explain a distance, where widening by a single unit explains too little."""
    return EXPLAINED if full(dtype) else EXPLAINED_HALF


@lru_cache
def unit(dtype: DType) -> float:
    """Rounding unit u: half the distance from 1 to the next float."""
    return float(np.finfo(dtype).eps) / 2 if dtype.kind in "fc" else 2.0**-8


@lru_cache
def smallest_normal(dtype: DType) -> float:
    """The smallest normal number: below it a float has few digits."""
    return float(np.finfo(dtype).smallest_normal) if dtype.kind in "fc" else 2.0**-126


@lru_cache
def largest(dtype: DType) -> float:
    """The largest finite number."""
    return float(np.finfo(dtype).max) if dtype.kind in "fc" else float.fromhex("0x1.fep127")


def spacing(x: float, dtype: DType) -> float:
    """The unit in the last place of ``dtype`` at ``x``: for a denormal number that is much of it."""
    dtype = part_dtype(dtype)
    if abs(x) > largest(dtype) / 2:  # the next number may be infinite
        return 2 * spacing(largest(dtype) / 4, dtype)
    if dtype == np.float64:
        return math.ulp(x)
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return float(np.spacing(dtype.type(abs(x))))
    return 2.0 ** (max(math.frexp(x)[1] - 1 if x else -126, -126) - 7)  # bfloat16


@lru_cache
def needed_bits(dtype: DType) -> float:
    """Right bits that a verified number needs: half of those of its dtype."""
    return -math.log2(unit(dtype)) / 2


def right_bits(got: float, truth: arb, dtype: DType, beside: arb | None = None) -> float:
    """Number of right bits of ``got``: inf within a few units in the last place, which is as good as a float can be
    made. For a part of a complex number, relative to the larger part."""
    error = abs(exact(got) - truth)
    nearest = max(abs(float(truth.mid())), abs(float(beside.mid())) if beside is not None else 0.0)
    if not math.isfinite(got) or error <= NEAREST * arb(spacing(min(nearest, largest(dtype)), dtype)):
        return math.inf if math.isfinite(got) else 0.0
    scale = max(abs(truth), abs(beside), key=lambda ball: float(ball.mid())) if beside is not None else abs(truth)
    if not scale > 0:
        return 0.0
    return max(0.0, -float((error / scale).log().mid()) / math.log(2))


def distance(got: float, truth: arb, dtype: DType, beside: arb | None = None) -> float:
    """Distance of ``got``, a number of ``dtype``, from ``truth``, in units in the last place at the true value; for a
    part of a complex number, at the larger of this part and ``beside``, the other part."""
    limit = largest(dtype)
    nearest = float(truth.mid())
    if not math.isfinite(got) or not math.isfinite(nearest):
        return math.inf
    if beside is not None:
        nearest = max(abs(nearest), min(abs(float(beside.mid())), limit / 2))
    # The spacing may be the smallest denormal, which a ball divides by without underflow.
    return float(abs((exact(got) - truth) / arb(spacing(nearest, dtype))).mid())
