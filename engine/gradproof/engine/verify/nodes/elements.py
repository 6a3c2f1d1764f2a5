"""The elements of a large node of an elementwise op: its definition read over all elements at once, in blocks.

A reading over duals encloses the result and, with the cotangent that the rule received, every contribution. No rule is
used. Doubtful elements, the extremes and a sample are read by Arb, which knows poles, conditioning and extended reals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradproof.engine.complexes import Complexes, Pair, pair
from gradproof.engine.spec import Array, is_complex, parts
from gradproof.engine.verify.arrays import Arrays, BallArray, Dual, Mask, NoArrays, blocks, broadcast, exact, head, tangents
from gradproof.engine.verify.numbers import FAR, Application
from gradproof.engine.verify.readings.attributes import in_balls

BLOCK = 1 << 15
ALIKE = 3
"""The seed of substitutes that are the same number for all infinities of a sign."""
AGREE = 2.0**-40
NOTHING = 1e-300


def columns(array: Array) -> Array:
    """The floats of an array, a row per element, with one or two parts; NumPy's dtypes are kept."""
    floats = parts(np.asarray(array))
    width = 2 if array.dtype.kind == "c" else 1
    return np.asarray(floats if floats.dtype.kind in "biuf" else floats.astype(np.float64)).reshape(-1, width)


@dataclass
class Enclosures:
    """Enclosures of some elements.

    Attributes:
        results, contributions: a ball array for each part of a result or contribution.
        tied: mask of the elements where equal numbers with derivatives were compared.
        contributions_beside, results_beside: the same on the sides of these ties.
    """

    results: list[BallArray]
    contributions: list[BallArray]
    tied: Array
    contributions_beside: list[list[BallArray]] = field(default_factory=list)
    results_beside: list[list[BallArray]] = field(default_factory=list)

    @property
    def rows(self) -> tuple[list[BallArray], list[BallArray]]:
        """Results and contributions."""
        return self.results, self.contributions

    def at(self, places: Array) -> Enclosures:
        """The enclosures of some elements, without the sides of ties."""
        results, contributions = ([x[places] for x in some] for some in self.rows)
        return Enclosures(results, contributions, self.tied[places])

    def fixed(self) -> Enclosures:
        """The enclosures with fixed radii (see `BallArray.fixed`)."""
        results, contributions, *contributions_beside = [
            [ball.fixed() for ball in row]
            for row in (self.results, self.contributions, *self.contributions_beside, *self.results_beside)
        ]
        return Enclosures(
            results,
            contributions,
            self.tied,
            contributions_beside[: len(self.contributions_beside)],
            contributions_beside[len(self.contributions_beside) :],
        )


def concatenated(some: Sequence[Enclosures]) -> tuple[list[BallArray], list[BallArray]]:
    """The results and the contributions of several enclosures, concatenated."""
    if len(some) == 1:
        return some[0].rows

    def joined(rows: Iterable[list[BallArray]]) -> list[BallArray]:
        return [
            BallArray(np.concatenate([x.mid for x in balls]), np.concatenate([x.radius() for x in balls]))
            for balls in zip(*rows, strict=True)
        ]

    return joined(x.results for x in some), joined(x.contributions for x in some)


