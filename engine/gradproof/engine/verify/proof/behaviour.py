"""How an op behaves, beside whether its rule is right: what neither a proof nor a finite difference looks at.

A rule is linear in its cotangent, and 0 at 0. A forward computes the definition, in every dtype; it leaves its inputs alone
and gives the same bits again. At kinks the rule gives what its convention says. The rule differentiated once more is the
second derivative of the definition. Each is seen at exact points, or at floats in balls; a fault refutes the op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
import sympy
from flint import arb

from gradproof.engine.backward import append_backward, inline
from gradproof.engine.cases import Case
from gradproof.engine.compiled.kernels import kernel_of
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.graph import Graph, Leaf
from gradproof.engine.inference import InferenceError, Inferred
from gradproof.engine.lower import Lowered
from gradproof.engine.op import Op
from gradproof.engine.plan import literal_array
from gradproof.engine.plugin_errors import foreign, named
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC, Balls, Undecided
from gradproof.engine.spec import Array, DType, Spec, is_complex, is_differentiable, spec_of
from gradproof.engine.trace import Builder, Instruction, Program
from gradproof.engine.verify.identities.regions import differences
from gradproof.engine.verify.numbers.value import Application, Checked, check_values
from gradproof.engine.verify.proof.points import cotangent, in_balls, sample_point, variables_of
from gradproof.engine.verify.proof.sampled_attributes import turns_what_is_compared
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, parts_shape, read, read_op, read_parts
from gradproof.engine.verify.readings.reading import integer_inputs
from gradproof.engine.verify.verdict import ValueWord

BITS = 256
DTYPES = tuple(np.dtype(one) for one in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))
COMPLEX_DTYPES = (np.dtype(np.complex128), np.dtype(np.complex64))
MAX_TIES = 8
NOT_HERE = (Undecided, TooLarge, NoDefinition, ZeroDivisionError, ValueError)


class BehaviourFault(Exception):
    """An op that behaves as it must not. ``witness``: the fields of a refuting verdict."""

    def __init__(self, reason: str, **witness: str) -> None:
        super().__init__(reason)
        self.witness = witness


class BehaviourChecks:
    """The observation of one op in one shape class."""

    def __init__(self, registry: Registry, op: Op, case: Case, found: Inferred, rule: Program) -> None:
        self.registry, self.op, self.case, self.found, self.rule = registry, op, case, found, rule
        self.inputs = found.inputs or case.specs()
        self.turned = any(map(is_complex, rule.specs))
        self.dtypes = COMPLEX_DTYPES if case.dtype.kind == "c" else DTYPES

    def observe(self) -> list[str]:
        """What was seen, a line each. Raises BehaviourFault."""
        steps: tuple[Callable[[], str], ...] = (self._linear, self._forward, self._kinks, self._again)
        if self.case.drawn:  # a convention is of attributes that have a meaning
            steps = (self._linear, self._again)
        return [seen for step in steps if (seen := step())]

    def means(self) -> bool:
        """Whether the op is what its definition says for these attributes, which were sample_point."""
        try:
            return not turns_what_is_compared(self.op, self.case, self.found) and bool(self._forward())
        except BehaviourFault:
            return False

    def glance(self) -> list[str]:
        """The same of an op whose rule has no reading, because something in it has no definition: its numbers at a few
        points, which prove nothing. Raises BehaviourFault."""
        return [seen for seen in (self._forward(), self._backward()) if seen]

    def _random(self, what: str) -> Random:
        return Random(f"{self.op.name} {self.case} {what}")

    def _balls(self, random: Random) -> tuple[list[Array], list[Array], list[str]]:
        """Inputs at an exact point, the outputs there, and the point as text."""
        inputs, shown = sample_point(self.op, self.case, self.found, random)
        outputs = read_parts(self.op, Balls(), inputs, self.inputs, self.found.attributes, self.found.outputs)
        return inputs, outputs, shown

    def _cotangents(self, random: Random) -> list[Array]:
        return [_filled(parts_shape(spec), lambda: in_balls(cotangent(random))) for spec in self.found.outputs]

    # the rule in its cotangent

    def _linear(self) -> str:
        random = self._random("linear")
        try:
            with precision(BITS):
                inputs, outputs, shown = self._balls(random)
                g, h = self._cotangents(random), self._cotangents(random)

                def pulled(cotangents: Sequence[Array]) -> list[Array | None]:
                    return read(self.rule, [*cotangents, *outputs, *inputs], Balls())

                one, other = pulled(g), pulled(h)
                both = pulled([_pairwise(lambda a, b: 2 * a - 3 * b, a, b) for a, b in zip(g, h, strict=True)])
                nothing = pulled([_filled(a.shape, lambda: arb(0)) for a in g])
                for k, (zero, sum_, a, b) in enumerate(zip(nothing, both, one, other, strict=True)):
                    if zero is None or sum_ is None or a is None or b is None:
                        continue
                    self._same(
                        "the rule is not 0 where the cotangent is 0", k, zero, _filled(zero.shape, lambda: arb(0)), shown
                    )
                    expected = _pairwise(lambda x, y: 2 * x - 3 * y, a, b)
                    self._same("the rule is not linear in the cotangent", k, sum_, expected, shown)
        except NOT_HERE:
            return ""
        return "linear in the cotangent, and 0 at 0"

    def _same(self, reason: str, k: int, got: Array, expected: Array, shown: Sequence[str]) -> None:
        for index in np.ndindex(got.shape):
            mine, truth = arb(got.item(index)), arb(expected.item(index))
            if (mine - truth).is_finite() and not (mine - truth).contains(0):
                raise BehaviourFault(
                    reason,
                    input=self.op.input_name(k) if k < len(self.inputs) else "",
                    element=str(list(index)),
                    point="; ".join(shown[:12]),
                    got=mine.str(17, radius=False),
                    expected=truth.str(17, radius=False),
                )

    # the forward, in floats

    def _forward(self) -> str:
        kept = []
        for dtype in self.dtypes:
            try:
                found = self.op.inference(self.case.specs(dtype), self.case.attributes)
            except InferenceError:
                continue
            try:
                self.registry.rule_of(self.op, self.case, dtype)
            except RuleFault as fault:
                raise BehaviourFault(f"in {dtype.name}: {fault}") from fault
            checked = self._checked(self._floats(dtype, self._random("floats")), found, dtype)
            if checked is None:
                continue
            made = checked.forward
            if made.word is ValueWord.OFF:
                raise BehaviourFault(
                    f"in {dtype.name} the forward does not compute the definition",
                    element=made.element, got=made.got, expected=made.expected,
                )  # fmt: skip
            kept.append(dtype.name)
        return f"the forward computes the definition in {', '.join(kept)}; pure and repeatable" if kept else ""

    def _floats(self, dtype: DType, random: Random) -> list[Array]:
        """The point of `sample_point`, rounded to floats."""
        with precision(BITS):
            balls, _ = sample_point(self.op, self.case, self.found, random)
        arrays = []
        for given, ball in zip(self.case.inputs, balls, strict=True):
            if isinstance(given, np.ndarray):
                arrays.append(given)
            else:
                cells = iter([float(arb(x).mid()) for x in ball.flat])
                shape = ball.shape[:-1] if dtype.kind == "c" else ball.shape
                arrays.append(_floats(Spec(shape, dtype), lambda: next(cells)))  # noqa: B023
        return arrays

    def _checked(self, inputs: Sequence[Array], found: Inferred, dtype: DType) -> Checked | None:
        """The op run on these floats, forward and rule, and its numbers checked. None where it cannot be run on them."""
        wanted = found.inputs or self.case.specs(dtype)
        given = [np.broadcast_to(x, spec.shape).astype(spec.dtype) for x, spec in zip(inputs, wanted, strict=True)]
        random = self._random("cotangents")
        try:
            results = self._run(given, found)
        except BehaviourFault:
            raise
        except BaseException as error:  # not every point is one where a stranger's forward can be run
            foreign(error)
            return None
        g = [_floats(spec, lambda: float(cotangent(random))) for spec in found.outputs]
        rule = self.registry.rule_of(self.op, self.case, dtype)
        for array in (*g, *results, *given):
            array.flags.writeable = False
        try:
            with np.errstate(all="ignore"):
                claimed = run_program(rule, [*g, *results, *given])
        except BaseException as error:  # a stranger's backward, or an op in the rule that cannot be run at this point
            foreign(error)
            if self.op.backward is None:
                return None
            raise BehaviourFault(f"the backward raised {named(error)}") from error
        return check_values(Application(self.op, found.attributes, given, found.outputs, results, g, claimed))

    def _run(self, given: Sequence[Array], found: Inferred) -> list[Array]:
        """The forward's results, having looked at what it does to its inputs, and whether it does it again."""
        before = [x.tobytes() for x in given]
        with np.errstate(all="ignore"):
            first = self.op.forward(*given, **found.attributes)
            results = [np.array(y) for y in (first if isinstance(first, tuple) else (first,))]
            second = self.op.forward(*given, **found.attributes)
        if [x.tobytes() for x in given] != before:
            changed = next(k for k, x in enumerate(given) if x.tobytes() != before[k])
            raise BehaviourFault("the forward writes to its input", input=self.op.input_name(changed))
        again = [np.asarray(y) for y in (second if isinstance(second, tuple) else (second,))]
        for y, other in zip(results, again, strict=True):
            if y.tobytes() != other.tobytes():
                place = next(index for index in np.ndindex(y.shape) if y[index].tobytes() != other[index].tobytes())
                raise BehaviourFault(
                    "the forward gives other bits when it is called again",
                    element=str(list(place)), got=repr(other[place].item()), expected=repr(y[place].item()),
                )  # fmt: skip
        self._written(given, results, found)
        return results

    def _written(self, given: Sequence[Array], results: Sequence[Array], found: Inferred) -> None:
        """The forward as compiled plans run it, into memory that holds something else: the same bits."""
        specs = [spec_of(x) for x in (*given, *results)]
        one = Instruction(self.op, tuple(range(len(given))), tuple(range(len(given), len(specs))), found.attributes)
        ways: dict[str, Callable[[Array], Any]] = {}
        kernel = kernel_of(one, specs)
        if kernel is not None:
            ways["`into`"] = lambda out: kernel.call(*kernel.arguments(given, out))
        if self.op.place is not None:
            index = self.op.place(specs[0], **found.attributes)
            ways["`place`"] = partial(_put, index, given[0])
        for name, write in ways.items():
            out = np.full(specs[-1].shape, 7, specs[-1].dtype)
            with np.errstate(all="ignore"):
                write(out)
            if out.tobytes() != results[0].tobytes():
                place = next(at for at in np.ndindex(out.shape) if out[at].tobytes() != results[0][at].tobytes())
                raise BehaviourFault(
                    f"the forward gives other bits than its {name}",
                    element=str(list(place)), got=repr(out[place].item()), expected=repr(results[0][place].item()),
                )  # fmt: skip

    def _backward(self) -> str:
        """The numbers of a backward that cannot be read, at points in floats."""
        count = 0
        for seed in range(3):
            checked = self._checked(
                self._floats(self.case.dtype, self._random(f"backward {seed}")), self.found, self.case.dtype
            )
            for k, one in enumerate(checked.contributions if checked else ()):
                if one is not None and one.word is ValueWord.OFF:
                    raise BehaviourFault(
                        "the backward gives another number than the derivative of the definition",
                        input=self.op.input_name(k), element=one.element or "[]", got=one.got, expected=one.expected,
                    )  # fmt: skip
                count += one is not None and one.word is ValueWord.ENCLOSED
        return f"the backward was right at {count} points, in floats" if count else ""

    # ties

    def _kinks(self) -> str:
        count = 0
        for point in () if self.turned or self.op.equation else self._tied_points():
            checked = self._checked(point, self.found, self.case.dtype)
            if checked is None:
                continue
            for k, one in enumerate(checked.contributions):
                if one is not None and one.word is ValueWord.OFF:
                    place = "; ".join(f"{self.op.input_name(j)} = {x.tolist()}" for j, x in enumerate(point))
                    raise BehaviourFault(
                        one.reason,
                        input=self.op.input_name(k), element=one.element or "[]", point=place, got=one.got,
                        expected=one.expected,
                    )  # fmt: skip
                count += one is not None and one.word is ValueWord.TIE
        return f"the convention holds at {count} kink{'s' * (count > 1)}" if count else ""

    def _tied_points(self) -> Iterator[list[Array]]:
        """Points in floats where the two sides of a comparison are equal, for comparisons of affine terms."""
        known = integer_inputs(self.case, self.found)
        cells: list[Array] = []
        for k, spec in enumerate(self.inputs):
            exact = known[k]
            cells.append(symbols(f"x{k}_", spec.shape, self.op.domain(k))[1] if exact is None else exact)
        outputs = read_op(self.op, SYMBOLIC, cells, self.found.attributes, self.found.outputs)
        ties = {d for y in outputs for cell in y.flat for d in differences(cell)}
        random = self._random("ties")
        for difference in sorted(ties, key=sympy.default_sort_key)[:MAX_TIES]:
            free = sorted(difference.free_symbols, key=sympy.default_sort_key)
            solved = next(
                (s for s in free if sympy.diff(difference, s).is_Rational and sympy.diff(difference, s) != 0), None
            )
            if solved is None:
                continue
            names = sorted({s for x in cells for cell in x.flat for s in sympy.sympify(cell).free_symbols}, key=str)
            point = {s: sympy.Rational(random.randint(1, 63) * random.choice((-1, 1)), 16) for s in names}
            rest = difference.xreplace({s: v for s, v in point.items() if s != solved})
            roots = sympy.solve(rest, solved) if rest.has(solved) else [point[solved]]
            if not roots or not roots[0].is_Rational:
                continue
            point[solved] = roots[0]
            yield [_valued(x, point) for x in cells]

    # the second derivative

    def _again(self) -> str:
        if not any(number is not None for number in self.rule.outputs):
            return ""
        try:
            program, wanted = second_program(self.registry, self.op, self.found, self.inputs, self.rule)
        except NoRule as none:
            return f"no second derivative: op {none.op!r} has no rule"
        for attempt in range(3):  # a point where a branch is tied, or something is not finite, says nothing
            try:
                with precision(BITS):
                    seen = self._compare_again(program, wanted, self._random(f"again {attempt}"))
            except NOT_HERE:
                continue
            if seen:
                return seen
        return ""

    def _compare_again(self, program: Program, wanted: Sequence[bool], random: Random) -> str:
        inputs, _, shown = self._balls(random)
        g = self._cotangents(random)
        tape = Tape()
        moving = [variables_of(tape, x) if want else x for x, want in zip([*g, *inputs], wanted, strict=True)]
        outputs = read_parts(self.op, tape, moving[len(g) :], self.inputs, self.found.attributes, self.found.outputs)
        pulled = [x for x in read(self.rule, [*moving[: len(g)], *outputs, *moving[len(g) :]], tape) if x is not None]
        h = [_filled(x.shape, lambda: in_balls(cotangent(random))) for x in pulled]
        if tape.tied:
            return ""
        flat = [x for array in pulled for x in array.flat]
        weights = [w for array in h for w in array.flat]
        claimed = read(program, [*g, *inputs, *h], Balls())
        for k, (mine, cells) in enumerate(zip(claimed, moving, strict=True)):
            if not wanted[k]:
                continue
            truth = tape.gradient(flat, weights, list(cells.flat))
            expected = np.empty(cells.shape, object)
            expected.flat[:] = truth
            got = _filled(cells.shape, lambda: arb(0)) if mine is None else mine
            self._same("the second derivative differs at an exact point", k - len(g), got, expected, shown)
        return "the second derivative agrees at an exact point"


