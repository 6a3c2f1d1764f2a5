"""The client for asyncio: the same surface, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any
from weakref import WeakSet

from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.aio_session import AsyncSession, collected
from gradproof.client.channel import Connection
from gradproof.client.client import connect
from gradproof.client.errors import GradproofError
from gradproof.client.events import Event, OpInfo, Result, decode_op, decode_rule
from gradproof.client.exchange import Digests, attempts
from gradproof.client.explanation import Explanation, explanation
from gradproof.client.graph import Graph, Hook
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
        self._digests = Digests()
        self._sessions: WeakSet[AsyncSession] = WeakSet()

    async def close(self) -> None:
        """Close the connection with its sessions, and the server if it was started for this client. May be called twice; in
        a fork of the process that made the client it does nothing."""
        if not self._connection.origin.here:
            return
        for session in list(self._sessions):
            await session.cancel()
        await self._channel.close()
        if self._on_close is not None:
            stop, self._on_close = self._on_close, None
            stop()

    def check_process(self) -> None:
        """Raises Forked in a fork of the process that made the client."""
        self._connection.origin.check()

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
            return (await collected(self._session(conversation))).values
        with translated():
            return requests.evaluated(await self._autodiff.Evaluate(request, **self._call())).values

    async def differentiate(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> Result:
        """Values, gradients and verdicts of one run. Options as for `Client.stream`."""
        return await collected(self.stream(graph, values, **options))

    async def stream(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> AsyncIterator[Event]:
        """Events as they come. Options as for `Client.stream`; hooks that run here are called in the event loop."""
        wanted = Options(**options)
        for attempt in attempts(wanted.request(), graph, values, digest=self._digests.of(graph)):
            try:
                async for event in self._run(attempt.request, wanted.hooks):
                    self._digests.learn(graph, event)
                    yield event
                return
            except GradproofError as error:
                if attempt.settles(error):
                    raise

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

    def session(self, *, timeout: float | None = None) -> AsyncSession:
        """One stream for many runs, as `Client.session`: ``async with``."""
        made = AsyncSession(self._autodiff.Session(**{**self._call(), "timeout": timeout}), self._digests)
        self._sessions.add(made)
        return made

    async def _session(self, conversation: Conversation) -> AsyncIterator[Event]:
        """One run on a session of its own."""
        async with self.session(timeout=self.timeout + conversation.check_seconds) as session:
            async for event in session.converse(conversation):
                yield event

    def _call(self, more: float = 0.0) -> dict[str, Any]:
        return self._connection.call(self.timeout + more)


def connect_async(target: str | Sequence[str] | None = None, **options: Any) -> AsyncClient:
    """As `connect`, for asyncio."""
    if target is not None:
        return AsyncClient(target, **options)
    arguments = options.pop("arguments", ())
    owner = connect(arguments=arguments)  # it starts the server, and stops it
    return AsyncClient(owner.target, on_close=owner.close, **options)
