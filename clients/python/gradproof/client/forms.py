"""Forms of requests: a graph that the server has seen, with names, shapes, dtypes and options. A request of the same form
is the message of the last with other elements."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gradproof.client.decoding import decode_gradient, decode_summary
from gradproof.client.dispatch import Digests, attempts
from gradproof.client.errors import DeadlineExceeded, GradproofError, ResourceExhausted
from gradproof.client.events import Result
from gradproof.client.graph import Graph, GraphBuilder
from gradproof.client.requests import Options
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire import decode_tensor

NAMES = ("fetch", "gradients", "retain")
MAX_BYTES = 1 << 20
"""Elements of a request, which are copied into its message; more of them travel in chunks."""
MAX_FORMS = 64  # of a graph


class Form:
    """The message of a form. ``fails``: its results are too large for a message, so that requests are to be sent in
    the general way."""

    def __init__(self, message: pb.DifferentiateRequest) -> None:
        self._message, self.fails = message, False

    def request(self, values: Sequence[Any]) -> pb.DifferentiateRequest:
        """A request with these values."""
        request = pb.DifferentiateRequest()
        request.CopyFrom(self._message)
        for named, value in zip(request.input.values, values, strict=False):  # carried values stand behind
            named.value.data = value.tobytes()
        return request

    def failed(self, error: GradproofError, graph: Graph | None, digests: Digests) -> None:
        """Note that a request on ``graph`` failed: it is to be sent in the general way, which repeats it, or sends the
        graph. Raises the error where there is no time left for that."""
        if isinstance(error, DeadlineExceeded):
            raise error
        if error.reason == "GRAPH_NOT_FOUND":
            digests.forget(graph)
        self.fails = isinstance(error, ResourceExhausted) and error.retry_after is None


class Forms:
    """Forms of the requests of a client, by graph. Any thread may ask for them."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._known: WeakKeyDictionary[GraphBuilder, tuple[str, dict[Any, Form]]] = WeakKeyDictionary()

    def of(self, graph: Graph | None, values: Mapping[str, Any] | None, options: Mapping[str, Any]) -> Form | None:
        """The form of a request without checks on a graph whose digest is known; None where it has none: a value is no
        small array, or an option needs the general way."""
        if not isinstance(graph, GraphBuilder) or options.get("verify") != "off" or sys.byteorder != "little":
            return None
        if any(name not in NAMES and name not in ("verify", "timeout") for name in options):
            return None
        digest = self._digests.of(graph)
        if not digest:
            return None
        nbytes, specs = 0, []
        for name, value in (values or {}).items():
            if type(value) is not np.ndarray or not value.dtype.isnative:
                return None
            nbytes += value.nbytes
            specs.append((name, value.shape, value.dtype))
        if nbytes > MAX_BYTES:
            return None
        key = (*specs, *(tuple(options.get(name, ())) for name in NAMES))
        known = self._known.get(graph)
        if known is None or known[0] != digest or len(known[1]) >= MAX_FORMS:
            known = self._known[graph] = digest, {}
        form = known[1].get(key)
        if form is None:
            given = {name: options[name] for name in (*NAMES, "verify") if name in options}
            first = next(attempts(Options(**given).request(), graph, values, digest=digest))
            form = known[1][key] = Form(first.request)
        return None if form.fails else form


def result_of(events: Sequence[pb.Event]) -> Result | None:
    """The result of a run whose events came in a single message, without verdicts or chunks; None for any other."""
    result = Result()
    for event in events:
        kind = event.WhichOneof("kind")
        if kind == "accepted":
            result.digest = event.accepted.digest
        elif kind == "values":
            _add_values(result, event.values.values)
        elif kind == "gradients":
            _add_gradients(result, event.gradients.gradients)
        elif kind == "summary":
            result.summary = decode_summary(event.summary)
        else:
            return None
    return result if result.summary is not None else None


def response_result(response: pb.DifferentiateResponse) -> Result:
    """The result in a response without verdicts."""
    result = Result(digest=response.accepted.digest, summary=decode_summary(response.summary))
    _add_values(result, response.values)
    _add_gradients(result, response.gradients)
    return result


def _add_values(result: Result, values: Sequence[tensor_pb2.NamedTensor]) -> None:
    for named in values:
        result.values[named.name] = decode_tensor(named.value)


def _add_gradients(result: Result, gradients: Sequence[pb.Gradient]) -> None:
    for gradient in gradients:
        result.gradients[gradient.value] = decode_gradient(gradient, decode_tensor)
