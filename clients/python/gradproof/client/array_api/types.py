"""Dtypes, with the functions of the Array API standard."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import ml_dtypes
import numpy as np

from gradproof.client import dtypes
from gradproof.client.array_api.creation import require_cpu
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.signatures import DTypeLike, Scalar
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)


class FloatInfo(NamedTuple):
    """The limits of a dtype of floating point numbers; those of a complex dtype are of its parts.

    Attributes:
        bits: the bits of a number.
        eps: the distance from 1 to the next number.
        max: the largest finite number.
        min: the smallest finite number.
        smallest_normal: the smallest positive number with all its digits.
        dtype: the dtype.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: dtypes.DType


class IntegerInfo(NamedTuple):
    """The limits of a dtype of integers.

    Attributes:
        bits: the bits of a number.
        max: the largest number.
        min: the smallest number.
        dtype: the dtype.
    """

    bits: int
    max: int
    min: int
    dtype: dtypes.DType


def astype(x: TensorT, dtype: DTypeLike, /, *, copy: bool = True, device: str | None = None) -> TensorT:
    """The tensor in another dtype, of the same shape; a copy of it if it has the dtype. Follows Array API astype.

    Raises TypeError for a real dtype of a complex tensor.
    """
    require_cpu(device)
    if x.dtype.kind == "c" and np.dtype(dtype).kind not in "c":
        raise TypeError("astype: a complex tensor has no real values; take its real or imag part")
    converted = x.to(dtype)
    return x.clone() if copy and converted is x else converted


def can_cast(from_: DTypeLike | Recorded, to: DTypeLike, /) -> bool:
    """True if every value of a dtype, or of the dtype of a tensor, is there in another. Follows Array API can_cast."""
    return bool(np.can_cast(_dtype(from_), np.dtype(to)))


def finfo(type: DTypeLike | Recorded, /) -> FloatInfo:  # noqa: A002 - the name in the standard
    """The limits of a floating point dtype. Follows Array API finfo. Raises ValueError for other dtypes."""
    info: Any = (ml_dtypes if _dtype(type) == dtypes.bfloat16 else np).finfo(_dtype(type))
    eps, most, least, normal = (float(x) for x in (info.eps, info.max, info.min, info.smallest_normal))
    return FloatInfo(int(info.bits), eps, most, least, normal, np.dtype(info.dtype))


def iinfo(type: DTypeLike | Recorded, /) -> IntegerInfo:  # noqa: A002 - the name in the standard
    """The limits of a dtype of integers. Follows Array API iinfo. Raises ValueError for other dtypes."""
    info = np.iinfo(_dtype(type))
    return IntegerInfo(int(info.bits), int(info.max), int(info.min), np.dtype(info.dtype))


def isdtype(dtype: DTypeLike, kind: DTypeLike | str | tuple[DTypeLike | str, ...]) -> bool:
    """True if a dtype is of a kind ("bool", "signed integer", "unsigned integer", "integral", "real floating",
    "complex floating", "numeric"), is a given dtype, or is one of several. Follows Array API isdtype.

    Raises ValueError for another kind.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, part) for part in kind)
    if isinstance(kind, str) and np.dtype(dtype) == dtypes.bfloat16:
        return kind in ("real floating", "numeric")
    return bool(np.isdtype(np.dtype(dtype), kind)) if isinstance(kind, str) else np.dtype(dtype) == np.dtype(kind)


def result_type(*arrays_and_dtypes: DTypeLike | Recorded | Scalar) -> dtypes.DType:
    """The dtype of a result of tensors and dtypes; Python numbers beside them are weak. Follows Array API result_type."""
    return np.result_type(*(x.dtype if isinstance(x, Recorded) else x for x in arrays_and_dtypes))


def _dtype(x: DTypeLike | Recorded) -> dtypes.DType:
    return x.dtype if isinstance(x, Recorded) else np.dtype(x)
