"""Attributes as rules and definitions get them: numbers that are not rounded on the way.

``1 / width`` of a float is rounded, and so is ``d * d``: a rule and a definition that say the same in other words then
differ in the last digit, which refutes an identity. Here a result that no float holds becomes the fraction that it is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import sympy
from flint import arb, fmpq

MAX_POWER = 64  # beyond, a power is a float


def as_fraction(number: Any) -> Fraction | None:
    """A finite real number as a fraction; None for anything else."""
    exact = isinstance(number, (int, float, Fraction)) and not is_not_finite(number)
    return Fraction(number) if exact else None


def is_not_finite(number: Any) -> bool:
    """Whether a number is a float that no fraction is."""
    return isinstance(number, float) and not math.isfinite(number)


def as_float(number: Any) -> float:
    """The float nearest to a real number: an infinity for one that is beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def in_ball(number: Fraction) -> arb:
    """A fraction as a ball around it."""
    return arb(fmpq(number.numerator, number.denominator))


class ExactFloat(float):
    """A float whose arithmetic with Python numbers is not rounded: results are such floats again, or, where no float
    holds them, what ``beyond`` makes of the fraction."""

    __slots__ = ()
    kinds: Kinds


class ExactInt(int):
    """The same of an integer, whose quotients are floats in Python."""

    __slots__ = ()
    kinds: Kinds


class ExactFraction(Fraction):
    """The same of a fraction, which Python rounds where it meets a float."""

    __slots__ = ()
    kinds: Kinds


class BallFloat(ExactFloat):
    """An `ExactFloat` among balls, which know no fractions."""

    __slots__ = ()


class BallInt(ExactInt):
    """An `ExactInt` among balls."""

    __slots__ = ()


class SymbolInt(ExactInt):
    """An `ExactInt` among symbols, whose own floats are rounded."""

    __slots__ = ()


class Kinds(NamedTuple):
    """What results become: integers, numbers that a float holds, and all others."""

    whole: Callable[[int], Any]
    floating: Callable[[float], Any]
    beyond: Callable[[Fraction], Any]


def in_symbol(number: Any) -> Any:
    """A finite number as the rational number that it is, for SymPy."""
    exact = Fraction(number)
    return sympy.Rational(exact.numerator, exact.denominator)


ExactFloat.kinds = ExactInt.kinds = ExactFraction.kinds = Kinds(ExactInt, ExactFloat, ExactFraction)
BallFloat.kinds = BallInt.kinds = Kinds(BallInt, BallFloat, in_ball)
SymbolInt.kinds = Kinds(SymbolInt, in_symbol, in_symbol)


def _kept(kinds: Kinds, exact: Fraction, plain: Any) -> Any:
    """A result: ``plain``, Python's own, where that is exact."""
    if isinstance(plain, int):
        return kinds.whole(plain)
    if isinstance(plain, float) and math.isfinite(plain) and Fraction(plain) == exact:
        return kinds.floating(plain)
    return kinds.beyond(exact)


def _exactly(name: str, base: type, turned: bool) -> Callable[[Any, Any], Any]:
    """One operator of numbers of type ``base``, with the number itself on the right if ``turned``."""
    rounded = getattr(base, f"__{'r' * turned}{name}__")
    operation = getattr(operator, name)

    exact_of_integers = base is int and name in ("add", "sub", "mul")

    def method(self: Any, other: Any) -> Any:
        if exact_of_integers and isinstance(other, int):
            return self.kinds.whole(rounded(self, other))
        mine, theirs = as_fraction(self), as_fraction(other)
        if mine is None or theirs is None:
            return rounded(self, other)  # a tracer, a ball, an infinity
        a, b = (theirs, mine) if turned else (mine, theirs)
        if name == "pow" and (b.denominator != 1 or abs(b) > MAX_POWER):
            return rounded(self, other)
        exact = Fraction(operation(a, b))
        try:
            plain = rounded(self, other)
        except OverflowError:
            plain = math.inf
        return _kept(self.kinds, exact, plain)

    return method


def _alone(base: type, name: str) -> Callable[..., Any]:
    """One method of numbers of type ``base`` that takes no other number."""
    plain = getattr(base, f"__{name}__")

    def method(self: Any, *digits: Any) -> Any:
        found = plain(self, *digits)
        return found if digits or as_fraction(found) is None else _kept(self.kinds, Fraction(found), found)

    return method


for _kind in (ExactFloat, ExactInt, ExactFraction):
    _base = _kind.__mro__[1]
    for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        for _turned in (False, True):
            setattr(_kind, f"__{'r' * _turned}{_name}__", _exactly(_name, _base, _turned))
    for _name in ("neg", "pos", "abs", "round", "floor", "ceil", "trunc"):
        setattr(_kind, f"__{_name}__", _alone(_base, _name))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` of every number in an attribute."""
    if type(value) in (tuple, list):
        return type(value)(_mapped(one, change) for one in value)
    return change(value)


def _number(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, (np.floating, np.integer)) else value


def _changed(attributes: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Attributes with ``change`` of every number in them."""
    return {name: _mapped(value, lambda one: change(_number(one))) for name, value in attributes.items()}


def in_rule(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes for a rule: numbers whose arithmetic is exact."""
    kinds: dict[type, Callable[[Any], Any]] = {float: ExactFloat, int: ExactInt, Fraction: ExactFraction}
    return _changed(attributes, lambda value: kinds.get(type(value), lambda same: same)(value))


def in_balls(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a definition that is read in balls."""

    def change(value: Any) -> Any:
        if type(value) is float:
            return BallFloat(value)
        if type(value) is int:
            return BallInt(value)
        return in_ball(value) if isinstance(value, Fraction) else value

    return _changed(attributes, change)


def in_symbols(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a definition that is read with symbols: the rational numbers they are."""

    def change(value: Any) -> Any:
        if type(value) is int:
            return SymbolInt(value)
        exact = as_fraction(value) if isinstance(value, (float, Fraction)) else None
        return value if exact is None else in_symbol(exact)

    return _changed(attributes, change)


def plain_number(value: Any) -> Any:
    """A number of a rule as Python's own."""
    if isinstance(value, ExactFloat):
        return float(value)
    if isinstance(value, ExactFraction):
        return Fraction(value)
    return int(value) if isinstance(value, ExactInt) else value


def plain(attributes: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that a rule gives to an op, as a client gives them. A fraction stays one only where the default is."""

    def rounded(value: Any) -> Any:
        return as_float(value) if isinstance(value, Fraction) else plain_number(value)

    return {
        name: _mapped(value, plain_number if isinstance(defaults.get(name), Fraction) else rounded)
        for name, value in attributes.items()
    }
