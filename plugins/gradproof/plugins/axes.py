"""Axes, indices and attributes: helpers shared by the families that work along axes."""

import math
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from operator import index
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradproof.engine.extend import DataFault, InferenceError

Array: TypeAlias = NDArray[Any]


def integer(name: str, value: object) -> int:
    """``value`` as an integer. Raises InferenceError for booleans and floats, whole ones included."""
    try:
        if isinstance(value, SupportsIndex) and not isinstance(value, bool):
            return index(value)
    except TypeError:  # an array of several elements
        pass
    raise InferenceError(f"{name} is {value!r}; it must be an integer")


def real(name: str, value: object) -> int | float:
    """``value`` as a finite number, a whole one as an integer. Raises InferenceError for booleans and what is no number."""
    if isinstance(value, (int, float, Fraction)) and not isinstance(value, bool) and math.isfinite(value):
        return int(value) if value == int(value) else float(value)
    raise InferenceError(f"{name} is {value!r}; it must be a finite number")


def integers(name: str, values: object) -> tuple[int, ...]:
    """A tuple of integers, from an integer or several."""
    return tuple(integer(name, v) for v in (values if isinstance(values, (tuple, list)) else (values,)))


def listed(name: str, values: object) -> tuple[Any, ...]:
    """``values`` as a tuple. Raises InferenceError if it is neither a tuple nor a list."""
    if not isinstance(values, (tuple, list)):
        raise InferenceError(f"{name} is {values!r}; it must be a list")
    return tuple(values)


def number(name: str, value: object) -> int | float:
    """``value`` as a real number. Raises InferenceError for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InferenceError(f"{name} is {value!r}; it must be a number")
    return value


def size(name: str, value: object) -> int:
    """``value`` as a number of elements. Raises InferenceError for anything else."""
    count = integer(name, value)
    if count < 0:
        raise InferenceError(f"{name} is {count}; it must be a number of elements")
    return count


def boolean(name: str, value: object) -> bool:
    """``value``, which must be True or False. Raises InferenceError for anything else."""
    if not isinstance(value, bool):
        raise InferenceError(f"{name} is {value!r}; it must be true or false")
    return value


def axis_of(axis: object, ndim: int) -> int:
    """The canonical axis, 0 <= axis < ndim. Raises InferenceError if it is out of range."""
    axis = integer("axis", axis)
    if not -ndim <= axis < ndim:
        raise InferenceError(f"axis {axis} is out of range for rank {ndim}")
    return axis % ndim


def axes_of(axis: object, ndim: int) -> tuple[int, ...]:
    """Canonical axes, sorted; None stands for every axis. Raises InferenceError if an axis is named twice."""
    if axis is None:
        return tuple(range(ndim))
    axes = [axis_of(a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise InferenceError(f"axis {axis} names an axis twice")
    return tuple(sorted(axes))


def at(index: Sequence[Any], axis: int, k: Any) -> tuple[Any, ...]:
    """``index`` (or a shape) with position ``axis`` replaced by ``k``."""
    return (*index[:axis], k, *index[axis + 1 :])


Cut: TypeAlias = tuple[int, int | None, int]
"""Start, stop and step of a slice of an axis, in range: the stop is None where a negative step runs to the front."""


def cut_of(part: slice, size: int) -> Cut:
    """The slice of an axis of ``size`` in canonical form. A slice without elements starts and stops at 0."""
    start, stop, step = part.indices(size)
    return (start, None if stop < 0 else stop, step) if len(range(start, stop, step)) else (0, 0, step)


def length_of(cut: Cut) -> int:
    """The number of elements of a canonical slice."""
    start, stop, step = cut
    return len(range(start, -1 if stop is None else stop, step))


def broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    """True if an array of ``shape`` can be repeated to ``target``."""
    pairs = zip(shape[::-1], target[::-1], strict=False)
    return len(shape) <= len(target) and all(a in (1, b) for a, b in pairs)


def whole(index: Any) -> int:
    """An index in a definition as an integer: a Python number, or a ball that is an integer exactly. Raises
    NotImplementedError for any other ball."""
    ball = getattr(index, "ball", index)
    exact = ball.unique_fmpz() if hasattr(ball, "unique_fmpz") else ball
    if exact is None:
        raise NotImplementedError("a place that is not known as an integer has no element")
    return int(exact)


def line(i: Sequence[int], x: Array, axis: int) -> list[Any]:
    """The elements of ``x`` on the line through ``i`` along ``axis``."""
    return list(x[at(i, axis, slice(None))])


def count(x: Any, axis: Collection[int]) -> int:
    """The number of elements of ``x`` (an array, a spec or a tracer) that are reduced into an element of the result."""
    return math.prod(x.shape[k] for k in axis)


def members(i: Sequence[int], x: Array, axis: Collection[int], keepdims: bool) -> Iterator[Any]:
    """The elements of ``x`` that are reduced into element ``i``, in order."""
    rest = iter(k for a, k in enumerate(i) if not (keepdims and a in axis))
    selected = x[tuple(slice(None) if a in axis else next(rest) for a in range(x.ndim))]
    return iter(selected.flat) if axis else iter((selected,))


ROOM = 64
"""The number of elements that a representative of a shape class may have."""


def smaller(shape: Sequence[int], room: int = ROOM, first: Collection[int] = ()) -> tuple[int, ...]:
    """A representative of ``shape`` with at most ``room`` elements: sizes 0 and 1 stay, others become 2, 3 or 4.

    Equal sizes stay equal, and different ones different as far as there is room. Where there is none for twos, axes
    become 1, those in ``first`` last."""
    sizes = sorted({size for size in shape if size > 1})
    count = len(sizes)
    for choice in (range(2, 5), (2, *[3] * count), (*[2] * (count - 1), 3), [2] * count):
        small = {0: 0, 1: 1, **dict(zip(sizes, choice, strict=False))}
        if len(choice) >= count and math.prod(small[size] for size in shape if size) <= room:
            return tuple(small[size] for size in shape)
    wide = sorted((k for k, size in enumerate(shape) if size > 1), key=lambda k: (k not in first, k))
    left = wide[: room.bit_length() - 1]
    return tuple(2 if k in left else min(size, 1) for k, size in enumerate(shape))


def first_true(mask: Array) -> str:
    """The index of the first true element, as errors name it: ``[0, 3]``; empty for rank 0."""
    if not mask.ndim:
        return ""
    return str([int(k) for k in np.unravel_index(np.argmax(mask), mask.shape)])


def refuse(mask: Array, text: str, values: Array | None = None) -> None:
    """Raises DataFault with ``text`` and the first true element of ``mask``, if there is any. A ``{}`` in the text is the
    element of ``values`` there."""
    if mask.any():
        shown = text if values is None else text.format(values[np.unravel_index(np.argmax(mask), mask.shape)])
        raise DataFault(shown, element=first_true(mask))
