"""The one handler behind every call: a request becomes events, gradients first, verdicts behind them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Lock
from typing import Any, TypeAlias, TypeVar

from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine, Event, Prepared, Run, ValueEvent
from gradproof.engine.errors import Fault, HookFault, InvalidRequest, LimitExceeded, NotFound, RunFault
from gradproof.engine.graph import Graph
from gradproof.engine.hooks import HookTurn
from gradproof.engine.lower import did_you_mean
from gradproof.engine.spec import Array
from gradproof.engine.verify.formulas import NoFormula
from gradproof.engine.verify.pool import ProofPool
from gradproof.engine.verify.summary import ORDER
from gradproof.engine.verify.verdict import Summary
from gradproof.engine.verify.verifier import Verifier
from gradproof.server import encode
from gradproof.server.decode import Decoder, decode_job
from gradproof.server.limits import Limits
from gradproof.server.status import VerdictRequired
from gradproof.v1 import autodiff_service_pb2 as pb

BATCH_SECONDS = 0.002
BATCH_BYTES = 256 << 10
MAX_GRAPHS = 1024
DEFAULT_BUDGET_MS = 5000
MODES = {getattr(pb, f"DERIVE_MODE_{mode.name}"): mode for mode in Mode}
T = TypeVar("T")
Ask: TypeAlias = Callable[[HookTurn], Awaitable[Array | HookFault | None]]
"""What the client makes of a gradient: an array, None to leave it, or why it failed."""


@dataclass
class Handler:
    """Runs requests. No number is computed in the event loop: runs step in one pool of threads, checks in another, proofs
    in processes."""

    engine: Engine
    proofs: ProofPool
    limits: Limits = field(default_factory=Limits)
    verifier: Verifier = field(init=False)
    runs: ThreadPoolExecutor = field(init=False)
    checks: ThreadPoolExecutor = field(init=False)
    _graphs: OrderedDict[str, Graph] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)
    _in_flight: int = 0

    def __post_init__(self) -> None:
        self.verifier = Verifier(self.engine.registry, self.proofs)
        self.runs = ThreadPoolExecutor(4, "run")
        self.checks = ThreadPoolExecutor(8, "check")  # more than cores: some of them wait for proofs

    def close(self) -> None:
        """Wait for what is running, and end the threads."""
        self.runs.shutdown(cancel_futures=True)
        self.checks.shutdown(cancel_futures=True)

    async def differentiate(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        *,
        chunked: bool,
        ask: Ask | None = None,
    ) -> AsyncIterator[pb.Event]:
        """The events of a run. ``ask``: gives what the client says to a hook that runs there; without it such hooks are
        refused. Raises GradproofError: before the first event if the request is at fault, later (after a fault event) if a
        node or hook is."""
        count = itertools.count()
        if ask is None:
            _refuse_client_hooks(request)
        async for event in self._events(request, uploads, encode.Encoder(chunked), ask):
            event.sequence = next(count)
            yield event

    async def _events(
        self,
        request: pb.DifferentiateRequest,
        uploads: Mapping[int, Array],
        encoder: encode.Encoder,
        ask: Ask | None,
    ) -> AsyncIterator[pb.Event]:
        with _Admitted(self):
            started = time.perf_counter()
            prepared, digest = await self._in(self.runs, self._prepare, request, uploads)
            plan = prepared.plan
            yield pb.Event(
                accepted=pb.Accepted(
                    digest=digest,
                    request_id=request.request_id,
                    nodes=len(prepared.job.graph.nodes),
                    estimated_bytes=plan.forward_bytes,
                )
            )
            stepper = _Stepper(self.engine.gradients(prepared))
            try:
                while stepper.run is None:
                    batch = await self._in(self.runs, stepper.batch)
                    for event in encoder.batch(batch):
                        yield event
                    if stepper.turn is not None and ask is not None:
                        for event in encoder.turn(stepper.turn):
                            yield event
                        stepper.answer = await ask(stepper.turn)
            except RunFault as fault:
                yield pb.Event(fault=encode.run_fault(fault))
                raise
            run_seconds = time.perf_counter() - started
            summary = pb.RunSummary(run_seconds=run_seconds)
            assert stepper.run is not None
            weaker: list[tuple[str, str, str]] = []
            async for event in self._verdicts(request.verify, stepper.run, summary, weaker):
                yield event
            summary.verify_seconds = time.perf_counter() - started - run_seconds
            yield pb.Event(summary=summary)
            if weaker:
                raise VerdictRequired(_required(request.verify).value, weaker)

    async def _verdicts(
        self, options: pb.VerifyOptions, run: Run, summary: pb.RunSummary, weaker: list[tuple[str, str, str]]
    ) -> AsyncIterator[pb.Event]:
        """Batches of verdicts; counted in ``summary``, and those that the request does not put up with in ``weaker``."""
        level = options.level or pb.VERIFY_LEVEL_EVERYTHING
        if level == pb.VERIFY_LEVEL_OFF:
            return
        budget = (options.budget_ms or DEFAULT_BUDGET_MS) / 1000
        required, left = _required(options), Flag()
        verdicts = self.verifier.check(
            run,
            values=level != pb.VERIFY_LEVEL_CACHED,
            wait=budget if level == pb.VERIFY_LEVEL_EVERYTHING else 0.0,
            budget=budget,
            gone=left.is_set,
        )
        try:
            while batch := await self._in(self.checks, _take, verdicts):
                for one in batch:
                    name = {Summary.VERIFIED: "verified", Summary.PLAUSIBLE: "plausible", Summary.WRONG: "wrong"}
                    word = name.get(one.summary, "unchecked")
                    setattr(summary, word, getattr(summary, word) + 1)
                    summary.elements_checked += sum(use.value.checked for use in one.uses)
                    summary.elements_total += sum(use.value.total for use in one.uses)
                    if ORDER.index(one.summary) < ORDER.index(required):
                        weaker.append((one.name, one.summary.value, one.reason))
                yield pb.Event(verdicts=pb.VerdictBatch(verdicts=[encode.gradient_verdict(one) for one in batch]))
        finally:
            left.set()  # the client may have gone: nobody waits for proofs on its behalf

    async def evaluate(self, request: pb.EvaluateRequest, uploads: Mapping[int, Array]) -> tuple[str, list[ValueEvent]]:
        """The digest and the values asked for. Raises GradproofError."""
        with _Admitted(self):
            prepared, digest = await self._in(self.runs, self._prepare, request, uploads)
            return digest, await self._in(self.runs, list, self.engine.forward(prepared))

    async def derive(self, request: pb.DeriveRequest) -> pb.DeriveResponse:
        """The derived graph. Raises GradproofError."""
        with _Admitted(self):
            response: pb.DeriveResponse = await self._in(self.runs, self._derive, request)
            return response

    async def explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        """Formulas. Raises GradproofError."""
        with _Admitted(self):
            response: pb.ExplainResponse = await self._in(self.checks, self._explain, request)
            return response

    def _explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        lowered = self.engine.infer(graph)
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
            found = self.proofs.explain(graph, request.value, values, self.limits.explain_ms / 1000)
        except NoFormula as error:
            raise InvalidRequest([Fault("value", str(error), "NO_FORMULA")]) from error
        return encode.explained(found)

    def _derive(self, request: pb.DeriveRequest) -> pb.DeriveResponse:
        decoder = Decoder(self.limits)
        graph, carried = decoder.graph(request.graph)
        mode = MODES.get(request.mode)
        if mode is None:
            decoder.faults.append(Fault("mode", f"{request.mode} is no mode; see DeriveMode", "MODE"))
        if decoder.faults or mode is None:
            raise InvalidRequest([*decoder.faults, *self.engine.infer(graph).faults])
        derived = derive(graph, self.engine.registry, mode, request.by, max_nodes=self.limits.graph_nodes)
        values = {**{name: array for name, array, _ in carried}, **dict(derived.values)}
        return pb.DeriveResponse(
            graph=encode.graph(derived.graph, values),
            results=[pb.DerivedValue(by=one.by, output=one.output, value=one.value or "") for one in derived.found],
            leaves=[pb.DerivedLeaf(of=of, leaf=leaf) for of, leaf in derived.leaves.items()],
        )

    def _prepare(
        self, request: pb.DifferentiateRequest | pb.EvaluateRequest, uploads: Mapping[int, Array]
    ) -> tuple[Prepared, str]:
        """The job, checked and planned, and its graph's digest, which is known here from now on."""
        if isinstance(request, pb.DifferentiateRequest):
            self.limits.check("verify_budget_ms", request.verify.budget_ms)
            if request.verify.required and request.verify.level == pb.VERIFY_LEVEL_OFF:
                text = "a summary is required, and the level is OFF: nothing would be checked"
                raise InvalidRequest([Fault("verify.required", text, "VERIFY_REQUIRED_OFF")])
        known = None
        if request.WhichOneof("source") == "digest":
            known = self._graphs.get(request.digest)
            if known is None:
                raise NotFound("graph", request.digest, "send the graph itself; the answer has its digest")
        decoded = decode_job(request, known, self.limits, uploads, self.engine.registry)
        try:
            prepared = self.engine.prepare(decoded.job, differentiate=isinstance(request, pb.DifferentiateRequest))
        except InvalidRequest as error:
            raise decoded.relocated(error) from error
        self.limits.check("estimated_bytes", max(prepared.plan.forward_bytes, prepared.plan.run_bytes))
        graph = decoded.job.graph
        digest = request.digest if known is not None else graph.digest()
        with self._lock:
            self._graphs[digest] = graph
            self._graphs.move_to_end(digest)
            while len(self._graphs) > MAX_GRAPHS:
                self._graphs.popitem(last=False)
        return prepared, digest

    async def _in(self, pool: ThreadPoolExecutor, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)


