"""Attributes as rules get them: numbers that are not rounded on the way.

``1 / width`` of a float is rounded, and so is ``d * d``: a rule and a definition that say the same in other words then
differ in the last digit, which refutes an identity. Here a result that no float holds becomes the fraction that it is.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Attributes: TypeAlias = Mapping[str, Any]
MAX_POWER = 64  # beyond, a power is a float


def as_fraction(number: Any) -> Fraction | None:
    """A finite real number as a fraction; None for anything else."""
    exact = isinstance(number, (int, float, Fraction)) and not is_not_finite(number)
    return Fraction(number) if exact else None


def is_not_finite(number: Any) -> bool:
    """True for an infinite float or a nan, which no fraction equals."""
    return isinstance(number, float) and not math.isfinite(number)


def as_float(number: Any) -> float:
    """The float nearest to a real number: an infinity for a number beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def can_be_sent(value: Any) -> bool:
    """True for a value that a request can give to an attribute: None, a truth value, a text, a float, an integer of 64
    bits, or a (nested) list of such values."""
    if isinstance(value, (tuple, list)):
        return all(map(can_be_sent, value))
    if value is None or isinstance(value, (str, float)):
        return True
    try:
        return -(1 << 63) <= operator.index(value) < 1 << 63
    except TypeError:
        return False


class FreeNumber:
    """A number without a value, which stands for all values of a free attribute in a rule (see `sealed`)."""

    __slots__ = ()

    @property
    def text(self) -> str:
        """The number as people read it."""
        raise NotImplementedError

    def __int__(self) -> int:
        raise NotImplementedError

    def at(self, values: Mapping[str, Fraction]) -> Fraction | None:
        """The exact value where the free attributes have ``values``; None where that is no rational number."""
        raise NotImplementedError


class ExactFloat(float):
    """A float whose arithmetic with Python numbers is not rounded: a result that a float holds is an `ExactFloat` again,
    any other is made of the exact fraction by ``kinds.beyond``."""

    __slots__ = ()
    kinds: Kinds


class ExactInt(int):
    """An integer whose quotients, which are floats in Python, are not rounded."""

    __slots__ = ()
    kinds: Kinds


class ExactFraction(Fraction):
    """A fraction whose arithmetic with floats, which gives floats in Python, is not rounded."""

    __slots__ = ()
    kinds: Kinds


class Kinds(NamedTuple):
    """Constructors of results: of integers, of numbers that a float holds, and of all other numbers."""

    whole: Callable[[int], Any]
    floating: Callable[[float], Any]
    beyond: Callable[[Fraction], Any]


ExactFloat.kinds = ExactInt.kinds = ExactFraction.kinds = Kinds(ExactInt, ExactFloat, ExactFraction)


def _result(kinds: Kinds, exact: Fraction, plain: Any) -> Any:
    """The result ``exact`` of an operation: ``plain``, as Python computes it, where that is exact."""
    if isinstance(plain, int):
        return kinds.whole(plain)
    if isinstance(plain, float) and math.isfinite(plain) and Fraction(plain) == exact:
        return kinds.floating(plain)
    return kinds.beyond(exact)


def _binary(name: str, base: type, reflected: bool) -> Callable[[Any, Any], Any]:
    """The method ``__name__`` of exact numbers of type ``base``, or ``__rname__`` if ``reflected``."""
    rounded = getattr(base, f"__{'r' * reflected}{name}__")
    operation = getattr(operator, name)

    exact_of_integers = base is int and name in ("add", "sub", "mul")

    def method(self: Any, other: Any) -> Any:
        if exact_of_integers and isinstance(other, int):
            return self.kinds.whole(rounded(self, other))
        own, operand = as_fraction(self), as_fraction(other)
        if own is None or operand is None:
            return rounded(self, other)  # a tracer, a ball, an infinity
        a, b = (operand, own) if reflected else (own, operand)
        if name == "pow" and (b.denominator != 1 or abs(b) > MAX_POWER):
            return rounded(self, other)
        exact = Fraction(operation(a, b))
        try:
            plain = rounded(self, other)
        except OverflowError:
            plain = math.inf
        return _result(self.kinds, exact, plain)

    return method


def _unary(name: str, base: type) -> Callable[..., Any]:
    """The method ``__name__`` of exact numbers of type ``base``, which takes no other number."""
    rounded = getattr(base, f"__{name}__")

    def method(self: Any, *digits: Any) -> Any:
        plain = rounded(self, *digits)
        return plain if digits or as_fraction(plain) is None else _result(self.kinds, Fraction(plain), plain)

    return method


for _kind in (ExactFloat, ExactInt, ExactFraction):
    _base = _kind.__mro__[1]
    for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
        for _reflected in (False, True):
            setattr(_kind, f"__{'r' * _reflected}{_name}__", _binary(_name, _base, _reflected))
    for _name in ("neg", "pos", "abs", "round", "floor", "ceil", "trunc"):
        setattr(_kind, f"__{_name}__", _unary(_name, _base))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """``change`` of every number in an attribute."""
    if type(value) in (tuple, list):
        return type(value)(_mapped(element, change) for element in value)
    return change(value)


def _number(value: Any) -> Any:
    """A number of NumPy as Python's; anything else as it is."""
    return value.item() if isinstance(value, (np.floating, np.integer)) else value


def with_numbers(attributes: Attributes, change: Callable[[Any], Any]) -> dict[str, Any]:
    """Attributes with ``change`` of every number in them, also in tuples and lists."""
    return {name: _mapped(value, lambda element: change(_number(element))) for name, value in attributes.items()}


def in_rule(attributes: Attributes) -> dict[str, Any]:
    """Attributes for a rule: numbers whose arithmetic is exact."""
    kinds: dict[type, Callable[[Any], Any]] = {float: ExactFloat, int: ExactInt, Fraction: ExactFraction}
    return with_numbers(attributes, lambda value: kinds.get(type(value), lambda same: same)(value))


def plain_number(value: Any) -> Any:
    """A number of a rule as Python's own."""
    if isinstance(value, ExactFloat):
        return float(value)
    if isinstance(value, ExactFraction):
        return Fraction(value)
    return int(value) if isinstance(value, ExactInt) else value


def plain(attributes: Attributes, defaults: Attributes) -> dict[str, Any]:
    """Attributes that a rule gives to an op, as a client gives them. A fraction stays a fraction only where the default
    is."""

    def rounded(value: Any) -> Any:
        return as_float(value) if isinstance(value, Fraction) else plain_number(value)

    return {
        name: _mapped(value, plain_number if isinstance(defaults.get(name), Fraction) else rounded)
        for name, value in attributes.items()
    }
