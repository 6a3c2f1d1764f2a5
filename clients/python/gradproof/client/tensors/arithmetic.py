"""Operators of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gradproof.client import dtypes

if TYPE_CHECKING:
    from gradproof.client.tensors.tensor import Tensor


def _apply(op: str, *inputs: Any, **attributes: Any) -> Tensor:
    from gradproof.client.recording.apply import apply

    return apply(op, *(_complex(x, inputs) for x in inputs), **attributes)


def _complex(x: Any, inputs: tuple[Any, ...]) -> Any:
    """A complex Python number beside real tensors is as wide as they are."""
    if type(x) is complex:
        found = [other.dtype for other in inputs if hasattr(other, "dtype")]
        if found and all(dtype.kind != "c" for dtype in found):
            return np.asarray(x, dtypes.complex_of(np.result_type(*found)))
    return x


def _operator(op: str, a: Any, b: Any) -> Tensor:
    """As `_apply`, but what is no number and no array is left to Python, which asks the other operand, or refuses."""
    return _apply(op, a, b) if _is_operand(a) and _is_operand(b) else cast("Tensor", NotImplemented)


def _is_operand(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex, list, tuple)) or hasattr(x, "__array__")


def _of_truth(op: str, *operands: Any) -> Tensor:
    """The ops of truth values. There are none of bits: for integers these operators would mean another thing."""
    if not all(map(_is_operand, operands)):
        return cast("Tensor", NotImplemented)
    if any(np.dtype(getattr(x, "dtype", type(x))) != np.bool_ for x in operands):
        raise TypeError("&, |, ^ and ~ are for bool tensors; there are no ops of bits")
    return _apply(op, *operands)


def _settle(tensor: Any, array: np.ndarray[Any, Any]) -> None:
    """Make a leaf of ``tensor``, with this value."""
    tensor._value, tensor._node, tensor._alias, tensor._tainted = array, None, None, False


class Arithmetic:
    """``+ - * / // % ** @``, comparisons, and their forms in place (for leaves, under `no_grad`)."""

    __slots__ = ()
    __array_ufunc__ = None
    """``array * tensor`` is one node: without this NumPy would make one for every element."""

    def __neg__(self) -> Tensor:
        return _apply("negative", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Tensor:
        return _apply("abs", self)

    def __add__(self, other: Any) -> Tensor:
        return _operator("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _operator("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _operator("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _operator("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _operator("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _operator("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _operator("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _operator("divide", other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return _operator("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _operator("floor_divide", other, self)

    def __mod__(self, other: Any) -> Tensor:
        return _operator("remainder", self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return _operator("remainder", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _operator("pow", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _operator("pow", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _operator("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _operator("matmul", other, self)

    def __eq__(self, other: object) -> Any:
        return _operator("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return _operator("not_equal", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _operator("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return _operator("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _operator("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _operator("greater_equal", self, other)

    def __and__(self, other: Any) -> Tensor:
        return _of_truth("logical_and", self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Tensor:
        return _of_truth("logical_or", self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Tensor:
        return _of_truth("not_equal", self, other)

    __rxor__ = __xor__

    def __invert__(self) -> Tensor:
        return _of_truth("logical_not", self)

    __hash__ = object.__hash__

    # in place

    def _become(self, result: Any) -> Any:
        """Take the value of ``result``, which must be of the same shape and fit the dtype."""
        from gradproof.client.tensors.tensor import Tensor, in_place_refused

        assert isinstance(self, Tensor)
        in_place_refused(self, result)
        value = result.value() if isinstance(result, Tensor) else np.asarray(result)
        if value.shape != self.shape:
            raise RuntimeError(
                f"output with shape {list(self.shape)} doesn't match the broadcast shape {list(value.shape)}"
            )
        if not np.can_cast(value.dtype, self.dtype, "same_kind") and value.dtype != dtypes.bfloat16:
            names = dtypes.type_name(value.dtype), dtypes.type_name(self.dtype)
            raise RuntimeError(f"result type {names[0]} can't be cast to the desired output type {names[1]}")
        array = np.array(value, self.dtype)
        array.flags.writeable = False
        _settle(self, array)
        return self

    def copy_(self, other: Any) -> Any:
        """Take the value of ``other``, broadcast to this shape."""
        from gradproof.client.tensors.constructors import as_tensor
        from gradproof.client.tensors.tensor import Tensor, in_place_refused

        assert isinstance(self, Tensor)
        in_place_refused(self, other)
        value = as_tensor(other).value()
        return self._become(np.broadcast_to(value, self.shape).astype(self.dtype))

    def zero_(self) -> Any:
        """Become zeros."""
        return self._become(np.zeros(self.shape, self.dtype))  # type: ignore[attr-defined]

    def fill_(self, number: Any) -> Any:
        """Become ``number`` everywhere."""
        return self._become(np.full(self.shape, number, self.dtype))  # type: ignore[attr-defined]

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Become ``self + alpha * other``."""
        return self._become(self._still() + (other if alpha == 1 else alpha * other))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        """Become ``self - alpha * other``."""
        return self._become(self._still() - (other if alpha == 1 else alpha * other))

    def mul_(self, other: Any) -> Any:
        """Become ``self * other``."""
        return self._become(self._still() * other)

    def div_(self, other: Any) -> Any:
        """Become ``self / other``."""
        return self._become(self._still() / other)

    def pow_(self, other: Any) -> Any:
        """Become ``self ** other``."""
        return self._become(self._still() ** other)

    def neg_(self) -> Any:
        """Become ``-self``."""
        return self._become(-self._still())

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        """Become what is within bounds."""
        return self._become(self._still().clamp(min, max))

    __iadd__, __isub__, __imul__, __itruediv__, __ipow__ = add_, sub_, mul_, div_, pow_

    def _still(self) -> Tensor:
        from gradproof.client.tensors.tensor import Tensor, in_place_refused

        assert isinstance(self, Tensor)
        in_place_refused(self)
        return self.detach()
