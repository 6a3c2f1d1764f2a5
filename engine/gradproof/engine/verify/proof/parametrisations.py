"""Proof of an implicit op through its chart: in free numbers from which inputs and outputs follow by plain formulas.

The definition of such an op has roots in roots, or no formula at all for the solution; its inputs and outputs together
are simple in other numbers p. Shown for all p, as identities: the definition at x(p) is y(p), or y(p) solves its
equation; and the rule's cotangents make ``sum g dy/dp = sum vjp dx/dp`` for each p. Where dx/dp is square and not
singular that determines every cotangent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import numpy as np
import sympy
from flint import arb, arb_mat

from gradproof.engine.cases import Case
from gradproof.engine.domains import REAL, Domain
from gradproof.engine.implicit import Equation, Parametrisation
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import SYMBOLIC, Balls, Undecided
from gradproof.engine.spec import Array
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import Unproved, differences, discharge
from gradproof.engine.verify.identities.zero_tests import short
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import Tape, TooLarge, read, read_op
from gradproof.engine.verify.readings.equations import positive_of, residual_of
from gradproof.engine.verify.readings.reading import integer_inputs, read_attributes, stack
from gradproof.engine.verify.readings.symbolic_equations import places_of

POINTS = 3
BITS = 256


def prove_through(
    op: Op, chart: Parametrisation, case: Case, inference: Inferred, rule: Program
) -> tuple[dict[str, str], set[str]]:
    """The tactics of each obligation, and the ties that were left out. Raises Unproved."""
    _spans(op, chart, case, inference)
    parameters: dict[str, Any] = {}

    def free(name: str, domain: Domain) -> Any:
        symbol = parameters[name] = sympy.Dummy(name, **domain.assumptions)
        value = domain.chart(symbol)
        if sympy.diff(value, symbol) == 0:
            raise Unproved(f"the domain {domain.name!r} of the chart's {name} does not move with its symbol")
        return value

    inputs, outputs = chart_point(op, chart, case, inference, SYMBOLIC, free)
    tactics: dict[str, str] = {}
    ties: set[str] = set()
    if op.equation is None:
        residuals = _defined(op, chart, inference, inputs, outputs, ties)
    else:
        residuals = _solves(op, op.equation, chart, inference, inputs, outputs[0])
    for place, residual in residuals:
        tactics[place] = _closed(sympy.sympify(residual), place, ties)
    cotangents = [symbols(f"g{k}_", spec.shape, REAL)[0] for k, spec in enumerate(inference.outputs)]
    claimed = read(rule, [*cotangents, *outputs, *inputs], SYMBOLIC)
    integers = integer_inputs(case, inference)
    weighted = [pair for gs, ys in zip(cotangents, outputs, strict=True) for pair in zip(gs.flat, ys.flat, strict=True)]
    pulled = [
        pair
        for contribution, xs, exact in zip(claimed, inputs, integers, strict=True)
        if exact is None and contribution is not None
        for pair in zip(contribution.flat, xs.flat, strict=True)
    ]
    for name, symbol in parameters.items():
        place = f"along {name} of the chart"
        tactics[place] = _closed(_along(pulled, symbol) - _along(weighted, symbol), place, ties)
    return tactics, ties


def _defined(
    op: Op,
    chart: Parametrisation,
    inference: Inferred,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
    ties: set[str],
) -> Iterator[tuple[str, Any]]:
    """The residuals, by place, that are 0 if the definition at the chart's inputs is its outputs. Adds the ties of the
    definition."""
    defined = read_op(op, SYMBOLIC, inputs, inference.attributes, inference.outputs)
    for k, (output, truth) in enumerate(zip(outputs, defined, strict=True)):
        ties |= {f"{difference} = 0" for cell in truth.flat for difference in differences(cell)}
        for index in np.ndindex(output.shape):
            place = f"output {k}{list(index) if index else ''} of the chart {chart.formula} against the definition"
            yield place, sympy.sympify(output[index]) - truth[index]


def _solves(
    op: Op, equation: Equation, chart: Parametrisation, inference: Inferred, inputs: Sequence[Array], output: Array
) -> Iterator[tuple[str, Any]]:
    """The residuals, by place, that are 0 if the chart's output solves the equation at its inputs. Raises Unproved if it is
    not shown to be the intended solution."""
    attributes = read_attributes(SYMBOLIC, inference.attributes)
    for index, cells in stack(op, inputs, inference.outputs[0]):
        solution = np.asarray(output[index], object)
        residual = residual_of(equation, SYMBOLIC, solution, cells, attributes)
        places = places_of(equation, solution.shape, attributes)
        for at in np.ndindex(solution.shape):
            place = f"output {[*index, *at]} of the chart {chart.formula} in {equation.formula}"
            yield place, residual[at] if at in places else solution[at]
        for k, x in enumerate(positive_of(equation, SYMBOLIC, solution, cells, attributes)):
            if not sympy.sympify(x).is_positive:
                raise Unproved(
                    f"number {k} that is positive at the solution of {equation.formula} is not so in the chart: {short(x)}"
                )


def chart_point(
    op: Op, chart: Parametrisation, case: Case, inference: Inferred, f: Any, free: Callable[[str, Domain], Any]
) -> tuple[list[Array], list[Array]]:
    """Inputs and outputs at the free numbers that ``free`` gives, in reading ``f``. Raises Unproved if the shapes of the
    chart's arrays are not those of the op."""
    specs = inference.inputs or case.specs()
    integers = integer_inputs(case, inference)
    names: set[str] = set()

    def once(name: str, domain: Domain = REAL) -> Any:
        if name in names:
            raise Unproved(f"the chart draws {name} twice")
        names.add(name)
        return free(name, domain)

    arguments = [spec if exact is None else exact for spec, exact in zip(specs, integers, strict=True)]
    inputs, outputs = chart.point(f, once, *arguments, **inference.attributes)
    for arrays, expected, what in ((inputs, specs, "inputs"), (outputs, inference.outputs, "outputs")):
        shapes, expected_shapes = [np.shape(array) for array in arrays], [spec.shape for spec in expected]
        if shapes != expected_shapes:
            raise Unproved(f"the chart gives {what} of shapes {shapes}; those of the op are {expected_shapes}")
    exacts = [np.asarray(x) if exact is None else exact for x, exact in zip(inputs, integers, strict=True)]
    return exacts, [np.asarray(y) for y in outputs]


