"""Keys: the index of a tensor as the server takes it, a list of entries and the arrays among them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any, SupportsIndex

import numpy as np

from gradproof.client.recording.placeholders import NO_MASK
from gradproof.client.recording.recorded import Recorded

Entry = int | str | tuple[Any, ...] | None


def read(part: Any) -> Any:
    """A part of an index with lists as arrays, and integers of NumPy and of tensors whose values are known as ints.

    Raises IndexError for a part that is no index.
    """
    if isinstance(part, (list, tuple)):
        return np.asarray(_values(part)) if len(part) else np.zeros(0, np.int64)
    if isinstance(part, np.bool_):
        return bool(part)
    if isinstance(part, np.integer) or (isinstance(part, np.ndarray) and not part.ndim and part.dtype.kind in "iu"):
        return int(part)
    if isinstance(part, Recorded) and not part.ndim and part.array is not None and part.dtype.kind in "iu":
        return int(part.value())
    if part is None or part is Ellipsis or isinstance(part, (int, slice, np.ndarray, Recorded)):
        return part
    if isinstance(part, SupportsIndex):
        return index(part)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
        f"{type(part).__name__})"
    )


def plain(part: Any) -> Any:
    """A part of an index as NumPy takes it, with the values of tensors."""
    part = read(part)
    return part.value() if isinstance(part, Recorded) else part


def key_of(parts: Sequence[Any], shape: tuple[int, ...]) -> tuple[tuple[Entry, ...], list[Any]]:
    """The entries of the key of an index, and the arrays that they refer to.

    Raises IndexError for too many indices, for a second ellipsis, for an array of floats, and for indices that are known
    and out of range.
    """
    entries: list[Entry] = []
    arrays: list[Any] = []
    used = sum(map(_width, parts))
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    if sum(part is Ellipsis for part in parts) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    axis = 0
    for part in parts:
        if isinstance(part, (bool, np.ndarray, Recorded)):
            array = np.asarray(part) if isinstance(part, bool) else part
            entries.append(_entry(array, axis, shape))
            arrays.append(array)
        elif isinstance(part, slice):
            entries.append(tuple(None if end is None else index(end) for end in (part.start, part.stop, part.step)))
        elif part is Ellipsis:
            entries.append("...")
            axis += len(shape) - used
        else:
            if part is not None:
                require_within(np.asarray(part), axis, shape[axis])
            entries.append(part)
        axis += _width(part)
    return tuple(entries), arrays


def require_within(places: np.ndarray[Any, Any], axis: int, size: int) -> None:
    """Raises IndexError if one of ``places`` is no index along an axis."""
    wrong = (places < -size) | (places >= size)
    if wrong.any():
        raise IndexError(f"index {places[wrong].flat[0]} is out of bounds for dimension {axis} with size {size}")


def _entry(array: Any, axis: int, shape: tuple[int, ...]) -> Entry:
    """The entry of an array of integers or truth values. The values of a mask are computed, since shapes depend on them."""
    if array.dtype.kind == "b":
        covered = shape[axis : axis + array.ndim]
        if array.shape != covered:
            raise IndexError(
                f"The shape of the mask {list(array.shape)} at index {axis} does not match the shape of the indexed tensor "
                f"{list(covered)}"
            )
        if isinstance(array, Recorded):
            array.require_value(NO_MASK)
        return "mask", int(np.count_nonzero(array.value() if isinstance(array, Recorded) else array))
    if array.dtype.kind not in "iu":
        raise IndexError(f"tensors used as indices must be of integers or bools, not {array.dtype}")
    known = array.array if isinstance(array, Recorded) else array
    if known is not None:
        require_within(known, axis, shape[axis])
    return "array"


def _width(part: Any) -> int:
    """The number of axes that a part of an index is for."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, (np.ndarray, Recorded)) and part.dtype.kind == "b" else 1


def _values(parts: Sequence[Any]) -> list[Any]:
    """Nested lists with numbers in place of tensors."""
    return [
        _values(part) if isinstance(part, (list, tuple)) else part.value() if isinstance(part, Recorded) else part
        for part in parts
    ]
