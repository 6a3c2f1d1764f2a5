"""Linear recurrences along an axis, in blocks that run side by side."""

import math

import numpy as np

ENOUGH = 64
"""Numbers side by side that keep NumPy busy, and the length of a line that is not cut into blocks."""


def recurrence(a, x, axis):
    """yₖ = aₖ yₖ₋₁ + xₖ along an axis, with y₋₁ = 0: arrays of the same shape and dtype."""
    if not x.size:
        return x.copy()
    n, shape = x.shape[axis], np.moveaxis(x, axis, 0).shape
    factors, terms = (np.moveaxis(part, axis, 0).reshape(n, -1) for part in (a, x))
    with np.errstate(all="ignore"):
        result = blocked(factors, terms)
        if not np.isfinite(result).all() and np.isfinite(a).all() and np.isfinite(x).all():
            result = serial(factors, terms)  # a product left the range before it met a small number
    return np.moveaxis(result.reshape(shape), 0, axis)


def serial(factors, terms):
    result = terms.copy()
    for k in range(1, len(terms)):
        result[k] += factors[k] * result[k - 1]
    return result


def blocked(factors, terms):
    """The recurrence along the first axis: in each of about √n blocks by itself, then between the blocks."""
    n, width = terms.shape
    if n <= ENOUGH or width >= ENOUGH:
        return serial(factors, terms)
    length = math.isqrt(n - 1) + 1
    blocks = -(-n // length)
    factors, terms = (
        np.moveaxis(padded(part, blocks * length).reshape(blocks, length, width), 1, 0) for part in (factors, terms)
    )
    inner, products = serial(factors, terms), np.multiply.accumulate(factors, axis=0)
    carried = np.zeros_like(inner[0])
    carried[1:] = blocked(products[-1], inner[-1])[:-1]
    inner += np.where(carried == 0, 0, products * carried)
    return np.moveaxis(inner, 0, 1).reshape(blocks * length, width)[:n]


def padded(x, n):
    """``x`` with zeros up to the length ``n``."""
    return np.concatenate([x, np.zeros((n - len(x), x.shape[1]), x.dtype)])
