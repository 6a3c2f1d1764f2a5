"""Zero test for rational functions, on python-flint's polynomials: SymPy's ``cancel`` without its trees.

An exponential is the product of the exponentials of its exponent's terms. Any other subexpression that is not a sum, a
product or a small integer power (a root, a sine) stands as a generator of its own. A numerator that is zero with
independent generators is zero for all their values, so True is a proof; False says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy
from flint import fmpq, fmpq_mpoly_ctx

MAX_POWER = 64
MAX_PRODUCT = 1_000_000  # terms of a product before they are collected: beyond, other tactics may try


def rational_zero(expression: Any) -> bool:
    """True if ``expression`` is zero as a fraction of polynomials. Raises ValueError if it grows too large, or divides
    by zero."""
    return bool(_Fractions(expression).fraction(expression)[0].is_zero())


class _Fractions:
    """Expressions over a set of generators as numerators, each with the powers of its denominators. Denominators are
    kept apart, as `bases` of leading coefficient 1, so that sums need no greatest common divisor."""

    def __init__(self, expression: Any) -> None:
        self.generators: dict[Any, int] = {}
        self._collect(expression, set())
        self.context = fmpq_mpoly_ctx.get([f"x{k}" for k in range(len(self.generators))], "degrevlex")
        self.symbols = self.context.gens()
        self.bases: list[Any] = []
        self.known: dict[Any, tuple[Any, dict[int, int]]] = {}

    def _collect(self, e: Any, seen: set[Any]) -> None:
        if e in seen or e.is_Rational:
            return
        seen.add(e)
        if e.is_Add or e.is_Mul:
            for part in e.args:
                self._collect(part, seen)
        elif _is_power(e):
            self._collect(e.base, seen)
        else:
            for factor, _ in _factors(e):
                self.generators.setdefault(factor, len(self.generators))

    def fraction(self, e: Any) -> tuple[Any, dict[int, int]]:
        """Numerator, and the power of each base in the denominator."""
        fraction = self.known.get(e)
        if fraction is None:
            fraction = self.known[e] = self._fraction(e)
        return fraction

    def _fraction(self, e: Any) -> tuple[Any, dict[int, int]]:
        if e.is_Rational:
            return self.context.constant(fmpq(int(e.p), int(e.q))), {}
        if e.is_Add:
            return self._sum([self.fraction(part) for part in e.args])
        if e.is_Mul:
            numerator, powers = self.context.constant(1), dict[int, int]()
            for factor_numerator, below in map(self.fraction, e.args):
                numerator = _product(numerator, factor_numerator)
                for base, power in below.items():
                    powers[base] = powers.get(base, 0) + power
            return numerator, powers
        if _is_power(e):
            return self._to_power(self.fraction(e.base), int(e.exp))
        numerator, powers = self.context.constant(1), {}
        for factor, exponent in _factors(e):
            factor_numerator, below = self._to_power((self.symbols[self.generators[factor]], {}), exponent)
            numerator, powers = _product(numerator, factor_numerator), powers | below
        return numerator, powers

    def _to_power(self, fraction: tuple[Any, dict[int, int]], exponent: int) -> tuple[Any, dict[int, int]]:
        numerator, powers = fraction
        if exponent > 0:
            return self._power(numerator, exponent), {base: power * exponent for base, power in powers.items()}
        base, leading = self._base(numerator)
        over = self.context.constant(1 / leading**-exponent)
        for index, power in powers.items():
            over = _product(over, self._power(self.bases[index], power * -exponent))
        return over, {base: -exponent}

    def _sum(self, parts: list[tuple[Any, dict[int, int]]]) -> tuple[Any, dict[int, int]]:
        common: dict[int, int] = {}
        for _, powers in parts:
            common |= {base: max(common.get(base, 0), power) for base, power in powers.items()}
        total = self.context.constant(0)
        for numerator, powers in parts:
            for base, power in common.items():
                numerator = _product(numerator, self._power(self.bases[base], power - powers.get(base, 0)))
            total += numerator
        return total, common

    def _base(self, polynomial: Any) -> tuple[int, Any]:
        """The index of a denominator among the bases, and its leading coefficient."""
        if polynomial.is_zero():
            raise ValueError("a denominator is zero")
        leading = polynomial.leading_coefficient()
        monic = polynomial / leading
        if monic not in self.bases:
            self.bases.append(monic)
        return self.bases.index(monic), leading

    def _power(self, polynomial: Any, exponent: int) -> Any:
        result = self.context.constant(1)
        for _ in range(exponent):
            result = _product(result, polynomial)
        return result


def _is_power(e: Any) -> bool:
    return bool(e.is_Pow and e.exp.is_Integer and abs(int(e.exp)) <= MAX_POWER)


def _factors(e: Any) -> Iterator[tuple[Any, int]]:
    """The generators of which ``e`` is a product, each once, with their powers: the exponential of a sum in its terms."""
    if not isinstance(e, sympy.exp):
        yield e, 1
        return
    for term, coefficient in sympy.expand(e.args[0]).as_coefficients_dict().items():
        is_integral = coefficient.is_Integer and abs(coefficient) <= MAX_POWER
        size = 1 if is_integral else abs(coefficient)
        yield ("exp", size * term), int(coefficient / size)


def _product(a: Any, b: Any) -> Any:
    if len(a) * len(b) > MAX_PRODUCT:
        raise ValueError("a polynomial has too many terms")
    return a * b
