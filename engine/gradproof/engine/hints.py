"""Hints in error texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

MAX_HINTS = 20  # looking for a near name takes milliseconds; nobody reads the hundredth
MAX_NAMES = 2000  # that are compared


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or an empty text where no known name is near."""
    near = difflib.get_close_matches(name, list(islice(known, MAX_NAMES)), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
