"""A cache of the graphs that requests may name by digest, bounded in number and in size."""

from __future__ import annotations

from typing import NamedTuple

from gradproof.engine.cancellation import watched
from gradproof.engine.errors import NotFound
from gradproof.engine.graph import Graph
from gradproof.engine.lru import Bound, LRUCache

MAX_GRAPHS = 1024
MAX_ITEMS = 2_000_000
"""Nodes, their inputs, leaves and rules of all graphs together. Each takes about 0.2 KB."""


class _Entry(NamedTuple):
    graph: Graph
    items: int


class GraphCache:
    """Graphs by digest. The least recently used leave where there are more than ``max_graphs``, or where all together have
    more than ``max_items``; the last graph stays. Safe to use from several threads."""

    def __init__(self, max_graphs: int = MAX_GRAPHS, max_items: int = MAX_ITEMS) -> None:
        self._entries: LRUCache[str, _Entry] = LRUCache(max_graphs, Bound(lambda entry: entry.items, max_items))

    def __len__(self) -> int:
        return len(self._entries)

    def digests(self) -> list[str]:
        """The digests of the graphs, from the least to the most recently used."""
        return list(self._entries)

    def get(self, digest: str) -> Graph:
        """The graph of this digest, which becomes the most recently used. Raises NotFound."""
        entry = self._entries.get(digest)
        if entry is None:
            raise NotFound("graph", digest, "send the graph itself; the answer has its digest")
        return entry.graph

    def knows(self, digest: str) -> bool:
        """True if there is a graph of this digest, which becomes the most recently used."""
        return self._entries.get(digest) is not None

    def put(self, digest: str, graph: Graph) -> None:
        """Add a graph, unless it is known."""
        if self._entries.get(digest) is None:
            self._entries.put(digest, _Entry(graph, _items(graph)))

    def clear(self) -> None:
        """Remove all graphs."""
        self._entries.clear()


def _items(graph: Graph) -> int:
    edges = sum(len(node.inputs) for node in watched(graph.nodes))
    return len(graph.nodes) + edges + len(graph.leaves) + len(graph.rules)
