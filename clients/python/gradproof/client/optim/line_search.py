"""A step size that fulfils the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, 2006, section 3.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gradproof.client.events import Array

DECREASE, CURVATURE, EVALUATIONS = 1e-4, 0.9, 25


class Point(NamedTuple):
    """The function along the line: step size, value, slope, and the gradient there."""

    rate: float
    value: float
    slope: float
    gradient: Array


def strong_wolfe(
    function: Callable[[float], tuple[float, Array]], rate: float, value: float, gradient: Array, direction: Array
) -> tuple[float, float, Array, int]:
    """A step size with a sufficient decrease and a slope that is flat enough, the value and gradient there, and the number
    of evaluations. ``function`` gives value and gradient for a step size; ``rate`` is tried first.

    After 25 evaluations the best step size so far is taken.
    """
    start = Point(0.0, value, float(gradient @ direction), gradient)
    last, used = start, 0
    low: Point | None = None
    high: Point | None = None
    while used < EVALUATIONS:
        point = _point(function, rate, direction)
        used += 1
        if low is None or high is None:  # no bracket yet: steps grow
            if _rises(point, start) or (used > 1 and point.value >= last.value):
                low, high = last, point
            elif _is_flat(point, start):
                return point.rate, point.value, point.gradient, used
            elif point.slope >= 0:
                low, high = point, last
            else:
                last, rate = point, 2.0 * point.rate
                continue
        elif _rises(point, start) or point.value >= low.value:
            high = point
        elif _is_flat(point, start):
            return point.rate, point.value, point.gradient, used
        else:
            low, high = point, low if point.slope * (high.rate - low.rate) >= 0 else high
        rate = _between(low, high)
    best = last if low is None else low
    return best.rate, best.value, best.gradient, used


def _point(function: Callable[[float], tuple[float, Array]], rate: float, direction: Array) -> Point:
    value, gradient = function(rate)
    return Point(rate, value, float(gradient @ direction), gradient)


def _rises(point: Point, start: Point) -> bool:
    """True without a sufficient decrease, also for a value that is not finite."""
    return not point.value <= start.value + DECREASE * point.rate * start.slope


def _is_flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -CURVATURE * start.slope


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through values and slopes at two points; their middle if it is too near to either."""
    width = high.rate - low.rate
    middle, margin = low.rate + width / 2, 0.1 * abs(width)
    if not np.isfinite([high.value, high.slope]).all() or not width:
        return middle
    bend = low.slope + high.slope - 3.0 * (high.value - low.value) / width
    square = bend * bend - low.slope * high.slope
    if square < 0:
        return middle
    root = math.copysign(math.sqrt(square), width)
    divisor = high.slope - low.slope + 2.0 * root
    rate = high.rate - width * (high.slope + root - bend) / divisor if divisor else middle
    inside = min(low.rate, high.rate) + margin <= rate <= max(low.rate, high.rate) - margin
    return rate if inside else middle
