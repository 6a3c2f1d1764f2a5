"""Sums over axes, by NumPy's reduction or by a product with ones.

NumPy adds line by line, and the overhead of a short line costs as much as its arithmetic; a product with ones has none. The
choice depends on shape, dtype and contiguity only. NumPy's pairwise summation is lost on the last axis, for lines of up to
64; over other axes NumPy adds element by element too.
"""

import math

import numpy as np

SHORT = 64
LARGE = 4096


def total(x, *, axis, keepdims, out=None):
    """The sum of ``x`` over ``axis``, a sorted tuple, to ``out`` if any; 0.0 if all elements are -0.0."""
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
    """The numbers of elements before, along and after the axes if a product with ones is the faster sum; else None."""
    if x.size < LARGE or x.dtype.char not in "fd" or not axis or not x.flags.c_contiguous:
        return None
    if axis[-1] - axis[0] + 1 != len(axis):
        return None
    outer, inner = math.prod(x.shape[: axis[0]]), math.prod(x.shape[axis[-1] + 1 :])
    n = math.prod(x.shape[k] for k in axis)
    short = 1 < n <= SHORT and outer >= 16 if inner == 1 else 1 < inner <= SHORT and n >= 16
    return (outer, n, inner) if short else None


def mean(x, *, axis, keepdims, out=None):
    """`numpy.mean` by the loops of `total`; nan without a warning for no elements. Where the sum leaves the range, the
    elements are divided first."""
    n = np.asarray(math.prod(x.shape[k] for k in axis), x.dtype)
    result = np.asarray(np.divide(total(x, axis=axis, keepdims=keepdims, out=out), n, out=out))
    if n and x.dtype != object and not np.isfinite(result).all():
        with np.errstate(all="ignore"):
            again = total(x / n, axis=axis, keepdims=keepdims)
        np.copyto(result, again, where=~np.isfinite(result))
    return result
