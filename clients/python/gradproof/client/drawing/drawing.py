"""The builder of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from gradproof.client.drawing.box import Box, Kind
from gradproof.client.drawing.picture import Picture
from gradproof.client.events import Array, Gradient, Verdict
from gradproof.client.text import brief

Known: TypeAlias = tuple[Gradient | None, Verdict | None]
"""The gradient of a value, and the verdict on it."""

NOTHING_KNOWN: Final[Known] = (None, None)


class Drawing:
    """Builds a picture, box by box."""

    def __init__(self) -> None:
        self._boxes: list[Box] = []
        self._edges: list[tuple[str, str]] = []
        self._ops = 0

    def value(
        self,
        kind: Kind,
        spec: tuple[tuple[int, ...], np.dtype[Any]] | None,
        value: Array | None,
        name: str = "",
        known: Known = NOTHING_KNOWN,
    ) -> str:
        """Add the box of a value.

        Args:
            kind: the kind of the box.
            spec: shape and dtype, or None where they are unknown.
            value: the value, or None where it is unknown.
            name: a name to write on the box, or "".
            known: the gradient and the verdict, None where they are unknown.

        Returns the id of the box.
        """
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
        return self._add_value(kind, lines, verdict is not None and verdict.summary == "wrong")

    def number(self, x: object) -> str:
        """Add the box of a Python number; returns its id."""
        return self._add_value("constant", [repr(x)])

    def node(self, op: str, grad_fn: str, inputs: Sequence[str]) -> str:
        """Add a node and the edges from its inputs; returns its id. ``grad_fn`` is "" where no gradient flows."""
        name = self._add(f"n{self._ops}", "op", [op, grad_fn] if grad_fn else [op])
        self._ops += 1
        for x in inputs:
            self.edge(x, name)
        return name

    def edge(self, a: str, b: str) -> None:
        """Add an edge between two ids."""
        self._edges.append((a, b))

    def _add_value(self, kind: Kind, lines: Sequence[str], alarm: bool = False) -> str:
        return self._add(f"v{len(self._boxes) - self._ops}", kind, lines, alarm)

    def _add(self, name: str, kind: Kind, lines: Sequence[str], alarm: bool = False) -> str:
        self._boxes.append(Box(name, kind, tuple(lines), alarm))
        return name

    def picture(self) -> Picture:
        """The picture of all boxes and edges so far."""
        return Picture(tuple(self._boxes), tuple(self._edges))


def _gradient_lines(event: Gradient) -> list[str]:
    if event.gradient is None or event.raw is None:
        return ["no gradient"]
    if event.gradient.tobytes() == event.raw.tobytes():
        return [f"gradient: {brief(event.raw)}"]
    return [f"raw gradient: {brief(event.raw)}", f"hooked gradient: {brief(event.gradient)}"]
