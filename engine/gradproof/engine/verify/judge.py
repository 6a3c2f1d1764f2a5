"""Judging floats: enclosed, at a kink, explained by rounding, or off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.op import Kink
from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.ulps import close_enough, distance, exact, explained, largest, smallest_normal, spacing, unit
from gradproof.engine.verify.verdict import Value, ValueVerdict


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
    turned = got.dtype.kind == "c"
    near, factor, floor = close_enough(got.dtype), explained(got.dtype), smallest_normal(got.dtype)
    least = arb(spacing(0.0, got.dtype))
    rank = {Value.ENCLOSED: 0, Value.TIE: 1, Value.CONDITIONED: 2, Value.OFF: 3}
    worst = ValueVerdict(Value.ENCLOSED)
    place = -1
    for j, x in enumerate(parts(np.asarray(got)).flat):
        truths = [side[j] for side in sides]
        word, reason = Value.ENCLOSED, ""
        ulps = distance(x, truths[0], sides[0][j ^ 1] if turned else None)
        if any(not truths[0].overlaps(side) for side in truths[1:]):
            word, ulps, reason = _at_kink(x, truths, near, kink)
        elif ulps > near:
            word, reason = Value.OFF, "no rounding of the inputs explains the distance"
            # Below the smallest normal number a float has few digits, and so has what it was computed from.
            tiny = bool(np.isfinite(x) and abs(x) < floor and abs(truths[0]) < floor)
            tiny = tiny or bool(np.isfinite(x) and abs(exact(x) - truths[0]) <= factor * arb(scale) * least)
            if tiny or (moved and _explained(x, truths[0], moved[j], factor)):
                word, reason = Value.CONDITIONED, "the rounding of the inputs explains the distance"
        if (rank[word], ulps) > (rank[worst.word], worst.max_ulps) or place < 0:
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


def _explained(x: Any, truth: arb, moved: arb, factor: int) -> bool:
    """Whether rounding moves the truth as far as the float is from it; or, of a float that is not finite, whether what was
    added up to a finite truth overflows by itself."""
    if np.isfinite(x):
        return bool(abs(exact(x) - truth) <= factor * moved)
    dtype = np.asarray(x).dtype
    return bool(moved >= arb(unit(dtype)) * largest(dtype) / 4)


def _at_kink(x: Any, truths: list[arb], near: float, kink: Kink | None) -> tuple[Value, float, str]:
    """Word, ulps and reason for a float where the sides differ: between them, and what the op's convention says."""
    if not np.isfinite(x):
        return Value.OFF, float("inf"), "outside the hull of the one-sided derivatives"
    mine = exact(x)
    low, high = min(truths, key=lambda b: float(b.mid())), max(truths, key=lambda b: float(b.mid()))
    outside = 0.0 if low <= mine <= high else min(distance(x, side) for side in truths)
    if outside > near:
        return Value.OFF, outside, "outside the hull of the one-sided derivatives"
    if kink is None:
        return Value.TIE, outside, "at a kink, within the hull of the one-sided derivatives"
    away = distance(x, _chosen(kink, truths))
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
