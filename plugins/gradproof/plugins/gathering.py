"""Gathering and scattering: elements at places that an array of integers holds."""

import math
from collections.abc import Sequence

import numpy as np

from gradproof.engine.extend import (
    INTEGER,
    NO_GRADIENT,
    REAL,
    Attributes,
    Case,
    InferenceError,
    Inferred,
    Memory,
    Spec,
    case,
    ops,
    promoted,
    registering,
    zeros_like,
)
from gradproof.plugins.axes import at, axis_of, broadcasts, refuse, smaller, whole
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1


def require_integers(indices: Spec) -> None:
    """Raises InferenceError unless the indices are integers."""
    if indices.dtype.kind not in "iu":
        raise InferenceError(f"indices are {indices.dtype.name}; they must be integers")


def updated(taken: Inferred, x: Spec, indices: Spec, updates: Spec) -> Inferred:
    """The inference of ``x`` with ``updates`` added or put in, from that of the elements ``taken`` at the same indices.

    Raises InferenceError unless the updates have the shape of these elements, or one that broadcasts to it."""
    shape = taken.outputs[0].shape
    if (taken.inputs or (x,))[0].shape != x.shape or not broadcasts(updates.shape, shape):
        raise InferenceError(f"updates have shape {updates.shape}; taking from {x} gives {shape}")
    dtype = promoted((x, updates))
    inputs = (Spec(x.shape, dtype), indices, Spec(shape, dtype))
    return Inferred((Spec(x.shape, dtype),), taken.attributes, inputs)


def from_front(indices, size, axis):
    """Places counted from the front. Raises DataFault where a place is out of bounds."""
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        outside = (indices < -size) | (indices >= size)
        refuse(outside, f"index {{}} is out of bounds for axis {axis} with size {size}", indices)
    places = indices.astype(np.intp)
    return np.where(places < 0, places + size, places)


def gathered(function):
    """``function`` of x, indices and an axis, with a DataFault that names an index out of bounds."""

    def forward(x, indices, *, axis):
        try:
            result = function(x, indices, axis)
        except IndexError:
            from_front(indices, x.shape[axis], axis)
            raise
        if not np.size(result):  # where NumPy does not look at the indices
            from_front(indices, x.shape[axis], axis)
        return result

    return forward


def add_at(out, x, places, updates):
    """``x`` with ``updates`` added one by one, in their order, at flat places, where NumPy is ten times as fast."""
    np.copyto(out, x)
    flat = out.reshape(-1)
    np.add.at(flat, places.reshape(-1), np.ascontiguousarray(updates).reshape(-1))
    if not np.may_share_memory(flat, out):
        np.copyto(out, flat.reshape(out.shape))


def allocating(into):
    """The forward that writes ``into`` a new array of the first input's shape and dtype."""

    def forward(x, *others, axis):
        out = np.empty(x.shape, x.dtype)
        into(out, x, *others, axis=axis)
        return out

    return forward


# take and index_add: whole slices, at places along an axis


def take_infer(x: Spec, indices: Spec, *, axis: object = 0) -> Inferred:
    require_integers(indices)
    k = axis_of(axis, x.ndim)
    return Inferred((Spec((*x.shape[:k], *indices.shape, *x.shape[k + 1 :]), x.dtype),), {"axis": k})


def take_rule(g, y, x, indices, *, axis):
    """Zeros with g added at the indices."""
    return ops.index_add(zeros_like(x), indices, g, axis=axis), NO_GRADIENT


def take_define(f, i, x, indices, *, axis):
    middle = i[axis : axis + indices.ndim]
    return x[(*i[:axis], whole(indices[middle]), *i[axis + indices.ndim :])]


def take_arrays(f, x, indices, *, axis):
    return f.moved(np.take, x, indices=f.places(indices), axis=axis)


def taken_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """The axis becomes 3 at most, with places all over it; the other axes become as small as `smaller` makes them."""
    x, indices, *updates = specs
    axis = attributes["axis"]
    size, rest = min(x.shape[axis], 3), smaller(at(x.shape, axis, 1), 6)
    small = smaller(indices.shape, 4)
    places = np.arange(math.prod(small), dtype=indices.dtype) % max(size, 1)
    return case(
        at(rest, axis, size),
        places.reshape(small),
        *[(*rest[:axis], *small, *rest[axis + 1 :])] * len(updates),
        **attributes,
    )


def index_add_infer(x: Spec, indices: Spec, updates: Spec, *, axis: object = 0) -> Inferred:
    return updated(take_infer(x, indices, axis=axis), x, indices, updates)


def index_add_into(out, x, indices, updates, *, axis):
    before, size, after = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :])
    rows = np.arange(before)[:, None, None] * size + from_front(indices, size, axis).reshape(1, -1, 1)
    add_at(out, x, rows * after + np.arange(after), updates)


def index_add_rule(g, y, x, indices, updates, *, axis):
    return g, NO_GRADIENT, ops.take(g, indices, axis=axis)


def index_add_define(f, i, x, indices, updates, *, axis):
    size = x.shape[axis]
    hits = [j for j in np.ndindex(indices.shape) if whole(indices[j]) % size == i[axis]]
    return f.total([x[i], *(updates[(*i[:axis], *j, *i[axis + 1 :])] for j in hits)])


def index_add_arrays(f, x, indices, updates, *, axis):
    return f.added(x, indices, updates, axis)


# take_along_axis and add_along_axis: single elements, with places of their own for each line along an axis


