"""Points of a case: exact points, where a rule is refuted and the behaviour of an op is checked, and symbols, in which
it is proved."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from random import Random

import numpy as np
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.domains import NONZERO, REAL, Domain
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array, is_complex
from gradproof.engine.verify.proof.parametrisations import sample_inputs
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import Tape, parts_shape
from gradproof.engine.verify.readings.reading import integer_inputs
from gradproof.engine.verify.readings.tape import ball_of


def sample_point(
    op: Op, case: Case, inference: Inferred, random: Random, scales: Sequence[Fraction] = ()
) -> tuple[list[Array], list[str]]:
    """Inputs at a random exact point where the op is defined, in balls, and the point as text. A complex input may be
    anywhere: a proof on the real line is to hold beyond it. With ``scales`` each real number is multiplied by a random
    scale, where its domain extends so far."""
    if op.chart is not None:
        inputs, coordinates = sample_inputs(op, op.chart, case, inference, random)
        return inputs, [f"{op.chart.formula} with {coordinates[0]}", *coordinates[1:]] if coordinates else []
    balls = Balls()
    inputs, coordinates = [], []
    for k, (spec, exact) in enumerate(zip(inference.inputs or case.specs(), integer_inputs(case, inference), strict=True)):
        if exact is not None:
            inputs.append(exact)
            continue
        points: Array = np.empty(parts_shape(spec), object)
        for index in np.ndindex(spec.shape):
            place = f"{op.input_name(k)}{list(index) if index else ''}"
            if is_complex(spec):
                real, imag = REAL.sample(random), REAL.sample(random)
                points[index] = balls.number(real), balls.number(imag)
                coordinates.append(f"{place} = {real} {'+-'[imag < 0]} {abs(imag)} i")
            else:
                value = _scaled(op.domain(k), random, scales) if scales else op.domain(k).sample(random)
                points[index] = balls.number(value)
                coordinates.append(f"{place} = {value}")
        inputs.append(points)
    return inputs, coordinates


def input_symbols(op: Op, case: Case, inference: Inferred) -> tuple[list[Array | None], list[Array]]:
    """Symbols for the numbers of the inputs (None for an integer or boolean input), and the inputs made of them."""
    variables: list[Array | None] = []
    inputs: list[Array] = []
    for k, (spec, exact) in enumerate(zip(inference.inputs or case.specs(), integer_inputs(case, inference), strict=True)):
        if exact is not None:
            variables.append(None)
            inputs.append(exact)
            continue
        name = op.inputs[k] if k < len(op.inputs) - op.variadic else f"{op.inputs[-1]}{k}"
        names, charted = symbols(name, parts_shape(spec), REAL if is_complex(spec) else op.domain(k))
        variables.append(names)
        inputs.append(charted)
    return variables, inputs


def _scaled(domain: Domain, random: Random, scales: Sequence[Fraction]) -> Fraction:
    """A number of the domain that is large, or near to its end, where its assumptions tell its extent."""
    scale = random.choice(scales)
    if domain in (REAL, NONZERO):
        return domain.sample(random) * scale
    if domain.assumptions.get("positive"):
        with suppress(Exception):  # a plugin's chart
            return Fraction(domain.chart(abs(REAL.sample(random)) * scale))
    return domain.sample(random)


def variables_of(tape: Tape, balls: Array) -> Array:
    """Variables on a tape with the values of an array of balls."""
    result = np.empty(balls.shape, object)
    for index in np.ndindex(balls.shape):
        result[index] = tape.variable(ball_of(balls[index]))
    return result


def cotangent(random: Random) -> Fraction:
    """A random cotangent of either sign: cotangents that are always positive hide faults."""
    return Fraction(random.randint(1, 31) * random.choice((-1, 1)), 8)


def in_balls(value: Fraction) -> arb:
    """An exact number as a ball."""
    exact: arb = Balls().number(value)
    return exact