class Elements:
    """The elements of an application of an elementwise op, as columns of floats."""

    def __init__(self, application: Application) -> None:
        self.application, self.count = application, application.results[0].size
        shape = application.results[0].shape
        self.complex = any(is_complex(spec) for spec in (*application.specs, *application.outputs))
        self.inputs = [columns(np.broadcast_to(x, shape)) for x in application.inputs]
        self.cotangents = [columns(np.broadcast_to(g, shape)) for g in application.cotangents]
        self.slots = [k for k, c in enumerate(application.contributions) if c is not None]
        self.claimed = [columns(np.broadcast_to(c, shape)) for c in application.contributions if c is not None]
        self.results = [columns(y) for y in application.results]
        self.directions = [(k, p) for k in self.slots for p in range(self.inputs[k].shape[1])]
        floats = [x for x in self.inputs if x.dtype.kind == "f"]
        self.infinite = any(_any_infinite(x) for x in floats)
        self.far = np.zeros(0)
        if self.infinite:
            sizes = [np.abs(x[np.isfinite(x) & (np.abs(x) >= FAR)]) for x in floats]
            self.far = np.unique(np.concatenate(sizes).astype(np.float64))

    @property
    def operands(self) -> tuple[list[Array], list[Array]]:
        """Inputs and cotangents."""
        return self.inputs, self.cotangents

    def blocks(self) -> Iterator[slice]:
        return blocks(self.count, BLOCK)

    def read(self, index: Array | slice) -> Enclosures:
        """Enclose the elements at ``index``. Raises NoArrays, and any exception of the definition."""
        enclosures = self._read(self._inputs(index), index, None)
        if self.infinite:
            self._take_limits(enclosures, index)
        if enclosures.tied.any():
            at = np.flatnonzero(enclosures.tied)
            places = (np.arange(self.count)[index])[at]
            for perturbation in self._perturbations():
                side = self._read(self._inputs(places), places, perturbation)
                enclosures.contributions_beside.append(side.contributions)
                enclosures.results_beside.append(side.results)
        return enclosures

    def _inputs(self, index: Array | slice) -> list[Array]:
        """The rows at ``index``, floats in float64."""
        return [x[index].astype(np.float64, copy=False) if x.dtype.kind == "f" else x[index] for x in self.inputs]

    def _perturbations(self) -> Iterator[list[float]]:
        """Steps along which to leave a kink: in turn each direction has the smallest step and the largest."""
        count = len(self.directions)
        for shift in range(count):
            for sign in (1.0, -1.0):
                yield [sign * ((k + shift) % count + 1) for k in range(count)]

    def _read(self, inputs: Sequence[Array], index: Array | slice, perturbation: Sequence[float] | None) -> Enclosures:
        application, f = self.application, Arrays(perturbation)
        size = len(inputs[0]) if inputs else len(self.results[0][index])
        arguments = [self._entered(k, x) for k, x in enumerate(inputs)]
        reading: Any = Complexes(f) if self.complex else f
        attributes = in_balls(application.attributes)
        results: list[BallArray] = []
        contributions: list[Any] = [BallArray(0.0)] * len(self.directions)
        with np.errstate(all="ignore"):
            for define, spec, g in zip(application.op.definitions, application.outputs, self.cotangents, strict=True):
                output = define(reading, *arguments, **attributes)
                weights = g[index]
                for q, part in enumerate(self._parts(f, output, is_complex(spec))):
                    results.append(broadcast(head(part), (size,)))
                    for direction, slope in tangents(part).items():
                        contributions[direction] = contributions[direction] + slope * exact(
                            np.ascontiguousarray(weights[:, q])
                        )
        tied = np.broadcast_to(np.asarray(f.tied, bool), (size,))
        return Enclosures(results, [broadcast(x, (size,)) for x in contributions], tied)

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

    def _parts(self, f: Arrays, output: Any, output_is_complex: bool) -> list[Any]:
        if not self.complex or isinstance(output, (bool, Mask)):
            return [f.as_number(output)]
        z = pair(output)
        if output_is_complex:
            return [f.number(z.re), f.number(0 if z.is_real else z.im)]
        if not z.is_real:
            raise NoArrays(f"op {self.application.op.name!r}: the definition gives complex numbers")
        return [f.as_number(z.re)]

    # infinite inputs

    def _take_limits(self, enclosures: Enclosures, index: Array | slice) -> None:
        """Read elements with infinite inputs as limits: two large numbers take the place of each infinity (see `truth`)."""
        inputs = self._inputs(index)
        at = np.flatnonzero(np.any([np.isinf(x).any(1) for x in inputs if x.dtype.kind == "f"], axis=0))
        if not at.size:
            return
        where = (np.arange(self.count)[index])[at]
        a, b = (
            self._read([self._substituted(x[at], seed, k) for k, x in enumerate(inputs)], where, None) for seed in (1, 2)
        )
        tied = np.array(enclosures.tied)
        tied[at] = a.tied | b.tied
        enclosures.tied = tied
        for row, first, second, unbounded in (
            (enclosures.results, a.results, b.results, True),
            (enclosures.contributions, a.contributions, b.contributions, False),
        ):
            for k, ball in enumerate(row):
                limit = limits(first[k], second[k], unbounded)
                mid, rad = np.array(ball.mid), np.array(ball.radius())
                against = _contradicts(ball[at], limit)  # as with equal(inf, inf)
                mid[at], rad[at] = np.where(against, np.nan, limit.mid), limit.radius()
                row[k] = BallArray(mid, rad)

    def _substituted(self, x: Array, seed: int, which: int) -> Array:
        return x if x.dtype.kind != "f" else far_substitutes(x, self.far, seed, which)


