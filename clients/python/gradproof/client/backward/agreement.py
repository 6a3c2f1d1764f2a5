"""Agreement of a repeated run with the first: a verdict is about the numbers that its own run saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import ml_dtypes
import numpy as np

from gradproof.client.events import Array, Verdict

ORDER: Final = ("wrong", "unchecked", "plausible", "verified")
"""The summary words, the weakest first."""

NEAR: Final = 256
"""Rounding units by which two orders of summation of the same numbers may differ."""


def weakened(verdict: Verdict, word: str, reason: str) -> Verdict:
    """The verdict with at most this summary, and the reason if it is weaker now."""
    if ORDER.index(verdict.summary) <= ORDER.index(word):
        return verdict
    return replace(verdict, summary=word, reason=reason)


def compared(verdict: Verdict, returned: Array, again: Array | None, *, recorded: bool = False) -> Verdict:
    """A verdict on the gradient ``again`` as a verdict on the gradient that was ``returned`` to the user.

    Other bits are at most ``unchecked``. Where the pass was recorded (``recorded``), the repeated run need not sum in the
    same order, and near numbers are ``plausible``.
    """
    if again is not None and returned.shape == again.shape and returned.dtype == again.dtype:
        element = _different_element(returned, again)
        if element is None:
            return verdict
        text = f"element {list(map(int, element))}: {returned[element]}, then {again[element]}".replace("element []: ", "")
        word = "plausible" if recorded and _near(returned, again) else "unchecked"
    else:
        text, word = "of another shape or dtype, or none", "unchecked"
    return weakened(verdict, word, f"the run was repeated for the checks and gave other bits ({text})")


def _different_element(returned: Array, again: Array) -> tuple[Any, ...] | None:
    """The index of the first element whose bits differ; all NaNs are equal."""
    if returned.tobytes() == again.tobytes():
        return None
    size = returned.dtype.itemsize
    bits = [np.frombuffer(a.tobytes(), np.uint8).reshape(-1, size) for a in (returned, again)]
    both_nan = (returned != returned) & (again != again)
    indices = np.argwhere((bits[0] != bits[1]).any(axis=1).reshape(returned.shape) & ~both_nan)
    return tuple(indices[0]) if len(indices) else None


def _near(returned: Array, again: Array) -> bool:
    wide = np.complex128 if returned.dtype.kind == "c" else np.float64
    unit = float(ml_dtypes.finfo(returned.dtype).eps)  # type: ignore[no-untyped-call]
    a, b = returned.astype(wide), again.astype(wide)
    with np.errstate(all="ignore"):
        near = np.abs(a - b) <= NEAR * unit * np.maximum(np.abs(a), np.abs(b))
    return bool(np.all(near | (a == b) | ((a != a) & (b != b))))
