"""Wrappers that keep narrow dtypes, which functions of NumPy and SciPy widen."""

import functools

import numpy as np

from gradproof.engine.extend import InferenceError, ops


def number_dtype(dtype):
    """The dtype of numbers or booleans that is named ``dtype``. Raises InferenceError where there is none."""
    try:
        target = np.dtype(dtype) if isinstance(dtype, str) else None
    except TypeError:
        target = None
    if target is None:
        raise InferenceError(f"there is no dtype {dtype!r}")
    if target.kind not in "biufcV" or (target.kind == "V" and target.name != "bfloat16"):
        raise InferenceError(f"dtype {dtype!r} is not a number")
    return target


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
    def wide(x, *others, **attributes):
        if not is_half(x):
            return forward(x, *others, **attributes)
        with np.errstate(over="ignore"):
            operands = (part.astype(np.float32) for part in (x, *others))
            return np.asarray(forward(*operands, **attributes)).astype(x.dtype)

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
    """``function`` of real numbers, computed in float64 and rounded once to the dtype of its first argument, if that is a
    float. Raises InferenceError for complex numbers."""

    @functools.wraps(function)
    def wide(x, *others, **attributes):
        if x.dtype.kind == "c":
            raise InferenceError(f"takes no {x.dtype.name}: it is a function of real numbers")
        with np.errstate(all="ignore"):
            result = function(*(np.asarray(a, np.float64) for a in (x, *others)), **attributes)
            return np.asarray(result).astype(np.float64 if x.dtype.kind in "biu" else x.dtype, copy=False)

    return wide


def in_float32(rule):
    """``rule``, traced in float32 for float16 and bfloat16."""

    @functools.wraps(rule)
    def wide(g, y, x, *others, **attributes):
        if not is_half(x):
            return rule(g, y, x, *others, **attributes)
        result = rule(*(ops.astype(value, dtype="float32") for value in (g, y, x, *others)), **attributes)
        cotangents = tuple(ops.astype(part, dtype=x.dtype.name) for part in (result if others else (result,)))
        return cotangents if others else cotangents[0]

    return wide


def widely(function):
    """The ``function`` of a composite, traced in float32 where all inputs are float16, or bfloat16, and rounded once."""

    @functools.wraps(function)
    def wide(*inputs, **attributes):
        given = [x for x in inputs if x is not None]
        if not all(is_half(x) and x.dtype == given[0].dtype for x in given):
            return function(*inputs, **attributes)
        result = function(*(ops.astype(x, dtype="float32") for x in given), **attributes)
        return ops.astype(result, dtype=given[0].dtype.name)

    return wide
