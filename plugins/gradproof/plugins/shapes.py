"""Ops that move elements about. Their definitions say, for each element of the result, which element it is."""

import math

import numpy as np

from gradproof.engine.extend import (
    INTEGER,
    NO_GRADIENT,
    REAL,
    InferenceError,
    Inferred,
    Op,
    Spec,
    case,
    hookimpl,
    ops,
    zeros_like,
)

GRADPROOF_API = 1


def axis_of(axis, ndim):
    """A canonical axis: 0 <= axis < ndim."""
    if not -ndim <= axis < ndim:
        raise InferenceError(f"axis {axis} is out of range for rank {ndim}")
    return int(axis) % ndim


def axes_of(axis, ndim):
    """Canonical axes, sorted and each once; None means all."""
    if axis is None:
        return tuple(range(ndim))
    found = [axis_of(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(found)) != len(found):
        raise InferenceError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def at(index, axis, k):
    """``index`` with position ``axis`` replaced by ``k``."""
    return (*index[:axis], k, *index[axis + 1 :])


# reshape and its kin


def reshape_infer(x, *, shape):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    known = math.prod(s for s in shape if s != -1)
    if shape.count(-1) == 1 and known and x.size % known == 0:
        shape = tuple(x.size // known if s == -1 else s for s in shape)
    if min(shape, default=0) < 0 or math.prod(shape) != x.size:
        raise InferenceError(f"cannot reshape {x} into {shape}")
    return Inferred((Spec(shape, x.dtype),), {"shape": shape})


def reshape_shrink(specs, attributes):
    rank, new = specs[0].ndim, len(attributes["shape"])
    small = {0: (), 1: (6,)} if rank and new else {0: (), 1: (1,)}
    source = small.get(rank, (2, 3, *(1,) * (rank - 2)) if new else (1,) * rank)
    target = small.get(new, (3, 2, *(1,) * (new - 2)) if rank else (1,) * new)
    return case(source, shape=target)


def broadcast_infer(x, *, shape):
    shape = tuple(shape)
    if len(shape) < x.ndim or any(a not in (1, b) for a, b in zip(x.shape[::-1], shape[::-1], strict=False)):
        raise InferenceError(f"cannot broadcast {x} to {shape}")
    return Inferred((Spec(shape, x.dtype),), {"shape": shape})


def broadcast_rule(g, y, x, *, shape):
    """The sum over every axis along which one element was read many times."""
    extra = len(shape) - x.ndim
    stretched = [extra + k for k in range(x.ndim) if x.shape[k] == 1 and shape[extra + k] != 1]
    added = ops.sum(g, axis=(*range(extra), *stretched), keepdims=True)
    return added if extra == 0 else ops.reshape(added, shape=x.shape)


def broadcast_define(f, i, x, *, shape):
    tail = i[len(i) - x.ndim :]
    return x[tuple(0 if size == 1 else k for k, size in zip(tail, x.shape, strict=True))]


def expand_infer(x, *, axis):
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = axes_of(axis, x.ndim + count)
    sizes = iter(x.shape)
    shape = tuple(1 if k in axes else next(sizes) for k in range(x.ndim + count))
    return Inferred((Spec(shape, x.dtype),), {"axis": axes})


def squeeze_infer(x, *, axis=None):
    axes = tuple(k for k, s in enumerate(x.shape) if s == 1) if axis is None else axes_of(axis, x.ndim)
    if any(x.shape[k] != 1 for k in axes):
        raise InferenceError(f"cannot squeeze axis {axes} of {x}: its size is not 1")
    return Inferred((Spec(tuple(s for k, s in enumerate(x.shape) if k not in axes), x.dtype),), {"axis": axes})


def transpose_infer(x, *, axes=None):
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis_of(a, x.ndim) for a in axes)
    if sorted(order) != list(range(x.ndim)):
        raise InferenceError(f"axes {axes} is not a permutation of the {x.ndim} axes")
    return Inferred((Spec(tuple(x.shape[a] for a in order), x.dtype),), {"axes": order})


def matrix_transpose_infer(x):
    if x.ndim < 2:
        raise InferenceError(f"needs rank 2 or more, got {x}")
    return Inferred((Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype),))


