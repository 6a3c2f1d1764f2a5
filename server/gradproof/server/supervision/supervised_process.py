"""A serving process as its supervisor knows it: its number, and the pipe by which it reports."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BEAT_SECONDS = 0.5
"""Interval at which the event loop of a serving process reports that it turns."""


@dataclass
class SupervisedProcess:
    """A serving process. ``number`` counts from 0; ``pipe`` is the descriptor for reports, None without a supervisor;
    ``restarted`` is set if the process replaces another. ``port`` and ``folder`` are what the first process bound and
    made, and the others share; 0 and empty in the first."""

    number: int = 0
    pipe: int | None = None
    restarted: bool = False
    port: int = 0
    folder: str = ""

    def report(self, word: str, **facts: Any) -> None:
        """Write a report to the supervisor, if any. Never blocks: a stopped supervisor loses it."""
        if self.pipe is not None:
            with suppress(OSError):
                os.write(self.pipe, json.dumps([word, facts]).encode() + b"\n")


_current = SupervisedProcess()


def become(process: SupervisedProcess) -> None:
    """Set which supervised process this is."""
    global _current
    _current = process


def this_process() -> SupervisedProcess:
    """This process; by default the first, without a supervisor."""
    return _current
