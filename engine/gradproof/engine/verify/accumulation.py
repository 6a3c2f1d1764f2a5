"""LA: is each gradient the sum over all uses of its value? The uses are counted again in the graph as it was sent."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Run
from gradproof.engine.spec import Array, part_dtype
from gradproof.engine.verify.ulps import NEAREST, largest, needed_bits, spacing, unit
from gradproof.engine.verify.verdict import Accumulation, AccumulationVerdict

MAX_EXACT = 10_000


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
            Accumulation.OFF, uses, f"the graph uses the value {uses} times, {len(parts)} contributions were summed"
        )
    if len(parts) == 1:
        same = np.asarray(parts[0]).tobytes() == np.asarray(raw).tobytes()
        return AccumulationVerdict(
            Accumulation.EXACT if same else Accumulation.OFF, 1, "" if same else "differs from its only contribution"
        )
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
    if np.any(bad):
        place = [int(k) for k in np.argwhere(bad)[0]]
        return AccumulationVerdict(
            Accumulation.OFF, uses, f"element {place}: the sum is {total[tuple(place)]}, the gradient {whole[tuple(place)]}"
        )
    if not np.all(known):
        place = [int(k) for k in np.argwhere(~known)[0]]
        return AccumulationVerdict(Accumulation.UNCHECKED, uses, f"element {place}: the sum is not finite in its dtype")
    if np.any(poor):
        place = [int(k) for k in np.argwhere(poor)[0]]
        lost = float(away[tuple(place)] / max(np.abs(total[tuple(place)]), np.longdouble(1e-4000)))
        digits = max(0, int(-math.log10(lost))) if lost > 0 else 0
        text = (
            f"element {place}: contributions cancel, the sum is {total[tuple(place)]}, the gradient {whole[tuple(place)]}"
        )
        return AccumulationVerdict(Accumulation.ILL_CONDITIONED, uses, f"{text}: about {digits} digits are right")
    return AccumulationVerdict(Accumulation.EXACT, uses)


def _exactly(parts: list[Array], total: Array, places: Array) -> Array:
    """``total`` with the exact sums at ``places``, where the parts cancel so far that any sum in floats is rounding."""
    if not np.any(places):
        return total
    found = np.array(total)
    for index in map(tuple, np.argwhere(places)[:MAX_EXACT]):
        cells = [part[index] for part in parts]
        if found.dtype.kind == "c":
            found[index] = math.fsum(float(x.real) for x in cells) + 1j * math.fsum(float(x.imag) for x in cells)
        else:
            found[index] = math.fsum(map(float, cells))
    return found


def seeded(run: Run, name: str, seed: Array) -> bool:
    """Whether ``seed`` is what the request gave for output ``name``: its cotangent in the output's dtype, or 1."""
    given = dict(run.job.seeds).get(name)
    wanted = np.ones(seed.shape, seed.dtype) if given is None else given.astype(seed.dtype)
    return seed.tobytes() == wanted.tobytes()
