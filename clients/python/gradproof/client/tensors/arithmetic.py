"""Operators of tensors, and changes of leaves in place."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording import modes
from gradproof.client.recording.apply import apply
from gradproof.client.recording.arrays import array_of
from gradproof.client.recording.record import Recorded
from gradproof.client.tensors.arguments import scaled, weakly_complex
from gradproof.client.tensors.reductions import Reductions
from gradproof.client.tensors.signatures import Operand, Scalar


class Arithmetic(Reductions):
    """``+ - * / // % ** @``, comparisons, ``& | ^ ~ << >>`` of integers and bools, and changes of leaves in place.

    Shapes broadcast; RuntimeError if they do not. TypeError is raised for an operand of another type.
    Changes in place are for leaves, and under `no_grad` if the leaf requires grad; RuntimeError otherwise.
    """

    __slots__ = ()

    def __neg__(self) -> Self:
        return apply("negative", self)

    def __pos__(self) -> Self:
        return self

    def __abs__(self) -> Self:
        return apply("abs", self)

    def __add__(self, other: Operand) -> Self:
        return self._operator("add", self, other)

    def __radd__(self, other: Operand) -> Self:
        return self._operator("add", other, self)

    def __sub__(self, other: Operand) -> Self:
        return self._operator("subtract", self, other)

    def __rsub__(self, other: Operand) -> Self:
        return self._operator("subtract", other, self)

    def __mul__(self, other: Operand) -> Self:
        return self._operator("multiply", self, other)

    def __rmul__(self, other: Operand) -> Self:
        return self._operator("multiply", other, self)

    def __truediv__(self, other: Operand) -> Self:
        return self._operator("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Self:
        return self._operator("divide", other, self)

    def __floordiv__(self, other: Operand) -> Self:
        return self._operator("floor_divide", self, other)

    def __rfloordiv__(self, other: Operand) -> Self:
        return self._operator("floor_divide", other, self)

    def __mod__(self, other: Operand) -> Self:
        return self._operator("remainder", self, other)

    def __rmod__(self, other: Operand) -> Self:
        return self._operator("remainder", other, self)

    def __pow__(self, other: Operand) -> Self:
        return self._operator("pow", self, other)

    def __rpow__(self, other: Operand) -> Self:
        return self._operator("pow", other, self)

    def __matmul__(self, other: Operand) -> Self:
        return self._operator("matmul", self, other)

    def __rmatmul__(self, other: Operand) -> Self:
        return self._operator("matmul", other, self)

    def __eq__(self, other: object) -> Self:  # type: ignore[override]
        return self._operator("equal", self, other)

    def __ne__(self, other: object) -> Self:  # type: ignore[override]
        return self._operator("not_equal", self, other)

    def __lt__(self, other: Operand) -> Self:
        return self._operator("less", self, other)

    def __le__(self, other: Operand) -> Self:
        return self._operator("less_equal", self, other)

    def __gt__(self, other: Operand) -> Self:
        return self._operator("greater", self, other)

    def __ge__(self, other: Operand) -> Self:
        return self._operator("greater_equal", self, other)

    def __and__(self, other: Operand) -> Self:
        return self._bitwise("and", self, other)

    def __rand__(self, other: Operand) -> Self:
        return self._bitwise("and", other, self)

    def __or__(self, other: Operand) -> Self:
        return self._bitwise("or", self, other)

    def __ror__(self, other: Operand) -> Self:
        return self._bitwise("or", other, self)

    def __xor__(self, other: Operand) -> Self:
        return self._bitwise("xor", self, other)

    def __rxor__(self, other: Operand) -> Self:
        return self._bitwise("xor", other, self)

    def __lshift__(self, other: Operand) -> Self:
        return self._bitwise("left_shift", self, other)

    def __rlshift__(self, other: Operand) -> Self:
        return self._bitwise("left_shift", other, self)

    def __rshift__(self, other: Operand) -> Self:
        return self._bitwise("right_shift", self, other)

    def __rrshift__(self, other: Operand) -> Self:
        return self._bitwise("right_shift", other, self)

    def __invert__(self) -> Self:
        return self._bitwise("invert", self)

    __hash__ = object.__hash__

    def _operator(self, op: str, a: Any, b: Any) -> Self:
        """Record ``op``; NotImplemented for an operand that is neither a number nor an array, so that Python asks that
        operand, or raises TypeError."""
        if not (_is_operand(a) and _is_operand(b)):
            return cast("Self", NotImplemented)
        if type(a) is complex or type(b) is complex:
            a, b = weakly_complex(a, self.dtype), weakly_complex(b, self.dtype)
        result: Self = apply(op, a, b)
        return result

    def _bitwise(self, op: str, *operands: Any) -> Self:
        """Record an op of bits; NotImplemented as `_operator`. Raises TypeError for operands that are neither integers nor
        bools."""
        if not all(map(_is_operand, operands)):
            return cast("Self", NotImplemented)
        if any(np.dtype(getattr(x, "dtype", type(x))).kind not in "biu" for x in operands):
            raise TypeError("&, |, ^, ~, << and >> are for tensors of bools and integers")
        arrays = [np.asarray(x) if isinstance(x, bool) else x for x in operands]  # a weak bool would count as an integer
        return cast("Self", apply(f"bitwise_{op}", *arrays))

    # in place

    def copy_(self, other: Operand) -> Self:
        """Take the value of ``other``, broadcast to this shape. Follows torch.Tensor.copy_."""
        in_place_refused(self, other)
        return self._become(np.broadcast_to(array_of(other), self.shape).astype(self.dtype))

    def zero_(self) -> Self:
        """Become zeros. Follows torch.Tensor.zero_."""
        return self._become(np.zeros(self.shape, self.dtype))

    def fill_(self, value: Scalar) -> Self:
        """Become ``value`` everywhere. Follows torch.Tensor.fill_."""
        return self._become(np.full(self.shape, value, self.dtype))

    def add_(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """Become ``self + alpha * other``. Follows torch.Tensor.add_."""
        return self._become(self._untracked() + scaled(alpha, other))

    def sub_(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """Become ``self - alpha * other``. Follows torch.Tensor.sub_."""
        return self._become(self._untracked() - scaled(alpha, other))

    def mul_(self, other: Operand) -> Self:
        """Become ``self * other``. Follows torch.Tensor.mul_."""
        return self._become(self._untracked() * other)

    def div_(self, other: Operand) -> Self:
        """Become ``self / other``. Follows torch.Tensor.div_."""
        return self._become(self._untracked() / other)

    def pow_(self, other: Operand) -> Self:
        """Become ``self ** other``. Follows torch.Tensor.pow_."""
        return self._become(self._untracked() ** other)

    def neg_(self) -> Self:
        """Become ``-self``. Follows torch.Tensor.neg_."""
        return self._become(-self._untracked())

    def clamp_(self, min: Operand | None = None, max: Operand | None = None) -> Self:
        """Become limited to [``min``, ``max``]. Follows torch.Tensor.clamp_. Raises as `clamp`."""
        return self._become(self._untracked().clamp(min, max))

    __iadd__, __isub__, __imul__, __itruediv__, __ipow__ = add_, sub_, mul_, div_, pow_

    def _become(self, result: Recorded | np.ndarray[Any, Any]) -> Self:
        """Become a leaf with the value of ``result``. Raises RuntimeError if shape or dtype do not fit."""
        in_place_refused(self, result)
        value = result.value() if isinstance(result, Recorded) else result
        if value.shape != self.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(value.shape)}"
            )
        if not np.can_cast(value.dtype, self.dtype, "same_kind") and value.dtype != dtypes.bfloat16:
            names = dtypes.type_name(value.dtype), dtypes.type_name(self.dtype)
            raise RuntimeError(f"result type {names[0]} can't be cast to the desired output type {names[1]}")
        array = np.array(value, self.dtype)
        array.flags.writeable = False
        self.become_leaf(array)
        return self

    def _untracked(self) -> Self:
        """The tensor without its history, from which a change in place is computed."""
        in_place_refused(self)
        return self.detach()


def in_place_refused(tensor: Recorded, new: object = None) -> None:
    """Raises RuntimeError if changing ``tensor`` would change what is recorded, or if a gradient would flow to ``new``."""
    if tensor.requires_grad and tensor.is_leaf and modes.is_grad_enabled():
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if tensor.grad_fn is not None:
        raise RuntimeError("in-place operations are for leaves; write y = y + 1 instead of y += 1")
    if isinstance(new, Recorded) and new.requires_grad and modes.is_grad_enabled():
        raise RuntimeError(
            "an in-place operation would lose the gradient of what comes in; write y = y + x instead of y += x (and "
            "where() instead of y[mask] = x), or use no_grad()"
        )


def _is_operand(x: object) -> bool:
    return isinstance(x, (bool, int, float, complex, list, tuple)) or hasattr(x, "__array__")
