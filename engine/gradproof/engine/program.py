"""Programs: what is recorded by tracers, and read by everything else.

A `Program` is a flat list of instructions over numbered values, each of known shape and dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

from gradproof.engine.attributes import Attributes, FreeNumber
from gradproof.engine.op import Op
from gradproof.engine.spec import Spec


@dataclass(frozen=True)
class Exact:
    """An exact constant, written over the function table: ``Exact(lambda f: 2 / f.sqrt(f.pi))``."""

    define: Callable[[Any], Any]


Literal: TypeAlias = int | float | Fraction | Exact | FreeNumber
"""A number in a program; a `FreeNumber` only where attributes are free, in a proof."""


class Instruction(NamedTuple):
    """An application of an op: numbers of its input and output values, canonical attributes."""

    op: Op
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Attributes


@dataclass(slots=True)
class Program:
    """Instructions in execution order. Value k has spec ``specs[k]``; it is an input, a literal, or the output of an
    instruction. ``outputs`` holds None where a rule said NO_GRADIENT."""

    specs: list[Spec] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    literals: dict[int, Literal] = field(default_factory=dict)
    instructions: list[Instruction] = field(default_factory=list)
    outputs: tuple[int | None, ...] = ()

    @property
    def elementwise(self) -> bool:
        """True if each element of each output depends on the same element of each input only: then a proof for an
        element holds for all shapes."""
        literal = set(self.literals)
        return all(
            instruction.op.elementwise
            or instruction.op.name == "astype"
            or (instruction.op.name == "broadcast_to" and instruction.inputs[0] in literal)
            for instruction in self.instructions
        )

    def text(self) -> str:
        """The program as people read it, a line for each instruction: ``%4 = multiply(%0, %3)``."""
        lines = []
        for instruction in self.instructions:
            arguments = [
                *(self._name(k) for k in instruction.inputs),
                *(f"{n}={v}" for n, v in instruction.attributes.items()),
            ]
            lines.append(
                f"{', '.join(f'%{k}' for k in instruction.outputs)} = {instruction.op.name}({', '.join(arguments)})"
            )
        returned = ", ".join("NO_GRADIENT" if k is None else self._name(k) for k in self.outputs)
        return "\n".join([*lines, f"return {returned}"])

    def _name(self, value: int) -> str:
        literal = self.literals.get(value)
        if literal is None:
            return f"%{value}"
        if isinstance(literal, FreeNumber):
            return f"({literal.text})"
        return "exact" if isinstance(literal, Exact) else str(literal)

    def at(self, values: Mapping[str, Fraction]) -> Program:
        """The same program with numbers for the free attributes in its literals; a literal that is not rational stays."""
        literals = dict(self.literals)
        for number, literal in literals.items():
            if isinstance(literal, FreeNumber) and (value := literal.at(values)) is not None:
                literals[number] = value
        return replace(self, literals=literals)
