"""Cancellation: a run that nobody waits for any more ends after the node that it is at."""

from __future__ import annotations

from typing import Final

from gradproof.engine.errors import Cancelled


class Cancellation:
    """Shared by a run and those who wait for it. ``cancelled`` is set once, by any thread, and read between nodes."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Nobody waits any more."""
        self.cancelled = True

    def check(self) -> None:
        """Raises Cancelled if nobody waits any more."""
        if self.cancelled:
            raise Cancelled


NEVER: Final = Cancellation()
"""Of runs that are waited for to their end."""
