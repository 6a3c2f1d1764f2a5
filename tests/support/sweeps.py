"""Sweeps over all ops, thinned: `make test` takes a share of the items for each op, and `make check` all of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from typing import TypeVar
from zlib import crc32

import pytest

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


def left_out(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items of tests marked ``sweep(of=...)`` that are not in the `share` of their test. A test that has several items
    for an op has a share of the items of each, unless it is marked ``by_op=False``."""
    tests: dict[str, dict[str, list[pytest.Item]]] = {}
    for item in items:
        if item.get_closest_marker("sweep"):
            op = getattr(getattr(item, "callspec", None), "params", {}).get("op", "")
            test = tests.setdefault(item.nodeid.partition("[")[0], {})
            test.setdefault(str(getattr(op, "name", op)), []).append(item)
    out: list[pytest.Item] = []
    for name, by_op in tests.items():
        mark = next(iter(by_op.values()))[0].get_closest_marker("sweep")
        assert mark is not None
        several = mark.kwargs.get("by_op", True) and any(len(group) > 1 for group in by_op.values())
        for op, group in (by_op if several else {"": [*chain(*by_op.values())]}).items():
            kept = set(share(group, f"{name} {op}", mark.kwargs["of"]))
            out += [item for item in group if item not in kept]
    return out


def draws(count: int, name: str, of: int) -> int:
    """The number of draws for an op: as many as items in their `share`."""
    return len(share(range(count), name, of))
