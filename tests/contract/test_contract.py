"""The contract as descriptors: numbers without holes, times in seconds, presence where 0 or nothing has a meaning."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gradproof.v1 import (
    autodiff_service_pb2,
    graph_pb2,
    op_service_pb2,
    operations_service_pb2,
    tensor_pb2,
    verdict_pb2,
)

FILES = (autodiff_service_pb2, graph_pb2, op_service_pb2, operations_service_pb2, tensor_pb2, verdict_pb2)
MESSAGES: list[Descriptor] = [message for file in FILES for message in file.DESCRIPTOR.message_types_by_name.values()]
ENUMS = [enum for file in FILES for enum in file.DESCRIPTOR.enum_types_by_name.values()]
FIELDS: list[FieldDescriptor] = [field for message in MESSAGES for field in message.fields]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.name)
def test_fields_are_numbered_in_order_and_without_holes(message: Descriptor) -> None:
    assert [field.number for field in message.fields] == list(range(1, len(message.fields) + 1))


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_enum_values_are_numbered_from_unspecified_without_holes(enum: Any) -> None:
    assert enum.values[0].name.endswith("_UNSPECIFIED")
    assert [value.number for value in enum.values] == list(range(len(enum.values)))


def test_times_are_seconds_as_doubles() -> None:
    times = [field for field in FIELDS if field.name.rpartition("_")[2] in ("seconds", "ms", "millis", "time", "timeout")]
    assert len(times) >= 8
    assert {field.name.rpartition("_")[2] for field in times} == {"seconds"}
    assert {field.type for field in times} == {FieldDescriptor.TYPE_DOUBLE}


def test_numbers_have_few_types() -> None:
    """Counts and indices are uint32; bytes, elements, operations and ids uint64; sizes and indices of axes int64."""
    kinds = {
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_DOUBLE,
    }
    others = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_BOOL)
    assert {f.type for f in FIELDS if f.message_type is None and f.enum_type is None and f.type not in others} == kinds
    signed = {f.name for f in FIELDS if f.type == FieldDescriptor.TYPE_INT64}
    assert signed == {"shape", "element", "values", "int_value"}
    large = {f.name for f in FIELDS if f.type == FieldDescriptor.TYPE_UINT64 and f.name != "values"}
    ends = ("_bytes", "_flops", "_id", "sequence", "offset")
    assert {name for name in large if not name.startswith("elements_") and not name.endswith(ends)} == set()


def test_absence_is_told_from_nothing() -> None:
    optional = {
        field.full_name.removeprefix("gradproof.v1.")
        for field in FIELDS
        if field.has_presence and field.message_type is None and field.containing_oneof in (None, _synthetic(field))
    }
    assert optional == {
        *("VerifyOptions.budget_seconds", "VerifyOpRequest.budget_seconds", "HookReply.error", "Gradient.grad_fn"),
        *("RunFault.node", "RunFault.op", "RunFault.plugin", "RunFault.value", "RunFault.incident"),
        *("DerivedValue.by", "DerivedValue.output", "DerivedValue.value", "Formula.by"),
        *("OpInfo.grad_fn", "PluginInfo.version", "Witness.input", "Witness.point", "ProcessStatus.verify_fault"),
    }


def _synthetic(field: FieldDescriptor) -> Any:
    """The oneof that stands for ``optional``, if the field has one."""
    oneof = field.containing_oneof
    return oneof if oneof is not None and oneof.name == f"_{field.name}" else None
