"""Codec between NumPy arrays and the messages of gradproof.v1, shared by client and server."""

from gradproof.wire.attributes import decode_attributes, encode_attributes
from gradproof.wire.chunks import CHUNK_BYTES, Assembler, chunks
from gradproof.wire.frames import tensors
from gradproof.wire.tensors import WireError, decode_spec, decode_tensor, encode_spec, encode_tensor

__all__ = [
    "CHUNK_BYTES",
    "Assembler",
    "WireError",
    "chunks",
    "decode_attributes",
    "decode_spec",
    "decode_tensor",
    "encode_attributes",
    "encode_spec",
    "encode_tensor",
    "tensors",
]
