"""Power series reading of a node inside a large graph, for ops without a form for whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flint import arb, arb_series

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, Spec, is_differentiable
from gradproof.engine.verify.arrays import BallArray, Dual, head, tangents
from gradproof.engine.verify.readings import Series, concrete, read_parts

BITS = 128
MAX_ELEMENTS = 100_000  # of a node; each is a power series
MAX_OPERATIONS = 2_000_000
"""About 4 s of work, more than the time for the whole graph usually allows."""


def read_in_series(
    op: Op,
    inputs: Sequence[Any],
    specs: Sequence[Spec],
    attributes: Attributes,
    outputs: Sequence[Spec],
    moving: Sequence[int],
    tick: Callable[[], None] | None = None,
) -> tuple[list[Any], bool]:
    """Outputs of an op as duals along the directions ``moving``, and whether it is at a tie.

    Args:
        inputs: balls or duals (of the parts of complex numbers), or arrays of integers and conditions.
        tick: called for each element; it may raise.

    Raises TooLarge, and the exceptions of `read_parts`.
    """
    columns: list[list[Array]] = []
    tied = False
    with precision(BITS):
        for direction in moving:
            f = Series(MAX_OPERATIONS)
            cells = [_cells(x, spec, direction) for x, spec in zip(inputs, specs, strict=True)]
            columns.append(read_parts(op, f, cells, specs, attributes, outputs, tick))
            tied = tied or f.tied
        results: list[Any] = []
        for k, spec in enumerate(outputs):
            if not is_differentiable(spec.dtype):
                results.append(None)
                continue
            slopes = {d: _balls(columns[j][k], slope=True) for j, d in enumerate(moving)}
            results.append(Dual(_balls(columns[0][k], slope=False), slopes))
    return results, tied


def _cells(x: Any, spec: Spec, direction: int) -> Array:
    """Scalars of the series reading: an input moving along ``direction``."""
    if not is_differentiable(spec.dtype):
        return concrete(np.asarray(x))
    ball, along = head(x), tangents(x).get(direction)
    cells = _arbs(ball)
    if along is None:
        return cells
    steps = _arbs(BallArray(np.broadcast_to(along.mid, ball.shape), along.rad))
    moving: Array = np.empty(cells.shape, object)
    moving.reshape(-1)[:] = [arb_series([a, b], 2) for a, b in zip(cells.flat, steps.flat, strict=True)]
    return moving


def _arbs(ball: BallArray) -> Array:
    """Object array of Arb balls with the midpoints and radii of ``ball``."""
    cells: Array = np.empty(ball.shape, object)
    cells.reshape(-1)[:] = [arb(m, r) for m, r in zip(ball.mid.flat, ball.radius().flat, strict=True)]
    return cells


def _balls(cells: Array, *, slope: bool) -> BallArray:
    """Array of balls of the values of ``cells``, or with ``slope`` of their derivatives; nan where a ball is not finite."""
    mid, rad = np.zeros(cells.shape), np.zeros(cells.shape)
    for k, x in enumerate(cells.flat):
        ball = arb(x[1 if slope else 0]) if isinstance(x, arb_series) else arb(0 if slope else x)
        near = float(ball.mid())
        mid.reshape(-1)[k] = near if ball.is_finite() else np.nan
        rad.reshape(-1)[k] = float(abs(ball - arb(near)).upper()) * (1 + 2.0**-50) if ball.is_finite() else np.nan
    return BallArray(mid, rad)
