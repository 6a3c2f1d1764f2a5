"""Tensors and their kept forward halves: nothing is computed twice, and what is lost is computed again to the same bits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from tests.support import faulty_plugin
from tests.support.liveness import Living
from tests.support.server_fixture import LOCAL, Served, serving

import gradproof.client as gp
from gradproof.client.autograd import grad
from gradproof.client.errors import DeadlineExceeded, Unavailable
from gradproof.client.recording import apply, runtime
from gradproof.client.recording.subgraph import SMALL
from gradproof.client.tensors.tensor import Tensor
from gradproof.server.limits import Limits
from gradproof.server.runs.handler import Handler
from gradproof.server.services.services import AutodiffServicer

of_streams = pytest.mark.skipif(LOCAL, reason="a local session has no stream that the server could end")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(saved_bytes=64 << 20, saved_runs=16, saved_seconds=600)
    cache = tmp_path_factory.mktemp("proofs")
    with serving(cache, plugin=["tests.support.faulty_plugin", "gradproof.server.demo_faulty_op"], limits=limits) as one:
        yield one


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    """The server behind the tensors, which in the end keeps nothing."""
    server.host.handler.forward_cache.clock = Clock()
    before = gp.use(server.client)
    yield server
    gp.use(before)


def computed() -> int:
    """How many nodes the server has computed, as it says."""
    return runtime.current().nodes_computed


def held(served: Served) -> tuple[int, int]:
    """Kept runs and their bytes, when all that was said has been heard."""
    session = runtime.current().cache.session()
    assert session is not None
    g = gp.GraphBuilder()
    g.output(g.leaf("x", 1.0))
    session.evaluate(g)
    return len(served.host.handler.forward_cache), served.host.handler.forward_cache.held_bytes


def requests_of(served: Served, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that the server gets from now on."""
    seen: list[Any] = []
    prepare = Handler._prepare

    def noted(handler: Handler, asked: Any, *rest: Any) -> Any:
        seen.append(asked)
        return prepare(handler, asked, *rest)

    monkeypatch.setattr(Handler, "_prepare", noted)
    monkeypatch.setattr(Handler, "recall", lambda handler, request: None)
    return seen


def leaves(size: int = 3) -> tuple[Tensor, Tensor]:
    gp.manual_seed(7)
    return gp.randn(size, size, requires_grad=True), gp.randn(size, size, requires_grad=True)


def trunk(x: Tensor, w: Tensor) -> Any:
    """Six nodes, two of them with numbers of Python."""
    return ((x @ w).tanh() * 3 + x.exp()) / 7


NODES = 6  # of the trunk


def bits(*tensors: Tensor) -> list[bytes]:
    return [t.grad.value().tobytes() for t in tensors if t.grad is not None]


def plain(loss: Callable[[Tensor, Tensor], Tensor], size: int = 3) -> list[bytes]:
    """The gradients of one plain backward pass."""
    x, w = leaves(size)
    loss(x, w).backward()
    return bits(x, w)


@pytest.mark.slow
def test_nodes_are_counted(served: Served) -> None:
    x, w = leaves()
    trunk(x, w).sum().backward()
    assert computed() == NODES + 1
    assert trunk(x, w).detach().value().shape == (3, 3)
    assert computed() == 2 * NODES + 1


