"""Matrix products of balls.

The product of two exact matrices is split without error: A = A₁ + A₂ and B = B₁ + B₂, where A₁ and B₁ have so few bits that
float64 holds A₁ B₁ exactly (K. Ozaki, T. Ogita, S. Oishi and S. M. Rump, Error-free transformations of matrix
multiplication, Numer. Algorithms 59, 2012). The rest A₁ B₂ + A₂ B is small, and so is its rounding. Radii come from the
norms of rows and columns, by the Cauchy-Schwarz inequality, at the cost of n² instead of n³ for a product of magnitudes.

Rows of A and columns of B are first scaled to at most 1, by powers of 2. A number that is not finite makes its row or
column of the product unknown, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradproof.engine.cancellation import look
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import GROW, UNIT, BallArray
from gradproof.engine.verify.arrays.flags import FLAGS
from gradproof.engine.verify.arrays.sums import MARGIN, partial_sum_sizes

FLOOR = 2.0**-500
"""Absolute error beside the norms of scaled lines, for underflow."""
COARSE = 2.0**-46
"""Relative radius above which the rounding of a plain product does not count."""
BLOCK = 1 << 15  # numbers of a block of rows, whose intermediate results stay in the cache of a core
ORDERS = (1, 2, 16)  # lanes in which a library adds the terms of a product
MANY = 16
"""An exact zero is searched element by element if at most one in this number of elements is 0."""
ROOM = 1 << 20
"""Largest number of products in memory at once."""


def product_of(a: BallArray, b: BallArray, unit: float | None = None, *, running: bool = False) -> BallArray:
    """The matrix product, with ``np.matmul``'s shapes.

    Args:
        unit: None for the true product, else unit roundoff of an evaluation that adds in any order.
        running: the evaluation adds in a usual order, which costs less.
    """
    row, column = a.ndim == 1, b.ndim == 1
    left = a.moved(lambda x: x[None]) if row else a
    right = b.moved(lambda x: x[:, None]) if column else b
    with np.errstate(all="ignore"):
        product = _in_blocks(left, right, unit, running=running)
        if unit is None and product.rad is not None and not product.mid.all():
            product = _with_exact_zeros(product, left, right)
    if column:
        product = product.moved(lambda x: x[..., 0])
    return product.moved(lambda x: x[..., 0, :] if not column else x[..., 0]) if row else product


def _in_blocks(a: BallArray, b: BallArray, unit: float | None, *, running: bool) -> BallArray:
    """The product by blocks of rows, whose intermediate results stay in the cache."""
    right = _scaled_operand(b, -2)
    n, k = a.shape[-2:]
    step = max(256, BLOCK // max(k, 1))
    if a.ndim > 2 or n < 2 * step:
        return _product(a, b, right, unit, running=running)
    parts = [_product(a[start : start + step], b, right, unit, running=running) for start in range(0, n, step)]
    mid = np.concatenate([part.mid for part in parts])
    exact = all(part.rad is None for part in parts)
    return BallArray(mid, None if exact else np.concatenate([part.radius() for part in parts]), parts[0].unit)


def _with_exact_zeros(product: BallArray, a: BallArray, b: BallArray) -> BallArray:
    """The product with radius 0 where each term has a factor that is exactly 0."""
    rad = product.radius()
    at = np.nonzero((product.mid == 0) & (rad > 0))
    if not at[0].size:
        return product
    left, right = ((x.mid != 0) | (x.radius() != 0) for x in (a, b))  # nan too
    if at[0].size * MANY > product.size:
        nothing = (left.astype(np.float32) @ right.astype(np.float32))[at] == 0
    else:
        *batch, rows, columns = at
        lines = np.broadcast_to(left, (*product.shape[:-2], *left.shape[-2:]))[(*batch, rows)]
        others = np.swapaxes(np.broadcast_to(right, (*product.shape[:-2], *right.shape[-2:])), -1, -2)[(*batch, columns)]
        nothing = ~(lines & others).any(axis=-1)
    rad = np.array(rad)
    rad[tuple(index[nothing] for index in at)] = 0.0
    return BallArray(product.mid, rad, product.unit)


@dataclass(frozen=True)
class ScaledOperand:
    """A factor scaled so that its lines along ``axis`` are at most 1; it was 2^``exponent`` times that.

    Attributes:
        known: mask of the lines without a number that is not finite.
        some: `FLOOR` for lines that are not all 0, else 0.
        terms: length of a line.
    """

    scaled: Array
    rad: Array | None
    exponent: Array
    known: Array
    some: Array
    axis: int
    terms: int

    @cached_property
    def norm(self) -> Array:
        """Upper bounds of the norms of the lines."""
        return self.norm_of(self.scaled)

    @cached_property
    def wide(self) -> Array:
        """Upper bounds of the norms of the radii."""
        if self.rad is None:
            return np.zeros_like(self.norm)
        return self.norm_of(self.rad) + np.where(self.rad.max(axis=self.axis, initial=0.0) > 0, FLOOR, 0.0)

    def norm_of(self, x: Array) -> Array:
        """Upper bounds of the norms of the lines of ``x``, which is a part of these; 0 for a line of zeros."""
        squares = np.einsum("...ij,...ij->...j" if self.axis == -2 else "...ij,...ij->...i", x, x)
        return np.asarray(np.sqrt(squares) * (1 + (self.terms + 8) * UNIT) + self.some)

    @cached_property
    def is_single(self) -> bool:
        """True if float32 holds all numbers, but for their range; the first few decide it mostly."""
        x = self.scaled
        first = x[(0,) * (x.ndim - 1)][:16] if x.size else x
        return bool((first.astype(np.float32) == first).all() and (x.astype(np.float32) == x).all())

    def is_exact(self, original: Array) -> bool:
        """True if the scaling lost nothing of the original."""
        low, high = int(self.exponent.min(initial=0)), int(self.exponent.max(initial=0))
        return low > -1000 and high < 1000 and bool((self.scaled * np.ldexp(1.0, self.powers) == original).all())

    @property
    def powers(self) -> Array:
        """The scale of each line, in the shape of the factor."""
        return np.expand_dims(self.exponent, self.axis)

    @cached_property
    def halves(self) -> tuple[Array, Array]:
        """The leading bits, few enough for products of them to be added exactly, and the rest."""
        bits = (53 - (self.terms - 1).bit_length()) // 2
        sigma = 1.5 * 2.0 ** (52 - bits)
        first = (self.scaled + sigma) - sigma
        return first, self.scaled - first

    @cached_property
    def rest(self) -> Array:
        """Upper bounds of the norms of the second halves, 0 where there are none."""
        second = self.halves[1]
        norms = self.norm_of(second)
        return norms if second.any() else np.zeros_like(norms)


def _scaled_operand(x: BallArray, axis: int) -> ScaledOperand:
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
    some = np.where(known & (top > 0), FLOOR, 0.0)
    return ScaledOperand(scaled, wide, exponent, known, some, axis, x.shape[axis])


def _product(a: BallArray, b: BallArray, right: ScaledOperand, unit: float | None, *, running: bool) -> BallArray:
    terms = a.shape[-1]
    look()
    left = _scaled_operand(a, -1)
    pairs: list[tuple[Array, Array]] = []  # each adds the outer product of its norms to the radius
    once = 0.0  # relative rounding of the final addition
    if unit is not None:
        mid = left.scaled @ right.scaled
        charge = terms * UNIT if running else terms * (unit + UNIT)
        pairs.append((charge * left.norm, right.norm))
    elif terms == 1 or _is_coarse(left, right):
        mid = left.scaled @ right.scaled
        pairs.append((terms * UNIT * left.norm, right.norm))
    else:
        a1, a2 = left.halves
        b1, b2 = right.halves
        mid = a1 @ b1
        if a2.any() or right.rest.any():
            low = a1 @ b2
            low += a2 @ right.scaled
            mid += low  # rounded once
            rest = (terms + 3) * UNIT
            second = left.norm_of(a2)
            small = rest * second + FLOOR * left.norm  # lost by the scaling
            pairs += [(rest * (left.norm + second), right.rest), (small, right.norm)]
            once = UNIT * GROW
        elif not (left.is_exact(a.mid) and right.is_exact(b.mid)):
            pairs.append((FLOOR * left.norm, right.norm))
    if left.rad is not None:
        pairs.append((left.wide, right.norm + right.wide))
    if right.rad is not None:
        pairs.append((left.norm, right.wide))
    rad = _outer(pairs)
    if once:
        size = np.abs(mid)
        size *= once
        rad = size if rad is None else np.add(rad, size, out=rad)
    if running and unit is not None:
        more = MARGIN * unit * _partial_sum_sizes(left.scaled, right.scaled)
        rad = more if rad is None else rad + more
    return _unscaled(mid, rad, left, right, max(a.unit, b.unit))


def _is_coarse(left: ScaledOperand, right: ScaledOperand) -> bool:
    """True if splitting does not pay: the numbers came from a narrower dtype, whose products float64 holds, or radii are
    wide."""
    if left.rad is None and right.rad is None:
        return left.is_single and right.is_single
    for side in (left, right):
        if side.rad is not None and side.norm.size and (side.wide > COARSE * side.norm).mean() > 0.5:
            return True
    return False


def _outer(pairs: list[tuple[Array, Array]]) -> Array | None:
    """The sum of the outer products of pairs of norms, rounded up."""
    if not pairs:
        return None
    rows = np.stack([p for p, _ in pairs], axis=-1)
    columns = np.stack([q for _, q in pairs], axis=-2)
    return np.asarray((rows @ columns) * GROW)


def _partial_sum_sizes(a: Array, b: Array) -> Array:
    """The sum of the magnitudes of the partial sums of each element, in the usual order in which it is largest."""
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    n, k, m = a.shape[-2], a.shape[-1], b.shape[-1]
    a, b = np.broadcast_to(a, (*batch, n, k)), np.broadcast_to(b, (*batch, k, m))
    sums = np.zeros((*batch, n, m))
    step = max(1, ROOM // max(k * m, 1))
    for index in np.ndindex(batch) if k and m else ():
        for start in range(0, n, step):
            look()
            terms = np.transpose(a[index][start : start + step])[:, :, None] * b[index][:, None, :]
            sizes = np.abs(terms).sum(axis=0)  # of the products, each rounded once
            sums[index][start : start + step] = partial_sum_sizes(terms.reshape(k, -1), ORDERS).reshape(-1, m) + sizes
    return sums


def _unscaled(mid: Array, rad: Array | None, left: ScaledOperand, right: ScaledOperand, unit: float) -> BallArray:
    rows, columns = left.exponent[..., :, None], right.exponent[..., None, :]
    least = int(rows.min(initial=0)), int(columns.min(initial=0))
    most = int(rows.max(initial=0)), int(columns.max(initial=0))
    near = min(least) > -450 and max(most) < 450
    if near:
        powers = np.ldexp(1.0, rows), np.ldexp(1.0, columns)
        for array in (mid,) if rad is None else (mid, rad):
            for power in powers:
                array *= power
    else:
        mid = np.ldexp(mid, rows + columns)
        rad = None if rad is None else np.ldexp(rad, rows + columns)
    if not near and sum(least) < -900:  # the result, or products on the way, may have underflowed
        lost = np.full(mid.shape, 4 * FLAGS.tiny * max(left.terms, 1))
        rad = lost if rad is None else rad + lost
    if not (left.known.all() and right.known.all()):
        unknown = ~(left.known[..., :, None] & right.known[..., None, :])
        mid = np.where(unknown, np.nan, mid)
    return BallArray(mid, rad, unit)
