"""Reply to a repeated request as bytes: all but the elements of its tensors is written once.

A message is its fields, one behind the other, each behind its number and its length (the encoding of Protocol Buffers). Of
a request whose shapes are known, only elements, the client's id and the time are new.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from gradproof.engine.spec import Spec
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_spec

DOUBLE = struct.Struct("<d")
_RUN_SECONDS = bytes([pb.RunSummary.RUN_SECONDS_FIELD_NUMBER << 3 | 1])


class Slot(NamedTuple):
    """The place of elements: those of result ``number``, or of the summary's time, which is number -1."""

    number: int
    nbytes: int


TIME = Slot(-1, DOUBLE.size)
Part: TypeAlias = bytes | Slot


class Reply:
    """The reply to a request, as a response of each kind of call.

    Args:
        accepted: the answer to the request, without its id.
        fetched: names of the values that are fetched, with their shapes and dtypes.
        gradients: names of the values whose gradients follow, in this order; None where no gradient reaches the value.
        grad_fn: names of backward nodes, by value.
        nodes_computed: the number of nodes of the run.
        differentiates: True for a `DifferentiateRequest`.
    """

    def __init__(
        self,
        accepted: pb.Accepted,
        fetched: Sequence[tuple[str, Spec]],
        gradients: Sequence[tuple[str, Spec | None]],
        grad_fn: Mapping[str, str],
        *,
        nodes_computed: int,
        differentiates: bool,
    ) -> None:
        self.accepted, self.fetched, self.gradients = accepted, fetched, gradients
        self.grad_fn, self.nodes_computed = grad_fn, nodes_computed
        self._accepted = accepted.SerializeToString()
        values = [[*_text(1, name), *field(2, _tensor(k, spec))] for k, (name, spec) in enumerate(fetched)]
        final = list[list[Part]]()
        for k, (name, spec) in enumerate(gradients, start=len(values)):
            tensor = field(2, _tensor(k, spec)) if spec is not None else []
            backward = _text(pb.Gradient.GRAD_FN_FIELD_NUMBER, grad_fn[name]) if grad_fn.get(name) else []
            final.append([*_text(1, name), *tensor, *backward])
        summary: list[Part] = [
            pb.RunSummary(nodes_computed=nodes_computed).SerializeToString(),
            _RUN_SECONDS,
            TIME,
        ]
        last = pb.DifferentiateResponse.SUMMARY_FIELD_NUMBER if differentiates else pb.EvaluateResponse.SUMMARY_FIELD_NUMBER
        self._message = _Parts([*repeated(2, values), *repeated(3, final), *field(last, summary)])
        batches = [(pb.Event.VALUES_FIELD_NUMBER, values), (pb.Event.GRADIENTS_FIELD_NUMBER, final)]
        kinds = [field(number, repeated(1, items)) for number, items in batches if items]
        kinds.append(field(pb.Event.SUMMARY_FIELD_NUMBER, summary))
        events = [[bytes([1 << 3, sequence]), *kind] for sequence, kind in enumerate(kinds, start=1)]
        self._stream, self._session = (_Parts(repeated(number, events)) for number in (1, 2))
        self.nbytes = self._session.nbytes + len(self._accepted)
        """Bytes of the longest response, without the client's id."""

    def message(self, request_id: str, results: Sequence[Any], seconds: float) -> bytes:
        """The response of a unary call: `DifferentiateResponse`, or `EvaluateResponse`."""
        return _field(1, self._answer(request_id)) + self._message.filled(results, seconds)

    def stream(self, request_id: str, results: Sequence[Any], seconds: float) -> bytes:
        """A `StreamingDifferentiateResponse` with all events."""
        return _field(1, self._event(request_id)) + self._stream.filled(results, seconds)

    def session(self, request_id: str, results: Sequence[Any], seconds: float) -> bytes:
        """A `SessionResponse` with all events."""
        name = _field(1, request_id.encode()) if request_id else b""
        return name + _field(2, self._event(request_id)) + self._session.filled(results, seconds)

    def _answer(self, request_id: str) -> bytes:
        return self._accepted + _field(2, request_id.encode()) if request_id else self._accepted

    def _event(self, request_id: str) -> bytes:
        return _field(pb.Event.ACCEPTED_FIELD_NUMBER, self._answer(request_id))


class _Parts:
    """Bytes with slots."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._pieces, self._slots = list[bytes](), list[tuple[int, int]]()
        constant = b""
        for part in parts:
            if isinstance(part, bytes):
                constant += part
                continue
            self._slots.append((len(self._pieces) + 1, part.number))
            self._pieces += [constant, b""]
            constant = b""
        self._pieces.append(constant)
        self.nbytes = sum(map(len, self._pieces)) + sum(part.nbytes for part in parts if isinstance(part, Slot))

    def filled(self, results: Sequence[Any], seconds: float) -> bytes:
        """The bytes with the elements of ``results`` and the time in their slots."""
        pieces = self._pieces.copy()
        for place, number in self._slots:
            pieces[place] = _elements(results[number]) if number >= 0 else DOUBLE.pack(seconds)
        return b"".join(pieces)


def _elements(value: Any) -> bytes:
    """The elements of a result, little-endian and in C order. A float64 or a truth value without axes may be a Python
    number."""
    if type(value) is float:
        return DOUBLE.pack(value)
    if type(value) is bool:
        return b"\1" if value else b"\0"
    elements: bytes = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
    return elements


def _tensor(number: int, spec: Spec) -> list[Part]:
    """A `Tensor` with the elements of result ``number``."""
    return [*field(1, [encode_spec(spec.shape, spec.dtype).SerializeToString()]), *field(2, [Slot(number, spec.nbytes)])]


def _text(number: int, text: str) -> list[Part]:
    return field(number, [text.encode()])


def field(number: int, parts: Sequence[Part]) -> list[Part]:
    """Field ``number`` of a message, of which ``parts`` are the bytes."""
    size = sum(len(part) if isinstance(part, bytes) else part.nbytes for part in parts)
    return [_varint(number << 3 | 2) + _varint(size), *parts]


def repeated(number: int, items: Iterable[Sequence[Part]]) -> list[Part]:
    """A repeated field."""
    return [part for item in items for part in field(number, item)]


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last byte have the highest bit."""
    if number < 0x80:
        return bytes((number,))
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
