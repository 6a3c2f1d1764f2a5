"""The supervisor: a small process above the serving ones, which bounds their lifetime and replaces those that die.

It ends them with their owner and within their grace time, whatever they do: an op may hold the threads of a server for
ever, and its event loop with them, so the supervisor runs no code but this module. On Linux it adopts every process that a
server leaves behind (workers and their children), and ends it.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from argparse import ArgumentError, ArgumentParser
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from gradproof.server.supervision.private_socket import remove
from gradproof.server.supervision.service_manager import ServiceManager
from gradproof.server.supervision.supervised_process import SupervisedProcess, become

GRACE_SECONDS = 30.0
"""Default of the setting ``grace``: time for running calls to finish after SIGTERM."""

MARGIN_SECONDS, ORPHAN_SECONDS, LEAVE_SECONDS = 1.0, 0.5, 0.5
"""Time before processes are killed: that of a server beyond its grace time, that of a server whose owner has ended, and
that of the processes that a server leaves behind."""

POLL_SECONDS = 0.25
SETTLED_SECONDS, LONGEST_PAUSE = 10.0, 30.0
"""A process that was ready for SETTLED_SECONDS is replaced at once. After shorter lives the pause before the next start
doubles, up to LONGEST_PAUSE."""

STOPPING = (signal.SIGTERM, signal.SIGINT)
PASSED = (*STOPPING, signal.SIGHUP)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def supervise(words: Sequence[str]) -> None:
    """Fork the serving processes, and return in each of them; the calling process becomes their supervisor, and exits with
    their status. Call it before any thread starts.

    ``words`` are the arguments of ``serve``. Only ``--owner`` is read here, the process that the server must not outlive;
    the supervisor learns all other settings from the report of the first process.
    """
    become(Supervisor(_owner(words)).serve())


def _owner(words: Sequence[str]) -> int | None:
    parser = ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--owner", type=int)
    try:
        owner: int | None = parser.parse_known_args(list(words))[0].owner
    except ArgumentError:  # the server reports the problem
        return None
    return owner


@dataclass
class _Child:
    """A serving process, and its last reports. ``since``: time at which it became ready, or else was started."""

    pid: int
    number: int
    pipe: int
    since: float
    ready: bool = False
    beat: float | None = None
    unread: bytes = field(default=b"", repr=False)


class Supervisor:
    """Supervises the processes of a server. Signals that arrive before `serve` are not lost."""

    def __init__(self, owner: int | None) -> None:
        self.owner, self.embedded = owner, owner is not None
        self.grace, self.processes, self.stuck_seconds, self.as_json = GRACE_SECONDS, 1, 0.0, False
        self.manager = ServiceManager()
        self._children: dict[int, _Child] = {}
        self._due: dict[int, float] = {0: 0.0}
        self._failures: dict[int, int] = {}
        self._shared = SupervisedProcess()
        self._reserved: socket.socket | None = None
        self._host = ""
        self._asked = self._stopping = self._was_ready = False
        self._deadline: float | None = None
        self._sweep_at: float | None = None
        self._status = 0
        self._handlers: dict[str, Callable[[_Child, dict[str, Any]], None]] = {
            "settings": self._on_settings,
            "bound": self._on_bound,
            "beat": self._on_beat,
            "ready": self._on_ready,
        }
        _control(PR_SET_CHILD_SUBREAPER, 1)
        self._signals, self._wake = os.pipe()
        for end in (self._signals, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (*PASSED, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._owner_end = _exit_descriptor(owner)

    def serve(self) -> SupervisedProcess:
        """Supervise until all processes have ended, then exit with their status. Returns in each serving process."""
        while self._children or self._due:
            process = self._fork_due()
            if process is not None:
                return process
            self._wait()
            self._read_reports()
            self._reap()
            self._enforce()
        self._sweep()
        if self.embedded:
            remove(self._host)  # its owner may be gone
        if self._shared.folder:
            rmtree(self._shared.folder, ignore_errors=True)
        os._exit(self._status)

    def _fork_due(self) -> SupervisedProcess | None:
        """Start the processes that are due. Returns the new process inside it, None in the supervisor."""
        for number, when in sorted(self._due.items()):
            if when > time.monotonic():
                continue
            del self._due[number]
            supervisor = os.getpid()
            reading, writing = os.pipe()
            for end in (reading, writing):
                os.set_blocking(end, False)
            pid = os.fork()
            if pid == 0:
                self._leave()
                os.close(reading)
                _control(PR_SET_PDEATHSIG, signal.SIGKILL)  # the supervisor has a single thread, whose end is its own
                if os.getppid() != supervisor:
                    os._exit(1)
                return SupervisedProcess(number, writing, number in self._failures, self._shared.port, self._shared.folder)
            os.close(writing)
            self._children[pid] = _Child(pid, number, reading, time.monotonic())
        return None

    def _leave(self) -> None:
        """Undo the supervisor's set-up in a child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the child can reload
        for end in (self._signals, self._wake, self._owner_end, *(child.pipe for child in self._children.values())):
            if end is not None:
                os.close(end)
        if self._reserved is not None:
            self._reserved.close()

    # events

    def _wait(self) -> None:
        """Wait for a signal, a report, the end of the owner, or the next time at which something is due."""
        ready, _, _ = select.select(self._watched(), [], [], self._timeout())
        if self.owner is not None and (
            self._owner_end in ready or (self._owner_end is None and os.getppid() != self.owner)
        ):
            self.owner = None
            self._stop(ORPHAN_SECONDS)
        if self._signals in ready:
            for number in os.read(self._signals, 4096):
                self._on_signal(number)

    def _watched(self) -> list[int]:
        """Descriptors to wait for."""
        watched = [self._signals, *(child.pipe for child in self._children.values())]
        if self.owner is not None and self._owner_end is not None:
            watched.append(self._owner_end)
        return watched

    def _timeout(self) -> float | None:
        """Seconds until something is due; None if nothing is."""
        times = [*self._due.values(), *(when for when in (self._deadline, self._sweep_at) if when is not None)]
        if (self.owner is not None and self._owner_end is None) or self.stuck_seconds or self.manager.period:
            times.append(time.monotonic() + POLL_SECONDS)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._reload()
        elif number in STOPPING:
            if self._asked:  # the second signal
                self._kill()
            else:
                self._asked = True
                self._read_reports()  # the grace time may have been reported just now
                self._stop(self.grace + MARGIN_SECONDS)

    def _read_reports(self) -> None:
        for child in self._children.values():
            with suppress(BlockingIOError):
                child.unread += os.read(child.pipe, 1 << 16)
            *lines, child.unread = child.unread.split(b"\n")
            for line in lines:
                word, facts = json.loads(line)
                self._handlers[word](child, facts)

    def _on_settings(self, child: _Child, facts: dict[str, Any]) -> None:
        self.grace, self.processes = facts["grace"], facts["processes"]
        self.stuck_seconds, self.as_json = facts["watchdog"], facts["json"]

    def _on_bound(self, child: _Child, facts: dict[str, Any]) -> None:
        """The first process has bound the port: reserve it if it is shared, and start the others."""
        self._host = facts["host"]
        if self._shared.port == 0:
            self._shared = SupervisedProcess(port=facts["port"], folder=facts["folder"])
            if self.processes > 1 and not self._stopping:
                self._reserved = _reserved(facts["host"], facts["port"])
                self._due.update(dict.fromkeys(range(1, self.processes), 0.0))

    def _on_beat(self, child: _Child, facts: dict[str, Any]) -> None:
        child.beat = time.monotonic()

    def _on_ready(self, child: _Child, facts: dict[str, Any]) -> None:
        child.ready = self._was_ready = True
        child.since = time.monotonic()
        child.beat = child.beat or child.since  # from now on beats are expected
        if not self._stopping and not self._due and all(child.ready for child in self._children.values()):
            self.manager.notify("READY=1", f"STATUS={len(self._children)} serving on port {self._shared.port}")

    # actions

    def _stop(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._deadline = end if self._deadline is None else min(self._deadline, end)
        self._stopping = True
        self._due.clear()
        self.manager.notify("STOPPING=1")
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)

    def _kill(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        self._deadline = None

    def _reload(self) -> None:
        self.manager.notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        for child in self._children.values():
            child.ready = False
            os.kill(child.pid, signal.SIGHUP)

    def _enforce(self) -> None:
        """Kill processes that exceed their time or are stuck; notify the service manager if all are well."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._kill()
        if self._sweep_at is not None and now >= self._sweep_at:
            self._sweep_at = None
            _kill_all(pid for pid in _child_pids() if pid not in self._children)
        silences = [(child, now - child.beat) for child in self._children.values() if child.beat is not None]
        for child, silence in silences:
            if self.stuck_seconds and silence > self.stuck_seconds and not self._stopping:
                self._log("a serving process is stuck, and killed", pid=child.pid, seconds=round(silence, 1))
                os.kill(child.pid, signal.SIGKILL)
                child.beat = None
        if all(silence < self.manager.period for _, silence in silences):
            self.manager.keep_alive(now)

    def _reap(self) -> bool:
        """Collect the children that have ended. Returns whether others remain."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            child = self._children.pop(pid, None)
            if child is not None:
                self._ended(child, os.waitstatus_to_exitcode(status))

    def _ended(self, child: _Child, code: int) -> None:
        """Replace a process that died while serving, unless the server stops, or is its owner's to restart. The end of a
        process that could not start ends the server."""
        os.close(child.pipe)
        if code != 0 and self._was_ready and not self.embedded and not self._stopping:
            served = time.monotonic() - child.since
            failures = 1 if child.ready and served > SETTLED_SECONDS else self._failures.get(child.number, 0) + 1
            self._failures[child.number] = failures
            pause = 0.0 if failures == 1 else min(LONGEST_PAUSE, 2.0 ** (failures - 2))
            self._due[child.number] = time.monotonic() + pause
            self._sweep_at = time.monotonic() + LEAVE_SECONDS
            self._log("a serving process died and is replaced", pid=child.pid, status=code, seconds=pause)
            return
        early = self._was_ready and self._stopping and code == -signal.SIGTERM  # it had not begun to serve
        if code != 0 and not early:
            self._status = self._status or (code if code > 0 else 128 - code)
            if self._children and not self._stopping:
                self._stop(self.grace + MARGIN_SECONDS)

    def _log(self, text: str, **facts: Any) -> None:
        """Write a line in the format of the server's log, which this process does not import."""
        if self.as_json:
            line = json.dumps({"event": text, "level": "error", "logger": "gradproof.supervisor", **facts})
        else:
            line = " ".join([f"[error] {text}", *(f"{name}={value}" for name, value in facts.items())])
        with suppress(OSError):
            os.write(2, line.encode() + b"\n")

    def _sweep(self) -> None:
        """Wait for the processes that the server left behind; kill those that do not end in time."""
        end = time.monotonic() + LEAVE_SECONDS
        while self._reap():
            if time.monotonic() > end:
                _kill_all(_child_pids())
            time.sleep(0.005)


def _reserved(host: str, port: int) -> socket.socket | None:
    """A socket that keeps a shared port for this user while no process listens; None for a Unix socket."""
    with suppress(OSError):
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        reserved = socket.socket(family, kind, protocol)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(address)
        return reserved
    return None


def _exit_descriptor(pid: int | None) -> int | None:
    """A descriptor that is readable once the process has ended; None if there is no such process, or no pidfd_open(2)."""
    try:
        return os.pidfd_open(pid) if pid is not None else None
    except (AttributeError, OSError):
        return None


def _child_pids() -> list[int]:
    """Process ids of the children of this process, from /proc."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(path.read_text(errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                pids.append(int(path.parent.name))
    return pids


def _kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    """Call prctl(2), on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
