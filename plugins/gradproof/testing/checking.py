"""Check of an op by all that its declaration says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gradproof.engine.errors import KernelRefused, OpRefused
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.verify.verdict import RuleVerdict
from gradproof.testing.checks import AFTER_PROOF, CHECKS
from gradproof.testing.fault import Broken, Fault, OpFault
from gradproof.testing.registries import loaded, module_of, registry_with
from gradproof.testing.subject import Subject

REGISTRATION = "registration"
HINTS = (
    ("returned a cotangent of shape", "sum the cotangent over the axes along which the input was repeated"),
    ("returned a cotangent of dtype", "keep the dtype of the input: a literal takes it, an array of its own does not"),
    ("returned 1 cotangents for", "return a tuple: a cotangent for each input, NO_GRADIENT for indices and masks"),
    ("ndarray", "a rule is written with operators and `ops`, not with NumPy"),
    ("ufunc", "a rule is written with operators and `ops`, not with NumPy"),
)


@dataclass(frozen=True)
class Report:
    """The report on an op without faults.

    Attributes:
        op: its name.
        checks: names of the checks that it passed.
        verdicts: the verdicts on its rule, one for each case.
        notes: what could not be checked, and where digits are lost.
    """

    op: str
    checks: tuple[str, ...]
    verdicts: tuple[RuleVerdict, ...]
    notes: tuple[str, ...]

    @property
    def proved(self) -> bool:
        """True if the rule is proved in all declared cases."""
        return bool(self.verdicts) and all(verdict.proved for verdict in self.verdicts)

    def __str__(self) -> str:
        words: dict[str, int] = {}
        for verdict in self.verdicts:
            words[verdict.word.value] = words.get(verdict.word.value, 0) + 1
        shown = ", ".join(f"{count} {word}" for word, count in words.items()) or "nothing to prove"
        return "\n".join([f"{self.op}: {shown}; passed {', '.join(self.checks)}", *(f"  note: {n}" for n in self.notes)])


def check_op(op: Op | str, plugin: Any = None, *, checks: Iterable[str] | None = None) -> Report:
    """Check an op by its declaration alone: registration, proof, second order, dtypes, broadcasting, sizes, stress values,
    ties, layouts, purity, facts about memory.

    Args:
        op: the op, or the name of an op of ``plugin``.
        plugin: the plugin whose ops the rule may use, or its import path; found by itself where the op's forward is in it.
        checks: names of `CHECKS`, all by default.

    Returns:
        The report: verdicts, and notes of what could not be checked.

    Raises:
        OpFault: an AssertionError that says what is wrong, with the likely cause and a counterexample to paste.
        ValueError: for the name of a check that is not there.
    """
    names = list(CHECKS if checks is None else checks)
    unknown = [name for name in names if name not in (REGISTRATION, *CHECKS)]
    if unknown:
        raise ValueError(f"no check is called {unknown[0]!r}: there are {', '.join((REGISTRATION, *CHECKS))}")
    subject = subject_of(op, plugin)
    faults: list[Fault] = []
    for name in names:
        told = any(fault.check == "proof" for fault in faults) and name in AFTER_PROOF
        fault = None if told or name == REGISTRATION else fault_of(subject, name)
        if fault is not None:
            faults.append(fault)
    if faults:
        raise OpFault(subject.op.name, tuple(faults))
    declared = tuple(verdict for case, verdict in subject.verdicts if not case.sampled) if "proof" in names else ()
    return Report(subject.op.name, (REGISTRATION, *names), declared, tuple(subject.notes))


def subject_of(op: Op | str, plugin: Any = None) -> Subject:
    """The op in a registry of built-in ops and of its plugin. Raises OpFault if it is refused there."""
    name = op if isinstance(op, str) else op.name
    owner = plugin if plugin is not None or isinstance(op, str) else module_of(op)
    registry = registry_with(*([] if isinstance(op, str) else [op]), plugin=owner)
    if name not in registry.ops:
        raise OpFault(name, (_refusal(registry, name),))
    return Subject(registry, registry.op(name))


def _refusal(registry: Registry, name: str) -> Fault:
    text = next((str(refusal) for refusal in registry.refused if repr(name) in str(refusal)), "")
    text = text or next(map(str, registry.refused), f"no plugin registers it: give the plugin of {name!r}")
    hint = next((hint for part, hint in HINTS if part in text), "")
    return Fault(REGISTRATION, re.sub(r"^(op '[^']*' of )?plugin '[^']*' refused: ", "", text), hint)


def fault_of(subject: Subject, name: str) -> Fault | None:
    """The fault that the check called ``name`` finds, or None."""
    try:
        CHECKS[name](subject)
    except Broken as broken:
        return Fault(name, broken.reason, broken.hint, broken.counterexample)
    return None


def names_of(plugin: Any) -> tuple[list[str], list[str]]:
    """The names of the ops that a plugin registers, without the companions of opaque ones, and of those that are refused.
    Raises OpFault if the plugin is."""
    registry = registry_with(plugin=plugin)
    refused = [refusal.op for refusal in registry.refused if isinstance(refusal, OpRefused)]
    whole = next((refusal for refusal in registry.refused if not isinstance(refusal, (OpRefused, KernelRefused))), None)
    if whole is not None:
        raise OpFault(str(getattr(loaded(plugin), "__name__", plugin)), (Fault(REGISTRATION, str(whole)),))
    [*_, own] = registry.plugins
    opaque = {f"{op.name}_vjp" for op in own.ops if op.backward is not None}
    return [op.name for op in own.ops if op.name not in opaque], refused
