"""Calls end by their deadline, and are repeated, when servers are killed or stopped at their worst moments."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.pausing_plugin import VARIABLE
from tests.support.waiting import within

import gradproof.client as gp
from gradproof.client import (
    Accepted,
    AsyncClient,
    Client,
    DeadlineExceeded,
    GraphBuilder,
    Unavailable,
    channel,
    hook,
)
from gradproof.client.recording import apply, runtime
from gradproof.server.supervision import embedded
from gradproof.server.supervision.embedded import EmbeddedServer
from gradproof.v1 import autodiff_service_pb2 as pb

SECONDS = 60.0
"""After so long a call hangs; all deadlines here are shorter by far."""

LARGE = np.full(1 << 20, 2.0)
"""More than goes into a connection that nobody reads."""

pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked for in /proc"),
]


class Own:
    """A server of one's own that tests kill. ``passing``: ops pause until there is this file; ``tensors``: the client
    behind tensors, which knows the ops."""

    def __init__(self, server: EmbeddedServer, passing: Path) -> None:
        self.server, self.passing = server, passing
        self.tensors = self.client()

    def client(self, **options: Any) -> Client:
        return Client(self.server.target, on_loss=self.server.recover, **options)

    def pids(self, who: str) -> list[int]:
        supervisor = self.server.child.process.pid
        server = int(Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()[0])
        return {"server": [server], "supervisor": [supervisor], "both": [server, supervisor]}[who]

    def kill(self, who: str) -> None:
        for pid in self.pids(who):
            os.kill(pid, signal.SIGKILL)

    def pause(self) -> None:
        for name in (self.passing, self.passing.with_suffix(".entered")):
            name.unlink(missing_ok=True)

    def entered(self) -> bool:
        return within(SECONDS, self.passing.with_suffix(".entered").exists)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        (pid,) = self.pids("server")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    passing = tmp_path_factory.mktemp("pauses") / "pass"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(passing))
        server = EmbeddedServer(["--cache", str(passing.with_name("cache")), "--plugin", "tests.support.pausing_plugin"])
        try:
            found = Own(server, passing)
            before = gp.use(found.tensors)
            assert "pausing.pause" in runtime.current().ops()
            yield found
            gp.use(before)
            found.tensors.close()
        finally:
            server.stop()


def square(value: Any = 3.0, op: str = "pausing.pause") -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", value, requires_grad=True)
    g.output(g.apply("sum", g.apply("multiply", x, g.apply(op, x, name="p")), name="y"))
    return g


def gradient(result: Any) -> float:
    return float(np.ravel(result.gradients["x"].gradient)[0])


def sent(client: Client) -> float:
    request = pb.DifferentiateRequest(
        input=pb.RunInput(graph=square().to_proto()), verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
    )
    return gradient(client.send(request, at_once=True))


def tensors(client: Client) -> float:
    x = gp.tensor(3.0, requires_grad=True)
    y = x * apply.apply("pausing.pause", x)
    y.backward()
    assert x.grad is not None
    return float(x.grad.item())


CALLS: dict[str, tuple[Callable[[Client], float], float]] = {
    "evaluate": (lambda client: float(client.evaluate(square())["y"]), 9.0),
    "differentiate": (lambda client: gradient(client.differentiate(square(), verify="off")), 6.0),
    "with checks": (lambda client: gradient(client.differentiate(square(), verify="values", budget=0.1)), 6.0),
    "in one message": (sent, 6.0),
    "with a hook here": (
        lambda client: gradient(client.differentiate(square(), hooks=[hook("y", lambda g: g * 2)], verify="off")),
        12.0,
    ),
    "in chunks": (lambda client: float(client.evaluate(square(LARGE))["y"]), 4.0 * LARGE.size),
    "tensors": (tensors, 6.0),
}
ASYNC: dict[str, tuple[Callable[[AsyncClient], Any], float]] = {
    "evaluate": (lambda client: client.evaluate(square()), 9.0),
    "differentiate": (lambda client: client.differentiate(square(), verify="off"), 6.0),
    "with a hook here": (
        lambda client: client.differentiate(square(), hooks=[hook("y", lambda g: g * 2)], verify="off"),
        12.0,
    ),
    "in chunks": (lambda client: client.evaluate(square(LARGE)), 4.0 * LARGE.size),
}


async def asked(make: Callable[[], AsyncClient]) -> list[Any]:
    """What all calls of the client for asyncio give, or raise."""
    async with make() as client:
        found = await asyncio.gather(*(call(client) for call, _ in ASYNC.values()), return_exceptions=True)
    return [
        one if isinstance(one, BaseException) else float(one["y"]) if isinstance(one, dict) else gradient(one)
        for one in found
    ]


def last(events: Iterator[Any]) -> None:
    """Read to the end."""
    for _ in events:
        pass


@pytest.mark.parametrize("who", ["server", "supervisor", "both"])
def test_calls_in_flight_are_repeated_when_the_server_was_killed(own: Own, who: str) -> None:
    """All of them at once, with both clients, and with one new start. Nothing that was given is given again."""
    own.pause()
    starts = len(own.server._starts)
    with ThreadPoolExecutor() as pool, own.client() as client, closing(client.stream(square())) as events:  # type: ignore[type-var]
        assert isinstance(next(events), Accepted)
        found = {name: pool.submit(call, client) for name, (call, _) in CALLS.items()}
        others = pool.submit(asyncio.run, asked(lambda: AsyncClient(own.server.target, on_loss=own.server.recover)))
        rest = pool.submit(last, events)
        assert own.entered()
        own.kill(who)
        own.passing.touch()  # not before: a run whose hook was called here is not repeated
        with pytest.raises(Unavailable) as caught:
            rest.result(SECONDS)
        assert caught.value.request_id
        assert {name: one.result(SECONDS) for name, one in found.items()} == {
            name: expected for name, (_, expected) in CALLS.items()
        }
        assert others.result(SECONDS) == [expected for _, expected in ASYNC.values()]
    assert len(own.server._starts) == starts + 1


def test_what_was_kept_is_computed_again_by_the_next_server(own: Own) -> None:
    own.passing.touch()
    x = gp.tensor(np.full(20_000, 2.0), requires_grad=True)
    h = x * x
    y = h.sum()
    assert y.item() == 80_000.0
    assert runtime.current().cache._session is not None
    own.kill("server")
    y.backward()
    assert x.grad is not None
    assert x.grad[0].item() == 4.0
    assert h[0].item() == 4.0


def test_every_call_ends_by_its_deadline_when_the_server_stands_still(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGSTOP: connections are open, and nobody reads them."""
    own.passing.touch()

    async def session(make: Callable[[], AsyncClient]) -> None:
        async with make() as client, client.session() as made:
            await made.differentiate(square(LARGE), verify="off")

    def sessions(client: Client, value: Any = 3.0) -> None:
        with client.session() as made:
            made.differentiate(square(value), verify="off")

    def slow() -> AsyncClient:
        return AsyncClient(own.server.target, timeout=1.0)

    monkeypatch.setattr(own.tensors, "timeout", 1.0)
    with ThreadPoolExecutor(16) as pool, own.client(timeout=1.0) as client, own.stopped():
        found: list[Future[Any]] = [pool.submit(call, client) for call, _ in CALLS.values()]
        found += [pool.submit(last, client.stream(square(), verify="off"))]
        found += [pool.submit(last, client.verify_op("exp", budget=0.1))]
        found += [pool.submit(client.infer, square()), pool.submit(client.ops)]
        found += [pool.submit(sessions, client), pool.submit(sessions, client, LARGE)]
        found += [pool.submit(asyncio.run, session(slow))]
        others = pool.submit(asyncio.run, asked(slow))
        assert [type(one.exception(SECONDS)) for one in found] == [DeadlineExceeded] * len(found)
        assert [type(one) for one in others.result(SECONDS)] == [DeadlineExceeded] * len(ASYNC)
    monkeypatch.undo()
    assert own.tensors.evaluate(square())["y"] == 9.0


