"""Reductions, scans and what is built on them."""

import math
from fractions import Fraction

import numpy as np

from gradproof.engine.extend import HOLOMORPHIC, InferenceError, Inferred, Kink, Op, Spec, case, full_like, hookimpl, ops
from gradproof.plugins.axes import at, axes_of, axis_of, count, line, members, truth, whole
from gradproof.plugins.dtypes import in_float32, rounded_once, rounded_once_into
from gradproof.plugins.reduced import (
    largest,
    log_softmax_arrays,
    log_softmax_define,
    logsumexp_arrays,
    product,
    smallest,
    softmax_arrays,
    softmax_define,
    var_arrays,
    var_define,
)
from gradproof.plugins.sums import mean, total

GRADPROOF_API = 1


def reduce_infer(of):
    """``infer`` of a reduction whose dtype is that of the NumPy function ``of``."""

    def infer(x, *, axis=None, keepdims=False):
        return reduced(x, axis, keepdims, of(np.ones((1,), x.dtype)).dtype)

    return infer


def reduced(x, axis, keepdims, dtype, **attributes):
    axes = axes_of(axis, x.ndim)
    shape = tuple(1 if k in axes else s for k, s in enumerate(x.shape) if keepdims or k not in axes)
    wanted = x if x.dtype.kind != "b" and dtype.kind == x.dtype.kind else Spec(x.shape, dtype)
    return Inferred((Spec(shape, dtype),), {"axis": axes, "keepdims": truth("keepdims", keepdims), **attributes}, (wanted,))


def extremum_infer(x, *, axis=None, keepdims=False):
    found = reduced(x, axis, keepdims, x.dtype)
    if any(x.shape[k] == 0 for k in found.attributes["axis"]):
        raise InferenceError(f"an axis of {x} that is reduced has size 0: there is no largest of nothing")
    return Inferred(found.outputs, found.attributes)


def var_infer(x, *, axis=None, correction=0, keepdims=False):
    if x.dtype.kind == "c":
        raise InferenceError(f"the variance of {x.dtype.name} is not served; write it as the mean of abs(x - mean(x))²")
    return reduced(x, axis, keepdims, np.var(np.ones((1,), x.dtype)).dtype, correction=whole("correction", correction))


def axis_infer(x, *, axis=-1):
    dtype = np.exp(np.ones((1,), x.dtype)).dtype
    return Inferred((Spec(x.shape, dtype),), {"axis": axis_of(axis, x.ndim)}, (Spec(x.shape, dtype),))


def scan_infer(x, *, axis=0):
    dtype = np.cumsum(np.ones((1,), x.dtype)).dtype
    return Inferred((Spec(x.shape, dtype),), {"axis": axis_of(axis, x.ndim)}, (Spec(x.shape, dtype),))


def kept(g, axis, keepdims):
    """``g`` with the reduced axes back in place, as size 1."""
    return g if keepdims or not axis else ops.expand_dims(g, axis=axis)


