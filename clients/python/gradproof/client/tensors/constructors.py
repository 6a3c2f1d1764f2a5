"""Constructors of tensors."""
# ruff: noqa: A002 - arguments have the names of PyTorch

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Array
from gradproof.client.recording.arrays import array_of
from gradproof.client.tensors.generator import generator, random_tensor
from gradproof.client.tensors.signatures import DTypeLike, Scalar
from gradproof.client.tensors.tensor import Tensor

NO_GRADIENTS = "Only Tensors of floating point and complex dtype can require gradients"


def tensor(data: Any, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A leaf with a copy of ``data``: a number, nested lists, an array or a tensor. Follows torch.tensor.

    Without ``dtype``, Python floats get the default dtype and integers int64; arrays and tensors keep theirs. Raises
    RuntimeError if a tensor that is not floating point or complex is to require grad, TypeError if ``data`` are no numbers.
    """
    return _leaf(array_of(data, dtype), requires_grad)


def as_tensor(data: Any, *, dtype: DTypeLike | None = None) -> Tensor:
    """``data`` itself if it is a tensor of this dtype, otherwise as `tensor`. Follows torch.as_tensor."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return tensor(data, dtype=dtype)


def from_numpy(ndarray: Array) -> Tensor:
    """A tensor with a copy of ``ndarray`` (tensors do not change, arrays may). Follows torch.from_numpy."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return tensor(ndarray)


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor with a copy of an array in CPU memory that supports the DLPack protocol. Follows torch.from_dlpack."""
    return tensor(np.from_dlpack(ext_tensor))


def _leaf(array: Array, requires_grad: bool) -> Tensor:
    if requires_grad and not dtypes.is_differentiable(array.dtype):
        raise RuntimeError(NO_GRADIENTS)
    return Tensor(array, requires_grad)


def _shape(shape: tuple[Any, ...], size: Sequence[int] | None = None) -> tuple[int, ...]:
    """The shape of ``f(2, 3)``, ``f((2, 3))`` or ``f(size=(2, 3))``."""
    if size is not None:
        return tuple(size)
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def _float(dtype: DTypeLike | None) -> np.dtype[Any]:
    return dtypes.get_default_dtype() if dtype is None else np.dtype(dtype)


def zeros(
    *shape: Any, size: Sequence[int] | None = None, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Zeros, of the default dtype unless another is given. Follows torch.zeros."""
    return _leaf(np.zeros(_shape(shape, size), _float(dtype)), requires_grad)


def ones(
    *shape: Any, size: Sequence[int] | None = None, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Ones, of the default dtype unless another is given. Follows torch.ones."""
    return _leaf(np.ones(_shape(shape, size), _float(dtype)), requires_grad)


empty = zeros
"""As `zeros`: there is no uninitialized memory."""


def full(size: Sequence[int], fill_value: Scalar, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with ``fill_value``, of the dtype of ``tensor(fill_value)`` unless another is given.

    Follows torch.full.
    """
    return _leaf(np.full(tuple(size), fill_value, array_of(fill_value, dtype).dtype), requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Numbers from ``start`` to before ``end``; int64 if all are integers, else the default dtype. Follows torch.arange."""
    if end is None:
        start, end = 0, start
    array = np.arange(start, end, step)
    usual = dtypes.get_default_dtype() if array.dtype.kind == "f" else array.dtype
    return _leaf(array.astype(usual if dtype is None else dtype), requires_grad)


def linspace(start: Any, end: Any, steps: int, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included. Follows torch.linspace."""
    return _leaf(np.linspace(start, end, steps).astype(_float(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix. Follows torch.eye."""
    return _leaf(np.eye(n, m, dtype=_float(dtype)), requires_grad)


def _drawn(draw: Callable[[tuple[int, ...]], Any], shape: tuple[int, ...], dtype: DTypeLike, requires_grad: bool) -> Tensor:
    """A leaf of random numbers."""
    if requires_grad and not dtypes.is_differentiable(np.dtype(dtype)):
        raise RuntimeError(NO_GRADIENTS)
    tensor = random_tensor(draw, shape, dtype)
    return tensor.requires_grad_() if requires_grad else tensor


def rand(
    *shape: Any, size: Sequence[int] | None = None, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Random numbers, uniform in [0, 1). Follows torch.rand."""
    return _drawn(generator().random, _shape(shape, size), _float(dtype), requires_grad)


def randn(
    *shape: Any, size: Sequence[int] | None = None, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1. Follows torch.randn."""
    return _drawn(generator().standard_normal, _shape(shape, size), _float(dtype), requires_grad)


def randint(low: int, high: Any = None, size: Sequence[int] | None = None, *, dtype: DTypeLike | None = None) -> Tensor:
    """Random integers from ``low`` to before ``high``: ``randint(0, 6, (2,))``, or ``randint(6, (2,))``.

    Follows torch.randint.
    """
    if size is None or high is None:
        low, high, size = 0, low, high if size is None else size
    return _drawn(lambda shape: generator().integers(low, high, shape), tuple(size), dtype or np.int64, False)


def randperm(n: int) -> Tensor:
    """The integers below ``n``, in random order. Follows torch.randperm."""

    def permutations(shape: tuple[int, ...]) -> Array:
        source = generator()
        return source.permuted(np.broadcast_to(np.arange(n), shape), axis=-1) if shape[1:] else source.permutation(n)

    return _drawn(permutations, (n,), np.int64, False)


def rand_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """As `rand`, of the shape and dtype of ``input``. Follows torch.rand_like."""
    return rand(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """As `randn`, of the shape and dtype of ``input``. Follows torch.randn_like."""
    return randn(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


def zeros_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of ``input``. Follows torch.zeros_like."""
    return zeros(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


empty_like = zeros_like


def ones_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of ``input``. Follows torch.ones_like."""
    return ones(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


def full_like(input: Tensor, fill_value: Scalar, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor filled with ``fill_value``, of the shape and dtype of ``input``. Follows torch.full_like."""
    return full(input.shape, fill_value, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


def _typed(dtype: dtypes.DType) -> Callable[[Any], Tensor]:
    def make(data: Any) -> Tensor:
        return tensor(data, dtype=dtype)

    name = f"{dtypes.type_name(np.dtype(dtype))}Tensor"
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of {np.dtype(dtype).name}."
    return make


DoubleTensor, FloatTensor, HalfTensor = map(_typed, (dtypes.float64, dtypes.float32, dtypes.float16))
BFloat16Tensor, LongTensor, IntTensor, BoolTensor = map(_typed, (dtypes.bfloat16, dtypes.int64, dtypes.int32, dtypes.bool_))
