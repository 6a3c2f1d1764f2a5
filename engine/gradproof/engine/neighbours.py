"""Neighbours: other values for the attributes of an op, since a rule that is proved at a default only may ignore them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from types import CodeType
from typing import Any

MAX_TEXTS = 8


def neighbours(cases: Sequence[Mapping[str, Any]], *, whole_numbers: bool) -> Iterator[dict[str, Any]]:
    """Other numbers for the attributes that are the same number in all of ``cases``: nearer to 0, then further, each by a
    power of two of its own, which loses no digits, and in the same order; and whole numbers that are larger by 1 and 2."""
    fixed = {
        name: value
        for name, value in (cases[0] if cases else {}).items()
        if type(value) in (float, Fraction, int)
        and isfinite(value)
        and all(repr(case[name]) == repr(value) for case in cases)
    }
    floats = sorted((name for name in fixed if type(fixed[name]) is not int), key=lambda name: abs(fixed[name]))
    counts = [name for name in fixed if type(fixed[name]) is int and whole_numbers]
    for more in (1, 2) if floats or counts else ():
        near = _near([fixed[name] for name in floats], further=more == 2)
        changed = dict(zip(floats, near, strict=True)) | {name: fixed[name] + more for name in counts}
        if changed != {name: fixed[name] for name in changed}:
            yield changed


def _near(values: list[Any], *, further: bool) -> list[Any]:
    """Numbers near ``values``, which are in order of size; the same, where twice as much may lead from a share to more
    than the whole."""
    if further and any(0.5 <= abs(value) < 1 for value in values):
        return values
    scales = [2.0 ** (k + 1) if further else 0.5 ** (len(values) - k) for k in range(len(values))]
    scaled = [value * type(value)(scale) for value, scale in zip(values, scales, strict=True)]
    least = min((abs(value) for value in scaled if value), default=1)
    return [value or type(value)(least / 2) for value in scaled]


FLOATS = (0.0, 1.0, 0.3, -1.5, 0.001, 100.0)
INTEGERS = (0, 1, -1, 2, 7, 12)
INSTEAD_OF_NONE = (2, 0.5)


def variations(cases: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The first case with another value for an attribute, each that no case has: numbers of the other sign, 0, 1, small and
    large numbers, in the same order among each other; the other truth; ``texts``, for a text; a tuple with an element or
    its order changed."""
    first = cases[0] if cases else {}
    numbers = [value for value in first.values() if _is_number(value)]
    for name, value in first.items():
        seen = {repr(case[name]) for case in cases}
        for other in _others(value, texts):
            if repr(other) not in seen and (not _is_number(value) or _keeps_order(numbers, value, other)):
                seen.add(repr(other))
                yield {name: other}


def texts_of(*functions: Any) -> tuple[str, ...]:
    """Identifiers among the string constants of functions: a text attribute is compared with some of them."""
    words: dict[str, None] = {}
    codes = [code for function in functions if (code := getattr(function, "__code__", None)) is not None]
    for code in codes:  # grows: functions inside of functions
        for constant in code.co_consts:
            parts = constant if isinstance(constant, (tuple, frozenset)) else (constant,)
            words.update(
                dict.fromkeys(
                    sorted(function for function in parts if isinstance(function, str) and function.isidentifier())
                )
            )
            codes += [function for function in parts if isinstance(function, CodeType)]
    return tuple(words)[:MAX_TEXTS]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)


def _keeps_order(numbers: Sequence[Any], value: Any, other: Any) -> bool:
    """True if ``other`` lies between the same numbers as ``value``: a lower bound stays below the upper bound."""
    return all(
        (number < value) == (number < other) and (number > value) == (number > other)
        for number in numbers
        if number is not value
    )


def _others(value: Any, texts: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (-value, *INTEGERS)
    elif isinstance(value, float):
        yield from (-value, *FLOATS)
    elif isinstance(value, Fraction):
        yield from (-value, *(Fraction(str(number)) for number in FLOATS))
    elif isinstance(value, str):
        yield from texts
    elif value is None:
        yield from INSTEAD_OF_NONE
    elif isinstance(value, (tuple, list)):
        yield type(value)(reversed(value))
        for k, element in enumerate(value):
            yield from (type(value)([*value[:k], other, *value[k + 1 :]]) for other in _others(element, texts))
