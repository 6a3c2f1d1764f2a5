"""The cache of the least recently used."""

from __future__ import annotations

from gradproof.engine.lru import Bound, LRUCache


def test_the_least_recently_used_is_dropped() -> None:
    cache: LRUCache[str, int] = LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert list(cache) == ["a", "c"]
    assert cache.get("b") is None
    assert len(cache) == 2


def test_looking_at_all_values_is_no_use() -> None:
    cache: LRUCache[str, int] = LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.values() == [1, 2]
    assert list(cache) == ["a", "b"]


def test_sizes_are_bounded_and_the_last_stays() -> None:
    cache: LRUCache[str, list[int]] = LRUCache(10, Bound(len, 5), Bound(sum, 100))
    cache.put("long", [0] * 3)
    cache.put("short", [1])
    assert cache.put("large", [101]) == [101]
    assert list(cache) == ["large"]


def test_an_entry_that_grew_counts_as_it_is_now() -> None:
    cache: LRUCache[str, list[int]] = LRUCache(10, Bound(len, 5))
    grown = cache.put("a", [])
    cache.put("b", [])
    grown += [0] * 6
    cache.trim()
    assert list(cache) == ["b"]


def test_an_entry_replaces_that_of_its_key() -> None:
    cache: LRUCache[str, int] = LRUCache(2)
    assert cache.setdefault("a", 1) == 1
    assert cache.setdefault("a", 2) == 1
    assert cache.put("a", 3) == cache.get("a") == 3
