"""Pictures of graphs, and the formats they are written in."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradproof.client.drawing import layers
from gradproof.client.drawing.box import Box

FILLS = {
    "leaf": ("#c8e6c9", "#2e7d32"),
    "inner": ("#fff3b0", "#b58900"),
    "constant": ("#e4e4e4", "#757575"),
    "op": ("#ffffff", "#555555"),
    "fold": ("#e3f2fd", "#1565c0"),
}
"""Fill and border of each kind of box."""

SHAPES = {"op": ("([", "])"), "fold": ("[[", "]]")}
"""Brackets of Mermaid around boxes that are no values."""

ALARM = "#c62828"
"""The border of a box whose verdict is wrong."""

FORMATS = {".dot": "dot", ".mmd": "mermaid", ".svg": "svg"}
"""The methods that write a file, by its suffix."""

MAX_DOT, DOT_SECONDS, MAX_LINE, MAX_TITLE = 100, 5, 48, 2000
"""Limits: boxes of a graph for the program ``dot``, its time in seconds, characters of a line and of a title."""

MAX_SHOWN, MOST_COMMON = 3000, 8
"""Limits of a notebook: boxes of a picture that it shows, and ops that the text in its place names."""


@dataclass(frozen=True)
class Picture:
    """A graph as boxes and the edges between their ids; a source comes before its targets. Notebooks show it, or a text in
    its place if it is too large. ``counts``: the values and nodes of the graph, folded parts included; ``whole`` makes
    the picture with all of them."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str], ...]
    counts: tuple[int, int] | None = None
    whole: Callable[[], Picture] | None = field(default=None, repr=False, compare=False)

    def unfold(self) -> Picture:
        """The picture with all of the parts that repeat."""
        return self.whole() if self.whole is not None else self

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
            opening, closing = SHAPES.get(box.kind, ("[", "]"))
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
        return [replace(box, lines=tuple(map(_clean, box.lines)), title=_clean(box.title, MAX_TITLE)) for box in self.boxes]

    def _repr_svg_(self) -> str | None:
        return self.svg() if len(self.boxes) <= MAX_SHOWN else None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        if len(self.boxes) > MAX_SHOWN:
            return {"text/plain": self._text()}
        return {"image/svg+xml": self.svg(), "text/plain": repr(self)}

    def _text(self) -> str:
        """The text in the place of a picture that is too large: its size, folded parts and the most common ops."""
        folds = [f"  {_clean(box.title, MAX_TITLE)}" for box in self.boxes if box.kind == "fold"]
        ops = Counter(box.lines[0] for box in self.boxes if box.kind == "op").most_common(MOST_COMMON)
        lines = [repr(self), f"A notebook shows up to {MAX_SHOWN} boxes; .save('graph.svg') writes all {len(self.boxes)}."]
        return "\n".join([*lines, *folds[:MOST_COMMON], *(f"  {count} × {_clean(op)}" for op, count in ops)])

    def __repr__(self) -> str:
        drawn = sum(box.kind == "op" for box in self.boxes)
        values, nodes = self.counts or (len(self.boxes) - drawn, drawn)
        folds = f", folded to {len(self.boxes)} boxes" if any(box.kind == "fold" for box in self.boxes) else ""
        return f"<Picture of {values} values and {nodes} nodes{folds}>"


def _style(kind: str) -> str:
    return "rounded,filled" if kind in ("op", "fold") else "filled"


def _joined(box: Box, escape: Callable[[str], str], separator: str) -> str:
    return separator.join(escape(_clean(line)) for line in box.lines)


def _clean(line: str, most: int = MAX_LINE) -> str:
    """The line with printable characters only, and not too long."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def _dot(line: str) -> str:
    return line.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(line: str) -> str:
    """The line with entities for characters that Mermaid or its Markdown would read as more than text."""
    special = re.compile(r"""["#;&<>`*~\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+](?= )|(?<=^\d)[.)]""")
    return special.sub(lambda match: f"#{ord(match[0])};", line)
