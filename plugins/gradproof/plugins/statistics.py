"""Statistics of lines: weighted means, ranges, medians and quantiles."""

import math

from gradproof.engine.extend import Composite, InferenceError, case, full_like, ops, registering, zeros_like
from gradproof.plugins.axes import axes_of, boolean, count
from gradproof.plugins.dtypes import widely
from gradproof.plugins.names import named
from gradproof.plugins.reducing import first, floating, in_lines, unreduced

GRADPROOF_API = 1


@widely
def average(x, weights=None, *, axis=None, keepdims=False):
    """The mean, or Σ w x / Σ w; weights are of the shape of x, or of the shape of its axes."""
    if weights is None:
        return ops.mean(x, axis=axis, keepdims=keepdims)
    axes = axes_of(axis, x.ndim)
    if weights.shape != x.shape:
        if weights.shape != tuple(x.shape[k] for k in axes):
            raise InferenceError(f"weights have shape {weights.shape}; x is {x.spec}, reduced over the axes {axes}")
        weights = ops.expand_dims(weights, axis=tuple(k for k in range(x.ndim) if k not in axes))
    weights = ops.broadcast_to(weights, shape=x.shape)
    return ops.sum(x * weights, axis=axes, keepdims=keepdims) / ops.sum(weights, axis=axes, keepdims=keepdims)


def ptp(x, *, axis=None, keepdims=False):
    return ops.max(x, axis=axis, keepdims=keepdims) - ops.min(x, axis=axis, keepdims=keepdims)


def median(x, *, axis=None, keepdims=False):
    return quantile(x, q=0.5, axis=axis, keepdims=keepdims)


def quantile(x, *, q, axis=None, keepdims=False, method="linear"):
    """As `numpy.quantile`; nan where a line has a nan, which is the first of the largest. Lines are sorted for several
    shares; for a single share the elements are selected."""
    axes, n, lines = reduced_lines(x, axis)
    last = ops.take_along_axis(lines, ops.argmax(lines, axis=-1, keepdims=True), axis=-1)
    ordered = ops.sort(lines, axis=-1) if isinstance(q, (tuple, list)) else None

    def at_rank(rank):
        return ops.kthvalue(lines, k=rank + 1, keepdims=True)[0] if ordered is None else first(ordered, -1, 1, rank)

    def of(share):
        value = element(at_rank, place_of(share, n, method))
        return ops.where(ops.isnan(last), last, value)

    return put_back(of, q, axes, keepdims)


def reduced_lines(x, axis):
    """The axes that are reduced, the number of their elements, and these elements as the last axis. Raises InferenceError
    where there are none."""
    axes = axes_of(axis, x.ndim)
    n = count(x, axes)
    if n == 0:
        raise InferenceError(f"the axes of {x.spec} that are reduced have no elements: there is no middle of nothing")
    return axes, n, in_lines(floating(x), axes)


def put_back(of, q, axes, keepdims):
    """``of(share)``, which has an axis of size 1 at the end, for the share ``q``, or for several along a new first axis.
    With ``keepdims`` the reduced axes are there again."""
    keepdims = boolean("keepdims", keepdims)

    def placed(share):
        return unreduced(ops.squeeze(of(share), axis=-1), axes, not keepdims)

    if not isinstance(q, (tuple, list)):
        return placed(q)
    if not q:
        raise InferenceError("q is empty; it must be a number between 0 and 1, or a list of them")
    return ops.stack(*map(placed, q), axis=0)


METHODS = {
    "linear": (1, 1),
    "lower": (1, 1),
    "higher": (1, 1),
    "midpoint": (1, 1),
    "nearest": (1, 1),
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
"""Methods of `numpy.quantile` and the parameters of their places (R. J. Hyndman and Y. Fan, The American Statistician 50,
1996)."""


def share_of(q, method, methods):
    """``q`` as a float. Raises InferenceError for a share, or a method, that there is not."""
    if isinstance(q, bool) or not isinstance(q, (int, float)) or not 0 <= q <= 1:
        raise InferenceError(f"q is {q!r}; it must be a number between 0 and 1, or a list of them")
    if method not in methods:
        raise InferenceError(f"method is {method!r}; it must be one of {', '.join(methods)}")
    return float(q)


def place_of(q, n, method):
    """The place of a quantile among n sorted elements, between 0 and n - 1, as NumPy rounds it; its fraction is the weight
    of the next element."""
    q = share_of(q, method, METHODS)
    alpha, beta = METHODS[method]
    place = (n - 1) * q if alpha == beta == 1 else n * q + (alpha + q * (1 - alpha - beta)) - 1
    place = min(max(place, 0.0), n - 1.0)
    whole = math.floor(place)
    rounded = {"lower": whole, "higher": math.ceil(place), "nearest": round(place)}
    return rounded.get(method, whole + 0.5 if method == "midpoint" and place != whole else place)


def element(at_rank, place):
    """The element of each line at a place; between two places the two, weighted."""
    whole = int(place)
    weight, low = place - whole, at_rank(whole)
    if not weight:
        return low
    high = at_rank(whole + 1)
    if weight == 0.5:
        return ops.mean(ops.concat(low, high, axis=-1), axis=-1, keepdims=True)
    return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)


# of lines with nan


def nansum(x, *, axis=None, keepdims=False):
    return ops.sum(ops.where(ops.isnan(x), 0, x), axis=axis, keepdims=keepdims)


def nanprod(x, *, axis=None, keepdims=False):
    return ops.prod(ops.where(ops.isnan(x), 1, x), axis=axis, keepdims=keepdims)


