"""A large node of an op that is not elementwise: its form for whole arrays encloses the results, and the program of its
rule the contributions.

What the program gives in exact arithmetic is the true contribution if the rule is proved; that is said beside it
(`ValueVerdict.through_rule`). Without the rule, contributions are compared along random directions v: <contribution, v>
must be <g, J v>, with J v from the form for whole arrays, which moves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.rules import prune
from gradproof.engine.spec import Array, is_complex
from gradproof.engine.trace import Program
from gradproof.engine.verify.arrays.ball import BallArray
from gradproof.engine.verify.arrays.flags import finely
from gradproof.engine.verify.arrays.programs import NoArrays, charged, entered, evaluated, numbers, read_op, read_program
from gradproof.engine.verify.arrays.reading import Arrays
from gradproof.engine.verify.floats.ulps import finite, unit
from gradproof.engine.verify.nodes.allowances import Orders, judge_array
from gradproof.engine.verify.nodes.elements import beyond, limits
from gradproof.engine.verify.nodes.judging import Tally, is_beneath
from gradproof.engine.verify.nodes.projections import Projections
from gradproof.engine.verify.nodes.refining import Refining
from gradproof.engine.verify.nodes.weighing import check_equalities
from gradproof.engine.verify.numbers.truth import FAR, Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

GROWN = 128.0  # by how much an input may have multiplied what underflowed
MANY_PRODUCTS = 1 << 24
FEW_CHOSEN = 1 << 11
AT_KINK = "at a kink: what the rule gives there, by the op's convention"


class Whole:
    """An application, and its readings over whole arrays. ``rule``: the program of its backward rule, if it has one.
    Elements whose balls are too wide are read by Arb until ``deadline``."""

    def __init__(self, one: Application, rule: Program | None, deadline: float = math.inf) -> None:
        self.one, self.rule, self.deadline = one, rule, deadline
        if any(is_complex(spec) for spec in (*one.specs, *one.outputs)):
            raise NoArrays(f"op {one.op.name!r}: complex numbers are not read in arrays")
        floats = [x for x in one.inputs if x.dtype.kind not in "biu"]
        self.finite = all(map(finite, (*floats, *one.cotangents)))
        infinite = not self.finite and any(np.isinf(np.asarray(x, np.float64)).any() for x in floats)
        self.readings: list[Sequence[Array]] = [one.inputs]
        if infinite:
            sizes = [np.abs(np.asarray(x, np.float64)).reshape(-1) for x in floats]
            far = np.unique(np.concatenate([x[np.isfinite(x) & (x >= FAR)] for x in sizes]))
            self.readings = [
                [
                    x if x.dtype.kind in "biu" else beyond(np.asarray(x, np.float64), far, seed, k)
                    for k, x in enumerate(one.inputs)
                ]
                for seed in (1, 2)
            ]
        self.equalities: dict[int, list[Array]] = {}
        self._outputs: list[list[Any]] = []
        self.enclosed: list[BallArray] = []
        self._programs: dict[int, Program | None] = {}
        self._fine = False
        self._allowed: dict[tuple[Orders, int | None], Array] = {}

    # the truth

    def outputs(self) -> list[BallArray]:
        """Enclosures of the results, which are kept as ``enclosed``. Raises NoArrays, and what a stranger's code raises."""
        found = self._enclosed()
        if not self._fine and any(is_beneath(y, ball) for y, ball in zip(self.one.results, found, strict=True)):
            found = self._finely()
        self.enclosed = found
        return found

    def _finely(self) -> list[BallArray]:
        """The same, with all that denormal numbers say, and so for all that is read afterwards."""
        self._fine = True
        with finely():
            return [ball.settled() for ball in self._enclosed()]

    def _enclosed(self) -> list[BallArray]:
        one, found = self.one, []
        self._outputs = []
        for inputs in self.readings:
            f = Arrays()
            made = read_op(one.op, f, [entered(x) for x in inputs], one.attributes, one.outputs)
            self._outputs.append(made)
            found.append([numbers(f, y, spec) for y, spec in zip(made, one.outputs, strict=True)])
        return found[0] if len(found) == 1 else [limits(a, b, True) for a, b in zip(*found, strict=True)]

    def contribution(self, k: int) -> BallArray:
        """An enclosure of what the rule gives for input ``k`` in exact arithmetic. `outputs` come first. ``equalities``
        has where the rule compared numbers that are equal."""
        claimed = self.one.contributions[k]
        if not self._fine:
            found = self._through_rule(k)
            if claimed is None or not is_beneath(claimed, found):
                return found
            self._finely()
        with finely():
            return self._through_rule(k).settled()

    def _through_rule(self, k: int) -> BallArray:
        one = self.one
        spec = one.specs[k]
        program = self._program(k)
        if program is None:
            return BallArray(np.zeros(spec.shape))
        found = []
        for inputs, made in zip(self.readings, self._outputs, strict=True):
            f = Arrays()
            f.equalities = self.equalities[k] = []
            [ball] = [x for x in read_program(program, self._given(program, inputs, made), f) if x is not None]
            found.append(numbers(f, ball, spec))
        return found[0] if len(found) == 1 else limits(found[0], found[1], False)

    def _program(self, k: int) -> Program | None:
        """The part of the rule that makes the contribution of input ``k``; None where it denies that there is one."""
        if self.rule is None:
            raise NoArrays(f"the rule of op {self.one.op.name!r} is not known here")
        if k not in self._programs:
            wanted = [j == k for j in range(len(self.rule.outputs))]
            self._programs[k] = None if self.rule.outputs[k] is None else prune(self.rule, wanted)
        return self._programs[k]

    def _given(self, program: Program, inputs: Sequence[Array], made: Sequence[Any]) -> list[Any]:
        """The inputs of a rule: cotangents, results, inputs. Those that it does not use need not be read."""
        one = self.one
        used = {k for step in program.instructions for k in step.inputs} | set(program.outputs)
        results = [x if x.dtype.kind in "biu" else y for y, x in zip(made, one.results, strict=True)]
        given: list[Any] = []
        for number, x in zip(program.inputs, (*one.cotangents, *results, *inputs), strict=True):
            array = isinstance(x, np.ndarray)
            given.append(None if number not in used else entered(x) if array else x)
        return given

    def finer(self, at: Array, *, result: int = 0, k: int | None = None) -> BallArray | None:
        """A result, or the contribution to input ``k``, in more digits at the flat places ``at``, in a row; nan where there
        was no time. None if forms cannot be read so."""
        refining = Refining(self.one, self.readings, self.deadline)
        try:
            if k is None:
                return refining.result(result, at)
            program = self._program(k)
            return None if program is None else refining.contribution(program, at)
        except MemoryError:
            raise
        except BaseException as error:  # a form is a stranger's code
            reraise_own(error)
            return None

    # allowances

    def allowed(self, orders: Orders, k: int | None, at: Array) -> Array | None:
        """How far an evaluation in the dtype of the run may be off, flat: the results (``k`` None, all of them in a row),
        or the contribution to input ``k``. None where that cannot be read. ``at``: a mask of the elements that matter."""
        key = (orders, k)
        if key in self._allowed:
            return self._allowed[key]
        try:
            usual = orders is Orders.USUAL
            few = usual or np.count_nonzero(at) <= FEW_CHOSEN
            chosen = self._chosen(k, at, dear=usual) if few else None
            with finely() if self._fine else nullcontext():
                balls = [ball.settled() for ball in self._evaluate(orders, k, chosen)]
            found = np.concatenate([np.array(ball.radius()).reshape(-1) for ball in balls])
        except BaseException as error:  # a form is a stranger's code
            reraise_own(error)
            return None
        if chosen is None:  # else it is nan at others
            self._allowed[key] = found
        return found

    def _evaluate(self, orders: Orders, k: int | None, chosen: Array | None) -> list[BallArray]:
        one = self.one
        program = None if k is None else self._program(k)
        if k is not None and program is None:
            return [BallArray(np.zeros(one.specs[k].shape))]
        usual = orders is Orders.USUAL
        if usual and k is not None:  # of what the rule reads any order counts
            f = Arrays(model=True)
        elif program is not None and chosen is not None:
            f = Arrays(model=True, likely=orders is Orders.LIKELY)
        else:
            f = Arrays(model=True, running=usual, likely=orders is Orders.LIKELY, chosen=chosen)
        rounding = unit(one.outputs[0].dtype)
        inputs = [charged(entered(x), rounding) for x in self.readings[0]]
        made: list[Any] = [None] * len(one.outputs)
        if program is None or self._reads_results(program):
            made = read_op(one.op, f, inputs, one.attributes, one.outputs)
            made = [evaluated(y, spec, rounds=False) for y, spec in zip(made, one.outputs, strict=True)]
        if program is None:
            return [numbers(f, y, spec) for y, spec in zip(made, one.outputs, strict=True)]
        assert k is not None
        f = Arrays(model=True, running=usual, likely=orders is Orders.LIKELY, chosen=chosen)
        [ball] = [x for x in read_program(program, self._given(program, self.readings[0], made), f) if x is not None]
        return [numbers(f, ball, one.specs[k])]

    def _reads_results(self, program: Program) -> bool:
        used = {k for step in program.instructions for k in step.inputs} | set(program.outputs)
        count = len(self.one.outputs)
        return not used.isdisjoint(program.inputs[count : 2 * count])

    def _chosen(self, k: int | None, at: Array, *, dear: bool) -> Array | None:
        """The elements of the matrix product that the elements ``at`` are, if they are those of one; None if there is none.
        Raises NoArrays where there are products that are ``dear``, and are not what is asked for."""
        one, program = self.one, None if k is None else self._program(k)
        if k is not None and program is None:
            return None
        products = [one.op.contracts] if program is None else [step.op.contracts for step in program.instructions]
        if not any(products):
            return None
        shape = one.outputs[0].shape if k is None else one.specs[k].shape
        last = program is None or (products[-1] and sum(products) == 1 and len(shape) > (1 if dear else 0))
        flat = min(len(shape), *(x.ndim for x in one.inputs)) < 2
        if not last or not shape or (dear and flat):
            if dear and sum(x.size for x in one.inputs) * max(shape, default=1) > MANY_PRODUCTS:
                raise NoArrays("too many products to look at")
            return None
        return at.reshape(shape)

    def beneath(self, k: int | None) -> float:
        """By how much a number that underflowed may have grown on its way."""
        grown = min(GROWN, max(1.0, self._largest_input)) * max(1.0, self.one.terms / 32)
        if k is None:
            return grown
        return grown * max(1.0, *(_largest(g) for g in self.one.cotangents))

    @cached_property
    def _largest_input(self) -> float:
        return max((_largest(x) for x in self.one.inputs), default=1.0)


