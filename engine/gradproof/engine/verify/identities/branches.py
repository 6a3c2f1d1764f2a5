"""Branches of an expression: made explicit as comparisons, factored, and tested for ties on thin sets."""

from __future__ import annotations

from functools import lru_cache
from math import lcm
from random import Random
from typing import Any

import sympy

from gradproof.engine.sealed import Free
from gradproof.engine.verify.identities.monotone import unwrapped
from gradproof.engine.verify.identities.thin_sets import is_thin_for_all

POINTS = 3
MAX_SIZE = 400  # operations in a difference that is factored
MAX_RADICAND = 60  # operations in a radicand that is factored
MAX_ROOTS = 4  # roots that are eliminated in turn
TINY = sympy.Rational(1, 10**20)
ENTIRE = (
    sympy.exp, sympy.sin, sympy.cos, sympy.sinh, sympy.cosh, sympy.tanh, sympy.atan, sympy.asinh, sympy.erf, sympy.erfc,
)  # fmt: skip
STEPS = (sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.Heaviside)


def explicit(expression: Any) -> Any:
    """The expression with each branch as a comparison: the absolute value of a real number, its sign, a maximum, the
    root of a square. Floats become the rational numbers they are."""
    e = exact(expression)
    e = e.replace(lambda p: p.is_Pow and p.exp.is_Rational and not p.exp.is_Integer, _rooted)
    return e.replace(lambda p: isinstance(p, STEPS) and all(a.is_extended_real for a in p.args), _pieces)


def exact(expression: Any) -> Any:
    """The expression with rational numbers for floats."""
    e = sympy.sympify(expression)
    floats = e.atoms(sympy.Float)
    return e.xreplace({x: sympy.Rational(*float(x).as_integer_ratio()) for x in floats}) if floats else e


def _pieces(e: Any) -> Any:
    return e.rewrite(sympy.Piecewise)


@lru_cache(maxsize=4096)
def _rooted(power: Any) -> Any:
    """A root with the squares taken out of its radicand: √(f² u) = |f| √u for real f."""
    if sympy.count_ops(power.base) > MAX_RADICAND:
        return power
    try:
        content, factors = sympy.factor_list(power.base)
    except sympy.PolynomialError:
        return power
    if not any(m > 1 for _, m in factors) or not all(f.is_extended_real for f, _ in factors):
        return power
    outside, inside = sympy.Integer(1), content
    for f, m in factors:
        outside *= sympy.Abs(f) ** (power.exp * (m - m % 2))
        inside *= f ** (m % 2)
    return outside * inside**power.exp


@lru_cache(maxsize=4096)
def factored(difference: Any) -> tuple[int, tuple[tuple[Any, int], ...]]:
    """The sign of the constant in ``difference``, and its factors with their powers; a denominator is a factor too, as
    its sign is that of its inverse. A factor of constant sign is part of the constant."""
    sign, powers = 1, dict[Any, int]()
    for f, power in _factors(difference):
        if f.is_extended_negative:
            sign *= (-1) ** power
        elif not f.is_extended_positive:
            if f.could_extract_minus_sign():
                f, sign = sympy.expand(-f), sign * (-1) ** power
            powers[f] = powers.get(f, 0) + power
    return sign, tuple(powers.items())


def _factors(difference: Any) -> list[tuple[Any, int]]:
    if difference.has(sympy.floor, sympy.Piecewise) or sympy.count_ops(difference) > MAX_SIZE:
        return [(difference, 1)]
    try:
        parts = []
        for side in sympy.fraction(sympy.together(difference)):
            content, listed = sympy.factor_list(side)
            parts += [(content, 1), *listed]
    except (sympy.PolynomialError, NotImplementedError):
        return [(difference, 1)]
    factors: list[tuple[Any, int]] = []
    for f, m in parts:
        inner = unwrapped(sympy.sympify(f)) if getattr(f, "free_symbols", None) else None
        factors += (
            [(sympy.sympify(f), int(m))] if inner is None else [(factor, k * int(m)) for factor, k in _factors(inner)]
        )
    return factors


@lru_cache(maxsize=4096)
def is_thin(difference: Any) -> bool:
    """True if ``difference`` is shown to be 0 on a thin set only, which leaves the rest dense: it is not 0 somewhere,
    and is algebraic (then so is the norm over its roots, a polynomial that is not 0), or analytic on all of the domain.
    With free attributes it has to be so for each of their values."""
    if difference.atoms(Free):
        return is_thin_for_all(difference, _analytic)
    if difference.has(sympy.floor, sympy.Piecewise, *STEPS):
        return False
    return _differs_somewhere(difference) and (_analytic(difference) or _norm_differs(difference))


def _differs_somewhere(difference: Any) -> bool:
    free = sorted(difference.free_symbols, key=sympy.default_sort_key)
    for seed in range(POINTS):
        random = Random(seed)
        point = {s: sympy.Rational(random.randint(1, 200), 97) for s in free}
        value = sympy.N(difference.xreplace(point), 40)
        if value.is_number and value.is_finite and abs(value) > TINY:
            return True
    return False


def _analytic(e: Any) -> bool:
    """True if ``e`` is analytic wherever its symbols may be, which is a line or half a line for each."""
    if e.is_Symbol:
        return True
    if e.is_number:
        return bool(e.is_finite)
    if not all(map(_analytic, e.args)):
        return False
    if e.is_Add or e.is_Mul or isinstance(e, ENTIRE):
        return True
    if e.is_Pow:
        is_polynomial = e.exp.is_Integer and e.exp > 0
        return bool(is_polynomial or e.base.is_positive or (e.exp.is_Integer and e.base.is_negative))
    return bool(isinstance(e, (sympy.log, sympy.gamma, sympy.loggamma)) and e.args[0].is_positive)


def _norm_differs(difference: Any) -> bool:
    """True if the product of an algebraic expression over all signs of its roots, computed by resultants, is a
    polynomial other than 0."""
    e = sympy.fraction(sympy.together(difference))[0]
    for _ in range(MAX_ROOTS + 1):
        roots = [p for p in e.atoms(sympy.Pow) if p.exp.is_Rational and not p.exp.is_Integer]
        if not roots:
            break
        outer = next((p for p in roots if not any(p != q and q.has(p) for q in roots)), roots[0])
        alike = [p for p in roots if p.base == outer.base]
        degree = lcm(*(int(p.exp.q) for p in alike))
        root = sympy.Dummy("root")
        replaced = sympy.together(e.xreplace({p: root ** int(p.exp * degree) for p in alike}))
        try:
            e = sympy.expand(sympy.resultant(sympy.fraction(replaced)[0], root**degree - outer.base, root))
        except (sympy.PolynomialError, NotImplementedError):
            return False
        e = sympy.fraction(sympy.together(e))[0]
    free = sorted(e.free_symbols, key=sympy.default_sort_key)
    if not free or not e.is_polynomial(*free):
        return False
    return any(c.is_Rational and c != 0 for c in sympy.Poly(e, *free).coeffs())
