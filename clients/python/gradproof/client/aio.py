"""The client for asyncio: the same surface, awaited."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.aio_session import AsyncSession, collected
from gradproof.client.channel import Connection, Token
from gradproof.client.client import start_server
from gradproof.client.decoding import decode_op
from gradproof.client.dispatch import Digests, attempts
from gradproof.client.errors import GradproofError
from gradproof.client.events import Accepted, Event, OpInfo, Result
from gradproof.client.explanation import Explanation, explanation
from gradproof.client.graph import Graph, Hook
from gradproof.client.origin import claim
from gradproof.client.progress_bar import reporting
from gradproof.client.requests import Derived, Inference, OnProgress, Options, ProofStep, RunExchange, Watch, translated
from gradproof.client.retry import Call, retried_async, retried_async_stream
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc


class AsyncClient:
    """As `Client`, for asyncio: ``async with``, ``await``, ``async for``. Made inside a running event loop."""

    def __init__(  # noqa: PLR0913  # each is a keyword that users give
        self,
        target: str | Sequence[str],
        *,
        timeout: float = 60.0,
        tls: bool | str | Path = False,
        certificate: str | Path = "",
        key: str | Path = "",
        token: Token = "",
        retries: int = 6,
        on_close: Callable[[], None] | None = None,
        on_loss: Callable[[float], None] | None = None,
        progress: bool = True,
    ) -> None:
        self.timeout, self.progress = timeout, progress
        self._connection = Connection(
            target, tls=tls, certificate=certificate, key=key, token=token, retries=retries, on_loss=on_loss
        )
        self.target = self._connection.target
        self._on_close = on_close
        self._channel = self._connection.aio_channel()
        # Stubs are typed for the synchronous channel only.
        self._autodiff: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops: Any = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests = Digests()
        self._sessions: WeakSet[AsyncSession] = WeakSet()

    async def close(self) -> None:
        """Close the connection with its sessions, and the server if it was started for this client. May be called twice; in
        a fork of the process that made the client it does nothing."""
        if not self._connection.origin.here:
            return
        self._connection.closed = True
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
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        *,
        fetch: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name; as `Client.evaluate`."""
        message = requests.message_of(graph)
        request = pb.EvaluateRequest(input=pb.RunInput(graph=message, values=requests.named(values, message), fetch=fetch))
        call = self._call(timeout=timeout)

        async def attempt() -> Result:
            run = RunExchange(request)
            if run.needs_session:
                return await collected(self._session(run, call))
            with translated(self.target):
                return requests.evaluated(await self._autodiff.Evaluate(request, **call.options()))

        return (await retried_async(call, attempt)).values

    async def differentiate(
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        *,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Result:
        """Values, gradients and verdicts of a run; as `Client.differentiate`."""
        with reporting("checks", self._draws(progress), on_progress) as report:
            return await self._differentiated(graph, values, requests.watching(report), options)

    async def _differentiated(
        self, graph: Graph, values: Mapping[str, Any] | None, watch: Watch | None, options: Mapping[str, Any]
    ) -> Result:
        run_options = Options(progress=watch is not None, **options)
        call = self._call(run_options.check_seconds, timeout=run_options.timeout)
        for attempt in attempts(run_options.request(), graph, values, digest=self._digests.of(graph)):
            try:
                result = await retried_async(
                    call,
                    lambda: collected(self._run(attempt.request, call, run_options.hooks), watch),  # noqa: B023
                )
            except GradproofError as error:
                if attempt.settles(error):
                    raise
                continue
            self._digests.learn(graph, result.digest)
            return result
        raise AssertionError("the last attempt settles")

    async def stream(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> AsyncIterator[Event]:
        """Events as they come. Options as for `Client.stream`; hooks that run here are called in the event loop."""
        run_options = Options(**options)
        call = self._call(run_options.check_seconds, timeout=run_options.timeout)
        for attempt in attempts(run_options.request(), graph, values, digest=self._digests.of(graph)):
            run = retried_async_stream(call, lambda: self._run(attempt.request, call, run_options.hooks))  # noqa: B023
            try:
                async with aclosing(run) as events:
                    async for event in events:
                        if isinstance(event, Accepted):
                            self._digests.learn(graph, event.digest)
                        yield event
                return
            except GradproofError as error:
                if attempt.settles(error):
                    raise

    async def infer(self, graph: Graph, *, timeout: float | None = None) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        request = pb.InferRequest(graph=requests.message_of(graph))
        return requests.inferred(await self._unary(self._autodiff.Infer, request, self._call(timeout=timeout)))

    async def derive(
        self, graph: Graph, mode: str = "gradient", by: Sequence[str] = (), *, timeout: float | None = None
    ) -> Derived:
        """The graph of a derivative; as `Client.derive`."""
        request, call = requests.derive_request(graph, mode, by), self._call(timeout=timeout)
        return requests.derived(await self._unary(self._autodiff.Derive, request, call))

    async def explain(self, graph: Graph, value: str, *, timeout: float | None = None) -> Explanation:
        """Formulas of a value of a small graph and of its derivatives."""
        request = pb.ExplainRequest(graph=requests.message_of(graph), value=value)
        return explanation(await self._unary(self._autodiff.Explain, request, self._call(timeout=timeout)))

    async def info(self, *, timeout: float | None = None) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        response: pb.GetServerInfoResponse = await self._unary(
            self._autodiff.GetServerInfo, pb.GetServerInfoRequest(), self._call(timeout=timeout)
        )
        return response

    async def ops(self, *, verdicts: bool = False, timeout: float | None = None) -> list[OpInfo]:
        """The ops of the server; as `Client.ops`."""
        call = self._call(timeout=timeout)
        ops: list[OpInfo] = []
        request = op_service_pb2.ListOpsRequest(verdicts=verdicts)
        while True:
            page = await self._unary(self._ops.ListOps, request, call)
            ops.extend(map(decode_op, page.ops))
            if not page.next_page_token:
                return ops
            request = op_service_pb2.ListOpsRequest(page_token=page.next_page_token, verdicts=verdicts)

    async def op(self, name: str, *, page: bool = False, timeout: float | None = None) -> op_service_pb2.GetOpResponse:
        """An op, with its cases and traced rules; with ``page`` also its page, as Markdown."""
        response: op_service_pb2.GetOpResponse = await self._unary(
            self._ops.GetOp, op_service_pb2.GetOpRequest(name=name, page=page), self._call(timeout=timeout)
        )
        return response

    async def verify_op(
        self,
        name: str,
        *,
        budget: float = 30.0,
        refresh: bool = False,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[ProofStep]:
        """Prove the rule of an op, case by case; as `Client.verify_op`."""
        call = self._call(budget, timeout=timeout)

        async def attempt() -> AsyncGenerator[ProofStep, None]:
            with translated(self.target):
                started = self._ops.VerifyOp(request, **call.options())
                async with aclosing(self._connection.aio_answers(started)) as responses:
                    async for response in responses:
                        for step in requests.proof_steps(response, report):
                            yield step

        with reporting(f"proofs of {name}", self._draws(progress), on_progress) as report:
            request = requests.verify_op_request(name, budget, refresh, report)
            async with aclosing(retried_async_stream(call, attempt)) as steps:
                async for step in steps:
                    yield step

    def session(self, *, timeout: float | None = None) -> AsyncSession:
        """A stream for many runs, as `Client.session`: ``async with``."""
        return self._opened(self._connection.call(timeout, uuid.uuid4().hex))

    def _opened(self, options: Mapping[str, Any]) -> AsyncSession:
        session = AsyncSession(self._autodiff.Session(**options), self._digests, self._connection, self.timeout)
        self._sessions.add(session)
        return session

    async def _unary(self, method: Any, request: Any, call: Call) -> Any:
        """The response of a call with one message on each side."""

        async def attempt() -> Any:
            with translated(self.target):
                return await method(request, **call.options())

        return await retried_async(call, attempt)

    def _draws(self, progress: bool | None) -> bool:
        return self.progress if progress is None else progress

    async def _run(
        self, request: pb.DifferentiateRequest, call: Call, hooks: Sequence[Hook]
    ) -> AsyncGenerator[Event, None]:
        """Attempt a run once."""
        run = RunExchange(request, hooks)
        if run.needs_session:
            async with aclosing(self._session(run, call)) as events:
                async for event in events:
                    yield event
            return
        with translated(self.target):
            started = self._autodiff.StreamingDifferentiate(run.streaming(), **call.options())
            async with aclosing(self._connection.aio_answers(started)) as responses:
                async for response in responses:
                    for message in response.events:
                        for event in run.decoder.decode(message):
                            yield event

    async def _session(self, run: RunExchange, call: Call) -> AsyncGenerator[Event, None]:
        """A run on a session of its own, which ends with the run."""
        run.request.input.request_id = run.request.input.request_id or call.request_id
        try:
            async with self._opened(call.options()) as session, aclosing(session.exchange(run)) as events:
                async for event in events:
                    yield event
        finally:
            call.delivered = call.delivered or run.hook_called

    def _call(self, more: float = 0.0, *, timeout: float | None = None) -> Call:
        """A call that may take as long as the client says, and ``more`` seconds; or ``timeout`` seconds."""
        return Call(self._connection, self.timeout + more if timeout is None else timeout)


def connect_async(target: str | Sequence[str] | None = None, **options: Any) -> AsyncClient:
    """As `connect`, for asyncio."""
    if target is not None:
        return AsyncClient(target, **options)
    claim()
    server = start_server(options.pop("arguments", ()))
    return AsyncClient(server.target, on_close=server.stop, on_loss=server.recover, **options)