def _largest(x: Array) -> float:
    if x.dtype.kind in "biu":
        return 1.0
    sizes = np.abs(np.asarray(x, np.float64))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))


def judge_forward(whole: Whole) -> tuple[ValueVerdict, list[Array]]:
    """The verdict on the results, and the elements of each that nothing is known of."""
    one = whole.one
    balls = whole.outputs()
    verdict: Tally | None = None
    left: list[Array] = []
    start = 0
    for result, ball in zip(one.results, balls, strict=True):
        tally = Tally(result.shape, result.size)
        place = slice(start, start + result.size)

        def allowing(orders: Orders, at: Array, place: slice = place) -> Array | None:
            wanted = np.zeros(sum(y.size for y in one.results), bool)
            wanted[place] = at
            found = whole.allowed(orders, None, wanted)
            return None if found is None else found[place]

        finer = partial(whole.finer, result=len(left))
        beneath = partial(whole.beneath, None)
        left.append(judge_array(result, ball, allowing, tally, finite=whole.finite, beneath=beneath, finer=finer))
        start += result.size
        if verdict is None:
            verdict = tally
        else:
            verdict.note(tally.worst)
    assert verdict is not None
    missing = sum(map(len, left))
    return replace(verdict.worst, checked=start - missing, total=start, through_rule=True), left


