"""Sliding windows along an axis, and their sums."""

from collections.abc import Sequence

import numpy as np

from gradproof.engine.extend import (
    Attributes,
    Case,
    Composite,
    InferenceError,
    Inferred,
    Memory,
    Spec,
    case,
    ops,
    registering,
)
from gradproof.plugins.axes import at, axis_of, integer, integers, smaller
from gradproof.plugins.dtypes import is_half
from gradproof.plugins.families import H
from gradproof.plugins.names import named
from gradproof.plugins.slicing import part

GRADPROOF_API = 1


def counted(name: str, value: object) -> int:
    """A whole number that is at least 1. Raises InferenceError."""
    number = integer(name, value)
    if number < 1:
        raise InferenceError(f"{name} is {number}; it must be at least 1")
    return number


def small_windows(size: int, step: int, count: int) -> tuple[int, int, int]:
    """Size, step and count of windows that overlap, touch or leave gaps as those given do."""
    few, small = min(count, 2 if size > 1 else 3), min(size, 3 if size > 2 else 2)
    return small, 1 if step < size else small if step == size else small + 1, few


# unfold


def unfold_infer(x: Spec, *, axis: object, size: object, step: object = 1) -> Inferred:
    """The windows along ``axis`` begin ``step`` elements apart; their elements are along a new last axis."""
    k, wide, apart = axis_of(axis, x.ndim), counted("size", size), counted("step", step)
    if wide > x.shape[k]:
        raise InferenceError(f"a window of {wide} is longer than axis {k} of {x}")
    shape = (*at(x.shape, k, (x.shape[k] - wide) // apart + 1), wide)
    return Inferred((Spec(shape, x.dtype),), {"axis": k, "size": wide, "step": apart})


def unfold(x, *, axis, size, step):
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    return windows[(slice(None),) * axis + (slice(None, None, step),)]


def unfold_rule(g, y, x, *, axis, size, step):
    """Each element of g added where it came from."""
    return ops.overlap_add(g, length=x.shape[axis], axis=axis, step=step)


def unfold_define(f, i, x, *, axis, size, step):
    return x[at(i[:-1], axis, step * i[axis] + i[-1])]


def unfold_arrays(f, x, *, axis, size, step):
    return f.moved(unfold, x, axis=axis, size=size, step=step)


def unfold_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    [x], axis = specs, attributes["axis"]
    count = (x.shape[axis] - attributes["size"]) // attributes["step"] + 1
    rest = (x.shape[axis] - attributes["size"]) % attributes["step"]
    size, step, few = small_windows(attributes["size"], attributes["step"], count)
    length = (few - 1) * step + size + (1 if rest and step > 1 else 0)
    return case(at(smaller(at(x.shape, axis, 1), 6), axis, length), axis=axis, size=size, step=step)


# overlap_add


def overlap_infer(x: Spec, *, length: object, axis: object, step: object = 1) -> Inferred:
    if x.ndim < 2:
        raise InferenceError(f"needs rank 2 or more, the last axis that of the windows, got {x}")
    k, apart, long = axis_of(axis, x.ndim - 1), counted("step", step), integer("length", length)
    if not (x.shape[k] and x.shape[-1]):
        raise InferenceError(f"{x} has no windows, or windows without elements")
    least = (x.shape[k] - 1) * apart + x.shape[-1]
    if long < least:
        raise InferenceError(f"length is {long}; {x.shape[k]} windows of {x.shape[-1]} by steps of {apart} need {least}")
    return Inferred((Spec(at(x.shape[:-1], k, long), x.dtype),), {"length": long, "axis": k, "step": apart})


def overlap_add(x, *, length, axis, step):
    out = np.empty(at(x.shape[:-1], axis, length), x.dtype)
    overlap_into(out, x, length=length, axis=axis, step=step)
    return out


def overlap_into(out, x, *, length, axis, step):
    """Adds the first elements of all windows, then the second ones, and so on; in float32 for 16 bits."""
    total = np.zeros(out.shape, np.float32) if is_half(x) else out
    total.fill(0)
    lines, count = np.moveaxis(total, axis, -1), x.shape[axis]
    for k in range(x.shape[-1]):
        lines[..., k : k + (count - 1) * step + 1 : step] += np.moveaxis(x[..., k], axis, -1)
    if total is not out:
        with np.errstate(over="ignore"):
            np.copyto(out, total, casting="unsafe")


def overlap_rule(g, y, x, *, length, axis, step):
    """The windows of g."""
    used = part(g, axis, 0, (x.shape[axis] - 1) * step + x.shape[-1])
    return ops.unfold(used, axis=axis, size=x.shape[-1], step=step)


def overlap_define(f, i, x, *, length, axis, step):
    places = ((k, i[axis] - k * step) for k in range(x.shape[axis]))
    return f.total([x[(*at(i, axis, k), place)] for k, place in places if 0 <= place < x.shape[-1]])


def overlap_arrays(f, x, *, length, axis, step):
    places = step * np.arange(x.shape[axis])[:, None] + np.arange(x.shape[-1])
    zeros = f.moved(lambda a: np.zeros(at(a.shape[:-1], axis, length), a.dtype), x)
    return f.added(zeros, places, f.moved(np.moveaxis, x, source=-1, destination=axis + 1), axis)


def overlap_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    [x], axis = specs, attributes["axis"]
    long = (x.shape[axis] - 1) * attributes["step"] + x.shape[-1]
    size, step, count = small_windows(x.shape[-1], attributes["step"], x.shape[axis])
    length = (count - 1) * step + size + (attributes["length"] > long)
    rest = smaller(at(x.shape[:-1], axis, 1), 6)
    return case((*at(rest, axis, count), size), length=length, axis=axis, step=step)


# sliding_window_view


def sliding_window_view(x, *, window_shape, axis=None):
    """``window_shape``: the size of the windows along each of the axes, which may be named again and again."""
    sizes = integers("window_shape", window_shape)
    axes = range(x.ndim) if axis is None else [axis_of(a, x.ndim) for a in integers("axis", axis)]
    if len(sizes) != len(axes):
        raise InferenceError(f"window_shape has {len(sizes)} entries, and there are {len(axes)} axes")
    for k, size in zip(axes, sizes, strict=True):
        x = ops.unfold(x, axis=k, size=size)
    return x


UNFOLDED = (
    case((4, 2), axis=0, size=2),
    case((2, 5), axis=1, size=3, step=2),
    case((6,), axis=-1, size=2, step=3),
    case((2,), axis=0, size=2),
)
OVERLAPPED = (
    case((3, 2), length=4, axis=0),
    case((2, 2, 3), length=6, axis=1, step=2),
    case((2, 4, 2), length=5, axis=0, step=3),
)

# fmt: off
WINDOWS = (
    # op            forward      rule          definition      inference      cases
    H("unfold",      unfold,      unfold_rule,  unfold_define,  unfold_infer,  UNFOLDED,
      shrink=unfold_shrink, arrays=unfold_arrays, doc="windows along an axis, with their elements along a new last axis"),
    H("overlap_add", overlap_add, overlap_rule, overlap_define, overlap_infer, OVERLAPPED,
      shrink=overlap_shrink, arrays=overlap_arrays, doc="the sum of windows at their places along an axis"),
    Composite("sliding_window_view", sliding_window_view,
              cases=(case((3, 4), window_shape=(2, 3)), case((2, 5), window_shape=3, axis=1)),
              doc="windows along several axes, with their elements along new last axes"),
)
# fmt: on

MEMORY = {"unfold": Memory(view=True), "overlap_add": Memory(into=overlap_into)}

register_ops = registering(*named(WINDOWS), memory=MEMORY)
