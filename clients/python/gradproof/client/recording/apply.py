"""Recording of ops: from operands to a node and the tensors of its outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast, overload

from gradproof.client.recording.arrays import array_of
from gradproof.client.recording.modes import recorders
from gradproof.client.recording.names import is_number
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded, changes
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
    return _record(None, op, inputs, attributes).held(0)


@overload
def apply_multiple(op: str, x: T, /, *inputs: Any, **attributes: Any) -> list[T]: ...
@overload
def apply_multiple(op: str, /, *inputs: Any, **attributes: Any) -> list[Recorded]: ...
def apply_multiple(op: str, /, *inputs: Any, **attributes: Any) -> Any:
    """As `apply`, for ops with several results."""
    return _record(None, op, inputs, attributes).outputs()


def apply_as(kind: type[T], op: str, *inputs: Any, **attributes: Any) -> list[T]:
    """As `apply_multiple`, for inputs that need not contain a tensor: without any, the results have the class ``kind``."""
    return cast("list[T]", _record(kind, op, inputs, attributes).outputs())


def as_subclass(x: Recorded, kind: type[T]) -> T:
    """``x`` as a tensor of the class ``kind``; a gradient flows through."""
    node = _record(None, "reshape", (x,), {"shape": x.shape})
    node.kind = kind
    return cast("T", node.held(0))


def _record(kind: type[Recorded] | None, op: str, inputs: tuple[Any, ...], attributes: Mapping[str, Any]) -> Node:
    """The node of an op. ``kind``: the class of the outputs where no input is a tensor."""
    own: type[Recorded] | None = None
    kinds: list[Any] = []
    converted = False
    for x in inputs:  # in a single pass: each op that is recorded comes here
        if isinstance(x, Recorded):
            if changes.last:
                x.check_current()
            other = x.result_class()
            if own is None or (other is not own and issubclass(other, own)):
                own = other
            kinds.append(x.spec)
        elif is_number(x):
            kinds.append(type(x))
        else:
            converted = True
    kind = own or kind
    if kind is None:
        raise TypeError(f"{op}: no input is a tensor")
    runtime, source = current(), _source.get()
    if converted:
        inputs = tuple(_operand(x, kind) for x in inputs)
        signature = runtime.signature(op, inputs, attributes)
    else:
        signature = runtime.signature_of(op, tuple(kinds), inputs, attributes)
    node = Node(kind, signature, inputs, source.rules if source is not None else ())
    if source is not None:
        node.take_place_of(source)
    if node.requires_grad:
        for recorder in recorders():
            recorder(node)
    return node


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
    return cast("Input", x) if isinstance(x, Recorded) or is_number(x) else kind.plain().from_array(array_of(x))
