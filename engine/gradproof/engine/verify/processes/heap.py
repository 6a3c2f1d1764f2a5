"""Heap of a worker: keeps memory that arrays have freed while it is busy, and returns it to the system when idle.

A new page costs more than the computation of its content. Only glibc has these settings.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 256 << 20
LARGE_BYTES = 32 << 20
"""Size from which an array has its own pages; the largest value that glibc accepts."""


def keep_freed() -> None:
    """Keep up to `KEPT_BYTES` of freed memory at the end of the heap."""
    if (mallopt := glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Return free memory to the system."""
    if (trim := glibc("malloc_trim")) is not None:
        trim(0)


def glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """A function of the C library; None on other C libraries."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
