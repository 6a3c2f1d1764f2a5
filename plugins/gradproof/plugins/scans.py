"""Scans: sums and products of the elements up to each, along an axis."""

import numpy as np

from gradproof.engine.extend import Inferred, Memory, Spec, full_like, ops, registering
from gradproof.plugins.axes import line
from gradproof.plugins.dtypes import in_float32, rounded_once, rounded_once_into
from gradproof.plugins.families import H
from gradproof.plugins.names import named
from gradproof.plugins.reducing import ALONG, along, axes_shrink, product, product_before

GRADPROOF_API = 1


def scan_infer(x: Spec, *, axis: object = 0) -> Inferred:
    return along(x, axis, np.cumsum(np.ones((1,), x.dtype)).dtype)


# cumsum


def running_sum(x, *, axis, out=None):
    return np.add.accumulate(x, axis, None, out)


@in_float32
def cumsum_rule(g, y, x, *, axis):
    """The sum of g from each element to the end."""
    return ops.flip(ops.cumsum(ops.flip(g, axis=axis), axis=axis), axis=axis)


def cumsum_define(f, i, x, *, axis):
    return f.total(line(i, x, axis)[: i[axis] + 1])


def cumsum_arrays(f, x, *, axis):
    return f.running_total(x, axis)


# cumprod


def running_product(x, *, axis, out=None):
    return np.multiply.accumulate(x, axis, None, out)


@in_float32
def cumprod_rule(g, y, x, *, axis):
    """The sum of gₖ times the product up to k without xᵢ, over k ≥ i: exact at zeros too, for n² work on the axis."""
    last = x.ndim - 1
    order = (*(k for k in range(x.ndim) if k != axis), axis)
    back = tuple(order.index(k) for k in range(x.ndim))
    row, grow = ops.transpose(x, axes=order), ops.transpose(g, axes=order)
    n = row.shape[last]
    square = ops.broadcast_to(ops.expand_dims(row, axis=last), shape=(*row.shape, n))
    above = ops.not_equal(ops.triu(full_like(square, 1), k=1), 0)
    run = ops.triu(ops.cumprod(ops.where(above, square, 1), axis=last + 1))
    after = ops.sum(run * ops.expand_dims(grow, axis=last), axis=last + 1)
    return ops.transpose(product_before(row) * after, axes=back)


def cumprod_define(f, i, x, *, axis):
    return product(line(i, x, axis)[: i[axis] + 1])


def cumprod_arrays(f, x, *, axis):
    return f.running_product(x, axis)


# fmt: off
SCANS = (
    # op         forward                        rule          definition      inference   cases
    H("cumsum",  rounded_once(running_sum),     cumsum_rule,  cumsum_define,  scan_infer, ALONG, shrink=axes_shrink,
      arrays=cumsum_arrays, doc="running sums along an axis"),
    H("cumprod", rounded_once(running_product), cumprod_rule, cumprod_define, scan_infer, ALONG, shrink=axes_shrink,
      arrays=cumprod_arrays, doc="running products along an axis"),
)
# fmt: on

MEMORY = {
    "cumsum": Memory(into=rounded_once_into(running_sum)),
    "cumprod": Memory(into=rounded_once_into(running_product)),
}

register_ops = registering(*named(SCANS), memory=MEMORY)
