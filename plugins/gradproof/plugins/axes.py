"""Axes and indices: what the families that work along axes share."""

import math
from operator import index

import numpy as np

from gradproof.engine.extend import InferenceError


def whole(name, value):
    """``value`` as an integer; a float is not one, even if it is whole, nor is True."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise InferenceError(f"{name} is {value!r}; it must be an integer")


def wholes(name, values):
    """A tuple of integers, from one integer or several."""
    return tuple(whole(name, v) for v in (values if isinstance(values, (tuple, list)) else (values,)))


def listed(name, values):
    """``values`` as a tuple, which it must be already, or a list."""
    if not isinstance(values, (tuple, list)):
        raise InferenceError(f"{name} is {values!r}; it must be a list")
    return tuple(values)


def truth(name, value):
    """``value`` as True or False; nothing else is taken for one."""
    if not isinstance(value, bool):
        raise InferenceError(f"{name} is {value!r}; it must be true or false")
    return value


def axis_of(axis, ndim):
    """A canonical axis: 0 <= axis < ndim."""
    axis = whole("axis", axis)
    if not -ndim <= axis < ndim:
        raise InferenceError(f"axis {axis} is out of range for rank {ndim}")
    return axis % ndim


def axes_of(axis, ndim):
    """Canonical axes, sorted and each once; None means all."""
    if axis is None:
        return tuple(range(ndim))
    found = [axis_of(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(found)) != len(found):
        raise InferenceError(f"axis {axis} names an axis twice")
    return tuple(sorted(found))


def at(index, axis, k):
    """``index`` with position ``axis`` replaced by ``k``."""
    return (*index[:axis], k, *index[axis + 1 :])


def line(i, x, axis):
    """The elements of ``x`` on the line through ``i`` along ``axis``."""
    return list(x[at(i, axis, slice(None))])


def count(x, axis):
    """How many elements go into one element of the result."""
    return math.prod(x.shape[k] for k in axis)


def members(i, x, axis, keepdims):
    """The elements of ``x`` that are reduced into element ``i``, in order."""
    rest = iter(k for a, k in enumerate(i) if not (keepdims and a in axis))
    found = x[tuple(slice(None) if a in axis else next(rest) for a in range(x.ndim))]
    return iter(found.flat) if axis else iter((found,))


ROOM = 64


def smaller(shape, room=ROOM, first=()):
    """A shape of at most ``room`` elements with the same sizes 0 and 1, and 2, 3, 4 for the others: equal ones equal and
    different ones different as far as there is room. Where there is none for twos, axes become 1, those ``first`` last."""
    sizes = sorted({size for size in shape if size > 1})
    count = len(sizes)
    for choice in (range(2, 5), (2, *[3] * count), (*[2] * (count - 1), 3), [2] * count):
        small = {0: 0, 1: 1, **dict(zip(sizes, choice, strict=False))}
        if len(choice) >= count and math.prod(small[size] for size in shape if size) <= room:
            return tuple(small[size] for size in shape)
    wide = sorted((k for k, size in enumerate(shape) if size > 1), key=lambda k: (k not in first, k))
    kept = wide[: room.bit_length() - 1]
    return tuple(2 if k in kept else min(size, 1) for k, size in enumerate(shape))


def first(mask):
    """The first element of a truth table that is true, as errors name it: ``[0, 3]``; empty for a single number."""
    if not mask.ndim:
        return ""
    return str([int(k) for k in np.unravel_index(np.argmax(mask), mask.shape)])
