"""Fault of an op: the requirement that it breaks, in the terms of its author, with a counterexample."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A broken requirement.

    Attributes:
        check: the name of the check that found it.
        reason: what is wrong, as a sentence about forward, rule or declaration.
        hint: the likely cause, or the empty string.
        counterexample: lines of Python that show it, or the empty string.
    """

    check: str
    reason: str
    hint: str = ""
    counterexample: str = ""

    def __str__(self) -> str:
        lines = [f"{self.check}: {self.reason}"]
        if self.hint:
            lines.append(f"  likely: {self.hint}")
        if self.counterexample:
            lines += ["  to see it:", *(f"    {line}" for line in self.counterexample.splitlines())]
        return "\n".join(lines)


class OpFault(AssertionError):
    """Raised for an op that breaks a requirement. ``op``: its name. ``faults``: all that were found, the plainest first."""

    def __init__(self, op: str, faults: tuple[Fault, ...]) -> None:
        self.op, self.faults = op, faults
        super().__init__("\n".join([f"op {op!r} is wrong", *map(str, faults)]))


class Broken(Exception):
    """Raised inside a check where a requirement is broken: ``reason``, ``hint`` and ``counterexample`` of a `Fault`."""

    def __init__(self, reason: str, hint: str = "", counterexample: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint, self.counterexample = reason, hint, counterexample
