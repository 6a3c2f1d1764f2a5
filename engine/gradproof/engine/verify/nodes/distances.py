"""Distances of arrays of floats from their enclosures, with the criteria of `floats.compare` for single floats.

An element is *close* if the farthest point of its ball is; otherwise Arb decides, or an allowance for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gradproof.engine.conventions import Kink
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.arrays import GROW, TINY, BallArray
from gradproof.engine.verify.floats.compare import worse
from gradproof.engine.verify.floats.ulps import NEAREST, close_enough, full, largest, needed_bits, spacing, unit
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import RANGE
from gradproof.engine.verify.verdict.wording import element_text

LOOSE = 2.0**-34
"""Relative radius up to which a float64 that is not shown to be off counts as close: half of the digits, and eight bits
more."""
NOTHING = 64 * 2.0**-1074
"""Bound of the true value, 64 denormal units, below which a float64 0 is right."""
SMALL = 2.0**-900
"""Floats below need balls read `finely`, as radii are at least 2^-1000 otherwise."""
EXPONENT = 0x7FF0 << 48
"""Mask of the exponent bits of a float64, which round it down to a power of 2."""
NORMAL = 2.0**-1022
UP = 1 + 2.0**-50
DOWN = 1 - 2.0**-50


def spacings(x: Array, dtype: DType) -> Array:
    """`ulps.spacing` of an array."""
    sizes = np.abs(x)
    most = largest(dtype)
    with np.errstate(all="ignore"):
        if dtype == np.float64:
            steps = np.spacing(sizes)
        elif dtype.kind == "f":
            steps = np.spacing(sizes.astype(dtype)).astype(np.float64)
        else:  # bfloat16
            powers = np.where(sizes > 0, np.frexp(sizes)[1] - 1, -126)
            steps = np.ldexp(1.0, np.maximum(powers, -126) - 7)
        return np.asarray(np.where(sizes > most / 2, 2 * spacing(most / 4, dtype), steps))


@dataclass(frozen=True)
class Distances:
    """Distances of floats from the truth, for each element. The same infinity has the distance 0.

    Attributes:
        least, most: bounds of the distance; ``most`` is infinite where the truth is unknown.
        step: a unit in the last place.
        size: lower bound of the true magnitude.
        zero: mask of the zeros that are right.
    """

    least: Array
    most: Array
    step: Array
    size: Array
    zero: Array
    dtype: DType

    @property
    def ulps(self) -> Array:
        """Upper bound of the distance in units in the last place."""
        return np.where(self.zero, 0.0, self.most / self.step)

    def close(self) -> Array:
        """Mask of the floats that are close up to the end of their balls."""
        near = close_enough(self.dtype) * self.step
        close = self.most <= near
        if self.dtype == np.float64:
            close |= (self.most <= LOOSE * self.size) & (self.least <= near)
        return np.asarray((close & self.digits()) | self.zero)

    def digits(self, bits: float | None = None) -> Array:
        """Mask of the floats with half of their digits certainly right, or with ``bits``; or with all that a float can
        have."""
        needed = needed_bits(self.dtype) if bits is None else bits
        return np.asarray(self.zero | (self.most <= NEAREST * self.step) | (self.most <= self.size * (DOWN * 2.0**-needed)))


def certainly_close(got: Array, ball: BallArray, dtype: DType) -> tuple[Array, float, int] | None:
    """Mask of the floats that are certainly close, in a few passes; their largest distance in units in the last place, and
    its place. None where midpoints are not finite. Arrays are flat, and ``got`` is float64."""
    if dtype.kind in "biu":
        return (got == ball.mid, 0.0, 0) if ball.spread is None and not ball.part else None
    mid = np.ascontiguousarray(ball.mid)
    power = (mid.view(np.int64) & EXPONENT).view(np.float64)  # a unit is at least this times twice the rounding unit
    if not power.max(initial=0.0) <= largest(dtype) / 4:
        return None
    limit, twice = (close_enough(dtype) if full(dtype) else NEAREST) * DOWN, 2 * unit(dtype)
    with np.errstate(all="ignore"):
        most = got - mid
        np.abs(most, out=most)
        if ball.part or ball.spread is not None:
            if ball.part:
                most += np.abs(mid) * (ball.part * GROW * UP)
            if ball.part or ball.scale != 1:
                most += TINY if ball.spread is None else ball.spread * (ball.scale * GROW * UP) + TINY
            elif ball.spread is not None:
                most += ball.spread
                most *= UP
        near = np.asarray(most <= power * (limit * twice))
        if not near.all():
            rest = np.flatnonzero(~near)
            still = (mid[rest] == 0) if ball.spread is None else (mid[rest] == 0) & (ball[rest].radius() == 0)
            near[rest] = (got[rest] == 0) & (still | (most[rest] <= NOTHING))
            most = np.where(near, most, 0.0)
        np.maximum(power, NORMAL, out=power)
        most /= power
        top = int(most.argmax()) if most.size else 0
        return near, float(most[top]) / twice if most.size else 0.0, top


def distances(got: Array, mid: Array, rad: Array, dtype: DType, beside: Array | None = None) -> Distances:
    """Distances of floats from balls; flat arrays in float64. ``beside``: the midpoints of the other parts of complex
    numbers, whose larger part defines the unit."""
    with np.errstate(all="ignore"):
        difference = np.abs(got - mid)
        most = (difference + rad) * UP
        least = np.maximum(difference * DOWN - rad * UP, 0.0)
        most[np.isnan(most)] = np.inf
        least[np.isnan(least)] = 0.0
        least[np.isnan(got) & np.isfinite(mid) & np.isfinite(rad)] = np.inf
        same = (got == mid) & (rad == 0)  # infinities too
        most[same] = 0.0
        least[same] = 0.0
        size = np.maximum(np.abs(mid) - rad, 0.0)
        at = np.where(np.isfinite(mid), mid, 0.0)
        if beside is not None:
            sizes_beside = np.where(np.isfinite(beside), np.abs(beside), 0.0)
            size = np.maximum(size, sizes_beside * DOWN - rad)
            at = np.maximum(np.abs(at), np.minimum(sizes_beside, largest(dtype) / 2))
        size[np.isnan(size)] = 0.0
        return Distances(least, most, spacings(at, dtype), size, (got == 0) & (most <= NOTHING), dtype)


def needs_fine_radii(got: Array, ball: BallArray) -> bool:
    """True if some floats are so small that their balls show digits only if read `finely`."""
    if got.dtype != np.float64 or (ball.spread is None and not ball.part):
        return False
    with np.errstate(all="ignore"):
        small = np.abs(got) < SMALL
        if not small.any():
            return False
        some = ball[small]
        mid, rad = some.mid, some.radius()
        return bool(((rad > 0) & (rad < SMALL) & (np.abs(mid) < SMALL)).any())


def overflowed(got: Array, mid: Array, rad: Array, dtype: DType) -> Array:
    """Mask of the infinities whose true value is beyond the largest number, with the same sign."""
    with np.errstate(all="ignore"):
        return np.asarray(np.isinf(got) & ((np.abs(mid) - rad) >= largest(dtype)) & (np.sign(got) == np.sign(mid)))


def overflow_reason(dtype: DType) -> str:
    """The reason of an OVERFLOWED verdict."""
    return f"the true value is beyond the largest {dtype.name}; {RANGE}"


@dataclass
class Tally:
    """The worst verdict on an array so far; ``total`` elements of ``shape``."""

    shape: tuple[int, ...]
    total: int
    worst: ValueVerdict = field(default_factory=lambda: ValueVerdict(ValueWord.ENCLOSED))

    def note(self, verdict: ValueVerdict) -> None:
        """Take over a verdict if it is worse."""
        self.worst = worse(self.worst, verdict)

    def place(self, flat: int) -> str:
        """The index of the element at a flat place, as text."""
        return element_text(flat, self.shape)

    def note_close(self, ulps: Array) -> None:
        """Note the distances of elements that are close."""
        if ulps.size:
            self.note(ValueVerdict(ValueWord.ENCLOSED, float(ulps.max())))


def at_kinks(got: Array, sides: Sequence[BallArray], kink: Kink | None, dtype: DType) -> tuple[Array, Array]:
    """Masks of the elements whose one-sided derivatives certainly differ, and of those whose float is the op's convention,
    or lies between the sides if there is none."""
    mids = np.stack([side.mid for side in sides])
    rads = np.stack([side.radius() for side in sides])
    with np.errstate(all="ignore"):
        different = (mids - rads).max(0) > (mids + rads).min(0)
        near, least = close_enough(dtype), np.where(got == 0, NOTHING, 0.0)
        if kink is None:
            inside = (got >= mids.min(0)) & (got <= mids.max(0))
            close = (np.abs(got - mids) + rads <= np.maximum(near * spacings(mids, dtype), least)).any(0)
            return different, np.asarray(np.isfinite(mids).all(0) & (inside | close))
        if kink is Kink.MEAN:
            mid, rad = mids.mean(0), rads.mean(0) + np.abs(mids).max(0) * (len(sides) * 2.0**-53)
            least = np.maximum(least, near * spacings(np.abs(mids).max(0), dtype))  # the sides may cancel
        else:
            order = np.abs(mids).argmin(0) if kink is Kink.SMALLEST else np.abs(mids).argmax(0)
            mid, rad = (np.take_along_axis(x, order[None], 0)[0] for x in (mids, rads))
        return different, np.asarray(np.abs(got - mid) + rad <= np.maximum(near * spacings(mid, dtype), least))


def flat_floats(array: Array) -> Array:
    """An array as float64, in a row."""
    return np.asarray(array).astype(np.float64, copy=False).reshape(-1)
