"""Shapes and axes, with the signatures of the Array API standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from gradproof.client.recording.apply import apply, apply_as
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.tensor import Tensor

TensorT = TypeVar("TensorT", bound=Tensor)
Axes = int | Sequence[int]


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that several broadcast to. Raises ValueError if they do not. Follows Array API broadcast_shapes."""
    return np.broadcast_shapes(*shapes)


def broadcast_to(x: TensorT, /, shape: Sequence[int]) -> TensorT:
    """The tensor repeated to a shape. Raises InvalidRequest if it does not broadcast. Follows Array API broadcast_to."""
    return apply("broadcast_to", x, shape=tuple(shape))


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """The tensors joined along an axis, or as vectors for the axis None. Follows Array API concat.

    Raises InvalidRequest if shapes differ along other axes.
    """
    parts = [x.reshape(-1) for x in arrays] if axis is None else arrays
    return apply_as(Tensor, "concat", *parts, axis=axis or 0)[0]


def expand_dims(x: TensorT, /, *, axis: Axes = 0) -> TensorT:
    """Axes of size 1 put in. Raises InvalidRequest for an axis out of range. Follows Array API expand_dims."""
    return apply("expand_dims", x, axis=axis)


def moveaxis(x: TensorT, source: Axes, destination: Axes, /) -> TensorT:
    """Axes moved to other positions. Raises InvalidRequest for an axis out of range. Follows Array API moveaxis."""
    return apply("moveaxis", x, source=source, destination=destination)


def permute_dims(x: TensorT, /, axes: Sequence[int]) -> TensorT:
    """The axes in another order. Raises InvalidRequest unless ``axes`` are all axes. Follows Array API permute_dims."""
    return apply("permute_dims", x, axes=tuple(axes))


def repeat(x: TensorT, repeats: int | Recorded, /, *, axis: int | None = None) -> TensorT:
    """Each element along an axis, or of all as a vector, repeated by a count for all or one for each.

    Follows Array API repeat.
    """
    return x.repeat_interleave(repeats, axis)


def reshape(x: TensorT, /, shape: Sequence[int], *, copy: bool | None = None) -> TensorT:
    """The elements in another shape, of which a size may be -1. Raises RuntimeError if the number of elements differs.

    Follows Array API reshape.
    """
    return x.reshape(tuple(shape))


def roll(x: TensorT, /, shift: Axes, *, axis: Axes | None = None) -> TensorT:
    """Elements moved along axes, those beyond the end to the front. Follows Array API roll."""
    return apply("roll", x, shift=shift, axis=axis)


def squeeze(x: TensorT, /, axis: Axes) -> TensorT:
    """The tensor without axes of size 1. Raises InvalidRequest if one has another size. Follows Array API squeeze."""
    return apply("squeeze", x, axis=axis)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    """The tensors, of a common shape, joined along a new axis. Follows Array API stack."""
    return apply_as(Tensor, "stack", *arrays, axis=axis)[0]


def tile(x: TensorT, repetitions: tuple[int, ...], /) -> TensorT:
    """The tensor repeated along its last axes. Follows Array API tile."""
    return apply("tile", x, repetitions=tuple(repetitions))
