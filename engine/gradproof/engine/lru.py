"""Least recently used cache (cachetools) with several bounds, on sizes that may change while an entry is kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

import cachetools

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bound(NamedTuple, Generic[V]):
    """The sizes of all entries together are at most ``most``."""

    size: Callable[[V], int]
    most: int


class LRUCache(Generic[K, V]):
    """A thread-safe mapping that drops the entries used least recently, where there are more than ``most`` or a `Bound` is
    exceeded. The most recently used stays, however large it is."""

    def __init__(self, most: int, *bounds: Bound[V]) -> None:
        self.bounds = bounds
        self._entries: cachetools.LRUCache[K, V] = cachetools.LRUCache(max(1, most))
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[K]:
        """The keys, from the least to the most recently used."""
        return iter(list(self._entries))

    def values(self) -> list[V]:
        """The entries, in the order of their keys; this does not count as a use."""
        with self._lock:
            return self._peek()

    def _peek(self) -> list[V]:
        return [cachetools.Cache.__getitem__(self._entries, key) for key in self._entries]  # `LRUCache` notes each use

    def get(self, key: K) -> V | None:
        """The entry of a key, which is now the most recently used; None if there is none."""
        with self._lock:
            return self._entries.get(key)

    def setdefault(self, key: K, entry: V) -> V:
        """The entry of a key, which is ``entry`` if there was none, and is now the most recently used."""
        with self._lock:
            return self._entries.setdefault(key, entry)

    def put(self, key: K, entry: V) -> V:
        """Keep an entry, in the place of an earlier entry, and `trim`. Returns it."""
        with self._lock:
            self._entries[key] = entry
        self.trim()
        return entry

    def clear(self) -> None:
        """Drop all entries."""
        with self._lock:
            self._entries.clear()

    def trim(self) -> None:
        """Drop entries until all bounds hold, or a single entry is left."""
        if not self.bounds:
            return
        with self._lock:
            entries = self._peek()
            sizes = [sum(map(bound.size, entries)) for bound in self.bounds]
            while len(self._entries) > 1 and any(size > bound.most for size, bound in zip(sizes, self.bounds, strict=True)):
                _, dropped = self._entries.popitem()
                sizes = [size - bound.size(dropped) for size, bound in zip(sizes, self.bounds, strict=True)]
