"""Scans: sums and products of the elements up to each, along an axis."""

import math

import numpy as np

from gradproof.engine.extend import InferenceError, Inferred, Memory, Spec, case, ops, registering
from gradproof.plugins.axes import at, axis_of, line
from gradproof.plugins.dtypes import in_float32, rounded_once, rounded_once_into
from gradproof.plugins.families import H, R
from gradproof.plugins.names import named
from gradproof.plugins.recurrences import recurrence
from gradproof.plugins.reducing import (
    ALONG,
    alike_shrink,
    along,
    axes_shrink,
    converted,
    first,
    product,
    product_before,
    together,
)

GRADPROOF_API = 1


def scan_infer(x: Spec, *, axis: object = 0, dtype: object = None) -> Inferred:
    return along(x, axis, converted(x, dtype, np.cumsum)[1])


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
    """The product up to xᵢ₋₁ times the sum of gₖ times the product from xᵢ₊₁ to xₖ, over k ≥ i: exact at zeros too."""
    return product_before(x, axis) * from_behind(x, g, axis)


def cumprod_define(f, i, x, *, axis):
    return product(line(i, x, axis)[: i[axis] + 1])


def cumprod_arrays(f, x, *, axis):
    return f.running_product(x, axis)


# logcumsumexp


def logcumsumexp_infer(x: Spec, *, axis: object = 0) -> Inferred:
    if x.dtype.kind == "c":
        raise InferenceError("is of real numbers")
    return along(x, axis, np.mean(np.ones((1,), x.dtype)).dtype)


@rounded_once
def logcumsumexp(x, *, axis):
    """`numpy.logaddexp` of each element and those before it, in about √n blocks: each sum is made of few additions."""
    n = x.shape[axis]
    length = math.isqrt(n) + 1
    if n <= 64:
        return np.logaddexp.accumulate(x, axis)
    lines = np.moveaxis(x, axis, -1)
    blocks = np.full((*lines.shape[:-1], -(-n // length) * length), -np.inf, x.dtype)
    blocks[..., :n] = lines
    blocks = np.logaddexp.accumulate(blocks.reshape(*lines.shape[:-1], -1, length), -1)
    before = np.full(blocks.shape[:-1], -np.inf, x.dtype)
    before[..., 1:] = np.logaddexp.accumulate(blocks[..., :-1, -1], -1)
    whole = np.logaddexp(blocks, before[..., None]).reshape(*lines.shape[:-1], -1)[..., :n]
    return np.moveaxis(whole, -1, axis)


@in_float32
def logcumsumexp_rule(g, y, x, *, axis):
    """Σ gₖ e^(xᵢ - yₖ) over k ≥ i: e^(xᵢ - yᵢ) times the sum of gₖ e^(yᵢ - yₖ), whose factors are at most 1."""
    return ops.exp(x - y) * from_behind(ops.exp(shifted(y, axis) - y), g, axis)


def logcumsumexp_define(f, i, x, *, axis):
    return f.log(f.total(f.exp(term) for term in line(i, x, axis)[: i[axis] + 1]))


def logcumsumexp_arrays(f, x, *, axis):
    top = f.anchor(x, axis)
    there, x = f.finite(x)
    return top + f.log(f.running_total(f.where(there, f.exp(x - top), 0), axis))


# recurrence


def recurrence_infer(a: Spec, x: Spec, *, axis: object = 0) -> Inferred:
    """Both are broadcast, and promoted."""
    both = together(a, x, np.add)
    return Inferred((both,), {"axis": axis_of(axis, both.ndim)}, (both, both))


@rounded_once
def recurrence_forward(a, x, *, axis):
    return recurrence(a, x, axis)


def shifted(x, axis):
    """Each element one place further along an axis, behind 0."""
    return ops.pad(first(x, axis, x.shape[axis] - 1), widths=at(((0, 0),) * x.ndim, axis, (1, 0))) if x.shape[axis] else x


def from_behind(a, x, axis):
    """yₖ = aₖ₊₁ yₖ₊₁ + xₖ along an axis, from its end."""
    back = ops.recurrence(shifted(ops.flip(a, axis=axis), axis), ops.flip(x, axis=axis), axis=axis)
    return ops.flip(back, axis=axis)


@in_float32
def recurrence_rule(g, y, a, x, *, axis):
    """b and, for a, bₖ yₖ₋₁ with the recurrence from the end, bₖ = aₖ₊₁ bₖ₊₁ + gₖ."""
    share = from_behind(a, g, axis)
    return share * shifted(y, axis), share


def recurrence_define(f, i, a, x, *, axis):
    """yₖ = aₖ yₖ₋₁ + xₖ, and y₀ = x₀."""
    factors, (result, *terms) = line(i, a, axis)[1:], line(i, x, axis)[: i[axis] + 1]
    for factor, term in zip(factors, terms, strict=False):
        result = factor * result + term
    return result


def recurrence_arrays(f, a, x, *, axis):
    """By recursive doubling: the maps y -> a y + x of 2ᵏ neighbours are composed."""
    a, x = (f.moved(np.moveaxis, part, source=axis, destination=0) for part in (a, x))
    step = 1
    while step < x.shape[0]:
        x = f.moved(lambda *parts: np.concatenate(parts), x[:step], x[step:] + a[step:] * x[:-step])
        a = f.moved(lambda *parts: np.concatenate(parts), a[:step], a[step:] * a[:-step])
        step *= 2
    return f.moved(np.moveaxis, x, source=0, destination=axis)


PAIRS = (case((3,), (3,)), case((2, 3), (2, 3), axis=1), case((3, 2), (3, 1), axis=0))

# fmt: off
SCANS = (
    # op         forward                        rule          definition      inference   cases
    H("cumsum",  rounded_once(running_sum),     cumsum_rule,  cumsum_define,  scan_infer, ALONG, shrink=axes_shrink,
      arrays=cumsum_arrays, doc="running sums along an axis"),
    H("cumprod", rounded_once(running_product), cumprod_rule, cumprod_define, scan_infer, ALONG, shrink=axes_shrink,
      arrays=cumprod_arrays, doc="running products along an axis"),
    R("logcumsumexp", logcumsumexp, logcumsumexp_rule, logcumsumexp_define, logcumsumexp_infer, ALONG, shrink=axes_shrink,
      arrays=logcumsumexp_arrays, doc="running ln Σ eˣ along an axis"),
    H("recurrence",   recurrence_forward, recurrence_rule, recurrence_define, recurrence_infer, PAIRS,
      shrink=alike_shrink, arrays=recurrence_arrays, doc="yₖ = aₖ yₖ₋₁ + xₖ along an axis, with y₀ = x₀"),
)
# fmt: on

MEMORY = {
    "cumsum": Memory(into=rounded_once_into(running_sum)),
    "cumprod": Memory(into=rounded_once_into(running_product)),
}

register_ops = registering(*named(SCANS), memory=MEMORY)
