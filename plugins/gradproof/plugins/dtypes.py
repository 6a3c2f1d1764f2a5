"""Wrappers that keep narrow dtypes, which functions of NumPy and SciPy widen."""

import functools

import numpy as np

from gradproof.engine.extend import ops


def narrow(function):
    """``function`` with results in the dtype of its first argument, if that is a float; the libraries widen 16 bits."""

    def forward(x, *others, **attributes):
        result = function(x, *others, **attributes)
        return result if result.dtype == x.dtype or x.dtype.kind in "biu" else result.astype(x.dtype)

    if isinstance(function, np.ufunc):
        setattr(forward, "ufunc", function)  # noqa: B010 - a plan calls the ufunc itself for float32 and float64
    return forward


def is_half(x):
    """True for an array, spec or tracer of float16 or bfloat16, whose range sums and counts leave."""
    return x.dtype.itemsize == 2 and x.dtype.kind in "fV"


def rounded_once(forward):
    """``forward``, computed in float32 for float16 and bfloat16, and rounded once at the end."""

    @functools.wraps(forward)
    def wide(x, **attributes):
        if not is_half(x):
            return forward(x, **attributes)
        with np.errstate(over="ignore"):
            return np.asarray(forward(x.astype(np.float32), **attributes)).astype(x.dtype)

    return wide


def rounded_once_into(forward):
    """The ``into`` of `rounded_once`, for a ``forward`` that takes ``out``."""

    def into(out, x, **attributes):
        if not is_half(x):
            return forward(x, out=out, **attributes)
        with np.errstate(over="ignore"):
            return np.copyto(out, forward(x.astype(np.float32), **attributes), casting="same_kind")

    return into


def in_float64(function):
    """``function``, computed in float64 and rounded once to the dtype of its first argument, if that is a float."""

    @functools.wraps(function)
    def wide(x, *others, **attributes):
        result = function(*(np.asarray(a, np.float64) for a in (x, *others)), **attributes)
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(result).astype(np.float64 if x.dtype.kind in "biu" else x.dtype, copy=False)

    return wide


def in_float32(rule):
    """``rule``, traced in float32 for float16 and bfloat16."""

    @functools.wraps(rule)
    def wide(g, y, x, **attributes):
        if not is_half(x):
            return rule(g, y, x, **attributes)
        cotangent = rule(*(ops.astype(value, dtype="float32") for value in (g, y, x)), **attributes)
        return ops.astype(cotangent, dtype=x.dtype.name)

    return wide
