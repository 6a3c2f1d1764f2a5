"""Breakdown of a request: where each microsecond goes, from the first op that is recorded to the gradients as arrays."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import gradproof.client as gp
from benchmarks.users.clients import graph
from benchmarks.users.programs import PROGRAMS, step_of
from benchmarks.users.stages import FILE, STAGES, shared
from gradproof.client.channel import Connection
from gradproof.client.recording.runtime import Runtime

CLIENT = ("record", "structure", "encode", "wire", "decode", "wrap")
COLUMNS = (*CLIENT[:3], "transport", *(f"server: {stage}" for stage in STAGES), *CLIENT[4:])
"""Stages in order. ``record``: ops; ``structure``: the graph of a pass; ``encode``: its message; ``transport``: gRPC on
both sides, admission and hand-over between threads; ``decode``: the message that came; ``wrap``: tensors of results."""
REPEATS = 60
ELEMENTS = 10


class Stopwatch:
    """Seconds by stage: the time since the last mark belongs to its stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stage, self._since = "", 0.0

    def mark(self, stage: str) -> None:
        """End the stage that runs, and begin another; none where ``stage`` is empty."""
        now = perf_counter()
        if self._stage:
            self.seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now

    def before(self, stage: str, function: Callable[..., Any], after: str = "") -> Callable[..., Any]:
        """``function`` with a mark when it is called, and another when it has returned."""

        def marked(*arguments: Any, **options: Any) -> Any:
            self.mark(stage)
            try:
                return function(*arguments, **options)
            finally:
                if after:
                    self.mark(after)

        return marked


class MarkingCall:
    """The call of a stream, which marks when it waits for a message."""

    def __init__(self, call: Any, watch: Stopwatch) -> None:
        self._call, self._watch = call, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def __iter__(self) -> MarkingCall:
        return self

    def __next__(self) -> Any:
        self._watch.mark("wire")
        return next(self._call)


class MarkingChannel:
    """A channel that marks when a message has been written, and when a message has come."""

    def __init__(self, channel: Any, watch: Stopwatch) -> None:
        self._channel, self._watch = channel, watch

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._channel, name)
        if not name.startswith(("unary_", "stream_")):
            return member

        def method(path: str, request_serializer: Any = None, response_deserializer: Any = None, **rest: Any) -> Any:
            write = self._watch.before("encode", request_serializer, "wire")
            read = self._watch.before("decode", response_deserializer)
            call = member(path, request_serializer=write, response_deserializer=read, **rest)
            if not name.endswith("stream"):
                return call
            return lambda *arguments, **options: MarkingCall(call(*arguments, **options), self._watch)

        return method


@contextmanager
def marking(watch: Stopwatch) -> Iterator[None]:
    """Marks around the client's functions inside the block."""
    places: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
        (Connection, "channel", lambda made: lambda connection: MarkingChannel(made(connection), watch)),
        (gp.Tensor, "backward", lambda made: watch.before("structure", made)),
        (Runtime, "differentiate", lambda made: watch.before("encode", made, "wrap")),
    )
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    for owner, name, wrap in places:
        setattr(owner, name, wrap(getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def measured() -> dict[str, dict[str, float]]:
    """Microseconds of each stage, by path: medians over requests."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder, marking(watch):
        file = Path(folder) / "stages"
        clock = shared(file)
        environment = ("--plugin", "benchmarks.users.stages")
        with _environment(FILE, str(file)):
            client = gp.connect(arguments=(*environment, "--cache", folder))
        with client:
            previous = gp.use(client)
            session, program = client.session(), graph(ELEMENTS)
            x = np.linspace(0.5, 1.5, ELEMENTS)
            paths: dict[str, tuple[str, Callable[[], Any]]] = {
                name: ("record", step_of(gp, PROGRAMS[name]()))
                for name in ("logistic regression 500x10", "perceptron, batch 64", "twenty RK4 steps")
            }
            paths["Client, 10 numbers"] = "encode", lambda: client.differentiate(program, {"x": x}, verify="off")
            paths["Client.session, 10 numbers"] = "encode", lambda: session.differentiate(program, {"x": x}, verify="off")
            try:
                return {name: _stages(run, first, watch, clock.read) for name, (first, run) in paths.items()}
            finally:
                session.close()
                gp.use(previous)


def _stages(
    run: Callable[[], Any], first: str, watch: Stopwatch, server: Callable[[], dict[str, float]]
) -> dict[str, float]:
    rows: list[dict[str, float]] = []
    for k in range(REPEATS + 10):
        before = server()
        watch.seconds.clear()
        watch.mark(first)
        run()
        watch.mark("")
        row = dict(watch.seconds)
        for stage, seconds in server().items():
            row[f"server: {stage}"] = seconds - before[stage]
        row["transport"] = row.pop("wire", 0.0) - sum(row[f"server: {stage}"] for stage in STAGES)
        if k >= 10:  # the first plan and compile
            rows.append(row)
    return {column: 1e6 * median(row.get(column, 0.0) for row in rows) for column in COLUMNS}


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    import os

    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
