"""Proxies: what is on this machine is never behind one, whatever the environment says; other targets are as gRPC has it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
from tests.support.server_fixture import Served

from gradproof.client import AsyncClient, Client, GraphBuilder
from gradproof.client.channel import Connection
from gradproof.v1 import autodiff_service_pb2 as pb

HERE = [
    "127.0.0.1:50551",
    "127.0.0.1",
    "127.8.9.10:1",
    "localhost:50551",
    "LOCALHOST.:50551",
    "[::1]:50551",
    "::1",
    "[::ffff:127.0.0.1]:1",
    "0.0.0.0:50551",
    "unix:/tmp/socket",
    "unix:///tmp/socket",
    "unix-abstract:name",
    "dns:localhost:1",
    "dns:///localhost:50551",
    "ipv4:127.0.0.1:1,127.0.0.1:2",
    "ipv6:[::1]:50551",
    "ipv6:%5B::1%5D:50551",
]
ELSEWHERE = [
    "example.org:443",
    "10.0.0.1:50551",
    "[2001:db8::1]:443",
    "localhost.example.org:1",
    "dns://10.0.0.1/localhost:1",
    "ipv4:127.0.0.1:1,10.0.0.1:2",
    "unixes:50551",
]


def options(target: str) -> dict[str, object]:
    return dict(Connection(target, tls=False, token="", retries=0)._options)


@pytest.mark.parametrize("target", HERE)
def test_this_machine_is_not_behind_a_proxy(target: str) -> None:
    assert options(target)["grpc.enable_http_proxy"] == 0


@pytest.mark.parametrize("target", ELSEWHERE)
def test_others_are_as_grpc_has_it(target: str) -> None:
    assert "grpc.enable_http_proxy" not in options(target)


def test_a_token_goes_to_this_machine_only() -> None:
    for target in HERE:
        Connection(target, tls=False, token="t", retries=0)
    for target in ELSEWHERE:
        with pytest.raises(ValueError, match="a token is sent over TLS only"):
            Connection(target, tls=False, token="t", retries=0)


@pytest.fixture
def served(shared: Served) -> Served:
    return shared


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A proxy that every variable of the environment names."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        for name in ("grpc_proxy", "http_proxy", "https_proxy", "all_proxy"):
            for spelled in (name, name.upper()):
                monkeypatch.setenv(spelled, f"http://127.0.0.1:{listening.getsockname()[1]}")
        for name in ("no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        yield listening


def square() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 3.0)
    g.output(g.apply("multiply", x, x), "y")
    return g


def test_both_clients_reach_a_server_here(served: Served, proxy: socket.socket) -> None:
    for target in (served.target, served.target.replace("127.0.0.1", "localhost")):
        with Client(target, timeout=20.0) as client:
            assert client.evaluate(square())["y"] == 9.0

    async def ask() -> float:
        async with AsyncClient(served.target, timeout=20.0) as client:
            return float((await client.evaluate(square()))["y"])

    assert asyncio.run(ask()) == 9.0


def test_a_server_elsewhere_is_asked_for_at_the_proxy(proxy: socket.socket) -> None:
    with Client("gradproof.invalid:50551", timeout=20.0, retries=0) as client:
        call = client._autodiff.GetServerInfo.future(pb.GetServerInfoRequest(), timeout=20.0)
        connection, _ = proxy.accept()
        with connection:
            assert connection.recv(1024).startswith(b"CONNECT gradproof.invalid:50551 ")
        call.cancel()
