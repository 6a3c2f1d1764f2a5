"""Regions: an obligation with branches is split where comparisons change sign, and shown to be zero in each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from math import prod
from typing import Any, TypeAlias

import sympy
from sympy.core.relational import Relational

from gradproof.engine.sealed import Free
from gradproof.engine.verify.identities.branches import explicit, factored, is_thin
from gradproof.engine.verify.identities.feasible import Unknown, point_with
from gradproof.engine.verify.identities.zero_tests import short, zero_tactic

MAX_REGIONS = 128


class Unproved(Exception):
    """An obligation that no tactic closes; the message names it. ``region``: the obligation is that of a region cut out
    by branches, which random points may miss, so that their agreement says nothing; ``point`` is a point in the region,
    if known."""

    def __init__(self, message: str, *, region: bool = False, point: dict[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.region, self.point = region, point


def differences(expression: Any) -> Iterator[Any]:
    """The differences that ``expression`` compares with 0, and those that are 0 at its steps: where any of them is 0, a
    definition may have no derivative."""
    atoms = explicit(expression).atoms if hasattr(expression, "atoms") else lambda *_: ()
    for relation in atoms(Relational):
        if not relation.has(sympy.Piecewise):
            yield from (f for f, _ in factored(sympy.expand(relation.lhs - relation.rhs))[1])
    for step in atoms(sympy.floor):
        if not step.has(sympy.Piecewise):
            yield step.args[0] - step


def ties_of(difference: Any) -> set[str]:
    """The tie where ``difference`` is 0, as text; none where it is made of free attributes only: then it is 0 at no
    value, or that is a region of its own."""
    free = difference.atoms(Free)
    return set() if free and free == difference.free_symbols else {f"{difference} = 0"}


def discharge(residual: Any, ties: set[str]) -> str:
    """Show that ``residual`` is zero in every region, and return the tactics used. Adds the ties that are left out:
    those of the definition are in ``ties`` already; where the rule alone has a branch, it may be shown to be right on it
    too. Raises Unproved."""
    defined, inside = set(ties), dict[Any, bool]()
    if not residual.has(Relational):
        tactic = zero_tactic(residual)
        if tactic is not None:
            return tactic
    tactics: list[str] = []
    regions = 0
    for assumed, smooth in _regions(residual, []):
        regions += 1
        if regions > MAX_REGIONS:
            raise Unproved(f"more than {MAX_REGIONS} regions")
        for difference, sign in assumed:
            if sign and is_thin(difference) and not ties_of(difference) <= ties:
                if difference not in inside:
                    inside[difference] = not ties_of(difference) <= defined and _zero_on(residual, difference)
                ties.update(() if inside[difference] else ties_of(difference))
        tactic = zero_tactic(smooth)
        if tactic is None:
            point: dict[Any, Any] | None = {}
            with suppress(Unknown):
                point = point_with([(difference, sign) for difference, sign in assumed if sign])
            if point is None:
                continue
            if not all(sign for _, sign in assumed):
                point = {}  # a point beside the tie, not on it
            where = " and ".join(f"{difference} {'<=>'[sign + 1]} 0" for difference, sign in assumed)
            text = f"no tactic shows that {short(smooth)} is 0" + (f", where {where}" if where else "")
            raise Unproved(text, region=bool(assumed), point=point)
        tactics.append(tactic)
    return " ".join(dict.fromkeys(tactics))


def _zero_on(residual: Any, difference: Any) -> bool:
    """True if ``residual`` is shown to be zero where ``difference`` is, which must be linear in a symbol."""
    if residual.atoms(Free):
        return False
    slopes = ((symbol, sympy.diff(difference, symbol)) for symbol in sorted(difference.free_symbols, key=str))
    symbol, slope = next(((symbol, slope) for symbol, slope in slopes if slope.is_Rational and slope), (None, 0))
    if symbol is None:
        return False
    try:
        value = explicit(residual).xreplace({symbol: symbol - difference / slope}).doit()
    except TypeError:  # a comparison of what is infinite there
        return False
    value = sympy.expand(value) if value.has(symbol) else value
    return not value.has(Relational) and zero_tactic(value) is not None


Assumed: TypeAlias = list[tuple[Any, int]]


def _regions(expression: Any, assumed: Assumed) -> Iterator[tuple[Assumed, Any]]:
    """Every assignment of signs to the factors that ``expression`` compares, with the smooth expression there. Innermost
    comparisons are resolved first. Where a factor is not shown to be 0 on a thin set only, 0 is a sign too."""
    pending = [(explicit(expression), assumed)]
    while pending:
        current, signs = pending.pop()
        relations = [r for r in getattr(current, "atoms", lambda _: ())(Relational) if not r.has(sympy.Piecewise)]
        if not relations:
            yield signs, current
            continue
        known = dict(signs)
        settled = {r: truth for r in relations if (truth := _truth(r, known)) is not None}
        if settled:
            pending.append((explicit(current.xreplace(settled)), signs))
            continue
        first = min(relations, key=sympy.default_sort_key)
        factor = next(f for f, _ in factored(sympy.expand(first.lhs - first.rhs))[1] if f not in known)
        choices = (1, -1) if is_thin(factor) else (1, -1, 0)
        pending.extend((current, [*signs, (factor, sign)]) for sign in choices)


def _truth(relation: Any, known: dict[Any, int]) -> Any:
    """The truth of a comparison where factors have ``known`` signs; None where they do not decide it."""
    difference = sympy.expand(relation.lhs - relation.rhs)
    constant, factors = factored(difference)
    if any(known.get(f) == 0 for f, _ in factors) or _vanishes(difference):
        return _tied(relation)  # both sides are equal, here or everywhere
    if not all(f in known for f, _ in factors):
        return None
    sign = constant * prod(known[f] ** power for f, power in factors)
    if isinstance(relation, (sympy.Gt, sympy.Ge)):
        return sympy.true if sign > 0 else sympy.false
    if isinstance(relation, (sympy.Lt, sympy.Le)):
        return sympy.true if sign < 0 else sympy.false
    return sympy.false if isinstance(relation, sympy.Eq) else sympy.true


@lru_cache(maxsize=4096)
def _vanishes(difference: Any) -> bool:
    return zero_tactic(difference) is not None


def _tied(relation: Any) -> Any:
    """The truth of a comparison of two equal sides."""
    return sympy.true if isinstance(relation, (sympy.Eq, sympy.Le, sympy.Ge)) else sympy.false
