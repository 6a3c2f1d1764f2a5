"""A server of one's own: a child process on a free loopback port, which ends with its owner."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

READY = "gradproof is listening on "
STOP_SECONDS = 10.0
MAX_LINES = 100  # of what a server said before it was ready


class EmbeddedServer:
    """Starts a server in a child process and waits until it answers. ``arguments`` are those of ``gradproof serve``.

    The server ends with the process that started it, however that ends, within two seconds and with all of its own
    processes. It inherits nothing: what it writes comes through a pipe, and is written to ``sys.stderr`` here. Raises
    RuntimeError with what the child said if it does not come up.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self._owner = os.getpid()
        words = ["serve", "--port", "0", "--grace", "0", "--owner", str(self._owner), *arguments]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gradproof.server", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,  # an interrupt at the terminal is for the owner
        )
        self.target = ""
        self._said: deque[str] = deque(maxlen=MAX_LINES)
        self._settled = Event()
        self._reader = Thread(target=self._read, name="gradproof-server", daemon=True)
        self._reader.start()
        atexit.register(self.stop)
        try:
            self._settled.wait()
        except BaseException:
            self.stop()
            raise
        if not self.target:
            self.stop()
            said = "".join(self._said)[-2000:]
            raise RuntimeError(f"the embedded server ended with status {self._process.returncode}: {said}")

    def _read(self) -> None:
        """Pass on what the server says; what it said before it was ready is for the error if it never is."""
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                if self.target:
                    _pass_on(line)
                elif line.startswith(READY):
                    for before in self._said:
                        _pass_on(before)
                    self.target = line.removeprefix(READY).strip()
                    self._settled.set()
                else:
                    self._said.append(line)
        finally:
            self._settled.set()

    def stop(self) -> None:
        """Stop the server and wait until it is gone. May be called twice; in a fork of the owner it does nothing."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.stop)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout and not self._reader.is_alive():
            self._process.stdout.close()


def _pass_on(line: str) -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        sys.stderr.write(line)
