"""Slices, and what undoes them."""

import math
from collections.abc import Sequence

import numpy as np

from gradproof.engine.extend import Attributes, Case, InferenceError, Inferred, Memory, Spec, case, ops, registering
from gradproof.plugins.axes import ROOM, cut_of, integers, length_of, listed
from gradproof.plugins.families import H
from gradproof.plugins.names import named

GRADPROOF_API = 1

# slice


def slice_infer(x: Spec, *, start: object, stop: object, step: object = None) -> Inferred:
    """A start, a stop and a step for each axis, as NumPy takes them (None for the default). Canonical: in range, and stop
    None where a negative step runs to the front."""
    starts, stops = listed("start", start), listed("stop", stop)
    steps = (1,) * x.ndim if step is None else integers("step", [1 if s is None else s for s in listed("step", step)])
    integers("start and stop", [end for end in (*starts, *stops) if end is not None])
    if not len(starts) == len(stops) == len(steps) == x.ndim:
        raise InferenceError(f"start, stop and step need an entry for each of the {x.ndim} axes")
    if 0 in steps:
        raise InferenceError("a step is 0")
    cuts = [cut_of(slice(a, b, s), size) for a, b, s, size in zip(starts, stops, steps, x.shape, strict=True)]
    attributes = {"start": tuple(a for a, _, _ in cuts), "stop": tuple(b for _, b, _ in cuts), "step": steps}
    return Inferred((Spec(tuple(map(length_of, cuts)), x.dtype),), attributes)


def slice_forward(x, *, start, stop, step):
    return x[tuple(map(slice, start, stop, step))]


def slice_rule(g, y, x, *, start, stop, step):
    """g at the slice, among zeros."""
    return ops.unslice(g, shape=x.shape, start=start, step=step)


def slice_define(f, i, x, *, start, stop, step):
    return x[tuple(a + k * s for k, a, s in zip(i, start, step, strict=True))]


def slice_arrays(f, x, *, start, stop, step):
    return f.moved(lambda a: a[tuple(map(slice, start, stop, step))], x)


def slice_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """Each axis stays whole, cut at both ends, a stride, backwards, or backwards with a stride. Where there is no room,
    whole axes become 1, and then cut axes are cut at a single end."""
    axes: list[tuple[int, int, int | None, int]] = []
    for size, a, b, s in zip(specs[0].shape, attributes["start"], attributes["stop"], attributes["step"], strict=True):
        if s == 1:
            axes.append((2, 0, 2, 1) if (a, b) == (0, size) else (3, 1, 2, 1))
        else:
            axes.append((3, 0, 3, 2) if s > 1 else (3, 2, None, -1 if s == -1 else -2))
    for small in ((1, 0, 1, 1), (2, 1, 2, 1)):
        for k, axis in enumerate(axes):
            if math.prod(size for size, *_ in axes) > ROOM and axis[0] == small[0] + 1 and axis[3] == 1:
                axes[k] = small
    sizes, start, stop, step = zip(*axes, strict=True) if axes else ((), (), (), ())
    return case(sizes, start=start, stop=stop, step=step)


# unslice


def unslice_infer(x: Spec, *, shape: object, start: object, step: object) -> Inferred:
    sizes, starts, steps = integers("shape", shape), integers("start", start), integers("step", step)
    if not len(sizes) == len(starts) == len(steps) == x.ndim:
        raise InferenceError(f"shape, start and step need an entry for each of the {x.ndim} axes")
    for n, size, a, s in zip(x.shape, sizes, starts, steps, strict=True):
        if n and not (0 <= a < size and 0 <= a + (n - 1) * s < size and (s or n == 1)):
            raise InferenceError(f"{n} elements from {a} by steps of {s} do not fit an axis of size {size}")
    return Inferred((Spec(sizes, x.dtype),), {"shape": sizes, "start": starts, "step": steps})