class TestOnce:
    def test_looking_and_going_backward(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves()
        loss = trunk(x, w).sum()
        repr(loss)
        assert computed() == NODES + 1
        assert held(served)[0] == 1
        asked = requests_of(served, monkeypatch)
        loss.backward()
        assert computed() == NODES + 1
        assert [(one.input.WhichOneof("source"), len(one.input.values), len(one.input.reuse)) for one in asked] == [
            ("saved", 0, 0)
        ]
        assert held(served) == (0, 0)  # the graph has been freed
        assert bits(x, w) == plain(lambda x, w: trunk(x, w).sum())

    @pytest.mark.parametrize("look", [False, True])
    def test_going_backward_twice(self, served: Served, look: bool) -> None:
        x, w = leaves()
        loss = trunk(x, w).sum()
        if look:
            repr(loss)
        loss.backward(retain_graph=True)
        once = bits(x, w)
        x.grad = w.grad = None
        assert held(served)[0] == 1
        loss.backward()
        assert computed() == NODES + 1
        assert bits(x, w) == once == plain(lambda x, w: trunk(x, w).sum())
        assert held(served) == (0, 0)

    def test_another_function_of_the_same_value(self, served: Served) -> None:
        """What is printed is not what is gone back from."""
        x, w = leaves()
        out = trunk(x, w)
        repr(out.mean())
        assert computed() == NODES + 1
        out.square().sum().backward()
        assert computed() == NODES + 3
        assert bits(x, w) == plain(lambda x, w: trunk(x, w).square().sum())

    @pytest.mark.parametrize("size", [3, 200])
    def test_step_by_step(self, served: Served, size: int) -> None:
        """Large values stay at the server until someone looks, and never go back there."""
        x, w = leaves(size)
        h = (x @ w).tanh()
        assert (h.nbytes > SMALL) == (size == 200)
        repr(h)
        k = h * w
        repr(k.sum())
        repr(k)
        out = (k - h).exp()
        assert computed() == 4
        repr(out)
        repr(out.sum())
        assert computed() == 7
        (out * h).sum().backward()
        assert computed() == 9
        assert held(served) == (0, 0)

        def loss(x: Tensor, w: Tensor) -> Any:
            h = (x @ w).tanh()
            return ((h * w - h).exp() * h).sum()

        assert bits(x, w) == plain(loss, size)

    def test_large_values_travel_once(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves(200)
        asked = requests_of(served, monkeypatch)
        h = (x @ w).tanh()
        repr(h.sum())
        repr((h * 2).sum())
        h.sum().backward()
        assert [len(one.input.values) for one in asked] == [2, 1, 0]  # the number 2 is the second's

    def test_a_value_that_needs_no_gradient(self, served: Served) -> None:
        a = gp.randn(200, 200)
        with gp.no_grad():
            big = a @ a
            repr(big.sum())
            assert held(served)[0] == 1
            repr(big.mean())
            repr(big)
        assert computed() == 3
        del big
        repr((gp.randn(3) * 2).sum())  # small, and none of it can be asked for again
        assert held(served) == (0, 0)

    def test_a_mask_on_the_way(self, served: Served) -> None:
        def loss(x: Tensor, w: Tensor) -> Any:
            h = x @ w
            return (h * (h > 0).float() * 2).sum()

        x, w = leaves()
        loss(x, w).backward()
        assert computed() == 6
        assert held(served) == (0, 0)
        y, v = leaves()
        (y @ v).mul((y @ v).value() > 0).mul(2).sum().backward()
        assert bits(x, w) == bits(y, v)

    def test_gradients_that_are_returned(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        """All cotangents go back in a single run, with the trunk and each node behind it once, for any number of them."""
        x, w = leaves()
        seeds = np.eye(9, dtype=np.float32).reshape(9, 3, 3)
        asked = requests_of(served, monkeypatch)
        rows = grad(trunk(x, w), [x, w], [gp.tensor(seeds)], is_grads_batched=True)
        assert computed() == 0  # nobody has looked
        assert [row.value().shape for row in rows] == [(9, 3, 3)] * 2
        ((one,), nodes) = asked, computed()
        assert nodes == len(one.input.graph.nodes)
        assert [[node.op for node in one.input.graph.nodes].count(op) for op in ("tanh", "exp")] == [1, 1]
        assert held(served) == (0, 0)
        for row in grad(trunk(x, w), [x, w], [gp.tensor(seeds[:2])], is_grads_batched=True):
            assert row.value().shape == (2, 3, 3)
        assert computed() == 2 * nodes
        for k in range(9):
            y, v = leaves()
            seed = np.zeros(9, np.float32)
            seed[k] = 1
            found = grad(trunk(y, v), [y, v], gp.tensor(seed.reshape(3, 3)))
            assert [one.value().tobytes() for one in found] == [row[k].value().tobytes() for row in rows]

    def test_a_verdict(self, served: Served) -> None:
        x, w = leaves()
        loss = (x * w).sin().sum()
        loss.backward(retain_graph=True)
        assert x.verdict.summary == "verified"  # type: ignore[union-attr]
        assert computed() == 3
        loss.backward()
        assert x.verdict.summary == "verified"  # type: ignore[union-attr]
        assert computed() == 6  # it was freed: the pass is sent again

    def test_two_heads(self, served: Served) -> None:
        x, w = leaves()
        out = trunk(x, w)
        out.sum().backward(retain_graph=True)
        out.mean().backward()
        assert computed() == NODES + 2

    def test_recorded_passes(self, served: Served) -> None:
        x = gp.tensor([1.0, 2.0], requires_grad=True)
        y = (x**3).sum()
        repr(y)
        (slope,) = grad(y, x, create_graph=True)
        repr(slope)
        before = computed()
        slope.sum().backward()
        assert computed() == before + 1
        assert x.grad.tolist() == [6.0, 12.0]  # type: ignore[union-attr]


class TestLost:
    def test_values_that_expired(self, served: Served) -> None:
        x, w = leaves()
        loss = trunk(x, w).sum()
        repr(loss)
        served.host.handler.forward_cache.clock.now += 600  # type: ignore[attr-defined]
        loss.backward(retain_graph=True)
        assert computed() == 2 * (NODES + 1)
        loss.backward()
        assert computed() == 2 * (NODES + 1)
        once = plain(lambda x, w: trunk(x, w).sum())
        assert bits(x, w) == [(2 * np.frombuffer(one, np.float32)).tobytes() for one in once]

    @pytest.mark.parametrize("end", ["cancel", "close"])
    def test_a_session_that_broke(self, served: Served, end: str) -> None:
        x, w = leaves(200)
        h = x @ w
        loss = h.tanh().sum()
        repr(loss)
        getattr(runtime.current().cache._session, end)()
        repr((h + 1).sum())
        assert computed() == 6  # the product was lost
        loss.backward()
        assert bits(x, w) == plain(lambda x, w: (x @ w).tanh().sum(), 200)

    @of_streams
    def test_a_session_that_the_server_ended(self, served: Served) -> None:
        x, w = leaves()
        loss = trunk(x, w).sum()
        repr(loss)
        served.loop.call_soon_threadsafe(served.host.handler.drain)
        loss.backward()
        assert computed() == 2 * (NODES + 1)
        assert bits(x, w) == plain(lambda x, w: trunk(x, w).sum())

    def test_what_is_borrowed_and_gone(self, served: Served) -> None:
        x, w = leaves(200)
        h = x @ w
        repr(h.sum())
        served.host.handler.forward_cache.clock.now += 600  # type: ignore[attr-defined]
        out = h.exp().sum()
        repr(out)
        assert computed() == 5
        out.backward()
        assert computed() == 5
        assert bits(x, w) == plain(lambda x, w: (x @ w).exp().sum(), 200)

    def test_more_than_may_be_kept(self, served: Served) -> None:
        x, w = leaves()
        values = [trunk(x, w).sum() for _ in range(20)]
        for one in values:
            repr(one)
        assert held(served)[0] == 16
        for one in values:
            one.backward()
        assert computed() == (20 + 4) * (NODES + 1)
        assert held(served) == (0, 0)

    @of_streams
    @pytest.mark.slow
    def test_a_server_without_sessions(self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        async def unserved(self: Any, requests: Any, context: Any) -> Any:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "what is a session?")

        monkeypatch.setattr(AutodiffServicer, "Session", unserved)
        with serving(tmp_path) as old:
            before = gp.use(old.client)
            x, w = leaves()
            loss = trunk(x, w).sum()
            repr(loss)
            loss.backward(retain_graph=True)
            loss.backward()
            assert computed() == 3 * (NODES + 1)
            assert runtime.current().cache.session() is None
            gp.use(before)
        assert len(bits(x, w)) == 2

    @pytest.mark.slow
    def test_several_servers(self, served: Served, tmp_path: Any) -> None:
        """The session is with one of them; all others of its calls take turns."""
        with serving(tmp_path) as other, gp.Client([served.target, other.target]) as client:
            gp.use(client)
            expected = plain(lambda x, w: trunk(x, w).sum())
            for _ in range(10):
                x, w = leaves()
                loss = trunk(x, w).sum()
                repr(loss)
                loss.backward(retain_graph=True)
                assert bits(x, w) == expected
                x.grad = w.grad = None
                loss.backward()
                assert bits(x, w) == expected
            assert computed() == 11 * (NODES + 1)
            gp.use(served.client)


class TestMemory:
    def loop(self, served: Served, monkeypatch: pytest.MonkeyPatch, step: Callable[[], Any]) -> None:
        living = Living(monkeypatch)
        for _ in range(3):
            step()
        before = living.count(), held(served)
        for _ in range(30):
            step()
        assert (living.count(), held(served)) == before

    @pytest.mark.slow
    def test_a_loop_that_looks_and_goes_backward(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves()

        def step() -> None:
            loss = trunk(x, w).sum()
            repr(loss)
            x.grad = w.grad = None
            loss.backward()

        self.loop(served, monkeypatch, step)
        assert held(served) == (0, 0)

    @pytest.mark.slow
    def test_a_loop_that_only_looks(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves()
        self.loop(served, monkeypatch, lambda: repr(trunk(x, w).sum()))
        assert held(served) == (0, 0)

    @pytest.mark.slow
    def test_a_loop_that_retains(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves()
        shared = [w.exp()]  # a node that outlives every step

        def step() -> None:
            x.grad = w.grad = None
            trunk(x, shared[0]).sum().backward(retain_graph=True)

        self.loop(served, monkeypatch, step)
        assert held(served)[0] == 1
        shared.clear()
        x.grad = w.grad = x.provenance = w.provenance = None
        assert held(served) == (0, 0)

    def test_a_loop_that_never_looks_is_one_request_a_step(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        x, w = leaves()
        trunk(x, w).sum().backward()
        asked = requests_of(served, monkeypatch)
        for _ in range(5):
            loss = trunk(x, w).sum()
            loss.backward()
            repr(loss)
        assert len(asked) == 5

    def test_another_client(self, served: Served) -> None:
        x, w = leaves()
        loss = trunk(x, w).sum()
        repr(loss)
        session = runtime.current().cache._session
        assert session is not None
        with gp.Client(served.target) as other:
            gp.use(other)
            assert not session.alive
            loss.backward()
            assert computed() == NODES + 1
            repr(trunk(x, w).sum())
            session = runtime.current().cache._session
        assert session is not None
        assert not session.alive
        gp.use(served.client)
        assert held(served) == (0, 0)


class TestTogether:
    def test_a_hook_that_looks_at_another_value(self, served: Served) -> None:
        x, w = leaves()
        h = trunk(x, w)
        other = (h * 2).sum()
        h.register_hook(lambda g: g * (g.sum().item() / 9) * other.detach().item())
        loss = h.sum()
        repr(loss)
        loss.backward()
        y, v = leaves()
        out = trunk(y, v)
        out.backward(gp.ones(3, 3) * (out * 2).sum().item())
        assert bits(x, w) == bits(y, v)

    @of_streams
    def test_a_session_that_breaks_in_a_hook(self, served: Served) -> None:
        """What a hook did cannot be undone: it is not called again."""
        x, w = leaves()
        loss = trunk(x, w).sum()
        repr(loss)
        calls: list[float] = []

        def hook(gradient: Tensor) -> None:
            calls.append(gradient.sum().item())
            runtime.current().cache._session.cancel()  # type: ignore[union-attr]

        x.register_hook(hook)
        with pytest.raises(Unavailable):
            loss.backward()
        assert len(calls) == 1
        assert x.grad is None

    def test_several_threads(self, served: Served) -> None:
        def work(k: int) -> list[bytes]:
            x, w = gp.tensor([1.0 + k, 2.0], requires_grad=True), gp.tensor([3.0, 4.0], requires_grad=True)
            loss = (x.exp() * w).sum()
            repr(loss)
            loss.backward()
            return bits(x, w)

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(work, range(40)))
        assert found == [work(k) for k in range(40)]
        assert held(served) == (0, 0)

    def test_one_that_waits_holds_up_no_other(self, served: Served) -> None:
        faulty_plugin.entered.clear()
        faulty_plugin.released.clear()
        x = gp.tensor(2.0, requires_grad=True)
        slow = apply.apply("faulty.wait", x)
        thread = threading.Thread(target=slow.value)
        thread.start()
        assert faulty_plugin.entered.wait(60)
        assert (x * 3).item() == 6.0
        faulty_plugin.released.set()
        thread.join()
        assert slow.item() == 2.0

    def test_a_run_that_takes_too_long(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        faulty_plugin.entered.clear()
        faulty_plugin.released.clear()
        x = gp.tensor(2.0, requires_grad=True)
        monkeypatch.setattr(served.client, "timeout", 0.2)
        try:
            with pytest.raises(DeadlineExceeded):
                apply.apply("faulty.wait", x).value()
        finally:
            faulty_plugin.released.set()
        monkeypatch.undo()
        assert (x * 3).item() == 6.0
