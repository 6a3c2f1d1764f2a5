"""A client of one server."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Unpack
from weakref import WeakKeyDictionary

import grpc
import numpy as np
from numpy.typing import NDArray

from gradproof.client.errors import FieldFault, NotFound, translated
from gradproof.client.events import Event, EventDecoder, OpInfo, Result, RuleVerdict, decode_op, decode_rule
from gradproof.client.graph import Graph, GraphBuilder
from gradproof.client.requests import NO_FUNCTIONS, Functions, Options, differentiation, message_of, named_values
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc, tensor_pb2
from gradproof.wire import decode_spec, decode_tensor

INLINE_BYTES = 3 << 20
"""A request larger than this goes through a session, with its tensors in chunks (messages end at 4 MiB)."""


@dataclass(frozen=True)
class Inference:
    """Dtype and shape of every value that could be inferred, and every fault of the graph."""

    values: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
    faults: list[FieldFault]
    digest: str
    estimated_bytes: int


@dataclass(frozen=True)
class ProofStep:
    """One case of an op is done: ``done`` of ``total``."""

    verdict: RuleVerdict
    done: int
    total: int


class Client:
    """Sends graphs to the server at ``target`` (host:port). A context manager; calls raise `GradproofError`.

    Args:
        target: address of the server.
        timeout: seconds that a call may take, unless the call says otherwise.
        on_close: called when the client is closed (an embedded server stops there).
    """

    def __init__(self, target: str, *, timeout: float = 60.0, on_close: Callable[[], None] | None = None) -> None:
        self.target, self.timeout = target, timeout
        self._on_close = on_close
        self._channel = grpc.insecure_channel(target)
        self._autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests: WeakKeyDictionary[GraphBuilder, tuple[int, str]] = WeakKeyDictionary()

    def close(self) -> None:
        """Close the connection, and the server if it was started for this client. May be called twice."""
        self._channel.close()
        if self._on_close is not None:
            stop, self._on_close = self._on_close, None
            stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def evaluate(
        self, graph: Graph, values: Mapping[str, Any] | None = None, *, fetch: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs."""
        message = message_of(graph)
        request = pb.EvaluateRequest(graph=message, values=named_values(values, message), fetch=fetch)
        if request.ByteSize() > INLINE_BYTES:
            result = Result()
            for event in self._session(request):
                result.add(event)
            return result.values
        with translated():
            response = self._autodiff.Evaluate(request, timeout=self.timeout)
        return {named.name: decode_tensor(named.value) for named in response.values}

    def differentiate(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Unpack[Options]) -> Result:
        """Values, gradients and verdicts of one run. Options as for `stream`."""
        return collected(self.stream(graph, values, **options))

    def stream(
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        **options: Unpack[Options],
    ) -> Generator[Event, None, None]:
        """Events as they come: gradients as soon as they are final, verdicts behind them.

        Args:
            graph: a `GraphBuilder` or a message.
            values: for leaves that the graph does not carry: arrays of exactly the leaf's shape and dtype, or Python
                numbers, which take the dtype of a 0-d leaf if they are of no wider kind (5 for a float32, not 0.5 for
                an int8).
            options: see `Options`.
        """
        request, functions = differentiation(graph, values, options)
        yield from self._sent(graph, request, partial(self._run, functions=functions))

    def _sent(
        self,
        graph: Graph,
        request: pb.DifferentiateRequest,
        run: Callable[[pb.DifferentiateRequest], Iterator[Event]],
    ) -> Iterator[Event]:
        """The events of a request on ``graph``, which is named by its digest where the server knows it."""
        message = message_of(graph)
        known = self._digests.get(graph) if isinstance(graph, GraphBuilder) else None
        if known and isinstance(graph, GraphBuilder) and known[0] == graph.revision:
            request.digest = known[1]
            carried = {named.name for named in request.values}
            request.values.extend(
                tensor_pb2.NamedTensor(name=leaf.name, value=leaf.value)
                for leaf in message.leaves
                if leaf.HasField("value") and leaf.name not in carried
            )
            try:
                yield from run(request)
                return
            except NotFound as error:
                if error.reason != "GRAPH_NOT_FOUND":
                    raise
        request.graph.CopyFrom(message)
        for event in run(request):
            if isinstance(graph, GraphBuilder) and hasattr(event, "digest"):
                self._digests[graph] = (graph.revision, event.digest)
            yield event

    def send(self, request: pb.DifferentiateRequest, *, budget: float = 5.0) -> Result:
        """Run a request message as it is (its checks get ``budget`` seconds unless it says otherwise)."""
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        whole.verify.budget_ms = whole.verify.budget_ms or max(1, int(budget * 1000))
        return collected(self._run(whole))

    def infer(self, graph: Graph) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        with translated():
            response = self._autodiff.Infer(pb.InferRequest(graph=message_of(graph)), timeout=self.timeout)
        values = {}
        for named in response.values:
            shape, dtype = decode_spec(named.spec)
            values[named.name] = (dtype, shape)
        faults = [FieldFault(fault.path, fault.message, fault.reason) for fault in response.faults]
        return Inference(values, faults, response.digest, response.estimated_bytes)

    def info(self) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        with translated():
            return self._autodiff.GetServerInfo(pb.GetServerInfoRequest(), timeout=self.timeout)

    def ops(self) -> list[OpInfo]:
        """All ops of the server."""
        found: list[OpInfo] = []
        token = ""
        while True:
            with translated():
                page = self._ops.ListOps(op_service_pb2.ListOpsRequest(page_token=token), timeout=self.timeout)
            found.extend(decode_op(one) for one in page.ops)
            token = page.next_page_token
            if not token:
                return found

    def op(self, name: str) -> op_service_pb2.GetOpResponse:
        """One op, with its cases and traced rules."""
        with translated():
            return self._ops.GetOp(op_service_pb2.GetOpRequest(name=name), timeout=self.timeout)

    def verify_op(self, name: str, *, budget: float = 30.0, refresh: bool = False) -> Iterator[ProofStep]:
        """Prove the rule of an op, case by case; ``budget`` seconds for all of them."""
        request = op_service_pb2.VerifyOpRequest(name=name, budget_ms=int(budget * 1000), refresh=refresh)
        with translated():
            for step in self._ops.VerifyOp(request, timeout=self.timeout + budget):
                yield ProofStep(decode_rule(step.verdict), step.done, step.total)

    def _run(self, request: pb.DifferentiateRequest, functions: Functions = NO_FUNCTIONS) -> Iterator[Event]:
        if functions or request.ByteSize() > INLINE_BYTES:
            yield from self._session(request, functions)
            return
        decoder = EventDecoder()
        timeout = self.timeout + request.verify.budget_ms / 1000
        with translated():
            whole = pb.StreamingDifferentiateRequest(request=request)
            for response in self._autodiff.StreamingDifferentiate(whole, timeout=timeout):
                yield from decoder.decode(response.event)

    def session(self, *, timeout: float | None = None) -> Session:
        """One stream for many runs, which may keep their values on the server; ends within ``timeout`` seconds."""
        return Session(self._autodiff, self._sent, timeout)

    def _session(
        self, request: pb.DifferentiateRequest | pb.EvaluateRequest, functions: Functions = NO_FUNCTIONS
    ) -> Iterator[Event]:
        """One run on a session of its own."""
        checks = request.verify.budget_ms / 1000 if isinstance(request, pb.DifferentiateRequest) else 0.0
        with self.session(timeout=self.timeout + checks) as session:
            yield from session.run(request, functions)


def connect(target: str | None = None, *, timeout: float = 60.0, arguments: Sequence[str] = ()) -> Client:
    """A client of the server at ``target``; without one, of a server that is started here, on a free loopback port, and
    stopped when the client is closed. ``arguments`` are those of ``gradproof serve`` for such a server.

    Raises ImportError if a server is to be started and its libraries are not installed.
    """
    if target is not None:
        return Client(target, timeout=timeout)
    try:
        from gradproof.server.embedded import EmbeddedServer
    except ModuleNotFoundError as error:
        raise ImportError("starting a server needs its libraries: pip install 'gradproof[server]'") from error
    server = EmbeddedServer(arguments)
    return Client(server.target, timeout=timeout, on_close=server.stop)


__all__ = ["Client", "Inference", "ProofStep", "connect"]