def sample_inputs(
    op: Op, chart: Parametrisation, case: Case, inference: Inferred, random: Random
) -> tuple[list[Array], list[str]]:
    """Inputs at a random exact point of the chart, in balls, and the free numbers as text."""
    balls = Balls()
    coordinates: list[str] = []

    def free(name: str, domain: Domain) -> Any:
        value = domain.sample(random)
        coordinates.append(f"{name} = {value}")
        return balls.number(value)

    inputs, _ = chart_point(op, chart, case, inference, balls, free)
    return inputs, coordinates


def _spans(op: Op, chart: Parametrisation, case: Case, inference: Inferred) -> None:
    """Raises Unproved unless the free numbers are as many as the elements of the inputs, and move them in all
    directions: the determinant of dx/dp, in balls at a random exact point, excludes zero."""
    for seed in range(POINTS):
        try:
            with precision(BITS):
                rows, count = _slopes(op, chart, case, inference, Random(f"{op.name} {case} chart {seed}"))
                if len(rows) != count:
                    raise Unproved(f"the chart has {count} free numbers for {len(rows)} elements of the inputs")
                if not rows or _nonzero(arb_mat(rows).det()):
                    return
        except (Undecided, TooLarge, ZeroDivisionError, ValueError):
            continue
    raise Unproved(f"the free numbers of the chart {chart.formula} do not move the inputs in all directions")


def _slopes(op: Op, chart: Parametrisation, case: Case, inference: Inferred, random: Random) -> tuple[list[list[arb]], int]:
    """dx/dp at a random exact point, a row for each element of the inputs; and the number of free numbers."""
    tape = Tape()
    variables: list[Any] = []

    def free(_: str, domain: Domain) -> Any:
        variables.append(tape.variable(tape.number(domain.sample(random))))
        return variables[-1]

    inputs, _ = chart_point(op, chart, case, inference, tape, free)
    integers = integer_inputs(case, inference)
    cells = [x for xs, exact in zip(inputs, integers, strict=True) if exact is None for x in xs.flat]
    return [tape.gradient([x], [arb(1)], variables) for x in cells], len(variables)


def _nonzero(ball: arb) -> bool:
    return bool(ball.is_finite() and not ball.contains(0))


def _along(pairs: list[tuple[Any, Any]], symbol: Any) -> Any:
    """The sum of cotangent times derivative by ``symbol``."""
    return sympy.Add(*(g * sympy.diff(x, symbol) for g, x in pairs))


def _closed(residual: Any, place: str, ties: set[str]) -> str:
    try:
        return discharge(residual, ties)
    except Unproved as error:
        raise Unproved(f"{place}: {error}", region=error.region, point=error.point) from None
