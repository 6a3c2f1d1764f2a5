"""Recording of ops: from operands to a node and the tensors of its outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gradproof.client.recording.arrays import array_of
from gradproof.client.recording.record import Input, Node, class_of, is_tensor
from gradproof.client.recording.runtime import current

if TYPE_CHECKING:
    from gradproof.client.tensors.tensor import Tensor

T = TypeVar("T", bound="Tensor")


def apply(op: str, *inputs: Any, **attributes: Any) -> Tensor:
    """Record ``op`` on tensors, arrays and Python numbers (weakly typed: they take the dtype of the tensors beside them).

    The result has the class of the first tensor, or of another input whose class derives from that. Raises TypeError,
    ValueError or RuntimeError at once if shapes, dtypes or attributes do not fit, and TypeError if no input is a tensor.
    """
    return apply_multiple(op, *inputs, **attributes)[0]


def apply_multiple(op: str, *inputs: Any, **attributes: Any) -> list[Tensor]:
    """As `apply`, for ops with several results."""
    kind = class_of(inputs)
    if kind is None:
        raise TypeError(f"{op}: no input is a tensor")
    return _record(kind, op, inputs, attributes)


def apply_as(kind: type[T], op: str, *inputs: Any, **attributes: Any) -> list[T]:
    """As `apply_multiple`, for inputs among which there need not be a tensor: then the results are of the class ``kind``."""
    return _record(class_of(inputs) or kind, op, inputs, attributes)  # type: ignore[return-value]


def _record(kind: type[Tensor], op: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[Tensor]:
    runtime = current()
    info = runtime.op(op)
    operands = [_operand(x, kind) for x in inputs]
    plain = {name: _plain(value) for name, value in attributes.items()}
    specs = runtime.infer(info, operands, plain)
    return Node(op, operands, plain, specs, info, kind=kind).outputs()


def _operand(x: Any, kind: type[Tensor]) -> Input:
    return x if is_tensor(x) or type(x) in (bool, int, float, complex) else kind(array_of(x))


def _plain(value: Any) -> Any:
    """An attribute as plain Python: tuples for lists, int for NumPy's integers, a name for a dtype."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    return value
