"""Dtypes by their names in PyTorch, which are NumPy's (and bfloat16)."""

from __future__ import annotations

from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

DType: TypeAlias = "np.dtype[Any]"

float16: DType = np.dtype(np.float16)
bfloat16: DType = np.dtype(ml_dtypes.bfloat16)
float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
complex64: DType = np.dtype(np.complex64)
complex128: DType = np.dtype(np.complex128)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint8: DType = np.dtype(np.uint8)
bool_: DType = np.dtype(np.bool_)

half, float_, double, long = float16, float32, float64, int64

_TYPE_NAMES = {
    "float16": "Half",
    "bfloat16": "BFloat16",
    "float32": "Float",
    "float64": "Double",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "uint8": "Byte",
    "bool": "Bool",
}

_default = float32


def get_default_dtype() -> DType:
    """The dtype of tensors made of Python floats: float32 unless another was set. Follows torch.get_default_dtype."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype of tensors made of Python floats. Raises TypeError unless it is a floating point dtype.

    Follows torch.set_default_dtype.
    """
    global _default
    default = np.dtype(dtype)
    if not is_floating_point(default):
        raise TypeError("only floating-point types are supported as the default type")
    _default = default


def is_floating_point(dtype: DType) -> bool:
    """True if the dtype is real and floating point (bfloat16 is)."""
    return dtype.kind == "f" or dtype == bfloat16


def is_differentiable(dtype: DType) -> bool:
    """True if tensors of this dtype may require gradients."""
    return is_floating_point(dtype) or dtype.kind == "c"


def type_name(dtype: DType) -> str:
    """The name of the dtype in PyTorch's tensor types, such as Float in FloatTensor."""
    return _TYPE_NAMES.get(dtype.name, dtype.name)


def complex_of(dtype: DType) -> DType:
    """The complex dtype of a real tensor beside a complex Python number."""
    return complex128 if dtype == float64 else complex64
