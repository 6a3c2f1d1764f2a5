"""The handler of runs in the caller's thread: nothing in it waits for an event loop, so that `driven` takes it to its end.
Its events carry arrays, which are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from gradproof.client import events
from gradproof.engine.engine import GradientEvent, ValueEvent
from gradproof.engine.hooks import HookCall
from gradproof.server.local.direct_turn import DirectAdmission, Timers
from gradproof.server.local.loop_stream import LoopStream
from gradproof.server.runs.checks import Checks
from gradproof.server.runs.handler import Handler
from gradproof.server.runs.prepared_request import MAX_BYTES, PreparedRequests
from gradproof.v1 import autodiff_service_pb2 as pb


class HandedEvents:
    """Events of a batch, with the arrays as the run has them. ``sequence``: their place in the stream."""

    __slots__ = ("events", "sequence")

    def __init__(self, handed: Sequence[events.Event]) -> None:
        self.events, self.sequence = handed, 0


class HandingEncoder:
    """As `Encoder`, for the caller's own process: arrays are handed over."""

    def batch(self, batch: Sequence[ValueEvent | GradientEvent]) -> Iterator[HandedEvents]:
        """Values and gradients that became known together."""
        yield HandedEvents([*map(handed, batch)])

    def hook(self, call: HookCall) -> Iterator[HandedEvents]:
        """Nothing: the hook is called directly."""
        return iter(())


def handed(event: ValueEvent | GradientEvent) -> events.Event:
    """The client's type of an event."""
    if isinstance(event, ValueEvent):
        return events.Value(event.name, event.value)
    traces = tuple(events.HookTrace(trace.name, trace.result, trace.changed) for trace in event.traces)
    raw = event.raw if traces else event.gradient
    return events.Gradient(event.name, event.gradient, raw, traces, event.grad_fn)


class DirectChecks:
    """As `Checks`, on the event loop that ``checks`` run on; the thread of the run waits for their verdicts."""

    def __init__(self, checks: Checks, loop: asyncio.AbstractEventLoop) -> None:
        self._checks, self._loop = checks, loop

    async def verdicts(self, options: pb.VerifyOptions, *rest: Any) -> AsyncGenerator[pb.Event]:
        """The events of the checks; none where the request asks for no checks."""
        if options.level == pb.VERIFY_LEVEL_OFF:
            return
        stream: LoopStream[pb.Event] = LoopStream(self._loop, partial(self._put_all, options, rest))
        try:
            for event in stream:
                yield event
        finally:
            stream.cancel()

    async def _put_all(
        self, options: pb.VerifyOptions, rest: tuple[Any, ...], put: Callable[[pb.Event], Coroutine[Any, Any, None]]
    ) -> None:
        async with aclosing(self._checks.verdicts(options, *rest)) as verdicts:
            async for event in verdicts:
                await put(event)


class DirectHandler(Handler):
    """Runs in the thread that calls, with the graphs, saved values and checks of ``handler``."""

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop, timers: Timers) -> None:
        self._loop, self._timers, self._handler = loop, timers, handler
        super().__init__(handler.engine, handler.proofs, handler.limits)

    def __post_init__(self) -> None:
        self.graphs, self.forward_cache = self._handler.graphs, self._handler.forward_cache
        self.prepared = PreparedRequests(self.engine, MAX_BYTES)
        self.checks: Any = DirectChecks(self._handler.checks, self._loop)
        self.admission: Any = DirectAdmission(self._timers)

    def encoder(self, chunked: bool, tensor_format: Any) -> Any:
        """An encoder that hands arrays over."""
        return HandingEncoder()

    def _sweep(self) -> None:
        """Free saved values that are idle; the next look is at the next run that saves."""
        self.forward_cache.expire()
