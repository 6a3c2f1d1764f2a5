"""A plugin whose functions raise errors that are meant to end a process, a task or a generator, each in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import Inferred, NamedHook, Op, case, hookimpl, ops

GRADPROOF_API = 1
PLACES = ("forward", "infer", "rule", "define")


class Own(BaseException):
    """No Exception, and of no known kind."""


class Silent(Exception):
    def __str__(self) -> str:
        raise SystemExit("asked for its text")


def deep() -> None:
    deep()


ERRORS: dict[str, Callable[[], BaseException]] = {
    "lookup": lambda: LookupError("no"),
    "exit": lambda: SystemExit(3),
    "interrupt": lambda: KeyboardInterrupt("no"),
    "generator": lambda: GeneratorExit("no"),
    "task": lambda: asyncio.CancelledError("no"),
    "stop": lambda: StopIteration("no"),
    "stop_async": lambda: StopAsyncIteration("no"),
    "memory": lambda: MemoryError("no"),
    "connection": lambda: ConnectionResetError("no"),
    "own": lambda: Own("no"),
    "silent": Silent,
}


def fail(kind: str) -> None:
    if kind == "recursion":
        deep()
    if kind:
        raise ERRORS[kind]()


def op(place: str) -> Op:
    def at(where: str, kind: str) -> None:
        if where == place:
            fail(kind)

    def forward(x: Any, *, kind: str) -> Any:
        at("forward", kind)
        return x * x

    def infer(x: Any, *, kind: str = "") -> Inferred:
        at("infer", kind)
        return Inferred((x,), {"kind": kind})

    def rule(g: Any, y: Any, x: Any, *, kind: str) -> Any:
        at("rule", kind)
        return ops.multiply(g, x) * 2

    def define(f: Any, i: Any, x: Any, *, kind: str) -> Any:
        at("define", kind)
        return x[i] * x[i]

    return Op(f"exiting.{place}", forward, rule, define, infer, (case((3,), kind=""),))


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for place in PLACES:
        register(op(place))


@hookimpl
def register_hooks(register: Callable[[NamedHook], None]) -> None:
    def leave(gradient: Any, *, kind: str) -> Any:
        fail(kind)
        return np.asarray(gradient)

    register(NamedHook("exiting.leave", leave))
