"""A run that differentiates: its events, gradients first, verdicts behind them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing

from gradproof.engine.engine import Forward
from gradproof.engine.errors import HookFault, RunFault
from gradproof.engine.spec import Array
from gradproof.server.calls.record import count_verdicts, observe_phase
from gradproof.server.calls.status import VerdictRequired, run_fault
from gradproof.server.requests import encode
from gradproof.server.runs.admission import Turn
from gradproof.server.runs.checks import Checks, required
from gradproof.server.runs.run_batcher import Batch, RunBatcher
from gradproof.server.runs.session_context import SessionContext
from gradproof.v1 import autodiff_service_pb2 as pb

SUMMARY_WORDS = ("verified", "plausible", "unchecked", "wrong")


class Differentiation:
    """The events of a prepared run. ``digest``: of its graph; ``session``: the session that it is on, if any; ``save``:
    saves a forward half, and returns the bytes that it takes."""

    def __init__(
        self,
        request: pb.DifferentiateRequest,
        batcher: RunBatcher,
        digest: str,
        turn: Turn,
        session: SessionContext | None,
        save: Callable[[Forward], int],
        encoder: encode.Encoder,
    ) -> None:
        self.request, self.batcher, self.digest = request, batcher, digest
        self.turn, self.session, self.save = turn, session, save
        self.encoder = encoder
        self.summary = pb.RunSummary(nodes_computed=batcher.prepared.missing)

    async def events(self, checks: Checks) -> AsyncGenerator[pb.Event]:
        """Events of the run, without sequence numbers. Raises RunFault behind a fault event, VerdictRequired behind the
        summary."""
        started, summary = time.perf_counter(), self.summary
        prepared = self.batcher.prepared
        yield pb.Event(accepted=encode.accepted(prepared, self.digest, self.request.input.request_id))
        try:
            async with aclosing(self._results()) as results:
                async for event in results:
                    yield event
        except RunFault as fault:
            yield pb.Event(fault=run_fault(fault))
            raise
        self.turn.release_slot()
        summary.run_seconds = time.perf_counter() - started
        assert self.batcher.run is not None
        weaker: list[tuple[str, str, str]] = []
        checking = checks.verdicts(self.request.verify, self.batcher.run, summary, weaker, self.turn.deadline)
        async with aclosing(checking) as verdicts:
            async for event in verdicts:
                yield event
        summary.verify_seconds = time.perf_counter() - started - summary.run_seconds
        observe_phase("checks", summary.verify_seconds)
        summary.weaker = len(weaker)
        count_verdicts({word: getattr(summary, word) for word in SUMMARY_WORDS})
        yield pb.Event(summary=summary)
        if weaker:
            raise VerdictRequired(required(self.request.verify).value, weaker)

    async def _results(self) -> AsyncGenerator[pb.Event]:
        """Values and gradients in batches; the forward half is saved with the first. Where a hook runs at the client, no
        thread waits for it."""
        answer: Array | HookFault | None = None
        batcher = self.batcher
        batch, seconds = batcher.early(), batcher.prepared.cost.seconds
        while batch is not None or batcher.run is None:
            try:
                if batch is None:
                    batch = await self.turn.run("run", seconds, batcher.batch, answer)
            except asyncio.CancelledError:
                batcher.cancel()
                raise
            finally:
                if batcher.forward is not None:
                    self.summary.saved_bytes, batcher.forward = self.save(batcher.forward), None
            for event in self._encoded(batch):
                yield event
            answer = batch = None
            if batcher.hook_call is not None:
                assert self.session is not None  # where there is no session, such a hook was refused
                with self.session.hooks.asking(batcher.hook_call) as question:
                    for event in self.encoder.hook(batcher.hook_call):
                        yield event
                    with self.turn.waiting_for_client(patience=0):
                        answer = await question.answer()

    def _encoded(self, batch: Batch) -> Iterator[pb.Event]:
        """A batch as messages, of a MiB at most: short enough to be written in the event loop."""
        started = time.perf_counter()
        for event in self.encoder.batch(batch):
            observe_phase("encode", time.perf_counter() - started)
            yield event
            started = time.perf_counter()