def _any_infinite(x: Array) -> bool:
    """True if a number is infinite, without a temporary array where none is large."""
    return bool(x.size) and not (x.max() < np.inf and x.min() > -np.inf) and bool(np.isinf(x).any())


def far_substitutes(x: Array, far: Array, seed: int, which: int = 0) -> Array:
    """Floats with other large numbers in place of the large ones, in the same order. Infinite numbers become different
    numbers, in reverse order with seed 2: a function of them has no limit. With the seed `ALIKE` those of a sign become the
    same number: the middle one of three is the same in an order and its reverse.

    Args:
        far: all finite magnitudes from `FAR` on, in order.
        which: number of the input, as two inputs get different numbers.
    """
    random = np.random.default_rng(seed)
    result = np.array(x)
    large = FAR * (np.arange(1, len(far) + 1) + random.integers(1, 200, len(far)) / 256)
    sizes = np.abs(x)
    out = np.isfinite(x) & (sizes >= FAR)
    result[out] = np.sign(x[out]) * large[np.searchsorted(far, sizes[out])]
    infinite = np.isinf(x)
    end = FAR * (len(far) + 2)
    offsets = np.random.default_rng((which, 3)).integers(0, 2**20, int(infinite.sum()))
    offsets = np.full_like(offsets, 2**19) if seed == ALIKE else 2**20 - offsets if seed == 2 else offsets
    result[infinite] = np.sign(x[infinite]) * (end * (1 + offsets / 2**20))
    return result


def _contradicts(a: BallArray, b: BallArray) -> Array:
    """Mask of the elements where two readings are finite and have no number in common."""
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(a.mid - b.mid) > (a.radius() + b.radius()) * (1 + 2.0**-40) + NOTHING)


def common_limits(readings: Sequence[BallArray]) -> BallArray:
    """The limits of results that all readings far out agree on, nan elsewhere; of a single reading its balls."""
    first, *others = readings
    if not others:
        return first
    second, *rest = [limits(first, other, True) for other in others]
    unknown = np.any([np.isnan(ball.mid) for ball in rest], axis=0)
    return BallArray(np.where(unknown, np.nan, second.mid), second.radius())


def limits(a: BallArray, b: BallArray, unbounded: bool) -> BallArray:
    """The limits that two readings far out agree on, nan elsewhere; ``unbounded``: limits may be infinite."""
    with np.errstate(all="ignore"):
        difference = np.abs(a.mid - b.mid)
        wide = a.radius() + b.radius()
        small = np.maximum(np.abs(a.mid) + a.radius(), np.abs(b.mid) + b.radius()) < NOTHING
        agree = (difference <= np.abs(a.mid) * AGREE + wide) | small
        mid = np.where(agree, a.mid, np.nan)
        rad = np.where(agree, a.radius() + difference, 0.0)
        if unbounded:
            out = (
                ~agree
                & np.isfinite(difference + wide)
                & (a.mid * np.sign(b.mid) > math.sqrt(FAR))
                & (np.abs(b.mid) > math.sqrt(FAR))
            )
            mid = np.where(out, np.sign(a.mid) * np.inf, mid)
        return BallArray(mid, rad)
