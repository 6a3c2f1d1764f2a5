"""The supervisor: it replaces serving processes that die or are stuck, and passes on what it is told."""

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

from gradproof.server.supervision.service_manager import ServiceManager
from gradproof.server.supervision.supervised_process import SupervisedProcess, this_process

ROOT = Path(__file__).parents[2]
SOON = 20.0


class Supervised:
    """A supervisor, and what its processes say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next(self) -> dict[str, Any]:
        """The next process that is ready."""
        assert self.process.stdout is not None
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def said(self) -> dict[str, Any]:
        """The next line of the supervisor itself."""
        assert self.process.stderr is not None
        found: dict[str, Any] = json.loads(self.process.stderr.readline())
        return found

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(SOON)


@contextmanager
def supervised(*words: str, environment: dict[str, str] | None = None, **how: Any) -> Iterator[Supervised]:
    command = [sys.executable, "-m", "tests.support.supervised", json.dumps(how), *words]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, env=os.environ | (environment or {}), **pipes) as process:
        try:
            yield Supervised(process)
        finally:
            process.kill()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_process_that_dies_is_replaced_and_has_the_same_port() -> None:
    with supervised(port=7) as supervisor:
        first = supervisor.next()
        assert (first["number"], first["restarted"], first["port"]) == (0, False, 0)
        os.kill(first["pid"], signal.SIGKILL)
        second = supervisor.next()
        assert (second["number"], second["restarted"], second["port"]) == (0, True, 7)
        assert supervisor.said()["status"] == -signal.SIGKILL
        assert supervisor.end() == 0
        assert not alive(second["pid"])


@pytest.mark.slow
def test_one_that_keeps_dying_is_replaced_later_each_time() -> None:
    with supervised(dies=True) as supervisor:
        assert [supervisor.said()["seconds"] for _ in range(3)] == [0.0, 1.0, 2.0]
        assert supervisor.end() == 0


def test_processes_share_a_port_and_a_folder_which_goes_with_them() -> None:
    with supervised(processes=3) as supervisor:
        found = [supervisor.next() for _ in range(3)]
        assert sorted(one["number"] for one in found) == [0, 1, 2]
        [folder] = {one["folder"] for one in found}
        assert Path(folder).is_dir()
        lost = next(one for one in found if one["number"] == 1)
        os.kill(lost["pid"], signal.SIGKILL)
        new = supervisor.next()
        assert (new["number"], new["folder"], new["port"]) == (1, folder, 1)
        assert supervisor.end() == 0
        assert not Path(folder).exists()
        assert not any(alive(one["pid"]) for one in [*found, new])


def test_a_server_that_cannot_start_ends_with_its_status() -> None:
    with supervised(fails=0) as supervisor:
        assert supervisor.process.wait(SOON) == 3


def test_an_embedded_server_is_for_its_owner_to_replace() -> None:
    with supervised("--owner", str(os.getpid())) as supervisor:
        os.kill(supervisor.next()["pid"], signal.SIGKILL)
        assert supervisor.process.wait(SOON) == 128 + signal.SIGKILL


@pytest.mark.slow
def test_a_process_that_is_stuck_is_replaced() -> None:
    with supervised(processes=2, watchdog=1.0) as supervisor:
        found = {one["number"]: one for one in (supervisor.next(), supervisor.next())}
        os.kill(found[0]["pid"], signal.SIGSTOP)  # it said that it turns, and says so no more
        assert supervisor.said()["pid"] == found[0]["pid"]
        assert supervisor.next()["number"] == 0
        assert supervisor.end() == 0


@pytest.mark.slow
def test_a_process_that_never_turns_is_replaced() -> None:
    with supervised(processes=2, watchdog=1.0, sticks=1) as supervisor:
        found = {one["number"]: one for one in (supervisor.next(), supervisor.next())}
        assert supervisor.said()["pid"] == found[1]["pid"]
        assert supervisor.next()["number"] == 1
        assert supervisor.end() == 0


@pytest.mark.slow
def test_the_grace_time_is_that_of_the_settings() -> None:
    with supervised(deaf=True, grace=0.0) as supervisor:
        pid = supervisor.next()["pid"]
        assert supervisor.end() == 128 + signal.SIGKILL
        assert not alive(pid)


def test_a_second_signal_ends_all_at_once() -> None:
    with supervised(deaf=True, processes=2) as supervisor:
        pids = [supervisor.next()["pid"] for _ in range(2)]
        supervisor.process.terminate()
        supervisor.process.send_signal(signal.SIGINT)
        assert supervisor.process.wait(SOON) == 128 + signal.SIGKILL
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
        with supervised(processes=2, environment=environment) as supervisor:
            assert "2 serving" in told("READY=1")
            told("WATCHDOG=1")
            supervisor.process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in told("RELOADING=1")
            told("READY=1")
            assert supervisor.end() == 0
            told("STOPPING=1")


@pytest.mark.slow
def test_a_stuck_loop_is_silence_to_the_manager(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(SOON)
        with supervised(environment={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}) as supervisor:
            pid = supervisor.next()["pid"]
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
    manager = ServiceManager()
    manager.notify("READY=1")
    manager.keep_alive(1e9)
    assert manager.period == 0.0


def test_a_process_without_a_guard_speaks_to_nobody() -> None:
    assert this_process() == SupervisedProcess()
    this_process().report("beat")
