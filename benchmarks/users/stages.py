"""Stages of a request in the server: clocks around its functions.

As a plugin (``gradproof serve --plugin benchmarks.users.stages``) it puts the clocks into a file that the benchmark reads.
The time of a function leaves out the clocked functions that it calls.
"""

from __future__ import annotations

import importlib
import inspect
import mmap
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

GRADPROOF_API = 1
FILE = "BENCHMARK_STAGES"
"""The environment variable with the path of the file."""


class Clocked(NamedTuple):
    """A function whose time counts as a stage, by its module and its name there."""

    stage: str
    module: str
    name: str


SERVER = (
    Clocked("decode", "gradproof.server.runs.handler", "decode_job"),
    Clocked("prepare", "gradproof.engine.engine", "Engine.prepare"),
    Clocked("prepare", "gradproof.server.runs.handler", "check_cost"),
    Clocked("run", "gradproof.server.runs.run_batcher", "RunBatcher.batch"),
    Clocked("encode", "gradproof.server.requests.encode", "Encoder.batch"),
    Clocked("encode", "gradproof.server.requests.encode", "accepted"),
    Clocked("decode", "gradproof.server.runs.prepared_request", "PreparedRequests.recall"),
    Clocked("run", "gradproof.server.runs.prepared_request", "PreparedRequest.run"),
    *(Clocked("encode", "gradproof.server.requests.reply", f"Reply.{name}") for name in ("message", "stream", "session")),
)
STAGES = ("decode", "prepare", "run", "encode")
BYTES = 8 * len(STAGES)


class Clock:
    """Seconds by stage, which other processes may read in ``memory``."""

    def __init__(self, memory: Any = None) -> None:
        self.seconds = np.frombuffer(memory if memory is not None else bytearray(BYTES), np.float64)
        self._running = threading.local()

    def read(self) -> dict[str, float]:
        """Seconds by stage so far."""
        return dict(zip(STAGES, map(float, self.seconds), strict=True))

    @contextmanager
    def stage(self, number: int) -> Iterator[None]:
        """Count the block as a stage, without the stages inside it."""
        outer, self._running.inner = getattr(self._running, "inner", 0.0), 0.0
        started = perf_counter()
        try:
            yield
        finally:
            taken = perf_counter() - started
            self.seconds[number] += taken - self._running.inner
            self._running.inner = outer + taken

    def around(self, function: Callable[..., Any], number: int) -> Callable[..., Any]:
        """``function``, whose time counts as a stage; of a generator, that of each of its steps."""
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def steps(*arguments: Any, **options: Any) -> Generator[Any, Any, Any]:
                generator = function(*arguments, **options)
                while True:
                    with self.stage(number):
                        try:
                            item = next(generator)
                        except StopIteration:
                            return
                    yield item

            return steps

        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.stage(number):
                return function(*arguments, **options)

        return timed

    def wrap(self, functions: Sequence[Clocked]) -> None:
        """Put clocks around functions. Raises AttributeError where there is no such function."""
        for stage, module, name in functions:
            owner, *rest = [importlib.import_module(module), *name.split(".")]
            for part in rest[:-1]:
                owner = getattr(owner, part)
            setattr(owner, rest[-1], self.around(getattr(owner, rest[-1]), STAGES.index(stage)))


def shared(path: Path) -> Clock:
    """A clock in a file, which is made where there is none."""
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.truncate(BYTES)
        return Clock(mmap.mmap(file.fileno(), BYTES))


if FILE in os.environ:
    shared(Path(os.environ[FILE])).wrap(SERVER)
