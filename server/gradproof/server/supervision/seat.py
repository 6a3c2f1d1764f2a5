"""The seat of a serving process: its place under the guard, and the pipe by which it says how it does."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BEAT_SECONDS = 0.5
"""So often the event loop of a serving process says that it turns."""


@dataclass
class Seat:
    """``number``: from 0; ``pipe``: where it speaks to the guard; ``again``: another process had the seat before;
    ``port`` and ``folder``: what the first process bound and made, which the others share (0 and empty in the first)."""

    number: int = 0
    pipe: int | None = None
    again: bool = False
    port: int = 0
    folder: str = ""

    def say(self, word: str, **facts: Any) -> None:
        """Tell the guard, if there is one. Does not wait: a guard that is stopped hears no more."""
        if self.pipe is not None:
            with suppress(OSError):
                os.write(self.pipe, json.dumps([word, facts]).encode() + b"\n")


_mine = Seat()


def take(seat: Seat) -> None:
    """Say which seat this process has."""
    global _mine
    _mine = seat


def mine() -> Seat:
    """The seat of this process: the first, without a guard, unless it was given another."""
    return _mine
