"""The wire codec: tensors, attributes and chunks survive to the bit, and everything malformed is refused by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import (
    CHUNK_BYTES,
    Assembler,
    WireError,
    chunks,
    decode_attributes,
    decode_spec,
    decode_tensor,
    encode_attributes,
    encode_spec,
    encode_tensor,
)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [
    *(np.dtype(f"{kind}int{bits}") for kind in ("", "u") for bits in (8, 16, 32, 64)),
    *map(np.dtype, ("bool", "float16", "float32", "float64")),
    BFLOAT16,
    np.dtype("complex64"),
    np.dtype("complex128"),
]


@st.composite
def arrays(draw: st.DrawFn) -> NDArray[Any]:
    """Any bits at all in any dtype: NaN payloads, infinities and subnormals come by themselves."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    count = math.prod(shape)
    if dtype.kind == "b":
        return np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype).reshape(shape)
    data = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    return np.frombuffer(data, dtype).reshape(shape)


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def over_the_wire(message: tensor_pb2.Tensor) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor.FromString(message.SerializeToString())


@given(arrays())
def test_a_tensor_survives_to_the_bit(array: NDArray[Any]) -> None:
    back = decode_tensor(over_the_wire(encode_tensor(array)))
    assert same(back, array)
    assert not back.flags.writeable


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (2, 3), (1,) * 16], ids=str)
def test_every_dtype_takes_every_shape(dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    array = np.ones(shape, dtype)
    assert same(decode_tensor(over_the_wire(encode_tensor(array))), array)
    assert decode_spec(encode_spec(shape, dtype)) == (shape, dtype)


def test_special_values_keep_their_bits() -> None:
    bits = np.array([0x7FF8_0000_0000_0001, 0xFFF8_0000_DEAD_BEEF, 0x7FF0_0000_0000_0001, 1, 1 << 63], np.uint64)
    array = np.concatenate([bits.view(np.float64), [np.inf, -np.inf, -0.0, 5e-324]])
    assert same(decode_tensor(over_the_wire(encode_tensor(array))), array)


def test_layout_and_byte_order_of_the_sender_do_not_matter() -> None:
    array = np.arange(12.0).reshape(3, 4)
    for view in (array.T, array[:, ::2], array[::-1], np.asfortranarray(array), array.astype(">f8"), array.T.astype(">f4")):
        back = decode_tensor(encode_tensor(view))
        assert back.dtype.isnative
        assert np.array_equal(back, view)


def test_bytes_are_little_endian_in_c_order() -> None:
    assert encode_tensor(np.array([[1, 2], [3, 256]], np.int16)).data == b"\1\0\2\0\3\0\0\1"


@pytest.mark.parametrize(("number", "dtype"), [(True, "bool"), (3, "int64"), (3.0, "float64"), (3j, "complex128")])
def test_python_numbers_are_weak(number: Any, dtype: str) -> None:
    message = encode_tensor(number)
    assert message.weak
    back = decode_tensor(message)
    assert (back.shape, back.dtype.name, back[()]) == ((), dtype, number)


@pytest.mark.parametrize("value", [np.float64(3.0), np.array(3.0), np.int32(1), [1.0, 2.0]])
def test_arrays_and_numpy_scalars_are_not_weak(value: Any) -> None:
    assert not encode_tensor(value).weak


@pytest.mark.parametrize("value", ["text", np.array([object()]), np.array("2020-01-01", "M8[D]"), None])
def test_what_has_no_place_on_the_wire_is_refused(value: Any) -> None:
    with pytest.raises(WireError, match="cannot be sent") as caught:
        encode_tensor(value)
    assert (caught.value.path, caught.value.reason) == ("spec.dtype", "DTYPE")


def tensor(dtype: Any, shape: list[int], **body: Any) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(spec=tensor_pb2.TensorSpec(dtype=dtype, shape=shape), **body)


def numbers(dtype: Any, shape: list[int], *values: float) -> tensor_pb2.Tensor:
    return tensor(dtype, shape, doubles=tensor_pb2.DoubleList(values=values))


F64, F32, I8 = tensor_pb2.DATA_TYPE_FLOAT64, tensor_pb2.DATA_TYPE_FLOAT32, tensor_pb2.DATA_TYPE_INT8
U8, BOOL, C64 = tensor_pb2.DATA_TYPE_UINT8, tensor_pb2.DATA_TYPE_BOOL, tensor_pb2.DATA_TYPE_COMPLEX64


@pytest.mark.parametrize(
    ("message", "path", "reason", "text"),
    [
        (tensor(F64, [2], data=b"1234567"), "data", "TENSOR_LENGTH", "7 bytes for float64.2., which has 16"),
        (tensor(F64, [2]), "data", "TENSOR_LENGTH", "0 bytes"),
        (tensor(F64, [0], data=b"x"), "data", "TENSOR_LENGTH", "1 bytes"),
        (tensor(F64, [2**31, 2**31, 4], data=b""), "spec.shape", "SHAPE_INVALID", "overflows"),
        (tensor(F64, [2**62, 2**62, 0], data=b""), "spec.shape", "SHAPE_INVALID", "overflows"),
        (tensor(F64, [2, -1], data=b""), "spec.shape", "SHAPE_INVALID", "negative"),
        (tensor(F64, [1] * 17, data=b"8 bytes."), "spec.shape", "SHAPE_INVALID", "rank 17"),
        (tensor(0, [], data=b""), "spec.dtype", "DTYPE", "0 is not a dtype"),
        (tensor(99, [], data=b""), "spec.dtype", "DTYPE", "99 is not a dtype"),
        (tensor_pb2.Tensor(), "spec.dtype", "DTYPE", "not a dtype"),
        (tensor(F64, [], tensor_id=7), "tensor_id", "TENSOR_ID_UNKNOWN", "in chunks as 7"),
        (numbers(F64, [2], 1.0), "doubles.values", "TENSOR_LENGTH", "1 numbers for float64.2., which has 2"),
        (numbers(C64, [2], 1.0, 2.0), "doubles.values", "TENSOR_LENGTH", "which has 4"),
        (numbers(I8, [1], 0.5), "doubles.values", "TENSOR_VALUE", "not an integer"),
        (numbers(I8, [1], math.nan), "doubles.values", "TENSOR_VALUE", "not an integer"),
        (numbers(I8, [2], 1, 128), "doubles.values", "TENSOR_VALUE", "does not fit int8"),
        (numbers(U8, [1], -1), "doubles.values", "TENSOR_VALUE", "does not fit uint8"),
        (numbers(BOOL, [1], 2), "doubles.values", "TENSOR_VALUE", "does not fit bool"),
    ],
)
def test_malformed_tensors_are_refused(message: tensor_pb2.Tensor, path: str, reason: str, text: str) -> None:
    with pytest.raises(WireError, match=text) as caught:
        decode_tensor(message)
    assert (caught.value.path, caught.value.reason) == (path, reason)


def test_numbers_become_every_dtype() -> None:
    assert decode_tensor(numbers(F64, [2, 1], 0.1, -0.0)).tobytes() == np.array([0.1, -0.0]).tobytes()
    assert np.array_equal(
        decode_tensor(numbers(F32, [2], 1e300, math.nan)), np.array([np.inf, np.nan], "f4"), equal_nan=True
    )
    assert np.array_equal(decode_tensor(numbers(C64, [2], 1, 2, 3, 4)), np.array([1 + 2j, 3 + 4j]))
    assert decode_tensor(numbers(BOOL, [2], 0, 1)).tolist() == [False, True]
    assert decode_tensor(numbers(I8, [2], -128, 127)).tolist() == [-128, 127]
    for dtype in DTYPES:
        parts = 2 if dtype.kind == "c" else 1
        back = decode_tensor(numbers(encode_spec((), dtype).dtype, [2], *[1.0] * (2 * parts)))
        assert (back.dtype, back.shape, back.flags.writeable) == (dtype, (2,), False)


def test_an_upload_must_have_the_stated_spec() -> None:
    held = {1: np.ones(3, np.float32)}
    assert decode_tensor(tensor(F32, [3], tensor_id=1), held) is held[1]
    for message in (tensor(F64, [3], tensor_id=1), tensor(F32, [3, 1], tensor_id=1)):
        with pytest.raises(WireError, match="tensor 1 is float32") as caught:
            decode_tensor(message, held)
        assert caught.value.reason == "TENSOR_ID_SPEC"


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXT
NESTED = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, tuple) else 0


