"""Ops that join arrays, and those that take an array apart."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.lib.stride_tricks import as_strided

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
    promoted,
    registering,
)
from gradproof.plugins.axes import ROOM, at, axis_of, integer, integers, smaller
from gradproof.plugins.families import H
from gradproof.plugins.names import named
from gradproof.plugins.slicing import few, part, piece

GRADPROOF_API = 1

MAX_SECTIONS = 16  # of `sections`, which has a definition for each

# concat

LARGE = 4096
"""Elements from which on it is worth while to look where arrays lie."""


def concat_infer(*arrays: Spec, axis: object = 0) -> Inferred:
    axis = axis_of(axis, arrays[0].ndim)
    if any(a.ndim != arrays[0].ndim or at(a.shape, axis, 0) != at(arrays[0].shape, axis, 0) for a in arrays):
        raise InferenceError(f"shapes {', '.join(str(a.shape) for a in arrays)} differ off axis {axis}")
    dtype = promoted(arrays)
    out = Spec(at(arrays[0].shape, axis, sum(a.shape[axis] for a in arrays)), dtype)
    return Inferred((out,), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def concat(*arrays, axis):
    return np.concatenate(arrays, axis)


def concat_into(out, *arrays, axis):
    """`concat` written to ``out``. Windows that slide over an array, as in a convolution, lie side by side: their elements
    are copied in longer lines."""
    np.concatenate(_joined(arrays, axis) if out.size >= LARGE else arrays, axis, out)


def _joined(arrays, axis):
    """The arrays, with those that continue one another in memory along the axis as a single view."""
    joined = [arrays[0]]
    for array in arrays[1:]:
        last = joined[-1]
        step, shape = last.strides[axis], last.shape
        end = last.__array_interface__["data"][0] + shape[axis] * step
        fits = array.strides == last.strides and array.dtype == last.dtype
        if not fits or array.__array_interface__["data"][0] != end or not array.size:
            joined.append(array)
            continue
        longer = at(shape, axis, shape[axis] + array.shape[axis])
        joined[-1] = as_strided(last, longer, last.strides, writeable=False)
    return joined


def concat_rule(g, y, *arrays, axis):
    """The slices of g that the arrays fill."""
    parts, start = [], 0
    for array in arrays:
        parts.append(part(g, axis, start, start + array.shape[axis]))
        start += array.shape[axis]
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
    dtype = promoted(arrays)
    shape = (*arrays[0].shape[:axis], len(arrays), *arrays[0].shape[axis:])
    return Inferred((Spec(shape, dtype),), {"axis": axis}, tuple(Spec(a.shape, dtype) for a in arrays))


def stack(*arrays, axis):
    return np.stack(arrays, axis)


def stack_rule(g, y, *arrays, axis):
    """The slices of g along the new axis."""
    return tuple(piece(g, axis, k) for k in range(len(arrays)))


def stack_define(f, i, *arrays, axis):
    return arrays[i[axis]][(*i[:axis], *i[axis + 1 :])]


def stack_arrays(f, *arrays, axis):
    return f.moved(lambda *parts: np.stack(parts, axis), *arrays)


def stack_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    return case(*[smaller(specs[0].shape, max(ROOM // len(specs), 1))] * len(specs), **attributes)


# sections


def sections_infer(x: Spec, *, sizes: object, axis: object = 0) -> Inferred:
    axis = axis_of(axis, x.ndim)
    sizes = integers("sizes", sizes)
    if not 2 <= len(sizes) <= MAX_SECTIONS:
        raise InferenceError(f"cuts into 2 to {MAX_SECTIONS} sections, not {len(sizes)}: split cuts into any number")
    if sum(sizes) != x.shape[axis] or min(sizes) < 0:
        raise InferenceError(f"sections {sizes} do not add up to the {x.shape[axis]} of axis {axis}")
    return Inferred(tuple(Spec(at(x.shape, axis, size), x.dtype) for size in sizes), {"sizes": sizes, "axis": axis})


def sections(x, *, sizes, axis):
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


def sections_rule(g, y, x, *, sizes, axis):
    """The cotangents of the sections, joined."""
    return ops.concat(*g, axis=axis)


def sections_define(part):
    """The definition of result number ``part``."""

    def define(f, i, x, *, sizes, axis):
        return x[at(i, axis, sum(sizes[:part]) + i[axis])]

    return define


def sections_arrays(f, x, *, sizes, axis):
    cuts = [(slice(None),) * axis + (slice(a, b),) for a, b in pairwise(accumulate((0, *sizes)))]
    return tuple(f.moved(lambda a, cut=cut: a[cut], x) for cut in cuts)


def sections_shrink(specs: Sequence[Spec], attributes: Attributes) -> Case:
    sizes, axis = tuple(min(size, 2) for size in attributes["sizes"]), attributes["axis"]
    rest = smaller(at(specs[0].shape, axis, 1), max(ROOM // max(sum(sizes), 1), 1))
    return case(at(rest, axis, sum(sizes)), sizes=sizes, axis=axis)


# split and its kin


def split(x, *, sections, axis=0):
    """``sections``: how many, all of a size, or the size of each."""
    k = axis_of(axis, x.ndim)
    count = None if isinstance(sections, (tuple, list)) else few(integer("sections", sections))
    sizes = integers("sections", sections if count is None else (x.shape[k] // max(count, 1),) * count)
    if sum(sizes) != x.shape[k] or min(sizes, default=-1) < 0:
        raise InferenceError(f"sections {sizes} do not add up to the {x.shape[k]} of axis {k}")
    return cut(x, k, [0, *accumulate(sizes)])


def array_split(x, *, indices_or_sections, axis=0):
    """As NumPy has it: a number of sections, the first of which are longer by 1 where they are not equal, or the places
    where a section ends and the next begins."""
    k = axis_of(axis, x.ndim)
    if isinstance(indices_or_sections, (tuple, list)):
        ends = [slice(None, end).indices(x.shape[k])[1] for end in integers("indices_or_sections", indices_or_sections)]
        return cut(x, k, [0, *ends, x.shape[k]])
    count = few(integer("indices_or_sections", indices_or_sections))
    if count < 1:
        raise InferenceError(f"indices_or_sections is {count}; there must be a section")
    size, longer = divmod(x.shape[k], count)
    return cut(x, k, [0, *accumulate(size + (section < longer) for section in range(count))])


def cut(x, axis, ends):
    """The parts of ``x`` between ends that follow each other along an axis. Parts that fill the axis are sections, in
    groups of groups where they are many, so that their cotangents are joined, not added up."""
    sizes = [max(stop - start, 0) for start, stop in pairwise(ends)]
    if sum(sizes) == x.shape[axis] and len(sizes) > 1:
        return cut_into(x, axis, sizes)
    parts = tuple(part(x, axis, start, max(start, stop)) for start, stop in pairwise(ends))
    return parts if len(parts) > 1 else parts[0]


def cut_into(x, axis, sizes):
    """Sections of two or more ``sizes``."""
    if len(sizes) <= MAX_SECTIONS:
        return ops.sections(x, sizes=tuple(sizes), axis=axis)
    groups = list(batched(sizes, -(-len(sizes) // MAX_SECTIONS)))
    wholes = ops.sections(x, sizes=tuple(map(sum, groups)), axis=axis)
    parts: list[object] = []
    for whole, group in zip(wholes, groups, strict=True):
        parts += cut_into(whole, axis, group) if len(group) > 1 else (whole,)
    return tuple(parts)


def batched(sizes, count):
    """Groups of ``count`` sizes that follow each other; the last may be smaller."""
    return (sizes[start : start + count] for start in range(0, len(sizes), count))


def split_along(axis_for):
    """The split of NumPy's, along the axis ``axis_for(x)``: into a number of sections of a size, or at places."""

    def function(x, *, indices_or_sections):
        axis = axis_of(axis_for(x), x.ndim)
        count = indices_or_sections
        if not isinstance(count, (tuple, list)) and x.shape[axis] % max(integer("indices_or_sections", count), 1):
            raise InferenceError(f"cannot split the {x.shape[axis]} of axis {axis} into {count} equal sections")
        return array_split(x, indices_or_sections=count, axis=axis)

    return function


