"""The one handler behind every call: a request becomes events, gradients first, verdicts behind them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

from gradproof.engine.cancellation import NEVER, Cancellation, watched
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine, Forward, Prepared, ValueEvent
from gradproof.engine.errors import Fault, HookFault, InvalidRequest, LimitExceeded, NotFound, RunFault
from gradproof.engine.graph import Graph
from gradproof.engine.lower import did_you_mean, lower
from gradproof.engine.spec import Array, Spec
from gradproof.engine.strangers import contained
from gradproof.engine.verify.formulas import NoFormula
from gradproof.engine.verify.pool import ProofPool
from gradproof.server import encode
from gradproof.server.checks import Checks, quiet, required
from gradproof.server.client_hooks import ClientHooks
from gradproof.server.decode import Decoder, decode_job
from gradproof.server.desk import Desk
from gradproof.server.kept import KeptRuns
from gradproof.server.limits import Limits
from gradproof.server.status import VerdictRequired
from gradproof.server.stepper import Stepper
from gradproof.v1 import autodiff_service_pb2 as pb

MAX_GRAPHS = 1024
RUN_THREADS = 4
MODES = {getattr(pb, f"DERIVE_MODE_{mode.name}"): mode for mode in Mode}


class Draining(Protocol):
    """What ends when it has nothing in progress."""

    def drain(self) -> None: ...


@dataclass
class Handler:
    """Runs requests. No number is computed in the event loop: runs step in one pool of threads; verdicts are put together
    in another, of what processes find out that can be killed."""

    engine: Engine
    proofs: ProofPool
    limits: Limits = field(default_factory=Limits)
    runs: ThreadPoolExecutor = field(init=False)
    checks: Checks = field(init=False)
    kept: KeptRuns = field(init=False)
    sessions: set[Draining] = field(default_factory=set)
    _sweeping: asyncio.TimerHandle | None = None
    _desks: Iterator[int] = field(default_factory=itertools.count)
    _graphs: OrderedDict[str, Graph] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)
    _in_flight: int = 0

    def __post_init__(self) -> None:
        self.checks = Checks(self.engine.registry, self.proofs, self.limits.runs_in_flight)
        self.kept = KeptRuns(self.limits)
        self.runs = ThreadPoolExecutor(RUN_THREADS, "run", initializer=quiet)

    def drain(self) -> None:
        """End the sessions that have nothing in progress, and the others when they are done."""
        for session in list(self.sessions):
            session.drain()

    def close(self) -> None:
        """Start nothing more. The threads end after what they are at, for which nobody waits."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.runs.shutdown(wait=False, cancel_futures=True)
        self.checks.close()

    def desk(self) -> Desk:
        """What a new session adds to its runs. To be closed with it."""
        return Desk(ClientHooks(self.limits.hook_timeout_ms), self.kept, next(self._desks))

    async def differentiate(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        *,
        chunked: bool,
        desk: Desk | None = None,
        left: float | None = None,
    ) -> AsyncGenerator[pb.Event]:
        """The events of a run; ``desk`` is what a session adds, ``left`` the seconds that the call may take: checks end
        early enough for the gradients to be there by then. Raises GradproofError: before the first event if the request
        is at fault, later (after a fault event) if a node or hook is."""
        count = itertools.count()
        deadline = None if left is None else time.monotonic() + left
        async with aclosing(self._events(request, uploads, encode.Encoder(chunked), desk, deadline)) as events:
            async for event in events:
                event.sequence = next(count)
                yield event

    async def _events(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        encoder: encode.Encoder,
        desk: Desk | None,
        deadline: float | None,
    ) -> AsyncGenerator[pb.Event]:
        with _Admitted(self):
            started = time.perf_counter()
            stepper, digest = await self._cancellable(self.runs, self._begin, request, uploads, desk)
            prepared = stepper.prepared
            yield pb.Event(
                accepted=pb.Accepted(
                    digest=digest,
                    request_id=request.request_id,
                    nodes=len(prepared.job.graph.nodes),
                    estimated_bytes=prepared.nbytes,
                )
            )
            summary = pb.RunSummary(nodes_computed=prepared.missing)
            try:
                async with aclosing(self._steps(stepper, encoder, desk, request.keep, summary)) as steps:
                    async for event in steps:
                        yield event
            except RunFault as fault:
                yield pb.Event(fault=encode.run_fault(fault))
                raise
            summary.run_seconds = time.perf_counter() - started
            assert stepper.run is not None
            weaker: list[tuple[str, str, str]] = []
            async for event in self.checks.verdicts(request.verify, stepper.run, summary, weaker, deadline):
                yield event
            summary.verify_seconds = time.perf_counter() - started - summary.run_seconds
            summary.weaker = len(weaker)
            yield pb.Event(summary=summary)
            if weaker:
                raise VerdictRequired(required(request.verify).value, weaker)

    async def _steps(
        self, stepper: Stepper, encoder: encode.Encoder, desk: Desk | None, keep: str, summary: pb.RunSummary
    ) -> AsyncGenerator[pb.Event]:
        """Values and gradients in batches; the forward half is kept with the first. Where a hook runs at the client, no
        thread waits for it."""
        answer: Array | HookFault | None = None
        batch = stepper.early()
        while batch is not None or stepper.run is None:
            try:
                if batch is None:
                    batch = await self._in(self.runs, stepper.batch, answer)
            except asyncio.CancelledError:
                stepper.cancel()
                raise
            finally:
                if stepper.forward is not None:
                    summary.kept_bytes, stepper.forward = self._keep(keep, stepper.forward, desk), None
            for event in encoder.batch(batch):
                yield event
            answer = batch = None
            if stepper.asked is not None:
                assert desk is not None  # where no session is, such a hook was refused
                with desk.hooks.asking(stepper.asked) as question:
                    for event in encoder.hook(stepper.asked):
                        yield event
                    answer = await question.answer()

    def _begin(
        self,
        cancellation: Cancellation,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        desk: Desk | None,
    ) -> tuple[Stepper, str]:
        """A run, and the digest of its graph. Where the forward half is known it goes as far as the first batch."""
        prepared, digest = self._prepare(request, uploads, desk, cancellation)
        stepper = Stepper(self.engine, prepared, keep=bool(request.keep))
        if not prepared.missing:
            stepper.begin()
        return stepper, digest

    def _keep(self, name: str, forward: Forward | None, desk: Desk | None) -> int:
        """Keep a forward half as ``name``, if there is one; the bytes kept."""
        if forward is None or desk is None:
            return 0
        held = desk.keep(name, forward)
        if self._sweeping is None:
            self._sweep()
        return held

    def _sweep(self) -> None:
        """Free kept values that are idle, and look again when the next may be."""
        left = self.kept.expire()
        self._sweeping = None if left is None else asyncio.get_running_loop().call_later(left, self._sweep)

    async def evaluate(
        self, request: pb.EvaluateRequest, uploads: Mapping[int, Array], desk: Desk | None = None
    ) -> Evaluated:
        """The values asked for. Raises GradproofError."""
        with _Admitted(self):
            found: Evaluated
            found, forward = await self._cancellable(self.runs, self._evaluate, request, uploads, desk)
            found.kept_bytes = self._keep(request.keep, forward, desk)
            return found

    def _evaluate(
        self,
        cancellation: Cancellation,
        request: pb.EvaluateRequest,
        uploads: Mapping[int, Array],
        desk: Desk | None,
    ) -> tuple[Evaluated, Forward | None]:
        """What `evaluate` gives, and the forward half if it is to be kept."""
        prepared, digest = self._prepare(request, uploads, desk, cancellation)
        missing = prepared.missing
        if request.keep:
            prepared = self.engine.compute(prepared)
        found = Evaluated(digest, list(self.engine.forward(prepared)), missing)
        return found, prepared.forward if request.keep else None

    def infer(self, cancellation: Cancellation, graph: Graph) -> tuple[dict[str, Spec], list[Fault], int]:
        """Specs of the values, faults, and the bytes that a run will allocate (0 where there are faults). For a thread."""
        lowered = lower(graph, self.engine.registry, cancellation)
        specs = lowered.specs()
        return specs, lowered.faults, 0 if lowered.faults else self.engine.estimate(lowered, cancellation)

    async def derive(self, request: pb.DeriveRequest) -> pb.DeriveResponse:
        """The derived graph. Raises GradproofError."""
        with _Admitted(self):
            response: pb.DeriveResponse = await self._cancellable(self.runs, self._derive, request)
            return response

    async def explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        """Formulas. Raises GradproofError."""
        with _Admitted(self):
            response: pb.ExplainResponse = await self._cancellable(self.checks.threads, self._explain, request)
            return response

    def _explain(self, cancellation: Cancellation, request: pb.ExplainRequest) -> pb.ExplainResponse:
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        lowered = self.engine.infer(graph, cancellation)
        faults = [*decoder.faults, *lowered.faults]
        specs = lowered.specs()
        if not faults and request.value not in specs:
            near = did_you_mean(request.value, specs)
            faults.append(Fault("value", f"there is no value named {request.value!r}{near}", "VALUE_UNKNOWN"))
        if faults:
            raise InvalidRequest(faults)
        self.limits.check("explain_elements", sum(spec.size for spec in specs.values()))
        try:
            values = {name: array for name, array, _ in carried}
            seconds = self.limits.explain_ms / 1000
            found = self.proofs.explain(graph, request.value, values, seconds, lambda: cancellation.cancelled)
        except NoFormula as error:
            raise InvalidRequest([Fault("value", str(error), "NO_FORMULA")]) from error
        return encode.explained(found)

    def _derive(self, cancellation: Cancellation, request: pb.DeriveRequest) -> pb.DeriveResponse:
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        mode = MODES.get(request.mode)
        if mode is None:
            decoder.faults.append(Fault("mode", f"{request.mode} is no mode; see DeriveMode", "MODE"))
        if decoder.faults or mode is None:
            raise InvalidRequest([*decoder.faults, *self.engine.infer(graph).faults])
        most = self.limits.graph_nodes
        derived = derive(graph, self.engine.registry, mode, request.by, max_nodes=most, cancellation=cancellation)
        values = {**{name: array for name, array, _ in carried}, **dict(derived.values)}
        return pb.DeriveResponse(
            graph=encode.graph(derived.graph, values),
            results=[
                pb.DerivedValue(by=one.by, output=one.output, value=one.value or "") for one in watched(derived.found)
            ],
            leaves=[pb.DerivedLeaf(of=of, leaf=leaf) for of, leaf in watched(derived.leaves.items())],
        )

    def _prepare(
        self,
        request: pb.DifferentiateRequest | pb.EvaluateRequest,
        uploads: Mapping[int, Array],
        desk: Desk | None = None,
        cancellation: Cancellation = NEVER,
    ) -> tuple[Prepared, str]:
        """The job, checked and planned, and its graph's digest, which is known here from now on."""
        if isinstance(request, pb.DifferentiateRequest):
            self.limits.check("verify_budget_ms", request.verify.budget_ms)
            if request.verify.required and request.verify.level == pb.VERIFY_LEVEL_OFF:
                text = "a summary is required, and the level is OFF: nothing would be checked"
                raise InvalidRequest([Fault("verify.required", text, "VERIFY_REQUIRED_OFF")])
        known, forward, source = None, None, request.WhichOneof("source")
        reused = [desk.kept(one.kept) for one in request.reuse] if desk is not None else []
        if source == "digest":
            known = self._graphs.get(request.digest)
            if known is None:
                raise NotFound("graph", request.digest, "send the graph itself; the answer has its digest")
        elif source == "kept" and desk is not None:
            forward = desk.kept(request.kept)
            known = forward.graph
        decoded = decode_job(
            request,
            known,
            self.limits,
            uploads,
            self.engine.registry,
            session=desk is not None,
            forward=forward,
            reused=reused,
        )
        cancellation.check()
        try:
            differentiate = isinstance(request, pb.DifferentiateRequest)
            checked = isinstance(request, pb.DifferentiateRequest) and request.verify.level != pb.VERIFY_LEVEL_OFF
            prepared = self.engine.prepare(
                decoded.job,
                differentiate=differentiate,
                forward=forward,
                evidence=checked,
                cancellation=cancellation,
            )
        except InvalidRequest as error:
            raise decoded.relocated(error) from error
        self.limits.check("tensor_elements", max((spec.size for spec in prepared.plan.specs.values()), default=0))
        self.limits.check("estimated_bytes", prepared.nbytes)
        graph = decoded.job.graph
        digest = request.digest or graph.digest()
        with self._lock:
            self._graphs[digest] = graph
            self._graphs.move_to_end(digest)
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        return prepared, digest

    async def cancellable(self, function: Any, *arguments: Any) -> Any:
        """What a function of a cancellation and ``arguments`` gives, in a thread of the checks. The cancellation is that of
        this call."""
        return await self._cancellable(self.checks.threads, function, *arguments)

    async def _cancellable(self, pool: ThreadPoolExecutor, function: Any, *arguments: Any) -> Any:
        """As `_in`, of a function whose first argument is the cancellation of this call."""
        cancellation = Cancellation()
        try:
            return await self._in(pool, cancellation.within, function, cancellation, *arguments)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise

    async def _in(self, pool: ThreadPoolExecutor, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, contained, function, *arguments)


@dataclass
class Evaluated:
    """The values asked for, the graph's digest, how many nodes were computed, and the bytes that are kept of them."""

    digest: str
    values: list[ValueEvent]
    nodes_computed: int
    kept_bytes: int = 0


class _Admitted:
    """Counts a run in flight; refuses it at once when there are too many."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def __enter__(self) -> None:
        limit = self.handler.limits.runs_in_flight
        if self.handler._in_flight >= limit:
            raise LimitExceeded("runs_in_flight", self.handler._in_flight + 1, limit)
        self.handler._in_flight += 1

    def __exit__(self, *_: object) -> None:
        self.handler._in_flight -= 1
