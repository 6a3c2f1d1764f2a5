"""Readings of any op: its definition, or, where a composite has none, those of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from flint import arb, fmpq

from gradproof.engine.attributes import Attributes
from gradproof.engine.op import Op
from gradproof.engine.scalar_functions import Undecided
from gradproof.engine.spec import Array, Spec, spec_of
from gradproof.engine.verify.readings import Tape, TooLarge, read, read_op
from gradproof.engine.verify.readings.tape import ball_of


def read_whole(
    op: Op, f: Any, inputs: Sequence[Array], specs: Sequence[Spec], attributes: Attributes, outputs: Sequence[Spec]
) -> list[Array]:
    """The outputs of an op, as object arrays of the scalars of reading ``f``."""
    expansion = None if op.definitions else op.expand(specs, attributes)
    if expansion is None:
        return read_op(op, f, inputs, attributes, outputs)
    return [y for y in read(expansion, inputs, f) if y is not None]


def ball_gradient(op: Op, inputs: Sequence[Array], seed: Array, attributes: Attributes) -> list[Array] | None:
    """The gradient of <seed, result> of an op of a single output, in balls and without any rule: for each input an array of
    balls. None at a tie, or where there is no number."""
    tape = Tape()
    variables = []
    for x in inputs:
        cells = np.empty(x.shape, object)
        for index in np.ndindex(x.shape):
            cells[index] = tape.variable(arb(fmpq(*float(x[index]).as_integer_ratio())))
        variables.append(cells)
    specs = [spec_of(x) for x in inputs]
    inference = op.inference(specs, attributes)
    try:
        [result] = read_whole(op, tape, variables, specs, inference.attributes, inference.outputs)
        seeds = [tape.number(g) for g in seed.flat]
        flat = tape.gradient(list(result.flat), seeds, [cell for cells in variables for cell in cells.flat])
    except (Undecided, TooLarge, ArithmeticError, ValueError):
        return None
    if tape.tied:
        return None
    balls = iter(flat)
    return [np.array([ball_of(next(balls)) for _ in cells.flat], object).reshape(cells.shape) for cells in variables]
