"""Localisation of a fault that a comparison of whole arrays shows: bisection to an element, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import BallArray
from gradproof.engine.verify.floats.ulps import close_enough
from gradproof.engine.verify.nodes.distances import distances, flat_floats
from gradproof.engine.verify.verdict.wording import element_text
from gradproof.engine.verify.verdict.words import ValueVerdict, ValueWord


def bisect(places: Array, is_in: Callable[[Array], bool]) -> int:
    """The element of flat ``places`` left by bisection; ``is_in(half)``: the fault is in a first half."""
    while len(places) > 1:
        half = len(places) // 2
        places = places[:half] if is_in(places[:half]) else places[half:]
    return int(places[0])


def verdict_on_element(
    claimed: Array, place: int, truth: BallArray, reason: str, allowance: float = 0.0
) -> ValueVerdict | None:
    """OFF for the element of ``claimed`` at a flat place if it is further from its enclosure than a float may be, or None.

    Args:
        truth: the enclosure of the element, of any shape of size 1.
        allowance: the absolute distance that is excused beyond `close_enough`.
    """
    element = flat_floats(claimed.reshape(-1)[[place]])
    far = distances(element, truth.mid.reshape(-1), np.array(truth.radius()).reshape(-1), claimed.dtype)
    if not far.least[0] > close_enough(claimed.dtype) * far.step[0] + allowance:
        return None
    return ValueVerdict(
        ValueWord.OFF,
        float(far.ulps[0]),
        total=claimed.size,
        element=element_text(place, claimed.shape),
        got=repr(float(element[0])),
        expected=f"{float(truth.mid):.17g}",
        reason=reason,
    )
