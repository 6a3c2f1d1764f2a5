"""The client for asyncio, several addresses, retries, and tokens."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import grpc
import numpy as np
import pytest
from tests.support.server_fixture import Served, serving

from gradproof.client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    GraphBuilder,
    InvalidRequest,
    NotFound,
    Unavailable,
    VerdictRequired,
    hook,
)
from gradproof.client.aio_session import AsyncSession, collected
from gradproof.client.channel import Connection
from gradproof.client.events import Gradient
from gradproof.client.requests import RunExchange
from gradproof.client.session import Session
from gradproof.server.runs import handler
from gradproof.v1 import autodiff_service_pb2 as pb


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


def square(value: Any = 3.0, op: str = "square") -> GraphBuilder:
    g = GraphBuilder()
    g.output(g.apply("sum", g.apply(op, g.leaf("x", value, requires_grad=True), name="y")))
    return g


def test_the_surface_is_that_of_the_other_client() -> None:
    names = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    ours = {name for name, _ in inspect.getmembers(AsyncClient, inspect.isfunction) if not name.startswith("_")}
    assert names - ours == {
        "send",  # of messages, for tensors, which do not await
        "send_evaluate",
        "function",  # a function of Python code that does not await
    }
    assert ours <= names


def test_so_is_that_of_the_session() -> None:
    for name in ("close", "cancel", "exchange", "differentiate", "evaluate", "release", "stream"):
        one, other = getattr(Session, name), getattr(AsyncSession, name)
        assert list(inspect.signature(one).parameters) == list(inspect.signature(other).parameters)
    public = [{name for name in dir(kind) if not name.startswith("_")} for kind in (Session, AsyncSession)]
    assert public[0] == public[1]


def test_everything_once(served: Served) -> None:
    async def run() -> None:
        async with AsyncClient(served.target) as client:
            g = square()
            for _ in range(2):  # the second time by its digest
                result = await client.differentiate(g, budget=30.0)
                assert (result.gradients["x"].gradient, result.verdicts["x"].summary) == (6.0, "verified")
            gradients = [event async for event in client.stream(g, verify="off") if isinstance(event, Gradient)]
            assert [gradient.value for gradient in gradients] == ["x"]
            assert list((await client.evaluate(g, fetch=["y"])).values()) == [9.0]
            assert (await client.infer(g)).faults == []
            assert (await client.derive(g)).results[0].by == "x"
            assert "numpy" in (await client.info()).versions
            assert "sin" in {op.name for op in await client.ops()}
            assert (await client.op("sin")).op.name == "sin"
            assert [step.cases_done async for step in client.verify_op("sin")][-1] >= 1
            served.host.handler.graphs.clear()
            assert (await client.differentiate(g, verify="off")).gradients["x"].gradient == 6.0

    asyncio.run(run())


def test_runs_at_once_and_hooks_here(served: Served) -> None:
    async def run() -> None:
        async with AsyncClient(served.target) as client:
            results = await asyncio.gather(
                *(
                    client.differentiate(square(float(k)), hooks=[hook("y", lambda g: g * 10)], verify="off")
                    for k in range(5)
                )
            )
            assert [float(one.gradients["x"].gradient) for one in results] == [0.0, 20.0, 40.0, 60.0, 80.0]

    asyncio.run(run())


def test_a_session(served: Served) -> None:
    async def run() -> None:
        kept = served.host.handler.forward_cache
        async with AsyncClient(served.target) as client, client.session() as session:
            g = square()
            assert (await session.evaluate(g, save_as="run", fetch=["y"]))["y"] == 9.0
            first = await session.differentiate(saved="run", verify="off")
            assert (first.gradients["x"].gradient, first.summary.nodes_computed) == (6.0, 0)
            hooked = await asyncio.gather(
                *(
                    session.differentiate(saved="run", hooks=[hook("y", lambda g, k=k: g * k)], verify="off")
                    for k in range(5)
                )
            )
            assert [float(one.gradients["x"].gradient) for one in hooked] == [0.0, 6.0, 12.0, 18.0, 24.0]
            async for event in session.stream(g, verify="off"):
                if isinstance(event, Gradient):
                    break  # it is given up
            await session.release("run")
            with pytest.raises(NotFound):
                await session.evaluate(saved="run")
            replayed = await session.differentiate(g, saved="run", verify="off")
            assert (replayed.gradients["x"].gradient, replayed.summary.nodes_computed) == (6.0, 2)
            assert len(kept) == 1
            big = await session.differentiate(square(np.ones(700_000)), verify="off")  # in chunks, both ways
            assert big.gradients["x"].gradient.sum() == 1_400_000
            with pytest.raises(InvalidRequest, match="sine"):
                await session.differentiate(square(op="sine"))
            with pytest.raises(ValueError, match="give a graph"):
                await session.evaluate()
            assert session.alive
        assert not session.alive
        assert len(kept) == 0
        with pytest.raises(ValueError, match="the session is closed"):
            await session.evaluate(square())

    asyncio.run(run())


def test_a_session_that_breaks(served: Served) -> None:
    def refuse(gradient: Any) -> None:
        raise LookupError("mine alone")

    async def run() -> None:
        async with AsyncClient(served.target) as client:
            async with client.session() as session:
                with pytest.raises(LookupError, match="mine alone"):
                    await session.differentiate(square(), hooks=[hook("y", refuse)])
                called = asyncio.Event()
                asked = asyncio.create_task(session.differentiate(square(), hooks=[hook("y", lambda g: called.set())]))
                await called.wait()
                await session.cancel()
                with pytest.raises(Unavailable):
                    await asked
            async with client.session() as session:
                await session.evaluate(square())
                served.loop.call_soon_threadsafe(served.host.handler.drain)
                await session._reader
                with pytest.raises(Unavailable, match="the server ended the session"):
                    await session.evaluate(square())
            async with client.session(timeout=0.05) as session:
                await session._reader
                with pytest.raises(DeadlineExceeded):
                    await session.evaluate(square())
            async with client.session() as session:
                with pytest.raises(DeadlineExceeded):
                    await collected(
                        session.exchange(RunExchange(pb.EvaluateRequest(input=pb.RunInput(graph=square().to_proto()))), 0.0)
                    )
                assert (await session.evaluate(square(), fetch=["y"]))["y"] == 9.0

    asyncio.run(run())


def test_large_tensors_and_errors(served: Served) -> None:
    async def run() -> None:
        async with AsyncClient(served.target) as client:
            big = np.ones(700_000)
            result = await client.differentiate(square(big), verify="off")
            assert result.gradients["x"].gradient.sum() == 2.0 * big.size
            assert (await client.evaluate(square(big)))["sum_0"] == big.size
            with pytest.raises(InvalidRequest, match="sine"):
                await client.differentiate(square(op="sine"))
            with pytest.raises(ValueError, match="verify is 'some'"):
                await client.differentiate(square(), verify="some")
            with pytest.raises(VerdictRequired) as caught:
                await client.differentiate(square(op="planted.cube"), required="verified", budget=30.0)
            assert caught.value.result.verdicts["x"].summary == "wrong"

    asyncio.run(run())


def test_nobody_there() -> None:
    async def run() -> None:
        async with AsyncClient("127.0.0.1:1", timeout=5.0, retries=0) as client:
            with pytest.raises(Unavailable):
                await client.info()

    asyncio.run(run())


@pytest.mark.slow
def test_several_servers_take_turns(served: Served, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path, plugin=["gradproof.server.demo_faulty_op"]) as other:
        ports = {id(one.host.handler): one.host.port for one in (served, other)}
        seen: list[int] = []
        recall = handler.Handler.recall  # which each run goes through, known or not

        def noted(one: handler.Handler, request: Any) -> Any:
            seen.append(ports[id(one)])
            return recall(one, request)

        monkeypatch.setattr(handler.Handler, "recall", noted)
        with Client([served.target, other.target.replace("127.0.0.1", "localhost")]) as client:
            g = square()
            for _ in range(40):  # connections come up one after the other
                assert client.differentiate(g, verify="off").gradients["x"].gradient == 6.0
                if set(seen) == set(ports.values()):
                    break
            seen.clear()
            for _ in range(4):  # of a form that both know
                assert client.differentiate(g, verify="off").gradients["x"].gradient == 6.0
        assert set(seen) == set(ports.values())


def test_a_call_that_changes_nothing_is_tried_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    infer = handler.infer

    def flaky(*given: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise _Away
        return infer(*given)

    monkeypatch.setattr(handler, "infer", flaky)
    monkeypatch.setattr("gradproof.server.calls.status.unexpected", _unavailable)
    with Client(served.target) as client:
        assert client.infer(square()).faults == []
    assert len(calls) == 3
    calls.clear()
    with Client(served.target, retries=0) as client, pytest.raises(Unavailable):
        client.infer(square())


class _Away(Exception):
    """The server goes away for a moment."""


def _unavailable(error: Exception) -> Any:
    from google.rpc import status_pb2

    return status_pb2.Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="away")


def test_tokens_and_addresses() -> None:
    assert Connection("localhost:1", token="t").call(1.0, "id") == {
        "timeout": 1.0,
        "metadata": (("x-request-id", "id"), ("authorization", "Bearer t")),
    }
    assert (
        Connection(["127.0.0.1:1", "127.0.0.1:2"], tls=False, token="", retries=0).target == "ipv4:127.0.0.1:1,127.0.0.1:2"
    )
    with pytest.raises(ValueError, match="a token is sent over TLS only"):
        Client("example.org:443", token="t")
    with pytest.raises(ValueError, match="a client needs an address"):
        Client([])
