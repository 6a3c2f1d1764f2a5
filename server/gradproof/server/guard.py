"""The guard: a small process above a server, which ends it with its owner and within its grace time, whatever it does.

Threads of a server may be held by an op for ever, and its event loop with them; the guard runs nothing but this file. On
Linux all that a server leaves behind (worker processes, their workers) becomes the guard's, and ends with it.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
import tomllib
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gradproof.server.problems import CONFIG, PREFIX

GRACE_SECONDS = 30.0
"""Running calls may finish for so long after SIGTERM, unless ``--grace`` says otherwise."""

MAX_GRACE = 1e6

MARGIN_SECONDS, ORPHAN_SECONDS, LEAVE_SECONDS = 1.0, 0.5, 0.5
"""A server may take so much longer than its grace time, so long once its owner is gone, and what it started so much longer
than itself, before they are killed."""

POLL_SECONDS = 0.25
STOPPING = (signal.SIGTERM, signal.SIGINT)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def guarded(words: Sequence[str]) -> None:
    """Go on in a child process, which is to serve; the caller's own process guards it, and ends with its status.

    ``words`` are the arguments of ``serve``: the grace time, wherever it is set, and ``--owner``, the process that the
    server must not outlive, are read here too.
    """
    options = _options(words)
    guard = Guard(options.grace, options.owner)
    above = os.getpid()
    server = os.fork()
    if server:
        os._exit(guard.watch(server))
    guard.leave()
    _control(PR_SET_PDEATHSIG, signal.SIGKILL)  # the guard has one thread: its end is that of the process
    if os.getppid() != above:
        os._exit(1)


def _options(words: Sequence[str]) -> Namespace:
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--grace")
    parser.add_argument("--config", default=os.environ.get(CONFIG))
    parser.add_argument("--owner", type=int)
    try:
        found = parser.parse_known_args(list(words))[0]
    except ArgumentError:  # the server says what is wrong
        return Namespace(grace=GRACE_SECONDS, owner=None)
    found.grace = _grace(found)
    return found


def _grace(found: Namespace) -> float:
    """The grace time by flag, environment or file, as `configuration.configure` has it; what is wrong in it the server
    says."""
    given = found.grace or os.environ.get(f"{PREFIX}GRACE")
    with suppress(OSError, ValueError, TypeError):
        if given is None and found.config and Path(found.config).is_file():  # a pipe would be read for the server
            given = tomllib.loads(Path(found.config).read_text(encoding="utf-8")).get("grace")
        if given is not None and 0 <= float(given) <= MAX_GRACE:
            return float(given)
    return GRACE_SECONDS


class Guard:
    """Watches one server. Signals before `watch` are not lost."""

    def __init__(self, grace: float, owner: int | None) -> None:
        self.grace, self.owner = grace, owner
        self._server = 0
        self._asked = False
        self._deadline: float | None = None
        self._status: int | None = None
        _control(PR_SET_CHILD_SUBREAPER, 1)
        self._signals, self._wake = os.pipe()
        for end in (self._signals, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (*STOPPING, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._owner_end = _end_of(owner)

    def leave(self) -> None:
        """Forget all of this, in the child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to read again
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for end in (self._signals, self._wake, self._owner_end):
            if end is not None:
                os.close(end)

    def watch(self, server: int) -> int:
        """Wait for the end of the server, and bring it about where it is due. Returns the status to exit with."""
        self._server = server
        while self._status is None:
            self._wait()
            self._reap()
            if self._status is None and self._deadline is not None and time.monotonic() >= self._deadline:
                self._kill()
        self._sweep()
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def _wait(self) -> None:
        """Until a signal comes, the owner ends, or the time is up."""
        watched = [self._signals]
        left = None if self._deadline is None else max(0.0, self._deadline - time.monotonic())
        if self.owner is not None:
            if self._owner_end is not None:
                watched.append(self._owner_end)
            else:
                left = min(POLL_SECONDS, left if left is not None else POLL_SECONDS)
        ready, _, _ = select.select(watched, [], [], left)
        if self.owner is not None and (
            self._owner_end in ready or (self._owner_end is None and os.getppid() != self.owner)
        ):
            self.owner = None
            self._stop(ORPHAN_SECONDS)
        if self._signals in ready:
            for number in os.read(self._signals, 4096):
                if number == signal.SIGHUP:
                    os.kill(self._server, signal.SIGHUP)
                if number not in STOPPING:
                    continue
                if self._asked:  # a second time: at once
                    self._kill()
                else:
                    self._asked = True
                    self._stop(self.grace + MARGIN_SECONDS)

    def _stop(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._deadline = end if self._deadline is None else min(self._deadline, end)
        os.kill(self._server, signal.SIGTERM)

    def _kill(self) -> None:
        os.kill(self._server, signal.SIGKILL)
        self._deadline = None

    def _reap(self) -> bool:
        """Take note of children that have ended; whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == self._server:
                self._status = status
            if pid == 0:
                return True

    def _sweep(self) -> None:
        """End what the server left behind: by themselves those that clean up, and the others by force."""
        end = time.monotonic() + LEAVE_SECONDS
        while self._reap():
            if time.monotonic() > end:
                for pid in _children():
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)


def _end_of(pid: int | None) -> int | None:
    """A descriptor that is readable once the process has ended; None where the system has none, or no such process."""
    try:
        return os.pidfd_open(pid) if pid is not None else None
    except (AttributeError, OSError):
        return None


def _children() -> list[int]:
    """The children of this process."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(place.read_text(errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(place.parent.name))
    return found


def _control(option: int, value: int) -> None:
    """prctl(2), where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
