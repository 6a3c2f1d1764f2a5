"""Readings of definitions and of traced rules as formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gradproof.engine.attributes import FreeNumber
from gradproof.engine.notation.notation import (
    ATOM,
    FUNCTION,
    PRODUCT,
    SUM,
    Formula,
    both,
    call,
    compose,
    either,
    exponential,
    formula,
    function,
    modulus,
    negate,
    power,
    relation,
    superscript,
    total,
    where,
)
from gradproof.engine.op import Op
from gradproof.engine.trace import Exact, Instruction, Program

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
MAX_INLINE = 12
"""The length up to which a value that is used several times is written out each time; sums get a name."""


def bessel(name: str) -> Callable[..., Formula]:
    """The notation J₀(x) of a Bessel function of an order."""
    return lambda n, x: call(f"{name}{formula(n).text.translate(SUBSCRIPTS)}", x)


FUNCTIONS: dict[str, Callable[..., Formula]] = {
    **{name: function(name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc", "sign", "conj")},
    "asin": function("arcsin"),
    "acos": function("arccos"),
    "atan": function("arctan"),
    "asinh": function("arsinh"),
    "acosh": function("arcosh"),
    "atanh": function("artanh"),
    "atan2": lambda a, b: call("atan2", a, b),
    "log": function("ln"),
    "log1p": lambda x: function("ln")(1 + x),
    "exp": exponential,
    "expm1": lambda x: exponential(x) - 1,
    "sqrt": function("√"),
    "floor": lambda x: Formula(f"⌊{formula(x).text}⌋"),
    "erfinv": function("erf⁻¹"),
    "erfcinv": function("erfc⁻¹"),
    "gamma": function("Γ"),
    "digamma": function("ψ"),
    "real": function("Re"),
    "imag": function("Im"),
    "equal": relation("="),
    "less": relation("<"),
    "less_equal": relation("≤"),
    "where": where,
}
"""The functions that definitions and rules have in common."""

DEFINED: dict[str, Callable[..., Formula]] = {
    **FUNCTIONS,
    "lgamma": lambda x: function("ln")(modulus(function("Γ")(x))),
    "polygamma": lambda n, x: call(f"ψ{superscript(f'({formula(n).text})') or f'^({formula(n).text})'}", x),
    "zeta": lambda s, q: call("ζ", s, q),
    "gammainc": lambda a, x: call("P", a, x),
    "gammaincc": lambda a, x: call("Q", a, x),
    **{f"bessel{kind}": bessel(kind.upper()) for kind in "jyik"},
    "power": power,
    "modulus": modulus,
    "compose": compose,
    "total": total,
    "negate": negate,
    "both": both,
    "either": either,
    "number": formula,
    "as_number": formula,
    "sinc": function("sinc"),
    **{name: partial(call, name) for name in ("constant", "isnan", "isinf")},
}
"""The table of functions over which definitions are written."""

APPLIED: dict[str, Callable[..., Formula]] = {
    **FUNCTIONS,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "negative": lambda x: -x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "ratio": lambda a, b, c, d: a * b / (c * d),
    "pow": power,
    "abs": modulus,
    "complex": compose,
    "not_equal": relation("≠"),
    "greater": relation(">"),
    "greater_equal": relation("≥"),
    "logical_and": both,
    "logical_or": either,
    "logical_not": negate,
    "matmul": lambda a, b: Formula(f"{a.at(PRODUCT)} @ {b.at(FUNCTION)}", PRODUCT),
    "matrix_transpose": lambda x: Formula(f"{x.at(ATOM)}ᵀ"),
    "hypot": lambda a, b: function("√")(a * a + b * b),
    "sum": function("Σ"),
}
"""The notation of ops in rules; other ops are written as calls."""


class Notation:
    """The reading of definitions as formulas: ``f`` of ``lambda f, x: f.exp(x)``."""

    pi = Formula("π")

    def __getattr__(self, name: str) -> Callable[..., Formula]:
        try:
            return DEFINED[name]
        except KeyError:
            raise AttributeError(f"no notation for {name!r}") from None


NOTATION = Notation()


def definition(op: Op) -> str:
    """The formula of an elementwise op, in the names of its inputs, for the attributes of its first case; of a composite
    that of its expansion."""
    if op.composite:
        return str(expansion(op))
    attributes = op.complete(op.declared_cases()[0].attributes)
    return str(formula(op.definitions[0](NOTATION, *map(Formula, op.inputs), **attributes)).text)


@dataclass(frozen=True)
class Rule:
    """A traced rule: the cotangent of each input, and the values with names of their own, the last computed first."""

    cotangents: tuple[str, ...]
    where: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "; ".join([", ".join(self.cotangents), *(f"{name} = {text}" for name, text in self.where)])


TRANSPARENT = {"broadcast_to", "expand_dims", "squeeze"}
"""Ops that are not written where another op uses their result: shapes are understood."""


class Reader:
    """Reads a traced rule of ``op``, with inferred ``attributes``, as formulas."""

    def __init__(self, op: Op, program: Program, attributes: Mapping[str, Any]) -> None:
        self.program = program
        self.attributes = attributes
        self.count = self._count(op, program)
        self.outputs = (len(program.inputs) - self.count) // 2
        self.formulas: dict[int, Formula] = {}
        self.named: list[tuple[str, str]] = []
        names = [*self._numbered("g"), *self._numbered("y"), *self._inputs(op)]
        self.formulas.update(zip(program.inputs, map(Formula, names), strict=True))
        self.letters = (letter for letter in "uvwstrpqmnhklzjdc" if letter not in names)
        self.uses = self._uses()

    @staticmethod
    def _count(op: Op, program: Program) -> int:
        """The number of inputs of the op. An expansion has no others."""
        if op.composite:
            return len(program.inputs)
        return len(program.outputs)

    def _numbered(self, letter: str) -> list[str]:
        if self.outputs == 1:
            return [letter]
        return [letter + str(k + 1).translate(SUBSCRIPTS) for k in range(self.outputs)]

    def _inputs(self, op: Op) -> list[str]:
        if not op.variadic:
            return list(op.inputs[: self.count])
        single = op.inputs[:-1]
        numbers = (str(k + 1).translate(SUBSCRIPTS) for k in range(self.count - len(single)))
        return [*single, *(f"{op.inputs[-1][0]}{number}" for number in numbers)]

    def _uses(self) -> dict[int, int]:
        uses: dict[int, int] = {}
        for instruction in self.program.instructions:
            for k in instruction.inputs:
                uses[k] = uses.get(k, 0) + 1
        return uses

    def read(self) -> Rule:
        """The rule as formulas."""
        returned = {number for number in self.program.outputs if number is not None}
        for instruction in self.program.instructions:
            value = self._apply(instruction, last=returned.issuperset(instruction.outputs))
            for number in instruction.outputs:
                self.formulas[number] = value
                long = len(value.text) > MAX_INLINE or value.level == SUM
                if self.uses.get(number, 0) > 1 and long:
                    letter = next(self.letters)
                    self.named.append((letter, value.text))
                    self.formulas[number] = Formula(letter)
        cotangents = tuple("–" if k is None else self._value(k).text for k in self.program.outputs)
        return Rule(cotangents, tuple(reversed(self.named)))

    def _value(self, number: int) -> Formula:
        literal = self.program.literals.get(number)
        if literal is None:
            return self.formulas[number]
        assert not isinstance(literal, FreeNumber)  # a rule is shown for a case without free attributes
        return formula(literal.define(NOTATION) if isinstance(literal, Exact) else literal)

    def _apply(self, instruction: Instruction, *, last: bool) -> Formula:
        operands = [self._value(k) for k in instruction.inputs]
        name = instruction.op.name
        if name == "astype":
            is_condition = self.program.specs[instruction.inputs[0]].dtype.kind == "b"
            return Formula(f"[{operands[0].text}]") if is_condition else operands[0]
        if name in TRANSPARENT and (not last or instruction.inputs[0] in self.program.literals):
            return operands[0]
        if name in APPLIED:
            return APPLIED[name](*operands)
        return call(name, *operands, **dict(self._attributes(instruction)))

    def _attributes(self, instruction: Instruction) -> Iterator[tuple[str, object]]:
        """The attributes that are not those of the op, their defaults, or a shape of its inputs."""
        shapes = [self.program.specs[k].shape for k in self.program.inputs]
        for name, value in instruction.attributes.items():
            known = self.attributes.get(name) == value or instruction.op.attributes.get(name) == value
            if not known and not (name == "shape" and value in shapes):
                yield name, value


def rule(op: Op, program: Program, attributes: Mapping[str, Any]) -> Rule:
    """The formulas of a traced rule."""
    return Reader(op, program, attributes).read()


def expansion(op: Op) -> Rule:
    """The formulas of the graph that a composite stands for, in its first case."""
    first = op.declared_cases()[0]
    program = op.expand(first.specs(), first.attributes)
    assert program is not None
    return Reader(op, program, op.complete(first.attributes)).read()
