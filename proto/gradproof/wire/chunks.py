"""Tensors in chunks: a header, then parts in order. The receiver allocates once and copies each part to its place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradproof.v1 import tensor_pb2 as pb
from gradproof.wire.tensors import WireError, decode_spec, encode_spec

CHUNK_BYTES = 1 << 20
"""Size of one part. A tensor larger than this does not travel inside another message."""


def chunks(array: NDArray[Any], tensor_id: int) -> Iterator[pb.TensorHeader | pb.TensorChunk]:
    """The header and the parts of ``array``, to be named as ``tensor_id`` afterwards."""
    whole = np.ascontiguousarray(array)
    if whole.dtype.byteorder == ">":
        whole = whole.astype(whole.dtype.newbyteorder("<"))
    yield pb.TensorHeader(tensor_id=tensor_id, spec=encode_spec(array.shape, array.dtype), total_bytes=whole.nbytes)
    data = whole.reshape(-1).view(np.uint8)
    for offset in range(0, len(data), CHUNK_BYTES):
        part = data[offset : offset + CHUNK_BYTES]
        yield pb.TensorChunk(tensor_id=tensor_id, offset=offset, data=part.tobytes())


class Assembler:
    """Puts tensors together. ``max_bytes`` bounds all tensors held at once, before anything is allocated."""

    def __init__(self, max_bytes: int = 1 << 62) -> None:
        self.max_bytes = max_bytes
        self.complete: dict[int, NDArray[Any]] = {}
        self._open: dict[int, tuple[NDArray[Any], NDArray[np.uint8], int]] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of all tensors, complete or not."""
        return sum(a.nbytes for a in self.complete.values()) + sum(a.nbytes for a, _, _ in self._open.values())

    def header(self, header: pb.TensorHeader) -> None:
        """Begin a tensor. Raises WireError for a wrong length, an id in use, or too many bytes."""
        shape, dtype = decode_spec(header.spec)
        expected = math.prod(shape) * dtype.itemsize
        if header.total_bytes != expected:
            text = f"{header.total_bytes} bytes announced for {dtype}{list(shape)}, which has {expected}"
            raise WireError("header.total_bytes", text, "TENSOR_LENGTH")
        if header.tensor_id in self.complete or header.tensor_id in self._open:
            raise WireError("header.tensor_id", f"id {header.tensor_id} is in use", "UPLOAD_ID")
        if self.held_bytes + expected > self.max_bytes:
            text = f"{expected} bytes more would pass the limit of {self.max_bytes} bytes"
            raise WireError("header.total_bytes", text, "LIMIT_EXCEEDED")
        array: NDArray[Any] = np.empty(shape, dtype)
        self._open[header.tensor_id] = (array, array.reshape(-1).view(np.uint8), 0)
        self._finish(header.tensor_id)

    def chunk(self, chunk: pb.TensorChunk) -> None:
        """Take the next part. Raises WireError for an unknown id, a gap, an overlap, or bytes past the end."""
        if chunk.tensor_id not in self._open:
            raise WireError("chunk.tensor_id", f"no tensor {chunk.tensor_id} is being uploaded", "UPLOAD_UNKNOWN")
        array, data, filled = self._open[chunk.tensor_id]
        end = chunk.offset + len(chunk.data)
        if chunk.offset != filled or end > len(data):
            text = f"bytes {chunk.offset} to {end}; expected to go on at {filled}, of {len(data)}"
            raise WireError("chunk.offset", text, "UPLOAD_OFFSET")
        data[filled:end] = np.frombuffer(chunk.data, np.uint8)
        self._open[chunk.tensor_id] = (array, data, end)
        self._finish(chunk.tensor_id)

    def _finish(self, tensor_id: int) -> None:
        array, data, filled = self._open[tensor_id]
        if filled == len(data):
            del self._open[tensor_id]
            array.flags.writeable = False
            self.complete[tensor_id] = array