def test_a_peer_that_gives_no_sign_of_life_is_gone(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the deadline; where a session is idle too."""
    own.passing.touch()
    monkeypatch.setattr(channel, "KEEPALIVE_MS", 200)
    monkeypatch.setattr(channel, "KEEPALIVE_TIMEOUT_MS", 200)
    with ThreadPoolExecutor() as pool, own.client(timeout=300.0, retries=0) as client, client.session() as session:
        assert session.evaluate(square())["y"] == 9.0
        with own.stopped():
            found = [pool.submit(client.evaluate, square()), pool.submit(session.evaluate, square())]
            assert [type(one.exception(SECONDS)) for one in found] == [Unavailable] * 2


def test_a_server_that_comes_no_more(own: Own) -> None:
    """Killed during calls, and nobody starts it again: they end at once, as those do that come later."""
    own.pause()
    server = EmbeddedServer(["--plugin", "tests.support.pausing_plugin"])
    try:
        with server._change:
            server._stopping = True  # nobody starts it again
        alone = Own(server, own.passing)
        with ThreadPoolExecutor(16) as pool, Client(server.target, timeout=300.0) as client:
            session = client.session()
            found = [pool.submit(call, client) for name, (call, _) in CALLS.items() if name != "tensors"]
            found += [pool.submit(lambda: float(session.evaluate(square())["y"]))]
            found += [pool.submit(last, client.stream(square(), verify="off")) for _ in range(8)]  # type: ignore[arg-type]
            others = pool.submit(asyncio.run, asked(lambda: AsyncClient(server.target, timeout=300.0)))
            assert alone.entered()
            alone.kill("both")
            assert [type(one.exception(SECONDS)) for one in found] == [Unavailable] * len(found)
            assert [type(one) for one in others.result(SECONDS)] == [Unavailable] * len(ASYNC)
            assert not session.alive
            for call in (client.info, client.session().evaluate):
                with pytest.raises((Unavailable, ValueError)):
                    call()
    finally:
        server.stop()


def test_a_hook_that_ran_here_is_not_called_again(own: Own) -> None:
    own.passing.touch()
    calls: list[float] = []

    def killing(gradient: Any) -> None:
        calls.append(float(gradient))
        own.kill("server")

    with own.client() as client, pytest.raises(Unavailable):
        client.differentiate(square(), hooks=[hook("y", killing)], verify="off")
    assert calls == [1.0]


def test_one_that_ends_too_often_says_so(own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last test of the module: the server stays away."""
    with own.client() as client:
        assert client.info().versions
        monkeypatch.setattr(embedded, "MAX_STARTS", len(own.server._starts))
        monkeypatch.setattr(embedded, "STARTS_SECONDS", 3600.0)
        own.kill("server")
        with pytest.raises(Unavailable, match=r"ended with status 137, after \d new starts within 3600 seconds") as caught:
            client.info()
        assert caught.value.request_id
