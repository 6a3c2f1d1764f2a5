"""The handler behind every call: a request becomes events, gradients first, verdicts behind them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from gradproof.engine.cancellation import Cancellation, look
from gradproof.engine.engine import Engine, Forward, Prepared, ValueEvent
from gradproof.engine.errors import InvalidRequest
from gradproof.engine.plugin_errors import shielded
from gradproof.engine.spec import Array
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.calls.record import observe_phase
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.server.requests.decode import Request, Source, decode_job
from gradproof.server.runs.admission import SMALL_SECONDS, Admission, Busy, Turn
from gradproof.server.runs.checks import Checks
from gradproof.server.runs.client_hooks import ClientHooks
from gradproof.server.runs.differentiation import Differentiation
from gradproof.server.runs.forward_cache import ForwardCache
from gradproof.server.runs.graph_cache import GraphCache
from gradproof.server.runs.inference import check_cost, infer, preparing, unary_bytes
from gradproof.server.runs.prepared_request import PreparedRequests, Recalled, Results
from gradproof.server.runs.run_batcher import RunBatcher
from gradproof.server.runs.session_context import SessionContext
from gradproof.server.runs.transformations import derive_graph, explain_value
from gradproof.v1 import autodiff_service_pb2 as pb


class Draining(Protocol):
    """Ends when it has nothing in progress."""

    def drain(self) -> None: ...


@dataclass
class Handler:
    """Runs requests. Runs step in the threads of ``admission``, or in the event loop where they came before and are short
    (`repeat`); verdicts are put together in other threads, from the answers of processes that can be killed."""

    engine: Engine
    proofs: ProofPool
    limits: Limits = field(default_factory=Limits)
    admission: Admission = field(init=False)
    checks: Checks = field(init=False)
    forward_cache: ForwardCache = field(init=False)
    graphs: GraphCache = field(default_factory=GraphCache)
    prepared: PreparedRequests | None = None
    """Requests that came before; None: no request is prepared."""
    sessions: set[Draining] = field(default_factory=set)
    _sweeping: asyncio.TimerHandle | None = None
    _owners: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.checks = Checks(self.engine.registry, self.proofs, self.limits.runs_in_flight)
        self.forward_cache = ForwardCache(self.limits)
        self.admission = Admission(self.limits)

    def drain(self) -> None:
        """End the sessions that have nothing in progress, and the others when they are done."""
        for session in list(self.sessions):
            session.drain()

    def close(self) -> None:
        """Start nothing more. The threads end after the step that they are at, for which nobody waits."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.admission.close()
        self.checks.close()
        self.engine.compilations.close()

    def session_context(self) -> SessionContext:
        """The context of a new session. To be closed with it."""
        return SessionContext(ClientHooks(self.limits.hook_timeout_seconds), self.forward_cache, next(self._owners))

    def recall(self, request: Request) -> Recalled | None:
        """The request as one that came before, to be run by `repeat`; None where it did not, or is at fault."""
        recalled = None if self.prepared is None else self.prepared.recall(request)
        if recalled is None or not recalled.prepared.digest or self.graphs.knows(recalled.prepared.digest):
            return recalled
        return None

    async def repeat(self, recalled: Recalled, left: float | None = None) -> Results | None:
        """The results of a request that came before, in the event loop where they take less than the way to a thread. None
        where the run failed: the request is to be handled as a new request, which names the fault. Raises
        GradproofError where the server has no room."""
        prepared = recalled.prepared
        with self.admission.request(left) as turn:
            turn.reserve(prepared.function.cost)
            try:
                if not prepared.in_loop:
                    cost, run = prepared.function.cost, prepared.run
                    return await turn.run("run", cost.seconds, run, recalled.arguments, turn.cancellation)
                results = prepared.run(recalled.arguments)
            except Busy:
                raise
            except Exception:
                return None
            observe_phase("run", results.seconds)
            return results

    async def differentiate(
        self,
        request: pb.DifferentiateRequest,
        chunked_tensors: Mapping[int, Array],
        *,
        chunked: bool,
        session: SessionContext | None = None,
        left: float | None = None,
    ) -> AsyncGenerator[pb.Event]:
        """The events of a run. ``chunked_tensors``: tensors of the request that came in chunks; ``chunked``: whether
        responses may have chunks; ``left``: seconds that the call may take, of which the checks leave enough for the
        response. Raises GradproofError: before the first event if the request is at fault, behind a fault event if a node
        or hook fails."""
        count = itertools.count()
        with self.admission.request(left) as turn:
            batcher, digest = await turn.run(
                "decode", preparing(request), self._begin, turn, request, chunked_tensors, session, chunked
            )
            turn.reserve(batcher.prepared.cost)
            save = partial(self._save, request.input.save_as, session=session)
            encoder = self.encoder(chunked, request.input.tensor_format)
            run = Differentiation(request, batcher, digest, turn, session, save, encoder)
            async with aclosing(run.events(self.checks)) as events:
                async for event in events:
                    event.sequence = next(count)
                    with turn.waiting_for_client():
                        yield event

    def _begin(
        self,
        turn: Turn,
        request: pb.DifferentiateRequest,
        chunked_tensors: Mapping[int, Array],
        session: SessionContext | None,
        chunked: bool,
    ) -> tuple[RunBatcher, str]:
        """A run, and the digest of its graph. Where the forward half is known and the rest is small, it goes as far as the
        first batch."""
        prepared, digest = self._prepare(request, chunked_tensors, session)
        if not chunked:
            self._fits(unary_bytes(prepared, request.input.tensor_format), "StreamingDifferentiate")
        batcher = RunBatcher(self.engine, prepared, save=bool(request.input.save_as), chunked=chunked)
        if not prepared.missing and prepared.cost.seconds <= SMALL_SECONDS:
            turn.enter_phase("run")
            batcher.begin()
        return batcher, digest

    def encoder(self, chunked: bool, tensor_format: encode.Format) -> encode.Encoder:
        """The encoder of a run's values and gradients. ``chunked``: whether large tensors go in chunks."""
        return encode.Encoder(chunked, tensor_format)

    def _fits(self, nbytes: int, call: str) -> None:
        """Raises LimitExceeded where a response in a single message would be too long; ``call`` is the call to make
        instead."""
        hint = f"the response would be longer than a message: call {call}, or use a Session"
        self.limits.check("message_bytes", nbytes, hint)

    def _save(self, name: str, forward: Forward | None, session: SessionContext | None) -> int:
        """Save a forward half as ``name``, if any; the bytes saved."""
        if forward is None or session is None:
            return 0
        nbytes = session.save(name, forward)
        if self._sweeping is None:
            self._sweep()
        return nbytes

    def _sweep(self) -> None:
        """Free saved values that are idle, and look again when the next may be."""
        left = self.forward_cache.expire()
        self._sweeping = None if left is None else asyncio.get_running_loop().call_later(left, self._sweep)

    async def evaluate(
        self,
        request: pb.EvaluateRequest,
        chunked_tensors: Mapping[int, Array],
        session: SessionContext | None = None,
        *,
        left: float | None = None,
    ) -> Evaluated:
        """The values that the request fetches. Raises GradproofError."""
        with self.admission.request(left) as turn:
            prepared, digest, result = await turn.run(
                "decode", preparing(request), self._prepared, turn, request, chunked_tensors, session
            )
            save_as = request.input.save_as
            if result is None:
                turn.reserve(prepared.cost)
                result = await turn.run("run", prepared.cost.seconds, self._evaluate, prepared, digest, request)
            evaluated, forward = result
            evaluated.summary.saved_bytes = self._save(save_as, forward, session)
            return evaluated

    def _prepared(
        self,
        turn: Turn,
        request: pb.EvaluateRequest,
        chunked_tensors: Mapping[int, Array],
        session: SessionContext | None,
    ) -> tuple[Prepared, str, tuple[Evaluated, Forward | None] | None]:
        """The job, the digest of its graph, and the result of `_evaluate` if that is little work."""
        prepared, digest = self._prepare(request, chunked_tensors, session)
        if session is None:
            self._fits(unary_bytes(prepared, request.input.tensor_format), "Evaluate on a Session")
        if prepared.cost.seconds > SMALL_SECONDS:
            return prepared, digest, None
        turn.enter_phase("run")
        return prepared, digest, self._evaluate(prepared, digest, request)

    def _evaluate(self, prepared: Prepared, digest: str, request: pb.EvaluateRequest) -> tuple[Evaluated, Forward | None]:
        """The result of `evaluate`, and the forward half if it is to be saved."""
        started, save = time.perf_counter(), bool(request.input.save_as)
        accepted = encode.accepted(prepared, digest, request.input.request_id)
        summary = pb.RunSummary(nodes_computed=prepared.missing)
        if save:
            prepared = self.engine.compute(prepared)
        values = list(self.engine.forward(prepared))
        summary.run_seconds = time.perf_counter() - started
        return Evaluated(accepted, values, summary), prepared.forward if save else None

    async def infer(self, request: pb.InferRequest, left: float | None = None) -> pb.InferResponse:
        """Specs of the values, all faults, and the costs of runs. Raises GradproofError."""
        with self.admission.request(left) as turn:
            return await turn.run("decode", preparing(request), infer, request, self.engine, self.limits)

    async def derive(self, request: pb.DeriveRequest, left: float | None = None) -> pb.DeriveResponse:
        """The derived graph. Raises GradproofError."""
        with self.admission.request(left) as turn:
            rows = request.mode in (pb.DERIVE_MODE_JACOBIAN, pb.DERIVE_MODE_HESSIAN)
            seconds = 1.0 if rows and len(request.graph.nodes) > 1 else 4 * preparing(request)
            return await turn.run("decode", seconds, derive_graph, request, self.engine, self.limits)

    async def explain(self, request: pb.ExplainRequest, left: float | None = None) -> pb.ExplainResponse:
        """Formulas. Raises GradproofError."""
        with self.admission.request(left):
            response: pb.ExplainResponse = await self.cancellable(
                explain_value, request, self.engine, self.proofs, self.limits
            )
            return response

    def _prepare(
        self, request: Request, chunked_tensors: Mapping[int, Array], session: SessionContext | None
    ) -> tuple[Prepared, str]:
        """The job, checked and planned, and its graph's digest, which the server knows from now on."""
        source = self._source(request.input, session)
        decoded = decode_job(
            request, source, self.limits, chunked_tensors, self.engine.registry, session=session is not None
        )
        look()
        try:
            differentiate = isinstance(request, pb.DifferentiateRequest)
            checked = isinstance(request, pb.DifferentiateRequest) and request.verify.level != pb.VERIFY_LEVEL_OFF
            prepared = self.engine.prepare(
                decoded.job, differentiate=differentiate, forward=source.forward, evidence=checked
            )
        except InvalidRequest as error:
            raise decoded.relocated(error) from error
        check_cost(self.limits, prepared.plan.specs, prepared.cost)
        graph = decoded.job.graph
        digest = request.input.digest or graph.digest()
        self.graphs.put(digest, graph)
        if self.prepared is not None and source.forward is None and not source.reused:
            self.prepared.learn(request, prepared, digest)
        return prepared, digest

    def _source(self, run_input: pb.RunInput, session: SessionContext | None) -> Source:
        """The graph and values that the server has already. Raises NotFound."""
        kind = run_input.WhichOneof("source")
        reused = [session.saved(reuse.saved) for reuse in run_input.reuse] if session is not None else []
        if kind == "digest":
            return Source(self.graphs.get(run_input.digest), None, reused)
        if kind == "saved" and session is not None:
            forward = session.saved(run_input.saved)
            return Source(forward.graph, forward, reused)
        return Source(None, None, reused)

    async def cancellable(self, function: Any, *arguments: Any) -> Any:
        """The result of a function of a cancellation and ``arguments``, in a thread of the checks. The cancellation is set
        when this call is cancelled."""
        cancellation = Cancellation()
        try:
            loop, threads = asyncio.get_running_loop(), self.checks.threads
            call = (cancellation.within, function, cancellation, *arguments)
            return await loop.run_in_executor(threads, shielded, *call)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise


@dataclass
class Evaluated:
    """The messages around the fetched values, and the values."""

    accepted: pb.Accepted
    values: list[ValueEvent]
    summary: pb.RunSummary