@pytest.mark.slow
@given(st.dictionaries(TEXT, NESTED.filter(lambda value: depth(value) < 8)))
def test_attributes_survive(attributes: dict[str, Any]) -> None:
    sent = graph_pb2.Node(attributes=encode_attributes(attributes)).SerializeToString()
    back = decode_attributes(graph_pb2.Node.FromString(sent).attributes)
    assert back == attributes
    assert all(type(back[name]) is type(value) for name, value in attributes.items())
    assert repr(sorted(back.items())) == repr(sorted(attributes.items()))  # True is not 1, -0.0 is not 0.0


def test_attributes_of_other_types_are_refused_and_numpy_integers_are_not() -> None:
    assert decode_attributes(encode_attributes({"axis": np.int32(2), "axes": [np.int64(1)]})) == {"axis": 2, "axes": (1,)}
    for value in (object(), 1j, {"a": 1}, b"bytes"):
        with pytest.raises(WireError, match="is not None, bool, int") as caught:
            encode_attributes({"axis": value})
        assert (caught.value.path, caught.value.reason) == ("attributes['axis']", "ATTRIBUTE")


def test_attributes_nested_too_deep_are_refused() -> None:
    value = graph_pb2.Attribute(bool_value=True)
    for _ in range(9):
        value = graph_pb2.Attribute(list=graph_pb2.AttributeList(values=[value]))
    with pytest.raises(WireError, match="nested more than 8 deep"):
        decode_attributes({"deep": value})


