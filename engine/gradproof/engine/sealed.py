"""Sealed numbers: numbers that stand for all values of a free attribute, so that no code may ask for their value.

A rule or a definition that is read with sealed attributes has to be the same formula for all of them. Arithmetic goes on
with them; a comparison, a conversion, a text, a hash raise `ValueRequested` and are noted in a ledger, so that an
exception which is caught hides nothing. Divisors, and points where a function is not analytic, are noted too: SymPy
cancels s x / s, and the rule divides by 0 where s is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from typing import Any, NoReturn

import sympy

from gradproof.engine.attributes import FreeNumber

MAX_POWER = 64
EXCEPTIONAL = (-1, 0, 1)
"""Values of an attribute that are never free: formulas have their exceptions there, and each has a proof of its own."""


class Free(sympy.Symbol):  # type: ignore[misc]
    """The symbol of a free attribute, which is any real number that is not exceptional."""


def free_symbol(name: str) -> Free:
    """The symbol of the free attribute called ``name``. It is assumed to be real, and nothing else."""
    return Free(name, real=True)


class ValueRequested(TypeError):
    """A sealed number was asked for its value. ``names``: the free attributes that it depends on."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(f"the value of {', '.join(sorted(names)) or 'a number'} decides, so that it cannot be free")
        self.names = names


@dataclass
class Ledger:
    """Record of the use of sealed numbers: whether any was asked for its value, and expressions with free attributes where
    the formula is not analytic, if they are 0."""

    asked: set[str] = field(default_factory=set)
    is_asked: bool = False
    critical: set[Any] = field(default_factory=set)

    def note(self, expression: Any, *others: Any) -> None:
        """Note that ``expression`` must not be 0, if it or any of ``others`` has a free attribute."""
        if any(part.atoms(Free) for part in (expression, *others)):
            self.critical.add(expression)


def exact_number(value: Any) -> Any:
    """A Python number as SymPy's, exactly; None for anything else."""
    if isinstance(value, (bool, int)):
        return sympy.Integer(int(value))
    if isinstance(value, (float, Fraction)) and isfinite(value):
        exact = Fraction(value)
        return sympy.Rational(exact.numerator, exact.denominator)
    return None


def _operator(operation: Callable[[Any, Any, Any], Any], *, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """An operator of sealed numbers from ``(number, a, b) -> number``; ``reflected``: with the number itself on the
    right."""

    def method(self: Any, other: Any) -> Any:
        theirs = self._other(other)
        if theirs is None:
            return NotImplemented
        return operation(self, theirs, self.expression) if reflected else operation(self, self.expression, theirs)

    return method


def _add(self: Any, a: Any, b: Any) -> Any:
    return self._made(a + b)


def _subtract(self: Any, a: Any, b: Any) -> Any:
    return self._made(a - b)


def _multiply(self: Any, a: Any, b: Any) -> Any:
    return self._made(a * b)


def _divide(self: Any, a: Any, b: Any) -> Any:
    self.ledger.note(b)
    return self._made(a / b)


def _raise(self: Any, base: Any, exponent: Any) -> Any:
    """A power; a power with a root in it is rounded among floats, and asks."""
    whole = exponent.is_Integer and abs(exponent) <= MAX_POWER
    if exponent.is_number and not whole:
        self.ask()
    if not (whole and exponent >= 0):
        self.ledger.note(base, exponent)
    return self._made(base**exponent)


def _comparison(self: Any, other: Any) -> Any:
    """A comparison, which asks for the value, except with a tracer, which records it from its side."""
    return self.ask() if self._other(other) is not None else NotImplemented


class Sealed(FreeNumber):
    """A number without a value: an expression, and the ledger of its reading. Arithmetic with anything but exact numbers
    and sealed numbers is left to the other operand (a tracer records it)."""

    __slots__ = ("expression", "ledger")

    def __init__(self, expression: Any, ledger: Ledger) -> None:
        self.expression, self.ledger = expression, ledger

    @property
    def text(self) -> str:
        """The expression as people read it."""
        return str(self.expression)

    def at(self, values: Mapping[str, Fraction]) -> Fraction | None:
        """The exact value where the free attributes have ``values``; None where that is no rational number."""
        number = self.expression.xreplace({free_symbol(name): exact_number(value) for name, value in values.items()})
        return Fraction(int(number.p), int(number.q)) if number.is_Rational else None

    def _other(self, other: Any) -> Any:
        return other.expression if isinstance(other, Sealed) else exact_number(other)

    def _made(self, expression: Any) -> Sealed:
        return Sealed(expression, self.ledger)

    def ask(self, *_: Any, **__: Any) -> NoReturn:
        """Note that the value was asked for, and raise `ValueRequested`."""
        names = frozenset(
            symbol.name for symbol in getattr(self.expression, "free_symbols", ()) if isinstance(symbol, Free)
        )
        self.ledger.asked |= names
        self.ledger.is_asked = True
        raise ValueRequested(names)

    def __neg__(self) -> Sealed:
        return self._made(-self.expression)

    def __pos__(self) -> Sealed:
        return self

    __add__, __radd__ = _operator(_add), _operator(_add, reflected=True)
    __sub__, __rsub__ = _operator(_subtract), _operator(_subtract, reflected=True)
    __mul__, __rmul__ = _operator(_multiply), _operator(_multiply, reflected=True)
    __truediv__, __rtruediv__ = _operator(_divide), _operator(_divide, reflected=True)
    __pow__, __rpow__ = _operator(_raise), _operator(_raise, reflected=True)
    __lt__ = __le__ = __gt__ = __ge__ = _comparison

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # SymPy and NumPy look for what they know
            raise AttributeError(name)
        self.ask()


for _name in (
    "eq", "ne", "bool", "hash", "float", "int", "index", "complex", "abs", "round", "floor", "ceil", "trunc", "str", "repr",
    "format", "reduce_ex", "len", "iter", "array", "mod", "rmod", "floordiv", "rfloordiv", "divmod", "rdivmod",
):  # fmt: skip
    setattr(Sealed, f"__{_name}__", Sealed.ask)


def sealed(names: Iterable[str], ledger: Ledger) -> dict[str, Sealed]:
    """The free attributes ``names`` as rules and definitions get them."""
    return {name: Sealed(free_symbol(name), ledger) for name in names}


def may_be_free(value: Any) -> bool:
    """True if an attribute of this value may be free: a finite float or fraction that is not exceptional."""
    return type(value) in (float, Fraction) and isfinite(value) and value not in EXCEPTIONAL
