"""Boxes and edges: what a picture of a graph is made of, and the formats it is written in."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from gradproof.client.drawing import layers
from gradproof.client.events import Array, Gradient, Verdict
from gradproof.client.text import brief

Kind: TypeAlias = Literal["leaf", "inner", "constant", "op"]

FILLS = {
    "leaf": ("#c8e6c9", "#2e7d32"),
    "inner": ("#fff3b0", "#b58900"),
    "constant": ("#e4e4e4", "#757575"),
    "op": ("#ffffff", "#555555"),
}
"""Fill and rim of each kind of box."""

ALARM = "#c62828"
"""The rim of a box whose verdict is wrong."""

FORMATS = {".dot": "dot", ".mmd": "mermaid", ".svg": "svg"}
"""What `Picture.save` writes, by the end of the file's name."""

MAX_DOT, DOT_SECONDS, MAX_LINE = 100, 5, 48
"""Boxes that the program ``dot`` is given at most, how long it may take, and characters of a line."""


@dataclass(frozen=True)
class Box:
    """A value or a node (kind ``op``). ``alarm``: a verdict says that it is wrong."""

    id: str
    kind: Kind
    lines: tuple[str, ...]
    alarm: bool = False


@dataclass(frozen=True)
class Picture:
    """A graph as boxes and the edges between their ids, inputs before what is made of them. Notebooks show it."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str], ...]

    def dot(self) -> str:
        """In the language of Graphviz."""
        used = {box.kind for box in self.boxes}
        lines = ["digraph gradproof {", '  node [fontname="Helvetica", fontsize=12, shape=box, style=filled];']
        for kind in [kind for kind in FILLS if kind in used]:
            fill, rim = FILLS[kind]
            lines.append(f'  node [class={kind}, fillcolor="{fill}", color="{rim}", style="{_style(kind)}"];')
            for box in self.boxes:
                if box.kind == kind:
                    alarm = f', color="{ALARM}", penwidth=2.5' if box.alarm else ""
                    lines.append(f'  {box.id} [label="{_joined(box, _dot, chr(92) + "n")}"{alarm}];')
        lines += [f"  {a} -> {b};" for a, b in self.edges]
        return "\n".join([*lines, "}\n"])

    def mermaid(self) -> str:
        """As a flowchart of Mermaid, which many renderers of Markdown draw."""
        lines = ["flowchart TD"]
        for box in self.boxes:
            before, behind = ("([", "])") if box.kind == "op" else ("[", "]")
            alarm = f"\n  style {box.id} stroke:{ALARM},stroke-width:3px" if box.alarm else ""
            lines.append(f'  {box.id}{before}"{_joined(box, _mermaid, "<br/>")}"{behind}:::{box.kind}{alarm}')
        lines += [f"  {a} --> {b}" for a, b in self.edges]
        used = {box.kind for box in self.boxes}
        lines += [f"  classDef {k} fill:{f},stroke:{rim},color:#000" for k, (f, rim) in FILLS.items() if k in used]
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """As SVG, by the program ``dot`` of Graphviz where it is installed and the graph is not too large for it;
        otherwise in a simpler layout of our own."""
        program = shutil.which("dot") if len(self.boxes) <= MAX_DOT else None
        if program is not None:
            try:
                made = subprocess.run(
                    [program, "-Tsvg"], input=self.dot().encode(), capture_output=True, timeout=DOT_SECONDS, check=True
                )
                text = made.stdout.decode()
                return text[text.index("<svg") :]
            except (OSError, subprocess.SubprocessError, ValueError):
                pass
        return layers.svg(self._cleaned(), self.edges, FILLS, ALARM)

    def save(self, path: str | Path) -> None:
        """Write a file; its name ends in ``.dot``, ``.mmd`` or ``.svg``. Raises ValueError for another end."""
        end = Path(path).suffix
        if end not in FORMATS:
            raise ValueError(f"{str(path)!r}: a picture is saved as {', '.join(FORMATS)}")
        Path(path).write_text(getattr(self, FORMATS[end])(), encoding="utf-8")

    def _cleaned(self) -> list[Box]:
        return [Box(box.id, box.kind, tuple(map(_clean, box.lines)), box.alarm) for box in self.boxes]

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        nodes = sum(box.kind == "op" for box in self.boxes)
        return f"<Picture of {len(self.boxes) - nodes} values and {nodes} nodes>"


def _style(kind: str) -> str:
    return "rounded,filled" if kind == "op" else "filled"


def _joined(box: Box, escape: Any, between: str) -> str:
    return between.join(escape(_clean(line)) for line in box.lines)


def _clean(line: str) -> str:
    """Printable, and not too long."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"


def _dot(line: str) -> str:
    return line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(line: str) -> str:
    """Without what Mermaid or its Markdown would read as more than text."""
    special = re.compile(r"""["#;&<>`*~\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+](?= )|(?<=^\d)[.)]""")
    return special.sub(lambda found: f"#{ord(found[0])};", line)


class Drawing:
    """A picture in the making."""

    def __init__(self) -> None:
        self._boxes: list[Box] = []
        self._edges: list[tuple[str, str]] = []
        self._ops = 0

    def value(
        self,
        kind: Kind,
        spec: tuple[tuple[int, ...], Any] | None,
        value: Array | None,
        name: str = "",
        gradient: Gradient | None = None,
        verdict: Verdict | None = None,
    ) -> str:
        """A box; returns its id. What is None is not known."""
        lines = [name] if name else []
        if value is not None:
            text = brief(value)
            lines.append(text if text.startswith(value.dtype.name) else f"value: {text}")
        elif spec is not None:
            lines.append(f"{spec[1].name} {spec[0]}")
        if gradient is not None:
            lines += _gradient(gradient)
        if verdict is not None:
            lines.append(verdict.summary)
        return self._add(
            f"v{len(self._boxes) - self._ops}", kind, lines, verdict is not None and verdict.summary == "wrong"
        )

    def number(self, x: object) -> str:
        """A box of a Python number."""
        return self._add(f"v{len(self._boxes) - self._ops}", "constant", [repr(x)])

    def node(self, op: str, grad_fn: str, inputs: Sequence[str]) -> str:
        """A node with its edges; returns its id. ``grad_fn`` is empty where no gradient flows through it."""
        name = self._add(f"n{self._ops}", "op", [op, grad_fn] if grad_fn else [op])
        self._ops += 1
        for x in inputs:
            self.edge(x, name)
        return name

    def edge(self, a: str, b: str) -> None:
        """An edge between two ids."""
        self._edges.append((a, b))

    def _add(self, name: str, kind: Kind, lines: Sequence[str], alarm: bool = False) -> str:
        self._boxes.append(Box(name, kind, tuple(lines), alarm))
        return name

    def picture(self) -> Picture:
        """What was drawn so far."""
        return Picture(tuple(self._boxes), tuple(self._edges))


def _gradient(found: Gradient) -> list[str]:
    if found.gradient is None or found.raw is None:
        return ["no gradient"]
    if found.gradient.tobytes() == found.raw.tobytes():
        return [f"gradient: {brief(found.raw)}"]
    return [f"raw gradient: {brief(found.raw)}", f"hooked gradient: {brief(found.gradient)}"]
