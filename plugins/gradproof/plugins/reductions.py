"""Reductions over axes: sums, products and extrema."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from gradproof.engine.extend import Attributes, Case, Composite, Inferred, Kink, Memory, Spec, case, ops, registering
from gradproof.plugins.axes import axis_of, count, members
from gradproof.plugins.dtypes import in_float32, rounded_once, rounded_once_into
from gradproof.plugins.families import H, R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import (
    REDUCED,
    axes_shrink,
    not_empty,
    product,
    product_before,
    reduced,
    typed_infer,
    unreduced,
)
from gradproof.plugins.sums import mean, total

GRADPROOF_API = 1

# sum


def sum_rule(g, y, x, *, axis, keepdims):
    """g, repeated along the reduced axes."""
    return ops.broadcast_to(unreduced(g, axis, keepdims), shape=x.shape)


def sum_define(f, i, x, *, axis, keepdims):
    return f.total(members(i, x, axis, keepdims))


def sum_arrays(f, x, *, axis, keepdims):
    return f.total(x, axis, keepdims)


# mean


@in_float32
def mean_rule(g, y, x, *, axis, keepdims):
    """g / n for n reduced elements, repeated along their axes."""
    return ops.broadcast_to(unreduced(g, axis, keepdims) * Fraction(1, max(count(x, axis), 1)), shape=x.shape)


def mean_define(f, i, x, *, axis, keepdims):
    return f.total(members(i, x, axis, keepdims)) / count(x, axis)


def mean_arrays(f, x, *, axis, keepdims):
    return f.total(x, axis, keepdims) / count(x, axis)


# prod


def prod(x, *, axis, keepdims):
    return np.prod(x, axis=axis, keepdims=keepdims)


@in_float32
def prod_rule(g, y, x, *, axis, keepdims):
    """g times the product of all *other* elements, by cumprod: y / x would be nan where an element is 0.

    The reduced axes are moved to the end and flattened."""
    order = (*(k for k in range(x.ndim) if k not in axis), *axis)
    moved = ops.transpose(x, axes=order)
    flat = ops.reshape(moved, shape=(*moved.shape[: x.ndim - len(axis)], count(x, axis)))
    others = product_before(flat) * ops.flip(product_before(ops.flip(flat, axis=-1)), axis=-1)
    back = ops.transpose(ops.reshape(others, shape=moved.shape), axes=tuple(order.index(k) for k in range(x.ndim)))
    return unreduced(g, axis, keepdims) * back


def prod_define(f, i, x, *, axis, keepdims):
    return product(members(i, x, axis, keepdims))


def prod_arrays(f, x, *, axis, keepdims):
    return f.product(x, axis, keepdims)


# max and min


def extremum_infer(x: Spec, *, axis: object = None, keepdims: object = False) -> Inferred:
    inference = reduced(x, axis, keepdims, x.dtype)
    not_empty(x, inference.attributes["axis"])
    return Inferred(inference.outputs, inference.attributes)


def extremum_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """As `axes_shrink`, of a single line where two axes are reduced: each more element doubles the number of orders."""
    small = axes_shrink(specs, attributes)
    (shape,), axis = small.inputs, attributes["axis"]
    lines = sum(shape[a] > 1 for a in axis) < 2
    return case(tuple(n if lines or a in axis else min(n, 1) for a, n in enumerate(shape)), **attributes)


@in_float32
def extremum_rule(g, y, x, *, axis, keepdims):
    """g [x = y] / Σ [x = y]: equal shares for the elements that are equal to the extremum."""
    hit = ops.astype(ops.equal(x, unreduced(y, axis, keepdims)), dtype=x.dtype.name)
    return hit * unreduced(g, axis, keepdims) / ops.sum(hit, axis=axis, keepdims=True)


def largest(x, *, axis, keepdims):
    return np.maximum.reduce(x, axis, keepdims=keepdims)


def max_define(f, i, x, *, axis, keepdims):
    first, *rest = members(i, x, axis, keepdims)
    for term in rest:
        first = f.where(f.less(first, term), term, first)
    return first


def max_arrays(f, x, *, axis, keepdims):
    return f.largest(x, axis, keepdims)


def smallest(x, *, axis, keepdims):
    return np.minimum.reduce(x, axis, keepdims=keepdims)


def min_define(f, i, x, *, axis, keepdims):
    first, *rest = members(i, x, axis, keepdims)
    for term in rest:
        first = f.where(f.less(term, first), term, first)
    return first


def min_arrays(f, x, *, axis, keepdims):
    return f.smallest(x, axis, keepdims)


# trace


def trace(x, *, offset=0, axis1=-2, axis2=-1, dtype=None):
    """Over the last two axes by default, as in the Array API standard; `numpy.trace` takes the first two."""
    rows, columns = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    return ops.sum(ops.diagonal(x, offset=offset, axis1=rows, axis2=columns), axis=-1, dtype=dtype)


TRACES = (case((2, 3)), case((2, 3, 3), offset=1), case((3, 2, 4), offset=-1, axis1=0, axis2=2))
EXTREME = (case((3,)), case((2, 2), axis=1), case((2, 2), axis=0, keepdims=True), case((1, 2), axis=0), case(()))
SHARED = "shared evenly"

# fmt: off
REDUCTIONS = (
    # op      forward              rule           definition   inference              cases
    H("sum",  rounded_once(total), sum_rule,      sum_define,  typed_infer(np.sum),   REDUCED,
      shrink=axes_shrink, arrays=sum_arrays, doc="the sum over axes"),
    H("mean", rounded_once(mean),  mean_rule,     mean_define, typed_infer(np.mean),  REDUCED,
      shrink=axes_shrink, arrays=mean_arrays, doc="the mean over axes"),
    H("prod", rounded_once(prod),  prod_rule,     prod_define, typed_infer(np.prod),  REDUCED,
      shrink=axes_shrink, arrays=prod_arrays, doc="the product over axes"),
    R("max",  largest,             extremum_rule, max_define,  extremum_infer,        EXTREME,
      shrink=extremum_shrink, arrays=max_arrays, ties=SHARED, kink=Kink.MEAN, doc="the largest over axes"),
    R("min",  smallest,            extremum_rule, min_define,  extremum_infer,        EXTREME,
      shrink=extremum_shrink, arrays=min_arrays, ties=SHARED, kink=Kink.MEAN, doc="the smallest over axes"),
    Composite("trace", trace, cases=TRACES, doc="the sum of a diagonal of two axes"),
)
# fmt: on

MEMORY = {
    "sum": Memory(into=rounded_once_into(total)),
    "mean": Memory(into=rounded_once_into(mean)),
    "max": Memory(into=lambda out, x, *, axis, keepdims: np.maximum.reduce(x, axis, out=out, keepdims=keepdims)),
    "min": Memory(into=lambda out, x, *, axis, keepdims: np.minimum.reduce(x, axis, out=out, keepdims=keepdims)),
}

register_ops = registering(*named(REDUCTIONS), memory=MEMORY)
