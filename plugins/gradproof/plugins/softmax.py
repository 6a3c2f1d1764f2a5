"""Softmax and softmin, the logarithm of softmax, and the logarithm of its denominator."""

import numpy as np

from gradproof.engine.extend import POSITIVE, REAL, Composite, Inferred, Spec, case, ops, registering
from gradproof.plugins.axes import line, members
from gradproof.plugins.dtypes import in_float32, rounded_once
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import (
    ALONG,
    REDUCED,
    alike_shrink,
    along,
    axes_shrink,
    reduce_infer,
    reduced,
    together,
    unreduced,
)

GRADPROOF_API = 1


def axis_infer(x: Spec, *, axis: object = -1) -> Inferred:
    return along(x, axis, np.exp(np.ones((1,), x.dtype)).dtype)


def above_one(f, x, axis):
    """An element c of each line, and Σ eˣ⁻ᶜ - 1."""
    chosen, top = f.one_of(x, axis)
    there, x = f.finite(x)
    return top, f.total(f.where(chosen, 0, f.where(there, f.exp(x - top), 0)), axis, keepdims=True)


# logsumexp


def logsumexp_infer(x: Spec, b: Spec | None = None, *, axis: object = None, keepdims: object = False) -> Inferred:
    if b is None:
        return reduce_infer(np.mean)(x, axis=axis, keepdims=keepdims)
    both = together(x, b, lambda x, b: np.asarray(np.mean(x * b)))
    inference = reduced(both, axis, keepdims, both.dtype)
    return Inferred(inference.outputs, inference.attributes, (both, both))


@rounded_once
def logsumexp(x, b=None, *, axis, keepdims):
    total = logarithm_of_sum(x, axis) if b is None else logarithm_of_weighted_sum(x, b, axis)
    return total if keepdims else np.squeeze(total, axis)


def logarithm_of_sum(x, axis):
    """max + ln(its multiplicity) + ln(1 + the rest): a sum near 1 keeps its digits, as in `log_softmax`."""
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    finite = np.isfinite(top)
    largest = finite & (x == top)
    top = np.where(finite, top, 0).astype(x.dtype)
    rest = np.sum(np.where(largest, 0, np.exp(x - top)), axis=axis, keepdims=True)
    count = np.sum(largest, axis=axis, keepdims=True, dtype=x.dtype)
    near = np.log1p(rest / np.maximum(count, 1)) + np.log(np.maximum(count, 1))
    with np.errstate(divide="ignore"):  # ln 0 of a line of -inf
        return np.where(count > 0, near, np.log(rest)) + top


def of_largest(where, numbers, axis):
    """The largest of the chosen numbers over axes that are kept."""
    return np.max(np.where(where, numbers, -np.inf), axis=axis, keepdims=True, initial=-np.inf)


def logarithm_of_weighted_sum(x, b, axis):
    """x + ln |b| of the largest term, and ln(1 + the rest): a sum near 1 keeps its digits. nan for a negative sum. Terms
    are divided by the largest as differences of x and quotients of b: equal x cancel as their weights do."""
    with np.errstate(all="ignore"):
        size = np.where(b == 0, -np.inf, x + np.log(np.abs(b)))
        top = np.max(size, axis=axis, keepdims=True, initial=-np.inf)
        finite = np.isfinite(top)
        largest = finite & (size == top)
        shift = of_largest(largest, x, axis)
        largest &= x == shift
        weight = of_largest(largest, np.abs(b), axis)
        largest &= np.abs(b) == weight
        quotient = np.abs(b) / weight
        within = np.isfinite(quotient) & (quotient > 0)
        logs = np.where(within, np.log(quotient), np.log(np.abs(b)) - np.log(weight))
        terms = np.where(b == 0, 0, np.sign(b) * np.exp(np.where(finite, x - shift + logs, size)))
        whole = np.sum(np.where(largest, np.sign(b), 0), axis=axis, keepdims=True)
        rest = np.sum(np.where(largest, 0, terms), axis=axis, keepdims=True)
        near = np.where(whole == 1, np.log1p(rest), np.log(whole + rest))
        return np.asarray(np.where(finite, near + (shift + np.log(weight)), np.log(rest)), x.dtype)


@in_float32
def logsumexp_rule(g, y, x, b=None, *, axis, keepdims):
    """g b e^(x - y) / Σ b e^(x - y), and g e^(x - y) over that sum: where y has no fractional digits, e^(x - y) is right
    only up to a factor."""
    parts, g = ops.exp(x - unreduced(y, axis, keepdims)), unreduced(g, axis, keepdims)
    if b is None:
        return g * (parts / ops.sum(parts, axis=axis, keepdims=True))
    weighed = ops.where(ops.equal(b, 0), 0, b * parts)
    share = g / ops.sum(weighed, axis=axis, keepdims=True)
    beyond = ops.logical_and(ops.equal(share, 0), ops.isinf(parts))  # eˣ of weight 0 may be, and is of no use to g = 0
    return share * weighed, share * ops.where(beyond, 0, parts)


