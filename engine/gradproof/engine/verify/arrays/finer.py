"""Contributions whose balls are too wide to show digits, read once more in Arb, through the same forms.

Where the true contribution is 0, or next to it, since numbers cancel (the only element of a line that is not masked), balls
of float64 say that it is small, and no more. Ops that treat lines one by one are read at the lines in question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from flint import arb

from gradproof.engine.functions import Balls
from gradproof.engine.op import Attributes, Op
from gradproof.engine.precision import precision
from gradproof.engine.rules import prune
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Program
from gradproof.engine.verify.arrays.ball import BallArray, of_arb
from gradproof.engine.verify.arrays.cells import Cells
from gradproof.engine.verify.arrays.elements import limits
from gradproof.engine.verify.balls import balls_of
from gradproof.engine.verify.forms import form_of, through_forms
from gradproof.engine.verify.truth import Application

BITS = (192, 1100)
"""Most cancellations leave enough digits of the first; the last tell 0 from what float64 holds."""
NARROW = 2.0**-50
LINEWISE = ("softmax", "log_softmax")
"""Built-in ops of one input, each line along ``axis`` for itself."""
MAX_READ = 4096
"""Numbers in the lines that are read."""

Retrace = Callable[[Op, Sequence[Spec], Sequence[Spec], Attributes], Program]


def finer_contribution(
    one: Application, readings: Sequence[Sequence[Array]], retrace: Retrace, at: Array
) -> BallArray | None:
    """Enclosures of what the rule of an op of one input gives, in a row: at the lines through the flat places ``at``, as
    many as are read; nan elsewhere. None where it has no lines. ``readings``: the inputs, or two that take their limits."""
    if one.op.name not in LINEWISE:
        return None
    [x], [g], [spec] = one.inputs, one.cotangents, one.outputs
    axis = int(one.attributes["axis"]) % x.ndim
    count = x.shape[axis]
    places = np.moveaxis(np.arange(x.size).reshape(x.shape), axis, -1).reshape(-1, count)
    wanted = np.zeros(x.size, bool)
    wanted[at] = True
    lines = np.flatnonzero(wanted[places].any(axis=1))[: max(1, MAX_READ // count)]
    attributes = {**one.attributes, "axis": 1}
    small = Spec((len(lines), count), spec.dtype)
    program = prune(retrace(one.op, [small], [small], attributes), [True])
    cotangents = np.asarray(g).reshape(-1)[places[lines]]
    mid, rad = np.full(x.size, np.nan), np.full(x.size, np.nan)
    given = [np.asarray(array).reshape(-1)[places[lines]] for [array] in readings]
    for bits in BITS:
        ball = _read(one.op, program, small, attributes, given, cotangents, bits)
        mid[places[lines]], rad[places[lines]] = ball.mid, ball.radius()
        if (rad[at] <= np.abs(mid[at]) * NARROW)[~np.isnan(mid[at])].all():
            break
    return BallArray(mid, rad)


def _read(
    op: Op,
    program: Program,
    spec: Spec,
    attributes: Attributes,
    readings: Sequence[Array],
    cotangents: Array,
    bits: int,
) -> BallArray:
    """What the program of a rule gives in Arb's balls at some lines."""
    found = []
    with precision(bits):
        for given in readings:
            cells = balls_of(given)
            f = _reading()
            [y] = form_of(op, f, [cells], attributes, [spec])
            [claimed] = through_forms(program, [balls_of(cotangents), y, cells], f)
            assert claimed is not None
            found.append(_balls(claimed))
    return found[0] if len(found) == 1 else limits(found[0], found[1], False)


def _reading() -> Cells:
    """Forms in Arb's balls, at some anchor: what they give does not depend on it."""
    random = Random(1)

    def anchor(_: int) -> Any:
        return Balls().number(Fraction(random.randint(-64, 64), 32))

    return Cells(Balls(), anchor, random.randrange)


def _balls(cells: Array) -> BallArray:
    mid, rad = np.empty(cells.shape), np.empty(cells.shape)
    for index in np.ndindex(cells.shape):
        ball = of_arb(arb(Balls().as_number(cells.item(index))))
        mid[index], rad[index] = ball.mid, ball.radius()
    return BallArray(mid, rad)