def test_an_attribute_with_nothing_set_is_none() -> None:
    assert decode_attributes({"a": graph_pb2.Attribute()}) == {"a": None}


def fed(assembler: Assembler, parts: Iterator[tensor_pb2.TensorHeader | tensor_pb2.TensorChunk]) -> None:
    for part in parts:
        if isinstance(part, tensor_pb2.TensorHeader):
            assembler.header(part)
        else:
            assembler.chunk(part)


@given(arrays())
def test_chunks_put_together_are_the_tensor(array: NDArray[Any]) -> None:
    assembler = Assembler()
    fed(assembler, chunks(array, 5))
    assert same(assembler.complete[5], array)
    assert not assembler.complete[5].flags.writeable


def test_a_large_tensor_goes_in_parts_of_one_mebibyte() -> None:
    array = np.arange(600_001.0)[::-1]
    parts = list(chunks(array, 1))
    assert array.nbytes > 4 << 20
    assert len(parts) == 1 + math.ceil(array.nbytes / CHUNK_BYTES)
    assert max(part.ByteSize() for part in parts) < CHUNK_BYTES + 64
    assembler = Assembler()
    fed(assembler, iter(parts[:-1]))
    assert not assembler.complete
    assert assembler.held_bytes == array.nbytes
    fed(assembler, iter(parts[-1:]))
    assert same(assembler.complete[1], array)


def test_tensors_may_interleave_and_empty_ones_need_no_chunk() -> None:
    assembler = Assembler()
    assembler.header(tensor_pb2.TensorHeader(tensor_id=3, spec=encode_spec((0, 4), BFLOAT16)))
    assert assembler.complete[3].shape == (0, 4)
    pairs = [list(chunks(np.full(200_000, n, np.float64), n)) for n in (1, 2)]
    fed(assembler, (part for pair in zip(*pairs) for part in pair))
    assert [assembler.complete[n][-1] for n in (1, 2)] == [1, 2]


def begun(total: int = 16, limit: int = 1 << 20) -> Assembler:
    assembler = Assembler(limit)
    assembler.header(tensor_pb2.TensorHeader(tensor_id=1, spec=encode_spec((2,), np.dtype("<f8")), total_bytes=total))
    return assembler


