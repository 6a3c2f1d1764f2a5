"""The guard: a small process above the serving ones. It ends them with their owner and within their grace time, whatever
they do, and replaces those that die.

Threads of a server may be held by an op for ever, and its event loop with them; the guard runs nothing but this file. On
Linux all that a server leaves behind (worker processes, their workers) becomes the guard's, and ends with it.
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
import tomllib
from argparse import ArgumentError, ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from gradproof.server.problems import CONFIG, PREFIX
from gradproof.server.supervision.notify import Manager
from gradproof.server.supervision.seat import Seat, take

GRACE_SECONDS = 30.0
"""Running calls may finish for so long after SIGTERM, unless ``--grace`` says otherwise."""

MAX_GRACE = 1e6

MARGIN_SECONDS, ORPHAN_SECONDS, LEAVE_SECONDS = 1.0, 0.5, 0.5
"""A server may take so much longer than its grace time, so long once its owner is gone, and what it started so much longer
than itself, before they are killed."""

POLL_SECONDS = 0.25
SETTLED_SECONDS, LONGEST_PAUSE = 10.0, 30.0
"""A process that was ready for so long is replaced at once; where several die sooner, the pause before the next doubles."""

STOPPING = (signal.SIGTERM, signal.SIGINT)
PASSED = (*STOPPING, signal.SIGHUP)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def guarded(words: Sequence[str]) -> None:
    """Go on in child processes, which are to serve; the caller's own process guards them, and ends with their status.

    ``words`` are the arguments of ``serve``: the grace time, wherever it is set, and ``--owner``, the process that the
    server must not outlive, are read here too; what else the guard is to know it hears from the first process.
    """
    options = _options(words)
    take(Guard(options.grace, options.owner).serve())


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


@dataclass
class _Serving:
    """A serving process, and what it said last. ``since``: when it was ready, or else when it was started."""

    pid: int
    seat: int
    pipe: int
    since: float
    ready: bool = False
    beat: float | None = None
    said: bytes = field(default=b"", repr=False)


class Guard:
    """Watches the processes of one server. Signals before `serve` are not lost."""

    def __init__(self, grace: float, owner: int | None) -> None:
        self.grace, self.owner, self.embedded = grace, owner, owner is not None
        self.processes, self.stuck_seconds, self.as_json = 1, 0.0, False
        self.manager = Manager()
        self._serving: dict[int, _Serving] = {}
        self._due: dict[int, float] = {0: 0.0}
        self._failures: dict[int, int] = {}
        self._shared = Seat()
        self._held: socket.socket | None = None
        self._asked = self._stopping = self._well = False
        self._deadline: float | None = None
        self._sweep_at: float | None = None
        self._status = 0
        _control(PR_SET_CHILD_SUBREAPER, 1)
        self._signals, self._wake = os.pipe()
        for end in (self._signals, self._wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (*PASSED, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._owner_end = _end_of(owner)

    def serve(self) -> Seat:
        """Guard until all processes have ended, and end with their status. Returns in each serving process."""
        while self._serving or self._due:
            seat = self._fork_due()
            if seat is not None:
                return seat
            self._wait()
            self._hear()
            self._reap()
            self._mind()
        self._sweep()
        if self._shared.folder:
            rmtree(self._shared.folder, ignore_errors=True)
        os._exit(self._status)

    def _fork_due(self) -> Seat | None:
        """Start the processes whose time has come; in each of them, its seat."""
        for number, when in sorted(self._due.items()):
            if when > time.monotonic():
                continue
            del self._due[number]
            above = os.getpid()
            hearing, saying = os.pipe()
            for end in (hearing, saying):
                os.set_blocking(end, False)
            pid = os.fork()
            if pid == 0:
                self._leave()
                os.close(hearing)
                _control(PR_SET_PDEATHSIG, signal.SIGKILL)  # the guard has one thread: its end is that of the process
                if os.getppid() != above:
                    os._exit(1)
                return Seat(number, saying, number in self._failures, self._shared.port, self._shared.folder)
            os.close(saying)
            self._serving[pid] = _Serving(pid, number, hearing, time.monotonic())
        return None

    def _leave(self) -> None:
        """Forget all of this, in a child."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can read its settings again
        for end in (self._signals, self._wake, self._owner_end, *(one.pipe for one in self._serving.values())):
            if end is not None:
                os.close(end)
        if self._held is not None:
            self._held.close()

    # waiting

    def _wait(self) -> None:
        """Until a signal comes, a process speaks, the owner ends, or something is due."""
        watched = [self._signals, *(one.pipe for one in self._serving.values())]
        times = [*self._due.values(), *(one for one in (self._deadline, self._sweep_at) if one is not None)]
        if self.owner is not None and self._owner_end is not None:
            watched.append(self._owner_end)
        if (self.owner is not None and self._owner_end is None) or self.stuck_seconds or self.manager.period:
            times.append(time.monotonic() + POLL_SECONDS)
        left = max(0.0, min(times) - time.monotonic()) if times else None
        ready, _, _ = select.select(watched, [], [], left)
        if self.owner is not None and (
            self._owner_end in ready or (self._owner_end is None and os.getppid() != self.owner)
        ):
            self.owner = None
            self._stop(ORPHAN_SECONDS)
        if self._signals in ready:
            for number in os.read(self._signals, 4096):
                if number == signal.SIGHUP:
                    self._reload()
                elif number not in STOPPING:
                    continue
                elif self._asked:  # a second time: at once
                    self._kill()
                else:
                    self._asked = True
                    self._hear()  # the grace time, where it was said just now
                    self._stop(self.grace + MARGIN_SECONDS)

    def _hear(self) -> None:
        """Take in what the processes say."""
        for one in self._serving.values():
            with suppress(BlockingIOError):
                one.said += os.read(one.pipe, 1 << 16)
            *lines, one.said = one.said.split(b"\n")
            for line in lines:
                word, facts = json.loads(line)
                getattr(self, f"_on_{word}")(one, facts)

    def _on_settings(self, one: _Serving, facts: dict[str, Any]) -> None:
        self.grace, self.processes = facts["grace"], facts["processes"]
        self.stuck_seconds, self.as_json = facts["watchdog"], facts["json"]

    def _on_bound(self, one: _Serving, facts: dict[str, Any]) -> None:
        """The first process has the port: hold it where it is shared, and start the others."""
        if self._shared.port == 0:
            self._shared = Seat(port=facts["port"], folder=facts["folder"])
            if self.processes > 1 and not self._stopping:
                self._held = _held(facts["host"], facts["port"])
                self._due.update(dict.fromkeys(range(1, self.processes), 0.0))

    def _on_beat(self, one: _Serving, facts: dict[str, Any]) -> None:
        one.beat = time.monotonic()

    def _on_ready(self, one: _Serving, facts: dict[str, Any]) -> None:
        one.ready = self._well = True
        one.since = time.monotonic()
        one.beat = one.beat or one.since  # from now on it is expected to go on
        if not self._stopping and not self._due and all(other.ready for other in self._serving.values()):
            self.manager.say("READY=1", f"STATUS={len(self._serving)} serving on port {self._shared.port}")

    # acting

    def _stop(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._deadline = end if self._deadline is None else min(self._deadline, end)
        self._stopping = True
        self._due.clear()
        self.manager.say("STOPPING=1")
        for pid in self._serving:
            os.kill(pid, signal.SIGTERM)

    def _kill(self) -> None:
        for pid in self._serving:
            os.kill(pid, signal.SIGKILL)
        self._deadline = None

    def _reload(self) -> None:
        self.manager.say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        for one in self._serving.values():
            one.ready = False
            os.kill(one.pid, signal.SIGHUP)

    def _mind(self) -> None:
        """Kill what is over its time, or stuck; tell the manager of services that all goes well, if it does."""
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            self._kill()
        if self._sweep_at is not None and now >= self._sweep_at:
            self._sweep_at = None
            _kill_all(pid for pid in _children() if pid not in self._serving)
        still = [(one, now - one.beat) for one in self._serving.values() if one.beat is not None]
        for one, silence in still:
            if self.stuck_seconds and silence > self.stuck_seconds and not self._stopping:
                self._say("a serving process is stuck, and killed", pid=one.pid, seconds=round(silence, 1))
                os.kill(one.pid, signal.SIGKILL)
                one.beat = None
        if all(silence < self.manager.period for _, silence in still):
            self.manager.beat(now)

    def _reap(self) -> bool:
        """Take note of children that have ended; whether there are others."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            one = self._serving.pop(pid, None)
            if one is not None:
                self._ended(one, os.waitstatus_to_exitcode(status))

    def _ended(self, one: _Serving, code: int) -> None:
        """A process has ended: replace it, unless it was to end, could not start, or has an owner who would."""
        os.close(one.pipe)
        if code != 0 and self._well and not self.embedded and not self._stopping:
            served = time.monotonic() - one.since
            failures = 1 if one.ready and served > SETTLED_SECONDS else self._failures.get(one.seat, 0) + 1
            self._failures[one.seat] = failures
            pause = 0.0 if failures == 1 else min(LONGEST_PAUSE, 2.0 ** (failures - 2))
            self._due[one.seat] = time.monotonic() + pause
            self._sweep_at = time.monotonic() + LEAVE_SECONDS
            self._say("a serving process died and is replaced", pid=one.pid, status=code, seconds=pause)
            return
        early = self._well and self._stopping and code == -signal.SIGTERM  # it had not begun to serve
        if code != 0 and not early:
            self._status = self._status or (code if code > 0 else 128 - code)
            if self._serving and not self._stopping:
                self._stop(self.grace + MARGIN_SECONDS)

    def _say(self, text: str, **facts: Any) -> None:
        """A line for the log, from a process that has no logger."""
        if self.as_json:
            line = json.dumps({"event": text, "level": "error", "logger": "gradproof.guard", **facts})
        else:
            line = " ".join([f"[error] {text}", *(f"{name}={value}" for name, value in facts.items())])
        with suppress(OSError):
            os.write(2, line.encode() + b"\n")

    def _sweep(self) -> None:
        """End what the server left behind: by themselves those that clean up, and the others by force."""
        end = time.monotonic() + LEAVE_SECONDS
        while self._reap():
            if time.monotonic() > end:
                _kill_all(_children())
            time.sleep(0.005)


def _held(host: str, port: int) -> socket.socket | None:
    """A socket that keeps a shared port for this user while no process listens; None where it is no port."""
    with suppress(OSError):
        family, kind, protocol, _, address = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        held = socket.socket(family, kind, protocol)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
        return held
    return None


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


def _kill_all(pids: Any) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _control(option: int, value: int) -> None:
    """prctl(2), where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
