"""Indexing with keys: `getitem` and `index_put`, with the indexing of NumPy in full. A key is a list of

- ``(start, stop, step)``: a slice, with None for defaults;
- an integer; ``None``: a new axis; ``"..."``: as many whole axes as are left;
- ``"array"``: the next of the inputs that are indices, an array of integers;
- ``("mask", count)``: the next of them as a mask, of which ``count`` elements are true: shapes are known before values.

Axes behind those of the key stay whole. No key stands for an array of integers for each of the first axes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.engine.extend import INTEGER, REAL, Composite, InferenceError, case, ops, registering
from gradproof.plugins.axes import Cut, boolean, cut_of, integer, length_of, listed
from gradproof.plugins.gathering import require_integers
from gradproof.plugins.names import named
from gradproof.plugins.slicing import reshaped, transposed, widened

GRADPROOF_API = 1

REST, ARRAY, MASK = "...", "array", "mask"
AXIS, NEW, PLACE = "axis", "new", "place"
WHOLE = (None, None, None)
KINDS = f'an integer, a (start, stop, step), None, "{REST}", "{ARRAY}" or ("{MASK}", count)'

# the entries of a key


def is_list(entry: Any, length: int) -> bool:
    return isinstance(entry, (tuple, list)) and len(entry) == length


def takes_array(entry: Any) -> bool:
    return bool(entry == ARRAY or (is_list(entry, 2) and entry[0] == MASK))


def width(entry: Any, array: Any) -> int:
    """The number of axes that an entry is for."""
    if entry is None or entry == REST:
        return 0
    return 1 if array is None or entry == ARRAY else int(array.ndim)


def kind_of(entry: Any) -> str:
    """What an entry gives: an axis, a new axis, a place, or no more than a gap between places, as an ellipsis does."""
    return NEW if entry is None else REST if entry == REST else AXIS if is_list(entry, 3) else PLACE


def entries_of(key: object, arrays: Sequence[Any], ndim: int) -> Iterator[tuple[Any, Any]]:
    """Each entry of a key with its array, or None, and whole slices, in front of its ellipsis, for the axes
    that the key does not name. Raises InferenceError if the key does not fit."""
    entries = [ARRAY] * len(arrays) if key is None else list(listed("key", key))
    if sum(map(takes_array, entries)) != len(arrays) or entries.count(REST) > 1:
        raise InferenceError(f"key {key} does not fit {len(arrays)} inputs; an entry is {KINDS}, with a single {REST!r}")
    entries = entries if REST in entries else [*entries, REST]
    rest = iter(arrays)
    pairs = [(entry, next(rest) if takes_array(entry) else None) for entry in entries]
    missing = ndim - sum(width(*pair) for pair in pairs)
    if missing < 0:
        raise InferenceError(f"key {key} is for {ndim - missing} axes, and x has {ndim}")
    for entry, array in pairs:
        yield from [(WHOLE, None)] * missing if entry == REST else []
        yield entry, array


def span(entry: Any, axis: int, size: int) -> Cut:
    """The slice of an axis that an entry stands for, as `ops.slice` takes it. Raises InferenceError."""
    if isinstance(entry, (str, tuple, list)):
        if not is_list(entry, 3) or entry[2] == 0:
            raise InferenceError(f"the key has the entry {entry!r}; an entry is {KINDS}")
        ends = (None if end is None else integer("a part of the key", end) for end in entry)
        return cut_of(slice(*ends), size)
    place = integer("a part of the key", entry)
    if not -size <= place < size:
        raise InferenceError(f"index {place} is out of bounds for axis {axis} with size {size}")
    return place % size, place % size + 1, 1


def places_of(entry: Any, array: Any, sizes: tuple[int, ...]) -> Any:
    """The places, in axes of ``sizes`` that are joined, that an array is for. Raises InferenceError."""
    if entry == ARRAY:
        require_integers(array.spec)
        return array
    if array.dtype.kind != "b" or array.shape != sizes:
        raise InferenceError(f"the mask is {array.spec}; it must be bool, and of the shape {sizes} of its axes")
    return ops.flatnonzero(reshaped(array, (array.size,)), count=entry[1])


@dataclass(frozen=True)
class Selection:
    """A key, read for an array: a slice of each axis, of which those in ``dropped`` go; then ``order``, which brings the
    axes of arrays together behind ``lead`` others, of which ``joined`` are joined to an axis; there the elements at
    ``places`` are taken, if not None; in the end there are new axes at ``added``."""

    ranges: list[Cut]
    dropped: list[int]
    order: list[int]
    lead: int
    joined: int
    places: Any
    added: list[int]

    @property
    def lengths(self) -> list[int]:
        """The sizes of the axes that were sliced."""
        return [length_of(cut) for cut in self.ranges]

    def is_whole(self, x: Any) -> bool:
        """True if no axis of ``x`` is cut."""
        return all(cut == (0, size, 1) for cut, size in zip(self.ranges, x.shape, strict=True))

    @property
    def kept(self) -> list[int]:
        """The sizes of the axes in their new order, before any are joined."""
        left = [n for k, n in enumerate(self.lengths) if k not in self.dropped]
        return [left[k] for k in self.order]

    @property
    def table_shape(self) -> list[int]:
        """The sizes of the axes when those of arrays are joined."""
        end = self.lead + self.joined
        return [*self.kept[: self.lead], math.prod(self.kept[self.lead : end]), *self.kept[end:]]

    def with_added(self, shape: Sequence[int]) -> list[int]:
        """``shape`` with the new axes."""
        sizes = iter(shape)
        return [1 if k in self.added else next(sizes) for k in range(len(shape) + len(self.added))]


def selection(x: Any, arrays: Sequence[Any], key: object) -> Selection:
    """The selection that a key stands for. Raises InferenceError."""
    ranges: list[Cut] = []
    dropped: list[int] = []
    indexed: list[int] = []
    sizes: list[int] = []
    places: list[Any] = []
    layout: list[str] = []
    for entry, array in entries_of(key, arrays, x.ndim):
        axes = range(len(ranges), len(ranges) + width(entry, array))
        covered = x.shape[len(ranges) : len(ranges) + len(axes)]
        layout.append(kind_of(entry))
        if array is not None:
            ranges += [(0, size, 1) for size in covered]
            indexed += axes
            sizes.append(math.prod(covered))
            places.append(places_of(entry, array, covered))
        elif axes:
            ranges.append(span(entry, axes[0], covered[0]))
            dropped += [] if layout[-1] == AXIS else axes
    joined = ops.ravel_multi_index(*places, shape=tuple(sizes)) if len(places) > 1 else (*places, None)[0]
    front = before_places(layout)
    taken = [PLACE] * (joined.ndim if places else 0)
    before, after = ([kind for kind in part if kind in (AXIS, NEW)] for part in (front, layout[len(front) :]))
    result = [*before, *taken, *after]
    left = [k for k in range(x.ndim) if k not in dropped]
    free, lead = [k for k in left if k not in indexed], front.count(AXIS)
    order = [left.index(k) for k in (*free[:lead], *indexed, *free[lead:])]
    added = [k for k, kind in enumerate(result) if kind == NEW]
    return Selection(ranges, dropped, order, lead, len(indexed), joined, added)


def before_places(layout: list[str]) -> list[str]:
    """The axes of the result before those of the arrays: none where the arrays are apart, as in NumPy."""
    first, count = layout.index(PLACE) if PLACE in layout else 0, layout.count(PLACE)
    return layout[:first] if layout[first : first + count] == [PLACE] * count else []


# getitem and index_put


def table_of(x: Any, s: Selection) -> Any:
    """``x``, sliced, with the axes of arrays joined to a single axis."""
    start, stop, step = zip(*s.ranges, strict=True) if s.ranges else ((), (), ())
    sliced = x if s.is_whole(x) else ops.slice(x, start=start, stop=stop, step=step)
    moved = transposed(ops.squeeze(sliced, axis=s.dropped) if s.dropped else sliced, s.order)
    return moved if s.places is None else reshaped(moved, s.table_shape)


def getitem(x, *indices, key=None):
    s = selection(x, indices, key)
    table = table_of(x, s)
    taken = table if s.places is None else ops.take(table, s.places, axis=s.lead)
    return ops.expand_dims(taken, axis=s.added) if s.added else taken


def index_put(x, values, *indices, key=None, accumulate=False):
    """``values`` have the shape of the elements at the key, or one that broadcasts to it."""
    s, adding = selection(x, indices, key), boolean("accumulate", accumulate)
    table = table_of(x, s)
    shape = table.shape if s.places is None else (*table.shape[: s.lead], *s.places.shape, *table.shape[s.lead + 1 :])
    wide = widened(values, s.with_added(shape), "x at the key")
    updates = ops.squeeze(wide, axis=s.added) if s.added else wide
    if s.places is not None:
        updates = (ops.index_add if adding else ops.index_copy)(table, s.places, updates, axis=s.lead)
    elif adding:
        updates = table + updates
    back = transposed(reshaped(updates, s.kept), [s.order.index(k) for k in range(len(s.order))])
    start, stop, step = zip(*s.ranges, strict=True) if s.ranges else ((), (), ())
    sliced = reshaped(back, s.lengths)
    reads_x = adding or s.places is not None  # or else x has the gradient 0 where all of it is replaced, and not none
    return sliced if s.is_whole(x) and reads_x else ops.slice_scatter(x, sliced, start=start, stop=stop, step=step)


GRID, LINE = np.array([[1, 0, 1], [0, 0, -1]]), np.array([1, 1, 0])
FLAGS = np.array([True, False, True])
READ = (
    case((3, 4), key=((None, None, -1), 1)),
    case((2, 3, 4), LINE, key=(REST, ARRAY, None)),
    case((2, 3, 4), GRID, LINE, key=(ARRAY, (1, None, None), ARRAY)),
    case((2, 3, 4), FLAGS, key=((None, None, None), (MASK, 2), 0)),
    case((2, 3), GRID),
)
WRITTEN = (
    case((3, 4), (3,), key=((None, None, -1), 1)),
    case((2, 3, 4), (), LINE, key=(REST, ARRAY, None), accumulate=True),
    case((2, 3, 4), (2, 3, 1), GRID, LINE, key=(ARRAY, (1, None, None), ARRAY)),
    case((2, 3, 4), (2, 2), FLAGS, key=((None, None, None), (MASK, 2), 0)),
    case((3, 4), (4,), key=(0,), accumulate=True),
)

ENTRIES = (
    "a list of integers, slices (start, stop, step), None for a new axis, '...', 'array' for the next input of integers, "
    "and ('mask', count) for the next input as a mask with count true elements"
)

KEYS = (
    Composite("getitem", getitem, cases=READ, domains=(REAL, INTEGER), doc=f"the elements at a key: {ENTRIES}"),
    Composite(
        "index_put",
        index_put,
        cases=WRITTEN,
        domains=(REAL, REAL, INTEGER),
        doc="x with values in place of the elements at a key, as getitem has it, or added to them",
    ),
)

register_ops = registering(*named(KEYS))
