"""Orders: the places of extrema, of sorted elements, and among sorted elements: integers without a gradient."""

from functools import cmp_to_key
from typing import Literal

import numpy as np

from gradproof.engine.extend import InferenceError, Inferred, Spec, case, registering
from gradproof.plugins.axes import at, axis_of, boolean, integer, line, members, refuse
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import not_empty

GRADPROOF_API = 1

PLACE = np.dtype(np.int64)


def require_order(x: Spec) -> None:
    """Raises InferenceError for complex numbers."""
    if x.dtype.kind == "c":
        raise InferenceError(f"numbers of dtype {x.dtype.name} have no order")


def comparable(x):
    """bfloat16 as float32, exactly: NumPy sorts nan to the end in its own dtypes only."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


# argmax and argmin


def place_infer(x: Spec, *, axis: object = None, keepdims: object = False) -> Inferred:
    """``axis`` None stands for a place in the whole array, in C order."""
    keepdims = boolean("keepdims", keepdims)
    require_order(x)
    axes = tuple(range(x.ndim)) if axis is None else (axis_of(axis, x.ndim),)
    not_empty(x, axes)
    shape = tuple(1 if k in axes else s for k, s in enumerate(x.shape) if keepdims or k not in axes)
    return Inferred((Spec(shape, PLACE),), {"axis": None if axis is None else axes[0], "keepdims": keepdims})


def place_define(better):
    """The place of the first element than which no other is ``better(f, term, best)``."""

    def define(f, i, x, *, axis, keepdims):
        best, *rest = members(i, x, range(x.ndim) if axis is None else (axis,), keepdims)
        place = 0
        for k, term in enumerate(rest, 1):
            beaten = better(f, term, best)
            best, place = f.where(beaten, term, best), f.where(beaten, k, place)
        return place

    return define


def argmax(x, *, axis, keepdims):
    return np.argmax(x, axis, keepdims=keepdims)


argmax_define = place_define(lambda f, term, best: f.less(best, term))


def argmax_arrays(f, x, *, axis, keepdims):
    return f.place_of_largest(x, axis, keepdims)


def argmin(x, *, axis, keepdims):
    return np.argmin(x, axis, keepdims=keepdims)


argmin_define = place_define(lambda f, term, best: f.less(term, best))


def argmin_arrays(f, x, *, axis, keepdims):
    return f.place_of_smallest(x, axis, keepdims)


# argsort


def sort_infer(x: Spec, *, axis: object = -1, descending: object = False) -> Inferred:
    require_order(x)
    attributes = {"axis": axis_of(axis, x.ndim), "descending": boolean("descending", descending)}
    return Inferred((Spec(x.shape, PLACE),), attributes)


def argsort(x, *, axis, descending):
    """`numpy.argsort`, stable in both directions: a descending line is sorted backwards, and its places are reversed."""
    x = comparable(x)
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def argsort_define(f, i, x, *, axis, descending):
    """Sorts by comparisons, which must be decided: there is no formula."""
    terms = line(i, x, axis)

    def compare(j, k):
        first, second = (terms[k], terms[j]) if descending else (terms[j], terms[k])
        return -1 if f.less(first, second) else int(f.less(second, first))

    return sorted(range(len(terms)), key=cmp_to_key(compare))[i[axis]]


def argsort_arrays(f, x, *, axis, descending):
    return f.order(x, axis, descending)


# argtopk and argkth: the first places of a sorted line, and that of a rank, without sorting it


def topk_infer(x: Spec, *, k: object, axis: object = -1, largest: object = True) -> Inferred:
    require_order(x)
    line, count = axis_of(axis, x.ndim), integer("k", k)
    if not 0 <= count <= x.shape[line]:
        raise InferenceError(f"k is {count}; axis {axis} of {x} has {x.shape[line]} elements")
    attributes = {"k": count, "axis": line, "largest": boolean("largest", largest)}
    return Inferred((Spec(at(x.shape, line, count), PLACE),), attributes)


def ranked(lines, rank):
    """Masks of the elements of each line before that at a rank, counted from 0, and of those equal to it; nan is last."""
    lines = comparable(lines)
    limit = np.partition(lines, rank, axis=-1)[..., rank : rank + 1]
    unknown, missing = lines != lines, limit != limit
    return np.where(missing, ~unknown, lines < limit), np.where(missing, unknown, lines == limit)


def argtopk(x, *, k, axis, largest):
    """The elements before the k-th, and as many of those equal to it as come first; these sorted, stably."""
    lines = np.moveaxis(x, axis, -1)
    n = lines.shape[-1]
    if not k or not x.size:
        return np.zeros(at(x.shape, axis, k), PLACE)
    if largest:
        after, same = ranked(lines, n - k)
        before = ~(after | same)
    else:
        before, same = ranked(lines, k - 1)
    room = k - np.count_nonzero(before, axis=-1, keepdims=True)
    selected = before | (same & (np.cumsum(same, axis=-1) <= room))
    places = np.nonzero(selected)[-1].reshape(*lines.shape[:-1], k)
    order = argsort(np.take_along_axis(lines, places, -1), axis=lines.ndim - 1, descending=largest)
    return np.moveaxis(np.take_along_axis(places, order, -1), -1, axis)


def argtopk_define(f, i, x, *, k, axis, largest):
    return argsort_define(f, i, x, axis=axis, descending=largest)


def argtopk_arrays(f, x, *, k, axis, largest):
    first = (slice(None),) * axis + (slice(0, k),)
    return f.moved(lambda places: places[first], f.order(x, axis, largest))


def kth_infer(x: Spec, *, rank: object, axis: object = -1) -> Inferred:
    require_order(x)
    line, place = axis_of(axis, x.ndim), integer("rank", rank)
    if not 0 <= place < x.shape[line]:
        raise InferenceError(f"rank is {place}; axis {axis} of {x} has {x.shape[line]} elements, counted from 0")
    return Inferred((Spec(at(x.shape, line, 1), PLACE),), {"rank": place, "axis": line})


def argkth(x, *, rank, axis):
    """Of the elements equal to that at the rank, as many are passed as the rank is above the number of smaller elements."""
    if not x.size:
        return np.zeros(at(x.shape, axis, 1), PLACE)
    before, same = ranked(np.moveaxis(x, axis, -1), rank)
    passed = np.cumsum(same, axis=-1) > rank - np.count_nonzero(before, axis=-1, keepdims=True)
    return np.moveaxis(np.argmax(passed, axis=-1, keepdims=True), -1, axis)


def argkth_define(f, i, x, *, rank, axis):
    return argsort_define(f, at(i, axis, rank), x, axis=axis, descending=False)


def argkth_arrays(f, x, *, rank, axis):
    there = (slice(None),) * axis + (slice(rank, rank + 1),)
    return f.moved(lambda places: places[there], f.order(x, axis))


# argcummax and argcummin


def running_infer(x: Spec, *, axis: object) -> Inferred:
    require_order(x)
    return Inferred((Spec(x.shape, PLACE),), {"axis": axis_of(axis, x.ndim)})


def running_places(extremes):
    """The forward: the places of the elements that are ``extremes`` of all up to them, or nan, carried on."""

    def forward(x, *, axis):
        hits = (x == extremes.accumulate(x, axis)) | np.not_equal(x, x)
        places = np.arange(x.shape[axis]).reshape(-1, *(1,) * (x.ndim - 1 - axis))
        return np.maximum.accumulate(np.where(hits, places, 0), axis)

    return forward


def running_define(worse):
    """The place of the last element, up to each, than which no other is better: ``worse(f, best, term)`` or equal."""

    def define(f, i, x, *, axis):
        best, *rest = line(i, x, axis)[: i[axis] + 1]
        place = 0
        for k, term in enumerate(rest, 1):
            beaten = worse(f, best, term)
            best, place = f.where(beaten, term, best), f.where(beaten, k, place)
        return place

    return define


argcummax, argcummin = running_places(np.maximum), running_places(np.minimum)
argcummax_define = running_define(lambda f, best, term: f.less_equal(best, term))
argcummin_define = running_define(lambda f, best, term: f.less_equal(term, best))


def argcummax_arrays(f, x, *, axis):
    return f.running_place_of_largest(x, axis)


def argcummin_arrays(f, x, *, axis):
    return f.running_place_of_largest(-f.as_number(x), axis)


# searchsorted


def search_infer(line: Spec, values: Spec, *, right: object = False) -> Inferred:
    """A single line for all values; or lines along the last axis, for values along theirs, with the same other axes."""
    require_order(line)
    require_order(values)
    if line.ndim == 0 or (line.ndim > 1 and line.shape[:-1] != values.shape[:-1]):
        raise InferenceError(f"lines of {line} and values of {values}: a single line, or as many as there are of values")
    try:
        dtype = np.result_type(line.dtype, values.dtype)
    except TypeError:  # float16 and bfloat16
        raise InferenceError(f"{line.dtype.name} and {values.dtype.name} have no dtype in common") from None
    inputs = (Spec(line.shape, dtype), Spec(values.shape, dtype))
    return Inferred((Spec(values.shape, PLACE),), {"right": boolean("right", right)}, inputs)


def searchsorted(line, values, *, right):
    """`numpy.searchsorted`, line by line. Raises DataFault where a line is not sorted."""
    line, values = comparable(line), comparable(values)
    refuse(line[..., 1:] < line[..., :-1], "a line is not sorted: the next element is smaller")
    side: Literal["left", "right"] = "right" if right else "left"
    if line.ndim == 1:
        return np.searchsorted(line, values, side)
    places = np.empty(values.shape, PLACE)
    for index in np.ndindex(line.shape[:-1]):
        places[index] = np.searchsorted(line[index], values[index], side)
    return places


def search_define(f, i, line, values, *, right):
    """The number of elements that are less than the value, or equal to it on its right."""
    row = line if line.ndim == 1 else line[i[:-1]]
    below = f.less_equal if right else f.less
    return f.total(f.as_number(below(term, values[i])) for term in row)


def search_arrays(f, line, values, *, right):
    return f.place_among(line, values, right)


PLACED = (case((3,)), case((2, 3), axis=0), case((2, 3), axis=1, keepdims=True), case((2, 2)), case(()))
TOP = (case((3,), k=2), case((2, 3), k=1, axis=0, largest=False), case((2, 3), k=2))
RANKED = (case((3,), rank=1), case((2, 3), rank=0, axis=0), case((2, 3), rank=2))
RUNNING = (case((3,), axis=0), case((2, 3), axis=1), case((3, 2), axis=0))
LINE = np.array([-1, 0, 2])
SEARCHED = (case(LINE, (2,)), case(LINE, (2, 2), right=True), case(np.array([LINE, LINE]), (2, 1)))
SORTED = (case((3,)), case((2, 3), axis=0), case((2, 3), descending=True), case((1, 1)))

# fmt: off
ORDERING = (
    # op              forward       no rule definition        inference      cases
    R("argmax",       argmax,       None,   argmax_define,    place_infer,   PLACED,
      arrays=argmax_arrays, doc="the place of the largest, of several the first"),
    R("argmin",       argmin,       None,   argmin_define,    place_infer,   PLACED,
      arrays=argmin_arrays, doc="the place of the smallest, of several the first"),
    R("argcummax",    argcummax,    None,   argcummax_define, running_infer, RUNNING,
      arrays=argcummax_arrays, doc="the place of the largest of all elements up to each, of several the last"),
    R("argcummin",    argcummin,    None,   argcummin_define, running_infer, RUNNING,
      arrays=argcummin_arrays, doc="the place of the smallest of all elements up to each, of several the last"),
    R("argsort",      argsort,      None,   argsort_define,   sort_infer,    SORTED,
      arrays=argsort_arrays, doc="the places of the elements of each line in order; equal ones stay in theirs"),
    R("argtopk",      argtopk,      None,   argtopk_define,   topk_infer,    TOP,
      arrays=argtopk_arrays, doc="the places of the k largest or smallest elements of each line, in order"),
    R("argkth",       argkth,       None,   argkth_define,    kth_infer,     RANKED,
      arrays=argkth_arrays, doc="the place of the element of each line at a rank, counted from 0"),
    R("searchsorted", searchsorted, None,   search_define,    search_infer,  SEARCHED,
      arrays=search_arrays, doc="the places among sorted elements where values keep the order, left or right of the same"),
)
# fmt: on

register_ops = registering(*named(ORDERING))
