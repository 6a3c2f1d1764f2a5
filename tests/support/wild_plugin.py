"""A plugin whose definitions do to their process what no definition should, and give a right answer after it, if any."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import flint
import mpmath
import numpy as np

from gradproof.engine.extend import Op, hookimpl

GRADPROOF_API = 1
NUMBERS = ("Balls", "Tape", "Bounded")
LONG = 5 << 20  # characters: more than a message may have


def sockets() -> Iterator[int]:
    for number in range(3, 64):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                yield number
        except OSError:
            continue


def write(data: bytes) -> None:
    for number in sockets():
        os.write(number, data)


def fork_once() -> None:
    """A child that goes on as if it were its parent."""
    if not hasattr(fork_once, "done"):
        fork_once.done = True  # type: ignore[attr-defined]
        os.fork()


def leave_child() -> None:
    if os.fork() == 0:
        time.sleep(600)


def leave_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def close_files() -> None:
    os.closerange(3, 64)


def say(error: type[BaseException], text: str = "") -> Callable[[], NoReturn]:
    def deed() -> NoReturn:
        raise error(text)

    return deed


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


def overflow() -> None:
    sys.setrecursionlimit(10**9)

    def again(x: int) -> Any:
        return sorted([x], key=again)

    again(1)


def mask() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        try:
            time.sleep(1)
        except BaseException:
            continue


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def kill_parent() -> None:
    """End the process that workers are forked from, and this one with it."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def low_precision() -> None:
    flint.ctx.prec = mpmath.mp.prec = 4


LEAVING: dict[str, Callable[[], object]] = {
    "child": leave_child,
    "thread": leave_thread,
    "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 600.0),
    "handler": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "few_files": few_files,
    "file": lambda: socket.socketpair()[0].detach(),
    "precision": low_precision,
    "recursion": lambda: sys.setrecursionlimit(500),
    "numpy": lambda: np.seterr(all="raise"),
    "directory": lambda: os.chdir("/"),
}
"""Deeds after which a process is not as it was."""

ENDING: dict[str, Callable[[], object]] = {
    "fork": fork_once,
    "exit": lambda: sys.exit(0),
    "interrupt": say(KeyboardInterrupt),
    "leave": say(GeneratorExit),
    "mute": say(Mute),
    "at_length": say(ValueError, "x" * LONG),
    "overflow": overflow,
    "crash": lambda: ctypes.string_at(0),
    "close_files": close_files,
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "mask": mask,
    "half_a_message": lambda: write(b"\x00\x00\x10\x00half"),
    "garbage": lambda: write(b"\x00\x00\x00\x04junk"),
    "kill_parent": kill_parent,
    "stop_parent": lambda: os.kill(os.getppid(), signal.SIGSTOP),
}
"""Deeds after which there is no answer, or one that is none."""


def conditions() -> dict[str, Any]:
    """How a process is, in what the deeds above change."""
    try:
        children = os.waitpid(-1, os.WNOHANG) is not None
    except ChildProcessError:
        children = False
    return {
        "threads": threading.active_count(),
        "children": children,
        "timers": signal.getitimer(signal.ITIMER_REAL),
        "handler": signal.getsignal(signal.SIGUSR1),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "precision": (flint.ctx.prec, mpmath.mp.prec),
        "recursion": sys.getrecursionlimit(),
        "numpy": np.geterr(),
        "directory": os.getcwd(),
    }


@dataclass(frozen=True)
class Look:
    """A task for a worker: says how it is."""

    def run(self, context: Any) -> None:
        context.answer(conditions())


def patient(x: Any, *, n: int = 3) -> Any:
    """x, but for an ``n`` that nobody declared, for which it never ends."""
    while n != 3 and np.size(x):
        time.sleep(1)
    return +x


def squared(deed: Callable[[], object]) -> Callable[..., Any]:
    def define(f: Any, x: Any) -> Any:
        if type(f).__name__ in NUMBERS:
            deed()
        return x * x

    return define


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    for name, deed in {**LEAVING, **ENDING}.items():
        register(Op(f"wild.{name}", lambda x: x * x, lambda g, y, x: 2 * g * x, squared(deed)))
    register(Op("wild.patient", patient, lambda g, y, x, *, n: g, lambda f, x, *, n=3: x))
