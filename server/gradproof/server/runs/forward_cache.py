"""Kept runs: forward values that sessions may go backward from again. A cache: what is gone can be computed anew."""

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
    """Forward values of all sessions together, bounded in bytes and in number: the least recently used go first, and all
    go that nobody used for ``limits.kept_seconds``. Safe to use from several threads."""

    limits: Limits
    clock: Callable[[], float] = time.monotonic
    _entries: OrderedDict[tuple[int, str], _Entry] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def held_bytes(self) -> int:
        """Bytes that are held. Values kept under two names count twice."""
        with self._lock:
            return self._held()

    def put(self, owner: int, name: str, forward: Forward) -> int:
        """Keep values as ``name`` of ``owner``, in place of what had that name; make room for them. Returns their bytes,
        or 0 if they are more than may be held at all."""
        nbytes = forward.nbytes
        with self._lock:
            self._entries.pop((owner, name), None)
            if nbytes > self.limits.kept_bytes or not self.limits.session_kept_runs:
                return 0
            own = [key for key in self._entries if key[0] == owner]
            if len(own) >= self.limits.session_kept_runs > 0:
                del self._entries[own[0]]
            self._entries[owner, name] = _Entry(forward, nbytes, self.clock())
            while self._held() > self.limits.kept_bytes or len(self._entries) > self.limits.kept_runs:
                self._entries.popitem(last=False)
        return nbytes

    def get(self, owner: int, name: str) -> Forward:
        """The values kept as ``name`` of ``owner``, which are used now. Raises NotFound."""
        self.expire()
        with self._lock:
            entry = self._entries.get((owner, name))
            if entry is None:
                raise NotFound("kept", name, "it was released, or others needed the room: send the graph and the values")
            entry.used = self.clock()
            self._entries.move_to_end((owner, name))
            return entry.forward

    def release(self, owner: int, name: str | None = None) -> None:
        """Free what ``owner`` keeps as ``name``, or all that it keeps."""
        with self._lock:
            for key in [key for key in self._entries if key == (owner, name) or (name is None and key[0] == owner)]:
                del self._entries[key]

    def expire(self) -> float | None:
        """Free what nobody used for long. Returns after how many seconds to look again, or None if nothing is left."""
        with self._lock:
            idle = self.clock() - self.limits.kept_seconds
            while self._entries:
                key, entry = next(iter(self._entries.items()))  # the least recently used comes first
                if entry.used > idle:
                    return entry.used - idle
                del self._entries[key]
        return None

    def _held(self) -> int:
        return sum(entry.nbytes for entry in self._entries.values())
