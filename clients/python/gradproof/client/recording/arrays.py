"""Conversion of Python data to the arrays that tensors have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Array
from gradproof.client.recording.recorded import Recorded


def array_of(data: Any, dtype: Any = None) -> Array:
    """A new array with the values of ``data``: a number, nested lists, an array or a tensor.

    Python floats become the default dtype and integers int64; arrays and tensors keep theirs. Raises TypeError for data
    that are no numbers.
    """
    if isinstance(data, Recorded):
        array = data.value()
    elif isinstance(data, (list, tuple)) and any(isinstance(x, Recorded) for x in _flat(data)):
        array = np.array(_without_tensors(data))
        dtype = dtype if dtype is not None else next(x.dtype for x in _flat(data) if isinstance(x, Recorded))
    else:
        array = np.asarray(data)
        if dtype is None and not hasattr(data, "dtype") and array.dtype.kind in "fc":
            usual = dtypes.get_default_dtype()
            dtype = usual if array.dtype.kind == "f" else dtypes.complex_of(usual)
    if array.dtype.kind not in "biufcV":
        raise TypeError(f"can't make a tensor of {type(data).__name__} with dtype {array.dtype}")
    return np.array(array, dtype=None if dtype is None else np.dtype(dtype))


def _flat(data: Any) -> Iterator[Any]:
    """The elements of nested lists and tuples."""
    for x in data:
        if isinstance(x, (list, tuple)):
            yield from _flat(x)
        else:
            yield x


def _without_tensors(data: Any) -> Any:
    """Nested lists with Python numbers in place of tensors."""
    if isinstance(data, (list, tuple)):
        return [_without_tensors(x) for x in data]
    return data.value().tolist() if isinstance(data, Recorded) else data
