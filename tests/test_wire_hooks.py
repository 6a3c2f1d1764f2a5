"""Hooks that are graphs, and hooks that run at the client, through a server."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tests.serving import Served, serving

from gradproof.client import GraphBuilder, InvalidRequest, RunError, hook
from gradproof.client.graph import Graph
from gradproof.server.limits import Limits
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("proofs")) as found:
        yield found


def product(value: Any = (1.0, 2.0)) -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", np.asarray(value, float), requires_grad=True)
    y = g.apply("square", x, name="y")
    g.output(g.apply("sum", y * 3.0), "s")
    return g


def times(factor: float, shape: tuple[int, ...] = (2,)) -> GraphBuilder:
    g = GraphBuilder()
    g.output(g.leaf("g", shape=shape) * factor)
    return g


def run(served: Served, *hooks: Any, graph: Graph | None = None, **options: Any) -> Any:
    return served.client.differentiate(graph or product(), hooks=list(hooks), **options)


def test_all_kinds_mix_in_the_order_given(served: Served) -> None:
    seen: list[Any] = []

    def look(gradient: Any) -> Any:
        seen.append((gradient.tolist(), gradient.flags.writeable))
        return gradient + 1

    result = run(
        served, hook("y", times(10.0), label="tenfold"), hook("y", look), hook("y", "scale", factor=2.0), retain=["y"]
    )
    assert seen == [([30.0, 30.0], False)]
    gradient = result.gradients["y"]
    assert gradient.raw.tolist() == [3.0, 3.0]
    assert [(one.name, one.result.tolist(), one.changed) for one in gradient.hooks] == [
        ("tenfold", [30.0, 30.0], True),
        ("look", [31.0, 31.0], True),
        ("scale", [62.0, 62.0], True),
    ]
    assert result.gradients["x"].gradient.tolist() == [124.0, 248.0]
    assert result.verdicts["x"].hooked_by == ("y",)
    assert (result.verdicts["x"].summary, result.verdicts["x"].graph.word) == ("verified", "CUT")


def test_none_leaves_the_gradient_as_it_is(served: Served) -> None:
    result = run(served, hook("y", lambda gradient: None))
    assert result.gradients["x"].gradient.tolist() == [6.0, 12.0]
    assert result.verdicts["x"].graph.word == "CONSISTENT"


def test_a_large_gradient_goes_to_the_client_and_back(served: Served) -> None:
    size = 700_000
    g = product(np.ones(size))
    result = run(served, hook("y", lambda gradient: gradient * 2), graph=g, verify="off")
    assert result.gradients["x"].gradient.sum() == 12.0 * size


def test_what_a_hook_raises_is_raised_to_the_caller(served: Served) -> None:
    def bad(gradient: Any) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(served, hook("y", bad))
    assert run(served).gradients["x"].gradient.tolist() == [6.0, 12.0]  # nothing is left over


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda g: g[:1], "hook '<lambda>' has changed the size of value 'y'"),
        (lambda g: g.astype(np.float32), "hook '<lambda>' has changed the type of value 'y'"),
    ],
)
def test_a_hook_may_not_change_size_or_type(served: Served, function: Any, text: str) -> None:
    with pytest.raises(RunError, match=text) as caught:
        run(served, hook("y", function))
    assert caught.value.reason == "HOOK_FAULT"


@pytest.mark.parametrize(
    ("graph", "path", "reason"),
    [
        (times(2.0, (3,)), "hooks[0].graph", "HOOK_SPEC"),
        (GraphBuilder(), "hooks[0].graph.outputs", "OUTPUT_MISSING"),
        (product(), "hooks[0].graph", "HOOK_SIGNATURE"),
    ],
)
def test_a_graph_that_is_no_hook_is_refused_before_anything_runs(
    served: Served, graph: GraphBuilder, path: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        run(served, hook("y", graph))
    assert (path, reason) in {(fault.path, fault.reason) for fault in caught.value.faults}


def test_faults_inside_a_hook_have_its_path(served: Served) -> None:
    g = GraphBuilder()
    g.output(g.apply("sine", g.leaf("g", shape=(2,))))
    with pytest.raises(InvalidRequest) as caught:
        run(served, hook("x", "zero"), hook("y", g))
    assert [fault.path for fault in caught.value.faults] == ["hooks[1].graph.nodes[0].op"]


def test_a_client_hook_needs_a_session(served: Served) -> None:
    request = pb.DifferentiateRequest(
        graph=product().to_proto(), hooks=[graph_pb2.Hook(value="y", client=graph_pb2.ClientHook(hook_id=1))]
    )
    with pytest.raises(grpc.RpcError) as caught:
        served.autodiff.Differentiate(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "needs a Session" in str(caught.value.details())


class Talk:
    """A session that is driven frame by frame."""

    def __init__(self, served: Served) -> None:
        self.frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers = served.autodiff.Session(iter(self.frames.get, None), timeout=60)

    def differentiate(self, name: str, number: int | None = None) -> None:
        hooks = [] if number is None else [graph_pb2.Hook(value="y", client=graph_pb2.ClientHook(hook_id=number))]
        request = pb.DifferentiateRequest(
            graph=product().to_proto(), hooks=hooks, request_id=name, verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
        )
        self.frames.put(pb.SessionRequest(differentiate=request))

    def until(self, name: str, kind: str) -> Any:
        for answer in self.answers:
            if answer.request_id == name and (
                answer.WhichOneof("frame") == kind or answer.event.WhichOneof("kind") == kind
            ):
                return answer
        raise AssertionError("the session ended")

    def close(self) -> None:
        self.frames.put(None)
        list(self.answers)


def test_other_runs_go_on_while_a_hook_is_waited_for(served: Served) -> None:
    talk = Talk(served)
    talk.differentiate("waits", 7)
    turn = talk.until("waits", "hook").event.hook
    assert (turn.hook_id, turn.value) == (7, "y")
    talk.differentiate("goes on")
    talk.until("goes on", "summary")
    talk.frames.put(pb.SessionRequest(hook=pb.HookReply(hook_id=7)))
    talk.until("waits", "summary")
    talk.close()


def test_a_run_that_waits_can_be_cancelled(served: Served) -> None:
    talk = Talk(served)
    talk.differentiate("waits", 7)
    talk.until("waits", "hook")
    talk.frames.put(pb.SessionRequest(cancel=pb.CancelRun(request_id="waits")))
    assert talk.until("waits", "fault").fault.reason == "CANCELLED"
    talk.frames.put(pb.SessionRequest(hook=pb.HookReply(hook_id=7)))
    assert talk.until("", "fault").fault.faults[0].path == "hook.hook_id"
    talk.close()
    assert served.host.handler._in_flight == 0


def test_a_hook_that_failed_at_the_client_ends_its_run(served: Served) -> None:
    talk = Talk(served)
    talk.differentiate("fails", 1)
    talk.until("fails", "hook")
    talk.frames.put(pb.SessionRequest(hook=pb.HookReply(hook_id=1, error="out of ideas")))
    fault = talk.until("fails", "fault")
    fault = fault if fault.WhichOneof("frame") == "fault" else talk.until("fails", "fault")
    assert (fault.fault.reason, "out of ideas" in fault.fault.message) == ("HOOK_FAULT", True)
    talk.close()


def test_a_client_that_does_not_answer_is_not_waited_for_longer_than_the_limit(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(hook_timeout_ms=1)) as served:
        talk = Talk(served)
        talk.differentiate("waits", 7)
        talk.until("waits", "hook")
        answer = talk.until("waits", "fault")
        answer = answer if answer.WhichOneof("frame") == "fault" else talk.until("waits", "fault")
        assert "gave no answer for 0.001 s" in answer.fault.message
        talk.close()
