"""A large node of an op that is not elementwise: its form for whole arrays encloses the results, and the program of its
rule the contributions.

The program's value in exact arithmetic is the true contribution if the rule is proved, which is stated separately
(`ValueVerdict.through_rule`). Without the rule contributions are compared along random directions v: <contribution, v> must
be <g, J v>, with J v from the form, read over duals.
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
from gradproof.engine.verify.arrays import (
    Arrays,
    BallArray,
    NoArrays,
    charged,
    entered,
    evaluated,
    finely,
    output_balls,
    read_op,
    read_program,
)
from gradproof.engine.verify.floats.ulps import finite, unit
from gradproof.engine.verify.nodes.allowances import Orders, compare_array
from gradproof.engine.verify.nodes.distances import Tally, needs_fine_radii
from gradproof.engine.verify.nodes.elements import ALIKE, common_limits, far_substitutes, limits
from gradproof.engine.verify.nodes.projections import Projections
from gradproof.engine.verify.nodes.refinement import Refiner
from gradproof.engine.verify.nodes.weighted_projections import check_equalities
from gradproof.engine.verify.numbers import FAR, Application
from gradproof.engine.verify.verdict import ValueVerdict, ValueWord

GROWN = 128.0  # largest factor by which an input is taken to multiply an underflow
MANY_PRODUCTS = 1 << 24
FEW_CHOSEN = 1 << 11
AT_KINK = "at a kink: what the rule gives there, by the op's convention"


class WholeReading:
    """An application, and its readings over whole arrays.

    Args:
        rule: the program of its backward rule, if any.
        deadline: until then elements with too wide balls are read by Arb.
    """

    def __init__(self, application: Application, rule: Program | None, deadline: float = math.inf) -> None:
        self.application, self.rule, self.deadline = application, rule, deadline
        if any(is_complex(spec) for spec in (*application.specs, *application.outputs)):
            raise NoArrays(f"op {application.op.name!r}: complex numbers are not read in arrays")
        floats = [x for x in application.inputs if x.dtype.kind not in "biu"]
        self.finite = all(map(finite, (*floats, *application.cotangents)))
        infinite = not self.finite and any(np.isinf(np.asarray(x, np.float64)).any() for x in floats)
        self.readings: list[Sequence[Array]] = [application.inputs]
        self._alike: list[Sequence[Array]] = []  # a third reading of results, with equal infinities
        if infinite:
            sizes = [np.abs(np.asarray(x, np.float64)).reshape(-1) for x in floats]
            far = np.unique(np.concatenate([x[np.isfinite(x) & (x >= FAR)] for x in sizes]))
            substituted: list[Sequence[Array]] = [
                [
                    x if x.dtype.kind in "biu" else far_substitutes(np.asarray(x, np.float64), far, seed, k)
                    for k, x in enumerate(application.inputs)
                ]
                for seed in (1, 2, ALIKE)
            ]
            self.readings, self._alike = substituted[:2], substituted[2:]
        self.equalities: dict[int, list[Array]] = {}
        self._outputs: list[list[Any]] = []
        self.enclosed: list[BallArray] = []
        self._programs: dict[int, Program | None] = {}
        self._fine = False
        self._allowed: dict[tuple[Orders, int | None], Array] = {}

    # true values

    def outputs(self) -> list[BallArray]:
        """Enclosures of the results, kept as ``enclosed``. Raises NoArrays, and any exception of the op's code."""
        enclosed = self._enclosed()
        if not self._fine and any(
            needs_fine_radii(y, ball) for y, ball in zip(self.application.results, enclosed, strict=True)
        ):
            enclosed = self._read_finely()
        self.enclosed = enclosed
        return enclosed

    def _read_finely(self) -> list[BallArray]:
        """The enclosures of the results with all digits of denormal numbers, and so for later readings."""
        self._fine = True
        with finely():
            return [ball.fixed() for ball in self._enclosed()]

    def _enclosed(self) -> list[BallArray]:
        application, enclosures = self.application, []
        self._outputs = []
        for inputs in (*self.readings, *self._alike):
            f = Arrays()
            outputs = read_op(application.op, f, [entered(x) for x in inputs], application.attributes, application.outputs)
            self._outputs.append(outputs)
            enclosures.append([output_balls(f, y, spec) for y, spec in zip(outputs, application.outputs, strict=True)])
        del self._outputs[len(self.readings) :]
        return [common_limits(balls) for balls in zip(*enclosures, strict=True)]

    def contribution(self, k: int) -> BallArray:
        """The enclosure of the rule's value for input ``k`` in exact arithmetic, after `outputs`. ``equalities`` collects
        the elements where the rule compared equal numbers."""
        claimed = self.application.contributions[k]
        if not self._fine:
            ball = self._through_rule(k)
            if claimed is None or not needs_fine_radii(claimed, ball):
                return ball
            self._read_finely()
        with finely():
            return self._through_rule(k).fixed()

    def _through_rule(self, k: int) -> BallArray:
        application = self.application
        spec = application.specs[k]
        program = self._program(k)
        if program is None:
            return BallArray(np.zeros(spec.shape))
        enclosures = []
        for inputs, outputs in zip(self.readings, self._outputs, strict=True):
            f = Arrays()
            f.equalities = self.equalities[k] = []
            [ball] = [x for x in read_program(program, self._rule_inputs(program, inputs, outputs), f) if x is not None]
            enclosures.append(output_balls(f, ball, spec))
        return enclosures[0] if len(enclosures) == 1 else limits(enclosures[0], enclosures[1], False)

    def _program(self, k: int) -> Program | None:
        """The part of the rule that computes the contribution of input ``k``; None if it has NO_GRADIENT."""
        if self.rule is None:
            raise NoArrays(f"the rule of op {self.application.op.name!r} is not known here")
        if k not in self._programs:
            is_kept = [j == k for j in range(len(self.rule.outputs))]
            self._programs[k] = None if self.rule.outputs[k] is None else prune(self.rule, is_kept)
        return self._programs[k]

    def _rule_inputs(self, program: Program, inputs: Sequence[Array], outputs: Sequence[Any]) -> list[Any]:
        """The inputs of a rule: cotangents, results, inputs; None for those that it does not use."""
        application = self.application
        used = {k for step in program.instructions for k in step.inputs} | set(program.outputs)
        results = [x if x.dtype.kind in "biu" else y for y, x in zip(outputs, application.results, strict=True)]
        arguments: list[Any] = []
        for number, x in zip(program.inputs, (*application.cotangents, *results, *inputs), strict=True):
            array = isinstance(x, np.ndarray)
            arguments.append(None if number not in used else entered(x) if array else x)
        return arguments

    def refined(self, at: Array, *, result: int = 0, k: int | None = None) -> BallArray | None:
        """A result, or the contribution to input ``k``, with more bits at the flat places ``at``, in a flat array with nan
        where there was no time. None if forms cannot be read so."""
        readings = [*self.readings, *self._alike] if k is None else self.readings
        refiner = Refiner(self.application, readings, self.deadline)
        try:
            if k is None:
                return refiner.result(result, at)
            program = self._program(k)
            return None if program is None else refiner.contribution(program, at)
        except MemoryError:
            raise
        except BaseException as error:  # a form is third-party code
            reraise_own(error)
            return None

    # allowances

    def allowed(self, orders: Orders, k: int | None, at: Array) -> Array | None:
        """The error bound of an evaluation in the dtype of the run, flat: of the results (``k`` None, all of them in a row)
        or of the contribution to input ``k``. None if unknown. ``at``: mask of the elements that are needed."""
        key = (orders, k)
        if key in self._allowed:
            return self._allowed[key]
        try:
            usual = orders is Orders.USUAL
            few = usual or np.count_nonzero(at) <= FEW_CHOSEN
            selected = self._selected(k, at, dear=usual) if few else None
            with finely() if self._fine else nullcontext():
                balls = [ball.fixed() for ball in self._evaluate(orders, k, selected)]
            radii = np.concatenate([np.array(ball.radius()).reshape(-1) for ball in balls])
        except BaseException as error:  # a form is third-party code
            reraise_own(error)
            return None
        if selected is None:  # else the radii are nan elsewhere
            self._allowed[key] = radii
        return radii

    def _evaluate(self, orders: Orders, k: int | None, selected: Array | None) -> list[BallArray]:
        application = self.application
        program = None if k is None else self._program(k)
        if k is not None and program is None:
            return [BallArray(np.zeros(application.specs[k].shape))]
        usual = orders is Orders.USUAL
        if usual and k is not None:  # for the inputs of the rule any order counts
            f = Arrays(model=True)
        elif program is not None and selected is not None:
            f = Arrays(model=True, likely=orders is Orders.LIKELY)
        else:
            f = Arrays(model=True, running=usual, likely=orders is Orders.LIKELY, selected=selected)
        rounding = unit(application.outputs[0].dtype)
        inputs = [charged(entered(x), rounding) for x in self.readings[0]]
        outputs: list[Any] = [None] * len(application.outputs)
        if program is None or self._reads_results(program):
            outputs = read_op(application.op, f, inputs, application.attributes, application.outputs)
            outputs = [evaluated(y, spec, rounds=False) for y, spec in zip(outputs, application.outputs, strict=True)]
        if program is None:
            return [output_balls(f, y, spec) for y, spec in zip(outputs, application.outputs, strict=True)]
        assert k is not None
        f = Arrays(model=True, running=usual, likely=orders is Orders.LIKELY, selected=selected)
        [ball] = [
            x for x in read_program(program, self._rule_inputs(program, self.readings[0], outputs), f) if x is not None
        ]
        return [output_balls(f, ball, application.specs[k])]

    def _reads_results(self, program: Program) -> bool:
        used = {k for step in program.instructions for k in step.inputs} | set(program.outputs)
        count = len(self.application.outputs)
        return not used.isdisjoint(program.inputs[count : 2 * count])

    def _selected(self, k: int | None, at: Array, *, dear: bool) -> Array | None:
        """The mask of the elements of the only matrix product that the elements ``at`` are; None if there is no such
        product. Raises NoArrays where ``dear`` products would be computed for other elements."""
        application, program = self.application, None if k is None else self._program(k)
        if k is not None and program is None:
            return None
        steps = [application.op] if program is None else [step.op for step in program.instructions]
        products = [op.contracts for op in steps]
        if not any(products):
            return None
        shape = application.outputs[0].shape if k is None else application.specs[k].shape
        last = program is None or (products[-1] and sum(products) == 1 and len(shape) > (1 if dear else 0))
        flat = min(len(shape), *(x.ndim for x in application.inputs)) < 2
        if not last or not shape or (dear and flat):
            if dear and sum(x.size for x in application.inputs) * max(shape, default=1) > MANY_PRODUCTS:
                raise NoArrays("too many products to look at")
            return None
        return at.reshape(shape)

    def underflow_growth(self, k: int | None) -> float:
        """Factor by which an underflow may have grown."""
        grown = min(GROWN, max(1.0, self._largest_input)) * max(1.0, self.application.terms / 32)
        if k is None:
            return grown
        return grown * max(1.0, *(_largest(g) for g in self.application.cotangents))

    @cached_property
    def _largest_input(self) -> float:
        return max((_largest(x) for x in self.application.inputs), default=1.0)


