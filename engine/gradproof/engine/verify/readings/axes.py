"""Axes of forms for whole arrays: an axis, a tuple of axes, or None for all."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from gradproof.engine.spec import Array

Axis: TypeAlias = int | tuple[int, ...] | None


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as sorted non-negative numbers."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(sorted(int(a) % ndim for a in (axis if isinstance(axis, tuple) else (axis,))))


def without(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape with axes reduced."""
    return tuple(1 if k in axes else n for k, n in enumerate(shape) if keepdims or k not in axes)


def in_lines(array: Array, axes: tuple[int, ...]) -> Array:
    """The elements along axes in a row, as the last axis, behind the other axes."""
    rest = tuple(k for k in range(array.ndim) if k not in axes)
    sizes = (*(array.shape[k] for k in rest), math.prod(array.shape[k] for k in axes))
    return np.transpose(array, (*rest, *axes)).reshape(sizes)
