"""Ops that change the shape, the order or the dtype. Their definitions say, for each element, which element it is."""

import math

import numpy as np

from gradproof.engine.extend import DIRECT, HOLOMORPHIC, InferenceError, Inferred, Op, Spec, case, hookimpl, ops
from gradproof.plugins.axes import axes_of, axis_of, listed, smaller, wholes

GRADPROOF_API = 1


def reshape_infer(x, *, shape):
    shape = wholes("shape", shape)
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
    shape = wholes("shape", shape)
    if len(shape) < x.ndim or any(a not in (1, b) for a, b in zip(x.shape[::-1], shape[::-1], strict=False)):
        raise InferenceError(f"cannot broadcast {x} to {shape}")
    return Inferred((Spec(shape, x.dtype),), {"shape": shape})


def broadcast_shrink(specs, attributes):
    [x], shape = specs, attributes["shape"]
    extra = len(shape) - x.ndim
    repeated = [k for k, size in enumerate(shape) if k < extra or x.shape[k - extra] != size]
    read = [k for k in range(extra, len(shape)) if k not in repeated]
    small = smaller(shape, first=(*repeated[:3], *read[:3]))
    return case(tuple(1 if x.shape[k - extra] == 1 else small[k] for k in range(extra, len(shape))), shape=small)


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
    if axis is None:
        raise InferenceError("axis is None; it must be an integer, or a list of them: where the new axes are to be")
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


def keeping(first):
    """A ``shrink`` by `smaller`, of the axes that ``first(spec, **attributes)`` gives first."""

    def shrink(specs, attributes):
        [x] = specs
        return case(smaller(x.shape, first=first(x, **attributes)), **attributes)

    return shrink


def last_two(x, **attributes):
    return (x.ndim - 2, x.ndim - 1)


def transpose_infer(x, *, axes=None):
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis_of(a, x.ndim) for a in listed("axes", axes))
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


def astype_forward(x, *, dtype):
    """Of a complex number that becomes a real one, the real part (NumPy's cast is the same, with a warning)."""
    x, target = np.asarray(x), np.dtype(dtype)
    return (x.real if x.dtype.kind == "c" and target.kind in "iufV" else x).astype(target)


def astype_into(out, x, *, dtype):
    np.copyto(out, x.real if x.dtype.kind == "c" and out.dtype.kind in "iufV" else x, casting="unsafe")


def astype_rule(g, y, x, *, dtype):
    part = ops.real(g) if g.dtype.kind == "c" and x.dtype.kind != "c" else g
    return ops.astype(part, dtype=x.dtype.name)


def astype_define(f, i, x, *, dtype):
    """A float that becomes an integer is truncated, which the table of functions does not have."""
    number = f.as_number(x[i])
    if np.dtype(dtype).kind in "fV":
        return f.real(number)
    if np.dtype(dtype).kind in "biu" and number is x[i]:
        if not isinstance(number, int):
            raise NotImplementedError(f"a cast of a float to {dtype} has no definition")
        return held(number, np.dtype(dtype))
    return number


def held(number, dtype):
    """An integer in another integer dtype: whether it is not 0, or what is left of it, as NumPy has it."""
    if dtype.kind == "b":
        return number != 0
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return (number - low) % (high - low + 1) + low


def astype_arrays(f, x, *, dtype):
    """A float stays what it is in another dtype; what becomes of it in an integer is not defined."""
    number, target = f.as_number(x), np.dtype(dtype)
    if target.kind in "biu" and number is x:
        raise NotImplementedError(f"a cast of a float to {dtype} has no definition")
    if target.kind == "b":
        return f.negate(f.equal(number, 0))
    if target.kind in "iu" and isinstance(x, np.ndarray) and x.size:
        limits = np.iinfo(target)
        if int(x.min()) < limits.min or int(x.max()) > limits.max:
            raise NotImplementedError(f"an integer that {dtype} does not hold is not read in arrays")
    return number


def astype_shrink(specs, attributes):
    [x] = specs
    small = smaller(x.shape)
    counted = (np.arange(math.prod(small)) % 2).astype(x.dtype).reshape(small)
    return case(counted if x.dtype.kind in "biu" else small, **attributes)