def _largest(x: Array) -> float:
    if x.dtype.kind in "biu":
        return 1.0
    sizes = np.abs(np.asarray(x, np.float64))
    return float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))


def compare_results(whole: WholeReading) -> tuple[ValueVerdict, list[Array]]:
    """The verdict on the results, and the flat places of each result that are left unknown."""
    application = whole.application
    balls = whole.outputs()
    verdict: Tally | None = None
    left: list[Array] = []
    start = 0
    for result, ball in zip(application.results, balls, strict=True):
        tally = Tally(result.shape, result.size)
        place = slice(start, start + result.size)

        def allowance(orders: Orders, at: Array, place: slice = place) -> Array | None:
            mask = np.zeros(sum(y.size for y in application.results), bool)
            mask[place] = at
            radii = whole.allowed(orders, None, mask)
            return None if radii is None else radii[place]

        refined = partial(whole.refined, result=len(left))
        underflow_growth = partial(whole.underflow_growth, None)
        left.append(
            compare_array(
                result, ball, allowance, tally, finite=whole.finite, underflow_growth=underflow_growth, refined=refined
            )
        )
        start += result.size
        if verdict is None:
            verdict = tally
        else:
            verdict.note(tally.worst)
    assert verdict is not None
    missing = sum(map(len, left))
    return replace(verdict.worst, checked=start - missing, total=start, through_rule=True), left


