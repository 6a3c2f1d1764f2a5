"""Mathematical notation as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import TypeAlias

CHOICE, OR, AND, NOT, COMPARISON, SUM, NEGATIVE, PRODUCT, FUNCTION, POWER, ATOM = range(11)
"""Levels of precedence, from the loosest to the tightest."""

SUPERSCRIPTS = str.maketrans("0123456789-abxyn", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᵃᵇˣʸⁿ")

SHORT = 1024
"""The largest denominator of a float that is written as a fraction."""

Number: TypeAlias = int | float | Fraction
Operand: TypeAlias = "Formula | Number"


def superscript(text: str) -> str | None:
    """``text`` in superscripts, or None where a letter has none."""
    raised = text.translate(SUPERSCRIPTS)
    return raised if not any(c in raised for c in text) else None


@dataclass(frozen=True)
class Formula:
    """A formula as text, with its level of precedence.

    ``name`` and ``argument`` belong to a function of an argument, which binds tighter when it is written with brackets."""

    text: str
    level: int = ATOM
    name: str = field(default="", compare=False)
    argument: Formula | None = field(default=None, compare=False)

    def at(self, level: int) -> str:
        """The text, in brackets where something of ``level`` is needed and this binds less."""
        if self.level >= level:
            return self.text
        return f"{self.name}({self.argument.text})" if self.argument and self.name != "e" else f"({self.text})"

    def to_power(self, n: int) -> str:
        """The text of the n-th power."""
        if n == 1:
            return self.text
        if self.argument and self.name.isalpha() and self.level == FUNCTION:
            return f"{self.name}{superscript(str(n))}{self.text[len(self.name) :]}"
        return f"{self.at(ATOM)}{superscript(str(n))}"

    def __add__(self, right: Operand) -> Formula:
        right = formula(right)
        if isinstance(right, Product) and right.coefficient < 0:
            return Formula(f"{self.at(SUM)} - {(-right).at(NEGATIVE)}", SUM)
        return Formula(f"{self.at(SUM)} + {right.at(SUM)}", SUM)

    def __radd__(self, left: Number) -> Formula:
        return formula(left) + self

    def __sub__(self, right: Operand) -> Formula:
        return Formula(f"{self.at(SUM)} - {formula(right).at(PRODUCT)}", SUM)

    def __rsub__(self, left: Number) -> Formula:
        return formula(left) - self

    def __neg__(self) -> Formula:
        return self * -1

    def __mul__(self, right: Operand) -> Formula:
        return product(monomial(self), monomial(formula(right)), 1)

    def __rmul__(self, left: Number) -> Formula:
        return self * left

    def __truediv__(self, right: Operand) -> Formula:
        return product(monomial(self), monomial(formula(right)), -1)

    def __rtruediv__(self, left: Number) -> Formula:
        return formula(left) / self

    def __rpow__(self, left: Number) -> Formula:
        return power(left, self)

    def __and__(self, right: Operand) -> Formula:
        return self._bits("&", right)

    def __or__(self, right: Operand) -> Formula:
        return self._bits("|", right)

    def __xor__(self, right: Operand) -> Formula:
        return self._bits("^", right)

    def __rshift__(self, right: Operand) -> Formula:
        return self._bits(">>", right)

    def __invert__(self) -> Formula:
        return Formula(f"~{self.at(ATOM)}", NEGATIVE)

    def _bits(self, sign: str, right: Operand) -> Formula:
        return Formula(f"{self.at(ATOM)} {sign} {formula(right).at(ATOM)}", COMPARISON)


@dataclass(frozen=True)
class Product(Formula):
    """A number times powers of formulas; negative powers stand below the line."""

    coefficient: Fraction = Fraction(1)
    powers: tuple[tuple[Formula, int], ...] = ()


def formula(value: Operand) -> Formula:
    """``value`` as a formula; a float that is no short fraction is written as Python does."""
    if isinstance(value, Formula):
        return value
    if isinstance(value, float) and (not isfinite(value) or Fraction(value).denominator > SHORT):
        return Formula(repr(float(value)), NEGATIVE if value < 0 else ATOM)
    return product(Product("", coefficient=Fraction(value)), Product(""), 1)


def monomial(value: Formula) -> Product:
    """``value`` as a product, of a single factor unless it is a product."""
    return value if isinstance(value, Product) else Product("", powers=((value, 1),))


def product(left: Product, right: Product, sign: int) -> Formula:
    """``left`` times ``right`` to the power of ``sign``."""
    powers = dict(left.powers)
    for factor, n in right.powers:
        powers[factor] = powers.get(factor, 0) + sign * n
    powers = _simplified(powers)
    coefficient = left.coefficient * right.coefficient**sign
    above = [(factor, n) for factor, n in powers.items() if n > 0]
    below = [(factor, -n) for factor, n in powers.items() if n < 0]
    if coefficient == 1 and not below and len(above) == 1 and above[0][1] == 1:
        return above[0][0]
    size = abs(coefficient)
    top = _side(size.numerator, above) or "1"
    bottom = _side(size.denominator, below)
    simple = len(below) + (size.denominator != 1) == 1
    text = f"{top} / {bottom if simple else f'({bottom})'}" if bottom else top
    alone = len(above) + len(below) + (size != 1) <= 1
    level = NEGATIVE if coefficient < 0 else (ATOM if not powers else POWER if alone else PRODUCT)
    level = PRODUCT if bottom and level > PRODUCT else level
    shown = f"-{text}" if coefficient < 0 else text
    return Product(shown, level, coefficient=coefficient, powers=(*above, *((x, -n) for x, n in below)))


def _simplified(powers: dict[Formula, int]) -> dict[Formula, int]:
    """Squares of roots and of absolute values, and powers of exponentials, in their plainest form."""
    simple: dict[Formula, int] = {}
    for factor, n in powers.items():
        inner = factor.argument
        if inner and factor.name == "√" and n % 2 == 0:
            simple[inner] = simple.get(inner, 0) + n // 2
        elif inner and factor.name == "||" and n % 2 == 0:
            simple[inner] = simple.get(inner, 0) + n
        elif inner and factor.name == "e" and n > 1:
            simple[exponential(inner * n)] = 1
        else:
            simple[factor] = simple.get(factor, 0) + n
    return simple


def _side(number: int, factors: Sequence[tuple[Formula, int]]) -> str:
    """A product above or below the line: a function that is not the last factor gets brackets."""
    if not factors:
        return "" if number == 1 else str(number)
    shown = [_factor(x, n, PRODUCT + 2) for x, n in factors[:-1]] + [_factor(*factors[-1], PRODUCT + 1)]
    return " ".join([*([str(number)] if number != 1 else []), *shown])


def _factor(x: Formula, n: int, level: int) -> str:
    if n != 1:
        return x.to_power(n) if level <= FUNCTION or x.level != FUNCTION else Formula(x.at(ATOM)).to_power(n)
    return x.at(level)


def function(name: str) -> Callable[[Operand], Formula]:
    """The notation ``name x`` of a function of an argument, with brackets where they are needed."""

    def applied(x: Operand) -> Formula:
        argument = formula(x)
        gap = " " if name.isalpha() else ""
        loose = argument.level >= POWER
        text = f"{name}{gap}{argument.text}" if loose else f"{name}({argument.text})"
        return Formula(text, FUNCTION, name, argument)

    return applied


def call(name: str, *arguments: Operand, **attributes: object) -> Formula:
    """``name(x, y, axis=1)``."""
    shown = [*(formula(x).text for x in arguments), *(f"{key}={value}" for key, value in attributes.items())]
    return Formula(f"{name}({', '.join(shown)})")


def power(x: Operand, exponent: Operand) -> Formula:
    """x to a power, in superscripts where there are such letters."""
    exponent = formula(exponent)
    raised = superscript(exponent.text)
    return Formula(f"{formula(x).at(ATOM)}{raised if raised else '^' + exponent.at(ATOM)}", POWER)


def exponential(x: Operand) -> Formula:
    """e to a power."""
    return Formula(power(Formula("e"), x).text, POWER, "e", formula(x))


def relation(sign: str) -> Callable[[Operand, Operand], Formula]:
    """The notation of a comparison."""
    return lambda a, b: Formula(f"{formula(a).at(SUM)} {sign} {formula(b).at(SUM)}", COMPARISON)


def negate(condition: Operand) -> Formula:
    """The opposite of a condition."""
    condition = formula(condition)
    if condition.level == COMPARISON and condition.text.count(" = ") == 1:
        return Formula(condition.text.replace(" = ", " ≠ "), COMPARISON)
    return Formula(f"not {condition.at(ATOM)}", NOT)


def where(condition: Operand, a: Operand, b: Operand) -> Formula:
    """A choice by a condition; that of an absolute value as such."""
    condition, a, b = map(formula, (condition, a, b))
    if condition.text == f"{b.text} < 0" and (-b).text == a.text:
        return Formula(f"|{b.text}|", ATOM, "||", b)
    return Formula(f"{a.at(OR)} if {condition.at(OR)} else {b.at(CHOICE)}", CHOICE)


def both(a: Operand, b: Operand) -> Formula:
    """The conjunction of two conditions."""
    return Formula(f"{formula(a).at(AND)} and {formula(b).at(AND)}", AND)


def either(a: Operand, b: Operand) -> Formula:
    """The disjunction of two conditions."""
    return Formula(f"{formula(a).at(OR)} or {formula(b).at(OR)}", OR)


def modulus(x: Operand) -> Formula:
    """An absolute value."""
    return Formula(f"|{formula(x).text}|")


def compose(real: Operand, imag: Operand) -> Formula:
    """A complex number of two parts."""
    real, imag = formula(real), Formula("i") * imag
    return imag if real.text == "0" else real + imag


def total(terms: Iterable[Operand]) -> Formula:
    """The sum of several terms."""
    first, *rest = map(formula, terms)
    for term in rest:
        first = first + term
    return first
