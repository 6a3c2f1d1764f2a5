"""The graphs that requests may name by their digest."""

import pytest

from gradproof.engine.errors import NotFound
from gradproof.engine.graph import Graph, Node
from gradproof.server.runs.graph_cache import GraphCache


def graph(nodes: int) -> Graph:
    """A chain, which counts two for each node."""
    return Graph((), tuple(Node("sin", (f"v{k}",), (f"v{k + 1}",)) for k in range(nodes)), (f"v{nodes}",))


def known(cache: GraphCache, digests: str) -> str:
    """The digests that are known, without using them."""
    return "".join(digest for digest in digests if digest in cache.digests())


def test_a_graph_is_found_until_the_cache_is_cleared() -> None:
    cache, one = GraphCache(), graph(1)
    cache.put("a", one)
    assert cache.get("a") is one
    cache.clear()
    with pytest.raises(NotFound, match="send the graph itself"):
        cache.get("a")


def test_the_least_recently_used_leaves() -> None:
    cache = GraphCache(max_graphs=2)
    cache.put("a", graph(1))
    cache.put("b", graph(1))
    cache.get("a")
    cache.put("c", graph(1))
    assert known(cache, "abc") == "ac"
    cache.put("a", graph(1))  # known, and used again
    cache.put("d", graph(1))
    assert known(cache, "abcd") == "ad"


def test_large_graphs_leave_sooner() -> None:
    """In number alone 1024 graphs of 100,000 nodes would be 40 GB."""
    cache = GraphCache(max_items=20)
    for name in "abcde":
        cache.put(name, graph(2))
    assert known(cache, "abcde") == "abcde"
    cache.put("f", graph(6))
    assert known(cache, "abcdef") == "def"
    cache.put("g", graph(50))
    assert known(cache, "abcdefg") == "g"  # the last one stays, however large
    cache.put("h", graph(2))
    assert known(cache, "gh") == "h"
