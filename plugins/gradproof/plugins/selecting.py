"""Selection and replacement along an axis or by a mask, under the names of PyTorch: composites of gathers and updates."""

import numpy as np

from gradproof.engine.extend import INTEGER, REAL, Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import at, axis_of, boolean, integer
from gradproof.plugins.gathering import UPDATED, require_integers
from gradproof.plugins.names import named
from gradproof.plugins.rearranging import broadcast_arrays
from gradproof.plugins.slicing import piece, reshaped, widened

GRADPROOF_API = 1

# a part along an axis


def place_of(index, x, axis):
    """A place along an axis, counted from the front. Raises InferenceError if it is out of range."""
    place, size = integer("index", index), x.shape[axis]
    if not -size <= place < size:
        raise InferenceError(f"index {place} is out of bounds for axis {axis} with size {size}")
    return place % size


def select(x, *, axis, index):
    k = axis_of(axis, x.ndim)
    return piece(x, k, place_of(index, x, k))


def select_scatter(x, values, *, axis, index):
    """``values`` have the shape of the part, or one that broadcasts to it."""
    k = axis_of(axis, x.ndim)
    place, shape = place_of(index, x, k), at(x.shape, k, 1)
    whole = widened(values, (*x.shape[:k], *x.shape[k + 1 :]), f"the part at {place} of axis {k}")
    start, stop = at((0,) * x.ndim, k, place), at(x.shape, k, place + 1)
    return ops.slice_scatter(x, reshaped(whole, shape), start=start, stop=stop)


# elements at indices along an axis


def corner(x, indices, axis):
    """The region of ``x`` that indices of the same rank are for: from the front, as long as they are, and whole along the
    axis. Raises InferenceError where it is not in ``x``."""
    require_integers(indices.spec)
    if x.ndim != indices.ndim:
        raise InferenceError(f"indices have rank {indices.ndim}, and {x.spec} has rank {x.ndim}: they must be equal")
    region = at(indices.shape, axis, x.shape[axis])
    if any(size > whole for size, whole in zip(region, x.shape, strict=True)):
        raise InferenceError(f"indices of shape {indices.shape} are larger than {x.spec} beside axis {axis}")
    return region


def cropped(x, shape):
    """The corner of ``x`` of a shape."""
    return x if x.shape == tuple(shape) else ops.slice(x, start=(0,) * x.ndim, stop=tuple(shape))


def gather(x, indices, *, axis):
    if not x.ndim and not indices.ndim:
        return reshaped(gather(reshaped(x, (1,)), reshaped(indices, (1,)), axis=axis), ())
    k = axis_of(axis, x.ndim)
    return ops.take_along_axis(cropped(x, corner(x, indices, k)), indices, axis=k)


def scattering(op):
    """The composite that puts or adds, by ``op``, the elements of values at indices along an axis: of values that are
    larger than the indices their corner."""

    def function(x, indices, values, *, axis):
        if not x.ndim and not indices.ndim:
            lines = (reshaped(part, (1,)) for part in (x, indices, values))
            return reshaped(function(*lines, axis=axis), ())
        k = axis_of(axis, x.ndim)
        region = corner(x, indices, k)
        same_rank = values.ndim == indices.ndim
        used = cropped(values, indices.shape) if same_rank and fits(indices.shape, values.shape) else values
        written = getattr(ops, op)(cropped(x, region), indices, used, axis=k)
        return written if region == x.shape else ops.slice_scatter(x, written, start=(0,) * x.ndim, stop=region)

    return function


def fits(shape, other):
    return all(size <= whole for size, whole in zip(shape, other, strict=True))


def index_fill(x, indices, value, *, axis):
    return ops.index_copy(x, indices, scalar(value), axis=axis)


def scalar(value):
    """``value``, which must be a single number. Raises InferenceError."""
    if value.size != 1:
        raise InferenceError(f"value has shape {value.shape}; it must be a single number")
    return reshaped(value, ())


def put(x, indices, values, *, accumulate=False):
    """The places are counted through the whole array, in C order."""
    op = ops.index_add if boolean("accumulate", accumulate) else ops.index_copy
    lines = reshaped(x, (x.size,)), reshaped(indices, (indices.size,))
    wide = widened(values, indices.shape, "the array of indices")
    return reshaped(op(*lines, reshaped(wide, (indices.size,)), axis=0), x.shape)


def embedding(weight, indices, *, padding_idx=None):
    """No gradient flows to the row ``padding_idx``."""
    rows = ops.take(weight, indices, axis=0)
    if padding_idx is None:
        return rows
    padded = ops.equal(ops.remainder(indices, weight.shape[0]), place_of(padding_idx, weight, 0))
    wide = reshaped(padded, (*indices.shape, *(1,) * (weight.ndim - 1)))
    return ops.where(wide, ops.stop_gradient(rows), rows)


# by a mask


def masked_fill(x, mask, value):
    return ops.where(mask, scalar(value), x)


def masked_select(x, mask, *, count):
    """``count``: the number of elements that the mask is true for, since shapes must be known before values are."""
    wide, condition = broadcast_arrays(x, mask)
    places = ops.flatnonzero(condition, count=count)
    return ops.take(reshaped(wide, (wide.size,)), places, axis=0)


