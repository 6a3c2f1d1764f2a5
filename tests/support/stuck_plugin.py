"""A plugin whose definitions do not end, or end badly, in one reading each, while its ops are computed as any others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import Inferred, Op, Spec, case, hookimpl

GRADPROOF_API = 1
MARK = "started by a definition"

NUMBERS = ("Balls", "Tape", "Bounded")
READINGS = {
    "symbols": ("Symbolic",),
    "numbers": NUMBERS,
    "series": ("Series",),
    "everything": (*NUMBERS, "Symbolic", "Series"),
}


def hang() -> None:
    while True:
        pass


def hang_in_c() -> None:
    pow(3, 10**9)  # one call, which no signal and no other thread interrupts


def eat() -> None:
    bytearray(8 << 30)


def die() -> None:
    os._exit(3)


def refuse() -> None:
    raise LookupError("no such luck")


def start() -> None:
    """Start a process that outlives this one, and wait for nothing."""
    subprocess.Popen([sys.executable, "-c", f"import time\ntime.sleep(600)  # {MARK}"])
    hang()


DEEDS = {"start": start, "hang": hang, "hang_in_c": hang_in_c, "eat": eat, "die": die, "refuse": refuse}


def squared(readings: tuple[str, ...], deed: Callable[[], None]) -> Callable[..., Any]:
    """x², but for what it does in some readings."""

    def define(f: Any, x: Any) -> Any:
        if type(f).__name__ in readings:
            deed()
        return x * x

    return define


def define_total(f: Any, index: Any, x: Any) -> Any:
    if type(f).__name__ != "Symbolic":
        hang()
    return f.total(x.flat)


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for where, readings in READINGS.items():
        for name, deed in DEEDS.items():
            define = squared(readings, deed)
            register(Op(f"stuck.{name}_{where}", lambda x: x * x, lambda g, y, x: 2 * g * x, define))
    register(
        Op(
            "stuck.total",
            lambda x: np.asarray(np.sum(x), x.dtype),
            lambda g, y, x: g + 0 * x,
            define_total,
            lambda x: Inferred((Spec((), x.dtype),)),
            (case((3,)),),
        )
    )
