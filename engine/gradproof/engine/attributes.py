"""Attributes as rules and definitions get them: numbers that are not rounded on the way.

``1 / width`` of a float is rounded, and so is ``d * d``: a rule and a definition that say the same in other words then
differ in the last digit, which refutes an identity. Here a result that no float holds becomes the fraction that it is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from flint import arb, fmpq

MAX_POWER = 64  # beyond, a power is a float


def as_fraction(number: Any) -> Fraction | None:
    """A finite real number as a fraction; None for anything else."""
    if isinstance(number, (int, float, Fraction)) and math.isfinite(number):
        return Fraction(number)
    return None


def in_ball(number: Fraction) -> arb:
    """A fraction as a ball around it."""
    return arb(fmpq(number.numerator, number.denominator))


class ExactFloat(float):
    """A float whose arithmetic with Python numbers is not rounded: results are such floats again, or, where no float
    holds them, what ``beyond`` makes of the fraction."""

    __slots__ = ()
    beyond: Callable[[Fraction], Any] = staticmethod(lambda exact: exact)


class ExactInt(int):
    """The same of an integer, whose quotients are floats in Python."""

    __slots__ = ()
    beyond: Callable[[Fraction], Any] = staticmethod(lambda exact: exact)


class BallFloat(ExactFloat):
    """An `ExactFloat` among balls, which know no fractions."""

    __slots__ = ()
    beyond = staticmethod(in_ball)


class BallInt(ExactInt):
    """An `ExactInt` among balls."""

    __slots__ = ()
    beyond = staticmethod(in_ball)


def _exactly(name: str, kind: type, turned: bool) -> Callable[[Any, Any], Any]:
    """One operator of ``kind``, with the number itself on the right if ``turned``."""
    rounded = getattr(kind.__mro__[1], f"__{'r' * turned}{name}__")
    operation = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        mine, theirs = as_fraction(self), as_fraction(other)
        plain = rounded(self, other)
        if mine is None or theirs is None or isinstance(plain, int):
            return plain  # a tracer, a ball, an infinity; or an integer, which is exact
        a, b = (theirs, mine) if turned else (mine, theirs)
        if name == "pow" and (b.denominator != 1 or abs(b) > MAX_POWER):
            return plain
        exact = operation(a, b)
        if isinstance(plain, float) and math.isfinite(plain) and Fraction(plain) == exact:
            return floating(type(self))(plain)
        return self.beyond(exact)

    return method


def floating(kind: type) -> type[ExactFloat]:
    """The exact floats that go with exact numbers of ``kind``."""
    return BallFloat if issubclass(kind, (BallFloat, BallInt)) else ExactFloat


for _kind in (ExactFloat, ExactInt):
    for _name in ("add", "sub", "mul", "truediv", "pow"):
        for _turned in (False, True):
            if hasattr(_kind.__mro__[1], f"__{'r' * _turned}{_name}__"):
                setattr(_kind, f"__{'r' * _turned}{_name}__", _exactly(_name, _kind, _turned))
for _name, _function in (("neg", operator.neg), ("abs", abs), ("pos", operator.pos)):
    setattr(ExactFloat, f"__{_name}__", lambda self, of=_function: type(self)(of(float(self))))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` of every number in an attribute."""
    if type(value) in (tuple, list):
        return type(value)(_mapped(one, change) for one in value)
    return change(value)


def _number(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, (np.floating, np.integer)) else value


def in_rule(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a rule: floats whose arithmetic is exact, integers with exact quotients."""

    def change(value: Any) -> Any:
        value = _number(value)
        return ExactFloat(value) if type(value) is float else ExactInt(value) if type(value) is int else value

    return {name: _mapped(value, change) for name, value in attributes.items()}


def in_balls(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a definition that is read in balls."""

    def change(value: Any) -> Any:
        value = _number(value)
        if type(value) is float:
            return BallFloat(value)
        if type(value) is int:
            return BallInt(value)
        return in_ball(value) if isinstance(value, Fraction) else value

    return {name: _mapped(value, change) for name, value in attributes.items()}


def in_symbols(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a definition that is read with symbols: the rational numbers they are."""

    def change(value: Any) -> Any:
        value = _number(value)
        if type(value) is int:
            return ExactInt(value)
        exact = as_fraction(value) if isinstance(value, (float, Fraction)) else None
        return value if exact is None else sympy.Rational(exact.numerator, exact.denominator)

    return {name: _mapped(value, change) for name, value in attributes.items()}


def plain_number(value: Any) -> Any:
    """A number of a rule as Python's own."""
    if isinstance(value, ExactFloat):
        return float(value)
    return int(value) if isinstance(value, ExactInt) else value


def plain(attributes: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that a rule gives to an op, as a client gives them. A fraction stays one only where the default is."""

    def rounded(value: Any) -> Any:
        return float(value) if isinstance(value, Fraction) else plain_number(value)

    return {
        name: _mapped(value, plain_number if isinstance(defaults.get(name), Fraction) else rounded)
        for name, value in attributes.items()
    }
