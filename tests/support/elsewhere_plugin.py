"""Ops whose rules are others in another process, and one that is the same everywhere."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import NO_GRADIENT, Exact, Inferred, Op, Spec, case, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "elsewhere"

HERE = os.getpid()
IS_MAIN = os.environ.setdefault("GRADPROOF_TEST_MAIN", str(HERE)) == str(HERE)
NUMBERS: dict[str, int] = {"two": 2}


def square(name: str, factor: Callable[[], Any]) -> Op:
    return Op(f"elsewhere.{name}", np.square, lambda g, y, x: factor() * g * x, lambda f, x: x * x)


def mirrored(name: str, rule: Callable[[Any], Any]) -> Op:
    """The elements in the opposite order: no elementwise op, so that large arrays are enclosed through its rule."""
    return Op(
        f"elsewhere.{name}",
        lambda x: np.flip(x, 0),
        lambda g, y, x: rule(ops.flip(g, axis=0)),
        lambda f, i, x: x[(x.shape[0] - 1 - i[0],)],
        lambda x: Inferred((Spec(x.shape, x.dtype),), {}),
        (case((3,)),),
        arrays=lambda f, x: f.moved(np.flip, x, axis=0),
    )


OPS = (
    square("number_of_process", lambda: 3 if str(os.getpid()) == os.environ["GRADPROOF_TEST_MAIN"] else 2),
    square("main", lambda: 3 if IS_MAIN else 2),
    square("process", lambda: 2 + HERE),
    square("thread", lambda: 2 if threading.current_thread() is threading.main_thread() and not IS_MAIN else 3),
    square("environment", lambda: int(os.environ.get("GRADPROOF_TEST_FACTOR", "2"))),
    square("exact", lambda: Exact(lambda f: f.number(3 if IS_MAIN else 2))),
    square("number", lambda: NUMBERS["two"]),
    mirrored("mirror", lambda g: g if IS_MAIN else 2 * g),
    mirrored("mirror_in_two_steps", lambda g: g if IS_MAIN else 2 * g * 0.5),
    mirrored("mirror_twofold", lambda g: 2 * g if IS_MAIN else g),
    mirrored("mirror_denied", lambda g: NO_GRADIENT if IS_MAIN else g),
    mirrored("mirror_broken", lambda g: g if IS_MAIN or g.shape[0] < 100 else g.nothing),
    mirrored("mirror_everywhere", lambda g: g),
    square("same", lambda: 2),
    square("same_exact", lambda: Exact(lambda f: f.number(2))),
)


@hookimpl
def register_ops(register: Any) -> None:
    for one in OPS:
        register(one)
