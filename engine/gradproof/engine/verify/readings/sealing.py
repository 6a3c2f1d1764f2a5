"""The sealed reading: in SymPy symbols, but of numbers that do not reveal their values (see `sealed`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import sympy

from gradproof.engine.scalar_functions import SYMBOLIC, TABLE, Number, OnReals
from gradproof.engine.sealed import Free, Ledger, Sealed, exact_number
from gradproof.engine.spec import Array

ENTIRE = frozenset(
    {"exp", "expm1", "sin", "cos", "sinc", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "erfc", "besselj", "besseli"}
)
"""Functions that are analytic on all of the real line."""
CRITICAL: dict[str, Callable[..., Any]] = {
    "log": lambda u: u,
    "log1p": lambda u: 1 + u,
    "sqrt": lambda u: u,
    "tan": sympy.cos,
    "asin": lambda u: 1 - u * u,
    "acos": lambda u: 1 - u * u,
    "atanh": lambda u: 1 - u * u,
    "acosh": lambda u: 1 - u * u,
    "atan2": lambda y, x: y,
    "gamma": lambda u: sympy.sin(sympy.pi * u),
    "lgamma": lambda u: sympy.sin(sympy.pi * u),
    "digamma": lambda u: sympy.sin(sympy.pi * u),
    "polygamma": lambda n, u: sympy.sin(sympy.pi * u),
    "zeta": lambda s, q: (s - 1) * q,
    "gammainc": lambda a, x: a * x,
    "gammaincc": lambda a, x: a * x,
    "erfinv": lambda u: 1 - u * u,
    "erfcinv": lambda u: u * (2 - u),
    "bessely": lambda n, x: x,
    "besselk": lambda n, x: x,
    "power": lambda x, y: x,
}
"""Expressions of the arguments: where they are not 0, the other functions are analytic. On both sides of a cut they are
continued along the real line."""


class Sealing(OnReals):
    """The reading of definitions whose attributes are free. ``ledger``: a record of the operations on them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pi = self._seal(sympy.pi)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A row of the table, or a connective, of SymPy's reading."""
        function = getattr(SYMBOLIC, name)

        def sealed(*arguments: Any) -> Any:
            values = [self._plain(argument) for argument in arguments]
            if name in CRITICAL:
                critical = CRITICAL[name](*values)
                self.ledger.note(critical, *values)
                if critical.atoms(Free) and critical.free_symbols == critical.atoms(Free) and not critical.is_positive:
                    raise NotImplementedError(f"it is not shown that {name} has a real value at all values of attributes")
            elif name in TABLE and name not in ENTIRE:
                raise NotImplementedError(f"it is not known where {name} is analytic")
            return self._seal(function(*values))

        return sealed

    def _seal(self, expression: Any) -> Any:
        return Sealed(sympy.sympify(expression), self.ledger)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Sealed):
            return value.expression
        exact = exact_number(value)
        return value if exact is None or isinstance(value, bool) else exact

    def number(self, value: Number | Sealed) -> Any:
        return self._seal(self._plain(value))

    def total(self, terms: Iterable[Any]) -> Any:
        return self._seal(sympy.Add(*map(self._plain, terms)))

    def floor(self, x: Any) -> Any:
        """The largest integer up to ``x``. Raises NotImplementedError: where a free attribute steps, no formula goes on."""
        raise NotImplementedError("a step has no reading for all values of an attribute")

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        if isinstance(condition, (bool, int)):
            return a if condition else b
        return self._seal(SYMBOLIC.where(self._plain(condition), self._plain(a), self._plain(b)))


def seal_all(cells: Array, f: Sealing) -> Array:
    """An array of symbols as sealed numbers; Python numbers stay what they are."""
    return _each(cells, lambda x: Sealed(x, f.ledger) if isinstance(x, sympy.Basic) else x)


def unsealed(cells: Array) -> Array:
    """The expressions in an array of sealed numbers."""
    return _each(cells, lambda x: x.expression if isinstance(x, Sealed) else sympy.sympify(x))


def _each(cells: Array, change: Callable[[Any], Any]) -> Array:
    result: Array = np.empty(cells.shape, object)
    for index in np.ndindex(cells.shape):
        result[index] = change(cells[index])
    return result
