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
from gradproof.engine.verify.arrays.ball import BallArray, exact
from gradproof.engine.verify.arrays.dual import Dual, head, spread, tangents
from gradproof.engine.verify.arrays.programs import entered, read_op
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.floats.ulps import close_enough, explained, spacing, unit
from gradproof.engine.verify.nodes.allowances import FACTOR
from gradproof.engine.verify.nodes.judging import distances, flat_floats
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


class Weighed:
    """The contribution to input ``k`` of one application, beside the form of its op. ``tied``: whether numbers that move
    were compared and are equal: there J v has sides."""

    def __init__(self, one: Application, k: int) -> None:
        claimed = one.contributions[k]
        assert claimed is not None
        self.one, self.k, self.shape, self.dtype = one, k, claimed.shape, claimed.dtype
        self.floats, self.tied = flat_floats(claimed), False
        random = np.random.default_rng(claimed.size)
        self.drawn = random.choice((-1.0, 1.0), claimed.size) * random.uniform(0.5, 1.0, claimed.size)

    def slope(self, v: Array, charge: float = 0.0) -> BallArray:
        """<g, J v>, for ``v`` flat; ``charge``: the rounding unit of an evaluation that gives it, 0 for the truth. An
        evaluation may add up inputs as they are, and so is read at inputs that are off by as much. Raises NoArrays, and
        what a stranger's code raises."""
        one, f = self.one, Arrays(model=charge > 0)
        inputs = [entered(x) for x in one.inputs]
        if charge:
            wide = charge * one.terms
            inputs = [BallArray(x.mid, np.abs(x.mid) * wide, charge) if isinstance(x, BallArray) else x for x in inputs]
        inputs[self.k] = Dual(inputs[self.k], {0: BallArray(v.reshape(self.shape), None, charge)})
        found = BallArray(0.0)
        for y, g in zip(read_op(one.op, f, inputs, one.attributes, one.outputs), one.cotangents, strict=True):
            if 0 in tangents(y):
                found += _total(f, spread(tangents(y)[0], g.shape) * exact(g))
        self.tied |= bool(np.any(f.tied))
        return found

    def apart(self, mid: Array, rad: Array, v: Array) -> BallArray:
        """<contribution, v> less <g, J v>."""
        apart: BallArray = _total(Arrays(), BallArray(mid, rad) * exact(v)) - self.slope(v)
        return apart

    def halved(self, some: Array, whole: float, mid: Array, rad: Array, weights: Array) -> int:
        """The element of ``some`` that alone is furthest off, by halving. ``whole``: how far they are apart together."""
        while len(some) > 1:
            first, then = some[: len(some) // 2], some[len(some) // 2 :]
            v = np.zeros_like(weights)
            v[first] = weights[first]
            one = float(self.apart(mid, rad, v).mid)
            some, whole = (first, one) if abs(one) >= abs(whole - one) else (then, whole - one)
        return int(some[0])

    def judged(self, element: int, *, rounds: bool) -> ValueVerdict | None:
        """The verdict on an element that is off; None for any other. ``rounds``: its float may be off by as much as an
        evaluation of the form may be."""
        v = np.zeros(len(self.floats))
        v[element] = 1.0
        truth = self.slope(v)
        far = distances(self.floats[[element]], truth.mid.reshape(-1), np.array(truth.radius()).reshape(-1), self.dtype)
        free = close_enough(self.dtype) * far.step[0] + explained(self.dtype) * spacing(0.0, self.dtype)
        if rounds:
            free += FACTOR * float(self.slope(v, unit(self.dtype)).radius())
        if not far.least[0] > free:
            return None
        index = [int(i) for i in np.unravel_index(element, self.shape)]
        return ValueVerdict(
            ValueWord.OFF,
            float(far.ulps[0]),
            total=len(self.floats),
            element=str(index) if index else "",
            got=repr(float(self.floats[element])),
            expected=f"{float(truth.mid):.17g}",
            reason="found along weighted directions; no rounding explains the distance",
        )


@np.errstate(all="ignore")
def check_equalities(one: Application, k: int, ball: BallArray, equalities: Sequence[Array]) -> ValueVerdict | None:
    """The verdict on a contribution where the rule's program compared numbers that are equal; None if it agrees with the
    form, or the form has sides there. ``ball``: what the rule gives, enclosed."""
    weighed = Weighed(one, k)
    mid, rad = ball.mid.reshape(-1), np.broadcast_to(ball.radius(), ball.shape).reshape(-1)
    known = np.isfinite(mid) & np.isfinite(rad)
    mid, rad = np.where(known, mid, 0.0), np.where(known, rad, 0.0)
    weights = weighed.drawn * _inverse(np.abs(mid) + KNOWN * rad, known)
    for some in _groups(known, equalities, weighed.shape):
        v = np.zeros_like(weights)
        v[some] = weights[some]
        apart = weighed.apart(mid, rad, v)
        if weighed.tied:
            return None
        if np.abs(apart.mid) > np.asarray(apart.radius()) * (1 + 2.0**-40):
            off = weighed.judged(weighed.halved(some, float(apart.mid), mid, rad, weights), rounds=False)
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
def check_blind(one: Application, k: int, seconds: float) -> ValueVerdict | None:
    """The verdict on a contribution of which only floats are known, for about ``seconds``; None where the form has sides.
    No element is enclosed: SCREENED, unless one is off. Raises NoArrays, and what a stranger's code raises."""
    weighed, deadline = Weighed(one, k), time.monotonic() + seconds
    floats = weighed.floats
    if not np.isfinite(floats).all():
        return None
    sizes = np.abs(floats)
    typical = float(np.median(sizes[sizes > 0])) if sizes.any() else 1.0
    most = sizes + typical * (2.0**-20 if weighed.dtype == np.float64 else 2.0**-10)
    weights = weighed.drawn * _inverse(most, np.ones(len(floats), bool))
    exactly, found = np.zeros_like(floats), []
    for some in np.array_split(np.arange(len(floats)), min(MOST_BLIND, 1 + len(floats) // FEW)):
        v = np.zeros_like(weights)
        v[some] = weights[some]
        found.append((float(weighed.apart(floats, exactly, v).mid), some))
        if weighed.tied:
            return None
        if time.monotonic() > deadline:
            break
    read = sum(len(some) for _, some in found)
    for apart, some in sorted(found, key=lambda pair: -abs(pair[0]))[:HUNTED]:
        off = weighed.judged(weighed.halved(some, apart, floats, exactly, weights), rounds=True)
        if off is not None:
            return off
    reason = f"{read} elements agree with the op's form along {len(found)} random directions; none was enclosed"
    return ValueVerdict(ValueWord.SCREENED, total=len(floats), reason=reason, screened=read)


def _total(f: Arrays, terms: BallArray) -> BallArray:
    """The sum of all terms. To add zeros costs nothing."""
    some = (terms.mid != 0) | (terms.radius() != 0)
    found: BallArray = head(f.total(terms.moved(lambda a: np.broadcast_to(a, some.shape)[some])))
    return found


def _inverse(sizes: Array, known: Array) -> Array:
    """Powers of two about 1 / size, that of the smallest size where it is 0, and 0 for elements that are not known. None is
    further than 2^200 from the others."""
    exponents = np.frexp(sizes)[1].astype(int)
    some = known & (sizes > 0)
    top = int(exponents[some].max()) if some.any() else 0
    low = int(exponents[some].min()) if some.any() else 0
    exponents = np.clip(np.where(sizes > 0, exponents, low), max(top - 200, -500), min(top, 500))
    return np.asarray(np.where(known, np.ldexp(1.0, -exponents), 0.0))


__all__ = ["check_blind", "check_equalities"]
