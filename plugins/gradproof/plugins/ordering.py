"""Orders: the places of extrema and of sorted elements, which are integers without a gradient."""

from functools import cmp_to_key

import numpy as np

from gradproof.engine.extend import InferenceError, Inferred, Spec, case, registering
from gradproof.plugins.axes import axis_of, boolean, line, members
from gradproof.plugins.families import R
from gradproof.plugins.names import named
from gradproof.plugins.reducing import not_empty

GRADPROOF_API = 1

PLACE = np.dtype(np.int64)


def require_order(x: Spec) -> None:
    """Raises InferenceError for complex numbers."""
    if x.dtype.kind == "c":
        raise InferenceError(f"numbers of dtype {x.dtype.name} have no order")


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
        place = f.number(0)
        for k, term in enumerate(rest, 1):
            beaten = better(f, term, best)
            best, place = f.where(beaten, term, best), f.where(beaten, f.number(k), place)
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
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def argsort_define(f, i, x, *, axis, descending):
    """Sorts by comparisons, which must be decided: there is no formula."""
    terms = line(i, x, axis)

    def compare(j, k):
        first, second = (terms[k], terms[j]) if descending else (terms[j], terms[k])
        return -1 if f.less(first, second) else int(f.less(second, first))

    return f.number(sorted(range(len(terms)), key=cmp_to_key(compare))[i[axis]])


def argsort_arrays(f, x, *, axis, descending):
    return f.order(x, axis, descending)


PLACED = (case((3,)), case((2, 3), axis=0), case((2, 3), axis=1, keepdims=True), case((2, 2)), case(()))
SORTED = (case((3,)), case((2, 3), axis=0), case((2, 3), descending=True), case((1, 1)))

# fmt: off
ORDERING = (
    # op         forward  no rule definition      inference    cases
    R("argmax",  argmax,  None,   argmax_define,  place_infer, PLACED,
      arrays=argmax_arrays, doc="the place of the largest, of several the first"),
    R("argmin",  argmin,  None,   argmin_define,  place_infer, PLACED,
      arrays=argmin_arrays, doc="the place of the smallest, of several the first"),
    R("argsort", argsort, None,   argsort_define, sort_infer,  SORTED,
      arrays=argsort_arrays, doc="the places of the elements of each line in order; equal ones stay in theirs"),
)
# fmt: on

register_ops = registering(*named(ORDERING))
