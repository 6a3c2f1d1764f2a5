"""Spec: shape and dtype of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
DType: TypeAlias = np.dtype[Any]

MAX_RANK = 16
MAX_ELEMENTS = 2**40  # far above any limit a server states; keeps every product below 2**63
FLOAT64: DType = np.dtype(np.float64)
BFLOAT16: DType = np.dtype(ml_dtypes.bfloat16)


@dataclass(frozen=True, slots=True)
class Spec:
    """Shape and dtype of a tensor. ``weak`` marks a 0-d value that came from a Python number: as in NumPy 2, it takes
    the dtype of the tensors it meets."""

    shape: tuple[int, ...]
    dtype: DType
    weak: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements (1 for a 0-d tensor)."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def strong(self) -> Spec:
        """The spec without its weakness: a gradient is a tensor."""
        return Spec(self.shape, self.dtype) if self.weak else self

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


def spec(shape: Sequence[int], dtype: Any = np.float64) -> Spec:
    """``Spec`` from anything NumPy takes as a shape and a dtype."""
    return Spec(tuple(int(size) for size in shape), np.dtype(dtype))


def spec_of(array: Array) -> Spec:
    """The spec of an array."""
    return Spec(array.shape, array.dtype)


def shape_fault(shape: Sequence[int]) -> str | None:
    """The text of the fault of a shape, or None. Never allocates: products are Python integers."""
    if len(shape) > MAX_RANK:
        return f"rank {len(shape)} is above {MAX_RANK}"
    if any(size < 0 for size in shape):
        return f"a size is negative in {tuple(shape)}"
    if any(size > MAX_ELEMENTS for size in shape) or math.prod(shape) > MAX_ELEMENTS:
        return f"the product of {tuple(shape)} overflows the limit of 2**40 elements"
    return None


def is_differentiable(dtype: DType) -> bool:
    """True if a tensor of this dtype can have a gradient: floating point, real or complex."""
    return dtype.kind in "fc" or dtype == BFLOAT16


def is_complex(spec: Spec) -> bool:
    """True for complex64 and complex128."""
    return spec.dtype.kind == "c"


def part_dtype(dtype: DType) -> DType:
    """The dtype of the real and of the imaginary part; of a real dtype itself."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def parts(array: Array) -> Array:
    """A complex array as a real array with a further axis at the end, of size 2: real and imaginary part. A real array as
    it is."""
    return np.stack([array.real, array.imag], axis=-1) if array.dtype.kind == "c" else array
