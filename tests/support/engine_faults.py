"""Faults that a test plants in the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gradproof.engine import backward, trace
from gradproof.engine.trace import Builder


def summing(how: Callable[[Callable[..., Any], Builder, Sequence[Any]], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    """Another way to add up two contributions."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        apply = Builder.apply

        def loose(self: Builder, name: str, inputs: Sequence[Any], attributes: Any) -> Any:
            whole = name == "add" and self.program.instructions and len(self.program.instructions) > 6
            return how(apply, self, inputs) if whole else apply(self, name, inputs, attributes)

        monkeypatch.setattr(Builder, "apply", loose)

    return patch


def lost_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of a second input is dropped, where a rule has two instructions."""
    whole = trace.inline

    def loose(builder: Any, rule: Any, arguments: Any) -> list[Any]:
        gradients = whole(builder, rule, arguments)
        return [gradients[0], None] if len(gradients) == 2 and len(rule.instructions) == 2 else gradients

    monkeypatch.setattr(backward, "inline", loose)
