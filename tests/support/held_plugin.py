"""A plugin with ops that never come back: asleep, and with the interpreter in their hands."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from gradproof.engine.extend import Op, hookimpl

GRADPROOF_API = 1


def asleep(x: Any) -> Any:
    if x.size:
        threading.Event().wait()
    return +x


def grasping(x: Any) -> Any:
    """A match that takes for ever, and lets no other thread run. NumPy's dtypes are asked with empty arrays."""
    if x.size:
        re.match("(a+)+$", "a" * 64 + "b")
    return +x


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for name, forward in (("asleep", asleep), ("grasping", grasping)):
        register(Op(f"held.{name}", forward, lambda g, y, x: g, lambda f, x: x))