def unstack(x, *, axis=0):
    k = axis_of(axis, x.ndim)
    if not x.shape[k]:
        raise InferenceError(f"axis {k} of {x.spec} has no elements, and so there are no results")
    pieces = tuple(piece(x, k, place) for place in range(few(x.shape[k])))
    return pieces if len(pieces) > 1 else pieces[0]


# joins of vectors and matrices


def vstack(*arrays):
    return ops.concat(*(ops.atleast_2d(x) for x in arrays), axis=0)


def hstack(*arrays):
    return ops.concat(*(ops.atleast_1d(x) for x in arrays), axis=int(arrays[0].ndim > 1))


def dstack(*arrays):
    return ops.concat(*(ops.atleast_3d(x) for x in arrays), axis=2)


def column_stack(*arrays):
    columns = (x if x.ndim > 1 else ops.reshape(x, shape=(x.size, 1)) for x in arrays)
    return ops.concat(*columns, axis=1)


def block_diag(*arrays):
    """As `scipy.linalg.block_diag`: a vector is a row."""
    blocks = [ops.atleast_2d(x) for x in arrays]
    if any(x.ndim > 2 for x in blocks):
        raise InferenceError(f"shapes {', '.join(str(x.shape) for x in arrays)}: a block is a matrix, a vector or a number")
    width, starts = sum(x.shape[1] for x in blocks), accumulate((x.shape[1] for x in blocks), initial=0)
    rows = (
        ops.unslice(x, shape=(x.shape[0], width), start=(0, start), step=(1, 1))
        for x, start in zip(blocks, starts, strict=False)
    )
    return ops.concat(*rows, axis=0)


