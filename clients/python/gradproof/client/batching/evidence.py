"""Evidence of gradients that a vectorized function returned."""

from __future__ import annotations

from gradproof.client.recording.placeholders import Level
from gradproof.client.recording.record import Recorded


def with_provenance(batched: Recorded, tensor: Recorded, level: Level) -> Recorded:
    return batched
