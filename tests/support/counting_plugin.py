"""A plugin whose ops say when they run, and may be held: for tests of what still runs when nobody waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gradproof.engine.extend import Op, hookimpl, ops

GRADPROOF_API = 1

entered, released = threading.Event(), threading.Event()
counted: list[int] = []
act: list[Callable[[], None]] = []


def gate(x: Any) -> Any:
    """Held until it is released. NumPy's dtypes are asked with empty arrays."""
    if x.size:
        entered.set()
        released.wait(60)
    return +x


def count(x: Any) -> Any:
    if x.size:
        counted.append(x.size)
    return +x


def trigger(x: Any) -> Any:
    """Does what the test says."""
    if x.size:
        for one in act:
            one()
    return +x


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    def same(f: Any, x: Any) -> Any:
        return x

    def through(name: str) -> Callable[..., Any]:
        return lambda g, y, x: getattr(ops, f"counting.{name}")(g)

    register(Op("counting.gate", gate, lambda g, y, x: g, same))
    register(Op("counting.count", count, through("count"), same))
    register(Op("counting.trigger", trigger, lambda g, y, x: g, same))
    register(Op("counting.gate_behind", lambda x: +x, through("gate"), same))
    register(Op("counting.trigger_behind", lambda x: +x, through("trigger"), same))
