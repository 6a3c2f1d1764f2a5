"""Servers that do not answer, or are none: each call ends within its deadline, with a short text that says what to do."""

from __future__ import annotations

import asyncio
import http.server
import importlib.util
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client import AsyncClient, Client, DeadlineExceeded, GradproofError, GraphBuilder, NotServed, Unavailable
from gradproof.client.server_extra import SERVER_LIBRARIES

SECONDS = 0.3
MUCH = 10.0
"""A busy machine may take so long to notice a deadline."""


class Endless(grpc.GenericRpcHandler):
    """Takes every call, and answers none until it is told to end."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        def wait(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            self.over.wait(60.0)
            yield b""

        return grpc.stream_stream_rpc_method_handler(wait)


@pytest.fixture(scope="module", params=["connects and says nothing", "takes calls and answers none"])
def silent(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param.startswith("connects"):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        return
    endless = Endless()
    server = grpc.server(futures.ThreadPoolExecutor(64), handlers=[endless])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    endless.over.set()
    server.stop(0.0).wait()


def square() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", 3.0, requires_grad=True)
    g.output(g.apply("multiply", x, x), "y")
    return g


CALLS: dict[str, Callable[[Any, float], Any]] = {
    "evaluate": lambda client, seconds: client.evaluate(square(), timeout=seconds),
    "differentiate": lambda client, seconds: client.differentiate(square(), timeout=seconds),
    "stream": lambda client, seconds: client.stream(square(), timeout=seconds),
    "infer": lambda client, seconds: client.infer(square(), timeout=seconds),
    "derive": lambda client, seconds: client.derive(square(), timeout=seconds),
    "explain": lambda client, seconds: client.explain(square(), "y", timeout=seconds),
    "info": lambda client, seconds: client.info(timeout=seconds),
    "ops": lambda client, seconds: client.ops(timeout=seconds),
    "op": lambda client, seconds: client.op("exp", timeout=seconds),
    "verify_op": lambda client, seconds: client.verify_op("exp", timeout=seconds),
    "a large request": lambda client, seconds: client.evaluate(large(), timeout=seconds),
}


def large() -> GraphBuilder:
    g = GraphBuilder()
    g.output(g.apply("exp", g.leaf("x", [0.0] * 500_000)), "y")
    return g


def ends_in_time(call: Callable[[], Any]) -> None:
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        call()
    assert time.monotonic() - begin < MUCH
    assert caught.value.__cause__ is None


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_a_deadline_for_all_of_it(silent: str, name: str) -> None:
    with Client(silent) as client:
        ends_in_time(lambda: list(answer) if hasattr(answer := CALLS[name](client, SECONDS), "__next__") else answer)


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_of_asyncio_has_too(silent: str, name: str) -> None:
    async def ask() -> None:
        async with AsyncClient(silent) as client:
            answer = CALLS[name](client, SECONDS)
            if hasattr(answer, "__anext__"):
                async for _ in answer:
                    pass
            else:
                await answer

    ends_in_time(lambda: asyncio.run(ask()))


@pytest.mark.parametrize("call", ["evaluate", "differentiate", "stream"])
def test_runs_of_a_session_have_too(silent: str, call: str) -> None:
    with Client(silent) as client, ExitStack() as stack:
        session = client.session()
        stack.callback(session.cancel)
        ends_in_time(lambda: list(getattr(session, call)(square(), timeout=SECONDS)))


def test_tensors_have_the_deadline_of_their_client(silent: str) -> None:
    with Client(silent, timeout=SECONDS) as client:
        before = gp.use(client)
        try:
            x = gp.tensor(3.0, requires_grad=True)
            ends_in_time(lambda: (x * x).item())
            ends_in_time(lambda: x.exp().backward())
        finally:
            gp.use(before)


@pytest.fixture
def others() -> Iterator[dict[str, str]]:
    """Addresses of what is no gradproof server."""
    with ExitStack() as stack:
        closed = socket.create_server(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        closed.close()
        web = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler))
        threading.Thread(target=web.serve_forever, daemon=True).start()
        stack.callback(web.shutdown)
        other = grpc.server(futures.ThreadPoolExecutor(2))
        port = other.add_insecure_port("127.0.0.1:0")
        other.start()
        stack.callback(lambda: other.stop(0.0).wait())
        yield {"nobody": nobody, "web": f"127.0.0.1:{web.server_port}", "grpc": f"127.0.0.1:{port}"}


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("nobody", Unavailable, "no server listens at {}: start one there"),
        ("web", Unavailable, "{} does not speak gRPC: it is no gradproof server"),
        ("grpc", NotServed, "{} serves gRPC, but not this call: it is no gradproof server, or an older one"),
    ],
)
def test_other_servers_are_told_apart(
    others: dict[str, str], name: str, kind: type[GradproofError], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    target = others[name]
    begin = time.monotonic()
    with Client(target, timeout=20.0, retries=1) as client:
        for call in (client.ops, lambda: client.session().evaluate(square())):
            with pytest.raises(kind) as caught:
                call()
            assert text.format(target) in str(caught.value)
            shown = "".join(traceback.format_exception(caught.value))
            assert shown.count("Traceback") == 1
            assert "_InactiveRpcError" not in shown

    async def ask() -> None:
        async with AsyncClient(target, timeout=20.0, retries=1) as client:
            await client.ops()

    with pytest.raises(kind) as caught:
        asyncio.run(ask())
    assert text.format(target) in str(caught.value)
    assert time.monotonic() - begin < 2 * MUCH


def test_a_proxy_that_refuses_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{proxy.getsockname()[1]}")
        with (
            Client("gradproof.invalid:50551", timeout=20.0, retries=0) as client,
            pytest.raises(
                Unavailable, match=r"^the proxy in \$http_proxy does not connect to gradproof.invalid:50551: set no"
            ) as caught,
        ):
            client.ops()
        assert "secret" not in str(caught.value)


def test_a_port_is_checked() -> None:
    with pytest.raises(ValueError, match="a port is at most 65535"):
        Client("localhost:99999")


def test_a_client_alone_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("gradproof.client.server_extra.find_spec", lambda name: None if name == "sympy" else real(name))
    for begin in (gp.connect, gp.connect_async, lambda: gp.connect("local"), lambda: Client("local")):
        with pytest.raises(ImportError, match=r"not installed \(sympy\): pip install 'gradproof\[server\]', or") as caught:
            begin()
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


ALONE = """
import sys
from importlib.abc import MetaPathFinder
from gradproof.client.server_extra import SERVER_LIBRARIES

