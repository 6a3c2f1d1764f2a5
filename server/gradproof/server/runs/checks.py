"""The checks behind a run: verdicts in batches, within the time that the request and its call leave them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from contextvars import copy_context
from typing import TypeVar

from gradproof.engine.cancellation import Cancellation
from gradproof.engine.engine import Run
from gradproof.engine.plugin_errors import contained
from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verdict.summary import ORDER
from gradproof.engine.verify.verifier import LATE, Verifier, too_late
from gradproof.server.calls.record import begin_phase
from gradproof.server.calls.status import unexpected
from gradproof.server.requests import encode
from gradproof.server.runs.admission import silence_warnings
from gradproof.server.runs.run_batcher import BATCH_SECONDS
from gradproof.v1 import autodiff_service_pb2 as pb

DEFAULT_BUDGET_MS = 5000
ANSWER_SECONDS = 0.05  # for what comes behind the checks
LAST_SECONDS = 0.02  # for words to be put together, before it is said that there was no time
ANSWER_SHARE = 0.1  # of the time that a call has left: so much more for it, where the call has a deadline
COUNTED = {SummaryWord.VERIFIED: "verified", SummaryWord.PLAUSIBLE: "plausible", SummaryWord.WRONG: "wrong"}
T = TypeVar("T")


class Checks:
    """Checks runs over the ops of a registry. ``at_once``: how many; their threads wait for processes."""

    def __init__(self, registry: Registry, proofs: ProofPool, at_once: int) -> None:
        self.proofs, self.verifier = proofs, Verifier(registry, proofs, proofs.workers)
        self.threads = ThreadPoolExecutor(at_once, "check", initializer=silence_warnings)

    def close(self) -> None:
        """Start nothing more, and wait for nobody."""
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def verdicts(
        self,
        options: pb.VerifyOptions,
        run: Run,
        summary: pb.RunSummary,
        weaker: list[tuple[str, str, str]],
        deadline: float | None,
    ) -> AsyncGenerator[pb.Event]:
        """Batches of verdicts; counted in ``summary``, and those that the request does not put up with in ``weaker``.
        ``deadline``: when the call ends, on the monotonic clock."""
        level = options.level or pb.VERIFY_LEVEL_EVERYTHING
        if level == pb.VERIFY_LEVEL_OFF:
            return
        begin_phase("checks")
        budget = (options.budget_ms or DEFAULT_BUDGET_MS) / 1000
        if deadline is not None:
            left = (1 - ANSWER_SHARE) * (deadline - time.monotonic()) - 2 * ANSWER_SECONDS
            budget = max(0.0, min(budget, left / (1 + LATE)))
        least = ORDER.index(required(options))
        async with aclosing(self._batches(level, run, budget)) as batches:
            async for batch in batches:
                for one in batch:
                    word = COUNTED.get(one.summary, "unchecked")
                    setattr(summary, word, getattr(summary, word) + 1)
                    summary.elements_checked += sum(use.value.checked for use in one.uses)
                    summary.elements_total += sum(use.value.total for use in one.uses)
                    if ORDER.index(one.summary) < least:
                        weaker.append((one.name, one.summary.value, encode.said(one.reason)))
                for message in encode.verdict_batches(batch):
                    yield pb.Event(verdicts=message)

    async def _batches(
        self, level: pb.VerifyLevel.ValueType, run: Run, budget: float
    ) -> AsyncGenerator[list[GradientVerdict]]:
        """Verdicts on all wanted gradients, within ``budget`` seconds: those that are not there by then are late."""
        cancellation, end = Cancellation(), time.monotonic() + budget * (1 + LATE)
        verdicts = self.verifier.check(
            run,
            values=level != pb.VERIFY_LEVEL_CACHED,
            wait=budget if level == pb.VERIFY_LEVEL_EVERYTHING else 0.0,
            budget=budget,
            gone=lambda: cancellation.cancelled,
        )
        missing, done = dict.fromkeys(run.job.wanted()), False
        loop = asyncio.get_running_loop()
        try:
            while not done:
                inside = copy_context().run
                taking = loop.run_in_executor(self.threads, contained, inside, cancellation.within, _take, verdicts)
                batch, done = await asyncio.wait_for(taking, max(0.0, end - time.monotonic()) + LAST_SECONDS)
                for one in batch:
                    del missing[one.name]
                yield batch
        except TimeoutError:
            yield [too_late(name, budget) for name in missing]
        except Exception as error:  # whatever is wrong with a check, it costs nobody a gradient
            reason = f"the check failed; {unexpected(error).message}"
            yield [GradientVerdict(name, SummaryWord.UNCHECKED, reason) for name in missing]
        except (asyncio.CancelledError, GeneratorExit):  # the client left: nobody waits for proofs on its behalf either
            self.proofs.abandon(cancellation)
            raise
        finally:
            cancellation.cancel()  # the client may have gone: nobody waits for verdicts on its behalf


def required(options: pb.VerifyOptions) -> SummaryWord:
    """The weakest summary that will do."""
    return next((word for word, number in encode.SUMMARY.items() if number == options.required), SummaryWord.WRONG)


def _take(items: Iterator[T]) -> tuple[list[T], bool]:
    """Items that an iterator gives within two milliseconds, at least one unless it is at its end; and whether it is."""
    started = time.perf_counter()
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if time.perf_counter() - started > BATCH_SECONDS:
            return batch, False
    return batch, True
