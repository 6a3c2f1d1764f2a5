"""Attributes as definitions get them: exact numbers among balls, and among symbols."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import sympy

from gradproof.engine.attributes import ExactFloat, ExactInt, Kinds, as_fraction, with_numbers
from gradproof.engine.scalar_function import in_ball


class BallFloat(ExactFloat):
    """An `ExactFloat` among balls, which know no fractions."""

    __slots__ = ()


class BallInt(ExactInt):
    """An `ExactInt` among balls."""

    __slots__ = ()


class SymbolInt(ExactInt):
    """An `ExactInt` among symbols, whose own floats are rounded."""

    __slots__ = ()


def in_symbol(number: Any) -> Any:
    """A finite number as SymPy's rational number, exactly."""
    exact = Fraction(number)
    return sympy.Rational(exact.numerator, exact.denominator)


BallFloat.kinds = BallInt.kinds = Kinds(BallInt, BallFloat, in_ball)
SymbolInt.kinds = Kinds(SymbolInt, in_symbol, in_symbol)


def in_balls(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a definition that is read in balls: numbers whose arithmetic is exact."""

    def change(value: Any) -> Any:
        if type(value) is float:
            return BallFloat(value)
        if type(value) is int:
            return BallInt(value)
        return in_ball(value) if isinstance(value, Fraction) else value

    return with_numbers(attributes, change)


def in_symbols(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a definition that is read with symbols: the rational numbers that they are."""

    def change(value: Any) -> Any:
        if type(value) is int:
            return SymbolInt(value)
        exact = as_fraction(value) if isinstance(value, (float, Fraction)) else None
        return value if exact is None else in_symbol(exact)

    return with_numbers(attributes, change)