def masked_scatter(x, mask, source):
    """The elements of ``source`` in C order, for the true elements of the mask in theirs."""
    wide, condition = broadcast_arrays(x, mask)
    taken = ops.take(reshaped(source, (source.size,)), ops.number_true(condition), axis=0)
    return ops.where(condition, taken, wide)


def compress(x, condition, *, count, axis=None):
    """As `numpy.compress`, of a condition for each part along the axis; ``count`` of them are true."""
    if condition.ndim != 1:
        raise InferenceError(f"condition has shape {condition.shape}; it must be a vector")
    line = reshaped(x, (x.size,)) if axis is None else x
    return ops.take(line, ops.flatnonzero(condition, count=count), axis=0 if axis is None else axis)


def nonzero(x, *, count):
    """As `numpy.nonzero`: an array of indices for each axis. ``count``: how many elements are not 0."""
    rest, results = ops.flatnonzero(ops.not_equal(x, 0), count=count), []
    for size in x.shape[:0:-1]:
        results.append(ops.remainder(rest, max(size, 1)))
        rest = ops.floor_divide(rest, max(size, 1))
    results.append(rest)
    return tuple(results[::-1]) if len(results) > 1 else rest


def argwhere(x, *, count):
    axes = nonzero(x, count=count)
    return ops.stack(*(axes if isinstance(axes, tuple) else (axes,)), axis=1)


INDICES, GRID = np.array([2, 0, 2]), np.array([[1, 0, 1], [0, 0, -1]])
MASK = np.array([[True, False, True], [False, False, True]])
REGION = np.array([[1], [-1]])
GATHERED = (case((2, 2), GRID, axis=1), case((3, 4), REGION, axis=0), case((), np.array(0), axis=0))
SCATTERED = (
    case((2, 2), GRID, (2, 3), axis=1),
    case((3, 4), REGION, (4, 3), axis=0),
    case((3, 2), REGION, (), axis=1),
    case((), np.array(-1), (), axis=0),
)
MASKED = (REAL, INTEGER, REAL)

# fmt: off
SELECTING = (
    Composite("select", select, cases=(case((2, 3, 4), axis=1, index=-1),),
              doc="the part at a place of an axis, without that axis"),
    Composite("select_scatter", select_scatter,
              cases=(case((2, 3, 4), (2, 4), axis=1, index=-1), case((2, 3), (), axis=0, index=1)),
              doc="x with values in place of its part at a place of an axis"),
    Composite("gather", gather, cases=GATHERED, domains=(REAL, INTEGER),
              doc="elements at indices along an axis, of each line its own; the indices may be for a corner of x"),
    Composite("scatter", scattering("put_along_axis"), cases=SCATTERED, domains=UPDATED,
              doc="x with values in place of its elements at indices along an axis, on each line its own"),
    Composite("scatter_add", scattering("add_along_axis"), cases=SCATTERED, domains=UPDATED,
              doc="x with values added at indices along an axis, on each line its own"),
    Composite("index_fill", index_fill, cases=(case((2, 3), INDICES, (), axis=1),), domains=UPDATED,
              doc="x with a number in place of its parts at indices along an axis"),
    Composite("put", put, cases=(case((2, 3), GRID, (2, 3)), case((2, 3), GRID, (2, 1), accumulate=True)), domains=UPDATED,
              doc="x with values in place of its elements, or added to them, at places in C order"),
    Composite("embedding", embedding, cases=(case((4, 2), GRID), case((4, 2), GRID, padding_idx=-3)),
              domains=(REAL, INTEGER), doc="rows of weight at indices; the row padding_idx has no gradient"),
    Composite("masked_fill", masked_fill, cases=(case((2, 3), MASK, ()), case((2, 1), MASK[0], ())), domains=MASKED,
              doc="x with a number where the mask is true"),
    Composite("masked_select", masked_select, cases=(case((2, 3), MASK, count=3), case((2, 1), MASK[0], count=4)),
              domains=(REAL, INTEGER), doc="the elements where the mask is true, count of them, as a vector"),
    Composite("masked_scatter", masked_scatter, cases=(case((2, 3), MASK, (4,)), case((2, 1), MASK[0], (2, 2))),
              domains=MASKED, doc="x with the elements of source, in their order, where the mask is true"),
    Composite("compress", compress, cases=(case((2, 3), MASK[0], count=2, axis=1), case((2, 2), MASK[0], count=2)),
              domains=(REAL, INTEGER), doc="the parts along an axis where the condition is true, count of them"),
    Composite("argwhere", argwhere, cases=(case(GRID, count=3),), domains=INTEGER,
              doc="the indices of the elements that are not 0, as rows; there are count of them"),
    Composite("nonzero", nonzero, cases=(case(GRID, count=3), case(INDICES, count=2)), domains=INTEGER,
              doc="the indices, along each axis, of the elements that are not 0, of which there are count"),
)
# fmt: on

register_ops = registering(*named(SELECTING))
