"""Slices and padding."""

import math

import numpy as np

from gradproof.engine.extend import (
    HOLOMORPHIC,
    InferenceError,
    Inferred,
    Op,
    Spec,
    case,
    hookimpl,
    ops,
)
from gradproof.plugins.axes import ROOM, listed, smaller, wholes

GRADPROOF_API = 1

# slices


def slice_infer(x, *, start, stop, step=None):
    """One start, stop and step per axis, as NumPy takes them (None for the default). Canonical: in range, and stop None
    where a negative step runs to the front."""
    start, stop = listed("start", start), listed("stop", stop)
    step = (1,) * x.ndim if step is None else wholes("step", [1 if s is None else s for s in listed("step", step)])
    wholes("start and stop", [end for end in (*start, *stop) if end is not None])
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
    """Per axis: whole, cut at both ends, a stride, backwards, or backwards with a stride. Where there is no room for all,
    whole axes become 1, and then cut ones are cut at one end only."""
    axes: list[tuple[int, int, int | None, int]] = []
    for size, a, b, s in zip(specs[0].shape, attributes["start"], attributes["stop"], attributes["step"], strict=True):
        if s == 1:
            axes.append((2, 0, 2, 1) if (a, b) == (0, size) else (3, 1, 2, 1))
        else:
            axes.append((3, 0, 3, 2) if s > 1 else (3, 2, None, -1 if s == -1 else -2))
    for small in ((1, 0, 1, 1), (2, 1, 2, 1)):
        for k, axis in enumerate(axes):
            if math.prod(one[0] for one in axes) > ROOM and axis[0] == small[0] + 1 and axis[3] == 1:
                axes[k] = small
    sizes, start, stop, step = zip(*axes, strict=True) if axes else ((), (), (), ())
    return case(sizes, start=start, stop=stop, step=step)


def unslice_infer(x, *, shape, start, step):
    shape, start, step = wholes("shape", shape), wholes("start", start), wholes("step", step)
    if not len(shape) == len(start) == len(step) == x.ndim:
        raise InferenceError(f"shape, start and step need one entry for each of the {x.ndim} axes")
    for n, size, a, s in zip(x.shape, shape, start, step, strict=True):
        if n and not (0 <= a < size and 0 <= a + (n - 1) * s < size and (s or n == 1)):
            raise InferenceError(f"{n} elements from {a} by steps of {s} do not fit an axis of size {size}")
    return Inferred((Spec(shape, x.dtype),), {"shape": shape, "start": start, "step": step})


def unslice_forward(x, *, shape, start, step):
    out = np.empty(shape, x.dtype)
    unslice_into(out, x, shape=shape, start=start, step=step)
    return out


def unslice_into(out, x, *, shape, start, step):
    out.fill(0)
    out[_place(x, start, step)] = x


def _place(x, start, step):
    """The slices of the whole that ``x`` fills."""
    ends = [(a, a + size * s, s) for size, a, s in zip(x.shape, start, step, strict=True)]
    return tuple(slice(a, None if end < 0 else end, s) for a, end, s in ends)


def unslice_define(f, i, x, *, shape, start, step):
    found = [divmod(k - a, s) for k, a, s in zip(i, start, step, strict=True)]
    inside = all(rest == 0 and 0 <= k < size for (k, rest), size in zip(found, x.shape, strict=True))
    return x[tuple(k for k, _ in found)] if inside else f.number(0)


def unslice_arrays(f, x, *, shape, start, step):
    """Axis by axis each element goes to its place."""
    places = np.ix_(*(a + s * np.arange(n) for n, a, s in zip(x.shape, start, step, strict=True)))
    return f.moved(lambda a: put(a, shape, places), x)


def put(x, shape, places):
    """Zeros with ``x`` at places."""
    found = np.zeros(shape, x.dtype)
    found[places] = x[()]
    return found


