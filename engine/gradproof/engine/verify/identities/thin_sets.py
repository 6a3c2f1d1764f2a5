"""Thin zero sets: whether an expression with free attributes vanishes on a thin set only, for each of their values."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import sympy

from gradproof.engine.sealed import EXCEPTIONAL, Free

POINTS = 4
MAX_DEGREE = 8
MAX_FREE = 4


def is_thin_for_all(e: Any, is_analytic: Callable[[Any], bool]) -> bool:
    """True if, for each value of the free attributes in ``e`` that is not exceptional, ``e`` is shown to be 0 on a thin
    set of the other symbols only: it has no zero; or it is analytic in all of them (``is_analytic``), and nowhere 0 as a
    whole. A product or a power has the zeros of its parts."""
    if e.is_extended_real and (e.is_extended_positive or e.is_extended_negative):
        return not e.has(sympy.zoo, sympy.nan, sympy.oo)
    if e.is_Mul:
        return all(is_thin_for_all(part, is_analytic) for part in e.args)
    if e.is_Pow and e.exp.is_Rational:
        return is_thin_for_all(e.base, is_analytic)
    above, below = sympy.fraction(sympy.together(e))
    if below != 1:
        return is_thin_for_all(above, is_analytic) and is_thin_for_all(below, is_analytic)
    return is_analytic(e) and _is_never_zero(e)


def _is_never_zero(e: Any) -> bool:
    """True if no values of the free attributes make ``e`` 0 at all of a few points: an ideal that contains 1 has no
    zeros (Hilbert's Nullstellensatz), by a Gröbner basis. A further unknown times all that is not 0 at ordinary values,
    less 1, excludes the exceptional values (Rabinowitsch's trick)."""
    free = sorted(e.atoms(Free), key=sympy.default_sort_key)
    variables = sorted(e.free_symbols - set(free), key=sympy.default_sort_key)
    unknown = sympy.Dummy("unknown")
    ideal = [unknown * sympy.prod(s - k for s in free for k in EXCEPTIONAL) - 1] if free else []
    for seed in range(POINTS if variables else 1):
        random = Random(seed)
        value = e.xreplace({s: sympy.Rational(random.randint(1, 96), 97) for s in variables})
        if value.is_number and not free:
            return bool(value.is_finite and abs(sympy.N(value, 40)) > sympy.Rational(1, 10**20))
        if value.is_extended_positive or value.is_extended_negative:
            return True
        if not value.is_polynomial(*free) or len(free) > MAX_FREE:
            continue
        polynomial = sympy.Poly(value, *free)
        if polynomial.total_degree() <= MAX_DEGREE and all(c.is_Rational for c in polynomial.coeffs()):
            ideal.append(value)
    return len(ideal) > 1 and sympy.groebner(ideal, unknown, *free, order="grevlex").exprs == [1]
