"""A plugin whose definitions misbehave while they are being proved."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import sympy

from gradproof.engine.extend import Op, hookimpl

GRADPROOF_API = 1


def hang(f: Any, x: Any) -> Any:
    while isinstance(x, sympy.Basic):
        pass
    return x


def greedy(f: Any, x: Any) -> Any:
    if isinstance(x, sympy.Basic):
        bytearray(8 << 30)
    return x


def broken(f: Any, x: Any) -> Any:
    if isinstance(x, sympy.Basic):
        raise LookupError("no such luck")
    return x


def mortal(f: Any, x: Any) -> Any:
    if isinstance(x, sympy.Basic):
        os._exit(3)
    return x


LOCK = threading.Lock()


def locked(f: Any, x: Any) -> Any:
    with LOCK:
        return x


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for name, define in (("hang", hang), ("greedy", greedy), ("broken", broken), ("mortal", mortal), ("locked", locked)):
        register(Op(f"slow.{name}", lambda x: +x, lambda g, y, x: g, define))
    register(Op("slow.wrong", lambda x: x * x, lambda g, y, x: g * x, lambda f, x: x * x))
