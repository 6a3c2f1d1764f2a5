"""Limit of CPU time, which does not depend on the load of the machine."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gradproof.engine.plugin_errors import Interrupt
from gradproof.engine.verify.verdict.advice import PROOF

AGAIN = 0.1  # seconds between repeated signals, for code that catches the exception of the first


class OutOfTime(Interrupt):
    """The CPU time is over. Not an Exception, which plugin code might catch."""


@contextmanager
def cpu_seconds(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in the body after ``seconds`` of CPU time of this process. Main thread only."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"the proof took longer than {seconds:g} s of CPU time and was stopped; {PROOF}")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
