"""Creation of tensors, with the signatures of the Array API standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors import constructors
from gradproof.client.tensors.signatures import DTypeLike, Scalar
from gradproof.client.tensors.tensor import Tensor

Shape = int | Sequence[int]


def require_cpu(device: object) -> None:
    """Raises ValueError unless a device is None or "cpu": there is no other."""
    if device not in (None, "cpu"):
        raise ValueError(f"unsupported device {device!r}: tensors are on the device 'cpu'")


def asarray(obj: Any, /, *, dtype: DTypeLike | None = None, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor of a number, of nested lists, of an array, or of a tensor, whose history stays.

    Lists with tensors are stacked, so that gradients flow to these. Follows Array API asarray. Raises ValueError if
    ``copy`` is False and ``obj`` is no tensor of this dtype.
    """
    require_cpu(device)
    x = _stacked(obj)
    same = isinstance(x, Tensor) and (dtype is None or x.dtype == np.dtype(dtype))
    if copy is False and not same:
        raise ValueError("asarray(copy=False): only a tensor of the same dtype is not copied")
    if same and copy:
        return cast("Tensor", x).clone()
    return constructors.as_tensor(x, dtype=dtype)


def _stacked(obj: Any) -> Any:
    """Nested lists with tensors as a tensor; all else as it is."""
    if not isinstance(obj, (list, tuple)) or not _has_tensors(obj):
        return obj
    return apply_as(Tensor, "stack", *(constructors.as_tensor(_stacked(x)) for x in obj))[0]


def _has_tensors(obj: Any) -> bool:
    return isinstance(obj, Recorded) or (isinstance(obj, (list, tuple)) and any(map(_has_tensors, obj)))


def zeros(shape: Shape, *, dtype: DTypeLike | None = None, device: str | None = None) -> Tensor:
    """Zeros of a shape, of the default dtype unless another is given. Follows Array API zeros."""
    require_cpu(device)
    return constructors.zeros(size=_sizes(shape), dtype=dtype)


def ones(shape: Shape, *, dtype: DTypeLike | None = None, device: str | None = None) -> Tensor:
    """Ones of a shape, of the default dtype unless another is given. Follows Array API ones."""
    require_cpu(device)
    return constructors.ones(size=_sizes(shape), dtype=dtype)


def full(
    shape: Shape, fill_value: Scalar | Recorded, *, dtype: DTypeLike | None = None, device: str | None = None
) -> Tensor:
    """A tensor of a shape, filled with ``fill_value``, and of its dtype unless another is given. Follows Array API full."""
    filling = asarray(fill_value, dtype=dtype, device=device)
    return apply_as(Tensor, "broadcast_to", filling, shape=_sizes(shape))[0]


def zeros_like(x: Recorded, /, *, dtype: DTypeLike | None = None, device: str | None = None) -> Tensor:
    """Zeros of the shape of ``x``, and of its dtype unless another is given. Follows Array API zeros_like."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype, device=device)


def ones_like(x: Recorded, /, *, dtype: DTypeLike | None = None, device: str | None = None) -> Tensor:
    """Ones of the shape of ``x``, and of its dtype unless another is given. Follows Array API ones_like."""
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype, device=device)


def full_like(
    x: Recorded, /, fill_value: Scalar | Recorded, *, dtype: DTypeLike | None = None, device: str | None = None
) -> Tensor:
    """A tensor of the shape of ``x``, filled with ``fill_value``, and of the dtype of ``x`` unless another is given.

    Follows Array API full_like.
    """
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, device=device)


empty, empty_like = zeros, zeros_like


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    device: str | None = None,
) -> Tensor:
    """Numbers from ``start`` (from 0 without ``stop``) to before ``stop``: a vector, int64 or of the default dtype.

    Follows Array API arange.
    """
    require_cpu(device)
    return constructors.arange(start, stop, step, dtype=dtype)


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: DTypeLike | None = None,
    device: str | None = None,
    endpoint: bool = True,
) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, which is left out unless ``endpoint``; of the default dtype.

    Follows Array API linspace.
    """
    require_cpu(device)
    numbers = np.linspace(start, stop, num, endpoint=endpoint)
    usual = dtypes.get_default_dtype()
    kind = dtypes.complex_of(usual) if numbers.dtype.kind == "c" else usual
    return constructors.tensor(numbers, dtype=kind if dtype is None else dtype)


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: DTypeLike | None = None, device: str | None = None
) -> Tensor:
    """Ones on a diagonal of zeros (n_rows, n_cols), of the default dtype. Follows Array API eye."""
    require_cpu(device)
    return constructors.tensor(np.eye(n_rows, n_cols, k, dtype=dtype or dtypes.get_default_dtype()))


def from_dlpack(x: Any, /, *, device: str | None = None, copy: bool | None = None) -> Tensor:
    """A tensor with a copy of an array in CPU memory. Follows Array API from_dlpack. Raises ValueError for copy=False."""
    require_cpu(device)
    if copy is False:
        raise ValueError("from_dlpack(copy=False): tensors do not share memory with arrays, which may change")
    return constructors.from_dlpack(x)


def _sizes(shape: Shape) -> Sequence[int]:
    return (shape,) if isinstance(shape, int) else shape
