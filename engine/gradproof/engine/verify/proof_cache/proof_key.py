"""Keys of proofs: an op, a case and the program of its rule; and the keys that are to be proved of an op."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.cases import Case
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.spec import BFLOAT16
from gradproof.engine.verify.proof.sampled_attributes import sampled_cases
from gradproof.engine.verify.proof_cache.free_attributes import with_free_attributes
from gradproof.engine.verify.proof_cache.programs import alike, program_digest

MAX_SAMPLED = 40
REALS = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), BFLOAT16)
COMPLEXES = (np.dtype(np.complex128), np.dtype(np.complex64))


@dataclass(frozen=True)
class ProofKey:
    """Key of a proof: an op, a case, and the program that its rule is for that case (a hash; empty: not traced yet). Two
    keys are equal if their texts are; other processes get only the text. ``general``: the key of a proof for all values
    of float attributes, which covers this key too."""

    op: str
    case: Case
    program: str = ""
    general: ProofKey | None = None

    @cached_property
    def text(self) -> str:
        return f"{self.op} {self.case.text} {self.program}"

    def __str__(self) -> str:
        return f"{self.op} {self.case}"

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProofKey) and self.text == other.text

    def traced(self, registry: Registry) -> ProofKey:
        """The key with the program that the rule is in this process."""
        if self.program:
            return self
        try:
            return replace(self, program=program_digest(registry.rule_of(registry.op(self.op), self.case)))
        except (RuleFault, NoRule, InferenceError):  # the proof reports it
            return self


def general_key(registry: Registry, op: Op, case: Case) -> ProofKey | None:
    """The key of the proof for all values of the float attributes of a case; None if none of them can be free."""
    general = with_free_attributes(registry, op, case)
    return None if general is None else ProofKey(op.name, general).traced(registry)


def rule_keys(registry: Registry, op: Op) -> list[ProofKey]:
    """Keys of the rule of an op: its cases, again in each dtype in which its rule is another program; and those for all
    values of float attributes. The last key is owed."""
    keys: list[ProofKey] = []
    for case in watched(op.proof_cases()) if op.rule else ():
        try:
            rule = registry.rule_of(op, case)
        except (InferenceError, RuleFault, NoRule):  # a value that the op does not take: declared cases all trace
            continue
        general = general_key(registry, op, case)
        if general is not None and general not in keys:
            keys.append(general)
        keys.append(ProofKey(op.name, case, program_digest(rule)))
        for dtype in REALS if case.dtype.kind != "c" else COMPLEXES:
            try:
                rule_in_dtype = registry.rule_of(op, case, dtype)
            except (InferenceError, RuleFault, NoRule):  # not for this dtype; the proof of the case reports a fault
                continue
            if not alike(rule, rule_in_dtype):
                keys.append(ProofKey(op.name, case.over(dtype), program_digest(rule_in_dtype)))
    return keys


def sampled_keys(registry: Registry, op: Op) -> Iterator[ProofKey]:
    """Keys of cases with sampled attributes, which may refute the rule, up to `MAX_SAMPLED`. Runs forwards, and no
    definition."""
    count = 0
    for case in watched(sampled_cases(op)) if op.rule and op.declared_cases() else ():
        if count >= MAX_SAMPLED:
            return
        try:
            key = ProofKey(op.name, case, program_digest(registry.rule_of(op, case)))
        except (InferenceError, RuleFault, NoRule):  # a value that the rule does not take
            continue
        count += 1
        yield key
