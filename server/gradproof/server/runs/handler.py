"""The one handler behind every call: a request becomes events, gradients first, verdicts behind them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from gradproof.engine.cancellation import Cancellation, look, watched
from gradproof.engine.derive import Mode, derivation_faults, derive
from gradproof.engine.engine import Engine, Forward, Prepared, ValueEvent
from gradproof.engine.errors import HookFault, InvalidRequest, RunFault, Violation
from gradproof.engine.graph import names_of
from gradproof.engine.hints import did_you_mean
from gradproof.engine.plugin_errors import contained
from gradproof.engine.spec import Array
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.readings.formulas import NoFormula
from gradproof.server.calls.record import count_verdicts, observe_phase
from gradproof.server.calls.status import VerdictRequired, run_fault
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.server.requests.counts import check_counts
from gradproof.server.requests.decode import Decoder, decode_job
from gradproof.server.runs.admission import SMALL_SECONDS, Admission, Turn
from gradproof.server.runs.checks import Checks, required
from gradproof.server.runs.client_hooks import ClientHooks
from gradproof.server.runs.forward_cache import ForwardCache
from gradproof.server.runs.graph_cache import GraphCache
from gradproof.server.runs.inference import check_cost, infer, preparing, unary_bytes
from gradproof.server.runs.run_batcher import Batch, RunBatcher
from gradproof.server.runs.session_context import SessionContext
from gradproof.v1 import autodiff_service_pb2 as pb

MODES = {getattr(pb, f"DERIVE_MODE_{mode.name}"): mode for mode in Mode}


class Draining(Protocol):
    """Ends when it has nothing in progress."""

    def drain(self) -> None: ...


@dataclass
class Handler:
    """Runs requests. No number is computed in the event loop: runs step in the threads of ``admission``; verdicts are put
    together in others, of what processes find out that can be killed."""

    engine: Engine
    proofs: ProofPool
    limits: Limits = field(default_factory=Limits)
    admission: Admission = field(init=False)
    checks: Checks = field(init=False)
    kept: ForwardCache = field(init=False)
    graphs: GraphCache = field(default_factory=GraphCache)
    sessions: set[Draining] = field(default_factory=set)
    _sweeping: asyncio.TimerHandle | None = None
    _desks: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.checks = Checks(self.engine.registry, self.proofs, self.limits.runs_in_flight)
        self.kept = ForwardCache(self.limits)
        self.admission = Admission(self.limits)

    def drain(self) -> None:
        """End the sessions that have nothing in progress, and the others when they are done."""
        for session in list(self.sessions):
            session.drain()

    def close(self) -> None:
        """Start nothing more. The threads end after what they are at, for which nobody waits."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        self.admission.close()
        self.checks.close()

    def desk(self) -> SessionContext:
        """A desk for a new session. To be closed with it."""
        return SessionContext(ClientHooks(self.limits.hook_timeout_ms), self.kept, next(self._desks))

    async def differentiate(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        *,
        chunked: bool,
        desk: SessionContext | None = None,
        left: float | None = None,
    ) -> AsyncGenerator[pb.Event]:
        """The events of a run; ``desk`` is what a session adds, ``left`` the seconds that the call may take: checks end
        early enough for the gradients to be there by then. Raises GradproofError: before the first event if the request
        is at fault, later (after a fault event) if a node or hook is."""
        count = itertools.count()
        with self.admission.request(left) as turn:
            async with aclosing(self._events(request, uploads, encode.Encoder(chunked), desk, turn)) as events:
                async for event in events:
                    event.sequence = next(count)
                    with turn.waiting_for_client():
                        yield event

    async def _events(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        encoder: encode.Encoder,
        desk: SessionContext | None,
        turn: Turn,
    ) -> AsyncGenerator[pb.Event]:
        started = time.perf_counter()
        stepper, digest = await turn.run(
            "decode", preparing(request), self._begin, turn, request, uploads, desk, encoder.chunked
        )
        prepared = stepper.prepared
        turn.reserve(prepared.cost)
        yield pb.Event(
            accepted=pb.Accepted(
                digest=digest,
                request_id=request.request_id,
                nodes=len(prepared.job.graph.nodes),
                estimated_bytes=prepared.cost.nbytes,
                estimated_flops=prepared.cost.flops,
            )
        )
        summary = pb.RunSummary(nodes_computed=prepared.missing)
        try:
            async with aclosing(self._steps(stepper, encoder, desk, request.keep, summary, turn)) as steps:
                async for event in steps:
                    yield event
        except RunFault as fault:
            yield pb.Event(fault=run_fault(fault))
            raise
        turn.release_slot()
        summary.run_seconds = time.perf_counter() - started
        assert stepper.run is not None
        weaker: list[tuple[str, str, str]] = []
        checking = self.checks.verdicts(request.verify, stepper.run, summary, weaker, turn.deadline)
        async with aclosing(checking) as verdicts:
            async for event in verdicts:
                yield event
        summary.verify_seconds = time.perf_counter() - started - summary.run_seconds
        observe_phase("checks", summary.verify_seconds)
        summary.weaker = len(weaker)
        count_verdicts({word: getattr(summary, word) for word in ("verified", "plausible", "unchecked", "wrong")})
        yield pb.Event(summary=summary)
        if weaker:
            raise VerdictRequired(required(request.verify).value, weaker)

    async def _steps(
        self,
        stepper: RunBatcher,
        encoder: encode.Encoder,
        desk: SessionContext | None,
        keep: str,
        summary: pb.RunSummary,
        turn: Turn,
    ) -> AsyncGenerator[pb.Event]:
        """Values and gradients in batches; the forward half is kept with the first. Where a hook runs at the client, no
        thread waits for it."""
        answer: Array | HookFault | None = None
        batch, seconds = stepper.early(), stepper.prepared.cost.seconds
        while batch is not None or stepper.run is None:
            try:
                if batch is None:
                    batch = await turn.run("run", seconds, stepper.batch, answer)
            except asyncio.CancelledError:
                stepper.cancel()
                raise
            finally:
                if stepper.forward is not None:
                    summary.kept_bytes, stepper.forward = self._keep(keep, stepper.forward, desk), None
            for event in self._encoded(encoder, batch):
                yield event
            answer = batch = None
            if stepper.asked is not None:
                assert desk is not None  # where no session is, such a hook was refused
                with desk.hooks.asking(stepper.asked) as question:
                    for event in encoder.hook(stepper.asked):
                        yield event
                    with turn.waiting_for_client(patience=0):
                        answer = await question.answer()

    def _encoded(self, encoder: encode.Encoder, batch: Batch) -> Iterator[pb.Event]:
        """A batch as messages, of a MiB at most: short enough to be written in the event loop."""
        started = time.perf_counter()
        for event in encoder.batch(batch):
            observe_phase("encode", time.perf_counter() - started)
            yield event
            started = time.perf_counter()

    def _begin(
        self,
        turn: Turn,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        desk: SessionContext | None,
        chunked: bool,
    ) -> tuple[RunBatcher, str]:
        """A run, and the digest of its graph. Where the forward half is known and the rest is small, it goes as far as the
        first batch."""
        prepared, digest = self._prepare(request, uploads, desk)
        if not chunked:
            self._fits(unary_bytes(prepared), "StreamingDifferentiate")
        stepper = RunBatcher(self.engine, prepared, keep=bool(request.keep))
        if not prepared.missing and prepared.cost.seconds <= SMALL_SECONDS:
            turn.enter_phase("run")
            stepper.begin()
        return stepper, digest

    def _fits(self, nbytes: int, other: str) -> None:
        """Raises LimitExceeded where a response in one message would be too long."""
        hint = f"the response would be longer than a message: call {other}, or use a Session"
        self.limits.check("message_bytes", nbytes, hint)

    def _keep(self, name: str, forward: Forward | None, desk: SessionContext | None) -> int:
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
        self,
        request: pb.EvaluateRequest,
        uploads: Mapping[int, Array],
        desk: SessionContext | None = None,
        *,
        left: float | None = None,
    ) -> Evaluated:
        """The values asked for. Raises GradproofError."""
        with self.admission.request(left) as turn:
            asked = (self._prepared, turn, request, uploads, desk)
            prepared, digest, found = await turn.run("decode", preparing(request), *asked)
            if found is None:
                turn.reserve(prepared.cost)
                found = await turn.run("run", prepared.cost.seconds, self._evaluate, prepared, digest, bool(request.keep))
            evaluated, forward = found
            evaluated.kept_bytes = self._keep(request.keep, forward, desk)
            return evaluated

    def _prepared(
        self,
        turn: Turn,
        request: pb.EvaluateRequest,
        uploads: Mapping[int, Array],
        desk: SessionContext | None,
    ) -> tuple[Prepared, str, tuple[Evaluated, Forward | None] | None]:
        """The job, the digest of its graph, and what is found, if that is little work."""
        prepared, digest = self._prepare(request, uploads, desk)
        if desk is None:
            self._fits(unary_bytes(prepared), "Evaluate on a Session")
        if prepared.cost.seconds > SMALL_SECONDS:
            return prepared, digest, None
        turn.enter_phase("run")
        return prepared, digest, self._evaluate(prepared, digest, bool(request.keep))

    def _evaluate(self, prepared: Prepared, digest: str, keep: bool) -> tuple[Evaluated, Forward | None]:
        """The result of `evaluate`, and the forward half if it is to be kept."""
        missing = prepared.missing
        if keep:
            prepared = self.engine.compute(prepared)
        found = Evaluated(digest, list(self.engine.forward(prepared)), missing)
        return found, prepared.forward if keep else None

    async def infer(self, request: pb.InferRequest, left: float | None = None) -> pb.InferResponse:
        """Specs of the values, all faults, and what runs cost. Raises GradproofError."""
        with self.admission.request(left) as turn:
            return await turn.run("decode", preparing(request), infer, request, self.engine, self.limits)

    async def derive(self, request: pb.DeriveRequest, left: float | None = None) -> pb.DeriveResponse:
        """The derived graph. Raises GradproofError."""
        with self.admission.request(left) as turn:
            rows = request.mode in (pb.DERIVE_MODE_JACOBIAN, pb.DERIVE_MODE_HESSIAN)
            seconds = 1.0 if rows and len(request.graph.nodes) > 1 else 4 * preparing(request)
            return await turn.run("decode", seconds, self._derive, request)

    async def explain(self, request: pb.ExplainRequest, left: float | None = None) -> pb.ExplainResponse:
        """Formulas. Raises GradproofError."""
        with self.admission.request(left):
            response: pb.ExplainResponse = await self.cancellable(self._explain, request)
            return response

    def _explain(self, cancellation: Cancellation, request: pb.ExplainRequest) -> pb.ExplainResponse:
        check_counts(request, self.limits)
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        asked = decoder.name("value", request.value)
        lowered = self.engine.infer(graph)
        faults = [*decoder.faults, *lowered.faults]
        specs = lowered.specs()
        if asked not in specs and (not lowered.faults or asked not in names_of(graph)):
            near = did_you_mean(asked, specs)
            faults.append(Violation("value", f"there is no value named {asked!r}{near}", "VALUE_UNKNOWN"))
        if faults:
            raise InvalidRequest(faults)
        self.limits.check("explain_elements", sum(spec.size for spec in specs.values()))
        try:
            values = {name: array for name, array, _ in carried}
            seconds = self.limits.explain_ms / 1000
            found = self.proofs.explain(graph, request.value, values, seconds, lambda: cancellation.cancelled)
        except NoFormula as error:
            raise InvalidRequest([Violation("value", str(error), "NO_FORMULA")]) from error
        return encode.explained(found)

    def _derive(self, request: pb.DeriveRequest) -> pb.DeriveResponse:
        check_counts(request, self.limits)
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        by, mode = decoder.names("by", request.by), MODES.get(request.mode)
        if mode is None:
            text = f"{request.mode} is no mode to derive; there are {', '.join(map(pb.DeriveMode.Name, MODES))}"
            decoder.faults.append(Violation("mode", text, "MODE"))
        if decoder.faults or mode is None:
            raise InvalidRequest([*decoder.faults, *derivation_faults(graph, self.engine.registry, by)])
        most = self.limits.graph_nodes
        derived = derive(graph, self.engine.registry, mode, by, max_nodes=most)
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
        desk: SessionContext | None = None,
    ) -> tuple[Prepared, str]:
        """The job, checked and planned, and its graph's digest, which is known here from now on."""
        known, forward, source = None, None, request.WhichOneof("source")
        reused = [desk.kept(one.kept) for one in request.reuse] if desk is not None else []
        if source == "digest":
            known = self.graphs.get(request.digest)
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
        look()
        try:
            differentiate = isinstance(request, pb.DifferentiateRequest)
            checked = isinstance(request, pb.DifferentiateRequest) and request.verify.level != pb.VERIFY_LEVEL_OFF
            prepared = self.engine.prepare(
                decoded.job,
                differentiate=differentiate,
                forward=forward,
                evidence=checked,
            )
        except InvalidRequest as error:
            raise decoded.relocated(error) from error
        check_cost(self.limits, prepared.plan.specs, prepared.cost)
        graph = decoded.job.graph
        digest = request.digest or graph.digest()
        self.graphs.put(digest, graph)
        return prepared, digest

    async def cancellable(self, function: Any, *arguments: Any) -> Any:
        """The result of a function of a cancellation and ``arguments``, in a thread of the checks. The cancellation is
        that of this call."""
        cancellation = Cancellation()
        try:
            loop, threads = asyncio.get_running_loop(), self.checks.threads
            asked = (cancellation.within, function, cancellation, *arguments)
            return await loop.run_in_executor(threads, contained, *asked)
        except asyncio.CancelledError:
            cancellation.cancel()
            raise


@dataclass
class Evaluated:
    """The values asked for, the graph's digest, how many nodes were computed, and the bytes that are kept of them."""

    digest: str
    values: list[ValueEvent]
    nodes_computed: int
    kept_bytes: int = 0
