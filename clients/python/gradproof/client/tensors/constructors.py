"""Making tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.recording.arrays import array_of
from gradproof.client.tensors.tensor import Tensor


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A leaf with a copy of ``data``: a number, nested lists, an array, a tensor. Python floats become the default dtype,
    integers int64; arrays keep theirs. Raises RuntimeError if an integer tensor is to require grad."""
    return _leaf(array_of(data, dtype), requires_grad)


def as_tensor(data: Any, *, dtype: Any = None) -> Tensor:
    """``data`` itself if it is a tensor of that dtype; else as `tensor`."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return tensor(data, dtype=dtype)


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor with a copy of ``array`` (tensors do not change, arrays may)."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    return tensor(array)


def from_dlpack(other: Any) -> Tensor:
    """A tensor with a copy of what ``other`` holds (on the CPU)."""
    return tensor(np.from_dlpack(other))


def _leaf(array: np.ndarray[Any, Any], requires_grad: bool) -> Tensor:
    if requires_grad and not dtypes.is_differentiable(array.dtype):
        raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
    return Tensor(array, requires_grad)


def _shape(shape: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(size=(2, 3))`` are the same."""
    if size is not None:
        return tuple(size)
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def _float(dtype: Any) -> np.dtype[Any]:
    return dtypes.get_default_dtype() if dtype is None else np.dtype(dtype)


def zeros(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the default dtype."""
    return _leaf(np.zeros(_shape(shape, size), _float(dtype)), requires_grad)


def ones(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the default dtype."""
    return _leaf(np.ones(_shape(shape, size), _float(dtype)), requires_grad)


empty = zeros
"""There is no memory without a value."""


def full(shape: Sequence[int], fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``fill_value`` everywhere; the dtype is that of ``tensor(fill_value)``."""
    return _leaf(np.full(tuple(shape), fill_value, array_of(fill_value, dtype).dtype), requires_grad)


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Numbers from ``start`` to before ``end``; int64 if all are integers, else the default dtype."""
    if end is None:
        start, end = 0, start
    array = np.arange(start, end, step)
    usual = dtypes.get_default_dtype() if array.dtype.kind == "f" else array.dtype
    return _leaf(array.astype(usual if dtype is None else dtype), requires_grad)


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``steps`` numbers from ``start`` to ``end``, both included."""
    return _leaf(np.linspace(start, end, steps).astype(_float(dtype)), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix."""
    return _leaf(np.eye(n, m, dtype=_float(dtype)), requires_grad)


_random = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Begin the random numbers of `rand`, `randn` and `randint` anew. They are NumPy's, not PyTorch's."""
    global _random
    _random = np.random.default_rng(seed)


def rand(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Random numbers, uniform in [0, 1)."""
    return _leaf(np.asarray(_random.random(_shape(shape, size))).astype(_float(dtype)), requires_grad)


def randn(*shape: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Random numbers, normal with mean 0 and variance 1."""
    return _leaf(np.asarray(_random.standard_normal(_shape(shape, size))).astype(_float(dtype)), requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: Any = None) -> Tensor:
    """Random integers from ``low`` to before ``high``: ``randint(0, 6, (2,))``, or ``randint(6, (2,))``."""
    if size is None or high is None:
        low, high, size = 0, low, high if size is None else size
    return _leaf(_random.integers(low, high, tuple(size)).astype(dtype or np.int64), False)


def randperm(n: int) -> Tensor:
    """The integers below ``n``, in random order."""
    return _leaf(_random.permutation(n).astype(np.int64), False)


def rand_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """As `rand`, of the shape and dtype of ``x``."""
    return rand(x.shape, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randn_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """As `randn`, of the shape and dtype of ``x``."""
    return randn(x.shape, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def zeros_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of ``x``."""
    return zeros(x.shape, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


empty_like = zeros_like


def ones_like(x: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of ``x``."""
    return ones(x.shape, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def full_like(x: Tensor, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``fill_value`` everywhere, of the shape and dtype of ``x``."""
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def _typed(dtype: Any) -> Any:
    def make(data: Any) -> Tensor:
        return tensor(data, dtype=dtype)

    name = f"{dtypes.type_name(np.dtype(dtype))}Tensor"
    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"A tensor of {np.dtype(dtype).name}."
    return make


DoubleTensor, FloatTensor, HalfTensor = map(_typed, (dtypes.float64, dtypes.float32, dtypes.float16))
BFloat16Tensor, LongTensor, IntTensor, BoolTensor = map(_typed, (dtypes.bfloat16, dtypes.int64, dtypes.int32, dtypes.bool_))
