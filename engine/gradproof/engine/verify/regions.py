"""Regions: an obligation with branches is split where comparisons change sign, and shown to be zero in each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any, TypeAlias

import sympy
from sympy.core.relational import Relational

from gradproof.engine.verify.feasible import Unknown, point_with
from gradproof.engine.verify.ladder import short, zero_tactic

POINTS = 3
MAX_REGIONS = 128


class Open(Exception):
    """An obligation that no tactic closes; the message says which. ``region``: it is that of a region cut out by
    branches, where random points may not reach, so that their agreement says nothing; ``point`` is one in it, if known."""

    def __init__(self, message: str, *, region: bool = False, point: dict[Any, Any] | None = None) -> None:
        super().__init__(message)
        self.region, self.point = region, point


def differences(expression: Any) -> Iterator[Any]:
    """What is compared with 0 in ``expression``, and what is 0 at its steps: where one of these is 0 a definition may
    have no derivative."""
    atoms = getattr(expression, "atoms", lambda *_: ())
    for relation in atoms(Relational):
        if not relation.has(sympy.Piecewise):
            yield sympy.expand(relation.lhs - relation.rhs)
    for step in atoms(sympy.floor):
        if not step.has(sympy.Piecewise):
            yield step.args[0] - step


def close(residual: Any, ties: set[str]) -> str:
    """Show that ``residual`` is zero in every region: the tactics used. Adds the ties that are left out. Raises Open."""
    tactics: list[str] = []
    regions = 0
    for assumed, smooth in _regions(residual, []):
        regions += 1
        if regions > MAX_REGIONS:
            raise Open(f"more than {MAX_REGIONS} regions")
        ties.update(f"{difference} = 0" for difference, _ in assumed if not difference.has(sympy.floor))
        tactic = zero_tactic(smooth)
        if tactic is None:
            point: dict[Any, Any] | None = {}
            with suppress(Unknown):
                point = point_with(assumed) if all(sign for _, sign in assumed) else {}
            if point is None:
                continue
            where = " and ".join(f"{difference} {'<=>'[sign + 1]} 0" for difference, sign in assumed)
            text = f"no tactic shows that {short(smooth)} is 0" + (f", where {where}" if where else "")
            raise Open(text, region=bool(assumed), point=point)
        tactics.append(tactic)
    return " ".join(dict.fromkeys(tactics))


Assumed: TypeAlias = list[tuple[Any, int]]


def _regions(expression: Any, assumed: Assumed) -> Iterator[tuple[Assumed, Any]]:
    """Every assignment of signs to the comparisons in ``expression``, with what the expression is there. Innermost
    comparisons are resolved first; differences that are equal up to sign are one. One with steps may be 0 on more than a
    thin set: there 0 is a sign too."""
    pending = [(expression, assumed)]
    while pending:
        current, signs = pending.pop()
        relations = [r for r in getattr(current, "atoms", lambda _: ())(Relational) if not r.has(sympy.Piecewise)]
        if not relations:
            yield signs, current
            continue
        first = min(relations, key=sympy.default_sort_key)
        difference = sympy.expand(first.lhs - first.rhs)
        if zero_tactic(difference) is not None:  # both sides are one: this is no branch, and every point is a tie
            pending.append((current.xreplace({first: _tied(first)}), signs))
            continue
        if not _differs_somewhere(difference):
            raise Open(f"cannot tell whether {short(difference)} is 0 everywhere", region=True)
        for sign in (1, -1, 0) if difference.has(sympy.floor) else (1, -1):
            alike = [r for r in relations if _matches(r, difference)]
            resolved = current.xreplace({r: _truth(r, difference, sign) if sign else _tied(r) for r in alike})
            pending.append((resolved, [*signs, (difference, sign)]))


def _differs_somewhere(difference: Any) -> bool:
    """Whether ``difference`` is clearly not 0 at some point, so that it is 0 on a thin set only."""
    free = sorted(difference.free_symbols, key=sympy.default_sort_key)
    for seed in range(POINTS):
        random = Random(seed)
        point = {s: sympy.Rational(random.randint(1, 200), 97) for s in free}
        value = sympy.N(difference.xreplace(point), 40)
        if value.is_number and value.is_finite and abs(value) > sympy.Rational(1, 10**20):
            return True
    return False


def _matches(relation: Any, difference: Any) -> bool:
    mine = sympy.expand(relation.lhs - relation.rhs)
    return bool(mine == difference or mine == -difference or sympy.expand(mine + difference) == 0)


def _tied(relation: Any) -> Any:
    """The truth of a comparison of two that are equal."""
    return sympy.true if isinstance(relation, (sympy.Eq, sympy.Le, sympy.Ge)) else sympy.false


def _truth(relation: Any, difference: Any, sign: int) -> Any:
    """The truth of a comparison off the tie, where ``difference`` has this sign."""
    if sympy.expand(relation.lhs - relation.rhs) != difference:
        sign = -sign
    if isinstance(relation, (sympy.Gt, sympy.Ge)):
        return sympy.true if sign > 0 else sympy.false
    if isinstance(relation, (sympy.Lt, sympy.Le)):
        return sympy.true if sign < 0 else sympy.false
    return sympy.false if isinstance(relation, sympy.Eq) else sympy.true
