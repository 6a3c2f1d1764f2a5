"""Judging floats: enclosed, at a kink, explained by rounding, or off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from flint import arb

from gradproof.engine.op import Kink
from gradproof.engine.spec import Array, DType, part_dtype, parts
from gradproof.engine.verify.ulps import close_enough, distance, exact, explained, largest, smallest_normal, spacing, unit
from gradproof.engine.verify.verdict import Value, ValueVerdict

RANK = {Value.ENCLOSED: 0, Value.TIE: 1, Value.CONDITIONED: 2, Value.OFF: 3}


def judge(
    got: Array,
    sides: Sequence[Sequence[arb]],
    moved: Sequence[arb] | None,
    kink: Kink | None = None,
    scale: float = 0.0,
) -> ValueVerdict:
    """The word for floats against the truth: one enclosure for each element, or, at kinks, one for each of its sides; of
    complex numbers one for each part. ``moved``: how far the rounding of the inputs moves the truth. ``scale``: the largest
    cotangent, by which a derivative with few digits may have been multiplied."""
    turned, dtype = got.dtype.kind == "c", part_dtype(got.dtype)
    near = close_enough(dtype)
    worst = ValueVerdict(Value.ENCLOSED)
    place = -1
    floats = np.asarray(parts(got), np.float64).ravel().tolist() if got.ndim or turned else (got.item(),)
    for j, x in enumerate(floats):
        truths = [side[j] for side in sides]
        word, reason = Value.ENCLOSED, ""
        ulps = distance(x, truths[0], dtype, sides[0][j ^ 1] if turned else None)
        if len(truths) > 1 and any(not truths[0].overlaps(side) for side in truths[1:]):
            word, ulps, reason = _at_kink(x, truths, near, kink, dtype)
        elif ulps > near:
            word, reason = Value.OFF, "no rounding of the inputs explains the distance"
            factor, floor, least = explained(dtype), smallest_normal(dtype), arb(spacing(0.0, dtype))
            # Below the smallest normal number a float has few digits, and so has what it was computed from.
            tiny = bool(math.isfinite(x) and abs(x) < floor and abs(truths[0]) < floor)
            tiny = tiny or bool(math.isfinite(x) and abs(exact(x) - truths[0]) <= factor * arb(scale) * least)
            if tiny or (moved and _explained(x, truths[0], moved[j], factor, dtype)):
                word, reason = Value.CONDITIONED, "the rounding of the inputs explains the distance"
        if (RANK[word], ulps) > (RANK[worst.word], worst.max_ulps) or place < 0:
            place = j
            worst = ValueVerdict(word, ulps, reason=reason)
    if worst.word is not Value.OFF:
        return worst
    cells = [place & ~1, place | 1] if turned else [place]
    index = [int(i) for i in np.unravel_index(place // len(cells), got.shape)]
    return ValueVerdict(
        Value.OFF,
        worst.max_ulps,
        element=str(index) if index else "",
        got=repr(np.asarray(got).flat[place // len(cells)].item() if turned else float(np.asarray(got).flat[place])),
        expected=" + i ".join(_expected([side[j] for side in sides], kink) for j in cells),
        reason=worst.reason,
    )


def _explained(x: float, truth: arb, moved: arb, factor: int, dtype: DType) -> bool:
    """Whether rounding moves the truth as far as the float is from it; or, of a float that is not finite, whether what was
    added up to a finite truth overflows by itself."""
    if math.isfinite(x):
        return bool(abs(exact(x) - truth) <= factor * moved)
    return bool(moved >= arb(unit(dtype)) * largest(dtype) / 4)


def _at_kink(x: float, truths: list[arb], near: float, kink: Kink | None, dtype: DType) -> tuple[Value, float, str]:
    """Word, ulps and reason for a float where the sides differ: between them, and what the op's convention says."""
    low, high = min(truths, key=lambda b: float(b.mid())), max(truths, key=lambda b: float(b.mid()))
    between = math.isfinite(x) and low <= exact(x) <= high
    outside = 0.0 if between else min(distance(x, side, dtype) for side in truths)
    if outside > near:
        return Value.OFF, outside, "outside the hull of the one-sided derivatives"
    if kink is None:
        return Value.TIE, outside, "at a kink, within the hull of the one-sided derivatives"
    away = distance(x, _chosen(kink, truths), dtype)
    if away > near:
        return Value.OFF, away, f"at a kink, and not the op's convention, {kink.value}"
    return Value.TIE, away, f"the convention at a kink, per node: {kink.value}"


def _chosen(kink: Kink, truths: list[arb]) -> arb:
    if kink is Kink.MEAN:
        return arb(sum(truths, arb(0)) / len(truths))
    order = sorted(truths, key=lambda b: float(abs(b.mid())))
    return order[0] if kink is Kink.SMALLEST else order[-1]


def _expected(truths: list[arb], kink: Kink | None) -> str:
    """The true value as text; at a kink what the convention says, or all sides."""
    apart = any(not truths[0].overlaps(side) for side in truths[1:])
    shown = [_chosen(kink, truths)] if apart and kink else truths
    return " or ".join(dict.fromkeys(one.str(17, radius=False) for one in shown))
