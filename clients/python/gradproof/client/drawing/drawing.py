"""The builder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np

from gradproof.client.drawing.box import Kind
from gradproof.client.drawing.folding import Draft, folded
from gradproof.client.drawing.picture import Picture
from gradproof.client.events import Array, Gradient, Verdict
from gradproof.client.text import brief

Known: TypeAlias = tuple[Gradient | None, Verdict | None]
"""The gradient of a value, and the verdict on it."""

NOTHING_KNOWN: Final[Known] = (None, None)


class Drawing:
    """Builds a picture, box by box."""

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self._edges: list[tuple[str, str]] = []
        self._ops = 0

    def value(
        self,
        kind: Kind,
        spec: tuple[tuple[int, ...], np.dtype[Any]] | None,
        value: Array | None,
        name: str = "",
        known: Known = NOTHING_KNOWN,
        *,
        marks: bool = True,
    ) -> str:
        """Add the box of a value.

        Args:
            kind: the kind of the box.
            spec: shape and dtype, or None where they are unknown.
            value: the value, or None where it is unknown.
            name: a name to write on the box, or "".
            known: the gradient and the verdict, None where they are unknown.
            marks: a value with a name is shown, also within parts that repeat.

        Returns the id of the box.
        """
        alarm = known[1] is not None and known[1].summary == "wrong"
        label = spec if spec is not None or value is None else (value.shape, value.dtype)
        identifier = f"v{len(self._drafts) - self._ops}"
        lines = partial(_lines, spec, value, name, known)
        self._drafts.append(Draft(identifier, kind, label, lines, alarm, shown=alarm or bool(name and marks)))
        return identifier

    def number(self, x: object) -> str:
        """Add the box of a Python number; returns its id."""
        identifier = f"v{len(self._drafts) - self._ops}"
        self._drafts.append(Draft(identifier, "constant", type(x).__name__, lambda: (repr(x),)))
        return identifier

    def node(self, op: str, grad_fn: str, inputs: Sequence[str]) -> str:
        """Add a node and the edges from its inputs; returns its id. ``grad_fn`` is "" where no gradient flows."""
        name, lines = f"n{self._ops}", (op, grad_fn) if grad_fn else (op,)
        self._drafts.append(Draft(name, "op", op, lambda: lines))
        self._ops += 1
        for x in inputs:
            self.edge(x, name)
        return name

    def edge(self, a: str, b: str) -> None:
        """Add an edge between two ids."""
        self._edges.append((a, b))

    def picture(self) -> Picture:
        """The picture of all boxes and edges so far; parts that repeat are a box."""
        boxes, edges = folded(self._drafts, self._edges)
        return Picture(tuple(boxes), tuple(edges), self._counts(), self._whole)

    def _whole(self) -> Picture:
        return Picture(tuple(draft.box() for draft in self._drafts), tuple(self._edges), self._counts())

    def _counts(self) -> tuple[int, int]:
        return len(self._drafts) - self._ops, self._ops


def _lines(
    spec: tuple[tuple[int, ...], np.dtype[Any]] | None, value: Array | None, name: str, known: Known
) -> tuple[str, ...]:
    gradient, verdict = known
    lines = [name] if name else []
    if value is not None:
        text = brief(value)
        lines.append(text if text.startswith(value.dtype.name) else f"value: {text}")
    elif spec is not None:
        lines.append(f"{spec[1].name} {spec[0]}")
    if gradient is not None:
        lines += _gradient_lines(gradient)
    if verdict is not None:
        lines.append(verdict.summary)
    return tuple(lines)


def _gradient_lines(event: Gradient) -> list[str]:
    if event.gradient is None or event.raw is None:
        return ["no gradient"]
    if event.gradient.tobytes() == event.raw.tobytes():
        return [f"gradient: {brief(event.raw)}"]
    return [f"raw gradient: {brief(event.raw)}", f"hooked gradient: {brief(event.gradient)}"]
