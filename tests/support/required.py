"""Calls of ops with no more attributes than they need."""

from __future__ import annotations

from typing import Any

from gradproof.engine.op import REQUIRED, Op


def required(op: Op) -> dict[str, Any]:
    """The attributes of an op that have no default, as in its first case."""
    names = [name for name, value in op.attributes.items() if value is REQUIRED]
    return {name: op.declared_cases()[0].attributes[name] for name in names}
