"""Tensors as messages: dtype enum, shape, little-endian bytes in C order. Every value survives to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from gradproof.v1 import tensor_pb2 as pb

MAX_RANK = 16
MAX_ELEMENTS = 2**40

_NAMES = {
    "bool": pb.DATA_TYPE_BOOL,
    "int8": pb.DATA_TYPE_INT8,
    "int16": pb.DATA_TYPE_INT16,
    "int32": pb.DATA_TYPE_INT32,
    "int64": pb.DATA_TYPE_INT64,
    "uint8": pb.DATA_TYPE_UINT8,
    "uint16": pb.DATA_TYPE_UINT16,
    "uint32": pb.DATA_TYPE_UINT32,
    "uint64": pb.DATA_TYPE_UINT64,
    "float16": pb.DATA_TYPE_FLOAT16,
    "bfloat16": pb.DATA_TYPE_BFLOAT16,
    "float32": pb.DATA_TYPE_FLOAT32,
    "float64": pb.DATA_TYPE_FLOAT64,
    "complex64": pb.DATA_TYPE_COMPLEX64,
    "complex128": pb.DATA_TYPE_COMPLEX128,
}
_DTYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name).newbyteorder("<")
    for name, number in _NAMES.items()
}


DTYPE_NAMES = ", ".join(pb.DataType.keys()[1:])


class WireError(ValueError):
    """A message that is not a tensor. ``path`` is the field at fault, below the tensor (``spec.shape``, ``data``)."""

    def __init__(self, path: str, message: str, reason: str = "TENSOR_INVALID") -> None:
        self.path, self.message, self.reason = path, message, reason
        super().__init__(f"{path}: {message}")


def encode_spec(shape: Sequence[int], dtype: np.dtype[Any]) -> pb.TensorSpec:
    """Raises WireError for a dtype that has no place on the wire (object, text, dates)."""
    number = _NAMES.get(dtype.name)
    if number is None:
        raise WireError("spec.dtype", f"dtype {dtype} cannot be sent; the wire has {', '.join(_NAMES)}", "DTYPE")
    return pb.TensorSpec(dtype=number, shape=shape)


def decode_spec(spec: pb.TensorSpec) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and dtype. Raises WireError for an unknown dtype, a negative size, or a product that overflows."""
    dtype = _DTYPES.get(spec.dtype)
    if dtype is None:
        raise WireError("spec.dtype", f"{spec.dtype} is not a dtype; there are {DTYPE_NAMES}", "DTYPE")
    shape = tuple(spec.shape)
    if len(shape) > MAX_RANK:
        raise WireError("spec.shape", f"rank {len(shape)} is above {MAX_RANK}", "SHAPE_INVALID")
    if any(size < 0 for size in shape):
        raise WireError("spec.shape", f"a size is negative in {shape}", "SHAPE_INVALID")
    if math.prod(size for size in shape if size) > MAX_ELEMENTS:
        raise WireError("spec.shape", f"the product of {shape} overflows the limit of 2**40 elements", "SHAPE_INVALID")
    return shape, dtype.newbyteorder("=")


def encode_tensor(value: Any) -> pb.Tensor:
    """A message for a NumPy array, or for a Python number, which stays weakly typed. Raises WireError for other dtypes."""
    weak = isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)
    array = np.asarray(value)
    tensor = pb.Tensor(spec=encode_spec(array.shape, array.dtype), weak=weak)
    tensor.data = array.astype(_DTYPES[tensor.spec.dtype], copy=False).tobytes()
    return tensor


def decode_tensor(tensor: pb.Tensor, uploads: Mapping[int, NDArray[Any]] | None = None) -> NDArray[Any]:
    """The array of a message: read-only, of exactly the stated shape and dtype. ``uploads``: tensors that came in
    chunks, by id. Raises WireError; nothing is allocated before the length is known to be right."""
    shape, dtype = decode_spec(tensor.spec)
    count = math.prod(shape)
    body = tensor.WhichOneof("body")
    if body == "upload":
        whole = (uploads or {}).get(tensor.upload)
        if whole is None:
            raise WireError("upload", f"no tensor was uploaded as {tensor.upload}", "UPLOAD_UNKNOWN")
        if whole.shape != shape or whole.dtype != dtype:
            text = f"upload {tensor.upload} is {whole.dtype}{list(whole.shape)}, not {dtype}{list(shape)}"
            raise WireError("upload", text, "UPLOAD_SPEC")
        return whole
    if body == "numbers":
        return _from_numbers(tensor.numbers.values, count, shape, dtype)
    expected = count * dtype.itemsize
    if len(tensor.data) != expected:
        text = f"{len(tensor.data)} bytes for {dtype}{list(shape)}, which has {expected}"
        raise WireError("data", text, "TENSOR_LENGTH")
    array = np.frombuffer(tensor.data, _DTYPES[tensor.spec.dtype]).reshape(shape)
    return array.astype(dtype, copy=False) if dtype.name == "bfloat16" else array.view(dtype)


def _from_numbers(values: Sequence[float], count: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    per_element = 2 if dtype.kind == "c" else 1
    if len(values) != count * per_element:
        text = f"{len(values)} numbers for {dtype}{list(shape)}, which has {count * per_element}"
        raise WireError("numbers.values", text, "TENSOR_LENGTH")
    wide = np.array(values, np.float64)
    if dtype.kind in "biu":
        if not np.isfinite(wide).all() or (wide != np.round(wide)).any():
            raise WireError("numbers.values", f"a number is not an integer, and the dtype is {dtype}", "TENSOR_VALUE")
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if wide.size and (wide.min() < limits[0] or wide.max() > limits[1]):
            raise WireError("numbers.values", f"a number does not fit {dtype}", "TENSOR_VALUE")
    with np.errstate(over="ignore"):
        array: NDArray[Any] = (wide.view(np.complex128) if per_element == 2 else wide).astype(dtype).reshape(shape)
    array.flags.writeable = False
    return array
