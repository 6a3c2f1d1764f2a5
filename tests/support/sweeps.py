"""Sweeps over all ops, thinned: `make test` takes a share of the items for each op, and `make check` all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

WHOLE = bool(os.environ.get("CHECK_SWEEPS"))
T = TypeVar("T")


def share(items: Sequence[T], name: str, of: int) -> Sequence[T]:
    """One in ``of`` of the items, and at least one of each stretch of so many: where in it depends on ``name``, so that
    ops share the items among them, and each op meets the same items in each run."""
    if WHOLE:
        return items
    return [
        items[min(start + crc32(f"{name} {start}".encode()) % of, len(items) - 1)] for start in range(0, len(items), of)
    ]


def draws(count: int, name: str, of: int) -> int:
    """The number of draws for an op: as many as items in their `share`."""
    return len(share(range(count), name, of))
