"""An op that is applied to slices, of which some inputs are batched: what the rules of batching read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradproof.client.events import REQUIRED
from gradproof.client.recording.apply import apply, apply_multiple
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded


class Application:
    """An application of an op to inputs, each batched along a new first axis or the same for all slices.

    Args:
        node: the application to a slice.
        inputs: the inputs in place of those of the node.
        batched: for each input whether it is batched.
        size: the number of slices.

    Attributes:
        shapes: the shapes of the inputs of a slice; None for numbers.
        attributes: the attributes, with defaults.
    """

    def __init__(self, node: Node, inputs: Sequence[Input], batched: Sequence[bool], size: int) -> None:
        self.node, self.inputs, self.batched, self.size = node, tuple(inputs), tuple(batched), size
        self.shapes = [x.shape if isinstance(x, Recorded) else None for x in node.inputs]
        defaults = {name: value for name, value in node.info.attributes.items() if value is not REQUIRED}
        self.attributes: Mapping[str, Any] = {**defaults, **node.attributes}

    @property
    def rank(self) -> int:
        """The number of axes of the first input of a slice."""
        return len(self.shapes[0] or ())

    @property
    def tensors(self) -> int:
        """The number of inputs that are tensors."""
        return sum(shape is not None for shape in self.shapes)

    def aligned(self, rank: int | None = None) -> list[Input]:
        """The inputs, with the batch axis of batched inputs in front of ``rank`` others, so that they broadcast; default:
        the largest rank of a slice."""
        if rank is None:
            rank = max(len(shape) for shape in self.shapes if shape is not None)
        return [x if not is_batched else lifted(x, rank) for x, is_batched in zip(self.inputs, self.batched, strict=True)]

    def spread(self, k: int) -> Recorded:
        """Input ``k`` with a batch axis, also if it is the same for all slices."""
        x = self.inputs[k]
        assert isinstance(x, Recorded)
        return x if self.batched[k] else apply("broadcast_to", x, shape=(self.size, *x.shape))

    def all_spread(self) -> list[Input]:
        """The inputs with a batch axis each, but for numbers."""
        return [
            x if shape is None else self.spread(k)
            for k, (x, shape) in enumerate(zip(self.inputs, self.shapes, strict=True))
        ]

    def results(self, *inputs: Any, **changes: Any) -> list[Recorded]:
        """The results of the op on other inputs, with changed attributes."""
        return apply_multiple(self.node.op, *inputs, **{**self.node.attributes, **changes})

    def restored(self, *inputs: Any, **changes: Any) -> list[Recorded]:
        """As `results`, reshaped to the results of all slices, whose elements they have in this order."""
        results = self.results(*inputs, **changes)
        return [reshaped(y, (self.size, *spec.shape)) for y, spec in zip(results, self.node.specs, strict=True)]


def lifted(x: Any, rank: int) -> Recorded:
    """A batched tensor with axes of size 1 behind the batch axis, so that ``rank`` axes follow it."""
    return reshaped(x, (x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]))


def reshaped(x: Recorded, shape: tuple[int, ...]) -> Recorded:
    """A tensor in another shape; itself if it has it."""
    return x if x.shape == shape else apply("reshape", x, shape=shape)


def moved(x: Recorded, source: int, destination: int) -> Recorded:
    """A tensor with an axis moved; itself if it is there."""
    if source == destination:
        return x
    order = [axis for axis in range(x.ndim) if axis != source]
    order.insert(destination, source)
    return apply("transpose", x, axes=tuple(order))
