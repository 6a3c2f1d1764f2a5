"""Pictures of graphs, and the formats they are written in."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradproof.client.drawing import layers
from gradproof.client.drawing.box import Box

FILLS = {
    "leaf": ("#c8e6c9", "#2e7d32"),
    "inner": ("#fff3b0", "#b58900"),
    "constant": ("#e4e4e4", "#757575"),
    "op": ("#ffffff", "#555555"),
}
"""Fill and border of each kind of box."""

ALARM = "#c62828"
"""The border of a box whose verdict is wrong."""

FORMATS = {".dot": "dot", ".mmd": "mermaid", ".svg": "svg"}
"""The methods that write a file, by its suffix."""

MAX_DOT, DOT_SECONDS, MAX_LINE = 100, 5, 48
"""Limits: boxes of a graph for the program ``dot``, its time in seconds, and characters of a line."""


@dataclass(frozen=True)
class Picture:
    """A graph as boxes and the edges between their ids; a source comes before its targets. Notebooks show it."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str], ...]

    def dot(self) -> str:
        """The picture in the language of Graphviz."""
        used = {box.kind for box in self.boxes}
        lines = ["digraph gradproof {", '  node [fontname="Helvetica", fontsize=12, shape=box, style=filled];']
        for kind in [kind for kind in FILLS if kind in used]:
            fill, border = FILLS[kind]
            lines.append(f'  node [class={kind}, fillcolor="{fill}", color="{border}", style="{_style(kind)}"];')
            for box in self.boxes:
                if box.kind == kind:
                    alarm = f', color="{ALARM}", penwidth=2.5' if box.alarm else ""
                    lines.append(f'  {box.id} [label="{_joined(box, _dot, chr(92) + "n")}"{alarm}];')
        lines += [f"  {a} -> {b};" for a, b in self.edges]
        return "\n".join([*lines, "}\n"])

    def mermaid(self) -> str:
        """The picture as a flowchart of Mermaid, which many renderers of Markdown draw."""
        lines = ["flowchart TD"]
        for box in self.boxes:
            opening, closing = ("([", "])") if box.kind == "op" else ("[", "]")
            alarm = f"\n  style {box.id} stroke:{ALARM},stroke-width:3px" if box.alarm else ""
            lines.append(f'  {box.id}{opening}"{_joined(box, _mermaid, "<br/>")}"{closing}:::{box.kind}{alarm}')
        lines += [f"  {a} --> {b}" for a, b in self.edges]
        used = {box.kind for box in self.boxes}
        lines += [f"  classDef {k} fill:{f},stroke:{border},color:#000" for k, (f, border) in FILLS.items() if k in used]
        return "\n".join(lines) + "\n"

    def svg(self) -> str:
        """The picture as SVG: by the program ``dot`` of Graphviz where it is installed and the graph is not too large for
        it, otherwise in the layout of `layers`."""
        program = shutil.which("dot") if len(self.boxes) <= MAX_DOT else None
        if program is not None:
            try:
                process = subprocess.run(  # noqa: S603 - the program `dot` of the PATH, with a constant argument
                    [program, "-Tsvg"], input=self.dot().encode(), capture_output=True, timeout=DOT_SECONDS, check=True
                )
                text = process.stdout.decode()
                return text[text.index("<svg") :]
            except (OSError, subprocess.SubprocessError, ValueError):
                pass
        return layers.svg(self._cleaned(), self.edges, FILLS, ALARM)

    def save(self, path: str | Path) -> None:
        """Write a file with the suffix ``.dot``, ``.mmd`` or ``.svg``. Raises ValueError for another suffix."""
        suffix = Path(path).suffix
        if suffix not in FORMATS:
            raise ValueError(f"{str(path)!r}: a picture is saved as {', '.join(FORMATS)}")
        Path(path).write_text(getattr(self, FORMATS[suffix])(), encoding="utf-8")

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


def _joined(box: Box, escape: Callable[[str], str], separator: str) -> str:
    return separator.join(escape(_clean(line)) for line in box.lines)


def _clean(line: str) -> str:
    """The line with printable characters only, and not too long."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"


def _dot(line: str) -> str:
    return line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(line: str) -> str:
    """The line with entities for characters that Mermaid or its Markdown would read as more than text."""
    special = re.compile(r"""["#;&<>`*~\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+](?= )|(?<=^\d)[.)]""")
    return special.sub(lambda match: f"#{ord(match[0])};", line)
