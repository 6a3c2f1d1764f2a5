"""LA: is each gradient the sum over all uses of its value? The uses are counted again in the graph as it was sent."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Run
from gradproof.engine.spec import Array, part_dtype
from gradproof.engine.verify.arrays import two_sum
from gradproof.engine.verify.floats.ulps import NEAREST, largest, needed_bits, spacing, unit
from gradproof.engine.verify.verdict import AccumulationVerdict, AccumulationWord

SWEEPS = 3


def expected_uses(run: Run) -> Counter[str]:
    """How many contributions each named value should have: one for each time a node reads it whose own output has a
    gradient, and one for a seed."""
    plan = run.plan
    values = plan.lowered.values
    final = plan.backward.final
    counts: Counter[str] = Counter(name for name in plan.backward.seeds if values[name] in plan.backward.raw)
    for node in watched(run.job.graph.nodes):
        if any(values[name] in final for name in node.outputs):
            counts.update(node.inputs)
    return counts


def check_sum(parts: list[Array], raw: Array, uses: int) -> AccumulationVerdict:
    """``raw`` against the sum of ``parts``, of which there must be ``uses``. One part must be the same bits; the sum of
    k parts may be off by the rounding of k - 1 additions, (k - 1) u sum |part|; where that leaves less than half of the
    digits, the word says so."""
    if len(parts) != uses:
        return AccumulationVerdict(
            AccumulationWord.OFF, uses, f"the graph uses the value {uses} times, {len(parts)} contributions were summed"
        )
    if len(parts) == 1:
        same = same_bits(np.asarray(parts[0]), np.asarray(raw))
        return AccumulationVerdict(
            AccumulationWord.EXACT if same else AccumulationWord.OFF,
            1,
            "" if same else "differs from its only contribution",
        )
    doubtful = _doubtful(parts, np.asarray(raw))
    if doubtful is None:
        return AccumulationVerdict(AccumulationWord.EXACT, uses)
    return _judged([np.asarray(part)[doubtful] for part in parts], np.asarray(raw)[doubtful], np.argwhere(doubtful), uses)


def _doubtful(parts: list[Array], raw: Array) -> Array | None:
    """Where a sum is not seen to be right at a glance; None if that is nowhere. It is seen where the gradient is the
    floats' sum, one after the other: that is off by the rounding of its additions at most, and half of the digits are far
    more than that."""
    dtype, first = part_dtype(raw.dtype), np.asarray(parts[0])
    with np.errstate(all="ignore"):
        total = first + parts[1]
        for part in parts[2:]:
            total = total + part
        good = (total == raw) & np.isfinite(raw)
        if len(parts) > 2 or raw.dtype.kind == "c":  # a sum of two is rounded once
            scale = sum((np.abs(part) for part in parts[1:]), np.abs(first))
            lost = 4 * len(parts) * unit(dtype) * 2.0 ** needed_bits(dtype)
            good &= np.abs(raw) >= scale * raw.real.dtype.type(lost)
    return None if good.all() else np.asarray(~good)


def _judged(parts: list[Array], raw: Array, places: Array, uses: int) -> AccumulationVerdict:
    """Some elements of a sum, at ``places``."""
    wide_type: Any = np.clongdouble if raw.dtype.kind == "c" else np.longdouble
    wide: list[Array] = [np.asarray(part, wide_type) for part in parts]
    whole = np.asarray(raw, wide_type)
    dtype = part_dtype(raw.dtype)
    with np.errstate(all="ignore"):
        total, scale = sum(wide[1:], wide[0]), sum((abs(part) for part in wide[1:]), abs(wide[0]))
        known = np.abs(total) < largest(dtype)  # of the others, and of what rests on a nan, nothing is said
        allowed = len(parts) * unit(dtype) * scale + spacing(0.0, dtype)
        total = _exactly(wide, total, known & (np.abs(total) < scale / 1024))
        away = np.abs(whole - total)
        bad = known & ~(away <= allowed)
        poor = known & (away > np.abs(total) * 2.0 ** -needed_bits(dtype)) & (away > NEAREST * spacing(0.0, dtype))

    def text(k: int) -> str:
        return f"element {[int(j) for j in places[k]]}"

    if np.any(bad):
        k = int(np.argmax(bad))
        return AccumulationVerdict(AccumulationWord.OFF, uses, f"{text(k)}: the sum is {total[k]}, the gradient {whole[k]}")
    if not np.all(known):
        return AccumulationVerdict(
            AccumulationWord.UNCHECKED, uses, f"{text(int(np.argmin(known)))}: the sum is not finite in its dtype"
        )
    if np.any(poor):
        k = int(np.argmax(poor))
        lost = float(away[k] / max(np.abs(total[k]), np.longdouble(1e-4000)))
        digits = max(0, int(-math.log10(lost))) if lost > 0 else 0
        said = f"{text(k)}: contributions cancel, the sum is {total[k]}, the gradient {whole[k]}"
        return AccumulationVerdict(AccumulationWord.ILL_CONDITIONED, uses, f"{said}: about {digits} digits are right")
    return AccumulationVerdict(AccumulationWord.EXACT, uses)


def _exactly(parts: list[Array], total: Array, places: Array) -> Array:
    """``total`` with other sums at ``places``, where the parts cancel so far that any sum in floats is rounding: exact to
    2^-200 of the parts, since errors of additions are floats too, and are added up in turn (T. Ogita, S. M. Rump, S. Oishi,
    Accurate sum and dot product, SIAM J. Sci. Comput. 26, 2005, algorithm 4.8)."""
    if not np.any(places):
        return total
    exact = np.array(total)
    if exact.dtype.kind == "c":
        exact[places] = _distilled([part[places].real for part in parts]) + 1j * _distilled(
            [part[places].imag for part in parts]
        )
    else:
        exact[places] = _distilled([part[places] for part in parts])
    return np.where(np.isfinite(exact), exact, total)


def _distilled(parts: list[Array]) -> Array:
    rows = [np.asarray(part, np.longdouble) for part in parts]
    for _ in range(SWEEPS):
        for k in range(1, len(rows)):
            rows[k], rows[k - 1] = two_sum(rows[k - 1], rows[k])
    return np.asarray(sum(rows[1:], rows[0]))


def seeded(run: Run, name: str, seed: Array) -> bool:
    """Whether ``seed`` is what the request gave for output ``name``: its cotangent in the output's dtype, or 1."""
    seed_value = dict(run.job.seeds).get(name)
    return bool((seed == 1).all()) if seed_value is None else same_bits(seed, seed_value.astype(seed.dtype, copy=False))


def same_bits(array: Array, other: Array) -> bool:
    """Whether two arrays are of the same size and bits: 0 is not -0, and a nan is itself."""
    if array is other:
        return True
    if array.nbytes != other.nbytes:
        return False
    sides = [np.ascontiguousarray(x).reshape(-1) for x in (array, other)]
    word = np.dtype(f"u{math.gcd(array.itemsize, 8)}")
    bits, theirs = (side.view(word) for side in sides)
    return bool(np.array_equal(bits, theirs))
