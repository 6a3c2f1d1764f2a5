"""Codec of attributes: None, bool, int, float, text, and (nested) tuples of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from gradproof.v1 import graph_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire.tensors import WireError

AttributeValue: TypeAlias = "bool | int | float | str | tuple[AttributeValue, ...] | None"
MAX_DEPTH = 8
"""Bound on lists inside lists."""


def encode_attributes(attributes: Mapping[str, Any]) -> dict[str, pb.Attribute]:
    """Encode attributes by name. Raises WireError for a value of another type than the codec has."""
    return {name: _encode(name, value) for name, value in attributes.items()}


def decode_attributes(attributes: Mapping[str, pb.Attribute]) -> dict[str, AttributeValue]:
    """Decode attributes to plain Python values; lists become tuples. Raises WireError if lists are nested deeper than
    ``MAX_DEPTH``."""
    return {name: _decode(name, value, MAX_DEPTH) for name, value in attributes.items()}


def _encode(name: str, value: Any) -> pb.Attribute:
    if value is None:
        return pb.Attribute(none=True)
    if isinstance(value, bool):
        return pb.Attribute(bool_value=value)
    if isinstance(value, str):
        return pb.Attribute(string_value=value)
    if isinstance(value, float):
        return pb.Attribute(double_value=value)
    if isinstance(value, (tuple, list)):
        if all(type(item) is int for item in value):
            return pb.Attribute(int_list=tensor_pb2.IntList(values=value))
        return pb.Attribute(list=pb.AttributeList(values=[_encode(name, item) for item in value]))
    try:
        return pb.Attribute(int_value=value.__index__())
    except AttributeError:
        raise WireError(
            f"attributes[{name!r}]",
            f"{type(value).__name__} is not None, bool, int, float, text or a list",
            "ATTRIBUTE",
        ) from None


def _decode(name: str, value: pb.Attribute, depth: int) -> AttributeValue:
    kind = value.WhichOneof("kind")
    if kind is None or kind == "none":
        return None
    if kind == "int_list":
        return tuple(value.int_list.values)
    if kind == "list":
        if not depth:
            raise WireError(f"attributes[{name!r}]", f"lists are nested more than {MAX_DEPTH} deep", "ATTRIBUTE")
        return tuple(_decode(name, item, depth - 1) for item in value.list.values)
    plain: AttributeValue = getattr(value, kind)
    return plain
