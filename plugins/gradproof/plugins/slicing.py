"""Slices of tracers along an axis: helpers of rules and composites."""

from collections.abc import Sequence
from typing import Any

from gradproof.engine.extend import InferenceError, ops
from gradproof.plugins.axes import at, broadcasts

MAX_PARTS = 10_000
"""The number of parts that an array may be cut into: a small request is not to ask for more."""


def few(parts: int) -> int:
    """``parts``, a number of parts. Raises InferenceError if there are too many."""
    if parts > MAX_PARTS:
        raise InferenceError(f"{parts} parts are asked for; an array is cut into at most {MAX_PARTS} parts")
    return parts


def part(x: Any, axis: int, start: int, stop: int | None, step: int = 1) -> Any:
    """``x[start:stop:step]`` along an axis, as `ops.slice` takes it: ``stop`` is None where a negative step runs to the
    front. The whole axis is ``x`` itself."""
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    return ops.slice(
        x, start=at((0,) * x.ndim, axis, start), stop=at(x.shape, axis, stop), step=at((1,) * x.ndim, axis, step)
    )


def piece(x: Any, axis: int, k: int) -> Any:
    """``x`` at place ``k`` of an axis, without that axis."""
    return ops.squeeze(part(x, axis, k, k + 1), axis=axis)


def constant(x: Any, shape: tuple[int, ...], value: Any) -> Any:
    """The number ``value`` in the dtype of ``x``, and in ``shape``."""
    return ops.broadcast_to(x.builder.literal(value, x.dtype), shape=shape)


def widened(values: Any, shape: Sequence[int], place: str) -> Any:
    """``values`` broadcast to the shape of the elements that they replace. Raises InferenceError, which names the place."""
    if not broadcasts(values.shape, shape):
        raise InferenceError(f"values have shape {values.shape}; {place} has shape {tuple(shape)}")
    return values if values.shape == tuple(shape) else ops.broadcast_to(values, shape=shape)


def reshaped(x: Any, shape: Sequence[int]) -> Any:
    """``x`` in another shape; ``x`` itself where it has that shape."""
    return x if x.shape == tuple(shape) else ops.reshape(x, shape=shape)


def transposed(x: Any, axes: Sequence[int]) -> Any:
    """``x`` with its axes in another order; ``x`` itself where the order is the same."""
    return x if list(axes) == list(range(x.ndim)) else ops.transpose(x, axes=tuple(axes))
