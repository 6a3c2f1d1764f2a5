"""Feasibility of signs: affine inequalities in rationals, by eliminating the variables in turn (Fourier and Motzkin);
polynomials of a single variable, by evaluation between their roots."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise
from random import Random
from typing import Any, TypeAlias

import sympy

MAX_ROWS = 10_000
SAMPLES = 100
MAX_SIZE = 200  # operations in a polynomial whose sign is decided
DIGITS = 60
CLOSE = sympy.Rational(1, 10**40)

Signs: TypeAlias = Sequence[tuple[Any, int]]  # a difference and its sign, 1 or -1
Row: TypeAlias = tuple[Any, ...]  # coefficients and a constant: their combination is above 0


class Unknown(Exception):
    """Feasibility is not decided: a difference is neither affine nor a polynomial with rational coefficients, or there
    are too many."""


def point_with(signs: Signs) -> dict[Any, Any] | None:
    """A rational point at which every difference has its sign (and positive symbols are positive), or None if there is
    none: decided exactly. Raises Unknown."""
    affine = [(difference, sign) for difference, sign in signs if _is_affine(difference)]
    solution = _eliminated(affine)
    if solution is None or len(affine) == len(signs):
        return solution
    if any(is_nonnegative(-sign * difference) for difference, sign in signs if not _is_affine(difference)):
        return None
    lines: dict[Any, list[tuple[Any, int]]] = {}
    together = False
    for difference, sign in signs:
        free = difference.free_symbols
        together = together or len(free) != 1
        for symbol in free if len(free) == 1 else ():
            lines.setdefault(symbol, []).append((difference, sign))
    point = {}
    for symbol, along in lines.items():
        value = _on_line(symbol, along)
        if value is None:
            return None
        point[symbol] = value
    if not together:
        return point
    if _eliminated(_relaxed(signs)) is None:
        return None
    random_point = _sampled(signs)
    if random_point is None:
        raise Unknown
    return random_point


def _is_affine(difference: Any) -> bool:
    free = difference.free_symbols
    try:
        polynomial = sympy.Poly(difference, *free) if free else None
    except sympy.PolynomialError:
        return False
    return polynomial is None or (polynomial.total_degree() <= 1 and all(c.is_Rational for c in polynomial.coeffs()))


def is_nonnegative(e: Any, depth: int = 3) -> bool:
    """True if a polynomial with rational coefficients is shown to be nowhere below 0: a sum of squares of its variables,
    or a parabola in a variable that opens upwards and crosses 0 nowhere."""
    e = sympy.expand(e)
    free = sorted(e.free_symbols, key=sympy.default_sort_key)
    if not free:
        return bool(e.is_nonnegative)
    polynomial = _polynomial(e, free)
    if polynomial is None or sympy.count_ops(e) > MAX_SIZE:
        return False
    if all(c >= 0 and all(k % 2 == 0 for k in powers) for powers, c in polynomial.terms()):
        return True
    if len(free) == 1:
        leading = polynomial.LC() > 0 and polynomial.degree() % 2 == 0
        return bool(leading and all(count % 2 == 0 for _, count in polynomial.real_roots(multiple=False)))
    if polynomial.is_homogeneous and polynomial.total_degree() % 2 == 0:  # a square times its value where a variable is 1
        return all(is_nonnegative(e.subs(free[0], value), depth) for value in (0, 1))
    for symbol in free if depth else ():
        if polynomial.degree(symbol) == 2:
            a, b, c = (e.coeff(symbol, k) for k in (2, 1, 0))
            if all(is_nonnegative(part, depth - 1) for part in (a, c, 4 * a * c - b * b)):
                return True  # where a is 0, so is b, and c is left
    return False


def _sampled(signs: Signs) -> dict[Any, Any] | None:
    """A point that a few random samples hit, or None, which says nothing."""
    free = sorted({s for difference, _ in signs for s in difference.free_symbols}, key=sympy.default_sort_key)
    random = Random(len(signs))
    for _ in range(SAMPLES):
        point = {s: sympy.Rational(random.randint(1, 63), random.choice((4, 16, 64))) for s in free}
        point = {s: value if s.is_positive else value * random.choice((-1, 1)) for s, value in point.items()}
        values = (sympy.N(difference.xreplace(point), DIGITS) * sign for difference, sign in signs)
        if all(number.is_extended_real and number > CLOSE for number in values):
            return point
    return None


def _polynomial(e: Any, free: Sequence[Any]) -> Any:
    """The polynomial of an expression, with rational coefficients; None for any other expression."""
    try:
        polynomial = sympy.Poly(e, *free)
    except sympy.PolynomialError:
        return None
    return polynomial if all(c.is_Rational for c in polynomial.coeffs()) else None


def _relaxed(signs: Signs) -> list[tuple[Any, int]]:
    """The signs with each product of variables replaced by a variable of its own, of the sign that its factors give it:
    if the relaxation has no point, neither has the original."""
    known = {difference: sign for difference, sign in signs if difference.is_Symbol}
    relaxed: list[tuple[Any, int]] = []
    for difference, sign in signs:
        free = sorted(difference.free_symbols, key=sympy.default_sort_key)
        polynomial = _polynomial(difference, free)
        if polynomial is None:
            continue
        total = sympy.Integer(0)
        for powers, c in polynomial.terms():
            product = sympy.Mul(*(s**k for s, k in zip(free, powers, strict=True)))
            if sum(powers) < 2:
                total += c * product
                continue
            name = sympy.Symbol(f"product {product}", real=True)
            total += c * name
            factors = [(1 if s.is_positive else known.get(s, 0)) ** k for s, k in zip(free, powers, strict=True) if k]
            if all(factors):
                relaxed.append((name, sympy.prod(factors)))
        relaxed.append((total, sign))
    return relaxed


def _on_line(symbol: Any, signs: Signs) -> Any:
    """A value at which polynomials of a single variable have their signs, or None. Raises Unknown."""
    places = [sympy.Integer(0)] if symbol.is_positive else []
    for difference, _ in signs:
        places += _roots(difference, symbol)
    near: list[Any] = []
    for place in sorted((sympy.N(place, DIGITS) for place in places), key=float):
        if near and abs(place - near[-1]) < CLOSE:
            continue  # the same root from two formulas: no value fits between
        near.append(place)
    between = [_short(a, b) for a, b in pairwise(near)]
    ends = [sympy.floor(near[0]) - 1, sympy.floor(near[-1]) + 2] if near else [sympy.Integer(1)]
    for value in (*ends, *between):
        if symbol.is_positive and value <= 0:
            continue
        values = [sympy.N(difference.xreplace({symbol: value}), DIGITS) for difference, _ in signs]
        if all(number * sign > 0 for number, (_, sign) in zip(values, signs, strict=True)):
            return value
    if any(abs(sympy.N(a - b, DIGITS)) < CLOSE and not _same(a, b) for a, b in combinations(places, 2)):
        raise Unknown
    return None


def _short(low: Any, high: Any) -> Any:
    """A rational number between two others: with a small denominator, if there is room."""
    middle = sympy.Rational(str((low + high) / 2))
    rounded = middle.limit_denominator(64)
    return rounded if low < rounded < high else middle


def _roots(difference: Any, symbol: Any) -> list[Any]:
    """The real roots of a polynomial that is affine or has rational coefficients. Raises Unknown."""
    try:
        polynomial = sympy.Poly(difference, symbol)
    except sympy.PolynomialError:
        raise Unknown from None
    if all(c.is_Rational for c in polynomial.coeffs()):
        return [root for root, _ in polynomial.real_roots(multiple=False)]
    if polynomial.degree() == 1 and all(c.is_number and c.is_real for c in polynomial.coeffs()):
        return [-polynomial.coeff_monomial(1) / polynomial.coeff_monomial(symbol)]
    raise Unknown


def _same(a: Any, b: Any) -> bool:
    if a == b:
        return True
    if sympy.simplify(sympy.expand_log((a - b).rewrite(sympy.log))) == 0:
        return True
    try:
        return bool(sympy.minimal_polynomial(a - b, polys=False).is_Symbol)
    except (NotImplementedError, sympy.polys.polyerrors.NotAlgebraic):
        return False


def _eliminated(signs: Signs) -> dict[Any, Any] | None:
    """A point for affine differences, or None (Fourier and Motzkin)."""
    free = sorted({s for difference, _ in signs for s in difference.free_symbols}, key=sympy.default_sort_key)
    rows = [_row(difference, sign, free) for difference, sign in signs]
    rows += [tuple(sympy.Integer(s == t) for t in (*free, 1)) for s in free if s.is_positive]
    stages: list[list[Row]] = []
    for k in range(len(free)):
        stages.append(rows)
        above, below = [row for row in rows if row[k] > 0], [row for row in rows if row[k] < 0]
        if len(above) * len(below) > MAX_ROWS:
            raise Unknown
        rows = [row for row in rows if row[k] == 0] + [
            tuple(p * -down[k] + q * up[k] for p, q in zip(up, down, strict=True)) for up in above for down in below
        ]
    if any(row[-1] <= 0 for row in rows):
        return None
    point: dict[Any, Any] = {}
    for k in range(len(free) - 1, -1, -1):
        point[free[k]] = _between(stages[k], k, free, point)
    return point


def _row(difference: Any, sign: int, free: Sequence[Any]) -> Row:
    try:
        polynomial = sympy.Poly(difference, *free)
    except sympy.PolynomialError:
        raise Unknown from None
    row = tuple(sign * polynomial.coeff_monomial(m) for m in (*free, 1))
    if polynomial.total_degree() > 1 or not all(c.is_Rational for c in row):
        raise Unknown
    return row


def _between(rows: Sequence[Row], k: int, free: Sequence[Any], point: dict[Any, Any]) -> Any:
    """A value for variable k between its bounds, with those after it known."""
    low, high = None, None
    for row in rows:
        if row[k] == 0:
            continue
        rest = row[-1] + sum(row[j] * point[free[j]] for j in range(k + 1, len(free)))
        bound = -rest / row[k]
        if row[k] > 0:
            low = bound if low is None else max(low, bound)
        else:
            high = bound if high is None else min(high, bound)
    if low is None:
        return sympy.Integer(0) if high is None else high - 1
    return low + 1 if high is None else (low + high) / 2
