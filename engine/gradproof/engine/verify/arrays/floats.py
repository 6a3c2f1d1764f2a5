"""The reading of elementwise definitions in plain floats: values and slopes, nothing enclosed.

Where a number is only to be compared with others, and what is too far off is read again in balls, radii cost three times
what is known by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, Self

import numpy as np
from flint import arb

from gradproof.engine.functions import OnReals
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.dual import Dual, tangents
from gradproof.engine.verify.arrays.functions import TABLE


class FloatDual(Dual):
    """A `Dual` of float64 arrays."""

    __slots__ = ()

    @staticmethod
    def number(x: Any) -> Any:
        if isinstance(x, FloatDual):
            return x.head
        if isinstance(x, np.ndarray):
            return x
        if isinstance(x, arb):
            return np.float64(float(x.mid()))
        if isinstance(x, (int, float, Fraction, np.number)):
            return np.float64(x)
        return NotImplemented

    def moved(self, move: Callable[[Array], Array]) -> Self:
        return type(self)(move(self.head), {k: move(np.broadcast_to(x, self.shape)) for k, x in self.tangents.items()})


class Floats(OnReals):
    """One reading: the ``f`` of a definition, given a `FloatDual` for each scalar.

    Args:
        decided: the comparisons of another reading of the same definition, in order, to be decided alike; None: as the
            numbers say. A definition cannot ask for the truth of one, so that both make the same comparisons.

    ``decisions`` holds the comparisons that were made, and ``tied`` where both sides of one are equal, and a side moves.
    """

    def __init__(self, decided: Sequence[Array] | None = None) -> None:
        self._decided = None if decided is None else iter(decided)
        self.decisions: list[Array] = []
        self.tied: Any = False

    def __getattr__(self, name: str) -> Callable[..., FloatDual]:
        """A row of the table."""
        row = TABLE.get(name)
        if row is None:
            raise NotImplementedError(f"{name} is not read in arrays")

        def apply(*arguments: Any) -> FloatDual:
            heads = [_float(x) for x in arguments]
            found: dict[int, Any] = {}
            moving = [k for k, x in enumerate(arguments) if tangents(x)]
            if moving:
                slopes = row.partials(self, *(FloatDual(x, {}) for x in heads))
                for k in moving:
                    slope = _float(slopes[k])
                    for direction, along in tangents(arguments[k]).items():
                        part = slope * along
                        found[direction] = found[direction] + part if direction in found else part
            return FloatDual(row.numpy(*heads), found)

        setattr(self, name, apply)
        return apply

    @property
    def pi(self) -> FloatDual:
        return self.number(np.pi)

    def number(self, value: Any) -> FloatDual:
        return value if isinstance(value, FloatDual) else FloatDual(_float(value), {})

    def total(self, terms: Iterable[Any]) -> Any:
        return sum(terms, self.number(0))

    def _decide(self, compare: Callable[[Any, Any], Any], a: Any, b: Any) -> Array:
        one, other = _float(a), _float(b)
        if self._decided is not None:
            return next(self._decided)
        found = np.asarray(compare(one, other))
        self.decisions.append(found)
        if a is not b and (tangents(a) or tangents(b)):
            self.tied = self.tied | np.equal(one, other)
        return found

    def less(self, a: Any, b: Any) -> Array:
        return self._decide(np.less, a, b)

    def less_equal(self, a: Any, b: Any) -> Array:
        return self._decide(np.less_equal, a, b)

    def equal(self, a: Any, b: Any) -> Array:
        return self._decide(np.equal, a, b)

    def both(self, a: Any, b: Any) -> Array:
        return _truth(a) & _truth(b)

    def either(self, a: Any, b: Any) -> Array:
        return _truth(a) | _truth(b)

    def negate(self, a: Any) -> Array:
        return ~_truth(a)

    def as_number(self, x: Any) -> FloatDual:
        """A condition as 1 or 0; a number as itself."""
        if isinstance(x, bool) or (isinstance(x, np.ndarray) and x.dtype.kind == "b"):
            return FloatDual(np.asarray(x, np.float64), {})
        return self.number(x)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """Of each element the branch that is taken."""
        if isinstance(condition, bool):
            return a if condition else b
        mask = _truth(condition)
        found = {k: np.where(mask, tangents(a).get(k, 0.0), tangents(b).get(k, 0.0)) for k in (*tangents(a), *tangents(b))}
        return FloatDual(np.where(mask, _float(a), _float(b)), found)

    def floor(self, x: Any) -> FloatDual:
        """The largest integer up to ``x``; it does not move, and has no derivative at its steps."""
        value = _float(x)
        if self._decided is not None:
            return FloatDual(next(self._decided), {})
        whole = np.asarray(np.floor(value))
        self.decisions.append(whole)
        if tangents(x):
            self.tied = self.tied | np.equal(whole, value)
        return FloatDual(whole, {})


def _float(x: Any) -> Any:
    found = FloatDual.number(x)
    if found is NotImplemented:
        raise TypeError(f"{type(x).__name__} is no number")
    return found


def _truth(x: Any) -> Array:
    return np.asarray(x) != 0