def logsumexp_define(f, i, x, b=None, *, axis, keepdims):
    parts = [f.exp(term) for term in members(i, x, axis, keepdims)]
    if b is not None:
        parts = [weight * part for weight, part in zip(members(i, b, axis, keepdims), parts, strict=True)]
    return f.log(f.total(parts))


def logsumexp_arrays(f, x, b=None, *, axis, keepdims):
    if b is None:
        top, rest = above_one(f, x, axis)
        return f.total(top + f.log1p(rest), axis, keepdims)
    top = f.anchor(x, axis)
    there, x = f.finite(x)
    parts = b * f.where(there, f.exp(x - top), 0)
    return f.total(top + f.log(f.total(parts, axis, keepdims=True)), axis, keepdims)


# softmax


@rounded_once
def softmax(x, *, axis):
    parts = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    return parts / np.sum(parts, axis=axis, keepdims=True)


@in_float32
def softmax_rule(g, y, x, *, axis):
    """y (g - Σ(g y)), subtracted twice: where a y is nearly 1 the first difference has no digits left, and as Σ y = 1 the
    second restores them."""
    away = g - ops.sum(g * y, axis=axis, keepdims=True)
    return y * (away - ops.sum(away * y, axis=axis, keepdims=True))


def softmax_define(f, i, x, *, axis):
    # Of differences: the quotient of e^800 and a sum of such is the same number, with wider balls.
    return 1 / f.total(f.exp(term - x[i]) for term in line(i, x, axis))


def softmax_arrays(f, x, *, axis):
    anchor = f.anchor(x, axis)
    there, x = f.finite(x)
    parts = f.where(there, f.exp(x - anchor), 0)
    return parts / f.total(parts, axis, keepdims=True)


# log_softmax


@rounded_once
def log_softmax(x, *, axis):
    """x - max - ln(1 + the rest): the largest element keeps its digits where it is nearly certain."""
    if not x.shape[axis]:
        return x.copy()
    shifted = x - np.max(x, axis=axis, keepdims=True)
    rest = np.exp(shifted)
    np.put_along_axis(rest, np.expand_dims(np.argmax(x, axis=axis), axis), 0, axis)
    return shifted - np.log1p(np.sum(rest, axis=axis, keepdims=True))


@in_float32
def log_softmax_rule(g, y, x, *, axis):
    """g - eʸ Σ g, subtracted twice. As in `softmax_rule`, the gradients of a line add up to 0."""
    away = g - ops.exp(y) * ops.sum(g, axis=axis, keepdims=True)
    return away - ops.exp(y) * ops.sum(away, axis=axis, keepdims=True)


def log_softmax_define(f, i, x, *, axis):
    return -f.log(f.total(f.exp(term - x[i]) for term in line(i, x, axis)))


def log_softmax_arrays(f, x, *, axis):
    top, rest = above_one(f, x, axis)
    return x - top - f.log1p(rest)


WEIGHTED = (
    case((3,), (3,)),
    case((2, 3), (2, 3), axis=1),
    case((3, 2), (3, 1), axis=0, keepdims=True),
    case((2, 2), (2, 2)),
    case((), ()),
)

# fmt: off
SOFTMAX = (
    # op             forward      rule              definition          inference              cases
    R("logsumexp",   logsumexp,   logsumexp_rule,   logsumexp_define,   logsumexp_infer,       REDUCED + WEIGHTED,
      domains=(REAL, POSITIVE), shrink=alike_shrink, arrays=logsumexp_arrays, doc="ln Σ eˣ, or ln Σ b eˣ, over axes"),
    R("softmax",     softmax,     softmax_rule,     softmax_define,     axis_infer,            ALONG,
      shrink=axes_shrink, arrays=softmax_arrays, doc="eˣ / Σ eˣ along an axis"),
    R("log_softmax", log_softmax, log_softmax_rule, log_softmax_define, axis_infer,            ALONG,
      shrink=axes_shrink, arrays=log_softmax_arrays, doc="x - ln Σ eˣ along an axis"),
    Composite("softmin", lambda x, *, axis=-1: ops.softmax(-x, axis=axis), cases=ALONG, doc="e⁻ˣ / Σ e⁻ˣ along an axis"),
)
# fmt: on

register_ops = registering(*named(SOFTMAX))
