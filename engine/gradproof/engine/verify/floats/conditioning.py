"""Conditioning: the distance by which the truth moves when the inputs are rounded, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any, TypeAlias, TypeVar

from flint import arb

from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.verify.floats.balls import Reading, widened
from gradproof.engine.verify.floats.ulps import exact

NEIGHBOURS = 8
FEW = 3  # neighbours of an op with more than MANY numbers
MANY = 2048

T = TypeVar("T")
Rows: TypeAlias = list[list[arb]]


def moved_by(wide: Callable[[Reading], Rows], beside: Iterable[Rows], truths: Rows) -> Rows:
    """Distance by which the truth may move when every input moves by a unit in its last place: the radius of its enclosure
    over widened inputs. Where these reach a branch or a pole, the distance to single points a unit away, of those that have
    a value; 0 where none has. ``beside``: the truth at these points.

    Balls reach a pole early: the ball of a determinant contains 0 long before a matrix in it is singular.
    """
    try:
        with precision(256):
            enclosures = wide(widened)
    except (Undecided, ZeroDivisionError, ValueError):
        return farthest(beside, truths)
    if all(ball.is_finite() for row in enclosures for ball in row):
        return [[arb(ball.rad()) for ball in row] for row in enclosures]
    return [
        [arb(ball.rad()) if ball.is_finite() else apart for ball, apart in zip(*rows, strict=True)]
        for rows in zip(enclosures, farthest(beside, truths), strict=True)
    ]


def confirmed(moved: Rows, beside: Iterable[Rows], truths: Rows, count: int, complex_: bool) -> Rows:
    """``moved``, no larger than the truth is seen to move. Balls overrate the motion where an input is used twice, and a
    rule that loses its digits by cancellation would pass. A single point moves the truth less than all together may, by
    the root of their number. ``complex_``: these are parts of complex numbers, whose arithmetic rounds either part by
    the motion of the larger."""
    share = 1 + math.sqrt(count)
    result = []
    for radii, distances in zip(moved, farthest(beside, truths), strict=True):
        if complex_:
            distances = [_larger(distances[j], distances[j ^ 1]) for j in range(len(distances))]
        result.append([min(radius, share * distance, key=_size) for radius, distance in zip(radii, distances, strict=True)])
    return result


def unbounded(moved: Rows, wide: Callable[[Reading], Rows], beside: Iterable[Rows], truths: Rows) -> Rows:
    """``moved``, infinite where a pole is within the rounding of the inputs: their widened enclosure is not finite, and
    a single point of those ``beside`` is as far from the truth as half of it."""
    try:
        with precision(256):
            enclosures = wide(widened)
    except (Undecided, ZeroDivisionError, ValueError):
        return moved
    return [
        [arb("inf") if not ball.is_finite() and far > abs(truth) / 2 else radius for ball, far, truth, radius in zip(*rows)]
        for rows in zip(enclosures, farthest(beside, truths), truths, moved, strict=True)
    ]


def farthest(beside: Iterable[Rows], truths: Rows) -> Rows:
    """Distance by which the truth moves, for each element, at the farthest of some points a unit away where it has a
    value."""
    distances = [[arb(0)] * len(row) for row in truths]
    for neighbour in beside:
        for row, moved, known in zip(distances, neighbour, truths, strict=True):
            for j, (ball, truth) in enumerate(zip(moved, known, strict=True)):
                difference = abs(ball - truth)
                if difference.is_finite():
                    row[j] = _larger(row[j], difference)
    return distances


def neighbours(narrow: Callable[[Reading], T], count: int) -> Iterator[T]:
    """``narrow`` of readings in which each input is a unit nearer to 0, or farther from it, or up or down at random. Of
    many numbers fewer neighbours say as much: each number moves beside all the others."""

    def toward(sign: int) -> Reading:
        return lambda x, step: exact(x) + (-sign if x > 0 else sign) * arb(step)

    def random(seed: int) -> Reading:
        signs = Random(seed)
        return lambda x, step: exact(x) + signs.choice((-1, 1)) * arb(step)

    few = count > MANY
    for reading in (toward(1), *(() if few else (toward(-1),)), *map(random, range(FEW if few else NEIGHBOURS))):
        try:
            yield narrow(reading)
        except (Undecided, ZeroDivisionError, ValueError):
            continue


def crossings(sides: Sequence[tuple[Rows, Rows]], row: int) -> list[bool]:
    """For each element of a row, whether it has different signs on the two sides of any of some pairs."""
    count = max((len(low[row]) for low, _ in sides), default=0)
    crossed = [False] * count
    for low, high in sides:
        for j, (a, b) in enumerate(zip(low[row], high[row], strict=True)):
            crossed[j] |= bool((a < 0 and b > 0) or (a > 0 and b < 0))
    return crossed


def _size(ball: Any) -> float:
    return float(ball.mid()) if ball.is_finite() else math.inf


def _larger(a: arb, b: arb) -> arb:
    return max(a, b, key=_size)
