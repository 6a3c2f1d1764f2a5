"""The heap of a worker: memory that arrays come from, and go back to.

A page that is new costs more than what is computed in it. So a worker keeps what its arrays have freed while it is at work,
and gives it back to the system when nothing has been asked of it for a while. Only glibc can be told so.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 256 << 20
LARGE_BYTES = 32 << 20
"""An array of so many has pages of its own: more cannot be asked of glibc."""


def keep_freed() -> None:
    """Keep what is freed, up to `KEPT_BYTES` at the end of the heap."""
    if (mallopt := glibc("mallopt")) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back() -> None:
    """Give what is free back to the system."""
    if (trim := glibc("malloc_trim")) is not None:
        trim(0)


def glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """A function of the C library, None where that is another one."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
