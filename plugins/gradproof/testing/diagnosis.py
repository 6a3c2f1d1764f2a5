"""Diagnosis: the likely cause of a wrong rule, from its numbers beside the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.numbers import Application, true_contributions

SAME = 1e-6
"""Largest relative difference of numbers that count as the same: a factor that a person wrote is further from 1."""


def true_arrays(ran: Application) -> list[Array | None]:
    """The true contribution to each input, rounded to floats; None where there is none. Raises Undecided, TooLarge,
    NoDefinition."""
    rows = true_contributions(ran).balls
    arrays: list[Array | None] = []
    for row, x, claimed in zip(rows, ran.inputs, ran.contributions, strict=True):
        if claimed is None:
            arrays.append(None)
            continue
        floats = np.array([float(ball.mid()) for ball in row], np.float64)
        if x.dtype.kind == "c":
            floats = floats[0::2] + 1j * floats[1::2]
        arrays.append(floats.reshape(x.shape))
    return arrays


def likely_cause(ran: Application, truths: Sequence[Array | None], k: int) -> str:
    """The likely cause why the contribution to input ``k`` is wrong, or the empty string."""
    got, true = ran.contributions[k], truths[k]
    if got is None or true is None or not np.isfinite(true).all():
        return ""
    got = got.astype(true.dtype)
    if not np.isfinite(got).all():
        return "a step of the rule overflows, or divides by 0, where the derivative is finite"
    return next(_causes(ran, got, true, truths, k), "")


def _causes(ran: Application, got: Array, true: Array, truths: Sequence[Array | None], k: int) -> Iterator[str]:
    """The causes that fit, the plainest first."""
    name = ran.op.input_name(k)
    if not got.any() and np.max(np.abs(true)) > SAME:
        yield f"the rule gives {name} no gradient"
    if not true.any():
        yield f"the result does not depend on {name}"
    if _same(got, -true):
        yield "the sign is wrong"
    yield from _other_arrangement(ran, got, true, truths, k)
    factor = _constant_factor(got, true)
    if factor is not None:
        yield f"the derivative is multiplied by {_shown(factor)}"
    yield from _other_factor(ran, got, true)
    right = np.isclose(got, true, rtol=SAME, atol=0)
    x = np.asarray(ran.inputs[k])
    for where, mask in (("negative", x < 0), ("positive", x > 0)) if x.dtype.kind == "f" else ():
        if mask.any() and not mask.all() and (right == ~mask).all():
            yield f"it is right, except where {name} is {where}"


def _other_arrangement(ran: Application, got: Array, true: Array, truths: Sequence[Array | None], k: int) -> Iterator[str]:
    """The true numbers at other places: of another input, transposed, or conjugated."""
    for j, other in enumerate(truths):
        if j != k and other is not None and other.shape == got.shape and _same(got, other):
            yield f"the gradients of {ran.op.input_name(k)} and {ran.op.input_name(j)} are exchanged"
    if got.ndim >= 2 and got.shape[-1] == got.shape[-2] and _same(got, true.swapaxes(-1, -2)):
        yield "the result is transposed"
    if got.dtype.kind == "c" and _same(got, true.conj()):
        yield "a conjugate is missing, or one too many"


def _other_factor(ran: Application, got: Array, true: Array) -> Iterator[str]:
    """A value of the op that was not multiplied with, or once too often."""
    for name, values in _values(ran):
        if values.shape == got.shape and values.any() and not _same(values, np.ones_like(values)):
            if _same(got * values, true):
                yield f"the factor {name} is missing"
            if _same(got, true * values):
                yield f"the factor {name} is one too many"


def _values(ran: Application) -> Iterator[tuple[str, Array]]:
    """The values that a rule may multiply with, by name; of small integers too, as a power rule has."""
    yield "g", ran.cotangents[0]
    yield "y", ran.results[0]
    for j, x in enumerate(ran.inputs):
        if x.dtype.kind in "fc":
            yield ran.op.input_name(j), x
            yield f"{ran.op.input_name(j)}²", x * x


def _same(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, rtol=SAME, atol=SAME * float(np.max(np.abs(parts(b)), initial=0.0)) * 1e-3))


def _constant_factor(got: Array, true: Array) -> float | None:
    """The number that all true elements are multiplied with; None if there is none, or with a single element."""
    live = true != 0
    if live.sum() < 2 or got[~live].any() or got.dtype.kind == "c":
        return None
    ratios = got[live] / true[live]
    return float(ratios[0]) if _same(ratios, np.full_like(ratios, ratios[0])) else None


def _shown(factor: float) -> str:
    """A factor as a small fraction where it is such, else in four digits."""
    fraction = Fraction(factor).limit_denominator(64)
    return str(fraction) if abs(float(fraction) - factor) <= SAME * abs(factor) else f"{factor:.4g}"
