"""Layers: where boxes go when no other program says so, and the SVG of that. Inputs are above what is made of them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from gradproof.client.drawing.box import Box

SIZE, LINE, CHARACTER = 12.0, 16.0, 6.9
"""Of text, in pixels: the size, from line to line, and what one character takes."""

PAD, BETWEEN, GAP, MARGIN, BEND, HEAD = 10.0, 18.0, 40.0, 12.0, 10.0, 8.0
"""In pixels: around text, beside boxes, between layers, at the rim; what an edge that passes a layer
takes; the head of an arrow."""

SWEEPS = 12

BENDS, FEW_BENDS = 4, 400
"""Bends that a picture may have for each source of edges, and any picture."""


def svg(boxes: Sequence[Box], edges: Sequence[tuple[str, str]], fills: dict[str, tuple[str, str]], alarm: str) -> str:
    """The picture as text. ``fills``: fill and rim of each kind; ``alarm``: the rim of what is wrong."""
    places = {box.id: k for k, box in enumerate(boxes)}
    sizes = [_size(box.lines) for box in boxes]
    found = Layout(sizes, [(places[a], places[b]) for a, b in edges])
    width, height = found.width + 2 * MARGIN, found.height + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN:g} {-MARGIN:g} {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{SIZE:g}" text-anchor="middle">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
        'markerUnits="userSpaceOnUse" orient="auto"><path d="M0,1 L8,4 L0,7 z" fill="#555"/></marker></defs>',
        f'<rect x="{-MARGIN:g}" y="{-MARGIN:g}" width="{width:.0f}" height="{height:.0f}" fill="white"/>',
    ]
    parts += [
        f'<path class="edge" d="{path}" fill="none" stroke="#555" marker-end="url(#arrow)"/>' for path in found.paths()
    ]
    for k, box in enumerate(boxes):
        (w, h), x, y = sizes[k], found.x[k], found.y[k]
        fill, rim = fills[box.kind]
        rim = f'{alarm}" stroke-width="2.5' if box.alarm else rim
        round_ = h / 2 if box.kind == "op" else 2
        parts.append(f'<g class="node {box.kind}" id="{box.id}">')
        parts.append(
            f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{round_:g}" '
            f'fill="{fill}" stroke="{rim}"/>'
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
    """How far a layer reaches."""

    top: float
    bottom: float


class Layout:
    """Centres of boxes and paths of edges.

    A box is one layer below the lowest of its inputs; inputs of the graph are right above their first use. An edge over
    several layers has a bend in each, which edges of one source share; layers are put in order so that few edges cross.
    Time is nearly linear in boxes and layers.

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
        for item, layer in enumerate(self._layer):
            self._rows[layer].append(item)
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
        for b in range(count - 1, -1, -1):  # what is made of one box, or of none, moves down: the edge to it shares bends
            if b in first and len(above[b]) < 2:
                layer[b] = max(first[b] - 1, 0)
            for a in above[b]:
                first[a] = min(first.get(a, layer[b]), layer[b])
        return layer

    def _bends(self) -> list[list[int]]:
        """For each edge the items on its way, from where it leaves the edges before it of the same source. An edge over
        very many layers has a bend below its source and one above its target, and none in between."""
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
        """Over how many layers an edge may have a bend in each, so that bends do not outnumber boxes by far."""
        reach: dict[int, int] = {}
        for a, b in self._edges:
            reach[a] = max(reach.get(a, 0), self._layer[b] - self._layer[a] - 1)
        most = max(reach.values(), default=0)
        room = BENDS * len(reach) + FEW_BENDS
        while most > 1 and sum(min(one, most) for one in reach.values()) > room:
            most //= 2
        return most

    def _order(self) -> None:
        """Each layer by the mean place of its neighbours, down and up, several times; the best of these is kept."""
        best, fewest = [list(row) for row in self._rows], self._crossings()
        for sweep in range(SWEEPS):
            if not fewest:
                break
            down = sweep % 2 == 0
            near = self._up if down else self._down
            place = {item: k for row in self._rows for k, item in enumerate(row)}
            for row in self._rows if down else reversed(self._rows):
                keys = {i: sum(place[n] for n in near[i]) / len(near[i]) if near[i] else place[i] for i in row}
                row.sort(key=keys.__getitem__)
                place.update((item, k) for k, item in enumerate(row))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self._rows], crossings
        self._rows = best

    def _crossings(self) -> int:
        place = {item: k for row in self._rows for k, item in enumerate(row)}
        total = 0
        for row in self._rows:
            seen: list[int] = []
            for item in row:
                ends = sorted(place[n] for n in self._down[item])
                total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    def _place(self) -> None:
        """Each item as near to the mean of its neighbours as the order of its layer allows."""
        for row in self._rows:
            self._settle(row, [0.0] * len(row))
        for sweep in range(SWEEPS):
            down = sweep % 2 == 0
            for row in self._rows if down else reversed(self._rows):
                wanted = []
                for item in row:
                    near = (self._up if down else self._down)[item] or (self._down if down else self._up)[item]
                    wanted.append(sum(self.x[n] for n in near) / len(near) if near else self.x[item])
                self._settle(row, wanted)
        left = min((x - w / 2 for x, w in zip(self.x, self._widths, strict=True)), default=0.0)
        self.x = [x - left for x in self.x]

    def _settle(self, row: Sequence[int], wanted: Sequence[float]) -> None:
        """The mean of two ways to keep boxes apart: pushing to the right, and pushing to the left."""
        apart = [(self._widths[a] + self._widths[b]) / 2 + BETWEEN for a, b in pairwise(row)]
        right, left = list(wanted), list(wanted)
        for k, space in enumerate(apart):
            right[k + 1] = max(right[k + 1], right[k] + space)
        for k in range(len(apart) - 1, -1, -1):
            left[k] = min(left[k], left[k + 1] - apart[k])
        for item, a, b in zip(row, right, left, strict=True):
            self.x[item] = (a + b) / 2

    def _stack(self, count: int) -> tuple[list[float], list[_Row]]:
        spans, top = [], 0.0
        for row in self._rows:
            bottom = top + max((self._heights[item] for item in row), default=0.0)
            spans.append(_Row(top, bottom))
            top = bottom + GAP
        return [(spans[k].top + spans[k].bottom) / 2 for k in self._layer[:count]], spans

    def paths(self) -> list[str]:
        """An SVG path for each edge: straight through layers, curved between them."""
        into = self._ports([chain[-1] for chain in self._chains], [chain[-2] for chain in self._chains], whole=True)
        out = self._ports([chain[0] for chain in self._chains], [chain[1] for chain in self._chains])
        found = []
        for chain, x, end in zip(self._chains, out, into, strict=True):
            b, y = chain[-1], self._spans[self._layer[chain[0]]].bottom
            path = [f"M{x:.1f},{y:.1f}"]
            if chain[0] < len(self.y):
                path = [f"M{x:.1f},{self.y[chain[0]] + self._heights[chain[0]] / 2:.1f} L{x:.1f},{y:.1f}"]
            for item in chain[1:]:
                span, to = self._spans[self._layer[item]], end if item == b else self.x[item]
                top = span.top - (HEAD if item == b else 0)  # straight where the head of the arrow is
                middle = (y + top) / 2
                path.append(f"C{x:.1f},{middle:.1f} {to:.1f},{middle:.1f} {to:.1f},{top:.1f}")
                x, y = to, span.bottom
                if item != b:
                    path.append(f"L{x:.1f},{y:.1f}")
            path.append(f"L{x:.1f},{self.y[b] - self._heights[b] / 2:.1f}")
            found.append(" ".join(path))
        return found

    def _ports(self, ends: Sequence[int], others: Sequence[int], whole: bool = False) -> list[float]:
        """Where edges touch a box: side by side, in the order of where they come from. At their source only edges to the
        same box need that, unless it is the ``whole`` box that is looked at."""
        groups: dict[tuple[int, int], list[int]] = {}
        for k, (end, other) in enumerate(zip(ends, others, strict=True)):
            groups.setdefault((end, -1 if whole else other), []).append(k)
        found = [0.0] * len(ends)
        for (end, _), members in groups.items():
            members.sort(key=lambda k: (self.x[others[k]], k))
            room = min(16.0, self._widths[end] * 0.7 / len(members)) if end < len(self.y) else 0.0
            for place, k in enumerate(members):
                found[k] = self.x[end] + (place - (len(members) - 1) / 2) * room
        return found