def cartesian_prod(*arrays):
    if any(x.ndim != 1 for x in arrays):
        raise InferenceError(f"shapes {', '.join(str(x.shape) for x in arrays)}: the product is one of vectors")
    if len(arrays) == 1:
        return arrays[0]
    return ops.stack(*(ops.ravel(x) for x in ops.meshgrid(*arrays, indexing="ij")), axis=1)


JOINED = (case((2,), (3,)), case((2, 1), (2, 2), axis=1), case((2, 2), (2, 2), (2, 2)))
STACKED = (case((), ()), case((2, 3), (2, 3), axis=1), case((2,), (2,), (2,), axis=-1))
IN_SECTIONS = (case((5,), sizes=(2, 3)), case((2, 4), sizes=(1, 3), axis=1), case((3, 2), sizes=(1, 1, 1)))
SECTIONS = tuple(sections_define(part) for part in range(MAX_SECTIONS))
CUT = (case((5, 4), sections=(2, 3)), case((2, 4), sections=2, axis=1))
CUT_UNEQUALLY = (case((5, 3), indices_or_sections=2), case((2, 5), indices_or_sections=(1, 4), axis=1))
CUT_EQUALLY = (case((4, 1, 2), indices_or_sections=(1,)), case((4, 2, 6), indices_or_sections=2))
PIECES = (case((2, 3)), case((3, 2, 4), axis=-1))
VECTORS = (case((3,), (3,)), case((2, 3), (2, 3)), case((), ()))
COLUMNS = (case((3,), (3, 2)), case((2, 3), (2, 4)))
BLOCKS = (case((2, 3), (1, 2)), case((3,), (), (2, 1)))

# fmt: off
JOINING = (
    # op        forward        rule         definition     inference     cases
    H("concat", concat,        concat_rule, concat_define, concat_infer, JOINED,
      shrink=concat_shrink, arrays=concat_arrays, doc="arrays joined along an axis"),
    H("stack",  stack,         stack_rule,  stack_define,  stack_infer,  STACKED,
      shrink=stack_shrink, arrays=stack_arrays, doc="arrays joined along a new axis"),
    H("sections", sections,   sections_rule, SECTIONS,     sections_infer, IN_SECTIONS,
      shrink=sections_shrink, arrays=sections_arrays, doc="cut into 2 to 16 sections of given sizes"),
    Composite("split", split, cases=CUT, doc="cut into sections along an axis"),
    Composite("array_split", array_split, cases=CUT_UNEQUALLY,
              doc="cut along an axis, into sections whose sizes may differ by 1"),
    Composite("vsplit", split_along(lambda x: 0), cases=CUT_EQUALLY, doc="cut into sections along the first axis"),
    Composite("hsplit", split_along(lambda x: int(x.ndim > 1)), cases=CUT_EQUALLY,
              doc="cut into sections along the second axis, a vector along its only axis"),
    Composite("dsplit", split_along(lambda x: 2), cases=CUT_EQUALLY, doc="cut into sections along the third axis"),
    Composite("unstack", unstack, cases=PIECES, doc="the parts along an axis, without that axis"),
    Composite("vstack", vstack, cases=VECTORS, doc="arrays joined along the first axis, vectors as rows"),
    Composite("hstack", hstack, cases=VECTORS, doc="arrays joined along the second axis, vectors along their only axis"),
    Composite("dstack", dstack, cases=VECTORS, doc="arrays joined along the third axis"),
    Composite("column_stack", column_stack, cases=COLUMNS, doc="matrices joined along the second axis, vectors as columns"),
    Composite("block_diag", block_diag, cases=BLOCKS, doc="matrices along the diagonal of a larger one"),
    Composite("cartesian_prod", cartesian_prod, cases=(case((2,), (3,)), case((3,))),
              doc="all tuples of elements of vectors, as rows"),
)
# fmt: on

MEMORY = {
    "concat": Memory(into=concat_into),
    "stack": Memory(into=lambda out, *arrays, axis: np.stack(arrays, axis, out)),
}

register_ops = registering(*named(JOINING), memory=MEMORY)
