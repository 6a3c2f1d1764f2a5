"""Sorted elements and running extrema: elements at places that `ordering` finds, to which their gradients go."""

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import axis_of, boolean, integer
from gradproof.plugins.names import named

GRADPROOF_API = 1


def sort(x, *, axis=-1, descending=False):
    return ops.take_along_axis(x, ops.argsort(x, axis=axis, descending=descending), axis=axis)


def topk(x, *, k, axis=-1, largest=True):
    places = ops.argtopk(x, k=k, axis=axis, largest=largest)
    return ops.take_along_axis(x, places, axis=axis), places


def kthvalue(x, *, k, axis=-1, keepdims=False):
    size = x.shape[axis_of(axis, x.ndim)]
    if not 1 <= integer("k", k) <= size:
        raise InferenceError(f"k is {k}; it is counted from 1, and axis {axis} of {x.spec} has {size} elements")
    places = ops.argkth(x, rank=k - 1, axis=axis)
    values = ops.take_along_axis(x, places, axis=axis)
    if boolean("keepdims", keepdims):
        return values, places
    return ops.squeeze(values, axis=axis), ops.squeeze(places, axis=axis)


def cummax(x, *, axis):
    places = ops.argcummax(x, axis=axis)
    return ops.take_along_axis(x, places, axis=axis), places


def cummin(x, *, axis):
    places = ops.argcummin(x, axis=axis)
    return ops.take_along_axis(x, places, axis=axis), places


SORTED = (case((3,)), case((2, 3), axis=0), case((2, 3), descending=True))
SELECTED = (case((3,), k=2), case((2, 3), k=1, axis=0))
RUNNING = (case((3,), axis=0), case((2, 3), axis=1), case((3, 2), axis=0))
TO_THE_FIRST = "of equal elements, those that come first in the line are sorted first"
TO_THE_LAST = "of equal extrema the last"

# fmt: off
SORTING = (
    # op                   function  cases
    Composite("sort",      sort,     cases=SORTED,   ties=TO_THE_FIRST, doc="the elements of each line in order"),
    Composite("topk",      topk,     cases=SELECTED, ties=TO_THE_FIRST,
              doc="the k largest or smallest elements of each line in order, and their places"),
    Composite("kthvalue",  kthvalue, cases=SELECTED, ties=TO_THE_FIRST,
              doc="the k-th smallest element of each line, counted from 1, and its place"),
    Composite("cummax",    cummax,   cases=RUNNING,  ties=TO_THE_LAST,
              doc="the largest of all elements up to each along an axis, and their places"),
    Composite("cummin",    cummin,   cases=RUNNING,  ties=TO_THE_LAST,
              doc="the smallest of all elements up to each along an axis, and their places"),
)
# fmt: on

register_ops = registering(*named(SORTING))
