"""Shared memory for the values of runs, reused from run to run.

A page of new memory costs more than ten times the copy that fills it. A released region keeps its pages and its number,
by which workers recognise a region that they have mapped.
"""

from __future__ import annotations

import itertools
import mmap
import os
import time
from dataclasses import dataclass, field
from threading import Lock

from gradproof.engine.verify.processes.spawner import anonymous_file

MOST_IDLE_BYTES = 256 << 20
STEPS = 4
"""Region sizes per power of two; at most a quarter is wasted."""

_numbers = itertools.count()


@dataclass
class Region:
    """A mapped file of ``size`` bytes in memory. ``number`` is unique in this process."""

    size: int
    handle: int = field(init=False)
    memory: mmap.mmap = field(init=False, repr=False)
    number: int = field(default_factory=lambda: next(_numbers))
    idle_since: float = 0.0

    def __post_init__(self) -> None:
        self.handle = anonymous_file(self.size)
        try:
            self.memory = mmap.mmap(self.handle, self.size)
        except BaseException:
            os.close(self.handle)
            raise

    def close(self) -> None:
        """Return the memory to the system, even if workers have mapped it."""
        self.memory.close()
        os.ftruncate(self.handle, 0)
        os.close(self.handle)


class SharedMemory:
    """Regions of a process; up to ``most_idle_bytes`` of idle regions are kept. Thread-safe."""

    def __init__(self, most_idle_bytes: int = MOST_IDLE_BYTES) -> None:
        self.most_idle_bytes = most_idle_bytes
        self._idle: list[Region] = []
        self._lock = Lock()
        self._closed = False

    @property
    def idle_bytes(self) -> int:
        """Total size of idle regions."""
        return sum(region.size for region in self._idle)

    def take(self, size: int) -> Region:
        """A region of at least ``size`` bytes with arbitrary content; the caller gives it back. Raises OSError,
        MemoryError."""
        size = rounded_up(size)
        with self._lock:
            for region in self._idle:
                if region.size == size:
                    self._idle.remove(region)
                    return region
        return Region(size)

    def give_back(self, region: Region) -> None:
        """Take back a region that no worker reads any more."""
        with self._lock:
            region.idle_since = time.monotonic()
            self._idle.insert(0, region)
            excess = self._excess()
        for old in excess:
            old.close()

    def _excess(self) -> list[Region]:
        """Remove the regions beyond the limit, the least recently used first."""
        retained, size = [], 0
        for region in self._idle:
            size += region.size
            if self._closed or size > self.most_idle_bytes:
                size -= region.size
            else:
                retained.append(region)
        gone = [region for region in self._idle if region not in retained]
        self._idle = retained
        return gone

    def trim(self, seconds: float) -> None:
        """Return regions to the system that were idle for ``seconds``."""
        with self._lock:
            old = [region for region in self._idle if time.monotonic() - region.idle_since >= seconds]
            self._idle = [region for region in self._idle if region not in old]
        for region in old:
            region.close()

    def close(self) -> None:
        """Return all regions to the system, including those that are given back later."""
        with self._lock:
            self._closed = True
            gone = self._excess()
        for region in gone:
            region.close()


def rounded_up(size: int) -> int:
    """Next region size: a multiple of the page size, with `STEPS` sizes per power of two."""
    step = max(mmap.PAGESIZE, 1 << max(0, (size - 1).bit_length() - STEPS.bit_length()))
    return -(-size // step) * step
