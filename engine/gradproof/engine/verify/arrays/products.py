"""Matrix products of balls.

The product of two exact matrices is taken apart without error: A = A₁ + A₂ and B = B₁ + B₂, where A₁ and B₁ have so few
bits that float64 holds A₁ B₁ exactly (K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, Error-free transformations of matrix
multiplication, Numer. Algorithms 59, 2012). The rest A₁ B₂ + A₂ B is small, and so is its rounding. Radii come from the
norms of rows and columns, by Cauchy and Schwarz: that costs n² where a product of magnitudes would cost n³.

Rows of A and columns of B are brought to at most 1 first, by powers of 2. One with a number in it that is not finite makes
its row or column of the product unknown, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import GROW, TINY, UNIT, BallArray
from gradproof.engine.verify.arrays.sums import MARGIN, wandering

FLOOR = 2.0**-500
"""Beside norms, for what underflows on the way."""
COARSE = 2.0**-46
"""A relative radius from which on the rounding of a plain product does not count."""
ROOM = 1 << 22
"""Numbers of products that are held at once."""


def product_of(a: BallArray, b: BallArray, unit: float | None = None, *, running: bool = False) -> BallArray:
    """The matrix product as NumPy has it, of vectors and batches too. ``unit`` None: the truth; else what an evaluation
    with that rounding unit gives, in any order, or, if ``running``, in a usual one."""
    row, column = a.ndim == 1, b.ndim == 1
    left = a.moved(lambda x: x[None]) if row else a
    right = b.moved(lambda x: x[:, None]) if column else b
    with np.errstate(all="ignore"):
        found = _product(left, right, unit, running=running)
    if column:
        found = found.moved(lambda x: x[..., 0])
    return found.moved(lambda x: x[..., 0, :] if not column else x[..., 0]) if row else found


@dataclass(frozen=True)
class Side:
    """A factor whose lines along ``axis`` are at most 1: times 2^``exponent`` they are what was given."""

    scaled: Array
    rad: Array | None
    exponent: Array
    known: Array
    axis: int
    terms: int

    @cached_property
    def norm(self) -> Array:
        return self.norm_of(self.scaled)

    @cached_property
    def wide(self) -> Array:
        """The norms of the radii."""
        return np.zeros_like(self.norm) if self.rad is None else self.norm_of(self.rad)

    def norm_of(self, x: Array) -> Array:
        """At least the norms of lines; 0 for a line of zeros only."""
        squares = np.einsum("...ij,...ij->...j" if self.axis == -2 else "...ij,...ij->...i", x, x)
        some = np.abs(x).max(axis=self.axis, initial=0.0) > 0
        return np.asarray(np.where(some, np.sqrt(squares) * (1 + (self.terms + 8) * UNIT) + FLOOR, 0.0))

    def is_exact(self, given: Array) -> bool:
        """Whether nothing of what was given was lost where it was brought to at most 1."""
        low, high = int(self.exponent.min(initial=0)), int(self.exponent.max(initial=0))
        return low > -1000 and high < 1000 and bool((self.scaled * np.ldexp(1.0, self.powers) == given).all())

    @property
    def powers(self) -> Array:
        return np.expand_dims(self.exponent, self.axis)

    def split(self, bits: int) -> tuple[Array, Array]:
        """The first ``bits`` bits after the point, and the rest."""
        sigma = 1.5 * 2.0 ** (52 - bits)
        first = (self.scaled + sigma) - sigma
        return first, self.scaled - first


def _side(x: BallArray, axis: int) -> Side:
    top = np.maximum(x.mid.max(axis=axis, initial=0.0), -x.mid.min(axis=axis, initial=0.0))
    rad = x.rad
    if rad is not None:
        rad = x.radius()
        known = np.isfinite(top) & np.isfinite(rad.max(axis=axis, initial=0.0))
    else:
        known = np.isfinite(top)
    exponent = np.maximum(np.frexp(np.where(known, top, 1.0))[1], -1021)
    factor = np.expand_dims(np.ldexp(1.0, -exponent), axis)
    if known.all():
        scaled = x.mid * factor
        wide = None if rad is None else rad * factor
    else:
        there = np.expand_dims(known, axis)
        scaled = np.where(there, x.mid, 0.0) * factor
        wide = None if rad is None else np.where(there, rad, 0.0) * factor
    return Side(scaled, wide, exponent, known, axis, x.shape[axis])


def _product(a: BallArray, b: BallArray, unit: float | None, *, running: bool) -> BallArray:
    terms = a.shape[-1]
    left, right = _side(a, -1), _side(b, -2)
    pairs: list[tuple[Array, Array]] = []  # of which each adds the product of its norms to the radius
    if unit is not None:
        mid = left.scaled @ right.scaled
        charge = terms * UNIT if running else terms * (unit + UNIT)
        pairs.append((charge * left.norm, right.norm))
        once = 0.0
    elif terms == 1 or _is_coarse(a, b, left, right):
        mid = left.scaled @ right.scaled
        pairs.append((terms * UNIT * left.norm, right.norm))
        once = 0.0
    else:
        bits = (53 - (terms - 1).bit_length()) // 2
        a1, a2 = left.split(bits)
        b1, b2 = right.split(bits)
        mid = a1 @ b1
        if a2.any() or b2.any():
            mid += a1 @ b2 + a2 @ right.scaled
            rest = (terms + 3) * UNIT
            small = rest * left.norm_of(a2) + FLOOR * left.norm  # what is lost where numbers are brought to at most 1
            pairs += [(rest * left.norm_of(a1), right.norm_of(b2)), (small, right.norm)]
            once = UNIT
        else:
            once = 0.0
            if not (left.is_exact(a.mid) and right.is_exact(b.mid)):
                pairs.append((FLOOR * left.norm, right.norm))
    if left.rad is not None:
        pairs.append((left.wide, right.norm + right.wide))
    if right.rad is not None:
        pairs.append((left.norm, right.wide))
    rad = _outer(pairs)
    if once:
        rad = np.abs(mid) * once if rad is None else np.abs(mid) * once + rad
    if running and unit is not None:
        rad = (0.0 if rad is None else rad) + MARGIN * unit * _wanderings(left.scaled, right.scaled)
    return _unscaled(mid, rad, left, right, max(a.unit, b.unit))


def _is_coarse(a: BallArray, b: BallArray, left: Side, right: Side) -> bool:
    """Whether splitting does not pay: the numbers came from a narrower dtype, whose products float64 holds, or radii are
    wide."""
    if a.rad is None and b.rad is None:
        return _is_single(a.mid) and _is_single(b.mid)
    for side in (left, right):
        if side.rad is not None and side.norm.size and (side.wide > COARSE * side.norm).mean() > 0.5:
            return True
    return False


def _is_single(x: Array) -> bool:
    """Whether float32 holds all numbers; the first few mostly tell."""
    first = x[(0,) * (x.ndim - 1)][:16] if x.size else x
    return bool((first.astype(np.float32) == first).all() and (x.astype(np.float32) == x).all())


def _outer(pairs: list[tuple[Array, Array]]) -> Array | None:
    """The sum of the outer products of norms, rounded up."""
    if not pairs:
        return None
    rows = np.stack([p for p, _ in pairs], axis=-1)
    columns = np.stack([q for _, q in pairs], axis=-2)
    return np.asarray((rows @ columns) * GROW)


def _wanderings(a: Array, b: Array) -> Array:
    """For each element of a product the magnitudes of the partial sums, in the usual order in which these are largest."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    a, b = np.broadcast_to(a, (*batch, n, k)), np.broadcast_to(b, (*batch, k, m))
    found = np.empty((*batch, n, m))
    step = max(1, ROOM // max(k * m, 1))
    for index in np.ndindex(batch):
        for start in range(0, n, step):
            terms = np.transpose(a[index][start : start + step])[:, :, None] * b[index][:, None, :]
            sizes = np.abs(terms).sum(axis=0)  # of the products themselves, each rounded once
            found[index][start : start + step] = wandering(terms.reshape(k, -1)).reshape(-1, m) + sizes
    return found


def _unscaled(mid: Array, rad: Array | None, left: Side, right: Side, unit: float) -> BallArray:
    exponent = left.exponent[..., :, None] + right.exponent[..., None, :]
    low, high = int(exponent.min(initial=0)), int(exponent.max(initial=0))
    power = np.ldexp(1.0, exponent) if low > -1000 and high < 1000 else None
    mid = mid * power if power is not None else np.ldexp(mid, exponent)
    if rad is not None:
        rad = rad * power if power is not None else np.ldexp(rad, exponent)
    if low < -900:  # the result may have underflowed, and products on the way
        lost = np.full(mid.shape, TINY * max(left.terms, 1))
        rad = lost if rad is None else rad + lost
    if not (left.known.all() and right.known.all()):
        unknown = ~(left.known[..., :, None] & right.known[..., None, :])
        mid = np.where(unknown, np.nan, mid)
    return BallArray(mid, rad, unit)
