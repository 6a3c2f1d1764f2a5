"""Template of workers: a process that has loaded SymPy and the registry, and forks a worker on request.

A fork is ready within milliseconds. The template runs no definitions, so that it has a single thread and may fork. When
its owner is gone, however it ended, it kills all workers and ends.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from threadpoolctl import threadpool_limits

from gradproof.engine.verify.processes import loading, worker

FORK, KILL = b"f", b"k"
PID_BYTES = 8
REAP_SECONDS = 0.2
PR_SET_PDEATHSIG = 1


def main(number: int) -> None:
    """Serve the owner at the other end of socket ``number`` until it is gone."""
    for handled in (signal.SIGINT, signal.SIGTERM):
        signal.signal(handled, signal.SIG_IGN)  # for the server, which drains its calls
    owner = socket.socket(fileno=number)
    loaded = threading.Event()
    watch = threading.Thread(target=_exit_with_owner, args=(owner, loaded), daemon=True)
    watch.start()
    hello = Connection(os.dup(number))
    try:
        arguments = hello.recv()
    except (EOFError, ConnectionError):  # the owner needed no workers
        os._exit(0)
    loading.load_registry(**arguments)
    worker.warm()
    threadpool_limits(1, user_api="blas")  # there are many workers, and BLAS threads spin while they wait
    loaded.set()
    watch.join()
    gc.collect()
    gc.freeze()  # keeps pages shared with the workers
    hello.send_bytes(b"ready")
    children: set[int] = set()
    try:
        _serve(owner, hello, children)
    finally:
        for pid in children:
            _kill(pid)


def _exit_with_owner(owner: socket.socket, loaded: threading.Event) -> None:
    """End this process if its owner ends while a plugin is being imported, which may take forever."""
    while not loaded.wait(0.2):
        ready, _, _ = select.select([owner], [], [], 0)
        if ready and owner.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
            os._exit(1)


def _serve(owner: socket.socket, hello: Connection, children: set[int]) -> None:
    while True:
        while not select.select([owner], [], [], REAP_SECONDS if children else None)[0]:
            _reap(children)
        order, fds, _, _ = socket.recv_fds(owner, 1 + PID_BYTES, 2)
        if not order:
            return
        if order[:1] == FORK:
            connection, notes = fds
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                owner.close()
                hello.close()
                _become_worker(connection, notes, parent)
            os.close(connection)
            os.close(notes)
            children.add(pid)
            hello.send_bytes(pid.to_bytes(PID_BYTES, "little"))
        elif order[:1] == KILL:
            pid = int.from_bytes(order[1:], "little")
            if pid in children:  # else its number may have been reused
                _kill(pid)


def _become_worker(connection: int, notes: int, parent: int) -> None:
    """Run as a worker until the owner is gone, in an own process group, so that child processes of definitions are killed
    with it. Never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # the template ended before the call
                return
        worker.work(Connection(connection), notes)
        status = 0
    finally:
        os._exit(status)


def _kill(pid: int) -> None:
    """Kill a worker and its process group. Does not wait."""
    for kill in (os.killpg, os.kill):  # `kill` if it has no group yet
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _reap(children: set[int]) -> None:
    """Forget the workers that have ended, and kill their process groups."""
    for pid in list(children):
        with suppress(ChildProcessError):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            _kill(pid)  # its group, before the number can be reused
            os.waitpid(pid, 0)
        children.discard(pid)


def command(number: int) -> list[str]:
    """Command that starts a template at the other end of socket ``number``."""
    return [sys.executable, "-c", f"from gradproof.engine.verify.processes.template import main\nmain({number})"]


__all__: list[Any] = ["FORK", "KILL", "PID_BYTES", "command", "main"]
