"""Folding: parts of a graph that repeat, such as the steps of a loop, become a box with a count.

Nodes that repeat in the order of the record, op by op and with the same shapes, are a run of parts. A run has the place of
a single node, so that edges still go down. Parts that are made of folded parts fold in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from gradproof.client.drawing.box import Box, Kind
from gradproof.client.events import Array

FEWEST: Final = 8
"""The fewest repetitions that are folded: less is quick to read."""

LONGEST: Final = 128
"""The most nodes of a part that is looked for."""

DEEPEST: Final = 4
"""How often parts of parts are folded."""

NAMES: Final = 4
"""The most ops that a folded box names on it; its title names all."""

Edge: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Draft:
    """A box that is not written yet. ``label`` is equal for boxes that look alike; ``shown``: it is never folded."""

    id: str
    kind: Kind
    label: Hashable
    lines: Callable[[], tuple[str, ...]]
    alarm: bool = False
    shown: bool = False

    def box(self) -> Box:
        """The box."""
        return Box(self.id, self.kind, self.lines(), self.alarm)


@dataclass(frozen=True)
class _Part:
    """Nodes from ``first`` to before ``end``, and the text for them. ``count``: how often they repeat, 1 for a node;
    ``inner``: the texts of a repetition."""

    first: int
    end: int
    text: str
    label: Hashable
    count: int = 1
    inner: tuple[str, ...] = ()


def folded(drafts: Sequence[Draft], edges: Sequence[Edge]) -> tuple[list[Box], list[Edge]]:
    """Boxes and edges, with a box for each run of parts that repeat."""
    nodes = [draft for draft in drafts if draft.kind == "op"]
    runs = [part for part in _parts(nodes, drafts, edges) if part.count > 1]
    if not runs:
        return [draft.box() for draft in drafts], list(edges)
    return _Folding(drafts, edges, nodes, runs).result()


class _Folding:
    """Replaces the boxes of runs. A value is hidden if only its own run uses it; many values of a kind beside a run become
    a single box."""

    def __init__(
        self, drafts: Sequence[Draft], edges: Sequence[Edge], nodes: Sequence[Draft], runs: Sequence[_Part]
    ) -> None:
        self._drafts, self._edges = drafts, edges
        self._place = {draft.id: float(k) for k, draft in enumerate(drafts)}
        self._run = {node.id: f"f{k}" for k, run in enumerate(runs) for node in nodes[run.first : run.end]}
        self._boxes: dict[str, tuple[float, Box]] = {}
        self._ends: dict[str, str] = {}
        self._made: dict[str, str] = {}  # the run that a box beside it comes from
        self._last = {f"f{k}": self._place[nodes[run.end - 1].id] for k, run in enumerate(runs)}
        for k, run in enumerate(runs):
            shown = (*run.inner[:NAMES], "…") if len(run.inner) > NAMES else run.inner
            total = f"{run.count} times, {run.end - run.first} nodes"
            self._boxes[f"f{k}"] = self._last[f"f{k}"], Box(f"f{k}", "fold", (total, *shown), title=run.text)

    def result(self) -> tuple[list[Box], list[Edge]]:
        """The boxes in order, and the edges between them."""
        for draft in self._drafts:
            if draft.kind == "op" and draft.id not in self._run:
                self._boxes[draft.id] = self._place[draft.id], draft.box()
            if draft.kind == "op":
                self._ends[draft.id] = self._run.get(draft.id, draft.id)
        self._values()
        ends = [(self._ends.get(a, ""), self._ends.get(b, "")) for a, b in self._edges]
        edges = [edge for edge in ends if all(edge) and edge[0] != edge[1] and edge[1] != self._made.get(edge[0])]
        merged = [edge if not self._is_merged(edge) else None for edge in edges]
        once = dict.fromkeys(edge for edge in edges if self._is_merged(edge))
        boxes = [box for _, box in sorted(self._boxes.values(), key=lambda entry: entry[0])]
        return boxes, [*(edge for edge in merged if edge is not None), *once]

    @staticmethod
    def _is_merged(edge: Edge) -> bool:
        """True for edges of a folded box, of which a single one is drawn."""
        return any(end[0] in "fg" for end in edge)

    def _values(self) -> None:
        """Place the values: hidden, in a group, or by themselves."""
        made: dict[str, str] = {}
        used: dict[str, set[str]] = {}
        for a, b in self._edges:
            if a in self._ends:
                made[b] = self._ends[a]
            else:
                used.setdefault(a, set()).add(self._ends[b])
        groups: dict[tuple[str, str, Kind], list[Draft]] = {}
        for draft in self._drafts:
            if draft.kind == "op":
                continue
            maker, users = made.get(draft.id, ""), used.get(draft.id, set())
            if not draft.shown and maker in self._last and users == {maker}:
                continue
            if not draft.shown and maker in self._last:
                groups.setdefault((maker, "out", draft.kind), []).append(draft)
            elif not draft.shown and not maker and len(users) == 1 and users <= self._last.keys():
                groups.setdefault((next(iter(users)), "in", draft.kind), []).append(draft)
            else:
                self._alone(draft, maker)
        for k, ((run, side, kind), members) in enumerate(groups.items()):
            if len(members) < FEWEST:
                for draft in members:
                    self._alone(draft, run if side == "out" else "")
                continue
            place = max(self._place[draft.id] for draft in members)
            noun = {"leaf": "leaves", "constant": "constants"}.get(kind, "values")
            group = Box(f"g{k}", kind, (f"{len(members)} {noun}",))
            self._boxes[group.id] = (place if side == "in" else max(place, self._last[run] + 0.5)), group
            self._ends |= dict.fromkeys((draft.id for draft in members), group.id)
            self._made[group.id] = run if side == "out" else ""

    def _alone(self, draft: Draft, maker: str) -> None:
        place = max(self._place[draft.id], self._last.get(maker, -1.0) + 0.5)
        self._boxes[draft.id] = place, draft.box()
        self._ends[draft.id] = draft.id
        self._made[draft.id] = maker if maker in self._last else ""


def _parts(nodes: Sequence[Draft], drafts: Sequence[Draft], edges: Sequence[Edge]) -> list[_Part]:
    """The nodes as parts in their order; runs of parts that repeat are a part with a count."""
    values = {draft.id: draft for draft in drafts if draft.kind != "op"}
    made: dict[str, list[Hashable]] = {node.id: [] for node in nodes}
    for a, b in edges:
        if a in made:
            made[a].append((values[b].kind, values[b].label))
    parts = [_Part(k, k + 1, str(node.label), (node.label, tuple(made[node.id]))) for k, node in enumerate(nodes)]
    for _ in range(DEEPEST):
        numbers: dict[Hashable, int] = {}
        labels = np.array([numbers.setdefault(part.label, len(numbers)) for part in parts], np.int64)
        runs = _repeats(labels)
        if not runs:
            break
        parts = _merged(parts, runs)
    return parts


def _merged(parts: Sequence[_Part], runs: Sequence[tuple[int, int, int]]) -> list[_Part]:
    """The parts, with a part for each run (start, length of a repetition, count)."""
    merged, done = list[_Part](), 0
    for start, period, count in runs:
        merged += parts[done:start]
        done = start + period * count
        inner = parts[start : start + period]
        texts = _texts(inner)
        label = (count, tuple(part.label for part in inner))
        merged.append(
            _Part(parts[start].first, parts[done - 1].end, f"{count} × ({', '.join(texts)})", label, count, texts)
        )
    return [*merged, *parts[done:]]


def _texts(parts: Sequence[_Part]) -> tuple[str, ...]:
    """The texts of parts, with counts where they repeat."""
    numbers: dict[Hashable, int] = {}
    labels = np.array([numbers.setdefault(part.label, len(numbers)) for part in parts], np.int64)
    return tuple(part.text for part in _merged(parts, _repeats(labels)))


def _repeats(labels: Array) -> list[tuple[int, int, int]]:
    """Runs of equal parts, each as its start, the length of a part and the count, which do not overlap. Of several runs
    from the same start the longest is taken."""
    covered, best = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64)
    for period in range(1, min(LONGEST, len(labels) // FEWEST) + 1):
        equal = labels[:-period] == labels[period:]
        places = np.arange(len(equal))
        ends = np.where(equal, len(equal), places)
        count = (np.minimum.accumulate(ends[::-1])[::-1] - places) // period + 1
        cover = np.where(count >= FEWEST, count * period, 0)
        better = np.flatnonzero(cover > covered[: len(cover)])
        covered[better], best[better] = cover[better], period
    runs, start = [], 0
    starts = np.flatnonzero(covered)
    while (k := int(np.searchsorted(starts, start))) < len(starts):
        first = int(starts[k])
        runs.append((first, int(best[first]), int(covered[first] // best[first])))
        start = first + int(covered[first])
    return runs
