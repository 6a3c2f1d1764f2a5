"""The socket of an embedded server: no other user reaches it, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.support.waiting import within

from gradproof.client import Client, GraphBuilder
from gradproof.server.supervision import private_socket
from gradproof.server.supervision.embedded import EmbeddedServer

QUICK = ["--plans", "never"]


def square(client: Client) -> float:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(g.apply("multiply", x, x), "y")
    gradient = client.differentiate(g, verify="off").gradients["x"].gradient
    assert gradient is not None
    return float(gradient)


def path_of(address: str) -> Path:
    return Path(address.removeprefix("unix:"))


def test_its_folder_is_private_and_removed() -> None:
    address = private_socket.private_address()
    folder = path_of(address).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    path_of(address).touch()
    private_socket.remove(address)
    assert not folder.exists()
    private_socket.remove(address)


def test_a_path_that_is_too_long_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    address = private_socket.private_address()
    assert not list(long.iterdir())
    assert len(os.fsencode(path_of(address))) <= private_socket.MAX_PATH
    private_socket.remove(address)


def test_other_addresses_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.touch()
    for address in ("127.0.0.1:1", f"unix:{path}"):
        private_socket.remove(address)
    assert path.exists()


@pytest.mark.slow
def test_a_killed_server_is_back_at_its_socket_and_nothing_stays() -> None:
    server = EmbeddedServer(QUICK)
    path = path_of(server.target)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Client(server.target, on_loss=server.recover, timeout=120.0) as client:
        assert square(client) == 6.0
        server.child.process.kill()
        assert square(client) == 6.0
    server.stop()
    assert not path.parent.exists()


@pytest.mark.slow
def test_a_port_is_taken_where_it_is_wanted_or_there_are_no_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    server = EmbeddedServer(QUICK)
    try:
        assert server.target.startswith("127.0.0.1:")
    finally:
        server.stop()


OWNER = """
import time
from gradproof.server.supervision.embedded import EmbeddedServer
print(EmbeddedServer(["--plans", "never"]).target, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
def test_nothing_stays_of_an_owner_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = path_of(owner.stdout.readline().strip()).parent
        assert folder.exists()
        owner.send_signal(signal.SIGKILL)
    assert within(30.0, lambda: not folder.exists())
