"""Conditioning: how far the truth may move when the inputs are rounded."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeAlias, TypeVar

from flint import arb

from gradproof.engine.functions import Undecided
from gradproof.engine.precision import precision
from gradproof.engine.verify.balls import NotFinite, Reading, widened
from gradproof.engine.verify.ulps import exact
from gradproof.engine.verify.verdict import Value, ValueVerdict

NEIGHBOURS = 8

Moved = TypeVar("Moved")
Enclose: TypeAlias = Callable[[Reading], list[list[arb]]]


def moved_by(wide: Enclose, narrow: Enclose, truths: list[list[arb]]) -> list[list[arb]] | None:
    """How far the truth may move when every input moves by one unit in its last place: the radius of its enclosure over
    widened inputs. None where these reach a branch.

    Balls reach a pole early (that of a determinant contains 0 long before a matrix in it is singular): there it is seen at
    single points one unit away, and where none of those has a value either, any distance is explained.
    """
    try:
        with precision(256):
            found = wide(widened)
            if all(ball.is_finite() for balls in found for ball in balls):
                return [[arb(ball.rad()) for ball in balls] for balls in found]
    except Undecided:
        return None
    except (ZeroDivisionError, ValueError):
        pass
    beside = [there for seed in range(NEIGHBOURS) for there in _beside(narrow, seed)]
    if not beside:
        return [[arb("inf") for _ in balls] for balls in truths]
    return [
        [max((abs(there[k][j] - truth) for there in beside), key=lambda b: float(b.mid())) for j, truth in enumerate(balls)]
        for k, balls in enumerate(truths)
    ]


def confirmed(
    found: ValueVerdict,
    judged: Callable[[Sequence[arb]], ValueVerdict],
    narrow: Callable[[Reading], list[arb]],
    known: tuple[Sequence[arb], Sequence[arb]],
    count: int,
    turned: bool,
) -> ValueVerdict:
    """``found`` was CONDITIONED by how far the truth may move. Balls overrate that where an input is used twice, and what
    loses its digits by cancellation would pass; so the truth must be seen to move. One point moves it less than all of
    them together may, by the root of their number. ``turned``: these are parts of complex numbers, whose arithmetic rounds
    either by what the larger moves."""
    truths, radii = known
    seen = [arb(0)] * len(truths)
    share = 1 + math.sqrt(count)
    for seed in range(NEIGHBOURS):
        for there in _beside(narrow, seed):
            seen = [
                max(a, abs(b - truth), key=lambda x: float(x.mid()))
                for a, b, truth in zip(seen, there, truths, strict=True)
            ]
            if turned:
                seen = [max(seen[j], seen[j ^ 1], key=lambda x: float(x.mid())) for j in range(len(seen))]
            found = judged(
                [min(radius, share * a, key=lambda x: float(x.mid())) for radius, a in zip(radii, seen, strict=True)]
            )
            if found.word is not Value.OFF:
                return found
    return found


def _beside(narrow: Callable[[Reading], Moved], seed: int) -> Iterator[Moved]:
    """The truth where each input is one unit up or down, at random, on one side or on the other; where it exists."""
    for side in (1, -1):
        random = Random(seed)

        def shifted(x: Any, step: float) -> arb:
            return exact(x) + side * random.choice((-1, 1)) * arb(step)  # noqa: B023

        try:
            yield narrow(shifted)
            return
        except (NotFinite, Undecided, ZeroDivisionError, ValueError):
            continue
