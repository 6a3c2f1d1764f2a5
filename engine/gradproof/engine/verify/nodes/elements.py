"""A large node of an elementwise op: its definition read over all elements at once, in blocks, with its derivatives.

One reading over duals encloses the result and, with the cotangent that the rule really got, every contribution. No rule is
used. What is in doubt, the extremes and a sample are read by Arb, which knows more: poles, conditioning, extended reals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradproof.engine.complexes import Complexes, Pair, pair
from gradproof.engine.spec import Array, is_complex, parts
from gradproof.engine.verify.arrays.ball import BallArray, exact
from gradproof.engine.verify.arrays.conditions import Mask
from gradproof.engine.verify.arrays.dual import Dual, head, spread, tangents
from gradproof.engine.verify.arrays.programs import NoArrays
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.arrays.weights import blocks
from gradproof.engine.verify.numbers.truth import FAR, Application
from gradproof.engine.verify.readings.attributes import in_balls

BLOCK = 1 << 15
AGREE = 2.0**-40
NOTHING = 1e-300


def columns(array: Array) -> Array:
    """The floats of an array, one row for each element, with one or two parts; those of NumPy in their dtype."""
    floats = parts(np.asarray(array))
    width = 2 if array.dtype.kind == "c" else 1
    return np.asarray(floats if floats.dtype.kind in "biuf" else floats.astype(np.float64)).reshape(-1, width)


@dataclass
class Seen:
    """Enclosures by one reading of some elements: the parts of the results, those of the contributions, and where numbers
    were tied that move."""

    heads: list[BallArray]
    truths: list[BallArray]
    tied: Array
    sides: list[list[BallArray]] = field(default_factory=list)
    side_heads: list[list[BallArray]] = field(default_factory=list)

    @property
    def rows(self) -> tuple[list[BallArray], list[BallArray]]:
        """Results and contributions."""
        return self.heads, self.truths

    def at(self, places: Array) -> Seen:
        """The same of some of the elements, without the sides of ties."""
        heads, truths = ([x[places] for x in some] for some in self.rows)
        return Seen(heads, truths, self.tied[places])

    def settled(self) -> Seen:
        """See `BallArray.settled`."""
        heads, truths, *sides = [
            [ball.settled() for ball in row] for row in (self.heads, self.truths, *self.sides, *self.side_heads)
        ]
        return Seen(heads, truths, self.tied, sides[: len(self.sides)], sides[len(self.sides) :])


def together(some: Sequence[Seen]) -> tuple[list[BallArray], list[BallArray]]:
    """The results and the contributions of readings, one after the other."""
    if len(some) == 1:
        return some[0].rows

    def joined(rows: Iterable[list[BallArray]]) -> list[BallArray]:
        return [
            BallArray(np.concatenate([x.mid for x in parts_]), np.concatenate([x.radius() for x in parts_]))
            for parts_ in zip(*rows, strict=True)
        ]

    return joined(x.heads for x in some), joined(x.truths for x in some)


class Elements:
    """The elements of an application of an elementwise op, as columns of floats."""

    def __init__(self, one: Application) -> None:
        self.one, self.count = one, one.results[0].size
        shape = one.results[0].shape
        self.complex = any(is_complex(spec) for spec in (*one.specs, *one.outputs))
        self.inputs = [columns(np.broadcast_to(x, shape)) for x in one.inputs]
        self.cotangents = [columns(np.broadcast_to(g, shape)) for g in one.cotangents]
        self.slots = [k for k, c in enumerate(one.contributions) if c is not None]
        self.claimed = [columns(np.broadcast_to(c, shape)) for c in one.contributions if c is not None]
        self.results = [columns(y) for y in one.results]
        self.directions = [(k, p) for k in self.slots for p in range(self.inputs[k].shape[1])]
        floats = [x for x in self.inputs if x.dtype.kind == "f"]
        self.infinite = any(_any_infinite(x) for x in floats)
        self.far = np.zeros(0)
        if self.infinite:
            sizes = [np.abs(x[np.isfinite(x) & (np.abs(x) >= FAR)]) for x in floats]
            self.far = np.unique(np.concatenate(sizes).astype(np.float64))

    @property
    def given(self) -> tuple[list[Array], list[Array]]:
        """Inputs and cotangents."""
        return self.inputs, self.cotangents

    def blocks(self) -> Iterator[slice]:
        return blocks(self.count, BLOCK)

    def read(self, index: Any) -> Seen:
        """The elements at ``index``. Raises NoArrays, and what a stranger's code raises."""
        seen = self._read(self._inputs(index), index, None)
        if self.infinite:
            self._take_limits(seen, index)
        if seen.tied.any():
            at = np.flatnonzero(seen.tied)
            mine = (np.arange(self.count)[index])[at]
            for lean in self._leanings():
                side = self._read(self._inputs(mine), mine, lean)
                seen.sides.append(side.truths)
                seen.side_heads.append(side.heads)
        return seen

    def _inputs(self, index: Any) -> list[Array]:
        """The rows at ``index``, floats in float64."""
        return [x[index].astype(np.float64, copy=False) if x.dtype.kind == "f" else x[index] for x in self.inputs]

    def _leanings(self) -> Iterator[list[float]]:
        """Steps along which to leave a kink, one for each direction: each comes first, and last, equally often."""
        count = len(self.directions)
        for shift in range(count):
            for sign in (1.0, -1.0):
                yield [sign * ((k + shift) % count + 1) for k in range(count)]

    def _read(self, inputs: Sequence[Array], index: Any, lean: Sequence[float] | None) -> Seen:
        one, f = self.one, Arrays(lean)
        size = len(inputs[0]) if inputs else len(self.results[0][index])
        given = [self._entered(k, x) for k, x in enumerate(inputs)]
        reading: Any = Complexes(f) if self.complex else f
        attributes = in_balls(one.attributes)
        heads: list[BallArray] = []
        truths: list[Any] = [BallArray(0.0)] * len(self.directions)
        with np.errstate(all="ignore"):
            for define, spec, g in zip(one.op.definitions, one.outputs, self.cotangents, strict=True):
                made = define(reading, *given, **attributes)
                weights = g[index]
                for q, part in enumerate(self._parts(f, made, is_complex(spec))):
                    heads.append(spread(head(part), (size,)))
                    for direction, slope in tangents(part).items():
                        truths[direction] = truths[direction] + slope * exact(np.ascontiguousarray(weights[:, q]))
        tied = np.broadcast_to(np.asarray(f.tied, bool), (size,))
        return Seen(heads, [spread(x, (size,)) for x in truths], tied)

    def _entered(self, k: int, x: Array) -> Any:
        """The numbers of an input as the definition takes them."""
        if x.dtype.kind == "b":
            return Mask(x[:, 0])
        if x.dtype.kind in "iu":
            return exact(x[:, 0])
        cells: list[Any] = [exact(np.ascontiguousarray(x[:, p])) for p in range(x.shape[1])]
        if k in self.slots:
            cells = [Dual(x, {self.directions.index((k, p)): BallArray(1.0)}) for p, x in enumerate(cells)]
        if not self.complex:
            return cells[0]
        return Pair(*cells)

    def _parts(self, f: Arrays, made: Any, turned: bool) -> list[Any]:
        if not self.complex or isinstance(made, (bool, Mask)):
            return [f.as_number(made)]
        z = pair(made)
        if turned:
            return [f.number(z.re), f.number(0 if z.is_real else z.im)]
        if not z.is_real:
            raise NoArrays(f"op {self.one.op.name!r}: the definition gives complex numbers")
        return [f.as_number(z.re)]

    # infinite inputs

    def _take_limits(self, seen: Seen, index: Any) -> None:
        """Read elements with infinite inputs as limits: two numbers far out take the place of each (see `truth`)."""
        mine = self._inputs(index)
        at = np.flatnonzero(np.any([np.isinf(x).any(1) for x in mine if x.dtype.kind == "f"], axis=0))
        if not at.size:
            return
        where = (np.arange(self.count)[index])[at]
        a, b = (self._read([self._beyond(x[at], seed, k) for k, x in enumerate(mine)], where, None) for seed in (1, 2))
        tied = np.array(seen.tied)
        tied[at] = a.tied | b.tied
        seen.tied = tied
        for row, first, second, unbounded in (
            (seen.heads, a.heads, b.heads, True),
            (seen.truths, a.truths, b.truths, False),
        ):
            for k, ball in enumerate(row):
                limit = limits(first[k], second[k], unbounded)
                mid, rad = np.array(ball.mid), np.array(ball.radius())
                mid[at], rad[at] = limit.mid, limit.radius()
                row[k] = BallArray(mid, rad)

    def _beyond(self, x: Array, seed: int, which: int) -> Array:
        return x if x.dtype.kind != "f" else beyond(x, self.far, seed, which)


