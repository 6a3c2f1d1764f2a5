"""Functional updates: an array with some of its elements replaced. Of several values for an element the last one stays, in
the C order of the indices, and the others have the gradient 0."""

from collections.abc import Sequence

import numpy as np

from gradproof.engine.extend import (
    NO_GRADIENT,
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
from gradproof.plugins.axes import at, broadcasts, whole
from gradproof.plugins.families import H
from gradproof.plugins.gathering import (
    ADDED,
    ADDED_ALONG,
    UPDATED,
    add_along_infer,
    along_shrink,
    from_front,
    index_add_infer,
    taken_shrink,
)
from gradproof.plugins.indexing import slice_infer, slice_shrink
from gradproof.plugins.names import named
from gradproof.plugins.positions import last_of_many

GRADPROOF_API = 1


def copying(into):
    """The forward that writes ``into`` a new array of the first input's shape and dtype."""

    def forward(x, *others, **attributes):
        out = np.empty(x.shape, x.dtype)
        into(out, x, *others, **attributes)
        return out

    return forward


# index_copy: whole slices, at places along an axis


def index_copy_into(out, x, indices, updates, *, axis):
    """Writes the last update of each place only: NumPy promises no order."""
    places = from_front(indices, x.shape[axis], axis).reshape(-1)
    kept = last_of_many(places[None], x.shape[axis])[0]
    rows = updates.reshape(*x.shape[:axis], places.size, *x.shape[axis + 1 :])
    np.copyto(out, x)
    out[(*(slice(None),) * axis, np.compress(kept, places))] = rows if kept.all() else np.compress(kept, rows, axis)


def index_copy_rule(g, y, x, indices, updates, *, axis):
    """g without the places, and g there, for the last update of each."""
    last = ops.last_occurrence(indices, size=x.shape[axis])
    wide = ops.reshape(last, shape=(*indices.shape, *(1,) * (x.ndim - axis - 1)))
    taken = ops.take(g, indices, axis=axis)
    return ops.index_copy(g, indices, zeros_like(updates), axis=axis), NO_GRADIENT, ops.where(wide, taken, 0)


def index_copy_define(f, i, x, indices, updates, *, axis):
    size = x.shape[axis]
    hits = [j for j in np.ndindex(indices.shape) if whole(indices[j]) % size == i[axis]]
    return updates[(*i[:axis], *hits[-1], *i[axis + 1 :])] if hits else x[i]


def index_copy_arrays(f, x, indices, updates, *, axis):
    places = f.places(indices)
    return f.moved(lambda a, b: copying(index_copy_into)(a, places, b, axis=axis), x, updates)


# put_along_axis: single elements, with places of their own for each line along an axis


def put_along_into(out, x, indices, updates, *, axis):
    """Writes the last update of each place only: NumPy promises no order."""
    lines = list(np.ix_(*map(range, indices.shape)))
    lines[axis] = from_front(indices, x.shape[axis], axis)
    places = np.ravel_multi_index(tuple(lines), x.shape).reshape(-1)
    kept, values = last_of_many(places[None], x.size)[0], updates.reshape(-1)
    np.copyto(out, x)
    flat = out.reshape(-1)
    flat[np.compress(kept, places)] = np.compress(kept, values)
    if not np.may_share_memory(flat, out):
        np.copyto(out, flat.reshape(out.shape))


def put_along_rule(g, y, x, indices, updates, *, axis):
    """g without the places, and g there, for the last update of each."""
    last, taken = ops.last_occurrence(indices, size=x.shape[axis], axis=axis), ops.take_along_axis(g, indices, axis=axis)
    return ops.put_along_axis(g, indices, zeros_like(updates), axis=axis), NO_GRADIENT, ops.where(last, taken, 0)


def put_along_define(f, i, x, indices, updates, *, axis):
    size = x.shape[axis]
    hits = [j for k in range(updates.shape[axis]) if whole(indices[j := at(i, axis, k)]) % size == i[axis]]
    return updates[hits[-1]] if hits else x[i]


def put_along_arrays(f, x, indices, updates, *, axis):
    places = f.places(indices)
    return f.moved(lambda a, b: copying(put_along_into)(a, places, b, axis=axis), x, updates)


# slice_scatter


def scatter_infer(x: Spec, values: Spec, *, start: object, stop: object, step: object = None) -> Inferred:
    """A start, a stop and a step for each axis, as of `slice`; ``values`` broadcast to the slice."""
    taken = slice_infer(x, start=start, stop=stop, step=step)
    shape, dtype = taken.outputs[0].shape, promoted((x, values))
    if not broadcasts(values.shape, shape):
        raise InferenceError(f"values have shape {values.shape}; the slice of {x} has shape {shape}")
    return Inferred((Spec(x.shape, dtype),), taken.attributes, (Spec(x.shape, dtype), Spec(shape, dtype)))


def scatter_into(out, x, values, *, start, stop, step):
    np.copyto(out, x)
    out[tuple(map(slice, start, stop, step))] = values[()]


def scatter_rule(g, y, x, values, *, start, stop, step):
    """g without the slice, and the slice of g."""
    cut = {"start": start, "stop": stop, "step": step}
    return ops.slice_scatter(g, zeros_like(values), **cut), ops.slice(g, **cut)


def scatter_define(f, i, x, values, *, start, stop, step):
    places = [divmod(k - a, s) for k, a, s in zip(i, start, step, strict=True)]
    inside = all(rest == 0 and 0 <= k < size for (k, rest), size in zip(places, values.shape, strict=True))
    return values[tuple(k for k, _ in places)] if inside else x[i]


def scatter_arrays(f, x, values, **cut):
    return f.moved(copying(scatter_into), x, values, **cut)


def scatter_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    small = slice_shrink(specs[:1], attributes)
    taken = slice_infer(*small.specs(), **small.attributes).outputs[0]
    return case(*small.inputs, taken.shape, **small.attributes)


WRITTEN = (
    case((3, 4), (2, 2), start=(1, 3), stop=(3, None), step=(1, -2)),
    case((2, 3), (), start=(0, 1), stop=(2, 3)),
    case((), (), start=(), stop=()),
)

# fmt: off
UPDATES = (
    # op                forward                   rule             definition         inference        cases
    H("index_copy",     copying(index_copy_into), index_copy_rule, index_copy_define, index_add_infer, ADDED,
      domains=UPDATED, shrink=taken_shrink, arrays=index_copy_arrays,
      doc="x with updates in place of its parts at indices along an axis, of several the last one"),
    H("put_along_axis", copying(put_along_into),  put_along_rule,  put_along_define,  add_along_infer, ADDED_ALONG,
      domains=UPDATED, shrink=along_shrink, arrays=put_along_arrays,
      doc="x with updates in place of elements at indices along an axis, on each line its own, of several the last one"),
    H("slice_scatter",  copying(scatter_into),    scatter_rule,    scatter_define,    scatter_infer,   WRITTEN,
      shrink=scatter_shrink, arrays=scatter_arrays, doc="x with values in place of a slice"),
)
# fmt: on

MEMORY = {
    "index_copy": Memory(into=index_copy_into),
    "put_along_axis": Memory(into=put_along_into),
    "slice_scatter": Memory(into=scatter_into),
}

register_ops = registering(*named(UPDATES), memory=MEMORY)
