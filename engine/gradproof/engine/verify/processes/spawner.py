"""Spawner: starts and restarts the template process, and asks it to fork workers."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any, NamedTuple

from gradproof.engine.verify.processes import template
from gradproof.engine.verify.processes.context import NOTE_BYTES

START_SECONDS = 60.0  # to import plugins
FORK_SECONDS = 10.0
CLOSE_SECONDS = 1.0
TRIES = 3  # to fork a worker whose template ends
STALL_MICROSECONDS = 500_000  # allowed between two parts of a message


class NoWorker(Exception):
    """No worker is available; the message says why."""


class Forked(NamedTuple):
    """A new worker: its process id, the connection to it, and the descriptor of the file of its current step."""

    pid: int
    connection: Connection
    notes: int


class Spawner:
    """Owner of the template process, which starts with the first worker, and again if it ends. Thread-safe.

    Args:
        load_arguments: gives the arguments of `loading.load_registry`.
        on_start: called with the descriptor of the socket to the template once it has loaded the plugins.
        on_end: called with the descriptor before that socket is closed.

    Attributes:
        stderr: descriptor for the output of the template; None for standard error.
    """

    def __init__(
        self,
        load_arguments: Callable[[], Mapping[str, Any]],
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
    ) -> None:
        self._load_arguments, self._on_start, self._on_end = load_arguments, on_start, on_end
        self.stderr: int | None = None
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._loaded = self._known = self._closed = False

    def start_template(self) -> None:
        """Start the template if it does not run. Raises NoWorker or OSError."""
        with self._lock:
            self._spawn()

    def fork(self) -> Forked:
        """A new worker. Raises NoWorker or OSError."""
        with self._lock:
            for _ in range(TRIES):
                known = self._known
                try:
                    return self._fork()
                except (NoWorker, ConnectionError):
                    if not known or self._closed:
                        raise  # a template that never loaded is not tried again
            return self._fork()

    def _fork(self) -> Forked:
        parent_end, connection = self._spawn()
        near, child_end = socket.socketpair()
        with near, child_end:
            notes = anonymous_file(NOTE_BYTES)
            try:
                self._load(connection)
                self._wake()
                socket.send_fds(parent_end, [template.FORK + bytes(template.PID_BYTES)], [child_end.fileno(), notes])
                pid = int.from_bytes(self._receive(connection, FORK_SECONDS), "little")
            except (OSError, NoWorker):
                os.close(notes)
                self._discard()
                raise
            _limit_waits(near)
            return Forked(pid, Connection(near.detach()), notes)

    def kill(self, pid: int) -> None:
        """Kill a worker through the template, its parent, since its process id may have been reused."""
        parent_end = self._socket
        try:
            if parent_end is not None:
                self._wake()
                parent_end.sendall(template.KILL + pid.to_bytes(template.PID_BYTES, "little"))
        except OSError:  # the template is gone, and its workers with it
            pass

    def _wake(self) -> None:
        """Continue the template, in case a definition stopped it."""
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGCONT)

    def _spawn(self) -> tuple[socket.socket, Connection]:
        if self._closed:
            raise NoWorker("the server is stopping")
        if self._socket is None or self._connection is None:
            parent_end, child_end = socket.socketpair()
            with child_end:
                try:
                    self._process = subprocess.Popen(
                        template.command(child_end.fileno()),
                        stdin=subprocess.DEVNULL,
                        stdout=self.stderr or 2,
                        stderr=self.stderr,
                        pass_fds=[child_end.fileno()],
                    )
                    self._connection = Connection(os.dup(parent_end.fileno()))
                except OSError:
                    parent_end.close()
                    self._discard()
                    raise
            self._socket = parent_end
        return self._socket, self._connection

    def _load(self, connection: Connection) -> None:
        """Make the template load the plugins."""
        if not self._loaded:
            connection.send(dict(self._load_arguments()))
            self._receive(connection, START_SECONDS)
            self._loaded = self._known = True
            assert self._socket is not None
            self._on_start(self._socket.fileno())

    def _receive(self, connection: Connection, seconds: float) -> bytes:
        if not connection.poll(seconds):
            raise NoWorker(f"the process that workers are forked from did not answer within {seconds:g} s")
        try:
            return connection.recv_bytes()
        except EOFError:
            raise NoWorker("the process that workers are forked from ended; its standard error says why") from None

    def _discard(self) -> None:
        process = self._process
        if self._socket is not None:
            self._on_end(self._socket.fileno())
            self._socket.close()
        if self._connection is not None:
            self._connection.close()
        self._process = self._socket = self._connection = None
        self._loaded = False
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End the template and its workers."""
        self._closed = True
        process, parent_end = self._process, self._socket
        if process is not None and parent_end is not None:
            try:
                self._wake()
                parent_end.shutdown(socket.SHUT_RDWR)  # it kills its workers, and ends
                process.wait(CLOSE_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
        with self._lock:
            self._discard()


def _limit_waits(connection: socket.socket) -> None:
    """Let sends and receives fail after a while: a process that wrote half of a message may be stopped, or may not be a
    worker."""
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, STALL_MICROSECONDS))


def anonymous_file(size: int) -> int:
    """Descriptor of a nameless file of ``size`` bytes that other processes can map, in memory where supported. The caller
    closes it. Raises OSError."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("gradproof")
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.ftruncate(number, size)
    return number
