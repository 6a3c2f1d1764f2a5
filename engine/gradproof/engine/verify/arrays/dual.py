"""Dual numbers over arrays: a value and its derivatives along some directions (forward-mode differentiation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays.ball import BallArray, ball_array


class Dual:
    """``head + Σ t_k tangents[k]`` to first order in t, with arrays of balls. A direction that is missing has the
    derivative 0. Subclasses may use arrays of another kind (see `number`)."""

    __slots__ = ("head", "tangents")
    __array_ufunc__ = None
    __eq__ = __ne__ = BallArray.__eq__  # compared with f.equal
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, head: Any, tangents: Mapping[int, Any]) -> None:
        self.head, self.tangents = head, dict(tangents)

    @staticmethod
    def number(x: Any) -> Any:
        """The value of a dual or a constant; NotImplemented for any other object."""
        return x.head if isinstance(x, Dual) else ball_array(x)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.head.shape)

    @property
    def ndim(self) -> int:
        return int(self.head.ndim)

    @property
    def size(self) -> int:
        return int(self.head.size)

    def __neg__(self) -> Self:
        return type(self)(-self.head, {k: -x for k, x in self.tangents.items()})

    def __add__(self, other: Any) -> Any:
        b = self.number(other)
        if b is NotImplemented:
            return NotImplemented
        return type(self)(self.head + b, added(self.tangents, tangents(other)))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        b = self.number(other)
        if b is NotImplemented:
            return NotImplemented
        return type(self)(self.head - b, added(self.tangents, {k: -x for k, x in tangents(other).items()}))

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __mul__(self, other: Any) -> Any:
        a, b = self.head, self.number(other)
        if b is NotImplemented:
            return NotImplemented
        left = {k: x * b for k, x in self.tangents.items()}
        return type(self)(a * b, added(left, {k: a * x for k, x in tangents(other).items()}))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        b = self.number(other)
        if b is NotImplemented:
            return NotImplemented
        whole = self.head / b
        result = {k: x / b for k, x in self.tangents.items()}
        divisor_tangents = tangents(other)
        if divisor_tangents:
            slope = -(whole / b)
            result = added(result, {k: slope * x for k, x in divisor_tangents.items()})
        return type(self)(whole, result)

    def __rtruediv__(self, other: Any) -> Any:
        a = self.number(other)
        if a is NotImplemented:
            return NotImplemented
        whole = a / self.head
        slope = -(whole / self.head)
        return type(self)(whole, {k: slope * x for k, x in self.tangents.items()})

    def __pow__(self, exponent: int) -> Any:
        if not isinstance(exponent, int):
            return NotImplemented
        result: Any = 1
        for _ in range(abs(exponent)):
            result = result * self
        return result if exponent >= 0 else 1 / result

    def __getitem__(self, index: Any) -> Self:
        return self.moved(lambda x: x[index])

    def moved(self, move: Callable[[Array], Array]) -> Self:
        """The elements at other places (see `BallArray.moved`)."""
        return type(self)(
            self.head.moved(move), {k: broadcast(x, self.shape).moved(move) for k, x in self.tangents.items()}
        )

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that asks for the truth of a number is not read in arrays: use f.where")


def head(x: Any) -> BallArray:
    """The value of a dual, or a constant as balls. Raises TypeError for any other object."""
    value = x.head if isinstance(x, Dual) else ball_array(x)
    if value is NotImplemented:
        raise TypeError(f"{type(x).__name__} is no number")
    assert isinstance(value, BallArray)
    return value


def tangents(x: Any) -> dict[int, Any]:
    """The derivatives of a dual by direction; empty for a constant."""
    return x.tangents if isinstance(x, Dual) else {}


def broadcast(x: BallArray, shape: tuple[int, ...]) -> BallArray:
    """Balls broadcast to a shape."""
    return x if x.shape == shape else BallArray(np.broadcast_to(x.mid, shape), x.rad, x.unit)


def added(a: Mapping[int, Any], b: Mapping[int, Any]) -> dict[int, Any]:
    """The sum of two sets of tangents."""
    result = dict(a)
    for k, x in b.items():
        result[k] = result[k] + x if k in result else x
    return result
