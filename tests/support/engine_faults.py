"""Faults that a test plants in the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gradproof.engine.backward import _ReversePass
from gradproof.engine.program import Instruction, Program
from gradproof.engine.trace import Builder


def summing(how: Callable[[Callable[..., int], Builder, Sequence[int]], int]) -> Callable[[pytest.MonkeyPatch], None]:
    """Another way to add up two contributions: from a function that records an op, and the numbers of the two."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        record = Builder.record

        def single(self: Builder, name: str, inputs: Sequence[int], attributes: Any) -> int:
            (result,) = record(self, name, inputs, attributes)
            return result

        def loose(self: Builder, name: str, inputs: Sequence[Any], attributes: Any) -> list[int]:
            whole = name == "add" and len(self.program.instructions) > 6
            return [how(single, self, inputs)] if whole else record(self, name, inputs, attributes)

        monkeypatch.setattr(Builder, "record", loose)

    return patch


def lost_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of a second input is dropped, where a rule has two instructions."""
    whole = _ReversePass._pruned_rule

    def loose(self: _ReversePass, instruction: Instruction, needed: tuple[bool, ...]) -> Program:
        rule = whole(self, instruction, needed)
        lost = len(rule.outputs) == 2 and len(rule.instructions) == 2
        return replace(rule, outputs=(rule.outputs[0], None)) if lost else rule

    monkeypatch.setattr(_ReversePass, "_pruned_rule", loose)
