"""Side effects of a task on the process that ran it.

A definition is plugin code. It may leave threads, children, timers, limits or a precision behind, under which the next
task of the process would be answered. A process that a task changed gets no other task.
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
"""Limits that every task sets."""

LIMITS = (*OURS, resource.RLIMIT_NOFILE, resource.RLIMIT_DATA)
SIGNALS = (signal.SIGALRM, signal.SIGPROF, signal.SIGCHLD, signal.SIGPIPE, signal.SIGUSR1)
"""Signals that code handles, or that end a task; a complete list would cost more than the check of a small graph."""


class ProcessState(NamedTuple):
    """State of a process before a task. ``files``: open descriptors."""

    files: frozenset[str]
    rest: tuple[Any, ...]

    def unchanged(self) -> bool:
        """True if the process is unchanged, except for files that have been closed."""
        now = process_state()
        return now.rest == self.rest and now.files <= self.files and self.files & STANDARD <= now.files


def process_state() -> ProcessState:
    """Current state of this process."""
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
    return ProcessState(frozenset(os.listdir("/proc/self/fd")), rest)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _limits(which: int) -> tuple[int, int]:
    """Soft and hard limit; the soft limit is 0 where each task sets its own."""
    soft, hard = resource.getrlimit(which)
    return (0 if which in OURS else soft), hard
