"""Projections in floats: of ops that have no reading over arrays, and are linear in an input.

Where the rule for that input uses neither the input nor the result, <contribution, v> = <g, f(v)> for random v, f the op's
forward, as Freivalds checks a product. That encloses no element, so that it never verifies by itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.ulps import close_enough, finite, unit
from gradproof.engine.verify.nodes.spots import spot_contribution, spot_forward
from gradproof.engine.verify.numbers.truth import Application
from gradproof.engine.verify.numbers.value import Checked
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import LOOK, MADE

PROJECTIONS = 2  # directions of random signs
SPOT_SECONDS = 1.0  # for single elements of one array


def _wide(array: Array) -> Array:
    return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64)


def projected(one: Application, linear: Sequence[bool], seconds: float) -> Checked:
    """The verdicts on a node that is not read over arrays: single elements, and projections where it is linear.
    ``seconds``: for elements that are read one by one, about."""
    deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
    forward = spot_forward(one, deadline)
    verdicts: list[ValueVerdict | None] = []
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
        elif not linear[k]:
            deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
            verdicts.append(spot_contribution(one, k, claimed, deadline))
        else:
            verdicts.append(_project(one, k, claimed))
    return Checked(forward, tuple(verdicts))


def _project(one: Application, k: int, claimed: Array) -> ValueVerdict:
    """The verdict on one contribution by random projections; a difference is hunted down by bisection."""
    size = claimed.size
    if not all(finite(a) for a in (*one.cotangents, claimed, *(x for x in one.inputs if x.dtype.kind in "fc"))):
        return ValueVerdict(ValueWord.NONFINITE, total=size, reason=f"an input or a cotangent is not finite; {MADE}")
    pull = _Pull(one, k, claimed)
    worst = 0.0
    for seed in range(PROJECTIONS):
        signs = np.random.default_rng(seed).choice((-1.0, 1.0), parts(claimed).size)
        ratio = pull.ratio(signs)
        worst = max(worst, ratio)
        if not ratio <= close_enough(claimed.dtype):
            return pull.hunt(signs)
    reason = f"{PROJECTIONS} random projections agree; no element was enclosed"
    return ValueVerdict(ValueWord.SCREENED, worst, 0, size, reason=reason, screened=size)


class _Pull:
    """A contribution, and the forward of its op as a linear map of that input; of complex numbers, as a real one of their
    parts."""

    def __init__(self, one: Application, k: int, claimed: Array) -> None:
        self.one, self.k, self.shape, self.turned = one, k, claimed.shape, claimed.dtype.kind == "c"
        self.claimed = parts(_wide(claimed)).reshape(-1)
        self.g = [_wide(g) for g in one.cotangents]
        self.unit = unit(claimed.dtype)
        self.inputs = [x if x.dtype.kind in "biu" else _wide(x) for x in one.inputs]
        self.sizes = [x if x.dtype.kind in "biu" else np.abs(x) for x in self.inputs]
        self.near = close_enough(claimed.dtype)

    def _forward(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        arguments = [v.reshape(self.shape) if j == self.k else x for j, x in enumerate(inputs)]
        with np.errstate(all="ignore"):
            result = self.one.op.forward(*arguments, **self.one.attributes)
        return list(result) if isinstance(result, tuple) else [result]

    def _against(self, v: Array) -> tuple[float, float, float]:
        """<contribution, v>, <g, f(v)>, and the sum of the magnitudes that make up the latter."""
        along = v.view(np.complex128) if self.turned else v
        there = sum(
            float(np.sum(np.conj(g) * y).real) for g, y in zip(self.g, self._linear(along, self.inputs), strict=True)
        )
        size = sum(
            float(np.sum(np.abs(g) * np.abs(y)))
            for g, y in zip(self.g, self._linear(np.abs(along), self.sizes), strict=True)
        )
        return float(np.sum(self.claimed * v)), there, size

    def _linear(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        """f(v) - f(0): what is affine becomes linear."""
        return [y - y0 for y, y0 in zip(self._forward(v, inputs), self._forward(np.zeros_like(v), inputs), strict=True)]

    def ratio(self, v: Array) -> float:
        """How far apart the two sides are, in rounding units of all that was added up."""
        here, there, size = self._against(v)
        if here == there:
            return 0.0
        return abs(here - there) / (self.unit * size) if size else math.inf

    def hunt(self, signs: Array) -> ValueVerdict:
        """Halve the elements until one is left that alone is off."""
        left = np.arange(len(signs))
        while len(left) > 1:
            half = left[: len(left) // 2]
            v = np.zeros_like(signs)
            v[half] = signs[half]
            left = half if not self.ratio(v) <= self.near else left[len(left) // 2 :]
        v = np.zeros_like(signs)
        v[left] = 1.0
        here, there, _ = self._against(v)
        total = len(signs)
        if self.ratio(v) <= self.near:
            return ValueVerdict(
                ValueWord.UNCHECKED,
                total=total,
                reason=f"a random projection disagrees, and no single element does; {LOOK}",
            )
        index = [int(i) for i in np.unravel_index(int(left[0]) // (1 + self.turned), self.shape)]
        ulps = abs(here - there) / (2 * self.unit * abs(there)) if there else math.inf
        reason = "found by random projections; no rounding of the sum explains the distance"
        return ValueVerdict(ValueWord.OFF, ulps, 1, total, str(index), repr(here), repr(there), reason)
