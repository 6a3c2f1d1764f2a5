"""Codec of tensors: dtype, shape, and the elements as little-endian bytes or as numbers. Values keep every bit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

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


_NATIVE = {number: _DTYPES[number].newbyteorder("=") for number in _NAMES.values()}
_NUMBERS: dict[np.dtype[Any], pb.DataType.ValueType] = {dtype: number for number, dtype in _NATIVE.items()}
"""Dtypes in native byte order, whose names need not be looked up: NumPy writes a name anew each time."""


DTYPE_NAMES = ", ".join(pb.DataType.keys()[1:])


_LISTS = {"f": "doubles", "V": "doubles", "c": "doubles", "i": "ints", "u": "uints", "b": "bools"}
"""The list of numbers that holds elements of a dtype, by NumPy's kind (V is bfloat16)."""

NumberList: TypeAlias = pb.DoubleList | pb.IntList | pb.UintList | pb.BoolList


class WireError(ValueError):
    """Raised for a message that is not a valid tensor. ``path`` is the field at fault, below the tensor (``spec.shape``,
    ``data``); ``reason`` is the stable word for it."""

    def __init__(self, path: str, message: str, reason: str = "TENSOR_INVALID") -> None:
        self.path, self.message, self.reason = path, message, reason
        super().__init__(f"{path}: {message}")


def encode_spec(shape: Sequence[int], dtype: np.dtype[Any]) -> pb.TensorSpec:
    """Encode shape and dtype. Raises WireError for a dtype that the contract does not have (object, text, dates)."""
    number = _NUMBERS.get(dtype) or _NAMES.get(dtype.name)
    if number is None:
        raise WireError("spec.dtype", f"dtype {dtype} cannot be sent; the wire has {', '.join(_NAMES)}", "DTYPE")
    return pb.TensorSpec(dtype=number, shape=shape)


def decode_spec(spec: pb.TensorSpec) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Decode shape and dtype, in native byte order. Raises WireError for an unknown dtype, a rank above ``MAX_RANK``, a
    negative size, or more than ``MAX_ELEMENTS`` elements."""
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
    return shape, _NATIVE[spec.dtype]


def encode_tensor(value: Any, tensor_format: pb.TensorFormat.ValueType = pb.TENSOR_FORMAT_BYTES) -> pb.Tensor:
    """Encode a NumPy array, or a Python number, which stays weakly typed. Raises WireError for a dtype that the contract
    does not have."""
    weak = isinstance(value, (bool, int, float, complex)) and not isinstance(value, np.generic)
    array = np.asarray(value)
    tensor = pb.Tensor(spec=encode_spec(array.shape, array.dtype), weak=weak)
    if tensor_format == pb.TENSOR_FORMAT_NUMBERS:
        numbers: NumberList = getattr(tensor, _LISTS[array.dtype.kind])
        numbers.SetInParent()  # so that a list without numbers is sent too
        numbers.values.extend(_numbers(array))
    else:
        tensor.data = array.astype(_DTYPES[tensor.spec.dtype], copy=False).tobytes()
    return tensor


def decode_tensor(tensor: pb.Tensor, chunked: Mapping[int, NDArray[Any]] | None = None) -> NDArray[Any]:
    """Decode a message to a read-only array of exactly the stated shape and dtype. ``chunked`` has the tensors that came in
    chunks, by id. Raises WireError; the length is checked before memory is allocated."""
    shape, dtype = decode_spec(tensor.spec)
    count = math.prod(shape)
    body = tensor.WhichOneof("body")
    if body == "tensor_id":
        array = (chunked or {}).get(tensor.tensor_id)
        if array is None:
            raise WireError("tensor_id", f"no tensor came in chunks as {tensor.tensor_id}", "TENSOR_ID_UNKNOWN")
        if array.shape != shape or array.dtype != dtype:
            text = f"tensor {tensor.tensor_id} is {array.dtype}{list(array.shape)}, not {dtype}{list(shape)}"
            raise WireError("tensor_id", text, "TENSOR_ID_SPEC")
        return array
    if body is not None and body != "data":
        return _from_numbers(body, getattr(tensor, body).values, count, shape, dtype)
    expected = count * dtype.itemsize
    data = tensor.data  # which is copied whenever it is read
    if len(data) != expected:
        text = f"{len(data)} bytes for {dtype}{list(shape)}, which has {expected}"
        raise WireError("data", text, "TENSOR_LENGTH")
    array = np.frombuffer(data, _DTYPES[tensor.spec.dtype]).reshape(shape)
    return array.astype(dtype, copy=False) if dtype.name == "bfloat16" else array.view(dtype)


def _numbers(array: NDArray[Any]) -> list[Any]:
    """Elements as Python numbers, in C order; a complex element as two numbers."""
    flat = np.ascontiguousarray(array).reshape(-1)
    if array.dtype.kind == "c":
        flat = flat.view(flat.real.dtype)
    numbers: list[Any] = (flat.astype(np.float64) if flat.dtype.kind in "fV" else flat).tolist()
    return numbers


def _from_numbers(
    body: str, values: Sequence[float], count: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    per_element = 2 if dtype.kind == "c" else 1
    path = f"{body}.values"
    if len(values) != count * per_element:
        text = f"{len(values)} numbers for {dtype}{list(shape)}, which has {count * per_element}"
        raise WireError(path, text, "TENSOR_LENGTH")
    numbers: NDArray[Any] = np.array(
        values, {"doubles": np.float64, "ints": np.int64, "uints": np.uint64, "bools": np.bool_}[body]
    )
    if dtype.kind in "biu":
        if body == "doubles" and (not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any()):
            raise WireError(path, f"a number is not an integer, and the dtype is {dtype}", "TENSOR_VALUE")
        least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if numbers.size and (int(numbers.min()) < least or int(numbers.max()) > most):
            raise WireError(path, f"a number does not fit {dtype}", "TENSOR_VALUE")
    if per_element == 2:
        numbers = numbers.astype(np.float64).view(np.complex128)
    with np.errstate(over="ignore"):
        array: NDArray[Any] = numbers.astype(dtype).reshape(shape)
    array.flags.writeable = False
    return array
