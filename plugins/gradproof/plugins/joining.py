"""Ops that join arrays, and `split`, which takes an array apart."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from gradproof.engine.extend import Attributes, Case, InferenceError, Inferred, Memory, Spec, case, ops, registering
from gradproof.plugins.axes import ROOM, at, axis_of, integer, integers, smaller
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1

MAX_SECTIONS = 16
"""The number of results that `split` has a definition for."""

# concat


def concat_infer(*arrays: Spec, axis: object = 0) -> Inferred:
    axis = axis_of(axis, arrays[0].ndim)
    if any(a.ndim != arrays[0].ndim or at(a.shape, axis, 0) != at(arrays[0].shape, axis, 0) for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ off axis {axis}")
    dtype = np.result_type(*(a.dtype for a in arrays))
    out = Spec(at(arrays[0].shape, axis, sum(a.shape[axis] for a in arrays)), dtype)
    return Inferred((out,), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def concat(*arrays, axis):
    return np.concatenate(arrays, axis)


def concat_rule(g, y, *arrays, axis):
    """The slices of g that the arrays fill."""
    parts, start = [], 0
    for array in arrays:
        stop = start + array.shape[axis]
        parts.append(ops.slice(g, start=at((0,) * g.ndim, axis, start), stop=at(g.shape, axis, stop)))
        start = stop
    return tuple(parts)


def concat_define(f, i, *arrays, axis):
    k = i[axis]
    for array in arrays:
        if k < array.shape[axis]:
            return array[at(i, axis, k)]
        k -= array.shape[axis]


def concat_arrays(f, *arrays, axis):
    return f.moved(lambda *parts: np.concatenate(parts, axis), *arrays)


def concat_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """Lengths along the axis become 2 or 3, or 1 where there are many arrays."""
    axis, room = attributes["axis"], max(ROOM // len(specs), 1)
    lengths = tuple(x.shape[axis] for x in specs)
    small = smaller(sorted(set(lengths)), ROOM if room > 3 else 1)
    length = dict(zip(sorted(set(lengths)), small, strict=True))
    longest = max(small)
    rest = smaller(at(specs[0].shape, axis, 1), max(room // max(longest, 1), 1))
    return case(*(at(rest, axis, length[size]) for size in lengths), axis=axis)


# stack


def stack_infer(*arrays: Spec, axis: object = 0) -> Inferred:
    if any(a.shape != arrays[0].shape for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ")
    axis = axis_of(axis, arrays[0].ndim + 1)
    dtype = np.result_type(*(a.dtype for a in arrays))
    shape = (*arrays[0].shape[:axis], len(arrays), *arrays[0].shape[axis:])
    return Inferred((Spec(shape, dtype),), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def stack(*arrays, axis):
    return np.stack(arrays, axis)


def stack_rule(g, y, *arrays, axis):
    """The slices of g along the new axis."""
    origin = (0,) * g.ndim
    slices = (ops.slice(g, start=at(origin, axis, k), stop=at(g.shape, axis, k + 1)) for k in range(len(arrays)))
    return tuple(ops.squeeze(part, axis=axis) for part in slices)


def stack_define(f, i, *arrays, axis):
    return arrays[i[axis]][(*i[:axis], *i[axis + 1 :])]


def stack_arrays(f, *arrays, axis):
    return f.moved(lambda *parts: np.stack(parts, axis), *arrays)


def stack_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    return case(*[smaller(specs[0].shape, max(ROOM // len(specs), 1))] * len(specs), **attributes)


# split


def split_infer(x: Spec, *, sections: object, axis: object = 0) -> Inferred:
    axis = axis_of(axis, x.ndim)
    parts = sections if isinstance(sections, (tuple, list)) else integer("sections", sections)
    if (parts if isinstance(parts, int) else len(parts)) > MAX_SECTIONS:
        raise InferenceError(f"splits into at most {MAX_SECTIONS} sections")
    sizes = integers("sections", (x.shape[axis] // max(parts, 1),) * parts if isinstance(parts, int) else parts)
    if sum(sizes) != x.shape[axis] or min(sizes, default=-1) < 0:
        raise InferenceError(f"sections {sizes} do not add up to the {x.shape[axis]} of axis {axis}")
    outs = tuple(Spec(at(x.shape, axis, size), x.dtype) for size in sizes)
    return Inferred(outs, {"sections": sizes, "axis": axis})


def split_forward(x, *, sections, axis):
    parts = tuple(np.split(x, np.cumsum(sections)[:-1], axis))
    return parts if len(parts) > 1 else parts[0]


def split_rule(g, y, x, *, sections, axis):
    """The cotangents of the sections, joined."""
    return ops.concat(*(g if isinstance(g, tuple) else (g,)), axis=axis)


def split_define(part):
    """The definition of result number ``part``."""
    return lambda f, i, x, *, sections, axis: x[at(i, axis, sum(sections[:part]) + i[axis])]


def split_arrays(f, x, *, sections, axis):
    ends = np.cumsum((0, *sections))
    cuts = [(slice(None),) * axis + (slice(a, b),) for a, b in pairwise(ends)]
    return tuple(f.moved(lambda a, cut=cut: a[cut], x) for cut in cuts)


def split_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    sections, axis = tuple(min(size, 2) for size in attributes["sections"]), attributes["axis"]
    rest = smaller(at(specs[0].shape, axis, 1), max(ROOM // max(sum(sections), 1), 1))
    return case(at(rest, axis, sum(sections)), sections=sections, axis=axis)


JOINED = (case((2,), (3,)), case((2, 1), (2, 2), axis=1), case((2, 2), (2, 2), (2, 2)))
STACKED = (case((), ()), case((2, 3), (2, 3), axis=1), case((2,), (2,), (2,), axis=-1))
CUT = (case((5,), sections=(2, 3)), case((2, 4), sections=2, axis=1))
PARTS = tuple(split_define(part) for part in range(MAX_SECTIONS))

# fmt: off
JOINING = (
    # op        forward        rule         definition     inference     cases
    H("concat", concat,        concat_rule, concat_define, concat_infer, JOINED,
      shrink=concat_shrink, arrays=concat_arrays, doc="arrays joined along an axis"),
    H("stack",  stack,         stack_rule,  stack_define,  stack_infer,  STACKED,
      shrink=stack_shrink, arrays=stack_arrays, doc="arrays joined along a new axis"),
    H("split",  split_forward, split_rule,  PARTS,         split_infer,  CUT,
      shrink=split_shrink, arrays=split_arrays, doc="cut into sections along an axis (at most 16)"),
)
# fmt: on

MEMORY = {
    "concat": Memory(into=lambda out, *arrays, axis: np.concatenate(arrays, axis, out)),
    "stack": Memory(into=lambda out, *arrays, axis: np.stack(arrays, axis, out)),
}

register_ops = registering(*named(JOINING), memory=MEMORY)
