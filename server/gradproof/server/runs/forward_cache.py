"""Saved runs: a cache of forward values that later runs of a session go backward from."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from gradproof.engine.engine import Forward
from gradproof.engine.errors import NotFound
from gradproof.server.limits import Limits


@dataclass
class _Entry:
    forward: Forward
    nbytes: int
    used: float


@dataclass
class ForwardCache:
    """Forward values of all sessions together, bounded in bytes and in number: the least recently used go first, and values
    that nobody used for ``limits.saved_seconds`` go too. Safe to use from several threads."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    _entries: OrderedDict[tuple[int, str], _Entry] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def held_bytes(self) -> int:
        """Bytes that are held. Values saved under two names count twice."""
        with self._lock:
            return self._held()

    def put(self, owner: int, name: str, forward: Forward) -> int:
        """Save values as ``name`` of ``owner``, in place of the values that had this name; make room for them. Returns
        their bytes, or 0 if they are more than may be held at all."""
        nbytes = forward.nbytes
        with self._lock:
            self._entries.pop((owner, name), None)
            if nbytes > self.limits.saved_bytes or not self.limits.session_saved_runs:
                return 0
            own = [key for key in self._entries if key[0] == owner]
            if len(own) >= self.limits.session_saved_runs > 0:
                del self._entries[own[0]]
            self._entries[owner, name] = _Entry(forward, nbytes, self.clock())
            while self._held() > self.limits.saved_bytes or len(self._entries) > self.limits.saved_runs:
                self._entries.popitem(last=False)
        return nbytes

    def get(self, owner: int, name: str) -> Forward:
        """The values saved as ``name`` of ``owner``, which become the most recently used. Raises NotFound."""
        self.expire()
        with self._lock:
            entry = self._entries.get((owner, name))
            if entry is None:
                raise NotFound("saved", name, "it was released, or others needed the room: send the graph and the values")
            entry.used = self.clock()
            self._entries.move_to_end((owner, name))
            return entry.forward

    def release(self, owner: int, name: str | None = None) -> None:
        """Free the values saved as ``name`` of ``owner``, or all values of ``owner``."""
        with self._lock:
            for key in [key for key in self._entries if key == (owner, name) or (name is None and key[0] == owner)]:
                del self._entries[key]

    def expire(self) -> float | None:
        """Free values that nobody used for long. Returns the seconds after which to look again, or None if nothing is
        left."""
        with self._lock:
            idle = self.clock() - self.limits.saved_seconds
            while self._entries:
                key, entry = next(iter(self._entries.items()))  # the least recently used comes first
                if entry.used > idle:
                    return entry.used - idle
                del self._entries[key]
        return None

    def _held(self) -> int:
        return sum(entry.nbytes for entry in self._entries.values())
