"""A server as operators run it: ``gradproof serve`` with its processes, seen from outside through /proc (Linux)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PAGE, TICKS = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
LISTENING = re.compile(r"gradproof is listening on (\S+)")
KINDS = ("supervisor", "server", "template", "worker")


class Processes:
    """The processes below ``root``: the supervisor, the servers, and all that they started."""

    def __init__(self, root: int) -> None:
        self.root = root

    def tree(self) -> dict[int, int]:
        """Parents by process, the root included, zombies left out."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            fields = _stat(int(folder.name))
            if fields and fields[0] != "Z":
                parents[int(folder.name)] = int(fields[1])
        found = {self.root: 0} if self.root in parents else {}
        while below := {pid: above for pid, above in parents.items() if above in found and pid not in found}:
            found |= below
        return found

    def depth(self, pid: int, tree: dict[int, int]) -> int:
        """How many processes are between this one and the root, itself included."""
        count = 0
        while pid != self.root:
            pid, count = tree[pid], count + 1
        return count

    def of(self, kind: str) -> list[int]:
        """The processes of a kind: they are one below the other, a worker's own included with the workers."""
        tree = self.tree()
        depth = KINDS.index(kind)
        return [pid for pid in tree if min(self.depth(pid, tree), len(KINDS) - 1) == depth]

    def cpu(self) -> float:
        """CPU seconds that they have used, those that have ended and were waited for included."""
        return sum(sum(int(f[k]) for k in (11, 12, 13, 14)) for pid in self.tree() if (f := _stat(pid))) / TICKS

    def resident(self, kind: str = "server") -> int:
        """Resident bytes of the processes of a kind."""
        total = 0
        for pid in self.of(kind):
            with suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
        return total

    def descriptors(self) -> int:
        """Open descriptors of the servers."""
        total = 0
        for pid in self.of("server"):
            with suppress(OSError):
                total += len(os.listdir(f"/proc/{pid}/fd"))
        return total

    def threads(self) -> int:
        """Threads of the servers."""
        return sum(int(f[17]) for pid in self.of("server") if (f := _stat(pid)))

    def kill_all(self) -> None:
        """End all of them."""
        for pid in self.tree():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class ServerProcess(Processes):
    """A running ``gradproof serve``."""

    def __init__(self, process: subprocess.Popen[str], target: str) -> None:
        super().__init__(process.pid)
        self.process, self.target = process, target


@contextmanager
def served(cache: Path, *options: str, environment: dict[str, str] | None = None) -> Iterator[ServerProcess]:
    """``gradproof serve`` on a free port with ``options``, from when it answers; killed with all of its processes."""
    command = [sys.executable, "-m", "gradproof.server", "serve", "--port", "0", "--cache", str(cache), *options]
    log = cache / "server.log"
    cache.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            process_group=0,
            env={**os.environ, **(environment or {})},
        )
    assert process.stdout is not None
    one = ServerProcess(process, "")
    try:
        for line in process.stdout:
            if match := LISTENING.search(line):
                one.target = match[1]
                break
        else:
            raise RuntimeError(f"the server ended with status {process.wait()}: {log.read_text()[-2000:]}")
        yield one
    finally:
        one.kill_all()
        process.wait()
        process.stdout.close()


def running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended yet."""
    fields = _stat(pid)
    return bool(fields) and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: 0 state, 1 parent, 11 to 14 times, 17 threads."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
