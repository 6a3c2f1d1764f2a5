"""Orders: where the largest is, and how the elements of a line are sorted. Places are integers, and have no gradient; the
elements at them (`take_along_axis`) do."""

from functools import cmp_to_key

import numpy as np

from gradproof.engine.extend import InferenceError, Inferred, Op, Spec, case, hookimpl
from gradproof.plugins.axes import axis_of, line, members, truth

GRADPROOF_API = 1


def place_infer(x, *, axis=None, keepdims=False):
    """``axis`` None: a place in the whole array, in C order."""
    keepdims = truth("keepdims", keepdims)
    _ordered(x)
    axes = range(x.ndim) if axis is None else (axis_of(axis, x.ndim),)
    if any(x.shape[k] == 0 for k in axes):
        raise InferenceError(f"an axis of {x} that is reduced has size 0: there is no largest of nothing")
    shape = tuple(1 if k in axes else s for k, s in enumerate(x.shape) if keepdims or k not in axes)
    return Inferred((Spec(shape, np.dtype(np.int64)),), {"axis": None if axis is None else axes[0], "keepdims": keepdims})


def sort_infer(x, *, axis=-1, descending=False):
    _ordered(x)
    attributes = {"axis": axis_of(axis, x.ndim), "descending": truth("descending", descending)}
    return Inferred((Spec(x.shape, np.dtype(np.int64)),), attributes)


def _ordered(x):
    if x.dtype.kind == "c":
        raise InferenceError(f"numbers of dtype {x.dtype.name} have no order")


def place_define(better):
    """The first element to which none is ``better(f, that, one)``."""

    def define(f, i, x, *, axis, keepdims):
        first, *rest = members(i, x, range(x.ndim) if axis is None else (axis,), keepdims)
        best, place = first, f.number(0)
        for k, one in enumerate(rest, 1):
            beaten = better(f, one, best)
            best, place = f.where(beaten, one, best), f.where(beaten, f.number(k), place)
        return place

    return define


def argsort_forward(x, *, axis, descending):
    """Stable both ways: the largest last of a line read backwards, read backwards, is the largest first."""
    if not descending:
        return np.argsort(x, axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)


def argsort_define(f, i, x, *, axis, descending):
    """By comparisons, which have to be decided: there is no formula."""
    terms = line(i, x, axis)

    def compare(j, k):
        first, second = (terms[k], terms[j]) if descending else (terms[j], terms[k])
        return -1 if f.less(first, second) else int(f.less(second, first))

    return f.number(sorted(range(len(terms)), key=cmp_to_key(compare))[i[axis]])


PLACED = (case((3,)), case((2, 3), axis=0), case((2, 3), axis=1, keepdims=True), case((2, 2)), case(()))
SORTED = (case((3,)), case((2, 3), axis=0), case((2, 3), descending=True), case((1, 1)))


def place_op(name, forward, better, arrays, doc):
    return Op(
        name,
        lambda x, *, axis, keepdims: forward(x, axis, keepdims=keepdims),
        None,
        place_define(better),
        place_infer,
        PLACED,
        arrays=arrays,
        doc=doc,
    )


ORDERING = (
    place_op(
        "argmax",
        np.argmax,
        lambda f, one, best: f.less(best, one),
        lambda f, x, *, axis, keepdims: f.place_of_largest(x, axis, keepdims),
        "the place of the largest, of several the first",
    ),
    place_op(
        "argmin",
        np.argmin,
        lambda f, one, best: f.less(one, best),
        lambda f, x, *, axis, keepdims: f.place_of_smallest(x, axis, keepdims),
        "the place of the smallest, of several the first",
    ),
    Op(
        "argsort",
        argsort_forward,
        None,
        argsort_define,
        sort_infer,
        SORTED,
        arrays=lambda f, x, *, axis, descending: f.order(x, axis, descending),
        doc="the places of the elements of each line in order; equal ones stay in theirs",
    ),
)


@hookimpl
def register_ops(register):
    for op in ORDERING:
        register(op)