def second_program(
    registry: Registry, op: Op, found: Inferred, inputs: Sequence[Any], rule: Program
) -> tuple[Program, list[bool]]:
    """The derivative of <h, rule(g, y(x), x)>: a program of g, x and one h for each result of the rule, with one output for
    each g and x (None where nothing flows); and which of them are differentiable. Raises NoRule."""
    builder = Builder(registry.ops)
    given = [builder.input(spec).number for spec in (*found.outputs, *inputs)]
    g, x = given[: len(found.outputs)], given[len(found.outputs) :]
    y = tuple(builder.value(spec) for spec in found.outputs)
    builder.program.instructions.append(Instruction(op, tuple(x), y, found.attributes))
    pulled = [number for number in inline(builder, rule, [*g, *y, *x]) if number is not None]
    specs = builder.program.specs
    wanted = [is_differentiable(specs[number].dtype) for number in given]
    leaves = tuple(Leaf(f"in{k}", specs[number], want) for k, (number, want) in enumerate(zip(given, wanted, strict=True)))
    names = tuple(f"out{k}" for k in range(len(pulled)))
    values = {leaf.name: number for leaf, number in zip(leaves, given, strict=True)} | dict(zip(names, pulled, strict=True))
    lowered = Lowered(Graph(leaves, (), names), builder, values, [0] * len(builder.program.instructions))
    backward = append_backward(lowered, registry, [leaf.name for leaf in leaves if leaf.requires_grad], names)
    seeds = [backward.seeds[name] for name in names]
    program = builder.program
    outputs = tuple(backward.raw.get(number) if want else None for number, want in zip(given, wanted, strict=True))
    return Program(program.specs, [*given, *seeds], program.literals, program.instructions, outputs), wanted