def _refuse_client_hooks(request: pb.DifferentiateRequest) -> None:
    """Raises InvalidRequest if a hook runs at the client, which only a session can ask."""
    faults = [
        Fault(f"hooks[{k}].client", "a hook that runs at the client needs a Session", "HOOK_NEEDS_SESSION")
        for k, hook in enumerate(request.hooks)
        if hook.WhichOneof("action") == "client"
    ]
    if faults:
        raise InvalidRequest(faults)


def _required(options: pb.VerifyOptions) -> Summary:
    """The weakest summary that will do."""
    return next((word for word, number in encode.SUMMARY.items() if number == options.required), Summary.WRONG)


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


class _Stepper:
    """Takes the events of a run in small batches, and keeps the run that the generator returns at its end. At a hook that
    runs elsewhere it stops: ``turn`` is set, and goes on with ``answer``."""

    def __init__(self, events: Generator[Event, Array | None, Run]) -> None:
        self.events = events
        self.run: Run | None = None
        self.turn: HookTurn | None = None
        self.answer: Array | HookFault | None = None

    def batch(self) -> list[Event]:
        """What comes within two milliseconds, or 256 KiB, or until a turn; ``run`` is set at the end."""
        started, size = time.perf_counter(), 0
        batch: list[Event] = []
        while self.run is None and size < BATCH_BYTES and time.perf_counter() - started < BATCH_SECONDS:
            answer, self.answer, self.turn = self.answer, None, None
            try:
                event = self.events.throw(answer) if isinstance(answer, HookFault) else self.events.send(answer)
            except StopIteration as end:
                self.run = end.value
                break
            if isinstance(event, HookTurn):
                self.turn = event
                break
            batch.append(event)
            array = event.value if isinstance(event, ValueEvent) else event.gradient
            size += array.nbytes if array is not None else 0
        return batch


def _take(items: Iterator[T]) -> list[T]:
    """What an iterator gives within two milliseconds, at least one item unless it is at its end."""
    started = time.perf_counter()
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if time.perf_counter() - started > BATCH_SECONDS:
            break
    return batch