def flip_infer(x, *, axis=None):
    return Inferred((x,), {"axis": axes_of(axis, x.ndim)})


def flip_define(f, i, x, *, axis):
    return x[tuple(size - 1 - k if a in axis else k for a, (k, size) in enumerate(zip(i, x.shape, strict=True)))]


def astype_infer(x, *, dtype):
    try:
        target = np.dtype(dtype)
    except TypeError as error:
        raise InferenceError(f"there is no dtype {dtype!r}") from error
    if target.kind not in "biufcV" or (target.kind == "V" and target.name != "bfloat16"):
        raise InferenceError(f"dtype {dtype!r} is not a number")
    return Inferred((Spec(x.shape, target),), {"dtype": target.name})


# joining and splitting


def concat_infer(*arrays, axis=0):
    axis = axis_of(axis, arrays[0].ndim)
    if any(a.ndim != arrays[0].ndim or at(a.shape, axis, 0) != at(arrays[0].shape, axis, 0) for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ off axis {axis}")
    dtype = np.result_type(*(a.dtype for a in arrays))
    out = Spec(at(arrays[0].shape, axis, sum(a.shape[axis] for a in arrays)), dtype)
    return Inferred((out,), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


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
    if (len(sections) if isinstance(sections, (tuple, list)) else sections) > 16:
        raise InferenceError("splits into at most 16 sections")
    sections = tuple(sections) if isinstance(sections, (tuple, list)) else (x.shape[axis] // max(sections, 1),) * sections
    if sum(sections) != x.shape[axis] or min(sections, default=-1) < 0:
        raise InferenceError(f"sections {sections} do not add up to the {x.shape[axis]} of axis {axis}")
    outs = tuple(Spec(at(x.shape, axis, size), x.dtype) for size in sections)
    return Inferred(outs, {"sections": sections, "axis": axis})


def split_forward(x, *, sections, axis):
    parts = tuple(np.split(x, np.cumsum(sections)[:-1], axis))
    return parts if len(parts) > 1 else parts[0]


def split_define(part):
    return lambda f, i, x, *, sections, axis: x[at(i, axis, sum(sections[:part]) + i[axis])]


# slices


def slice_infer(x, *, start, stop, step=None):
    """One start, stop and step per axis, as NumPy takes them (None for the default). Canonical: in range, and stop None
    where a negative step runs to the front."""
    step = (1,) * x.ndim if step is None else tuple(1 if s is None else s for s in step)
    if not len(start) == len(stop) == len(step) == x.ndim:
        raise InferenceError(f"start, stop and step need one entry for each of the {x.ndim} axes")
    if 0 in step:
        raise InferenceError("a step is 0")
    found = [slice(*three).indices(size) for three, size in zip(zip(start, stop, step, strict=True), x.shape, strict=True)]
    attributes = {
        "start": tuple(a for a, _, _ in found),
        "stop": tuple(None if s < 0 and b < 0 else b for _, b, s in found),
        "step": step,
    }
    return Inferred((Spec(tuple(len(range(*three)) for three in found), x.dtype),), attributes)


def slice_forward(x, *, start, stop, step):
    return x[tuple(map(slice, start, stop, step))]


def slice_shrink(specs, attributes):
    """Per axis: whole, cut at both ends, a stride, backwards, or backwards with a stride."""
    axes: list[tuple[int, int, int | None, int]] = []
    for size, a, b, s in zip(specs[0].shape, attributes["start"], attributes["stop"], attributes["step"], strict=True):
        if s == 1:
            axes.append((2, 0, 2, 1) if (a, b) == (0, size) else (3, 1, 2, 1))
        else:
            axes.append((3, 0, 3, 2) if s > 1 else (3, 2, None, -1 if s == -1 else -2))
    sizes, start, stop, step = zip(*axes, strict=True) if axes else ((), (), (), ())
    return case(sizes, start=start, stop=stop, step=step)


def unslice_infer(x, *, shape, start, step):
    return Inferred((Spec(tuple(shape), x.dtype),), {"shape": tuple(shape), "start": tuple(start), "step": tuple(step)})


def unslice_forward(x, *, shape, start, step):
    out = np.zeros(shape, x.dtype)
    out[tuple(_places(x, start, step))] = x
    return out


def _places(x, start, step):
    """The slices of the whole that ``x`` fills."""
    for size, a, s in zip(x.shape, start, step, strict=True):
        end = a + size * s
        yield slice(a, None if end < 0 else end, s)


def unslice_define(f, i, x, *, shape, start, step):
    found = [divmod(k - a, s) for k, a, s in zip(i, start, step, strict=True)]
    inside = all(rest == 0 and 0 <= k < size for (k, rest), size in zip(found, x.shape, strict=True))
    return x[tuple(k for k, _ in found)] if inside else f.number(0)


def unslice_shrink(specs, attributes):
    steps = tuple(1 if s == 1 else 2 if s > 1 else -1 if s == -1 else -2 for s in attributes["step"])
    return case((2,) * specs[0].ndim, shape=(4,) * len(steps), start=tuple(1 if s > 0 else 3 for s in steps), step=steps)


def unslice_rule(g, y, x, *, shape, start, step):
    places = list(zip(x.shape, start, step, strict=True))
    stop = tuple(None if a + n * s < 0 else a + n * s for n, a, s in places)
    return ops.slice(g, start=start, stop=stop, step=step)


def slice_rule(g, y, x, *, start, stop, step):
    return ops.unslice(g, shape=x.shape, start=start, step=step)


def pad_infer(x, *, widths):
    widths = tuple((int(a), int(b)) for a, b in widths)
    if len(widths) != x.ndim or any(min(pair) < 0 for pair in widths):
        raise InferenceError(f"widths needs a (before, after) pair >= 0 for each of the {x.ndim} axes")
    return Inferred(
        (Spec(tuple(s + a + b for s, (a, b) in zip(x.shape, widths, strict=True)), x.dtype),), {"widths": widths}
    )


def pad_rule(g, y, x, *, widths):
    return ops.slice(
        g, start=tuple(a for a, _ in widths), stop=tuple(a + s for s, (a, _) in zip(x.shape, widths, strict=True))
    )


def pad_define(f, i, x, *, widths):
    k = tuple(j - a for j, (a, _) in zip(i, widths, strict=True))
    return x[k] if all(0 <= j < size for j, size in zip(k, x.shape, strict=True)) else f.number(0)


def pad_shrink(specs, attributes):
    return case((2,) * specs[0].ndim, widths=tuple((min(a, 1), min(b, 2)) for a, b in attributes["widths"]))


# gathering and scattering


def take_infer(x, indices, *, axis=0):
    if indices.dtype.kind not in "iu":
        raise InferenceError(f"indices are {indices.dtype.name}; they must be integers")
    axis = axis_of(axis, x.ndim)
    return Inferred((Spec((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype),), {"axis": axis})


def take_rule(g, y, x, indices, *, axis):
    return ops.scatter_add(zeros_like(x), indices, g, axis=axis), NO_GRADIENT


def take_define(f, i, x, indices, *, axis):
    middle = i[axis : axis + indices.ndim]
    return x[(*i[:axis], int(indices[middle]), *i[axis + indices.ndim :])]


def scatter_infer(x, indices, updates, *, axis=0):
    taken = take_infer(x, indices, axis=axis)
    if updates.shape != taken.outputs[0].shape:
        raise InferenceError(f"updates have shape {updates.shape}; taking from {x} gives {taken.outputs[0].shape}")
    dtype = np.result_type(x.dtype, updates.dtype)
    inputs = (Spec(x.shape, dtype), indices, Spec(updates.shape, dtype))
    return Inferred((Spec(x.shape, dtype),), taken.attributes, inputs)


def scatter_forward(x, indices, updates, *, axis):
    out = np.array(x)
    np.add.at(out, (*(slice(None),) * axis, indices), updates)
    return out


def scatter_define(f, i, x, indices, updates, *, axis):
    size = x.shape[axis]
    hits = [j for j in np.ndindex(indices.shape) if int(indices[j]) % size == i[axis]]
    return f.total([x[i], *(updates[(*i[:axis], *j, *i[axis + 1 :])] for j in hits)])


INDICES = np.array([2, 0, 2])
CUT = {"start": (1, 2), "stop": (3, None), "step": (1, -2)}

SHAPES = (
    Op(
        "reshape",
        lambda x, *, shape: np.reshape(x, shape),
        lambda g, y, x, *, shape: ops.reshape(g, shape=x.shape),
        lambda f, i, x, *, shape: x.flat[int(np.ravel_multi_index(i, shape)) if i else 0],
        reshape_infer,
        (case((2, 3), shape=(3, 2)), case((6,), shape=(2, 3)), case((1, 1), shape=()), case((), shape=(1,))),
        shrink=reshape_shrink,
        grad_fn="ViewBackward0",
        doc="the same elements in C order, in another shape",
    ),
    Op(
        "broadcast_to",
        lambda x, *, shape: np.broadcast_to(x, shape),
        broadcast_rule,
        broadcast_define,
        broadcast_infer,
        (
            case((3,), shape=(2, 3)),
            case((2, 1), shape=(2, 3)),
            case((), shape=(2,)),
            case((1, 3), shape=(2, 2, 3)),
            case((2, 3), shape=(2, 3)),
        ),
        grad_fn="ExpandBackward0",
        doc="x repeated to a larger shape",
    ),
    Op(
        "expand_dims",
        lambda x, *, axis: np.expand_dims(x, axis),
        lambda g, y, x, *, axis: ops.squeeze(g, axis=axis),
        lambda f, i, x, *, axis: x[tuple(k for a, k in enumerate(i) if a not in axis)],
        expand_infer,
        (case((2, 3), axis=1), case((), axis=0), case((2,), axis=(0, 2))),
        grad_fn="UnsqueezeBackward0",
        doc="axes of size 1 put in",
    ),
    Op(
        "squeeze",
        lambda x, *, axis: np.squeeze(x, axis),
        lambda g, y, x, *, axis: ops.expand_dims(g, axis=axis),
        lambda f, i, x, *, axis: x[tuple(0 if a in axis else i[a - sum(b < a for b in axis)] for a in range(x.ndim))],
        squeeze_infer,
        (case((2, 1, 3), axis=1), case((1,), axis=0), case((1, 2, 1))),
        doc="axes of size 1 taken out",
    ),
    Op(
        "transpose",
        lambda x, *, axes: np.transpose(x, axes),
        lambda g, y, x, *, axes: ops.transpose(g, axes=tuple(axes.index(k) for k in range(x.ndim))),
        lambda f, i, x, *, axes: x[tuple(i[axes.index(k)] for k in range(x.ndim))],
        transpose_infer,
        (case((2, 3)), case((2, 2)), case((2, 3, 1), axes=(1, 2, 0)), case(())),
        grad_fn="PermuteBackward0",
        doc="axes permuted",
    ),
    Op(
        "matrix_transpose",
        lambda x: np.swapaxes(x, -1, -2),
        lambda g, y, x: ops.matrix_transpose(g),
        lambda f, i, x: x[(*i[:-2], i[-1], i[-2])],
        matrix_transpose_infer,
        (case((2, 3)), case((2, 2)), case((2, 1, 3))),
        grad_fn="TransposeBackward0",
        doc="the last two axes swapped",
    ),
    Op(
        "flip",
        lambda x, *, axis: np.flip(x, axis),
        lambda g, y, x, *, axis: ops.flip(g, axis=axis),
        flip_define,
        flip_infer,
        (case((2, 3)), case((3, 2), axis=0), case((2, 2), axis=1)),
        doc="the order reversed along axes",
    ),
    Op(
        "astype",
        lambda x, *, dtype: np.asarray(x).astype(dtype),
        lambda g, y, x, *, dtype: ops.astype(g, dtype=x.dtype.name),
        lambda f, i, x, *, dtype: f.as_number(x[i]),
        astype_infer,
        (case((2,), dtype="float64"), case((), dtype="float32")),
        grad_fn="ToCopyBackward0",
        doc="another dtype",
    ),
    Op(
        "concat",
        lambda *arrays, axis: np.concatenate(arrays, axis),
        concat_rule,
        concat_define,
        concat_infer,
        (case((2,), (3,)), case((2, 1), (2, 2), axis=1), case((2, 2), (2, 2), (2, 2))),
        grad_fn="CatBackward0",
        doc="arrays joined along an axis",
    ),
    Op(
        "stack",
        lambda *arrays, axis: np.stack(arrays, axis),
        stack_rule,
        lambda f, i, *arrays, axis: arrays[i[axis]][(*i[:axis], *i[axis + 1 :])],
        stack_infer,
        (case((), ()), case((2, 3), (2, 3), axis=1), case((2,), (2,), (2,), axis=-1)),
        doc="arrays joined along a new axis",
    ),
    Op(
        "split",
        split_forward,
        lambda g, y, x, *, sections, axis: ops.concat(*(g if isinstance(g, tuple) else (g,)), axis=axis),
        tuple(split_define(k) for k in range(16)),
        split_infer,
        (case((5,), sections=(2, 3)), case((2, 4), sections=2, axis=1)),
        doc="cut into sections along an axis (at most 16)",
    ),
    Op(
        "slice",
        slice_forward,
        slice_rule,
        lambda f, i, x, *, start, stop, step: x[tuple(a + k * s for k, a, s in zip(i, start, step, strict=True))],
        slice_infer,
        (
            case((3, 3), **CUT),
            case((4,), start=(0,), stop=(4,), step=(2,)),
            case((2, 3), start=(0, 1), stop=(2, 3)),
            case((), start=(), stop=()),
        ),
        shrink=slice_shrink,
        doc="x[start:stop:step] on each axis",
    ),
    Op(
        "unslice",
        unslice_forward,
        unslice_rule,
        unslice_define,
        unslice_infer,
        (case((2,), shape=(5,), start=(1,), step=(2,)), case((2, 2), shape=(3, 4), start=(0, 3), step=(1, -1))),
        shrink=unslice_shrink,
        doc="zeros, with x at a slice: what slice is undone by",
    ),
    Op(
        "pad",
        lambda x, *, widths: np.pad(x, widths) if widths else x,
        pad_rule,
        pad_define,
        pad_infer,
        (case((2,), widths=((1, 2),)), case((2, 2), widths=((0, 1), (2, 0))), case((), widths=())),
        shrink=pad_shrink,
        grad_fn="ConstantPadNdBackward0",
        doc="zeros put around x",
    ),
    Op(
        "take",
        lambda x, indices, *, axis: np.take(x, indices, axis),
        take_rule,
        take_define,
        take_infer,
        (
            case((3,), INDICES),
            case((2, 3), INDICES, axis=1),
            case((3, 2), np.array([[0, 1], [1, 1]])),
            case((3,), np.array(-1)),
        ),
        domains=(REAL, INTEGER),
        grad_fn="IndexSelectBackward0",
        doc="elements at indices along an axis",
    ),
    Op(
        "scatter_add",
        scatter_forward,
        lambda g, y, x, indices, updates, *, axis: (g, NO_GRADIENT, ops.take(g, indices, axis=axis)),
        scatter_define,
        scatter_infer,
        (case((3,), INDICES, (3,)), case((2, 3), INDICES, (2, 3), axis=1)),
        domains=(REAL, INTEGER, REAL),
        doc="x with updates added at indices along an axis",
    ),
)


@hookimpl
def register_ops(register):
    for op in SHAPES:
        register(op)
