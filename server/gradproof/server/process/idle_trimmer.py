"""Return of free memory to the system after the server becomes idle."""

from __future__ import annotations

from collections.abc import Callable

from gradproof.engine.verify.processes import glibc
from gradproof.server.runs.admission import Admission

IDLE_BEATS = 2
"""Consecutive idle checks before memory is returned; a burst of requests would only take it again."""


def trimmer() -> Callable[[], object] | None:
    """A function that returns free heap memory to the system, malloc_trim(3) of glibc; None without glibc."""
    trim = glibc("malloc_trim")
    return None if trim is None else lambda: trim(0)


class IdleTrimmer:
    """Returns free memory once after each busy period. Without this, memory that large runs have freed stays in the heaps
    of threads."""

    def __init__(self, admission: Admission, trim: Callable[[], object] | None) -> None:
        self._admission, self._trim = admission, trim
        self._idle, self._seen = 0, 0

    def due(self) -> Callable[[], object] | None:
        """The trim function to call in a thread if the server has just become idle, else None. Call this about once a
        second."""
        if self._trim is None or self._admission.in_flight:
            self._idle = 0
            return None
        self._idle += 1
        if self._idle != IDLE_BEATS or self._admission.admitted == self._seen:
            return None
        self._seen = self._admission.admitted
        return self._trim
