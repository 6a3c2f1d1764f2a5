"""Waiting for what another thread or process brings about."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 20.0


def within(seconds: float, said: Callable[[], bool]) -> bool:
    """Whether a function says yes within ``seconds``; it is asked often."""
    end = time.monotonic() + seconds
    while not said():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def until(said: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until a function says yes. Raises AssertionError if it does not within ``seconds``."""
    assert within(seconds, said), f"it did not come about in {seconds} s"
