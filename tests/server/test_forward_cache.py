"""Kept runs: going backward again from forward values that stayed on the server."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench, Line
from tests.support import faulty_plugin
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.session_stream import SessionStream, gradients, square
from tests.support.statuses import fault_of

from gradproof.client import (
    Client,
    GradproofError,
    GraphBuilder,
    InvalidRequest,
    NotFound,
    RunError,
    Session,
    Summary,
    VerdictRequired,
    hook,
)
from gradproof.client.requests import RunExchange
from gradproof.engine.engine import Engine, Forward, GradientEvent
from gradproof.engine.errors import ForwardFault
from gradproof.engine.errors import NotFound as EngineNotFound
from gradproof.engine.graph import Graph
from gradproof.engine.job import Job
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.plugins import BUILTIN
from gradproof.server.limits import Limits
from gradproof.server.runs.forward_cache import ForwardCache
from gradproof.server.runs.handler import Handler
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2
from gradproof.wire import encode_tensor

LINES: list[Line] = [
    "h = matmul(x, w)",
    "b = add(h, c)",
    "t = tanh(b)",
    ("s = sum(t)", {"axis": 0}),
    "z = multiply(s, k)",
]
LEAVES = {
    "x": np.random.default_rng(1).normal(size=(5, 4)),
    "w": np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32),
    "c": np.array(0.1),
    "k": np.array(2),
}


# engine


@pytest.mark.parametrize("cuts", [("x",), ("w",), ("c", "h"), ("x", "w", "t", "s", "z")])
def test_the_forward_half_is_numbered_alike_in_all_plans_of_a_graph(bench: Bench, cuts: tuple[str, ...]) -> None:
    """Leaves, inserted conversions, nodes: whatever is wanted behind them."""
    alone = bench.engine.compile(bench.graph(LEAVES, LINES, "z"))
    plan = bench.engine.prepare(bench.job(LEAVES, LINES, "z", gradients=cuts, seeds={"z": np.ones(3)})).plan
    count = alone.forward_count
    assert plan.forward_count == count == len(alone.program.specs)
    assert plan.program.specs[:count] == alone.program.specs
    assert plan.program.instructions[: plan.forward_length] == alone.program.instructions
    assert plan.lowered.values == alone.lowered.values
    assert min(plan.backward.seeds.values()) >= count


def bits(engine: Engine, job: Job, forward: Forward | None = None) -> dict[str, bytes]:
    events = engine.gradients(engine.prepare(job, forward=forward))
    return {e.name: e.gradient.tobytes() for e in events if isinstance(e, GradientEvent) and e.gradient is not None}


def test_backward_from_saved_values_gives_the_same_bits(bench: Bench) -> None:
    first = bench.job(LEAVES, LINES, "z", gradients=("x",), seeds={"z": np.ones(3)})
    kept = bench.engine.compute(bench.engine.prepare(first)).forward
    assert kept is not None
    for seed in (np.ones(3), np.array([0.1, -3.0, 1e-9])):
        for wanted in ({"gradients": ("x",)}, {"gradients": ("w", "c")}, {"retain": ("h", "s")}):
            job = bench.job(LEAVES, LINES, "z", seeds={"z": seed}, **wanted)
            assert bits(bench.engine, job, kept) == bits(bench.engine, job)


def test_results_that_are_known_are_not_computed_again(bench: Bench) -> None:
    job = bench.job(LEAVES, LINES, "z", seeds={"z": np.ones(3)})
    fresh = bits(bench.engine, job)
    run = bench.engine.compute(bench.engine.prepare(job)).forward
    assert run is not None
    for names in (("h",), ("h", "b"), ("t", "s"), ("h", "b", "t", "s", "z")):
        known = [(name, np.asarray(run.value(name))) for name in names]
        prepared = bench.engine.prepare(replace(job, known=known))
        assert prepared.missing == len(LINES) - len(names)
        events = [e for e in bench.engine.gradients(prepared) if isinstance(e, GradientEvent)]
        assert {e.name: e.gradient.tobytes() for e in events if e.gradient is not None} == fresh
    assert run.value("q") is None


def test_a_node_at_fault_behind_known_ones_is_named(tmp_path: Any) -> None:
    bench = Bench(Engine(build_registry(BUILTIN, others=[faulty_plugin])))
    job = bench.job({"x": np.array(2.0)}, ["a = exp(x)", "b = faulty.explode(a)"], "b")
    prepared = bench.engine.prepare(replace(job, known=[("a", np.array(7.0))]))
    with pytest.raises(ForwardFault) as caught:
        list(bench.engine.gradients(prepared))
    assert (caught.value.node, caught.value.op) == (1, "faulty.explode")


def test_saved_values_count_every_buffer_once(bench: Bench) -> None:
    x = np.ones(1000)
    lines: list[Line] = [
        ("v = reshape(x)", {"shape": (10, 100)}),
        ("w = broadcast_to(v)", {"shape": (50, 10, 100)}),
        "y = exp(x)",
    ]
    forward = bench.engine.compute(bench.engine.prepare(bench.job({"x": x}, lines, "y"), differentiate=False)).forward
    assert forward is not None
    assert forward.nbytes == 2 * x.nbytes


# the store


def forward(nbytes: int) -> Forward:
    return Forward(Graph((), (), ()), {}, (), nbytes)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_least_recently_used_goes_first() -> None:
    cache = ForwardCache(Limits(saved_bytes=100, saved_runs=3), Clock())
    for name in "abc":
        assert cache.put(0, name, forward(10)) == 10
    cache.get(0, "a")
    cache.put(0, "d", forward(10))  # one too many
    with pytest.raises(EngineNotFound) as caught:
        cache.get(0, "b")
    assert caught.value.reason == "SAVED_NOT_FOUND"
    cache.put(1, "a", forward(85))  # room for 15 more
    assert (len(cache), cache.held_bytes) == (2, 95)
    assert cache.get(0, "d").nbytes == 10
    assert cache.get(1, "a").nbytes == 85


def test_what_is_larger_than_all_room_is_not_kept_and_nothing_goes_for_it() -> None:
    cache = ForwardCache(Limits(saved_bytes=100), Clock())
    cache.put(0, "a", forward(100))
    assert cache.put(0, "b", forward(101)) == 0
    assert cache.get(0, "a").nbytes == 100
    assert cache.put(0, "a", forward(101)) == 0  # what the name meant before, it means no longer
    assert (len(cache), cache.held_bytes) == (0, 0)


def test_what_is_idle_expires_and_use_counts_anew() -> None:
    clock = Clock()
    cache = ForwardCache(Limits(saved_seconds=60), clock)
    assert cache.expire() is None
    cache.put(0, "a", forward(1))
    clock.now += 30
    cache.put(0, "b", forward(2))
    assert cache.expire() == 30
    clock.now += 29
    cache.get(0, "a")
    clock.now += 31
    assert cache.expire() == 29
    assert (len(cache), cache.held_bytes) == (1, 1)
    clock.now += 29
    with pytest.raises(EngineNotFound):
        cache.get(0, "a")


def test_release_is_of_one_name_of_one_owner_or_of_all() -> None:
    cache = ForwardCache(Limits(), Clock())
    for owner in (0, 1):
        for name in "ab":
            cache.put(owner, name, forward(1))
    cache.release(0, "a")
    cache.release(0, "a")
    assert len(cache) == 3
    cache.release(1)
    assert len(cache) == 1
    assert cache.get(0, "b")


# sessions


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = Limits(saved_bytes=4 << 20, saved_runs=4, saved_seconds=600)
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.faulty_plugin"], limits=limits) as one:
        yield one


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    """The server, with a client and a clock of the test's own, which in the end keeps nothing."""
    cache = server.host.handler.forward_cache
    cache.clock = Clock()
    one = Served(server.host, server.loop)
    yield one
    left = len(cache), cache.held_bytes
    one.close()
    assert left == (0, 0)


