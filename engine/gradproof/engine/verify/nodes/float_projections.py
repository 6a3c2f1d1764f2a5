"""Projections in floats, for ops without a reading over arrays that are linear in an input.

Where the rule for that input uses neither the input nor the result, <contribution, v> = <g, f(v)> for random v, with f the
op's forward (R. Freivalds, Probabilistic machines can use less running time, 1977). No element is enclosed, so that this
check alone never verifies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.floats.ulps import close_enough, finite, unit
from gradproof.engine.verify.nodes.localisation import bisect
from gradproof.engine.verify.nodes.spots import spot_contribution, spot_forward
from gradproof.engine.verify.numbers import Application, Checked
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord
from gradproof.engine.verify.verdict.advice import LOOK, MADE
from gradproof.engine.verify.verdict.wording import element_text

PROJECTIONS = 2  # directions of random signs
SPOT_SECONDS = 1.0  # for single elements of an array


def _wide(array: Array) -> Array:
    return np.asarray(array, np.complex128 if array.dtype.kind == "c" else np.float64)


def check_by_projections(application: Application, linear: Sequence[bool], seconds: float) -> Checked:
    """Verdicts on a node that is not read over arrays: single elements, and projections of inputs in which it is linear.
    ``seconds``: remaining time."""
    deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
    forward = spot_forward(application, deadline)
    verdicts: list[ValueVerdict | None] = []
    for k, claimed in enumerate(application.contributions):
        if claimed is None:
            verdicts.append(None)
        elif not linear[k]:
            deadline = time.monotonic() + min(seconds / 4, SPOT_SECONDS)
            verdicts.append(spot_contribution(application, k, claimed, deadline))
        else:
            verdicts.append(_project(application, k, claimed))
    return Checked(forward, tuple(verdicts))


def _project(application: Application, k: int, claimed: Array) -> ValueVerdict:
    """The verdict on a contribution by random projections; a difference is localised by bisection."""
    size = claimed.size
    if not all(
        finite(a) for a in (*application.cotangents, claimed, *(x for x in application.inputs if x.dtype.kind in "fc"))
    ):
        return ValueVerdict(ValueWord.NONFINITE, total=size, reason=f"an input or a cotangent is not finite; {MADE}")
    pull = _LinearMap(application, k, claimed)
    worst = 0.0
    for seed in range(PROJECTIONS):
        signs = np.random.default_rng(seed).choice((-1.0, 1.0), parts(claimed).size)
        ratio = pull.ratio(signs)
        worst = max(worst, ratio)
        if not ratio <= close_enough(claimed.dtype):
            return pull.localise(signs)
    reason = f"{PROJECTIONS} random projections agree; no element was enclosed"
    return ValueVerdict(ValueWord.SCREENED, worst, 0, size, reason=reason, screened=size)


class _LinearMap:
    """A contribution, and the op's forward as a linear map of that input; of complex numbers as a real map of their
    parts."""

    def __init__(self, application: Application, k: int, claimed: Array) -> None:
        self.application, self.k, self.shape, self.is_complex = application, k, claimed.shape, claimed.dtype.kind == "c"
        self.claimed = parts(_wide(claimed)).reshape(-1)
        self.g = [_wide(g) for g in application.cotangents]
        self.unit = unit(claimed.dtype)
        self.inputs = [x if x.dtype.kind in "biu" else _wide(x) for x in application.inputs]
        self.sizes = [x if x.dtype.kind in "biu" else np.abs(x) for x in self.inputs]
        self.near = close_enough(claimed.dtype)

    def _forward(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        arguments = [v.reshape(self.shape) if j == self.k else x for j, x in enumerate(inputs)]
        with np.errstate(all="ignore"):
            result = self.application.op.forward(*arguments, **self.application.attributes)
        return list(result) if isinstance(result, tuple) else [result]

    def _against(self, v: Array) -> tuple[float, float, float]:
        """<contribution, v>, <g, f(v)>, and the sum of the magnitudes of the terms of the latter."""
        along = v.view(np.complex128) if self.is_complex else v
        there = sum(
            float(np.sum(np.conj(g) * y).real) for g, y in zip(self.g, self._linear(along, self.inputs), strict=True)
        )
        size = sum(
            float(np.sum(np.abs(g) * np.abs(y)))
            for g, y in zip(self.g, self._linear(np.abs(along), self.sizes), strict=True)
        )
        return float(np.sum(self.claimed * v)), there, size

    def _linear(self, v: Array, inputs: Sequence[Array]) -> list[Array]:
        """f(v) - f(0), which makes an affine function linear."""
        return [y - y0 for y, y0 in zip(self._forward(v, inputs), self._forward(np.zeros_like(v), inputs), strict=True)]

    def ratio(self, v: Array) -> float:
        """The difference of the two sides, in unit roundoffs of all terms."""
        here, there, size = self._against(v)
        if here == there:
            return 0.0
        return abs(here - there) / (self.unit * size) if size else math.inf

    def localise(self, signs: Array) -> ValueVerdict:
        """The verdict on an element that alone is off, located by bisection; UNCHECKED if there is none."""

        def is_in(half: Array) -> bool:
            v = np.zeros_like(signs)
            v[half] = signs[half]
            return not self.ratio(v) <= self.near

        total = len(signs)
        place = bisect(np.arange(total), is_in)
        v = np.zeros_like(signs)
        v[place] = 1.0
        here, there, _ = self._against(v)
        if self.ratio(v) <= self.near:
            reason = f"a random projection disagrees, and no single element does; {LOOK}"
            return ValueVerdict(ValueWord.UNCHECKED, total=total, reason=reason)
        element = element_text(place // (1 + self.is_complex), self.shape)
        ulps = abs(here - there) / (2 * self.unit * abs(there)) if there else math.inf
        reason = "localised by random projections; no rounding of the sum explains the distance"
        return ValueVerdict(ValueWord.OFF, ulps, 1, total, element, repr(here), repr(there), reason)
