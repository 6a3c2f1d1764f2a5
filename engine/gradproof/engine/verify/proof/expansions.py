"""Expansions of composites against their definitions: both read at exact points, and in symbols."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import sympy
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import SYMBOLIC, Undecided
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import Unproved, differences, discharge, ties_of
from gradproof.engine.verify.proof.points import input_symbols, sample_point, variables_of
from gradproof.engine.verify.readings import Tape, TooLarge, read, read_parts
from gradproof.engine.verify.readings.reading import integer_inputs, place_of
from gradproof.engine.verify.readings.tape import ball_of

POINTS = 5
BITS = 256
SHOWN_DIGITS = 25


def differs_somewhere(op: Op, case: Case, inference: Inferred, expansion: Program) -> dict[str, str] | None:
    """A point at which the expansion of a composite is not its definition, or None. Raises NoDefinition."""
    for seed in range(POINTS):
        random = Random(f"{op.name} {case} {seed}")
        try:
            with precision(BITS):
                witness = _difference(op, case, inference, expansion, random)
        except (Undecided, TooLarge, ZeroDivisionError, ValueError):  # a tie, or a point without a value
            continue
        if witness:
            return witness
    return None


def _difference(op: Op, case: Case, inference: Inferred, expansion: Program, random: Random) -> dict[str, str] | None:
    tape = Tape()
    balls, coordinates = sample_point(op, case, inference, random)
    exact = integer_inputs(case, inference)
    inputs = [x if known is not None else variables_of(tape, x) for x, known in zip(balls, exact, strict=True)]
    for spec, index, defined, computed in _pairs(op, case, inference, expansion, inputs, tape):
        expected, got = arb(ball_of(defined)), arb(ball_of(computed))
        if (got - expected).is_finite() and not (got - expected).contains(0):
            return {
                "element": place_of(index, spec), "point": "; ".join(coordinates[:12]),
                "got": got.str(SHOWN_DIGITS, radius=False), "expected": expected.str(SHOWN_DIGITS, radius=False),
            }  # fmt: skip
    return None


def show_definition(op: Op, case: Case, inference: Inferred, expansion: Program) -> tuple[dict[str, str], set[str]]:
    """The tactics that show each element of an expansion to be its definition, by element, and the ties that were left
    out. Raises NoDefinition or Unproved."""
    _, inputs = input_symbols(op, case, inference)
    tactics: dict[str, str] = {}
    ties: set[str] = set()
    for spec, index, defined, computed in _pairs(op, case, inference, expansion, inputs, SYMBOLIC):
        residual = sympy.sympify(computed) - sympy.sympify(defined)
        ties |= {tie for difference in differences(residual) for tie in ties_of(difference)}
        place = f"y{place_of(index, spec) if index else ''}"
        try:
            tactics[place] = discharge(residual, ties)
        except Unproved as error:
            raise Unproved(f"{place}: {error}", region=error.region) from None
    return tactics, ties


def _pairs(
    op: Op, case: Case, inference: Inferred, expansion: Program, inputs: list[Array], f: Any
) -> Iterator[tuple[Spec, tuple[int, ...], Any, Any]]:
    """Each element of each output: its spec, its index, its definition, and the result of the expansion."""
    specs = inference.inputs or case.specs()
    defined = read_parts(op, f, inputs, specs, inference.attributes, inference.outputs)
    computed = read(expansion, inputs, f)
    for spec, true, result in zip(inference.outputs, defined, computed, strict=True):
        assert result is not None
        for index in np.ndindex(true.shape):
            yield spec, index, true[index], result[index]
