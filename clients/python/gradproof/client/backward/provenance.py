"""Provenance of gradients: the pass, several added passes, or the pass of each row that their numbers came from.

A verdict is about the numbers that a pass returned. Numbers that were assigned or changed since have no provenance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from gradproof.client.backward.agreement import ORDER, weakened
from gradproof.client.backward.evidence import Evidence
from gradproof.client.events import AccumulationVerdict, Array, GraphVerdict, HookTrace, Verdict
from gradproof.client.recording.recorded import Recorded

MAX_PARTS: Final = 256
"""The most passes that a sum remembers."""

KEPT_DIGITS: Final = 64
"""The factor by which a ``verified`` sum may be smaller than its largest part: the units in the last place allowed."""


class PassGradient:
    """The gradient that a pass returned.

    Args:
        evidence: the evidence of the pass.
        names: the names of the gradient in its graph.
        gradient: the gradient as it was returned.
        added: the gradient as it was added to ``.grad``, if hooks of the leaf changed it.
    """

    def __init__(self, evidence: Evidence, names: Sequence[str], gradient: Recorded, added: Recorded | None = None) -> None:
        self.evidence, self.names = evidence, tuple(names)
        self.gradient = gradient.detach()
        self.added = self.gradient if added is None else added.detach()

    def passes(self) -> list[Evidence]:
        """The evidence of the pass, as far as there is any yet."""
        return [self.evidence]

    def verdict(self) -> Verdict | None:
        """The verdict, requested now if it was not."""
        return self.evidence.verdict(self.names, self.gradient.value())

    def known(self) -> Verdict | None:
        """The verdict, if it is known already."""
        return self.evidence.known(self.names, self.gradient.value())

    def raw(self) -> Recorded | None:
        """The gradient before hooks."""
        return self.evidence.raw(self.names)

    def traces(self) -> tuple[HookTrace, ...]:
        """The traces of its hooks."""
        return self.evidence.traces(self.names)


class Provenance:
    """The parts of the numbers that a tensor has now.

    Args:
        tensor: the gradient.
        parts: passes that were added up, or a pass for each row; None stands for numbers of unknown origin.
        kind: "pass", "row", "column" or "chunk", the noun for a part.
    """

    def __init__(self, tensor: Recorded, parts: Sequence[PassGradient | None], kind: str = "pass") -> None:
        self.parts, self.kind = tuple(parts), kind
        self._numbers, self._node = tensor.detach(), tensor.node

    def holds(self, tensor: Recorded | None) -> bool:
        """True if a tensor still has these numbers."""
        if tensor is None:
            return False
        if tensor.node is not None:
            return tensor.node is self._node
        return tensor.value() is self._numbers.value()

    @property
    def last(self) -> PassGradient | None:
        """The last of the passes."""
        return self.parts[-1] if self.kind == "pass" else None

    def evidence(self) -> list[Evidence]:
        """The evidence of all parts, the last part first."""
        return [evidence for part in reversed(self.parts) if part is not None for evidence in part.passes()]

    def verdict(self) -> Verdict | None:
        """The weakest verdict of all parts, which are run again for it; for passes, their sum is checked too."""
        return self._combined([part.verdict() if part else None for part in self.parts])

    def known(self) -> Verdict | None:
        """The same verdict, if all of it is known already."""
        verdicts = [part.known() if part else None for part in self.parts]
        unknown = any(part is not None and verdict is None for part, verdict in zip(self.parts, verdicts, strict=True))
        return None if unknown else self._combined(verdicts)

    def _combined(self, verdicts: Sequence[Verdict | None]) -> Verdict | None:
        if not any(verdicts):
            return None
        if len(verdicts) == 1:
            return verdicts[0]
        numbered = [
            replace(verdict, reason=f"{self.kind} {k} of {len(verdicts)}: {verdict.reason}")
            for k, verdict in enumerate([verdict or UNKNOWN for verdict in verdicts], 1)
        ]
        weakest = min(numbered, key=lambda verdict: ORDER.index(verdict.summary))
        return self._checked_sum(weakest) if self.kind == "pass" else weakest

    def _checked_sum(self, verdict: Verdict) -> Verdict:
        """The verdict, weakened where the sum of the passes has lost digits or is not finite."""
        total = _wide(self._numbers.value())
        sizes = [np.abs(_wide(part.added.value())) for part in self.parts if part is not None]
        largest = np.max(sizes, axis=0)
        infinite = ~np.isfinite(total) & np.isfinite(largest)
        cancelled = largest / KEPT_DIGITS > np.abs(total)
        for bad, word, text in (
            (infinite, "unchecked", "is not finite, and all passes are"),
            (cancelled, "plausible", "is what passes with other signs leave: digits are lost"),
        ):
            if bad.any():
                element = "".join(f"[{k}]" for k in np.argwhere(bad)[0])
                place = f"element {element} of the sum" if element else "the sum"
                verdict = weakened(verdict, word, f"the sum of {len(self.parts)} passes: {place} {text}")
        return verdict


UNKNOWN = Verdict(
    value="",
    summary="unchecked",
    reason="numbers that no pass is known for: .grad was assigned, or changed in place",
    uses=(),
    accumulation=AccumulationVerdict(word="UNCHECKED", use_count=0, reason="no pass is known"),
    graph=GraphVerdict(
        word="SKIPPED",
        reason="no pass is known",
        ratio=0.0,
        bits_lost=0.0,
        directions=0,
        nodes_read=0,
        nodes_total=0,
        seconds=0.0,
    ),
    hooked_by=(),
)


def provenance_of(tensor: Recorded) -> Provenance | None:
    """The provenance of ``.grad``, or of a gradient itself, as long as the numbers are the same."""
    provenance = tensor.provenance
    if isinstance(provenance, Provenance) and (provenance.holds(tensor.accumulated) or provenance.holds(tensor)):
        return provenance
    return None


def extended_parts(tensor: Recorded, part: PassGradient | None) -> list[PassGradient | None]:
    """The parts of ``.grad`` when ``part`` is added to its present value."""
    accumulated = tensor.accumulated
    if accumulated is None:
        return [part]
    if (provenance := provenance_of(tensor)) is not None:
        parts = [*provenance.parts, part]
        return parts if len(parts) <= MAX_PARTS else [None, *parts[-MAX_PARTS + 1 :]]
    zeros = accumulated.array is not None and not accumulated.array.any()
    return [part] if zeros else [None, part]


def attach_rows(tensor: Recorded, gradients: Sequence[Recorded], kind: str = "row") -> None:
    """Give ``tensor``, which was stacked of ``gradients``, the provenance of all of them. ``kind``: the noun for a part."""
    parts: list[PassGradient | None] = []
    for gradient in gradients:
        provenance = gradient.provenance
        parts += provenance.parts if isinstance(provenance, Provenance) else [None]
    if any(parts):
        tensor.provenance = Provenance(tensor, parts, kind)


def pass_on(x: Recorded, placed: Recorded) -> None:
    """Give ``placed``, which has the elements of ``x``, its provenance."""
    if placed is not x and isinstance(x.provenance, Provenance):
        placed.provenance = Provenance(placed, x.provenance.parts, x.provenance.kind)


def without_history(tensor: Recorded) -> Recorded:
    """The same numbers without their history, but with their provenance."""
    alias = tensor.detach()
    alias.provenance = tensor.provenance
    return alias


def _wide(array: Array) -> Array:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