def judge_contributions(whole: Whole) -> list[ValueVerdict | None]:
    """The verdicts on the contributions."""
    one = whole.one
    verdicts: list[ValueVerdict | None] = []
    balls: dict[int, BallArray] = {}
    for k, claimed in enumerate(one.contributions):
        if claimed is None:
            verdicts.append(None)
            continue
        try:
            ball = whole.contribution(k)
        except MemoryError:
            raise
        except BaseException as error:  # a rule, or a form in it, is a stranger's code
            reraise_own(error)
            verdicts.append(
                ValueVerdict(ValueWord.UNCHECKED, total=claimed.size, reason=f"not read in arrays: {describe(error)}")
            )
            continue
        tally = Tally(claimed.shape, claimed.size)

        def allowing(orders: Orders, at: Array, k: int = k) -> Array | None:
            return whole.allowed(orders, k, at)

        finer, beneath = partial(whole.finer, k=k), partial(whole.beneath, k)
        left = judge_array(claimed, ball, allowing, tally, finite=whole.finite, beneath=beneath, finer=finer)
        balls[k] = ball
        checked = claimed.size - len(left)
        verdicts.append(replace(tally.worst, checked=checked, total=claimed.size, through_rule=True))
    if balls and whole.finite:
        _project(whole, balls, verdicts)
    return verdicts


def _project(whole: Whole, balls: dict[int, BallArray], verdicts: list[ValueVerdict | None]) -> None:
    """Compare contributions with the form for whole arrays along random directions."""
    projections = Projections(whole.one, balls)
    for k in balls:
        verdict = verdicts[k]
        assert verdict is not None
        if verdict.word is ValueWord.OFF:
            continue
        try:
            found = projections.check(k)
            if found is None and whole.equalities.get(k) and not projections.tied:
                found = check_equalities(whole.one, k, balls[k], whole.equalities[k])
        except BaseException as error:  # a form is a stranger's code
            reraise_own(error)
            verdicts[k] = replace(verdict, reason=verdict.reason or f"not projected: {describe(error)}")
            continue
        if found is not None:
            verdicts[k] = replace(found, checked=verdict.checked, total=verdict.total, through_rule=False)
        elif projections.tied and verdict.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED):
            verdicts[k] = replace(verdict, word=ValueWord.TIE, reason=AT_KINK)


__all__ = ["Whole", "judge_contributions", "judge_forward"]
