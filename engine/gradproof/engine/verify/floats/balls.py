"""Floats as Arb balls, and the accuracy at which an enclosure is narrow enough to compare with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from flint import arb

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.ulps import exact, spacing

GOOD_BITS = 80
NOTHING = arb(2) ** -1100  # far below the smallest float64
SAME = arb(2) ** -60  # relative difference of two enclosures of the same number

Reading: TypeAlias = Callable[[Any, float], arb]  # a float, and the unit in its last place, to a ball


def as_is(x: Any, step: float) -> arb:
    """The exact float as a ball."""
    return exact(x)


def widened(x: Any, step: float) -> arb:
    """The float with a radius of a unit in its last place."""
    return arb(exact(x), arb(step)) if step else exact(x)


def balls_of(array: Array, reading: Reading = as_is, *, normwise: bool = False, zero: bool = False) -> Array:
    """The floats of an array (or the parts of complex numbers) as balls, through ``reading``. The unit in the last place
    is that of the element (of its larger part), and none for 0, which is mostly meant as such.

    Args:
        normwise: take the unit of the largest element for all.
        zero: take the smallest number for the unit of 0, which has two signs.
    """
    floats = parts(array)
    cells = np.empty(floats.shape, object)
    if reading is as_is:
        for index in np.ndindex(floats.shape) if floats.shape else ((),):
            cells[index] = exact(floats[index])
        return cells
    sizes = np.abs(floats)
    if array.dtype.kind == "c":
        sizes = np.broadcast_to(np.max(sizes, axis=-1, keepdims=True), sizes.shape)
    if normwise:
        steps: Any = np.full(floats.shape, spacing(float(np.max(sizes, initial=0)), array.dtype))
    else:
        least = spacing(0.0, array.dtype) if zero else 0.0
        steps = np.array([spacing(float(x), array.dtype) if x else least for x in sizes.flat]).reshape(floats.shape)
    for index in np.ndindex(floats.shape):
        cells[index] = reading(floats[index], float(steps[index]))
    return cells


def all_narrow(rows: Sequence[Sequence[arb]]) -> bool:
    """True if all balls are narrow."""
    return all(narrow(ball) for balls in rows for ball in balls)


def narrow(ball: arb) -> bool:
    """True if a ball is accurate to `GOOD_BITS` bits, or, where the truth is near 0, to far below the smallest float."""
    if ball.is_zero() or (ball.is_finite() and ball.rel_accuracy_bits() >= GOOD_BITS):
        return True
    return bool(ball.is_finite() and abs(ball).upper() < NOTHING)


def agree(a: arb, b: arb) -> bool:
    """True if two enclosures may be of the same number: equal to 60 bits, or both far below the smallest float."""
    if not (a.is_finite() and b.is_finite()):
        return False
    difference = abs(a - b)
    return bool(difference <= abs(a) * SAME or (abs(a).upper() < NOTHING and abs(b).upper() < NOTHING))
