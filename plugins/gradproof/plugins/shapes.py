"""Ops that change the shape, the order or the dtype. A definition says which element of x an element of the result is."""

import math
from collections.abc import Callable, Collection, Sequence

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
    registering,
)
from gradproof.plugins.axes import axes_of, axis_of, broadcasts, integers, listed, smaller
from gradproof.plugins.dtypes import number_dtype
from gradproof.plugins.families import D, H
from gradproof.plugins.names import named

GRADPROOF_API = 1


def shrinking(first: Callable[..., Collection[int]]) -> Callable[[Sequence[Spec], Attributes], Case]:
    """The ``shrink`` by `smaller`, where ``first(spec, **attributes)`` gives the axes that stay longest."""

    def shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
        [x] = specs
        return case(smaller(x.shape, first=first(x, **attributes)), **attributes)

    return shrink


# reshape


def reshape_infer(x: Spec, *, shape: object) -> Inferred:
    sizes = integers("shape", shape)
    known = math.prod(s for s in sizes if s != -1)
    if sizes.count(-1) == 1 and known and x.size % known == 0:
        sizes = tuple(x.size // known if s == -1 else s for s in sizes)
    if min(sizes, default=0) < 0 or math.prod(sizes) != x.size:
        raise InferenceError(f"cannot reshape {x} into {sizes}")
    return Inferred((Spec(sizes, x.dtype),), {"shape": sizes})


def reshape(x, *, shape):
    return np.reshape(x, shape)


def reshape_rule(g, y, x, *, shape):
    """g in the shape of x."""
    return ops.reshape(g, shape=x.shape)


def reshape_define(f, i, x, *, shape):
    return x.flat[int(np.ravel_multi_index(i, shape)) if i else 0]


def reshape_arrays(f, x, *, shape):
    return f.moved(np.reshape, x, shape=shape)


def reshape_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    rank, new = specs[0].ndim, len(attributes["shape"])
    small: dict[int, tuple[int, ...]] = {0: (), 1: (6,)} if rank and new else {0: (), 1: (1,)}
    source = small.get(rank, (2, 3, *(1,) * (rank - 2)) if new else (1,) * rank)
    target = small.get(new, (3, 2, *(1,) * (new - 2)) if rank else (1,) * new)
    return case(source, shape=target)


# broadcast_to


def broadcast_infer(x: Spec, *, shape: object) -> Inferred:
    sizes = integers("shape", shape)
    if not broadcasts(x.shape, sizes):
        raise InferenceError(f"cannot broadcast {x} to {sizes}")
    return Inferred((Spec(sizes, x.dtype),), {"shape": sizes})


def broadcast_to(x, *, shape):
    return np.broadcast_to(x, shape)


def broadcast_rule(g, y, x, *, shape):
    """The sum of g over the axes along which elements were repeated."""
    extra = len(shape) - x.ndim
    repeated = [extra + k for k in range(x.ndim) if x.shape[k] == 1 and shape[extra + k] != 1]
    added = ops.sum(g, axis=(*range(extra), *repeated), keepdims=True)
    return added if extra == 0 else ops.reshape(added, shape=x.shape)


def broadcast_define(f, i, x, *, shape):
    tail = i[len(i) - x.ndim :]
    return x[tuple(0 if size == 1 else k for k, size in zip(tail, x.shape, strict=True))]


def broadcast_arrays(f, x, *, shape):
    return f.moved(np.broadcast_to, x, shape=shape)


def broadcast_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    [x], shape = specs, attributes["shape"]
    extra = len(shape) - x.ndim
    repeated = [k for k, size in enumerate(shape) if k < extra or x.shape[k - extra] != size]
    read = [k for k in range(extra, len(shape)) if k not in repeated]
    small = smaller(shape, first=(*repeated[:3], *read[:3]))
    return case(tuple(1 if x.shape[k - extra] == 1 else small[k] for k in range(extra, len(shape))), shape=small)


# expand_dims


def expand_infer(x: Spec, *, axis: object) -> Inferred:
    if axis is None:
        raise InferenceError("axis is None; it must be an integer, or a list of them: where the new axes are to be")
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = axes_of(axis, x.ndim + count)
    sizes = iter(x.shape)
    shape = tuple(1 if k in axes else next(sizes) for k in range(x.ndim + count))
    return Inferred((Spec(shape, x.dtype),), {"axis": axes})


def expand_dims(x, *, axis):
    return np.expand_dims(x, axis)


def expand_rule(g, y, x, *, axis):
    return ops.squeeze(g, axis=axis)


def expand_define(f, i, x, *, axis):
    return x[tuple(k for a, k in enumerate(i) if a not in axis)]


def expand_arrays(f, x, *, axis):
    return f.moved(np.expand_dims, x, axis=axis)


# squeeze


def squeeze_infer(x: Spec, *, axis: object = None) -> Inferred:
    axes = tuple(k for k, s in enumerate(x.shape) if s == 1) if axis is None else axes_of(axis, x.ndim)
    if any(x.shape[k] != 1 for k in axes):
        raise InferenceError(f"cannot squeeze axis {axes} of {x}: its size is not 1")
    return Inferred((Spec(tuple(s for k, s in enumerate(x.shape) if k not in axes), x.dtype),), {"axis": axes})


def squeeze(x, *, axis):
    return np.squeeze(x, axis)


def squeeze_rule(g, y, x, *, axis):
    return ops.expand_dims(g, axis=axis)


def squeeze_define(f, i, x, *, axis):
    return x[tuple(0 if a in axis else i[a - sum(b < a for b in axis)] for a in range(x.ndim))]


def squeeze_arrays(f, x, *, axis):
    return f.moved(np.squeeze, x, axis=axis)


# transpose


def transpose_infer(x: Spec, *, axes: object = None) -> Inferred:
    order = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis_of(a, x.ndim) for a in listed("axes", axes))
    if sorted(order) != list(range(x.ndim)):
        raise InferenceError(f"axes {axes} is not a permutation of the {x.ndim} axes")
    return Inferred((Spec(tuple(x.shape[a] for a in order), x.dtype),), {"axes": order})


