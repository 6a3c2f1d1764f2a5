"""Recording of ops: from operands to a node and the tensors of its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast, overload

import numpy as np

from gradproof.client.recording.arrays import array_of
from gradproof.client.recording.modes import recorders
from gradproof.client.recording.names import is_number
from gradproof.client.recording.record import Input, Node, Recorded, class_of
from gradproof.client.recording.runtime import current

T = TypeVar("T", bound=Recorded)


@overload
def apply(op: str, x: T, /, *inputs: Any, **attributes: Any) -> T: ...
@overload
def apply(op: str, /, *inputs: Any, **attributes: Any) -> Recorded: ...
def apply(op: str, /, *inputs: Any, **attributes: Any) -> Any:
    """Record ``op`` on tensors, arrays and Python numbers (weakly typed: they take the dtype of the tensors beside them).

    The result has the class of the first tensor, or of a later input whose class derives from that. Raises TypeError,
    ValueError or RuntimeError at once if shapes, dtypes or attributes do not fit, and TypeError if no input is a tensor.
    """
    return apply_multiple(op, *inputs, **attributes)[0]


@overload
def apply_multiple(op: str, x: T, /, *inputs: Any, **attributes: Any) -> list[T]: ...
@overload
def apply_multiple(op: str, /, *inputs: Any, **attributes: Any) -> list[Recorded]: ...
def apply_multiple(op: str, /, *inputs: Any, **attributes: Any) -> Any:
    """As `apply`, for ops with several results."""
    kind = class_of(inputs)
    if kind is None:
        raise TypeError(f"{op}: no input is a tensor")
    return _record(kind, op, inputs, attributes)


def apply_as(kind: type[T], op: str, *inputs: Any, **attributes: Any) -> list[T]:
    """As `apply_multiple`, for inputs that need not contain a tensor: without any, the results have the class ``kind``."""
    return cast("list[T]", _record(class_of(inputs) or kind, op, inputs, attributes))


def as_subclass(x: Recorded, kind: type[T]) -> T:
    """``x`` as a tensor of the class ``kind``; a gradient flows through."""
    return cast("T", _record(kind, "reshape", [x], {"shape": x.shape})[0])


def _record(kind: type[Recorded], op: str, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> list[Recorded]:
    runtime = current()
    info = runtime.op(op)
    operands = [_operand(x, kind) for x in inputs]
    plain = {name: _plain(value) for name, value in attributes.items()}
    source = _source.get()
    node = Node(kind, info, operands, plain, runtime.infer(info, operands, plain), source.rules if source else ())
    if source is not None:
        node.place = source.place
    for recorder in recorders():
        if node.requires_grad:
            recorder(node)
    return node.outputs()


_source: ContextVar[Node | None] = ContextVar("gradproof_source", default=None)


@contextmanager
def in_place_of(source: Node) -> Iterator[None]:
    """Nodes recorded inside have the line and the rules of ``source``, which they take the place of."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def _operand(x: Any, kind: type[Recorded]) -> Input:
    if isinstance(x, Recorded):
        x.check_current()
        return x
    return cast("Input", x) if is_number(x) else kind.plain().from_array(array_of(x))


def _plain(value: Any) -> Any:
    """An attribute as plain Python: tuples for lists, int for NumPy's integers, a name for a dtype."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    return value
