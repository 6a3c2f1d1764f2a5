"""Contributions compared with the op's form for whole arrays along random directions: <contribution, v> = <g, J v> (R.
Freivalds, Probabilistic machines can use less running time, 1977). Both sides are enclosed, so that a difference is a
contradiction, whatever is known of the rule."""

from __future__ import annotations

import math
from contextlib import suppress
from functools import lru_cache

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import (
    TINY,
    UNIT,
    Arrays,
    BallArray,
    Dual,
    FloatDual,
    Floats,
    broadcast,
    entered,
    exact,
    read_op,
    tangents,
)
from gradproof.engine.verify.nodes.distances import flat_floats
from gradproof.engine.verify.nodes.localisation import bisect, verdict_on_element
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

MANY = 1 << 11
"""Number of elements up to which two directions are read instead of one."""
NEAR = 2.0**-44
"""Relative difference of the sides in floats above which they are compared in balls."""
POOL = 1 << 20
STRIDE = 4099


class Projections:
    """Projections of the contributions of an application.

    Args:
        balls: for each input the enclosure of its rule's result.

    ``tied`` is True once equal numbers with derivatives were compared: J v has sides there.
    """

    def __init__(self, application: Application, balls: dict[int, BallArray]) -> None:
        self.application, self.balls, self.tied = application, balls, False
        self._slopes: dict[int, dict[int, BallArray]] = {}
        self._float_slopes: dict[int, dict[int, float]] = {}

    def check(self, k: int) -> ValueVerdict | None:
        """A verdict on a contribution that differs along a direction; None if it agrees, or there are ties."""
        claimed = self.application.contributions[k]
        assert claimed is not None
        for seed in range(1 if self.application.size > MANY else 2):
            v = _direction(claimed.shape, seed, k)
            plain = self._along_in_floats(seed)
            if plain and self._agrees(k, v, plain.get(k, 0.0)):
                continue
            slopes = self._along(seed)
            if self.tied:
                return None
            if k in slopes and self._differs(k, v, slopes[k]):
                return self._localised(k, v)
        return None

    def _along_in_floats(self, seed: int) -> dict[int, float]:
        """`_along` in floats, at a fraction of the cost; empty where there is no such reading."""
        if seed not in self._float_slopes:
            self._float_slopes[seed] = {}
            application, f = self.application, Floats()
            ways = {k: _direction(self.application.inputs[k].shape, seed, k) for k in self.balls}
            inputs = [
                x if x.dtype.kind in "biu" else FloatDual(np.asarray(x, np.float64), {k: ways[k]} if k in ways else {})
                for k, x in enumerate(application.inputs)
            ]
            with suppress(NotImplementedError, AttributeError, TypeError), np.errstate(all="ignore"):
                assert application.op.arrays is not None
                outputs = application.op.arrays(f, *inputs, **application.attributes)
                slopes = dict.fromkeys(ways, 0.0)
                for y, g in zip(outputs if isinstance(outputs, tuple) else (outputs,), application.cotangents, strict=True):
                    for k, slope in tangents(y).items():
                        slopes[k] += float(np.sum(np.broadcast_to(slope, g.shape) * np.asarray(g, np.float64)))
                if not np.any(f.tied):  # balls tell a tie from numbers that rounding made equal
                    self._float_slopes[seed] = slopes
        return self._float_slopes[seed]

    def _agrees(self, k: int, v: Array, slope: float) -> bool:
        """True if <contribution, v> agrees in floats, up to the known distances of its elements."""
        claimed = self.application.contributions[k]
        assert claimed is not None
        floats, weights = flat_floats(claimed), v.reshape(-1)
        with np.errstate(all="ignore"):
            products = floats * weights
            difference = abs(float(products.sum()) - slope)
            near = float(np.abs(products, out=products).sum()) * NEAR
            return difference <= near or difference <= near + self._allowed(k, floats, weights)

    def _along(self, seed: int) -> dict[int, BallArray]:
        """<g, J v> for each input along its direction of a seed."""
        if seed not in self._slopes:
            self._slopes[seed] = self._slopes_along(
                {k: _direction(self.application.inputs[k].shape, seed, k) for k in self.balls}
            )
        return self._slopes[seed]

    def _slopes_along(self, directions: dict[int, Array]) -> dict[int, BallArray]:
        """<g, J v> for each input along its direction."""
        application, f = self.application, Arrays()
        inputs = [
            Dual(exact(x), {k: exact(directions[k])}) if k in directions else entered(x)
            for k, x in enumerate(application.inputs)
        ]
        slopes: dict[int, BallArray] = {k: BallArray(0.0) for k in directions}
        for y, g in zip(
            read_op(application.op, f, inputs, application.attributes, application.outputs),
            application.cotangents,
            strict=True,
        ):
            for k, slope in tangents(y).items():
                slopes[k] = slopes[k] + _inner(broadcast(slope, g.shape), flat_floats(g))
        self.tied |= bool(np.any(f.tied))
        return slopes

    def _differs(self, k: int, v: Array, slope: BallArray) -> bool:
        """True if <contribution, v> certainly differs from <g, J v>, beyond the known distances of its
        elements."""
        claimed = self.application.contributions[k]
        assert claimed is not None
        floats, weights = flat_floats(claimed), v.reshape(-1)
        with np.errstate(all="ignore"):
            difference = _inner(BallArray(floats), weights) - slope
            allowed = self._allowed(k, floats, weights)
            return bool(np.abs(difference.mid) > (float(difference.radius()) + allowed) * (1 + 2.0**-40))

    def _allowed(self, k: int, floats: Array, weights: Array) -> float:
        """Bound of the error of <contribution, v> by the known distances of its elements."""
        ball = self.balls[k]
        mid = ball.mid.reshape(-1)
        if ball.spread is None and not ball.part and np.array_equal(floats, mid):
            return 0.0
        most = np.abs(floats - mid) + ball.radius().reshape(-1)
        if np.isnan(most).any():
            same = (floats == mid) & (ball.radius().reshape(-1) == 0)
            most = np.where(same, 0.0, np.where(np.isnan(most), np.inf, most))
        return float(np.dot(most, np.abs(weights))) * (1 + 2.0**-20)

    def _localised(self, k: int, v: Array) -> ValueVerdict:
        """The verdict on an element that alone is off, located by bisection; UNCHECKED if there is none."""
        claimed = self.application.contributions[k]
        assert claimed is not None
        place = bisect(np.arange(claimed.size), lambda half: self._off(k, v, half))
        unit = np.zeros(v.size)
        unit[place] = 1.0
        truth = self._slopes_along({k: unit.reshape(v.shape)})[k]
        reason = "localised along random directions; no rounding explains the distance"
        verdict = verdict_on_element(claimed, place, truth, reason)
        if verdict is not None:
            return verdict
        reason = "along a random direction the contribution contradicts the op's form for whole arrays, and no element does"
        return ValueVerdict(ValueWord.UNCHECKED, total=claimed.size, reason=reason)

    def _off(self, k: int, v: Array, part: Array) -> bool:
        some = np.zeros(v.size)
        some[part] = v.reshape(-1)[part]
        along = some.reshape(v.shape)
        return self._differs(k, along, self._slopes_along({k: along})[k])


