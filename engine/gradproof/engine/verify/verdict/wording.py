"""Wording of verdicts: the place of an element, and reasons of several parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def index_text(index: Sequence[int]) -> str:
    """The index of an element, as ``"[1, 0]"``; empty for an array without axes."""
    return str([int(k) for k in index]) if index else ""


def element_text(place: int, shape: tuple[int, ...]) -> str:
    """`index_text` of the element at a flat place (C order) of an array."""
    return index_text([int(k) for k in np.unravel_index(place, shape)]) if shape else ""


def flat_place(element: str) -> int:
    """The place that `element_text` wrote for an array with a single axis."""
    return int(element.strip("[]"))


def joined(*reasons: str) -> str:
    """Reasons in a text, without those that are empty."""
    return "; ".join(filter(None, reasons))
