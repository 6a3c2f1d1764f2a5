"""Tensors in chunks: a header, then parts in order, which the receiver copies into an array that it allocated once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradproof.v1 import tensor_pb2 as pb
from gradproof.wire.tensors import WireError, decode_spec, encode_spec

CHUNK_BYTES = 1 << 20
"""Size of a part in bytes. A larger tensor does not travel inside another message."""


def chunks(array: NDArray[Any], tensor_id: int) -> Iterator[pb.TensorHeader | pb.TensorChunk]:
    """Header and parts of ``array``, in the order to send. Later messages may name the tensor by ``tensor_id``."""
    whole = np.ascontiguousarray(array)
    if whole.dtype.byteorder == ">":
        whole = whole.astype(whole.dtype.newbyteorder("<"))
    yield pb.TensorHeader(tensor_id=tensor_id, spec=encode_spec(array.shape, array.dtype), total_bytes=whole.nbytes)
    data = whole.reshape(-1).view(np.uint8)
    for offset in range(0, len(data), CHUNK_BYTES):
        part = data[offset : offset + CHUNK_BYTES]
        yield pb.TensorChunk(tensor_id=tensor_id, offset=offset, data=part.tobytes())


class Assembler:
    """Assembles tensors from chunks. Before memory is allocated, ``max_bytes`` bounds all tensors held at once,
    ``max_held`` their number, and ``max_open`` the number of incomplete tensors. The time per header and
    chunk does not grow with the number of tensors held."""

    def __init__(self, max_bytes: int = 1 << 62, max_held: int = 1 << 62, max_open: int = 1 << 62) -> None:
        self.max_bytes, self.max_held, self.max_open = max_bytes, max_held, max_open
        self.held_bytes = 0
        """Bytes of all tensors, complete or not."""
        self.complete: dict[int, NDArray[Any]] = {}
        self._open: dict[int, tuple[NDArray[Any], NDArray[np.uint8], int]] = {}

    def take(self, tensor_id: int) -> NDArray[Any] | None:
        """Remove and return a complete tensor, read-only; None if no complete tensor has this id."""
        array = self.complete.pop(tensor_id, None)
        self.held_bytes -= array.nbytes if array is not None else 0
        return array

    def passed(self, header: pb.TensorHeader) -> tuple[tuple[int, int], ...]:
        """Bytes, tensors, and incomplete tensors that would be held after ``header``, each with its bound."""
        opened = len(self._open) + 1
        return (
            (self.held_bytes + header.total_bytes, self.max_bytes),
            (opened + len(self.complete), self.max_held),
            (opened, self.max_open),
        )

    def header(self, header: pb.TensorHeader) -> None:
        """Begin a tensor. Raises WireError for a wrong length, an id in use, or a bound that is passed."""
        shape, dtype = decode_spec(header.spec)
        expected = math.prod(shape) * dtype.itemsize
        if header.total_bytes != expected:
            text = f"{header.total_bytes} bytes announced for {dtype}{list(shape)}, which has {expected}"
            raise WireError("header.total_bytes", text, "TENSOR_LENGTH")
        if header.tensor_id in self.complete or header.tensor_id in self._open:
            raise WireError("header.tensor_id", f"id {header.tensor_id} is in use", "TENSOR_ID_TAKEN")
        for name, (count, most) in zip(("bytes", "tensors", "open tensors"), self.passed(header), strict=True):
            if count > most:
                text = f"{count} {name} would be held, and the limit is {most}"
                raise WireError("header.total_bytes", text, "LIMIT_EXCEEDED")
        array: NDArray[Any] = np.empty(shape, dtype)
        self.held_bytes += expected
        self._open[header.tensor_id] = (array, array.reshape(-1).view(np.uint8), 0)
        self._finish(header.tensor_id)

    def chunk(self, chunk: pb.TensorChunk) -> None:
        """Take the next part. Raises WireError for an unknown id, a gap, an overlap, or bytes past the end."""
        if chunk.tensor_id not in self._open:
            raise WireError("chunk.tensor_id", f"no header came for tensor {chunk.tensor_id}", "TENSOR_ID_UNKNOWN")
        array, data, filled = self._open[chunk.tensor_id]
        end = chunk.offset + len(chunk.data)
        if chunk.offset != filled or end > len(data):
            text = f"bytes {chunk.offset} to {end}; expected to go on at {filled}, of {len(data)}"
            raise WireError("chunk.offset", text, "CHUNK_OFFSET")
        data[filled:end] = np.frombuffer(chunk.data, np.uint8)
        self._open[chunk.tensor_id] = (array, data, end)
        self._finish(chunk.tensor_id)

    def _finish(self, tensor_id: int) -> None:
        array, data, filled = self._open[tensor_id]
        if filled == len(data):
            del self._open[tensor_id]
            array.flags.writeable = False
            self.complete[tensor_id] = array
