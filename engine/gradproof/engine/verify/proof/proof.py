"""L1: proof that a backward rule is the derivative of its op's definition, for every input.

First refute: at exact random points the traced rule, read in balls, is compared with the derivative of the definition (from
the tape, which uses no rule). A ball around the difference that excludes zero is a counterexample, with witness. Then
prove: rule and definition are read with SymPy symbols, and ``rule - d/dx definition`` must be zero as an identity. Branches
are split into smooth regions first, each of which must be proved; the set where both sides of a comparison are equal is
left out, and the verdict names it (PROVED_AE). An op with a chart is proved through it (`parametrisations`), an op that is
defined by an equation by differentiating the equation (`implicit`).

Complex numbers are read as their parts. The rule of a holomorphic op is holomorphic between its conjugations, so if it
is the derivative on the real line, it is the derivative wherever both can be continued to without crossing a cut
(identity theorem): it is proved on the real line, and refuted anywhere. A rule written for complex numbers is proved in
z = a + ib. Between refutation and proof the behaviour of the op is checked (`behaviour`): its forward, its conventions
at kinks, its second derivative.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.conventions import HOLOMORPHIC
from gradproof.engine.domains import INTEGER
from gradproof.engine.errors import RuleFault
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC, Undecided
from gradproof.engine.spec import FLOAT64, Spec, is_complex, part_dtype
from gradproof.engine.trace import Program
from gradproof.engine.verify.identities.regions import Unproved
from gradproof.engine.verify.proof.array_forms import Symbols, check_forms
from gradproof.engine.verify.proof.behaviour import BehaviourChecks
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.expansions import differs_somewhere, show_definition
from gradproof.engine.verify.proof.for_all_values import prove_for_all
from gradproof.engine.verify.proof.implicit import prove_implicitly
from gradproof.engine.verify.proof.obligations import cotangents_of, prove_obligations
from gradproof.engine.verify.proof.parametrisations import prove_through
from gradproof.engine.verify.proof.points import cotangent, input_symbols, sample_point, variables_of
from gradproof.engine.verify.readings import NoDefinition, Tape, TooLarge, parts_shape, read, read_parts
from gradproof.engine.verify.readings.reading import integer_inputs, on_reals, place_of
from gradproof.engine.verify.readings.tape import ball_of
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.advice import FORM, MEMORY

POINTS = 3
COMPLEX_POINTS = 8  # some in every quadrant: cuts divide the plane
BEYOND = ((Fraction(10),), (Fraction(1000),), (Fraction(1, 1000),), (Fraction(1, 1000), Fraction(10), Fraction(1000)))
"""Scales of further points: a branch may lie beyond those that are drawn first."""
REFUTE_BITS = 256


class Shown(NamedTuple):
    """Identities that were shown: the tactic of each obligation, the ties that were left out, the route of the proof in
    words, whether the forms for whole arrays are shown to be the definitions, and lines about these."""

    tactics: dict[str, str]
    ties: set[str]
    route: str = ""
    arrays: bool = False
    lines: Sequence[str] = ()


def prove(registry: Registry, op: Op, case: Case) -> RuleVerdict:
    """The verdict on the rule of ``op`` for a shape class: at the sizes of the case, and, if it is proved there, at the
    sizes of the case beside it; where attributes are free, for all their values. Never raises for a wrong rule. May run
    long or use much memory (SymPy), so the pool runs it in a process that can be killed."""
    if case.free:
        return prove_for_all(registry, op, case, prove(registry, op, case.at_values()))
    verdict = _timed(registry, op, case)
    if case.beside is None or not verdict.proved:
        return verdict
    beside = _timed(registry, op, case.beside)
    seconds = verdict.seconds + beside.seconds
    if beside.proved:
        return replace(verdict, seconds=seconds, arrays=verdict.arrays and beside.arrays)
    return replace(beside, case=str(case), seconds=seconds, reason=f"{beside.reason}, for {case.beside}")


def _timed(registry: Registry, op: Op, case: Case) -> RuleVerdict:
    """The verdict at the sizes of ``case``, with its domain and the time it took."""
    started = time.perf_counter()
    domain = ", ".join(f"{name} {_domain(op, case, k)}" for k, name in enumerate(op.inputs[: len(case.inputs)]))
    try:
        verdict = _decided(registry, op, case)
    except BehaviourFault as fault:
        verdict = _verdict(op, case, RuleWord.REFUTED, reason=str(fault), **fault.witness)
    except (NoDefinition, RuleFault) as error:
        verdict = _verdict(op, case, RuleWord.NO_SPEC, reason=str(error))
    except Unproved as error:
        verdict = _verdict(op, case, RuleWord.UNDECIDED, reason=f"{error}; {FORM}")
    except MemoryError:
        verdict = _verdict(op, case, RuleWord.UNDECIDED, reason=f"out of memory; {MEMORY}")
    return replace(verdict, domain=domain, seconds=time.perf_counter() - started)


def _verdict(op: Op, case: Case, word: RuleWord, **evidence: Any) -> RuleVerdict:
    return RuleVerdict(word, op.name, str(case), **evidence)


def _decided(registry: Registry, op: Op, case: Case) -> RuleVerdict:
    """Try to refute the rule, check the behaviour of the op, then prove the rule. Raises BehaviourFault, NoDefinition,
    RuleFault or Unproved."""
    inference = op.inference(case.specs(), case.attributes)
    rule = registry.rule_of(op, case)
    if op.composite:
        return _computes_definition(op, case, inference, rule)
    if op.chart is not None and any(map(is_complex, rule.specs)):
        raise Unproved("a chart is of real numbers")
    behaviour = BehaviourChecks(registry, op, case, inference, rule)
    if case.sampled and not behaviour.computes_definition():
        raise Unproved("the forward does not compute the definition for these attributes, which were sampled")
    try:
        witness, agreed = _refute(op, case, inference, rule)
    except NoDefinition as error:
        return _verdict(op, case, RuleWord.NO_SPEC, reason=str(error), obligations=tuple(behaviour.spot_check()))
    if witness:
        return _verdict(op, case, RuleWord.REFUTED, reason="differs at an exact point", **witness)
    if not agreed and op.complex is HOLOMORPHIC and any(map(is_complex, rule.specs)):
        raise Unproved("the rule and the derivative have no value at any complex point that was tried")
    lines = behaviour.run_all()
    try:
        shown = _show(op, case, inference, rule)
    except Unproved as error:
        if not agreed or error.region:
            raise
        reason = f"agrees at {agreed} exact points to {REFUTE_BITS} bits, but {error}"
        return _verdict(op, case, RuleWord.AGREED, reason=reason, obligations=tuple(lines))
    return _verdict(
        op, case, RuleWord.PROVED_AE if shown.ties else RuleWord.PROVED,
        tactic=(" ".join(dict.fromkeys(" ".join(shown.tactics.values()).split())) or "structural") + shown.route,
        tie_set=", ".join(sorted(shown.ties)),
        obligations=(*(f"{place}: {tactic}" for place, tactic in shown.tactics.items()), *lines, *shown.lines),
        arrays=shown.arrays,
    )  # fmt: skip


def _computes_definition(op: Op, case: Case, inference: Inferred, expansion: Program) -> RuleVerdict:
    """The verdict on a composite: whether its expansion is its definition. Raises NoDefinition or Unproved."""
    witness = differs_somewhere(op, case, inference, expansion)
    if witness:
        return _verdict(op, case, RuleWord.REFUTED, reason="its expansion is not its definition", **witness)
    tactics, ties = show_definition(op, case, inference, expansion)
    return _verdict(
        op, case, RuleWord.PROVED_AE if ties else RuleWord.PROVED,
        tactic=" ".join(dict.fromkeys(" ".join(tactics.values()).split())), tie_set=", ".join(sorted(ties)),
        obligations=tuple(f"{place}: {tactic}" for place, tactic in tactics.items()),
    )  # fmt: skip


def _domain(op: Op, case: Case, k: int) -> str:
    domain = op.domain(k)
    return "complex" if case.dtype.kind == "c" and domain is not INTEGER else domain.name


def _real(inference: Inferred) -> Inferred:
    """The inference with the dtypes of the parts."""

    def real(specs: Sequence[Spec]) -> tuple[Spec, ...]:
        return tuple(Spec(spec.shape, part_dtype(spec.dtype)) for spec in specs)

    return Inferred(real(inference.outputs), inference.attributes, real(inference.inputs) if inference.inputs else None)


# refuting


def _refute(op: Op, case: Case, inference: Inferred, rule: Program) -> tuple[dict[str, str] | None, int]:
    """A witness against the rule, or None; and the number of points at which all was finite and agreed. A point where a
    branch is tied, or where a number is not finite, says nothing: that is not agreement."""
    agreed = 0
    for seed in range(POINTS if case.dtype.kind != "c" else COMPLEX_POINTS):
        try:
            with precision(REFUTE_BITS):
                witness, finite = _refute_at(op, case, inference, rule, Random(f"{op.name} {case} {seed}"))
        except (Undecided, TooLarge, ZeroDivisionError, ValueError):
            continue
        if witness:
            return witness, agreed
        agreed += finite
    for scales in BEYOND if case.dtype.kind != "c" and op.chart is None else ():
        with suppress(Undecided, TooLarge, ZeroDivisionError, ValueError), precision(REFUTE_BITS):
            witness, _ = _refute_at(op, case, inference, rule, Random(f"{op.name} {case} {scales}"), scales)
            if witness:
                return witness, agreed
    return None, agreed


def _refute_at(
    op: Op, case: Case, inference: Inferred, rule: Program, random: Random, scales: Sequence[Fraction] = ()
) -> tuple[dict[str, str] | None, bool]:
    """A witness at a random point, or None; and whether all numbers were finite."""
    integers = integer_inputs(case, inference)
    tape = Tape()
    balls, coordinates = sample_point(op, case, inference, random, scales)
    inputs = [x if exact is not None else variables_of(tape, x) for x, exact in zip(balls, integers, strict=True)]
    specs = inference.inputs or case.specs()
    outputs = read_parts(op, tape, inputs, specs, inference.attributes, inference.outputs)
    cotangents = []
    for spec in inference.outputs:
        g = np.empty(parts_shape(spec), object)
        for index in np.ndindex(g.shape):
            g[index] = tape.number(cotangent(random))
        cotangents.append(g)
    flat_outputs = [y for array in outputs for y in array.flat]
    flat_seeds = [g for array in cotangents for g in array.flat]
    claimed = read(rule, [*cotangents, *outputs, *inputs], tape)
    if tape.tied:
        return None, False
    finite = True
    for k, (contribution, variables) in enumerate(zip(claimed, inputs, strict=True)):
        if integers[k] is not None or k in op.still:
            continue
        truth = tape.gradient(flat_outputs, flat_seeds, list(variables.flat))
        for index, true in zip(np.ndindex(variables.shape), truth, strict=True):
            got = arb(0) if contribution is None else arb(ball_of(contribution[index]))
            finite = finite and (got - true).is_finite()
            if (got - true).is_finite() and not (got - true).contains(0):
                digits = next(
                    n for n in (12, 25, 50, 80) if n == 80 or got.str(n, radius=False) != true.str(n, radius=False)
                )
                return {
                    "input": op.input_name(k),
                    "element": place_of(index, specs[k]),
                    "point": "; ".join(coordinates[:12]),
                    "got": "NO_GRADIENT" if contribution is None else got.str(digits, radius=False),
                    "expected": true.str(digits, radius=False),
                }, finite
    return None, finite


# proving


def _show(op: Op, case: Case, inference: Inferred, rule: Program) -> Shown:
    """The identities that prove a rule. Raises Unproved."""
    has_complex, continued = any(map(is_complex, rule.specs)), ""
    if has_complex and op.complex is HOLOMORPHIC:
        case, inference, rule = case.over(FLOAT64), _real(inference), on_reals(rule)
        continued = " continued from the real line"
    if op.chart is not None:
        route = f" through the chart {op.chart.formula}{continued}"
        return Shown(*prove_through(op, op.chart, case, inference, rule), route)
    if op.equation is not None:
        route = f" through the equation {op.equation.formula}{continued}"
        return Shown(*prove_implicitly(op, op.equation, case, inference, rule), route)
    tactics, ties, symbols = _show_derivative(op, case, inference, rule)
    if has_complex:
        return Shown(tactics, ties, continued)
    arrays, lines = check_forms(op, case, inference, rule, symbols)
    return Shown(tactics, ties, "", arrays, lines)


def _show_derivative(op: Op, case: Case, inference: Inferred, rule: Program) -> tuple[dict[str, str], set[str], Symbols]:
    """The tactics of each obligation, the ties that were left out, and the readings in symbols. Raises Unproved."""
    specs = inference.inputs or case.specs()
    variables, inputs = input_symbols(op, case, inference)
    outputs = read_parts(op, SYMBOLIC, inputs, specs, inference.attributes, inference.outputs)
    cotangents = cotangents_of(inference)
    claimed = read(rule, [*cotangents, *outputs, *inputs], SYMBOLIC)
    tactics, ties = prove_obligations(op, specs, variables, cotangents, outputs, claimed)
    return tactics, ties, Symbols(inputs, cotangents, outputs, claimed)
