"""What the process that proof processes are forked from imports beforehand (nobody else does)."""

from __future__ import annotations

import sys
from types import TracebackType

from gradproof.engine.verify import worker as worker  # SymPy with it


def _quiet(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A process that is not up yet when its server has gone finds nothing to be told: that is no news for a log."""
    if not isinstance(error, (EOFError, FileNotFoundError, ConnectionError)):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _quiet
