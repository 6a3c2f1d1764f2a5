"""Accumulation check (LA): is a gradient the sum over all uses of its value, counted again in the submitted graph?"""

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


def expected_uses(run: Run) -> Counter[int]:
    """Number of contributions that each value must have which the submitted graph names, or which is made within a
    composite: one per input of a node, or of a part of a composite, with a gradient, and one per seed."""
    plan, lowered = run.plan, run.plan.lowered
    values, final = lowered.values, plan.backward.final
    counts: Counter[int] = Counter(dict.fromkeys(values.values(), 0))
    counts.update(values[name] for name in plan.backward.seeds if values[name] in plan.backward.raw)
    composites = set[int]()
    for k, node in enumerate(watched(run.job.graph.nodes)):
        if lowered.builder.ops[node.op].composite:
            composites.add(k)
        elif any(values[name] in final for name in node.outputs):
            counts.update(values[name] for name in node.inputs if name)
    for position, k in enumerate(watched(lowered.node_of) if composites else ()):
        instruction = plan.program.instructions[position]
        if k in composites and any(out in final for out in instruction.outputs):
            counts.update(instruction.inputs)
    return counts


def check_sum(parts: list[Array], raw: Array, uses: int) -> AccumulationVerdict:
    """Compare the gradient ``raw`` with the sum of its contributions ``parts``, of which there must be ``uses``.

    A single part must have the same bits. The sum of k parts may differ by the rounding of k - 1 additions, (k - 1) u Σ
    |part|; where that leaves less than half of the digits, the word says so.
    """
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
    return _compare_elements(
        [np.asarray(part)[doubtful] for part in parts], np.asarray(raw)[doubtful], np.argwhere(doubtful), uses
    )


def _doubtful(parts: list[Array], raw: Array) -> Array | None:
    """Mask of the elements that the sum in floats does not show to be right, None if there are none.

    An element that equals the sum of the floats in order differs by the rounding of its additions at most, far less than
    half of the digits unless parts cancel.
    """
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


def _compare_elements(parts: list[Array], raw: Array, places: Array, uses: int) -> AccumulationVerdict:
    """Compare some elements of a sum, at ``places``, in extended precision."""
    wide_type: Any = np.clongdouble if raw.dtype.kind == "c" else np.longdouble
    wide: list[Array] = [np.asarray(part, wide_type) for part in parts]
    whole = np.asarray(raw, wide_type)
    dtype = part_dtype(raw.dtype)
    with np.errstate(all="ignore"):
        total, scale = sum(wide[1:], wide[0]), sum((abs(part) for part in wide[1:]), abs(wide[0]))
        known = np.abs(total) < largest(dtype)  # sums that overflow or are nan are not compared
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
        cancelled = f"{text(k)}: contributions cancel, the sum is {total[k]}, the gradient {whole[k]}"
        return AccumulationVerdict(AccumulationWord.ILL_CONDITIONED, uses, f"{cancelled}: about {digits} digits are right")
    return AccumulationVerdict(AccumulationWord.EXACT, uses)


def _exactly(parts: list[Array], total: Array, places: Array) -> Array:
    """``total`` with sums at ``places`` that are exact to 2^-200 of the parts, where these cancel.

    Errors of additions are floats too, and are summed in turn (T. Ogita, S. M. Rump, S. Oishi, Accurate sum and dot
    product, SIAM J. Sci. Comput. 26, 2005, algorithm 4.8).
    """
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


def is_requested_seed(run: Run, name: str, seed: Array) -> bool:
    """True if ``seed`` is the cotangent of the request for output ``name``, in the dtype of the output, or 1 by default."""
    seed_value = dict(run.job.seeds).get(name)
    return bool((seed == 1).all()) if seed_value is None else same_bits(seed, seed_value.astype(seed.dtype, copy=False))


def same_bits(first: Array, second: Array) -> bool:
    """True if two arrays have equal sizes and bits: 0 differs from -0, and a nan equals itself."""
    if first is second:
        return True
    if first.nbytes != second.nbytes:
        return False
    sides = [np.ascontiguousarray(x).reshape(-1) for x in (first, second)]
    word = np.dtype(f"u{math.gcd(first.itemsize, 8)}")
    left, right = (side.view(word) for side in sides)
    return bool(np.array_equal(left, right))
