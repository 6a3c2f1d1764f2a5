"""Keeping dtypes: what NumPy's and SciPy's functions would widen."""

import functools

import numpy as np

from gradproof.engine.extend import ops


def narrow(function):
    """``function`` in the dtype of its first argument where that is a float: the libraries widen float16 or bfloat16."""

    def forward(x, *others):
        result = function(x, *others)
        return result if result.dtype == x.dtype or x.dtype.kind in "biu" else result.astype(x.dtype)

    if isinstance(function, np.ufunc):
        setattr(forward, "ufunc", function)  # noqa: B010 - which it is, for float32 and float64
    return forward


def is_half(x):
    """Whether ``x`` (an array, a spec, a tracer) is of float16 or bfloat16, which sums and counts outgrow."""
    return x.dtype.itemsize == 2 and x.dtype.kind in "fV"


def rounded_once(forward):
    """``forward`` of halves in float32, rounded once at the end."""

    @functools.wraps(forward)
    def wide(x, **attributes):
        if not is_half(x):
            return forward(x, **attributes)
        with np.errstate(over="ignore"):
            return np.asarray(forward(x.astype(np.float32), **attributes)).astype(x.dtype)

    return wide


def rounded_once_into(forward):
    """The same, written to an output; ``forward`` takes it as ``out``."""

    def into(out, x, **attributes):
        if not is_half(x):
            return forward(x, out=out, **attributes)
        with np.errstate(over="ignore"):
            return np.copyto(out, forward(x.astype(np.float32), **attributes), casting="same_kind")

    return into


def in_float32(rule):
    """``rule``, of halves traced over float32."""

    @functools.wraps(rule)
    def wide(g, y, x, **attributes):
        if not is_half(x):
            return rule(g, y, x, **attributes)
        found = rule(*(ops.astype(one, dtype="float32") for one in (g, y, x)), **attributes)
        return ops.astype(found, dtype=x.dtype.name)

    return wide
