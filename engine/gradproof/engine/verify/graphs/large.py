"""Graph verdict of a large graph, from a sweep over whole arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.ulps import unit
from gradproof.engine.verify.graphs.forward_half import ForwardHalf, Skipped
from gradproof.engine.verify.graphs.sweep import Sweep, SweepResult, dyadic
from gradproof.engine.verify.graphs.tangents import Contradiction
from gradproof.engine.verify.verdict import GraphVerdict, GraphWord
from gradproof.engine.verify.verdict.advice import MADE, TIME

COARSE = 2.0**-20
"""Largest unit roundoff at which a single random direction shows a fault of a few elements among many."""
MAX_ALONE = 64  # gradients; up to this number each is compared by itself if all together contradict


def check_large(half: ForwardHalf, names: Sequence[str], deadline: float) -> dict[str, GraphVerdict]:
    """A graph verdict for each of ``names``. ``deadline``: of `time.monotonic`. Raises Skipped."""
    if any(not np.isfinite(half.raw(k)).all() for k in _numbers(half, names) if k in half.backward.raw):
        raise Skipped(f"a gradient is not finite; {MADE}")
    with np.errstate(all="ignore"):
        coarse = any(unit(half.program.specs[k].dtype) > COARSE for k in _numbers(half, names))
        ways = [direction(half, names, k) for k in range(2 if coarse else 1)]
        swept = Sweep(half, ways, deadline, nearby=True).cross()
    verdict = _verdict(half, names, swept)
    if verdict.word is not GraphWord.INCONSISTENT or len(names) == 1 or len(names) > MAX_ALONE:
        return dict.fromkeys(names, verdict)
    contradicted = swept.contradictions[0][1].direction
    alone: dict[str, GraphVerdict] = {}
    try:
        for name in names:
            with np.errstate(all="ignore"):
                swept = Sweep(half, [direction(half, [name], contradicted)], deadline, nearby=False).cross()
            right = not swept.contradictions or abs(swept.defects[0]) <= swept.allowed[0]
            alone[name] = _verdict(half, [name], swept, contradicts=not right)
    except Skipped:
        return dict.fromkeys(names, verdict)
    if all(single.word is not GraphWord.INCONSISTENT for single in alone.values()):
        return dict.fromkeys(names, verdict)
    return alone


def _numbers(half: ForwardHalf, names: Sequence[str]) -> list[int]:
    return [half.plan.lowered.values[name] for name in names]


def direction(half: ForwardHalf, names: Sequence[str], seed: int) -> Mapping[int, Array]:
    """Random dyadic steps for each element of ``names``, by value number, for direction ``seed``. The second direction
    has the signs of the gradients, so that errors of many elements do not cancel."""
    starts = {}
    for number in _numbers(half, names):
        steps = dyadic(half.program.specs[number], (number, seed, 0))
        if seed and number in half.backward.raw:
            gradient = parts(half.raw(number))
            steps = np.where(gradient != 0, np.copysign(steps, gradient.astype(steps.dtype)), steps)
        starts[number] = steps
    return starts


def _verdict(half: ForwardHalf, names: Sequence[str], swept: SweepResult, *, contradicts: bool = True) -> GraphVerdict:
    """The verdict from the results of a sweep along all directions."""
    total = len(half.positions)
    nodes = total - swept.whole
    count = len(swept.defects)
    ratios = [_ratio(abs(swept.defects[k]), swept.scale[k]) for k in range(count)]
    ratio = max(ratios, default=0.0)
    if swept.contradictions and contradicts:
        place, contradiction = swept.contradictions[0]
        return GraphVerdict(
            GraphWord.INCONSISTENT,
            _contradiction(place, contradiction),
            ratio,
            lost_bits(ratio),
            directions=count,
            nodes=nodes,
            total=total,
        )
    digits = min((-math.log2(unit(half.program.specs[k].dtype)) for k in _numbers(half, names)), default=53.0)
    lost = max((_ratio(swept.excess[k], swept.scale[k]) for k in range(count)), default=0.0)
    moved = _ratio(abs(swept.moved or 0.0), swept.scale[0] if count else 0.0)
    reasons = ["compared at the floats of the run, node by node"]
    bits = lost_bits(max(lost, moved))
    word = GraphWord.CONSISTENT if bits < digits / 2 else GraphWord.ILL_CONDITIONED
    if word is GraphWord.ILL_CONDITIONED:
        digits_left = max(0.0, (digits - bits) * math.log10(2))
        reasons.append(
            f"rounding on the way leaves about {int(digits_left)} digits of the derivative along a random direction"
        )
    if swept.moved is None and contradicts:
        reasons.append(f"budget: how far rounding on the way moves it was not looked at; {TIME}")
    if swept.left_out:
        position, reason = next(iter(swept.left_out.items()))
        reasons.append(f"{len(swept.left_out)} left to their own checks, {half.node(position)} first: {reason}")
    return GraphVerdict(word, "; ".join(reasons), ratio, bits, directions=count, nodes=nodes, total=total)


def _contradiction(place: str, contradiction: Contradiction) -> str:
    """Text of a contradiction at a node, or at the gradient of a value."""
    forward, claimed = f"{contradiction.forward:.12g}", f"{contradiction.claimed:.12g}"
    place += contradiction.place
    if place.startswith("node"):
        return (
            f"{place}: the forward pass has the derivative {forward} along a random direction, "
            f"the contributions give {claimed}"
        )
    return f"{place}: its uses add up to {forward} along a random direction, the gradient gives {claimed}"


def _ratio(away: float, scale: float) -> float:
    return away / scale if scale else (0.0 if not away else math.inf)


def lost_bits(ratio: float) -> float:
    """The binary logarithm of an error in units of roundoff; 0 for errors below a unit."""
    return math.log2(ratio) if 1 < ratio < math.inf else (0.0 if ratio <= 1 else math.inf)
