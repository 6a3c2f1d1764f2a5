"""An embedded server: a child process behind a private socket, restarted if it is killed, ended with its owner."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Condition, Thread

from gradproof.client.errors import Unavailable
from gradproof.server.supervision.private_socket import SCHEME, private_address, remake, remove

READY = "gradproof is listening on "
START_SECONDS, STOP_SECONDS = 120.0, 10.0
"""Time for a server to answer first, and to end, before it is given up or killed."""

MAX_LINES = 100  # of a server's output that are kept for errors
MAX_STARTS, STARTS_SECONDS = 5, 60.0
"""At most MAX_STARTS restarts happen within STARTS_SECONDS; then calls raise Unavailable."""

GONE_SECONDS = 3.0
"""Time for a server whose port is closed to end by itself; then it is killed."""

LOOK_SECONDS = 0.02
OWN_ADDRESS = ("--host", "--port", "--processes", "--tls")
"""Beginnings of arguments that want a port; without them, the server has a private Unix socket where there are some."""


class EmbeddedServer:
    """Starts a server in a child process and waits until it answers. ``arguments`` are those of ``gradproof serve``.

    The server ends with the process that started it, however that ends, within two seconds and with all of its own
    processes. It inherits no descriptor: its output comes through a pipe, and is written to ``sys.stderr`` of this process.
    No other user reaches its socket; where there are no Unix sockets, or ``arguments`` want a port, it has a loopback port.
    If the server ends before `stop`, it is restarted at the same address, so that connections recover. Raises RuntimeError
    with the output of the child if it does not start within ``seconds``.
    """

    def __init__(self, arguments: Sequence[str] = (), *, seconds: float = START_SECONDS) -> None:
        self._owner = os.getpid()
        self._arguments = tuple(arguments)
        self._change = Condition()
        self._stopping = False
        self._fault = ""
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        apart = any(word.startswith(OWN_ADDRESS) for word in self._arguments)
        self._address = "" if apart else private_address()
        place = ("--host", self._address) if self._address else ("--port", "0")
        self.child = _Child((*place, *self._arguments))
        atexit.register(self.stop)
        try:
            self.target = self.child.ready(seconds)
        except BaseException:
            self.stop()
            raise
        if not self.target:
            late = self.child.process.poll() is None
            self.stop()
            ended = f"ended with status {self.child.process.returncode}"
            what = f"did not start within {seconds:g} seconds" if late else ended
            raise RuntimeError(f"the embedded server {what}: {self.child.output()}")
        self._supervisor = Thread(target=self._supervise, name="gradproof-supervisor", daemon=True)
        self._supervisor.start()

    def recover(self, seconds: float) -> None:
        """Wait until the server answers, for ``seconds`` at most. Raises Unavailable with its last output if it has ended
        too often. Does nothing in a fork of the owner."""
        end = time.monotonic() + seconds
        closed: tuple[_Child, float] | None = None  # a child whose port is closed, and the time when that was seen
        while os.getpid() == self._owner and (left := end - time.monotonic()) > 0:
            with self._change:
                if self._stopping:
                    return
                if self._fault:
                    raise Unavailable(self._fault)
                child = self.child
            if child.target and child.process.returncode is None:
                if _answers(child.target, left):
                    return
                if closed is None or closed[0] is not child:
                    closed = child, time.monotonic()
                elif time.monotonic() - closed[1] > GONE_SECONDS:
                    child.process.kill()  # its supervisor does not see that the server has ended
            with self._change:
                self._change.wait(min(left, LOOK_SECONDS))

    def _supervise(self) -> None:
        """Restart the server whenever it has ended, until `stop`."""
        while True:
            status = self.child.process.wait()
            with self._change:
                if self._stopping:
                    return
                now = time.monotonic()
                pause = self._starts[0] + STARTS_SECONDS - now if len(self._starts) >= MAX_STARTS else 0.0
                if pause > 0:
                    self._fault = (
                        f"the embedded server ended with status {status}, after {MAX_STARTS} new starts within "
                        f"{STARTS_SECONDS:g} seconds; the next is in {pause:.0f} seconds. Its output: {self.child.output()}"
                    )
                    self._change.notify_all()
                    if self._change.wait_for(lambda: self._stopping, pause):
                        return
                    self._fault = ""
                self._starts.append(time.monotonic())
                if self._address:
                    remake(self._address)
                    place = ("--host", self._address)
                else:
                    place = ("--port", self.target.rpartition(":")[2])
                self.child = _Child((*self._arguments, *place), self.child.output())
                self._change.notify_all()
            _forward(f"gradproof: the embedded server ended with status {status}, and is restarted\n")

    def stop(self) -> None:
        """Stop the server and wait until it has ended. May be called twice; does nothing in a fork of the owner."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        with self._change:
            self._stopping = True
            self._change.notify_all()
        self.child.stop()
        remove(self._address)


class _Child:
    """A process of a server, and its output. ``target`` is its address once it answers, and empty before;
    ``earlier`` is the last output of the process that it replaces."""

    def __init__(self, words: Sequence[str], earlier: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gradproof.server", "serve", "--grace", "0", "--owner", str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # an interrupt at the terminal concerns the owner only
        )
        self.target = ""
        self._earlier = earlier
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._change = Condition()
        self._ended = False
        self._reader = Thread(target=self._read, name="gradproof-server", daemon=True)
        self._reader.start()

    def ready(self, seconds: float) -> str:
        """Wait for its address; empty if it ended, or ``seconds`` have passed, before it answered."""
        with self._change:
            self._change.wait_for(lambda: self.target or self._ended, seconds)
        if self._ended and not self.target:
            self.stop()
        return self.target

    def output(self) -> str:
        """Its last lines, up to 2000 characters."""
        with self._change:
            return "".join((self._earlier, *self._lines))[-2000:]

    def _read(self) -> None:
        """Forward the output once the server is ready; earlier lines are kept for the error if it never is."""
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                if not self.target and line.startswith(READY):
                    for earlier in self._lines:
                        _forward(earlier)
                    with self._change:
                        self.target = line.removeprefix(READY).strip()
                        self._change.notify_all()
                    continue
                with self._change:
                    self._lines.append(line)
                if self.target:
                    _forward(line)
        finally:
            self.process.stdout.close()
            with self._change:
                self._ended = True
                self._change.notify_all()

    def stop(self) -> None:
        """End the process, and wait until it has ended."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(1.0)


def _answers(target: str, seconds: float) -> bool:
    """True if a process listens at ``target``."""
    host, _, port = target.rpartition(":")
    timeout = min(seconds, 1.0)
    try:
        if target.startswith(SCHEME):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(target.removeprefix(SCHEME))
            return True
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout):
            return True
    except TimeoutError:
        return True  # busy, or stopped: the deadline of the call decides
    except OSError:
        return False


def _forward(line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # sys.stderr is closed, or None
        sys.stderr.write(line)
