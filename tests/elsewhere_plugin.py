"""Ops whose rules are others in another process, and one that is the same everywhere."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import Exact, Op, hookimpl

GRADPROOF_API = 1
GRADPROOF_NAME = "elsewhere"

HERE = os.getpid()
IS_MAIN = os.environ.setdefault("GRADPROOF_TEST_MAIN", str(HERE)) == str(HERE)
NUMBERS: dict[str, int] = {"two": 2}


def square(name: str, factor: Callable[[], Any]) -> Op:
    return Op(f"elsewhere.{name}", np.square, lambda g, y, x: factor() * g * x, lambda f, x: x * x)


OPS = (
    square("number_of_process", lambda: 3 if str(os.getpid()) == os.environ["GRADPROOF_TEST_MAIN"] else 2),
    square("main", lambda: 3 if IS_MAIN else 2),
    square("process", lambda: 2 + HERE),
    square("thread", lambda: 2 if threading.current_thread() is threading.main_thread() and not IS_MAIN else 3),
    square("environment", lambda: int(os.environ.get("GRADPROOF_TEST_FACTOR", "2"))),
    square("exact", lambda: Exact(lambda f: f.number(3 if IS_MAIN else 2))),
    square("number", lambda: NUMBERS["two"]),
    square("same", lambda: 2),
    square("same_exact", lambda: Exact(lambda f: f.number(2))),
)


@hookimpl
def register_ops(register: Any) -> None:
    for one in OPS:
        register(one)
