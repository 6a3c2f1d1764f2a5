"""Sums over axes, by the fastest loop there is for a shape.

NumPy adds line by line, which costs as much as the arithmetic where lines are short; a product with ones does not. Which
is taken depends on shape, dtype and contiguity alone. Over an axis that is not the last NumPy adds one after the other
too, so nothing of its pairwise summation is given up; over the last axis lines of up to 64 are.
"""

import math

import numpy as np

SHORT = 64
LARGE = 4096


def total(x, *, axis, keepdims, out=None):
    """The sum of ``x`` over ``axis`` (a sorted tuple), to ``out`` if that is given. Of nothing but -0.0 it is 0.0."""
    split = _split(x, axis)
    if split is None:
        return np.add.reduce(x, axis, out=out, keepdims=keepdims, initial=0)
    outer, n, inner = split
    shape = tuple(1 if k in axis else s for k, s in enumerate(x.shape) if keepdims or k not in axis)
    if out is None:
        out = np.empty(shape, x.dtype)
    if inner == 1:
        np.matmul(x.reshape(outer, n), np.ones(n, x.dtype), out.reshape(outer))
    else:
        np.matmul(np.ones((1, n), x.dtype), x.reshape(outer, n, inner), out.reshape(outer, 1, inner))
    return out


def _split(x, axis):
    """Lines before, along and behind the axes, where a product with ones is the faster sum."""
    if x.size < LARGE or x.dtype.char not in "fd" or not axis or not x.flags.c_contiguous:
        return None
    if axis[-1] - axis[0] + 1 != len(axis):
        return None
    outer, inner = math.prod(x.shape[: axis[0]]), math.prod(x.shape[axis[-1] + 1 :])
    n = math.prod(x.shape[k] for k in axis)
    short = 1 < n <= SHORT and outer >= 16 if inner == 1 else 1 < inner <= SHORT and n >= 16
    return (outer, n, inner) if short else None


def mean(x, *, axis, keepdims, out=None):
    """NumPy's, by the same loops, and without its warning about the mean of nothing, which is nan. Where the sum is beyond
    the range and the mean is not, each element is divided."""
    n = np.asarray(math.prod(x.shape[k] for k in axis), x.dtype)
    found = np.asarray(np.divide(total(x, axis=axis, keepdims=keepdims, out=out), n, out=out))
    if n and x.dtype != object and not np.isfinite(found).all():
        with np.errstate(all="ignore"):
            again = total(x / n, axis=axis, keepdims=keepdims)
        np.copyto(found, again, where=~np.isfinite(found))
    return found
