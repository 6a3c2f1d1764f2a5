"""Rearrangements: the elements of an array in another order or shape, once or several times. All are composites of views,
joins and slices."""

import math
from itertools import accumulate, groupby, pairwise

import numpy as np

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import at, axes_of, axis_of, integer, integers, listed
from gradproof.plugins.names import named
from gradproof.plugins.slicing import few, part, reshaped, transposed

GRADPROOF_API = 1

# orders of axes


def permute_dims(x, *, axes):
    return ops.transpose(x, axes=listed("axes", axes))


def several(name, axis, ndim):
    """Axes in their order, canonical. Raises InferenceError if an axis is named twice."""
    axes_of(axis, ndim)
    return [axis_of(a, ndim) for a in integers(name, axis)]


def moveaxis(x, *, source, destination):
    origins, targets = several("source", source, x.ndim), several("destination", destination, x.ndim)
    if len(origins) != len(targets):
        raise InferenceError(f"source names {len(origins)} axes, and destination {len(targets)}")
    order = [k for k in range(x.ndim) if k not in origins]
    for target, origin in sorted(zip(targets, origins, strict=True)):
        order.insert(target, origin)
    return transposed(x, order)


def swapaxes(x, *, axis1, axis2):
    order = list(range(x.ndim))
    first, second = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    order[first], order[second] = second, first
    return transposed(x, order)


def adjoint(x):
    transpose = ops.matrix_transpose(x)
    return ops.conj(transpose) if x.dtype.kind == "c" else transpose


# shapes


def ravel(x):
    return reshaped(x, (x.size,))


def flatten(x, *, start_axis=0, end_axis=-1):
    if not x.ndim:
        return reshaped(x, (1,))
    first, last = axis_of(start_axis, x.ndim), axis_of(end_axis, x.ndim)
    if first > last:
        raise InferenceError(f"start_axis {start_axis} comes after end_axis {end_axis}")
    return reshaped(x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :]))


def unflatten(x, *, axis, shape):
    """A size of -1 follows from the others."""
    k, sizes = axis_of(axis, x.ndim), list(integers("shape", shape))
    known = math.prod(s for s in sizes if s != -1)
    if sizes.count(-1) == 1 and known and x.shape[k] % known == 0:
        sizes[sizes.index(-1)] = x.shape[k] // known
    if min(sizes, default=0) < 0 or math.prod(sizes) != x.shape[k]:
        raise InferenceError(f"cannot unflatten axis {k} of size {x.shape[k]} into {shape}")
    return reshaped(x, (*x.shape[:k], *sizes, *x.shape[k + 1 :]))


def at_least(rank, shaped):
    """The composite that gives each array ``rank`` axes or more, by ``shaped(shape)``."""

    def function(*arrays):
        wide = [x if x.ndim >= rank else reshaped(x, shaped(x.shape)) for x in arrays]
        return tuple(wide) if len(wide) > 1 else wide[0]

    return function


