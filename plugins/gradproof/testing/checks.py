"""Checks of an op: a requirement each, by name, from the declaration alone.

A check is a function of a `Subject` that raises `Broken` where the requirement is broken, and writes notes of what it
could not look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.verify.verdict import RuleWord
from gradproof.testing import memory, numbers
from gradproof.testing.counterexample import demand_right
from gradproof.testing.differences import demand_slopes
from gradproof.testing.fault import Broken
from gradproof.testing.samples import trial_of
from gradproof.testing.subject import Subject

SECOND = "the second derivative"
KINDS = (
    ("second order", (SECOND,)),
    ("ties", ("kink", "hull")),
    ("purity", ("writes to its input", "called again")),
    ("memory", ("other bits than its",)),
    ("dtypes", ("in float32", "in float16", "in bfloat16", "in complex64")),
)
"""Checks that a refutation belongs to, by words of its reason; all others are of the check ``proof``."""

SEEDS = range(6)


def proof(subject: Subject) -> None:
    """The rule is the derivative of the definition, and the forward computes the definition: in all cases, with several
    values of the attributes."""
    if subject.op.rule is None and not subject.op.composite:
        subject.note("no rule: no gradient flows through this op")
    elif not subject.op.definitions and subject.op.equation is None and not subject.op.composite:
        subject.note("no definition: nothing is proved; the rule is compared with differences of the forward")
        for case in subject.op.declared_cases():
            demand_slopes(subject.registry, trial_of(subject.op, case))
    refuted(subject, "proof")
    for case, verdict in subject.verdicts:
        if verdict.word in (RuleWord.UNDECIDED, RuleWord.AGREED, RuleWord.NO_SPEC) and not case.sampled:
            subject.note(f"not proved for {case}: {verdict.word}, {verdict.reason}")


def second_order(subject: Subject) -> None:
    """The rule, differentiated again, is the second derivative of the definition."""
    refuted(subject, "second order")
    lines = (line for _, verdict in subject.verdicts for line in verdict.obligations)
    none = next((line for line in lines if line.startswith("no second derivative")), "")
    if none:
        subject.note(none)


def ties(subject: Subject) -> None:
    """At kinks the rule gives the value of its convention, or any between the one-sided derivatives."""
    refuted(subject, "ties")
    numbers.ties(subject)


def dtypes(subject: Subject) -> None:
    """Forward and rule give right numbers, in the dtype that was inferred, from float16 to complex128."""
    refuted(subject, "dtypes")
    numbers.dtypes(subject)


def purity(subject: Subject) -> None:
    """Forward and backward leave their inputs alone, keep no state, and give the same bits again."""
    memory.purity(subject)
    refuted(subject, "purity")


def facts(subject: Subject) -> None:
    """`into`, `view` and `place` say what the forward does, to the bit."""
    memory.facts(subject)
    refuted(subject, "memory")


CHECKS: Mapping[str, Callable[[Subject], None]] = MappingProxyType(
    {
        "purity": purity,
        "proof": proof,
        "second order": second_order,
        "dtypes": dtypes,
        "broadcasting": numbers.broadcasting,
        "sizes": numbers.sizes,
        "stress": numbers.stress,
        "ties": ties,
        "layouts": numbers.layouts,
        "memory": facts,
    }
)
"""The checks by name, in the order in which they run: an op that is not pure would confuse all others."""


AFTER_PROOF = frozenset({"dtypes", "broadcasting", "stress", "ties", "layouts"})
"""Checks of numbers, which are not run where the rule is wrong everywhere: they would repeat it."""


def refuted(subject: Subject, name: str) -> None:
    """Raises Broken if the rule was refuted for a reason that belongs to the check called ``name``: with a counterexample
    in floats where there is one, else with the exact point."""
    case, verdict = next(
        ((case, verdict) for case, verdict in subject.verdicts if verdict.word is RuleWord.REFUTED), (None, None)
    )
    if case is None or verdict is None or _kind(verdict.reason) != name:
        return
    where = f"for {case}" if case.attributes or not subject.op.elementwise else ""
    if name == "proof" and not case.free:
        for seed in SEEDS:
            demand_right(subject.registry, trial_of(subject.op, _telling(subject, case), case.dtype, seed), where)
    of = f" of {verdict.input}" if verdict.input else ""
    place = f" at {verdict.element}" if verdict.element not in ("", "[]") else ""
    point = f"at the exact point {verdict.point}, " if verdict.point else ""
    numbers_ = (
        f": {point}it gives {verdict.got}, and {verdict.expected} is true{of}{place}" if verdict.got else f"{of}{place}"
    )
    reason = "the rule differs from the derivative of the definition" if "exact point" in verdict.reason else verdict.reason
    if verdict.reason.startswith(SECOND):
        reason = "the rule, differentiated again, is not the second derivative of the definition"
    raise Broken(f"{reason}{numbers_}{f' {where}' if where else ''}", HINTS.get(name, ""))


def _telling(subject: Subject, case: Case) -> Case:
    """The case with eight elements of either sign where the op is elementwise: a diagnosis needs several numbers."""
    if subject.op.cases or not subject.op.elementwise:
        return case
    return replace(case, inputs=tuple(np.resize(x, 8) if isinstance(x, np.ndarray) else (8,) for x in case.inputs))


HINTS: Mapping[str, str] = MappingProxyType(
    {"second order": "an op that the rule uses has a wrong rule of its own: check that op by itself"}
)


def _kind(reason: str) -> str:
    return next((name for name, words in KINDS if any(word in reason for word in words)), "proof")
