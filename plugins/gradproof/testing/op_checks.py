"""Checks of the ops of a plugin, each of them a call: what the pytest plugin makes tests of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gradproof.testing.checking import REGISTRATION, fault_of, names_of, subject_of
from gradproof.testing.checks import CHECKS
from gradproof.testing.fault import OpFault
from gradproof.testing.subject import Subject


@dataclass
class OpUnderTest:
    """An op of a plugin, registered when its first check runs; its proofs are shared by all its checks."""

    name: str
    plugin: Any

    @cached_property
    def subject(self) -> Subject:
        """The op in its registry. Raises OpFault if it is refused."""
        return subject_of(self.name, self.plugin)


@dataclass(frozen=True)
class OpCheck:
    """A check of an op: a call without arguments, which raises OpFault where the op is wrong."""

    op: OpUnderTest
    check: str
    refusal: OpFault | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Run the check."""
        __tracebackhide__ = True
        if self.refusal is not None:
            raise self.refusal
        subject = self.op.subject
        fault = None if self.check == REGISTRATION else fault_of(subject, self.check)
        if fault is not None:
            raise OpFault(subject.op.name, (fault,))

    def __str__(self) -> str:
        return f"{self.op.name}-{self.check.replace(' ', '_')}"


def op_checks(plugin: Any, ops: Iterable[str] | None = None, checks: Iterable[str] | None = None) -> list[OpCheck]:
    """The checks of the ops of a plugin.

    Args:
        plugin: a module or object with ``register_ops``, or its import path.
        ops: names of ops, all of the plugin by default.
        checks: names of checks (`CHECKS`), all by default.

    Returns:
        A check for each op and name, registration first, which is the only one of an op that is refused. If the plugin is
        refused, one that says so.
    """
    try:
        known, refused = names_of(plugin)
    except OpFault as refusal:
        return [OpCheck(OpUnderTest(refusal.op, plugin), REGISTRATION, refusal)]
    under_test = [OpUnderTest(name, plugin) for name in ([*known, *refused] if ops is None else ops)]
    chosen = (REGISTRATION, *(CHECKS if checks is None else checks))
    return [OpCheck(op, name) for op in under_test for name in (chosen[:1] if op.name in refused else chosen)]
