"""The envelope of a task: which request it is for; and what comes back beside the answer, lines and times."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

ORIGIN: ContextVar[str] = ContextVar("gradproof_origin", default="")
"""The id of the request that is served; empty outside of one. It goes with each task, and stands before each line that a
definition writes."""

MARK = "\x1f"
"""Between the id and the line."""

MAX_NAME, MAX_LINE = 100, 2_000


class Timing(NamedTuple):
    """What a worker was at; ``began`` and ``ended`` in nanoseconds since 1970."""

    name: str
    began: int
    ended: int


Hearing: TypeAlias = Callable[[int, Sequence[Timing]], None]
"""Called with the id of a process and what it was at, in the thread and context of whoever asked it."""


def sound(timings: Any) -> list[Timing]:
    """Those timings that are any: the process that sent them runs strangers' code."""
    if not isinstance(timings, tuple):
        return []
    return [
        Timing(timing.name[:MAX_NAME], timing.began, timing.ended)
        for timing in timings
        if isinstance(timing, Timing) and isinstance(timing.name, str) and type(timing.began) is type(timing.ended) is int
    ]


class Lines:
    """Standard output and error of a worker: whole lines, each after the id of the request it is for."""

    encoding, errors, closed = "utf-8", "backslashreplace", False

    def __init__(self) -> None:
        self.origin = ""
        self._begun = ""

    def begin(self, origin: str) -> None:
        """What is written from now on is for another request."""
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


def marked() -> Lines:
    """Lines in the place of standard output and error of this process."""
    lines: Any = Lines()
    sys.stdout = sys.stderr = lines
    marked_lines: Lines = lines
    return marked_lines