@pytest.fixture
def client(served: Served) -> Client:
    return served.client


def held(served: Served) -> tuple[int, int]:
    return len(served.host.handler.forward_cache), served.host.handler.forward_cache.held_bytes


def vector(x: Any = (1.0, 2.0, 3.0)) -> GraphBuilder:
    """y = exp(x²), with y = sum of it to be had as z."""
    g = GraphBuilder()
    v = g.leaf("x", np.array(x), requires_grad=True)
    y = g.output(g.apply("exp", g.apply("square", v, name="s"), name="y"))
    g.output(g.apply("sum", y, name="z"))
    return g


SEED = {"y": np.array([1.0, 0.5, -2.0])}


@pytest.mark.slow
def test_a_second_backward_with_other_seeds_has_the_same_bits(served: Served, client: Client) -> None:
    g = vector()
    with client.session() as session:
        first = session.differentiate(g, seeds=SEED, save_as="run", verify="off")
        assert first.summary is not None
        assert held(served) == (1, first.summary.saved_bytes)
        for seeds in (SEED, {"y": np.full(3, 0.1), "z": 3.0}):
            for wanted in ({"retain": ["s", "y"]}, {"gradients": ["x"], "fetch": ["s"]}):
                options: dict[str, Any] = {"seeds": seeds, "verify": "off", **wanted}
                again: Any = session.differentiate(saved="run", **options)
                fresh: Any = client.differentiate(g, **options)
                assert again.digest == fresh.digest
                assert {k: v.gradient.tobytes() for k, v in again.gradients.items()} == {
                    k: v.gradient.tobytes() for k, v in fresh.gradients.items()
                }
                assert {k: v.tobytes() for k, v in again.values.items()} == {
                    k: v.tobytes() for k, v in fresh.values.items()
                }


