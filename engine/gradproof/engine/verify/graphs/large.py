"""L3 of a large graph: the verdict that is made of a way through it in whole arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.ulps import unit
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.sweep import Crossing, Sweep, dyadic
from gradproof.engine.verify.graphs.tangents import Contradiction
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.engine.verify.verdict.advice import MADE, TIME

COARSE = 2.0**-20
"""The rounding unit of dtypes above which it hides what a random direction shows of many elements."""
MAX_ALONE = 64  # gradients that are compared one by one where all together contradict


def check_large(half: ForwardHalf, names: Sequence[str], deadline: float) -> dict[str, GraphVerdict]:
    """A verdict for each of ``names``. Raises Skipped."""
    if any(not np.isfinite(half.raw(k)).all() for k in _numbers(half, names) if k in half.backward.raw):
        raise Skipped(f"a gradient is not finite; {MADE}")
    with np.errstate(all="ignore"):
        coarse = any(unit(half.program.specs[k].dtype) > COARSE for k in _numbers(half, names))
        ways = [direction(half, names, k) for k in range(2 if coarse else 1)]
        crossing = Sweep(half, ways, deadline, beside=True).cross()
    verdict = _verdict(half, names, crossing)
    if verdict.word is not GraphWord.INCONSISTENT or len(names) == 1 or len(names) > MAX_ALONE:
        return dict.fromkeys(names, verdict)
    seen = crossing.contradictions[0][1].direction
    alone: dict[str, GraphVerdict] = {}
    try:
        for name in names:
            with np.errstate(all="ignore"):
                crossing = Sweep(half, [direction(half, [name], seen)], deadline, beside=False).cross()
            right = not crossing.contradictions or abs(crossing.defects[0]) <= crossing.allowed[0]
            alone[name] = _verdict(half, [name], crossing, contradicts=not right)
    except Skipped:
        return dict.fromkeys(names, verdict)
    if all(crossing.word is not GraphWord.INCONSISTENT for crossing in alone.values()):
        return dict.fromkeys(names, verdict)
    return alone


def _numbers(half: ForwardHalf, names: Sequence[str]) -> list[int]:
    return [half.plan.lowered.values[name] for name in names]


def direction(half: ForwardHalf, names: Sequence[str], seed: int) -> Mapping[int, Array]:
    """Random dyadic numbers for the elements of values: of random signs, and, as the second direction, of those of the
    gradients, along which what is wrong with a gradient does not average out."""
    starts = {}
    for number in _numbers(half, names):
        steps = dyadic(half.program.specs[number], (number, seed, 0))
        if seed and number in half.backward.raw:
            gradient = parts(half.raw(number))
            steps = np.where(gradient != 0, np.copysign(steps, gradient.astype(steps.dtype)), steps)
        starts[number] = steps
    return starts


def _verdict(half: ForwardHalf, names: Sequence[str], crossing: Crossing, *, contradicts: bool = True) -> GraphVerdict:
    """The word for what was found along all directions."""
    total = len(half.positions)
    nodes = total - crossing.whole
    count = len(crossing.defects)
    ratios = [_over(abs(crossing.defects[k]), crossing.yard[k]) for k in range(count)]
    ratio = max(ratios, default=0.0)
    if crossing.contradictions and contradicts:
        place, contradiction = crossing.contradictions[0]
        return GraphVerdict(
            GraphWord.INCONSISTENT,
            _contradiction(place, contradiction),
            ratio,
            _log2(ratio),
            directions=count,
            nodes=nodes,
            total=total,
        )
    digits = min((-math.log2(unit(half.program.specs[k].dtype)) for k in _numbers(half, names)), default=53.0)
    lost = max((_over(crossing.excess[k], crossing.yard[k]) for k in range(count)), default=0.0)
    moved = _over(abs(crossing.moved or 0.0), crossing.yard[0] if count else 0.0)
    reasons = ["compared at the floats of the run, node by node"]
    bits = _log2(max(lost, moved))
    word = GraphWord.CONSISTENT if bits < digits / 2 else GraphWord.ILL_CONDITIONED
    if word is GraphWord.ILL_CONDITIONED:
        left = max(0.0, (digits - bits) * math.log10(2))
        reasons.append(f"rounding on the way leaves about {int(left)} digits of the derivative along a random direction")
    if crossing.moved is None and contradicts:
        reasons.append(f"budget: how far rounding on the way moves it was not looked at; {TIME}")
    if crossing.left:
        position, reason = next(iter(crossing.left.items()))
        reasons.append(f"{len(crossing.left)} left to their own checks, {half.node(position)} first: {reason}")
    return GraphVerdict(word, "; ".join(reasons), ratio, bits, directions=count, nodes=nodes, total=total)


def _contradiction(place: str, contradiction: Contradiction) -> str:
    if place.startswith("node"):
        return (
            f"{place}{contradiction.place}: the forward pass has the derivative {contradiction.forward:.12g} along a random direction, "
            f"the contributions give {contradiction.claimed:.12g}"
        )
    uses, whole = f"{contradiction.forward:.12g}", f"{contradiction.claimed:.12g}"
    return f"{place}{contradiction.place}: its uses add up to {uses} along a random direction, the gradient gives {whole}"


def _over(away: float, yard: float) -> float:
    return away / yard if yard else (0.0 if not away else math.inf)


def _log2(ratio: float) -> float:
    return math.log2(ratio) if 1 < ratio < math.inf else (0.0 if ratio <= 1 else math.inf)
