"""Leftovers: what a task changed in the process that ran it, beside its answer.

A definition is a stranger's code. It may leave threads, children, timers, limits or a precision behind, and the next task
of the same process would be answered under them. A process that is not as it was gets no other task.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from typing import Any, NamedTuple

import mpmath
import numpy as np
from flint import ctx

STANDARD = frozenset(("0", "1", "2"))
TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
OURS = (resource.RLIMIT_AS, resource.RLIMIT_CPU)
"""Limits that every task sets for itself."""

LIMITS = (*OURS, resource.RLIMIT_NOFILE, resource.RLIMIT_DATA)
SIGNALS = (signal.SIGALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1)
"""Those that code handles, or that end what is at work; a full list would cost more than the check of a small graph."""


class State(NamedTuple):
    """What a task finds; ``files``: open descriptors; the rest in no particular order."""

    files: frozenset[str]
    rest: tuple[Any, ...]

    def kept(self) -> bool:
        """Whether this process is as it was, but for files that were closed since."""
        now = state()
        return now.rest == self.rest and now.files <= self.files and self.files & STANDARD <= now.files


def state() -> State:
    """The state of this process."""
    rest = (
        os.getpid(),
        threading.active_count(),
        _has_children(),
        os.getcwd(),
        sys.getrecursionlimit(),
        sorted(np.geterr().items()),
        mpmath.mp.prec,
        ctx.prec,
        signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        tuple(map(signal.getsignal, SIGNALS)),
        [signal.getitimer(which) != (0.0, 0.0) for which in TIMERS],
        [_limits(which) for which in LIMITS],
    )
    return State(frozenset(os.listdir("/proc/self/fd")), rest)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _limits(which: int) -> tuple[int, int]:
    """Soft and hard limit; the former 0 where each task has its own."""
    soft, hard = resource.getrlimit(which)
    return (0 if which in OURS else soft), hard