def along_infer(x: Spec, indices: Spec, *, axis: object = -1) -> Inferred:
    """The axes other than ``axis`` are broadcast."""
    require_integers(indices)
    if x.ndim != indices.ndim:
        raise InferenceError(f"indices have rank {indices.ndim}, and {x} has rank {x.ndim}: they must be equal")
    axis = axis_of(axis, x.ndim)
    try:
        lines = np.broadcast_shapes(at(x.shape, axis, 1), at(indices.shape, axis, 1))
    except ValueError:
        text = f"indices of shape {indices.shape} do not broadcast with {x.shape} beside axis {axis}"
        raise InferenceError(text) from None
    whole, taken = at(lines, axis, x.shape[axis]), at(lines, axis, indices.shape[axis])
    return Inferred((Spec(taken, x.dtype),), {"axis": axis}, (Spec(whole, x.dtype), Spec(taken, indices.dtype)))


def along_rule(g, y, x, indices, *, axis):
    """Zeros with g added at the indices."""
    return ops.add_along_axis(zeros_like(x), indices, g, axis=axis), NO_GRADIENT


def along_define(f, i, x, indices, *, axis):
    return x[at(i, axis, whole(indices[i]))]


def along_arrays(f, x, indices, *, axis):
    return f.moved(np.take_along_axis, x, indices=f.places(indices), axis=axis)


def along_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """As `taken_shrink`, with places of their own for each line."""
    x, indices, *updates = specs
    axis = attributes["axis"]
    size, rest = min(x.shape[axis], 3), smaller(at(x.shape, axis, 1), 4)
    small = at(rest, axis, min(indices.shape[axis], 4 if indices.shape[axis] > x.shape[axis] else 2))
    places = np.arange(math.prod(small), dtype=indices.dtype) % max(size, 1)
    return case(at(rest, axis, size), places.reshape(small), *[small] * len(updates), **attributes)


def add_along_infer(x: Spec, indices: Spec, updates: Spec, *, axis: object = -1) -> Inferred:
    taken = along_infer(x, indices, axis=axis)
    assert taken.inputs is not None
    return updated(taken, x, taken.inputs[1], updates)


def add_along_into(out, x, indices, updates, *, axis):
    places = list(np.ix_(*map(range, indices.shape)))
    places[axis] = from_front(indices, x.shape[axis], axis)
    add_at(out, x, np.ravel_multi_index(tuple(places), x.shape), updates)


def add_along_rule(g, y, x, indices, updates, *, axis):
    return g, NO_GRADIENT, ops.take_along_axis(g, indices, axis=axis)


def add_along_define(f, i, x, indices, updates, *, axis):
    size = x.shape[axis]
    line = [at(i, axis, k) for k in range(updates.shape[axis])]
    return f.total([x[i], *(updates[j] for j in line if whole(indices[j]) % size == i[axis])])


def add_along_arrays(f, x, indices, updates, *, axis):
    """Adds in the flattened array, where each element has a number."""
    numbers = np.arange(x.size).reshape(x.shape)
    places = np.take_along_axis(numbers, f.places(indices) % max(x.shape[axis], 1), axis)
    added = f.added(f.moved(np.ravel, x), np.ravel(places), f.moved(np.ravel, updates), 0)
    return f.moved(np.reshape, added, shape=x.shape)


INDICES = np.array([2, 0, 2])
GRID = np.array([[1, 0, 1], [0, 0, -1]])
TAKEN = (
    case((3,), INDICES),
    case((2, 3), INDICES, axis=1),
    case((3, 2), np.array([[0, 1], [1, 1]])),
    case((3,), np.array(-1)),
)
ADDED = (case((3,), INDICES, (3,)), case((2, 3), INDICES, (2, 3), axis=1))
TAKEN_ALONG = (case((3,), INDICES), case((2, 2), GRID), case((2, 3), GRID[:1], axis=0), case((1, 2), GRID))
ADDED_ALONG = (case((3,), INDICES, (3,)), case((2, 2), GRID, (2, 3)), case((2, 3), GRID[:1], (1, 3), axis=0))
INDEXED = (REAL, INTEGER)
UPDATED = (REAL, INTEGER, REAL)

# fmt: off
GATHERING = (
    # op                 forward                       rule            definition        inference        cases
    H("take",            gathered(np.take),            take_rule,      take_define,      take_infer,      TAKEN,
      domains=INDEXED, shrink=taken_shrink, arrays=take_arrays, doc="elements at indices along an axis"),
    H("index_add",       allocating(index_add_into),   index_add_rule, index_add_define, index_add_infer, ADDED,
      domains=UPDATED, shrink=taken_shrink, arrays=index_add_arrays, doc="x with updates added at indices along an axis"),
    H("take_along_axis", gathered(np.take_along_axis), along_rule,     along_define,     along_infer,     TAKEN_ALONG,
      domains=INDEXED, shrink=along_shrink, arrays=along_arrays,
      doc="elements at indices along an axis, of each line its own"),
    H("add_along_axis",  allocating(add_along_into),   add_along_rule, add_along_define, add_along_infer, ADDED_ALONG,
      domains=UPDATED, shrink=along_shrink, arrays=add_along_arrays,
      doc="x with updates added at indices along an axis, on each line its own"),
)
# fmt: on

MEMORY = {"index_add": Memory(into=index_add_into), "add_along_axis": Memory(into=add_along_into)}

register_ops = registering(*named(GATHERING), memory=MEMORY)
