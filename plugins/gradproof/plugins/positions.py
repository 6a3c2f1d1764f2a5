"""Positions: integers and conditions that say where elements are. No gradient flows through them."""

import math

import numpy as np

from gradproof.engine.extend import INTEGER, DataFault, InferenceError, Inferred, Spec, case, registering
from gradproof.plugins.axes import at, axis_of, integer, integers, refuse, whole
from gradproof.plugins.families import R
from gradproof.plugins.gathering import from_front, require_integers
from gradproof.plugins.names import named

GRADPROOF_API = 1

PLACE, CONDITION = np.dtype(np.int64), np.dtype(bool)

# ravel_multi_index


def ravel_infer(*indices: Spec, shape: object) -> Inferred:
    """``shape``: the sizes of the axes that the arrays of indices are for, which broadcast."""
    sizes = integers("shape", shape)
    for x in indices:
        require_integers(x)
    if len(sizes) != len(indices):
        raise InferenceError(f"shape {sizes} has {len(sizes)} axes, and there are indices for {len(indices)}")
    try:
        common = np.broadcast_shapes(*(x.shape for x in indices))
    except ValueError:
        raise InferenceError(f"shapes {' and '.join(str(x.shape) for x in indices)} do not broadcast") from None
    return Inferred((Spec(common, PLACE),), {"shape": sizes}, tuple(Spec(common, x.dtype) for x in indices))


def ravel_multi_index(*indices, shape):
    places = [from_front(x, size, axis) for axis, (x, size) in enumerate(zip(indices, shape, strict=True))]
    return np.asarray(sum(x * math.prod(shape[axis + 1 :]) for axis, x in enumerate(places)), PLACE)


def ravel_define(f, i, *indices, shape):
    places = [whole(x[i]) % size for x, size in zip(indices, shape, strict=True)]
    return sum(place * math.prod(shape[axis + 1 :]) for axis, place in enumerate(places))


def ravel_arrays(f, *indices, shape):
    places = tuple(f.places(x) % max(size, 1) for x, size in zip(indices, shape, strict=True))
    return f.moved(lambda: np.asarray(np.ravel_multi_index(places, shape)))


# flatnonzero


def flatnonzero_infer(mask: Spec, *, count: object) -> Inferred:
    """``count``: how many elements of the mask are true, since shapes must be known before values are."""
    if mask.dtype.kind not in "biu":
        raise InferenceError(f"the mask is {mask.dtype.name}; it must be bool or integers")
    known = integer("count", count)
    if not 0 <= known <= mask.size:
        raise InferenceError(f"count is {known}, and the mask has {mask.size} elements")
    return Inferred((Spec((known,), PLACE),), {"count": known})


def flatnonzero(mask, *, count):
    places = np.flatnonzero(mask)
    if places.size != count:
        raise DataFault(f"the mask has {places.size} true elements, and count is {count}")
    return places.astype(PLACE, copy=False)


def flatnonzero_define(f, i, mask, *, count):
    return [k for k, element in enumerate(mask.flat) if element][i[0]]


def flatnonzero_arrays(f, mask, *, count):
    return np.flatnonzero(f.places(f.as_number(mask)))


# number_true


def number_infer(mask: Spec) -> Inferred:
    if mask.dtype.kind != "b":
        raise InferenceError(f"the mask is {mask.dtype.name}; it must be bool")
    return Inferred((Spec(mask.shape, PLACE),))


def number_true(mask):
    return np.where(mask, np.cumsum(mask, dtype=PLACE).reshape(mask.shape) - 1, 0)


def number_define(f, i, mask):
    before = int(np.ravel_multi_index(i, mask.shape)) if i else 0
    return sum(map(bool, list(mask.flat)[:before])) if mask[i] else 0


def number_arrays(f, mask):
    return number_true(f.places(f.as_number(mask)).astype(bool))


# last_occurrence


def last_infer(indices: Spec, *, size: object, axis: object = None) -> Inferred:
    """``size``: that of the axis which the indices are for. ``axis`` None: in the whole array, in C order."""
    require_integers(indices)
    k = None if axis is None else axis_of(axis, indices.ndim)
    return Inferred((Spec(indices.shape, CONDITION),), {"size": integer("size", size), "axis": k})


def last_occurrence(indices, *, size, axis):
    lines = indices.reshape(1, -1) if axis is None else np.moveaxis(indices, axis, -1)
    places = from_front(lines, size, axis or 0).reshape(math.prod(lines.shape[:-1]), lines.shape[-1])
    kept = (last_of_few if size > 4 * places.shape[1] else last_of_many)(places, size).reshape(lines.shape)
    return kept.reshape(indices.shape) if axis is None else np.moveaxis(kept, -1, axis)


