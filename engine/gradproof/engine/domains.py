"""Domains of the inputs of ops: where they live, and points of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any


@dataclass(frozen=True)
class Domain:
    """The set of real numbers that an input of an op is taken from.

    Args:
        name: the domain in words, as verdicts show it.
        assumptions: SymPy's assumptions on the symbol of a proof.
        chart: maps a symbol with these assumptions onto the domain: acosh is proved with x = 1 + t, t > 0.
        sample: draws an exact interior point.
    """

    name: str
    assumptions: Mapping[str, bool]
    chart: Callable[[Any], Any]
    sample: Callable[[Random], Fraction]


def _signed(random: Random) -> Fraction:
    """A nonzero multiple of 1/16 between -4 and 4."""
    return Fraction(random.randint(1, 63) * random.choice((-1, 1)), 16)


def _unit(random: Random) -> Fraction:
    """A multiple of 1/64 strictly between 0 and 1."""
    return Fraction(random.randint(1, 63), 64)


REAL = Domain("real", {"real": True}, lambda t: t, _signed)
NONZERO = Domain("nonzero", {"real": True, "nonzero": True}, lambda t: t, _signed)
POSITIVE = Domain("positive", {"positive": True}, lambda t: t, lambda random: abs(_signed(random)))
ABOVE_MINUS_ONE = Domain("above -1", {"positive": True}, lambda t: t - 1, lambda random: abs(_signed(random)) - 1)
ABOVE_ONE = Domain("above 1", {"positive": True}, lambda t: t + 1, lambda random: 1 + abs(_signed(random)))
UNIT = Domain("between -1 and 1", {"real": True}, lambda t: t, lambda random: 2 * _unit(random) - 1)
PROPER = Domain("between 0 and 1", {"positive": True}, lambda t: t, _unit)
INTEGER = Domain("integer or boolean", {}, lambda t: t, lambda random: Fraction(0))
