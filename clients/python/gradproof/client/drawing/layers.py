"""Layered layout of boxes, after Sugiyama, and its SVG, for pictures without Graphviz. Inputs are above their users."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from gradproof.client.drawing.box import Box

SIZE, LINE, CHARACTER = 12.0, 16.0, 6.9
"""Text, in pixels: font size, line height and the width of a character."""

PAD, BETWEEN, GAP, MARGIN, BEND, HEAD = 10.0, 18.0, 40.0, 12.0, 10.0, 8.0
"""Spaces in pixels: around text, beside boxes, between layers, around the picture; the width of a bend, and the head of an
arrow."""

SWEEPS = 12
"""Passes over the layers that improve the order, and the positions, of their vertices."""

BENDS, FEW_BENDS = 4, 400
"""The most bends of a picture: for each source of edges, and in addition."""


def svg(boxes: Sequence[Box], edges: Sequence[tuple[str, str]], fills: dict[str, tuple[str, str]], alarm: str) -> str:
    """The SVG of a picture. ``fills``: fill and border of each kind; ``alarm``: the border where a verdict is wrong."""
    places = {box.id: k for k, box in enumerate(boxes)}
    sizes = [_size(box.lines) for box in boxes]
    layout = Layout(sizes, [(places[a], places[b]) for a, b in edges])
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{SIZE:g}" text-anchor="middle">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L8,4 L0,7 z" fill="#555"/></marker></defs>',
        f'<rect x="{-MARGIN:g}" y="{-MARGIN:g}" width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    parts += [
        f'<path class="edge" d="{path}" fill="none" stroke="#555" marker-end="url(#arrow)"/>' for path in layout.paths()
    ]
    for k, box in enumerate(boxes):
        (w, h), x, y = sizes[k], layout.x[k], layout.y[k]
        fill, border = fills[box.kind]
        border = f'{alarm}" stroke-width="2.5' if box.alarm else border
        round_ = h / 2 if box.kind == "op" else 2
        title = f"<title>{escape(box.title)}</title>" if box.title else ""
        parts.append(f'<g class="node {box.kind}" id="{box.id}">{title}')
        parts.append(
            f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{round_:g}" '
            f'fill="{fill}" stroke="{border}"/>'
        )
        for row, line in enumerate(box.lines):
            base = y + (row - (len(box.lines) - 1) / 2) * LINE + SIZE * 0.35
            parts.append(f'<text x="{x:.1f}" y="{base:.1f}">{escape(line)}</text>')
        parts.append("</g>")
    return "\n".join([*parts, "</svg>\n"])


def _size(lines: Sequence[str]) -> tuple[float, float]:
    columns = max((sum(2 if east_asian_width(c) in "WF" else 1 for c in line) for line in lines), default=0)
    return max(columns, 3) * CHARACTER + 2 * PAD, max(len(lines), 1) * LINE + PAD


@dataclass(frozen=True)
class _Row:
    """The vertical extent of a layer, in pixels."""

    top: float
    bottom: float


class Layout:
    """Centres of boxes and paths of edges.

    A box is a layer below the lowest of its inputs; inputs of the graph are right above their first use. An edge over
    several layers has a bend in each, which edges of the same source share; layers are put in order so that few edges
    cross. Time is nearly linear in boxes and layers.

    Args:
        sizes: width and height of each box, in pixels.
        edges: pairs of indices; a source comes before its targets.
    """

    def __init__(self, sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> None:
        self._edges = list(edges)
        self._widths, self._heights = [w for w, _ in sizes], [h for _, h in sizes]
        self._layer = self._layers(len(sizes))
        self._chains = self._bends()
        count = max(self._layer, default=-1) + 1
        self._rows: list[list[int]] = [[] for _ in range(count)]
        for vertex, layer in enumerate(self._layer):
            self._rows[layer].append(vertex)
        self._order()
        self.x = [0.0] * len(self._layer)
        self._place()
        self.y, self._spans = self._stack(len(sizes))
        self.width = max((x + w / 2 for x, w in zip(self.x, self._widths, strict=True)), default=0.0)
        self.height = self._spans[-1].bottom if self._spans else 0.0

    def _layers(self, count: int) -> list[int]:
        layer = [0] * count
        above: list[set[int]] = [set() for _ in range(count)]
        first: dict[int, int] = {}
        for a, b in sorted(self._edges, key=lambda edge: edge[1]):
            layer[b] = max(layer[b], layer[a] + 1)
            above[b].add(a)
        for b in range(count - 1, -1, -1):  # a box with a single input, or none, moves down: its edge shares bends
            if b in first and len(above[b]) < 2:
                layer[b] = max(first[b] - 1, 0)
            for a in above[b]:
                first[a] = min(first.get(a, layer[b]), layer[b])
        return layer

    def _bends(self) -> list[list[int]]:
        """The vertices on the way of each edge, from the point where it leaves earlier edges of the same source.

        An edge over very many layers has a bend below its source and above its target, and none in between.
        """
        most = self._span()
        shared: dict[int, list[int]] = {}
        left: dict[int, int] = {}
        chains = []
        for a, b in sorted(self._edges, key=lambda edge: self._layer[edge[1]]):
            bends = shared.setdefault(a, [a])
            between = max(self._layer[b] - self._layer[a] - 1, 0)
            if between > most:
                if len(bends) < 2:
                    bends.append(self._bend(self._layer[a] + 1))
                start = [] if left.get(a, 0) else [a]
                chains.append([*start, bends[1], self._bend(self._layer[b] - 1), b])
                left[a] = max(left.get(a, 0), 1)
                continue
            while len(bends) <= between:
                bends.append(self._bend(self._layer[a] + len(bends)))
            chains.append([*bends[left.get(a, 0) : between + 1], b])
            left[a] = between
        self._up: list[list[int]] = [[] for _ in self._layer]
        self._down: list[list[int]] = [[] for _ in self._layer]
        for upper, lower in dict.fromkeys(pair for chain in chains for pair in pairwise(chain)):
            self._up[lower].append(upper)
            self._down[upper].append(lower)
        return chains

    def _bend(self, layer: int) -> int:
        self._layer.append(layer)
        self._widths.append(BEND)
        self._heights.append(0.0)
        return len(self._layer) - 1

    def _span(self) -> int:
        """The most layers that an edge may have a bend in each of, so that bends do not outnumber boxes by far."""
        reach: dict[int, int] = {}
        for a, b in self._edges:
            reach[a] = max(reach.get(a, 0), self._layer[b] - self._layer[a] - 1)
        most = max(reach.values(), default=0)
        room = BENDS * len(reach) + FEW_BENDS
        while most > 1 and sum(min(layers, most) for layers in reach.values()) > room:
            most //= 2
        return most

    def _order(self) -> None:
        """Order each layer by the mean place of its neighbours, down and up, several times, and keep the best order."""
        best, fewest = [list(row) for row in self._rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            down = sweep % 2 == 0
            near = self._up if down else self._down
            place = {vertex: k for row in self._rows for k, vertex in enumerate(row)}
            for row in self._rows if down else reversed(self._rows):
                keys = {i: sum(place[n] for n in near[i]) / len(near[i]) if near[i] else place[i] for i in row}
                row.sort(key=keys.__getitem__)
                place.update((vertex, k) for k, vertex in enumerate(row))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self._rows], crossings
        self._rows = best

    def _crossings(self) -> int:
        place = {vertex: k for row in self._rows for k, vertex in enumerate(row)}
        total = 0
        for row in self._rows:
            seen: list[int] = []
            for vertex in row:
                ends = sorted(place[n] for n in self._down[vertex])
                total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    def _place(self) -> None:
        """Put each vertex as near to the mean of its neighbours as the order of its layer allows."""
        for row in self._rows:
            self._spread(row, [0.0] * len(row))
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self._rows if down else reversed(self._rows):
                targets = []
                for vertex in row:
                    near = (self._up if down else self._down)[vertex] or (self._down if down else self._up)[vertex]
                    targets.append(sum(self.x[n] for n in near) / len(near) if near else self.x[vertex])
                self._spread(row, targets)
        left = min((x - w / 2 for x, w in zip(self.x, self._widths, strict=True)), default=0.0)
        self.x = [x - left for x in self.x]

    def _spread(self, row: Sequence[int], targets: Sequence[float]) -> None:
        """Put the vertices of a layer near ``targets`` without overlap: the mean of pushing right and pushing left."""
        apart = [(self._widths[a] + self._widths[b]) / 2 + BETWEEN for a, b in pairwise(row)]
        right, left = list(targets), list(targets)
        for k, space in enumerate(apart):
            right[k + 1] = max(right[k + 1], right[k] + space)
        for k in range(len(apart) - 1, -1, -1):
            left[k] = min(left[k], left[k + 1] - apart[k])
        for vertex, a, b in zip(row, right, left, strict=True):
            self.x[vertex] = (a + b) / 2

    def _stack(self, count: int) -> tuple[list[float], list[_Row]]:
        spans, top = [], 0.0
        for row in self._rows:
            bottom = top + max((self._heights[vertex] for vertex in row), default=0.0)
            spans.append(_Row(top, bottom))
            top = bottom + GAP
        return [(spans[k].top + spans[k].bottom) / 2 for k in self._layer[:count]], spans

    def paths(self) -> list[str]:
        """An SVG path for each edge: straight through layers, curved between them."""
        into = self._ports([chain[-1] for chain in self._chains], [chain[-2] for chain in self._chains], whole=True)
        out = self._ports([chain[0] for chain in self._chains], [chain[1] for chain in self._chains])
        paths = []
        for chain, x, end in zip(self._chains, out, into, strict=True):
            b, y = chain[-1], self._spans[self._layer[chain[0]]].bottom
            path = [f"M{x:.1f},{y:.1f}"]
            if chain[0] < len(self.y):
                path = [f"M{x:.1f},{self.y[chain[0]] + self._heights[chain[0]] / 2:.1f} L{x:.1f},{y:.1f}"]
            for vertex in chain[1:]:
                span, to = self._spans[self._layer[vertex]], end if vertex == b else self.x[vertex]
                top = span.top - (HEAD if vertex == b else 0)  # straight where the head of the arrow is
                middle = (y + top) / 2
                path.append(f"C{x:.1f},{middle:.1f} {to:.1f},{middle:.1f} {to:.1f},{top:.1f}")
                x, y = to, span.bottom
                if vertex != b:
                    path.append(f"L{x:.1f},{y:.1f}")
            path.append(f"L{x:.1f},{self.y[b] - self._heights[b] / 2:.1f}")
            paths.append(" ".join(path))
        return paths

    def _ports(self, ends: Sequence[int], others: Sequence[int], whole: bool = False) -> list[float]:
        """The horizontal positions where edges touch their boxes, side by side in the order of their other ends.

        Edges with different other ends share a position, unless ``whole``: then all edges of a box are side by side.
        """
        groups: dict[tuple[int, int], list[int]] = {}
        for k, (end, other) in enumerate(zip(ends, others, strict=True)):
            groups.setdefault((end, -1 if whole else other), []).append(k)
        ports = [0.0] * len(ends)
        for (end, _), members in groups.items():
            members.sort(key=lambda k: (self.x[others[k]], k))
            room = min(16.0, self._widths[end] * 0.7 / len(members)) if end < len(self.y) else 0.0
            for place, k in enumerate(members):
                ports[k] = self.x[end] + (place - (len(members) - 1) / 2) * room
        return ports
