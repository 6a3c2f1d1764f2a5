"""Servers of the command line, whose processes are known by a mark in their environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gradproof.server.supervision.embedded import READY

ROOT = Path(__file__).parents[2]
SOON = 10.0
"""Seconds for what takes two at most, on a machine that is busy with other tests."""

OWNED = ("--owner", str(os.getpid()))
"""As embedded servers are: ready as soon as it can be."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Every process that descends from a process with this environment has its mark."""
    return os.environ | {"GRADPROOF_TEST_MARK": str(tmp_path), "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}


def servers(environment: dict[str, str]) -> list[int]:
    """The processes of servers with the mark of an environment."""
    mark = f"GRADPROOF_TEST_MARK={environment['GRADPROOF_TEST_MARK']}".encode()
    pids = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
            if mark in (place / "environ").read_bytes().split(b"\0") and words and b"os.fork()" not in words:
                pids.append(int(place.name))
        except OSError:
            continue
    return [pid for pid in pids if pid != os.getpid()]


@contextmanager
def serve(environment: dict[str, str], *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of the command line, and its address."""
    command = [sys.executable, "-m", "gradproof.server", "serve", "--port", "0", *words]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().removeprefix(READY).strip()
        finally:
            process.kill()
