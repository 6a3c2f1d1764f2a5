"""A cache of the graphs that requests may name by digest, bounded in number and in size."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from gradproof.engine.cancellation import watched
from gradproof.engine.errors import NotFound
from gradproof.engine.graph import Graph

MAX_GRAPHS = 1024
MAX_ITEMS = 2_000_000
"""Nodes, their inputs, leaves and rules of all graphs together. Each takes about 0.2 KB."""


class GraphCache:
    """Graphs by digest. The least recently used leave where there are more than ``max_graphs``, or where all together have
    more than ``max_items``; the last graph stays. Safe to use from several threads."""

    def __init__(self, max_graphs: int = MAX_GRAPHS, max_items: int = MAX_ITEMS) -> None:
        self.max_graphs, self.max_items = max_graphs, max_items
        self._graphs: OrderedDict[str, tuple[Graph, int]] = OrderedDict()
        self._items = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._graphs)

    def get(self, digest: str) -> Graph:
        """The graph of this digest, which becomes the most recently used. Raises NotFound."""
        with self._lock:
            entry = self._graphs.get(digest)
            if entry is None:
                raise NotFound("graph", digest, "send the graph itself; the answer has its digest")
            self._graphs.move_to_end(digest)
            return entry[0]

    def put(self, digest: str, graph: Graph) -> None:
        """Add a graph, unless it is known."""
        with self._lock:
            if digest in self._graphs:
                self._graphs.move_to_end(digest)
                return
        items = _items(graph)
        with self._lock:
            _, previous = self._graphs.pop(digest, (graph, 0))
            self._graphs[digest] = graph, items
            self._items += items - previous
            while len(self._graphs) > max(1, self.max_graphs) or (self._items > self.max_items and len(self._graphs) > 1):
                _, (_, fewer) = self._graphs.popitem(last=False)
                self._items -= fewer

    def clear(self) -> None:
        """Remove all graphs."""
        with self._lock:
            self._graphs.clear()
            self._items = 0


def _items(graph: Graph) -> int:
    edges = sum(len(node.inputs) for node in watched(graph.nodes))
    return len(graph.nodes) + edges + len(graph.leaves) + len(graph.rules)