def _inner(a: BallArray, b: Array) -> BallArray:
    """The inner product of flat balls and floats. NumPy adds pairwise, with blocks of 128 in eight lanes, so that few of
    its roundings affect an element (N. J. Higham, The accuracy of floating point summation, SIAM J. Sci. Comput. 14, 1993).
    """
    with np.errstate(all="ignore"):
        products = a.mid.reshape(-1) * b
        mid = products.sum()
        wide = 0.0 if a.spread is None and not a.part else float(np.dot(a.radius().reshape(-1), np.abs(b))) * (1 + 2.0**-20)
        np.abs(products, out=products)
        roundings = 32 + 2 * math.log2(max(products.size, 2))
        return BallArray(mid, wide + products.sum() * (roundings * UNIT) + TINY)


@lru_cache(1)
def _sixteenths() -> Array:
    """Random nonzero multiples of 1/16 between -1 and 1."""
    draws = np.random.default_rng(0).integers(-16, 16, POOL, np.int8)
    pool = (draws + (draws >= 0)) / 16.0
    pool.flags.writeable = False
    return pool


def _direction(shape: tuple[int, ...], seed: int, k: int) -> Array:
    """Multiples of 1/16, different for each seed and input number."""
    size, start = math.prod(shape), STRIDE * (8 * seed + k) % (POOL // 32)
    pool = _sixteenths()
    direction = pool[start : start + size] if start + size <= POOL else np.resize(pool[start:], size)
    return np.asarray(direction.reshape(shape))
