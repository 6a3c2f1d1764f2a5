"""Slices of batched tensors, on which a function is recorded once, and its results for all slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

from gradproof.client.backward.provenance import attach_rows
from gradproof.client.batching.evidence import attach_provenance
from gradproof.client.batching.replay import Replay
from gradproof.client.recording.apply import apply
from gradproof.client.recording.placeholders import Level, Randomness
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec

T = TypeVar("T", bound=Recorded)


def joined(parts: Sequence[Recorded], op: str = "concat", kind: str = "chunk") -> Recorded:
    """The results of all chunks, or of all rows by "stack", with the provenance of all. ``kind``: the noun for a part."""
    whole = apply(op, *parts, axis=0)
    attach_rows(whole, parts, kind)
    return whole


class Slices:
    """Slices that a function is recorded on.

    Args:
        size: the number of slices.
        randomness: whether random numbers drawn in the function are an "error", the "same" or "different".

    Attributes:
        level: the placeholders of the slices.
    """

    def __init__(self, size: int, randomness: Randomness = "error") -> None:
        self.level = Level(size, randomness)
        self._replay = Replay(self.level)

    def slice_of(self, batched: T) -> T:
        """A tensor in place of each slice of ``batched``, whose batch axis is in front. It has no value."""
        part = type(batched).from_alias(Spec(batched.shape[1:], batched.dtype), self.level.placeholder(batched))
        if batched.requires_grad:
            part.requires_grad = True
        return part

    def nbytes(self, results: Sequence[Recorded]) -> int:
        """The size in bytes of all values of a slice behind ``results``."""
        return sum(spec.nbytes for node in self._replay.pending(results) for spec in node.specs)

    def run(self, results: Sequence[Recorded]) -> None:
        """Record for all slices what was recorded for a slice, from the slices to ``results``."""
        self._replay.run(results)

    def batched(self, result: Recorded) -> Recorded | None:
        """A result for all slices, after `run`, with the batch axis in front; None if it is the same for all."""
        batched = self._replay.batched(result)
        if batched is not None:
            attach_provenance(batched, result, self._replay, self.level)
        return batched

    def spread(self, result: T) -> T:
        """As `batched`, repeated along a batch axis where it is the same for all slices."""
        batched = self.batched(result)
        if batched is None:
            batched = apply("broadcast_to", result, shape=(self.level.size, *result.shape))
        return cast("T", batched)
