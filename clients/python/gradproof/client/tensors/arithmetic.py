"""Operators of tensors, and changes of leaves in place."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from typing import Any, Self, cast

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording import modes
from gradproof.client.recording.apply import apply
from gradproof.client.recording.arrays import array_of
from gradproof.client.recording.reads import watched
from gradproof.client.recording.recorded import Recorded, bases_of
from gradproof.client.tensors.arguments import scaled, weakly_complex
from gradproof.client.tensors.reductions import Reductions
from gradproof.client.tensors.signatures import Operand, Scalar


class Arithmetic(Reductions):
    """``+ - * / // % ** @``, comparisons, ``& | ^ ~ << >>`` of integers and bools, and changes of leaves in place.

    Shapes broadcast; RuntimeError if they do not. TypeError is raised for an operand of another type.
    Changes in place are recorded where a gradient flows: the tensor becomes another output, and nodes that have used it
    keep the old. A leaf that requires grad changes under `no_grad` only.
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
        other = b if a is self else a
        if not isinstance(other, Arithmetic) and not _is_operand(other):
            return cast("Self", NotImplemented)
        if type(other) is complex:
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
        return self._overwrite(("...",), other)

    def zero_(self) -> Self:
        """Become zeros. Follows torch.Tensor.zero_."""
        return self._overwrite(("...",), 0)

    def fill_(self, value: Scalar) -> Self:
        """Become ``value`` everywhere. Follows torch.Tensor.fill_."""
        return self._overwrite(("...",), value)

    def add_(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """Become ``self + alpha * other``. Follows torch.Tensor.add_."""
        return self._become(self._changing() + scaled(alpha, other))

    def sub_(self, other: Operand, *, alpha: Scalar = 1) -> Self:
        """Become ``self - alpha * other``. Follows torch.Tensor.sub_."""
        return self._become(self._changing() - scaled(alpha, other))

    def mul_(self, other: Operand) -> Self:
        """Become ``self * other``. Follows torch.Tensor.mul_."""
        return self._become(self._changing() * other)

    def div_(self, other: Operand) -> Self:
        """Become ``self / other``. Follows torch.Tensor.div_."""
        return self._become(self._changing() / other)

    def pow_(self, other: Operand) -> Self:
        """Become ``self ** other``. Follows torch.Tensor.pow_."""
        return self._become(self._changing() ** other)

    def neg_(self) -> Self:
        """Become ``-self``. Follows torch.Tensor.neg_."""
        return self._become(-self._changing())

    def clamp_(self, min: Operand | None = None, max: Operand | None = None) -> Self:
        """Become limited to [``min``, ``max``]. Follows torch.Tensor.clamp_. Raises as `clamp`."""
        return self._become(self._changing().clamp(min, max))

    __iadd__, __isub__, __imul__, __itruediv__, __ipow__ = add_, sub_, mul_, div_, pow_

    def _overwrite(self, key: tuple[Any, ...], value: Any, *arrays: Any) -> Self:
        """Take ``value`` at ``key``, which is written as the op `index_put` has it."""
        self._changing()
        source = value if isinstance(value, Recorded) else array_of(value)
        if source.dtype.kind == "c" != self.dtype.kind:
            _check_dtype(source.dtype, self.dtype)
        if isinstance(source, Recorded):
            value = source if source.dtype == self.dtype else apply("astype", source, dtype=self.dtype.name)
        else:
            value = source.astype(self.dtype)
        return self._become(apply("index_put", self, value, *arrays, key=key, accumulate=False))

    def _become(self, result: Recorded) -> Self:
        """Become ``result``: in the record if a gradient flows to it, otherwise a leaf with its value.

        Raises RuntimeError if shape or dtype do not fit.
        """
        if result.shape != self.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(result.shape)}"
            )
        _check_dtype(result.dtype, self.dtype)
        cast = result if result.dtype == self.dtype else apply("astype", result, dtype=self.dtype.name)
        if cast.requires_grad or cast.placeholder is not None or (watched() and not self.requires_grad):
            self.check_slices(cast)
            bases = bases_of(self)
            self.moved_aside()
            self.become_output(cast)
            for base in bases:
                base.stale = self
            return self
        array = np.array(cast.value())
        array.flags.writeable = False
        self.become_leaf(array)
        return self

    def _changing(self) -> Self:
        """The tensor, which is about to change in place. Raises RuntimeError for a leaf that requires grad, or a view of
        it, where gradients are recorded; and for a tensor with a history where they are not."""
        if not self.requires_grad:
            return self
        if not modes.is_grad_enabled():
            if self.grad_fn is not None:
                raise RuntimeError(
                    f"the value of a tensor with a history ({self.grad_fn.name()}) cannot change without it: write "
                    "y = y + 1 in place of y += 1, or change it outside no_grad()"
                )
        elif self.is_leaf:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        elif any(base.is_leaf and base.requires_grad for base in bases_of(self)):
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
        return self


def _check_dtype(source: np.dtype[Any], target: np.dtype[Any]) -> None:
    """Raises RuntimeError if numbers of a dtype do not become numbers of another in place."""
    if not np.can_cast(source, target, "same_kind") and dtypes.bfloat16 not in (source, target):
        names = dtypes.type_name(source), dtypes.type_name(target)
        raise RuntimeError(f"result type {names[0]} can't be cast to the desired output type {names[1]}")


def _is_operand(x: object) -> bool:
    return isinstance(x, (bool, int, float, complex, list, tuple)) or hasattr(x, "__array__")