def unslice_forward(x, *, shape, start, step):
    out = np.empty(shape, x.dtype)
    unslice_into(out, x, shape=shape, start=start, step=step)
    return out


def unslice_into(out, x, *, shape, start, step):
    out.fill(0)
    out[unslice_place(x, shape=shape, start=start, step=step)] = x


def unslice_place(x, *, shape, start, step):
    """The slices of the result that ``x`` fills."""
    ends = [(a, a + size * s, s) for size, a, s in zip(x.shape, start, step, strict=True)]
    return tuple(slice(a, None if end < 0 else end, s) for a, end, s in ends)


def unslice_rule(g, y, x, *, shape, start, step):
    """The slice of g that x fills."""
    places = list(zip(x.shape, start, step, strict=True))
    stop = tuple(None if a + n * s < 0 else a + n * s for n, a, s in places)
    return ops.slice(g, start=start, stop=stop, step=step)


def unslice_define(f, i, x, *, shape, start, step):
    quotients = [divmod(k - a, s) for k, a, s in zip(i, start, step, strict=True)]
    inside = all(rest == 0 and 0 <= k < size for (k, rest), size in zip(quotients, x.shape, strict=True))
    return x[tuple(k for k, _ in quotients)] if inside else f.number(0)


def unslice_arrays(f, x, *, shape, start, step):
    """x at its places, axis by axis, among zeros."""
    places = np.ix_(*(a + s * np.arange(n) for n, a, s in zip(x.shape, start, step, strict=True)))
    return f.moved(lambda a: put(a, shape, places), x)


def put(x, shape, places):
    """Zeros of ``shape`` with ``x`` at places."""
    out = np.zeros(shape, x.dtype)
    out[places] = x[()]
    return out


def unslice_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    """Each axis stays whole, or spread by a step. Where there is no room, axes become 1, the whole ones first."""
    [x] = specs
    axes: list[tuple[int, int, int, int]] = []
    for n, size, s in zip(x.shape, attributes["shape"], attributes["step"], strict=True):
        step = 1 if s == 1 else 2 if s > 1 else -1 if s == -1 else -2
        axes.append((2, 2, 0, 1) if n == size and s == 1 else (2, 4, 1 if s > 0 else 3, step))
    for k, axis in sorted(enumerate(axes), key=lambda entry: entry[1][1]):
        if math.prod(n for n, *_ in axes) > ROOM or math.prod(size for _, size, *_ in axes) > 4 * ROOM:
            axes[k] = (1, 1, 0, 1) if axis[1] == 2 else (1, 2, axis[2] % 2, axis[3])
    sizes, wide, first, steps = zip(*axes, strict=True) if axes else ((), (), (), ())
    return case(sizes, shape=wide, start=first, step=steps)


CUT = {"start": (1, 2), "stop": (3, None), "step": (1, -2)}
SLICES = (
    case((3, 3), **CUT),
    case((4,), start=(0,), stop=(4,), step=(2,)),
    case((2, 3), start=(0, 1), stop=(2, 3)),
    case((), start=(), stop=()),
)
SPREAD = (case((2,), shape=(5,), start=(1,), step=(2,)), case((2, 2), shape=(3, 4), start=(0, 3), step=(1, -1)))

# fmt: off
INDEXING = (
    # op         forward          rule          definition      inference      cases
    H("slice",   slice_forward,   slice_rule,   slice_define,   slice_infer,   SLICES,
      shrink=slice_shrink, arrays=slice_arrays, doc="x[start:stop:step] on each axis"),
    H("unslice", unslice_forward, unslice_rule, unslice_define, unslice_infer, SPREAD,
      shrink=unslice_shrink, arrays=unslice_arrays, doc="zeros, with x at a slice: what slice is undone by"),
)
# fmt: on

MEMORY = {
    "slice": Memory(view=True),
    "unslice": Memory(into=unslice_into, place=unslice_place),
}

register_ops = registering(*named(INDEXING), memory=MEMORY)
