"""The client for asyncio: the same surface, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.channel import Connection
from gradproof.client.client import connect
from gradproof.client.errors import NotFound, VerdictRequired
from gradproof.client.events import Accepted, Event, OpInfo, Result, decode_op, decode_rule
from gradproof.client.explanation import Explanation, explanation
from gradproof.client.graph import Graph, GraphBuilder, Hook
from gradproof.client.requests import Conversation, Derived, Inference, Options, ProofStep, translated
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc


class AsyncClient:
    """As `Client`, for asyncio: ``async with``, ``await``, ``async for``. Made inside a running event loop."""

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        timeout: float = 60.0,
        tls: bool | str = False,
        token: str = "",
        retries: int = 3,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.timeout = timeout
        self._connection = Connection(target, tls=tls, token=token, retries=retries)
        self.target = self._connection.target
        self._on_close = on_close
        self._channel = self._connection.aio_channel()
        # The stubs are those of the synchronous channel: their types are not ours to bend.
        self._autodiff: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops: Any = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests: WeakKeyDictionary[GraphBuilder, tuple[int, str]] = WeakKeyDictionary()

    async def close(self) -> None:
        """Close the connection, and the server if it was started for this client. May be called twice."""
        await self._channel.close()
        if self._on_close is not None:
            stop, self._on_close = self._on_close, None
            stop()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def evaluate(
        self, graph: Graph, values: Mapping[str, Any] | None = None, *, fetch: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs."""
        message = requests.message_of(graph)
        request = pb.EvaluateRequest(graph=message, values=requests.named(values, message), fetch=fetch)
        conversation = Conversation(request)
        if conversation.needs_session:
            return (await _collected(self._session(conversation))).values
        with translated():
            return requests.evaluated(await self._autodiff.Evaluate(request, **self._call())).values

    async def differentiate(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> Result:
        """Values, gradients and verdicts of one run. Options as for `Client.stream`."""
        return await _collected(self.stream(graph, values, **options))

    async def stream(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> AsyncIterator[Event]:
        """Events as they come. Options as for `Client.stream`; hooks that run here are called in the event loop."""
        wanted = Options(**options)
        message = requests.message_of(graph)
        request = wanted.request(message, values)
        known = self._digests.get(graph) if isinstance(graph, GraphBuilder) else None
        if known and isinstance(graph, GraphBuilder) and known[0] == graph.revision:
            try:
                async for event in self._run(requests.by_digest(request, message, known[1]), wanted.hooks):
                    yield event
                return
            except NotFound as error:
                if error.reason != "GRAPH_NOT_FOUND":
                    raise
        async for event in self._run(requests.whole(request, message), wanted.hooks):
            if isinstance(graph, GraphBuilder) and isinstance(event, Accepted):
                self._digests[graph] = (graph.revision, event.digest)
            yield event

    async def infer(self, graph: Graph) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        request = pb.InferRequest(graph=requests.message_of(graph))
        with translated():
            return requests.inferred(await self._autodiff.Infer(request, **self._call()))

    async def derive(self, graph: Graph, mode: str = "gradient", by: Sequence[str] = ()) -> Derived:
        """The graph of a derivative; as `Client.derive`."""
        request = requests.derive_request(graph, mode, by)
        with translated():
            return requests.derived(await self._autodiff.Derive(request, **self._call()))

    async def explain(self, graph: Graph, value: str) -> Explanation:
        """Formulas of a value of a small graph and of its derivatives."""
        request = pb.ExplainRequest(graph=requests.message_of(graph), value=value)
        with translated():
            return explanation(await self._autodiff.Explain(request, **self._call()))

    async def info(self) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        with translated():
            response: pb.GetServerInfoResponse = await self._autodiff.GetServerInfo(
                pb.GetServerInfoRequest(), **self._call()
            )
            return response

    async def ops(self) -> list[OpInfo]:
        """All ops of the server."""
        found: list[OpInfo] = []
        token = ""
        while True:
            with translated():
                page = await self._ops.ListOps(op_service_pb2.ListOpsRequest(page_token=token), **self._call())
            found.extend(decode_op(one) for one in page.ops)
            token = page.next_page_token
            if not token:
                return found

    async def op(self, name: str) -> op_service_pb2.GetOpResponse:
        """One op, with its cases and traced rules."""
        with translated():
            response: op_service_pb2.GetOpResponse = await self._ops.GetOp(
                op_service_pb2.GetOpRequest(name=name), **self._call()
            )
            return response

    async def verify_op(self, name: str, *, budget: float = 30.0, refresh: bool = False) -> AsyncIterator[ProofStep]:
        """Prove the rule of an op, case by case; ``budget`` seconds for all of them."""
        request = op_service_pb2.VerifyOpRequest(name=name, budget_ms=int(budget * 1000), refresh=refresh)
        with translated():
            async for step in self._ops.VerifyOp(request, **self._call(budget)):
                yield ProofStep(decode_rule(step.verdict), step.done, step.total)

    async def _run(self, request: pb.DifferentiateRequest, hooks: Sequence[Hook]) -> AsyncIterator[Event]:
        conversation = Conversation(request, hooks)
        if conversation.needs_session:
            async for event in self._session(conversation):
                yield event
            return
        with translated():
            message = conversation.streaming()
            call = self._autodiff.StreamingDifferentiate(message, **self._call(conversation.check_seconds))
            async for response in call:
                for event in conversation.decoder.decode(response.event):
                    yield event

    async def _session(self, conversation: Conversation) -> AsyncIterator[Event]:
        call = self._autodiff.Session(**self._call(conversation.check_seconds))
        try:
            with translated():
                for frame in conversation.opening():
                    await call.write(frame)
                async for response in call:
                    events, replies = conversation.hear(response)
                    for frame in replies:
                        await call.write(frame)
                    if conversation.over:
                        await call.done_writing()
                    for event in events:
                        yield event
        finally:
            call.cancel()

    def _call(self, more: float = 0.0) -> dict[str, Any]:
        return self._connection.call(self.timeout + more)


async def _collected(events: AsyncIterator[Event]) -> Result:
    result = Result()
    try:
        async for event in events:
            result.add(event)
    except VerdictRequired as error:
        error.result = result
        raise
    return result


def connect_async(target: str | Sequence[str] | None = None, **options: Any) -> AsyncClient:
    """As `connect`, for asyncio."""
    if target is not None:
        return AsyncClient(target, **options)
    arguments = options.pop("arguments", ())
    owner = connect(arguments=arguments)  # it starts the server, and stops it
    return AsyncClient(owner.target, on_close=owner.close, **options)