def compare_contributions(whole: WholeReading) -> list[ValueVerdict | None]:
    """The verdicts on the contributions."""
    application = whole.application
    verdicts: list[ValueVerdict | None] = []
    balls: dict[int, BallArray] = {}
    for k, claimed in enumerate(application.contributions):
        if claimed is None:
            verdicts.append(None)
            continue
        try:
            ball = whole.contribution(k)
        except MemoryError:
            raise
        except BaseException as error:  # a rule, or a form in it, is third-party code
            reraise_own(error)
            verdicts.append(
                ValueVerdict(ValueWord.UNCHECKED, total=claimed.size, reason=f"not read in arrays: {describe(error)}")
            )
            continue
        tally = Tally(claimed.shape, claimed.size)

        def allowance(orders: Orders, at: Array, k: int = k) -> Array | None:
            return whole.allowed(orders, k, at)

        refined, underflow_growth = partial(whole.refined, k=k), partial(whole.underflow_growth, k)
        left = compare_array(
            claimed, ball, allowance, tally, finite=whole.finite, underflow_growth=underflow_growth, refined=refined
        )
        balls[k] = ball
        checked = claimed.size - len(left)
        verdicts.append(replace(tally.worst, checked=checked, total=claimed.size, through_rule=True))
    if balls and whole.finite:
        _project(whole, balls, verdicts)
    return verdicts


def _project(whole: WholeReading, balls: dict[int, BallArray], verdicts: list[ValueVerdict | None]) -> None:
    """Compare contributions with the form for whole arrays along random directions, and replace their verdicts."""
    projections = Projections(whole.application, balls)
    for k in balls:
        verdict = verdicts[k]
        assert verdict is not None
        if verdict.word is ValueWord.OFF:
            continue
        try:
            disagreement = projections.check(k)
            if disagreement is None and whole.equalities.get(k) and not projections.tied:
                disagreement = check_equalities(whole.application, k, balls[k], whole.equalities[k])
        except BaseException as error:  # a form is third-party code
            reraise_own(error)
            verdicts[k] = replace(verdict, reason=verdict.reason or f"not projected: {describe(error)}")
            continue
        if disagreement is not None:
            verdicts[k] = replace(disagreement, checked=verdict.checked, total=verdict.total, through_rule=False)
        elif projections.tied and verdict.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED):
            verdicts[k] = replace(verdict, word=ValueWord.TIE, reason=AT_KINK)


__all__ = ["WholeReading", "compare_contributions", "compare_results"]
