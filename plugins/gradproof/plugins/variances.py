"""Variances and standard deviations over axes."""

from fractions import Fraction

import numpy as np

from gradproof.engine.extend import InferenceError, Inferred, Kink, Spec, case, ops, registering
from gradproof.plugins.axes import count, members, real
from gradproof.plugins.dtypes import in_float32, rounded_once
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import axes_shrink, reduced, unreduced
from gradproof.plugins.sums import mean

GRADPROOF_API = 1


def var_infer(x: Spec, *, axis: object = None, correction: object = 0, keepdims: object = False) -> Inferred:
    if x.dtype.kind == "c":
        raise InferenceError(f"the variance of {x.dtype.name} is not served; write it as the mean of abs(x - mean(x))²")
    dtype = np.var(np.ones((1,), x.dtype)).dtype
    return reduced(x, axis, keepdims, dtype, correction=real("correction", correction))


def centred(x, axis, mean):
    """x less its mean, twice: far from 0 the mean is rounded, and the differences have a mean."""
    away = x - mean(x, axis=axis, keepdims=True)
    return away - mean(away, axis=axis, keepdims=True)


def mean_square(x, axis, n):
    """Σ x² / n over axes that are kept, and an exponent e: the mean of the squares is 4ᵉ times that. Where the squares
    leave the range, e is that of the largest number; else it is 0."""
    plain = np.asarray(np.sum(np.square(x), axis=axis, keepdims=True) / n)
    if (np.isfinite(plain) & (plain > 1e3 * np.finfo(x.dtype).tiny)).all() or not n:
        return plain, 0
    power = np.frexp(np.max(np.abs(x), axis=axis, keepdims=True, initial=0))[1]
    return np.sum(np.square(np.ldexp(x, -power)), axis=axis, keepdims=True) / n, power


def spread(finish):
    """The forward that ``finish(mean square, exponent)`` ends; nan or inf for ``correction >= n``."""

    @rounded_once
    def forward(x, *, axis, correction, keepdims):
        with np.errstate(all="ignore"):
            n = np.asarray(max(count(x, axis) - correction, 0), x.dtype)
            result = np.asarray(finish(*mean_square(centred(x, axis, mean), axis, n)))
            return result if keepdims else np.squeeze(result, axis)

    return forward


var = spread(lambda square, power: np.ldexp(square, 2 * power))
std = spread(lambda square, power: np.ldexp(np.sqrt(square), power))


@in_float32
def var_rule(g, y, x, *, axis, correction, keepdims):
    """2 g (x - mean) / (n - correction)."""
    half, share = (count(x, axis) - correction) * Fraction(1, 2), unreduced(g, axis, keepdims)
    away = centred(x, axis, ops.mean)
    return share / half * away if half >= 1 else share * away / half


@in_float32
def std_rule(g, y, x, *, axis, correction, keepdims):
    """g (x - mean) / (y (n - correction)), and 0 where all elements are equal."""
    width = unreduced(y, axis, keepdims)
    away = centred(x, axis, ops.mean) / ops.where(ops.equal(width, 0), 1, width)
    return unreduced(g, axis, keepdims) * away / (count(x, axis) - correction)


def var_define(f, i, x, *, axis, correction, keepdims):
    terms = list(members(i, x, axis, keepdims))
    centre = f.total(terms) / len(terms)
    return f.total((term - centre) * (term - centre) for term in terms) / (len(terms) - correction)


def std_define(f, i, x, *, axis, correction, keepdims):
    terms = list(members(i, x, axis, keepdims))
    centre = f.total(terms) / len(terms)
    return f.sqrt(f.total((term - centre) * (term - centre) for term in terms) / (len(terms) - correction))


def var_arrays(f, x, *, axis, correction, keepdims):
    """About any constant c, by Σ (x - c)² - n (mean - c)²; little cancels where c is close to the mean."""
    away = x - f.anchor(x, axis, near="mean")
    whole = f.total(away, axis, keepdims)
    n = count(x, axis)
    return (f.total(away * away, axis, keepdims) - whole * whole / n) / (n - correction)


def std_arrays(f, x, *, axis, correction, keepdims):
    return f.sqrt(var_arrays(f, x, axis=axis, correction=correction, keepdims=keepdims))


VARIANCES = (
    case((2, 3)),
    case((2, 3), axis=1, correction=1),
    case((3, 2), axis=0, keepdims=True),
    case((2, 2), axis=1),
    case((1, 3), correction=1),
    case((3,), correction=0.5),
)
DEVIATIONS = (
    case((3,)),
    case((2, 2), axis=1, correction=1),
    case((3, 2), axis=0, keepdims=True),
    case((1, 3), correction=0.5),
)
VARIANCE = "the variance over axes, divided by n - correction"
DEVIATION = "the standard deviation over axes, the root of the variance"
EQUAL = "0 where all elements are equal"

# fmt: off
OPS = (
    # op      forward rule      definition  inference  cases
    R("var",  var,    var_rule, var_define, var_infer, VARIANCES, shrink=axes_shrink, arrays=var_arrays, doc=VARIANCE),
    R("std",  std,    std_rule, std_define, var_infer, DEVIATIONS, shrink=axes_shrink, arrays=std_arrays, doc=DEVIATION,
      ties=EQUAL, kink=Kink.MEAN),
)
# fmt: on

register_ops = registering(*named(OPS))
