"""A plugin that passes every check at the door and misbehaves afterwards: what a server must survive."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import NamedHook, Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "faulty"

entered, released = threading.Event(), threading.Event()


def explode(x: Any) -> Any:
    """NumPy's dtypes are asked with empty arrays; anything else goes up."""
    if x.size:
        raise OSError("the disk is on fire")
    return +x


def lie(x: Any) -> Any:
    return x[:-1] if x.size > 1 else +x


def wait(x: Any) -> Any:
    """Runs until the test lets it go on."""
    if x.size:
        entered.set()
        released.wait(60)
    return +x


def misshapen(g: Any, y: Any, x: Any) -> Any:
    """Right where it is proved, and of another rank at the shape of a live graph."""
    return ops.reshape(g, shape=(2, 2)) if x.shape == (4,) else g


def refuse(gradient: Any) -> Any:
    raise ValueError("not today")


def grow(gradient: Any) -> Any:
    return np.append(gradient, 0.0)


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    def same(f: Any, x: Any) -> Any:
        return x

    register(Op("faulty.explode", explode, lambda g, y, x: g, same))
    register(Op("faulty.lie", lie, lambda g, y, x: g, same))
    register(Op("faulty.wait", wait, lambda g, y, x: g, same))
    register(Op("faulty.misshapen", lambda x: +x, misshapen, same))


@hookimpl
def register_hooks(register: Callable[[NamedHook], None]) -> None:
    register(NamedHook("faulty.refuse", refuse, "raises"))
    register(NamedHook("faulty.grow", grow, "one element too many"))
