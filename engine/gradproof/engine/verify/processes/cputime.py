"""A limit of CPU time: what a busy machine does to the clock on the wall decides nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gradproof.engine.plugin_errors import Interrupt
from gradproof.engine.verify.verdict.advice import PROOF

AGAIN = 0.1  # seconds until who swallowed the first signal gets the next


class OutOfTime(Interrupt):
    """The CPU time is over. No Exception: a stranger's code that catches those must not catch it."""


@contextmanager
def cpu_seconds(seconds: float) -> Iterator[None]:
    """Raises OutOfTime in the body once this process has worked for so many seconds of CPU time. For the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"the proof took longer than {seconds:g} s of CPU time and was stopped; {PROOF}")

    before = signal.signal(signal.SIGPROF, stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
