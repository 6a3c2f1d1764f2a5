"""Rows of the function table: a real function with its three readings, and conversions of numbers to balls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb, arb_series, fmpq


@dataclass(frozen=True)
class ScalarFunction:
    """A row: a real function and its readings. ``series`` maps arb_series to arb_series (length 2 is enough)."""

    name: str
    symbolic: Callable[..., Any]
    ball: Callable[..., Any]
    series: Callable[..., Any]

    def partials(self, balls: Sequence[arb], axes: Sequence[int]) -> list[arb]:
        """Enclosures of the partial derivatives along ``axes`` at ``balls``, by running the series form along each."""
        derivatives = []
        for axis in axes:
            line = [arb_series([ball, 1 if k == axis else 0], 2) for k, ball in enumerate(balls)]
            derivatives.append(self.series(*line)[1])
        return derivatives


def _method(name: str) -> Callable[[Any], Any]:
    return lambda x: getattr(x, name)()


def same(name: str, symbolic: Callable[..., Any], series: Callable[[Any], Any] | None = None) -> ScalarFunction:
    """A row whose ball form, and series form by default, are the library's method of the same name."""
    return ScalarFunction(name, symbolic, lambda x: getattr(in_arb(x), name)(), series or _method(name))


def in_ball(number: Fraction) -> arb:
    """A fraction as a ball around it."""
    return arb(fmpq(number.numerator, number.denominator))


def in_arb(x: Any) -> Any:
    """A Python number as a ball; a ball as it is."""
    if isinstance(x, Fraction):
        return in_ball(x)
    return arb(x) if isinstance(x, (int, float)) else x
