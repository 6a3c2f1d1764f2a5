"""Checks of a run: verdicts in batches, within the time that the request and its call leave them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from typing import TypeVar

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.engine import Run
from gradproof.engine.plugin_errors import shielded
from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.runs import Progress
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verdict.summary import ORDER
from gradproof.engine.verify.verifier import LATE, Verifier, too_late
from gradproof.server.calls.record import begin_phase
from gradproof.server.calls.status import unexpected
from gradproof.server.requests import encode
from gradproof.server.runs.admission import silence_warnings
from gradproof.server.runs.run_batcher import BATCH_SECONDS
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import verdict_pb2

DEFAULT_BUDGET = 5.0  # seconds
PROGRESS_SECONDS = 0.5  # between two events of progress
ANSWER_SECONDS = 0.05  # for the events behind the checks
LAST_SECONDS = 0.02  # for verdicts to be put together, before they are late
ANSWER_SHARE = 0.1  # of the time that a call has left: so much more for it, where the call has a deadline
COUNTED = {SummaryWord.VERIFIED: "verified", SummaryWord.PLAUSIBLE: "plausible", SummaryWord.WRONG: "wrong"}
T = TypeVar("T")


class Checks:
    """Checks runs over the ops of a registry, ``at_once`` of them at the same time, in threads that wait for processes."""

    def __init__(self, registry: Registry, proofs: ProofPool, at_once: int) -> None:
        self.proofs, self.verifier = proofs, Verifier(registry, proofs, proofs.workers)
        self.threads = ThreadPoolExecutor(at_once, "check", initializer=silence_warnings)
        self.progress_seconds = PROGRESS_SECONDS

    def close(self) -> None:
        """Start nothing more, and do not wait for the threads."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def verdicts(
        self,
        options: pb.VerifyOptions,
        run: Run,
        summary: pb.RunSummary,
        weaker: list[tuple[str, str, str]],
        deadline: float | None,
    ) -> AsyncGenerator[pb.Event]:
        """Batches of verdicts, and progress if the request asks for it. Verdicts are counted in ``summary``; names,
        summaries and reasons of gradients below the required summary are appended to ``weaker``. ``deadline``: the end of
        the call, on the monotonic clock."""
        level = options.level or pb.VERIFY_LEVEL_EVERYTHING
        if level == pb.VERIFY_LEVEL_OFF:
            return
        begin_phase("checks")
        budget = options.budget_seconds if options.HasField("budget_seconds") else DEFAULT_BUDGET
        if deadline is not None:
            left = (1 - ANSWER_SHARE) * (deadline - time.monotonic()) - 2 * ANSWER_SECONDS
            budget = max(0.0, min(budget, left / (1 + LATE)))
        least = ORDER.index(required(options))
        async with aclosing(self._batches(level, run, budget, options.progress)) as batches:
            async for batch in batches:
                if isinstance(batch, verdict_pb2.Progress):
                    yield pb.Event(progress=batch)
                    continue
                for verdict in batch:
                    word = COUNTED.get(verdict.summary, "unchecked")
                    setattr(summary, word, getattr(summary, word) + 1)
                    summary.elements_checked += sum(use.value.checked for use in verdict.uses)
                    summary.elements_total += sum(use.value.total for use in verdict.uses)
                    if ORDER.index(verdict.summary) < least:
                        weaker.append((verdict.name, verdict.summary.value, encode.shortened_text(verdict.reason)))
                for message in encode.verdict_batches(batch):
                    yield pb.Event(verdicts=message)

    async def _batches(
        self, level: pb.VerifyLevel.ValueType, run: Run, budget: float, reports: bool
    ) -> AsyncGenerator[list[GradientVerdict] | verdict_pb2.Progress]:
        """Verdicts on all gradients of the request, within ``budget`` seconds, after which the rest is late; ``reports``:
        and progress between them."""
        cancellation, end = Cancellation(), time.monotonic() + budget * (1 + LATE)
        progress, next_report = Progress(), time.monotonic() + self.progress_seconds if reports else math.inf
        taking: asyncio.Future[tuple[list[GradientVerdict], bool]] | None = None
        verdicts = self.verifier.check(
            run,
            values=level != pb.VERIFY_LEVEL_CACHED,
            wait=budget if level == pb.VERIFY_LEVEL_EVERYTHING else 0.0,
            budget=budget,
            gone=lambda: cancellation.cancelled,
            progress=progress,
        )
        missing, done = dict.fromkeys(run.job.requested()), False
        loop = asyncio.get_running_loop()
        try:
            while not done:
                inside = copy_context().run
                taking = loop.run_in_executor(self.threads, shielded, inside, cancellation.within, _take, verdicts)
                last = max(time.monotonic(), end) + LAST_SECONDS
                while not (await asyncio.wait({taking}, timeout=min(last, next_report) - time.monotonic()))[0]:
                    if time.monotonic() >= last:
                        raise TimeoutError
                    if time.monotonic() >= next_report:
                        yield self._report(progress)
                        next_report = time.monotonic() + self.progress_seconds
                batch, done = taking.result()
                for verdict in batch:
                    del missing[verdict.name]
                yield batch
        except TimeoutError:
            yield [too_late(name, budget) for name in missing]
        except Exception as error:  # a check that fails costs no gradient
            reason = f"the check failed; {unexpected(error).message}"
            yield [GradientVerdict(name, SummaryWord.UNCHECKED, reason) for name in missing]
        except (asyncio.CancelledError, GeneratorExit):  # stop waiting for proofs if the client disconnected
            self.proofs.abandon(cancellation)
            raise
        finally:
            cancellation.cancel()  # stop the check, if it is not over
            if taking is not None:
                taking.cancel()

    def _report(self, progress: Progress) -> verdict_pb2.Progress:
        nodes_read, nodes_total = progress.nodes()
        waiting = nodes_read == nodes_total and progress.proofs
        stage = verdict_pb2.CHECK_STAGE_PROOFS if waiting else verdict_pb2.CHECK_STAGE_NUMBERS
        return verdict_pb2.Progress(
            stage=stage,
            proofs_done=progress.proofs_done(self.proofs.lookup),
            proofs_total=len(progress.proofs),
            nodes_read=nodes_read,
            nodes_total=nodes_total,
        )


def required(options: pb.VerifyOptions) -> SummaryWord:
    """The weakest summary that the request accepts."""
    return next((word for word, number in encode.SUMMARY.items() if number == options.required), SummaryWord.WRONG)


def _take(items: Iterator[T]) -> tuple[list[T], bool]:
    """Items that an iterator gives within two milliseconds, at least one unless it ends; and whether it has ended."""
    started = time.perf_counter()
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if time.perf_counter() - started > BATCH_SECONDS:
            return batch, False
    return batch, True
