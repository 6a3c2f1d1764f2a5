"""A server of one's own: a child process on a free loopback port, which ends with its owner."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

READY = "gradproof is listening on "


class EmbeddedServer:
    """Starts a server in a child process and waits until it listens. ``arguments`` are those of ``gradproof serve``.

    The child watches its standard input, so it ends when its owner does, however that happens. Raises RuntimeError with
    what the child said if it does not come up.
    """

    def __init__(self, arguments: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gradproof.server", "serve", "--port", "0", "--with-stdin", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = []
        for line in self._process.stdout:
            if line.startswith(READY):
                self.target = line.removeprefix(READY).strip()
                return
            said.append(line)
        self.stop()
        raise RuntimeError(f"the embedded server ended with status {self._process.returncode}: {''.join(said)[-2000:]}")

    def stop(self) -> None:
        """Stop the server and wait until it is gone. May be called twice."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
