"""Envelope of a task: the id of its request, and the output lines and timings that come back beside the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

ORIGIN: ContextVar[str] = ContextVar("gradproof_origin", default="")
"""Id of the current request; empty outside of a request. It is sent with each task, and precedes each line that a
definition writes."""

MARK = "\x1f"
"""Separator of the id and the line."""

MAX_NAME, MAX_LINE = 100, 2_000


class Timing(NamedTuple):
    """A step of a worker. ``began`` and ``ended`` in nanoseconds since 1970."""

    name: str
    began: int
    ended: int


TimingListener: TypeAlias = Callable[[int, Sequence[Timing]], None]
"""Called with the id of a process and its steps, in the thread and context of the caller that asked it."""


def valid_timings(timings: Any) -> list[Timing]:
    """The valid items of ``timings``, which come from a process that runs plugin code."""
    if not isinstance(timings, tuple):
        return []
    return [
        Timing(timing.name[:MAX_NAME], timing.began, timing.ended)
        for timing in timings
        if isinstance(timing, Timing) and isinstance(timing.name, str) and type(timing.began) is type(timing.ended) is int
    ]


class MarkedOutput:
    """Standard output and error of a worker: whole lines, each after the id of its request."""

    encoding, errors, closed = "utf-8", "backslashreplace", False

    def __init__(self) -> None:
        self.origin = ""
        self._begun = ""

    def begin(self, origin: str) -> None:
        """Set the request of the lines that follow."""
        self.flush()
        self.origin = origin

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._send(line)
        if len(self._begun) > MAX_LINE:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self._begun:
            line, self._begun = self._begun, ""
            self._send(line)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return 2

    def _send(self, line: str) -> None:
        with suppress(OSError):
            os.write(2, f"{self.origin}{MARK}{line[:MAX_LINE]}\n".encode(errors=self.errors))


def redirect_output() -> MarkedOutput:
    """Replace standard output and error of this process by `MarkedOutput`."""
    lines: Any = MarkedOutput()
    sys.stdout = sys.stderr = lines
    redirected: MarkedOutput = lines
    return redirected