def present(x, axis, keepdims):
    """The share of the elements over axes that are not nan."""
    return ops.mean(ops.where(ops.isnan(x), zeros_like(x), 1), axis=axis, keepdims=keepdims)


@widely
def nanmean(x, *, axis=None, keepdims=False):
    x = floating(x)
    filled = ops.where(ops.isnan(x), 0, x)
    return ops.mean(filled, axis=axis, keepdims=keepdims) / present(x, axis, keepdims)


def nanmax(x, *, axis=None, keepdims=False):
    return extreme(ops.max, -math.inf, x, axis, keepdims)


def nanmin(x, *, axis=None, keepdims=False):
    return extreme(ops.min, math.inf, x, axis, keepdims)


def extreme(choose, end, x, axis, keepdims):
    """The largest or smallest element that is not nan; where all are, the first of them."""
    if x.dtype.kind in "biu":
        return choose(x, axis=axis, keepdims=keepdims)
    axes, missing = axes_of(axis, x.ndim), ops.isnan(x)
    best = choose(ops.where(missing, end, x), axis=axes, keepdims=True)
    start = unreduced(ops.squeeze(first(in_lines(x, axes), -1, 1), axis=-1), axes, False)
    result = ops.where(ops.all(missing, axis=axes, keepdims=True), start, best)
    return result if boolean("keepdims", keepdims) or not axes else ops.squeeze(result, axis=axes)


def numbers_first(lines):
    """Sorted lines, whose nan come last, and how many numbers each line has."""
    n = ops.count_nonzero(ops.logical_not(ops.isnan(lines)), axis=-1, keepdims=True)
    return ops.sort(lines, axis=-1), n


def nanmedian(x, *, axis=None, keepdims=False):
    """The mean of the two elements in the middle of those that are not nan, which may be the same."""
    axes, _, given = reduced_lines(x, axis)
    lines, n = numbers_first(given)
    middle = ops.concat(ops.floor_divide(ops.maximum(n - 1, 0), 2), ops.floor_divide(n, 2), axis=-1)
    value = ops.mean(ops.take_along_axis(lines, middle, axis=-1), axis=-1, keepdims=True)
    return put_back(lambda _: value, 0.5, axes, keepdims)


PLACED = {
    "linear": lambda place: place,
    "lower": lambda place: ops.floor(place),
    "higher": lambda place: ops.ceil(place),
    "midpoint": lambda place: (ops.floor(place) + ops.ceil(place)) / 2,
    "nearest": lambda place: ops.round(place),
}
"""The places of `nanquantile`, by method."""


def nanquantile(x, *, q, axis=None, keepdims=False, method="linear"):
    """As `numpy.nanquantile`. The number of elements is known when the graph runs, and so are the places. They are counted,
    since a float that is cast to an integer has no definition."""
    axes, _, given = reduced_lines(x, axis)
    lines, n = numbers_first(given)
    one = full_like(ops.astype(lines, dtype="float64"), 1)

    def of(share):
        share = share_of(share, method, PLACED)
        place = PLACED[method](ops.maximum((n - 1) * share, 0))
        low = ops.count_nonzero(ops.cumsum(one, axis=-1) <= place, axis=-1, keepdims=True)
        weight = place - ops.floor(place)
        high = low + ops.astype(weight > 0, dtype="int64")
        start, end = (ops.take_along_axis(lines, places, axis=-1) for places in (low, high))
        return start + (end - start) * ops.astype(weight, dtype=lines.dtype.name)

    return put_back(of, q, axes, keepdims)


CASES = (case((3,)), case((2, 3), axis=1), case((3, 2), axis=0, keepdims=True))
WEIGHTED = (case((2, 3)), case((2, 3), (2, 3), axis=1), case((2, 3), (2,), axis=0, keepdims=True))
QUANTILES = (case((3,), q=0.25), case((2, 4), q=(0.1, 0.5), axis=1), case((3, 2), q=0.9, axis=0, method="nearest"))
SORTED = "of equal elements, those that come first in the line are sorted first"
SHARED = "shared evenly"

# fmt: off
STATISTICS = (
    # op                    function   cases
    Composite("average",    average,   cases=WEIGHTED,  doc="the mean over axes, with weights or without"),
    Composite("ptp",        ptp,       cases=CASES,     ties=SHARED, doc="the largest less the smallest over axes"),
    Composite("median",     median,    cases=CASES,     ties=SORTED,
              doc="the middle element over axes, or the mean of two"),
    Composite("quantile",   quantile,  cases=QUANTILES, ties=SORTED, doc="the quantile for a share q, or for several"),
    Composite("nansum",     nansum,    cases=CASES,     doc="the sum of the elements over axes that are not nan"),
    Composite("nanprod",    nanprod,   cases=CASES,     doc="the product of the elements over axes that are not nan"),
    Composite("nanmean",    nanmean,   cases=CASES,     doc="the mean of the elements over axes that are not nan"),
    Composite("nanmax",     nanmax,    cases=CASES,     ties=SHARED, doc="the largest over axes that is not nan"),
    Composite("nanmin",     nanmin,    cases=CASES,     ties=SHARED, doc="the smallest over axes that is not nan"),
    Composite("nanmedian",  nanmedian, cases=CASES,     ties=SORTED, doc="the median of the elements that are not nan"),
    Composite("nanquantile", nanquantile, cases=QUANTILES, ties=SORTED,
              doc="the quantile of the elements that are not nan, for a share q, or for several"),
)
# fmt: on

register_ops = registering(*named(STATISTICS))
