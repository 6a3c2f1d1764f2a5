"""Contributions against the op's form for whole arrays, along random directions: <contribution, v> is <g, J v>, as R.
Freivalds checks a product. Both sides are enclosed, so that a difference is a contradiction, whatever is known of the rule.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import lru_cache

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import TINY, UNIT, BallArray, exact
from gradproof.engine.verify.arrays.dual import Dual, spread, tangents
from gradproof.engine.verify.arrays.floats import FloatDual, Floats
from gradproof.engine.verify.arrays.programs import entered, read_op
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.floats.ulps import close_enough
from gradproof.engine.verify.nodes.judging import distances, flat_floats
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

MANY = 1 << 11
"""Of more elements one direction is read, of fewer two."""
NEAR = 2.0**-44
"""A distance that is so much of all magnitudes is nothing in floats: what is farther off is read in balls."""
POOL = 1 << 20
STRIDE = 4099


class Projections:
    """The projections of the contributions of one application. ``balls``: for each input what its rule gives, enclosed.
    ``tied``: whether numbers that move were compared and are equal: there J v has sides."""

    def __init__(self, one: Application, balls: dict[int, BallArray]) -> None:
        self.one, self.balls, self.tied = one, balls, False
        self._seen: dict[int, dict[int, BallArray]] = {}
        self._plain: dict[int, dict[int, float]] = {}

    def check(self, k: int) -> ValueVerdict | None:
        """None where a contribution agrees along all directions, or these say nothing; else a verdict with an element."""
        claimed = self.one.contributions[k]
        assert claimed is not None
        for seed in range(1 if self.one.size > MANY else 2):
            v = _direction(claimed.shape, seed, k)
            plain = self._plainly(seed)
            if plain and self._agrees(k, v, plain.get(k, 0.0)):
                continue
            slopes = self._along(seed)
            if self.tied:
                return None
            if k in slopes and self._differs(k, v, slopes[k]):
                return self._hunted(k, v)
        return None

    def _plainly(self, seed: int) -> dict[int, float]:
        """The same as `_along` in floats, which cost a fraction; empty where there is no such reading."""
        if seed not in self._plain:
            self._plain[seed] = {}
            one, f = self.one, Floats()
            ways = {k: _direction(self.one.inputs[k].shape, seed, k) for k in self.balls}
            inputs = [
                x if x.dtype.kind in "biu" else FloatDual(np.asarray(x, np.float64), {k: ways[k]} if k in ways else {})
                for k, x in enumerate(one.inputs)
            ]
            with suppress(NotImplementedError, AttributeError, TypeError), np.errstate(all="ignore"):
                assert one.op.arrays is not None
                made = one.op.arrays(f, *inputs, **one.attributes)
                found = dict.fromkeys(ways, 0.0)
                for y, g in zip(made if isinstance(made, tuple) else (made,), one.cotangents, strict=True):
                    for k, slope in tangents(y).items():
                        found[k] += float(np.sum(np.broadcast_to(slope, g.shape) * np.asarray(g, np.float64)))
                if not np.any(f.tied):  # balls tell a tie from what rounding made equal
                    self._plain[seed] = found
        return self._plain[seed]

    def _agrees(self, k: int, v: Array, slope: float) -> bool:
        """Whether <contribution, v> is a number to its last digits, or as far off as elements were found to be."""
        claimed = self.one.contributions[k]
        assert claimed is not None
        floats, weights = flat_floats(claimed), v.reshape(-1)
        with np.errstate(all="ignore"):
            products = floats * weights
            apart = abs(float(products.sum()) - slope)
            near = float(np.abs(products, out=products).sum()) * NEAR
            return apart <= near or apart <= near + self._allowed(k, floats, weights)

    def _along(self, seed: int) -> dict[int, BallArray]:
        """For each input <g, J v> along its direction of a seed."""
        if seed not in self._seen:
            self._seen[seed] = self._pushed({k: _direction(self.one.inputs[k].shape, seed, k) for k in self.balls})
        return self._seen[seed]

    def _pushed(self, directions: dict[int, Array]) -> dict[int, BallArray]:
        one, f = self.one, Arrays()
        inputs = [
            Dual(exact(x), {k: exact(directions[k])}) if k in directions else entered(x) for k, x in enumerate(one.inputs)
        ]
        found: dict[int, BallArray] = {k: BallArray(0.0) for k in directions}
        for y, g in zip(read_op(one.op, f, inputs, one.attributes, one.outputs), one.cotangents, strict=True):
            for k, slope in tangents(y).items():
                found[k] = found[k] + _inner(spread(slope, g.shape), flat_floats(g))
        self.tied |= bool(np.any(f.tied))
        return found

    def _differs(self, k: int, v: Array, slope: BallArray) -> bool:
        """Whether <contribution, v> certainly is not what it is with J: even if each element is as far off as it was found
        to be."""
        claimed = self.one.contributions[k]
        assert claimed is not None
        floats, weights = flat_floats(claimed), v.reshape(-1)
        with np.errstate(all="ignore"):
            apart = _inner(BallArray(floats), weights) - slope
            allowed = self._allowed(k, floats, weights)
            return bool(np.abs(apart.mid) > (float(apart.radius()) + allowed) * (1 + 2.0**-40))

    def _allowed(self, k: int, floats: Array, weights: Array) -> float:
        """How far <contribution, v> may be off, by what is known of each element."""
        ball = self.balls[k]
        mid = ball.mid.reshape(-1)
        if ball.spread is None and not ball.part and np.array_equal(floats, mid):
            return 0.0
        most = np.abs(floats - mid) + ball.radius().reshape(-1)
        if np.isnan(most).any():
            same = (floats == mid) & (ball.radius().reshape(-1) == 0)
            most = np.where(same, 0.0, np.where(np.isnan(most), np.inf, most))
        return float(np.dot(most, np.abs(weights))) * (1 + 2.0**-20)

    def _hunted(self, k: int, v: Array) -> ValueVerdict:
        """The verdict on an element that alone is off, found by halving those that are; or on all."""
        claimed = self.one.contributions[k]
        assert claimed is not None
        left = np.arange(claimed.size)
        while len(left) > 1:
            half = left[: len(left) // 2]
            left = half if self._off(k, v, half) else left[len(left) // 2 :]
        unit = np.zeros(v.size)
        unit[left] = 1.0
        truth = self._pushed({k: unit.reshape(v.shape)})[k]
        index = [int(i) for i in np.unravel_index(int(left[0]), claimed.shape)]
        floats = flat_floats(claimed)[left]
        far = distances(floats, truth.mid.reshape(-1), np.array(truth.radius()).reshape(-1), claimed.dtype)
        total = claimed.size
        if not far.least[0] > close_enough(claimed.dtype) * far.step[0]:
            reason = (
                "along a random direction the contribution contradicts the op's form for whole arrays, and no element does"
            )
            return ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason)
        return ValueVerdict(
            ValueWord.OFF,
            float(far.ulps[0]),
            total=total,
            element=str(index) if index else "",
            got=repr(float(floats[0])),
            expected=f"{float(truth.mid):.17g}",
            reason="found along random directions; no rounding explains the distance",
        )

    def _off(self, k: int, v: Array, part: Array) -> bool:
        some = np.zeros(v.size)
        some[part] = v.reshape(-1)[part]
        along = some.reshape(v.shape)
        return self._differs(k, along, self._pushed({k: along})[k])


def _inner(a: BallArray, b: Array) -> BallArray:
    """The inner product of balls with floats, which are flat. NumPy adds the elements of a row in pairs, blocks of 128 in
    eight sums, so that few of its roundings fall on one element (N. J. Higham, SIAM J. Sci. Comput. 14, 1993)."""
    with np.errstate(all="ignore"):
        products = a.mid.reshape(-1) * b
        mid = products.sum()
        wide = 0.0 if a.spread is None and not a.part else float(np.dot(a.radius().reshape(-1), np.abs(b))) * (1 + 2.0**-20)
        np.abs(products, out=products)
        roundings = 32 + 2 * math.log2(max(products.size, 2))
        return BallArray(mid, wide + products.sum() * (roundings * UNIT) + TINY)


@lru_cache(1)
def _sixteenths() -> Array:
    """Sixteenths between -1 and 1, none of them 0."""
    drawn = np.random.default_rng(0).integers(-16, 16, POOL, np.int8)
    found = (drawn + (drawn >= 0)) / 16.0
    found.flags.writeable = False
    return found


def _direction(shape: tuple[int, ...], seed: int, k: int) -> Array:
    """Sixteenths, others for each seed and number of an input."""
    size, start = math.prod(shape), STRIDE * (8 * seed + k) % (POOL // 32)
    pool = _sixteenths()
    found = pool[start : start + size] if start + size <= POOL else np.resize(pool[start:], size)
    return np.asarray(found.reshape(shape))
