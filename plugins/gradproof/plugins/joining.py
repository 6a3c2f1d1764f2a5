"""Ops that join arrays, and the one that takes them apart."""

from itertools import pairwise

import numpy as np

from gradproof.engine.extend import HOLOMORPHIC, InferenceError, Inferred, Op, Spec, case, hookimpl, ops
from gradproof.plugins.axes import ROOM, at, axis_of, smaller, whole, wholes

GRADPROOF_API = 1


def concat_infer(*arrays, axis=0):
    axis = axis_of(axis, arrays[0].ndim)
    if any(a.ndim != arrays[0].ndim or at(a.shape, axis, 0) != at(arrays[0].shape, axis, 0) for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ off axis {axis}")
    dtype = np.result_type(*(a.dtype for a in arrays))
    out = Spec(at(arrays[0].shape, axis, sum(a.shape[axis] for a in arrays)), dtype)
    return Inferred((out,), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def concat_shrink(specs, attributes):
    """Along the axis all lengths are 2 or 3, or 1 where they are many."""
    axis, room = attributes["axis"], max(ROOM // len(specs), 1)
    lengths = tuple(x.shape[axis] for x in specs)
    small = smaller(tuple(sorted(set(lengths))), ROOM if room > 3 else 1)
    length = dict(zip(sorted(set(lengths)), small, strict=True))
    longest = max(small)
    rest = smaller(at(specs[0].shape, axis, 1), max(room // max(longest, 1), 1))
    return case(*(at(rest, axis, length[size]) for size in lengths), axis=axis)


def stack_shrink(specs, attributes):
    return case(*[smaller(specs[0].shape, max(ROOM // len(specs), 1))] * len(specs), **attributes)


def concat_rule(g, y, *arrays, axis):
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


def stack_infer(*arrays, axis=0):
    if any(a.shape != arrays[0].shape for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ")
    axis = axis_of(axis, arrays[0].ndim + 1)
    dtype = np.result_type(*(a.dtype for a in arrays))
    shape = (*arrays[0].shape[:axis], len(arrays), *arrays[0].shape[axis:])
    return Inferred((Spec(shape, dtype),), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def stack_rule(g, y, *arrays, axis):
    whole = (0,) * g.ndim
    slices = (ops.slice(g, start=at(whole, axis, k), stop=at(g.shape, axis, k + 1)) for k in range(len(arrays)))
    return tuple(ops.squeeze(part, axis=axis) for part in slices)


def split_infer(x, *, sections, axis=0):
    axis = axis_of(axis, x.ndim)
    sections = sections if isinstance(sections, (tuple, list)) else whole("sections", sections)
    if (len(sections) if isinstance(sections, (tuple, list)) else sections) > 16:
        raise InferenceError("splits into at most 16 sections")
    if isinstance(sections, int):
        sections = (x.shape[axis] // max(sections, 1),) * sections
    sections = wholes("sections", sections)
    if sum(sections) != x.shape[axis] or min(sections, default=-1) < 0:
        raise InferenceError(f"sections {sections} do not add up to the {x.shape[axis]} of axis {axis}")
    outs = tuple(Spec(at(x.shape, axis, size), x.dtype) for size in sections)
    return Inferred(outs, {"sections": sections, "axis": axis})


def split_shrink(specs, attributes):
    sections, axis = tuple(min(size, 2) for size in attributes["sections"]), attributes["axis"]
    rest = smaller(at(specs[0].shape, axis, 1), max(ROOM // max(sum(sections), 1), 1))
    return case(at(rest, axis, sum(sections)), sections=sections, axis=axis)


def split_forward(x, *, sections, axis):
    parts = tuple(np.split(x, np.cumsum(sections)[:-1], axis))
    return parts if len(parts) > 1 else parts[0]


def split_define(part):
    return lambda f, i, x, *, sections, axis: x[at(i, axis, sum(sections[:part]) + i[axis])]


def split_arrays(f, x, *, sections, axis):
    ends = np.cumsum((0, *sections))
    cuts = [(slice(None),) * axis + (slice(a, b),) for a, b in pairwise(ends)]
    return tuple(f.moved(lambda a, cut=cut: a[cut], x) for cut in cuts)


JOINING = (
    Op(
        "concat",
        lambda *arrays, axis: np.concatenate(arrays, axis),
        concat_rule,
        concat_define,
        concat_infer,
        (case((2,), (3,)), case((2, 1), (2, 2), axis=1), case((2, 2), (2, 2), (2, 2))),
        shrink=concat_shrink,
        grad_fn="CatBackward0",
        complex=HOLOMORPHIC,
        into=lambda out, *arrays, axis: np.concatenate(arrays, axis, out),
        arrays=lambda f, *arrays, axis: f.moved(lambda *parts: np.concatenate(parts, axis), *arrays),
        doc="arrays joined along an axis",
    ),
    Op(
        "stack",
        lambda *arrays, axis: np.stack(arrays, axis),
        stack_rule,
        lambda f, i, *arrays, axis: arrays[i[axis]][(*i[:axis], *i[axis + 1 :])],
        stack_infer,
        (case((), ()), case((2, 3), (2, 3), axis=1), case((2,), (2,), (2,), axis=-1)),
        shrink=stack_shrink,
        complex=HOLOMORPHIC,
        into=lambda out, *arrays, axis: np.stack(arrays, axis, out),
        arrays=lambda f, *arrays, axis: f.moved(lambda *parts: np.stack(parts, axis), *arrays),
        doc="arrays joined along a new axis",
    ),
    Op(
        "split",
        split_forward,
        lambda g, y, x, *, sections, axis: ops.concat(*(g if isinstance(g, tuple) else (g,)), axis=axis),
        tuple(split_define(k) for k in range(16)),
        split_infer,
        (case((5,), sections=(2, 3)), case((2, 4), sections=2, axis=1)),
        shrink=split_shrink,
        complex=HOLOMORPHIC,
        arrays=split_arrays,
        doc="cut into sections along an axis (at most 16)",
    ),
)


@hookimpl
def register_ops(register):
    for op in JOINING:
        register(op)
