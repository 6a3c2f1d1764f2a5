"""Whether a run that was repeated gave the same numbers: a verdict is about those that it saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import ml_dtypes
import numpy as np

from gradproof.client.events import Verdict

ORDER: Final = ("wrong", "unchecked", "plausible", "verified")
NEAR: Final = 256
"""Rounding units: two orders of summation of the same numbers."""


def weakened(verdict: Verdict, word: str, reason: str) -> Verdict:
    """The verdict with at most this summary, and the reason if that is less."""
    if ORDER.index(verdict.summary) <= ORDER.index(word):
        return verdict
    return replace(verdict, summary=word, reason=reason)


def compared(verdict: Verdict, handed: Any, again: Any, *, recorded: bool = False) -> Verdict:
    """The verdict on the numbers ``again``, as one on those that were handed out. Other bits are at most ``unchecked``;
    where the pass was recorded, and the one for the checks need not sum in the same order, near ones are ``plausible``."""
    if again is not None and handed.shape == again.shape and handed.dtype == again.dtype:
        place = _other(handed, again)
        if place is None:
            return verdict
        text = f"element {list(map(int, place))}: {handed[place]}, then {again[place]}".replace("element []: ", "")
        word = "plausible" if recorded and _near(handed, again) else "unchecked"
    else:
        text, word = "of another shape or dtype, or none", "unchecked"
    return weakened(verdict, word, f"the run was repeated for the checks and gave other bits ({text})")


def _other(handed: Any, again: Any) -> tuple[Any, ...] | None:
    """The first element whose bits differ; NaN is NaN."""
    if handed.tobytes() == again.tobytes():
        return None
    size = handed.dtype.itemsize
    bits = [np.frombuffer(a.tobytes(), np.uint8).reshape(-1, size) for a in (handed, again)]
    other = (bits[0] != bits[1]).any(axis=1).reshape(handed.shape) & ~((handed != handed) & (again != again))
    found = np.argwhere(other)
    return tuple(found[0]) if len(found) else None


def _near(handed: Any, again: Any) -> bool:
    wide = np.complex128 if handed.dtype.kind == "c" else np.float64
    unit = float(ml_dtypes.finfo(handed.dtype).eps)  # type: ignore[no-untyped-call]
    a, b = handed.astype(wide), again.astype(wide)
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= NEAR * unit * np.maximum(np.abs(a), np.abs(b))
    return bool(np.all(near | (a == b) | ((a != a) & (b != b))))