def last_of_many(places, size):
    """Numbers the places of each line in order, and keeps the largest number at each of ``size`` places. NumPy writes them
    in order, but does not promise it: if a smaller number is there, they are written again."""
    flat = places + size * np.arange(places.shape[0])[:, None] if places.shape[0] > 1 else places
    numbers = np.broadcast_to(np.arange(places.shape[1]), places.shape)
    last = np.zeros(places.shape[0] * size, np.intp)
    last[flat] = numbers
    kept = last.take(flat)
    if (kept < numbers).any():
        np.maximum.at(last, flat.reshape(-1), numbers.reshape(-1))
        kept = last.take(flat)
    return kept == numbers


def last_of_few(places, size):
    """Sorts each line: the last of equal places, which stay in order, is in front of another place."""
    order = np.argsort(places, axis=-1, kind="stable")
    line, last = np.take_along_axis(places, order, -1), np.ones(places.shape, bool)
    last[:, :-1] = line[:, 1:] != line[:, :-1]
    kept = np.empty(places.shape, bool)
    np.put_along_axis(kept, order, last, -1)
    return kept


def last_define(f, i, indices, *, size, axis):
    if axis is None:
        later = list(indices.flat)[int(np.ravel_multi_index(i, indices.shape)) + 1 if i else 1 :]
    else:
        later = list(indices[at(i, axis, slice(i[axis] + 1, None))])
    return all(whole(k) % size != whole(indices[i]) % size for k in later)


def last_arrays(f, indices, *, size, axis):
    return f.equal(last_occurrence(f.places(indices), size=size, axis=axis).astype(PLACE), 1)


# one_hot


def one_hot_infer(indices: Spec, *, num_classes: object) -> Inferred:
    require_integers(indices)
    count = integer("num_classes", num_classes)
    if count < 0:
        raise InferenceError(f"num_classes is {count}; it must not be negative")
    return Inferred((Spec((*indices.shape, count), PLACE),), {"num_classes": count})


def one_hot(indices, *, num_classes):
    outside = (indices < 0) | (indices >= num_classes)
    refuse(outside, f"class {{}} is out of range for {num_classes} classes", indices)
    return (indices[..., None] == np.arange(num_classes)).astype(PLACE)


def one_hot_define(f, i, indices, *, num_classes):
    return int(whole(indices[i[:-1]]) == i[-1])


def one_hot_arrays(f, indices, *, num_classes):
    return (f.places(indices)[..., None] == np.arange(num_classes)).astype(PLACE)


INDICES, GRID = np.array([2, 0, 2]), np.array([[1, 0, 1], [0, 0, -1]])
RAVELLED = (case(INDICES, np.array([[1], [-1]]), shape=(3, 2)), case(np.array(1), shape=(4,)))
MASKS = (case(np.array([True, False, True]), count=2), case(np.array([[False, True, False], [True, True, True]]), count=4))
NUMBERED = (case(np.array([True, False, True])), case(np.array([[False, True, False], [True, True, True]])))
LAST = (case(INDICES, size=3), case(GRID, size=2, axis=1), case(GRID, size=2, axis=0), case(GRID, size=2))
CLASSES = (case(INDICES, num_classes=3), case(np.array([[1, 0, 1], [0, 0, 1]]), num_classes=4))

# fmt: off
POSITIONS = (
    # op                   forward            no rule definition          inference          cases
    R("ravel_multi_index", ravel_multi_index, None,   ravel_define,       ravel_infer,       RAVELLED,
      domains=INTEGER, arrays=ravel_arrays, doc="the places, in C order, of elements at indices along each axis"),
    R("flatnonzero",       flatnonzero,       None,   flatnonzero_define, flatnonzero_infer, MASKS,
      domains=INTEGER, arrays=flatnonzero_arrays, doc="the places, in C order, of the true elements, count of them"),
    R("number_true",       number_true,       None,   number_define,      number_infer,      NUMBERED,
      domains=INTEGER, arrays=number_arrays, doc="the numbers, in C order from 0, of the true elements; 0 for the others"),
    R("last_occurrence",   last_occurrence,   None,   last_define,        last_infer,        LAST,
      domains=INTEGER, arrays=last_arrays, doc="true where no later index along the axis names the same place"),
    R("one_hot",           one_hot,           None,   one_hot_define,     one_hot_infer,     CLASSES,
      domains=INTEGER, arrays=one_hot_arrays, doc="1 at the place of each class along a new last axis, and 0 elsewhere"),
)
# fmt: on

register_ops = registering(*named(POSITIONS))