def test_the_forward_half_is_not_computed_again(served: Served, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with client.session() as session:
        session.evaluate(vector(), save_as="run")
        with monkeypatch.context() as patch:
            patch.setattr("gradproof.engine.plan.Plan.start", None)
            assert session.evaluate(saved="run", fetch=["s"])["s"].tolist() == [1, 4, 9]
            session.differentiate(saved="run", seeds=SEED, verify="off")


def test_verdicts_and_hooks_on_a_kept_run(client: Client) -> None:
    with client.session() as session:
        session.evaluate(vector(), save_as="run")
        result = session.differentiate(saved="run", seeds=SEED, budget=60.0, hooks=[hook("s", lambda g: g * 2)])
        assert (result.verdicts["x"].summary, result.verdicts["x"].graph.word) == ("verified", "CUT")
        plain = session.differentiate(saved="run", seeds=SEED, budget=60.0)
        assert (plain.verdicts["x"].summary, plain.verdicts["x"].graph.word) == ("verified", "CONSISTENT")
        np.testing.assert_array_equal(result.gradients["x"].gradient, 2 * plain.gradients["x"].gradient)  # type: ignore[operator]


def test_values_are_kept_also_where_the_backward_half_fails(client: Client) -> None:
    with client.session() as session:
        with pytest.raises(RunError, match="raised ValueError"):
            session.differentiate(vector(), seeds=SEED, hooks=[hook("s", "faulty.refuse")], save_as="run")
        session.differentiate(saved="run", seeds=SEED, verify="off")


def test_where_the_forward_half_fails_nothing_is_kept(served: Served, client: Client) -> None:
    g = GraphBuilder()
    g.output(g.apply("faulty.explode", g.leaf("x", 1.0, requires_grad=True)))
    with client.session() as session:
        with pytest.raises(RunError, match="forward raised OSError") as caught:
            session.differentiate(g, save_as="run")
        assert (caught.value.node, caught.value.op) == (0, "faulty.explode")
        with pytest.raises(RunError, match="forward raised OSError"):
            session.evaluate(g, save_as="run")
        assert held(served) == (0, 0)


def test_release_end_and_names(served: Served, client: Client) -> None:
    with client.session() as one, client.session() as other:
        one.evaluate(vector(), save_as="run")
        other.evaluate(vector([4.0]), save_as="run")
        assert held(served)[0] == 2
        assert one.evaluate(saved="run", fetch=["x"])["x"].tolist() == [1, 2, 3]  # names are those of a session
        one.evaluate(vector([5.0]), save_as="run")  # the name is taken over
        assert one.evaluate(saved="run", fetch=["x"])["x"].tolist() == [5]
        assert held(served)[0] == 2
        one.release("run")
        one.release("never kept")
        with pytest.raises(NotFound, match="no saved 'run' here") as caught:
            one.differentiate(saved="run")
        assert caught.value.reason == "SAVED_NOT_FOUND"
        assert held(served)[0] == 1
    assert held(served) == (0, 0)


def test_eviction_and_replay(served: Served, client: Client) -> None:
    g = vector()
    with client.session() as session:
        session.evaluate(g, save_as="old")
        for k in range(4):
            session.evaluate(vector([float(k)]), save_as=f"run {k}")
        with pytest.raises(NotFound):
            session.differentiate(saved="old", seeds=SEED)
        replayed = session.differentiate(g, saved="old", seeds=SEED, verify="off")  # with the graph beside it
        assert replayed.summary is not None
        assert replayed.summary.saved_bytes > 0
        assert session.evaluate(saved="old", fetch=["x"])["x"].tolist() == [1, 2, 3]
        assert session.evaluate(vector([7.0]), saved="run 0", fetch=["x"])["x"].tolist() == [7]
        with pytest.raises(ValueError, match="give a graph"):
            session.evaluate()


def test_idle_values_expire(served: Served, client: Client) -> None:
    clock: Any = served.host.handler.forward_cache.clock
    with client.session() as session:
        session.evaluate(vector(), save_as="run")
        clock.now += 599
        session.evaluate(saved="run")
        clock.now += 600
        with pytest.raises(NotFound):
            session.evaluate(saved="run")
        assert held(served) == (0, 0)


def test_too_large_to_be_kept(served: Served, client: Client) -> None:
    g = vector(np.zeros(300_000))
    with client.session() as session:
        result = session.differentiate(g, seeds={"y": np.ones(300_000)}, save_as="run", verify="off")
        assert result.summary is not None
        assert result.summary.saved_bytes == 0
        assert held(served) == (0, 0)


def test_what_cannot_be_kept_or_taken_up(served: Served, client: Client, talk: SessionStream) -> None:
    asked = square("r", 3.0)
    asked.input.save_as = "run"
    with pytest.raises(InvalidRequest) as caught:
        client.send(asked)
    assert [(one.path, one.reason) for one in caught.value.faults] == [("input.save_as", "SAVE_NEEDS_SESSION")]
    with pytest.raises(InvalidRequest) as caught:
        client.send(pb.DifferentiateRequest(input=pb.RunInput(saved="run")))
    assert [(one.path, one.reason) for one in caught.value.faults] == [("input.saved", "SAVE_NEEDS_SESSION")]
    asked.input.save_as = "n" * 257
    talk.say(differentiate=asked)
    assert [(one.path, one.reason) for one in fault_of(talk.hear()).faults] == [("input.save_as", "NAME_LENGTH")]
    asked.input.save_as = "run"
    talk.say(differentiate=asked)
    assert gradients(talk.hear_run("r")) == {"x": 6.0}
    again = pb.DifferentiateRequest(input=pb.RunInput(saved="run", request_id="again"))
    again.hooks.add(value="q", named=graph_pb2.NamedHook(name="zero"))
    again.input.values.add(name="x", value=encode_tensor(np.float64(4)))
    talk.say(differentiate=again)
    assert [(one.path, one.reason) for one in fault_of(talk.hear()).faults] == [("input.values", "SAVED_VALUES")]
    del again.input.values[:]
    talk.say(differentiate=again)
    assert [(one.path, one.reason) for one in fault_of(talk.hear()).faults] == [("hooks[0].value", "VALUE_UNKNOWN")]


@pytest.fixture
def talk(served: Served) -> Iterator[SessionStream]:
    one = SessionStream(served)
    yield one
    one.end()


def test_another_graph_reuses_values(served: Served, client: Client, talk: SessionStream) -> None:
    """z = cube of exp(x²), from y = exp(x²) that is kept; the values of x and s are not sent again."""
    first = pb.EvaluateRequest(input=pb.RunInput(graph=vector().to_proto(), save_as="run", request_id="first"))
    talk.say(evaluate=first)
    events = talk.hear_run("first")
    assert events[-1].summary.nodes_computed == 3
    g = GraphBuilder()
    v = g.leaf("a", shape=(3,), dtype=np.float64, requires_grad=True)
    e = g.apply("exp", g.apply("square", v, name="b"), name="c")
    g.output(g.apply("pow", e, 3.0, name="d"))
    asked = pb.DifferentiateRequest(input=pb.RunInput(graph=g.to_proto(), request_id="r", fetch=["d"]))
    asked.seeds.add(output="d", cotangent=encode_tensor(SEED["y"]))
    asked.verify.level = pb.VERIFY_LEVEL_OFF
    asked.input.reuse.add(saved="run", values=["a", "b", "c"], saved_values=["x", "s", "y"])
    talk.say(differentiate=asked)
    events = talk.hear_run("r")
    assert events[-1].summary.nodes_computed == 1
    x = np.array([1.0, 2.0, 3.0])
    fresh = client.differentiate(g, {"a": x}, seeds={"d": SEED["y"]}, verify="off", fetch=["d"])
    [found] = gradients(events).values()
    assert found.tobytes() == fresh.gradients["a"].gradient.tobytes()  # type: ignore[union-attr]


def test_what_cannot_be_reused(served: Served, client: Client, talk: SessionStream) -> None:
    talk.say(evaluate=pb.EvaluateRequest(input=pb.RunInput(graph=vector().to_proto(), save_as="run", request_id="first")))
    talk.hear_run("first")

    def faults(reuse: pb.Reuse, graph: graph_pb2.Graph) -> list[tuple[str, str]]:
        talk.say(evaluate=pb.EvaluateRequest(input=pb.RunInput(graph=graph, reuse=[reuse], request_id="r")))
        return [(one.path, one.reason) for one in fault_of(talk.hear()).faults]

    graph = vector([1.0, 2.0]).to_proto()
    assert faults(pb.Reuse(saved="run", values=["s"]), graph) == [("input.reuse[0].values[0].value", "VALUE_SPEC")]
    assert faults(pb.Reuse(saved="run", values=["t"], saved_values=["s"]), graph) == [
        ("input.reuse[0].values[0].name", "VALUE_UNKNOWN")
    ]
    assert faults(pb.Reuse(saved="run", values=["s"], saved_values=["q"]), graph) == [
        ("input.reuse[0].saved_values[0]", "VALUE_UNKNOWN")
    ]
    assert faults(pb.Reuse(saved="run", values=["s", "y"], saved_values=["s"]), graph) == [
        ("input.reuse[0].saved_values", "REUSE_COUNT")
    ]
    twice = vector().to_proto()
    twice_over = pb.EvaluateRequest(
        input=pb.RunInput(graph=twice, request_id="r", values=[], reuse=[pb.Reuse(saved="run", values=["x"])])
    )
    twice_over.input.values.add(name="x", value=encode_tensor(np.zeros(3)))
    talk.say(evaluate=twice_over)
    assert [one.reason for one in fault_of(talk.hear()).faults] == ["NAME_DUPLICATE"]
    talk.say(
        evaluate=pb.EvaluateRequest(
            input=pb.RunInput(saved="run", request_id="r", reuse=[pb.Reuse(saved="run", values=["s"])])
        )
    )
    assert [one.reason for one in fault_of(talk.hear()).faults] == ["SAVED_VALUES"]
    talk.say(
        evaluate=pb.EvaluateRequest(
            input=pb.RunInput(graph=twice, request_id="r", reuse=[pb.Reuse(saved="gone", values=["s"])])
        )
    )
    assert fault_of(talk.hear()).reason == "SAVED_NOT_FOUND"
    with pytest.raises(InvalidRequest) as caught:
        client.send(pb.DifferentiateRequest(input=pb.RunInput(graph=twice, reuse=[pb.Reuse(saved="run", values=["s"])])))
    assert [(one.path, one.reason) for one in caught.value.faults] == [("input.reuse", "SAVE_NEEDS_SESSION")]


@pytest.mark.slow
def test_a_session_ends_with_the_server_when_its_runs_are_done(tmp_path: Any) -> None:
    faulty_plugin.entered.clear()
    faulty_plugin.released.clear()
    with serving(tmp_path, plugin=["tests.support.faulty_plugin"]) as one:
        idle, busy = SessionStream(one), SessionStream(one)
        idle.say(differentiate=square("r", 3.0))
        idle.hear_run("r")
        busy.say(differentiate=request([leaf("x", 3.0)], [node("faulty.wait", "x", "y")], "y", request_id="slow"))
        assert faulty_plugin.entered.wait(60)
        stopping = asyncio.run_coroutine_threadsafe(one.host.stop(60), one.loop)
        with pytest.raises(StopIteration):
            idle.hear()
        faulty_plugin.released.set()
        assert gradients(busy.hear_run("slow")) == {"x": 1.0}
        with pytest.raises(StopIteration):
            busy.hear()
        stopping.result(60)


@pytest.mark.slow
def test_a_client_that_hangs_up_frees_what_it_kept(served: Served) -> None:
    talk = SessionStream(served)
    asked = square("r", 3.0)
    asked.input.save_as = "run"
    talk.say(differentiate=asked)
    talk.hear_run("r")
    [entry] = served.host.handler.forward_cache._entries.values()
    value = weakref.ref(entry.forward)
    del entry
    talk.leave()
    for _ in range(1000):  # calls, rather than time, for the session to end
        if held(served) == (0, 0):
            break
        served.autodiff.Differentiate(request([leaf("x", 3.0)], [node("square", "x", "y")], "y"))
    gc.collect()
    assert value() is None


def test_idle_values_are_freed_by_a_timer_that_ends_with_them(tmp_path: Any) -> None:
    async def main() -> None:
        handler = Handler(Engine(REGISTRY), ProofPool(REGISTRY, tmp_path), Limits(saved_seconds=600))
        clock = handler.forward_cache.clock = Clock()
        desk = handler.session_context()
        graph = square("", 3.0).input.graph
        for name in "ab":
            found = await handler.evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=graph, save_as=name)), {}, desk)
            assert found.summary.saved_bytes == 16
            clock.now += 300
        assert handler._sweeping is not None
        handler._sweep()  # as the timer does
        assert (len(handler.forward_cache), handler._sweeping is not None) == (1, True)
        clock.now += 300
        handler._sweep()
        assert len(handler.forward_cache) == 0
        assert handler._sweeping is None  # type: ignore[unreachable, unused-ignore]
        await handler.evaluate(pb.EvaluateRequest(input=pb.RunInput(graph=graph, save_as="c")), {}, desk)
        handler.close()
        handler.proofs.close()
        desk.close()

    asyncio.run(main())


