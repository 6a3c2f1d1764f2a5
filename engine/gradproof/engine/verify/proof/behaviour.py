"""Behaviour of an op beside whether its rule is right: requirements that neither a proof nor a finite difference checks.

A rule is linear in its cotangent, and 0 at 0. A forward computes the definition, in every dtype; it leaves its inputs
alone and gives the same bits again. At kinks the rule gives the value of its convention. The rule differentiated again
is the second derivative of the definition. Each is checked at exact points, or at floats in balls; a fault refutes the
op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import sympy
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.errors import NoRule
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC, Balls, Undecided
from gradproof.engine.spec import Array, is_complex
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import differences
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.float_checks import FloatChecks
from gradproof.engine.verify.proof.points import cotangent, in_balls, sample_point, variables_of
from gradproof.engine.verify.proof.sampled_attributes import turns_what_is_compared
from gradproof.engine.verify.proof.second_derivative import second_program
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, parts_shape, read, read_op, read_parts
from gradproof.engine.verify.readings.reading import integer_inputs
from gradproof.engine.verify.verdict import ValueWord

BITS = 256
MAX_TIES = 8
SECOND_POINTS = 3
NOT_HERE = (Undecided, TooLarge, NoDefinition, ZeroDivisionError, ValueError)
"""Errors of a reading at a point that says nothing: another point may."""


class BehaviourChecks:
    """Checks of the behaviour of an op in a shape class. Each gives a line of text, empty where it did not apply."""

    def __init__(self, registry: Registry, op: Op, case: Case, inference: Inferred, rule: Program) -> None:
        self.registry, self.op, self.case, self.inference, self.rule = registry, op, case, inference, rule
        self.inputs = inference.inputs or case.specs()
        self.is_complex = any(map(is_complex, rule.specs))
        self.floats = FloatChecks(registry, op, case, inference)

    def run_all(self) -> list[str]:
        """The lines of all checks. Raises BehaviourFault."""
        checks: tuple[Callable[[], str], ...] = (self._linear, self.floats.forward, self._kinks, self._second)
        if self.case.sampled:  # a convention is of attributes that have a meaning
            checks = (self._linear, self._second)
        return [line for check in checks if (line := check())]

    def computes_definition(self) -> bool:
        """True if the forward computes the definition for the sampled attributes of the case."""
        try:
            return not turns_what_is_compared(self.op, self.case, self.inference) and bool(self.floats.forward())
        except BehaviourFault:
            return False

    def spot_check(self) -> list[str]:
        """The lines of the checks in floats, for an op whose rule has no reading, because an op in it has no definition.
        They prove nothing. Raises BehaviourFault."""
        return [line for line in (self.floats.forward(), self.floats.backward()) if line]

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.op.name} {self.case} {purpose}")

    def _balls(self, random: Random) -> tuple[list[Array], list[Array], list[str]]:
        """Inputs at an exact point, the outputs there, and the point as text."""
        inputs, coordinates = sample_point(self.op, self.case, self.inference, random)
        outputs = read_parts(self.op, Balls(), inputs, self.inputs, self.inference.attributes, self.inference.outputs)
        return inputs, outputs, coordinates

    def _cotangents(self, random: Random) -> list[Array]:
        return [_filled(parts_shape(spec), lambda: in_balls(cotangent(random))) for spec in self.inference.outputs]

    # the rule in its cotangent

    def _linear(self) -> str:
        random = self._random("linear")
        try:
            with precision(BITS):
                inputs, outputs, coordinates = self._balls(random)
                g, h = self._cotangents(random), self._cotangents(random)

                def pulled(cotangents: Sequence[Array]) -> list[Array | None]:
                    return read(self.rule, [*cotangents, *outputs, *inputs], Balls())

                first, second = pulled(g), pulled(h)
                combined = pulled([_combined(a, b) for a, b in zip(g, h, strict=True)])
                at_zero = pulled([_zeros(a) for a in g])
                for k, (zero, total, a, b) in enumerate(zip(at_zero, combined, first, second, strict=True)):
                    if zero is None or total is None or a is None or b is None:
                        continue
                    self._demand_equal("the rule is not 0 where the cotangent is 0", k, zero, _zeros(zero), coordinates)
                    self._demand_equal("the rule is not linear in the cotangent", k, total, _combined(a, b), coordinates)
        except NOT_HERE:
            return ""
        return "linear in the cotangent, and 0 at 0"

    def _demand_equal(self, reason: str, k: int, got: Array, expected: Array, coordinates: Sequence[str]) -> None:
        """Raises BehaviourFault where two balls exclude each other."""
        for index in np.ndindex(got.shape):
            value, truth = arb(got.item(index)), arb(expected.item(index))
            if (value - truth).is_finite() and not (value - truth).contains(0):
                raise BehaviourFault(
                    reason,
                    input=self.op.input_name(k) if k < len(self.inputs) else "",
                    element=str(list(index)),
                    point="; ".join(coordinates[:12]),
                    got=value.str(17, radius=False),
                    expected=truth.str(17, radius=False),
                )

    # ties

    def _kinks(self) -> str:
        count = 0
        for point in () if self.is_complex or self.op.equation else self._tied_points():
            checked = self.floats.run(point, self.inference, self.case.dtype)
            for k, verdict in enumerate(checked.contributions if checked else ()):
                if verdict is not None and verdict.word is ValueWord.OFF:
                    place = "; ".join(f"{self.op.input_name(j)} = {x.tolist()}" for j, x in enumerate(point))
                    raise BehaviourFault(
                        verdict.reason,
                        input=self.op.input_name(k), element=verdict.element or "[]", point=place, got=verdict.got,
                        expected=verdict.expected,
                    )  # fmt: skip
                count += verdict is not None and verdict.word is ValueWord.TIE
        return f"the convention holds at {count} kink{'s' * (count > 1)}" if count else ""

    def _tied_points(self) -> Iterator[list[Array]]:
        """Points in floats where the two sides of a comparison are equal, for comparisons of affine terms."""
        integers = integer_inputs(self.case, self.inference)
        cells: list[Array] = []
        for k, spec in enumerate(self.inputs):
            exact = integers[k]
            cells.append(symbols(f"x{k}_", spec.shape, self.op.domain(k))[1] if exact is None else exact)
        outputs = read_op(self.op, SYMBOLIC, cells, self.inference.attributes, self.inference.outputs)
        names = sorted({s for x in cells for cell in x.flat for s in sympy.sympify(cell).free_symbols}, key=str)
        ties = {d for y in outputs for cell in y.flat for d in differences(cell)}
        random = self._random("ties")
        for difference in sorted(ties, key=sympy.default_sort_key)[:MAX_TIES]:
            point = _tied(difference, names, random)
            if point is not None:
                yield [_valued(x, point) for x in cells]

    # the second derivative

    def _second(self) -> str:
        if not any(number is not None for number in self.rule.outputs):
            return ""
        try:
            program, moves = second_program(self.registry, self.op, self.inference, self.inputs, self.rule)
        except NoRule as none:
            return f"no second derivative: op {none.op!r} has no rule"
        for attempt in range(SECOND_POINTS):  # a point where a branch is tied, or a number is not finite, says nothing
            try:
                with precision(BITS):
                    line = self._second_at(program, moves, self._random(f"again {attempt}"))
            except NOT_HERE:
                continue
            if line:
                return line
        return ""

    def _second_at(self, program: Program, moves: Sequence[bool], random: Random) -> str:
        inputs, _, coordinates = self._balls(random)
        g = self._cotangents(random)
        tape = Tape()
        moving = [variables_of(tape, x) if m else x for x, m in zip([*g, *inputs], moves, strict=True)]
        attributes, specs = self.inference.attributes, self.inference.outputs
        outputs = read_parts(self.op, tape, moving[len(g) :], self.inputs, attributes, specs)
        pulled = [x for x in read(self.rule, [*moving[: len(g)], *outputs, *moving[len(g) :]], tape) if x is not None]
        h = [_filled(x.shape, lambda: in_balls(cotangent(random))) for x in pulled]
        if tape.tied:
            return ""
        flat = [x for array in pulled for x in array.flat]
        weights = [w for array in h for w in array.flat]
        claimed = read(program, [*g, *inputs, *h], Balls())
        for k, (derivative, cells) in enumerate(zip(claimed, moving, strict=True)):
            if not moves[k]:
                continue
            expected = np.empty(cells.shape, object)
            expected.flat[:] = tape.gradient(flat, weights, list(cells.flat))
            got = _zeros(cells) if derivative is None else derivative
            self._demand_equal("the second derivative differs at an exact point", k - len(g), got, expected, coordinates)
        return "the second derivative agrees at an exact point"


def _tied(difference: Any, names: Sequence[Any], random: Random) -> dict[Any, Any] | None:
    """A random rational point of the symbols ``names`` at which ``difference`` is 0; None if it is not affine in any
    symbol."""
    free = sorted(difference.free_symbols, key=sympy.default_sort_key)
    slopes = ((s, sympy.diff(difference, s)) for s in free)
    solved = next((s for s, slope in slopes if slope.is_Rational and slope != 0), None)
    if solved is None:
        return None
    point = {s: sympy.Rational(random.randint(1, 63) * random.choice((-1, 1)), 16) for s in names}
    rest = difference.xreplace({s: v for s, v in point.items() if s != solved})
    roots = sympy.solve(rest, solved) if rest.has(solved) else [point[solved]]
    if not roots or not roots[0].is_Rational:
        return None
    return point | {solved: roots[0]}


def _filled(shape: tuple[int, ...], make: Callable[[], Any]) -> Array:
    cells: Array = np.empty(shape, object)
    for index in np.ndindex(shape):
        cells[index] = make()
    return cells


def _zeros(like: Array) -> Array:
    return _filled(like.shape, lambda: arb(0))


def _combined(a: Array, b: Array) -> Array:
    """2 a - 3 b, element by element."""
    cells: Array = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        cells[index] = 2 * a.item(index) - 3 * b.item(index)
    return cells


def _valued(cells: Array, point: dict[Any, Any]) -> Array:
    """The floats of an array of symbols at a point; integer and boolean values stay as they are."""
    first = next(iter(cells.flat), 0)
    if isinstance(first, (bool, int)):
        return np.array(cells.tolist()).reshape(cells.shape)
    values = [float(Fraction(str(sympy.sympify(x).xreplace(point)))) for x in cells.flat]
    return np.array(values, np.float64).reshape(cells.shape)
