"""Other values for the numeric attributes of an op: what is proved at a default only may forget the attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import Any


def neighbours(cases: Sequence[Mapping[str, Any]], *, whole_numbers: bool) -> Iterator[dict[str, Any]]:
    """Other numbers for the attributes that are the same number in all of ``cases``: nearer to 0, then further, each by a
    power of two of its own, which loses no digits, and in the same order; and whole numbers that are one and two more."""
    fixed = {
        name: value
        for name, value in (cases[0] if cases else {}).items()
        if type(value) in (float, Fraction, int)
        and isfinite(value)
        and all(repr(one[name]) == repr(value) for one in cases)
    }
    floats = sorted((name for name in fixed if type(fixed[name]) is not int), key=lambda name: abs(fixed[name]))
    counts = [name for name in fixed if type(fixed[name]) is int and whole_numbers]
    for more in (1, 2) if floats or counts else ():
        near = _near([fixed[name] for name in floats], further=more == 2)
        found = dict(zip(floats, near, strict=True)) | {name: fixed[name] + more for name in counts}
        if found != {name: fixed[name] for name in found}:
            yield found


def _near(values: list[Any], *, further: bool) -> list[Any]:
    """Numbers beside those given, which are in order of size; the same, where twice as much may lead from a share to more
    than the whole."""
    if further and any(0.5 <= abs(value) < 1 for value in values):
        return values
    scales = [2.0 ** (k + 1) if further else 0.5 ** (len(values) - k) for k in range(len(values))]
    scaled = [value * type(value)(scale) for value, scale in zip(values, scales, strict=True)]
    least = min((abs(value) for value in scaled if value), default=1)
    return [value or type(value)(least / 2) for value in scaled]
