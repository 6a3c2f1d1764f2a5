"""A server in this process: the same bits and the same errors as over gRPC, without its processes, sockets and copies."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client import Client, DeadlineExceeded, GradproofError, GraphBuilder, hook
from gradproof.server.local.local_server import LocalServer

PLUGINS = ("--plugin", "gradproof.server.demo_faulty_op", "--plugin", "tests.support.faulty_plugin")


@pytest.fixture(scope="module")
def local(shared: Served) -> Iterator[Client]:
    """A client of the shared server's handler, in this process."""
    with Client("local") as client:
        channel: Any = client._channel
        channel._server = LocalServer(shared.host.handler, shared.loop)
        yield client


def program(x: Any = (0.5, -2.0, 3.25)) -> GraphBuilder:
    g = GraphBuilder()
    leaf = g.leaf("x", np.asarray(x, np.float64), requires_grad=True)
    product = g.apply("multiply", g.apply("tanh", leaf), leaf, name="product")
    g.output(g.apply("sum", product), "y")
    return g


def large(n: int = 300_000) -> GraphBuilder:
    return program(np.linspace(-3, 3, n))


def bits(result: Any) -> dict[str, Any]:
    gradients = {name: (g.gradient.tobytes(), g.raw.tobytes(), g.grad_fn) for name, g in result.gradients.items()}
    verdicts = {name: (v.summary, v.reason) for name, v in result.verdicts.items()}
    values = {name: value.tobytes() for name, value in result.values.items()}
    return {"digest": result.digest, "values": values, "gradients": gradients, "verdicts": verdicts}


CALLS: dict[str, Callable[[Any], Any]] = {
    "differentiate": lambda c: bits(c.differentiate(program(), verify="off", fetch=["product"], retain=["product"])),
    "checked": lambda c: bits(c.differentiate(program(), budget=60.0)),
    "large": lambda c: bits(c.differentiate(large(), verify="off")),
    "named hook": lambda c: bits(c.differentiate(program(), verify="off", hooks=[hook("product", "scale", factor=2.0)])),
    "own hook": lambda c: bits(c.differentiate(program(), verify="off", hooks=[hook("product", lambda g: 3 * g)])),
    "evaluate": lambda c: c.evaluate(program())["y"].tobytes(),
    "infer": lambda c: c.infer(program()),
    "derive": lambda c: c.derive(program(), "hvp").graph.SerializeToString(deterministic=True),
    "explain": lambda c: str(c.explain(program([2.0]), "y")),
    "ops": lambda c: [op.name for op in c.ops()],
    "op": lambda c: c.op("tanh").op.doc,
    "verify_op": lambda c: [step.verdict.word for step in c.verify_op("negative", progress=False)],
    "info": lambda c: sorted(c.info().limits.items()),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_has_the_result_that_it_has_over_grpc(name: str, shared: Served, local: Client) -> None:
    with Client(shared.target) as remote:
        assert CALLS[name](local) == CALLS[name](remote)


def missing(c: Any) -> Any:
    g = program()
    return c.differentiate(g, gradients=["z"], verify="off")


def failing(c: Any) -> Any:
    g = GraphBuilder()
    g.output(g.apply("solve", g.leaf("a", np.zeros((2, 2)), requires_grad=True), g.leaf("b", np.ones(2))), "y")
    return c.differentiate(g, seeds={"y": np.ones(2)}, verify="off")


def unknown(c: Any) -> Any:
    g = GraphBuilder()
    g.output(g.apply("no_such_op", g.leaf("a", 1.0)), "y")
    return c.evaluate(g)


FAULTS: dict[str, Callable[[Any], Any]] = {
    "name": missing,
    "node": failing,
    "op": unknown,
    "page": lambda c: c.op("no_such_op"),
    "required": lambda c: c.differentiate(program(), verify="cached", required="verified"),
    "limit": lambda c: c.differentiate(program(), budget=1e6),
    "saved": lambda c: c.session().differentiate(saved="never"),
    "node on a session": lambda c: failing(c.session()),
}


@pytest.mark.parametrize("name", FAULTS)
def test_errors_are_those_of_grpc(name: str, shared: Served, local: Client) -> None:
    found = []
    with Client(shared.target) as remote:
        for client in (local, remote):
            with pytest.raises(GradproofError) as caught:
                FAULTS[name](client)
            error = caught.value
            rest = {key: value for key, value in vars(error).items() if key not in ("request_id", "result")}
            found.append((type(error), str(error), {key: str(value) for key, value in rest.items()}))
    assert found[0] == found[1]


def test_hooks_are_called_in_the_thread_of_the_run_and_raise_what_they_raise(local: Client) -> None:
    called: list[threading.Thread] = []

    def record(gradient: Any) -> None:
        called.append(threading.current_thread())
        assert not gradient.flags.writeable

    local.differentiate(program(), hooks=[hook("product", record)], verify="off")
    assert called == [threading.current_thread()]

    def stop(gradient: Any) -> None:
        raise KeyError("of the hook")

    with pytest.raises(KeyError, match="of the hook"):
        local.differentiate(program(), hooks=[hook("product", stop)], verify="off")


class TestSessions:
    def test_saved_values_are_those_of_the_session(self, local: Client) -> None:
        with local.session() as one, local.session() as two:
            first = one.differentiate(program(), save_as="a", verify="off")
            again = one.differentiate(saved="a", verify="off")
            assert bits(again)["gradients"] == bits(first)["gradients"]
            assert again.summary is not None
            assert again.summary.nodes_computed == 0
            with pytest.raises(gp.NotFound):
                two.differentiate(saved="a", verify="off")
            one.release("a")
            with pytest.raises(gp.NotFound):
                one.differentiate(saved="a", verify="off")

    def test_a_closed_session_frees_its_values(self, local: Client, shared: Served) -> None:
        before = len(shared.host.handler.forward_cache)
        session = local.session()
        session.differentiate(program(), save_as="a", verify="off")
        assert len(shared.host.handler.forward_cache) == before + 1
        session.close()
        assert len(shared.host.handler.forward_cache) == before
        with pytest.raises(ValueError, match="closed"):
            session.differentiate(program(), verify="off")

    def test_saved_values_do_not_change_with_the_arrays_of_the_caller(self, local: Client) -> None:
        x = np.linspace(-1, 1, 200_000)
        with local.session() as session:
            first = session.differentiate(large(200_000), {"x": x}, save_as="a", verify="off")
            x[:] = 7.0
            again = session.differentiate(saved="a", verify="off")
            assert bits(again)["gradients"] == bits(first)["gradients"]


def test_results_are_read_only_and_no_other_run_has_them(local: Client) -> None:
    results = [local.differentiate(large(), verify="off", fetch=["x"]) for _ in range(3)]
    arrays: list[Any] = [array for result in results for array in (result.values["x"], result.gradients["x"].gradient)]
    assert not any(array.flags.writeable for array in arrays)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])