def unslice_shrink(specs, attributes):
    """Per axis: whole, or apart by a step. Where there is no room for all the first become 1."""
    [x] = specs
    axes: list[tuple[int, int, int, int]] = []
    for n, size, s in zip(x.shape, attributes["shape"], attributes["step"], strict=True):
        step = 1 if s == 1 else 2 if s > 1 else -1 if s == -1 else -2
        axes.append((2, 2, 0, 1) if n == size and s == 1 else (2, 4, 1 if s > 0 else 3, step))
    for k, axis in enumerate(axes):
        if math.prod(one[1] for one in axes) > 4 * ROOM:
            axes[k] = (1, 1, 0, 1) if axis[1] == 2 else (1, 2, axis[2] % 2, axis[3])
    sizes, wide, first, steps = zip(*axes, strict=True) if axes else ((), (), (), ())
    return case(sizes, shape=wide, start=first, step=steps)


def unslice_rule(g, y, x, *, shape, start, step):
    places = list(zip(x.shape, start, step, strict=True))
    stop = tuple(None if a + n * s < 0 else a + n * s for n, a, s in places)
    return ops.slice(g, start=start, stop=stop, step=step)


def slice_rule(g, y, x, *, start, stop, step):
    return ops.unslice(g, shape=x.shape, start=start, step=step)


def pad_infer(x, *, widths):
    widths = tuple(wholes("widths", listed("widths", pair)) for pair in listed("widths", widths))
    if len(widths) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in widths):
        raise InferenceError(f"widths needs a (before, after) pair >= 0 for each of the {x.ndim} axes")
    return Inferred(
        (Spec(tuple(s + a + b for s, (a, b) in zip(x.shape, widths, strict=True)), x.dtype),), {"widths": widths}
    )


def pad_forward(x, *, widths):
    out = np.empty(tuple(s + a + b for s, (a, b) in zip(x.shape, widths, strict=True)), x.dtype)
    pad_into(out, x, widths=widths)
    return out


def pad_into(out, x, *, widths):
    out.fill(0)
    out[pad_place(x, widths=widths)] = x


def pad_place(x, *, widths):
    return tuple(slice(a, a + s) for s, (a, _) in zip(x.shape, widths, strict=True))


def pad_rule(g, y, x, *, widths):
    return ops.slice(
        g, start=tuple(a for a, _ in widths), stop=tuple(a + s for s, (a, _) in zip(x.shape, widths, strict=True))
    )


def pad_define(f, i, x, *, widths):
    k = tuple(j - a for j, (a, _) in zip(i, widths, strict=True))
    return x[k] if all(0 <= j < size for j, size in zip(k, x.shape, strict=True)) else f.number(0)


def pad_arrays(f, x, *, widths):
    inside = tuple(slice(a, size + a) for (a, _), size in zip(widths, x.shape, strict=True))
    return f.moved(lambda a: put(a, [size + before + after for size, (before, after) in zip(a.shape, widths)], inside), x)


def pad_shrink(specs, attributes):
    return case(smaller((2,) * specs[0].ndim), widths=tuple((min(a, 1), min(b, 2)) for a, b in attributes["widths"]))


CUT = {"start": (1, 2), "stop": (3, None), "step": (1, -2)}

INDEXING = (
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
        complex=HOLOMORPHIC,
        view=True,
        arrays=lambda f, x, *, start, stop, step: f.moved(lambda a: a[tuple(map(slice, start, stop, step))], x),
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
        complex=HOLOMORPHIC,
        into=unslice_into,
        place=lambda x, *, shape, start, step: _place(x, start, step),
        arrays=unslice_arrays,
        doc="zeros, with x at a slice: what slice is undone by",
    ),
    Op(
        "pad",
        pad_forward,
        pad_rule,
        pad_define,
        pad_infer,
        (case((2,), widths=((1, 2),)), case((2, 2), widths=((0, 1), (2, 0))), case((), widths=())),
        shrink=pad_shrink,
        grad_fn="ConstantPadNdBackward0",
        complex=HOLOMORPHIC,
        into=pad_into,
        place=pad_place,
        arrays=pad_arrays,
        doc="zeros put around x",
    ),
)


@hookimpl
def register_ops(register):
    for op in INDEXING:
        register(op)
