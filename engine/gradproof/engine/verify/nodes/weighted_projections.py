"""Contributions against the op's form for whole arrays, along directions that weigh elements by their size: <c, v> is
<g, J v>, with v about ±1 / |c|. So an error is seen that is small beside the whole, and not beside its element.

Two things are seen by nothing else. A rule that is proved is proved almost everywhere: where it asks whether numbers are
equal, and they are, it may be another. And an opaque backward has no program that could be read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import Arrays, BallArray, Dual, broadcast, entered, exact, head, read_op, tangents
from gradproof.engine.verify.floats.ulps import explained, spacing, unit
from gradproof.engine.verify.nodes.allowances import FACTOR
from gradproof.engine.verify.nodes.distances import flat_floats
from gradproof.engine.verify.nodes.localisation import bisect, verdict_on_element
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import LOOK

TOGETHER, MOST_GROUPS = 1 << 16, 16
"""Elements of one direction where all are enclosed, and how many directions are read."""
FEW, MOST_BLIND = 1 << 10, 16
"""The same where no element is."""
HUNTED = 2
"""Groups in which the element that is furthest off is looked for."""
KNOWN = 2.0**44
"""An element whose radius is so much smaller has half of its weight."""


class WeightedProjection:
    """The contribution to input ``k`` of one application, beside the form of its op. ``tied``: whether numbers that move
    were compared and are equal: there J v has sides."""

    def __init__(self, application: Application, k: int) -> None:
        claimed = application.contributions[k]
        assert claimed is not None
        self.application, self.k, self.claimed = application, k, claimed
        self.floats, self.tied = flat_floats(claimed), False
        random = np.random.default_rng(claimed.size)
        self.signs = random.choice((-1.0, 1.0), claimed.size) * random.uniform(0.5, 1.0, claimed.size)

    def slope(self, v: Array, charge: float = 0.0) -> BallArray:
        """<g, J v>, for ``v`` flat; ``charge``: the rounding unit of an evaluation that gives it, 0 for the truth. An
        evaluation may add up inputs as they are, and so is read at inputs that are off by as much. Raises NoArrays, and
        what a stranger's code raises."""
        application, f = self.application, Arrays(model=charge > 0)
        inputs = [entered(x) for x in application.inputs]
        if charge:
            wide = charge * application.terms
            inputs = [BallArray(x.mid, np.abs(x.mid) * wide, charge) if isinstance(x, BallArray) else x for x in inputs]
        inputs[self.k] = Dual(inputs[self.k], {0: BallArray(v.reshape(self.claimed.shape), None, charge)})
        total = BallArray(0.0)
        for y, g in zip(
            read_op(application.op, f, inputs, application.attributes, application.outputs),
            application.cotangents,
            strict=True,
        ):
            if 0 in tangents(y):
                total += _total(f, broadcast(tangents(y)[0], g.shape) * exact(g))
        self.tied |= bool(np.any(f.tied))
        return total

    def difference(self, mid: Array, rad: Array, v: Array) -> BallArray:
        """<contribution, v> less <g, J v>."""
        difference: BallArray = _total(Arrays(), BallArray(mid, rad) * exact(v)) - self.slope(v)
        return difference

    def furthest(self, places: Array, total: float, mid: Array, rad: Array, weights: Array) -> int:
        """The element of ``places`` that alone is furthest off, by halving. ``total``: how far they are off together."""

        def is_in(half: Array) -> bool:
            nonlocal total
            v = np.zeros_like(weights)
            v[half] = weights[half]
            difference = float(self.difference(mid, rad, v).mid)
            larger = abs(difference) >= abs(total - difference)
            total = difference if larger else total - difference
            return larger

        return bisect(places, is_in)

    def verdict_on(self, place: int, *, rounds: bool) -> ValueVerdict | None:
        """OFF for the element at a flat place if it is; else None. ``rounds``: its float may be off by as much as an
        evaluation of the form may be."""
        v = np.zeros(self.claimed.size)
        v[place] = 1.0
        dtype = self.claimed.dtype
        allowance = explained(dtype) * spacing(0.0, dtype)
        if rounds:
            allowance += FACTOR * float(self.slope(v, unit(dtype)).radius())
        reason = "localised along weighted directions; no rounding explains the distance"
        return verdict_on_element(self.claimed, place, self.slope(v), reason, allowance)