def run_program(program: Program, inputs: Sequence[Array]) -> list[Array | None]:
    """The outputs of a program for NumPy arrays, one op after the other."""
    values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        values[number] = literal_array(literal, program.specs[number].dtype)
    for one in program.instructions:
        result = one.op.forward(*(values[k] for k in one.inputs), **one.attributes)
        values.update(zip(one.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    return [None if k is None else np.asarray(values[k]) for k in program.outputs]


def _put(place: Any, x: Array, out: Array) -> None:
    out.fill(0)
    out[place] = x


def _filled(shape: tuple[int, ...], make: Callable[[], Any]) -> Array:
    cells: Array = np.empty(shape, object)
    for index in np.ndindex(shape):
        cells[index] = make()
    return cells


def _floats(spec: Spec, make: Callable[[], float]) -> Array:
    floats = np.array([make() for _ in np.ndindex(parts_shape(spec))], np.float64).reshape(parts_shape(spec))
    return np.asarray(floats[..., 0] + 1j * floats[..., 1] if is_complex(spec) else floats).astype(spec.dtype)


def _pairwise(function: Callable[[Any, Any], Any], a: Array, b: Array) -> Array:
    cells: Array = np.empty(a.shape, object)
    for index in np.ndindex(a.shape):
        cells[index] = function(a.item(index), b.item(index))
    return cells


def _valued(cells: Array, point: dict[Any, Any]) -> Array:
    """An array of symbols, at a point; integer and boolean values stay what they are."""
    first = next(iter(cells.flat), 0)
    if isinstance(first, (bool, int)):
        return np.array(cells.tolist()).reshape(cells.shape)
    values = [float(Fraction(str(sympy.sympify(x).xreplace(point)))) for x in cells.flat]
    return np.array(values, np.float64).reshape(cells.shape)
