"""Contributions compared with the op's form for whole arrays along directions weighted by the size of elements: <c, v> =
<g, J v> with v about ±1 / |c|. An error that is small beside the whole array, but not beside its element, is seen.

Two faults are seen by no other check. A proved rule is proved almost everywhere: where it tests numbers for equality, and
they are equal, it may be wrong. And an opaque backward has no program to read.
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
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import LOOK

TOGETHER, MOST_GROUPS = 1 << 16, 16
"""Elements of a direction where all are enclosed, and the largest number of directions."""
FEW, MOST_BLIND = 1 << 10, 16
"""The same where no element is enclosed."""
HUNTED = 2
"""Directions along which the element that is furthest off is localised."""
KNOWN = 2.0**44
"""Ratio of size to radius at which an element has half of its weight."""


class WeightedProjection:
    """The contribution to input ``k`` of an application, beside the form of its op. ``tied`` is True once equal numbers
    with derivatives were compared: J v has sides there."""

    def __init__(self, application: Application, k: int) -> None:
        claimed = application.contributions[k]
        assert claimed is not None
        self.application, self.k, self.claimed = application, k, claimed
        self.floats, self.tied = flat_floats(claimed), False
        random = np.random.default_rng(claimed.size)
        self.signs = random.choice((-1.0, 1.0), claimed.size) * random.uniform(0.5, 1.0, claimed.size)

    def slope(self, v: Array, charge: float = 0.0) -> BallArray:
        """<g, J v> for a flat ``v``. Raises NoArrays, and any exception of the form.

        Args:
            charge: unit roundoff of an evaluation, which is read at inputs off by as much, since it may add them up; 0 for
                the
                truth.
        """
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
        """<contribution, v> - <g, J v>."""
        difference: BallArray = _total(Arrays(), BallArray(mid, rad) * exact(v)) - self.slope(v)
        return difference

    def furthest(self, places: Array, total: float, mid: Array, rad: Array, weights: Array) -> int:
        """The element of ``places`` that alone is furthest off, by bisection. ``total``: the difference of all of them."""

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
        """OFF for the element at a flat place if it is off, or None. ``rounds``: excuse the error of an evaluation of the
        form."""
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
    """The verdict on a contribution whose rule tested equal numbers for equality; None if it agrees with the form, or the
    form has sides there. ``ball``: the enclosure of the rule's result."""
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
    """The elements at which numbers are equal, if masks have the shape of the contribution; then all, in a few groups."""
    for mask in equalities:
        if mask.shape == shape and (some := np.flatnonzero(known & mask.reshape(-1))).size:
            yield some
    everywhere = np.flatnonzero(known)
    yield from (x for x in np.array_split(everywhere, min(MOST_GROUPS, 1 + len(everywhere) // TOGETHER)) if x.size)


@np.errstate(all="ignore")
def check_without_rule(application: Application, k: int, seconds: float) -> ValueVerdict | None:
    """The verdict on a contribution of which only floats are known, in about ``seconds``; None where the form has sides. No
    element is enclosed: SCREENED unless an element is off. Raises NoArrays, and any exception of the form."""
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
    """The sum of all terms, without exact zeros, which cost nothing."""
    some = (terms.mid != 0) | (terms.radius() != 0)
    total: BallArray = head(f.total(terms.moved(lambda a: np.broadcast_to(a, some.shape)[some])))
    return total


def _inverse(sizes: Array, known: Array) -> Array:
    """Powers of 2 about 1 / size, within a factor of 2^200; for size 0 that of the smallest size, and 0 for unknown
    elements."""
    exponents = np.frexp(sizes)[1].astype(int)
    some = known & (sizes > 0)
    top = int(exponents[some].max()) if some.any() else 0
    low = int(exponents[some].min()) if some.any() else 0
    exponents = np.clip(np.where(sizes > 0, exponents, low), max(top - 200, -500), min(top, 500))
    return np.asarray(np.where(known, np.ldexp(1.0, -exponents), 0.0))


__all__ = ["check_equalities", "check_without_rule"]