def axes_shrink(specs, attributes):
    """Of the axes that are reduced two stay, of the others one; where a reduced one is as long as that, it still is."""
    (x,), axis = specs, attributes["axis"]
    axis = axis if isinstance(axis, tuple) else (axis,)
    reduced = [a for a in axis if x.shape[a] > 1][:2]
    others = [a for a in range(x.ndim) if a not in axis and x.shape[a] > 1][:1]
    apart = len(reduced) == 1 and all(x.shape[a] != x.shape[reduced[0]] for a in others)
    small = {**dict.fromkeys(others, 2), **dict.fromkeys(reduced, 3 if apart else 2)}
    correction = attributes.get("correction", 0)
    left = min(count(x, axis) - correction, 2)  # the rule of a variance tells one degree of freedom from more
    if reduced and correction and left > 0 and math.prod(small[a] for a in reduced) - correction < left:
        small |= dict.fromkeys(reduced[1:], 2 if left == 2 else 1)
        small[reduced[0]] = -(-(correction + left) // math.prod(small[a] for a in reduced[1:]))
        small |= dict.fromkeys(others, 2 if correction < 16 else 1)
    return case(tuple(small.get(a, min(size, 1)) for a, size in enumerate(x.shape)), **attributes)


def extremum_shrink(specs, attributes):
    """As `axes_shrink`, of one line only where two axes are reduced: each more element doubles the orders there are."""
    small = axes_shrink(specs, attributes)
    (shape,), axis = small.inputs, attributes["axis"]
    lines = sum(shape[a] > 1 for a in axis) < 2
    return case(tuple(n if lines or a in axis else min(n, 1) for a, n in enumerate(shape)), **attributes)


# rules


def sum_rule(g, y, x, *, axis, keepdims):
    return ops.broadcast_to(kept(g, axis, keepdims), shape=x.shape)


@in_float32
def mean_rule(g, y, x, *, axis, keepdims):
    return ops.broadcast_to(kept(g, axis, keepdims) * Fraction(1, max(count(x, axis), 1)), shape=x.shape)


@in_float32
def extremum_rule(g, y, x, *, axis, keepdims):
    """To the largest (smallest) elements, in equal shares."""
    hit = ops.astype(ops.equal(x, kept(y, axis, keepdims)), dtype=x.dtype.name)
    return hit * kept(g, axis, keepdims) / ops.sum(hit, axis=axis, keepdims=True)


@in_float32
def var_rule(g, y, x, *, axis, correction, keepdims):
    """Centred twice: far from 0 the mean has been rounded, and what is left has a mean of its own."""
    centred = x - ops.mean(x, axis=axis, keepdims=True)
    centred = centred - ops.mean(centred, axis=axis, keepdims=True)
    half = Fraction(count(x, axis) - correction, 2)
    share = kept(g, axis, keepdims)
    return share / half * centred if half >= 1 else share * centred / half


@in_float32
def logsumexp_rule(g, y, x, *, axis, keepdims):
    """The shares of softmax: where y has no digits behind the point, they are right to a factor, and add up to 1."""
    parts = ops.exp(x - kept(y, axis, keepdims))
    return kept(g, axis, keepdims) * (parts / ops.sum(parts, axis=axis, keepdims=True))


@in_float32
def softmax_rule(g, y, x, *, axis):
    """y (g - <g, y>), twice: where one y is nearly 1 the first has no digits left, and as Σ y = 1 the second finds them."""
    away = g - ops.sum(g * y, axis=axis, keepdims=True)
    return y * (away - ops.sum(away * y, axis=axis, keepdims=True))


@in_float32
def log_softmax_rule(g, y, x, *, axis):
    """g - eʸ Σ g, twice, for the same reason: the gradients of a line add up to 0."""
    away = g - ops.exp(y) * ops.sum(g, axis=axis, keepdims=True)
    return away - ops.exp(y) * ops.sum(away, axis=axis, keepdims=True)


@in_float32
def prod_rule(g, y, x, *, axis, keepdims):
    """g times the product of all *other* elements: y / x would give nan where an element is 0. The reduced axes are
    brought together at the end, and the products before and after each element come from cumprod."""
    order = (*(k for k in range(x.ndim) if k not in axis), *axis)
    moved = ops.transpose(x, axes=order)
    flat = ops.reshape(moved, shape=(*moved.shape[: x.ndim - len(axis)], count(x, axis)))
    others = before(flat) * ops.flip(before(ops.flip(flat, axis=-1)), axis=-1)
    back = ops.transpose(ops.reshape(others, shape=moved.shape), axes=tuple(order.index(k) for k in range(x.ndim)))
    return kept(g, axis, keepdims) * back


def before(x):
    """Along the last axis, the product of all elements before each one (1 for the first)."""
    last = x.ndim - 1
    if x.shape[last] == 0:
        return x
    first = ops.slice(x, start=(0,) * x.ndim, stop=at(x.shape, last, 1))
    rest = ops.slice(x, start=(0,) * x.ndim, stop=at(x.shape, last, x.shape[last] - 1))
    return ops.cumprod(ops.concat(full_like(first, 1), rest, axis=last), axis=last)


@in_float32
def cumsum_rule(g, y, x, *, axis):
    return ops.flip(ops.cumsum(ops.flip(g, axis=axis), axis=axis), axis=axis)


@in_float32
def cumprod_rule(g, y, x, *, axis):
    """dy_k/dx_i is (product before i) (product of i+1..k), for k >= i: exact at zeros too, for n² work on the axis."""
    last = x.ndim - 1
    order = (*(k for k in range(x.ndim) if k != axis), axis)
    back = tuple(order.index(k) for k in range(x.ndim))
    row, grow = ops.transpose(x, axes=order), ops.transpose(g, axes=order)
    n = row.shape[last]
    square = ops.broadcast_to(ops.expand_dims(row, axis=last), shape=(*row.shape, n))
    above = ops.not_equal(ops.triu(full_like(square, 1), k=1), 0)
    run = ops.triu(ops.cumprod(ops.where(above, square, 1), axis=last + 1))
    after = ops.sum(run * ops.expand_dims(grow, axis=last), axis=last + 1)
    return ops.transpose(before(row) * after, axes=back)


# forwards that NumPy does not have


@rounded_once
def var(x, *, axis, correction, keepdims):
    """Centred twice (see `var_rule`), and made small first where the squares do not fit. Where correction leaves nothing to
    divide by it is nan or inf."""
    with np.errstate(all="ignore"):
        centred = x - mean(x, axis=axis, keepdims=True)
        centred = centred - mean(centred, axis=axis, keepdims=True)
        n = np.asarray(max(count(x, axis) - correction, 0), x.dtype)
        found = np.asarray(np.sum(np.square(centred), axis=axis, keepdims=keepdims) / n)
        if not (np.isfinite(found) & (found > 1e3 * np.finfo(x.dtype).tiny)).all() and n:
            power = np.frexp(np.max(np.abs(centred), axis=axis, keepdims=True, initial=0))[1]
            small = np.sum(np.square(np.ldexp(centred, -power)), axis=axis, keepdims=True) / n
            again = np.ldexp(small, 2 * power)
            found = again if keepdims else np.squeeze(again, axis)
        return found


@rounded_once
def logsumexp(x, *, axis, keepdims):
    """max + ln(how often it comes) + ln(1 + the rest): a sum near 1 keeps its digits, as in `log_softmax`."""
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    finite = np.isfinite(top)
    largest = finite & (x == top)
    top = np.where(finite, top, 0).astype(x.dtype)
    rest = np.sum(np.where(largest, 0, np.exp(x - top)), axis=axis, keepdims=True)
    count = np.sum(largest, axis=axis, keepdims=True, dtype=x.dtype)
    near = np.log1p(rest / np.maximum(count, 1)) + np.log(np.maximum(count, 1))
    with np.errstate(divide="ignore"):  # ln 0 of a line of -inf
        total = np.where(count > 0, near, np.log(rest)) + top
    return total if keepdims else np.squeeze(total, axis)


@rounded_once
def softmax(x, *, axis):
    parts = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return parts / np.sum(parts, axis=axis, keepdims=True)


@rounded_once
def log_softmax(x, *, axis):
    """x - max - ln(1 + the rest): the largest element keeps its digits where it is nearly certain."""
    if not x.shape[axis]:
        return x.copy()
    shifted = x - np.max(x, axis=axis, keepdims=True)
    rest = np.exp(shifted)
    np.put_along_axis(rest, np.expand_dims(np.argmax(x, axis=axis), axis), 0, axis)
    return shifted - np.log1p(np.sum(rest, axis=axis, keepdims=True))


def running_sum(x, *, axis, out=None):
    return np.add.accumulate(x, axis, None, out)


def running_product(x, *, axis, out=None):
    return np.multiply.accumulate(x, axis, None, out)


REDUCED = (
    case((2, 3)),
    case((2, 3), axis=0),
    case((2, 3), axis=1, keepdims=True),
    case((2, 2), axis=-1),
    case((1, 2, 2), axis=(0, 2)),
    case((1, 3)),
    case((2,), axis=0),
    case(()),
)
EXTREME = (case((3,)), case((2, 2), axis=1), case((2, 2), axis=0, keepdims=True), case((1, 2), axis=0), case(()))
ALONG = (case((3,)), case((2, 3), axis=0), case((2, 2), axis=1), case((2, 1), axis=1))

REDUCTIONS = (
    Op(
        "sum",
        rounded_once(total),
        sum_rule,
        lambda f, i, x, *, axis, keepdims: f.total(members(i, x, axis, keepdims)),
        reduce_infer(np.sum),
        REDUCED,
        shrink=axes_shrink,
        complex=HOLOMORPHIC,
        into=rounded_once_into(total),
        arrays=lambda f, x, *, axis, keepdims: f.total(x, axis, keepdims),
        doc="the sum over axes",
    ),
    Op(
        "mean",
        rounded_once(mean),
        mean_rule,
        lambda f, i, x, *, axis, keepdims: f.total(members(i, x, axis, keepdims)) / count(x, axis),
        reduce_infer(np.mean),
        REDUCED,
        shrink=axes_shrink,
        complex=HOLOMORPHIC,
        into=rounded_once_into(mean),
        arrays=lambda f, x, *, axis, keepdims: f.total(x, axis, keepdims) / count(x, axis),
        doc="the mean over axes",
    ),
    Op(
        "prod",
        rounded_once(lambda x, *, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims)),
        prod_rule,
        lambda f, i, x, *, axis, keepdims: product(members(i, x, axis, keepdims)),
        reduce_infer(np.prod),
        REDUCED,
        shrink=axes_shrink,
        complex=HOLOMORPHIC,
        arrays=lambda f, x, *, axis, keepdims: f.product(x, axis, keepdims),
        doc="the product over axes",
    ),
    Op(
        "max",
        lambda x, *, axis, keepdims: np.maximum.reduce(x, axis, keepdims=keepdims),
        extremum_rule,
        lambda f, i, x, *, axis, keepdims: largest(f, members(i, x, axis, keepdims)),
        extremum_infer,
        EXTREME,
        grad_fn="AmaxBackward0",
        ties="shared evenly",
        kink=Kink.MEAN,
        shrink=extremum_shrink,
        into=lambda out, x, *, axis, keepdims: np.maximum.reduce(x, axis, out=out, keepdims=keepdims),
        arrays=lambda f, x, *, axis, keepdims: f.largest(x, axis, keepdims),
        doc="the largest over axes",
    ),
    Op(
        "min",
        lambda x, *, axis, keepdims: np.minimum.reduce(x, axis, keepdims=keepdims),
        extremum_rule,
        lambda f, i, x, *, axis, keepdims: smallest(f, members(i, x, axis, keepdims)),
        extremum_infer,
        EXTREME,
        grad_fn="AminBackward0",
        ties="shared evenly",
        kink=Kink.MEAN,
        shrink=extremum_shrink,
        into=lambda out, x, *, axis, keepdims: np.minimum.reduce(x, axis, out=out, keepdims=keepdims),
        arrays=lambda f, x, *, axis, keepdims: f.smallest(x, axis, keepdims),
        doc="the smallest over axes",
    ),
    Op(
        "var",
        var,
        var_rule,
        var_define,
        var_infer,
        (
            case((2, 3)),
            case((2, 3), axis=1, correction=1),
            case((3, 2), axis=0, keepdims=True),
            case((2, 2), axis=1),
            case((1, 3), correction=1),
        ),
        shrink=axes_shrink,
        arrays=var_arrays,
        doc="the variance over axes, divided by n - correction",
    ),
    Op(
        "logsumexp",
        logsumexp,
        logsumexp_rule,
        lambda f, i, x, *, axis, keepdims: f.log(f.total(f.exp(term) for term in members(i, x, axis, keepdims))),
        reduce_infer(np.mean),
        REDUCED,
        shrink=axes_shrink,
        arrays=logsumexp_arrays,
        doc="ln Σ eˣ over axes",
    ),
    Op(
        "softmax",
        softmax,
        softmax_rule,
        softmax_define,
        axis_infer,
        ALONG,
        shrink=axes_shrink,
        arrays=softmax_arrays,
        doc="eˣ / Σ eˣ along an axis",
    ),
    Op(
        "log_softmax",
        log_softmax,
        log_softmax_rule,
        log_softmax_define,
        axis_infer,
        ALONG,
        shrink=axes_shrink,
        arrays=log_softmax_arrays,
        doc="x - ln Σ eˣ along an axis",
    ),
    Op(
        "cumsum",
        rounded_once(running_sum),
        cumsum_rule,
        lambda f, i, x, *, axis: f.total(line(i, x, axis)[: i[axis] + 1]),
        scan_infer,
        ALONG,
        shrink=axes_shrink,
        complex=HOLOMORPHIC,
        into=rounded_once_into(running_sum),
        arrays=lambda f, x, *, axis: f.running_total(x, axis),
        doc="running sums along an axis",
    ),
    Op(
        "cumprod",
        rounded_once(running_product),
        cumprod_rule,
        lambda f, i, x, *, axis: product(line(i, x, axis)[: i[axis] + 1]),
        scan_infer,
        ALONG,
        shrink=axes_shrink,
        complex=HOLOMORPHIC,
        into=rounded_once_into(running_product),
        arrays=lambda f, x, *, axis: f.running_product(x, axis),
        doc="running products along an axis",
    ),
)


@hookimpl
def register_ops(register):
    for op in REDUCTIONS:
        register(op)