def transpose(x, *, axes):
    return np.transpose(x, axes)


def transpose_rule(g, y, x, *, axes):
    """g with the axes permuted back."""
    return ops.transpose(g, axes=tuple(axes.index(k) for k in range(x.ndim)))


def transpose_define(f, i, x, *, axes):
    return x[tuple(i[axes.index(k)] for k in range(x.ndim))]


def transpose_arrays(f, x, *, axes):
    return f.moved(np.transpose, x, axes=axes)


def moved_axes(x, axes):
    return [k for k, a in enumerate(axes) if k != a]


# matrix_transpose


def swap_infer(x: Spec) -> Inferred:
    if x.ndim < 2:
        raise InferenceError(f"needs rank 2 or more, got {x}")
    return Inferred((Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype),))


def matrix_transpose(x):
    return np.swapaxes(x, -1, -2)


def swap_rule(g, y, x):
    return ops.matrix_transpose(g)


def swap_define(f, i, x):
    return x[(*i[:-2], i[-1], i[-2])]


def swap_arrays(f, x):
    return f.moved(np.swapaxes, x, axis1=-1, axis2=-2)


def last_two(x):
    return (x.ndim - 2, x.ndim - 1)


# flip


def flip_infer(x: Spec, *, axis: object = None) -> Inferred:
    return Inferred((x,), {"axis": axes_of(axis, x.ndim)})


def flip(x, *, axis):
    return np.flip(x, axis)


def flip_rule(g, y, x, *, axis):
    return ops.flip(g, axis=axis)


def flip_define(f, i, x, *, axis):
    return x[tuple(size - 1 - k if a in axis else k for a, (k, size) in enumerate(zip(i, x.shape, strict=True)))]


def flip_arrays(f, x, *, axis):
    return f.moved(np.flip, x, axis=axis)


# astype


def astype_infer(x: Spec, *, dtype: object) -> Inferred:
    target = number_dtype(dtype)
    return Inferred((Spec(x.shape, target),), {"dtype": target.name})


def astype_forward(x, *, dtype):
    """`numpy.ndarray.astype`; a complex number that becomes real gives its real part, without NumPy's warning."""
    x, target = np.asarray(x), np.dtype(dtype)
    return (x.real if x.dtype.kind == "c" and target.kind in "iufV" else x).astype(target)


def astype_into(out, x, *, dtype):
    np.copyto(out, x.real if x.dtype.kind == "c" and out.dtype.kind in "iufV" else x, casting="unsafe")


def astype_rule(g, y, x, *, dtype):
    """g in the dtype of x; its real part where x is real. None for an integer."""
    if x.dtype.kind in "biu":
        return NO_GRADIENT
    part = ops.real(g) if g.dtype.kind == "c" and x.dtype.kind != "c" else g
    return ops.astype(part, dtype=x.dtype.name)