def deep(shape):
    """The shape of an image with a depth: (n,) becomes (1, n, 1), and (n, m) becomes (n, m, 1)."""
    return (1, *(shape or (1,)), 1)[len(shape) // 2 :]


atleast_1d = at_least(1, lambda shape: (1,))
atleast_2d = at_least(2, lambda shape: (1, *(shape or (1,))))
atleast_3d = at_least(3, deep)

# reversals and rotations


def fliplr(x):
    return ops.flip(x, axis=axis_of(1, x.ndim))


def flipud(x):
    return ops.flip(x, axis=axis_of(0, x.ndim))


def rot90(x, *, k=1, axes=(0, 1)):
    plane = several("axes", axes, x.ndim)
    if len(plane) != 2:
        raise InferenceError(f"axes is {axes}; a plane has two axes")
    turns = integer("k", k) % 4
    if turns % 2:
        return swapaxes(ops.flip(x, axis=plane[turns % 3]), axis1=plane[0], axis2=plane[1])
    return ops.flip(x, axis=plane) if turns else x


def roll(x, *, shift, axis=None):
    if axis is None:
        return reshaped(roll(ravel(x), shift=sum(integers("shift", shift)), axis=0), x.shape)
    shifts, axes = integers("shift", shift), [axis_of(a, x.ndim) for a in integers("axis", axis)]
    try:
        pairs = list(np.broadcast(shifts, axes))
    except ValueError:
        raise InferenceError(f"shift has {len(shifts)} entries, and axis {len(axes)}") from None
    for k in sorted(set(axes)):
        cut = -sum(s for s, a in pairs if a == k) % max(x.shape[k], 1)
        x = ops.concat(part(x, k, cut, x.shape[k]), part(x, k, 0, cut), axis=k) if cut else x
    return x


# repetitions


def tile(x, *, repetitions):
    """``repetitions`` counts along each axis; the shorter of it and the shape is filled up with ones in front."""
    counts = integers("repetitions", repetitions)
    if min(counts, default=0) < 0:
        raise InferenceError(f"repetitions is {repetitions}; no count may be negative")
    counts = (1,) * (x.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - x.ndim) + x.shape
    apart = reshaped(x, tuple(size for n in shape for size in (1, n)))
    wide = ops.broadcast_to(apart, shape=[size for pair in zip(counts, shape, strict=True) for size in pair])
    return reshaped(wide, tuple(n * k for n, k in zip(shape, counts, strict=True)))


def repeat(x, *, repeats, axis=None):
    """``repeats``: a count for all elements along the axis, or one for each of them."""
    if axis is None:
        return repeat(ravel(x), repeats=repeats, axis=0)
    k, counts = axis_of(axis, x.ndim), integers("repeats", repeats)
    if min(counts, default=0) < 0:
        raise InferenceError(f"repeats is {repeats}; no count may be negative")
    if len(counts) == 1:
        return repeated(x, k, counts[0])
    if len(counts) != x.shape[k]:
        raise InferenceError(f"repeats has {len(counts)} entries, and axis {k} has size {x.shape[k]}")
    runs = [(count, len(list(run))) for count, run in groupby(counts)] or [(1, 0)]
    few(len(runs))
    ends = accumulate((length for _, length in runs), initial=0)
    parts = [repeated(part(x, k, a, b), k, n) for (n, _), (a, b) in zip(runs, pairwise(ends), strict=True)]
    return ops.concat(*parts, axis=k) if len(parts) > 1 else parts[0]


def repeated(x, axis, count):
    """Each element along an axis ``count`` times."""
    apart = ops.expand_dims(x, axis=axis + 1)
    wide = ops.broadcast_to(apart, shape=at(apart.shape, axis + 1, count))
    return reshaped(wide, at(x.shape, axis, x.shape[axis] * count))


def broadcast_arrays(*arrays):
    try:
        shape = np.broadcast_shapes(*(x.shape for x in arrays))
    except ValueError:
        raise InferenceError(f"shapes {' and '.join(str(x.shape) for x in arrays)} do not broadcast") from None
    wide = tuple(x if x.shape == shape else ops.broadcast_to(x, shape=shape) for x in arrays)
    return wide if len(wide) > 1 else wide[0]


def meshgrid(*arrays, indexing="xy"):
    """``indexing`` "ij" gives the axes in the order of the vectors; "xy" exchanges the first two."""
    if indexing not in ("xy", "ij"):
        raise InferenceError(f"indexing is {indexing!r}; it must be 'xy' or 'ij'")
    if any(x.ndim > 1 for x in arrays):
        raise InferenceError(f"shapes {', '.join(str(x.shape) for x in arrays)}: a mesh is made of vectors")
    count = len(arrays)
    places = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else range(count)
    lines = [reshaped(x, at((1,) * count, k, x.size)) for x, k in zip(arrays, places, strict=True)]
    return broadcast_arrays(*lines)


# images


def pixel_shuffle(x, *, upscale_factor):
    r = integer("upscale_factor", upscale_factor)
    if x.ndim < 3 or r < 1 or x.shape[-3] % (r * r):
        raise InferenceError(f"needs (..., c * {r}², h, w), got shape {x.shape}")
    *batch, channels, height, width = x.shape
    n = len(batch)
    apart = reshaped(x, (*batch, channels // (r * r), r, r, height, width))
    order = (*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return reshaped(transposed(apart, order), (*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(x, *, downscale_factor):
    r = integer("downscale_factor", downscale_factor)
    if x.ndim < 3 or r < 1 or x.shape[-2] % r or x.shape[-1] % r:
        raise InferenceError(f"needs (..., c, h * {r}, w * {r}), got shape {x.shape}")
    *batch, channels, height, width = x.shape
    n = len(batch)
    apart = reshaped(x, (*batch, channels, height // r, r, width // r, r))
    order = (*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return reshaped(transposed(apart, order), (*batch, channels * r * r, height // r, width // r))


def channel_shuffle(x, *, groups):
    count = integer("groups", groups)
    if x.ndim < 3 or count < 1 or x.shape[1] % count:
        raise InferenceError(f"needs (n, {count} * c, ...), got shape {x.shape}")
    apart = reshaped(x, (x.shape[0], count, x.shape[1] // count, *x.shape[2:]))
    return reshaped(ops.swapaxes(apart, axis1=1, axis2=2), x.shape)


THREE = (2, 3, 4)
VIEWED = (case(THREE), case(()))
ROLLED = (case(THREE, shift=1), case(THREE, shift=(1, -2), axis=(0, 2)), case((5,), shift=-7, axis=0))
TILED = (case((2, 3), repetitions=(2, 1, 4)), case(THREE, repetitions=2), case((), repetitions=3))
REPEATED = (case((2, 3), repeats=2), case((2, 3), repeats=(2, 0, 1), axis=1), case(THREE, repeats=2, axis=-1))
MOVED = (case(THREE, source=(0, 1), destination=(-1, 0)), case(THREE, source=0, destination=2))
TURNED = (*(case((2, 3), k=k) for k in (1, 2, -1)), case(THREE, axes=(2, 0)))
MESHED = (case((2,), (3,), (4,)), case((2,), (3,), indexing="ij"), case((2,)))

# fmt: off
REARRANGING = (
    Composite("permute_dims", permute_dims, cases=(case(THREE, axes=(1, 2, 0)),), doc="axes permuted"),
    Composite("moveaxis", moveaxis, cases=MOVED, doc="axes moved to other positions; the others keep their order"),
    Composite("swapaxes", swapaxes, cases=(case(THREE, axis1=0, axis2=-1), case((2, 2), axis1=0, axis2=1)),
              doc="two axes exchanged"),
    Composite("adjoint", adjoint, cases=(case((2, 3)), case(THREE)), doc="the last two axes exchanged, and conjugated"),
    Composite("ravel", ravel, cases=VIEWED, doc="the elements in C order, as a vector"),
    Composite("flatten", flatten, cases=(*VIEWED, case(THREE, start_axis=1), case(THREE, end_axis=-2)),
              doc="the axes from start_axis to end_axis joined to a single axis"),
    Composite("unflatten", unflatten, cases=(case((2, 12), axis=1, shape=(3, 4)), case((6, 5), axis=0, shape=(2, -1))),
              doc="an axis taken apart into several"),
    Composite("atleast_1d", atleast_1d, cases=(case((), (2, 3)), case(())), doc="a number as a vector; all else as it is"),
    Composite("atleast_2d", atleast_2d, cases=(case((3,), THREE), case(())),
              doc="a number or vector as the row of a matrix"),
    Composite("atleast_3d", atleast_3d, cases=(case((2, 3), ()), case((3,))),
              doc="(n,) as (1, n, 1), and (n, m) as (n, m, 1)"),
    Composite("fliplr", fliplr, cases=(case((2, 3)),), doc="the order of the second axis reversed"),
    Composite("flipud", flipud, cases=(case((2, 3)),), doc="the order of the first axis reversed"),
    Composite("rot90", rot90, cases=TURNED, doc="turned by k right angles, from the first of axes to the second"),
    Composite("roll", roll, cases=ROLLED, doc="elements moved along axes, those beyond the end to the front"),
    Composite("tile", tile, cases=TILED, doc="x repeated as a whole, along each axis"),
    Composite("repeat", repeat, cases=REPEATED, doc="each element along an axis repeated"),
    Composite("broadcast_arrays", broadcast_arrays, cases=(case((2, 1), (3,), ()), case((2, 3))),
              doc="arrays repeated to a common shape"),
    Composite("meshgrid", meshgrid, cases=MESHED, doc="the coordinates of a grid, from those along its axes"),
    Composite("pixel_shuffle", pixel_shuffle,
              cases=(case((4, 1, 3), upscale_factor=2), case((2, 12, 1, 3), upscale_factor=2)),
              doc="(..., c r², h, w) as (..., c, h r, w r)"),
    Composite("pixel_unshuffle", pixel_unshuffle,
              cases=(case((1, 2, 4), downscale_factor=2), case((3, 2, 4), downscale_factor=2)),
              doc="(..., c, h r, w r) as (..., c r², h, w)"),
    Composite("channel_shuffle", channel_shuffle, cases=(case((1, 6, 2), groups=3), case((2, 6, 1, 4), groups=3)),
              doc="the channels of (n, groups c, ...) with the groups interleaved"),
)
# fmt: on

register_ops = registering(*named(REARRANGING))
