"""Where the numbers of a gradient came from: one pass, several that were added up, or one for each row; and what is known
of them together. Numbers that somebody has changed since are not those any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradproof.client.backward.agreement import ORDER, weakened
from gradproof.client.events import AccumulationVerdict, GraphVerdict, Verdict

if TYPE_CHECKING:
    from gradproof.client.backward.passes import Evidence
    from gradproof.client.tensors.tensor import Tensor

MAX_PARTS: Final = 256
KEPT_DIGITS: Final = 64
"""How much smaller a sum may be than its parts: the units in the last place that ``verified`` allows."""


class Part:
    """What one pass gave: ``evidence`` has it under ``names``, ``numbers`` is the tensor that it became (or ``added``,
    where hooks of the leaf changed what was added to ``.grad``)."""

    def __init__(self, evidence: Evidence, names: Sequence[str], numbers: Tensor, added: Tensor | None = None) -> None:
        self.evidence, self.names = evidence, tuple(names)
        self.numbers = numbers.detach()
        self.added = self.numbers if added is None else added.detach()

    def verdict(self) -> Verdict | None:
        """The verdict, found out now if it was not."""
        return self.evidence.verdict(self.names, self.numbers.value())

    def known(self) -> Verdict | None:
        """The verdict, if it has been found out already."""
        return self.evidence.known(self.names, self.numbers.value())


class Standing:
    """The parts of the numbers that ``tensor`` has now: passes that were added up, or rows. None among them: numbers of
    which nothing is known. ``kind``: what a part is called."""

    def __init__(self, tensor: Tensor, parts: Sequence[Part | None], kind: str = "pass") -> None:
        self.parts, self.kind = tuple(parts), kind
        self._numbers, self._node = tensor.detach(), tensor._node

    def holds(self, tensor: Tensor | None) -> bool:
        """Whether a tensor still has these numbers."""
        if tensor is None:
            return False
        if tensor._node is not None:
            return tensor._node is self._node
        return tensor.value() is self._numbers.value()

    @property
    def last(self) -> Part | None:
        """The last of the passes."""
        return self.parts[-1] if self.kind == "pass" else None

    def evidence(self) -> list[Evidence]:
        """That of all parts, the last one first."""
        return [part.evidence for part in reversed(self.parts) if part is not None]

    def verdict(self) -> Verdict | None:
        """The weakest verdict of all parts, which are run again for it. Of passes the sum is looked at too."""
        return self._together([part.verdict() if part else None for part in self.parts])

    def known(self) -> Verdict | None:
        """The same, if all of it has been found out already."""
        found = [part.known() if part else None for part in self.parts]
        unknown = any(part is not None and one is None for part, one in zip(self.parts, found, strict=True))
        return None if unknown else self._together(found)

    def _together(self, found: Sequence[Verdict | None]) -> Verdict | None:
        if not any(found):
            return None
        if len(found) == 1:
            return found[0]
        count = len(found)
        told = [
            replace(one, reason=f"{self.kind} {k} of {count}: {one.reason}")
            for k, one in enumerate([one or UNKNOWN for one in found], 1)
        ]
        weakest = min(told, key=lambda one: ORDER.index(one.summary))
        return self._summed(weakest) if self.kind == "pass" else weakest

    def _summed(self, verdict: Verdict) -> Verdict:
        """After a look at what adding the passes up has left of their digits."""
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
                at = f"element {element} of the sum" if element else "the sum"
                verdict = weakened(verdict, word, f"the sum of {len(self.parts)} passes: {at} {text}")
        return verdict


UNKNOWN = Verdict(
    "",
    "unchecked",
    "numbers that no pass is known for: .grad was assigned, or changed in place",
    (),
    AccumulationVerdict("UNCHECKED", 0, "no pass is known"),
    GraphVerdict("SKIPPED", "no pass is known", 0.0, 0.0, 0, 0, 0, 0.0),
    (),
)


def grown(tensor: Tensor, part: Part | None) -> list[Part | None]:
    """The parts of ``.grad`` when ``part`` is added to what is there now."""
    before = tensor._grad
    if before is None:
        return [part]
    if (known := tensor._standing()) is not None:
        parts = [*known.parts, part]
        return parts if len(parts) <= MAX_PARTS else [None, *parts[-MAX_PARTS + 1 :]]
    zeros = before._value is not None and not before._value.any()
    return [part] if zeros else [None, part]


def rows(tensor: Tensor, column: Sequence[Tensor]) -> Tensor:
    """``tensor``, which is made of the gradients ``column``, with the standing of all of them."""
    parts: list[Part | None] = []
    for row in column:
        standing = row._evidence
        parts += [None] if standing is None else standing.parts
    if any(parts):
        tensor._evidence = Standing(tensor, parts, "row")
    return tensor


def shut(tensor: Tensor) -> Tensor:
    """The same numbers without their history, but with what is known of them."""
    alias = tensor.detach()
    alias._evidence = tensor._evidence
    return alias


def _wide(array: Any) -> Any:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
