"""Forks: a child of a process that has made a client is told so at once, whatever it asks; its parent's client works on.

`test_fork.py` runs these in a process of their own: one that has served itself does not survive a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradproof.client as gp
from gradproof.client import Client, Forked, GraphBuilder
from gradproof.server.supervision.embedded import EmbeddedServer

SECONDS = 20.0


class Served(NamedTuple):
    """A server in another process."""

    target: str
    client: Client


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    server = EmbeddedServer()
    with Client(server.target) as client:
        before = gp.use(client)
        yield Served(server.target, client)
        gp.use(before)
    server.stop()


@pytest.fixture(autouse=True)
def as_is() -> Iterator[None]:
    """Forking a process with threads is what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def square() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(g.apply("multiply", x, x), "y")
    return g


def told(what: Callable[[], Any]) -> int:
    """0 if it says that the process is a fork."""
    try:
        what()
    except Forked as error:
        return 0 if "is a fork of process" in str(error) else 2
    return 1


def child(what: Callable[[], int]) -> int:
    """The status of a forked child that does something and ends; it is killed where it hangs."""
    pid = os.fork()
    if pid == 0:
        status = 3
        try:
            status = what()
        finally:
            os._exit(status)
    killer = threading.Timer(SECONDS, os.kill, (pid, 9))
    killer.start()
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        killer.cancel()


def test_everything_that_asks_the_server_says_that_this_is_a_fork(served: Served) -> None:
    client = served.client
    x = gp.tensor(np.full(20_000, 2.0), requires_grad=True)
    y = (x * x).sum()
    y.backward(retain_graph=True)  # its forward half is kept on a session
    stream = client.stream(square(), verify="off")
    next(stream)
    with client.session() as session:
        behind = session.stream(square(), verify="off")
        next(behind)
        asks: dict[str, Callable[[], Any]] = {
            "evaluate": lambda: client.evaluate(square()),
            "differentiate": lambda: client.differentiate(square()),
            "infer": lambda: client.infer(square()),
            "ops": client.ops,
            "verify_op": lambda: next(client.verify_op("exp")),
            "a new session": client.session,
            "a stream in progress": lambda: list(stream),
            "a session in progress": lambda: session.evaluate(square()),
            "a run of a session": lambda: list(behind),
            "a new client": lambda: Client(served.target),
            "a new server": gp.connect,
            "another address": lambda: gp.use(served.target),
            "a tensor": lambda: (gp.tensor(3.0) * 2.0).item(),
            "a backward pass": y.backward,
        }
        statuses = {name: child(lambda what=what: told(what)) for name, what in asks.items()}  # type: ignore[misc]
        assert statuses == dict.fromkeys(asks, 0)
        assert len(list(behind)) > 0
    assert len(list(stream)) > 0
    y.backward()
    assert x.grad is not None
    assert x.grad[0].item() == 8.0


def test_a_fork_leaves_the_client_of_its_parent_alone(served: Served) -> None:
    stopped: list[int] = []
    client = Client(served.target, on_close=lambda: stopped.append(os.getpid()))
    session = client.session()
    assert session.evaluate(square())["y"] == 9.0

    def leave() -> int:
        session.close()
        client.close()
        return len(stopped)

    assert child(leave) == 0
    assert session.evaluate(square())["y"] == 9.0
    session.close()
    client.close()
    assert stopped == [os.getpid()]


def _ask(client: Client, said: Any) -> None:
    try:
        said.put(client.evaluate(square())["y"].item())
    except Exception as error:
        said.put(type(error).__name__)


def test_a_process_of_multiprocessing_is_told_too(served: Served) -> None:
    context = multiprocessing.get_context("fork")
    said = context.SimpleQueue()
    process = context.Process(target=_ask, args=(served.client, said))
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0
    assert said.get() == "Forked"


def test_a_fork_of_a_process_without_clients_may_make_one(served: Served) -> None:
    """The process that forks is a fresh one."""
    code = f"""
import os
from gradproof.client import Client, GraphBuilder
pid = os.fork()
g = GraphBuilder()
x = g.leaf("x", 3.0)
g.output(g.apply("multiply", x, x), "y")
with Client({served.target!r}) as client:
    assert client.evaluate(g)["y"] == 9.0
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
