"""Memory that was freed, and goes back to the system where nobody needs it soon."""

from __future__ import annotations

from collections.abc import Callable

from gradproof.engine.verify.processes import glibc
from gradproof.server.runs.admission import Admission

IDLE_BEATS = 2
"""Looks in a row at which nothing was in flight, before free memory goes back: a burst would only take it again."""


def trimmer() -> Callable[[], object] | None:
    """What gives free memory back to the system, where there is such a thing (glibc)."""
    trim = glibc("malloc_trim")
    return None if trim is None else lambda: trim(0)


class Tidying:
    """Gives free memory back once after each time that the server was busy. Without this, what large runs have freed stays
    with the process in heaps of its threads."""

    def __init__(self, admission: Admission, trim: Callable[[], object] | None) -> None:
        self._admission, self._trim = admission, trim
        self._idle, self._seen = 0, 0

    def look(self) -> Callable[[], object] | None:
        """What is to be called now, in a thread, if the server has just become idle. Call it every second or so."""
        if self._trim is None or self._admission.in_flight:
            self._idle = 0
            return None
        self._idle += 1
        if self._idle != IDLE_BEATS or self._admission.admitted == self._seen:
            return None
        self._seen = self._admission.admitted
        return self._trim
