"""A function over arrays of balls: a function of NumPy or SciPy, bounds of its errors, and its derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import GROW, LEAST, TINY, UNIT, BallArray
from gradproof.engine.verify.arrays.flags import FLAGS

Partial: TypeAlias = Callable[..., Any]
WELL = 256
"""Bound of the propagated part, in units of the argument's rounding, up to which it is kept as a part for all elements."""
NORMAL = 2.0**-990
"""Magnitude above which values are not affected by underflow."""


@dataclass(frozen=True)
class ArrayFunction:
    """A row of the table.

    Args:
        numpy: the function of float64 arrays; nan or an infinity outside of its domain.
        movement: the propagated error: ``(x, rad, value, part) -> radius``, with as many of x and rad as there are
            arguments,
            |value|, and the relative error of ``value``. nan or inf where it is not known.
        partials: for each argument the derivative, ``(f, value, *arguments)``, written with the reading ``f`` of arrays.
        ulps, absolute: for exact arguments the result is within ``2^-52 * ulps * |result| + absolute``.
        condition: bound of the condition number |x f'(x) / f(x)| for all |x| up to its argument (of power: and |a|): then
            an x
            with a relative radius only needs no radii of its own. None where it is not bounded.
    """

    name: str
    numpy: Callable[..., Any]
    movement: Callable[..., Any]
    partials: tuple[Partial, ...]
    ulps: float = 4
    absolute: float = 0
    condition: Callable[..., float] | None = None

    @np.errstate(all="ignore")
    def ball(self, *arguments: BallArray, sharp: bool = False) -> BallArray:
        """The function of arrays of balls. ``sharp``: denormal results are right to ``ulps`` units in their last place
        too."""
        unit = max(x.unit for x in arguments)
        part = 2 * unit * self.ulps
        value = np.asarray(self.numpy(*(x.mid for x in arguments)))
        size = np.abs(value)
        spread: Any = None
        if self.absolute:
            spread = np.asarray(self.absolute * (unit / UNIT))
        if not size.min(initial=1) >= NORMAL or unit != UNIT:
            least: Any = self.ulps * LEAST.get(unit, FLAGS.tiny if sharp else TINY)
            if unit == UNIT and not size.all():
                least = np.where(self._exact_zeros(value, arguments), 0.0, least)
            size, spread = size + least, np.asarray(least + (0 if spread is None else spread))
        wander = self._propagated_part(arguments)
        if wander is not None:
            part = (part + wander) * (1 + wander)
        elif any(x.rad is not None for x in arguments):
            radii = [np.asarray(0.0) if x.rad is None else x.rad for x in arguments]
            moved = self.movement(*(x.mid for x in arguments), *radii, size, part)
            spread = moved if spread is None else moved + spread
        if not size.max(initial=0) < np.inf:
            spread = np.where(size < np.inf, 0.0 if spread is None else spread, np.nan)
        return BallArray(value, spread, unit, part=part * GROW, scale=GROW * (1 + part))

    def _exact_zeros(self, value: Array, arguments: tuple[BallArray, ...]) -> Array:
        """Mask of the results 0 that are exact: an odd function of 0, and limits at infinity."""
        x = arguments[0]
        if len(arguments) > 1 or self.absolute:
            return np.zeros(value.shape, bool)
        spread = 0.0 if x.spread is None else x.spread
        return np.asarray((value == 0) & ((x.mid == 0) | np.isinf(x.mid)) & (spread == 0))

    def _propagated_part(self, arguments: tuple[BallArray, ...]) -> float | None:
        """The relative error propagated from the relative radius of the first argument; None where radii are needed. log
        |f| is an integral of the condition number over log |x|."""
        x, *others = arguments
        if (
            not x.part
            or x.spread is not None
            or self.condition is None
            or any(argument.rad is not None for argument in others)
        ):
            return None
        most = [
            max(argument.mid.max(initial=0), -argument.mid.min(initial=0)) * (1 + argument.part) for argument in arguments
        ]
        wander = self.condition(*most) * x.part / (1 - x.part)
        return wander * (1 + 2 * wander) if wander <= WELL * x.unit else None
