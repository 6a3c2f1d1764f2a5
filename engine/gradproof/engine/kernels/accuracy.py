"""Accuracy of a kernel: its results against enclosures by Arb, in units in the last place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from flint import arb

from gradproof.engine.kernels.arguments import function_of
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import TABLE, Balls
from gradproof.engine.spec import Array, DType

MOST_ULPS: Final = 2.0
"""The error that a kernel may have. The checks allow 4 units for the functions of NumPy, so a kernel needs no other
bound."""
SAMPLED: Final = 4
"""Of the results that have the bits of the forward, one in so many is looked at; of the others, all."""
BITS, MORE_BITS = 90, 1400  # the second where values cancel, down to denormal numbers


class Accuracy(NamedTuple):
    """The largest error in units in the last place, the arguments where it is, the result there, and the true value."""

    ulps: float
    at: tuple[float, ...]
    got: float
    expected: float


def accuracy(op: Op, dtype: DType, arguments: Sequence[Array], results: Array, usual: Array) -> Accuracy:
    """The accuracy of ``results`` of an op; ``usual`` are those of its forward. Where the forward gives nan, an infinity or
    a zero, a result has to be the same, sign included, unless it is a number that is near the true value: any other has an
    infinite error."""
    truth = _truth(op)
    worst = Accuracy(0.0, tuple(float(a[0]) for a in arguments), float(results[0]), float(usual[0]))
    smallest = float(np.finfo(dtype).smallest_subnormal)
    same = (np.isnan(results) & np.isnan(usual)) | ((results == usual) & (np.signbit(results) == np.signbit(usual)))
    at_zero = np.logical_or.reduce([a == 0 for a in arguments])  # where the sign of a zero chooses a branch, NumPy decides
    settled = same & (at_zero | ~(np.isfinite(results) & (results != 0)))
    settled |= same & (np.arange(results.size) % SAMPLED != 0)
    with np.errstate(all="ignore"):
        spacing = np.maximum(np.spacing(np.abs(results)).astype(np.float64), smallest)
    for k in np.flatnonzero(~settled).tolist():
        x, got, expected = tuple(float(a[k]) for a in arguments), float(results[k]), float(usual[k])
        ulps = np.inf
        if np.isfinite(got):
            unit = float(spacing[k])
            off, near = _distance(truth, x, got, unit)
            if off is None:  # Arb has no value there: NumPy decides
                off, near = abs(got - expected) / unit, expected
            # a zero of the wrong sign, or a number where there is none, is no rounding error
            ulps = np.inf if got == expected == 0.0 or np.isnan(expected) or np.isnan(off) else off
            expected = near if np.isfinite(expected) and expected != 0 else expected
        if not ulps <= worst.ulps:
            worst = Accuracy(float(ulps), x, got, expected)
    return worst


def _truth(op: Op) -> Callable[..., Any]:
    name = function_of(op)
    return TABLE[name].ball if name else lambda *x: op.definitions[0](Balls(), *x)


def _distance(truth: Callable[..., Any], x: tuple[float, ...], y: float, unit: float) -> tuple[float | None, float]:
    """|y - f(x)| in units, and f(x); None where Arb has no value."""
    for bits in (BITS, MORE_BITS):
        with precision(bits):
            try:
                value = arb(truth(*map(arb, x)))
            except (ArithmeticError, ValueError, NotImplementedError):  # a branch that is not decided, a pole
                return None, y
            away = (value - arb(y)) / arb(unit)
        if away.is_finite() and (bits == MORE_BITS or float(away.rad()) < 2.0**-8):
            return abs(float(away.mid())) + float(away.rad()), float(value.mid())
    return None, y