# the client's session


def test_a_session_goes_on_after_faults_and_runs_that_are_given_up(client: Client) -> None:
    def refuse(gradient: Any) -> None:
        raise LookupError("mine alone")

    with client.session() as session:
        for _ in range(3):
            with pytest.raises(LookupError, match="mine alone"):
                session.differentiate(vector(), seeds=SEED, hooks=[hook("s", refuse)])
            stream = session.stream(vector(), seeds=SEED)
            next(stream)
            stream.close()
            with pytest.raises(InvalidRequest):
                session.differentiate(vector())
            assert session.evaluate(vector(), fetch=["s"])["s"].tolist() == [1, 4, 9]


def test_required_verdicts_on_a_session(client: Client) -> None:
    with client.session() as session:
        result = session.differentiate(vector(), seeds=SEED, required="verified", budget=60.0)
        assert result.verdicts["x"].summary == "verified"
        with pytest.raises(VerdictRequired) as caught:
            session.differentiate(vector(), seeds=SEED, required="verified", verify="cached")
        assert isinstance(caught.value.result.summary, Summary)
        assert caught.value.result.summary.weaker == 1
        assert session.evaluate(vector(), fetch=["s"])["s"].tolist() == [1, 4, 9]


def test_a_closed_session_says_so(client: Client) -> None:
    session = client.session()
    session.close()
    session.close()
    with pytest.raises(ValueError, match="the session is closed"):
        session.evaluate(vector())


def test_a_run_that_takes_too_long_ends_the_session_for_others_too(client: Client) -> None:
    faulty_plugin.entered.clear()
    faulty_plugin.released.clear()
    g = GraphBuilder()
    g.output(g.apply("faulty.wait", g.leaf("x", 1.0)))

    def run(session: Session, timeout: float | None) -> str:
        with pytest.raises(GradproofError) as caught:
            list(session.exchange(RunExchange(pb.EvaluateRequest(input=pb.RunInput(graph=g.to_proto()))), timeout))
        return type(caught.value).__name__

    with client.session() as session, ThreadPoolExecutor(2) as pool:
        patient = pool.submit(run, session, None)
        assert faulty_plugin.entered.wait(60)
        try:
            assert run(session, 0.05) == "DeadlineExceeded"
            assert patient.result(60) == "Unavailable"
        finally:
            faulty_plugin.released.set()
        assert not session.alive
