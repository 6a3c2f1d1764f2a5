"""The spawner: the side of the server from which workers are forked. It starts the template, a process that does nothing
but fork, tells it what to do, and starts another where it ends."""

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
from gradproof.engine.verify.processes.worker import NOTE_BYTES

START_SECONDS = 60.0  # to import plugins
FORK_SECONDS = 10.0
CLOSE_SECONDS = 1.0
TRIES = 3  # to fork a worker, where the process it is forked from ends
STALL_MICROSECONDS = 500_000  # between two parts of a message


class NoWorker(Exception):
    """No process is there for a task; the message says why."""


class Forked(NamedTuple):
    """A new worker: its number, the connection to it, and the file in which it notes what it is at."""

    pid: int
    connection: Connection
    notes: int


class Spawner:
    """The process that workers are forked from; started with the first, and again if it ends. ``told`` gives what it is to
    load: the arguments of `worker.load_registry`. ``began`` is called with the descriptor of the socket to it once that is
    loaded, ``over`` before the socket is closed. What it writes goes to ``stderr``, if that is set. Safe to use from
    several threads."""

    def __init__(
        self, told: Callable[[], Mapping[str, Any]], began: Callable[[int], None], over: Callable[[int], None]
    ) -> None:
        self._told, self._began, self._over = told, began, over
        self.stderr: int | None = None
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._connection: Connection | None = None
        self._loaded = self._known = self._closed = False

    def spawn(self) -> None:
        """Start the process, if there is none. Raises NoWorker or OSError."""
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
                        raise  # where it was well before, another one will be
            return self._fork()

    def _fork(self) -> Forked:
        own, connection = self._spawn()
        near, other = socket.socketpair()
        with near, other:
            notes = shared(NOTE_BYTES)
            try:
                self._load(connection)
                self._wake()
                socket.send_fds(own, [template.FORK + bytes(template.PID_BYTES)], [other.fileno(), notes])
                pid = int.from_bytes(self._hear(connection, FORK_SECONDS), "little")
            except (OSError, NoWorker):
                os.close(notes)
                self._lose()
                raise
            _limit_waits(near)
            return Forked(pid, Connection(near.detach()), notes)

    def kill(self, pid: int) -> None:
        """Kill a worker, by its parent: its number may be another's by now."""
        own = self._socket
        try:
            if own is not None:
                self._wake()
                own.sendall(template.KILL + pid.to_bytes(template.PID_BYTES, "little"))
        except OSError:  # the template is gone, and its workers with it
            pass

    def _wake(self) -> None:
        """Let the process go on, if a definition stopped it."""
        process = self._process
        if process is not None:
            process.send_signal(signal.SIGCONT)

    def _spawn(self) -> tuple[socket.socket, Connection]:
        if self._closed:
            raise NoWorker("the server is stopping")
        if self._socket is None or self._connection is None:
            own, other = socket.socketpair()
            with other:
                try:
                    self._process = subprocess.Popen(
                        template.started(other.fileno()),
                        stdin=subprocess.DEVNULL,
                        stdout=self.stderr or 2,
                        stderr=self.stderr,
                        pass_fds=[other.fileno()],
                    )
                    self._connection = Connection(os.dup(own.fileno()))
                except OSError:
                    own.close()
                    self._lose()
                    raise
            self._socket = own
        return self._socket, self._connection

    def _load(self, connection: Connection) -> None:
        """Have it load the plugins."""
        if not self._loaded:
            connection.send(dict(self._told()))
            self._hear(connection, START_SECONDS)
            self._loaded = self._known = True
            assert self._socket is not None
            self._began(self._socket.fileno())

    def _hear(self, connection: Connection, seconds: float) -> bytes:
        if not connection.poll(seconds):
            raise NoWorker(f"the process that workers are forked from did not answer within {seconds:g} s")
        try:
            return connection.recv_bytes()
        except EOFError:
            raise NoWorker("the process that workers are forked from ended; its standard error says why") from None

    def _lose(self) -> None:
        process = self._process
        if self._socket is not None:
            self._over(self._socket.fileno())
            self._socket.close()
        if self._connection is not None:
            self._connection.close()
        self._process = self._socket = self._connection = None
        self._loaded = False
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> None:
        """End it, and with it all workers."""
        self._closed = True
        process, own = self._process, self._socket
        if process is not None and own is not None:
            try:
                self._wake()
                own.shutdown(socket.SHUT_RDWR)  # it kills its workers, and ends
                process.wait(CLOSE_SECONDS)
            except (OSError, subprocess.TimeoutExpired):
                process.kill()
        with self._lock:
            self._lose()


def _limit_waits(connection: socket.socket) -> None:
    """Have what is sent and received fail after a while: whoever wrote half a message may be stopped, or no worker."""
    for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, STALL_MICROSECONDS))


def shared(size: int) -> int:
    """An open file of ``size`` bytes that other processes can map, and nobody can find: in memory where the system has such
    files. To be closed. Raises OSError."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("gradproof")
    else:
        with tempfile.TemporaryFile() as file:
            number = os.dup(file.fileno())
    os.ftruncate(number, size)
    return number