def _any_infinite(x: Array) -> bool:
    """Whether a number is infinite, without a temporary where none is large."""
    return bool(x.size) and not (x.max() < np.inf and x.min() > -np.inf) and bool(np.isinf(x).any())


def beyond(x: Array, far: Array, seed: int, which: int = 0) -> Array:
    """Floats with other numbers far out in the place of those that are, in the same order; of infinite ones each is
    another, in the reverse order with seed 2: what depends on it has no limit. ``far``: all finite magnitudes far out, in
    order; ``which`` input it is, as two have different numbers."""
    random = np.random.default_rng(seed)
    result = np.array(x)
    large = FAR * (np.arange(1, len(far) + 1) + random.integers(1, 200, len(far)) / 256)
    sizes = np.abs(x)
    out = np.isfinite(x) & (sizes >= FAR)
    result[out] = np.sign(x[out]) * large[np.searchsorted(far, sizes[out])]
    infinite = np.isinf(x)
    end = FAR * (len(far) + 2)
    drawn = np.random.default_rng((which, 3)).integers(0, 2**20, int(infinite.sum()))
    drawn = 2**20 - drawn if seed == 2 else drawn
    result[infinite] = np.sign(x[infinite]) * (end * (1 + drawn / 2**20))
    return result


def limits(a: BallArray, b: BallArray, unbounded: bool) -> BallArray:
    """The limits that two readings far out agree on, nan elsewhere; ``unbounded``: they may be infinite."""
    with np.errstate(all="ignore"):
        apart = np.abs(a.mid - b.mid)
        wide = a.radius() + b.radius()
        small = np.maximum(np.abs(a.mid) + a.radius(), np.abs(b.mid) + b.radius()) < NOTHING
        agree = (apart <= np.abs(a.mid) * AGREE + wide) | small
        mid = np.where(agree, a.mid, np.nan)
        rad = np.where(agree, a.radius() + apart, 0.0)
        if unbounded:
            out = (
                ~agree
                & np.isfinite(apart + wide)
                & (a.mid * np.sign(b.mid) > math.sqrt(FAR))
                & (np.abs(b.mid) > math.sqrt(FAR))
            )
            mid = np.where(out, np.sign(a.mid) * np.inf, mid)
        return BallArray(mid, rad)