@np.errstate(all="ignore")
def check_equalities(application: Application, k: int, ball: BallArray, equalities: Sequence[Array]) -> ValueVerdict | None:
    """The verdict on a contribution where the rule's program compared numbers that are equal; None if it agrees with the
    form, or the form has sides there. ``ball``: what the rule gives, enclosed."""
    weighed = WeightedProjection(application, k)
    mid, rad = ball.mid.reshape(-1), np.broadcast_to(ball.radius(), ball.shape).reshape(-1)
    known = np.isfinite(mid) & np.isfinite(rad)
    mid, rad = np.where(known, mid, 0.0), np.where(known, rad, 0.0)
    weights = weighed.signs * _inverse(np.abs(mid) + KNOWN * rad, known)
    for some in _groups(known, equalities, weighed.claimed.shape):
        v = np.zeros_like(weights)
        v[some] = weights[some]
        difference = weighed.difference(mid, rad, v)
        if weighed.tied:
            return None
        if np.abs(difference.mid) > np.asarray(difference.radius()) * (1 + 2.0**-40):
            off = weighed.verdict_on(weighed.furthest(some, float(difference.mid), mid, rad, weights), rounds=False)
            reason = f"along a weighted direction the rule contradicts the op's form for whole arrays; {LOOK}"
            return off or ValueVerdict(ValueWord.UNCHECKED, total=mid.size, reason=reason)
    return None


def _groups(known: Array, equalities: Sequence[Array], shape: tuple[int, ...]) -> Iterator[Array]:
    """First the elements where numbers are equal, if that is a place of theirs; then all, in a few groups."""
    for mask in equalities:
        if mask.shape == shape and (some := np.flatnonzero(known & mask.reshape(-1))).size:
            yield some
    everywhere = np.flatnonzero(known)
    yield from (x for x in np.array_split(everywhere, min(MOST_GROUPS, 1 + len(everywhere) // TOGETHER)) if x.size)


@np.errstate(all="ignore")
def check_without_rule(application: Application, k: int, seconds: float) -> ValueVerdict | None:
    """The verdict on a contribution of which only floats are known, for about ``seconds``; None where the form has sides.
    No element is enclosed: SCREENED, unless one is off. Raises NoArrays, and what a stranger's code raises."""
    weighed, deadline = WeightedProjection(application, k), time.monotonic() + seconds
    floats = weighed.floats
    if not np.isfinite(floats).all():
        return None
    sizes = np.abs(floats)
    typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0
    most = sizes + typical * (2.0**-20 if weighed.claimed.dtype == np.float64 else 2.0**-10)
    weights = weighed.signs * _inverse(most, np.ones(len(floats), bool))
    exactly, differences = np.zeros_like(floats), []
    for some in np.array_split(np.arange(len(floats)), min(MOST_BLIND, 1 + len(floats) // FEW)):
        v = np.zeros_like(weights)
        v[some] = weights[some]
        differences.append((float(weighed.difference(floats, exactly, v).mid), some))
        if weighed.tied:
            return None
        if time.monotonic() > deadline:
            break
    read = sum(len(some) for _, some in differences)
    for difference, some in sorted(differences, key=lambda pair: -abs(pair[0]))[:HUNTED]:
        off = weighed.verdict_on(weighed.furthest(some, difference, floats, exactly, weights), rounds=True)
        if off is not None:
            return off
    reason = f"{read} elements agree with the op's form along {len(differences)} random directions; none was enclosed"
    return ValueVerdict(ValueWord.SCREENED, total=len(floats), reason=reason, screened=read)


def _total(f: Arrays, terms: BallArray) -> BallArray:
    """The sum of all terms. To add zeros costs nothing."""
    some = (terms.mid != 0) | (terms.radius() != 0)
    total: BallArray = head(f.total(terms.moved(lambda a: np.broadcast_to(a, some.shape)[some])))
    return total


def _inverse(sizes: Array, known: Array) -> Array:
    """Powers of two about 1 / size, that of the smallest size where it is 0, and 0 for elements that are not known. None is
    further than 2^200 from the others."""
    exponents = np.frexp(sizes)[1].astype(int)
    some = known & (sizes > 0)
    top = int(exponents[some].max()) if some.any() else 0
    low = int(exponents[some].min()) if some.any() else 0
    exponents = np.clip(np.where(sizes > 0, exponents, low), max(top - 200, -500), min(top, 500))
    return np.asarray(np.where(known, np.ldexp(1.0, -exponents), 0.0))


__all__ = ["check_equalities", "check_without_rule"]
