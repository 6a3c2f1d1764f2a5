"""Proof of a rule for all values of its float attributes, which are symbols in it.

Rule and definition are read with sealed numbers, which do not reveal a value: then the rule at any value is the formula
that was proved with a number in it. The formula is shown for almost all points and values together. It holds for each
value by continuity if the critical expressions (a divisor, the argument of a logarithm, the difference of two sides that
are compared) are 0 on a thin set of points only, for any value. Exceptional values are left out from the start.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from fractions import Fraction
from random import Random
from typing import Any

import sympy

from gradproof.engine.cases import Case
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.sealed import EXCEPTIONAL, Free, Ledger, exact_number, free_symbol, sealed
from gradproof.engine.spec import Array
from gradproof.engine.verify.identities.branches import exact, is_thin
from gradproof.engine.verify.identities.regions import Unproved
from gradproof.engine.verify.identities.zero_tests import short
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.obligations import cotangents_of, prove_obligations
from gradproof.engine.verify.proof.points import input_symbols
from gradproof.engine.verify.readings import read, read_op
from gradproof.engine.verify.readings.sealing import Sealing, seal_all, unsealed
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.engine.verify.verdict.advice import MEMORY

POINTS = 4
CLOSE = sympy.Rational(1, 10**12)
OWN = "each value has a proof of its own"
BUT = f"any real number but {', '.join(map(str, EXCEPTIONAL[:-1]))} and {EXCEPTIONAL[-1]}"


def prove_for_all(registry: Registry, op: Op, case: Case, verdict_at: RuleVerdict) -> RuleVerdict:
    """The verdict on a rule for all values of the free attributes of ``case``, after ``verdict_at``, the verdict at the
    declared values. UNDECIDED where the proof does not close, and never REFUTED: only a single value can be refuted."""
    started = time.perf_counter()
    names = " and ".join(case.free)
    domain = ", ".join([verdict_at.domain, *(f"{name} {BUT}" for name in case.free)])

    def conclude(word: RuleWord, **evidence: Any) -> RuleVerdict:
        seconds = verdict_at.seconds + time.perf_counter() - started
        return RuleVerdict(word, op.name, str(case), domain=domain, seconds=seconds, **evidence)

    if op.arrays is not None:
        return conclude(RuleWord.UNDECIDED, reason=f"the form for whole arrays is compared at each value of {names}; {OWN}")
    if not verdict_at.proved:
        return conclude(RuleWord.UNDECIDED, reason=f"not proved at {verdict_at.case}; {OWN}")
    try:
        tactics, ties = _close(registry, op, case)
        if case.beside is not None:
            _close(registry, op, case.beside)
    except MemoryError:
        return conclude(RuleWord.UNDECIDED, reason=f"out of memory; {MEMORY}")
    except (Unproved, BehaviourFault) as error:
        return conclude(RuleWord.UNDECIDED, reason=f"not for every value of {names}: {error}; {OWN}")
    except BaseException as error:  # a plugin's definition, which is given symbols in the place of numbers
        reraise_own(error)
        return conclude(
            RuleWord.UNDECIDED, reason=f"not for every value of {names}: {type(error).__name__}: {error}; {OWN}"
        )
    used = " ".join(dict.fromkeys(" ".join(tactics.values()).split())) or "structural"
    identities = [f"{place}, for every value of {names}: {tactic}" for place, tactic in tactics.items()]
    at = ", ".join(f"{name}={case.attributes[name]}" for name in case.free)
    obligations = (*identities, *(f"at {at}: {obligation}" for obligation in verdict_at.obligations))
    if ties:
        return conclude(
            RuleWord.PROVED_AE,
            tactic=used,
            tie_set=", ".join(sorted(ties)),
            obligations=obligations,
            arrays=verdict_at.arrays,
        )
    return conclude(RuleWord.PROVED, tactic=used, obligations=obligations, arrays=verdict_at.arrays)


def _close(registry: Registry, op: Op, case: Case) -> tuple[dict[str, str], set[str]]:
    """The tactics of each obligation, and the ties that were left out. Raises Unproved."""
    inference = op.inference(case.specs(), case.attributes)
    rule, ledger = registry.rule_of(op, case), Ledger()
    f = Sealing(ledger)
    variables, inputs = input_symbols(op, case, inference)
    sealed_inputs = [seal_all(x, f) for x in inputs]
    outputs = read_op(op, f, sealed_inputs, {**inference.attributes, **sealed(case.free, ledger)}, inference.outputs)
    cotangents = cotangents_of(inference)
    claimed = read(rule, [*(seal_all(g, f) for g in cotangents), *outputs, *sealed_inputs], f)
    results = [unsealed(y) for y in outputs]
    if ledger.is_asked:
        asked = ", ".join(sorted(ledger.asked)) or "an input"
        raise Unproved(f"the definition of {op.name!r}, or of an op in its rule, asks for the value of {asked}")
    pulled = [None if x is None else unsealed(x) for x in claimed]
    outputs_at = read_op(op, SYMBOLIC, inputs, inference.attributes, inference.outputs)
    pulled_at = read(registry.rule_of(op, case.at_values()), [*cotangents, *outputs_at, *inputs], SYMBOLIC)
    _compare(case, [*results, *pulled], [*outputs_at, *pulled_at])
    for expression in sorted(ledger.critical, key=sympy.default_sort_key):
        if not is_thin(expression):
            raise Unproved(f"it is not shown that {short(expression)} is not 0 everywhere for some value")
    return prove_obligations(op, inference.inputs or case.specs(), variables, cotangents, results, pulled)


def _compare(case: Case, results: Sequence[Array | None], numeric_results: Sequence[Array | None]) -> None:
    """Raises Unproved if the reading with numbers differs from that with symbols: a definition may depend on the type of
    a number."""
    values = {free_symbol(name): exact_number(Fraction(case.attributes[name])) for name in case.free}
    for y, z in zip(results, numeric_results, strict=True):
        for symbolic, numeric in zip(() if y is None else y.flat, () if z is None else map(exact, z.flat), strict=True):
            if symbolic.xreplace(values) != numeric and not all(
                _agree(symbolic, numeric, values, seed) for seed in range(POINTS)
            ):
                raise Unproved("the definition with numbers is another than with symbols")


def _agree(symbolic: Any, numeric: Any, values: dict[Any, Any], seed: int) -> bool:
    random = Random(seed)
    free = sorted((symbolic.free_symbols | numeric.free_symbols) - symbolic.atoms(Free), key=sympy.default_sort_key)
    point = {s: sympy.Rational(random.randint(1, 63), 64) * (3 if seed % 2 else 1) for s in free}
    a, b = (sympy.N(e.xreplace(values).xreplace(point), 40) for e in (symbolic, numeric))
    if not (a.is_number and b.is_number and a.is_finite and b.is_finite):
        return bool(a == b)
    return bool(abs(a - b) <= CLOSE * max(1, abs(b)))
