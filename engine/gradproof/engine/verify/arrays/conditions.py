"""Three-valued conditions over arrays of balls: true, false, or undecided, for each element."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.engine.spec import Array


class Mask:
    """The elements for which a condition certainly holds, and those for which it certainly does not. Elsewhere it is
    undecided."""

    __slots__ = ("false", "true")
    __array_ufunc__ = None  # NumPy must not convert it elementwise

    def __init__(self, true: Any, false: Any = None) -> None:
        self.true: Array = np.asarray(true, bool)
        self.false: Array = ~self.true if false is None else np.asarray(false, bool)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.true.shape

    def __and__(self, other: Any) -> Mask:
        other = mask_of(other)
        return Mask(self.true & other.true, self.false | other.false)

    __rand__ = __and__

    def __or__(self, other: Any) -> Mask:
        other = mask_of(other)
        return Mask(self.true | other.true, self.false & other.false)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Mask:
        mask = mask_of(other)
        return Mask(
            (self.true & mask.false) | (self.false & mask.true), (self.true & mask.true) | (self.false & mask.false)
        )

    __rxor__ = __xor__

    def __invert__(self) -> Mask:
        return Mask(self.false, self.true)

    def __bool__(self) -> bool:
        raise NotImplementedError("a definition that branches on a condition is not read in arrays: use f.where")

    @property
    def open(self) -> Array:
        """Mask of the undecided elements."""
        return np.asarray(~(self.true | self.false))


def mask_of(x: Any) -> Mask:
    """A truth value, a boolean array, or integers (true unless 0) as a `Mask`. Raises NotImplementedError for floats, which
    are compared with `Arrays.less` and the like."""
    if isinstance(x, Mask):
        return x
    truths = np.asarray(x)
    if truths.dtype.kind not in "biu":
        raise NotImplementedError("a number is no condition in arrays: use f.less, f.less_equal or f.equal")
    return Mask(truths != 0)
