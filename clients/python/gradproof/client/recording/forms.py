"""Forms of graphs that were sent, by their keys, so that the next graph of the same form is not built again."""

from __future__ import annotations

from collections.abc import Hashable
from threading import RLock
from typing import Any, Final

MAX_NODES: Final = 1 << 17
"""The most nodes of all forms together."""

MAX_MET: Final = 1 << 10
"""The most keys that are known to have been met."""


class Met:
    """Keys that were met, by their hashes; the oldest are forgotten.

    Args:
        most: how many are known.
    """

    def __init__(self, most: int) -> None:
        self._most, self._codes = most, dict[int, None]()
        self._lock = RLock()

    def again(self, key: Hashable) -> bool:
        """True if such a key was met before; it is from now on."""
        code = hash(key)
        with self._lock:
            if code in self._codes:
                return True
            while len(self._codes) >= self._most:
                del self._codes[next(iter(self._codes))]
            self._codes[code] = None
            return False


class Forms:
    """A memory of forms, of which the oldest are forgotten. A key that was met once only is not remembered itself."""

    def __init__(self) -> None:
        self._forms: dict[Hashable, tuple[Any, int]] = {}
        self._met = Met(MAX_MET)
        self._nodes = 0
        self._lock = RLock()

    def __len__(self) -> int:
        return len(self._forms)

    def get(self, key: Hashable) -> Any:
        """The form with this key, or None."""
        entry = self._forms.get(key)
        return None if entry is None else entry[0]

    def met(self, key: Hashable) -> bool:
        """True if such a key was met before; it is from now on."""
        return self._met.again(key)

    def remember(self, key: Hashable, form: Any, nodes: int) -> None:
        """Remember a form of so many nodes; none that is larger than all that may be remembered."""
        if nodes > MAX_NODES:
            return
        with self._lock:
            self._forget(key)
            self._forms[key] = form, nodes
            self._nodes += nodes
            while self._nodes > MAX_NODES:
                self._forget(next(iter(self._forms)))

    def _forget(self, key: Hashable) -> None:
        _, nodes = self._forms.pop(key, (None, 0))
        self._nodes -= nodes
