"""Leaving: all work on large graphs ends soon after nobody waits for it any more, whatever it is at.

Time is counted in calls of functions, which are the same on every machine: a loop over the nodes that does not look whether
anybody waits makes thousands of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.proof_sources import NoProofs
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.verdicts import finish
from tests.support.waiting import until

from gradproof.engine.cancellation import NEVER, Cancellation, current, look, watched
from gradproof.engine.compiled.compiled import Compiled, Variant
from gradproof.engine.compiled.parts import FEW_LINES, MOST_LINES, functions
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import Engine
from gradproof.engine.errors import Cancelled
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.spec import spec_of
from gradproof.engine.verify.runs import layout_of
from gradproof.engine.verify.runs.evidence import pack_plan
from gradproof.engine.verify.verifier import Verifier
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.server.requests.decode import Source, decode_job
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2

pytestmark = pytest.mark.stress

NODES = 600
MOST = NODES // 2  # calls, in a loop over the nodes there are twice as many
IN_GRAPHLIB = 3 * NODES
"""Calls in which the library looks for cycles, which nothing can end: less than a millisecond for as many nodes."""
MOMENTS = 10
OPS = ("sin", "tanh", "exp", "negative")
Work = Callable[[], Any]


def chain(count: int = NODES) -> Graph:
    nodes = tuple(Node(OPS[k % 4], (f"v{k}",), (f"v{k + 1}",)) for k in range(count))
    return Graph((Leaf("v0", spec_of(np.array(0.5)), True),), nodes, (f"v{count}",))


def wide(count: int = NODES) -> Graph:
    leaves = tuple(Leaf(f"x{k}", spec_of(np.array(0.5)), True) for k in range(count))
    return Graph(
        leaves, tuple(Node("sin", (f"x{k}",), (f"y{k}",)) for k in range(count)), tuple(f"y{k}" for k in range(count))
    )


def job_of(graph: Graph) -> Job:
    return Job(graph, tuple((one.name, np.array(0.5)) for one in graph.leaves), fetch=graph.outputs)


def ordered(graph: Graph) -> Graph:
    """The same with its nodes the other way round."""
    return Graph(graph.leaves, graph.nodes[::-1], graph.outputs)


def prepared(graph: Graph) -> Work:
    job = job_of(graph)
    return lambda: Engine(REGISTRY).prepare(job)


def estimated(graph: Graph) -> Work:
    engine = Engine(REGISTRY)
    return lambda: engine.estimate(Job(graph), engine.infer(graph))


def evaluated(graph: Graph) -> Work:
    engine = Engine(REGISTRY)
    ready = engine.prepare(job_of(graph))
    return lambda: list(engine.gradients(replace(ready, cancellation=current())))


def compiled(graph: Graph) -> Work:
    plan = Engine(REGISTRY).prepare(job_of(graph)).plan
    return lambda: Compiled(plan, Variant(graph.outputs))


def derived(graph: Graph, mode: Mode) -> Work:
    return lambda: derive(graph, REGISTRY, mode)


def jacobian() -> Work:
    x = np.linspace(0.1, 0.9, 40)
    graph = Bench(Engine(REGISTRY)).graph(
        {"x": x}, ["a = sin(x)", *(f"{b} = exp({a})" for a, b in zip("abcdefg", "bcdefgh"))], "h"
    )
    return lambda: derive(graph, REGISTRY, Mode.JACOBIAN)


def message_of(graph: Graph) -> pb.DifferentiateRequest:
    values = {one.name: np.array(0.5) for one in graph.leaves}
    return pb.DifferentiateRequest(input=pb.RunInput(graph=encode.graph_message(graph, values)))


def decoded(graph: Graph) -> Work:
    message = message_of(graph)
    return lambda: decode_job(message, Source(), Limits(), {}, REGISTRY)


def encoded(graph: Graph) -> Work:
    return lambda: encode.graph_message(graph, {})


def checked(graph: Graph) -> Work:
    """Without numbers: words are put together."""
    run = finish(Engine(REGISTRY), job_of(graph))
    return lambda: list(Verifier(REGISTRY, NoProofs(REGISTRY)).check(run, values=False, budget=600.0))


def packed(graph: Graph) -> Work:
    run = finish(Engine(REGISTRY), job_of(graph))
    return lambda: (pack_plan(run.plan), layout_of(run.values, run.plan.program.specs))


KINDS: dict[str, Callable[[], Work]] = {
    "prepare": lambda: prepared(chain()),
    "prepare, many leaves": lambda: prepared(wide()),
    "prepare, other order": lambda: prepared(ordered(chain())),
    "estimate": lambda: estimated(chain()),
    "run": lambda: evaluated(chain()),
    "run, many leaves": lambda: evaluated(wide()),
    "compile": lambda: compiled(chain()),
    "compile, many leaves": lambda: compiled(wide()),
    "vjp": lambda: derived(chain(), Mode.VJP),
    "hvp": lambda: derived(chain(NODES // 2), Mode.HVP),
    "jacobian": jacobian,
    "decode": lambda: decoded(chain()),
    "decode, many leaves": lambda: decoded(wide()),
    "encode": lambda: encoded(wide()),
    "check": lambda: checked(chain()),
    "check, many leaves": lambda: checked(wide()),
    "pack": lambda: packed(chain()),
    "digest": lambda: chain().digest,
}


class Counted:
    """Counts calls of functions, and cancels at one of them."""

    def __init__(self, cancellation: Cancellation, at: int) -> None:
        self.cancellation, self.at, self.calls, self.later = cancellation, at, 0, 0

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if event not in ("call", "c_call"):
            return
        self.calls += 1
        self.later += self.cancellation.cancelled
        if self.calls == self.at:
            self.cancellation.cancel()

    def run(self, work: Work) -> bool:
        """Whether it was cancelled."""
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            self.cancellation.within(work)
        except Cancelled:
            return True
        finally:
            sys.setprofile(before)
        return False


@pytest.mark.parametrize("kind", KINDS)
def test_all_work_on_a_graph_ends_soon_after_a_cancel(kind: str) -> None:
    make = KINDS[kind]
    make()()  # rules are traced once
    whole = Counted(Cancellation(), 0)
    assert not whole.run(make())
    for moment in range(MOMENTS):
        counted = Counted(Cancellation(), 1 + moment * whole.calls // MOMENTS)
        counted.run(make())
        most = IN_GRAPHLIB if kind == "prepare, other order" else MOST
        assert counted.later < most, f"{counted.later} calls later than call {counted.at} of {whole.calls}"


# parts


def test_a_long_plan_is_compiled_in_parts_that_look_whether_anybody_waits() -> None:
    graph = chain(3 * MOST_LINES)
    engine = Engine(REGISTRY)
    plan = engine.prepare(Job(graph, (("v0", np.array(0.5)),))).plan
    made = Compiled(plan, Variant(graph.outputs))
    assert made.text.count("if C.cancelled: raise Cancelled") > 3
    assert all(text.count("\n") < MOST_LINES + 10 for text in made.text.split("def "))
    leaves = {"v0": np.array(0.5)}
    found = [array for _, array in made.run(made.arguments(leaves, {}))]
    values = engine.gradients(engine.prepare(Job(graph, (("v0", np.array(0.5)),), fetch=graph.outputs)))
    expected = [event.value if hasattr(event, "value") else event.gradient for event in values]
    assert [one.tobytes() for one in found] == [one.tobytes() for one in expected if one is not None]
    cancellation = Cancellation()
    run = made.run(made.arguments(leaves, {}), cancellation)
    assert next(run)[0] == 0
    cancellation.cancel()
    with pytest.raises(Cancelled):
        list(run)


def test_parts_pass_on_what_is_read_behind_them_and_hold_nothing() -> None:
    lines = [f"v{k + 1} = v{k} + v0" for k in range(5 * MOST_LINES)]
    texts = list(functions(["v0 = X[0]", "a7 = X[1]", *lines, f"yield 0, v{len(lines)}", "a7 = None", "yield 1, v0"]))
    assert len(texts) == 5 * MOST_LINES // FEW_LINES + 1  # few variables are alive at each end of a part
    names: dict[str, Any] = {"Cancelled": Cancelled}
    for text in texts:
        exec(text, names)
    array = np.ones(3)
    run = names["run"]((), (), (), (), [2.0, array], NEVER)
    assert next(run) == (0, 2.0 * (len(lines) + 1))
    held = sys.getrefcount(array)
    assert next(run) == (1, 2.0)
    assert sys.getrefcount(array) == held - 1
    assert list(run) == []


# the current cancellation


def test_a_thread_works_for_whoever_asked() -> None:
    outer, inner = Cancellation(), Cancellation()
    assert current() is NEVER

    def work() -> list[Any]:
        assert current() is outer
        outer.cancel()
        found = inner.within(lambda: list(watched(range(3))))  # for another one, who waits
        with pytest.raises(Cancelled):
            look()
        with pytest.raises(Cancelled):
            list(watched(range(3)))
        return found

    assert outer.within(work) == [0, 1, 2]
    assert current() is NEVER
    with pytest.raises(RuntimeError, match="make another to cancel"):
        NEVER.cancel()  # else all that anybody does would end


# proofs


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs"), plugin=["tests.support.stuck_plugin"]) as one:
        yield one


def proving(served: Served) -> bool:
    return served.host.proofs.running > 0 and served.host.workers.busy > 0


def resting(served: Served) -> bool:
    proofs = served.host.proofs
    return not proofs.running and not proofs.queued and not served.host.workers.busy


def verify(served: Served, name: str) -> Any:
    return served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name=name, refresh=True, budget_seconds=60.0))


def checking(served: Served) -> Any:
    nodes = [node("stuck.hang_symbols", "x", "y")]
    options = pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=60.0)
    message = request([leaf("x", np.array(0.5))], nodes, "y", verify=options)
    return served.autodiff.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=message))


@pytest.mark.parametrize("call", [checking, lambda served: verify(served, "stuck.hang_symbols")], ids=["check", "verify"])
def test_proofs_that_were_left_are_stopped(served: Served, call: Callable[[Served], Any]) -> None:
    until(lambda: resting(served))
    going = call(served)
    until(lambda: proving(served))
    going.cancel()
    until(lambda: resting(served))  # the proof would take 30 s
    for key in served.host.proofs.keys_of("stuck.hang_symbols"):
        known = served.host.proofs.lookup(key)
        assert known is None or "took longer" not in known.reason


def test_a_proof_goes_on_as_long_as_anybody_waits_for_it(served: Served) -> None:
    until(lambda: resting(served))
    first, second = checking(served), checking(served)
    until(lambda: proving(served) and any(len(one) > 1 for one in served.host.proofs._requesters.values()))
    first.cancel()
    with pytest.raises(grpc.RpcError):
        list(first)
    answers = list(served.ops.VerifyOp(op_service_pb2.VerifyOpRequest(name="sin", budget_seconds=20.0), timeout=60))
    assert answers  # others are served meanwhile
    assert served.host.proofs.running > 0
    second.cancel()
    until(lambda: resting(served))


def test_a_call_that_came_to_its_end_leaves_its_proofs_to_others(served: Served) -> None:
    until(lambda: resting(served))
    options = pb.VerifyOptions(level=pb.VERIFY_LEVEL_VALUES, budget_seconds=5.0)
    nodes = [node("stuck.hang_symbols", "x", "y")]
    served.autodiff.Differentiate(request([leaf("x", np.array(0.5))], nodes, "y", verify=options), timeout=60)
    until(lambda: proving(served))  # with nobody there
    for askers in list(served.host.proofs._requesters.values()):
        for asker in list(askers):
            served.host.proofs.abandon(asker)
    until(lambda: resting(served))