def astype_infer(x, *, dtype):
    try:
        target = np.dtype(dtype) if isinstance(dtype, str) else None
    except TypeError:
        target = None
    if target is None:
        raise InferenceError(f"there is no dtype {dtype!r}")
    if target.kind not in "biufcV" or (target.kind == "V" and target.name != "bfloat16"):
        raise InferenceError(f"dtype {dtype!r} is not a number")
    return Inferred((Spec(x.shape, target),), {"dtype": target.name})


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
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, shape: f.moved(np.reshape, x, shape=shape),
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
        shrink=broadcast_shrink,
        grad_fn="ExpandBackward0",
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, shape: f.moved(np.broadcast_to, x, shape=shape),
        doc="x repeated to a larger shape",
    ),
    Op(
        "expand_dims",
        lambda x, *, axis: np.expand_dims(x, axis),
        lambda g, y, x, *, axis: ops.squeeze(g, axis=axis),
        lambda f, i, x, *, axis: x[tuple(k for a, k in enumerate(i) if a not in axis)],
        expand_infer,
        (case((2, 3), axis=1), case((), axis=0), case((2,), axis=(0, 2))),
        shrink=keeping(lambda x, axis: ()),
        grad_fn="UnsqueezeBackward0",
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, axis: f.moved(np.expand_dims, x, axis=axis),
        doc="axes of size 1 put in",
    ),
    Op(
        "squeeze",
        lambda x, *, axis: np.squeeze(x, axis),
        lambda g, y, x, *, axis: ops.expand_dims(g, axis=axis),
        lambda f, i, x, *, axis: x[tuple(0 if a in axis else i[a - sum(b < a for b in axis)] for a in range(x.ndim))],
        squeeze_infer,
        (case((2, 1, 3), axis=1), case((1,), axis=0), case((1, 2, 1))),
        shrink=keeping(lambda x, axis: ()),
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, axis: f.moved(np.squeeze, x, axis=axis),
        doc="axes of size 1 taken out",
    ),
    Op(
        "transpose",
        lambda x, *, axes: np.transpose(x, axes),
        lambda g, y, x, *, axes: ops.transpose(g, axes=tuple(axes.index(k) for k in range(x.ndim))),
        lambda f, i, x, *, axes: x[tuple(i[axes.index(k)] for k in range(x.ndim))],
        transpose_infer,
        (
            case((2, 3)),
            case((2, 2)),
            case((2, 3, 4), axes=(1, 2, 0)),
            case((2, 2, 2), axes=(1, 2, 0)),
            case((2, 2, 2), axes=(2, 0, 1)),
            case((2, 1, 2, 2), axes=(3, 0, 1, 2)),
            case(()),
        ),
        shrink=keeping(lambda x, axes: [k for k, a in enumerate(axes) if k != a]),
        grad_fn="PermuteBackward0",
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, axes: f.moved(np.transpose, x, axes=axes),
        doc="axes permuted",
    ),
    Op(
        "matrix_transpose",
        lambda x: np.swapaxes(x, -1, -2),
        lambda g, y, x: ops.matrix_transpose(g),
        lambda f, i, x: x[(*i[:-2], i[-1], i[-2])],
        matrix_transpose_infer,
        (case((2, 3)), case((2, 2)), case((2, 1, 3))),
        shrink=keeping(last_two),
        grad_fn="TransposeBackward0",
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x: f.moved(np.swapaxes, x, axis1=-1, axis2=-2),
        doc="the last two axes swapped",
    ),
    Op(
        "flip",
        lambda x, *, axis: np.flip(x, axis),
        lambda g, y, x, *, axis: ops.flip(g, axis=axis),
        flip_define,
        flip_infer,
        (case((2, 3)), case((3, 2), axis=0), case((2, 2), axis=1)),
        shrink=keeping(lambda x, axis: axis),
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, axis: f.moved(np.flip, x, axis=axis),
        doc="the order reversed along axes",
    ),
    Op(
        "astype",
        astype_forward,
        astype_rule,
        astype_define,
        astype_infer,
        (case((2,), dtype="float64"), case((), dtype="float32")),
        shrink=astype_shrink,
        grad_fn="ToCopyBackward0",
        complex=DIRECT,
        into=astype_into,
        arrays=astype_arrays,
        doc="another dtype",
    ),
)


@hookimpl
def register_ops(register):
    for op in SHAPES:
        register(op)
