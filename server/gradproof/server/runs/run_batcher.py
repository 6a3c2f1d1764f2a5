"""Events of a run, in small batches."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TypeAlias

from gradproof.engine.engine import Engine, Event, Forward, GradientEvent, Prepared, Run, ValueEvent
from gradproof.engine.errors import HookFault
from gradproof.engine.hooks import HookCall
from gradproof.engine.spec import Array

BATCH_SECONDS = 0.002
BATCH_BYTES = 256 << 10
Batch: TypeAlias = list[ValueEvent | GradientEvent]


class RunBatcher:
    """Takes the events of a run in small batches. ``run``: the finished run, at the end; ``hook_call``: the call that the
    run is stopped at, if any; ``forward``: the forward half when it is done, if it is to be saved; ``chunked``: whether
    large tensors of responses go in chunks."""

    def __init__(self, engine: Engine, prepared: Prepared, *, save: bool, chunked: bool) -> None:
        self.engine, self.prepared, self.save, self.chunked = engine, prepared, save, chunked
        self.events: Generator[Event, Array | None, Run] | None = None
        self.forward: Forward | None = None
        self.run: Run | None = None
        self._early: Batch | BaseException | None = None
        self.hook_call: HookCall | None = None

    def _started(self) -> Generator[Event, Array | None, Run]:
        """The events of the run, which hold no reference to this batcher: a run that is abandoned between two batches frees
        its memory at once, and not with the next collection of cycles."""
        prepared = self.prepared
        if self.save:
            prepared = self.engine.compute(prepared)
            self.forward = prepared.forward
        return self.engine.gradients(prepared)

    def cancel(self) -> None:
        """End the run after the node that it is at."""
        self.prepared.cancellation.cancel()

    def begin(self) -> None:
        """Take the first batch now. An exception is raised by `early`."""
        try:
            self._early = self.batch()
        except BaseException as error:
            self._early = error

    def early(self) -> Batch | None:
        """The batch that `begin` took, if it was called. Raises the exception that taking it raised."""
        batch, self._early = self._early, None
        if isinstance(batch, BaseException):
            raise batch
        return batch

    def batch(self, answer: Array | HookFault | None = None) -> Batch:
        """The events of the next two milliseconds, or 256 KiB, or up to a hook call. ``answer`` is the result of the last
        hook call."""
        return self.prepared.cancellation.within(self._batch, answer)

    def _batch(self, answer: Array | HookFault | None) -> Batch:
        self.hook_call = None
        started, size = time.perf_counter(), 0
        batch: Batch = []
        events = self.events = self.events or self._started()
        while size < BATCH_BYTES and time.perf_counter() - started < BATCH_SECONDS:
            try:
                event = events.throw(answer) if isinstance(answer, HookFault) else events.send(answer)
            except StopIteration as end:
                self.run = end.value
                break
            answer = None
            if isinstance(event, HookCall):
                self.hook_call = event
                break
            batch.append(event)
            array = event.value if isinstance(event, ValueEvent) else event.gradient
            size += array.nbytes if array is not None else 0
        return batch
