"""Indexing as NumPy has it: slices are slices, all else is a gather."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.client.recording.apply import apply

if TYPE_CHECKING:
    from gradproof.client.tensors.tensor import Tensor


def index(x: Tensor, key: Any) -> Tensor:
    """``x[key]``: integers, slices, ``...``, None, lists, integer and boolean arrays and tensors (which are looked at)."""
    whole = key if isinstance(key, tuple) else (key,)
    parts = [_plain(part) for part in whole]
    if all(part is None or part is Ellipsis or type(part) is int or isinstance(part, slice) for part in parts):
        return _basic(x, parts)
    places = np.arange(x.numel(), dtype=np.int64).reshape(x.shape)[tuple(parts)]
    return apply("take", x.reshape(-1), np.asarray(places), axis=0)


def assign(x: Tensor, key: Any, value: Any) -> None:
    """``x[key] = value``: the leaf gets a new value."""
    from gradproof.client.tensors.tensor import in_place_refused

    in_place_refused(x, value)
    array = np.array(x.value())
    parts = tuple(_plain(part) for part in (key if isinstance(key, tuple) else (key,)))
    given = value.detach().value() if hasattr(value, "requires_grad") else value
    array[parts] = given
    x._become(array)


def _plain(part: Any) -> Any:
    """A part of a key as NumPy takes it."""
    if hasattr(part, "requires_grad"):
        array = part.detach().numpy()
        return int(array) if array.ndim == 0 and array.dtype.kind in "iu" else array
    if isinstance(part, np.integer):
        return int(part)
    if isinstance(part, (list, np.ndarray)):
        return np.asarray(part) if len(part) or isinstance(part, np.ndarray) else np.zeros(0, np.int64)
    return part


def _basic(x: Tensor, parts: list[Any]) -> Tensor:
    """Only views: one slice, then axes that go and axes that come."""
    count = sum(part is not None and part is not Ellipsis for part in parts)
    if count > x.ndim:
        raise IndexError(f"too many indices for tensor of dimension {x.ndim}")
    if parts.count(Ellipsis) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    rest = [slice(None)] * (x.ndim - count)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    parts = [*parts[:at], *rest, *parts[at + 1 :]]
    start, stop, step, gone, new = [], [], [], [], []
    axis = place = 0
    for part in parts:
        if part is None:
            new.append(place)
            place += 1
            continue
        size = x.shape[axis]
        if isinstance(part, slice):
            begin, end, stride = part.indices(size)
            start.append(begin)
            stop.append(None if end < 0 else end)
            step.append(stride)
            place += 1
        else:
            if not -size <= part < size:
                raise IndexError(f"index {part} is out of bounds for dimension {axis} with size {size}")
            start.append(part % size)
            stop.append(part % size + 1)
            step.append(1)
            gone.append(axis)
        axis += 1
    result = x
    if (start, stop, step) != ([0] * x.ndim, list(x.shape), [1] * x.ndim):
        result = apply("slice", x, start=tuple(start), stop=tuple(stop), step=tuple(step))
    if gone:
        result = apply("squeeze", result, axis=tuple(gone))
    return apply("expand_dims", result, axis=tuple(new)) if new else result
