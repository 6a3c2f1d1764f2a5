"""Arrays of balls that move: a value and its derivatives along some directions, each an array of balls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import BallArray, ball_array


class Dual:
    """``head`` + Σ t ``tangents[direction]``, to first order in t. A direction along which it does not move is missing."""

    __slots__ = ("head", "tangents")
    __array_ufunc__ = None
    __eq__ = __ne__ = BallArray.__eq__  # compared with f.equal
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, head: BallArray, tangents: Mapping[int, BallArray]) -> None:
        self.head, self.tangents = head, dict(tangents)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.head.shape

    @property
    def ndim(self) -> int:
        return self.head.ndim

    @property
    def size(self) -> int:
        return self.head.size

    def __neg__(self) -> Dual:
        return Dual(-self.head, {k: -x for k, x in self.tangents.items()})

    def __add__(self, other: Any) -> Any:
        if not readable(other):
            return NotImplemented
        return Dual(self.head + head(other), _added(tangents(self), tangents(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self + -other if readable(other) else NotImplemented

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        if not readable(other):
            return NotImplemented
        a, b = self.head, head(other)
        mine = {k: x * b for k, x in self.tangents.items()}
        return Dual(a * b, _added(mine, {k: a * x for k, x in tangents(other).items()}))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if not readable(other):
            return NotImplemented
        b = head(other)
        whole = self.head / b
        mine = {k: x / b for k, x in self.tangents.items()}
        theirs = {k: -(whole / b) * x for k, x in tangents(other).items()}
        return Dual(whole, _added(mine, theirs))

    def __rtruediv__(self, other: Any) -> Any:
        if not readable(other):
            return NotImplemented
        whole = head(other) / self.head
        return Dual(whole, {k: -(whole / self.head) * x for k, x in self.tangents.items()})

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int):
            return NotImplemented
        result: Any = 1
        for _ in range(abs(exponent)):
            result = result * self
        return result if exponent >= 0 else 1 / result

    def __getitem__(self, index: Any) -> Dual:
        return self.moved(lambda x: x[index])

    def moved(self, move: Callable[[Array], Array]) -> Dual:
        """The same numbers at other places (see `BallArray.moved`)."""
        return Dual(self.head.moved(move), {k: spread(x, self.shape).moved(move) for k, x in self.tangents.items()})

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in arrays: use f.where")


def readable(x: Any) -> bool:
    """Whether it is a number, or an array of balls, moving or not."""
    return isinstance(x, Dual) or ball_array(x) is not NotImplemented


def head(x: Any) -> BallArray:
    """The value."""
    found = x.head if isinstance(x, Dual) else ball_array(x)
    if found is NotImplemented:
        raise TypeError(f"{type(x).__name__} is no number")
    assert isinstance(found, BallArray)
    return found


def tangents(x: Any) -> dict[int, BallArray]:
    """The derivatives along the directions that it moves along."""
    return x.tangents if isinstance(x, Dual) else {}


def spread(x: BallArray, shape: tuple[int, ...]) -> BallArray:
    """Balls, broadcast to a shape."""
    return x if x.shape == shape else BallArray(np.broadcast_to(x.mid, shape), x.rad, x.unit)


def _added(a: dict[int, BallArray], b: dict[int, BallArray]) -> dict[int, BallArray]:
    found = dict(a)
    for k, x in b.items():
        found[k] = found[k] + x if k in found else x
    return found