def astype_define(f, i, x, *, dtype):
    """Raises NotImplementedError for a float that becomes an integer: the table of functions has no truncation."""
    number = f.as_number(x[i])
    if np.dtype(dtype).kind in "fV":
        return f.real(number)
    if np.dtype(dtype).kind in "biu" and number is x[i]:
        if not isinstance(number, int):
            raise NotImplementedError(f"a cast of a float to {dtype} has no definition")
        return converted(number, np.dtype(dtype))
    return number


def converted(number, dtype):
    """An integer in another integer dtype, modulo its range; a boolean says whether it is not 0."""
    if dtype.kind == "b":
        return number != 0
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    return (number - low) % (high - low + 1) + low


def astype_arrays(f, x, *, dtype):
    """A float keeps its value in another float dtype. Raises NotImplementedError where an integer does not."""
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


def astype_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    [x] = specs
    small = smaller(x.shape)
    counted = (np.arange(math.prod(small)) % 2).astype(x.dtype).reshape(small)
    return case(counted if x.dtype.kind in "biu" else small, **attributes)


RESHAPED = (case((2, 3), shape=(3, 2)), case((6,), shape=(2, 3)), case((1, 1), shape=()), case((), shape=(1,)))
BROADCAST = (
    case((3,), shape=(2, 3)),
    case((2, 1), shape=(2, 3)),
    case((), shape=(2,)),
    case((1, 3), shape=(2, 2, 3)),
    case((2, 3), shape=(2, 3)),
)
EXPANDED = (case((2, 3), axis=1), case((), axis=0), case((2,), axis=(0, 2)))
SQUEEZED = (case((2, 1, 3), axis=1), case((1,), axis=0), case((1, 2, 1)))
TRANSPOSED = (
    case((2, 3)),
    case((2, 2)),
    case((2, 3, 4), axes=(1, 2, 0)),
    case((2, 2, 2), axes=(1, 2, 0)),
    case((2, 2, 2), axes=(2, 0, 1)),
    case((2, 1, 2, 2), axes=(3, 0, 1, 2)),
    case(()),
)
MATRICES = (case((2, 3)), case((2, 2)), case((2, 1, 3)))
FLIPPED = (case((2, 3)), case((3, 2), axis=0), case((2, 2), axis=1))
CAST = (case((2,), dtype="float64"), case((), dtype="float32"))

# fmt: off
SHAPES = (
    # op                  forward           rule            definition        inference        cases
    H("reshape",          reshape,          reshape_rule,   reshape_define,   reshape_infer,   RESHAPED,
      shrink=reshape_shrink, arrays=reshape_arrays, doc="the same elements in C order, in another shape"),
    H("broadcast_to",     broadcast_to,     broadcast_rule, broadcast_define, broadcast_infer, BROADCAST,
      shrink=broadcast_shrink, arrays=broadcast_arrays, doc="x repeated to a larger shape"),
    H("expand_dims",      expand_dims,      expand_rule,    expand_define,    expand_infer,    EXPANDED,
      shrink=shrinking(lambda x, axis: ()), arrays=expand_arrays, doc="axes of size 1 put in"),
    H("squeeze",          squeeze,          squeeze_rule,   squeeze_define,   squeeze_infer,   SQUEEZED,
      shrink=shrinking(lambda x, axis: ()), arrays=squeeze_arrays, doc="axes of size 1 taken out"),
    H("transpose",        transpose,        transpose_rule, transpose_define, transpose_infer, TRANSPOSED,
      shrink=shrinking(moved_axes), arrays=transpose_arrays, doc="axes permuted"),
    H("matrix_transpose", matrix_transpose, swap_rule,      swap_define,      swap_infer,      MATRICES,
      shrink=shrinking(last_two), arrays=swap_arrays, doc="the last two axes swapped"),
    H("flip",             flip,             flip_rule,      flip_define,      flip_infer,      FLIPPED,
      shrink=shrinking(lambda x, axis: axis), arrays=flip_arrays, doc="the order reversed along axes"),
    D("astype",           astype_forward,   astype_rule,    astype_define,    astype_infer,    CAST,
      shrink=astype_shrink, arrays=astype_arrays, doc="another dtype"),
)
# fmt: on

VIEWS = ("reshape", "broadcast_to", "expand_dims", "squeeze", "transpose", "matrix_transpose", "flip")
MEMORY = {**dict.fromkeys(VIEWS, Memory(view=True)), "astype": Memory(into=astype_into)}

register_ops = registering(*named(SHAPES), memory=MEMORY)
