"""Comparison of floats with enclosures of their true values: enclosed, at a kink, explained by rounding, overflowed, not
finite, or off."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from flint import arb

from gradproof.engine.conventions import Kink
from gradproof.engine.spec import Array, DType, part_dtype, parts
from gradproof.engine.verify.floats.ulps import (
    close_enough,
    distance,
    exact,
    explained,
    largest,
    needed_bits,
    right_bits,
    spacing,
    unit,
)
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import DIGITS, MADE, RANGE

RANK = {
    word: rank
    for rank, word in enumerate(
        (
            ValueWord.ENCLOSED,
            ValueWord.SCREENED,
            ValueWord.TIE,
            ValueWord.CONDITIONED,
            ValueWord.ILL_CONDITIONED,
            ValueWord.OVERFLOWED,
            ValueWord.NONFINITE,
            ValueWord.UNCHECKED,
            ValueWord.OFF,
        )
    )
}
"""Ranks from the best to the worst: the word of many elements is that of the worst."""


EXPLAINS = "the rounding of the inputs explains the distance"
BUT = ", but another formula would keep the digits that are lost"
FORMULA = EXPLAINS + BUT


def worse(a: ValueVerdict, b: ValueVerdict) -> ValueVerdict:
    """The worse of two verdicts on numbers."""
    return max(a, b, key=lambda verdict: (RANK[verdict.word], verdict.max_ulps))


class Rounding(NamedTuple):
    """Distances of floats from the truth that rounding explains.

    Attributes:
        moved: distance by which the rounding of the inputs moves the truth of each element.
        reach: the largest number that each element was multiplied with: by so much an underflow on the way has grown.
        elementwise: each element is a function of a single number of each input, so that some formula keeps its digits.
        terms: numbers that may have been added up in sequence. Each partial sum is rounded, by half a unit.
        crosses: whether an element is next to a simple zero: there no formula of floats keeps all digits.
    """

    moved: Sequence[arb]
    reach: Sequence[float] = ()
    elementwise: bool = False
    terms: int = 1
    crosses: Callable[[int], bool] = lambda _: False


def compare_with_enclosure(
    got: Array, sides: Sequence[Sequence[arb]], rounding: Rounding | None = None, kink: Kink | None = None
) -> ValueVerdict:
    """The verdict on floats against the truth: an enclosure for each element, or, at kinks, for each of its sides; of
    complex numbers an enclosure for each part.

    Args:
        got: the floats.
        sides: the enclosures; several rows at kinks.
        rounding: the distance that rounding explains; None explains nothing.
        kink: the convention of the op at kinks.
    """
    complex_, dtype = got.dtype.kind == "c", part_dtype(got.dtype)
    worst = ValueVerdict(ValueWord.ENCLOSED)
    place = -1
    floats = np.asarray(parts(got), np.float64).ravel().tolist() if got.ndim or complex_ else (float(got),)
    for j, x in enumerate(floats):
        truths = [side[j] for side in sides]
        beside = sides[0][j ^ 1] if complex_ else None
        if len(truths) > 1 and any(not truths[0].overlaps(side) for side in truths[1:]):
            verdict = _at_kink(x, truths, close_enough(dtype), kink, dtype)
        else:
            verdict = _word(x, truths[0], dtype, beside)
            if verdict.word is ValueWord.OFF and rounding is not None:
                verdict = _explained(verdict, x, (truths[0], beside), dtype, rounding, j)
        if place < 0 or worse(worst, verdict) is verdict:
            place, worst = (j, verdict) if place < 0 or verdict != worst else (place, worst)
    if worst.word in (ValueWord.ENCLOSED, ValueWord.TIE, ValueWord.CONDITIONED) or place < 0:
        return worst
    cells = [place & ~1, place | 1] if complex_ else [place]
    index = [int(i) for i in np.unravel_index(place // len(cells), got.shape)]
    return ValueVerdict(
        worst.word,
        worst.max_ulps,
        element=str(index) if index else "",
        got=repr(np.asarray(got).flat[place // len(cells)].item() if complex_ else float(np.asarray(got).flat[place])),
        expected=" + i ".join(_expected([side[j] for side in sides], kink) for j in cells),
        reason=worst.reason,
    )


def _word(x: float, truth: arb, dtype: DType, beside: arb | None) -> ValueVerdict:
    """The verdict on a single float, rounding of inputs aside."""
    if not truth.is_finite() and not truth.is_nan() and x == float(truth):
        return ValueVerdict(ValueWord.ENCLOSED)
    if not truth.is_finite():
        return ValueVerdict(
            ValueWord.NONFINITE, reason=f"it has no finite value here, or rests on a number that is not finite; {MADE}"
        )
    limit = largest(dtype)
    beyond = not math.isfinite(x) and max(_size(truth), _size(beside)) >= limit
    if beyond and (beside is not None or (math.isinf(x) and (x > 0) == (float(truth.mid()) > 0))):
        return ValueVerdict(ValueWord.OVERFLOWED, reason=f"the true value is beyond the largest {dtype.name}; {RANGE}")
    ulps = distance(x, truth, dtype, beside)
    if ulps > close_enough(dtype):
        return ValueVerdict(ValueWord.OFF, ulps, reason="no rounding of the inputs explains the distance")
    bits = right_bits(x, truth, dtype, beside)
    if bits < needed_bits(dtype):
        return ValueVerdict(
            ValueWord.ILL_CONDITIONED, ulps, reason=f"{digits(bits)}: it is among the smallest {dtype.name}; {RANGE}"
        )
    return ValueVerdict(ValueWord.ENCLOSED, ulps)


def _explained(
    off: ValueVerdict, x: float, truths: tuple[arb, arb | None], dtype: DType, rounding: Rounding, j: int
) -> ValueVerdict:
    """``off``, or a milder verdict on element j if rounding moves the truth as far as the float is from it; for a float
    that is not finite, if the terms that were added up overflow by themselves. ``truths``: of this part, and of the other
    part of a complex number."""
    verdict = _by_rounding(off, x, truths, dtype, rounding, j)
    if verdict.word is ValueWord.ILL_CONDITIONED and verdict.reason.startswith(FORMULA) and rounding.crosses(j):
        text = f"next to a zero, where {verdict.reason.replace(FORMULA, EXPLAINS)}; for more {DIGITS}"
        return ValueVerdict(ValueWord.CONDITIONED, verdict.max_ulps, reason=text)
    return verdict


def _by_rounding(
    off: ValueVerdict, x: float, truths: tuple[arb, arb | None], dtype: DType, rounding: Rounding, j: int
) -> ValueVerdict:
    truth, beside = truths
    moved = max(explained(dtype), rounding.terms / 2) * rounding.moved[j]
    reach = rounding.reach[j] if rounding.reach else 1.0
    if not math.isfinite(x):
        if rounding.elementwise or not moved >= explained(dtype) * arb(unit(dtype)) * largest(dtype) / 4:
            return off
        return ValueVerdict(
            ValueWord.OVERFLOWED, off.max_ulps, reason=f"numbers on the way are beyond the largest of the dtype; {RANGE}"
        )
    # Below the smallest normal number a float has few digits, and so has what was made of it.
    beneath = bool(abs(exact(x) - truth) <= explained(dtype) * arb(max(1.0, reach)) * arb(spacing(0.0, dtype)))
    if not beneath and not abs(exact(x) - truth) <= moved:
        return off
    bits = right_bits(x, truth, dtype, beside)
    text = "underflow on the way explains the distance" if beneath else EXPLAINS
    if bits < needed_bits(dtype):
        return ValueVerdict(ValueWord.ILL_CONDITIONED, off.max_ulps, reason=f"{text}: {digits(bits)}; {DIGITS}")
    if rounding.elementwise:
        text = f"{FORMULA if text == EXPLAINS else text + BUT}: {digits(bits)}"
        return ValueVerdict(ValueWord.ILL_CONDITIONED, off.max_ulps, reason=text)
    return ValueVerdict(ValueWord.CONDITIONED, off.max_ulps, reason=f"{text}: {digits(bits)}; for more {DIGITS}")


def digits(bits: float) -> str:
    """The number of right bits, as decimal digits in words."""
    count = max(0, int(bits * math.log10(2)))
    return f"about {count} digit{'s' * (count != 1)} {'are' if count != 1 else 'is'} right"


def _size(ball: arb | None) -> float:
    return abs(float(ball.mid())) if ball is not None else 0.0


def _at_kink(x: float, truths: list[arb], near: float, kink: Kink | None, dtype: DType) -> ValueVerdict:
    """The verdict on a float where the sides differ: between them, and equal to the op's convention."""
    if math.isinf(x) and all(_size(side) >= largest(dtype) and (side > 0) == (x > 0) for side in truths):
        return ValueVerdict(
            ValueWord.OVERFLOWED, reason=f"the true value is beyond the largest {dtype.name}, on all sides; {RANGE}"
        )
    low, high = min(truths, key=lambda b: float(b.mid())), max(truths, key=lambda b: float(b.mid()))
    between = math.isfinite(x) and low <= exact(x) <= high
    outside = 0.0 if between else min(distance(x, side, dtype) for side in truths)
    if outside > near:
        return ValueVerdict(ValueWord.OFF, outside, reason="outside the hull of the one-sided derivatives")
    if kink is None:
        return ValueVerdict(ValueWord.TIE, outside, reason="at a kink, within the hull of the one-sided derivatives")
    away = distance(x, _chosen(kink, truths), dtype)
    if away > near:
        return ValueVerdict(ValueWord.OFF, away, reason=f"at a kink, and not the op's convention, {kink.value}")
    return ValueVerdict(ValueWord.TIE, away, reason=f"the convention at a kink, per node: {kink.value}")


def _chosen(kink: Kink, truths: list[arb]) -> arb:
    if kink is Kink.MEAN:
        return arb(sum(truths, arb(0)) / len(truths))
    order = sorted(truths, key=lambda b: float(abs(b.mid())))
    return order[0] if kink is Kink.SMALLEST else order[-1]


def _expected(truths: list[arb], kink: Kink | None) -> str:
    """The true value as text; at a kink the value of the convention, or all sides."""
    differ = any(not truths[0].overlaps(side) for side in truths[1:])
    values = [_chosen(kink, truths)] if differ and kink else truths
    return " or ".join(dict.fromkeys(truth.str(17, radius=False) for truth in values))
