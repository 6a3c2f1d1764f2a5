"""The guard: it replaces serving processes that die or are stuck, and passes on what it is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gradproof.server.supervision.notify import Manager
from gradproof.server.supervision.seat import Seat, mine

ROOT = Path(__file__).parents[2]
SOON = 20.0


class Guarded:
    """A guard, and what its processes say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> dict[str, Any]:
        """The next process that is ready."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def said(self) -> dict[str, Any]:
        """The next line of the guard itself."""
        assert self.process.stderr is not None
        found: dict[str, Any] = json.loads(self.process.stderr.readline())
        return found

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(SOON)


@contextmanager
def guarded(*words: str, environment: dict[str, str] | None = None, **how: Any) -> Iterator[Guarded]:
    command = [sys.executable, "-m", "tests.support.guarded", json.dumps(how), *words]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, env=os.environ | (environment or {}), **pipes) as process:
        try:
            yield Guarded(process)
        finally:
            process.kill()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_dies_is_replaced_and_has_the_same_port() -> None:
    with guarded(port=7) as guard:
        first = guard.next()
        assert (first["number"], first["again"], first["port"]) == (0, False, 0)
        os.kill(first["pid"], signal.SIGKILL)
        second = guard.next()
        assert (second["number"], second["again"], second["port"]) == (0, True, 7)
        assert guard.said()["status"] == -signal.SIGKILL
        assert guard.end() == 0
        assert not alive(second["pid"])


@pytest.mark.slow
def test_one_that_keeps_dying_is_replaced_later_each_time() -> None:
    with guarded(dies=True) as guard:
        assert [guard.said()["seconds"] for _ in range(3)] == [0.0, 1.0, 2.0]
        assert guard.end() == 0


def test_processes_share_a_port_and_a_folder_which_goes_with_them() -> None:
    with guarded(processes=3) as guard:
        found = [guard.next() for _ in range(3)]
        assert sorted(one["number"] for one in found) == [0, 1, 2]
        [folder] = {one["folder"] for one in found}
        assert Path(folder).is_dir()
        lost = next(one for one in found if one["number"] == 1)
        os.kill(lost["pid"], signal.SIGKILL)
        new = guard.next()
        assert (new["number"], new["folder"], new["port"]) == (1, folder, 1)
        assert guard.end() == 0
        assert not Path(folder).exists()
        assert not any(alive(one["pid"]) for one in [*found, new])


def test_a_server_that_cannot_start_ends_with_its_status() -> None:
    with guarded(fails=0) as guard:
        assert guard.process.wait(SOON) == 3


def test_an_embedded_server_is_for_its_owner_to_replace() -> None:
    with guarded("--owner", str(os.getpid())) as guard:
        os.kill(guard.next()["pid"], signal.SIGKILL)
        assert guard.process.wait(SOON) == 128 + signal.SIGKILL


def test_a_process_that_is_stuck_is_replaced() -> None:
    with guarded(processes=2, watchdog=1.0) as guard:
        found = {one["number"]: one for one in (guard.next(), guard.next())}
        os.kill(found[0]["pid"], signal.SIGSTOP)  # it said that it turns, and says so no more
        assert guard.said()["pid"] == found[0]["pid"]
        assert guard.next()["number"] == 0
        assert guard.end() == 0


def test_a_process_that_never_turns_is_replaced() -> None:
    with guarded(processes=2, watchdog=1.0, sticks=1) as guard:
        found = {one["number"]: one for one in (guard.next(), guard.next())}
        assert guard.said()["pid"] == found[1]["pid"]
        assert guard.next()["number"] == 1
        assert guard.end() == 0


def test_the_grace_time_is_that_of_the_settings() -> None:
    with guarded(deaf=True, grace=0.0) as guard:
        pid = guard.next()["pid"]
        assert guard.end() == 128 + signal.SIGKILL
        assert not alive(pid)


def test_a_second_signal_ends_all_at_once() -> None:
    with guarded(deaf=True, processes=2) as guard:
        pids = [guard.next()["pid"] for _ in range(2)]
        guard.process.terminate()
        guard.process.send_signal(signal.SIGINT)
        assert guard.process.wait(SOON) == 128 + signal.SIGKILL
        assert not any(map(alive, pids))


def test_a_manager_of_services_is_told_what_happens(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(SOON)

        def told(word: str) -> str:
            while word not in (text := manager.recv(4096).decode()):
                pass
            return text

        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
        with guarded(processes=2, environment=environment) as guard:
            assert "2 serving" in told("READY=1")
            told("WATCHDOG=1")
            guard.process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in told("RELOADING=1")
            told("READY=1")
            assert guard.end() == 0
            told("STOPPING=1")


@pytest.mark.slow
def test_a_stuck_loop_is_silence_to_the_manager(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(SOON)
        with guarded(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}) as guard:
            pid = guard.next()["pid"]
            while manager.recv(4096) != b"WATCHDOG=1":
                pass
            os.kill(pid, signal.SIGSTOP)
            manager.settimeout(2.0)
            heard = 0
            try:
                while heard < 10 and manager.recv(4096):
                    heard += 1
            except TimeoutError:
                pass
            assert heard < 10


def test_without_a_manager_nobody_is_told() -> None:
    manager = Manager()
    manager.say("READY=1")
    manager.beat(1e9)
    assert manager.period == 0.0


def test_a_process_without_a_guard_speaks_to_nobody() -> None:
    assert mine() == Seat()
    mine().say("beat")
