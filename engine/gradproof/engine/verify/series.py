"""The power series reading: definitions at x + t v, to first order in t, with balls for coefficients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flint import arb, arb_series

from gradproof.engine.functions import Balls, Function


class Series(Balls):
    """The reading in power series of length 2 (numbers that do not move stay balls)."""

    def reading(self, row: Function) -> Callable[..., Any]:
        return partial(_apply, row)

    def ball(self, x: Any) -> arb:
        return arb(head(x))

    def compare(self, a: Any, b: Any) -> int:
        return super().compare(head(a), head(b))


def _apply(function: Function, *arguments: Any) -> Any:
    if not any(isinstance(x, arb_series) for x in arguments):
        return function.ball(*(arb(x) for x in arguments))
    return function.series(*(x if isinstance(x, arb_series) else arb_series([arb(x)], 2) for x in arguments))


def head(x: Any) -> Any:
    """The value of a series at t = 0, or the number itself."""
    return x[0] if isinstance(x, arb_series) else x


def tangent(x: Any) -> Any:
    """The coefficient of t; 0 for a number that does not move."""
    return x[1] if isinstance(x, arb_series) else 0