def test_a_run_ends_at_its_deadline(local: Client) -> None:
    g = GraphBuilder()
    y = g.leaf("x", np.ones((1000, 1000)), requires_grad=True)
    for _ in range(40):
        y = g.apply("matmul", y, y)
    g.output(g.apply("sum", y), "y")
    with pytest.raises(DeadlineExceeded):
        local.differentiate(g, verify="off", timeout=0.3)
    with pytest.raises(DeadlineExceeded), local.session() as session:
        session.differentiate(g, verify="off", timeout=0.3)


def test_threads_run_at_once(local: Client) -> None:
    found: list[bytes] = []

    def run() -> None:
        found.extend(bits(local.differentiate(program(), verify="off"))["gradients"]["x"][0] for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 120
    assert len(set(found)) == 1


def test_tensors_work_inside_a_running_event_loop(local: Client) -> None:
    before = gp.use(local)

    async def train() -> Any:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        (x * x).sum().backward()
        return x.grad

    try:
        assert asyncio.run(train()).tolist() == [2.0, 4.0]
    finally:
        gp.use(before)


def test_other_options_are_refused() -> None:
    with pytest.raises(ValueError, match="take turns"):
        Client(["local", "localhost:1"])
    with pytest.raises(ValueError, match="arguments are those of a server"):
        Client("localhost:1", arguments=["--plans", "never"])


def test_a_closed_client_makes_no_calls(local: Client) -> None:
    client = Client("local")
    client.close()
    with pytest.raises(gp.Unavailable, match="the client is closed"):
        client.evaluate(program())


FORK = """
import os, sys
import gradproof.client as gp
client = gp.connect("local", arguments=["--plans", "never"])
gp.use(client)
x = gp.tensor([3.0], requires_grad=True)
y = (x * x).sum()
y.item()
if (child := os.fork()) == 0:
    y.backward()
    print("child", x.grad.tolist(), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
y.backward()
print("parent", x.grad.tolist(), client.differentiate.__name__)
client.close()
"""


def test_a_fork_has_a_server_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines() == ["child [6.0]", "parent [6.0] differentiate"]
