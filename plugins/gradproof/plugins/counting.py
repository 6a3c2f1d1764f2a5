"""Conditions of lines: whether any element is not zero, whether all are, and how many are. They have no gradient."""

from functools import reduce

import numpy as np

from gradproof.engine.extend import Inferred, Spec, case, registering
from gradproof.plugins.axes import members
from gradproof.plugins.families import D
from gradproof.plugins.names import named
from gradproof.plugins.reducing import reduced

GRADPROOF_API = 1


def counted(dtype):
    """The ``infer`` of a reduction of numbers of any dtype to ``dtype``."""

    def infer(x: Spec, *, axis: object = None, keepdims: object = False) -> Inferred:
        inference = reduced(x, axis, keepdims, np.dtype(dtype))
        return Inferred(inference.outputs, inference.attributes)

    return infer


def nonzero(f, x):
    """The condition that a number or a condition is not zero."""
    return f.negate(f.equal(f.as_number(x), 0))


def any_forward(x, *, axis, keepdims):
    return np.any(x, axis=axis, keepdims=keepdims)


def any_define(f, i, x, *, axis, keepdims):
    return reduce(f.either, (nonzero(f, term) for term in members(i, x, axis, keepdims)), False)


def any_arrays(f, x, *, axis, keepdims):
    return f.less(0, f.total(f.as_number(nonzero(f, x)), axis, keepdims))


def all_forward(x, *, axis, keepdims):
    return np.all(x, axis=axis, keepdims=keepdims)


def all_define(f, i, x, *, axis, keepdims):
    return reduce(f.both, (nonzero(f, term) for term in members(i, x, axis, keepdims)), True)


def all_arrays(f, x, *, axis, keepdims):
    return f.equal(0, f.total(f.as_number(f.negate(nonzero(f, x))), axis, keepdims))


def count_nonzero(x, *, axis, keepdims):
    return np.count_nonzero(x, axis=axis, keepdims=keepdims) if x.ndim else np.int64(x != 0)


def count_define(f, i, x, *, axis, keepdims):
    return f.total(f.as_number(nonzero(f, term)) for term in members(i, x, axis, keepdims))


def count_arrays(f, x, *, axis, keepdims):
    return f.total(f.as_number(nonzero(f, x)), axis, keepdims)


COUNTED = (case((2, 3)), case((2, 3), axis=0), case((2, 3, 1), axis=(1, 2), keepdims=True), case(()))

# fmt: off
COUNTING = (
    # op               forward        no rule definition    inference          cases
    D("any",           any_forward,   None,   any_define,   counted(np.bool_), COUNTED,
      arrays=any_arrays, doc="whether any element over axes is not zero"),
    D("all",           all_forward,   None,   all_define,   counted(np.bool_), COUNTED,
      arrays=all_arrays, doc="whether all elements over axes are not zero"),
    D("count_nonzero", count_nonzero, None,   count_define, counted(np.int64), COUNTED,
      arrays=count_arrays, doc="the number of elements over axes that are not zero"),
)
# fmt: on

register_ops = registering(*named(COUNTING))