class Installed(MetaPathFinder):
    # Finds as the finders do, but no library of the server.

    def __init__(self, finders):
        self.finders = finders

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in SERVER_LIBRARIES:
            return None
        return next((found for one in self.finders if (found := one.find_spec(name, path, target))), None)

for name in [name for name in sys.modules if name.partition(".")[0] in SERVER_LIBRARIES]:
    assert name.startswith("grpc_"), name  # which grpc imports where they are
    del sys.modules[name]
sys.meta_path[:] = [Installed(sys.meta_path[:])]
import gradproof.client as gp

x = gp.tensor(3.0, requires_grad=True)
gp.use(gp.Client(TARGET))
(x * x).backward()
assert x.grad.item() == 6.0 and x.verdict.summary == "verified"
for begin in (gp.connect, gp.connect_async, lambda: gp.connect("local"), lambda: gp.Client("local")):
    try:
        begin()
    except ImportError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_client_alone_needs_no_library_of_the_server(shared: Served) -> None:
    code = ALONE.replace("TARGET", repr(shared.target))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    text = (
        f"starting a server needs libraries that are not installed ({', '.join(SERVER_LIBRARIES)}): pip install "
        "'gradproof[server]', or give the address of a server that runs: connect('HOST:PORT')\n"
    )
    assert done.stdout == 4 * text


@pytest.mark.slow
def test_a_server_that_does_not_start_is_given_up() -> None:
    from gradproof.server.supervision.embedded import EmbeddedServer

    with pytest.raises(RuntimeError, match=r"the embedded server did not start within 0\.01 seconds"):
        EmbeddedServer(seconds=0.01)


def test_the_modules_of_the_extra_are_those_that_the_server_needs() -> None:
    """A module that is blocked ends the command line, or is no module of the extra."""
    assert all(importlib.util.find_spec(name) for name in SERVER_LIBRARIES)
    extra = {line for line in _requirements() if line}
    renamed = {"python-flint": "flint", "prometheus-client": "prometheus_client", "grpcio-channelz": "grpc_channelz"}
    renamed |= {"grpcio-health-checking": "grpc_health", "grpcio-reflection": "grpc_reflection"}
    assert {renamed.get(name, name.replace("-", "_")) for name in extra} == set(SERVER_LIBRARIES)


def _requirements() -> list[str]:
    from importlib.metadata import requires

    lines = [line for line in requires("gradproof") or () if 'extra == "server"' in line.replace("'", '"')]
    return [line.partition(">")[0].partition(";")[0].strip() for line in lines]


def test_versions() -> None:
    assert gp.__version__ == version("gradproof")
    done = subprocess.run(
        [sys.executable, "-m", "gradproof.server", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"gradproof {gp.__version__}\n"
