"""Memory that this process shares with workers: made once, and used again for run after run.

A page of new memory costs more than ten times the copy that fills it. So a region that a run has let go of keeps its pages,
and its number, by which workers that have mapped it know it again.
"""

from __future__ import annotations

import itertools
import mmap
import os
import time
from dataclasses import dataclass, field
from threading import Lock

from gradproof.engine.verify.processes.spawner import shared

MOST_IDLE_BYTES = 256 << 20
STEPS = 4
"""Sizes of regions to a power of two: a quarter is wasted at most."""

_numbers = itertools.count()


@dataclass
class Region:
    """An open file of ``size`` bytes in memory, mapped here as ``memory``; ``number`` is that of no other region."""

    size: int
    handle: int = field(init=False)
    memory: mmap.mmap = field(init=False, repr=False)
    number: int = field(default_factory=lambda: next(_numbers))
    idle_since: float = 0.0

    def __post_init__(self) -> None:
        self.handle = shared(self.size)
        try:
            self.memory = mmap.mmap(self.handle, self.size)
        except BaseException:
            os.close(self.handle)
            raise

    def close(self) -> None:
        """Give its memory back to the system, whoever has it mapped."""
        self.memory.close()
        os.ftruncate(self.handle, 0)
        os.close(self.handle)


class SharedMemory:
    """The regions of one process, ``most_idle_bytes`` of them kept for later. Safe to use from several threads."""

    def __init__(self, most_idle_bytes: int = MOST_IDLE_BYTES) -> None:
        self.most_idle_bytes = most_idle_bytes
        self._idle: list[Region] = []
        self._lock = Lock()
        self._closed = False

    @property
    def idle_bytes(self) -> int:
        """Bytes of regions that nobody uses."""
        return sum(region.size for region in self._idle)

    def take(self, size: int) -> Region:
        """A region of at least ``size`` bytes, whatever is in it; to be given back. Raises OSError, MemoryError."""
        size = rounded_up(size)
        with self._lock:
            for region in self._idle:
                if region.size == size:
                    self._idle.remove(region)
                    return region
        return Region(size)

    def give_back(self, region: Region) -> None:
        """Let go of a region that no worker reads any more."""
        with self._lock:
            region.idle_since = time.monotonic()
            self._idle.insert(0, region)
            excess = self._excess()
        for old in excess:
            old.close()

    def _excess(self) -> list[Region]:
        """Take out the regions that are too many, those first that were used least lately."""
        kept, size = [], 0
        for region in self._idle:
            size += region.size
            if self._closed or size > self.most_idle_bytes:
                size -= region.size
            else:
                kept.append(region)
        gone = [region for region in self._idle if region not in kept]
        self._idle = kept
        return gone

    def trim(self, seconds: float) -> None:
        """Give back to the system what was not used for ``seconds``."""
        with self._lock:
            old = [region for region in self._idle if time.monotonic() - region.idle_since >= seconds]
            self._idle = [region for region in self._idle if region not in old]
        for region in old:
            region.close()

    def close(self) -> None:
        """Give all back, and what comes back later."""
        with self._lock:
            self._closed = True
            gone = self._excess()
        for region in gone:
            region.close()


def rounded_up(size: int) -> int:
    """The next size of a region: of pages, and of four steps to a power of two."""
    step = max(mmap.PAGESIZE, 1 << max(0, (size - 1).bit_length() - STEPS.bit_length()))
    return -(-size // step) * step