@pytest.mark.parametrize(
    ("tensor_id", "offset", "size", "path", "reason"),
    [
        (1, 8, 4, "chunk.offset", "CHUNK_OFFSET"),  # a gap
        (1, 0, 4, "chunk.offset", "CHUNK_OFFSET"),  # an overlap
        (1, 4, 13, "chunk.offset", "CHUNK_OFFSET"),  # past the end
        (1, 2**63, 1, "chunk.offset", "CHUNK_OFFSET"),
        (2, 4, 4, "chunk.tensor_id", "TENSOR_ID_UNKNOWN"),
    ],
)
def test_chunks_out_of_place_are_refused(tensor_id: int, offset: int, size: int, path: str, reason: str) -> None:
    assembler = begun()
    assembler.chunk(tensor_pb2.TensorChunk(tensor_id=1, data=b"1234"))
    with pytest.raises(WireError) as caught:
        assembler.chunk(tensor_pb2.TensorChunk(tensor_id=tensor_id, offset=offset, data=b"x" * size))
    assert (caught.value.path, caught.value.reason) == (path, reason)
    assembler.chunk(tensor_pb2.TensorChunk(tensor_id=1, offset=4, data=b"56789abcdefg"))  # and it goes on
    assert assembler.complete[1].tobytes() == b"123456789abcdefg"


def test_nothing_follows_the_last_chunk() -> None:
    assembler = begun()
    assembler.chunk(tensor_pb2.TensorChunk(tensor_id=1, data=bytes(16)))
    with pytest.raises(WireError, match="no header came for tensor 1"):
        assembler.chunk(tensor_pb2.TensorChunk(tensor_id=1, offset=16))


def test_headers_at_fault_are_refused_before_anything_is_allocated() -> None:
    with pytest.raises(WireError, match="15 bytes announced") as caught:
        begun(total=15)
    assert caught.value.reason == "TENSOR_LENGTH"
    with pytest.raises(WireError, match="16 bytes would be held, and the limit is 15") as caught:
        begun(limit=15)
    assert caught.value.reason == "LIMIT_EXCEEDED"
    with pytest.raises(WireError, match="id 1 is in use") as caught:
        begun().header(tensor_pb2.TensorHeader(tensor_id=1, spec=encode_spec((), np.dtype("i1")), total_bytes=1))
    assert caught.value.reason == "TENSOR_ID_TAKEN"
    huge = tensor_pb2.TensorHeader(spec=encode_spec((2**39,), np.dtype("i1")), total_bytes=2**39)
    with pytest.raises(WireError, match="the limit is 1048576"):
        Assembler(1 << 20).header(huge)


@pytest.mark.parametrize(
    ("array", "body"),
    [
        (np.array([[1.5, np.nan], [np.inf, -0.0]]), "doubles"),
        (np.array([0.1, 3e38], np.float32), "doubles"),
        (np.array([1.5, -2.0], np.float16), "doubles"),
        (np.array([1.5, -2.0], BFLOAT16), "doubles"),
        (np.array([1 + 2j, complex(-np.inf, 0.1)]), "doubles"),
        (np.array(1 - 2j, np.complex64), "doubles"),
        (np.array([-(2**63), 2**63 - 1]), "ints"),
        (np.array([-128, 127], np.int8), "ints"),
        (np.array([0, 2**64 - 1], np.uint64), "uints"),
        (np.array([True, False]), "bools"),
        (np.zeros((0, 3)), "doubles"),
        (np.zeros((0,), np.bool_), "bools"),
    ],
)
def test_numbers_are_exact_through_json(array: Any, body: str) -> None:
    message = encode_tensor(array, tensor_pb2.TENSOR_FORMAT_NUMBERS)
    again = json_format.Parse(json_format.MessageToJson(message), tensor_pb2.Tensor())
    assert again.WhichOneof("body") == body
    decoded = decode_tensor(again)
    assert (decoded.dtype, decoded.shape, decoded.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert not decoded.flags.writeable
